// Pods with names that last: numbered, started in order, ended in reverse, replaced from the highest number down.
// Source: k8s.io/kubernetes pkg/controller/statefulset/stateful_set_control.go.

import Base
import Documents
import Kube
import OrderedCollections
import Platform

final class StatefulSetController: Reconciler {
    /// Look-up only: pods whose creation is not over yet.
    private var creating: Set<KubeKey> = []

    override func observe(_ collection: String, _ change: StoredChange) {
        switch collection {
        case "statefulsets.apps": enqueue(change.key)
        case "pods": enqueueOwner(of: change.object, kind: "StatefulSet")
        default: break
        }
    }

    override func reconcile(_ key: KubeKey) throws(KubeStatus) {
        guard let set = registry.find(.statefulSets, namespace: key.namespace, name: key.name) else { return }
        let revision = DeploymentController.hash(set)
        if !set.isTerminating { try keepRevision(of: set, hash: revision) }
        let pods = pods(of: set)
        let wanted = Int(clamping: set.value.number("spec", "replicas") ?? 1)
        let first = Int(clamping: set.value.number("spec", "ordinals", "start") ?? 0)
        if !set.isTerminating { try advance(set, pods, first..<(first + max(0, wanted)), revision) }
        let living = pods.filter(\.isPodActive)
        let ready = living.filter(\.isPodReady).count
        let updated = living.filter { $0.labels["controller-revision-hash"] == revision }.count
        try setStatus(.statefulSets, set) { status in
            status.put(.int(Int64(living.count)), at: "replicas")
            status.put(.int(Int64(ready)), at: "readyReplicas")
            status.put(.int(Int64(ready)), at: "availableReplicas")
            status.put(.int(Int64(updated)), at: "currentReplicas")
            status.put(.int(Int64(updated)), at: "updatedReplicas")
            status.put(.string(revision), at: "updateRevision")
            if updated == living.count || status.text("currentRevision") == nil { status.put(.string(revision), at: "currentRevision") }
            status.put(.int(0), at: "collisionCount")
            status.put(.int(set.generation), at: "observedGeneration")
        }
    }

    private func advance(_ set: KubeObject, _ pods: [KubeObject], _ numbers: Range<Int>, _ revision: String) throws(KubeStatus) {
        let isOrdered = set.value.text("spec", "podManagementPolicy") != "Parallel"
        func pod(_ number: Int) -> KubeObject? { pods.first { $0.name == "\(set.name)-\(number)" } }
        for number in numbers {
            let key = KubeKey(set.namespace, "\(set.name)-\(number)")
            guard let found = pod(number) else {
                create(set, number, key, revision)
                if isOrdered { return }
                continue
            }
            if !found.isTerminating, ["Succeeded", "Failed"].contains(found.value.text("status", "phase") ?? "") {
                writer.delete(registry.kind(.pods), key)
                if isOrdered { return }
            }
            if isOrdered, found.isTerminating || !found.isPodReady { return }
        }
        let kind = registry.kind(.pods)
        let surplus = pods.filter { !numbers.contains(number(of: $0, set) ?? -1) }.sorted { (number(of: $0, set) ?? 0) > (number(of: $1, set) ?? 0) }
        for pod in surplus {
            if !pod.isTerminating { writer.delete(kind, pod.key) }
            if isOrdered { return }
        }
        guard set.value.text("spec", "updateStrategy", "type") != "OnDelete" else { return }
        let partition = Int(clamping: set.value.number("spec", "updateStrategy", "rollingUpdate", "partition") ?? 0)
        for number in numbers.reversed() where number >= partition {
            guard let old = pod(number) else { return }
            if old.labels["controller-revision-hash"] != revision {
                if !old.isTerminating { writer.delete(kind, old.key) }
                return
            }
            if !old.isPodReady { return }
        }
    }

    private func number(of pod: KubeObject, _ set: KubeObject) -> Int? { pod.name.hasPrefix(set.name + "-") ? Int(pod.name.dropFirst(set.name.count + 1)) : nil }

    private func create(_ set: KubeObject, _ number: Int, _ key: KubeKey, _ revision: String) {
        guard creating.insert(key).inserted else { return }
        var pod = KubeObject(set.podTemplate(name: key.name))
        pod.labels["statefulset.kubernetes.io/pod-name"] = key.name
        pod.labels["apps.kubernetes.io/pod-index"] = String(number)
        pod.labels["controller-revision-hash"] = revision
        pod.value.put(.string(key.name), at: "spec", "hostname")
        if let service = set.value.text("spec", "serviceName") { pod.value.put(.string(service), at: "spec", "subdomain") }
        addClaims(set, &pod)
        writer.create(.pods, namespace: set.namespace, pod.value) { [self] failure in
            creating.remove(key)
            if let failure {
                host.log(.info, "apiserver::controllers", "stateful set \(set.key): \(failure)")
                enqueue(set.key, after: .seconds(1))
            } else {
                enqueue(set.key)
            }
        }
    }

    /// A claim of its own for each template, kept when the pod goes.
    private func addClaims(_ set: KubeObject, _ pod: inout KubeObject) {
        guard let kind = registry.catalog.kind(group: "", plural: "persistentvolumeclaims") else { return }
        let resource = KubeResource(group: "", version: "v1", plural: kind.plural, kind: kind.kind)
        var volumes = pod.value.items("spec", "volumes")
        for template in set.value.items("spec", "volumeClaimTemplates") {
            let volume = template.text("metadata", "name") ?? ""
            let name = "\(volume)-\(pod.name)"
            volumes.removeAll { $0.text("name") == volume }
            volumes.append(.members(["name": .string(volume), "persistentVolumeClaim": .members(["claimName": .string(name)])]))
            guard registry.find(resource, namespace: set.namespace, name: name) == nil else { continue }
            var claim = KubeObject(resource, namespace: set.namespace, name: name, labels: set.value.entries("spec", "selector", "matchLabels"))
            claim.value.put(template.member("spec"), at: "spec")
            writer.create(resource, namespace: set.namespace, claim.value)
        }
        if !volumes.isEmpty { pod.value.put(.array(volumes), at: "spec", "volumes") }
    }
}
