// An object of the Kubernetes API: the whole document, with accessors for the fields that all kinds share. Fields that this
// program does not know survive reading and writing back, because nothing but the document is kept.

import Base
import Documents
import OrderedCollections

public struct KubeObject: Equatable, Sendable {
    public var value: Value

    public init(_ value: Value) { self.value = value }

    /// A new object with type and name and nothing else.
    public init(_ resource: KubeResource, namespace: String? = nil, name: String, labels: KubeLabels = [:]) {
        value = .members([
            "apiVersion": .string(resource.apiVersion), "kind": .string(resource.kind),
            "metadata": .members([
                "name": .string(name), "namespace": namespace.map { .string($0) }, "labels": labels.isEmpty ? nil : .strings(labels),
            ]),
        ])
    }

    public var apiVersion: String { value.text("apiVersion") ?? "" }
    public var kind: String { value.text("kind") ?? "" }

    public var name: String {
        get { value.text("metadata", "name") ?? "" }
        set { value.put(newValue.isEmpty ? nil : .string(newValue), at: "metadata", "name") }
    }
    /// Empty for cluster-scoped objects.
    public var namespace: String {
        get { value.text("metadata", "namespace") ?? "" }
        set { value.put(newValue.isEmpty ? nil : .string(newValue), at: "metadata", "namespace") }
    }
    public var generateName: String { value.text("metadata", "generateName") ?? "" }
    public var uid: String { value.text("metadata", "uid") ?? "" }
    /// Opaque: only to be compared for equality and handed back.
    public var resourceVersion: String {
        get { value.text("metadata", "resourceVersion") ?? "" }
        set { value.put(newValue.isEmpty ? nil : .string(newValue), at: "metadata", "resourceVersion") }
    }
    public var generation: Int64 { value.number("metadata", "generation") ?? 0 }
    public var createdAt: WallTime? { value.text("metadata", "creationTimestamp").flatMap { WallTime(rfc3339: $0) } }
    public var deletedAt: WallTime? { value.text("metadata", "deletionTimestamp").flatMap { WallTime(rfc3339: $0) } }
    public var isTerminating: Bool { value.member("metadata", "deletionTimestamp") != nil }

    public var labels: KubeLabels {
        get { value.entries("metadata", "labels") }
        set { value.put(newValue.isEmpty ? nil : .strings(newValue), at: "metadata", "labels") }
    }
    public var annotations: KubeLabels {
        get { value.entries("metadata", "annotations") }
        set { value.put(newValue.isEmpty ? nil : .strings(newValue), at: "metadata", "annotations") }
    }
    public var finalizers: [String] {
        get { value.items("metadata", "finalizers").compactMap { $0.text() } }
        set { value.put(newValue.isEmpty ? nil : .array(newValue.map { .string($0) }), at: "metadata", "finalizers") }
    }
    public var ownerReferences: [KubeOwner] {
        get { value.items("metadata", "ownerReferences").map(KubeOwner.init) }
        set { value.put(newValue.isEmpty ? nil : .array(newValue.map(\.value)), at: "metadata", "ownerReferences") }
    }
    /// The owner that controls it, at most one.
    public var controller: KubeOwner? { ownerReferences.first(where: \.isController) }

    public var key: KubeKey { KubeKey(namespace, name) }

    /// `spec`, `status` and `data` as they are; `.null` when absent.
    public var spec: Value {
        get { value.member("spec") ?? .null }
        set { value.put(newValue, at: "spec") }
    }
    public var status: Value {
        get { value.member("status") ?? .null }
        set { value.put(newValue, at: "status") }
    }
}

/// What an object is called within its kind.
public struct KubeKey: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Empty for cluster-scoped objects.
    public var namespace: String
    public var name: String

    public init(_ namespace: String, _ name: String) {
        self.namespace = namespace
        self.name = name
    }

    public var description: String { namespace.isEmpty ? name : "\(namespace)/\(name)" }
    /// By UTF-8 bytes, as the API server lists.
    public static func < (a: KubeKey, b: KubeKey) -> Bool { (a.namespace, a.name) < (b.namespace, b.name) }
}

public struct KubeOwner: Hashable, Sendable {
    public var apiVersion: String
    public var kind: String
    public var name: String
    public var uid: String
    public var isController: Bool

    /// The reference by which `owner` controls an object.
    public init(controlling owner: KubeObject) {
        apiVersion = owner.apiVersion
        kind = owner.kind
        name = owner.name
        uid = owner.uid
        isController = true
    }

    init(_ value: Value) {
        apiVersion = value.text("apiVersion") ?? ""
        kind = value.text("kind") ?? ""
        name = value.text("name") ?? ""
        uid = value.text("uid") ?? ""
        isController = value.flag("controller") ?? false
    }

    var value: Value {
        .members([
            "apiVersion": .string(apiVersion), "kind": .string(kind), "name": .string(name), "uid": .string(uid),
            "controller": isController ? .bool(true) : nil, "blockOwnerDeletion": isController ? .bool(true) : nil,
        ])
    }
}
