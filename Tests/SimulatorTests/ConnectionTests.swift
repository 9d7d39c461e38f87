// Connections as their users see them.

import Base
import Platform
import Testing

@testable import Simulator

@Suite struct `A connection` {
    @Test func `carries bytes there and back and ends on both sides`() {
        let duo = Duo()
        let (connection, heard) = duo.connect { r in
            r.onConnected = {
                $0.send("hello ")
                $0.send("world")
                $0.finish()
            }
        }
        #expect(!heard.isConnected)
        duo.world.runUntilIdle(limit: .seconds(10))
        #expect(heard.isConnected && heard.text == "hello world" && heard.isFinished && heard.isClosed && heard.failure == nil)
        let there = duo.acceptor.accepted[0]
        #expect(there.text == "hello world" && there.isFinished && there.isClosed && there.failure == nil)
        #expect(connection.remoteAddress == duo.address && there.connection!.remoteAddress == connection.localAddress)
        #expect(there.connection!.localAddress == duo.address && there.connection!.originalDestination == nil)
        #expect(duo.finish().passes)
        #expect(duo.world.streams.allSatisfy { $0.stream == nil })
    }

    @Test func `delivers what was sent before it stood`() {
        let duo = Duo()
        let (connection, heard) = duo.connect()
        connection.send("early")
        #expect(connection.bytesQueued == 5)
        duo.world.run(for: .seconds(1))
        #expect(heard.text == "early" && heard.drains == 1 && connection.bytesQueued == 0)
    }

    @Test func `is refused where nobody listens, and after one way there and back`() {
        let duo = Duo()
        let (_, heard) = duo.connect(to: SocketAddress(IPAddress(10, 0, 0, 2), 9))
        duo.world.runUntilIdle(limit: .seconds(300))
        #expect(heard.failure?.reason == .connectionRefused && !heard.isConnected)
        #expect(heard.closedAt! - .zero >= .microseconds(500) && heard.closedAt! - .zero < .milliseconds(1))
    }

    @Test func `times out toward silence: an address that nobody has, a node without power`() {
        let duo = Duo()
        let (_, nobody) = duo.connect(ConnectOptions(timeout: .seconds(3)), to: SocketAddress(IPAddress(10, 9, 9, 9), 80))
        duo.world.crash(duo.server.node)
        let (_, dark) = duo.connect()
        duo.world.runUntilIdle(limit: .seconds(300))
        #expect(nobody.failure?.reason == .timedOut && nobody.closedAt! - .zero == .seconds(3))
        #expect(dark.failure?.reason == .timedOut && dark.closedAt! - .zero == .seconds(127))
    }

    @Test func `finds a peer that comes up while SYNs are repeated`() {
        let duo = Duo()
        duo.world.crash(duo.server.node)
        let (_, heard) = duo.connect()
        duo.world.run(for: .seconds(2))
        duo.world.restart(duo.server.node)
        duo.world.run(for: .seconds(10))
        #expect(heard.isConnected)
    }

    @Test(arguments: [Segmentation.whole, .ethernet, .bytewise, .seeded]) func `keeps order and content however it is cut`(_ segmentation: Segmentation) {
        for seed in 1...8 as ClosedRange<UInt64> {
            let duo = Duo(seed: seed, options: options { $0.segmentation = segmentation })
            let sent = pattern(segmentation == .bytewise ? 3000 : 300_000)
            let (_, heard) = duo.connect { r in
                r.onConnected = {
                    $0.send(sent)
                    $0.finish()
                }
            }
            duo.world.runUntilIdle(limit: .seconds(60))
            #expect(heard.bytes == sent && duo.acceptor.accepted[0].bytes == sent)
            if segmentation == .bytewise { #expect(heard.pieces.allSatisfy { $0 == 1 }) }
            let verdict = duo.finish()
            #expect(verdict.passes, "\(verdict)")
        }
    }

    @Test func `lets a paused reader push back: the queue grows, and drains when it reads again`() {
        let acceptor = Acceptor { _, connection in connection.isReadingPaused = true }
        let duo = Duo(acceptor, options: options { $0.receiveWindowBytes = 10_000; $0.sendBufferBytes = 20_000 })
        let (connection, heard) = duo.connect()
        duo.world.run(for: .seconds(1))
        connection.send(pattern(50_000))
        #expect(connection.bytesQueued == 30_000)
        duo.world.run(for: .seconds(100))
        #expect(connection.bytesQueued == 30_000 && acceptor.accepted[0].bytes.isEmpty && heard.drains == 0)
        acceptor.accepted[0].connection!.isReadingPaused = false
        duo.world.run(for: .seconds(10))
        #expect(acceptor.accepted[0].bytes == pattern(50_000) && heard.drains == 1 && connection.bytesQueued == 0)
    }

    @Test func `holds the end back while its reader is paused, but not a reset`() {
        let acceptor = Acceptor { _, connection in connection.isReadingPaused = true }
        let duo = Duo(acceptor)
        let (first, _) = duo.connect()
        let (second, _) = duo.connect()
        duo.world.run(for: .seconds(1))
        first.finish()
        second.send("lost")
        second.reset()
        duo.world.run(for: .seconds(1))
        let (one, two) = (acceptor.accepted[0], acceptor.accepted[1])
        let (ended, reset) = one.connection!.remoteAddress == first.localAddress ? (one, two) : (two, one)
        #expect(!ended.isFinished)
        #expect(reset.failure?.reason == .connectionReset && reset.bytes.isEmpty)
        ended.connection!.isReadingPaused = false
        duo.world.run(for: .seconds(1))
        #expect(ended.isFinished)
    }

    @Test func `goes on one way after a half-close`() {
        let acceptor = Acceptor { recorder, _ in
            recorder.onFinished = {
                $0.send("after your end")
                $0.finish()
            }
        }
        let duo = Duo(acceptor)
        let (connection, heard) = duo.connect()
        connection.finish()
        connection.send("ignored")
        duo.world.runUntilIdle(limit: .seconds(10))
        #expect(heard.text == "after your end" && heard.isClosed && heard.failure == nil && acceptor.accepted[0].bytes.isEmpty)
    }

    @Test func `sends what is queued after close and reports nothing more`() {
        let duo = Duo(options: options { $0.receiveWindowBytes = 1000; $0.sendBufferBytes = 1000 })
        let acceptor = duo.acceptor
        let (connection, heard) = duo.connect { r in
            r.onConnected = {
                $0.send("tail")
                $0.close()
            }
        }
        duo.world.run(for: .seconds(5))
        #expect(heard.isConnected && !heard.isClosed && connection.handler == nil)
        #expect(acceptor.accepted[0].text == "tail" && acceptor.accepted[0].isFinished)
    }

    @Test func `throws away what comes for a closed end, for two seconds, and then answers with a reset`() {
        let acceptor = Acceptor { recorder, _ in recorder.onReceived = { connection, _ in
            connection.send("last words")
            connection.close()
        } }
        let duo = Duo(acceptor)
        let (connection, heard) = duo.connect()
        connection.send("one")
        duo.world.run(for: .seconds(1))
        #expect(heard.isFinished && !heard.isClosed && heard.text == "last words")
        connection.send("two")
        duo.world.run(for: .milliseconds(500))
        #expect(!heard.isClosed && acceptor.accepted[0].text == "one")
        duo.world.run(for: .seconds(1))
        connection.send("three")
        duo.world.run(for: .seconds(1))
        #expect(heard.failure?.reason == .connectionReset)
    }

    @Test func `throws away no more than a megabyte for a closed end`() {
        let acceptor = Acceptor { _, connection in connection.close() }
        let duo = Duo(acceptor)
        let (connection, heard) = duo.connect()
        connection.send(pattern(2_000_000))
        duo.world.run(for: .seconds(1))
        #expect(heard.failure?.reason == .connectionReset)
    }

    @Test func `closed before it stood still sends what was queued`() {
        let duo = Duo()
        let (connection, heard) = duo.connect()
        connection.send("letter")
        connection.close()
        connection.send("ignored")
        duo.world.runUntilIdle(limit: .seconds(10))
        #expect(duo.acceptor.accepted[0].text == "letter" && duo.acceptor.accepted[0].isClosed && !heard.isConnected && !heard.isClosed)
        #expect(duo.finish().passes)
    }

    @Test func `closed with much to send goes on as long as its peer reads, and no longer`() {
        let acceptor = Acceptor { _, connection in connection.isReadingPaused = true }
        let duo = Duo(acceptor, options: options { $0.receiveWindowBytes = 1000; $0.sendBufferBytes = 1000 })
        let (slow, _) = duo.connect()
        let (stuck, _) = duo.connect()
        duo.world.run(for: .seconds(1))
        for connection in [slow, stuck] {
            connection.send(pattern(10_000))
            connection.close()
        }
        let reader = acceptor.accepted.first { $0.connection!.remoteAddress == slow.localAddress }!
        let other = acceptor.accepted.first { $0.connection!.remoteAddress == stuck.localAddress }!
        for _ in 0..<20 {
            duo.world.run(for: .seconds(30))
            reader.connection!.isReadingPaused = false
            duo.world.run(for: .microseconds(1000))
            reader.connection!.isReadingPaused = true
        }
        #expect(reader.bytes == pattern(10_000) && reader.failure == nil)
        #expect(other.bytes.isEmpty && other.failure?.reason == .connectionReset)
    }

    @Test func `of a process that dies ends early for its peer, without an error`() {
        let duo = Duo(Acceptor { _, connection in connection.isReadingPaused = true }, options: options { $0.receiveWindowBytes = 1000; $0.sendBufferBytes = 3000 })
        let (connection, _) = duo.connect()
        duo.world.run(for: .seconds(1))
        connection.send(pattern(10_000))
        duo.world.crash(duo.client)
        let far = duo.acceptor.accepted[0]
        far.connection!.isReadingPaused = false
        duo.world.run(for: .seconds(1))
        #expect(far.bytes == Array(pattern(10_000).prefix(3000)) && far.isFinished && far.failure == nil)
        #expect(duo.world.violations.isEmpty)
    }

    @Test func `is given up by the caller without a trace at the listener's owner`() {
        let duo = Duo()
        let (connection, heard) = duo.connect()
        connection.close()
        duo.world.runUntilIdle(limit: .seconds(300))
        #expect(duo.acceptor.accepted.isEmpty && !heard.isConnected && !heard.isClosed)
        #expect(duo.finish().passes)
    }

    @Test func `has room in the backlog or waits`() {
        let duo = Duo(listen: ListenOptions(backlog: 2))
        duo.world.freeze(duo.server, for: .milliseconds(500))
        let all = (0..<5).map { _ in duo.connect().1 }
        duo.world.run(for: .milliseconds(400))
        #expect(all.filter(\.isConnected).count == 2 && duo.acceptor.accepted.isEmpty)
        duo.world.run(for: .seconds(10))
        #expect(all.allSatisfy(\.isConnected) && duo.acceptor.accepted.count == 5)
    }

    @Test func `takes as long as its link says, and its bytes as long as they need`() {
        let duo = Duo(options: options { $0.segmentation = .whole })
        let link = LinkOptions(latency: .milliseconds(10), bytesPerSecond: 1_000_000)
        duo.world.setLink(from: duo.client.node, to: duo.server.node, link)
        duo.world.setLink(from: duo.server.node, to: duo.client.node, LinkOptions(latency: .milliseconds(5)))
        var connectedAt = Instant.zero
        let (connection, heard) = duo.connect { r in r.onConnected = { _ in connectedAt = duo.world.now } }
        duo.world.run(until: { heard.isConnected }, limit: .seconds(1))
        #expect(connectedAt - .zero >= .milliseconds(15) && connectedAt - .zero < .milliseconds(16))
        let begin = duo.world.now
        connection.send(pattern(100_000))
        duo.world.run(until: { heard.bytes.count == 100_000 }, limit: .seconds(1))
        #expect(duo.world.now - begin >= .milliseconds(115) && duo.world.now - begin < .milliseconds(120))
    }

    @Test func `within a node goes by loopback`() {
        let duo = Duo()
        let recorder = Recorder()
        let local = duo.world.addProcess("local", on: duo.server.node, userID: 5, settings: Settings()) { process in
            _ = process.network.connect(to: SocketAddress(IPAddress(10, 0, 0, 2), 8080), options: ConnectOptions(), handler: recorder)
        }
        local.start()
        duo.world.run(until: { recorder.isConnected }, limit: .seconds(1))
        #expect(duo.world.now - .zero < .microseconds(60))
    }
}

@Suite struct `Ports` {
    @Test func `are chosen by the world for port 0 and belong to one listener`() throws {
        let duo = Duo()
        let listener = try duo.server.network.listen(on: SocketAddress(.any, 0), options: ListenOptions(), handler: duo.acceptor)
        #expect(SimulatorLimits.ephemeralPorts.contains(listener.address.port))
        let clash = #expect(throws: HostFailure.self) { _ = try duo.server.network.listen(on: SocketAddress(.any, 8080), options: ListenOptions(), handler: duo.acceptor) }
        #expect(clash?.reason == .addressInUse)
        listener.close()
        _ = try duo.server.network.listen(on: listener.address, options: ListenOptions(), handler: duo.acceptor)
        #expect(throws: HostFailure.self) { _ = try duo.server.network.listen(on: SocketAddress(IPAddress(1, 2, 3, 4), 80), options: ListenOptions(), handler: duo.acceptor) }
    }

    @Test func `run out as they do on Linux`() {
        let duo = Duo()
        for _ in SimulatorLimits.ephemeralPorts { _ = duo.connect(ConnectOptions(timeout: .seconds(1)), to: SocketAddress(IPAddress(10, 9, 9, 9), 1)) }
        let (_, heard) = duo.connect()
        duo.world.run(for: .zero)
        #expect(heard.failure?.errno == 99)
        duo.world.run(for: .seconds(2))
        let (_, again) = duo.connect()
        duo.world.run(for: .seconds(1))
        #expect(again.isConnected)
    }
}
