// Where an object keeps its pod: the kinds that bear one, the path to it, and its parts as the injector needs them.

import Documents
import Kube
import OrderedCollections

/// A manifest that the injector cannot work on: the reason names the object and the part.
public struct InjectionError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Family: Hashable, Sendable {
        /// The document is not what its kind demands.
        case malformed
        /// The document is right, but what was asked cannot be done to it.
        case refused
    }

    public var family: Family
    public var reason: String

    public init(_ family: Family, _ reason: String) {
        self.family = family
        self.reason = reason
    }

    public var description: String { reason }
}

struct Workload {
    /// As written in reports and labels: `deployment`.
    let kind: String
    let name: String
    /// Path of the pod's template (its `metadata` and `spec`); empty for a pod.
    let template: [String]

    /// nil when the kind bears no pod.
    init?(_ object: Value) throws(InjectionError) {
        guard let kind = object.text("kind") else { throw InjectionError(.malformed, "the object has no kind") }
        self.kind = kind.lowercased()
        name = object.text("metadata", "name") ?? object.text("metadata", "generateName") ?? ""
        switch kind {
        case "Pod": template = []
        case "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "ReplicationController": template = ["spec", "template"]
        case "CronJob": template = ["spec", "jobTemplate", "spec", "template"]
        default: return nil
        }
        let pod = object.member(template[...])
        guard case .object? = pod, case .object? = pod?.member("spec") else {
            throw InjectionError(.malformed, "\(self.kind)/\(name) has no pod: \((template + ["spec"]).joined(separator: ".")) is missing or not an object")
        }
        for part in ["containers", "initContainers", "volumes"] {
            switch pod?.member("spec", part) {
            case nil, .null?, .array?: break
            default: throw InjectionError(.malformed, "\(self.kind)/\(name): \((template + ["spec", part]).joined(separator: ".")) is not a list")
            }
        }
        for part in ["annotations", "labels"] {
            switch pod?.member("metadata", part) {
            case nil, .null?, .object?: break
            default: throw InjectionError(.malformed, "\(self.kind)/\(name): \((template + ["metadata", part]).joined(separator: ".")) is not a map")
            }
        }
    }

    func pod(_ object: Value) -> Value { object.member(template[...]) ?? .null }
}

extension Value {
    /// The container objects of a pod, initialising ones first.
    var podContainers: [Value] { items("spec", "initContainers") + items("spec", "containers") }

    /// Container ports, and the numeric ports of readiness and liveness checks: where the application listens.
    /// Sorted as text, since upstream sorts so.
    var servedPorts: String {
        var ports: [String] = []
        for container in podContainers {
            for port in container.items("ports") { if let number = port.number("containerPort") { ports.append(String(number)) } }
            for check in ["readinessProbe", "livenessProbe"] { if let number = container.number(check, "httpGet", "port") { ports.append(String(number)) } }
        }
        var distinct: [String] = []
        for port in ports.sorted() where distinct.last != port { distinct.append(port) }
        return distinct.joined(separator: ",")
    }

    /// The container ports that have a name.
    var namedPorts: [String: UInt16] {
        var ports: [String: UInt16] = [:]
        for container in podContainers {
            for port in container.items("ports") { if let name = port.text("name"), let number = port.number("containerPort").flatMap({ UInt16(exactly: $0) }) { ports[name] = number } }
        }
        return ports
    }

    /// A proxy of ours or another mesh's is in the pod.
    var hasSidecar: Bool {
        let names = ["linkerd-proxy", "istio-proxy", "linkerd-init", "istio-init"]
        let images = ["cr.l5d.io/linkerd/proxy:", "gcr.io/istio-release/proxyv2:", "cr.l5d.io/linkerd/proxy-init:", "gcr.io/istio-release/proxy_init:"]
        return podContainers.contains { container in
            names.contains(container.text("name") ?? "") || images.contains { (container.text("image") ?? "").hasPrefix($0) }
        }
    }

    var usesUDP: Bool { items("spec", "containers").contains { $0.items("ports").contains { $0.text("protocol") == "UDP" } } }
}
