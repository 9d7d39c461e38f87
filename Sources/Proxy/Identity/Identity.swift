// Who this pod is in the mesh: one key for the life of the process, certificates for it renewed in good time, and what TLS needs
// from both. Until the first certificate there is no identity, and the proxy serves nobody. SPIRE is deliberately absent.
// Source: linkerd2-proxy linkerd/proxy/identity-client; linkerd2 proxy-identity/main.go; facts 4.

import Base
import GRPC
import MeshAPI
import Platform
import TLS

public final class Identity: MeshIdentity {
    public let localName: String
    public private(set) var anchors: TrustAnchors
    /// The newest certificate with its key; nil before the first.
    public private(set) var credentials: TLSCredentials?
    /// When it ends.
    public private(set) var expiry: WallTime?
    /// For accepted connections, without ALPN. Rebuilt at each renewal, so that the next connection uses the new certificate.
    public private(set) var serverConfiguration: TLSServerConfiguration?
    private var clientConfiguration: TLSClientConfiguration?

    private let host: any Host
    private let settings: Configuration.IdentitySettings
    private let certifier: any Certifier
    private var key: PrivateKey?
    private var request: [UInt8] = []
    private var waiting: [() -> Void] = []
    private var timer: TimerID?
    private var isStopped = false
    private let expirySeconds: Metric
    private let refreshSeconds: Metric
    private let refreshes: Metric

    init(host: any Host, settings: Configuration.IdentitySettings, anchors: TrustAnchors, certifier: any Certifier, metrics: MetricsRegistry) {
        self.host = host
        self.settings = settings
        self.anchors = anchors
        self.certifier = certifier
        localName = settings.localName
        expirySeconds = metrics.metric(Families.certificateExpiry)
        refreshSeconds = metrics.metric(Families.certificateRefresh)
        refreshes = metrics.metric(Families.certificateRefreshes)
    }

    public var isReady: Bool { credentials != nil }

    /// Makes key and request, then asks for the first certificate and for every one after it. Refused without a key.
    public func start() throws(Refusal) {
        if let stored = stored() {
            (key, request) = stored
        } else {
            let made = try PrivateKey.generate()
            key = made
            request = try CertificateSigningRequest.make(key: made, identity: settings.localID).der
        }
        host.after(.zero) { [self] in certify() }
    }

    /// Runs `action` when there is a certificate; at once if there is one.
    public func whenReady(_ action: @escaping () -> Void) {
        if isReady { action() } else { waiting.append(action) }
    }

    /// Trusts these from the next handshake on, and asks for a certificate that may be from an issuer of theirs.
    func trust(_ anchors: TrustAnchors) {
        self.anchors = anchors
        guard let credentials, !isStopped else { return }
        serverConfiguration = TLSServerConfiguration(credentials: credentials, anchors: anchors)
        clientConfiguration = TLSClientConfiguration(credentials: credentials, anchors: anchors)
        certify()
    }

    /// No further renewals.
    public func stop() {
        isStopped = true
        if let timer { host.cancel(timer) }
        timer = nil
        waiting = []
    }

    /// For a connection to the peer with this identity; nil before the first certificate. The costly part is shared until renewal.
    public func clientConfiguration(toward identity: String, alpn: [[UInt8]]) -> TLSClientConfiguration? { clientConfiguration?.toward(identity, alpn: alpn) }

    // MARK: The key

    /// What a start-up program left in the identity directory. Both files must belong together and to our name, else new ones are
    /// made, in memory only: a key that never touches a disk cannot be read from it.
    private func stored() -> (PrivateKey, [UInt8])? {
        let directory = settings.directory.hasSuffix("/") ? String(settings.directory.dropLast()) : settings.directory
        let files: (key: [UInt8], request: [UInt8])
        do throws(HostFailure) {
            files = (try host.files.read(directory + "/key.p8"), try host.files.read(directory + "/csr.der"))
        } catch { return nil }
        do throws(PeerError) {
            let key = try PrivateKey(pkcs8: files.key)
            let request = try CertificateSigningRequest(der: files.request)
            if request.publicKey == key.publicKey, request.identity == settings.localID { return (key, files.request) }
            host.log(.warn, "linkerd_identity", "The request in \(directory) is for \(request.identity ?? "no name") or for another key; a new key is made")
        } catch {
            host.log(.warn, "linkerd_identity", "The key or request in \(directory) cannot be used (\(error.rule)); a new key is made")
        }
        return nil
    }

    // MARK: Certification

    private func certify() {
        if isStopped { return }
        let token: [UInt8]
        do throws(HostFailure) { token = try host.files.read(settings.tokenFile) } catch {
            return failed("the token cannot be read: \(error)")
        }
        if token.isEmpty { return failed("the token in \(settings.tokenFile) is empty") }
        certifier.certify(Mesh.Identity.CertifyRequest(identity: settings.localID, token: token, request: request)) { [self] result in
            if isStopped { return }
            switch result {
            case .success(let response): accept(response)
            case .failure(let status): failed("\(status)")
            }
        }
    }

    private func accept(_ response: Mesh.Identity.CertifyResponse) {
        guard let key else { return }
        let now = host.wall
        guard response.hasValidUntil, let end = WallTime(response.validUntil), end > now else { return failed("the certificate's validity is over, or not said") }
        let fresh: TLSCredentials
        do throws(PeerError) {
            let leaf = try Certificate(der: response.leafBytes)
            var chain = [leaf]
            for der in response.intermediateBytes.prefix(TLSLimits.chainDepthMax + 1) { chain.append(try Certificate(der: der)) }
            try Certificate.verify(chain: chain, anchors: anchors, at: now)
            guard leaf.carries(settings.localID) else { return failed("the certificate is for \(leaf), not for \(settings.localID)") }
            do throws(Refusal) { fresh = try TLSCredentials(key: key, chain: chain) } catch { return failed(error.reason) }
        } catch { return failed("the certificate cannot be used: \(error.rule)") }

        let isFirst = credentials == nil
        credentials = fresh
        expiry = end
        serverConfiguration = TLSServerConfiguration(credentials: fresh, anchors: anchors)
        clientConfiguration = TLSClientConfiguration(credentials: fresh, anchors: anchors)
        expirySeconds.value = Double(end.seconds)
        refreshSeconds.value = Double(now.seconds)
        refreshes.increment()
        host.log(isFirst ? .info : .debug, "linkerd_app", "Certified identity id=\(settings.localID)")
        schedule()
        let ready = waiting
        waiting = []
        for action in ready { action() }
    }

    private func failed(_ reason: String) {
        host.log(.error, "linkerd_proxy_identity_client::certify", "Failed to obtain identity error=\(reason)")
        schedule()
    }

    /// At 70 % of what is left, within the configured bounds; also after a failure, so that a certificate near its end is asked for
    /// ever more often.
    private func schedule() {
        if isStopped { return }
        if let timer { host.cancel(timer) }
        let left = expiry.map { $0 - host.wall } ?? .zero
        let wait = max(settings.refreshMin, min(settings.refreshMax, Interval(nanoseconds: left.nanoseconds / 10 * 7)))
        timer = host.after(wait) { [self] in
            timer = nil
            certify()
        }
    }
}
