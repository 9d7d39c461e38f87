// Our TLS against `openssl s_client` and `s_server` over loopback sockets: versions, certificates, names, protocols, groups, key updates,
// and how connections end.

import Base
import Linux
import Platform
import TLS
import Testing

@testable import Transport

/// What one side of a TLS stream was told.
private final class Side: ConnectionHandler {
    var stream: TLSStream?
    var isConnected = false
    var bytes: [UInt8] = []
    /// Of these, how many went back.
    var echoed = 0
    var isFinished = false
    var isClosed = false
    var failure: HostFailure?
    /// Called with each piece.
    var onReceived: ((Side) -> Void)?
    var onFinished: ((Side) -> Void)?
    var text: String { String(decoding: bytes, as: UTF8.self) }
    var peer: TLSPeer? { stream?.peer }
    /// The alert, sent or received, that ended it.
    var alert: UInt32? { stream?.failure?.code }

    func connected(_ connection: any Connection) { isConnected = true }
    func received(_ span: RawSpan, on connection: any Connection) {
        bytes += span.array()
        onReceived?(self)
    }
    func finished(_ connection: any Connection) {
        isFinished = true
        onFinished?(self)
    }
    func closed(_ connection: any Connection, _ failure: HostFailure?) {
        isClosed = true
        self.failure = failure
    }
}

private final class Acceptor: AcceptHandler {
    let host: any Host
    let configuration: TLSServerConfiguration
    var sides: [Side] = []
    let prepare: (Side) -> Void

    init(_ host: any Host, _ configuration: TLSServerConfiguration, _ prepare: @escaping (Side) -> Void) {
        self.host = host
        self.configuration = configuration
        self.prepare = prepare
    }

    func accepted(_ connection: any Connection) {
        let side = Side()
        side.stream = TLSStream(serving: connection, configuration: configuration, host: host)
        side.stream?.handler = side
        prepare(side)
        sides.append(side)
    }
}

@Suite struct TLSPeerTests {
    // MARK: Our server, openssl s_client

    /// A server that echoes; `ends`: it closes when a line ends so.
    private func serve(_ loop: Loop, _ configuration: TLSServerConfiguration, ends: String? = nil) throws -> (acceptor: Acceptor, address: SocketAddress) {
        let acceptor = Acceptor(loop.host, configuration) { side in
            side.onReceived = { side in
                let bytes = side.bytes
                side.stream?.send(Array(bytes[side.echoed...]).span.bytes)
                side.echoed = bytes.count
                if let ends, side.text.hasSuffix(ends) { side.stream?.finish() }
            }
        }
        let listener = try loop.host.network.listen(on: SocketAddress(.loopback, 0), options: ListenOptions(), handler: acceptor)
        return (acceptor, listener.address)
    }

    private func client(_ loop: Loop, _ address: SocketAddress, _ flags: [String], says text: String = "hello\n", endsInput: Bool = true) throws -> Loop.Running {
        // `-ign_eof` takes letters that command it (`K`) for text.
        let running = try loop.start("openssl", ["s_client", "-connect", "\(address)"] + (endsInput ? ["-ign_eof"] : []) + flags)
        running.say(text)
        if endsInput { running.endInput() }
        return running
    }

    @Test func `s_client proves both identities, its SNI and ALPN, and hears close_notify`() throws {
        try Loop.run { loop in
            let authority = try Authority(now: loop.host.wall)
            let files = try authority.files(loop, "cart", try authority.credentials(Authority.client))
            let (acceptor, address) = try serve(loop, try authority.serverConfiguration(alpn: ["h2", "http/1.1"]), ends: "hello\n")
            let said = loop.finish(
                try client(loop, address, [
                    "-brief", "-servername", Authority.server, "-verify_hostname", Authority.server, "-verify_return_error", "-alpn", "http/1.1,h2", "-CAfile", files.root, "-cert", files.leaf, "-key",
                    files.key, "-cert_chain", files.chain,
                ]))
            #expect(said.status == 0 && said.text.contains("Protocol version: TLSv1.3") && said.text.contains("Verification: OK") && said.text.contains("hello"), "\(said.text)")
            let side = try #require(acceptor.sides.first)
            #expect(side.peer?.identity == Authority.client && side.peer?.serverName == Authority.server && side.peer?.alpn == Array("h2".utf8))
            loop.drive("its close_notify comes back") { side.isFinished || side.isClosed }
            #expect(side.isFinished && side.failure == nil)
        }
    }

    @Test func `s_client without a certificate has no identity`() throws {
        try Loop.run { loop in
            let authority = try Authority(now: loop.host.wall)
            let (acceptor, address) = try serve(loop, try authority.serverConfiguration(), ends: "\n")
            #expect(loop.finish(try client(loop, address, ["-brief", "-servername", Authority.server])).text.contains("hello"))
            #expect(acceptor.sides.first?.peer?.identities == [])
        }
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var flags: [String]
        /// Alert number (RFC 8446 section 6), and how OpenSSL says it.
        var alert: UInt32
        var words: String
    }

    @Test(arguments: [
        Refusal(testDescription: "TLS 1.2", flags: ["-tls1_2"], alert: 70, words: "alert protocol version"),
        Refusal(testDescription: "no group in common", flags: ["-groups", "P-521"], alert: 40, words: "alert handshake failure"),
        Refusal(testDescription: "no suite in common", flags: ["-ciphersuites", "TLS_AES_128_CCM_SHA256"], alert: 40, words: "alert handshake failure"),
        Refusal(testDescription: "no protocol in common", flags: ["-alpn", "spdy/1"], alert: 120, words: "alert no application protocol"),
    ]) func `s_client is refused with the right alert`(_ refusal: Refusal) throws {
        try Loop.run { loop in
            let authority = try Authority(now: loop.host.wall)
            let (acceptor, address) = try serve(loop, try authority.serverConfiguration(alpn: ["h2"]))
            let said = loop.finish(try client(loop, address, refusal.flags))
            #expect(said.status != 0 && said.text.contains(refusal.words), "\(said.text)")
            let side = try #require(acceptor.sides.first)
            loop.drive("we hear of it") { side.isClosed }
            #expect(side.alert == refusal.alert && !side.isConnected, "\(side.alert ?? 0)")
        }
    }

    @Test func `a client certificate of another root, expired, or not yet valid is refused with the right alert`() throws {
        try Loop.run { loop in
            let authority = try Authority(now: loop.host.wall)
            let other = try Authority(now: loop.host.wall)
            let cases: [(String, TLSCredentials, UInt32, String)] = [
                ("foreign", try other.credentials(Authority.client), TLSAlert.unknownAuthority, "alert unknown ca"),
                ("expired", try authority.credentials(Authority.client, from: .hours(5), until: .hours(-1)), TLSAlert.certificateExpired, "alert certificate expired"),
                ("early", try authority.credentials(Authority.client, from: .hours(-1), until: .hours(3)), TLSAlert.badCertificate, "alert bad certificate"),
            ]
            for (name, credentials, alert, words) in cases {
                let files = try authority.files(loop, name, credentials)
                let (acceptor, address) = try serve(loop, try authority.serverConfiguration())
                let said = loop.finish(try client(loop, address, ["-cert", files.leaf, "-key", files.key, "-cert_chain", files.chain]))
                #expect(said.status != 0 && said.text.contains(words), "\(name): \(said.text)")
                let side = try #require(acceptor.sides.first)
                loop.drive("\(name): we hear of it") { side.isClosed }
                #expect(side.alert == alert && !side.isConnected, "\(name): \(side.stream?.failure?.rule ?? "no failure")")
            }
        }
    }

    @Test func `s_client that does not trust us says so`() throws {
        try Loop.run { loop in
            let authority = try Authority(now: loop.host.wall)
            let wrong = try loop.put("wrong.pem", try Authority(now: loop.host.wall).root.certificate.pem)
            let (acceptor, address) = try serve(loop, try authority.serverConfiguration())
            let said = loop.finish(try client(loop, address, ["-CAfile", wrong, "-verify_return_error"]))
            #expect(said.status != 0, "\(said.text)")
            let side = try #require(acceptor.sides.first)
            loop.drive("we hear of it") { side.isClosed }
            #expect(side.alert == TLSAlert.unknownAuthority && !side.isConnected)
        }
    }

    @Test(arguments: ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"], ["X25519", "P-256", "P-384:X25519", "P-384:P-256"])
    func `every suite and group carries bytes, also after a second hello`(_ suite: String, _ groups: String) throws {
        try Loop.run { loop in
            let authority = try Authority(now: loop.host.wall)
            let (_, address) = try serve(loop, try authority.serverConfiguration(), ends: "\n")
            let said = loop.finish(try client(loop, address, ["-brief", "-ciphersuites", suite, "-groups", groups]))
            #expect(said.status == 0 && said.text.contains(suite) && said.text.contains("hello"), "\(said.text)")
            #expect(said.text.contains("Server Temp Key: \(groups.contains("X25519") ? "X25519" : "ECDH, prime256v1")"), "\(said.text)")
        }
    }

    @Test func `key updates asked for and not asked for change nothing`() throws {
        try Loop.run { loop in
            let authority = try Authority(now: loop.host.wall)
            let (acceptor, address) = try serve(loop, try authority.serverConfiguration(), ends: "third\n")
            // `K` sends a key update that wants one back, `k` one that does not.
            let said = try client(loop, address, ["-servername", Authority.server], says: "first\n", endsInput: false)
            for (letter, word) in [("K", "second"), ("k", "third")] {
                loop.drive("the echo comes") { acceptor.sides.first?.bytes.isEmpty == false }
                said.say("\(letter)\n")
                loop.settle()
                said.say("\(word)\n")
                loop.drive("\(word) comes") { acceptor.sides.first?.text.contains(word) == true }
            }
            #expect(acceptor.sides.first?.text == "first\nsecond\nthird\n")
            loop.drive("all comes back: \(said.text)") { said.lines.contains("third") }
            #expect(said.lines.contains("second") && said.text.contains("KEYUPDATE"))
        }
    }

    @Test func `a mebibyte comes back through records of every size`() throws {
        try Loop.run { loop in
            let authority = try Authority(now: loop.host.wall)
            let text = String(decoding: (0..<(1 << 20)).map { $0 % 64 == 63 ? UInt8(ascii: "\n") : UInt8(ascii: "a") + UInt8($0 / 64 % 26) }, as: UTF8.self)
            let path = try loop.put("large", text)
            for flags in [[], ["-max_send_frag", "512"], ["-split_send_frag", "700", "-max_send_frag", "700"]] {
                let acceptor = Acceptor(loop.host, try authority.serverConfiguration()) { side in
                    side.onReceived = { if $0.bytes.count == text.utf8.count { $0.stream?.send(Array("got it\n".utf8).span.bytes); $0.stream?.finish() } }
                }
                let listener = try loop.host.network.listen(on: SocketAddress(.loopback, 0), options: ListenOptions(), handler: acceptor)
                let said = try loop.start("sh", ["-c", "openssl s_client -connect \(listener.address) -quiet \(flags.joined(separator: " ")) <'\(path)'"])
                loop.drive("it is all there: \(said.text)") { acceptor.sides.first?.bytes.count == text.utf8.count }
                #expect(acceptor.sides.first?.text == text)
                loop.drive("it ends") { said.isOver }
            }
        }
    }

    @Test func `a connection cut without close_notify is a truncation`() throws {
        try Loop.run { loop in
            let authority = try Authority(now: loop.host.wall)
            let (acceptor, address) = try serve(loop, try authority.serverConfiguration())
            let said = try client(loop, address, ["-servername", Authority.server], endsInput: false)
            loop.drive("bytes come") { acceptor.sides.first?.bytes.isEmpty == false }
            said.child.signal(9)
            let side = acceptor.sides[0]
            loop.drive("it is closed") { side.isClosed }
            #expect(!side.isFinished && side.failure?.reason == .connectionReset)
        }
    }

    // MARK: Our client, openssl s_server

    /// s_server that sends back what comes, reversed line by line; the line `CLOSE` makes it close.
    private func server(_ loop: Loop, _ authority: Authority, _ credentials: TLSCredentials, _ flags: [String] = [], reverses: Bool = true) throws -> (said: Loop.Running, address: SocketAddress) {
        let files = try authority.files(loop, "server", credentials)
        let said = try loop.start(
            "openssl",
            ["s_server", "-accept", "127.0.0.1:0", "-cert", files.leaf, "-key", files.key, "-cert_chain", files.chain, "-CAfile", files.root] + (reverses ? ["-rev"] : []) + flags)
        return (said, SocketAddress(.loopback, try loop.port(of: said, after: "ACCEPT")))
    }

    private func connect(_ loop: Loop, _ address: SocketAddress, _ configuration: TLSClientConfiguration) -> Side {
        let side = Side()
        side.stream = TLSStream(configuration: configuration, host: loop.host, handler: side) {
            loop.host.network.connect(to: address, options: ConnectOptions(timeout: .seconds(5)), handler: $0)
        }
        return side
    }

    @Test func `we prove ourselves to an s_server that demands a certificate`() throws {
        try Loop.run { loop in
            let authority = try Authority(now: loop.host.wall)
            let (said, address) = try server(loop, authority, try authority.credentials(Authority.server), ["-Verify", "5", "-verify_return_error", "-alpn", "http/1.1,h2", "-tls1_3"])
            let side = connect(loop, address, try authority.clientConfiguration(alpn: ["h2"]))
            side.stream?.send(Array("drawer\n".utf8).span.bytes)
            loop.drive("the answer comes: \(said.text)") { side.text == "reward\n" || side.isClosed }
            #expect(side.text == "reward\n" && side.peer?.identity == Authority.server && side.peer?.alpn == Array("h2".utf8))
            #expect(said.text.contains("Protocol version: TLSv1.3") && said.text.contains("Peer certificate: CN = \(Authority.client)"), "\(said.text)")
            side.stream?.send(Array("CLOSE\n".utf8).span.bytes)
            loop.drive("close_notify comes") { side.isFinished || side.isClosed }
            #expect(side.isFinished && side.failure == nil)
        }
    }

    @Test func `an s_server that demands a certificate refuses who has none`() throws {
        try Loop.run { loop in
            let authority = try Authority(now: loop.host.wall)
            let (said, address) = try server(loop, authority, try authority.credentials(Authority.server), ["-Verify", "5"])
            let side = connect(loop, address, TLSClientConfiguration(anchors: authority.anchors, serverName: Authority.server, expectedPeer: [Authority.server]))
            loop.drive("it ends: \(said.text)") { side.isClosed }
            // certificate_required, which comes after a client's own handshake is over.
            #expect(side.alert == 116)
        }
    }

    @Test func `an s_server of another root, name or time is refused in plain words`() throws {
        try Loop.run { loop in
            let authority = try Authority(now: loop.host.wall)
            let cases: [(TLSCredentials, String, String)] = [
                (try Authority(now: loop.host.wall).credentials(Authority.server), "certificate signed by unknown authority", "alert unknown ca"),
                (try authority.credentials(Authority.client), "certificate is for \(Authority.client), expected \(Authority.server)", "alert bad certificate"),
                (try authority.credentials(Authority.server, from: .hours(5), until: .hours(-1)), "certificate expired at", "alert certificate expired"),
                (try authority.credentials(Authority.server, from: .hours(-1), until: .hours(3)), "certificate not valid before", "alert bad certificate"),
            ]
            for (credentials, words, alert) in cases {
                let (said, address) = try server(loop, authority, credentials)
                let side = connect(loop, address, try authority.clientConfiguration())
                loop.drive("it ends") { side.isClosed }
                #expect(!side.isConnected && side.stream?.failure?.rule.hasPrefix(words) == true, "\(side.stream?.failure?.rule ?? "no failure")")
                loop.drive("the server hears \(alert): \(said.text)") { said.text.contains(alert) }
            }
        }
    }

    @Test func `an s_server of TLS 1.2, or without a group of ours, is not spoken to`() throws {
        try Loop.run { loop in
            let authority = try Authority(now: loop.host.wall)
            for flags in [["-tls1_2"], ["-groups", "P-521"]] {
                let (said, address) = try server(loop, authority, try authority.credentials(Authority.server), flags)
                let side = connect(loop, address, try authority.clientConfiguration())
                loop.drive("it ends: \(said.text)") { side.isClosed }
                #expect(!side.isConnected && [40, 70].contains(side.alert), "\(flags): \(side.alert ?? 0)")
            }
        }
    }

    @Test func `a second hello is given when an s_server wants another group, and its tickets are taken without harm`() throws {
        try Loop.run { loop in
            let authority = try Authority(now: loop.host.wall)
            for flags in [["-groups", "P-256"], ["-num_tickets", "10"]] {
                let (said, address) = try server(loop, authority, try authority.credentials(Authority.server), flags)
                let side = connect(loop, address, try authority.clientConfiguration())
                side.stream?.send(Array("drawer\n".utf8).span.bytes)
                loop.drive("the answer comes: \(said.text)") { side.text == "reward\n" || side.isClosed }
                #expect(side.text == "reward\n")
                side.stream?.close()
            }
        }
    }

    @Test func `what we say before our close_notify is heard`() throws {
        try Loop.run { loop in
            let authority = try Authority(now: loop.host.wall)
            let (said, address) = try server(loop, authority, try authority.credentials(Authority.server), [], reverses: false)
            let side = connect(loop, address, try authority.clientConfiguration())
            side.stream?.send(Array("one\n".utf8).span.bytes)
            side.stream?.finish()
            loop.drive("it hears, and ends too: \(said.text)") { said.lines.contains("one") && (side.isFinished || side.isClosed) }
        }
    }

    @Test func `whoever ends its half still hears the other`() throws {
        try Loop.run { loop in
            let authority = try Authority(now: loop.host.wall)
            // The peer ends first.
            let acceptor = Acceptor(loop.host, try authority.serverConfiguration()) { side in
                side.onFinished = { side in
                    side.stream?.send(Array("after \(side.text)".utf8).span.bytes)
                    side.stream?.finish()
                }
            }
            let listener = try loop.host.network.listen(on: SocketAddress(.loopback, 0), options: ListenOptions(), handler: acceptor)
            let root = try loop.put("root.pem", authority.root.certificate.pem)
            let caller = loop.finish(try loop.start("halves.py", ["call", "\(listener.address.port)", root, Authority.server]))
            #expect(caller.status == 0 && caller.lines == ["HEARD 'after before my end\\n'"], "\(caller.text)")
            // We end first.
            let credentials = try authority.credentials(Authority.server)
            let served = try loop.start("halves.py", ["serve", try loop.put("all.pem", credentials.chain.map(\.pem).joined()), try loop.put("key.pem", credentials.key.pem)])
            let side = connect(loop, SocketAddress(.loopback, try loop.port(of: served, after: "LISTENING")), try authority.clientConfiguration())
            side.stream?.send(Array("question".utf8).span.bytes)
            side.stream?.finish()
            loop.drive("the rest comes: \(served.text)") { side.isFinished || side.isClosed }
            #expect(side.text == "after your end\n" && side.isFinished && side.failure == nil)
            #expect(loop.finish(served).lines.contains("HEARD 'question'"))
        }
    }

    @Test func `an s_server that dies is a truncation`() throws {
        try Loop.run { loop in
            let authority = try Authority(now: loop.host.wall)
            let (said, address) = try server(loop, authority, try authority.credentials(Authority.server))
            let side = connect(loop, address, try authority.clientConfiguration())
            loop.drive("the handshake ends") { side.isConnected || side.isClosed }
            said.child.signal(9)
            loop.drive("it ends") { side.isClosed }
            #expect(!side.isFinished && side.failure?.reason == .connectionReset)
        }
    }
}
