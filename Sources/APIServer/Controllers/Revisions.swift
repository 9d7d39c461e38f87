// ControllerRevisions: the templates that a StatefulSet or DaemonSet has had, kept so that `kubectl rollout history` and `undo` find them.
// Source: k8s.io/kubernetes pkg/controller/history.

import Base
import Documents
import Kube
import OrderedCollections

extension Reconciler {
    static let revisions = KubeResource(group: "apps", version: "v1", plural: "controllerrevisions", kind: "ControllerRevision")

    /// Makes this template the newest revision, and forgets those beyond the history that is kept.
    final func keepRevision(of owner: KubeObject, hash: String) throws(KubeStatus) {
        let mine = registry.all(Self.revisions, namespace: owner.namespace).filter { $0.controller?.uid == owner.uid }.sorted { Self.number($0) < Self.number($1) }
        let newest = mine.last.map(Self.number) ?? 0
        let name = "\(owner.name)-\(hash)"
        if let known = mine.first(where: { $0.name == name }) {
            if Self.number(known) < newest {
                try registry.update(Self.revisions, namespace: owner.namespace, name: name) { $0.value.put(.int(newest + 1), at: "revision") }
            }
        } else {
            var revision = KubeObject(Self.revisions, namespace: owner.namespace, name: name, labels: owner.value.entries("spec", "template", "metadata", "labels"))
            revision.labels["controller-revision-hash"] = hash
            revision.annotations = owner.annotations.filter { $0.key == "kubernetes.io/change-cause" }
            revision.ownerReferences = [KubeOwner(controlling: owner)]
            var template = owner.value.member("spec", "template") ?? .null
            template.put(.string("replace"), at: "$patch")
            revision.value.put(.members(["spec": .members(["template": template])]), at: "data")
            revision.value.put(.int(newest + 1), at: "revision")
            try registry.create(Self.revisions, namespace: owner.namespace, revision.value)
        }
        let kept = Int(clamping: owner.value.number("spec", "revisionHistoryLimit") ?? 10)
        let old = mine.filter { $0.name != name }
        for revision in old.prefix(max(0, old.count - kept)) { writer.delete(registry.kind(Self.revisions), revision.key) }
    }

    private static func number(_ revision: KubeObject) -> Int64 { revision.value.number("revision") ?? 0 }
}
