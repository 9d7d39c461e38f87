// Who we are, ready for use: the authorization header of a request and the TLS configuration of a connection, from files that
// are renewed under us and from plug-ins that must be run first. One plug-in run at a time; requests wait for it.

import Base
import Documents
import HTTP
import Platform
import TLS
import Transport

final class KubeCredentials {
    /// What a request is sent with.
    struct Authorization: Equatable {
        /// Value of the `authorization` header; nil: none.
        var header: String?
        /// Of which credential: a later one has a larger number.
        var generation: Int
    }

    /// New connections need new certificates; those that stand have old ones.
    var onCertificateChange: (() -> Void)?
    private let host: any Host
    private let configuration: KubeConfiguration
    private let limits: KubeLimits
    private var token: (text: String, until: Instant)?
    private var generation = 0
    // The plug-in's.
    private var credential: CredentialPlugin.Credential?
    private var waiting: [(Result<Authorization, KubeError>) -> Void] = []
    private var isRunning = false
    private var isClosed = false
    /// After a failure the plug-in is not run again before then; who asks meanwhile gets the same answer.
    private var failed: (refusal: Refusal, until: Instant)?
    // TLS, and what it was made from.
    private var tls: TLSClientConfiguration?
    private var tlsMaterial: [[UInt8]] = []
    private var readUntil: Instant?

    /// Refused when certificates or key cannot be used.
    init(host: any Host, configuration: KubeConfiguration, limits: KubeLimits) throws(Refusal) {
        self.host = host
        self.configuration = configuration
        self.limits = limits
        if configuration.scheme == .https { _ = try refreshTLS() }
    }

    func close() {
        isClosed = true
        onCertificateChange = nil
        let left = waiting
        waiting = []
        for answer in left { answer(.failure(.refused(Refusal("the client is closed")))) }
    }

    // MARK: Requests

    /// Answers at once unless a plug-in must run first.
    func authorize(_ answer: @escaping (Result<Authorization, KubeError>) -> Void) {
        if let plugin = configuration.plugin { return authorize(by: plugin, answer) }
        do throws(KubeError) {
            var header: String?
            if let token = try bearer() {
                header = "Bearer \(token)"
            } else if let basic = configuration.basic {
                header = "Basic " + base64Encoded(Array("\(basic.user):\(basic.password)".utf8))
            }
            answer(.success(Authorization(header: header, generation: generation)))
        } catch { answer(.failure(error)) }
    }

    /// The API server does not know who that is (401). Returns whether asking again may give something else.
    func rejected(_ authorization: Authorization) -> Bool {
        // Somebody else was told before us.
        if authorization.generation != generation { return true }
        if configuration.plugin != nil {
            generation += 1
            credential = nil
            return true
        }
        guard case .file = configuration.token, let old = token?.text else { return false }
        token = nil
        guard let new = try? bearer(), new != old else { return false }
        return true
    }

    private func bearer() throws(KubeError) -> String? {
        switch configuration.token {
        case .none: return nil
        case .fixed(let text): return text
        case .file(let path):
            if let token, token.until > host.now { return token.text }
            do throws(HostFailure) {
                let text = String(decoding: try host.files.read(path), as: UTF8.self)
                let trimmed = String(text.drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
                if trimmed.isEmpty { throw HostFailure("read", .notFound, subject: path) }
                if let token, token.text != trimmed { generation += 1 }
                token = (trimmed, host.now + limits.tokenPeriod)
                return trimmed
            } catch {
                // The old one may still do: tokens overlap.
                if let token { return token.text }
                throw .refused(Refusal("the token cannot be read: \(error)"))
            }
        }
    }

    // MARK: Plug-ins

    private func authorize(by plugin: CredentialPlugin, _ answer: @escaping (Result<Authorization, KubeError>) -> Void) {
        if isClosed { return answer(.failure(.refused(Refusal("the client is closed")))) }
        if let credential, credential.expires.map({ $0 - limits.credentialMargin > host.wall }) ?? true { return answer(.success(authorization(credential))) }
        if !isRunning, let failed, failed.until > host.now { return answer(.failure(.refused(failed.refusal))) }
        guard waiting.count < limits.requestsWaitingMax else { return answer(.failure(.refused(Refusal("\(limits.requestsWaitingMax) requests wait for the credential plug-in already")))) }
        waiting.append(answer)
        if isRunning { return }
        isRunning = true
        host.programs.run(plugin.program(host.settings, timeout: limits.pluginTimeout)) { [self] result in
            isRunning = false
            if isClosed { return }
            do throws(Refusal) {
                let new = try plugin.credential(result)
                let hasOtherCertificate = new.certificatePEM != credential?.certificatePEM
                credential = new
                generation += 1
                failed = nil
                if hasOtherCertificate, configuration.scheme == .https {
                    readUntil = nil
                    if try refreshTLS() { onCertificateChange?() }
                }
                finish(.success(authorization(new)))
            } catch {
                failed = (error, host.now + limits.backoffMin)
                host.log(.warn, "kube::credentials", "\(error)")
                finish(.failure(.refused(error)))
            }
        }
    }

    private func authorization(_ credential: CredentialPlugin.Credential) -> Authorization {
        Authorization(header: credential.token.map { "Bearer \($0)" }, generation: generation)
    }

    private func finish(_ result: Result<Authorization, KubeError>) {
        let left = waiting
        waiting = []
        for answer in left { answer(result) }
    }

    // MARK: Connections

    /// For the next connection. What cannot be read any more is used as it was.
    func tlsConfiguration() -> TLSClientConfiguration {
        do throws(Refusal) { _ = try refreshTLS() } catch { host.log(.warn, "kube::credentials", "\(error); the old ones are used on") }
        return tls!
    }

    /// Whether it became another.
    private func refreshTLS() throws(Refusal) -> Bool {
        if let readUntil, readUntil > host.now { return false }
        let subject = configuration.authority
        var anchors: [UInt8] = []
        if !configuration.skipsVerification { anchors = try read(configuration.anchors ?? .file(limits.systemAnchorsPath), "the authorities of \(subject)") }
        var certificate: [UInt8] = []
        var key: [UInt8] = []
        if let credential, let given = credential.certificatePEM, let givenKey = credential.keyPEM {
            (certificate, key) = (given, givenKey)
        } else if let path = configuration.certificate, let keyPath = configuration.key {
            certificate = try read(path, "the client certificate for \(subject)")
            key = try read(keyPath, "the client key for \(subject)")
        }
        readUntil = host.now + limits.tokenPeriod
        if tls != nil, tlsMaterial == [anchors, certificate, key] { return false }
        do {
            let credentials = certificate.isEmpty ? nil : try TLSCredentials(key: try PrivateKey(pem: key), chain: try Certificate.parse(pem: certificate))
            let name = configuration.serverName ?? configuration.host
            let sni = IPAddress(name) == nil ? name : ""
            if configuration.skipsVerification {
                tls = TLSClientConfiguration(believingAnybodyWith: credentials, serverName: sni, alpn: HTTPNegotiator.alpn)
            } else {
                tls = TLSClientConfiguration(credentials: credentials, anchors: try TrustAnchors(pem: anchors), serverName: sni, expectedPeer: [name], alpn: HTTPNegotiator.alpn)
            }
            tlsMaterial = [anchors, certificate, key]
            return true
        } catch let error as PeerError {
            throw Refusal("the credentials for \(subject) cannot be used: \(error.rule)")
        } catch {
            throw Refusal("the credentials for \(subject) cannot be used: \(error)")
        }
    }

    private func read(_ material: KubeConfiguration.Material, _ what: String) throws(Refusal) -> [UInt8] {
        switch material {
        case .bytes(let bytes): return bytes
        case .file(let path):
            do throws(HostFailure) { return try host.files.read(path) } catch { throw Refusal("\(what) cannot be read: \(error)") }
        }
    }
}
