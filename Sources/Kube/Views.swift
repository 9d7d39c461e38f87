// Typed views of the kinds the control plane reads: a view is the object with names for its fields, nothing is copied out.
// Fields nobody reads are deliberately absent; they stay reachable through `object.value`.

import Base
import Documents
import OrderedCollections

public struct Pod: Sendable {
    public var object: KubeObject
    public init(_ object: KubeObject) { self.object = object }

    public struct Container: Sendable {
        public struct Port: Hashable, Sendable {
            public var name: String
            public var containerPort: UInt16
            public var hostPort: UInt16?
            public var transport: String
        }

        public var value: Value
        public init(_ value: Value) { self.value = value }

        public var name: String { value.text("name") ?? "" }
        public var image: String { value.text("image") ?? "" }
        public var ports: [Port] {
            value.items("ports").compactMap { port in
                guard let number = port.number("containerPort").flatMap({ UInt16(exactly: $0) }) else { return nil }
                return Port(
                    name: port.text("name") ?? "", containerPort: number, hostPort: port.number("hostPort").flatMap { UInt16(exactly: $0) },
                    transport: port.text("protocol") ?? "TCP")
            }
        }
        /// Only those with a literal value.
        public func environment(_ name: String) -> String? { value.items("env").last { $0.text("name") == name }?.text("value") }
        /// `livenessProbe`, `readinessProbe`, `startupProbe` that are set, in this order.
        public var probes: [Value] { ["livenessProbe", "readinessProbe", "startupProbe"].compactMap { value.member($0) } }
    }

    public var containers: [Container] { object.value.items("spec", "containers").map(Container.init) }
    public var initContainers: [Container] { object.value.items("spec", "initContainers").map(Container.init) }
    public var nodeName: String { object.value.text("spec", "nodeName") ?? "" }
    public var serviceAccountName: String { object.value.text("spec", "serviceAccountName") ?? "default" }
    public var isHostNetwork: Bool { object.value.flag("spec", "hostNetwork") ?? false }
    public var hostname: String { object.value.text("spec", "hostname") ?? "" }
    public var subdomain: String { object.value.text("spec", "subdomain") ?? "" }
    public var phase: String { object.value.text("status", "phase") ?? "Pending" }
    /// All addresses, the main one first.
    public var podIPs: [IPAddress] { addresses(many: "podIPs", one: "podIP") }
    public var hostIPs: [IPAddress] { addresses(many: "hostIPs", one: "hostIP") }
    public var isReady: Bool { object.value.items("status", "conditions").contains { $0.text("type") == "Ready" && $0.text("status") == "True" } }

    private func addresses(many: String, one: String) -> [IPAddress] {
        let listed = object.value.items("status", many).compactMap { $0.text("ip").flatMap { IPAddress($0) } }
        return listed.isEmpty ? [object.value.text("status", one).flatMap { IPAddress($0) }].compactMap { $0 } : listed
    }
}

public struct Service: Sendable {
    public var object: KubeObject
    public init(_ object: KubeObject) { self.object = object }

    public enum TargetPort: Hashable, Sendable {
        case number(UInt16)
        case name(String)
    }

    public struct Port: Hashable, Sendable {
        public var name: String
        public var port: UInt16
        /// What the pods listen on; the same number when the service does not say.
        public var targetPort: TargetPort
        public var nodePort: UInt16?
        public var transport: String
        public var appProtocol: String?
    }

    /// `ClusterIP`, `NodePort`, `LoadBalancer`, `ExternalName`.
    public var type: String { object.value.text("spec", "type") ?? "ClusterIP" }
    public var isExternalName: Bool { type == "ExternalName" }
    public var externalName: String? { object.value.text("spec", "externalName") }
    public var isHeadless: Bool { object.value.text("spec", "clusterIP") == "None" }
    /// Empty for a headless service.
    public var clusterIPs: [IPAddress] {
        let many = object.value.items("spec", "clusterIPs").compactMap { $0.text().flatMap { IPAddress($0) } }
        return many.isEmpty ? [object.value.text("spec", "clusterIP").flatMap { IPAddress($0) }].compactMap { $0 } : many
    }
    /// nil when the service selects nothing: somebody else writes its endpoints.
    public var selector: KubeLabels? {
        let entries = object.value.entries("spec", "selector")
        return entries.isEmpty ? nil : entries
    }
    public var publishesNotReady: Bool { object.value.flag("spec", "publishNotReadyAddresses") ?? false }
    public var isTrafficLocal: Bool { object.value.text("spec", "internalTrafficPolicy") == "Local" }
    public var ports: [Port] {
        object.value.items("spec", "ports").compactMap { port in
            guard let number = port.number("port").flatMap({ UInt16(exactly: $0) }) else { return nil }
            let target: TargetPort =
                if let name = port.text("targetPort") { .name(name) } else { .number(port.number("targetPort").flatMap { UInt16(exactly: $0) }.flatMap { $0 == 0 ? nil : $0 } ?? number) }
            return Port(
                name: port.text("name") ?? "", port: number, targetPort: target, nodePort: port.number("nodePort").flatMap { UInt16(exactly: $0) },
                transport: port.text("protocol") ?? "TCP", appProtocol: port.text("appProtocol"))
        }
    }
}

public struct EndpointSlice: Sendable {
    public var object: KubeObject
    public init(_ object: KubeObject) { self.object = object }

    public static let serviceNameLabel = "kubernetes.io/service-name"
    public static let managedByLabel = "endpointslice.kubernetes.io/managed-by"

    public struct Endpoint: Sendable {
        public var value: Value
        public init(_ value: Value) { self.value = value }

        public var addresses: [IPAddress] { value.items("addresses").compactMap { $0.text().flatMap { IPAddress($0) } } }
        /// nil means unknown, to be taken as ready (discovery/v1 EndpointConditions).
        public var isReady: Bool? { value.flag("conditions", "ready") }
        public var isServing: Bool? { value.flag("conditions", "serving") }
        public var isTerminating: Bool { value.flag("conditions", "terminating") ?? false }
        public var hostname: String? { value.text("hostname") }
        public var nodeName: String? { value.text("nodeName") }
        public var zone: String? { value.text("zone") }
        /// nil: no hints at all.
        public var hintZones: [String]? { value.member("hints").map { $0.items("forZones").compactMap { $0.text("name") } } }
        public var targetKind: String? { value.text("targetRef", "kind") }
        public var target: KubeKey? { value.text("targetRef", "name").map { KubeKey(value.text("targetRef", "namespace") ?? "", $0) } }
    }

    public struct Port: Hashable, Sendable {
        public var name: String
        /// nil: any port.
        public var port: UInt16?
        public var transport: String
        public var appProtocol: String?
    }

    public var serviceName: String { object.labels[Self.serviceNameLabel] ?? "" }
    /// `IPv4`, `IPv6`, `FQDN`.
    public var addressType: String { object.value.text("addressType") ?? "" }
    public var endpoints: [Endpoint] { object.value.items("endpoints").map(Endpoint.init) }
    public var ports: [Port] {
        object.value.items("ports").map { port in
            Port(
                name: port.text("name") ?? "", port: port.number("port").flatMap { UInt16(exactly: $0) }, transport: port.text("protocol") ?? "TCP",
                appProtocol: port.text("appProtocol"))
        }
    }
}

public struct ServiceAccount: Sendable {
    public var object: KubeObject
    public init(_ object: KubeObject) { self.object = object }

    public var automountsToken: Bool { object.value.flag("automountServiceAccountToken") ?? true }
    public var imagePullSecrets: [String] { object.value.items("imagePullSecrets").compactMap { $0.text("name") } }
}

public struct Namespace: Sendable {
    public var object: KubeObject
    public init(_ object: KubeObject) { self.object = object }

    /// `Active`, `Terminating`.
    public var phase: String { object.value.text("status", "phase") ?? "Active" }
}

public struct Node: Sendable {
    public var object: KubeObject
    public init(_ object: KubeObject) { self.object = object }

    public var zone: String { object.labels["topology.kubernetes.io/zone"] ?? "" }
    public var internalIPs: [IPAddress] {
        object.value.items("status", "addresses").filter { $0.text("type") == "InternalIP" }.compactMap { $0.text("address").flatMap { IPAddress($0) } }
    }
}
