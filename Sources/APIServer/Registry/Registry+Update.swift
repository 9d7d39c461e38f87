// Replacement of an object or a part of it. Metadata that belongs to the server survives whatever the client sends, each part
// has its own endpoint, and a write that changes nothing is none.

import Base
import Documents
import Kube
import OrderedCollections

extension Registry {
    /// Makes the new state of the object out of the present one by `change`, which sees and gives the version asked for.
    func prepareUpdate(
        _ kind: ServedKind, _ version: ServedVersion, _ key: KubeKey, subresource: String, isReplacement: Bool, _ caller: Caller, _ options: WriteOptions,
        _ change: (Value) throws(KubeStatus) -> Value
    ) throws(KubeStatus) -> PendingWrite {
        let old = try get(kind, key)
        let asked = try typed(try change(shown(old, kind, version)), kind, version, namespace: key.namespace)
        if let name = asked.text("metadata", "name"), !name.isEmpty, name != key.name {
            throw .badRequest("the name of the object (\(name)) does not match the name on the URL (\(key.name))")
        }
        let given = asked.text("metadata", "resourceVersion") ?? ""
        if given.isEmpty || given == "0" {
            if kind.isCustom, isReplacement {
                throw .invalid(kind, key.name, [.invalid("metadata.resourceVersion", .int(0), "must be specified for an update")])
            }
        } else if given != old.text("metadata", "resourceVersion") {
            throw .modified(kind, key.name)
        }
        if let uid = asked.text("metadata", "uid"), !uid.isEmpty, uid != old.text("metadata", "uid") {
            throw .conflict(kind, key.name, "Precondition failed: UID in precondition: \(uid), UID in object meta: \(old.text("metadata", "uid") ?? "")")
        }
        let object = merged(kind.stored(asked), into: old, kind, version, subresource: subresource)
        var pending = PendingWrite(
            kind: kind, version: version, key: key, subresource: subresource, operation: .update, old: old, object: object, caller: caller, options: options)
        try complete(&pending)
        return pending
    }

    /// The new state as far as the endpoint may change it.
    private func merged(_ asked: Value, into old: Value, _ kind: ServedKind, _ version: ServedVersion, subresource: String) -> Value {
        var object: Value
        switch subresource {
        case "status":
            object = old
            object.put(asked.member("status"), at: "status")
            if !kind.isCustom { object.put(asked.member("metadata", "annotations"), at: "metadata", "annotations") }
            object.put(asked.member("metadata", "managedFields"), at: "metadata", "managedFields")
        case "finalize":
            object = old
            object.put(asked.member("spec", "finalizers"), at: "spec", "finalizers")
        default:
            object = asked
            if version.hasStatus { object.put(old.member("status"), at: "status") }
        }
        for member in ["name", "namespace", "uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion", "generateName"] {
            object.put(old.member("metadata", member), at: "metadata", member)
        }
        object.put(nil, at: "metadata", "selfLink")
        return object
    }

    /// Stores what was prepared, validated and admitted; 409 when somebody else was faster.
    func commitUpdate(_ pending: PendingWrite) throws(KubeStatus) -> Value {
        let kind = pending.kind
        guard let old = pending.old, let current = store.object(kind.collection, pending.key) else { throw .notFound(kind, pending.key.name) }
        guard current.text("metadata", "resourceVersion") == old.text("metadata", "resourceVersion") else { throw .modified(kind, pending.key.name) }
        var object = pending.object
        if kind.name == "services" { try serviceAddresses.reallocate(&object, old: old, kind: kind, isDryRun: pending.options.isDryRun) }
        if kind.hasGeneration, pending.subresource != "status", specification(object) != specification(old) {
            object.put(.int((old.number("metadata", "generation") ?? 0) + 1), at: "metadata", "generation")
        }
        if isSame(object, old) { return old }
        if pending.options.isDryRun { return object }
        if isFinished(object, kind) { return finish(kind, pending.key, object) }
        return store.put(kind.collection, pending.key, object)
    }

    /// All at once, without admission by webhooks: for the server's own changes. nil when there is no such object.
    @discardableResult
    func update(_ resource: KubeResource, namespace: String = "", name: String, subresource: String = "", _ change: (inout KubeObject) -> Void) throws(KubeStatus) -> KubeObject? {
        let kind = kind(resource)
        let key = kind.key(namespace: namespace, name: name)
        guard store.object(kind.collection, key) != nil else { return nil }
        let version = kind.version(resource.version) ?? kind.versions[0]
        let pending = try prepareUpdate(kind, version, key, subresource: subresource, isReplacement: false, .controller, WriteOptions()) { (value) throws(KubeStatus) in
            var object = KubeObject(value)
            change(&object)
            return object.value
        }
        try validate(pending)
        return KubeObject(try commitUpdate(pending))
    }

    /// Everything but metadata and status, by meaning.
    private func specification(_ object: Value) -> Value {
        guard case .object(var members) = object else { return object }
        members["metadata"] = nil as Value?
        members["status"] = nil as Value?
        return Value.object(members).canonical
    }

    /// The same but for versions and times of field managers.
    private func isSame(_ a: Value, _ b: Value) -> Bool {
        func compared(_ object: Value) -> Value {
            guard let entries = object.member("metadata", "managedFields"), case .array(let items) = entries else { return object }
            var object = object
            object.put(
                .array(
                    items.map { entry in
                        var entry = entry
                        entry.put(nil, at: "time")
                        return entry
                    }), at: "metadata", "managedFields")
            return object
        }
        let (a, b) = (compared(a), compared(b))
        return a == b || a.canonical == b.canonical
    }
}
