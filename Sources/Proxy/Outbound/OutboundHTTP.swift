// HTTP requests of the application, on their way out: route, backend, endpoint, and the heads as the other side must see them.
// One object for the whole server; what belongs to one request is in its exchange.
// Source: linkerd2-proxy outbound http, linkerd/proxy/http/src/orig_proto.rs, shared facts on the data plane 2.15 to 2.21.

import Base
import GRPC
import HTTP
import Platform
import Transport

final class OutboundHTTP: HTTPExchangeOwner, HTTPAssigner, AttemptOwner {
    private let host: any Host
    private let informs: Bool
    private let registry: MetricsRegistry
    private var inFlight = 0
    private let inFlightMax: Int
    private var random: Random
    /// How long a request waits for its name to be looked up.
    private let failfastTimeout: Interval
    /// nil: there is no collector.
    var tracer: Tracer?
    /// nil: nobody may watch.
    var taps: Taps?
    /// Look-up only.
    private var errors: [String: Metric] = [:]

    init(host: any Host, configuration: Configuration, registry: MetricsRegistry) {
        self.host = host
        informs = configuration.informsOutbound
        inFlightMax = configuration.outbound.requestsInFlightMax
        random = host.random("retries")
        failfastTimeout = configuration.outbound.failfastTimeout
        self.registry = registry
    }

    /// Takes a request from a connection whose original destination is `stack`'s.
    func request(_ stream: HTTPStream, _ head: RequestHead, endStream: Bool, stack: OutboundStack) {
        let exchange = HTTPExchange(caller: stream, head: head, endStream: endStream, host: host, owner: self)
        exchange.informs = informs
        tracer?.began(exchange)
        inFlight += 1
        guard inFlight <= inFlightMax else { return exchange.fail(.loadShed) }
        if let refusal = head.malformedUpgrade { return exchange.answer(ResponseHead(status: 400, headers: ["content-length": "0", "l5d-proxy-error": refusal])) }
        route(exchange, stack)
    }

    /// Takes a request that names its destination: an ingress's, or one that came to a gateway. The name is looked up first, if it is new.
    /// `accepts`: whether what was found may be used; the reason if not. `original`: the version that travels within HTTP/2.
    func request(
        _ stream: HTTPStream, _ head: RequestHead, endStream: Bool, named stack: OutboundStack, original: HTTPVersion? = nil, informs isInforming: Bool? = nil,
        accepts: @escaping (OutboundTarget) -> ProxyError? = { _ in nil }
    ) {
        let exchange = HTTPExchange(caller: stream, head: head, endStream: endStream, host: host, owner: self)
        exchange.informs = isInforming ?? informs
        exchange.carriedVersion = original
        exchange.named = stack
        stack.retain()
        tracer?.began(exchange)
        inFlight += 1
        guard inFlight <= inFlightMax else { return exchange.fail(.loadShed) }
        if let refusal = head.malformedUpgrade { return exchange.answer(ResponseHead(status: 400, headers: ["content-length": "0", "l5d-proxy-error": refusal])) }
        var timer: TimerID?
        if stack.target == nil {
            timer = host.after(failfastTimeout) {
                timer = nil
                if !exchange.isOver, exchange.rule == nil { exchange.fail(.failfast("\(stack.destination)")) }
            }
        }
        stack.whenKnown { [self] target in
            if let timer { host.cancel(timer) }
            timer = nil
            guard !exchange.isOver else { return }
            if let error = accepts(target) { return exchange.fail(error) }
            route(exchange, stack)
        }
    }

    private func route(_ exchange: HTTPExchange, _ stack: OutboundStack) {
        let head = exchange.head
        let router = stack.router(head.version)
        if let route = router.profile?.find(head) {
            exchange.profileRoute = route
            route.series.countRequest()
        }
        switch router.decide(head) {
        case .answer(let error): exchange.fail(error)
        case .redirect(let status, let location): exchange.redirect(status, location)
        case .backend(let backend, let rule, let target):
            exchange.destination = stack.address
            exchange.canonical = router.canonical
            target.series?.countRequest()
            exchange.take(rule, target)
            if rule.hasPlan || exchange.profileRoute?.hasPlan ?? false, let plan = RetryPlan(rule, exchange.profileRoute, router.budget, head.headers) {
                exchange.attempts = Attempts(plan: plan, router: router, exchange: exchange, host: host, owner: self)
            }
            backend.dispatch(exchange, to: self)
        }
    }

    // MARK: Attempts

    func canSendAgain(_ exchange: HTTPExchange) -> Bool {
        guard let router = exchange.attempts?.router, let rule = exchange.rule else { return false }
        return router.canTake(rule)
    }

    func wait(_ retry: Retry, _ number: UInt32) -> Interval {
        JitteredBackoff(min: retry.backoffMin, max: retry.backoffMax, jitterPercent: retry.jitterPercent).wait(number, &random)
    }

    /// By the routes of now: they may have changed meanwhile, and each attempt draws anew.
    func sendAgain(_ exchange: HTTPExchange) {
        guard !exchange.isOver, let router = exchange.attempts?.router else { return }
        switch router.decide(exchange.head) {
        case .answer(let error): exchange.fail(error)
        case .redirect(let status, let location): exchange.redirect(status, location)
        case .backend(let backend, let rule, let target):
            target.series?.countRequest()
            exchange.take(rule, target)
            backend.dispatch(exchange, to: self)
        }
    }

    func attemptEnded(_ exchange: HTTPExchange, error: ProxyError?) {
        tracer?.attemptEnded(exchange, direction: "outbound")
        if exchange.tapped != nil { taps?.ended(exchange, reset: error == nil ? nil : HTTP2ErrorCode.cancel) }
        // What could not be reached is a 502 or a 504 by the time that a route sees it.
        let status = exchange.status ?? (error?.routeLabel == nil ? error?.status : nil) ?? 0
        if let endpoint = exchange.endpoint {
            releaseLoad(exchange, endpoint)
            if let sent = exchange.sent { endpoint.series.observe(host.now - sent, status: status) }
            endpoint.series.countResponse(status: status, isGRPC: exchange.isGRPC, grpcStatus: exchange.grpcStatus, error: error?.streamLabel ?? "")
            endpoint.breaker?.record(exchange, error: error?.breakerLabel ?? "")
        }
        countAttempt(exchange, status, error?.routeLabel ?? "")
        exchange.target = nil
    }

    // MARK: What the exchange tells

    /// Sends the request to the endpoint that the backend chose.
    func assign(_ exchange: HTTPExchange, to endpoint: HTTPEndpoint) {
        guard let rule = exchange.rule, let destination = exchange.destination else { return host.unexpected("an exchange without a rule was dispatched") }
        var head = exchange.head
        if let demanded = head.headers.first("l5d-require-id") {
            guard demanded == endpoint.endpoint.identity else { return exchange.fail(.identityRequired("\(demanded) was required, \(endpoint.endpoint.identity ?? "none") found")) }
            head.headers.removeAll("l5d-require-id")
        }
        for case .requestHeaders(let change) in rule.filters { change.apply(to: &head.headers) }
        if let target = exchange.target { for case .requestHeaders(let change) in target.filters { change.apply(to: &head.headers) } }
        if let canonical = exchange.canonical { head.headers.set("l5d-dst-canonical", canonical) }
        let singleUse = head.authority.isEmpty || head.version == .http10
        if head.authority.isEmpty { head.authority = HTTPText("\(destination)") }
        if let override = endpoint.endpoint.authorityOverride {
            head.authority = HTTPText(override)
            head.headers.removeAll("l5d-dst-canonical")
        }
        if exchange.attempts?.plan.stripsHeaders ?? false { for name in RetryPlan.headers { head.headers.removeAll(name) } }
        // Nobody but a proxy says this.
        head.headers.removeAll("l5d-orig-proto")
        let client = endpoint.client(for: exchange)
        if client.version == .http2, head.version != .http2 {
            head.headers.add("l5d-orig-proto", head.version == .http10 ? (head.isAbsoluteForm ? "HTTP/1.0; absolute-form" : "HTTP/1.0") : (head.isAbsoluteForm ? "HTTP/1.1; absolute-form" : "HTTP/1.1"))
            head.version = .http2
            exchange.originalVersion = exchange.head.version
        }
        exchange.endpoint = endpoint
        exchange.isLoadHeld = true
        endpoint.load.inFlight += 1
        endpoint.series.countRequest()
        endpoint.breaker?.took(exchange)
        exchange.profileRoute?.actual.countRequest()
        tracer?.asks(exchange, &head)
        if let taps, !taps.isEmpty { show(taps, exchange, head, endpoint) }
        exchange.send(head, through: client, singleUse: singleUse && client.version != .http2)
    }

    func rewrite(_ head: inout ResponseHead, of exchange: HTTPExchange) {
        tracer?.answered(exchange, head, direction: "outbound")
        if let taps, exchange.tapped != nil, exchange.error == nil { taps.answered(exchange, head) }
        if exchange.error == nil {
            // Another proxy's hints are for us, not for the application.
            head.headers.removeAll("l5d-proxy-error")
            head.headers.removeAll("l5d-proxy-connection")
        }
        if let original = exchange.originalVersion {
            head.version = head.headers.first("l5d-orig-proto") == "HTTP/1.0" ? .http10 : original
            head.headers.removeAll("l5d-orig-proto")
        }
        if let carried = exchange.carriedVersion {
            head.headers.set("l5d-orig-proto", carried == .http10 ? "HTTP/1.0" : "HTTP/1.1")
            head.version = .http2
        }
        // Filters see what an endpoint answered, and that it could not be reached; our own refusals pass them by.
        guard exchange.sent != nil, exchange.error?.isOfEndpoint ?? true else { return }
        if let target = exchange.target, !target.filters.isEmpty { for case .responseHeaders(let change) in target.filters { change.apply(to: &head.headers) } }
        if let rule = exchange.rule, !rule.filters.isEmpty { for case .responseHeaders(let change) in rule.filters { change.apply(to: &head.headers) } }
    }

    func answered(_ exchange: HTTPExchange, latency: Interval) {
        exchange.profileRoute?.series.observe(latency, status: exchange.status ?? 0)
        guard let endpoint = exchange.endpoint else { return }
        releaseLoad(exchange, endpoint)
        endpoint.series.observe(latency, status: exchange.status ?? 0)
    }

    func failed(_ exchange: HTTPExchange, _ failure: HTTPStreamFailure) {
        if case .reset(let error) = failure, exchange.head.version == .http2, exchange.originalVersion == nil {
            if error.code == HTTP2ErrorCode.refusedStream, let attempts = exchange.attempts, attempts.takesRefusal(of: exchange) { return }
            // HTTP/2 to HTTP/2: the application sees the reset that its peer sent.
            exchange.pass(error)
            return
        }
        exchange.fail(ProxyError(failure))
    }

    private func show(_ taps: Taps, _ exchange: HTTPExchange, _ head: RequestHead, _ endpoint: HTTPEndpoint) {
        let route = exchange.profileRoute?.profile.labels ?? exchange.rule?.route.tapLabels ?? []
        let identity = endpoint.endpoint.identity
        taps.began(
            exchange,
            TapSubject(
                isInbound: false, source: exchange.callerAddress, destination: endpoint.endpoint.address, destinationLabels: endpoint.endpoint.labels, routeLabels: route,
                sourceTLS: [("tls", "no_identity"), ("no_tls_reason", "loopback")],
                destinationTLS: identity.map { [("tls", "true"), ("server_id", $0)] } ?? [("tls", "no_identity"), ("no_tls_reason", "not_provided_by_service_discovery")], head: head))
    }

    func ended(_ exchange: HTTPExchange) {
        inFlight -= 1
        if exchange.tapped != nil { taps?.ended(exchange, reset: exchange.tapReset) }
        if let error = exchange.error { countError(error.label) }
        countRoute(exchange)
        if let named = exchange.named {
            exchange.named = nil
            named.release()
        }
        guard let endpoint = exchange.endpoint else { return }
        releaseLoad(exchange, endpoint)
        endpoint.breaker?.record(exchange, error: exchange.error?.breakerLabel ?? "")
        if exchange.isCancelled {
            endpoint.series.countResponse(status: exchange.status ?? 0, isGRPC: exchange.isGRPC, grpcStatus: exchange.grpcStatus, error: "h2(CANCEL)")
        } else {
            endpoint.series.countResponse(status: exchange.status ?? 0, isGRPC: exchange.isGRPC, grpcStatus: exchange.grpcStatus, error: exchange.error?.streamLabel ?? "")
        }
    }

    /// What the route, its backend and the profile's route count of a request that is over.
    private func countRoute(_ exchange: HTTPExchange) {
        let label = exchange.isCancelled ? "CANCEL" : exchange.error?.routeLabel ?? ""
        let took = host.now - exchange.started
        if let route = exchange.rule?.series {
            let statuses = route.statuses(exchange.head)
            statuses.observe(took)
            statuses.count(status: exchange.status ?? 0, grpcStatus: exchange.grpcStatus, error: label)
        }
        countAttempt(exchange, exchange.status ?? 0, label)
        if let route = exchange.profileRoute {
            let status = exchange.status ?? 0
            let error = exchange.isCancelled ? "h2(CANCEL)" : exchange.error?.streamLabel ?? ""
            route.series.countResponse(status: status, isGRPC: exchange.isGRPC, grpcStatus: exchange.grpcStatus, error: error, isFailure: error.isEmpty ? route.isFailure(status: status) : true)
        }
        exchange.rule = nil
        exchange.target = nil
        exchange.profileRoute = nil
    }

    /// What the backend and the profile's route count of each attempt.
    private func countAttempt(_ exchange: HTTPExchange, _ status: UInt16, _ label: String) {
        if let backend = exchange.target?.series {
            backend.statuses.observe(host.now - max(exchange.requestEnded ?? exchange.started, exchange.sent ?? exchange.started))
            backend.statuses.count(status: status, grpcStatus: exchange.grpcStatus, error: label)
        }
        if let route = exchange.profileRoute, exchange.sent != nil {
            let error = exchange.isCancelled ? "h2(CANCEL)" : exchange.error?.streamLabel ?? ""
            route.actual.countResponse(status: status, isGRPC: exchange.isGRPC, grpcStatus: exchange.grpcStatus, error: error, isFailure: error.isEmpty ? route.isFailure(status: status) : true)
        }
    }

    private func releaseLoad(_ exchange: HTTPExchange, _ endpoint: HTTPEndpoint) {
        guard exchange.isLoadHeld else { return }
        exchange.isLoadHeld = false
        endpoint.load.inFlight -= 1
        if let sent = exchange.sent { endpoint.load.observe(host.now - sent, now: host.now) }
    }

    private func countError(_ label: String) {
        if let metric = errors[label] { return metric.increment() }
        let metric = registry.metric(Families.outboundRequestErrors, [("error", label)])
        errors[label] = metric
        metric.increment()
    }
}
