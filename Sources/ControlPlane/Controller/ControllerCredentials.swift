// A controller's own certificate, for when no proxy beside it does its TLS. The identity service issues its own from the issuer
// it holds; the others ask the identity service with their service account's token, exactly as a proxy does.

import Base
import GRPC
import MeshAPI
import Platform
import TLS
import Transport

public final class ControllerCredentials {
    /// What the next accepted connection is served with; nil until there is a certificate.
    public private(set) var server: TLSServerConfiguration?
    public let name: String
    private let host: any Host
    private let anchors: TrustAnchorsFile
    private var held: TLSCredentials?
    /// Gets new credentials and answers once, at once or later.
    private let renew: (_ answer: @escaping (Result<TLSCredentials, Refusal>) -> Void) -> Void
    private let onStop: () -> Void
    private var readyListeners: [() -> Void] = []
    private var backoff: Backoff
    private var timer: TimerID?
    private var isStopped = false
    private var generation = 0

    private init(name: String, host: any Host, anchors: TrustAnchorsFile, onStop: @escaping () -> Void, renew: @escaping (@escaping (Result<TLSCredentials, Refusal>) -> Void) -> Void) {
        self.name = name
        self.host = host
        self.anchors = anchors
        self.renew = renew
        self.onStop = onStop
        backoff = Backoff(BackoffOptions(min: .milliseconds(200), max: .seconds(30)), random: host.random("credentials/\(name)"))
        // Peers are judged by the new anchors at once; the own certificate may have to come from another issuer soon.
        anchors.onChange { [self] in
            if let held { server = TLSServerConfiguration(credentials: held, anchors: anchors.anchors) }
            renewNow()
        }
        ask()
    }

    /// From the issuer that `issuer` gives at each renewal, nil while there is none. `issued` is what Linkerd's proxies are given.
    static func issued(by issuer: @escaping () -> CertificateAuthority?, name: String, anchors: TrustAnchorsFile, options: IdentityOptions, host: any Host) -> ControllerCredentials {
        ControllerCredentials(name: name, host: host, anchors: anchors, onStop: {}) { answer in
            guard let authority = issuer() else { return answer(.failure(Refusal("there is no issuer yet"))) }
            let now = host.wall
            do throws(Refusal) {
                answer(.success(try authority.issueCredentials(identity: name, validity: (now - options.clockSkew)...(now + options.lifetime + options.clockSkew))))
            } catch { answer(.failure(error)) }
        }
    }

    /// From the identity service.
    static func certified(_ options: ControllerOptions.TLSOptions, name: String, anchors: TrustAnchorsFile, batch: FlushBatch, resolver: Resolver) -> ControllerCredentials {
        let host = batch.host
        let below = NameConnector(host: host, resolver: resolver, name: options.identityHost, port: options.identityPort)
        // Loopback is dialled without TLS, as Linkerd's proxy does beside its identity service.
        let connector: any Connector
        if NameConnector.isLocal(options.identityHost), IPAddress(options.identityHost)?.isLoopback != false {
            connector = below
        } else {
            connector = TLSConnector(host: host, lower: below) {
                TLSClientConfiguration(anchors: anchors.anchors, serverName: options.identityName, expectedPeer: [options.identityName])
            }
        }
        let channel = GRPCChannel(batch: batch, connector: connector, authority: "\(options.identityHost):\(options.identityPort)")
        return ControllerCredentials(name: name, host: host, anchors: anchors, onStop: { channel.close() }) { answer in
            do {
                let token = try host.files.read(options.tokenPath)
                let key = try PrivateKey.generate()
                let request = Mesh.Identity.CertifyRequest(identity: name, token: token, request: try CertificateSigningRequest.make(key: key, identity: name).der)
                channel.unary(Mesh.Identity.certify, request, timeout: .seconds(30)) { result in
                    answer(result.mapError { Refusal("\($0)") }.flatMap { response in Self.accept(response, key: key, name: name, anchors: anchors.anchors, at: host.wall) })
                }
            } catch { answer(.failure(Refusal("\(error)"))) }
        }
    }

    /// What the identity service says is believed only as far as it leads to the anchors.
    private static func accept(_ response: Mesh.Identity.CertifyResponse, key: PrivateKey, name: String, anchors: TrustAnchors, at now: WallTime) -> Result<TLSCredentials, Refusal> {
        do {
            let chain = try [Certificate(der: response.leafBytes)] + response.intermediateBytes.map { try Certificate(der: $0) }
            try Certificate.verify(chain: chain, anchors: anchors, at: now)
            guard chain[0].carries(name) else { return .failure(Refusal("the certificate is for \(chain[0]), not for \(name)")) }
            return .success(try TLSCredentials(key: key, chain: chain))
        } catch let error as PeerError {
            return .failure(Refusal("the certificate cannot be used: \(error.rule)"))
        } catch {
            return .failure(Refusal("\(error)"))
        }
    }

    /// Called once, at once if there is a certificate already.
    func onReady(_ listener: @escaping () -> Void) {
        if server != nil { listener() } else { readyListeners.append(listener) }
    }

    /// The issuer changed: renew now rather than later.
    func renewNow() {
        backoff.reset()
        ask()
    }

    func stop() {
        isStopped = true
        if let timer { host.cancel(timer) }
        timer = nil
        readyListeners = []
        onStop()
    }

    private func ask() {
        if isStopped { return }
        if let timer { host.cancel(timer) }
        timer = nil
        generation += 1
        let asked = generation
        renew { [self] result in
            guard asked == generation, !isStopped else { return }
            switch result {
            case .success(let credentials):
                backoff.reset()
                held = credentials
                server = TLSServerConfiguration(credentials: credentials, anchors: anchors.anchors)
                // Linkerd's proxy renews after 70 % of the life that is left.
                let life = credentials.leaf.notAfter - host.wall
                timer = host.after(max(.seconds(1), life / 10 * 7)) { [self] in ask() }
                host.log(.info, "controller::identity", "certified as \(name) until \(credentials.leaf.notAfter)")
                let listeners = readyListeners
                readyListeners = []
                for listener in listeners { listener() }
            case .failure(let refusal):
                host.log(.warn, "controller::identity", "no certificate for \(name): \(refusal)")
                timer = host.after(backoff.next()) { [self] in ask() }
            }
        }
    }
}
