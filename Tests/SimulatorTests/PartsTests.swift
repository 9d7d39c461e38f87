// The small parts by themselves: the queue's order, the digest's indifference to cuts, a checkpoint's text.

import Base
import Platform
import Testing

@testable import Simulator

@Suite struct `The event queue` {
    @Test func `gives events by time, then by order of asking, also after compaction`() {
        var random = Random(seed: 4)
        for size in [0, 1, 2, 5, 6, 100, 3000] {
            var queue = EventQueue()
            var expected: [(Int64, UInt64)] = []
            for i in 0..<size {
                let time = Int64(random.below(50))
                queue.push(Event(time: time, order: UInt64(i) << 8, target: Int32(i), generation: 0))
                expected.append((time, UInt64(i) << 8))
                if random.chance(1, in: 4), let first = queue.first {
                    queue.removeFirst()
                    expected.removeAll { $0 == (first.time, first.order) }
                }
            }
            queue.compact { $0.target % 3 != 0 }
            expected.removeAll { ($0.1 >> 8) % 3 == 0 }
            expected.sort { $0 < $1 }
            var order: [(Int64, UInt64)] = []
            while let event = queue.first {
                order.append((event.time, event.order))
                queue.removeFirst()
            }
            #expect(order.elementsEqual(expected) { $0 == $1 })
        }
    }
}

@Suite struct `A stream's digest` {
    func value(_ bytes: [UInt8], cuts: [Int]) -> UInt64 {
        var digest = StreamDigest()
        var at = 0
        for cut in cuts + [bytes.count] {
            bytes[at..<cut].withUnsafeBytes { digest.mix($0) }
            at = cut
        }
        #expect(digest.length == UInt64(bytes.count))
        return digest.value
    }

    @Test func `does not depend on the cuts, and on nothing else but the bytes`() {
        let bytes = pattern(150)
        let whole = value(bytes, cuts: [])
        for first in 0...150 {
            #expect(value(bytes, cuts: [first]) == whole)
            #expect(value(bytes, cuts: [first / 3, first]) == whole)
        }
        #expect(value(bytes, cuts: Array(0..<150)) == whole)
        for i in 0..<150 {
            var other = bytes
            other[i] ^= 0x80
            #expect(value(other, cuts: []) != whole)
            other = bytes
            other.remove(at: i)
            #expect(value(other, cuts: []) != whole)
        }
        #expect(value(bytes + [0], cuts: []) != whole && value([], cuts: []) != value([0], cuts: []))
    }
}

@Suite struct `A world's population` {
    @Test func `changes: a removed node's name and address are free, and what went to it is silence`() {
        let duo = Duo()
        let (connection, heard) = duo.connect()
        duo.world.run(for: .seconds(1))
        #expect(heard.isConnected)
        duo.world.removeNode(duo.server.node)
        #expect(duo.world.node("b") == nil && duo.world.owner(of: duo.address.ip) == nil)
        let successor = duo.world.addNode("b", ip: duo.address.ip)
        let acceptor = Acceptor.echo()
        let address = duo.address
        duo.world.addProcess("server", on: successor, userID: 1, settings: Settings()) { p in
            let listener = sure { try p.network.listen(on: address, options: ListenOptions(), handler: acceptor) }
            p.onShutdown { listener.close() }
        }.start()
        let (again, other) = duo.connect()
        again.send("hi")
        duo.world.run(for: .seconds(1))
        #expect(other.text == "hi" && !heard.isClosed)
        again.finish()
        connection.reset()
        #expect(duo.finish().passes)
    }

    @Test func `tells when a life ends, so that a kubelet can begin the next`() {
        let duo = Duo()
        var ends: [SimProcess.State] = []
        duo.world.onProcessEnd = {
            ends.append($0.state)
            if $0.state == .crashed { $0.start() }
        }
        duo.world.crash(duo.server)
        duo.world.run(for: .seconds(1))
        #expect(ends == [.crashed] && duo.server.isRunning && duo.server.lives == 2)
        duo.server.exit(0)
        #expect(ends == [.crashed, .exited(0)] && !duo.server.isRunning)
    }

    @Test func `may be let go while connections are held`() {
        var duo: Duo? = Duo()
        let (connection, _) = duo!.connect()
        duo!.world.run(for: .seconds(1))
        let far = duo!.acceptor.accepted[0].connection!
        duo = nil
        connection.send("into nothing")
        connection.close()
        far.finish()
        far.reset()
        #expect(connection.bytesQueued == 0)
    }
}

@Suite struct `A checkpoint` {
    @Test func `is printed and read back`() {
        let points = busyRun(seed: 2).world.trace.checkpoints
        #expect(!points.isEmpty && points.map { Trace.Checkpoint($0.description) } == points)
        #expect(points.last!.draws > 100)
        #expect(Trace.Checkpoint("1 2 3 4") == nil && Trace.Checkpoint("x 2 3 4 5") == nil)
    }
}
