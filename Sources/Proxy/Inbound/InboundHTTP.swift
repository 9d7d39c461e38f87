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
    let allowed: Metric

    init(registry: MetricsRegistry, port: InboundPort, target: SocketAddress, client: InboundClient, route: ResourceName, authorization: ResourceName) {
        let labels: [(String, String)] =
            [("direction", "inbound")] + port.targetLabels(target) + client.labels + port.serverLabels
            + [("route_group", route.group), ("route_kind", route.kind), ("route_name", route.name)]
            + [("authz_group", authorization.group), ("authz_kind", authorization.kind), ("authz_name", authorization.name)]
        series = RequestSeries(registry, labels)
        allowed = registry.counter("inbound_http_authz_allow_total", help: "The total number of inbound HTTP requests that were authorized", labels)
    }
}

extension InboundClient {
    /// `tls` and who the client is, or why it is nobody.
    var labels: [(String, String)] {
        guard isMeshTLS else { return [("tls", "no_identity"), ("no_tls_reason", "no_tls_from_remote")] }
        return [("tls", "true"), ("client_id", identity ?? "")]
    }
}

final class InboundHTTP: HTTPExchangeOwner {
    private let host: any Host
    private let registry: MetricsRegistry
    private var inFlight = 0
    private let inFlightMax: Int

    init(host: any Host, configuration: Configuration, registry: MetricsRegistry) {
        self.host = host
        inFlightMax = configuration.inbound.requestsInFlightMax
        self.registry = registry
    }

    func request(_ stream: HTTPStream, _ head: RequestHead, endStream: Bool, link: InboundLink) {
        let exchange = HTTPExchange(caller: stream, head: head, endStream: endStream, host: host, owner: self)
        exchange.informs = link.client.identity != nil
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
            registry.counter("inbound_http_route_not_found_total", help: "The total number of inbound HTTP requests that could not be associated with a route", link.denyLabels()).increment()
            return exchange.fail(.routeNotFound)
        }
        guard let verdict = link.verdict(index.route, on: port, registry) else {
            let route = port.route(index)
            registry.counter(
                "inbound_http_authz_deny_total", help: "The total number of inbound HTTP requests that could not be processed due to being denied by policy",
                link.denyLabels() + [("route_group", route.name.group), ("route_kind", route.name.kind), ("route_name", route.name.name)]
            ).increment()
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
            registry.counter(
                "inbound_http_local_ratelimit_total", help: "The total number of inbound HTTP requests that were rate-limited",
                port.serverLabels + [("ratelimit_group", name.group), ("ratelimit_kind", name.kind), ("ratelimit_name", name.name), ("ratelimit_scope", rejection.scope)]
            ).increment()
            return exchange.fail(.rateLimited(rejection.message))
        }
        verdict.counters.allowed.increment()
        verdict.counters.series.countRequest()
        exchange.counters = verdict.counters
        let singleUse = head.version == .http10 || head.authority.isEmpty
        exchange.send(head, through: port.client(link.target, version: head.version), singleUse: singleUse)
    }

    func rewrite(_ head: inout ResponseHead, of exchange: HTTPExchange) {
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

    func ended(_ exchange: HTTPExchange) {
        inFlight -= 1
        if let error = exchange.error {
            registry.counter("inbound_http_errors_total", help: "The total number of inbound HTTP requests that could not be processed due to a proxy error.", [("error", error.label)]).increment()
        }
        guard let counters = exchange.counters else { return }
        counters.series.countResponse(status: exchange.status ?? 0, isGRPC: exchange.isGRPC, grpcStatus: exchange.grpcStatus, error: exchange.isCancelled ? "h2(CANCEL)" : "")
    }
}
