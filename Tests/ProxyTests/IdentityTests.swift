// Certification, renewal and every certificate that must not be taken; the gate before the first one.

import Base
import GRPC
import MeshAPI
import Platform
import Simulator
import TLS
import Testing

@testable import Proxy

/// An identity service in a few lines: it signs what it is asked to, in a later turn.
private final class ScriptedCertifier: Certifier {
    private let host: any Host
    let authority: MeshAuthority
    var requests: [Mesh.Identity.CertifyRequest] = []
    /// When each came.
    var times: [Instant] = []
    var lifetime = Interval.hours(24)
    /// What to say instead of a certificate.
    var refusal: GRPCStatus?
    var change: ((inout Mesh.Identity.CertifyResponse) -> Void)?
    /// Signs for this key and name instead of those asked for.
    var impostor: (key: PrivateKey, name: String)?

    init(_ host: any Host, _ authority: MeshAuthority) {
        self.host = host
        self.authority = authority
    }

    func certify(_ request: Mesh.Identity.CertifyRequest, _ answer: @escaping (Result<Mesh.Identity.CertifyResponse, GRPCStatus>) -> Void) {
        requests.append(request)
        times.append(host.now)
        host.after(.milliseconds(5)) { [self] in
            if let refusal { return answer(.failure(refusal)) }
            do {
                let csr = try impostor.map { try CertificateSigningRequest.make(key: $0.key, identity: $0.name) } ?? CertificateSigningRequest(der: request.requestBytes)
                let leaf = try authority.authority.issue(csr, validity: host.wall - .seconds(20)...host.wall + lifetime)
                var response = Mesh.Identity.CertifyResponse(leaf: leaf.der, intermediates: [])
                response.validUntil = Mesh.timestamp(leaf.notAfter)
                change?(&response)
                answer(.success(response))
            } catch { answer(.failure(GRPCStatus(.internal, "\(error)"))) }
        }
    }
}

@Suite struct `the identity of a proxy` {
    let bench = Bench()
    let metrics = MetricsRegistry()

    private func identity(_ change: (ScriptedCertifier) throws -> Void = { _ in }, anchors: TrustAnchors? = nil) throws -> (Identity, ScriptedCertifier) {
        bench.process.simFiles.tree.put("/var/run/secrets/tokens/linkerd-identity-token", text: "token-1")
        return try bench.turn {
            let authority = try MeshAuthority()
            let certifier = ScriptedCertifier(bench.host, authority)
            try change(certifier)
            let configuration = try Configuration.parse(environment(anchors: authority.anchors.pem))
            let identity = Identity(host: bench.host, settings: configuration.identity, anchors: anchors ?? authority.anchors, certifier: certifier, metrics: metrics)
            try identity.start()
            return (identity, certifier)
        }
    }

    @Test func `is certified by its token and its own key`() throws {
        let (identity, certifier) = try identity()
        var readyCount = 0
        identity.whenReady { readyCount += 1 }
        #expect(!identity.isReady && identity.serverConfiguration == nil && identity.clientConfiguration(toward: "x", alpn: []) == nil)
        bench.run(.seconds(1))
        #expect(identity.isReady && readyCount == 1)
        #expect(identity.credentials?.identity == MeshAuthority.name("web") && identity.serverConfiguration != nil)
        #expect(certifier.requests[0].identity == MeshAuthority.name("web") && certifier.requests[0].tokenBytes == Array("token-1".utf8))
        let csr = try bench.turn { try CertificateSigningRequest(der: certifier.requests[0].requestBytes) }
        #expect(csr.identity == MeshAuthority.name("web"))
        let toward = try #require(identity.clientConfiguration(toward: MeshAuthority.name("cart"), alpn: [[1]]))
        #expect(toward.serverName == MeshAuthority.name("cart") && toward.expectedPeer == [MeshAuthority.name("cart")] && toward.alpn == [[1]] && toward.credentials != nil)
        #expect(bench.logged("Certified identity id=\(MeshAuthority.name("web"))"))
        identity.whenReady { readyCount += 1 }
        #expect(readyCount == 2)
        let text = metrics.exposition()
        #expect(text.contains("control_identity_cert_refreshes_total 1\n") && text.contains("control_identity_cert_expiration_timestamp_seconds \((noon + .hours(24)).seconds)\n"))
    }

    @Test func `is renewed at 70 % of its life with the same key and a token read anew`() throws {
        let (identity, certifier) = try identity()
        bench.run(.seconds(1))
        let first = try #require(identity.credentials)
        bench.process.simFiles.tree.put("/var/run/secrets/tokens/linkerd-identity-token", text: "token-2")
        bench.run(.hours(16))
        #expect(certifier.requests.count == 1)
        bench.run(.hours(1))
        #expect(certifier.requests.count == 2 && certifier.requests[1].tokenBytes == Array("token-2".utf8) && certifier.requests[1].requestBytes == certifier.requests[0].requestBytes)
        let waited = certifier.times[1] - certifier.times[0]
        #expect(waited > .minutes(16 * 60 + 47) && waited < .minutes(16 * 60 + 49), "\(waited)")
        let second = try #require(identity.credentials)
        #expect(second.leaf != first.leaf && second.key === first.key && identity.serverConfiguration?.credentials.leaf == second.leaf)
        #expect(identity.clientConfiguration(toward: "x", alpn: [])?.credentials?.leaf == second.leaf)
    }

    @Test func `is asked for every ten seconds at first, and ever more often near the end`() throws {
        let (identity, certifier) = try identity { $0.refusal = GRPCStatus(.unavailable, "away") }
        bench.run(.seconds(35))
        #expect(certifier.requests.count == 4 && !identity.isReady && bench.logged("Failed to obtain identity error=UNAVAILABLE: away"))
        certifier.refusal = nil
        bench.run(.seconds(10))
        #expect(identity.isReady)
        certifier.refusal = GRPCStatus(.unavailable, "away")
        let before = certifier.times.count
        bench.run(.hours(30))
        let waits = zip(certifier.times.dropFirst(before), certifier.times.dropFirst(before - 1)).map { $0 - $1 }
        #expect(waits.count > 10 && zip(waits.dropFirst(), waits).allSatisfy { $0 <= $1 } && waits.last! < .seconds(11) && identity.isReady)
    }

    @Test func `never waits longer than the bound`() throws {
        let (_, certifier) = try identity { $0.lifetime = .days(60) }
        bench.run(.hours(49))
        #expect(certifier.requests.count == 3)
    }

    @Test func `needs a token`() throws {
        let (identity, certifier) = try identity()
        bench.process.simFiles.tree.remove("/var/run/secrets/tokens/linkerd-identity-token")
        bench.run(.seconds(1))
        #expect(!identity.isReady && certifier.requests.isEmpty && bench.logged("the token cannot be read"))
        bench.process.simFiles.tree.put("/var/run/secrets/tokens/linkerd-identity-token", [])
        bench.run(.seconds(11))
        #expect(certifier.requests.isEmpty && bench.logged("is empty"))
    }

    @Test(arguments: ["other name", "other key", "over", "no end", "garbage", "other root"]) func `takes no certificate that does not prove it`(_ fault: String) throws {
        let stranger = try bench.turn { try MeshAuthority() }
        let (identity, _) = try identity({ certifier in
            switch fault {
            case "other name":
                // The right key and a chain that verifies, but for somebody else.
                let stored = try PrivateKey.generate()
                bench.process.simFiles.tree.put("/var/run/linkerd/identity/end-entity/key.p8", stored.pkcs8)
                bench.process.simFiles.tree.put("/var/run/linkerd/identity/end-entity/csr.der", try CertificateSigningRequest.make(key: stored, identity: MeshAuthority.name("web")).der)
                certifier.impostor = (stored, MeshAuthority.name("cart"))
            case "other key": certifier.impostor = (try PrivateKey.generate(), MeshAuthority.name("web"))
            case "over": certifier.change = { $0.validUntil = Mesh.timestamp(noon - .seconds(1)) }
            case "no end": certifier.change = { $0.clearValidUntil() }
            case "garbage": certifier.change = { $0 = { var r = Mesh.Identity.CertifyResponse(leaf: [1, 2, 3], intermediates: []); r.validUntil = Mesh.timestamp(noon + .hours(1)); return r }() }
            default: break
            }
        }, anchors: fault == "other root" ? stranger.anchors : nil)
        bench.run(.seconds(5))
        #expect(!identity.isReady && identity.serverConfiguration == nil && bench.logged("Failed to obtain identity"), "\(bench.process.logLines)")
        if fault == "other name" { #expect(bench.logged("not for \(MeshAuthority.name("web"))")) }
    }

    @Test(arguments: [true, false]) func `uses the key of its directory if key and request belong together`(_ belong: Bool) throws {
        let stored = try bench.turn { try PrivateKey.generate() }
        let request = try bench.turn { try CertificateSigningRequest.make(key: belong ? stored : PrivateKey.generate(), identity: MeshAuthority.name("web")) }
        bench.process.simFiles.tree.put("/var/run/linkerd/identity/end-entity/key.p8", stored.pkcs8)
        bench.process.simFiles.tree.put("/var/run/linkerd/identity/end-entity/csr.der", request.der)
        let (identity, _) = try identity()
        bench.run(.seconds(1))
        #expect(identity.isReady && (identity.credentials?.leaf.belongs(to: stored) == true) == belong)
        #expect(bench.logged("a new key is made") == !belong)
    }

    @Test func `stops when told to`() throws {
        let (identity, certifier) = try identity()
        bench.run(.seconds(1))
        identity.stop()
        bench.run(.hours(48))
        #expect(certifier.requests.count == 1)
    }
}

@Suite struct `the gate before the first certificate` {
    private final class Door: AcceptHandler {
        var entered: [any Connection] = []
        func accepted(_ connection: any Connection) {
            entered.append(connection)
            connection.handler = Silent()
        }
    }

    private final class Silent: ConnectionHandler {
        var bytes: [UInt8] = []
        var isClosed = false
        func received(_ span: RawSpan, on connection: any Connection) { bytes += span.array() }
        func finished(_ connection: any Connection) {}
        func closed(_ connection: any Connection, _ failure: HostFailure?) { isClosed = true }
    }

    @Test func `holds connections, loses none and lets them in in order`() throws {
        let bench = Bench()
        let door = Door()
        let gate = AcceptGate(door)
        let here = SocketAddress(.loopback, 4143)
        var dialled: [(any Connection, Silent)] = []
        try bench.turn { _ = try bench.host.network.listen(on: here, options: ListenOptions(), handler: gate) }
        for i in 0..<3 {
            bench.turn {
                let silent = Silent()
                dialled.append((bench.host.network.connect(to: here, options: ConnectOptions(), handler: silent), silent))
            }
            bench.run(.milliseconds(50))
            bench.turn {
                let text = Array("hello \(i)".utf8)
                dialled[i].0.send(text.span.bytes)
            }
        }
        bench.run(.seconds(1))
        #expect(door.entered.isEmpty && gate.heldCount == 3)
        bench.turn { dialled[1].0.reset() }
        bench.run(.seconds(1))
        bench.turn { gate.open() }
        bench.run(.seconds(1))
        let heard = door.entered.compactMap { ($0.handler as? Silent)?.bytes }.map { String(decoding: $0, as: UTF8.self) }
        #expect(heard.filter { !$0.isEmpty } == ["hello 0", "hello 2"])
        bench.turn { dialled.append((bench.host.network.connect(to: here, options: ConnectOptions(), handler: Silent()), Silent())) }
        bench.run(.seconds(1))
        #expect(door.entered.count >= 3 && gate.heldCount == 0)
    }
}
