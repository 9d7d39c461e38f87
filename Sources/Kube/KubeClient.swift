// The client of the API server: requests go out over pooled connections with the caller's credentials, answers come back typed.
// HTTP/1.1 on purpose: every API server and proxy speaks it, and a watch that stalls then holds back nothing but itself.
// Retries are the callers' business, except of a read whose pooled connection turned out to be closed.

import Base
import Documents
import HTTP
import Platform
import TLS
import Transport

public final class KubeClient {
    public let host: any Host
    public let batch: FlushBatch
    public let configuration: KubeConfiguration
    public let limits: KubeLimits
    public let userAgent: String
    private let http: HTTPClient
    private var token: (text: String, until: Instant)?
    /// Short calls now open; those beyond the bound wait, oldest first.
    private var openCount = 0
    private var waiting: [KubeCall] = []

    /// Refused when certificates or key cannot be used.
    public init(batch: FlushBatch, configuration: KubeConfiguration, resolver: Resolver, userAgent: String, limits: KubeLimits = KubeLimits()) throws(Refusal) {
        self.batch = batch
        host = batch.host
        self.configuration = configuration
        self.limits = limits
        self.userAgent = userAgent
        var connector: any Connector = NameConnector(
            host: batch.host, resolver: resolver, name: configuration.host, port: configuration.port, asksForServices: false,
            options: ConnectOptions(timeout: limits.connectTimeout, keepAlive: .seconds(30)))
        if configuration.scheme == .https {
            let tls = try Self.tls(configuration, batch.host)
            connector = TLSConnector(host: batch.host, lower: connector) { tls }
        }
        http = HTTPClient(version: .http11, connector: connector, batch: batch)
    }

    private static func tls(_ configuration: KubeConfiguration, _ host: any Host) throws(Refusal) -> TLSClientConfiguration {
        do {
            let anchors = try TrustAnchors(pem: try configuration.anchorsPEM ?? host.files.read("/etc/ssl/certs/ca-certificates.crt"))
            var credentials: TLSCredentials?
            if let certificate = configuration.certificatePEM, let key = configuration.keyPEM {
                credentials = try TLSCredentials(key: try PrivateKey(pem: key), chain: try Certificate.parse(pem: certificate))
            }
            let name = configuration.serverName ?? configuration.host
            return TLSClientConfiguration(
                credentials: credentials, anchors: anchors, serverName: IPAddress(name) == nil ? name : "", expectedPeer: [name], alpn: [[UInt8]("http/1.1")])
        } catch let error as PeerError {
            throw Refusal("the credentials for \(configuration.authority) cannot be used: \(error.rule)")
        } catch {
            throw Refusal("the credentials for \(configuration.authority) cannot be used: \(error)")
        }
    }

    /// Ends everything; open calls fail.
    public func close() {
        http.close()
        let left = waiting
        waiting = []
        for call in left { call.fail(.refused(Refusal("the client is closed"))) }
    }

    // MARK: Calls

    /// Sends a request and collects its answer; errors of the server become `KubeError.status`. Answers once, in a later turn.
    @discardableResult
    public func send(_ request: KubeRequest, _ answer: @escaping (Result<KubeResponse, KubeError>) -> Void) -> KubeCall {
        let call = KubeCall(client: self, request: request, collecting: answer)
        if openCount < limits.requestsOpenMax {
            begin(call)
        } else if waiting.count < limits.requestsWaitingMax {
            waiting.append(call)
        } else {
            host.after(.zero) { [self] in call.fail(.refused(Refusal("\(limits.requestsWaitingMax) requests to the API server wait already"))) }
        }
        return call
    }

    /// Sends a request whose answer has no bound in time: `onOpen` when it is granted, then bytes as they come, then `onEnd`
    /// once: nil as announced.
    @discardableResult
    public func stream(_ request: KubeRequest, onOpen: @escaping () -> Void, onBytes: @escaping (RawSpan) -> Void, onEnd: @escaping (KubeError?) -> Void) -> KubeCall {
        let call = KubeCall(client: self, request: request, onOpen: onOpen, onBytes: onBytes, onEnd: onEnd)
        open(call)
        return call
    }

    private func begin(_ call: KubeCall) {
        openCount += 1
        call.isCounted = true
        open(call)
    }

    func open(_ call: KubeCall) {
        do throws(KubeError) {
            let head = try head(call.request)
            do throws(Refusal) {
                let stream = try http.send(head, endStream: call.request.body.isEmpty, handler: call)
                call.opened(stream)
            } catch { throw .refused(error) }
        } catch {
            host.after(.zero) { call.fail(error) }
        }
    }

    func ended(_ call: KubeCall) {
        if call.isCounted {
            call.isCounted = false
            openCount -= 1
            while openCount < limits.requestsOpenMax, !waiting.isEmpty { begin(waiting.removeFirst()) }
        } else {
            waiting.removeAll { $0 === call }
        }
    }

    private func head(_ request: KubeRequest) throws(KubeError) -> RequestHead {
        var headers = Headers()
        headers.add("user-agent", userAgent)
        headers.add("accept", request.accept)
        if let token = try bearer() { headers.add("authorization", "Bearer \(token)") }
        if !request.body.isEmpty {
            headers.add("content-type", request.contentType)
            headers.add("content-length", String(request.body.count))
        }
        return RequestHead(
            method: request.method, scheme: configuration.scheme, authority: HTTPText(configuration.authority), path: HTTPText(configuration.pathPrefix + request.path), headers: headers)
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
                token = (trimmed, host.now + limits.tokenPeriod)
                return trimmed
            } catch {
                // The old one may still do: tokens overlap.
                if let token { return token.text }
                throw .refused(Refusal("the service account's token cannot be read: \(error)"))
            }
        }
    }
}
