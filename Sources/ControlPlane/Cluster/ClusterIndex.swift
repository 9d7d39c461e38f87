// Everything known of the cluster, found by the keys that the services ask for, and who must hear of which change. Changes
// mark subscriptions; `flush` then calls each marked one once, so a burst of events costs one refresh. Fed by informers.

import Base

public final class ClusterIndex {
    /// What a subscription can be about.
    public enum Topic: Hashable, Sendable {
        /// The service, its endpoints, or a pod among them.
        case service(Cluster.Name)
        case pod(Cluster.Name)
        /// Who has this address.
        case address(IPAddress)
        case node(String)
        /// Which EgressNetworks there are, and their routes.
        case egress
        /// Whatever the statuses of policy resources depend on.
        case policy
    }

    public final class Subscription {
        fileprivate var topics: [Topic]
        fileprivate var refresh: (() -> Void)?
        fileprivate var isMarked = false

        fileprivate init(_ topics: [Topic], _ refresh: @escaping () -> Void) {
            self.topics = topics
            self.refresh = refresh
        }
    }

    /// Asks the owner to call `flush` soon: something changed.
    public var wantsFlush: (() -> Void)?

    private var subscriptions: [Topic: [Subscription]] = [:]
    private var marked: [Subscription] = []

    private var services: [Cluster.Name: Cluster.Service] = [:]
    private var servicesByAddress: [IPAddress: [Cluster.Name]] = [:]
    private var pods: [Cluster.Name: Cluster.Pod] = [:]
    private var podsByAddress: [IPAddress: [Cluster.Name]] = [:]
    private var podsByNamespace: [String: [Cluster.Name]] = [:]
    private var slices: [Cluster.Name: Cluster.EndpointSlice] = [:]
    private var slicesByService: [Cluster.Name: [Cluster.Name]] = [:]
    private var servicesByPod: [Cluster.Name: [Cluster.Name]] = [:]
    private var nodes: [String: Cluster.Node] = [:]
    private var namespaces: [String: Cluster.Namespace] = [:]
    private var owners: [String: Cluster.Pod.Owner] = [:]
    private var profiles: [Cluster.Name: Cluster.ServiceProfile] = [:]
    private var servers = OldestFirst<Cluster.Server>()
    private var limits = OldestFirst<Cluster.RateLimitPolicy>()
    private var splits = OldestFirst<Cluster.TrafficSplit>()
    /// Look-up only: when a pod, or what is said of it elsewhere, last became another.
    private var podStamps: [Cluster.Name: UInt64] = [:]
    private var clock: UInt64 = 0
    private(set) var authorizations = AuthorizationTable()
    /// Routes and EgressNetworks.
    public let routes = RouteIndex()
    private let clusterDomain: String

    public init(clusterDomain: String = "cluster.local") {
        self.clusterDomain = clusterDomain
        routes.publish = { [unowned self] kind, name in publish(parent: kind, name) }
    }

    // MARK: Reading

    public func service(_ name: Cluster.Name) -> Cluster.Service? { services[name] }
    /// Those with this cluster IP; more than one is a conflict.
    public func services(at ip: IPAddress) -> [Cluster.Service] { (servicesByAddress[ip] ?? []).compactMap { services[$0] } }
    public func pod(_ name: Cluster.Name) -> Cluster.Pod? { pods[name] }

    /// Reachable pods with this address of their own.
    public func pods(at ip: IPAddress) -> [Cluster.Pod] {
        (podsByAddress[ip] ?? []).compactMap { pods[$0] }.filter { $0.isReachable && $0.ips.contains(ip) }
    }

    /// Living pods that serve `port` on the host with this address.
    public func pods(atHost ip: IPAddress, port: UInt16) -> [(pod: Cluster.Pod, port: UInt16)] {
        (podsByAddress[ip] ?? []).compactMap { pods[$0] }.compactMap { pod in
            guard !pod.isTerminating, pod.phase != "Succeeded", pod.phase != "Failed", pod.hostIPs.contains(ip) else { return nil }
            for container in pod.containers { for declared in container.ports where declared.hostPort == port { return (pod, declared.port) } }
            return nil
        }
    }

    /// In the order of their names.
    public func slices(of service: Cluster.Name) -> [Cluster.EndpointSlice] { (slicesByService[service] ?? []).compactMap { slices[$0] } }
    public func zone(ofNode name: String) -> String? { nodes[name]?.zone }
    public func namespace(_ name: String) -> Cluster.Namespace? { namespaces[name] }
    /// Named `<service>.<namespace>.svc.<cluster domain>`, in the namespace `holder`.
    public func profile(of service: Cluster.Name, in holder: String) -> Cluster.ServiceProfile? {
        profiles[Cluster.Name(holder, "\(service.name).\(service.namespace).svc.\(clusterDomain)")]
    }

    /// What made the pod: its owner's owner for a ReplicaSet or Job, else its owner, else the pod itself.
    public func owner(of pod: Cluster.Pod) -> Cluster.Pod.Owner {
        guard let owner = pod.owner else { return Cluster.Pod.Owner(kind: "pod", name: pod.name.name) }
        return owners[Self.ownerKey(owner.kind, pod.name.namespace, owner.name)] ?? owner
    }

    /// The server that describes the port: the oldest, then the first by name.
    public func server(of pod: Cluster.Pod, port: UInt16) -> Cluster.Server? { servers.items(in: pod.name.namespace).first { $0.selects(pod, port: port) } }

    public func server(named name: Cluster.Name) -> Cluster.Server? { servers[name] }

    /// All, by namespace and then by age.
    public var rateLimits: [Cluster.RateLimitPolicy] { limits.all }

    public func rateLimit(of server: Cluster.Server) -> Cluster.RateLimitPolicy? { limits.items(in: server.name.namespace).first { $0.server == server.name.name } }

    /// Another whenever the pod, its owner, its namespace or a policy that may concern it became another. Never zero for a known pod.
    public func stamp(of pod: Cluster.Name) -> UInt64 { podStamps[pod] ?? 0 }

    /// The oldest that divides the service's traffic.
    public func trafficSplit(of service: Cluster.Name) -> Cluster.TrafficSplit? { splits.items(in: service.namespace).first { $0.service == service.name } }

    // MARK: Subscribing

    /// `refresh` is called from `flush` after anything under one of the topics changed; not at once.
    public func subscribe(_ topics: [Topic], _ refresh: @escaping () -> Void) -> Subscription {
        let subscription = Subscription(topics, refresh)
        for topic in topics { subscriptions[topic, default: []].append(subscription) }
        return subscription
    }

    public func unsubscribe(_ subscription: Subscription) {
        for topic in subscription.topics {
            subscriptions[topic]?.removeAll { $0 === subscription }
            if subscriptions[topic]?.isEmpty == true { subscriptions[topic] = nil }
        }
        subscription.refresh = nil
        subscription.topics = []
    }

    public var subscribedTopicCount: Int { subscriptions.count }

    /// Calls every marked subscription once, in the order of marking.
    public func flush() {
        let now = marked
        marked = []
        for subscription in now { subscription.isMarked = false }
        for subscription in now { subscription.refresh?() }
    }

    private func publish(_ topic: Topic) {
        guard let listeners = subscriptions[topic] else { return }
        let wasClean = marked.isEmpty
        for subscription in listeners where !subscription.isMarked {
            subscription.isMarked = true
            marked.append(subscription)
        }
        if wasClean, !marked.isEmpty { wantsFlush?() }
    }

    // MARK: Feeding

    public func apply(_ service: Cluster.Service) {
        let old = services.updateValue(service, forKey: service.name)
        guard old != service else { return }
        reindex(&servicesByAddress, service.name, from: old?.clusterIPs ?? [], to: service.clusterIPs)
        publish(service: service.name, (old?.clusterIPs ?? []) + service.clusterIPs)
        if old?.clusterIPs.isEmpty != service.clusterIPs.isEmpty { routes.referentChanged(.service, service.name) }
    }

    public func remove(service name: Cluster.Name) {
        guard let old = services.removeValue(forKey: name) else { return }
        reindex(&servicesByAddress, name, from: old.clusterIPs, to: [])
        publish(service: name, old.clusterIPs)
        routes.referentChanged(.service, name)
    }

    public func apply(_ pod: Cluster.Pod) {
        let old = pods.updateValue(pod, forKey: pod.name)
        guard old != pod else { return }
        if old == nil { podsByNamespace[pod.name.namespace, default: []].append(pod.name) }
        let before = old.map { Self.addresses($0) } ?? []
        reindex(&podsByAddress, pod.name, from: before, to: Self.addresses(pod))
        publish(pod: pod.name, before + Self.addresses(pod))
    }

    public func remove(pod name: Cluster.Name) {
        guard let old = pods.removeValue(forKey: name) else { return }
        podsByNamespace[name.namespace]?.removeAll { $0 == name }
        reindex(&podsByAddress, name, from: Self.addresses(old), to: [])
        publish(pod: name, Self.addresses(old))
    }

    public func apply(_ slice: Cluster.EndpointSlice) {
        let old = slices.updateValue(slice, forKey: slice.name)
        guard old != slice else { return }
        if let old { forget(old) }
        let service = Cluster.Name(slice.name.namespace, slice.serviceName)
        slicesByService[service, default: []].append(slice.name)
        slicesByService[service]?.sort()
        for pod in Self.pods(of: slice) { servicesByPod[pod, default: []].append(service) }
        if let old, old.serviceName != slice.serviceName { publish(.service(Cluster.Name(old.name.namespace, old.serviceName))) }
        publish(.service(service))
    }

    public func remove(slice name: Cluster.Name) {
        guard let old = slices.removeValue(forKey: name) else { return }
        forget(old)
        publish(.service(Cluster.Name(name.namespace, old.serviceName)))
    }

    public func apply(_ node: Cluster.Node) {
        if nodes.updateValue(node, forKey: node.name) != node { publish(.node(node.name)) }
    }

    public func remove(node name: String) {
        if nodes.removeValue(forKey: name) != nil { publish(.node(name)) }
    }

    public func apply(_ namespace: Cluster.Namespace) {
        if namespaces.updateValue(namespace, forKey: namespace.name) != namespace { publish(podsOf: namespace.name) }
    }

    public func remove(namespace name: String) {
        if namespaces.removeValue(forKey: name) != nil { publish(podsOf: name) }
    }

    /// A ReplicaSet or Job with exactly one owner.
    public func apply(_ ownership: Cluster.Ownership) {
        let key = Self.ownerKey(ownership.kind, ownership.name.namespace, ownership.name.name)
        guard owners.updateValue(ownership.owner, forKey: key) != ownership.owner else { return }
        // Usually known before its pods; pods that came first are told.
        for name in podsByNamespace[ownership.name.namespace] ?? [] {
            guard let pod = pods[name], let owner = pod.owner, owner.kind == ownership.kind, owner.name == ownership.name.name else { continue }
            publish(pod: name, Self.addresses(pod))
        }
    }

    public func remove(ownership kind: String, _ name: Cluster.Name) { owners[Self.ownerKey(kind, name.namespace, name.name)] = nil }

    public func apply(_ profile: Cluster.ServiceProfile) {
        if profiles.updateValue(profile, forKey: profile.name) != profile { publish(profile: profile.name) }
    }

    public func remove(profile name: Cluster.Name) {
        if profiles.removeValue(forKey: name) != nil { publish(profile: name) }
    }

    public func apply(_ server: Cluster.Server) { if servers.put(server) { publish(policyOf: server.name.namespace) } }
    public func remove(server name: Cluster.Name) { if servers.remove(name) { publish(policyOf: name.namespace) } }
    public func apply(_ limit: Cluster.RateLimitPolicy) { if limits.put(limit) { publish(policyOf: limit.name.namespace) } }
    public func remove(rateLimit name: Cluster.Name) { if limits.remove(name) { publish(policyOf: name.namespace) } }

    public func apply(_ split: Cluster.TrafficSplit) {
        let old = splits[split.name]
        guard splits.put(split) else { return }
        publish(service: Cluster.Name(split.name.namespace, split.service))
        if let old, old.service != split.service { publish(service: Cluster.Name(old.name.namespace, old.service)) }
    }

    public func remove(trafficSplit name: Cluster.Name) {
        guard let old = splits[name], splits.remove(name) else { return }
        publish(service: Cluster.Name(name.namespace, old.service))
    }

    public func apply(_ authorization: Cluster.ServerAuthorization) {
        if authorizations.set(authorization.name, authorization) { publish(podsOf: authorization.name.namespace) }
    }

    public func remove(serverAuthorization name: Cluster.Name) {
        if authorizations.set(name, nil as Cluster.ServerAuthorization?) { publish(podsOf: name.namespace) }
    }

    public func apply(_ policy: Cluster.AuthorizationPolicy) {
        if authorizations.set(policy.name, policy) { publish(podsOf: policy.name.namespace) }
    }

    public func remove(authorizationPolicy name: Cluster.Name) {
        if authorizations.set(name, nil as Cluster.AuthorizationPolicy?) { publish(podsOf: name.namespace) }
    }

    public func apply(_ authentication: Cluster.MeshTLSAuthentication) {
        if authorizations.set(authentication.name, authentication) { publishAuthentications() }
    }

    public func remove(meshTLSAuthentication name: Cluster.Name) {
        if authorizations.set(name, nil as Cluster.MeshTLSAuthentication?) { publishAuthentications() }
    }

    public func apply(_ authentication: Cluster.NetworkAuthentication) {
        if authorizations.set(authentication.name, authentication) { publishAuthentications() }
    }

    public func remove(networkAuthentication name: Cluster.Name) {
        if authorizations.set(name, nil as Cluster.NetworkAuthentication?) { publishAuthentications() }
    }

    // MARK: Who must hear

    /// Policies may name authentications of any namespace.
    private func publishAuthentications() {
        for namespace in authorizations.namespaces { publish(podsOf: namespace) }
    }

    /// Something about the routes of a parent is new.
    private func publish(parent kind: Cluster.Route.Parent.Kind, _ name: Cluster.Name) {
        switch kind {
        case .service: publish(service: name)
        case .server: publish(podsOf: name.namespace)
        case .egressNetwork: publish(.egress)
        }
        publish(.policy)
    }

    private func publish(service name: Cluster.Name) { publish(service: name, services[name]?.clusterIPs ?? []) }

    private func publish(service name: Cluster.Name, _ addresses: [IPAddress]) {
        publish(.service(name))
        for address in addresses { publish(.address(address)) }
    }

    private func publish(pod name: Cluster.Name, _ addresses: [IPAddress]) {
        clock += 1
        podStamps[name] = pods[name] == nil ? nil : clock
        publish(.pod(name))
        for address in addresses { publish(.address(address)) }
        for service in servicesByPod[name] ?? [] { publish(.service(service)) }
    }

    private func publish(policyOf namespace: String) {
        publish(podsOf: namespace)
        publish(.policy)
    }

    private func publish(podsOf namespace: String) {
        for name in podsByNamespace[namespace] ?? [] {
            if let pod = pods[name] { publish(pod: name, Self.addresses(pod)) }
        }
    }

    private func publish(profile name: Cluster.Name) {
        let labels = name.name.split(separator: ".", maxSplits: 2)
        guard labels.count == 3, labels[2] == "svc.\(clusterDomain)" else { return }
        let service = Cluster.Name(String(labels[1]), String(labels[0]))
        publish(service: service)
    }

    private func forget(_ slice: Cluster.EndpointSlice) {
        let service = Cluster.Name(slice.name.namespace, slice.serviceName)
        slicesByService[service]?.removeAll { $0 == slice.name }
        for pod in Self.pods(of: slice) {
            if let i = servicesByPod[pod]?.firstIndex(of: service) { servicesByPod[pod]?.remove(at: i) }
            if servicesByPod[pod]?.isEmpty == true { servicesByPod[pod] = nil }
        }
    }

    private func reindex(_ index: inout [IPAddress: [Cluster.Name]], _ name: Cluster.Name, from old: [IPAddress], to new: [IPAddress]) {
        for address in old {
            index[address]?.removeAll { $0 == name }
            if index[address]?.isEmpty == true { index[address] = nil }
        }
        for address in new where index[address]?.contains(name) != true { index[address, default: []].append(name) }
    }

    private static func pods(of slice: Cluster.EndpointSlice) -> [Cluster.Name] { slice.endpoints.compactMap(\.pod) }
    private static func addresses(_ pod: Cluster.Pod) -> [IPAddress] { pod.ips + pod.hostIPs }
    private static func ownerKey(_ kind: String, _ namespace: String, _ name: String) -> String { "\(kind)/\(namespace)/\(name)" }
}
