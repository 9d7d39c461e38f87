// What makes an object of a built-in kind invalid: the rules that users and the mesh run into. Custom kinds are judged by
// their schema. Source: k8s.io/kubernetes pkg/apis/*/validation and k8s.io/apimachinery pkg/api/validation/objectmeta.go.

import Base
import Documents
import Kube
import OrderedCollections

extension Registry {
    func validate(_ pending: PendingWrite) throws(KubeStatus) {
        guard pending.operation != .delete else { return }
        if let checkEscalation, pending.kind.group == "rbac.authorization.k8s.io" { try checkEscalation(pending) }
        var faults: [FieldFault] = []
        let object = pending.object
        Validation.metadata(object, old: pending.old, kind: pending.kind, &faults)
        if pending.kind.isCustom {
            pending.version.schema?.validate(object, path: "", &faults)
        } else if pending.subresource.isEmpty {
            Validation.builtIn(object, old: pending.old, kind: pending.kind, &faults)
        }
        if !faults.isEmpty { throw .invalid(pending.kind, pending.key.name, faults) }
    }
}

enum Validation {
    static func metadata(_ object: Value, old: Value?, kind: ServedKind, _ faults: inout [FieldFault]) {
        let name = object.text("metadata", "name") ?? ""
        if old == nil, let fault = Names.fault(ofName: name, kind: kind) { faults.append(.invalid("metadata.name", .string(name), fault)) }
        for (key, value) in object.entriesOfAnything("metadata", "labels") {
            if let fault = Names.fault(ofKey: key) { faults.append(.invalid("metadata.labels", .string(key), fault)) }
            guard case .string(let text) = value else {
                faults.append(.wrongType("metadata.labels.\(key)", value, "must be a string"))
                continue
            }
            if let fault = Names.fault(ofLabelValue: text) { faults.append(.invalid("metadata.labels", .string(text), fault)) }
        }
        var annotationBytes = 0
        for (key, value) in object.entriesOfAnything("metadata", "annotations") {
            if let fault = Names.fault(ofKey: key.lowercased()) { faults.append(.invalid("metadata.annotations", .string(key), fault)) }
            guard case .string(let text) = value else {
                faults.append(.wrongType("metadata.annotations.\(key)", value, "must be a string"))
                continue
            }
            annotationBytes += key.utf8.count + text.utf8.count
        }
        if annotationBytes > 256 * 1024 { faults.append(FieldFault(reason: .tooLong, field: "metadata.annotations", message: "Too long: may not be more than 262144 bytes")) }
        for (i, owner) in object.items("metadata", "ownerReferences").enumerated() {
            for member in ["apiVersion", "kind", "name", "uid"] where (owner.text(member) ?? "").isEmpty {
                faults.append(.invalid("metadata.ownerReferences[\(i)].\(member)", .string(""), "must not be empty"))
            }
        }
        if object.items("metadata", "ownerReferences").filter({ $0.flag("controller") == true }).count > 1 {
            faults.append(.invalid("metadata.ownerReferences", .array(object.items("metadata", "ownerReferences")), "Only one reference can have Controller set to true"))
        }
        if let old, old.member("metadata", "deletionTimestamp") != nil {
            let known = old.items("metadata", "finalizers")
            for added in object.items("metadata", "finalizers") where !known.contains(added) {
                faults.append(.forbidden("metadata.finalizers", "no new finalizers can be added if the object is being deleted, found new finalizers []string{\(added.json())}"))
            }
        }
    }

    static func builtIn(_ object: Value, old: Value?, kind: ServedKind, _ faults: inout [FieldFault]) {
        switch kind.name {
        case "pods":
            podSpec(object.member("spec") ?? .null, "spec", &faults)
            if let old { podUpdate(object, old, &faults) }
        case "deployments.apps", "replicasets.apps", "statefulsets.apps", "daemonsets.apps": workload(object, old: old, &faults)
        case "jobs.batch": podSpec(object.member("spec", "template", "spec") ?? .null, "spec.template.spec", &faults)
        case "cronjobs.batch":
            let schedule = object.text("spec", "schedule") ?? ""
            if schedule.isEmpty { faults.append(.required("spec.schedule")) } else {
                do throws(Refusal) { _ = try CronSchedule(schedule) } catch { faults.append(.invalid("spec.schedule", .string(schedule), error.reason)) }
            }
            if let zone = object.text("spec", "timeZone"), !["UTC", "Etc/UTC"].contains(zone) { faults.append(.notSupported("spec.timeZone", .string(zone), ["Etc/UTC", "UTC"])) }
            podSpec(object.member("spec", "jobTemplate", "spec", "template", "spec") ?? .null, "spec.jobTemplate.spec.template.spec", &faults)
        case "services": service(object, &faults)
        case "configmaps", "secrets":
            for list in ["data", "binaryData", "stringData"] {
                for (key, value) in object.entriesOfAnything(list) {
                    if key.isEmpty || key == "." || key == ".." || !key.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 || $0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7a || [0x2d, 0x2e, 0x5f].contains($0) }) {
                        faults.append(.invalid("\(list)[\(key)]", .string(key), "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"))
                    }
                    if case .string = value { continue }
                    faults.append(.wrongType("\(list).\(key)", value, "must be a string"))
                }
            }
            if old?.flag("immutable") == true, object.member("data") != old?.member("data") { faults.append(.forbidden("data", "field is immutable when `immutable` is set")) }
        case "customresourcedefinitions.apiextensions.k8s.io": definition(object, &faults)
        case "rolebindings.rbac.authorization.k8s.io", "clusterrolebindings.rbac.authorization.k8s.io":
            if (object.text("roleRef", "name") ?? "").isEmpty { faults.append(.required("roleRef.name")) }
            if let old, object.member("roleRef") != old.member("roleRef") { faults.append(.invalid("roleRef", object.member("roleRef") ?? .null, "cannot change roleRef")) }
        default: break
        }
    }

    private static func workload(_ object: Value, old: Value?, _ faults: inout [FieldFault]) {
        if let replicas = object.number("spec", "replicas"), replicas < 0 { faults.append(.invalid("spec.replicas", .int(replicas), "must be greater than or equal to 0")) }
        let selector = object.member("spec", "selector") ?? .null
        guard let parsed = LabelSelector(structured: selector), !parsed.isEmpty else {
            faults.append(.required("spec.selector"))
            return
        }
        let labels = object.entries("spec", "template", "metadata", "labels")
        if !parsed.matches(labels) {
            faults.append(.invalid("spec.template.metadata.labels", .strings(labels), "`selector` does not match template `labels`"))
        }
        if let old, let before = old.member("spec", "selector"), before.canonical != selector.canonical { faults.append(.invalid("spec.selector", selector, "field is immutable")) }
        podSpec(object.member("spec", "template", "spec") ?? .null, "spec.template.spec", &faults)
    }

    static func podSpec(_ spec: Value, _ path: String, _ faults: inout [FieldFault]) {
        let containers = spec.items("containers")
        if containers.isEmpty { faults.append(.required("\(path).containers")) }
        var names: Set<String> = []
        for (list, items) in [("initContainers", spec.items("initContainers")), ("containers", containers)] {
            for (i, container) in items.enumerated() {
                let at = "\(path).\(list)[\(i)]"
                let name = container.text("name") ?? ""
                if name.isEmpty {
                    faults.append(.required("\(at).name"))
                } else if !Names.isDNSLabel(name) {
                    faults.append(.invalid("\(at).name", .string(name), Names.labelRule))
                } else if !names.insert(name).inserted {
                    faults.append(.duplicate("\(at).name", .string(name)))
                }
                if (container.text("image") ?? "").isEmpty { faults.append(.required("\(at).image")) }
                for (j, port) in container.items("ports").enumerated() {
                    guard let number = port.number("containerPort"), (1...65535).contains(number) else {
                        faults.append(.invalid("\(at).ports[\(j)].containerPort", port.member("containerPort") ?? .int(0), "must be between 1 and 65535, inclusive"))
                        continue
                    }
                }
                for (j, variable) in container.items("env").enumerated() {
                    if (variable.text("name") ?? "").isEmpty { faults.append(.required("\(at).env[\(j)].name")) }
                }
                for (j, mount) in container.items("volumeMounts").enumerated() where !spec.items("volumes").contains(where: { $0.text("name") == mount.text("name") }) {
                    // Stateful sets bring volumes of their own by claim templates, which a template does not list.
                    if path == "spec" { faults.append(FieldFault(reason: .invalid, field: "\(at).volumeMounts[\(j)].name", message: "Not found: \"\(mount.text("name") ?? "")\"")) }
                }
            }
        }
        if let policy = spec.text("restartPolicy"), !["Always", "OnFailure", "Never"].contains(policy) {
            faults.append(.notSupported("\(path).restartPolicy", .string(policy), ["Always", "Never", "OnFailure"]))
        }
    }

    /// Only images, deadlines, tolerations, the scheduling gates and the node, once, may change in a pod.
    private static func podUpdate(_ object: Value, _ old: Value, _ faults: inout [FieldFault]) {
        func fixed(_ pod: Value) -> Value {
            var spec = pod.member("spec") ?? .null
            for list in ["containers", "initContainers"] { spec.mapItems(list) { $0.put(nil, at: "image") } }
            for member in ["activeDeadlineSeconds", "tolerations", "schedulingGates", "terminationGracePeriodSeconds", "ephemeralContainers"] { spec.put(nil, at: member) }
            if old.text("spec", "nodeName") == nil { spec.put(nil, at: "nodeName") }
            return spec.canonical
        }
        if fixed(object) != fixed(old) {
            faults.append(
                .forbidden(
                    "spec",
                    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
                ))
        }
    }

    private static func service(_ object: Value, _ faults: inout [FieldFault]) {
        let type = object.text("spec", "type") ?? ""
        if !["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"].contains(type) {
            faults.append(.notSupported("spec.type", .string(type), ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]))
        }
        let ports = object.items("spec", "ports")
        if type == "ExternalName" {
            if (object.text("spec", "externalName") ?? "").isEmpty { faults.append(.required("spec.externalName")) }
        } else if ports.isEmpty, object.text("spec", "clusterIP") != "None" {
            faults.append(.required("spec.ports"))
        }
        var names: Set<String> = []
        var numbers: Set<String> = []
        for (i, port) in ports.enumerated() {
            let name = port.text("name") ?? ""
            if ports.count > 1, name.isEmpty { faults.append(.required("spec.ports[\(i)].name")) }
            if !name.isEmpty {
                if !Names.isDNSLabel(name) { faults.append(.invalid("spec.ports[\(i)].name", .string(name), Names.labelRule)) }
                if !names.insert(name).inserted { faults.append(.duplicate("spec.ports[\(i)].name", .string(name))) }
            }
            guard let number = port.number("port"), (1...65535).contains(number) else {
                faults.append(.invalid("spec.ports[\(i)].port", port.member("port") ?? .int(0), "must be between 1 and 65535, inclusive"))
                continue
            }
            if !numbers.insert("\(port.text("protocol") ?? "TCP")/\(number)").inserted { faults.append(.duplicate("spec.ports[\(i)]", port)) }
        }
    }

    private static func definition(_ object: Value, _ faults: inout [FieldFault]) {
        // Versions that differ in more than their name need somebody else's code to be told apart.
        if let strategy = object.text("spec", "conversion", "strategy"), strategy != "None" { faults.append(.notSupported("spec.conversion.strategy", .string(strategy), ["None"])) }
        for (i, version) in object.items("spec", "versions").enumerated() {
            let at = "spec.versions[\(i)]"
            if (version.text("name") ?? "").isEmpty { faults.append(.required("\(at).name")) }
            guard let root = version.member("schema", "openAPIV3Schema") else {
                faults.append(.required("\(at).schema.openAPIV3Schema", "schemas are required"))
                continue
            }
            if (root.text("type") ?? "").isEmpty { faults.append(.required("\(at).schema.openAPIV3Schema.type", "must not be empty at the root")) }
        }
        let plural = object.text("spec", "names", "plural") ?? ""
        let group = object.text("spec", "group") ?? ""
        if plural.isEmpty { faults.append(.required("spec.names.plural")) }
        if group.isEmpty { faults.append(.required("spec.group")) }
        if (object.text("spec", "names", "kind") ?? "").isEmpty { faults.append(.required("spec.names.kind")) }
        let name = object.text("metadata", "name") ?? ""
        if name != "\(plural).\(group)" { faults.append(.invalid("metadata.name", .string(name), "must be spec.names.plural+\".\"+spec.group")) }
        if let scope = object.text("spec", "scope"), !["Namespaced", "Cluster"].contains(scope) { faults.append(.notSupported("spec.scope", .string(scope), ["Cluster", "Namespaced"])) }
        if object.text("spec", "scope") == nil { faults.append(.required("spec.scope")) }
        let versions = object.items("spec", "versions")
        if versions.filter({ $0.flag("storage") == true }).count != 1 {
            faults.append(.invalid("spec.versions", .array([]), "must have exactly one version marked as storage version"))
        }
    }
}

extension LabelSelector {
    /// `matchLabels` and `matchExpressions`; nil when it is no such object or has an unknown operator.
    init?(structured value: Value) {
        guard case .object = value else { return nil }
        var requirements = value.entries("matchLabels").map { Requirement($0.key, .in, [$0.value]) }
        for expression in value.items("matchExpressions") {
            guard let key = expression.text("key"), let operation = expression.text("operator").flatMap({ Operation(rawValue: $0) }) else { return nil }
            requirements.append(Requirement(key, operation, expression.items("values").compactMap { $0.text() }))
        }
        self.init(requirements)
    }
}
