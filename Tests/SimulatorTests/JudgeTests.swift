// Each judge speaks when it should: a planted bug makes it fail, and without the bug it is silent.

import Base
import Platform
import Testing

@testable import Simulator

@Suite struct `A judge` {
    func exchange(_ duo: Duo, _ bytes: [UInt8]) {
        let (connection, _) = duo.connect()
        connection.send(bytes)
        connection.send(bytes)
        duo.world.run(for: .milliseconds(50))
        connection.send(bytes)
        connection.finish()
        duo.world.run(for: .seconds(5))
    }

    func rules(_ verdict: Verdict) -> [String] { verdict.violations.map(\.rule) }

    @Test func `sees a byte that changed, and one that is missing`() {
        for bug in [PlantedBug.flipsByte, .losesByte] {
            let duo = Duo()
            duo.world.planted = bug
            exchange(duo, pattern(10_000))
            #expect(rules(duo.finish()).contains("conservation"))
        }
        let duo = Duo()
        exchange(duo, pattern(10_000))
        #expect(duo.finish().passes)
    }

    @Test func `sees connections, listeners, sockets and timers that a stopped process keeps`() throws {
        func world(_ leak: @escaping (SimProcess) throws -> Void) -> Verdict {
            let world = World(seed: 1, options: options())
            let node = world.addNode("a", ip: IPAddress(10, 0, 0, 1))
            world.addProcess("p", on: node, userID: 1, settings: Settings()) { process in sure { try leak(process) } }.start()
            world.run(for: .seconds(1))
            world.stopAll()
            world.run(for: .seconds(1))
            return world.finish()
        }
        #expect(world { _ in }.passes)
        #expect(rules(world { p in p.after(.hours(1)) {} }) == ["timer"])
        #expect(rules(world { p in _ = try p.network.listen(on: SocketAddress(.any, 1), options: ListenOptions(), handler: Acceptor()) }) == ["leak"])
        #expect(rules(world { p in _ = try p.network.datagrams(on: SocketAddress(.any, 1), handler: Datagrams()) }) == ["leak"])
        let connects = { (p: SimProcess) in _ = p.network.connect(to: SocketAddress(IPAddress(9, 9, 9, 9), 1), options: ConnectOptions(), handler: Recorder()) }
        #expect(rules(world(connects)) == ["leak"])
        #expect(rules(world { p in
            connects(p)
            p.onShutdown { p.exit(0) }
        }) == ["leak"])
        #expect(world { p in
            connects(p)
            p.exemptFrom = .leaks
        }.passes)
        #expect(world { p in
            p.after(.hours(1)) {}
            p.onShutdown { p.exit(0) }
        }.passes)
    }

    @Test func `sees a bug event`() {
        let duo = Duo()
        duo.client.unexpected("the impossible")
        let verdict = duo.finish()
        #expect(rules(verdict) == ["unexpected"] && verdict.description.contains("VIOLATION 0ns a unexpected: a/client: the impossible"))
    }

    @Test func `sees plaintext between meshed nodes, in either direction, however cut`() {
        let record: [UInt8] = [0x16, 3, 1, 0, 5, 1, 2, 3, 4, 5]
        func judged(_ segmentation: Segmentation, _ there: [UInt8], back: [UInt8] = [], isMeshed: Bool = true, ports: [ClosedRange<UInt16>] = []) -> [String] {
            let acceptor = Acceptor { recorder, connection in
                if !back.isEmpty { connection.send(back) }
                recorder.onFinished = { $0.finish() }
            }
            let duo = Duo(acceptor, options: options { $0.segmentation = segmentation })
            duo.server.node.isMeshed = true
            duo.client.node.isMeshed = isMeshed
            duo.server.node.plaintextPorts = ports
            let (connection, _) = duo.connect()
            connection.send(there)
            connection.finish()
            duo.world.run(for: .seconds(1))
            return rules(duo.finish())
        }
        for segmentation in [Segmentation.whole, .bytewise, .seeded] {
            #expect(judged(segmentation, record + record + record, back: [0x17, 3, 3, 0, 1, 9]) == [])
            #expect(judged(segmentation, Array("GET / HTTP/1.1\r\n\r\n")) == ["plaintext"])
            #expect(judged(segmentation, record + Array("GET /")) == ["plaintext"])
            #expect(judged(segmentation, record, back: Array("HTTP/1.1 200 OK")) == ["plaintext"])
            #expect(judged(segmentation, [0x16, 3, 1, 0xff, 0xff, 1]) == ["plaintext"])
            #expect(judged(segmentation, [0x16, 2]) == ["plaintext"])
            #expect(judged(segmentation, Array("GET /"), isMeshed: false) == [])
            #expect(judged(segmentation, Array("GET /"), ports: [8000...8100]) == [])
        }
    }

    @Test func `sees a secret on the wire, across any cut, and in a datagram`() throws {
        for segmentation in [Segmentation.whole, .bytewise, .seeded] {
            let duo = Duo(options: options { $0.segmentation = segmentation })
            duo.world.declareSecret(Array("hunter2"))
            duo.world.declareSecret(Array("s3cr3t-token"))
            exchange(duo, Array("nothing hunter to see s3cr3t-tok"))
            #expect(duo.world.violations.isEmpty)
            exchange(duo, Array("my s3cr3t-token is"))
            // Once a direction: the echo carries it back.
            #expect(rules(duo.finish()) == ["secret", "secret"])
        }
        let duo = Duo()
        duo.world.declareSecret(Array("hunter2"))
        let socket = try duo.client.network.datagrams(on: SocketAddress(.any, 0), handler: Datagrams())
        socket.send(Array("say hunter2").span.bytes, to: duo.address)
        socket.close()
        #expect(rules(duo.finish()) == ["secret"])
    }

    @Test func `sees a wait that can never end, and tells it from a limit`() {
        let duo = Duo()
        duo.client.after(.seconds(5)) {}
        #expect(!duo.world.run(until: { false }, limit: .seconds(1), awaiting: "the end"))
        #expect(duo.world.violations.isEmpty && duo.world.now == .zero + .seconds(1))
        #expect(!duo.world.run(until: { false }, limit: .seconds(100), awaiting: "the end"))
        #expect(duo.world.violations.map(\.rule) == ["stall"] && duo.world.violations[0].text.contains("the end") && duo.world.now == .zero + .seconds(5))
    }

    @Test func `is silent when switched off`() {
        let duo = Duo(options: options { $0.checks = [] })
        duo.world.planted = .flipsByte
        exchange(duo, pattern(10_000))
        duo.client.unexpected("the impossible")
        duo.client.after(.days(1)) {}
        duo.world.stopAll()
        duo.world.run(for: .seconds(1))
        #expect(duo.world.finish().passes)
    }

    @Test func `prints the last records and the line that names the run`() {
        let duo = Duo(seed: 42)
        exchange(duo, pattern(100))
        let verdict = duo.finish()
        #expect(verdict.lastRecords.count == min(50, Int(duo.world.trace.events)) && verdict.lastRecords.last?.kind == Trace.Kind.end.rawValue)
        #expect(verdict.lastRecords[0].bytes.count == 32)
        let words = verdict.traceLine.split(separator: " ").map(String.init)
        #expect(words[0...2] == ["TRACE", "v1", "seed=42"] && words.count == 8)
        #expect(words[5] == "events=\(duo.world.trace.events)" && words[7] == "hash=\(duo.world.trace.hash.hex)")
    }
}
