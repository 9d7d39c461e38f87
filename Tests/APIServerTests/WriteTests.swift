// What a write does to metadata, and which writes are refused with which status.

import Base
import Documents
import Kube
import Testing

@testable import APIServer

@Suite struct WriteTests {
    @Test func `a new object gets identity and loses what is not the client's to set`() {
        let bench = RegistryBench()
        let object = bench.make(
            .deployments, "default",
            [
                "metadata": ["name": "web", "uid": "mine", "generation": 7, "creationTimestamp": .null], "status": ["replicas": 9],
                "spec": ["selector": ["matchLabels": ["a": "b"]], "template": ["metadata": ["labels": ["a": "b"]], "spec": ["containers": [["name": "c", "image": "i"]]]]],
            ])
        #expect(object.uid.utf8.count == 36 && object.uid != "mine")
        #expect(object.generation == 1)
        #expect(object.createdAt == WallTime(seconds: 1_700_000_000))
        #expect(object.status == .null)
        #expect(object.value.number("spec", "replicas") == 1)
        #expect(object.value.items("spec", "template", "spec", "containers")[0].text("imagePullPolicy") == "Always")
    }

    @Test func `names, namespaces and duplicates are judged`() {
        let bench = RegistryBench()
        let registry = bench.registry
        func code(_ namespace: String, _ document: Value) -> UInt16? { bench.status { try registry.create(.configMaps, namespace: namespace, document) }?.code }
        #expect(code("default", ["metadata": ["name": "Bad_Name"]]) == 422)
        #expect(code("default", ["metadata": [:]]) == 422)
        #expect(code("nowhere", ["metadata": ["name": "a"]]) == 404)
        #expect(code("default", ["metadata": ["name": "a", "namespace": "other"]]) == 400)
        #expect(code("default", ["kind": "Secret", "apiVersion": "v1", "metadata": ["name": "a"]]) == 400)
        #expect(code("default", ["metadata": ["name": "a", "resourceVersion": "5"]]) == 400)
        #expect(code("default", ["metadata": ["name": "a"]]) == nil)
        #expect(code("default", ["metadata": ["name": "a"]]) == 409)
    }

    @Test func `generated names are free ones`() {
        let bench = RegistryBench()
        let names = (0..<50).map { _ in bench.make(.configMaps, "default", ["metadata": ["generateName": "run-"]]).name }
        #expect(names.allSatisfy { $0.hasPrefix("run-") && $0.utf8.count == 9 })
        #expect(Set(names).count == 50)
    }

    @Test func `an old version is a conflict, no version is none`() throws {
        let bench = RegistryBench()
        let old = bench.make(.configMaps, "default", bench.configMap("a"))
        try bench.registry.update(.configMaps, namespace: "default", name: "a") { $0.value.put("2", at: "data", "key") }
        let conflict = bench.status { try bench.registry.update(.configMaps, namespace: "default", name: "a") { $0 = old } }
        #expect(conflict?.code == 409)
        #expect(conflict?.reason == .conflict)
        #expect(conflict?.message.contains("please apply your changes to the latest version") == true)
        try bench.registry.update(.configMaps, namespace: "default", name: "a") {
            $0 = old
            $0.resourceVersion = ""
        }
        #expect(bench.registry.find(.configMaps, namespace: "default", name: "a")?.value.text("data", "key") == "1")
    }

    @Test func `a write that changes nothing makes no version`() throws {
        let bench = RegistryBench()
        bench.make(.configMaps, "default", bench.configMap("a"))
        let version = bench.registry.store.version
        try bench.registry.update(.configMaps, namespace: "default", name: "a") { _ in }
        #expect(bench.registry.store.version == version)
    }

    @Test func `status and specification change through their own endpoints and generation counts the specification`() throws {
        let bench = RegistryBench()
        bench.make(
            .replicaSets, "default",
            ["metadata": ["name": "r"], "spec": ["selector": ["matchLabels": ["a": "b"]], "template": ["metadata": ["labels": ["a": "b"]], "spec": ["containers": [["name": "c", "image": "i"]]]]]])
        try bench.registry.update(.replicaSets, namespace: "default", name: "r", subresource: "status") {
            $0.value.put(3, at: "status", "replicas")
            $0.value.put(9, at: "spec", "replicas")
        }
        var object = try #require(bench.registry.find(.replicaSets, namespace: "default", name: "r"))
        #expect(object.value.number("status", "replicas") == 3)
        #expect(object.value.number("spec", "replicas") == 1)
        #expect(object.generation == 1)
        try bench.registry.update(.replicaSets, namespace: "default", name: "r") {
            $0.value.put(0, at: "status", "replicas")
            $0.value.put(2, at: "spec", "replicas")
        }
        object = try #require(bench.registry.find(.replicaSets, namespace: "default", name: "r"))
        #expect(object.value.number("status", "replicas") == 3)
        #expect(object.value.number("spec", "replicas") == 2)
        #expect(object.generation == 2)
    }

    @Test func `a finalizer keeps a deleted object until it is taken off`() throws {
        let bench = RegistryBench()
        bench.make(.configMaps, "default", ["metadata": ["name": "a", "finalizers": ["x.io/wait"]]])
        #expect(try bench.delete(.configMaps, "a") == false)
        #expect(bench.registry.find(.configMaps, namespace: "default", name: "a")?.isTerminating == true)
        #expect(bench.status { try bench.registry.update(.configMaps, namespace: "default", name: "a") { $0.finalizers.append("y.io/late") } }?.code == 422)
        try bench.registry.update(.configMaps, namespace: "default", name: "a") { $0.finalizers = [] }
        #expect(bench.registry.find(.configMaps, namespace: "default", name: "a") == nil)
    }

    @Test func `a pod on a node is given its grace and ends when the node says so`() throws {
        let bench = RegistryBench()
        bench.make(.pods, "default", ["metadata": ["name": "p"], "spec": ["nodeName": "n", "containers": [["name": "c", "image": "i"]]]])
        #expect(try bench.delete(.pods, "p") == false)
        let pod = try #require(bench.registry.find(.pods, namespace: "default", name: "p"))
        #expect(pod.deletedAt == WallTime(seconds: 1_700_000_030))
        var now = DeleteOptions()
        now.gracePeriodSeconds = 0
        #expect(try bench.delete(.pods, "p", now))
        bench.make(.pods, "default", ["metadata": ["name": "q"], "spec": ["containers": [["name": "c", "image": "i"]]]])
        #expect(try bench.delete(.pods, "q"))
    }

    @Test func `preconditions of a deletion are kept`() throws {
        let bench = RegistryBench()
        let object = bench.make(.configMaps, "default", bench.configMap("a"))
        var options = DeleteOptions()
        options.uid = "other"
        #expect(bench.status { _ = try bench.delete(.configMaps, "a", options) }?.code == 409)
        options.uid = object.uid
        #expect(try bench.delete(.configMaps, "a", options))
        #expect(bench.status { _ = try bench.delete(.configMaps, "a") }?.code == 404)
    }

    @Test func `services get addresses, keep them and give them back`() throws {
        let bench = RegistryBench()
        func service(_ name: String, ip: String? = nil) -> Value {
            var object: Value = ["metadata": ["name": .string(name)], "spec": ["ports": [["port": 80]]]]
            if let ip { object.put(.string(ip), at: "spec", "clusterIP") }
            return object
        }
        #expect(bench.make(.services, "default", service("a")).value.text("spec", "clusterIP") == "10.96.0.1")
        #expect(bench.make(.services, "default", service("b", ip: "None")).value.text("spec", "clusterIP") == "None")
        #expect(bench.make(.services, "default", service("c", ip: "10.96.0.2")).value.items("spec", "clusterIPs") == ["10.96.0.2"])
        #expect(bench.make(.services, "default", service("d")).value.text("spec", "clusterIP") == "10.96.0.3")
        #expect(bench.status { try bench.registry.create(.services, namespace: "default", service("e", ip: "10.96.0.2")) }?.code == 422)
        #expect(bench.status { try bench.registry.create(.services, namespace: "default", service("e", ip: "9.9.9.9")) }?.code == 422)
        #expect(try bench.delete(.services, "c"))
        #expect(bench.make(.services, "default", service("f", ip: "10.96.0.2")).value.text("spec", "clusterIP") == "10.96.0.2")
        #expect(bench.status { try bench.registry.update(.services, namespace: "default", name: "f") { $0.value.put("10.96.0.9", at: "spec", "clusterIP") } }?.code == 422)
    }
}
