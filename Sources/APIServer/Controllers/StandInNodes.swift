// Nodes that run nothing. Each takes the pods bound to it, gives them addresses, says that they are ready, ends the deleted ones and lets
// those that are meant to end succeed. For clusters without machines: to try manifests, controllers and clients against.
// What only a running container could answer (logs, exec) is refused by the server as for any node without an agent.

import Base
import Documents
import Kube
import OrderedCollections
import Platform

final class StandInNodes: Reconciler {
    static let label = "weft.dev/stand-in"
    private let count: Int
    /// Look-up only: addresses of pods that are there.
    private var taken: Set<UInt32> = []
    private var next: UInt32 = 1
    /// Look-up only: whose pods are ours.
    private var names: Set<String> = []

    /// Pods get addresses of 10.244.0.0/14. Source: kubeadm's usual pod network, made wider.
    private static let network: UInt32 = 0x0af4_0000
    private static let addressesMax: UInt32 = 1 << 18

    init(registry: Registry, writer: Writer, host: any Host, count: Int) {
        self.count = count
        super.init(registry: registry, writer: writer, host: host)
        for i in 0..<count { names.insert("stand-in-\(i + 1)") }
        enqueue(KubeKey("", ""))
    }

    override func observe(_ collection: String, _ change: StoredChange) {
        guard collection == "pods", let node = change.object.text("spec", "nodeName"), names.contains(node) else { return }
        if let text = change.object.text("status", "podIP"), case .v4(let ip)? = IPAddress(text) {
            if change.kind == .deleted { taken.remove(ip) } else { taken.insert(ip) }
        }
        if change.kind != .deleted { enqueue(change.key) }
    }

    override func reconcile(_ key: KubeKey) throws(KubeStatus) {
        if key.name.isEmpty { return try stand() }
        guard let pod = registry.find(.pods, namespace: key.namespace, name: key.name), let node = pod.value.text("spec", "nodeName"), names.contains(node) else { return }
        let phase = pod.value.text("status", "phase") ?? ""
        if pod.isTerminating {
            var options = DeleteOptions()
            options.gracePeriodSeconds = 0
            writer.delete(registry.kind(.pods), key, options)
        } else if pod.value.text("status", "podIP") == nil, phase == "Pending" || phase.isEmpty {
            try run(pod)
            if pod.value.text("spec", "restartPolicy") != "Always" { enqueue(key, after: .seconds(1)) }
        } else if phase == "Running", pod.value.text("spec", "restartPolicy") != "Always" {
            try succeed(pod)
        }
    }

    // MARK: The nodes

    private func stand() throws(KubeStatus) {
        for i in 0..<count {
            let name = "stand-in-\(i + 1)"
            if registry.find(.nodes, name: name) == nil {
                let node = KubeObject(.nodes, name: name, labels: ["kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", Self.label: "true"])
                try registry.create(.nodes, node.value)
            }
            let room = Value.members(["cpu": .string("1000"), "memory": .string("1Ti"), "pods": .string("100000")])
            try registry.update(.nodes, name: name, subresource: "status") { [registry] node in
                var status = node.status == .null ? Value.object([:]) : node.status
                status.put(room, at: "capacity")
                status.put(room, at: "allocatable")
                status.put(.array([.members(["type": .string("InternalIP"), "address": .string("10.244.0.0")]), .members(["type": .string("Hostname"), "address": .string(name)])]), at: "addresses")
                status.setCondition("Ready", true, reason: "StandIn", message: "pods are said to run; nothing does", at: registry.timestamp)
                status.put(.members(["kubeletVersion": .string("stand-in"), "operatingSystem": .string("linux"), "architecture": .string("amd64")]), at: "nodeInfo")
                node.status = status
            }
        }
    }

    // MARK: The pods

    private func address() -> String? {
        for _ in 0..<Self.addressesMax {
            next = next % (Self.addressesMax - 2) + 1
            if taken.insert(Self.network + next).inserted { return IPAddress.v4(Self.network + next).description }
        }
        return nil
    }

    private func run(_ pod: KubeObject) throws(KubeStatus) {
        guard let ip = address() else { throw .internalError("stand-in nodes have no more addresses") }
        let time = registry.timestamp
        func statuses(_ list: String, _ state: (Value) -> Value) -> Value? {
            let containers = pod.value.items("spec", list)
            return containers.isEmpty ? nil : .array(containers.map(state))
        }
        func running(_ container: Value) -> Value { Self.status(container, .members(["running": .members(["startedAt": time])]), isReady: true) }
        try registry.update(.pods, namespace: pod.namespace, name: pod.name, subresource: "status") { object in
            var status = object.status == .null ? Value.object([:]) : object.status
            status.put(.string("Running"), at: "phase")
            status.put(.string("10.244.0.0"), at: "hostIP")
            status.put(.string(ip), at: "podIP")
            status.put(.array([.members(["ip": .string(ip)])]), at: "podIPs")
            status.put(time, at: "startTime")
            var conditions = status.items("conditions")
            for type in ["Initialized", "Ready", "ContainersReady"] {
                conditions.removeAll { $0.text("type") == type }
                conditions.append(.members(["type": .string(type), "status": .string("True"), "lastProbeTime": .null, "lastTransitionTime": time]))
            }
            status.put(.array(conditions), at: "conditions")
            status.put(statuses("containers", running), at: "containerStatuses")
            status.put(
                statuses("initContainers") { container in
                    container.text("restartPolicy") == "Always" ? running(container) : Self.status(container, Self.over(time), isReady: true)
                }, at: "initContainerStatuses")
            object.status = status
        }
    }

    private func succeed(_ pod: KubeObject) throws(KubeStatus) {
        let time = registry.timestamp
        try registry.update(.pods, namespace: pod.namespace, name: pod.name, subresource: "status") { object in
            object.value.put(.string("Succeeded"), at: "status", "phase")
            object.value.put(
                .array(
                    object.value.items("status", "conditions").map { condition in
                        var condition = condition
                        guard ["Ready", "ContainersReady"].contains(condition.text("type")) else { return condition }
                        condition.put(.string("False"), at: "status")
                        condition.put(.string("PodCompleted"), at: "reason")
                        condition.put(time, at: "lastTransitionTime")
                        return condition
                    }), at: "status", "conditions")
            object.value.put(.array(object.value.items("spec", "containers").map { Self.status($0, Self.over(time), isReady: false) }), at: "status", "containerStatuses")
        }
    }

    private static func over(_ time: Value) -> Value {
        .members(["terminated": .members(["exitCode": .int(0), "reason": .string("Completed"), "startedAt": time, "finishedAt": time])])
    }

    private static func status(_ container: Value, _ state: Value, isReady: Bool) -> Value {
        .members([
            "name": container.member("name"), "image": container.member("image"), "imageID": .string(""), "ready": .bool(isReady), "restartCount": .int(0), "started": .bool(isReady),
            "state": state, "lastState": .object(Object()),
        ])
    }
}
