// From the outbound policy API to policies. One message becomes one policy or, if any part of it breaks a rule, the invalid policy
// that refuses traffic and says why. Source: linkerd2-proxy linkerd/proxy/client-policy/src (proto modules); facts 2.1, 2.9, 10.11.

import Base
import GRPC
import HTTP
import MeshAPI

extension OutboundPolicy {
    init(_ message: Mesh.Outbound.OutboundPolicy) {
        parent = ResourceName(message.metadata) ?? ResourceName()
        do throws(InvalidPolicy) {
            _ = try ResourceName(message.metadata).named("the policy")
            kind = try Kind(message.protocol)
        } catch { kind = .invalid(error.reason) }
    }

    /// What stands in where the control plane knows nothing: everything to one endpoint.
    /// Source: linkerd2-proxy outbound/src/discover.rs, synthesize_forward_policy.
    init(forwardingTo endpoint: Endpoint, name: String) {
        let name = ResourceName(name: name)
        let backends = Distribution.firstAvailable([Backend(kind: .forward(endpoint), name: name)])
        let routing = HTTPRouting(routes: [HTTPRoute(name: name, rules: [HTTPRoute.Rule(backends: backends)])])
        self.init(kind: .detect(http1: routing, http2: routing, opaque: [OpaqueRoute(name: name, backends: backends)]), parent: name)
    }

    /// Everything goes to the endpoints of this authority, for a name of which there is a profile alone.
    init(balancing authority: String) {
        let name = ResourceName(service: authority)
        let backends = Distribution.firstAvailable([Backend(kind: .balance(authority), name: name)])
        let route = ResourceName(name: "profile")
        let routing = HTTPRouting(routes: [HTTPRoute(name: route, rules: [HTTPRoute.Rule(backends: backends)])])
        self.init(kind: .detect(http1: routing, http2: routing, opaque: [OpaqueRoute(name: route, backends: backends)]), parent: name)
    }
}

extension OutboundPolicy.Kind {
    init(_ message: Mesh.Outbound.ProxyProtocol) throws(InvalidPolicy) {
        switch message.kind {
        case .detect(let detect):
            guard detect.hasHTTP1, detect.hasHTTP2, detect.hasOpaque else { throw InvalidPolicy("a policy with detection lacks one of HTTP/1, HTTP/2 and opaque") }
            self = .detect(
                http1: try HTTPRouting(detect.http1.routes, detect.http1.hasFailureAccrual ? detect.http1.failureAccrual : nil),
                http2: try HTTPRouting(detect.http2.routes, detect.http2.hasFailureAccrual ? detect.http2.failureAccrual : nil),
                opaque: try converted(detect.opaque.routes, OpaqueRoute.init))
        case .http1(let http): self = .http1(try HTTPRouting(http.routes, http.hasFailureAccrual ? http.failureAccrual : nil))
        case .http2(let http): self = .http2(try HTTPRouting(http.routes, http.hasFailureAccrual ? http.failureAccrual : nil))
        case .grpc(let grpc):
            self = .grpc(
                HTTPRouting(
                    routes: try converted(grpc.routes) { (route) throws(InvalidPolicy) in try HTTPRoute(route) },
                    failureAccrual: try grpc.hasFailureAccrual ? FailureAccrual.read(grpc.failureAccrual) : nil))
        case .opaque(let opaque): self = .opaque(try converted(opaque.routes, OpaqueRoute.init))
        case .tls(let tls): self = .tls(try converted(tls.routes, TLSRoute.init))
        case nil: throw InvalidPolicy("the policy names no protocol")
        }
    }
}

extension HTTPRouting {
    init(_ routes: [Mesh.Outbound.HttpRoute], _ accrual: Mesh.Outbound.FailureAccrual?) throws(InvalidPolicy) {
        self.init()
        self.routes = try converted(routes) { (route) throws(InvalidPolicy) in try HTTPRoute(route) }
        if let accrual { failureAccrual = try FailureAccrual.read(accrual) }
    }
}

extension FailureAccrual {
    /// nil: the message asks for nothing. The waits must grow from min to max with a jitter of 0 to 100 times.
    static func read(_ message: Mesh.Outbound.FailureAccrual) throws(InvalidPolicy) -> FailureAccrual? {
        var accrual = FailureAccrual()
        let backoff: Mesh.Outbound.ExponentialBackoff
        switch message.kind {
        case .consecutiveFailures(let rule):
            guard rule.hasBackoff else { throw InvalidPolicy("failure accrual has no backoff") }
            accrual.failuresMax = rule.maxFailures
            backoff = rule.backoff
        case .unified(let rule):
            guard rule.hasBackoff else { throw InvalidPolicy("failure accrual has no backoff") }
            guard (0...1).contains(rule.successRateThreshold) else { throw InvalidPolicy("a success rate threshold must be between 0 and 1") }
            accrual.failuresMax = rule.maxConsecutiveFailures
            backoff = rule.backoff
            if rule.successRateThreshold > 0 {
                var rate = SuccessRate()
                rate.threshold = UInt32((rule.successRateThreshold * 10_000).rounded())
                if rule.hasDecay { rate.window = max(.milliseconds(10), try Interval.positive(rule.decay, "the window of a success rate")) }
                if rule.minRequests > 0 { rate.requestsMin = rule.minRequests }
                accrual.successRate = rate
            }
        case nil: return nil
        }
        (accrual.backoffMin, accrual.backoffMax, accrual.jitterPercent) = try read(backoff)
        return accrual
    }

    static func read(_ backoff: Mesh.Outbound.ExponentialBackoff) throws(InvalidPolicy) -> (min: Interval, max: Interval, jitterPercent: UInt32) {
        guard backoff.hasMinBackoff, backoff.hasMaxBackoff, let min = Interval(backoff.minBackoff), let max = Interval(backoff.maxBackoff) else { throw InvalidPolicy("a backoff needs its shortest and longest wait") }
        guard min >= .zero, max > .zero, min <= max else { throw InvalidPolicy("a backoff must grow: its waits are \(min) and \(max)") }
        guard backoff.jitterRatio >= 0, backoff.jitterRatio <= 100 else { throw InvalidPolicy("a backoff's jitter must be between 0 and 100") }
        return (min, max, UInt32((backoff.jitterRatio * 100).rounded()))
    }
}

// MARK: Routes

extension HTTPRoute {
    init(_ message: Mesh.Outbound.HttpRoute) throws(InvalidPolicy) {
        name = try ResourceName(message.metadata).named("a route")
        hosts = try converted(message.hosts) { (host) throws(InvalidPolicy) in try HostMatch(host) }
        rules = try converted(message.rules) { (rule) throws(InvalidPolicy) in
            Rule(
                matches: try converted(rule.matches) { (match) throws(InvalidPolicy) in try HTTPMatch(match) },
                filters: try converted(rule.filters, HTTPFilter.read),
                backends: try Distribution(rule.hasBackends ? rule.backends : nil),
                timeouts: try Timeouts(rule.hasTimeouts ? rule.timeouts : nil, old: rule.hasRequestTimeout ? rule.requestTimeout : nil),
                retry: try rule.hasRetry ? Retry(rule.retry) : nil,
                allowsRequestHeaders: rule.allowL5DRequestHeaders)
        }
    }

    init(_ message: Mesh.Outbound.GrpcRoute) throws(InvalidPolicy) {
        name = try ResourceName(message.metadata).named("a route")
        hosts = try converted(message.hosts) { (host) throws(InvalidPolicy) in try HostMatch(host) }
        rules = try converted(message.rules) { (rule) throws(InvalidPolicy) in
            Rule(
                matches: try converted(rule.matches) { (match) throws(InvalidPolicy) in try HTTPMatch(match) },
                filters: try converted(rule.filters, HTTPFilter.read),
                backends: try Distribution(rule.hasBackends ? rule.backends : nil),
                timeouts: try Timeouts(rule.hasTimeouts ? rule.timeouts : nil, old: rule.hasRequestTimeout ? rule.requestTimeout : nil),
                retry: try rule.hasRetry ? Retry(rule.retry) : nil,
                allowsRequestHeaders: rule.allowL5DRequestHeaders)
        }
    }
}

extension HTTPFilter {
    static func read(_ message: Mesh.Outbound.HttpRoute.Filter) throws(InvalidPolicy) -> HTTPFilter {
        switch message.kind {
        case .failureInjector(let filter): try failure(filter)
        case .requestHeaderModifier(let filter): try requestHeaders(filter)
        case .responseHeaderModifier(let filter): try responseHeaders(filter)
        case .redirect(let filter): try redirect(filter)
        case nil: throw InvalidPolicy("a filter is of no known kind")
        }
    }

    static func read(_ message: Mesh.Outbound.GrpcRoute.Filter) throws(InvalidPolicy) -> HTTPFilter {
        switch message.kind {
        case .failureInjector(let filter): try failure(filter)
        case .requestHeaderModifier(let filter): try requestHeaders(filter)
        case nil: throw InvalidPolicy("a filter is of no known kind")
        }
    }
}

extension Timeouts {
    /// `old`: the deprecated field, which counts where the new ones are absent.
    init(_ message: Mesh.HTTPRoute.Timeouts?, old: Mesh.Duration?) throws(InvalidPolicy) {
        if let message {
            request = try message.hasRequest ? Interval.positive(message.request, "a request timeout") : nil
            response = try message.hasResponse ? Interval.positive(message.response, "a response timeout") : nil
            idle = try message.hasIdle ? Interval.positive(message.idle, "an idle timeout") : nil
        } else if let old {
            request = try Interval.positive(old, "a request timeout")
        }
    }
}

extension Retry {
    init(_ message: Mesh.Outbound.HttpRoute.Retry) throws(InvalidPolicy) {
        guard message.hasConditions else { throw InvalidPolicy("a retry has no conditions") }
        try self.init(times: message.maxRetries, bytes: message.maxRequestBytes, timeout: message.hasTimeout ? message.timeout : nil, backoff: message.hasBackoff ? message.backoff : nil)
        statuses = try converted(message.conditions.statusRanges) { (range) throws(InvalidPolicy) in
            guard let start = UInt16(exactly: range.start), let end = UInt16(exactly: range.end), start <= end, (100...999).contains(start), (100...999).contains(end) else {
                throw InvalidPolicy("a retry's status range \(range.start)-\(range.end) is none")
            }
            return start...end
        }
    }

    init(_ message: Mesh.Outbound.GrpcRoute.Retry) throws(InvalidPolicy) {
        guard message.hasConditions else { throw InvalidPolicy("a retry has no conditions") }
        try self.init(times: message.maxRetries, bytes: message.maxRequestBytes, timeout: message.hasTimeout ? message.timeout : nil, backoff: message.hasBackoff ? message.backoff : nil)
        let conditions = message.conditions
        let codes: [(Bool, GRPCStatus.Code)] = [
            (conditions.cancelled, .cancelled), (conditions.deadineExceeded, .deadlineExceeded), (conditions.resourceExhausted, .resourceExhausted),
            (conditions.internal, .internal), (conditions.unavailable, .unavailable),
        ]
        grpcCodes = codes.filter(\.0).map(\.1.rawValue)
    }

    private init(times: UInt32, bytes: UInt32, timeout: Mesh.Duration?, backoff: Mesh.Outbound.ExponentialBackoff?) throws(InvalidPolicy) {
        retriesMax = times
        if bytes > 0 { bodyBytesMax = min(Int(bytes), 65_536) }
        if let timeout { self.timeout = try Interval.positive(timeout, "a retry timeout") }
        if let backoff { (backoffMin, backoffMax, jitterPercent) = try FailureAccrual.read(backoff) }
    }
}

extension OpaqueRoute {
    /// Of several rules the first counts, and of several filters the first. Source: linkerd2-proxy client-policy/src/opaq.rs.
    init(_ message: Mesh.Outbound.OpaqueRoute) throws(InvalidPolicy) {
        name = try ResourceName(message.metadata).named("a route")
        guard let rule = message.rules.first else { throw InvalidPolicy("an opaque route has no rule") }
        backends = try Distribution(rule.hasBackends ? rule.backends : nil)
        refusal = try rule.filters.first.map { (filter) throws(InvalidPolicy) in
            switch filter.kind {
            case .invalid(let filter): filter.message.isEmpty ? "invalid route" : filter.message
            case .forbidden: "forbidden"
            case nil: throw InvalidPolicy("a filter is of no known kind")
            }
        }
    }
}

extension TLSRoute {
    init(_ message: Mesh.Outbound.TlsRoute) throws(InvalidPolicy) {
        name = try ResourceName(message.metadata).named("a route")
        serverNames = try converted(message.snis) { (name) throws(InvalidPolicy) in try HostMatch(name) }
        guard let rule = message.rules.first else { throw InvalidPolicy("a TLS route has no rule") }
        backends = try Distribution(rule.hasBackends ? rule.backends : nil)
        refusal = try rule.filters.first.map { (filter) throws(InvalidPolicy) in
            switch filter.kind {
            case .invalid(let filter): filter.message.isEmpty ? "invalid route" : filter.message
            case .forbidden: "forbidden"
            case nil: throw InvalidPolicy("a filter is of no known kind")
            }
        }
    }
}
