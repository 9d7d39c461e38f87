// How many pods may be evicted now, for each PodDisruptionBudget; and whether one more eviction may be.
// Source: k8s.io/kubernetes pkg/controller/disruption, pkg/registry/core/pod/storage/eviction.go.

import Base
import Documents
import Kube
import OrderedCollections
import Platform

final class DisruptionController: Reconciler {
    static let budgets = KubeResource(group: "policy", version: "v1", plural: "poddisruptionbudgets", kind: "PodDisruptionBudget")

    override func observe(_ collection: String, _ change: StoredChange) {
        switch collection {
        case Self.budgets.description: enqueue(change.key)
        case "pods":
            for budget in registry.all(Self.budgets, namespace: change.key.namespace) where Self.selects(budget, change.object) { enqueue(budget.key) }
        case "replicasets.apps", "statefulsets.apps", "replicationcontrollers":
            guard change.previous?.number("spec", "replicas") != change.object.number("spec", "replicas") else { return }
            for budget in registry.all(Self.budgets, namespace: change.key.namespace) { enqueue(budget.key) }
        default: break
        }
    }

    static func selects(_ budget: KubeObject, _ pod: Value) -> Bool {
        guard let selector = budget.value.member("spec", "selector").flatMap({ LabelSelector(structured: $0) }) else { return false }
        return selector.matches(pod.entries("metadata", "labels"))
    }

    override func reconcile(_ key: KubeKey) throws(KubeStatus) {
        guard let budget = registry.find(Self.budgets, namespace: key.namespace, name: key.name) else { return }
        let pods = registry.all(.pods, namespace: key.namespace).filter { Self.selects(budget, $0.value) && !["Succeeded", "Failed"].contains($0.value.text("status", "phase") ?? "") }
        let least = budget.value.member("spec", "minAvailable")
        let most = budget.value.member("spec", "maxUnavailable")
        // A share, or what may be missing, is counted from the size that the owners want.
        let expected: Int64 = if case .int? = least { Int64(pods.count) } else { wanted(pods) }
        let desired: Int64 =
            if let most { max(0, expected - Self.amount(most, of: expected)) } else { Self.amount(least, of: expected) }
        let healthy = Int64(pods.filter { $0.isPodReady && !$0.isTerminating }.count)
        let time = registry.timestamp
        try setStatus(Self.budgets, budget) { status in
            status.put(.int(healthy), at: "currentHealthy")
            status.put(.int(desired), at: "desiredHealthy")
            status.put(.int(expected), at: "expectedPods")
            let allowed = expected == 0 ? 0 : max(0, healthy - desired)
            status.put(.int(allowed), at: "disruptionsAllowed")
            status.put(.int(budget.generation), at: "observedGeneration")
            status.setCondition("DisruptionAllowed", allowed > 0, reason: allowed > 0 ? "SufficientPods" : "InsufficientPods", message: "", at: time)
        }
    }

    private func wanted(_ pods: [KubeObject]) -> Int64 {
        var seen: OrderedSet<String> = []
        var total: Int64 = 0
        for pod in pods {
            guard let owner = pod.controller else {
                total += 1
                continue
            }
            guard seen.append(owner.uid).inserted, let (kind, _) = registry.catalog.kind(apiVersion: owner.apiVersion, kind: owner.kind) else { continue }
            let object = registry.store.object(kind.collection, kind.key(namespace: pod.namespace, name: owner.name))
            total += object?.number("spec", "replicas") ?? Int64(pods.filter { $0.controller?.uid == owner.uid }.count)
        }
        return total
    }

    private static func amount(_ value: Value?, of total: Int64) -> Int64 {
        switch value {
        case .int(let number): number
        case .string(let text): text.hasSuffix("%") ? ((Int64(text.dropLast()) ?? 0) * total + 99) / 100 : Int64(text) ?? 0
        default: 0
        }
    }
}

extension Registry {
    /// Takes one disruption from the pod's budget. 429 when none is left.
    func admitEviction(_ key: KubeKey, isDryRun: Bool) throws(KubeStatus) {
        let pod = KubeObject(try get(kind(.pods), key))
        // Who does not serve is missed by nobody.
        if ["Succeeded", "Failed", "Pending"].contains(pod.value.text("status", "phase") ?? "") || pod.isTerminating { return }
        let budgets = all(DisruptionController.budgets, namespace: key.namespace).filter { DisruptionController.selects($0, pod.value) }
        if budgets.count > 1 { throw .internalError("This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.") }
        guard let budget = budgets.first else { return }
        let allowed = budget.value.number("status", "disruptionsAllowed") ?? 0
        let desired = budget.value.number("status", "desiredHealthy") ?? 0
        let healthy = budget.value.number("status", "currentHealthy") ?? 0
        if !pod.isPodReady, healthy >= desired, desired > 0 { return }
        guard allowed > 0, (budget.value.number("status", "observedGeneration") ?? 0) >= budget.generation else {
            throw KubeStatus(
                code: 429, reason: .tooManyRequests, message: "Cannot evict pod as it would violate the pod's disruption budget.",
                details: KubeStatus.Details(
                    causes: [
                        KubeStatus.Cause(reason: "DisruptionBudget", message: "The disruption budget \(budget.name) needs \(desired) healthy pods and has \(healthy) currently", field: "")
                    ]))
        }
        if isDryRun { return }
        let time = timestamp
        try update(DisruptionController.budgets, namespace: budget.namespace, name: budget.name, subresource: "status") { object in
            object.value.put(.int(allowed - 1), at: "status", "disruptionsAllowed")
            object.value.put(time, at: "status", "disruptedPods", pod.name)
        }
    }
}
