// From Kubernetes objects to what the control plane reads of them. An object that lacks what its kind needs gives nil and is
// passed over, so that one broken object does not blind the rest.

import Base
import Documents
import Kube
import OrderedCollections

extension Cluster.Name {
    init(_ key: KubeKey) { self.init(key.namespace, key.name) }
    init(_ object: KubeObject) { self.init(object.namespace, object.name) }
}

extension Cluster.Service {
    init(_ object: KubeObject) {
        let view = Kube.Service(object)
        self.init(name: Cluster.Name(object))
        labels = object.labels
        annotations = object.annotations
        isExternalName = view.isExternalName
        clusterIPs = view.clusterIPs
        ports = view.ports.filter { $0.transport == "TCP" }.map { Port(name: $0.name, port: $0.port, appProtocol: $0.appProtocol) }
        isTrafficLocal = view.isTrafficLocal
    }
}

extension Cluster.Pod {
    init(_ object: KubeObject) {
        let view = Kube.Pod(object)
        self.init(name: Cluster.Name(object))
        labels = object.labels
        annotations = object.annotations
        ips = view.podIPs
        hostIPs = view.hostIPs
        isHostNetwork = view.isHostNetwork
        phase = view.phase
        isTerminating = object.isTerminating
        nodeName = view.nodeName
        serviceAccount = view.serviceAccountName
        if object.ownerReferences.count == 1 { owner = Owner(kind: object.ownerReferences[0].kind.lowercased(), name: object.ownerReferences[0].name) }
        containers = (view.initContainers + view.containers).map { Container($0) }
    }
}

extension Cluster.Pod.Container {
    init(_ view: Kube.Pod.Container) {
        self.init(name: view.name)
        ports = view.ports.filter { $0.transport == "TCP" }.map { Port(name: $0.name, port: $0.containerPort, hostPort: $0.hostPort) }
        probes = view.probes.compactMap { probe in
            guard let get = probe.member("httpGet"), let port = Self.port(get, ports), get.text("scheme") != "HTTPS" else { return nil }
            let path = get.text("path").map { String($0.prefix { $0 != "?" }) } ?? ""
            return Probe(path: path.isEmpty ? "/" : path, port: port)
        }
        inboundListenAddress = view.environment("LINKERD2_PROXY_INBOUND_LISTEN_ADDR")
        adminListenAddress = view.environment("LINKERD2_PROXY_ADMIN_LISTEN_ADDR")
        controlListenAddress = view.environment("LINKERD2_PROXY_CONTROL_LISTEN_ADDR")
    }

    private static func port(_ get: Value, _ ports: [Port]) -> UInt16? {
        if let number = get.number("port") { return UInt16(exactly: number) }
        return get.text("port").flatMap { name in ports.first { $0.name == name }?.port }
    }
}

extension Cluster.EndpointSlice {
    /// nil: it belongs to no service.
    init?(_ object: KubeObject) {
        let view = Kube.EndpointSlice(object)
        guard !view.serviceName.isEmpty else { return nil }
        self.init(name: Cluster.Name(object), serviceName: view.serviceName)
        labels = object.labels
        annotations = object.annotations
        ports = view.ports.compactMap { port in port.transport == "TCP" ? port.port.map { (port.name, $0) } : nil }
        endpoints = view.endpoints.map { view in
            var endpoint = Endpoint(addresses: view.addresses, pod: view.targetKind == "Pod" ? view.target.map { Cluster.Name($0.namespace.isEmpty ? object.namespace : $0.namespace, $0.name) } : nil)
            endpoint.isReady = view.isReady
            endpoint.hostname = view.hostname
            endpoint.nodeName = view.nodeName
            endpoint.zone = view.zone
            endpoint.hintZones = view.hintZones
            return endpoint
        }
    }
}

extension Cluster.Node {
    init(_ object: KubeObject) { self.init(name: object.name, zone: Kube.Node(object).zone) }
}

extension Cluster.Namespace {
    init(_ object: KubeObject) {
        self.init(name: object.name)
        annotations = object.annotations
    }
}

extension Cluster.Ownership {
    /// Of a ReplicaSet or Job; nil unless it has exactly one owner.
    init?(_ object: KubeObject, kind: String) {
        guard object.ownerReferences.count == 1 else { return nil }
        let owner = object.ownerReferences[0]
        // A ReplicaSet of something other than the apps group stays what it is, as upstream.
        if kind == "replicaset", !owner.apiVersion.hasPrefix("apps/") { return nil }
        self.init(kind: kind, name: Cluster.Name(object), owner: Cluster.Pod.Owner(kind: owner.kind.lowercased(), name: owner.name))
    }
}

extension Cluster.Server {
    /// nil: it selects no pods (an external workload's), or its port or selector cannot be read.
    init?(_ object: KubeObject) {
        guard let selector = object.spec.member("podSelector").flatMap({ LabelSelector(reading: $0) }) else { return nil }
        let port: Port
        if let number = object.spec.number("port") {
            guard let number = UInt16(exactly: number), number > 0 else { return nil }
            port = .number(number)
        } else if let name = object.spec.text("port") {
            port = .name(name)
        } else {
            return nil
        }
        self.init(name: Cluster.Name(object), createdAt: object.createdAt ?? WallTime(seconds: 0), podSelector: selector, port: port)
        labels = object.labels
        proxyProtocol = object.spec.text("proxyProtocol") ?? "unknown"
        accessPolicy = object.spec.text("accessPolicy") ?? "deny"
    }
}

extension LabelSelector {
    /// From `matchLabels` and `matchExpressions`; an empty object selects everything. nil: an operator nobody knows.
    init?(reading value: Value) {
        self.init(labels: value.entries("matchLabels"))
        for expression in value.items("matchExpressions") {
            guard let key = expression.text("key"), let operation = expression.text("operator").flatMap({ Operation(rawValue: $0) }) else { return nil }
            requirements.append(Requirement(key, operation, expression.items("values").compactMap { $0.text() }))
        }
    }
}
