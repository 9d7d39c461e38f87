// Pods find their nodes: of those that may take the pod, the one with the fewest pods, the first by name among equals.
// Resources are deliberately not counted: nodes here are as large as they need to be.

import Base
import Documents
import Kube
import OrderedCollections
import Platform

final class Scheduler: Reconciler {
    /// Look-up only: pods on each node.
    private var counts: [String: Int] = [:]

    override func observe(_ collection: String, _ change: StoredChange) {
        switch collection {
        case "pods":
            let before = change.previous.flatMap { $0.text("spec", "nodeName") }
            let after = change.kind == .deleted ? nil : change.object.text("spec", "nodeName")
            if before != after {
                if let before { counts[before, default: 0] -= 1 }
                if let after { counts[after, default: 0] += 1 }
            }
            if change.kind != .deleted, after == nil { enqueue(change.key) }
        case "nodes":
            // Whoever waits for a node may have one now.
            guard change.kind != .deleted, change.previous.map({ $0.member("spec") != change.object.member("spec") || $0.member("metadata", "labels") != change.object.member("metadata", "labels") }) ?? true
            else { return }
            for pod in registry.all(.pods) where pod.value.text("spec", "nodeName") == nil { enqueue(pod.key) }
        default: break
        }
    }

    override func reconcile(_ key: KubeKey) throws(KubeStatus) {
        guard let pod = registry.find(.pods, namespace: key.namespace, name: key.name), pod.value.text("spec", "nodeName") == nil, !pod.isTerminating,
            pod.value.text("spec", "schedulerName") == "default-scheduler", pod.value.items("spec", "schedulingGates").isEmpty
        else { return }
        let nodes = registry.all(.nodes)
        var best: (name: String, count: Int)?
        for node in nodes where takes(node, pod) {
            let count = counts[node.name] ?? 0
            if best.map({ count < $0.count }) ?? true { best = (node.name, count) }
        }
        if let best {
            try registry.bind(key, to: best.name)
            return event(pod, .pods, "Scheduled", "Successfully assigned \(key) to \(best.name)")
        }
        let message = nodes.isEmpty ? "no nodes available to schedule pods" : "0/\(nodes.count) nodes are available"
        event(pod, .pods, "FailedScheduling", message, isWarning: true)
        try setStatus(.pods, pod) { [registry] status in
            status.setCondition("PodScheduled", false, reason: "Unschedulable", message: message, at: registry.timestamp)
        }
    }

    private func takes(_ node: KubeObject, _ pod: KubeObject) -> Bool {
        if node.value.flag("spec", "unschedulable") == true || node.isTerminating { return false }
        for (key, value) in pod.value.entries("spec", "nodeSelector") where node.labels[key] != value { return false }
        let tolerations = pod.value.items("spec", "tolerations")
        return node.value.items("spec", "taints").allSatisfy { taint in
            if taint.text("effect") == "PreferNoSchedule" { return true }
            return tolerations.contains { toleration in
                if let effect = toleration.text("effect"), !effect.isEmpty, effect != taint.text("effect") { return false }
                let key = toleration.text("key") ?? ""
                if toleration.text("operator") == "Exists" { return key.isEmpty || key == taint.text("key") }
                return key == taint.text("key") && (toleration.text("value") ?? "") == (taint.text("value") ?? "")
            }
        }
    }
}
