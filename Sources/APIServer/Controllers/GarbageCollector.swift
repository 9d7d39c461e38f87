// Owner references: who belongs to whom, and what happens to dependents when an owner goes: deleted after it (background),
// before it (foreground), or set free (orphan). Source: kubernetes.io/docs/concepts/architecture/garbage-collection.

import Base
import Documents
import Kube
import OrderedCollections
import Platform

final class GarbageCollector: Reconciler {
    /// Keys carry the collection's name before the namespace, since the queue holds objects of all kinds.
    private static func tagged(_ collection: String, _ key: KubeKey) -> KubeKey { KubeKey("\(collection)|\(key.namespace)", key.name) }

    /// Look-up by the owner's uid; each in order of arrival.
    private var dependents: [String: OrderedSet<KubeKey>] = [:]

    override func observe(_ collection: String, _ change: StoredChange) {
        let key = Self.tagged(collection, change.key)
        let before = change.previous.map(owners) ?? []
        let after = change.kind == .deleted ? [] : owners(change.object)
        for uid in before where !after.contains(uid) {
            dependents[uid]?.remove(key)
            if dependents[uid]?.isEmpty == true { dependents[uid] = nil }
        }
        for uid in after where !before.contains(uid) { dependents[uid, default: []].append(key) }
        if change.kind == .added, !after.isEmpty { enqueue(key) }
        let uid = change.object.text("metadata", "uid") ?? ""
        if change.kind == .deleted {
            for dependent in dependents[uid] ?? [] { enqueue(dependent) }
            // An owner that waits for its dependents may go on.
            for owner in change.object.items("metadata", "ownerReferences") { enqueueOwner(owner, namespace: change.key.namespace) }
        } else if change.object.member("metadata", "deletionTimestamp") != nil {
            enqueue(key)
        }
    }

    private func owners(_ object: Value) -> [String] { object.items("metadata", "ownerReferences").compactMap { $0.text("uid") } }

    private func enqueueOwner(_ reference: Value, namespace: String) {
        guard let (kind, _) = registry.catalog.kind(apiVersion: reference.text("apiVersion") ?? "", kind: reference.text("kind") ?? "") else { return }
        enqueue(Self.tagged(kind.name, kind.key(namespace: namespace, name: reference.text("name") ?? "")))
    }

    override func reconcile(_ tagged: KubeKey) throws(KubeStatus) {
        guard let bar = tagged.namespace.firstIndex(of: "|"), let kind = registry.catalog.kind(named: String(tagged.namespace[..<bar])) else { return }
        let key = KubeKey(String(tagged.namespace[tagged.namespace.index(after: bar)...]), tagged.name)
        guard let value = registry.store.object(kind.collection, key) else { return }
        let object = KubeObject(value)
        if object.isTerminating {
            if object.finalizers.contains(Registry.orphanFinalizer) { return try orphan(kind, object) }
            if object.finalizers.contains(Registry.foregroundFinalizer) { return try foreground(kind, object) }
            return
        }
        try judge(kind, object)
    }

    /// Deletes an object whose owners are all gone; drops references to some that are.
    private func judge(_ kind: ServedKind, _ object: KubeObject) throws(KubeStatus) {
        let references = object.value.items("metadata", "ownerReferences")
        let living = references.filter { isAlive($0, namespace: object.namespace) }
        if references.isEmpty || living.count == references.count { return }
        if living.isEmpty {
            var options = DeleteOptions()
            options.uid = object.uid
            options.propagation = .background
            return writer.delete(kind, object.key, options)
        }
        try change(kind, object.key) { $0.value.put(.array(living), at: "metadata", "ownerReferences") }
    }

    private func isAlive(_ reference: Value, namespace: String) -> Bool {
        // Of a kind that is not served nothing is known: such an owner counts as living.
        guard let (kind, _) = registry.catalog.kind(apiVersion: reference.text("apiVersion") ?? "", kind: reference.text("kind") ?? "") else { return true }
        let owner = registry.store.object(kind.collection, kind.key(namespace: namespace, name: reference.text("name") ?? ""))
        return owner?.text("metadata", "uid") == reference.text("uid")
    }

    private func orphan(_ kind: ServedKind, _ owner: KubeObject) throws(KubeStatus) {
        for (kind, key) in dependents(of: owner) {
            try change(kind, key) { object in
                let rest = object.value.items("metadata", "ownerReferences").filter { $0.text("uid") != owner.uid }
                object.value.put(rest.isEmpty ? nil : .array(rest), at: "metadata", "ownerReferences")
            }
        }
        try change(kind, owner.key) { $0.finalizers.removeAll { $0 == Registry.orphanFinalizer } }
    }

    private func foreground(_ kind: ServedKind, _ owner: KubeObject) throws(KubeStatus) {
        for (kind, key) in dependents(of: owner) {
            guard let object = registry.store.object(kind.collection, key), object.member("metadata", "deletionTimestamp") == nil else { continue }
            var options = DeleteOptions()
            options.propagation = .foreground
            writer.delete(kind, key, options)
        }
        let isBlocked = dependents(of: owner).contains { kind, key in
            registry.store.object(kind.collection, key)?.items("metadata", "ownerReferences").contains { $0.text("uid") == owner.uid && $0.flag("blockOwnerDeletion") == true } ?? false
        }
        if !isBlocked { try change(kind, owner.key) { $0.finalizers.removeAll { $0 == Registry.foregroundFinalizer } } }
    }

    private func dependents(of owner: KubeObject) -> [(ServedKind, KubeKey)] {
        (dependents[owner.uid] ?? []).compactMap { tagged in
            guard let bar = tagged.namespace.firstIndex(of: "|"), let kind = registry.catalog.kind(named: String(tagged.namespace[..<bar])) else { return nil }
            return (kind, KubeKey(String(tagged.namespace[tagged.namespace.index(after: bar)...]), tagged.name))
        }
    }

    private func change(_ kind: ServedKind, _ key: KubeKey, _ body: (inout KubeObject) -> Void) throws(KubeStatus) {
        guard registry.store.object(kind.collection, key) != nil else { return }
        let pending = try registry.prepareUpdate(kind, kind.version(kind.storageVersion) ?? kind.versions[0], key, subresource: "", isReplacement: false, .controller, WriteOptions()) { value in
            var object = KubeObject(value)
            body(&object)
            return object.value
        }
        _ = try registry.commitUpdate(pending)
    }
}
