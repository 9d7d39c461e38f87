// Who belongs to whom, and who carries which label, so that a controller finds its pods without looking at everybody's. Kept true by
// the store's changes; only kinds that controllers ask for are followed.

import Documents
import Kube
import OrderedCollections

final class Relations {
    private struct Label: Hashable {
        var collection: Int
        var namespace: String
        var name: String
        var value: String
    }

    private struct Owner: Hashable {
        var collection: Int
        var namespace: String
        /// Of the controller; empty: of those without one.
        var uid: String
    }

    private unowned let store: ObjectStore
    private let followed: Set<Int>
    /// Look-up only, each in order of arrival.
    private var byLabel: [Label: OrderedSet<KubeKey>] = [:]
    private var byOwner: [Owner: OrderedSet<KubeKey>] = [:]

    init(_ store: ObjectStore, following collections: [Int]) {
        self.store = store
        followed = Set(collections)
        store.observe { [unowned self] collection, change in if followed.contains(collection) { note(collection, change) } }
    }

    /// Those that this object controls, in list order; of those without a controller when `uid` is empty.
    func controlled(_ collection: Int, by uid: String, in namespace: String) -> [KubeObject] {
        objects(collection, byOwner[Owner(collection: collection, namespace: namespace, uid: uid)])
    }

    /// Those that carry all of these labels, of which there is at least one, in list order.
    func labelled(_ collection: Int, _ labels: KubeLabels, in namespace: String) -> [KubeObject] {
        var fewest: OrderedSet<KubeKey>?
        for (name, value) in labels {
            guard let keys = byLabel[Label(collection: collection, namespace: namespace, name: name, value: value)] else { return [] }
            if fewest.map({ keys.count < $0.count }) ?? true { fewest = keys }
        }
        let found = objects(collection, fewest)
        if labels.count == 1 { return found }
        return found.filter { object in labels.allSatisfy { object.labels[$0.key] == $0.value } }
    }

    private func objects(_ collection: Int, _ keys: OrderedSet<KubeKey>?) -> [KubeObject] {
        guard let keys else { return [] }
        return keys.sorted().compactMap { store.object(collection, $0).map { KubeObject($0) } }
    }

    private func note(_ collection: Int, _ change: StoredChange) {
        let namespace = change.key.namespace
        let after = change.kind == .deleted ? nil : change.object
        let (oldLabels, newLabels) = (change.previous?.entries("metadata", "labels") ?? [:], after?.entries("metadata", "labels") ?? [:])
        if oldLabels != newLabels {
            for (name, value) in oldLabels where newLabels[name] != value { remove(change.key, &byLabel, Label(collection: collection, namespace: namespace, name: name, value: value)) }
            for (name, value) in newLabels where oldLabels[name] != value { byLabel[Label(collection: collection, namespace: namespace, name: name, value: value), default: []].append(change.key) }
        }
        let (old, new) = (change.previous.map(controller), after.map(controller))
        guard old != new else { return }
        if let old { remove(change.key, &byOwner, Owner(collection: collection, namespace: namespace, uid: old)) }
        if let new { byOwner[Owner(collection: collection, namespace: namespace, uid: new), default: []].append(change.key) }
    }

    private func controller(_ object: Value) -> String { KubeObject(object).controller?.uid ?? "" }

    private func remove<Key: Hashable>(_ key: KubeKey, _ table: inout [Key: OrderedSet<KubeKey>], _ place: Key) {
        // Order of arrival matters to nobody: whoever asks is answered in list order.
        table[place]?.remove(unordered: key)
        if table[place]?.isEmpty == true { table[place] = nil }
    }
}

extension OrderedSet {
    /// In constant time: the last one takes the place of the one that goes.
    fileprivate mutating func remove(unordered element: Element) {
        guard let i = firstIndex(of: element) else { return }
        swapAt(i, count - 1)
        removeLast()
    }
}
