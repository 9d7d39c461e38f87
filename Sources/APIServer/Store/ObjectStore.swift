// The cluster's state: every object of every kind under one version counter, as etcd keeps it for kube-apiserver. A write
// takes the next version, is remembered by its collection and told to the observers. What may be written is decided above.

import Base
import DequeModule
import Documents
import Kube
import OrderedCollections

final class ObjectStore {
    /// The version of the last write. The first write gets 1.
    private(set) var version: UInt64 = 0
    private var collections: [ObjectCollection] = []
    /// Look-up only.
    private var indexByName: [String: Int] = [:]
    private let historyMax: Int
    /// Told about each write inside it; must not write itself.
    private var observers: [(Int, StoredChange) -> Void] = []

    init(historyMax: Int) { self.historyMax = historyMax }

    func observe(_ observer: @escaping (Int, StoredChange) -> Void) { observers.append(observer) }

    func removeObservers() { observers = [] }

    /// The collection of this name, made at first use.
    func collection(named name: String) -> Int {
        if let index = indexByName[name] { return index }
        indexByName[name] = collections.count
        collections.append(ObjectCollection(name: name, version: version))
        return collections.count - 1
    }

    func existingCollection(named name: String) -> Int? { indexByName[name] }

    var collectionCount: Int { collections.count }
    func name(of collection: Int) -> String { collections[collection].name }

    // MARK: Reading

    func object(_ collection: Int, _ key: KubeKey) -> Value? { collections[collection][key] }
    func count(_ collection: Int) -> Int { collections[collection].count }

    /// Keys in list order.
    func keys(_ collection: Int, namespace: String? = nil) -> ArraySlice<KubeKey> {
        collections[collection].keys[collections[collection].range(namespace: namespace)]
    }

    /// Objects in list order.
    func objects(_ collection: Int, namespace: String? = nil) -> [Value] {
        keys(collection, namespace: namespace).map { collections[collection][$0]! }
    }

    func state(_ collection: Int, at version: UInt64, namespace: String?) -> [(key: KubeKey, object: Value)] {
        collections[collection].state(at: version, namespace: namespace)
    }

    /// Changes up to this version are forgotten.
    func compacted(_ collection: Int) -> UInt64 { collections[collection].compacted }

    func changeCount(_ collection: Int) -> Int { collections[collection].changes.count }
    func firstChange(_ collection: Int, after version: UInt64) -> Int { collections[collection].firstChange(after: version) }
    func change(_ collection: Int, at index: Int) -> StoredChange { collections[collection].changes[index] }

    /// Forgets the history up to now: every watch and page that has not come so far is answered with 410.
    func compact() {
        for i in collections.indices { collections[i].compact(through: version) }
    }

    // MARK: An earlier life

    /// Takes over what an earlier life left. Its history is forgotten; the observers are told of each object as if it were added, definitions
    /// before what they define.
    func restore(version: UInt64, _ objects: [(collection: String, key: KubeKey, object: Value)]) {
        self.version = version
        for i in collections.indices { collections[i].compact(through: version) }
        let definitions = KubeResource.customResourceDefinitions.description
        let ordered = objects.filter { $0.collection == definitions } + objects.filter { $0.collection != definitions }
        for (name, key, object) in ordered { collections[collection(named: name)].restore(key, object) }
        for (name, key, object) in ordered {
            let change = StoredChange(version: object.text("metadata", "resourceVersion").flatMap { UInt64($0) } ?? version, kind: .added, key: key, object: object, previous: nil)
            let index = collection(named: name)
            for observer in observers { observer(index, change) }
        }
    }

    // MARK: Writing

    /// Adds or replaces; returns the object with its new version.
    @discardableResult
    func put(_ collection: Int, _ key: KubeKey, _ object: Value) -> Value {
        version += 1
        let previous = collections[collection][key]
        var object = object
        object.put(.string(String(version)), at: "metadata", "resourceVersion")
        tell(collection, StoredChange(version: version, kind: previous == nil ? .added : .modified, key: key, object: object, previous: previous))
        return object
    }

    /// Removes; returns the last state with the version of the deletion. nil: there was none.
    @discardableResult
    func remove(_ collection: Int, _ key: KubeKey) -> Value? {
        guard let previous = collections[collection][key] else { return nil }
        version += 1
        var object = previous
        object.put(.string(String(version)), at: "metadata", "resourceVersion")
        tell(collection, StoredChange(version: version, kind: .deleted, key: key, object: object, previous: previous))
        return object
    }

    private func tell(_ collection: Int, _ change: StoredChange) {
        collections[collection].record(change, historyMax: historyMax)
        for observer in observers { observer(collection, change) }
    }
}
