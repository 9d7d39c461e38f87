// The endpoints of a service's port as one kind of client sees them, shared by all streams of that kind: computed once a change,
// told as differences. Clients are of one kind when they run in one zone; only where a service wants traffic to stay on the node
// is each node a kind of its own. Source: linkerd2 controller/api/destination/filtered_listener_group.go, whose key is the node.

import Base
import MeshAPI
import OrderedCollections
import Platform

final class EndpointView {
    struct Key: Hashable {
        var service: Cluster.Name
        var port: UInt16
        var hostname: String?
        var zone: String
        /// Empty unless the service's traffic stays on the node.
        var node: String
    }

    typealias Addresses = OrderedDictionary<SocketAddress, Mesh.Destination.WeightedAddr>

    let key: Key
    private(set) var addresses: Addresses = [:]
    /// The service is there.
    private(set) var exists = false
    private var subscribers: [EndpointStream] = []
    private var cache = EndpointTranslator.Cache()
    private var subscription: ClusterIndex.Subscription?
    private var whole: SharedMessage<Mesh.Destination.Update>?
    private let translator: EndpointTranslator
    private let metrics: DestinationMetrics.View
    private unowned let table: EndpointViews

    fileprivate init(_ key: Key, table: EndpointViews, metrics: DestinationMetrics.View) {
        self.key = key
        self.table = table
        self.metrics = metrics
        translator = table.translator
        subscription = translator.index.subscribe([.service(key.service)]) { [unowned self] in refresh() }
        (addresses, exists) = compute()
        measure()
    }

    func add(_ stream: EndpointStream) {
        subscribers.append(stream)
        metrics.subscribers.value = Double(subscribers.count)
    }

    func remove(_ stream: EndpointStream) {
        guard let i = subscribers.firstIndex(where: { $0 === stream }) else { return }
        subscribers.remove(at: i)
        metrics.subscribers.value = Double(subscribers.count)
        guard subscribers.isEmpty else { return }
        if let subscription { translator.index.unsubscribe(subscription) }
        subscription = nil
        table.forget(self)
    }

    /// Everything, for who comes new; nil when there is nothing.
    var snapshot: SharedMessage<Mesh.Destination.Update>? {
        if addresses.isEmpty { return nil }
        if let whole { return whole }
        let made = SharedMessage(added(Array(addresses.values)))
        whole = made
        return made
    }

    func added(_ addresses: [Mesh.Destination.WeightedAddr]) -> Mesh.Destination.Update {
        var update = Mesh.Destination.Update()
        update.add.addrs = addresses
        update.add.metricLabels = translator.setLabels(key.service)
        return update
    }

    static func removed(_ addresses: [SocketAddress]) -> Mesh.Destination.Update {
        var update = Mesh.Destination.Update()
        update.remove.addrs = addresses.map { Mesh.Net.TcpAddress($0) }
        return update
    }

    private func compute() -> (Addresses, Bool) {
        guard let service = translator.index.service(key.service), !service.isExternalName else {
            cache = EndpointTranslator.Cache()
            return ([:], false)
        }
        let client = ClientView(nodeName: key.node, zone: key.zone)
        return (translator.endpoints(of: service, port: key.port, hostname: key.hostname, client: client, cache: &cache), true)
    }

    private func measure() {
        metrics.pods.value = Double(addresses.count)
        metrics.exists.value = exists ? 1 : 0
    }

    private func refresh() {
        if translator.index.service(key.service)?.isTrafficLocal ?? false == key.node.isEmpty {
            // Its clients may no longer be of one kind.
            for stream in subscribers { stream.rehome() }
            if subscribers.isEmpty { return }
        }
        let old = addresses
        (addresses, exists) = compute()
        measure()
        var added: [Mesh.Destination.WeightedAddr] = []
        for (address, message) in addresses where !cache.isUnchanged(address) && old[address] != message { added.append(message) }
        let removed = old.count + added.count == addresses.count ? [] : old.keys.filter { addresses[$0] == nil }
        guard !added.isEmpty || !removed.isEmpty else { return }
        whole = nil
        metrics.updates.increment()
        let add = added.isEmpty ? nil : SharedMessage(self.added(added))
        let remove = removed.isEmpty ? nil : SharedMessage(Self.removed(removed))
        // Whoever is told may leave.
        for stream in subscribers { stream.changed(add: add, remove: remove) }
    }
}

/// Every view that somebody looks at.
final class EndpointViews {
    let translator: EndpointTranslator
    private let metrics: DestinationMetrics
    /// Look-up only.
    private var views: [EndpointView.Key: EndpointView] = [:]

    init(translator: EndpointTranslator, metrics: DestinationMetrics) {
        self.translator = translator
        self.metrics = metrics
    }

    var count: Int { views.count }

    /// The view of a client on this node (empty: unknown).
    func view(_ service: Cluster.Name, port: UInt16, hostname: String?, nodeName: String) -> EndpointView {
        let isLocal = translator.index.service(service)?.isTrafficLocal ?? false
        let zone = translator.index.zone(ofNode: nodeName) ?? ""
        let key = EndpointView.Key(service: service, port: port, hostname: hostname, zone: zone, node: isLocal ? nodeName : "")
        if let view = views[key] { return view }
        let view = EndpointView(key, table: self, metrics: metrics.view(key))
        views[key] = view
        return view
    }

    fileprivate func forget(_ view: EndpointView) { views[view.key] = nil }
}
