// Sessions face to face: handshakes whole and in every cut, what makes them fail and how that is said, data, half-close.

import Base
import Testing

@testable import TLS

@Suite struct `A TLS session` {
    @Test(arguments: [0, 1, 2, 3, 5, 7, 16, 100, 1000])
    func `proves both identities however the bytes are cut`(piece: Int) throws {
        try seeded {
            let realm = try Realm()
            let pair = Pair(try realm.client(), try realm.server(), piece: piece)
            pair.drive()
            #expect(pair.client.established?.identity == web)
            #expect(pair.server.established?.identity == cart)
            #expect(pair.server.established?.serverName == web)
            #expect(pair.client.established?.alpn == nil)
            try pair.client.send("ping")
            try pair.server.send("pong")
            pair.drive()
            #expect(pair.server.text == "ping")
            #expect(pair.client.text == "pong")
            #expect(pair.client.failure == nil && pair.server.failure == nil)
        }
    }

    @Test func `sends what waited for the handshake, then close_notify`() throws {
        try seeded {
            let realm = try Realm()
            let pair = Pair(try realm.client(), try realm.server())
            try pair.client.send("early")
            pair.client.session.finish()
            #expect(throws: Refusal.self) { try pair.client.send("late") }
            pair.drive()
            #expect(pair.server.text == "early")
            #expect(pair.server.closed)
        }
    }

    @Test func `still receives after close_notify in the other direction`() throws {
        try seeded {
            let realm = try Realm()
            let pair = Pair(try realm.client(), try realm.server())
            pair.drive()
            pair.client.session.finish()
            pair.drive()
            #expect(pair.server.closed && !pair.client.closed)
            try pair.server.send("answer after your end")
            pair.server.session.finish()
            pair.drive()
            #expect(pair.client.text == "answer after your end")
            #expect(pair.client.closed)
            #expect(pair.client.failure == nil && pair.server.failure == nil)
            pair.client.session.receiveEnd()
            pair.client.pull()
            #expect(pair.client.failure == nil)
        }
    }

    @Test func `calls an end without close_notify a truncation`() throws {
        try seeded {
            let realm = try Realm()
            let pair = Pair(try realm.client(), try realm.server())
            pair.drive()
            try pair.client.send("half a")
            let bytes = pair.client.drain()
            pair.server.session.receive(bytes.span.bytes)
            pair.server.session.receiveEnd()
            pair.server.pull()
            #expect(pair.server.text == "half a")
            #expect(pair.server.failure?.code == TLSAlert.truncated)
        }
    }

    @Test(arguments: [0, 1460, 65536])
    func `carries a mebibyte each way`(piece: Int) throws {
        try seeded {
            let realm = try Realm()
            let pair = Pair(try realm.client(), try realm.server(), piece: piece)
            pair.drive()
            var random = Random(seed: 9)
            var up = [UInt8](repeating: 0, count: 1 << 20)
            var down = up
            up.withUnsafeMutableBytes { random.fill($0) }
            down.withUnsafeMutableBytes { random.fill($0) }
            // In halves: a whole mebibyte with its record overhead is over the input bound.
            for half in [0..<(1 << 19), (1 << 19)..<(1 << 20)] {
                try pair.client.send(Array(up[half]))
                try pair.server.send(Array(down[half]))
                pair.drive()
            }
            #expect(pair.server.data == up)
            #expect(pair.client.data == down)
            #expect(pair.client.session.outputBytes == 0)
        }
    }

    @Test func `fails rather than hoard ciphertext nobody pulls`() throws {
        try seeded {
            let realm = try Realm()
            let side = Side(TLSSession(server: try realm.server(), now: noon))
            let chunk = [UInt8](repeating: 22, count: 1 << 16)
            for _ in 0..<17 { side.session.receive(chunk.span.bytes) }
            side.pull()
            #expect(side.failure?.code == TLSAlert.internalError)
        }
    }

    @Test func `refuses to queue more output than its bound, taking nothing`() throws {
        try seeded {
            let realm = try Realm()
            let side = Side(TLSSession(client: try realm.client(), now: noon))
            try side.send([UInt8](repeating: 0, count: TLSLimits.outputBytesMax))
            let before = side.session.outputBytes
            #expect(throws: Refusal.self) { try side.send("x") }
            #expect(side.session.outputBytes == before)
        }
    }

    // MARK: Who is trusted

    @Test func `serves a client without a certificate, who then has no identity`() throws {
        try seeded {
            let realm = try Realm()
            let pair = Pair(try realm.client(nil), try realm.server())
            pair.drive()
            #expect(pair.server.established?.identities == [])
            #expect(pair.client.established?.identity == web)
        }
    }

    struct Doubt: CustomTestStringConvertible, Sendable {
        var testDescription: String
        /// Days from noon at which the doubtful certificate is valid.
        var from: Int64 = 0
        var until: Int64 = 1
        var isForeign = false
        var identity: String? = nil
        var code: UInt32
        var words: String
    }

    static let doubts = [
        Doubt(testDescription: "unknown root", isForeign: true, code: TLSAlert.unknownAuthority, words: "certificate signed by unknown authority: "),
        Doubt(testDescription: "expired", from: -3, until: -2, code: TLSAlert.certificateExpired, words: "certificate expired at 2026-05-30T12:00:00Z: "),
        Doubt(testDescription: "not yet valid", from: 2, until: 3, code: TLSAlert.badCertificate, words: "certificate not valid before 2026-06-03T12:00:00Z: "),
    ]

    @Test(arguments: doubts + [Doubt(testDescription: "wrong identity", identity: cart, code: TLSAlert.badCertificate, words: "certificate is for \(cart), expected \(web)")])
    func `as a client refuses a server's certificate in plain words`(doubt: Doubt) throws {
        try seeded {
            let realm = try Realm()
            let other = doubt.isForeign ? try Realm() : realm
            let credentials = try other.credentials(doubt.identity ?? web, validity: noon + .days(doubt.from)...noon + .days(doubt.until))
            let pair = Pair(try realm.client(), TLSServerConfiguration(credentials: credentials, anchors: realm.anchors))
            pair.drive()
            #expect(pair.client.failure?.code == doubt.code)
            #expect(pair.client.failure?.rule.hasPrefix(doubt.words) == true, "\(pair.client.failure?.rule ?? "no failure")")
            #expect(pair.client.established == nil)
            #expect(pair.server.established == nil)
            // The other side hears the same alert.
            #expect(pair.server.failure?.code == doubt.code)
            #expect(pair.server.failure?.rule.hasPrefix("the peer refused the session: ") == true)
        }
    }

    @Test(arguments: doubts)
    func `as a server refuses a client's certificate in plain words`(doubt: Doubt) throws {
        try seeded {
            let realm = try Realm()
            let other = doubt.isForeign ? try Realm() : realm
            let credentials = try other.credentials(cart, validity: noon + .days(doubt.from)...noon + .days(doubt.until))
            let client = TLSClientConfiguration(credentials: credentials, anchors: realm.anchors, serverName: web, expectedPeer: [web])
            let pair = Pair(client, try realm.server())
            pair.drive()
            #expect(pair.server.failure?.code == doubt.code)
            #expect(pair.server.failure?.rule.hasPrefix(doubt.words) == true, "\(pair.server.failure?.rule ?? "no failure")")
            #expect(pair.server.established == nil)
            #expect(pair.client.failure?.code == doubt.code)
        }
    }

    @Test func `judges validity by the wall time it is given`() throws {
        try seeded {
            for year: Int64 in [1975, 2020, 2049, 2060] {
                let time = WallTime(year: year, month: 2, day: 28)!
                let root = try CertificateAuthority.selfSignedRoot(name: "root", validity: span(of: time))
                let anchors = TrustAnchors([root.certificate])
                let server = TLSServerConfiguration(credentials: try root.issueCredentials(identity: web, validity: span(of: time)), anchors: anchors)
                let client = TLSClientConfiguration(anchors: anchors, serverName: web, expectedPeer: [web])
                let pair = Pair(client, server, at: time)
                pair.drive()
                #expect(pair.client.established?.identity == web, "\(year)")
                let late = Pair(client, server, at: time + .days(2))
                late.drive()
                #expect(late.client.failure?.code == TLSAlert.certificateExpired, "\(year)")
            }
        }
    }

    @Test func `accepts no server when no name is expected`() throws {
        try seeded {
            let realm = try Realm()
            let pair = Pair(TLSClientConfiguration(anchors: realm.anchors, serverName: web), try realm.server())
            pair.drive()
            #expect(pair.client.failure?.rule.contains("expected none") == true)
        }
    }

    @Test func `accepts a SPIFFE identity by its URI, whatever the server name`() throws {
        try seeded {
            let realm = try Realm()
            let id = "spiffe://root.linkerd.cluster.local/vm/db"
            let client = TLSClientConfiguration(anchors: realm.anchors, serverName: "db.vm", expectedPeer: [id])
            let pair = Pair(client, try realm.server(id))
            pair.drive()
            #expect(pair.client.established?.identity == id)
            #expect(pair.server.established?.serverName == "db.vm")
            let wrongCase = Pair(TLSClientConfiguration(anchors: realm.anchors, expectedPeer: [id.uppercased()]), try realm.server(id))
            wrongCase.drive()
            #expect(wrongCase.client.failure != nil)
        }
    }

    @Test func `one configuration serves many servers`() throws {
        try seeded {
            let realm = try Realm()
            let client = try realm.client()
            for name in ["a.ns", "b.ns", "c.ns"] {
                let pair = Pair(client.toward(name), try realm.server(name))
                pair.drive()
                #expect(pair.client.established?.identity == name)
            }
        }
    }

    // MARK: ALPN

    @Test func `agrees on the server's first choice`() throws {
        try seeded {
            let realm = try Realm()
            let pair = Pair(try realm.client(alpn: [Array("http/1.1"), Array("h2")]), try realm.server(alpn: [Array("transport.l5d.io/v1"), Array("h2"), Array("http/1.1")]))
            pair.drive()
            #expect(pair.client.established?.alpn == Array("h2"))
            #expect(pair.server.established?.alpn == Array("h2"))
        }
    }

    @Test func `refuses a client that offers only other protocols`() throws {
        try seeded {
            let realm = try Realm()
            let pair = Pair(try realm.client(alpn: [Array("spdy")]), try realm.server(alpn: [Array("h2")]))
            pair.drive()
            #expect(pair.server.failure?.code == TLSAlert.noApplicationProtocol)
            #expect(pair.client.failure?.code == TLSAlert.noApplicationProtocol)
        }
    }

    @Test func `ignores ALPN when the server has none, and serves a client that offers none`() throws {
        try seeded {
            let realm = try Realm()
            for (offered, accepted) in [([Array("h2")], []), ([], [Array("h2")])] as [([[UInt8]], [[UInt8]])] {
                let pair = Pair(try realm.client(alpn: offered), try realm.server(alpn: accepted))
                pair.drive()
                #expect(pair.client.established != nil && pair.client.established?.alpn == nil)
            }
        }
    }

    // MARK: Hostile bytes

    @Test func `answers garbage with a failure and an alert`() throws {
        try seeded {
            let realm = try Realm()
            for garbage in ["GET / HTTP/1.1\r\n\r\n", "\u{16}\u{3}\u{1}\u{0}\u{5}hello, this is no hello", String(repeating: "\0", count: 64)] {
                let side = Side(TLSSession(server: try realm.server(), now: noon))
                side.session.receive(Array(garbage.utf8).span.bytes)
                side.pull()
                #expect(side.failure != nil, "\(garbage.debugDescription)")
                #expect(side.session.nextEvent() == nil)
                #expect(throws: Refusal.self) { try side.send("x") }
            }
        }
    }

    @Test(arguments: ["fuzz/go-tls-records.jsonl", "fuzz/go-tlsclient.jsonl"])
    func `survives the fuzzers' records whole and byte by byte, to the same end`(path: String) throws {
        try seeded {
            let realm = try Realm()
            let server = try realm.server()
            let client = try realm.client()
            for sample in try Fixtures.corpus(path) {
                for make in [{ TLSSession(server: server, now: noon) }, { TLSSession(client: client, now: noon) }] {
                    let whole = Side(make())
                    whole.session.receive(sample.bytes.span.bytes)
                    whole.pull()
                    let split = Side(make())
                    for byte in sample.bytes {
                        split.session.receive([byte].span.bytes)
                        split.pull()
                    }
                    #expect(whole.failure == split.failure, "\(sample.name)")
                    #expect(whole.established == nil)
                }
            }
        }
    }

    @Test func `fails on any flipped bit after the handshake`() throws {
        try seeded {
            let realm = try Realm()
            let client = try realm.client()
            let server = try realm.server()
            for bit in stride(from: 0, to: 8 * 32, by: 11) {
                let pair = Pair(client, server)
                pair.drive()
                try pair.client.send("0123456789")
                var bytes = pair.client.drain()
                bytes[bit / 8] ^= 1 << UInt8(bit % 8)
                pair.server.session.receive(bytes.span.bytes)
                // A length made longer waits for bytes that do not come.
                pair.server.session.receiveEnd()
                pair.server.pull()
                #expect(pair.server.data.isEmpty, "bit \(bit)")
                #expect(pair.server.failure != nil, "bit \(bit)")
            }
        }
    }

    @Test func `has no randomness of its own: an unbound draw fails the handshake`() throws {
        let realm = try seeded { try Realm() }
        let (client, server) = try seeded { (try realm.client(), try realm.server()) }
        let pair = Pair(client, server)
        pair.drive()
        #expect(pair.client.failure != nil)
        #expect(pair.client.established == nil)
    }
}
