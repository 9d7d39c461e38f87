// Which objects of a collection a list or watch is about, and what a change means to somebody who sees only those: an object
// that begins to match is added, one that ceases to match is deleted.

import Documents
import Kube
import OrderedCollections

struct Selection {
    /// nil: all namespaces.
    var namespace: String?
    var labels = LabelSelector.everything
    var fields = FieldSelector.everything

    var isEverything: Bool { namespace == nil && labels.isEmpty && fields.isEmpty }

    func matches(_ key: KubeKey, _ object: Value) -> Bool {
        if let namespace, key.namespace != namespace { return false }
        if !labels.isEmpty, !labels.matches(object.entries("metadata", "labels")) { return false }
        for requirement in fields.requirements where (fieldText(requirement.field, of: object) == requirement.value) != requirement.isEqual { return false }
        return true
    }

    /// What the change is within the selection; nil: nothing.
    func see(_ change: StoredChange) -> WatchedChange? {
        if let namespace, change.key.namespace != namespace { return nil }
        if change.kind == .deleted {
            return matches(change.key, change.object) ? WatchedChange(kind: .deleted, object: change.object) : nil
        }
        let did = change.previous.map { matches(change.key, $0) } ?? false
        let does = matches(change.key, change.object)
        switch (did, does) {
        case (false, false): return nil
        case (false, true): return WatchedChange(kind: .added, object: change.object)
        case (true, true): return WatchedChange(kind: .modified, object: change.object)
        case (true, false):
            // The state that the watcher knows, at the version that took it away (k8s.io/apiserver cacher, convertToWatchEvent).
            var last = change.previous!
            last.put(.string(String(change.version)), at: "metadata", "resourceVersion")
            return WatchedChange(kind: .deleted, object: last)
        }
    }
}

struct WatchedChange {
    var kind: StoredChange.Kind
    var object: Value
}

/// A field's value as selectors compare it: empty when absent.
func fieldText(_ path: String, of object: Value) -> String {
    var value = object
    // An event's source is a component on a host; selectors mean the component.
    let path = path == "source" ? "source.component" : path
    for part in path.split(separator: ".") {
        guard let next = value.member(String(part)) else { return "" }
        value = next
    }
    switch value {
    case .string(let text): return text
    case .int(let number): return String(number)
    case .bool(let flag): return flag ? "true" : "false"
    default: return ""
    }
}

extension Selection {
    /// The fields that lists of a built-in kind may select by, besides name and namespace.
    /// Source: k8s.io/kubernetes pkg/apis/core/v1/conversion.go and the kinds' strategies.
    static func selectableFields(of kind: String) -> [String] {
        switch kind {
        case "pods":
            ["spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName"]
        case "events":
            ["involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid", "involvedObject.apiVersion", "involvedObject.resourceVersion",
             "involvedObject.fieldPath", "reason", "reportingComponent", "source", "type"]
        case "secrets": ["type"]
        case "namespaces": ["status.phase"]
        case "nodes": ["spec.unschedulable"]
        case "services": ["spec.clusterIP", "spec.type"]
        case "replicasets.apps": ["status.replicas"]
        case "jobs.batch": ["status.successful"]
        default: []
        }
    }
}
