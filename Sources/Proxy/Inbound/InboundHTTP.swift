// HTTP requests of clients, on their way to the application: original protocol restored, client identity told, route and
// authorization found, the rest of the head untouched. One object for the whole server.
// Source: linkerd2-proxy inbound http, policy/http.rs, shared facts on the data plane 3.4, 3.7.

import Base
import GRPC
import HTTP
import Platform
import Transport

/// Where the requests of one client under one route and authorization are counted.
final class InboundCounters {
    let series: RequestSeries
    let route: InboundRouteSeries
    let allowed: Metric

    /// `authority`: nil unless callers' words are wanted in labels.
    init(registry: MetricsRegistry, port: InboundPort, target: SocketAddress, client: InboundClient, route: ResourceName, authorization: ResourceName, authority: String?) {
        let decided = port.serverLabels + route.inboundLabels + authorization.authorizationLabels
        self.route = port.series(route)
        series = RequestSeries(registry, Families.requests, [("direction", "inbound")] + (authority.map { [("authority", $0)] } ?? []) + port.targetLabels(target) + client.labels + decided)
        allowed = registry.metric(Families.requestsAllowed, port.targetLabels(target) + decided + client.labels)
    }
}

extension ResourceName {
    var inboundLabels: [(String, String)] { [("route_group", group), ("route_kind", kind), ("route_name", name)] }
    var authorizationLabels: [(String, String)] { [("authz_group", group), ("authz_kind", kind), ("authz_name", name)] }
}

extension InboundClient {
    /// `tls` and who the client is, or why it is nobody.
    var labels: [(String, String)] {
        if isMeshTLS { return [("tls", "true"), ("client_id", identity ?? "")] }
        switch plainReason {
        case .notOffered: return [("tls", "no_identity"), ("no_tls_reason", "no_tls_from_remote")]
        case .portSkipped: return [("tls", "no_identity"), ("no_tls_reason", "port_skipped")]
        case .passedOn(let serverName): return [("tls", "opaque"), ("sni", serverName)]
        }
    }
}

final class InboundHTTP: HTTPExchangeOwner {
    private let host: any Host
    private let registry: MetricsRegistry
    private var inFlight = 0
    private let inFlightMax: Int
    private let namesAuthorities: Bool
    /// nil: nobody reads one.
    private let accessLog: AccessLog?
    /// nil: there is no collector.
    var tracer: Tracer?
    /// nil: nobody may watch.
    var taps: Taps?

    init(host: any Host, configuration: Configuration, registry: MetricsRegistry) {
        self.host = host
        inFlightMax = configuration.inbound.requestsInFlightMax
        namesAuthorities = configuration.hasInboundAuthorityLabels
        accessLog = configuration.accessLog.map { AccessLog($0) }
        self.registry = registry
    }

    func request(_ stream: HTTPStream, _ head: RequestHead, endStream: Bool, link: InboundLink) {
        if let name = link.gatewayName, let gateway = link.gateway { return pass(stream, head, endStream: endStream, link: link, gateway, name) }
        let exchange = HTTPExchange(caller: stream, head: head, endStream: endStream, host: host, owner: self)
        exchange.informs = link.client.identity != nil
        exchange.link = link
        tracer?.began(exchange)
        inFlight += 1
        guard inFlight <= inFlightMax else { return exchange.fail(.loadShed) }
        guard let port = link.port else { return exchange.fail(.routeNotFound) }
        if let refusal = head.malformedUpgrade {
            return exchange.answer(ResponseHead(status: 400, headers: exchange.informs ? ["content-length": "0", "l5d-proxy-error": refusal] : ["content-length": "0"]))
        }

        var head = head
        if head.version == .http2, let original = head.headers.first("l5d-orig-proto") {
            exchange.originalVersion = original.hasPrefix("HTTP/1.0") ? .http10 : .http11
            head.version = exchange.originalVersion!
            head.isAbsoluteForm = original.hasSuffix("absolute-form")
        }
        head.headers.removeAll("l5d-orig-proto")
        head.headers.removeAll("l5d-client-id")
        if let identity = link.client.identity { head.headers.add("l5d-client-id", identity) }

        guard let index = port.find(head) else {
            registry.metric(Families.requestsWithoutRoute, link.labels()).increment()
            return exchange.fail(.routeNotFound)
        }
        guard let verdict = link.verdict(index.route, authority: namesAuthorities ? "\(head.authority)" : nil, on: port, registry) else {
            registry.metric(Families.requestsDenied, link.labels(port.route(index).name.inboundLabels)).increment()
            host.log(.info, "weft::inbound", "request denied: server \(port.policy.server.name), client \(link.client.address), identity \(link.client.identity ?? "none")")
            return exchange.fail(.unauthorized("client \(link.client.address) is not authorized"))
        }
        if verdict.isAudit { host.log(.info, "weft::inbound", "request would be denied: server \(port.policy.server.name), client \(link.client.address), identity \(link.client.identity ?? "none")") }
        for filter in port.filters(index) {
            switch filter {
            case .requestHeaders(let change): change.apply(to: &head.headers)
            case .responseHeaders: break
            case .redirect(let redirect):
                switch redirect.outcome(head, prefixBytes: index.prefixBytes) {
                case .location(let location): return exchange.redirect(redirect.status, location)
                case .invalid: return exchange.fail(.invalidPolicy("a redirect replaces a prefix, and the route matched none"))
                case .same: break
                }
            case .failure(_, let message, let numerator, let denominator), .grpcFailure(_, let message, let numerator, let denominator):
                // Linkerd maps an injected failure inbound to 500, whatever status it names.
                if link.random.chance(UInt64(numerator), in: UInt64(max(1, denominator))) { return exchange.fail(.injected(status: 500, message)) }
            }
        }
        if let limiter = port.limiter, let rejection = limiter.check(link.client.identity, now: host.now) {
            let name = limiter.limit.name
            registry.metric(
                Families.requestsLimited,
                port.serverLabels + [("ratelimit_group", name.group), ("ratelimit_kind", name.kind), ("ratelimit_name", name.name), ("ratelimit_scope", rejection.scope)]
            ).increment()
            return exchange.fail(.rateLimited(rejection.message))
        }
        let counters = verdict.counters
        counters.allowed.increment()
        counters.series.countRequest()
        counters.route.countRequest()
        exchange.requestFrames = counters.route.requestFrames
        exchange.responseFrames = counters.route.responseFrames
        exchange.counters = counters
        let singleUse = head.version == .http10 || head.authority.isEmpty
        tracer?.asks(exchange, &head)
        if let taps, !taps.isEmpty { show(taps, exchange, head, link, port.route(index).name) }
        exchange.send(head, through: port.client(link.target, version: head.version), singleUse: singleUse)
    }

    /// A request for somebody behind this gateway: judged by the policy of the proxy's own port, then sent out again.
    private func pass(_ stream: HTTPStream, _ head: RequestHead, endStream: Bool, link: InboundLink, _ gateway: Gateway, _ name: Authority) {
        func refuse(_ error: ProxyError) {
            let exchange = HTTPExchange(caller: stream, head: head, endStream: endStream, host: host, owner: self)
            exchange.link = link
            inFlight += 1
            exchange.fail(error)
        }
        guard let port = link.port, let index = port.find(head) else {
            registry.metric(Families.requestsWithoutRoute, link.labels()).increment()
            return refuse(.routeNotFound)
        }
        guard let verdict = link.verdict(index.route, authority: nil, on: port, registry) else {
            registry.metric(Families.requestsDenied, link.labels(port.route(index).name.inboundLabels)).increment()
            return refuse(.unauthorized("client \(link.client.address) is not authorized"))
        }
        verdict.counters.allowed.increment()
        if let refusal = gateway.refusal(head, name, client: link.client.identity) { return refuse(refusal) }
        var head = head
        var original: HTTPVersion?
        if head.version == .http2, let carried = head.headers.first("l5d-orig-proto") {
            original = carried.hasPrefix("HTTP/1.0") ? .http10 : .http11
            head.version = original!
            head.isAbsoluteForm = carried.hasSuffix("absolute-form")
        }
        head.headers.removeAll("l5d-orig-proto")
        head.headers.removeAll("l5d-client-id")
        gateway.forward(stream, head, endStream: endStream, to: name, client: link.client.identity, original: original)
    }

    func rewrite(_ head: inout ResponseHead, of exchange: HTTPExchange) {
        if let accessLog { tell(accessLog, exchange, head) }
        tracer?.answered(exchange, head, direction: "inbound")
        if let tapped = taps, exchange.tapped != nil, exchange.error == nil { tapped.answered(exchange, head) }
        if let original = exchange.originalVersion {
            head.headers.set("l5d-orig-proto", original == .http10 ? "HTTP/1.0" : "HTTP/1.1")
            head.version = .http2
        }
    }

    func answered(_ exchange: HTTPExchange, latency: Interval) {
        exchange.counters?.series.observe(latency, status: exchange.status ?? 0)
    }

    func failed(_ exchange: HTTPExchange, _ failure: HTTPStreamFailure) {
        if case .reset(let error) = failure, exchange.head.version == .http2, exchange.originalVersion == nil {
            exchange.pass(error)
        } else {
            exchange.fail(ProxyError(failure))
        }
    }

    private func show(_ taps: Taps, _ exchange: HTTPExchange, _ head: RequestHead, _ link: InboundLink, _ route: ResourceName) {
        taps.began(
            exchange,
            TapSubject(
                isInbound: true, source: link.client.address, destination: link.target, destinationLabels: [], routeLabels: route.tapLabels, sourceTLS: link.client.labels, head: head))
    }

    private func tell(_ accessLog: AccessLog, _ exchange: HTTPExchange, _ head: ResponseHead?) {
        guard let link = exchange.link else { return }
        let total = host.now - exchange.started
        host.log.served(
            accessLog.line(
                AccessRecord(
                    client: link.client.address, identity: link.client.identity, time: host.wall - total, head: exchange.head, status: head?.status,
                    responseBytes: head?.headers.first("content-length"), total: total, processing: (exchange.sent ?? host.now) - exchange.started)))
    }

    func ended(_ exchange: HTTPExchange) {
        inFlight -= 1
        if let accessLog, exchange.status == nil { tell(accessLog, exchange, nil) }
        if let label = exchange.error?.inboundLabel { registry.metric(Families.inboundRequestErrors, [("error", label)] + (exchange.link?.decidedLabels ?? [])).increment() }
        if exchange.tapped != nil { taps?.ended(exchange, reset: exchange.tapReset) }
        guard let counters = exchange.counters else { return }
        counters.series.countResponse(status: exchange.status ?? 0, isGRPC: exchange.isGRPC, grpcStatus: exchange.grpcStatus, error: exchange.isCancelled ? "h2(CANCEL)" : "")
        counters.route.count(status: exchange.status ?? 0, grpcStatus: exchange.grpcStatus, started: exchange.started, requestEnded: exchange.requestEnded, now: host.now)
    }
}
