// One accepted connection of the inbound listener: TLS or not, which port is meant, HTTP or not, allowed or not. Each step hands the
// connection and the bytes it has read to the next. Source: linkerd2-proxy inbound accept, detect, direct; facts 3.1 to 3.3, 3.8.

import Base
import HTTP
import Platform
import TLS
import Transport

final class InboundLink: Linked, HTTPConnectionOwner, ByteRelayObserver, ConnectionHandler {
    private(set) var client: InboundClient
    /// The port that is meant; nil until it is known.
    private(set) var port: InboundPort?
    /// The application's address.
    private(set) var target: SocketAddress
    /// Behind us as a gateway; nil: this pod is meant.
    private(set) var gatewayName: Authority?
    var gateway: Gateway? { server.gateway }
    /// What the name leads to, for bytes.
    private var named: OutboundStack?
    private var endpoint: OpaqueEndpoint?
    var random: Random
    private let server: InboundServer
    private var connection: (any Connection)?
    private var http: HTTPConnection?
    private var relay: ByteRelay?
    private var relayAuthorization: Authorization?
    private var handshakeTimer: TimerID?
    /// What was decided on this connection under the policy of `verdictGeneration`.
    private var verdicts: [Verdict] = []
    private var verdictGeneration: UInt64 = 0
    /// Until it is known where the connection is counted.
    private var metered: MeteredConnection?
    private var isEnded = false
    private var host: any Host { server.batch.host }

    init(_ connection: MeteredConnection, target: SocketAddress, server: InboundServer, random: Random) {
        self.connection = connection
        metered = connection
        self.target = target
        self.server = server
        self.random = random
        client = InboundClient(address: connection.remoteAddress)
        super.init()
        connection.handler = self
    }

    /// The kernel says which port was meant.
    func start(port: InboundPort) {
        self.port = port
        guard let connection else { return }
        switch port.policy.kind {
        case .opaque:
            client.plainReason = .portSkipped
            relay(connection, [])
        case .tls, .detect, .http1, .http2, .grpc: detectTLS(connection)
        }
    }

    /// The connection is for the proxy itself: mutual TLS, and a header that says which port is meant.
    func startDirect() {
        guard let connection else { return }
        Peek(connection, host: host, timeout: server.configuration.inbound.detectTimeout, isEnough: Self.isHelloComplete) { [self] outcome in
            guard case .decided(let bytes) = outcome, case .hello(let name, _) = ClientHello.sniff(bytes.span.bytes), name == server.identity.localName else {
                return refuse("a connection to the proxy's own port must be mesh TLS")
            }
            terminate(connection, bytes, alpn: [TransportHeader.alpn]) { [self] stream in
                guard client.identity != nil else { return refuse("a connection to the proxy's own port needs a client identity") }
                guard stream.peer?.alpn == TransportHeader.alpn else { return refuse("a connection to the proxy's own port needs a transport header") }
                readHeader(stream)
            }
        }
    }

    /// Unit: bytes.
    var bytesHeld: Int { (http?.bytesHeld ?? 0) + (relay?.bytesHeld ?? 0) }

    func drain() {
        if let http {
            http.drain()
        } else if relay == nil {
            refuse(nil)
        }
    }

    // MARK: TLS

    private static func isHelloComplete(_ bytes: [UInt8]) -> Bool { ClientHello.sniff(bytes.span.bytes) != .incomplete }

    private func detectTLS(_ connection: any Connection) {
        Peek(connection, host: host, timeout: server.configuration.inbound.detectTimeout, isEnough: Self.isHelloComplete) { [self] outcome in
            switch outcome {
            case .gone: end()
            case .timedOut:
                // Unlike HTTP detection: who is silent might be anybody, and would be taken for a stranger.
                server.countError("tls detection timeout", target)
                refuse("nothing said within \(server.configuration.inbound.detectTimeout)")
            case .decided(let bytes):
                switch ClientHello.sniff(bytes.span.bytes) {
                case .hello(let name, _) where name == server.identity.localName:
                    terminate(connection, bytes, alpn: []) { [self] stream in speak(stream, []) }
                case .hello(let name, _):
                    client.plainReason = .passedOn(serverName: name ?? "")
                    relay(connection, bytes)
                case .notTLS, .incomplete: speak(connection, bytes)
                }
            }
        }
    }

    private func terminate(_ connection: any Connection, _ bytes: [UInt8], alpn: [[UInt8]], then: @escaping (TLSStream) -> Void) {
        guard var configuration = server.identity.serverConfiguration else { return refuse("no certificate yet") }
        configuration.alpn = alpn
        let stream = TLSStream(serving: connection, configuration: configuration, host: host)
        self.connection = stream
        let waiter = HandshakeWaiter { [self] failure in
            if let handshakeTimer { host.cancel(handshakeTimer) }
            handshakeTimer = nil
            if let failure {
                server.countHandshakeFailure(stream.failure?.rule ?? "\(failure)", from: client.address, target)
                self.connection = nil
                return end()
            }
            client.isMeshTLS = true
            client.identity = stream.peer?.identity
            // Nothing is read until the next step has taken over.
            stream.handler = self
            then(stream)
        }
        stream.handler = waiter
        handshakeTimer = host.after(server.configuration.inbound.detectTimeout) { [self] in
            handshakeTimer = nil
            refuse("the TLS handshake took longer than \(server.configuration.inbound.detectTimeout)")
        }
        stream.isReadingPaused = false
        stream.receive(buffered: bytes.span.bytes)
    }

    private func readHeader(_ stream: TLSStream) {
        Peek(
            stream, bytesMax: 65_536, host: host, timeout: server.configuration.inbound.detectTimeout, isEnough: { TransportHeader.read($0) != .incomplete }
        ) { [self] outcome in
            guard case .decided(let bytes) = outcome else { return refuse("no transport header came in time") }
            guard case .header(let header, let length) = TransportHeader.read(bytes) else {
                if case .invalid(let reason) = TransportHeader.read(bytes) { return refuse(reason) }
                return refuse("the transport header was cut short")
            }
            if let name = header.name {
                guard gateway != nil else { return refuse("this proxy is no gateway: \(name.prefix(300))") }
                guard let authority = Authority("\(name):\(header.port)") else { return refuse("the transport header's name is none: \(name.prefix(300))") }
                server.countTransportHeader(header, client)
                gatewayName = authority
                port = server.port(server.configuration.inboundListen.port)
                let rest = Array(bytes.dropFirst(length))
                switch header.sessionProtocol {
                case .http1: return serve(stream, .http11, rest)
                case .http2: return serve(stream, .http2, rest)
                case nil: return relay(stream, rest)
                }
            }
            guard header.port != server.configuration.inboundListen.port else { return refuse("the transport header names the proxy's own port") }
            server.countTransportHeader(header, client)
            target = SocketAddress(target.ip, header.port)
            let port = server.port(header.port)
            self.port = port
            let rest = Array(bytes.dropFirst(length))
            switch header.sessionProtocol {
            case .http1: serve(stream, .http11, rest)
            case .http2: serve(stream, .http2, rest)
            case nil: relay(stream, rest)
            }
        }
    }

    // MARK: Protocol

    private func speak(_ connection: any Connection, _ bytes: [UInt8]) {
        guard let port else { return end() }
        switch port.policy.kind {
        case .opaque, .tls: relay(connection, bytes)
        case .http2, .grpc: serve(connection, .http2, bytes)
        case .http1 where !client.isMeshTLS: serve(connection, .http11, bytes)
        case .http1: detectHTTP(connection, bytes, timeout: server.configuration.inbound.detectTimeout, timeoutIsHTTP1: true)
        case .detect(let timeout, _): detectHTTP(connection, bytes, timeout: timeout, timeoutIsHTTP1: false)
        }
    }

    private func detectHTTP(_ connection: any Connection, _ bytes: [UInt8], timeout: Interval, timeoutIsHTTP1: Bool) {
        let started = host.now
        let detected = { [self] (result: DetectionResult) in port?.detection.count(result, after: host.now - started) }
        Peek(connection, buffered: bytes, host: host, timeout: timeout, isEnough: { HTTPSniff.sniff($0) != .incomplete }) { [self] outcome in
            switch outcome {
            case .gone:
                detected(.error)
                end()
            case .timedOut(let bytes):
                detected(.timedOut)
                timeoutIsHTTP1 ? serve(connection, .http11, bytes) : relay(connection, bytes)
            case .decided(let bytes):
                let found = HTTPSniff.sniff(bytes)
                detected(DetectionResult(found))
                switch found {
                case .http1: serve(connection, .http11, bytes)
                case .http2: serve(connection, .http2, bytes)
                case .notHTTP, .incomplete: relay(connection, bytes)
                }
            }
        }
    }

    // MARK: HTTP

    private func serve(_ connection: any Connection, _ version: HTTPVersion, _ buffered: [UInt8]) {
        identify()
        let http = HTTPConnection(serving: connection, version: version, settings: server.configuration.inbound.serverHTTP2, batch: server.batch, limits: server.limits, owner: self)
        self.http = http
        connection.isReadingPaused = false
        http.receive(buffered: buffered.span.bytes)
    }

    func request(_ stream: HTTPStream, _ head: RequestHead, endStream: Bool) { server.http.request(stream, head, endStream: endStream, link: self) }

    func closed(_ connection: HTTPConnection) { end() }

    /// What lets this client pass on one route, and where its requests are counted. It holds for every request of the connection until
    /// the policy changes, however long the list of authorizations is.
    struct Verdict {
        fileprivate let route: Int
        fileprivate let authority: String?
        let isAudit: Bool
        let counters: InboundCounters
    }

    /// nil: denied. A denial is judged anew each time; nobody builds on its speed. `authority`: nil unless requests are counted by it.
    func verdict(_ route: Int, authority: String?, on port: InboundPort, _ registry: MetricsRegistry) -> Verdict? {
        if verdictGeneration != port.generation {
            verdictGeneration = port.generation
            verdicts.removeAll()
        }
        for verdict in verdicts where verdict.route == route && verdict.authority == authority { return verdict }
        let found = port.policy.routes[route]
        guard let authorization = port.policy.authorization(for: client, route: found) else { return nil }
        let counters = InboundCounters(registry: registry, port: port, target: target, client: client, route: found.name, authorization: authorization.name, authority: authority)
        let made = Verdict(route: route, authority: authority, isAudit: authorization.isAudit, counters: counters)
        if verdicts.count == ProxyLimits.verdictsMax { verdicts.removeFirst() }
        verdicts.append(made)
        return made
    }

    /// Where it goes and which server that is.
    var decidedLabels: [(String, String)] { [("target_addr", "\(target)"), ("target_ip", "\(target.ip)"), ("target_port", "\(target.port)")] + (port?.serverLabels ?? []) }

    /// And who asks; `more` stands between.
    func labels(_ more: [(String, String)] = []) -> [(String, String)] { decidedLabels + more + client.labels }

    /// Who is at the other end is known as well as it will be: the connection is counted from here.
    private func identify() {
        metered?.count(in: TransportSeries(server.registry, [("direction", "inbound"), ("peer", "src")] + labels()))
        metered = nil
    }

    // MARK: Opaque

    private func relay(_ connection: any Connection, _ buffered: [UInt8]) {
        guard let port else { return end() }
        identify()
        guard let authorization = port.policy.authorization(for: client) else {
            server.count(Families.connectionsDenied, labels())
            host.log(.info, "weft::inbound", "connection denied: server \(port.policy.server.name), client \(client.address), identity \(client.identity ?? "none")")
            return refuse(nil)
        }
        relayAuthorization = authorization
        server.count(Families.connectionsAllowed, labels(authorization.name.authorizationLabels))
        port.relayBegan(self)
        if let gatewayName, let gateway { return relay(connection, buffered, to: gatewayName, gateway) }
        let connector = port.connector(target)
        relay = ByteRelay(caller: connection, buffered: buffered, observer: self) { connector.connect($0) }
    }

    /// For people.
    func describe(_ json: inout JSONText) {
        json.member("client", "\(client.address)")
        json.member("identity", client.identity)
        json.member("tls", flag: client.isMeshTLS)
        json.member("target", "\(target)")
        json.member("protocol", http.map { "\($0.version)" } ?? (relay != nil ? "opaque" : "undecided"))
        if let http { json.member("streams", number: http.streamCount) }
    }

    /// Bytes for somebody behind this gateway.
    private func relay(_ connection: any Connection, _ buffered: [UInt8], to name: Authority, _ gateway: Gateway) {
        guard gateway.serves(name), client.identity != server.identity.localName else {
            server.countError(gateway.serves(name) ? "gateway loop" : "gateway domain invalid", target)
            return refuse("\(name) is not behind this gateway")
        }
        connection.handler = self
        connection.isReadingPaused = true
        self.connection = connection
        let stack = gateway.stack(name)
        named = stack
        // Who waits for a name that nobody can look up gives up with it.
        waitTimer = host.after(server.configuration.outbound.opaqueFailfastTimeout) { [self] in
            waitTimer = nil
            if relay == nil { refuse("\(name): nothing is known of it") }
        }
        stack.whenKnown { [self] target in
            guard !isEnded, relay == nil, named === stack else { return }
            guard target.profile?.fullyQualifiedName != nil || target.profile?.endpoint != nil else { return refuse("\(name) is no service of this cluster") }
            stack.opaque { [self] result in
                guard !isEnded, let connection = self.connection else { return }
                switch result {
                case .failure(let refusal): refuse(refusal.reason)
                case .success(let endpoint):
                    if let waitTimer { host.cancel(waitTimer) }
                    waitTimer = nil
                    self.endpoint = endpoint
                    endpoint.load.inFlight += 1
                    relay = ByteRelay(caller: connection, buffered: buffered, observer: self) { endpoint.connector.connect($0) }
                    // The client has said all it will: whoever is behind us must hear that, too.
                    if isClientFinished { host.after(.zero) { connection.handler?.finished(connection) } }
                }
            }
        }
    }
    private var waitTimer: TimerID?
    private var isClientFinished = false

    /// Judged again when the policy has changed.
    func isStillAllowed() -> Bool { port?.policy.authorization(for: client) != nil }

    func terminate() {
        server.count(Families.connectionsTerminated, labels())
        relay?.terminate()
    }

    func relayConnected(_ relay: ByteRelay) {}
    func relayEnded(_ relay: ByteRelay, _ failure: HostFailure?) { end() }

    // MARK: Between the steps

    func received(_ bytes: RawSpan, on connection: any Connection) { if gatewayName == nil { host.unexpected("bytes came between two steps of an inbound connection") } }
    func finished(_ connection: any Connection) { isClientFinished = true }
    func closed(_ connection: any Connection, _ failure: HostFailure?) { end() }

    private func refuse(_ reason: String?) {
        if let reason { host.log(.info, "weft::inbound", "connection from \(client.address) refused: \(reason)") }
        let connection = connection
        self.connection = nil
        connection?.handler = nil
        connection?.reset()
        end()
    }

    private func end() {
        if isEnded { return }
        isEnded = true
        identify()
        if let handshakeTimer { host.cancel(handshakeTimer) }
        handshakeTimer = nil
        if let waitTimer { host.cancel(waitTimer) }
        waitTimer = nil
        endpoint?.load.inFlight -= 1
        endpoint = nil
        named?.release()
        named = nil
        if relay != nil || relayAuthorization != nil { port?.relayEnded(self) }
        if let port { server.release(port) }
        connection = nil
        http = nil
        relay = nil
        server.gone(self)
    }
}

/// Waits for a server handshake to end.
private final class HandshakeWaiter: ConnectionHandler {
    private var done: ((HostFailure?) -> Void)?

    init(_ done: @escaping (HostFailure?) -> Void) { self.done = done }

    func connected(_ connection: any Connection) { tell(nil) }
    func received(_ bytes: RawSpan, on connection: any Connection) {}
    func finished(_ connection: any Connection) {}
    func closed(_ connection: any Connection, _ failure: HostFailure?) { tell(failure ?? HostFailure("TLS handshake with", .connectionReset, subject: "\(connection.remoteAddress)")) }

    private func tell(_ failure: HostFailure?) {
        let done = done
        self.done = nil
        done?(failure)
    }
}
