// A watch as a place in a collection's history. It owns no queue: what its stream has not taken yet stays in the history, and
// a reader so slow that the history forgot its place is told 410, as etcd tells it.

import Documents
import Kube
import OrderedCollections

struct WatchCursor {
    let collection: Int
    let selection: Selection
    /// Everything up to this version has been told.
    private(set) var version: UInt64

    init(collection: Int, selection: Selection, version: UInt64) {
        self.collection = collection
        self.selection = selection
        self.version = version
    }

    /// The next change that the watch sees; nil when it has seen all. 410 when its place is forgotten.
    mutating func next(in store: ObjectStore) throws(KubeStatus) -> WatchedChange? {
        let compacted = store.compacted(collection)
        guard version >= compacted else {
            throw KubeStatus(code: 410, reason: .expired, message: "too old resource version: \(version) (\(compacted))")
        }
        var index = store.firstChange(collection, after: version)
        let count = store.changeCount(collection)
        while index < count {
            let change = store.change(collection, at: index)
            version = change.version
            if let seen = selection.see(change) { return seen }
            index += 1
        }
        version = max(version, store.version)
        return nil
    }
}
