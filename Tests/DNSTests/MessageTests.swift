// The codec: vectors from RFC 1035, round trips, hostile names and lengths.

import Base
import DNS
import Testing

@Suite struct DNSMessageTests {
    @Test func `an answer with compressed names is read`() throws {
        // Header, question www.example.com A, answer CNAME web.example.com by pointer, answer A.
        var bytes: [UInt8] = [0x12, 0x34, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0]
        bytes += Array("\u{3}WWW\u{7}example\u{3}com".utf8) + [0, 0, 1, 0, 1] as [UInt8]
        bytes += [0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 6, 3, 0x77, 0x65, 0x62, 0xc0, 16] as [UInt8]
        bytes += [0xc0, 45, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 192, 0, 2, 1] as [UInt8]
        let message = try DNSMessage(bytes)
        #expect(message.id == 0x1234 && message.isResponse && message.recursionDesired && message.recursionAvailable && !message.isTruncated)
        #expect(message.questions == [.init(DNSName("www.example.com")!, .a)])
        #expect(message.answers == [
            .alias(DNSName("www.example.com")!, DNSName("web.example.com")!, ttlSeconds: 60),
            .address(DNSName("web.example.com")!, IPAddress(192, 0, 2, 1), ttlSeconds: 30),
        ])
        // Written again: the same but for the case of the question.
        #expect(message.encoded() == bytes.map { $0 == UInt8(ascii: "W") ? UInt8(ascii: "w") : $0 })
        for length in 0..<bytes.count { #expect(throws: PeerError.self) { try DNSMessage(Array(bytes[..<length])) } }
    }

    @Test func `every kind of record survives a round trip`() throws {
        let name = DNSName("linkerd-dst.linkerd.svc.cluster.local")!
        var message = DNSMessage.query(id: 7, .init(name, .srv), datagramBytesMax: 1232).response()
        message.answers = [
            .service(name, port: 8086, target: DNSName("10-1-2-3.linkerd-dst.linkerd.svc.cluster.local")!, ttlSeconds: 5),
            .address(name, IPAddress("2001:db8::ff:1")!, ttlSeconds: 0),
            DNSRecord(name: name, type: .txt, ttlSeconds: 1, data: .other([3, 1, 2, 3])),
        ]
        message.authorities = [
            DNSRecord(name: DNSName("cluster.local")!, type: .soa, ttlSeconds: 30, data: .authority(primary: DNSName("ns.dns.cluster.local")!, mailbox: DNSName("hostmaster.cluster.local")!, serial: 1, refreshSeconds: 2, retrySeconds: 3, expireSeconds: 4, minimumSeconds: 5)),
            DNSRecord(name: DNSName("cluster.local")!, type: .ns, ttlSeconds: 30, data: .name(DNSName("ns.dns.cluster.local")!)),
        ]
        #expect(try DNSMessage(message.encoded()) == message)
    }

    @Test func `an SRV target is never compressed`() {
        let name = DNSName("a.example")!
        var message = DNSMessage(id: 0)
        message.answers = [.service(name, port: 1, target: name, ttlSeconds: 0)]
        let spelt: [UInt8] = [1, 0x61, 7, 0x65, 0x78, 0x61, 0x6d, 0x70, 0x6c, 0x65, 0]
        #expect(Array(message.encoded().suffix(11)) == spelt)
    }

    @Test func `what a datagram does not hold is cut off with TC`() throws {
        let name = DNSName("many.example")!
        var message = DNSMessage.query(id: 1, .init(name, .a), datagramBytesMax: 1232).response(answers: (0..<100).map { .address(name, .v4($0), ttlSeconds: 1) })
        message.additionals = [DNSRecord(name: .root, type: .opt, class: 1232, ttlSeconds: 0, data: .other([]))]
        let bytes = message.encoded(bytesMax: 512)
        #expect(bytes.count <= 512 && bytes.count > 480)
        let read = try DNSMessage(bytes)
        #expect(read.isTruncated && read.answers == Array(message.answers.prefix(read.answers.count)) && read.datagramBytesMax == 1232)
        #expect(try !DNSMessage(message.encoded()).isTruncated)
    }

    @Test(arguments: [
        ([0xc0, 12], "backwards"), ([1, 0x61, 0xc0, 12], "backwards"), ([0xc0, 14], "backwards"), ([0xc0], "early"), ([0x40, 0], "reserved"), ([0x80, 0], "reserved"), ([63], "early"), ([], "early"), ([1, 0x61, 0], "early"),
    ] as [([UInt8], String)])
    func `a hostile name is refused by its rule`(_ name: [UInt8], _ words: String) {
        let bytes: [UInt8] = [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0] + name
        do {
            _ = try DNSMessage(bytes)
            Issue.record("accepted")
        } catch { #expect(error.rule.contains(words), "\(error.rule)") }
    }

    @Test func `a name built of pointers may not pass 255 bytes`() {
        var bytes: [UInt8] = [0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0]
        var last = 0
        for i in 0..<6 {
            let here = bytes.count
            bytes += [60] + Array(repeating: 0x61, count: 60) + (i == 0 ? [0] : [0xc0 | UInt8(last >> 8), UInt8(last & 255)]) + [0, 1, 0, 1]
            last = here
        }
        #expect(throws: PeerError(.connection, code: 1, rule: "a DNS name is longer than 255 bytes")) { try DNSMessage(bytes) }
    }

    @Test func `claimed counts and lengths are not believed`() {
        let header: [UInt8] = [0, 0, 0x80, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0]
        #expect(throws: PeerError.self) { try DNSMessage(header) }
        let one: [UInt8] = [0, 0, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]
        for tail in [[0, 1, 0, 1, 0, 0, 0, 0, 0, 3, 1, 2, 3], [0, 28, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4], [0, 33, 0, 1, 0, 0, 0, 0, 0, 2, 0, 0], [0, 5, 0, 1, 0, 0, 0, 0, 0, 3, 0, 0, 0], [0, 16, 0, 1, 0, 0, 0, 0, 255, 255]] as [[UInt8]] {
            #expect(throws: PeerError.self) { try DNSMessage(one + tail) }
        }
    }
}

@Suite struct DNSNameTests {
    @Test(arguments: [("a.b.", "a.b"), ("A.B", "a.b"), (".", "."), ("a\\.b.c", "a\\.b.c"), ("\\000x", "\\000x"), ("*.a", "*.a")])
    func `a name is read and printed`(_ text: String, _ printed: String) { #expect(DNSName(text)?.description == printed) }

    @Test(arguments: ["", "..", ".a", "a..b", "a..", "\\999", "a\\", String(repeating: "a", count: 64), Array(repeating: String(repeating: "a", count: 63), count: 4).joined(separator: ".")])
    func `no name is refused wrongly or taken wrongly`(_ text: String) { #expect(DNSName(text) == nil) }
}
