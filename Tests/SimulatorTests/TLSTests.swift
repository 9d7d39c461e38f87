// Real TLS over the simulated network: its bytes are the seed's, its times the node's, and the judge of plaintext is content.

import Base
import CDeterminism
import Foundation
import Platform
import TLS
import Testing

@testable import Simulator

/// A TLS session over one connection.
final class Secured: ConnectionHandler {
    private let session: TLSSession
    private let process: SimProcess
    private let onData: (Secured, String) -> Void
    private var connection: (any Connection)?
    var failure: PeerError?
    var isEstablished = false
    var heard = ""

    init(_ session: TLSSession, _ process: SimProcess, onData: @escaping (Secured, String) -> Void) {
        self.session = session
        self.process = process
        self.onData = onData
    }

    func begin(_ connection: any Connection) {
        self.connection = connection
        flush()
    }

    func send(_ text: String) {
        sure { try session.send(Array(text.utf8).span.bytes) }
        flush()
    }

    func finish() {
        session.finish()
        flush()
        connection?.finish()
    }

    private func flush() {
        var output = ByteBuffer()
        session.drainOutput(into: &output)
        output.withBytes { connection?.send($0) }
    }

    func connected(_ connection: any Connection) { begin(connection) }

    func received(_ bytes: RawSpan, on connection: any Connection) {
        session.receive(bytes, now: process.now)
        while let event = session.nextEvent() {
            switch event {
            case .established: isEstablished = true
            case .data:
                var text = ""
                session.withData { text += String(decoding: $0.array(), as: UTF8.self) }
                heard += text
                onData(self, text)
            case .closeNotify: break
            case .failed(let error): failure = error
            }
        }
        flush()
    }

    func finished(_ connection: any Connection) { connection.finish() }
    func closed(_ connection: any Connection, _ failure: HostFailure?) {}
}

private final class SecuredAcceptor: AcceptHandler {
    let make: () -> Secured
    init(_ make: @escaping () -> Secured) { self.make = make }
    func accepted(_ connection: any Connection) {
        let secured = make()
        connection.handler = secured
        secured.begin(connection)
    }
}

/// Two meshed pods with certificates of one authority, made inside the world; one asks and the other answers.
func meshedRun(seed: UInt64, options given: WorldOptions = options(), prepare: (World) -> Void = { _ in }) -> (verdict: Verdict, heard: String, key: [UInt8]) {
    let world = World(seed: seed, options: given)
    prepare(world)
    let issuerNode = world.addNode("identity", ip: IPAddress(10, 0, 0, 1))
    let web = "web.ns.serviceaccount.identity.linkerd.cluster.local", cart = "cart.ns.serviceaccount.identity.linkerd.cluster.local"
    var credentials: [String: TLSCredentials] = [:]
    var anchors = TrustAnchors([])
    var key: [UInt8] = []
    world.addProcess("identity", on: issuerNode, userID: 1, settings: Settings()) { process in
        sure {
            let validity = process.wall - .hours(1)...process.wall + .hours(24)
            let root = try CertificateAuthority.selfSignedRoot(name: "root.linkerd.cluster.local", validity: validity)
            for name in [web, cart] { credentials[name] = try root.issueCredentials(identity: name, validity: validity) }
            key = try PrivateKey.generate().pkcs8
            try process.files.write("/key", key, mode: 0o600)
            anchors = TrustAnchors([root.certificate])
        }
    }.start()
    world.run(for: .zero)
    world.declareSecret(Array("the price is 42"))
    let server = world.addNode("web", ip: IPAddress(10, 0, 0, 2))
    let client = world.addNode("cart", ip: IPAddress(10, 0, 0, 3))
    for node in [server, client] { node.isMeshed = true }
    var asker: Secured?
    world.addProcess("web", on: server, userID: 1, settings: Settings()) { process in
        let configuration = TLSServerConfiguration(credentials: credentials[web]!, anchors: anchors, alpn: [])
        let acceptor = SecuredAcceptor {
            Secured(TLSSession(server: configuration, now: process.wall), process) { secured, text in secured.send("the price is 42, said \(text)") }
        }
        process.keep(acceptor)
        let listener = sure { try process.network.listen(on: SocketAddress(.any, 4143), options: ListenOptions(), handler: acceptor) }
        process.onShutdown { listener.close() }
    }.start()
    world.addProcess("cart", on: client, userID: 1, settings: Settings()) { process in
        process.after(.milliseconds(1)) {
            let configuration = TLSClientConfiguration(credentials: credentials[cart]!, anchors: anchors, serverName: web, expectedPeer: [web], alpn: [])
            let secured = Secured(TLSSession(client: configuration, now: process.wall), process) { secured, text in
                if secured.heard.hasSuffix("cart") { secured.finish() }
            }
            asker = secured
            process.keep(secured)
            _ = process.network.connect(to: SocketAddress(IPAddress(10, 0, 0, 2), 4143), options: ConnectOptions(), handler: secured)
            process.after(.milliseconds(20)) { secured.send("cart") }
        }
    }.start()
    world.run(for: .seconds(5))
    world.stopAll()
    world.runUntilIdle(limit: .minutes(1))
    return (world.finish(), asker?.heard ?? "", key)
}

@Suite struct `Real TLS in the world` {
    @Test func `is the same bytes for the same seed, passes the judges, and differs by seed`() {
        let first = meshedRun(seed: 7)
        let second = meshedRun(seed: 7)
        let other = meshedRun(seed: 8)
        #expect(first.heard == "the price is 42, said cart" && first.verdict.passes, "\(first.verdict)")
        #expect(first.verdict.description == second.verdict.description && first.key == second.key)
        #expect(first.verdict.traceLine != other.verdict.traceLine && first.key != other.key)
    }

    @Test func `draws inside a process's turn only, and from that process's stream only`() throws {
        let duo = Duo()
        #expect(weft_rand_is_bound() == 0)
        #expect(throws: Refusal.self) { try PrivateKey.generate() }
        let key = duo.client.run { sure { try PrivateKey.generate().pkcs8 } }
        #expect(weft_rand_is_bound() == 0)
        let again = Duo()
        // Another process's draws move nothing here.
        _ = again.server.run { sure { try PrivateKey.generate().pkcs8 } }
        let second = again.client.run { sure { try PrivateKey.generate().pkcs8 } }
        #expect(second == key)
    }

    @Test func `time() is the node's wall clock inside a turn and the real one outside`() {
        let duo = Duo()
        duo.world.stepWall(duo.client.node, by: .hours(-24 * 365))
        let inside = duo.client.run { time(nil) }
        #expect(Int64(inside) == (noon - .hours(24 * 365)).seconds)
        var nested: time_t = 0
        duo.client.run {
            duo.server.run { nested = time(nil) }
            #expect(Int64(time(nil)) == Int64(inside))
        }
        #expect(Int64(nested) == noon.seconds)
        #expect(abs(Double(time(nil)) - Date().timeIntervalSince1970) < 5)
    }
}
