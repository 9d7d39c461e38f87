// Cluster DNS: what it says of services, and that hostile questions are answered by rule or not at all.

import Base
import DNS
import Nodes
import Testing

@testable import LocalCluster

@Suite struct ClusterNamesTests {
    private let names: ClusterNames

    init() {
        names = ClusterNames(zone: DNSName("cluster.local")!)
        names.publish([
            PublishedService(
                name: "api.demo.svc", addresses: [IPAddress(10, 96, 0, 7)], isHeadless: false, portNames: [("http", 80), ("", 9000)], ports: []),
            PublishedService(
                name: "dst.linkerd.svc", addresses: [IPAddress(10, 77, 0, 1), IPAddress("fd00::2")!], isHeadless: true, portNames: [("grpc", 8086)], ports: []),
            PublishedService(name: "no name.", addresses: [IPAddress(10, 0, 0, 1)], isHeadless: false, portNames: [], ports: []),
        ])
    }

    private func ask(_ name: String, _ type: DNSRecord.Kind, class: UInt16 = 1) throws -> DNSMessage {
        let query = DNSMessage.query(id: 77, .init(try #require(DNSName(name)), type, class: `class`), datagramBytesMax: 1232).encoded()
        let answer = try DNSMessage(try #require(reply(query, stream: false)))
        #expect(answer.id == 77 && answer.isResponse && answer.isAuthoritative)
        return answer
    }

    private func reply(_ bytes: [UInt8], stream: Bool) -> [UInt8]? { names.answer(bytes.span.bytes, overStream: stream) }

    private func addresses(_ message: DNSMessage) -> [String] { message.answers.compactMap { if case .address(let ip) = $0.data { "\(ip)" } else { nil } } }

    private func services(_ message: DNSMessage) -> [String] {
        message.answers.compactMap { if case .service(_, _, let port, let target) = $0.data { "\(target):\(port)" } else { nil } }
    }

    @Test func `a service has its address, in any case of letters`() throws {
        #expect(addresses(try ask("api.demo.svc.cluster.local", .a)) == ["10.96.0.7"])
        #expect(addresses(try ask("API.Demo.svc.CLUSTER.local.", .a)) == ["10.96.0.7"])
    }

    @Test func `a headless service has the addresses of its endpoints, and each a name of its own`() throws {
        #expect(addresses(try ask("dst.linkerd.svc.cluster.local", .a)) == ["10.77.0.1"])
        #expect(addresses(try ask("dst.linkerd.svc.cluster.local", .aaaa)) == ["fd00::2"])
        let found = try ask("dst.linkerd.svc.cluster.local", .srv)
        #expect(services(found) == ["10-77-0-1.dst.linkerd.svc.cluster.local:8086", "fd00--2.dst.linkerd.svc.cluster.local:8086"])
        #expect(found.additionals.filter { $0.type == .a || $0.type == .aaaa }.count == 2)
        #expect(addresses(try ask("10-77-0-1.dst.linkerd.svc.cluster.local", .a)) == ["10.77.0.1"])
        #expect(addresses(try ask("fd00--2.dst.linkerd.svc.cluster.local", .aaaa)) == ["fd00::2"])
    }

    @Test func `ports are found by name and together`() throws {
        #expect(services(try ask("_http._tcp.api.demo.svc.cluster.local", .srv)) == ["api.demo.svc.cluster.local:80"])
        #expect(services(try ask("api.demo.svc.cluster.local", .srv)) == ["api.demo.svc.cluster.local:80", "api.demo.svc.cluster.local:9000"])
        #expect(try ask("_grpc._tcp.api.demo.svc.cluster.local", .srv).responseCode == .nameError)
    }

    @Test func `what exists without such records, what does not exist, and what is not ours are three answers`() throws {
        for name in ["api.demo.svc.cluster.local", "demo.svc.cluster.local", "_tcp.api.demo.svc.cluster.local", "cluster.local"] {
            let message = try ask(name, .aaaa)
            #expect(message.responseCode == .noError && message.answers.isEmpty && message.authorities.first?.type == .soa, "\(name)")
        }
        let unknown = try ask("apis.demo.svc.cluster.local", .a)
        #expect(unknown.responseCode == .nameError && unknown.authorities.first?.type == .soa)
        #expect(try ask("example.com", .a).responseCode == .refused)
        #expect(try ask("local", .a).responseCode == .refused)
        #expect(try ask("api.demo.svc.cluster.local", .a, class: 3).responseCode == .refused)
    }

    @Test func `a new table replaces the old one`() throws {
        names.publish([])
        #expect(try ask("api.demo.svc.cluster.local", .a).responseCode == .nameError)
        #expect(try ask("cluster.local", .a).responseCode == .noError)
    }

    @Test func `an answer too long for a datagram says so, and comes whole by stream`() throws {
        let many = (0..<100).map { IPAddress(10, 1, 0, UInt8($0)) }
        names.publish([PublishedService(name: "many.demo.svc", addresses: many, isHeadless: true, portNames: [], ports: [])])
        let query = DNSMessage.query(id: 1, .init(DNSName("many.demo.svc.cluster.local")!, .a), datagramBytesMax: 512).encoded()
        let short = try #require(reply(query, stream: false))
        #expect(short.count <= 512)
        #expect(try DNSMessage(short).isTruncated)
        let long = try #require(reply(query, stream: true))
        #expect(try DNSMessage(Array(long.dropFirst(2))).answers.count == 100)
    }

    @Test func `a question cut short is a format error or nothing`() throws {
        let query = DNSMessage.query(id: 0x1234, .init(DNSName("api.demo.svc.cluster.local")!, .a), datagramBytesMax: 1232).encoded()
        for length in 0..<query.count {
            guard let bytes = reply(Array(query[..<length]), stream: false) else {
                #expect(length < 12)
                continue
            }
            let answer = try DNSMessage(bytes)
            #expect(answer.responseCode == .formatError && answer.id == 0x1234, "\(length)")
        }
    }

    @Test func `an answer is never answered, and odd questions are refused by their rule`() throws {
        var message = DNSMessage.query(id: 5, .init(DNSName("api.demo.svc.cluster.local")!, .a), datagramBytesMax: 1232)
        message.isResponse = true
        #expect(reply(message.encoded(), stream: false) == nil)
        message.isResponse = false
        message.opcode = 5
        #expect(try DNSMessage(try #require(reply(message.encoded(), stream: false))).responseCode == .notImplemented)
        message.opcode = 0
        message.questions += message.questions
        #expect(try DNSMessage(try #require(reply(message.encoded(), stream: false))).responseCode == .formatError)
        message.questions = []
        #expect(try DNSMessage(try #require(reply(message.encoded(), stream: false))).responseCode == .formatError)
    }

    @Test func `bytes of chance are answered by rule or not at all`() throws {
        var random = Random(seed: 11)
        let query = DNSMessage.query(id: 9, .init(DNSName("_http._tcp.api.demo.svc.cluster.local")!, .srv), datagramBytesMax: 1232).encoded()
        var answered = 0
        for _ in 0..<20_000 {
            var bytes = query
            for _ in 0...random.below(4) { bytes[random.below(bytes.count)] = UInt8(random.below(256)) }
            guard let answer = reply(bytes, stream: false) else { continue }
            answered += 1
            #expect(try DNSMessage(answer).isResponse)
        }
        #expect(answered > 10_000)
    }
}
