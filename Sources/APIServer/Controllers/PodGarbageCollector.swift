// Pods that nobody looks after any more: on nodes that are gone, and finished ones beyond a number.
// Source: k8s.io/kubernetes pkg/controller/podgc/gc_controller.go.

import Base
import Documents
import Kube
import OrderedCollections
import Platform

final class PodGarbageCollector: Reconciler {
    /// How long a node must be gone. Source: quarantineTime.
    private static let quarantine = Interval.seconds(40)
    /// Finished pods that are kept. Source: kube-controller-manager --terminated-pod-gc-threshold.
    private static let finishedMax = 12_500
    private var finishedCount = 0

    override func observe(_ collection: String, _ change: StoredChange) {
        switch collection {
        case "nodes" where change.kind == .deleted:
            for pod in registry.all(.pods) where pod.value.text("spec", "nodeName") == change.key.name { enqueue(pod.key, after: Self.quarantine) }
        case "pods":
            let was = change.previous.map(Self.isFinished) ?? false
            let isNow = change.kind != .deleted && Self.isFinished(change.object)
            if was != isNow { finishedCount += isNow ? 1 : -1 }
            if finishedCount > Self.finishedMax { enqueue(KubeKey("", "")) }
            if change.kind != .deleted, let node = change.object.text("spec", "nodeName"), change.previous?.text("spec", "nodeName") != node, registry.find(.nodes, name: node) == nil {
                enqueue(change.key, after: Self.quarantine)
            }
        default: break
        }
    }

    private static func isFinished(_ pod: Value) -> Bool { ["Succeeded", "Failed"].contains(pod.text("status", "phase") ?? "") }

    override func reconcile(_ key: KubeKey) throws(KubeStatus) {
        if key.name.isEmpty { return forgetOldest() }
        guard let pod = registry.find(.pods, namespace: key.namespace, name: key.name), let node = pod.value.text("spec", "nodeName"), registry.find(.nodes, name: node) == nil else { return }
        end(pod.key)
    }

    private func forgetOldest() {
        let finished = registry.all(.pods).filter { Self.isFinished($0.value) && !$0.isTerminating }.sorted { ($0.createdAt?.seconds ?? 0, $0.key) < ($1.createdAt?.seconds ?? 0, $1.key) }
        for pod in finished.prefix(max(0, finished.count - Self.finishedMax)) { end(pod.key) }
    }

    private func end(_ key: KubeKey) {
        var options = DeleteOptions()
        options.gracePeriodSeconds = 0
        writer.delete(registry.kind(.pods), key, options)
    }
}
