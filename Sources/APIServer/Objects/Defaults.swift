// What the API fills in for fields that a document leaves out, for the built-in kinds that the mesh and its users meet.
// Source: k8s.io/kubernetes pkg/apis/{core,apps,batch,...}/v1/defaults.go.

import Base
import Documents
import Kube
import OrderedCollections

enum Defaults {
    static func apply(to object: inout Value, kind: String) {
        switch kind {
        case "pods":
            podSpec(&object, at: ["spec"])
            object.fill(.string("Pending"), "status", "phase")
            object.fill(.string(qualityOfService(object)), "status", "qosClass")
        case "services": service(&object)
        case "namespaces":
            object.fill(.string("Active"), "status", "phase")
            if object.member("metadata", "deletionTimestamp") == nil { object.fill(.array([.string("kubernetes")]), "spec", "finalizers") }
            // Source: NamespaceDefaultLabelName, GA since 1.22.
            object.put(object.member("metadata", "name"), at: "metadata", "labels", "kubernetes.io/metadata.name")
        case "secrets":
            object.fill(.string("Opaque"), "type")
            secretData(&object)
        case "serviceaccounts", "configmaps", "events": break
        case "endpoints":
            object.mapItems("subsets") { $0.mapItems("ports") { $0.fill(.string("TCP"), "protocol") } }
        case "endpointslices.discovery.k8s.io":
            object.mapItems("ports") {
                $0.fill(.string("TCP"), "protocol")
                $0.fill(.string(""), "name")
            }
        case "deployments.apps", "replicasets.apps", "statefulsets.apps", "daemonsets.apps", "replicationcontrollers": workload(&object, kind: kind)
        case "jobs.batch": job(&object)
        case "cronjobs.batch":
            object.fill(.string("Allow"), "spec", "concurrencyPolicy")
            object.fill(.bool(false), "spec", "suspend")
            object.fill(.int(3), "spec", "successfulJobsHistoryLimit")
            object.fill(.int(1), "spec", "failedJobsHistoryLimit")
            podSpec(&object, at: ["spec", "jobTemplate", "spec", "template", "spec"])
        case "mutatingwebhookconfigurations.admissionregistration.k8s.io", "validatingwebhookconfigurations.admissionregistration.k8s.io":
            webhooks(&object, isMutating: kind.hasPrefix("mutating"))
        case "customresourcedefinitions.apiextensions.k8s.io": definition(&object)
        case "rolebindings.rbac.authorization.k8s.io", "clusterrolebindings.rbac.authorization.k8s.io":
            object.mapItems("subjects") { if $0.text("kind") != "ServiceAccount" { $0.fill(.string("rbac.authorization.k8s.io"), "apiGroup") } }
        default: break
        }
    }

    private static func workload(_ object: inout Value, kind: String) {
        if kind != "daemonsets.apps" { object.fill(.int(1), "spec", "replicas") }
        switch kind {
        case "deployments.apps":
            object.fill(.string("RollingUpdate"), "spec", "strategy", "type")
            if object.text("spec", "strategy", "type") == "RollingUpdate" {
                object.fill(.string("25%"), "spec", "strategy", "rollingUpdate", "maxUnavailable")
                object.fill(.string("25%"), "spec", "strategy", "rollingUpdate", "maxSurge")
            }
            object.fill(.int(10), "spec", "revisionHistoryLimit")
            object.fill(.int(600), "spec", "progressDeadlineSeconds")
        case "statefulsets.apps":
            object.fill(.string("OrderedReady"), "spec", "podManagementPolicy")
            object.fill(.string("RollingUpdate"), "spec", "updateStrategy", "type")
            if object.text("spec", "updateStrategy", "type") == "RollingUpdate" { object.fill(.int(0), "spec", "updateStrategy", "rollingUpdate", "partition") }
            object.fill(.int(10), "spec", "revisionHistoryLimit")
        case "daemonsets.apps":
            object.fill(.string("RollingUpdate"), "spec", "updateStrategy", "type")
            if object.text("spec", "updateStrategy", "type") == "RollingUpdate" {
                object.fill(.int(1), "spec", "updateStrategy", "rollingUpdate", "maxUnavailable")
                object.fill(.int(0), "spec", "updateStrategy", "rollingUpdate", "maxSurge")
            }
            object.fill(.int(10), "spec", "revisionHistoryLimit")
        case "replicationcontrollers":
            let labels = object.member("spec", "template", "metadata", "labels") ?? .object(Object())
            object.fill(labels, "spec", "selector")
        default: break
        }
        podSpec(&object, at: ["spec", "template", "spec"])
    }

    private static func job(_ object: inout Value) {
        if object.number("spec", "completions") == nil, object.number("spec", "parallelism") == nil { object.fill(.int(1), "spec", "completions") }
        object.fill(.int(1), "spec", "parallelism")
        object.fill(.int(6), "spec", "backoffLimit")
        object.fill(.string("NonIndexed"), "spec", "completionMode")
        object.fill(.bool(false), "spec", "suspend")
        if object.flag("spec", "manualSelector") != true, let uid = object.text("metadata", "uid") {
            // Source: k8s.io/kubernetes pkg/registry/batch/job/strategy.go generateSelector.
            object.fill(.string(uid), "spec", "selector", "matchLabels", "batch.kubernetes.io/controller-uid")
            for prefix in ["batch.kubernetes.io/", ""] {
                object.fill(.string(uid), "spec", "template", "metadata", "labels", prefix + "controller-uid")
                object.fill(.string(object.text("metadata", "name") ?? ""), "spec", "template", "metadata", "labels", prefix + "job-name")
            }
        }
        podSpec(&object, at: ["spec", "template", "spec"])
    }

    private static func service(_ object: inout Value) {
        object.fill(.string("ClusterIP"), "spec", "type")
        object.fill(.string("None"), "spec", "sessionAffinity")
        if object.text("spec", "sessionAffinity") == "ClientIP" { object.fill(.int(10_800), "spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds") }
        let type = object.text("spec", "type")
        if type != "ExternalName" {
            object.fill(.string("Cluster"), "spec", "internalTrafficPolicy")
            object.fill(.string("SingleStack"), "spec", "ipFamilyPolicy")
            let isV6 = object.text("spec", "clusterIP")?.contains(":") ?? false
            object.fill(.array([.string(isV6 ? "IPv6" : "IPv4")]), "spec", "ipFamilies")
        }
        if type == "NodePort" || type == "LoadBalancer" { object.fill(.string("Cluster"), "spec", "externalTrafficPolicy") }
        if type == "LoadBalancer" { object.fill(.bool(true), "spec", "allocateLoadBalancerNodePorts") }
        object.fill(.object(Object()), "status", "loadBalancer")
        object.mapItems("spec", "ports") { port in
            port.fill(.string("TCP"), "protocol")
            let target = port.member("targetPort")
            if target == nil || target == .int(0) || target == .string("") { port.put(port.member("port"), at: "targetPort") }
        }
    }

    /// `stringData` is written into `data` and never read back.
    private static func secretData(_ object: inout Value) {
        for (key, text) in object.entries("stringData") {
            object.put(.string(base64Encoded(Array(text.utf8))), at: "data", key)
        }
        object.put(nil, at: "stringData")
    }

    private static func webhooks(_ object: inout Value, isMutating: Bool) {
        object.mapItems("webhooks") { hook in
            hook.fill(.string("Fail"), "failurePolicy")
            hook.fill(.string("Equivalent"), "matchPolicy")
            hook.fill(.object(Object()), "namespaceSelector")
            hook.fill(.object(Object()), "objectSelector")
            hook.fill(.int(10), "timeoutSeconds")
            if isMutating { hook.fill(.string("Never"), "reinvocationPolicy") }
            if hook.member("clientConfig", "service") != nil { hook.fill(.int(443), "clientConfig", "service", "port") }
            hook.mapItems("rules") { $0.fill(.string("*"), "scope") }
        }
    }

    private static func definition(_ object: inout Value) {
        let kind = object.text("spec", "names", "kind") ?? ""
        object.fill(.string(kind.lowercased()), "spec", "names", "singular")
        object.fill(.string(kind + "List"), "spec", "names", "listKind")
        object.fill(.string("None"), "spec", "conversion", "strategy")
    }

    /// Source: k8s.io/kubernetes pkg/apis/core/v1/helper/qos.
    private static func qualityOfService(_ pod: Value) -> String {
        var hasAny = false
        var isGuaranteed = true
        for container in pod.items("spec", "containers") + pod.items("spec", "initContainers") {
            let limits = container.entriesOfAnything("resources", "limits")
            let requests = container.entriesOfAnything("resources", "requests")
            if !limits.isEmpty || !requests.isEmpty { hasAny = true }
            for name in ["cpu", "memory"] where limits[name] == nil || requests[name].map({ $0 != limits[name] }) ?? false { isGuaranteed = false }
        }
        return !hasAny ? "BestEffort" : isGuaranteed ? "Guaranteed" : "Burstable"
    }
}

extension Value {
    /// Sets the member unless it is there.
    mutating func fill(_ value: Value, _ path: String...) {
        if member(at: path) == nil { put(value, at: path) }
    }

    func member(at path: [String]) -> Value? {
        var value = self
        for key in path {
            guard let next = value.member(key) else { return nil }
            value = next
        }
        return value
    }

    /// Sets the member at a path, making objects on the way; nil removes it.
    mutating func put(_ value: Value?, at path: [String]) {
        guard let key = path.first else { return }
        if path.count == 1 { return put(value, at: key) }
        guard var child = member(key) ?? (value == nil ? nil : .object(Object())) else { return }
        child.put(value, at: Array(path.dropFirst()))
        put(child, at: key)
    }

    /// Changes each element of the array at a path; does nothing when there is none.
    mutating func mapItems(_ path: String..., change: (inout Value) -> Void) {
        guard case .array(var items)? = member(at: path), !items.isEmpty else { return }
        for i in items.indices { change(&items[i]) }
        put(.array(items), at: path)
    }

    /// Members of the object at a path, whatever they are.
    func entriesOfAnything(_ path: String...) -> Object {
        if case .object(let members)? = member(at: path) { members } else { [:] }
    }
}
