// The pure parts: patterns, paths, schemas, patches, access.

import Base
import Documents
import Kube
import Testing

@testable import APIServer

@Suite struct LogicTests {
    @Test(arguments: [
        ("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", ["a", "a-b", "a1"], ["-a", "a-", "A", ""]),
        ("^(\\d+)(h|m|s|ms)$", ["1h", "20ms", "3s"], ["h", "1d", "1h "]),
        ("^/", ["/a", "/"], ["a/"]),
        ("a{2,3}b", ["aab", "xaaaby"], ["ab", "b"]),
        ("^([0-9]{1,3}\\.){3}[0-9]{1,3}(/[0-9]+)?$", ["10.0.0.1", "10.0.0.0/8"], ["10.0.0", "a.b.c.d"]),
        ("^(?:GET|POST)$|^\\*$", ["GET", "*"], ["GETS", ""]),
        ("^[^/]+$", ["a:b"], ["a/b", ""]),
    ]) func `patterns match as RE2 does`(_ text: String, _ good: [String], _ bad: [String]) throws {
        let pattern = try #require(Pattern(text))
        for text in good { #expect(pattern.matches(text), "\(text)") }
        for text in bad { #expect(!pattern.matches(text), "\(text)") }
    }

    @Test func `a pattern that explodes elsewhere takes linear time here`() throws {
        let pattern = try #require(Pattern("^(a+)+$"))
        #expect(!pattern.matches(String(repeating: "a", count: 5000) + "b"))
        #expect(Pattern("(") == nil)
        #expect(Pattern("a{99999}") == nil)
        #expect(Pattern("\\p{L}") == nil)
    }

    @Test func `paths of columns lead through members, indexes and filters`() throws {
        let document: Value = ["a": [["type": "x", "v": 1], ["type": "y", "v": 2]], "b": ["c.d": "e"]]
        func values(_ path: String) -> [Value]? { JSONPath(path)?.values(in: document) }
        #expect(values(".a[0].v") == [1])
        #expect(values(".a[?(@.type==\"y\")].v") == [2])
        #expect(values(".a[*].v") == [1, 2])
        #expect(values(".b['c.d']") == ["e"])
        #expect(values(".b.c\\.d") == ["e"])
        #expect(values("{.a[-1].v}") == [2])
        #expect(values("..v") == nil)
    }

    @Test func `paths of requests are taken apart`() {
        #expect(APIPath("/api/v1/namespaces/a/pods/b/log") == .resource(ResourcePath(group: "", version: "v1", namespace: "a", plural: "pods", name: "b", subresource: "log")))
        #expect(APIPath("/api/v1/namespaces/a") == .resource(ResourcePath(group: "", version: "v1", namespace: nil, plural: "namespaces", name: "a")))
        #expect(APIPath("/api/v1/namespaces/a/status") == .resource(ResourcePath(group: "", version: "v1", namespace: nil, plural: "namespaces", name: "a", subresource: "status")))
        #expect(APIPath("/apis/g/v1/things") == .resource(ResourcePath(group: "g", version: "v1", namespace: nil, plural: "things", name: nil)))
        #expect(APIPath("/apis/rbac/v1/clusterroles/system%3Aa") == .resource(ResourcePath(group: "rbac", version: "v1", namespace: nil, plural: "clusterroles", name: "system:a")))
        #expect(APIPath("/apis/g/v1") == .other(["apis", "g", "v1"]))
        #expect(APIPath("/version") == .other(["version"]))
    }

    @Test func `versions are preferred as Kubernetes prefers them`() {
        #expect(["v1alpha1", "v1", "v2beta1", "foo", "v2", "v1beta3", "v10"].sorted(by: versionPrecedes) == ["v10", "v2", "v1", "v2beta1", "v1beta3", "v1alpha1", "foo"])
    }

    @Test func `schemas prune, fill in and judge`() throws {
        let schema = Schema(
            [
                "type": "object", "required": ["spec"],
                "properties": [
                    "spec": [
                        "type": "object", "required": ["port"],
                        "properties": [
                            "port": ["x-kubernetes-int-or-string": true], "mode": ["type": "string", "default": "a", "enum": ["a", "b"]],
                            "list": ["type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": ["type": "object", "properties": ["name": ["type": "string"], "n": ["type": "integer", "minimum": 1, "maximum": 9]]]],
                            "free": ["type": "object", "x-kubernetes-preserve-unknown-fields": true], "map": ["type": "object", "additionalProperties": ["type": "string"]],
                        ],
                    ]
                ],
            ], isRoot: true)
        var unknown: [String] = []
        let completed = schema.completed(["apiVersion": "x/v1", "metadata": ["name": "a"], "spec": ["port": 1, "wrong": 2, "free": ["any": 1], "map": ["k": "v"]], "more": 1], unknown: &unknown)
        #expect(unknown == ["spec.wrong", "more"])
        #expect(completed.text("spec", "mode") == "a")
        #expect(completed.member("spec", "free", "any") == 1)
        func faults(_ spec: Value) -> [String] {
            var faults: [FieldFault] = []
            schema.validate(["metadata": [:], "spec": spec], path: "", &faults)
            return faults.map(\.field)
        }
        #expect(faults(["port": "http", "mode": "b", "list": [["name": "x", "n": 3]]]).isEmpty)
        #expect(faults([:]) == ["spec.port"])
        #expect(faults(["port": true]) == ["spec.port"])
        #expect(faults(["port": 1, "mode": "c"]) == ["spec.mode"])
        #expect(faults(["port": 1, "list": [["name": "x", "n": 0], ["name": "x", "n": 10]]]) == ["spec.list[1]", "spec.list[0].n", "spec.list[1].n"])
        #expect(faults(["port": 1, "map": ["k": 1]]) == ["spec.map.k"])
    }

    private func merged(_ document: Value, _ patch: Value, kind: KubeResource = .deployments) throws -> Value {
        let bench = RegistryBench()
        let served = bench.registry.kind(kind)
        return try StrategicMerge.apply(patch, to: document, Structure(served, served.versions[0]))
    }

    @Test func `strategic merge finds list elements by key and obeys directives`() throws {
        let document: Value = [
            "spec": ["template": ["spec": ["containers": [["name": "a", "image": "1", "env": [["name": "X", "value": "1"], ["name": "Y", "value": "2"]]], ["name": "b", "image": "1"]], "nodeSelector": ["k": "v"]]]]
        ]
        let changed = try merged(document, ["spec": ["template": ["spec": ["containers": [["name": "a", "image": "2", "env": [["name": "Y", "$patch": "delete"], ["name": "Z", "value": "3"]]], ["name": "c"]]]]]])
        let containers = changed.items("spec", "template", "spec", "containers")
        #expect(containers.map { $0.text("name") } == ["a", "b", "c"])
        #expect(containers[0].text("image") == "2")
        #expect(containers[0].items("env").map { $0.text("name") } == ["X", "Z"])
        let ordered = try merged(document, ["spec": ["template": ["spec": ["$setElementOrder/containers": [["name": "c"], ["name": "a"], ["name": "b"]], "containers": [["name": "c"]]]]]])
        #expect(ordered.items("spec", "template", "spec", "containers").map { $0.text("name") } == ["c", "a", "b"])
        let replaced = try merged(document, ["spec": ["template": ["spec": ["nodeSelector": ["$patch": "replace", "x": "y"], "containers": [["$patch": "replace"], ["name": "z"]]]]]])
        #expect(replaced.entries("spec", "template", "spec", "nodeSelector") == ["x": "y"])
        #expect(replaced.items("spec", "template", "spec", "containers").map { $0.text("name") } == ["z"])
        let fewer = try merged(["metadata": ["finalizers": ["a", "b"]]], ["metadata": ["$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"]]])
        #expect(fewer.items("metadata", "finalizers") == ["b", "c"])
    }

    @Test func `apply owns fields, gives up what it no longer names, and respects others`() throws {
        let bench = RegistryBench()
        let kind = bench.registry.kind(.configMaps)
        let apply = ServerSideApply(kind, kind.versions[0], subresource: "", time: "2026-01-01T00:00:00Z")
        var object = try apply.apply(["metadata": ["labels": ["x": "1"]], "data": ["a": "1", "b": "1"]], to: [:], manager: "one", isForced: false)
        object = try apply.apply(["data": ["a": "1", "c": "1"]], to: object, manager: "two", isForced: false)
        // `b` is dropped, `a` stays because another wants it, too.
        object = try apply.apply(["data": ["d": "1"]], to: object, manager: "one", isForced: false)
        #expect(object.entries("data") == ["a": "1", "c": "1", "d": "1"])
        #expect(object.entries("metadata", "labels").isEmpty)
        let status = bench.status { _ = try apply.apply(["data": ["a": "2"]], to: object, manager: "three", isForced: false) }
        #expect(status?.code == 409)
        #expect(status?.details?.causes.map(\.field) == [".data.a"])
        object = try apply.apply(["data": ["a": "2"]], to: object, manager: "three", isForced: true)
        #expect(object.text("data", "a") == "2")
        let two = ServerSideApply.entries(object).first { $0.manager == "two" }
        #expect(two?.fields.paths == [".data.c"])
        // A plain update takes over what it changes.
        var edited = object
        edited.put("9", at: "data", "c")
        apply.track(&edited, old: object, manager: "editor")
        let entries = ServerSideApply.entries(edited)
        #expect(entries.first { $0.manager == "editor" }?.fields.paths == [".data.c"])
        #expect(entries.contains { $0.manager == "two" } == false)
        #expect(FieldSet(FieldSet(of: ["a": ["b": 1], "c": []], Structure(kind, kind.versions[0])).value).paths == [".a.b", ".c"])
    }

    @Test func `lists of containers and ports are owned element by element`() throws {
        let bench = RegistryBench()
        let kind = bench.registry.kind(.deployments)
        let apply = ServerSideApply(kind, kind.versions[0], subresource: "", time: "2026-01-01T00:00:00Z")
        func spec(_ containers: Value) -> Value { ["spec": ["template": ["spec": ["containers": containers]]]] }
        var object = try apply.apply(spec([["name": "a", "image": "1", "ports": [["containerPort": 80]]]]), to: [:], manager: "one", isForced: false)
        object = try apply.apply(spec([["name": "b", "image": "1"]]), to: object, manager: "two", isForced: false)
        #expect(object.items("spec", "template", "spec", "containers").map { $0.text("name") } == ["a", "b"])
        object = try apply.apply(spec([["name": "c", "image": "1"]]), to: object, manager: "one", isForced: false)
        #expect(object.items("spec", "template", "spec", "containers").map { $0.text("name") } == ["b", "c"])
    }

    @Test func `ages are written as kubectl writes them`() {
        let words = [5, 119, 120, 125, 600, 10_800, 10_860, 172_800, 700_000].map { TableContext.words($0) }
        #expect(words == ["5s", "119s", "2m", "2m5s", "10m", "3h", "3h1m", "2d", "8d"])
    }
}
