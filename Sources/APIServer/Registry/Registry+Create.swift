// Creation: from a document to a stored object with identity.

import Base
import Documents
import Kube
import OrderedCollections

extension Registry {
    /// Checks type, name and namespace, and gives the object its identity and defaults.
    func prepareCreate(_ kind: ServedKind, _ version: ServedVersion, namespace: String, _ document: Value, _ caller: Caller, _ options: WriteOptions) throws(KubeStatus) -> PendingWrite {
        var object = try typed(document, kind, version, namespace: namespace)
        if let given = object.text("metadata", "resourceVersion"), !given.isEmpty, given != "0" { throw .badRequest("resourceVersion should not be set on objects to be created") }
        var name = object.text("metadata", "name") ?? ""
        if name.isEmpty, let base = object.text("metadata", "generateName"), !base.isEmpty {
            repeat { name = Names.generated(from: base, suffix: makeSuffix()) } while store.object(kind.collection, kind.key(namespace: namespace, name: name)) != nil
            object.put(.string(name), at: "metadata", "name")
        }
        if name.isEmpty { throw .invalid(kind, "", [.required("metadata.name", "name or generateName is required")]) }
        try checkNamespace(kind, namespace, name)
        object.put(.string(makeUID()), at: "metadata", "uid")
        object.put(timestamp, at: "metadata", "creationTimestamp")
        for member in ["resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields"] { object.put(nil, at: "metadata", member) }
        object.put(kind.hasGeneration ? .int(1) : nil, at: "metadata", "generation")
        object = kind.stored(object)
        if version.hasStatus { object.put(nil, at: "status") }
        var pending = PendingWrite(
            kind: kind, version: version, key: kind.key(namespace: namespace, name: name), operation: .create, old: nil, object: object, caller: caller, options: options)
        try complete(&pending)
        return pending
    }

    /// Stores what was prepared, validated and admitted.
    func commitCreate(_ pending: PendingWrite) throws(KubeStatus) -> Value {
        guard store.object(pending.kind.collection, pending.key) == nil else { throw .alreadyExists(pending.kind, pending.key.name) }
        try checkNamespace(pending.kind, pending.key.namespace, pending.key.name)
        var object = pending.object
        if pending.kind.name == "services" { try serviceAddresses.allocate(&object, kind: pending.kind, isDryRun: pending.options.isDryRun) }
        if pending.options.isDryRun { return object }
        return store.put(pending.kind.collection, pending.key, object)
    }

    /// All at once, without admission by webhooks: for the server's own objects.
    @discardableResult
    func create(_ resource: KubeResource, namespace: String = "", _ document: Value, _ caller: Caller = .controller) throws(KubeStatus) -> KubeObject {
        let kind = kind(resource)
        let pending = try prepareCreate(kind, kind.version(resource.version) ?? kind.versions[0], namespace: namespace, document, caller, WriteOptions())
        try validate(pending)
        return KubeObject(try commitCreate(pending))
    }

    // MARK: Shared with updates

    /// The document if it is an object of the kind in this place.
    func typed(_ document: Value, _ kind: ServedKind, _ version: ServedVersion, namespace: String) throws(KubeStatus) -> Value {
        guard case .object(let members) = document else { throw .badRequest("the request body must be an object") }
        let apiVersion = kind.apiVersion(version.name)
        let givenKind = document.text("kind") ?? ""
        let givenVersion = document.text("apiVersion") ?? ""
        if !givenKind.isEmpty || !givenVersion.isEmpty, givenKind != kind.kind || givenVersion != apiVersion {
            throw .badRequest("\(givenKind) in version \"\(givenVersion)\" cannot be handled as a \(kind.kind): the object provided is unrecognized (must be of type \(kind.kind) in version \"\(apiVersion)\")")
        }
        var object: Object = ["kind": .string(kind.kind), "apiVersion": .string(apiVersion), "metadata": .object(Object())]
        for (name, member) in members where name != "kind" && name != "apiVersion" { object[name] = kind.isCustom ? member : member.withoutNulls ?? .object(Object()) }
        guard case .object(let metadata)? = object["metadata"] else { throw .badRequest("metadata must be an object") }
        object["metadata"] = .object(metadata.filter { $0.value != .null })
        for (name, member) in object where member == .null { object[name] = nil as Value? }
        var result = Value.object(object)
        if kind.isNamespaced {
            let given = result.text("metadata", "namespace") ?? ""
            if !given.isEmpty, given != namespace { throw .badRequest("the namespace of the provided object does not match the namespace sent on the request") }
            result.put(.string(namespace), at: "metadata", "namespace")
        } else {
            result.put(nil, at: "metadata", "namespace")
        }
        return result
    }

    /// An object may be made only in a namespace that stands.
    func checkNamespace(_ kind: ServedKind, _ namespace: String, _ name: String) throws(KubeStatus) {
        guard kind.isNamespaced else { return }
        guard let found = find(.namespaces, name: namespace) else { throw .notFound(self.kind(.namespaces), namespace) }
        if found.isTerminating {
            throw .forbidden(
                kind, name, "unable to create new content in namespace \(namespace) because it is being terminated",
                causes: [KubeStatus.Cause(reason: "NamespaceTerminating", message: "namespace \(namespace) is being terminated", field: "metadata.namespace")])
        }
    }

    /// Fills in what the kind says of absent fields, and drops what the kind does not know.
    func complete(_ pending: inout PendingWrite) throws(KubeStatus) {
        if pending.kind.isCustom {
            guard let schema = pending.version.schema else { return }
            var unknown: [String] = []
            pending.object = schema.completed(pending.object, unknown: &unknown)
            try dropped(unknown, &pending)
        } else {
            // What the server itself writes is well-formed.
            if pending.caller != .controller, let type = pending.kind.conversion.map({ BuiltInType.named($0.storedType) }) ?? BuiltInType.of(pending.kind) {
                let findings = type.judge(pending.object)
                if let mistyped = findings.mistyped {
                    throw .badRequest("\(pending.kind.kind) in version \"\(pending.version.name)\" cannot be handled as a \(pending.kind.kind): \(mistyped)")
                }
                if !findings.unknown.isEmpty {
                    try dropped(findings.unknown, &pending)
                    pending.object = type.pruned(pending.object)
                }
            }
            Defaults.apply(to: &pending.object, kind: pending.kind.name)
            if pending.kind.name == "pods", pending.operation == .create { completePod(&pending.object) }
        }
    }

    private func dropped(_ unknown: [String], _ pending: inout PendingWrite) throws(KubeStatus) {
        if unknown.isEmpty || pending.options.isSilent { return }
        let sentences = unknown.map { "unknown field \"\($0)\"" }
        if pending.options.isStrict {
            throw .badRequest("\(pending.kind.kind) in version \"\(pending.version.name)\" cannot be handled as a \(pending.kind.kind): strict decoding error: \(sentences.joined(separator: ", "))")
        }
        pending.warnings += sentences.filter { !pending.warnings.contains($0) }
    }
}

extension Value {
    /// Without members that are null, at any depth, as decoding into typed structures loses them; nil when it is null itself.
    var withoutNulls: Value? {
        switch self {
        case .null: return nil
        case .array(let items): return .array(items.map { $0.withoutNulls ?? .null })
        case .object(let members):
            var kept = Object(minimumCapacity: members.count)
            for (name, member) in members { if let member = member.withoutNulls { kept[name] = member } }
            return .object(kept)
        default: return self
        }
    }
}
