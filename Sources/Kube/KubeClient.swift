// The client of the API server: requests go out over pooled connections with the caller's credentials, answers come back typed.
// HTTP/2 where the server agrees to it, so that many watches are one connection; HTTP/1.1 elsewhere. Retries are the callers'
// business, except of what the server cannot have looked at, and of a request whose credentials were out of date.

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
    let credentials: KubeCredentials
    private let http: HTTPNegotiator
    /// Events of watches that could not be decoded and were skipped. Unit: events.
    public internal(set) var watchEventsSkipped = 0
    var discovery: DiscoveryCache?
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
        let credentials = try KubeCredentials(host: batch.host, configuration: configuration, limits: limits)
        self.credentials = credentials
        var connector: any Connector = NameConnector(
            host: batch.host, resolver: resolver, name: configuration.host, port: configuration.port, asksForServices: false,
            options: ConnectOptions(timeout: limits.connectTimeout, keepAlive: .seconds(30)))
        if configuration.scheme == .https { connector = TLSConnector(host: batch.host, lower: connector) { credentials.tlsConfiguration() } }
        var settings = HTTP2Settings()
        settings.initialStreamWindowBytes = limits.streamWindowBytes
        settings.initialConnectionWindowBytes = limits.connectionWindowBytes
        // Many watches hang on one connection: its death is found out before they fall silent.
        settings.keepAliveInterval = limits.pingInterval
        settings.keepAliveTimeout = limits.pingTimeout
        http = HTTPNegotiator(connector: connector, batch: batch, settings: settings)
        credentials.onCertificateChange = { [http] in http.renew() }
    }

    /// What the API server agreed to speak; nil before the first connection.
    public var version: HTTPVersion? { http.version }
    public var connectionCount: Int { http.connectionCount }

    /// Ends everything; open calls fail.
    public func close() {
        credentials.close()
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
        credentials.authorize { [self] result in
            guard call.isOpen else { return }
            switch result {
            case .failure(let error): host.after(.zero) { call.fail(error) }
            case .success(let authorization):
                call.authorization = authorization
                let ticket = http.send(head(call.request, authorization), endStream: call.request.body.isEmpty, handler: call) { result in
                    switch result {
                    case .success(let stream): call.opened(stream)
                    case .failure(let failure): call.fail(.transport(failure))
                    }
                }
                if !ticket.isOver { call.ticket = ticket }
            }
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

    private func head(_ request: KubeRequest, _ authorization: KubeCredentials.Authorization) -> RequestHead {
        var headers = Headers()
        headers.add("user-agent", userAgent)
        headers.add("accept", request.accept)
        if let header = authorization.header { headers.add("authorization", header) }
        if let other = configuration.impersonation {
            headers.add("impersonate-user", other.user)
            if !other.uid.isEmpty { headers.add("impersonate-uid", other.uid) }
            for group in other.groups { headers.add("impersonate-group", group) }
            for (name, values) in other.extra { for value in values { headers.add(("impersonate-extra-" + percentEncoded(name)).lowercased(), value) } }
        }
        if !request.body.isEmpty {
            headers.add("content-type", request.contentType)
            headers.add("content-length", String(request.body.count))
        }
        return RequestHead(
            method: request.method, scheme: configuration.scheme, authority: HTTPText(configuration.authority), path: HTTPText(configuration.pathPrefix + request.path), headers: headers)
    }
}
