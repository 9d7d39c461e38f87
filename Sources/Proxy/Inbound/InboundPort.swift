// One port that this pod serves: the policy in force, its routes prepared for look-up, and the clients to the application. Kept
// while connections use it. Source: linkerd2-proxy inbound policy and http, shared facts on the data plane 3.

import Base
import HTTP
import Platform
import Transport

final class InboundPort {
    let port: UInt16
    private let batch: FlushBatch
    private let configuration: Configuration
    private let registry: MetricsRegistry
    private let watch: Watch<InboundPolicy>
    private var subscription: WatchID?
    private(set) var policy: InboundPolicy
    private var table = RouteTable([])
    private var rules: [[[HTTPFilter]]] = []
    /// One for each address and version of the application; few.
    private var clients: [(address: SocketAddress, client: HTTPClient)] = []
    /// nil: as many requests as come. Kept while its terms stay.
    private(set) var limiter: RateLimiter?
    /// Opaque connections that a change of policy may end.
    private var relays: [InboundLink] = []
    /// Changes with every change of the policy, so that what was decided under an older one is decided again.
    private(set) var generation: UInt64 = 0
    private var idle = Idleness()
    /// Of the routes that were used under this policy.
    private var routeSeries: [(route: ResourceName, series: InboundRouteSeries)] = []

    init(port: UInt16, batch: FlushBatch, configuration: Configuration, policies: any InboundPolicies, registry: MetricsRegistry) {
        self.port = port
        self.batch = batch
        self.configuration = configuration
        self.registry = registry
        watch = policies.policy(port: port)
        policy = watch.value ?? InboundPolicy(kind: .opaque)
        subscription = watch.subscribe { [unowned self] in changed($0) }
    }

    /// The route and the rule that take a request; nil: none does.
    func find(_ head: RequestHead) -> RuleIndex? { table.find(head) }

    func route(_ index: RuleIndex) -> InboundRoute { policy.routes[index.route] }
    func filters(_ index: RuleIndex) -> [HTTPFilter] { rules[index.route][index.rule] }

    /// To the application at this address of ours.
    func client(_ address: SocketAddress, version: HTTPVersion) -> HTTPClient {
        let version: HTTPVersion = version == .http2 ? .http2 : .http11
        if let found = clients.first(where: { $0.address == address && $0.client.version == version }) { return found.client }
        let made = HTTPClient(version: version, connector: connector(address), batch: batch, settings: configuration.clientHTTP2, limits: configuration.inbound.clientLimits)
        clients.append((address, made))
        return made
    }

    func connector(_ address: SocketAddress) -> any Connector {
        let side = configuration.inbound
        let options = ConnectOptions(timeout: side.connectTimeout, keepAlive: side.connectKeepAlive, userTimeout: side.connectUserTimeout)
        let labels = [("direction", "inbound"), ("peer", "dst")] + targetLabels(address)
        return MeteredConnector(TCPConnector(host: batch.host, address: address, options: options), series: TransportSeries(registry, labels))
    }

    /// Where the requests of a route are counted; kept while the policy is.
    func series(_ route: ResourceName) -> InboundRouteSeries {
        if let found = routeSeries.first(where: { $0.route == route }) { return found.series }
        let isGRPC = if case .grpc = policy.kind { true } else { false }
        let made = InboundRouteSeries(registry, port: self, route: route, isGRPC: isGRPC)
        routeSeries.append((route, made))
        return made
    }

    func targetLabels(_ address: SocketAddress) -> [(String, String)] {
        [("target_addr", "\(address)"), ("target_ip", "\(address.ip)"), ("target_port", "\(address.port)")]
    }

    /// Where attempts to tell HTTP from the rest are counted.
    private(set) lazy var detection = DetectionSeries(registry, Families.inboundDetection, serverLabels)

    /// Connections that use it.
    var users: Int { idle.users }

    func retain() { idle.acquire(batch.host) }

    /// `expired` is called when nobody has come back for the idle timeout.
    func release(_ expired: @escaping () -> Void) { idle.release(batch.host, configuration.inbound.discoveryIdleTimeout, expired) }

    /// Unit: bytes.
    var bytesHeld: Int { clients.reduce(0) { $0 + $1.client.bytesHeld } }

    func relayBegan(_ link: InboundLink) { relays.append(link) }
    func relayEnded(_ link: InboundLink) { relays.removeAll { $0 === link } }

    var serverLabels: [(String, String)] {
        [("srv_group", policy.server.group), ("srv_kind", policy.server.kind), ("srv_name", policy.server.name), ("srv_port", "\(port)")]
    }

    func retire() {
        if let subscription { watch.cancel(subscription) }
        subscription = nil
        idle.cancel(batch.host)
        for (_, client) in clients { client.drain() }
        clients = []
    }

    private func changed(_ new: InboundPolicy) {
        generation += 1
        policy = new
        routeSeries = []
        detection = DetectionSeries(registry, Families.inboundDetection, serverLabels)
        if limiter?.limit != new.rateLimit { limiter = new.rateLimit.map { RateLimiter($0, now: batch.host.now) } }
        table = RouteTable(new.routes.map { ($0.hosts, $0.rules.map(\.matches)) })
        rules = new.routes.map { $0.rules.map(\.filters) }
        for link in relays where !link.isStillAllowed() { link.terminate() }
    }
}
