// Who stands behind a service: EndpointSlices and Endpoints from the pods that its selector matches.
// Source: k8s.io/kubernetes staging/src/k8s.io/endpointslice (reconciler.go, utils.go), pkg/controller/endpoint.

import Base
import Documents
import Kube
import OrderedCollections
import Platform

final class EndpointController: Reconciler {
    private static let slicesMax = 100
    /// Between two looks at the pods of one service for each of its pods, and at most, so that a crowd of pods does not write its slices once
    /// a pod. Source: ours; kube-controller-manager has `--endpointslice-updates-batch-period`.
    private static let batchPeriodOfPod = Interval.milliseconds(1)
    private static let batchPeriodMax = Interval.milliseconds(100)
    /// Look-up only: from when on a service may be looked at again.
    private var nextLook: [KubeKey: Instant] = [:]
    /// Look-up only: what the services of a namespace select, in the order of their names.
    private var selectors: [String: OrderedDictionary<KubeKey, LabelSelector>] = [:]

    override func observe(_ collection: String, _ change: StoredChange) {
        switch collection {
        case "services":
            let selector = change.kind == .deleted ? nil : Service(KubeObject(change.object)).selector.map { LabelSelector(labels: $0) }
            selectors[change.key.namespace, default: [:]][change.key] = selector
            enqueue(change.key)
        case "pods":
            guard concernsEndpoints(change) else { return }
            let labels = change.object.entries("metadata", "labels")
            let before = change.previous?.entries("metadata", "labels")
            for (service, selector) in selectors[change.key.namespace] ?? [:] where selector.matches(labels) || before.map({ selector.matches($0) }) ?? false { enqueueBatched(service) }
        case "nodes":
            // The zone of endpoints is their node's.
            let zone = "topology.kubernetes.io/zone"
            guard change.previous?.text("metadata", "labels", zone) != change.object.text("metadata", "labels", zone) else { return }
            for service in registry.all(.services) { enqueue(service.key) }
        case "endpoints":
            if change.kind != .modified || change.previous?.member("subsets") != change.object.member("subsets") { enqueue(change.key) }
        case "endpointslices.discovery.k8s.io":
            // Somebody removed what is ours.
            if change.kind == .deleted, let name = change.object.text("metadata", "labels", EndpointSlice.serviceNameLabel) { enqueue(KubeKey(change.key.namespace, name)) }
        default: break
        }
    }

    private func enqueueBatched(_ service: KubeKey) {
        guard let next = nextLook[service], host.now < next else { return enqueue(service) }
        enqueue(service, after: next - host.now)
    }

    private func concernsEndpoints(_ change: StoredChange) -> Bool {
        guard let before = change.previous, change.kind == .modified else { return true }
        let after = change.object
        return before.member("status") != after.member("status") || before.member("metadata", "labels") != after.member("metadata", "labels")
            || before.member("metadata", "deletionTimestamp") != after.member("metadata", "deletionTimestamp") || before.member("spec", "nodeName") != after.member("spec", "nodeName")
    }

    override func reconcile(_ key: KubeKey) throws(KubeStatus) {
        guard let object = registry.find(.services, namespace: key.namespace, name: key.name) else {
            nextLook[key] = nil
            // The slices go with their owner; Endpoints have none.
            if registry.find(.endpoints, namespace: key.namespace, name: key.name) != nil { writer.delete(registry.kind(.endpoints), key) }
            return
        }
        let service = Service(object)
        guard !service.isExternalName, !object.isTerminating else { return }
        guard let selector = service.selector else { return try mirror(object) }
        let pods = selector.isEmpty ? registry.all(.pods, namespace: key.namespace) : registry.relations.labelled(registry.kind(.pods).collection, selector, in: key.namespace)
        nextLook[key] = host.now + min(Self.batchPeriodMax, Self.batchPeriodOfPod * Int64(pods.count))
        for family in families(object) {
            try reconcileSlices(object, family, manager: "endpointslice-controller.k8s.io", groups(service, pods, family))
        }
        try reconcileEndpoints(service, pods)
    }

    private func families(_ service: KubeObject) -> [String] {
        let named = service.value.items("spec", "ipFamilies").compactMap { $0.text() }
        return named.isEmpty ? ["IPv4"] : named
    }

    // MARK: What there should be

    struct Group {
        /// As slices write them.
        var ports: [Value]
        var endpoints: [Value]
    }

    /// Endpoints that listen on the same ports go together: a named port may be another number in each pod.
    private func groups(_ service: Service, _ pods: [KubeObject], _ family: String) -> [Group] {
        var groups: [Group] = []
        for object in pods {
            let pod = Pod(object)
            guard let ip = pod.podIPs.first(where: { $0.isV4 == (family == "IPv4") }), !["Succeeded", "Failed"].contains(pod.phase) else { continue }
            let ports = ports(service, object)
            // A service with ports of which the pod has none is not served by it.
            if !service.ports.isEmpty, ports.isEmpty { continue }
            let endpoint = endpoint(service, object, ip)
            if let i = groups.firstIndex(where: { $0.ports == ports }) { groups[i].endpoints.append(endpoint) } else { groups.append(Group(ports: ports, endpoints: [endpoint])) }
        }
        return groups
    }

    private func ports(_ service: Service, _ pod: KubeObject) -> [Value] {
        service.ports.compactMap { port in
            let number: Int64
            switch port.targetPort {
            case .number(let target): number = Int64(target)
            case .name(let name):
                let sidecars = pod.value.items("spec", "initContainers").filter { $0.text("restartPolicy") == "Always" }
                let named = (pod.value.items("spec", "containers") + sidecars).flatMap { $0.items("ports") }.first { $0.text("name") == name && ($0.text("protocol") ?? "TCP") == port.transport }
                guard let found = named?.number("containerPort") else { return nil }
                number = found
            }
            return .members(["name": .string(port.name), "protocol": .string(port.transport), "port": .int(number), "appProtocol": port.appProtocol.map { .string($0) }])
        }
    }

    private func endpoint(_ service: Service, _ pod: KubeObject, _ ip: IPAddress) -> Value {
        let isServing = pod.isPodReady
        let node = pod.value.text("spec", "nodeName")
        let zone = node.flatMap { registry.find(.nodes, name: $0) }.map { Node($0).zone } ?? ""
        let hostname = pod.value.text("spec", "hostname")
        return .members([
            "addresses": .array([.string(ip.description)]),
            "conditions": .members([
                "ready": .bool(service.publishesNotReady || isServing && !pod.isTerminating), "serving": .bool(isServing), "terminating": .bool(pod.isTerminating),
            ]), "hostname": hostname != nil && pod.value.text("spec", "subdomain") == service.object.name ? .string(hostname!) : nil,
            "targetRef": .members(["kind": .string("Pod"), "namespace": .string(pod.namespace), "name": .string(pod.name), "uid": .string(pod.uid)]),
            "nodeName": node.map { .string($0) }, "zone": zone.isEmpty ? nil : .string(zone),
        ])
    }

    // MARK: Slices

    private func reconcileSlices(_ service: KubeObject, _ family: String, manager: String, _ groups: [Group]) throws(KubeStatus) {
        let own = [EndpointSlice.serviceNameLabel: service.name, EndpointSlice.managedByLabel: manager] as KubeLabels
        var existing = registry.relations.labelled(registry.kind(.endpointSlices).collection, own, in: service.namespace).filter { $0.value.text("addressType") == family && !$0.isTerminating }
        // Without endpoints one empty slice stands for the service.
        for group in groups.isEmpty ? [Group(ports: [], endpoints: [])] : groups {
            let mine = existing.filter { $0.value.items("ports") == group.ports || groups.isEmpty || groups.count == 1 && $0.value.items("ports").isEmpty }
            let used = groups.isEmpty ? Array(mine.prefix(1)) : mine
            existing.removeAll { slice in used.contains { $0.uid == slice.uid } }
            try fill(service, family, manager, group, used)
        }
        for slice in existing { writer.delete(registry.kind(.endpointSlices), slice.key) }
    }

    /// Puts a group's endpoints into slices: each stays where it is, new ones go where there is room.
    private func fill(_ service: KubeObject, _ family: String, _ manager: String, _ group: Group, _ slices: [KubeObject]) throws(KubeStatus) {
        var left = OrderedDictionary(group.endpoints.map { (identity($0), $0) }) { first, _ in first }
        var contents: [[Value]] = slices.map { slice in slice.value.items("endpoints").compactMap { left.removeValue(forKey: identity($0)) } }
        var rest = Array(left.values)
        for i in contents.indices {
            let room = min(rest.count, Self.slicesMax - contents[i].count)
            contents[i] += rest.prefix(max(0, room))
            rest.removeFirst(max(0, room))
        }
        for (slice, endpoints) in zip(slices, contents) {
            if endpoints.isEmpty, contents.contains(where: { !$0.isEmpty }) || slice.uid != slices[0].uid {
                writer.delete(registry.kind(.endpointSlices), slice.key)
                continue
            }
            try registry.update(.endpointSlices, namespace: slice.namespace, name: slice.name) { object in
                object.labels = labels(service, manager)
                object.value.put(.array(endpoints), at: "endpoints")
                object.value.put(.array(group.ports), at: "ports")
            }
        }
        repeat {
            if rest.isEmpty, !slices.isEmpty { return }
            var slice = KubeObject(.endpointSlices, name: "")
            slice.value.put(.string(service.name + "-"), at: "metadata", "generateName")
            slice.labels = labels(service, manager)
            slice.ownerReferences = [KubeOwner(controlling: service)]
            slice.value.put(.string(family), at: "addressType")
            slice.value.put(.array(Array(rest.prefix(Self.slicesMax))), at: "endpoints")
            slice.value.put(.array(group.ports), at: "ports")
            rest.removeFirst(min(rest.count, Self.slicesMax))
            try registry.create(.endpointSlices, namespace: service.namespace, slice.value)
        } while !rest.isEmpty
    }

    /// What makes an endpoint the same as before: its pod, else its addresses.
    private func identity(_ endpoint: Value) -> String {
        if let uid = endpoint.text("targetRef", "uid"), !uid.isEmpty { return uid }
        return endpoint.items("addresses").compactMap { $0.text() }.joined(separator: " ")
    }

    private func labels(_ service: KubeObject, _ manager: String) -> KubeLabels {
        var labels = service.labels
        labels[EndpointSlice.managedByLabel] = manager
        labels[EndpointSlice.serviceNameLabel] = service.name
        if Service(service).isHeadless { labels["service.kubernetes.io/headless"] = "" }
        return labels
    }

    // MARK: Endpoints

    private func reconcileEndpoints(_ service: Service, _ pods: [KubeObject]) throws(KubeStatus) {
        var subsets: [(ports: [Value], ready: [Value], unready: [Value])] = []
        for object in pods {
            let pod = Pod(object)
            guard let ip = pod.podIPs.first, !["Succeeded", "Failed"].contains(pod.phase), !object.isTerminating || service.publishesNotReady else { continue }
            let ports = ports(service, object)
            if !service.ports.isEmpty, ports.isEmpty { continue }
            let hostname = object.value.text("spec", "hostname")
            let address = Value.members([
                "ip": .string(ip.description), "hostname": hostname != nil && object.value.text("spec", "subdomain") == service.object.name ? .string(hostname!) : nil,
                "nodeName": object.value.member("spec", "nodeName"),
                "targetRef": .members(["kind": .string("Pod"), "namespace": .string(object.namespace), "name": .string(object.name), "uid": .string(object.uid)]),
            ])
            let i: Int
            if let found = subsets.firstIndex(where: { $0.ports == ports }) { i = found } else {
                i = subsets.count
                subsets.append((ports, [], []))
            }
            if object.isPodReady || service.publishesNotReady { subsets[i].ready.append(address) } else { subsets[i].unready.append(address) }
        }
        let value = Value.array(
            subsets.map { subset in
                .members([
                    "addresses": subset.ready.isEmpty ? nil : .array(subset.ready), "notReadyAddresses": subset.unready.isEmpty ? nil : .array(subset.unready),
                    "ports": subset.ports.isEmpty ? nil : .array(subset.ports.map(\.withoutEmptyName)),
                ])
            })
        var labels = service.object.labels
        if service.isHeadless { labels["service.kubernetes.io/headless"] = "" }
        let key = service.object.key
        if registry.find(.endpoints, namespace: key.namespace, name: key.name) == nil {
            var object = KubeObject(.endpoints, namespace: key.namespace, name: key.name, labels: labels)
            object.value.put(value, at: "subsets")
            try registry.create(.endpoints, namespace: key.namespace, object.value)
        } else {
            try registry.update(.endpoints, namespace: key.namespace, name: key.name) { object in
                object.labels = labels
                object.value.put(value, at: "subsets")
            }
        }
    }

    /// Endpoints that somebody else writes for a service without selector, as slices.
    /// Source: k8s.io/kubernetes pkg/controller/endpointslicemirroring.
    private func mirror(_ service: KubeObject) throws(KubeStatus) {
        guard let endpoints = registry.find(.endpoints, namespace: service.namespace, name: service.name),
            endpoints.labels["endpointslice.kubernetes.io/skip-mirror"] != "true"
        else { return }
        for family in ["IPv4", "IPv6"] {
            var groups: [Group] = []
            for subset in endpoints.value.items("subsets") {
                func mirrored(_ address: Value, isReady: Bool) -> Value? {
                    guard let ip = address.text("ip").flatMap({ IPAddress($0) }), ip.isV4 == (family == "IPv4") else { return nil }
                    return .members([
                        "addresses": .array([.string(ip.description)]), "conditions": .members(["ready": .bool(isReady)]), "hostname": address.member("hostname"),
                        "targetRef": address.member("targetRef"), "nodeName": address.member("nodeName"),
                    ])
                }
                let all = subset.items("addresses").compactMap { mirrored($0, isReady: true) } + subset.items("notReadyAddresses").compactMap { mirrored($0, isReady: false) }
                if all.isEmpty { continue }
                let ports = subset.items("ports").map { port in
                    var port = port
                    port.fill(.string(""), "name")
                    port.fill(.string("TCP"), "protocol")
                    return Value.members(["name": port.member("name"), "protocol": port.member("protocol"), "port": port.member("port"), "appProtocol": port.member("appProtocol")])
                }
                groups.append(Group(ports: ports, endpoints: all))
            }
            if groups.isEmpty, family == "IPv6" { continue }
            try reconcileSlices(service, family, manager: "endpointslicemirroring-controller.k8s.io", groups)
        }
    }
}

extension Value {
    fileprivate var withoutEmptyName: Value {
        guard text("name") == "" else { return self }
        var copy = self
        copy.put(nil, at: "name")
        return copy
    }
}
