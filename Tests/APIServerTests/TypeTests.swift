// The table of built-in types, documents judged by it, protobuf decoded by it, and schedules.

import Base
import Documents
import Kube
import Testing

@testable import APIServer

/// Protobuf by hand: a field with a length, a number.
private func field(_ number: Int, _ content: [UInt8]) -> [UInt8] { varint(number << 3 | 2) + varint(content.count) + content }
private func field(_ number: Int, _ text: String) -> [UInt8] { field(number, Array(text.utf8)) }
private func field(_ number: Int, value: Int) -> [UInt8] { varint(number << 3) + varint(value) }
private func varint(_ value: Int) -> [UInt8] {
    var rest = UInt64(bitPattern: Int64(value))
    var bytes: [UInt8] = []
    while rest >= 0x80 {
        bytes.append(UInt8(truncatingIfNeeded: rest & 0x7f) | 0x80)
        rest >>= 7
    }
    return bytes + [UInt8(rest)]
}
private func envelope(_ apiVersion: String, _ kind: String, _ raw: [UInt8]) -> [UInt8] {
    [0x6b, 0x38, 0x73, 0x00] + field(1, field(1, apiVersion) + field(2, kind)) + field(2, raw)
}

/// A Deployment as Go writes it: empty strings and zero numbers of plain fields among it.
private let deployment: [UInt8] = {
    let port = field(1, "http") + field(2, value: 0) + field(3, value: 8080) + field(4, "") + field(5, "")
    let limits = field(1, field(1, "memory") + field(2, field(1, "64Mi")))
    let probe = field(1, field(2, field(1, "/ready") + field(2, field(1, value: 1) + field(3, "http")))) + field(2, value: 0) + field(4, value: 5)
    let container = field(1, "web") + field(2, "web:1") + field(5, "") + field(6, port) + field(8, limits) + field(11, probe) + field(16, value: 0)
    let volume = field(1, "v") + field(2, field(6, field(1, "secret") + field(3, value: 0)))
    let pod = field(1, volume) + field(2, container) + field(3, "") + field(10, "") + field(11, value: 0)
    let template = field(1, field(8, []) + field(11, field(1, "app") + field(2, "web"))) + field(2, pod)
    let spec = field(1, value: 0) + field(2, field(1, field(1, "app") + field(2, "web"))) + field(3, template) + field(4, []) + field(5, value: 0)
    return envelope("apps/v1", "Deployment", field(1, field(1, "web") + field(2, "") + field(3, "shop")) + field(2, spec) + field(3, field(1, value: 0)))
}()

@Suite struct TypeTests {
    @Test func `every kind that is kept has a type, and every type that is named is in the table`() {
        let registry = RegistryBench().registry
        for kind in registry.catalog.kinds where !["apiservices.apiregistration.k8s.io"].contains(kind.name) { #expect(BuiltInType.of(kind) != nil, "\(kind.name)") }
        func names(_ form: BuiltInType.Form) -> [String] {
            switch form {
            case .type(let name): [name]
            case .list(let inner), .map(let inner): names(inner)
            default: []
            }
        }
        for type in BuiltInType.all { for field in type.fields { for name in names(field.form) { #expect(BuiltInType.named(name) != nil, "\(type.name).\(field.name): \(name)") } } }
        #expect(BuiltInType.all.count > 300)
    }

    @Test func `unknown members are found at any depth and dropped, and wrong types are named`() throws {
        let type = try #require(BuiltInType.named("Deployment"))
        let object: Value = [
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": "a", "lables": [:]],
            "spec": ["replicas": 1, "template": ["spec": ["containers": [["name": "c", "imag": "x", "ports": [["containerPort": 80, "portt": 1]]]]]]],
        ]
        #expect(type.judge(object).unknown == ["metadata.lables", "spec.template.spec.containers[0].imag", "spec.template.spec.containers[0].ports[0].portt"])
        #expect(type.judge(type.pruned(object)).unknown == [])
        #expect(type.judge(["spec": ["replicas": "three"]]).mistyped == "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32")
        #expect(type.judge(["metadata": ["labels": ["a": 1]]]).mistyped?.hasSuffix("of type string") == true)
        // A quantity is a string or a number, a port a name or a number.
        let free: Value = ["spec": ["template": ["spec": ["containers": [["resources": ["limits": ["cpu": 1, "memory": "1Gi"]], "livenessProbe": ["httpGet": ["port": "http"]]]]]]]]
        #expect(type.judge(free).mistyped == nil && type.judge(free).unknown == [])
    }

    @Test func `protobuf of Go becomes the document that JSON would have been`() throws {
        let object = try ProtobufBody.decode(deployment)
        let expected: Value = [
            "kind": "Deployment", "apiVersion": "apps/v1", "metadata": ["name": "web", "namespace": "shop"],
            "spec": [
                "replicas": 0, "selector": ["matchLabels": ["app": "web"]],
                "template": [
                    "metadata": ["labels": ["app": "web"]],
                    "spec": [
                        "volumes": [["name": "v", "secret": ["secretName": "secret", "defaultMode": 0]]],
                        "containers": [
                            [
                                "name": "web", "image": "web:1", "ports": [["name": "http", "containerPort": 8080]], "resources": ["limits": ["memory": "64Mi"]],
                                "readinessProbe": ["httpGet": ["path": "/ready", "port": "http"], "periodSeconds": 5],
                            ]
                        ],
                    ],
                ], "strategy": [:],
            ], "status": [:],
        ]
        #expect(object.canonical == expected.canonical, "\(object.json())")
    }

    @Test func `times, bytes, reviews and deletions come over`() throws {
        let secret = try ProtobufBody.decode(envelope("v1", "Secret", field(1, field(1, "s")) + field(2, field(1, "key") + field(2, [0xff, 0x00])) + field(3, "Opaque")))
        #expect(secret.text("data", "key") == "/wA=")
        let review = envelope("authorization.k8s.io/v1", "SelfSubjectAccessReview", field(2, field(1, field(1, "shop") + field(2, "list") + field(5, "pods"))))
        #expect(try ProtobufBody.decode(review).text("spec", "resourceAttributes", "verb") == "list")
        let deletion = envelope("v1", "DeleteOptions", field(1, value: 0) + field(4, "Background") + field(5, "All"))
        #expect(try ProtobufBody.decode(deletion).canonical == (["apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0, "propagationPolicy": "Background", "dryRun": ["All"]] as Value).canonical)
        let lease = envelope("coordination.k8s.io/v1", "Lease", field(1, field(1, "l")) + field(2, field(1, "me") + field(4, field(1, value: 1_700_000_000) + field(2, value: 5000))))
        #expect(try ProtobufBody.decode(lease).text("spec", "renewTime") == "2023-11-14T22:13:20.000005Z")
    }

    @Test func `broken protobuf is refused wherever it breaks, and never traps`() {
        func status(_ bytes: [UInt8]) -> UInt16? {
            do throws(KubeStatus) {
                _ = try ProtobufBody.decode(bytes)
                return nil
            } catch { return error.code }
        }
        #expect(status([]) == 400)
        #expect(status(Array("{}".utf8)) == 400)
        #expect(status(envelope("v1", "Nothing", [])) == 415)
        #expect(status(envelope("apiextensions.k8s.io/v1", "CustomResourceDefinition", [])) == 415)
        for count in 0..<deployment.count {
            let cut = status(Array(deployment[..<count]))
            #expect(cut == 400 || cut == 415 || cut == nil)
        }
        var random = Random(seed: 7)
        for _ in 0..<20_000 {
            var bytes = deployment
            for _ in 0...random.below(3) { bytes[random.below(bytes.count)] = UInt8(random.below(256)) }
            let code = status(bytes)
            #expect(code == nil || code == 400 || code == 415)
        }
        // Nested without end: a schema of nothing but list elements within itself is not in the table, a long number is.
        #expect(status(envelope("v1", "Pod", field(1, Array(repeating: 0xff, count: 20)))) == 400)
    }

    @Test(arguments: [
        ("*/15 * * * *", "2026-06-01T12:00:00Z", "2026-06-01T12:15:00Z"), ("0 0 * * *", "2026-06-01T12:00:00Z", "2026-06-02T00:00:00Z"),
        ("30 4 1,15 * 5", "2026-06-01T12:00:00Z", "2026-06-05T04:30:00Z"), ("0 12 29 2 *", "2026-06-01T12:00:00Z", "2028-02-29T12:00:00Z"),
        ("@hourly", "2026-06-01T12:00:01Z", "2026-06-01T13:00:00Z"), ("5 9-17/4 * jun-aug mon-fri", "2026-06-01T17:05:00Z", "2026-06-02T09:05:00Z"),
        ("0 0 * * 0", "2026-06-01T12:00:00Z", "2026-06-07T00:00:00Z"), ("59 23 31 12 *", "2026-12-31T23:59:00Z", "2027-12-31T23:59:00Z"),
    ]) func `a schedule comes round when crontab says`(_ schedule: String, _ after: String, _ next: String) throws {
        #expect(try CronSchedule(schedule).next(after: WallTime(rfc3339: after)!)?.description == next)
    }

    @Test(arguments: ["", "* * * *", "60 * * * *", "* * 0 * *", "*/0 * * * *", "5-1 * * * *", "a * * * *", "* * * foo *", "1-2-3 * * * *", "@never"]) func `what is no schedule is refused in words`(_ schedule: String) {
        var words = ""
        do throws(Refusal) { _ = try CronSchedule(schedule) } catch { words = error.reason }
        #expect(!words.isEmpty)
    }

    @Test func `a schedule that never comes is none`() throws { #expect(try CronSchedule("0 0 30 2 *").next(after: WallTime(seconds: 1_700_000_000)) == nil) }
}
