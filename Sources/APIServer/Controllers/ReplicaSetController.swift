// As many pods as a ReplicaSet asks for. Source: k8s.io/kubernetes pkg/controller/replicaset.

import Base
import Documents
import Kube
import OrderedCollections
import Platform

final class ReplicaSetController: Reconciler {
    /// Look-up only: pods asked for whose creation (webhooks) is not over yet.
    private var creating: [String: Int] = [:]

    override func observe(_ collection: String, _ change: StoredChange) {
        switch collection {
        case "replicasets.apps": enqueue(change.key)
        case "pods":
            enqueueOwner(of: change.object, kind: "ReplicaSet")
            guard KubeObject(change.object).controller == nil, change.kind != .deleted else { return }
            // A pod without a master may be taken in.
            for set in registry.all(.replicaSets, namespace: change.key.namespace) where selects(set, change.object) { enqueue(set.key) }
        default: break
        }
    }

    private func selects(_ set: KubeObject, _ pod: Value) -> Bool {
        guard let selector = set.value.member("spec", "selector").flatMap({ LabelSelector(structured: $0) }), !selector.isEmpty else { return false }
        return selector.matches(pod.entries("metadata", "labels"))
    }

    override func reconcile(_ key: KubeKey) throws(KubeStatus) {
        guard let set = registry.find(.replicaSets, namespace: key.namespace, name: key.name) else { return }
        if !set.isTerminating { try adopt(set) }
        let pods = pods(of: set).filter(\.isPodActive)
        if !set.isTerminating {
            let wanted = Int(clamping: set.value.number("spec", "replicas") ?? 1)
            let missing = wanted - pods.count - (creating[set.uid] ?? 0)
            if missing > 0 { for _ in 0..<missing { create(set) } }
            if missing < 0 { for pod in surplus(pods, -missing) { writer.delete(registry.kind(.pods), pod.key) } }
        }
        let ready = pods.filter(\.isPodReady).count
        let labels = set.value.entries("spec", "template", "metadata", "labels")
        let labelled = pods.filter { LabelSelector(labels: labels).matches($0.labels) }.count
        try setStatus(.replicaSets, set) { status in
            status.put(.int(Int64(pods.count)), at: "replicas")
            status.put(pods.isEmpty ? nil : .int(Int64(labelled)), at: "fullyLabeledReplicas")
            status.put(ready == 0 ? nil : .int(Int64(ready)), at: "readyReplicas")
            status.put(ready == 0 ? nil : .int(Int64(ready)), at: "availableReplicas")
            status.put(.int(set.generation), at: "observedGeneration")
        }
    }

    private func adopt(_ set: KubeObject) throws(KubeStatus) {
        for pod in registry.relations.controlled(registry.kind(.pods).collection, by: "", in: set.namespace) where pod.isPodActive && selects(set, pod.value) {
            try registry.update(.pods, namespace: pod.namespace, name: pod.name) { $0.ownerReferences.append(KubeOwner(controlling: set)) }
        }
    }

    private func create(_ set: KubeObject) {
        creating[set.uid, default: 0] += 1
        writer.create(.pods, namespace: set.namespace, set.podTemplate(generateName: set.name + "-")) { [self] failure in
            let left = (creating[set.uid] ?? 1) - 1
            creating[set.uid] = left == 0 ? nil : left
            if let failure {
                host.log(.info, "apiserver::controllers", "replica set \(set.key): \(failure)")
                event(set, .replicaSets, "FailedCreate", "Error creating: \(failure.message)", isWarning: true)
                enqueue(set.key, after: .seconds(1))
            } else {
                enqueue(set.key)
            }
        }
    }

    /// Whom to take first: not on a node, not running, not ready, youngest.
    private func surplus(_ pods: [KubeObject], _ count: Int) -> [KubeObject] {
        func rank(_ pod: KubeObject) -> (Int, Int, Int, Int64) {
            (
                pod.value.text("spec", "nodeName") == nil ? 0 : 1, pod.value.text("status", "phase") == "Running" ? 1 : 0, pod.isPodReady ? 1 : 0,
                -(pod.createdAt?.seconds ?? 0)
            )
        }
        return Array(pods.sorted { rank($0) < rank($1) }.prefix(count))
    }
}
