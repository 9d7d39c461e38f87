// A node that runs nothing: it takes the pods bound to it, gives them addresses and says that they are ready, and ends the
// deleted ones. Everything it does goes through the public interface, as a real agent's would.

import APIServer
import Base
import Documents
import Kube
import OrderedCollections
import Platform

final class TestNode {
    private let server: KubeAPIServer
    private let name: String
    private var next: UInt8 = 1

    init(_ server: KubeAPIServer, name: String = "node-1") throws(KubeStatus) {
        self.server = server
        self.name = name
        var node = KubeObject(.nodes, name: name, labels: ["topology.kubernetes.io/zone": "west"])
        node.status = .members(["conditions": .array([.members(["type": .string("Ready"), "status": .string("True")])])])
        try server.apply([node.value])
        try server.update(.nodes, name: name, subresource: "status") { $0.status = node.status }
    }

    /// Looks after its pods every so often until the host stops.
    func start(_ host: any Host, every period: Interval = .milliseconds(20)) {
        work()
        host.after(period) { [self] in start(host, every: period) }
    }

    func work() {
        for pod in server.objects(.pods) where pod.value.text("spec", "nodeName") == name {
            if pod.isTerminating {
                try? server.delete(.pods, namespace: pod.namespace, name: pod.name, gracePeriodSeconds: 0)
            } else if pod.value.text("status", "podIP") == nil {
                run(pod)
            }
        }
    }

    private func run(_ pod: KubeObject) {
        let ip = "10.244.0.\(next)"
        next &+= 1
        _ = try? server.update(.pods, namespace: pod.namespace, name: pod.name, subresource: "status") { object in
            object.value.put(.string("Running"), at: "status", "phase")
            object.value.put(.string(ip), at: "status", "podIP")
            object.value.put(.array([.members(["ip": .string(ip)])]), at: "status", "podIPs")
            let ready = Value.members(["type": .string("Ready"), "status": .string("True")])
            object.value.put(.array(object.value.items("status", "conditions") + [ready]), at: "status", "conditions")
            let containers = object.value.items("spec", "containers").map { container in
                Value.members([
                    "name": container.member("name"), "image": container.member("image"), "imageID": .string(""), "ready": .bool(true), "restartCount": .int(0), "started": .bool(true),
                    "state": .members(["running": .members(["startedAt": .string("2026-01-01T00:00:00Z")])]),
                ])
            }
            object.value.put(.array(containers), at: "status", "containerStatuses")
        }
    }
}
