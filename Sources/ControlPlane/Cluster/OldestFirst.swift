// Objects of which the oldest in a namespace wins, such as Servers and rate limits: kept in the order in which they are asked, by age
// and then by name, as Linkerd does.

import Base

protocol Aged: Equatable {
    var name: Cluster.Name { get }
    var createdAt: WallTime { get }
}

extension Cluster.Server: Aged {}
extension Cluster.RateLimitPolicy: Aged {}
extension Cluster.TrafficSplit: Aged {}

struct OldestFirst<Item: Aged> {
    /// Look-up only.
    private var byNamespace: [String: [Item]] = [:]

    /// The oldest first.
    func items(in namespace: String) -> [Item] { byNamespace[namespace] ?? [] }

    subscript(_ name: Cluster.Name) -> Item? { byNamespace[name.namespace]?.first { $0.name == name } }

    /// All, by namespace and then by age.
    var all: [Item] { byNamespace.keys.sorted().flatMap { items(in: $0) } }  // order: by namespace

    /// False: it is known as it is.
    mutating func put(_ item: Item) -> Bool {
        var items = items(in: item.name.namespace)
        if items.contains(item) { return false }
        items.removeAll { $0.name == item.name }
        items.append(item)
        items.sort { ($0.createdAt, $0.name) < ($1.createdAt, $1.name) }
        byNamespace[item.name.namespace] = items
        return true
    }

    /// False: it was not there.
    mutating func remove(_ name: Cluster.Name) -> Bool {
        guard var items = byNamespace[name.namespace], let i = items.firstIndex(where: { $0.name == name }) else { return false }
        items.remove(at: i)
        byNamespace[name.namespace] = items.isEmpty ? nil : items
        return true
    }
}
