// The index kept true to the API server: one informer a kind, each change converted and applied. An object that cannot be read
// is taken out, never left as it was.

import Base
import Documents
import Kube
import Platform

public final class ClusterFeed {
    /// What a controller needs to know of.
    public enum Kind: Sendable, CaseIterable {
        case services, pods, meshedPods, endpointSlices, nodes, namespaces, replicaSets, jobs, serviceProfiles, servers
        case serverAuthorizations, authorizationPolicies, meshTLSAuthentications, networkAuthentications, rateLimits
        case trafficSplits
        case egressNetworks, policyHTTPRoutes, httpRoutes, grpcRoutes, tlsRoutes, tcpRoutes

        /// Source: the watches of Linkerd's destination controller.
        public static let destination: [Kind] = [.services, .pods, .endpointSlices, .nodes, .replicaSets, .jobs, .serviceProfiles, .servers]
        /// Source: the watches of Linkerd's policy controller.
        public static let policy: [Kind] = [
            .services, .meshedPods, .namespaces, .servers, .serverAuthorizations, .authorizationPolicies, .meshTLSAuthentications, .networkAuthentications,
            .rateLimits, .egressNetworks, .policyHTTPRoutes, .httpRoutes, .grpcRoutes, .tlsRoutes, .tcpRoutes,
        ]
    }

    public let index: ClusterIndex
    public private(set) var informers: [Informer] = []
    private let client: KubeClient
    private let policy: PolicyOptions
    private var flushIsScheduled = false
    private var isStopped = false
    private var syncListeners: [() -> Void] = []

    /// Kinds that need a CRD may be absent from the cluster.
    public init(client: KubeClient, index: ClusterIndex, kinds: [Kind], policy: PolicyOptions = PolicyOptions()) {
        self.client = client
        self.index = index
        self.policy = policy
        for kind in kinds { informers.append(informer(kind)) }
        index.wantsFlush = { [self] in scheduleFlush() }
    }

    /// Every kind has been listed once.
    public var hasSynced: Bool { informers.allSatisfy(\.hasSynced) }

    /// Called once, when every kind has been listed.
    public func onSynced(_ listener: @escaping () -> Void) {
        if hasSynced { listener() } else { syncListeners.append(listener) }
    }

    public func start() {
        for informer in informers {
            informer.onSynced { [self] in tellIfSynced() }
            // A kind that is not installed fails again and again: said once, until something else is wrong.
            var said = ""
            informer.onFailure { [self] error in
                let complaint = "\(informer.resource): \(error)"
                client.host.log(complaint == said ? .debug : .warn, "controller::watch", complaint)
                said = complaint
            }
            informer.start()
        }
    }

    public func stop() {
        isStopped = true
        syncListeners = []
        for informer in informers { informer.stop() }
        index.wantsFlush = nil
    }

    private func tellIfSynced() {
        guard hasSynced else { return }
        let listeners = syncListeners
        syncListeners = []
        for listener in listeners { listener() }
    }

    /// Everything that one turn of the loop brought is told at once.
    private func scheduleFlush() {
        guard !flushIsScheduled else { return }
        flushIsScheduled = true
        client.host.after(.zero) { [self] in
            flushIsScheduled = false
            if !isStopped { index.flush() }
        }
    }

    // MARK: One kind

    private func informer(_ kind: Kind) -> Informer {
        let index = index
        let policy = policy
        switch kind {
        case .services: return feed(.services) { index.apply(Cluster.Service($0)) } remove: { index.remove(service: $0) }
        case .pods: return feed(.pods, trim: Self.podEssentials) { index.apply(Cluster.Pod($0)) } remove: { index.remove(pod: $0) }
        case .meshedPods:
            let meshed = LabelSelector([.init("linkerd.io/control-plane-ns", .exists)])
            return feed(.pods, labels: meshed, trim: Self.podEssentials) { index.apply(Cluster.Pod($0)) } remove: { index.remove(pod: $0) }
        case .endpointSlices:
            return feed(.endpointSlices) { object in
                if let slice = Cluster.EndpointSlice(object) { index.apply(slice) } else { index.remove(slice: Cluster.Name(object)) }
            } remove: { index.remove(slice: $0) }
        case .nodes: return feed(.nodes, metadataOnly: true) { index.apply(Cluster.Node($0)) } remove: { index.remove(node: $0.name) }
        case .namespaces: return feed(.namespaces, isOptional: true, metadataOnly: true) { index.apply(Cluster.Namespace($0)) } remove: { index.remove(namespace: $0.name) }
        case .replicaSets: return ownership(.replicaSets, "replicaset")
        case .jobs: return ownership(.jobs, "job")
        case .serviceProfiles: return feed(.serviceProfiles, isOptional: true) { index.apply(Cluster.ServiceProfile($0)) } remove: { index.remove(profile: $0) }
        case .servers:
            return feed(.servers, isOptional: true) { object in
                if let server = Cluster.Server(object) { index.apply(server) } else { index.remove(server: Cluster.Name(object)) }
            } remove: { index.remove(server: $0) }
        case .serverAuthorizations:
            return feed(.serverAuthorizations, isOptional: true) { object in
                if let read = Cluster.ServerAuthorization(object, options: policy) { index.apply(read) } else { index.remove(serverAuthorization: Cluster.Name(object)) }
            } remove: { index.remove(serverAuthorization: $0) }
        case .authorizationPolicies:
            return feed(.authorizationPolicies, isOptional: true) { object in
                if let read = Cluster.AuthorizationPolicy(object) { index.apply(read) } else { index.remove(authorizationPolicy: Cluster.Name(object)) }
            } remove: { index.remove(authorizationPolicy: $0) }
        case .meshTLSAuthentications:
            return feed(.meshTLSAuthentications, isOptional: true) { object in
                if let read = Cluster.MeshTLSAuthentication(object) { index.apply(read) } else { index.remove(meshTLSAuthentication: Cluster.Name(object)) }
            } remove: { index.remove(meshTLSAuthentication: $0) }
        case .networkAuthentications:
            return feed(.networkAuthentications, isOptional: true) { object in
                if let read = Cluster.NetworkAuthentication(object) { index.apply(read) } else { index.remove(networkAuthentication: Cluster.Name(object)) }
            } remove: { index.remove(networkAuthentication: $0) }
        case .rateLimits:
            return feed(.httpLocalRateLimitPolicies, isOptional: true, retention: .documents) { object in
                if let read = Cluster.RateLimitPolicy(object) { index.apply(read) } else { index.remove(rateLimit: Cluster.Name(object)) }
            } remove: { index.remove(rateLimit: $0) }
        case .trafficSplits:
            return feed(.trafficSplits, isOptional: true) { object in
                if let read = Cluster.TrafficSplit(object) { index.apply(read) } else { index.remove(trafficSplit: Cluster.Name(object)) }
            } remove: { index.remove(trafficSplit: $0) }
        case .egressNetworks:
            return feed(.egressNetworks, isOptional: true, retention: .documents) { object in
                if let read = Cluster.EgressNetwork(object) { index.routes.apply(read) } else { index.routes.remove(egressNetwork: Cluster.Name(object)) }
            } remove: { index.routes.remove(egressNetwork: $0) }
        case .policyHTTPRoutes: return routes(.policyHTTP)
        case .httpRoutes: return routes(.http)
        case .grpcRoutes: return routes(.grpc)
        case .tlsRoutes: return routes(.tls)
        case .tcpRoutes: return routes(.tcp)
        }
    }

    private func routes(_ kind: Cluster.Route.Kind) -> Informer {
        let index = index
        return feed(kind.resource, isOptional: true, retention: .documents) { index.routes.apply(Cluster.Route($0, kind: kind)) } remove: { index.routes.remove(Cluster.Route.ID(kind, $0)) }
    }

    private func ownership(_ resource: KubeResource, _ kind: String) -> Informer {
        let index = index
        return feed(resource, metadataOnly: true) { object in
            if let ownership = Cluster.Ownership(object, kind: kind) { index.apply(ownership) } else { index.remove(ownership: kind, Cluster.Name(object)) }
        } remove: { index.remove(ownership: kind, $0) }
    }

    private func feed(
        _ resource: KubeResource, labels: LabelSelector = .everything, isOptional: Bool = false, metadataOnly: Bool = false, retention: Informer.Retention = .versions,
        trim: (@Sendable (inout KubeObject) -> Void)? = nil, apply: @escaping (KubeObject) -> Void, remove: @escaping (Cluster.Name) -> Void
    ) -> Informer {
        // The index keeps what is read of an object; the informer keeps which version that was, or all of it where a status is written.
        var shape = Informer.Shape(retention: retention, metadataOnly: metadataOnly)
        shape.trim = trim
        let informer = Informer(client: client, forms: resource.forms, labels: labels, isOptional: isOptional, shape: shape)
        informer.onChange { change in
            switch change {
            case .added(let object), .updated(_, let object): apply(object)
            case .deleted(let object): remove(Cluster.Name(object))
            }
        }
        return informer
    }

    /// Pods are many, and the longest parts of them are never read.
    @Sendable private static func podEssentials(_ object: inout KubeObject) {
        for field in ["volumes", "tolerations", "affinity", "ephemeralContainers", "topologySpreadConstraints"] { object.value.put(nil, at: "spec", field) }
        for field in ["conditions", "containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"] { object.value.put(nil, at: "status", field) }
    }
}
