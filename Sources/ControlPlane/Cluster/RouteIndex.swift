// Routes by what they belong to and by what they lead to, and the networks outside of the cluster. It tells which parents have to
// be looked at again; whether a parent takes a route is `RouteAcceptance`'s to say.

import Base

public final class RouteIndex {
    private struct Key: Hashable {
        var kind: Cluster.Route.Parent.Kind
        var name: Cluster.Name
    }

    /// Something about the routes of this parent changed.
    var publish: (Cluster.Route.Parent.Kind, Cluster.Name) -> Void = { _, _ in }
    private var routes: [Cluster.Route.ID: Cluster.Route] = [:]
    private var byParent: [Key: [Cluster.Route.ID]] = [:]
    /// By the services and networks among their backends.
    private var byBackend: [Key: [Cluster.Route.ID]] = [:]
    /// In the order of their names.
    public private(set) var egressNetworks: [Cluster.EgressNetwork] = []

    public init() {}

    // MARK: Reading

    public func route(_ id: Cluster.Route.ID) -> Cluster.Route? { routes[id] }
    public var count: Int { routes.count }

    /// All, in the order of their names.
    public var all: [Cluster.Route] { routes.keys.sorted().compactMap { routes[$0] } }  // order: by name

    /// Those that name this parent, the oldest first, then by name.
    public func routes(of kind: Cluster.Route.Parent.Kind, _ name: Cluster.Name) -> [Cluster.Route] {
        (byParent[Key(kind: kind, name: name)] ?? []).compactMap { routes[$0] }.sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
    }

    public func egressNetwork(_ name: Cluster.Name) -> Cluster.EgressNetwork? {
        let i = place(name)
        return i < egressNetworks.count && egressNetworks[i].name == name ? egressNetworks[i] : nil
    }

    // MARK: Feeding

    public func apply(_ route: Cluster.Route) {
        let old = routes.updateValue(route, forKey: route.id)
        guard old != route else { return }
        if let old { unlink(old) }
        for parent in route.parents { link(&byParent, Key(kind: parent.kind, name: parent.name), route.id) }
        for key in Self.backends(route) { link(&byBackend, key, route.id) }
        tell((old?.parents ?? []) + route.parents)
    }

    public func remove(_ id: Cluster.Route.ID) {
        guard let old = routes.removeValue(forKey: id) else { return }
        unlink(old)
        tell(old.parents)
    }

    public func apply(_ network: Cluster.EgressNetwork) {
        let i = place(network.name)
        if i < egressNetworks.count, egressNetworks[i].name == network.name {
            if egressNetworks[i] == network { return }
            egressNetworks[i] = network
        } else {
            egressNetworks.insert(network, at: i)
        }
        referentChanged(.egressNetwork, network.name)
        publish(.egressNetwork, network.name)
    }

    public func remove(egressNetwork name: Cluster.Name) {
        let i = place(name)
        guard i < egressNetworks.count, egressNetworks[i].name == name else { return }
        egressNetworks.remove(at: i)
        referentChanged(.egressNetwork, name)
        publish(.egressNetwork, name)
    }

    /// What routes lead to, or belong to, came, went or became something else.
    func referentChanged(_ kind: Cluster.Route.Parent.Kind, _ name: Cluster.Name) {
        let key = Key(kind: kind, name: name)
        for id in (byBackend[key] ?? []) + (byParent[key] ?? []) { if let route = routes[id] { tell(route.parents) } }
    }

    private func tell(_ parents: [Cluster.Route.Parent]) { for parent in parents { publish(parent.kind, parent.name) } }

    private func place(_ name: Cluster.Name) -> Int { egressNetworks.firstIndex { $0.name >= name } ?? egressNetworks.count }

    private func link(_ index: inout [Key: [Cluster.Route.ID]], _ key: Key, _ id: Cluster.Route.ID) {
        if index[key]?.contains(id) != true { index[key, default: []].append(id) }
    }

    private func unlink(_ route: Cluster.Route) {
        for parent in route.parents { unlink(&byParent, Key(kind: parent.kind, name: parent.name), route.id) }
        for key in Self.backends(route) { unlink(&byBackend, key, route.id) }
    }

    private func unlink(_ index: inout [Key: [Cluster.Route.ID]], _ key: Key, _ id: Cluster.Route.ID) {
        index[key]?.removeAll { $0 == id }
        if index[key]?.isEmpty == true { index[key] = nil }
    }

    private static func backends(_ route: Cluster.Route) -> [Key] {
        route.rules.flatMap(\.backends).compactMap { backend in
            switch backend.target {
            case .service(let name, _): Key(kind: .service, name: name)
            case .egressNetwork(let name, _): Key(kind: .egressNetwork, name: name)
            case .invalid: nil
            }
        }
    }
}
