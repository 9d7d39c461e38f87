// One pod on every node that takes it. Source: k8s.io/kubernetes pkg/controller/daemon/daemon_controller.go.

import Base
import Documents
import Kube
import OrderedCollections
import Platform

final class DaemonSetController: Reconciler {
    /// Look-up only: set and node of pods whose creation is not over yet.
    private var creating: Set<KubeKey> = []

    override func observe(_ collection: String, _ change: StoredChange) {
        switch collection {
        case "daemonsets.apps": enqueue(change.key)
        case "pods": enqueueOwner(of: change.object, kind: "DaemonSet")
        case "nodes": for set in registry.all(.daemonSets) { enqueue(set.key) }
        default: break
        }
    }

    override func reconcile(_ key: KubeKey) throws(KubeStatus) {
        guard let set = registry.find(.daemonSets, namespace: key.namespace, name: key.name) else { return }
        let revision = DeploymentController.hash(set)
        if !set.isTerminating { try keepRevision(of: set, hash: revision) }
        let selector = set.value.entries("spec", "template", "spec", "nodeSelector")
        let nodes = registry.all(.nodes).filter { node in !node.isTerminating && selector.allSatisfy { node.labels[$0.key] == $0.value } }
        let pods = pods(of: set)
        let kind = registry.kind(.pods)
        if !set.isTerminating {
            for node in nodes where !pods.contains(where: { $0.value.text("spec", "nodeName") == node.name }) { create(set, node.name, revision) }
            for pod in pods where pod.isPodActive && !nodes.contains(where: { $0.name == pod.value.text("spec", "nodeName") }) { writer.delete(kind, pod.key) }
            for pod in pods where !pod.isTerminating && ["Succeeded", "Failed"].contains(pod.value.text("status", "phase") ?? "") { writer.delete(kind, pod.key) }
            let stale = pods.filter { $0.isPodActive && $0.labels["controller-revision-hash"] != revision }
            let isAllReady = pods.allSatisfy { $0.isPodReady && !$0.isTerminating }
            // One at a time, as the default of one unavailable pod asks; those that do not serve anyway at once.
            for pod in stale where !pod.isPodReady { writer.delete(kind, pod.key) }
            if isAllReady, set.value.text("spec", "updateStrategy", "type") != "OnDelete", let pod = stale.first { writer.delete(kind, pod.key) }
        }
        let living = pods.filter(\.isPodActive)
        let ready = living.filter(\.isPodReady).count
        try setStatus(.daemonSets, set) { status in
            status.put(.int(Int64(nodes.count)), at: "desiredNumberScheduled")
            status.put(.int(Int64(living.count)), at: "currentNumberScheduled")
            status.put(.int(0), at: "numberMisscheduled")
            status.put(.int(Int64(ready)), at: "numberReady")
            status.put(.int(Int64(ready)), at: "numberAvailable")
            status.put(.int(Int64(living.filter { $0.labels["controller-revision-hash"] == revision }.count)), at: "updatedNumberScheduled")
            status.put(.int(set.generation), at: "observedGeneration")
        }
    }

    private func create(_ set: KubeObject, _ node: String, _ revision: String) {
        guard creating.insert(KubeKey(set.uid, node)).inserted else { return }
        var pod = KubeObject(set.podTemplate(generateName: set.name + "-"))
        pod.labels["controller-revision-hash"] = revision
        pod.value.put(.string(node), at: "spec", "nodeName")
        writer.create(.pods, namespace: set.namespace, pod.value) { [self] failure in
            creating.remove(KubeKey(set.uid, node))
            if failure == nil { enqueue(set.key) } else { enqueue(set.key, after: .seconds(1)) }
        }
    }
}
