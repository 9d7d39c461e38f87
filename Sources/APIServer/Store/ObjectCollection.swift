// All objects of one kind, in the order in which lists show them, and the last changes made to them. The history answers two
// questions: what happened since a version (watches), and what the collection was at a version (pages of one list).

import DequeModule
import Documents
import Kube
import OrderedCollections

struct ObjectCollection {
    /// `pods`, `deployments.apps`.
    let name: String
    /// By namespace, then by name.
    private(set) var keys: [KubeKey] = []
    /// Look-up only.
    private var objects: [KubeKey: Value] = [:]
    private(set) var changes: Deque<StoredChange> = []
    /// Changes up to this version are forgotten.
    private(set) var compacted: UInt64

    init(name: String, version: UInt64) {
        self.name = name
        compacted = version
    }

    subscript(_ key: KubeKey) -> Value? { objects[key] }
    var count: Int { keys.count }

    /// Where `key` is or would be.
    func position(of key: KubeKey) -> Int { keys[...].lowerBound { $0 < key } }

    /// The positions of a namespace's keys; of all keys when nil.
    func range(namespace: String?) -> Range<Int> {
        guard let namespace else { return 0..<keys.count }
        return keys[...].lowerBound { $0.namespace < namespace }..<keys[...].lowerBound { $0.namespace <= namespace }
    }

    /// Puts in what an earlier life left, without history.
    mutating func restore(_ key: KubeKey, _ object: Value) {
        if objects[key] == nil {
            if let last = keys.last, last < key { keys.append(key) } else { keys.insert(key, at: position(of: key)) }
        }
        objects[key] = object
    }

    mutating func record(_ change: StoredChange, historyMax: Int) {
        switch change.kind {
        case .added:
            keys.insert(change.key, at: position(of: change.key))
            objects[change.key] = change.object
        case .modified:
            objects[change.key] = change.object
        case .deleted:
            keys.remove(at: position(of: change.key))
            objects[change.key] = nil
        }
        changes.append(change)
        while changes.count > historyMax { compacted = changes.removeFirst().version }
    }

    /// Forgets every change up to this version.
    mutating func compact(through version: UInt64) {
        while let first = changes.first, first.version <= version { changes.removeFirst() }
        compacted = max(compacted, version)
    }

    /// Where the first change after `version` is.
    func firstChange(after version: UInt64) -> Int {
        var low = 0
        var high = changes.count
        while low < high {
            let middle = (low + high) / 2
            if changes[middle].version <= version { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Key and object in list order as of `version`, which must not be compacted. Walks the history back, so that a page read
    /// late still shows the state of the first page.
    func state(at version: UInt64, namespace: String?) -> [(key: KubeKey, object: Value)] {
        var rows: [(key: KubeKey, object: Value)] = []
        let range = range(namespace: namespace)
        rows.reserveCapacity(range.count)
        guard let last = changes.last, last.version > version else {
            for key in keys[range] { rows.append((key, objects[key]!)) }
            return rows
        }
        // The oldest change after `version` of each key tells what it was then.
        var then: [KubeKey: StoredChange] = [:]
        var vanished: [KubeKey] = []
        for i in firstChange(after: version)..<changes.count {
            let change = changes[i]
            if let namespace, change.key.namespace != namespace { continue }
            guard then[change.key] == nil else { continue }
            then[change.key] = change
            if change.previous != nil, objects[change.key] == nil { vanished.append(change.key) }
        }
        for key in keys[range] {
            if let change = then[key] {
                if let previous = change.previous { rows.append((key, previous)) }
            } else {
                rows.append((key, objects[key]!))
            }
        }
        for key in vanished {
            guard let previous = then[key]?.previous else { continue }
            rows.insert((key, previous), at: rows[...].lowerBound { $0.key < key })
        }
        return rows
    }
}

extension ArraySlice {
    /// The position of the first element that `isBefore` denies, in a slice sorted by it.
    func lowerBound(_ isBefore: (Element) -> Bool) -> Int {
        var low = startIndex
        var high = endIndex
        while low < high {
            let middle = low + (high - low) / 2
            if isBefore(self[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
