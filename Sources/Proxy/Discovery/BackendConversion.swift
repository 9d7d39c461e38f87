// From the outbound policy API's distributions to ours: the same shape four times over, because the API has a message of its own
// for every kind of route.

import Base
import MeshAPI

extension Backend {
    /// A backend without a kind fails every request and says its name. Source: linkerd2-proxy client-policy/src/lib.rs.
    init(_ message: Mesh.Outbound.Backend?) throws(InvalidPolicy) {
        guard let message else { throw InvalidPolicy("a route's backend is missing") }
        name = try ResourceName(message.metadata).named("a backend")
        switch message.kind {
        case .balancer(let balancer):
            guard case .dst(let destination)? = balancer.discovery.kind, !destination.path.isEmpty else { throw InvalidPolicy("a balancer does not say how its endpoints are found") }
            kind = .balance(destination.path)
            load = try LoadTerms(balancer)
        case .forward(let address):
            guard let endpoint = Endpoint(address) else { throw InvalidPolicy("a backend forwards to no address") }
            kind = .forward(endpoint)
        case nil: kind = .fail("backend \(name.namespace.isEmpty ? "" : name.namespace + "/")\(name.name) of kind \(name.kind) cannot be reached: the control plane gave it no endpoints")
        }
    }
}

extension LoadTerms {
    /// Source: linkerd2-proxy client-policy/src/lib.rs; a balancer must say how it measures, times must be positive.
    init(_ message: Mesh.Outbound.Backend.BalanceP2c) throws(InvalidPolicy) {
        self.init()
        switch message.load {
        case .peakEwma(let terms):
            rtt = try terms.hasDefaultRtt ? Interval.positive(terms.defaultRtt, "the first round trip of a balancer") : rtt
            decay = try terms.hasDecay ? Interval.positive(terms.decay, "the decay of a balancer") : decay
        case .penaltyPeakEwma(let terms):
            rtt = try terms.hasDefaultRtt ? Interval.positive(terms.defaultRtt, "the first round trip of a balancer") : rtt
            decay = try terms.hasDecay ? Interval.positive(terms.decay, "the decay of a balancer") : decay
            var penalty = Penalty()
            if terms.hasPenalty { penalty.time = try Interval.positive(terms.penalty, "the penalty of a balancer") }
            if terms.hasMaxRetryAfter { penalty.hintMax = try Interval.positive(terms.maxRetryAfter, "the longest retry-after of a balancer") }
            self.penalty = penalty
        case nil: break
        }
        rtt = max(rtt, PeakEWMA.leastRTT)
    }
}

extension Distribution {
    init(_ message: Mesh.Outbound.HttpRoute.Distribution?) throws(InvalidPolicy) {
        func backend(_ route: Mesh.Outbound.HttpRoute.RouteBackend) throws(InvalidPolicy) -> Backend {
            var backend = try Backend(route.hasBackend ? route.backend : nil)
            backend.filters = try converted(route.filters, HTTPFilter.read)
            return backend
        }
        switch message?.kind {
        case .empty: self = .empty
        case .firstAvailable(let list): self = .firstAvailable(try converted(list.backends, backend))
        case .randomAvailable(let list): self = .randomAvailable(try converted(list.backends) { (item) throws(InvalidPolicy) in (try backend(item.backend), item.weight) })
        case nil: throw InvalidPolicy("a route does not say how to choose among its backends")
        }
    }

    init(_ message: Mesh.Outbound.GrpcRoute.Distribution?) throws(InvalidPolicy) {
        func backend(_ route: Mesh.Outbound.GrpcRoute.RouteBackend) throws(InvalidPolicy) -> Backend {
            var backend = try Backend(route.hasBackend ? route.backend : nil)
            backend.filters = try converted(route.filters, HTTPFilter.read)
            return backend
        }
        switch message?.kind {
        case .empty: self = .empty
        case .firstAvailable(let list): self = .firstAvailable(try converted(list.backends, backend))
        case .randomAvailable(let list): self = .randomAvailable(try converted(list.backends) { (item) throws(InvalidPolicy) in (try backend(item.backend), item.weight) })
        case nil: throw InvalidPolicy("a route does not say how to choose among its backends")
        }
    }

    init(_ message: Mesh.Outbound.OpaqueRoute.Distribution?) throws(InvalidPolicy) {
        func backend(_ route: Mesh.Outbound.OpaqueRoute.RouteBackend) throws(InvalidPolicy) -> Backend {
            var backend = try Backend(route.hasBackend ? route.backend : nil)
            switch route.filters.first?.kind {
            case .invalid(let filter): backend.refusal = filter.message.isEmpty ? "invalid backend" : filter.message
            case .forbidden: backend.refusal = "forbidden"
            case nil: if !route.filters.isEmpty { throw InvalidPolicy("a filter is of no known kind") }
            }
            return backend
        }
        switch message?.kind {
        case .empty: self = .empty
        case .firstAvailable(let list): self = .firstAvailable(try converted(list.backends, backend))
        case .randomAvailable(let list): self = .randomAvailable(try converted(list.backends) { (item) throws(InvalidPolicy) in (try backend(item.backend), item.weight) })
        case nil: throw InvalidPolicy("a route does not say how to choose among its backends")
        }
    }

    init(_ message: Mesh.Outbound.TlsRoute.Distribution?) throws(InvalidPolicy) {
        func backend(_ route: Mesh.Outbound.TlsRoute.RouteBackend) throws(InvalidPolicy) -> Backend {
            var backend = try Backend(route.hasBackend ? route.backend : nil)
            switch route.filters.first?.kind {
            case .invalid(let filter): backend.refusal = filter.message.isEmpty ? "invalid backend" : filter.message
            case .forbidden: backend.refusal = "forbidden"
            case nil: if !route.filters.isEmpty { throw InvalidPolicy("a filter is of no known kind") }
            }
            return backend
        }
        switch message?.kind {
        case .empty: self = .empty
        case .firstAvailable(let list): self = .firstAvailable(try converted(list.backends, backend))
        case .randomAvailable(let list): self = .randomAvailable(try converted(list.backends) { (item) throws(InvalidPolicy) in (try backend(item.backend), item.weight) })
        case nil: throw InvalidPolicy("a route does not say how to choose among its backends")
        }
    }
}
