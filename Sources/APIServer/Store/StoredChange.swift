// One change of one object, as the history keeps it: what it was, what it became, and the version that the change made.

import Documents
import Kube
import OrderedCollections

final class StoredChange {
    enum Kind: UInt8 { case added, modified, deleted }

    let version: UInt64
    let kind: Kind
    let key: KubeKey
    /// The state after the change; of a deletion, the last state with the version of the deletion.
    let object: Value
    /// The state before; nil when it was added.
    let previous: Value?

    init(version: UInt64, kind: Kind, key: KubeKey, object: Value, previous: Value?) {
        self.version = version
        self.kind = kind
        self.key = key
        self.object = object
        self.previous = previous
    }
}
