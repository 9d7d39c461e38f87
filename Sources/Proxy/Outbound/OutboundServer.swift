// The outbound listener: connections of the pod's applications, redirected here by the kernel. Each is held until discovery knows
// its destination, then becomes HTTP or an opaque relay. Source: linkerd2-proxy outbound, shared facts on the data plane 2.1 to 2.6.

import Base
import HTTP
import Platform
import TLS
import Transport

public final class OutboundServer: AcceptHandler {
    fileprivate let batch: FlushBatch
    fileprivate let configuration: Configuration
    let http: OutboundHTTP
    fileprivate let limits: TransportLimits
    let links = LinkTable<OutboundLink>()
    private let discovery: any OutboundDiscovery
    private let connectors: EndpointConnectors
    let backends: HTTPBackends
    fileprivate let registry: MetricsRegistry
    private var listeners: [any Listener] = []
    /// Look-up only; `stacks` has the order.
    private var table: [Destination: OutboundStack] = [:]
    private(set) var stacks: [OutboundStack] = []
    private var drained: (() -> Void)?

    init(batch: FlushBatch, configuration: Configuration, identity: any MeshIdentity, discovery: any OutboundDiscovery, registry: MetricsRegistry) {
        self.batch = batch
        self.configuration = configuration
        self.discovery = discovery
        limits = configuration.outbound.serverLimits
        connectors = EndpointConnectors(host: batch.host, configuration: configuration, identity: identity, registry: registry)
        backends = HTTPBackends(batch: batch, configuration: configuration, discovery: discovery, connectors: connectors, registry: registry)
        http = OutboundHTTP(host: batch.host, configuration: configuration, registry: registry)
        self.registry = registry
    }

    /// nil: there is no collector.
    var tracer: Tracer? { didSet { http.tracer = tracer } }

    /// nil: nobody may watch.
    var taps: Taps? { didSet { http.taps = taps } }

    /// Binds and accepts.
    func start() throws(HostFailure) { try start(through: self) }

    /// Binds; `entrance` hands connections on when they may come in.
    func start(through entrance: any AcceptHandler) throws(HostFailure) {
        let side = configuration.outbound
        for address in configuration.outboundListen {
            let options = ListenOptions(wantsOriginalDestination: true, backlog: side.backlog, keepAlive: side.acceptKeepAlive, userTimeout: side.acceptUserTimeout)
            listeners.append(try batch.host.network.listen(on: address, options: options, handler: entrance))
        }
    }

    /// Memory of engines toward applications and endpoints, and bytes not sent. Unit: bytes.
    var bytesHeld: Int { links.links.reduce(0) { $0 + $1.bytesHeld } + backends.list.reduce(0) { $0 + $1.bytesHeld } }
    var connectionCount: Int { links.count }

    /// Stops accepting and lets what is open finish; `done` is called once.
    func drain(_ done: @escaping () -> Void) {
        for listener in listeners { listener.close() }
        listeners = []
        drained = done
        batch.enter()
        for link in links.links { link.drain() }
        batch.leave()
        tellIfDrained()
    }

    public func accepted(_ connection: any Connection) {
        guard links.count < ProxyLimits.connectionsMax else {
            batch.host.log(.warn, "weft::outbound", "too many connections, closing one from \(connection.remoteAddress)")
            return connection.reset()
        }
        guard let destination = connection.originalDestination, !isLoop(destination) else {
            batch.host.log(.warn, "weft::outbound", "connection from \(connection.remoteAddress) has no original destination, or it is this proxy")
            return connection.reset()
        }
        connection.isReadingPaused = true
        let stack = stack(.address(destination))
        let link = OutboundLink(MeteredConnection(accepted: connection, series: stack.source), stack: stack, server: self)
        links.insert(link)
        link.start()
    }

    /// What was sent to the proxy itself must not be sent to it again.
    private func isLoop(_ destination: SocketAddress) -> Bool {
        configuration.outboundListen.contains { $0.port == destination.port && (destination.ip.isLoopback || $0.ip == destination.ip) }
    }

    func stack(_ destination: Destination) -> OutboundStack {
        if let found = table[destination] { return found }
        let made = OutboundStack(destination, host: batch.host, configuration: configuration, discovery: discovery, backends: backends, connectors: connectors) { [unowned self] idle in
            table[idle.destination] = nil
            stacks.removeAll { $0 === idle }
        }
        table[destination] = made
        stacks.append(made)
        return made
    }

    fileprivate func gone(_ link: OutboundLink) {
        links.remove(link)
        tellIfDrained()
    }

    private func tellIfDrained() {
        guard links.count == 0, let done = drained else { return }
        drained = nil
        for stack in stacks { stack.retire() }
        stacks = []
        table = [:]
        done()
    }
}

/// One accepted connection.
final class OutboundLink: Linked, HTTPConnectionOwner, ByteRelayObserver, ConnectionHandler {
    private var connection: (any Connection)?
    private let stack: OutboundStack
    private let server: OutboundServer
    private var http: HTTPConnection?
    private var relay: ByteRelay?
    private var endpoint: OpaqueEndpoint?
    private var dialled: Instant?
    private var host: any Host { server.batch.host }

    init(_ connection: any Connection, stack: OutboundStack, server: OutboundServer) {
        self.connection = connection
        self.stack = stack
        self.server = server
        super.init()
        stack.retain()
        connection.handler = self
    }

    func start() {
        stack.whenKnown { [self] target in
            guard let connection else { return }
            server.registry.metric(Families.protocolConnections, [("protocol", target.protocolName)] + target.policy.parent.parentLabels).increment()
            // An ingress is told in each request where it goes: what the address alone says counts for everything else.
            if server.configuration.isIngress { return detect(connection) }
            if target.profile?.isOpaque ?? false { return relay(connection, []) }
            switch target.policy.kind {
            case .opaque: relay(connection, [])
            case .tls: peekName(connection)
            case .http1: serve(connection, .http11, [])
            case .http2, .grpc: serve(connection, .http2, [])
            case .detect, .invalid: detect(connection)
            }
        }
    }

    /// Unit: bytes.
    var bytesHeld: Int { (http?.bytesHeld ?? 0) + (relay?.bytesHeld ?? 0) }

    func drain() {
        if let http {
            http.drain()
        } else if relay == nil, let connection {
            // Nobody knows yet what it is: the application tries again elsewhere.
            self.connection = nil
            connection.reset()
            end()
        }
    }

    private func detect(_ connection: any Connection) {
        let started = host.now
        let detected = { [self] (result: DetectionResult) in stack.detection.count(result, after: host.now - started) }
        Peek(connection, host: host, timeout: server.configuration.outbound.detectTimeout, isEnough: { HTTPSniff.sniff($0) != .incomplete }) { [self] outcome in
            switch outcome {
            case .gone:
                detected(.error)
                end()
            case .timedOut(let bytes):
                detected(.timedOut)
                host.log(.info, "weft::outbound", "\(stack.address): no HTTP within \(server.configuration.outbound.detectTimeout), forwarding as opaque")
                relay(connection, bytes)
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

    /// TLS that is not ours to open: the name that it asks for says where it goes.
    private func peekName(_ connection: any Connection) {
        Peek(connection, host: host, timeout: server.configuration.outbound.detectTimeout, isEnough: { ClientHello.sniff($0.span.bytes) != .incomplete }) { [self] outcome in
            switch outcome {
            case .gone: end()
            case .decided(let bytes):
                if case .hello(let name?, _) = ClientHello.sniff(bytes.span.bytes) { return relay(connection, bytes, serverName: name) }
                refuse(connection, "\(stack.address): no server name in the TLS handshake")
            case .timedOut: refuse(connection, "\(stack.address): no TLS handshake within \(server.configuration.outbound.detectTimeout)")
            }
        }
    }

    /// For people.
    func describe(_ json: inout JSONText) {
        json.member("client", connection.map { "\($0.remoteAddress)" } ?? http?.connection.map { "\($0.remoteAddress)" })
        json.member("destination", "\(stack.address)")
        if let http {
            json.member("protocol", "\(http.version)")
            json.member("streams", number: http.streamCount)
        } else if relay != nil {
            json.member("protocol", "opaque")
            json.member("endpoint", endpoint.map { "\($0.endpoint.address)" })
        } else {
            json.member("protocol", "undecided")
        }
    }

    private func refuse(_ connection: any Connection, _ reason: String) {
        host.log(.info, "weft::outbound", "connection refused: \(reason)")
        server.registry.metric(Families.outboundConnectionErrors, stack.targetLabels + [("error", "unexpected")]).increment()
        self.connection = nil
        connection.reset()
        end()
    }

    // MARK: HTTP

    private func serve(_ connection: any Connection, _ version: HTTPVersion, _ buffered: [UInt8]) {
        let http = HTTPConnection(serving: connection, version: version, settings: server.configuration.outbound.serverHTTP2, batch: server.batch, limits: server.limits, owner: self)
        self.http = http
        connection.isReadingPaused = false
        http.receive(buffered: buffered.span.bytes)
    }

    func request(_ stream: HTTPStream, _ head: RequestHead, endStream: Bool) {
        guard server.configuration.isIngress, let named = head.headers.first("l5d-dst-override") else { return server.http.request(stream, head, endStream: endStream, stack: stack) }
        var head = head
        head.headers.removeAll("l5d-dst-override")
        guard let name = Authority(named, port: 80) else { return stream.respond(status: 400) }
        server.http.request(stream, head, endStream: endStream, named: server.stack(.name(name)))
    }

    func closed(_ connection: HTTPConnection) { end() }

    // MARK: Opaque

    private func relay(_ connection: any Connection, _ buffered: [UInt8], serverName: String? = nil) {
        // Held without being read until there is somebody to read for; the client's leaving is heard all the same.
        connection.handler = self
        connection.isReadingPaused = true
        let answer = { [self] (result: Result<OpaqueEndpoint, Refusal>) in
            guard let connection = self.connection else { return }
            switch result {
            case .failure(let refusal): refuse(connection, refusal.reason)
            case .success(let endpoint):
                self.endpoint = endpoint
                endpoint.load.inFlight += 1
                dialled = host.now
                relay = ByteRelay(caller: connection, buffered: buffered, observer: self) { endpoint.connector.connect($0) }
            }
        }
        if let serverName { stack.tls(serverName, answer) } else { stack.opaque(answer) }
    }

    func relayConnected(_ relay: ByteRelay) {
        if let dialled, let endpoint { endpoint.load.observe(host.now - dialled, now: host.now) }
        dialled = nil
    }

    func relayEnded(_ relay: ByteRelay, _ failure: HostFailure?) {
        if failure != nil, dialled != nil { server.registry.metric(Families.outboundConnectionErrors, stack.targetLabels + [("error", "i/o")]).increment() }
        end()
    }

    // MARK: Before anything is decided

    func received(_ bytes: RawSpan, on connection: any Connection) {}

    func finished(_ connection: any Connection) {}

    func closed(_ connection: any Connection, _ failure: HostFailure?) { end() }

    private var isEnded = false

    private func end() {
        if isEnded { return }
        isEnded = true
        endpoint?.load.inFlight -= 1
        endpoint = nil
        connection = nil
        http = nil
        relay = nil
        stack.release()
        server.gone(self)
    }
}
