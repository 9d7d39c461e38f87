// The columns of the built-in kinds. Source: k8s.io/kubernetes pkg/printers/internalversion/printers.go.

import Base
import Documents
import Kube
import OrderedCollections

private func column(_ name: String, _ type: String = "string", wide: Bool = false, format: String = "", _ compute: @escaping @Sendable (Value, TableContext) -> Value) -> TableColumn {
    TableColumn(name: name, type: type, format: format, priority: wide ? 1 : 0, source: .computed(compute))
}

private func text(_ value: String?, _ absent: String = "<none>") -> Value { .string(value.flatMap { $0.isEmpty ? nil : $0 } ?? absent) }
private func number(_ value: Value, _ path: String...) -> Value { .int(value.member(at: path)?.number() ?? 0) }
private func joined(_ entries: KubeLabels) -> Value { text(entries.map { "\($0.key)=\($0.value)" }.joined(separator: ",")) }

private let name = column("Name", format: "name") { object, _ in .string(object.text("metadata", "name") ?? "") }
private let age = column("Age") { object, context in context.age(object.text("metadata", "creationTimestamp")) }

private func containers(_ path: [String]) -> [TableColumn] {
    [
        column("Containers", wide: true) { object, _ in text(object.member(at: path)?.items("containers").compactMap { $0.text("name") }.joined(separator: ",")) },
        column("Images", wide: true) { object, _ in text(object.member(at: path)?.items("containers").compactMap { $0.text("image") }.joined(separator: ",")) },
    ]
}

private let selector = column("Selector", wide: true) { object, _ in
    let value = object.member("spec", "selector") ?? .null
    return text((LabelSelector(structured: value) ?? LabelSelector()).description)
}

func builtInColumns(_ kind: String) -> [TableColumn] {
    switch kind {
    case "pods": return podColumns
    case "services": return serviceColumns
    case "endpoints":
        return [
            name,
            column("Endpoints") { object, _ in
                let all = object.items("subsets").flatMap { subset in
                    subset.items("addresses").flatMap { address in subset.items("ports").map { "\(address.text("ip") ?? ""):\($0.number("port") ?? 0)" } }
                }
                return text(all.prefix(3).joined(separator: ",") + (all.count > 3 ? " + \(all.count - 3) more..." : ""))
            }, age,
        ]
    case "endpointslices.discovery.k8s.io":
        return [
            name, column("AddressType") { object, _ in text(object.text("addressType")) },
            column("Ports") { object, _ in
                let ports = object.items("ports").map { $0.number("port").map(String.init) ?? "*" }
                return text(ports.isEmpty ? "<unset>" : ports.prefix(3).joined(separator: ","))
            },
            column("Endpoints") { object, _ in
                let all = object.items("endpoints").flatMap { $0.items("addresses").compactMap { $0.text() } }
                return text(all.isEmpty ? "<unset>" : all.prefix(3).joined(separator: ",") + (all.count > 3 ? " + \(all.count - 3) more..." : ""))
            }, age,
        ]
    case "namespaces": return [name, column("Status") { object, _ in text(object.text("status", "phase"), "") }, age]
    case "nodes": return nodeColumns
    case "configmaps": return [name, column("Data", "integer") { object, _ in .int(Int64(object.entriesOfAnything("data").count + object.entriesOfAnything("binaryData").count)) }, age]
    case "secrets":
        return [
            name, column("Type") { object, _ in text(object.text("type")) }, column("Data", "integer") { object, _ in .int(Int64(object.entriesOfAnything("data").count)) }, age,
        ]
    case "serviceaccounts": return [name, column("Secrets", "integer") { object, _ in .int(Int64(object.items("secrets").count)) }, age]
    case "events":
        return [
            column("Last Seen") { object, context in context.age(object.text("lastTimestamp") ?? object.text("eventTime") ?? object.text("metadata", "creationTimestamp")) },
            column("Type") { object, _ in text(object.text("type"), "") }, column("Reason") { object, _ in text(object.text("reason"), "") },
            column("Object") { object, _ in .string((object.text("involvedObject", "kind") ?? "").lowercased() + "/" + (object.text("involvedObject", "name") ?? "")) },
            column("Message") { object, _ in text(object.text("message"), "") },
        ]
    case "deployments.apps":
        return [
            name, column("Ready") { object, _ in .string("\(object.number("status", "readyReplicas") ?? 0)/\(object.number("spec", "replicas") ?? 0)") },
            column("Up-to-date", "integer") { object, _ in number(object, "status", "updatedReplicas") },
            column("Available", "integer") { object, _ in number(object, "status", "availableReplicas") }, age,
        ] + containers(["spec", "template", "spec"]) + [selector]
    case "replicasets.apps":
        return [
            name, column("Desired", "integer") { object, _ in number(object, "spec", "replicas") },
            column("Current", "integer") { object, _ in number(object, "status", "replicas") },
            column("Ready", "integer") { object, _ in number(object, "status", "readyReplicas") }, age,
        ] + containers(["spec", "template", "spec"]) + [selector]
    case "statefulsets.apps":
        return [name, column("Ready") { object, _ in .string("\(object.number("status", "readyReplicas") ?? 0)/\(object.number("spec", "replicas") ?? 0)") }, age]
            + containers(["spec", "template", "spec"])
    case "daemonsets.apps":
        return [
            name, column("Desired", "integer") { object, _ in number(object, "status", "desiredNumberScheduled") },
            column("Current", "integer") { object, _ in number(object, "status", "currentNumberScheduled") },
            column("Ready", "integer") { object, _ in number(object, "status", "numberReady") },
            column("Up-to-date", "integer") { object, _ in number(object, "status", "updatedNumberScheduled") },
            column("Available", "integer") { object, _ in number(object, "status", "numberAvailable") },
            column("Node Selector") { object, _ in joined(object.entries("spec", "template", "spec", "nodeSelector")) }, age,
        ] + containers(["spec", "template", "spec"]) + [selector]
    case "jobs.batch": return jobColumns
    case "cronjobs.batch":
        return [
            name, column("Schedule") { object, _ in text(object.text("spec", "schedule")) }, column("Timezone") { object, _ in text(object.text("spec", "timeZone")) },
            column("Suspend") { object, _ in .string(object.flag("spec", "suspend") == true ? "True" : "False") },
            column("Active", "integer") { object, _ in .int(Int64(object.items("status", "active").count)) },
            column("Last Schedule") { object, context in object.text("status", "lastScheduleTime").map { context.age($0) } ?? .string("<none>") }, age,
        ]
    case "leases.coordination.k8s.io": return [name, column("Holder") { object, _ in text(object.text("spec", "holderIdentity"), "") }, age]
    case "roles.rbac.authorization.k8s.io", "clusterroles.rbac.authorization.k8s.io":
        return [name, column("Created At") { object, _ in text(object.text("metadata", "creationTimestamp")) }]
    case "rolebindings.rbac.authorization.k8s.io", "clusterrolebindings.rbac.authorization.k8s.io":
        return [name, column("Role") { object, _ in .string("\(object.text("roleRef", "kind") ?? "")/\(object.text("roleRef", "name") ?? "")") }, age]
    case "customresourcedefinitions.apiextensions.k8s.io": return [name, column("Created At") { object, _ in text(object.text("metadata", "creationTimestamp")) }]
    case "mutatingwebhookconfigurations.admissionregistration.k8s.io", "validatingwebhookconfigurations.admissionregistration.k8s.io":
        return [name, column("Webhooks", "integer") { object, _ in .int(Int64(object.items("webhooks").count)) }, age]
    case "apiservices.apiregistration.k8s.io":
        return [
            name, column("Service") { object, _ in .string(object.text("spec", "service", "name").map { "\(object.text("spec", "service", "namespace") ?? "")/\($0)" } ?? "Local") },
            column("Available") { object, _ in text(object.items("status", "conditions").first { $0.text("type") == "Available" }?.text("status"), "Unknown") }, age,
        ]
    default: return [name, age]
    }
}

/// What a custom kind shows without columns of its own.
let customColumnsAbsent: [TableColumn] = [name, age]
let customNameColumn = name

private let serviceColumns: [TableColumn] = [
    name, column("Type") { object, _ in text(object.text("spec", "type")) }, column("Cluster-IP") { object, _ in text(object.text("spec", "clusterIP")) },
    column("External-IP") { object, _ in
        if object.text("spec", "type") == "ExternalName" { return text(object.text("spec", "externalName")) }
        let ingress = object.items("status", "loadBalancer", "ingress").compactMap { $0.text("ip") ?? $0.text("hostname") } + object.items("spec", "externalIPs").compactMap { $0.text() }
        return text(ingress.joined(separator: ","), object.text("spec", "type") == "LoadBalancer" ? "<pending>" : "<none>")
    },
    column("Port(s)") { object, _ in
        text(
            object.items("spec", "ports").map { port in
                let node = port.number("nodePort").map { ":\($0)" } ?? ""
                return "\(port.number("port") ?? 0)\(node)/\(port.text("protocol") ?? "TCP")"
            }.joined(separator: ","))
    }, age, column("Selector", wide: true) { object, _ in joined(object.entries("spec", "selector")) },
]

private let nodeColumns: [TableColumn] = [
    name,
    column("Status") { object, _ in
        let isReady = object.items("status", "conditions").contains { $0.text("type") == "Ready" && $0.text("status") == "True" }
        return .string((isReady ? "Ready" : "NotReady") + (object.flag("spec", "unschedulable") == true ? ",SchedulingDisabled" : ""))
    },
    column("Roles") { object, _ in
        let prefix = "node-role.kubernetes.io/"
        return text(object.entries("metadata", "labels").filter { $0.key.hasPrefix(prefix) }.map { String($0.key.dropFirst(prefix.count)) }.sorted().joined(separator: ","))
    }, age, column("Version") { object, _ in text(object.text("status", "nodeInfo", "kubeletVersion"), "") },
    column("Internal-IP", wide: true) { object, _ in text(object.items("status", "addresses").first { $0.text("type") == "InternalIP" }?.text("address")) },
]

private let jobColumns: [TableColumn] = [
    name,
    column("Status") { object, _ in
        for (type, word) in [("Complete", "Complete"), ("Failed", "Failed"), ("Suspended", "Suspended")]
        where object.items("status", "conditions").contains(where: { $0.text("type") == type && $0.text("status") == "True" }) { return .string(word) }
        return .string("Running")
    }, column("Completions") { object, _ in .string("\(object.number("status", "succeeded") ?? 0)/\(object.number("spec", "completions") ?? 1)") },
    column("Duration") { object, context in
        guard let start = object.text("status", "startTime").flatMap({ WallTime(rfc3339: $0) }) else { return .string("") }
        let end = object.text("status", "completionTime").flatMap { WallTime(rfc3339: $0) } ?? context.now
        return .string(TableContext.words(max(0, (end - start).seconds)))
    }, age,
] + containers(["spec", "template", "spec"]) + [selector]

private let podColumns: [TableColumn] = [
    name,
    column("Ready") { object, _ in
        let statuses = object.items("status", "containerStatuses")
        // Init containers that restart always are counted as the side cars they are.
        let sidecars = object.items("spec", "initContainers").filter { $0.text("restartPolicy") == "Always" }.compactMap { $0.text("name") }
        let running = object.items("status", "initContainerStatuses").filter { sidecars.contains($0.text("name") ?? "") }
        let ready = (statuses + running).filter { $0.flag("ready") == true }.count
        return .string("\(ready)/\(object.items("spec", "containers").count + sidecars.count)")
    }, column("Status") { object, _ in .string(podStatus(object)) },
    column("Restarts") { object, _ in .string(String(object.items("status", "containerStatuses").reduce(0) { $0 + ($1.number("restartCount") ?? 0) })) }, age,
    column("IP", wide: true) { object, _ in text(object.text("status", "podIP")) }, column("Node", wide: true) { object, _ in text(object.text("spec", "nodeName")) },
    column("Nominated Node", wide: true) { object, _ in text(object.text("status", "nominatedNodeName")) },
    column("Readiness Gates", wide: true) { object, _ in
        let gates = object.items("spec", "readinessGates").compactMap { $0.text("conditionType") }
        if gates.isEmpty { return .string("<none>") }
        let met = gates.filter { gate in object.items("status", "conditions").contains { $0.text("type") == gate && $0.text("status") == "True" } }.count
        return .string("\(met)/\(gates.count)")
    },
]

/// The word for a pod's state: its phase, made plainer by its containers.
private func podStatus(_ pod: Value) -> String {
    var word = pod.text("status", "reason") ?? pod.text("status", "phase") ?? "Unknown"
    let inits = pod.items("spec", "initContainers")
    for (i, status) in pod.items("status", "initContainerStatuses").enumerated() {
        if status.number("state", "terminated", "exitCode") == 0 || status.flag("started") == true { continue }
        if let terminated = status.member("state", "terminated") {
            word = "Init:" + (terminated.text("reason") ?? "ExitCode:\(terminated.number("exitCode") ?? 0)")
        } else if let reason = status.text("state", "waiting", "reason"), reason != "PodInitializing" {
            word = "Init:" + reason
        } else {
            word = "Init:\(i)/\(inits.count)"
        }
        break
    }
    if !word.hasPrefix("Init:") {
        for status in pod.items("status", "containerStatuses").reversed() {
            if let reason = status.text("state", "waiting", "reason"), !reason.isEmpty {
                word = reason
            } else if let terminated = status.member("state", "terminated") {
                word = terminated.text("reason") ?? terminated.number("signal").map { "Signal:\($0)" } ?? "ExitCode:\(terminated.number("exitCode") ?? 0)"
            }
        }
    }
    if pod.member("metadata", "deletionTimestamp") != nil { word = pod.text("status", "reason") == "NodeLost" ? "Unknown" : "Terminating" }
    return word
}
