// The HTTP backends in use, shared by every original destination that leads to them: a balancer for an authority, a single
// endpoint for a forward. They are made at first use and let go when the last router that uses them goes.

import Base
import HTTP
import Platform
import Transport

/// One backend for one version of HTTP.
final class HTTPBackend {
    enum Kind {
        case balance(HTTPBalancer, authority: String, Watch<EndpointSet>, WatchID)
        case forward(HTTPEndpoint)
    }

    fileprivate(set) var kind: Kind
    fileprivate let key: HTTPBackends.Key
    fileprivate var users = 0

    fileprivate init(kind: Kind, key: HTTPBackends.Key) {
        self.kind = kind
        self.key = key
    }

    /// False while the balancer fails fast.
    var isReady: Bool {
        switch kind {
        case .balance(let balancer, _, _, _): !balancer.isShut
        case .forward: true
        }
    }

    /// Unit: bytes.
    var bytesHeld: Int {
        switch kind {
        case .balance(let balancer, _, _, _): balancer.endpoints.reduce(0) { $0 + $1.bytesHeld }
        case .forward(let endpoint): endpoint.bytesHeld
        }
    }

    /// A request would get an endpoint at once.
    var hasReadyEndpoint: Bool {
        switch kind {
        case .balance(let balancer, _, _, _): balancer.isReady
        case .forward: true
        }
    }

    /// Tells `assigner` an endpoint, now or when one is ready; or fails the exchange.
    func dispatch(_ exchange: HTTPExchange, to assigner: any HTTPAssigner) {
        switch kind {
        case .balance(let balancer, _, _, _): balancer.dispatch(exchange, to: assigner)
        case .forward(let endpoint): assigner.assign(exchange, to: endpoint)
        }
    }
}

final class HTTPBackends {
    fileprivate struct Key: Hashable {
        var name: String
        var isHTTP2: Bool
        var accrual: FailureAccrual?
        var load = LoadTerms()
        /// Series tell apart who sends where, so that two parents of one backend have a balancer each, as with Linkerd.
        var parent = ResourceName()
        var backend = ResourceName()
    }

    private let host: any Host
    private let batch: FlushBatch
    private let configuration: Configuration
    private let discovery: any OutboundDiscovery
    private let connectors: EndpointConnectors
    let registry: MetricsRegistry
    /// Routes tell their requests apart by the host asked for.
    var namesHosts: Bool { configuration.hasHostnameLabels }
    /// Look-up only.
    private var table: [Key: HTTPBackend] = [:]
    /// For people, in order of birth.
    private(set) var list: [HTTPBackend] = []

    init(batch: FlushBatch, configuration: Configuration, discovery: any OutboundDiscovery, connectors: EndpointConnectors, registry: MetricsRegistry) {
        host = batch.host
        self.batch = batch
        self.configuration = configuration
        self.discovery = discovery
        self.connectors = connectors
        self.registry = registry
    }

    /// Endpoints of an authority. Every call is matched by one `release`.
    func balance(_ authority: String, version: HTTPVersion, parent: ResourceName, name: ResourceName, load: LoadTerms, accrual: FailureAccrual?) -> HTTPBackend {
        let key = Key(name: authority, isHTTP2: version == .http2, accrual: accrual, load: load, parent: parent, backend: name)
        if let found = use(key) { return found }
        let balancer = HTTPBalancer(
            name: authority, host: host, queueRequestsMax: configuration.outbound.queueRequestsMax, failfastTimeout: configuration.outbound.failfastTimeout,
            series: BalancerSeries(registry, Families.httpBalancer, parent.parentLabels + name.backendLabels, host: host, failfastTimeout: configuration.outbound.failfastTimeout)
        ) { [unowned self] endpoint, observer in make(endpoint, version, authority: authority, load: load, accrual: accrual, observer: observer) }
        let watch = discovery.endpoints(authority)
        let subscription = watch.subscribe { set in
            switch set {
            case .exists(let endpoints): balancer.update(endpoints)
            case .doesNotExist: balancer.update([])
            }
        }
        return add(HTTPBackend(kind: .balance(balancer, authority: authority, watch, subscription), key: key))
    }

    /// One endpoint. Every call is matched by one `release`.
    func forward(_ endpoint: Endpoint, version: HTTPVersion) -> HTTPBackend {
        let key = Key(name: "forward \(endpoint)", isHTTP2: version == .http2)
        return use(key) ?? add(HTTPBackend(kind: .forward(make(endpoint, version, authority: nil, load: LoadTerms(), accrual: nil, observer: nil)), key: key))
    }

    func release(_ backend: HTTPBackend) {
        backend.users -= 1
        guard backend.users == 0 else { return }
        table[backend.key] = nil
        list.removeAll { $0 === backend }
        switch backend.kind {
        case .balance(let balancer, let authority, let watch, let subscription):
            watch.cancel(subscription)
            discovery.release(authority: authority)
            balancer.retire()
        case .forward(let endpoint): endpoint.retire()
        }
    }

    private func use(_ key: Key) -> HTTPBackend? {
        let found = table[key]
        found?.users += 1
        return found
    }

    private func add(_ backend: HTTPBackend) -> HTTPBackend {
        backend.users = 1
        table[backend.key] = backend
        list.append(backend)
        return backend
    }

    private func make(_ endpoint: Endpoint, _ application: HTTPVersion, authority: String?, load: LoadTerms, accrual: FailureAccrual?, observer: (any HTTPEndpointObserver)?) -> HTTPEndpoint {
        let version = connectors.version(endpoint, application: application)
        let labels = connectors.labels(endpoint, authority: authority)
        let settings = connectors.http2Settings(endpoint)
        let limits = configuration.outbound.clientLimits
        let client = { [connectors, batch] (version: HTTPVersion) in
            HTTPClient(version: version, connector: connectors.http(endpoint, version: version, labels: labels), batch: batch, settings: settings, limits: limits)
        }
        let breaker = accrual.map { Breaker($0, host: host, random: host.random("breaker/\(authority ?? "")/\(endpoint.address)")) }
        return HTTPEndpoint(
            endpoint: endpoint, series: RequestSeries(registry, Families.requests, labels), client: client(version), upgradeClient: { client(.http11) }, host: host,
            backoff: Backoff(configuration.outbound.connectBackoff, random: host.random("endpoint/\(endpoint.address)")), load: load, breaker: breaker, observer: observer)
    }
}
