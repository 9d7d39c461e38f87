// Aggregated cluster roles: the rules of all roles that their selectors match, written into them whenever one of those changes.
// Source: k8s.io/kubernetes pkg/controller/clusterroleaggregation.

import Base
import Documents
import Kube
import OrderedCollections
import Platform

final class AggregationController: Reconciler {
    override func observe(_ collection: String, _ change: StoredChange) {
        guard collection == KubeResource.clusterRoles.description else { return }
        if change.previous?.member("rules") == change.object.member("rules"), change.previous?.member("metadata", "labels") == change.object.member("metadata", "labels"),
            change.previous?.member("aggregationRule") == change.object.member("aggregationRule"), change.kind == .modified
        { return }
        for role in registry.all(.clusterRoles) where role.value.member("aggregationRule") != nil { enqueue(role.key) }
    }

    override func reconcile(_ key: KubeKey) throws(KubeStatus) {
        guard let role = registry.find(.clusterRoles, name: key.name), role.value.member("aggregationRule") != nil else { return }
        let selectors = role.value.items("aggregationRule", "clusterRoleSelectors").compactMap { LabelSelector(structured: $0) }
        var rules: OrderedSet<Value> = []
        for other in registry.all(.clusterRoles) where other.name != role.name && selectors.contains(where: { $0.matches(other.labels) }) {
            for rule in other.value.items("rules") { rules.append(rule) }
        }
        let all = Array(rules)
        if role.value.items("rules") == all { return }
        try registry.update(.clusterRoles, name: key.name) { $0.value.put(.array(all), at: "rules") }
    }
}
