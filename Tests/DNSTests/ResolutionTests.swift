// The resolver, asked by a script of answers: search order, retries, aliases, truncation, forgery, results and their times.

import Base
import DNS
import Testing

private let server = SocketAddress("10.0.0.10:53")!
private let second = SocketAddress("10.0.0.11:53")!
private func name(_ text: String) -> DNSName { DNSName(text)! }

private let soa = DNSRecord(name: name("cluster.local"), type: .soa, ttlSeconds: 30, data: .authority(primary: name("ns.cluster.local"), mailbox: name("h.cluster.local"), serial: 1, refreshSeconds: 1, retrySeconds: 1, expireSeconds: 1, minimumSeconds: 7))

/// A resolution and its surroundings: every query goes to `answer`; nil is silence.
private struct Script {
    var configuration = DNSConfiguration(servers: [server])
    var log: [String] = []
    var now = Instant.zero

    mutating func run(_ question: DNSResolution.Question, _ answer: (DNSMessage, SocketAddress, _ onStream: Bool) -> DNSMessage?) -> DNSResult? {
        var resolution = DNSResolution(question, configuration: configuration, random: Random(seed: 3), now: now)
        for _ in 0..<200 {
            switch resolution.nextEvent() {
            case .sendDatagram(let bytes, let to):
                guard let query = try? DNSMessage(bytes) else { return nil }
                log.append("\(query.questions[0].name) \(query.questions[0].type.rawValue)\(to == server ? "" : " second")")
                if let reply = answer(query, to, false) { resolution.receive(reply.encoded(bytesMax: 1232).span.bytes, from: to, now: now) }
            case .sendStream(let bytes, let to):
                guard let query = try? DNSMessage(Array(bytes.dropFirst(2))) else { return nil }
                log.append("stream")
                guard let reply = answer(query, to, true)?.encodedForStream() else {
                    resolution.streamFailed("refused", now: now)
                    continue
                }
                for byte in reply { resolution.receive(stream: [byte].span.bytes, now: now) }
            case .finished(let result):
                #expect(resolution.deadline == nil && resolution.isFinished && resolution.nextEvent() == nil)
                return result
            case nil:
                guard let deadline = resolution.deadline else { return nil }
                now = deadline
                resolution.expire(now: now)
            }
        }
        return nil
    }
}

@Suite struct DNSResolutionTests {
    @Test func `an address is asked for and lives as long as its shortest record`() {
        var script = Script()
        let result = script.run(.addresses("web.example")) { query, _, _ in
            query.response(answers: [.address(name("web.example"), IPAddress(1, 2, 3, 4), ttlSeconds: 60), .address(name("web.example"), IPAddress(1, 2, 3, 5), ttlSeconds: 20), .address(name("other.example"), IPAddress(6, 6, 6, 6), ttlSeconds: 1)])
        }
        #expect(result == .addresses([IPAddress(1, 2, 3, 4), IPAddress(1, 2, 3, 5)], ttl: .seconds(20)))
        #expect(script.log == ["web.example 1"])
    }

    @Test(arguments: [("10.1.2.3", IPAddress(10, 1, 2, 3)), ("::1", .v6(0, 1)), ("localhost", .loopback), ("LOCALHOST.", .loopback), ("a.localhost", .loopback)])
    func `literals and localhost need no server`(_ text: String, _ ip: IPAddress) {
        var script = Script()
        #expect(script.run(.addresses(text)) { _, _, _ in nil } == .addresses([ip], ttl: .days(1)))
        #expect(script.log.isEmpty)
    }

    @Test(arguments: [
        ("web", 5, ["web.ns.svc.cluster.local 1", "web.svc.cluster.local 1", "web 1"]),
        ("a.b", 1, ["a.b 1", "a.b.ns.svc.cluster.local 1", "a.b.svc.cluster.local 1"]),
        ("a.b.", 5, ["a.b 1"]),
    ])
    func `the search list is tried in the order of resolv.conf`(_ text: String, _ ndots: Int, _ expected: [String]) {
        var script = Script()
        script.configuration.searchDomains = ["ns.svc.cluster.local", "svc.cluster.local"]
        script.configuration.ndots = ndots
        #expect(script.run(.addresses(text)) { query, _, _ in query.response(.nameError, authorities: [soa]) } == .notFound(ttl: .seconds(7)))
        #expect(script.log == expected)
    }

    @Test func `a name without A records is asked for AAAA`() {
        var script = Script()
        let v6 = IPAddress("2001:db8::1")!
        let result = script.run(.addresses("web.example")) { query, _, _ in
            query.questions[0].type == .aaaa ? query.response(answers: [.address(name("web.example"), v6, ttlSeconds: 9)]) : query.response(authorities: [soa])
        }
        #expect(result == .addresses([v6], ttl: .seconds(9)))
        #expect(script.log == ["web.example 1", "web.example 28"])
    }

    @Test func `silence and failure lead to the next server, and two rounds of it to failure`() {
        var script = Script()
        script.configuration.servers = [server, second]
        let result = script.run(.addresses("web.example")) { query, to, _ in
            to == second ? query.response(answers: [.address(name("web.example"), IPAddress(1, 1, 1, 1), ttlSeconds: 1)]) : nil
        }
        #expect(result == .addresses([IPAddress(1, 1, 1, 1)], ttl: .seconds(1)))
        #expect(script.log == ["web.example 1", "web.example 1 second"])
        #expect(script.now == .zero + .seconds(5))

        script = Script()
        script.configuration.servers = [server, second]
        let failed = script.run(.addresses("web.example")) { query, to, _ in to == second ? nil : query.response(.serverFailure) }
        guard case .failed(let why) = failed else { return #expect(Bool(false), "\(String(describing: failed))") }
        #expect(why.contains("web.example") && why.contains("no answer"))
        #expect(script.log.count == 4 && script.now == .zero + .seconds(10))
    }

    @Test func `aliases are followed inside an answer and beyond it`() {
        var script = Script()
        let result = script.run(.addresses("a.example")) { query, _, _ in
            query.questions[0].name == name("a.example")
                ? query.response(answers: [.alias(name("a.example"), name("b.example"), ttlSeconds: 3), .alias(name("b.example"), name("c.example"), ttlSeconds: 50)])
                : query.response(answers: [.address(name("c.example"), IPAddress(1, 1, 1, 1), ttlSeconds: 60)])
        }
        #expect(result == .addresses([IPAddress(1, 1, 1, 1)], ttl: .seconds(3)))
        #expect(script.log == ["a.example 1", "c.example 1"])
    }

    @Test func `a circle of aliases ends in failure`() {
        var script = Script()
        script.configuration.limits.aliasesMax = 4
        let result = script.run(.addresses("a.example")) { query, _, _ in
            query.response(answers: [.alias(name("a.example"), name("b.example"), ttlSeconds: 3), .alias(name("b.example"), name("a.example"), ttlSeconds: 3)])
        }
        guard case .failed(let why) = result else { return #expect(Bool(false), "\(String(describing: result))") }
        #expect(why.contains("aliases"))
        #expect(script.log.count == 1)
    }

    @Test func `a truncated answer is asked for again on a stream, byte by byte`() {
        var script = Script()
        let all = (0..<200).map { DNSRecord.address(name("many.example"), .v4(UInt32($0)), ttlSeconds: 5) }
        let result = script.run(.addresses("many.example")) { query, _, _ in query.response(answers: all) }
        #expect(result == .addresses((0..<200).map { .v4(UInt32($0)) }, ttl: .seconds(5)))
        #expect(script.log == ["many.example 1", "stream"])

        script = Script()
        let refused = script.run(.addresses("many.example")) { query, _, onStream in onStream ? nil : query.response(answers: all) }
        guard case .failed = refused else { return #expect(Bool(false), "\(String(describing: refused))") }
        #expect(script.log == ["many.example 1", "stream", "many.example 1", "stream"])
    }

    @Test func `forged answers are waited out`() {
        let forgeries: [(inout DNSMessage) -> Void] = [{ $0.id ^= 1 }, { $0.questions[0].name = name("evil.example") }, { $0.isResponse = false }]
        for forge in forgeries {
            var script = Script()
            let result = script.run(.addresses("web.example")) { query, _, _ in
                var reply = query.response(answers: [.address(name("web.example"), IPAddress(6, 6, 6, 6), ttlSeconds: 1)])
                forge(&reply)
                return reply
            }
            guard case .failed(let why) = result else { return #expect(Bool(false), "\(String(describing: result))") }
            #expect(why.contains("no answer"))
        }
        var resolution = DNSResolution(.addresses("web.example"), configuration: DNSConfiguration(servers: [server]), random: Random(seed: 1), now: .zero)
        guard case .sendDatagram(let bytes, _) = resolution.nextEvent(), let query = try? DNSMessage(bytes) else { return #expect(Bool(false)) }
        let reply = query.response(answers: [.address(name("web.example"), IPAddress(1, 1, 1, 1), ttlSeconds: 1)]).encoded()
        resolution.receive(reply.span.bytes, from: second, now: .zero)
        #expect(resolution.nextEvent() == nil)
        resolution.receive(reply.span.bytes, from: server, now: .zero)
        #expect(resolution.nextEvent() == .finished(.addresses([IPAddress(1, 1, 1, 1)], ttl: .seconds(1))))
    }

    @Test func `bounds on time to live hold for both kinds of answer`() {
        var script = Script()
        script.configuration.ttlMin = .seconds(10)
        script.configuration.ttlMax = .seconds(40)
        for (ttl, expected) in [(1, 10), (20, 20), (3600, 40)] as [(UInt32, Int64)] {
            let result = script.run(.addresses("web.example")) { query, _, _ in query.response(answers: [.address(name("web.example"), .loopback, ttlSeconds: ttl)]) }
            #expect(result == .addresses([.loopback], ttl: .seconds(expected)))
        }
        #expect(script.run(.addresses("web.example")) { query, _, _ in query.response(.nameError, authorities: [soa]) } == .notFound(ttl: .seconds(10)))
    }

    @Test func `services come by priority, and their targets spell addresses`() {
        var script = Script()
        let service = name("linkerd-dst.linkerd.svc.cluster.local")
        let result = script.run(.services("linkerd-dst.linkerd.svc.cluster.local")) { query, _, _ in
            query.response(answers: [
                .service(service, port: 8086, target: name("10-1-2-3.linkerd-dst.linkerd.svc.cluster.local"), priority: 2, ttlSeconds: 30),
                .service(service, port: 8086, target: name("fd00--1.linkerd-dst.linkerd.svc.cluster.local"), priority: 1, ttlSeconds: 30),
            ])
        }
        guard case .services(let services, let ttl) = result else { return #expect(Bool(false), "\(String(describing: result))") }
        #expect(ttl == .seconds(30) && script.log == ["linkerd-dst.linkerd.svc.cluster.local 33"])
        #expect(DNSService.dashedAddresses(services) == [SocketAddress("[fd00::1]:8086")!, SocketAddress("10.1.2.3:8086")!])
        #expect(DNSService.dashedAddresses(services + [DNSService(priority: 0, weight: 0, port: 1, target: name("web-0.x"))]) == nil)
        #expect(script.run(.services("x.example")) { query, _, _ in query.response(answers: [.service(name("x.example"), port: 0, target: .root, ttlSeconds: 4)]) } == .notFound(ttl: .seconds(4)))
    }

    @Test func `what cannot be asked fails at once`() {
        var script = Script()
        script.configuration.servers = []
        #expect(script.run(.addresses("a.example")) { _, _, _ in nil } == .failed("no name server is configured"))
        script = Script()
        #expect(script.run(.addresses("a..b")) { _, _, _ in nil } == .failed("a..b is not a domain name"))
    }
}
