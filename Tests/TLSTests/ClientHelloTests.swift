// The look at a connection's first bytes: every prefix, every cut into records, every broken length.

import Base
import Testing

@testable import TLS

@Suite struct `A ClientHello` {
    func sniff(_ bytes: [UInt8]) -> ClientHello.Sniffed { ClientHello.sniff(bytes.span.bytes) }

    /// A hello of our own making with everything optional.
    func hello(extensions: [(UInt16, [UInt8])]? = [], session: Int = 32) -> [UInt8] {
        var body: [UInt8] = [3, 3] + [UInt8](repeating: 7, count: 32) + [UInt8(session)] + [UInt8](repeating: 8, count: session) + [0, 2, 0x13, 1, 1, 0]
        if let extensions {
            let list = extensions.flatMap { [UInt8($0.0 >> 8), UInt8($0.0 & 255)] + prefixed($0.1) }
            body += prefixed(list)
        }
        return [1, 0] + prefixed(body)
    }

    func prefixed(_ bytes: [UInt8]) -> [UInt8] { [UInt8(bytes.count >> 8), UInt8(bytes.count & 255)] + bytes }
    func records(_ message: [UInt8], of size: Int) -> [UInt8] {
        stride(from: 0, to: message.count, by: size).flatMap { [22, 3, 1] + prefixed(Array(message[$0..<min(message.count, $0 + size)])) }
    }
    func name(_ text: String) -> (UInt16, [UInt8]) { (0, prefixed([0] + prefixed(Array(text.utf8)))) }
    func alpn(_ names: [String]) -> (UInt16, [UInt8]) { (16, prefixed(names.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) })) }

    @Test(arguments: ["curl-example-com-client-hello.bin": ["h2", "http/1.1"], "example-com-client-hello.bin": []] as [String: [String]])
    func `from a real client is incomplete until its last byte`(file: String, protocols: [String]) throws {
        let bytes = try Fixtures.bytes("client-hello/" + file)
        let expected = ClientHello.Sniffed.hello(serverName: "example.com", alpn: protocols)
        #expect(sniff(bytes) == expected)
        #expect(sniff(bytes + Array("what follows")) == expected)
        for count in 0..<bytes.count { #expect(sniff(Array(bytes.prefix(count))) == .incomplete, "\(count) bytes") }
    }

    @Test func `of our own client is understood`() throws {
        try seeded {
            let side = Side(TLSSession(client: try Realm().client(alpn: [Array("transport.l5d.io/v1")]), now: noon))
            #expect(sniff(side.drain()) == .hello(serverName: web, alpn: ["transport.l5d.io/v1"]))
        }
    }

    @Test func `may be cut into records of any size`() {
        let message = hello(extensions: [(10, [0, 2, 0, 29]), name("web.shop"), alpn(["h2", "x"])])
        for size in [1, 2, 3, 4, 5, 7, 40, 64, message.count] {
            let bytes = records(message, of: size)
            #expect(sniff(bytes) == .hello(serverName: "web.shop", alpn: ["h2", "x"]), "records of \(size)")
            for count in 0..<bytes.count { #expect(sniff(Array(bytes.prefix(count))) == .incomplete, "records of \(size), \(count) bytes") }
        }
    }

    @Test func `may have no extensions, name or protocols`() {
        #expect(sniff(records(hello(extensions: nil), of: 999)) == .hello(serverName: nil, alpn: []))
        #expect(sniff(records(hello(session: 0), of: 999)) == .hello(serverName: nil, alpn: []))
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "SSH-2.0-x\r\n", "\u{15}\u{3}\u{1}\0\u{2}\u{2}\u{28}", "\u{16}\u{2}", "\u{16}\u{3}\u{1}\0\0", "\u{16}\u{3}\u{1}\0\u{4}\u{2}\0\0\0",
    ])
    func `is none when the first bytes cannot begin one`(text: String) {
        #expect(sniff(Array(text.utf8)) == .notTLS)
    }

    @Test func `is none as soon as a byte shows it`() {
        #expect(sniff([]) == .incomplete)
        #expect(sniff([0x47]) == .notTLS)
        #expect(sniff([22, 9]) == .notTLS)
        #expect(sniff([22, 3, 1, 0xff, 0xff]) == .notTLS, "a record has at most 2^14 bytes")
        #expect(sniff([22, 3, 1, 0, 9, 1, 1, 0, 0]) == .notTLS, "a message of 65536 bytes is over the bound")
    }

    @Test func `is none when it is broken inside`() {
        let broken: [[UInt8]] = [
            hello(session: 33), hello(extensions: [name("a"), name("b")]), hello(extensions: [name("")]), hello(extensions: [name("a b")]),
            hello(extensions: [(0, [])]), hello(extensions: [(0, prefixed([1, 0, 1, 65]))]), hello(extensions: [(16, prefixed([0]))]), hello(extensions: [(16, prefixed([5, 65]))]),
            hello(extensions: [alpn(["h2"]), alpn(["h2"])]), hello(extensions: [(0, [0, 9, 0, 0, 1, 65])]), [1, 0] + prefixed(Array(hello().dropFirst(4)) + [0]),
        ]
        for message in broken { #expect(sniff(records(message, of: 9999)) == .notTLS, "\(message)") }
    }

    @Test func `is none when it is longer than we look`() {
        let message = hello(extensions: [name("a"), (21, [UInt8](repeating: 0, count: 8100))])
        let bytes = records(message, of: 9000)
        #expect(bytes.count > TLSLimits.clientHelloBytesMax)
        #expect(sniff(Array(bytes.prefix(TLSLimits.clientHelloBytesMax - 1))) == .incomplete)
        #expect(sniff(bytes) == .notTLS)
        let fits = records(hello(extensions: [name("a"), (21, [UInt8](repeating: 0, count: 8000))]), of: 9000)
        #expect(sniff(fits) == .hello(serverName: "a", alpn: []))
    }

    @Test func `of the fuzzers gets one answer, never two`() throws {
        var hellos = 0
        for sample in try Fixtures.corpus("fuzz/go-tls-records.jsonl") + Fixtures.corpus("fuzz/go-tlsclient.jsonl") {
            let final = sniff(sample.bytes)
            if case .hello = final { hellos += 1 }
            var decided = false
            for count in 0...sample.bytes.count {
                let answer = sniff(Array(sample.bytes.prefix(count)))
                if decided { #expect(answer == final, "\(sample.name) at \(count)") }
                if answer != .incomplete { decided = true }
            }
        }
        #expect(hellos > 0)
    }
}
