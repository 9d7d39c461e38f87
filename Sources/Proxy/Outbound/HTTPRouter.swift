// From a request to a backend, for one original destination and one version of HTTP: the profile's routes if it has any, else the
// policy's. Retries and per-route timeouts are only named here; `Attempts` makes them.
// Source: linkerd2-proxy outbound http/logical, shared facts on the data plane 2.7 to 2.9.

import Base
import HTTP
import Platform

final class HTTPRouter {
    /// Where a request goes.
    enum Decision {
        case backend(HTTPBackend, PreparedRule, Target)
        case answer(ProxyError)
        case redirect(status: UInt16, location: String)
    }

    final class PreparedRule {
        let route: ResourceName
        let filters: [HTTPFilter]
        /// nil for the routes of a profile, which have families of their own.
        let series: RouteSeries?
        fileprivate let targets: [Target]
        fileprivate let isRandom: Bool
        fileprivate let weightSum: UInt64
        let timeouts: Timeouts
        let retry: Retry?
        let allowsRequestHeaders: Bool
        /// Requests of this rule may need more than forwarding.
        let hasPlan: Bool

        fileprivate init(_ rule: HTTPRoute.Rule?, route: ResourceName, series: RouteSeries?, targets: [Target], isRandom: Bool) {
            timeouts = rule?.timeouts ?? Timeouts()
            retry = rule?.retry
            allowsRequestHeaders = rule?.allowsRequestHeaders ?? false
            hasPlan = timeouts != Timeouts() || retry != nil || allowsRequestHeaders
            let filters = rule?.filters ?? []
            self.route = route
            self.series = series
            self.filters = filters
            self.targets = targets
            self.isRandom = isRandom
            weightSum = targets.reduce(0) { $0 + UInt64($1.weight) }
        }
    }

    /// An object, so that choosing one copies nothing.
    final class Target {
        fileprivate let backend: HTTPBackend?
        fileprivate let failure: String?
        let filters: [HTTPFilter]
        fileprivate let weight: UInt32
        /// nil for the routes of a profile.
        let series: BackendSeries?

        fileprivate init(backend: HTTPBackend?, failure: String?, filters: [HTTPFilter], weight: UInt32, series: BackendSeries?) {
            self.backend = backend
            self.failure = failure
            self.filters = filters
            self.weight = weight
            self.series = series
        }
    }

    private let backends: HTTPBackends
    private let version: HTTPVersion
    private var random: Random
    private var table = RouteTable([])
    private var rules: [[PreparedRule]] = []
    private var used: [HTTPBackend] = []
    /// The policy cannot be understood; every request is answered so.
    private var invalid: String?
    /// `l5d-dst-canonical` of profile routes.
    private(set) var canonical: String?
    /// The routes of the profile, if it has any say.
    private(set) var profile: ProfileRoutes?
    private let registry: MetricsRegistry
    /// What retries of the profile's routes are paid from.
    let budget: RetryBudget
    /// What is said of the routes' parent.
    private var parent = ResourceName()
    /// When the endpoints of this policy's balancers are left alone. Profiles have none.
    private var accrual: FailureAccrual?

    init(backends: HTTPBackends, registry: MetricsRegistry, version: HTTPVersion, random: Random, budget: RetryBudget) {
        self.backends = backends
        self.budget = budget
        self.registry = registry
        self.version = version
        self.random = random
    }

    /// Takes over what discovery says now. Backends that stay in use keep their connections.
    func update(_ target: OutboundTarget, port: UInt16) {
        // A connection that was accepted as HTTP stays HTTP: the routes that it came for stay in force.
        if target.hasNoHTTP, !rules.isEmpty { return }
        let old = used
        used = []
        invalid = nil
        canonical = nil
        profile = nil
        accrual = nil
        parent = target.policy.parent
        if let profile = target.profile, let name = profile.fullyQualifiedName, !profile.routes.isEmpty || !profile.overrides.isEmpty {
            canonical = "\(name):\(port)"
            update(profile, name: "\(name):\(port)")
        } else {
            switch target.policy.kind {
            case .detect(let http1, let http2, _): update(version == .http2 ? http2 : http1)
            case .http1(let routing), .http2(let routing): update(routing)
            case .grpc(let routing): update(routing, isGRPC: true)
            case .opaque, .tls: invalid = "the policy of this destination has no HTTP routes"
            case .invalid(let reason): invalid = reason
            }
        }
        for backend in old { backends.release(backend) }
    }

    func retire() {
        for backend in used { backends.release(backend) }
        used = []
        rules = []
        table = RouteTable([])
    }

    /// For people.
    func describe(_ json: inout JSONText) {
        if let invalid { json.member("invalid", invalid) }
        json.list("routes", rules) { rules, json in
            json.member("name", rules.first?.route.stateText)
            json.list("rules", rules) { rule, json in
                json.list("backends", rule.targets) { target, json in
                    json.member("weight", number: target.weight)
                    switch target.backend?.kind {
                    case .balance(_, let authority, _, _)?: json.member("authority", authority)
                    case .forward(let endpoint)?: json.member("addr", "\(endpoint.address)")
                    case nil: json.member("failure", target.failure)
                    }
                    json.member("isReady", flag: target.backend?.isReady ?? false)
                }
                json.member("retries", number: rule.retry?.retriesMax ?? 0)
                if let time = rule.timeouts.request { json.member("timeout", "\(time)") }
            }
        }
    }

    func decide(_ head: RequestHead) -> Decision {
        if let invalid { return .answer(.invalidPolicy("invalid client policy configuration: \(invalid)")) }
        guard let index = table.find(head) else { return .answer(.routeNotFound) }
        let rule = rules[index.route][index.rule]
        if let decision = judge(rule.filters, head, index.prefixBytes) { return decision }
        guard let target = choose(rule) else { return .answer(.loadShed) }
        guard let backend = target.backend else { return .answer(.backendFailed(target.failure ?? "no backend")) }
        if let decision = judge(target.filters, head, index.prefixBytes) { return decision }
        return .backend(backend, rule, target)
    }

    /// Some backend of the rule could take a request at once.
    func canTake(_ rule: PreparedRule) -> Bool { rule.targets.contains { $0.weight > 0 && ($0.backend?.hasReadyEndpoint ?? false) } }

    private func update(_ routing: HTTPRouting, isGRPC: Bool = false) {
        accrual = routing.failureAccrual
        let routes = routing.routes
        table = RouteTable(routes.map { ($0.hosts, $0.rules.map(\.matches)) })
        rules = routes.map { route in
            let series = RouteSeries(registry, parent: parent, route: route.name, isGRPC: isGRPC, namesHosts: backends.namesHosts)
            return route.rules.map { prepare($0.backends, rule: $0, route: route.name, series: series) }
        }
    }

    private func update(_ profile: ServiceProfile, name: String) {
        // Profile routes label and classify; all of them lead to the same place.
        let overrides = profile.overrides.filter { $0.weight > 0 }
        let distribution: Distribution =
            overrides.isEmpty
            ? .firstAvailable([Backend(kind: .balance(name), name: ResourceName(service: name))])
            : .randomAvailable(overrides.map { (Backend(kind: .balance($0.authority), name: ResourceName(service: $0.authority)), $0.weight) })
        table = RouteTable([([], [[]])])
        rules = [[prepare(distribution, rule: nil, route: ResourceName(name: name), series: nil)]]
        self.profile = ProfileRoutes(profile, name: name, direction: "outbound", registry: registry)
    }

    private func prepare(_ distribution: Distribution, rule: HTTPRoute.Rule?, route: ResourceName, series: RouteSeries?) -> PreparedRule {
        switch distribution {
        case .empty: PreparedRule(rule, route: route, series: series, targets: [], isRandom: false)
        case .firstAvailable(let list): PreparedRule(rule, route: route, series: series, targets: list.map { prepare($0, weight: 1, series) }, isRandom: false)
        case .randomAvailable(let list):
            PreparedRule(rule, route: route, series: series, targets: list.map { prepare($0.backend, weight: $0.weight, series) }, isRandom: list.count > 1)
        }
    }

    private func prepare(_ backend: Backend, weight: UInt32, _ series: RouteSeries?) -> Target {
        var found: HTTPBackend?
        var failure: String?
        switch backend.kind {
        case .balance(let authority): found = backends.balance(authority, version: version, parent: parent, name: backend.name, load: backend.load, accrual: accrual)
        case .forward(let endpoint): found = backends.forward(endpoint, version: version)
        case .fail(let reason): failure = reason
        }
        if let found { used.append(found) }
        return Target(backend: found, failure: failure, filters: backend.filters, weight: weight, series: series?.backend(backend.name))
    }

    /// First available in order, or by weight among the available.
    private func choose(_ rule: PreparedRule) -> Target? {
        if rule.targets.count == 1 { return rule.targets[0] }
        if !rule.isRandom { return rule.targets.first { $0.backend?.isReady ?? true } ?? rule.targets.first }
        guard rule.weightSum > 0 else { return nil }
        var candidates = rule.targets
        var sum = rule.weightSum
        if !candidates.allSatisfy({ $0.backend?.isReady ?? true }) {
            candidates = candidates.filter { $0.backend?.isReady ?? true }
            sum = candidates.reduce(0) { $0 + UInt64($1.weight) }
            if sum == 0 { return nil }
        }
        var draw = random.below(sum)
        for candidate in candidates {
            if draw < UInt64(candidate.weight) { return candidate }
            draw -= UInt64(candidate.weight)
        }
        return nil
    }

    /// Filters that answer by themselves.
    private func judge(_ filters: [HTTPFilter], _ head: RequestHead, _ prefixBytes: Int?) -> Decision? {
        if filters.isEmpty { return nil }
        for filter in filters {
            switch filter {
            case .failure(let status, let message, let numerator, let denominator):
                if random.chance(UInt64(numerator), in: UInt64(max(1, denominator))) { return .answer(.injected(status: status, message)) }
            case .grpcFailure(let code, let message, let numerator, let denominator):
                if random.chance(UInt64(numerator), in: UInt64(max(1, denominator))) { return .answer(.injectedGRPC(code: UInt32(code), message)) }
            case .redirect(let redirect):
                switch redirect.outcome(head, prefixBytes: prefixBytes) {
                case .location(let location): return .redirect(status: redirect.status, location: location)
                case .invalid: return .answer(.invalidPolicy("a redirect replaces a prefix, and the route matched none"))
                case .same: break
                }
            case .requestHeaders, .responseHeaders: break
            }
        }
        return nil
    }
}
