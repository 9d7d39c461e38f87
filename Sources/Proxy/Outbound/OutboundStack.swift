// All that is known and held about one original destination: what discovery says, a router for each version of HTTP, the opaque
// balancers. Connections share it; it is let go when it was unused for the discovery idle timeout.

import Base
import HTTP
import Platform

final class OutboundStack {
    let destination: Destination
    private let host: any Host
    private let backends: HTTPBackends
    private let discovery: any OutboundDiscovery
    private let connectors: EndpointConnectors
    private let configuration: Configuration
    private let watch: Watch<OutboundTarget>
    private var subscription: WatchID?
    private var routers: (http1: HTTPRouter?, http2: HTTPRouter?)
    private var balancers: [OpaqueBalancer] = []
    /// Of the profile, whatever version a request has.
    private let budget: RetryBudget
    private var users = 0
    private var idleTimer: TimerID?
    private var waiting: [(OutboundTarget) -> Void] = []
    private let random: Random
    /// Told once, when nobody has used it for long enough.
    private var onIdle: ((OutboundStack) -> Void)?

    init(_ destination: Destination, host: any Host, configuration: Configuration, discovery: any OutboundDiscovery, backends: HTTPBackends, connectors: EndpointConnectors, onIdle: @escaping (OutboundStack) -> Void) {
        self.destination = destination
        self.host = host
        self.configuration = configuration
        self.discovery = discovery
        self.backends = backends
        self.connectors = connectors
        self.onIdle = onIdle
        random = host.random("routes/\(destination)")
        watch = discovery.target(destination)
        budget = RetryBudget(terms: watch.value?.profile?.budget ?? ServiceProfile.Budget(), now: host.now)
        subscription = watch.subscribe { [unowned self] in changed($0) }
    }

    var target: OutboundTarget? { watch.value }
    /// Where connections to it were sent; for a name there is no such place, only a port.
    var address: SocketAddress { if case .address(let address) = destination { address } else { SocketAddress(.any, destination.port) } }
    var targetLabels: [(String, String)] { [("target_addr", "\(address)"), ("target_ip", "\(address.ip)"), ("target_port", "\(address.port)")] }
    /// Where connections of applications to this destination are counted.
    private(set) lazy var source = TransportSeries(
        backends.registry, [("direction", "outbound"), ("peer", "src")] + targetLabels + [("tls", "no_identity"), ("no_tls_reason", "loopback")])
    /// Where attempts to tell HTTP from the rest are counted.
    private(set) lazy var detection = DetectionSeries(backends.registry, Families.outboundDetection, target?.policy.parent.parentLabels ?? [])

    /// For people.
    func describe(_ json: inout JSONText) {
        json.member("addr", "\(destination)")
        json.member("protocol", target?.protocolName)
        json.member("parent", target?.policy.parent.stateText)
        json.member("profile", target?.profile?.fullyQualifiedName)
        json.member("users", number: users)
        for (name, router) in [("http1", routers.http1), ("http2", routers.http2)] {
            guard let router else { continue }
            json.key(name)
            json.object { router.describe(&$0) }
        }
        json.list("opaque", balancers) { $0.describe(&$1) }
    }

    func retain() {
        users += 1
        if let idleTimer { host.cancel(idleTimer) }
        idleTimer = nil
    }

    func release() {
        users -= 1
        guard users == 0, onIdle != nil else { return }
        idleTimer = host.after(configuration.outbound.discoveryIdleTimeout) { [self] in
            idleTimer = nil
            let tell = onIdle
            retire()
            tell?(self)
        }
    }

    func retire() {
        onIdle = nil
        if let idleTimer { host.cancel(idleTimer) }
        idleTimer = nil
        if let subscription { watch.cancel(subscription) }
        subscription = nil
        discovery.release(destination)
        routers.http1?.retire()
        routers.http2?.retire()
        for balancer in balancers { balancer.retire() }
        routers = (nil, nil)
        balancers = []
    }

    /// Calls `action` when discovery has spoken; at once if it has.
    func whenKnown(_ action: @escaping (OutboundTarget) -> Void) {
        if let target { action(target) } else { waiting.append(action) }
    }

    func router(_ version: HTTPVersion) -> HTTPRouter {
        if let router = version == .http2 ? routers.http2 : routers.http1 { return router }
        let router = HTTPRouter(backends: backends, registry: backends.registry, version: version, random: random.fork(version == .http2 ? "http2" : "http1"), budget: budget)
        if version == .http2 { routers.http2 = router } else { routers.http1 = router }
        if let target { router.update(target, port: address.port) }
        return router
    }

    /// Where an opaque connection goes: an endpoint, now or soon, or a reason against it.
    func opaque(_ then: @escaping (Result<OpaqueEndpoint, Refusal>) -> Void) {
        guard let target else { return then(.failure(Refusal("\(destination): nothing is known of this destination"))) }
        let distribution: Distribution
        if let profile = target.profile, let name = profile.fullyQualifiedName, !profile.overrides.isEmpty {
            distribution = .randomAvailable(profile.overrides.map { (Backend(kind: .balance($0.authority)), $0.weight) })
            _ = name
        } else if let profile = target.profile, profile.isOpaque, let endpoint = profile.endpoint {
            distribution = .firstAvailable([Backend(kind: .forward(endpoint))])
        } else {
            let routes: [OpaqueRoute]
            switch target.policy.kind {
            case .opaque(let list), .detect(_, _, let list): routes = list
            case .tls, .http1, .http2, .grpc: routes = Self.opaqueFallback(target, address)
            case .invalid(let reason): return then(.failure(Refusal("\(destination): invalid policy: \(reason)")))
            }
            guard let route = routes.first else { return then(.failure(Refusal("\(destination): no opaque route"))) }
            if let refusal = route.refusal { return then(.failure(Refusal("\(destination): \(refusal)"))) }
            distribution = route.backends
        }
        connect(distribution, then)
    }

    /// Where a TLS connection goes that asks for this server: an exact name before a suffix, a longer suffix before a shorter.
    func tls(_ serverName: String, _ then: @escaping (Result<OpaqueEndpoint, Refusal>) -> Void) {
        guard case .tls(let routes)? = target?.policy.kind else { return opaque(then) }
        var best: (score: Int, route: TLSRoute)?
        let host = PreparedHosts.hostOnly(serverName)
        for route in routes {
            if let score = PreparedHosts(route.serverNames).score(host), score > best?.score ?? -1 { best = (score, route) }
        }
        guard let route = best?.route else { return then(.failure(Refusal("\(destination): no TLS route for \(serverName)"))) }
        if let refusal = route.refusal { return then(.failure(Refusal("\(destination): \(refusal)"))) }
        connect(route.backends, then)
    }

    private func connect(_ distribution: Distribution, _ then: @escaping (Result<OpaqueEndpoint, Refusal>) -> Void) {
        guard let backend = choose(distribution) else { return then(.failure(Refusal("\(destination): no backend"))) }
        connect(backend, distribution, then)
    }

    private func connect(_ backend: Backend, _ distribution: Distribution, _ then: @escaping (Result<OpaqueEndpoint, Refusal>) -> Void) {
        if let refusal = backend.refusal { return then(.failure(Refusal("\(destination): \(refusal)"))) }
        switch backend.kind {
        case .fail(let reason): then(.failure(Refusal("\(destination): \(reason)")))
        case .forward(let endpoint):
            then(.success(OpaqueEndpoint(endpoint: endpoint, connector: connectors.opaque(endpoint, labels: connectors.labels(endpoint, authority: nil)), now: host.now)))
        case .balance(let authority):
            let balancer = balancer(authority)
            balancer.pick { [self] endpoint in
                if let endpoint { return then(.success(endpoint)) }
                // It has failed fast: whoever is ready by now takes its place.
                if onIdle != nil, let other = choose(distribution), other != backend, isReady(other) { return connect(other, distribution, then) }
                then(.failure(Refusal("\(authority): service in fail-fast")))
            }
        }
    }

    /// A profile that says opaque overrides an HTTP policy; its backends are the policy's first.
    private static func opaqueFallback(_ target: OutboundTarget, _ address: SocketAddress) -> [OpaqueRoute] {
        let routes: [HTTPRoute]
        switch target.policy.kind {
        case .http1(let routing), .http2(let routing), .grpc(let routing): routes = routing.routes
        default: routes = []
        }
        return routes.first?.rules.first.map { [OpaqueRoute(backends: $0.backends)] } ?? []
    }

    private func choose(_ distribution: Distribution) -> Backend? {
        switch distribution {
        case .empty: return nil
        case .firstAvailable(let list): return list.first { isReady($0) } ?? list.first
        case .randomAvailable(let all):
            // While none is ready each may yet become so.
            let available = all.count == 1 ? all : all.filter { isReady($0.backend) }
            let list = available.isEmpty ? all : available
            let sum = list.reduce(0) { $0 + UInt64($1.weight) }
            guard sum > 0 else { return nil }
            draws += 1
            var stream = random.fork("opaque/\(draws)")
            var draw = stream.below(sum)
            for (backend, weight) in list {
                if draw < UInt64(weight) { return backend }
                draw -= UInt64(weight)
            }
            return nil
        }
    }
    private var draws: UInt64 = 0

    /// A connection given to it would find an endpoint. Asking is enough for its endpoints to be followed from now on.
    private func isReady(_ backend: Backend) -> Bool {
        switch backend.kind {
        case .balance(let authority): balancer(authority).isReady
        case .forward, .fail: true
        }
    }

    private func balancer(_ authority: String) -> OpaqueBalancer {
        if let found = balancers.first(where: { $0.authority == authority }) { return found }
        let made = OpaqueBalancer(authority: authority, host: host, discovery: discovery, connectors: connectors, connectionsMax: configuration.outbound.queueConnectionsMax, failfastTimeout: configuration.outbound.opaqueFailfastTimeout)
        balancers.append(made)
        return made
    }

    private func changed(_ target: OutboundTarget) {
        if let profile = target.profile { budget.update(profile.budget, now: host.now) }
        routers.http1?.update(target, port: address.port)
        routers.http2?.update(target, port: address.port)
        let actions = waiting
        waiting = []
        for action in actions { action(target) }
    }
}
