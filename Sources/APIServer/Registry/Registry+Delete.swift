// Deletion in its stages: at once; after a grace period (pods); after finalizers; after the content (namespaces); before,
// after or without the dependents (propagation policy, carried out by the garbage collector).

import Base
import Documents
import Kube
import OrderedCollections

struct DeleteOptions {
    enum Propagation: String { case orphan = "Orphan", background = "Background", foreground = "Foreground" }

    /// nil: the object's own.
    var gracePeriodSeconds: Int64?
    var propagation: Propagation?
    var uid: String?
    var resourceVersion: String?
    var isDryRun = false

    init() {}

    /// From the body when there is one, else from the query.
    init(_ body: Value?, _ query: Query) throws(KubeStatus) {
        if let body, case .object = body {
            if let kind = body.text("kind"), kind != "DeleteOptions" { throw .badRequest("the body of a deletion must be DeleteOptions, not \(kind)") }
            gracePeriodSeconds = body.number("gracePeriodSeconds")
            uid = body.text("preconditions", "uid")
            resourceVersion = body.text("preconditions", "resourceVersion")
            isDryRun = body.items("dryRun").contains(.string("All"))
            propagation = try Self.policy(body.text("propagationPolicy"))
            if body.flag("orphanDependents") == true { propagation = .orphan }
        }
        if let seconds = query.number("gracePeriodSeconds") { gracePeriodSeconds = seconds }
        if let policy = try Self.policy(query["propagationPolicy"]) { propagation = policy }
        if query["dryRun"] == "All" { isDryRun = true }
    }

    private static func policy(_ text: String?) throws(KubeStatus) -> Propagation? {
        guard let text else { return nil }
        guard let policy = Propagation(rawValue: text) else {
            throw .invalid(kind: "DeleteOptions", group: "", name: "", [.invalid("propagationPolicy", .string(text), "must be one of Background, Foreground, Orphan")])
        }
        return policy
    }
}

extension Registry {
    static let foregroundFinalizer = "foregroundDeletion"
    static let orphanFinalizer = "orphan"

    func prepareDelete(_ kind: ServedKind, _ version: ServedVersion, _ key: KubeKey, _ options: DeleteOptions, _ caller: Caller) throws(KubeStatus) -> PendingWrite {
        let old = try get(kind, key)
        try checkPreconditions(kind, old, options)
        var write = WriteOptions()
        write.isDryRun = options.isDryRun
        return PendingWrite(kind: kind, version: version, key: key, operation: .delete, old: old, object: old, caller: caller, options: write)
    }

    private func checkPreconditions(_ kind: ServedKind, _ old: Value, _ options: DeleteOptions) throws(KubeStatus) {
        let object = KubeObject(old)
        if let uid = options.uid, uid != object.uid {
            throw .conflict(kind, object.name, "Precondition failed: UID in precondition: \(uid), UID in object meta: \(object.uid)")
        }
        if let version = options.resourceVersion, version != object.resourceVersion {
            throw .conflict(kind, object.name, "Precondition failed: ResourceVersion in precondition: \(version), ResourceVersion in object meta: \(object.resourceVersion)")
        }
    }

    /// Deletes or begins to; returns the last state and whether it is gone.
    @discardableResult
    func delete(_ kind: ServedKind, _ key: KubeKey, _ options: DeleteOptions) throws(KubeStatus) -> (object: Value, isGone: Bool) {
        let old = try get(kind, key)
        try checkPreconditions(kind, old, options)
        var object = KubeObject(old)
        if kind.name == "namespaces", ["default", "kube-system", "kube-public"].contains(key.name) { throw .forbidden(kind, key.name, "this namespace may not be deleted") }
        var finalizers = object.finalizers
        switch options.propagation {
        case .foreground: finalizers.removeAll { $0 == Self.orphanFinalizer }
        case .orphan: finalizers.removeAll { $0 == Self.foregroundFinalizer }
        case .background: finalizers.removeAll { $0 == Self.orphanFinalizer || $0 == Self.foregroundFinalizer }
        case nil: break
        }
        if options.propagation == .foreground, !finalizers.contains(Self.foregroundFinalizer) { finalizers.append(Self.foregroundFinalizer) }
        if options.propagation == .orphan, !finalizers.contains(Self.orphanFinalizer) { finalizers.append(Self.orphanFinalizer) }
        if finalizers != object.finalizers { object.finalizers = finalizers }

        let grace = gracePeriod(kind, object, options)
        if !object.isTerminating {
            object.value.put(.string((wall() + .seconds(grace ?? 0)).description), at: "metadata", "deletionTimestamp")
            object.value.put(.int(grace ?? 0), at: "metadata", "deletionGracePeriodSeconds")
            if kind.hasGeneration { object.value.put(.int(object.generation + 1), at: "metadata", "generation") }
            if kind.name == "namespaces" { object.value.put(.string("Terminating"), at: "status", "phase") }
        } else if let grace, let before = object.value.number("metadata", "deletionGracePeriodSeconds"), grace < before {
            // A shorter period moves the end; a longer one is not granted.
            object.value.put(.string((wall() + .seconds(grace)).description), at: "metadata", "deletionTimestamp")
            object.value.put(.int(grace), at: "metadata", "deletionGracePeriodSeconds")
        }
        let isGone = isFinished(object.value, kind)
        if options.isDryRun { return (object.value, isGone) }
        if isGone { return (finish(kind, key, object.value), true) }
        if object.value == old { return (old, false) }
        return (store.put(kind.collection, key, object.value), false)
    }

    /// Seconds that a pod keeps; nil for kinds without.
    private func gracePeriod(_ kind: ServedKind, _ object: KubeObject, _ options: DeleteOptions) -> Int64? {
        guard kind.name == "pods" else { return nil }
        let phase = object.value.text("status", "phase")
        // Nobody runs it (any more): there is nothing to wait for.
        if object.value.text("spec", "nodeName") == nil || phase == "Succeeded" || phase == "Failed" { return 0 }
        return max(0, options.gracePeriodSeconds ?? object.value.number("spec", "terminationGracePeriodSeconds") ?? 30)
    }

    /// Deletion was asked for and nothing keeps the object any more.
    func isFinished(_ object: Value, _ kind: ServedKind) -> Bool {
        guard object.member("metadata", "deletionTimestamp") != nil, object.items("metadata", "finalizers").isEmpty else { return false }
        if kind.name == "namespaces" { return object.items("spec", "finalizers").isEmpty }
        if kind.name == "pods" { return (object.number("metadata", "deletionGracePeriodSeconds") ?? 0) == 0 }
        return true
    }

    /// Removes it for good; `object` becomes the last state that watchers see.
    func finish(_ kind: ServedKind, _ key: KubeKey, _ object: Value) -> Value {
        if kind.name == "services" { serviceAddresses.release(object) }
        return store.remove(kind.collection, key) ?? object
    }
}
