// Whether a parent takes a route, and whether its backends exist: what is carried out, and what the route's status says. Both come
// from here, so that what is written is what is done. Upstream carries out what the status says; here nothing waits for a write.
// Source: linkerd2 policy-controller/k8s/status/src, GEP-1426, shared facts on the control plane 3.4.

import Base
import Kube
import OrderedCollections

struct RouteAcceptance {
    let index: ClusterIndex
    let options: PolicyOptions

    struct Judgement: Equatable {
        var isGood: Bool
        /// Of the condition.
        var reason: String
        var message: String

        static func good(_ reason: String) -> Judgement { Judgement(isGood: true, reason: reason, message: "") }
        static func bad(_ reason: String, _ message: String = "") -> Judgement { Judgement(isGood: false, reason: reason, message: message) }
    }

    func isAccepted(_ route: Cluster.Route, by parent: Cluster.Route.Parent) -> Bool { accepted(route, by: parent).isGood }

    func accepted(_ route: Cluster.Route, by parent: Cluster.Route.Parent) -> Judgement {
        switch parent.kind {
        case .server: if index.server(named: parent.name) == nil { return .bad("NoMatchingParent") }
        case .service:
            guard let service = index.service(parent.name) else { return .bad("NoMatchingParent") }
            if service.clusterIPs.isEmpty { return .bad("NoMatchingParent", "parent service must have a ClusterIP") }
        case .egressNetwork:
            guard let network = index.routes.egressNetwork(parent.name), accepted(network).isGood else { return .bad("NoMatchingParent") }
        }
        if let fault = route.fault { return .bad("UnsupportedValue", fault) }
        if parent.kind != .server {
            let stronger = index.routes.routes(of: parent.kind, parent.name).first { other in
                other.id.kind.precedence > route.id.kind.precedence && other.fault == nil && other.parents.contains { $0.kind == parent.kind && $0.name == parent.name && $0.port == parent.port }
            }
            if let stronger { return .bad("RouteReasonConflicted", "\(stronger.id.kind.resource.kind) \(stronger.id.name) comes first") }
        }
        return .good("Accepted")
    }

    /// nil for a route of Servers only: it leads nowhere.
    func resolved(_ route: Cluster.Route, for parent: Cluster.Route.Parent) -> Judgement? {
        if parent.kind == .server { return nil }
        let backends = route.rules.flatMap(\.backends)
        if backends.contains(where: \.isForeign) { return .bad("InvalidKind") }
        for backend in backends {
            switch backend.target {
            case .service(let name, _): if index.service(name) == nil { return .bad("BackendNotFound", "Service \(name)") }
            case .egressNetwork(let name, _): if index.routes.egressNetwork(name) == nil { return .bad("BackendNotFound", "EgressNetwork \(name)") }
            case .invalid(let reason): return .bad("BackendNotFound", reason)
            }
        }
        return .good("ResolvedRefs")
    }

    /// An EgressNetwork must leave the cluster's networks alone.
    func accepted(_ network: Cluster.EgressNetwork) -> Judgement {
        for match in network.networks ?? [] {
            let overlaps = options.clusterNetworks.contains { own in
                (own.contains(match.network) || match.network.contains(own)) && !match.except.contains { $0.contains(own) || $0.contains(match.network) }
            }
            if overlaps { return .bad("EgressReasonNetworkOverlap", "networks overlap with clusterNetworks") }
        }
        return .good("Accepted")
    }

    /// The oldest for its Server wins.
    func accepted(_ limit: Cluster.RateLimitPolicy) -> Judgement {
        guard let server = index.server(named: Cluster.Name(limit.name.namespace, limit.server)) else { return .bad("NoMatchingTarget") }
        if index.rateLimit(of: server)?.name != limit.name { return .bad("RateLimitReasonAlreadyExists") }
        return .good("Accepted")
    }

    /// The network that an address outside belongs to: the client's own before the global ones, the smallest block, the oldest.
    func egressNetwork(of address: IPAddress, client: String) -> Cluster.EgressNetwork? {
        for namespace in [client, options.globalEgressNamespace] {
            var best: (network: Cluster.EgressNetwork, bits: Int)?
            for network in index.routes.egressNetworks where network.name.namespace == namespace && accepted(network).isGood {
                guard let bits = bits(network, address) else { continue }
                if let known = best, (-known.bits, known.network.createdAt, known.network.name) <= (-bits, network.createdAt, network.name) { continue }
                best = (network, bits)
            }
            if let best { return best.network }
        }
        return nil
    }

    /// Length of the longest prefix by which the network has the address; nil: it has not.
    private func bits(_ network: Cluster.EgressNetwork, _ address: IPAddress) -> Int? {
        guard let networks = network.networks else { return options.clusterNetworks.contains { $0.contains(address) } ? nil : 0 }
        return networks.filter { match in match.network.contains(address) && !match.except.contains { $0.contains(address) } }.map { Int($0.network.prefixBits) }.max()
    }
}
