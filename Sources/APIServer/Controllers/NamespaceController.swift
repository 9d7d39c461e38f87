// Namespaces as they are born and as they end: each gets its default service account and the cluster's root certificate; a
// deleted one is emptied and vanishes when nothing is left in it. Beside it, the small controller of definitions.
// Source: k8s.io/kubernetes pkg/controller/{namespace,serviceaccount}, pkg/controller/certificates/rootcacertpublisher.

import Base
import Documents
import Kube
import OrderedCollections
import Platform

final class NamespaceController: Reconciler {
    private let rootCertificatePEM: String?

    init(registry: Registry, writer: Writer, host: any Host, rootCertificatePEM: String?) {
        self.rootCertificatePEM = rootCertificatePEM
        super.init(registry: registry, writer: writer, host: host)
    }

    override func observe(_ collection: String, _ change: StoredChange) {
        if collection == "namespaces" {
            enqueue(change.key)
        } else if change.kind == .deleted, !change.key.namespace.isEmpty {
            // What left a namespace that ends, or one of the objects that every namespace has.
            enqueue(KubeKey("", change.key.namespace))
        }
    }

    override func reconcile(_ key: KubeKey) throws(KubeStatus) {
        guard let namespace = registry.find(.namespaces, name: key.name) else { return }
        if namespace.isTerminating { return try empty(namespace) }
        if registry.find(.serviceAccounts, namespace: key.name, name: "default") == nil {
            try registry.create(.serviceAccounts, namespace: key.name, KubeObject(.serviceAccounts, namespace: key.name, name: "default").value)
        }
        if let pem = rootCertificatePEM, registry.find(.configMaps, namespace: key.name, name: "kube-root-ca.crt") == nil {
            var object = KubeObject(.configMaps, namespace: key.name, name: "kube-root-ca.crt")
            object.value.put(.string(pem), at: "data", "ca.crt")
            try registry.create(.configMaps, namespace: key.name, object.value)
        }
    }

    private func empty(_ namespace: KubeObject) throws(KubeStatus) {
        var isEmpty = true
        for kind in registry.catalog.kinds where kind.isNamespaced && !kind.isVirtual {
            for key in Array(registry.store.keys(kind.collection, namespace: namespace.name)) {
                guard let object = registry.store.object(kind.collection, key) else { continue }
                if object.member("metadata", "deletionTimestamp") == nil { writer.delete(kind, key) }
                if registry.store.object(kind.collection, key) != nil { isEmpty = false }
            }
        }
        guard isEmpty else { return }
        try registry.update(.namespaces, name: namespace.name, subresource: "finalize") { object in
            let left = object.value.items("spec", "finalizers").filter { $0 != .string("kubernetes") }
            object.value.put(left.isEmpty ? nil : .array(left), at: "spec", "finalizers")
        }
    }
}

/// Says of definitions that their names are accepted, and clears away the objects of one that is to go before it goes.
/// Source: k8s.io/apiextensions-apiserver pkg/controller/{status,establish,finalizer}.
final class DefinitionController: Reconciler {
    private static let finalizer = "customresourcecleanup.apiextensions.k8s.io"
    /// Look-up only: definitions that wait for their objects to go.
    private var terminating: Set<String> = []

    override func observe(_ collection: String, _ change: StoredChange) {
        if collection == KubeResource.customResourceDefinitions.description {
            enqueue(change.key)
        } else if change.kind == .deleted, terminating.contains(collection) {
            enqueue(KubeKey("", collection))
        }
    }

    override func reconcile(_ key: KubeKey) throws(KubeStatus) {
        guard let definition = registry.find(.customResourceDefinitions, name: key.name) else {
            guard let collection = registry.store.existingCollection(named: key.name), registry.catalog.kind(named: key.name) == nil else { return }
            for key in Array(registry.store.keys(collection)) { registry.store.remove(collection, key) }
            return
        }
        if definition.isTerminating { return try empty(definition) }
        if !definition.finalizers.contains(Self.finalizer) {
            try registry.update(.customResourceDefinitions, name: key.name) { $0.finalizers.append(Self.finalizer) }
        }
        let status = registry.acceptedStatus(of: definition.value)
        try setStatus(.customResourceDefinitions, definition) { $0 = status }
    }

    private func empty(_ definition: KubeObject) throws(KubeStatus) {
        terminating.insert(definition.name)
        if let kind = registry.catalog.kind(named: definition.name) {
            for key in Array(registry.store.keys(kind.collection)) where registry.store.object(kind.collection, key)?.member("metadata", "deletionTimestamp") == nil { writer.delete(kind, key) }
            // Their own finalizers may keep some of them.
            if registry.store.count(kind.collection) > 0 { return }
        }
        terminating.remove(definition.name)
        try registry.update(.customResourceDefinitions, name: definition.name) { $0.finalizers.removeAll { $0 == Self.finalizer } }
    }
}
