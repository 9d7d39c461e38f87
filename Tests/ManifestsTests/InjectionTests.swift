// Injection rule by rule: who asks for a proxy, which annotations change it, what is refused, and that uninjecting gives the
// object back.

import Documents
import Foundation
import Kube
import OrderedCollections
import Testing

@testable import Manifests

private func yaml(_ text: String) throws -> Value { try YAML.parse(Array(text.utf8))[0].value }

private func pod(annotations: KubeLabels = [:], spec: String = "{containers: [{name: app, image: app, ports: [{name: http, containerPort: 8080}, {name: db, containerPort: 3306}]}]}") throws -> Value {
    var pod = try yaml("{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: demo}, spec: \(spec)}")
    pod.setMetadata("annotations", annotations)
    return pod
}

private func injected(_ annotations: KubeLabels, mode: Injector.Mode = .manual, namespace: KubeLabels = [:], values: InjectionValues = InjectionValues()) throws -> (Value, InjectionReport) {
    var surroundings = Injector.Surroundings()
    surroundings.namespaceAnnotations = namespace
    let (object, reports) = try Injector(values: values, mode: mode).inject(pod(annotations: annotations), in: surroundings)
    return (object, reports[0])
}

private func proxy(_ pod: Value) -> Value? { pod.podContainers.first { $0.text("name") == "linkerd-proxy" } }
private func variable(_ pod: Value, _ name: String) -> String? { proxy(pod)?.items("env").first { $0.text("name") == "LINKERD2_PROXY_" + name }?.text("value") }
private func arguments(_ pod: Value) -> String { pod.podContainers.first { $0.text("name") == "linkerd-init" }?.items("args").compactMap { $0.text() }.joined(separator: " ") ?? "" }

@Test(arguments: [
    (nil, nil, InjectionReport.Reason.notEnabled), (nil, "disabled", .notEnabled), (nil, "enabled", nil), ("enabled", nil, nil), ("enabled", "disabled", nil), ("ingress", nil, nil), ("disabled", "enabled", .disabled),
    ("yes", "enabled", .invalidAnnotation), ("enabled", "yes", .invalidNamespaceAnnotation), (nil, "ingress", nil),
] as [(String?, String?, InjectionReport.Reason?)]) func `the webhook injects only who asked`(ofPod: String?, ofNamespace: String?, reason: InjectionReport.Reason?) throws {
    let (object, report) = try injected(ofPod.map { [MeshAnnotation.inject: $0] } ?? [:], mode: .admission, namespace: ofNamespace.map { [MeshAnnotation.inject: $0] } ?? [:])
    #expect(report.reasons == (reason.map { [$0] } ?? []))
    #expect((proxy(object) != nil) == (reason == nil))
    if reason == nil, ofPod == "ingress" || ofNamespace == "ingress" { #expect(variable(object, "INGRESS_MODE") == "true") }
}

@Test(arguments: [
    ("proxy-log-level", "trace", "LOG", "trace,[{headers}]=off,[{request}]=off"), ("proxy-log-http-headers", "insecure", "LOG", "warn,linkerd=info,hickory=error"), ("proxy-log-format", "json", "LOG_FORMAT", "json"),
    ("control-port", "5190", "CONTROL_LISTEN_ADDR", "0.0.0.0:5190"), ("admin-port", "5191", "ADMIN_LISTEN_ADDR", "0.0.0.0:5191"), ("inbound-port", "5143", "INBOUND_LISTEN_ADDR", "0.0.0.0:5143"),
    ("outbound-port", "5140", "OUTBOUND_LISTEN_ADDRS", "127.0.0.1:5140"), ("opaque-ports", "db, 9000-9001,25", "INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION", "3306,9000-9001,25"),
    ("default-inbound-policy", "deny", "INBOUND_DEFAULT_POLICY", "deny"), ("enable-external-profiles", "true", "DESTINATION_PROFILE_SUFFIXES", "."), ("enable-gateway", "true", "INBOUND_GATEWAY_SUFFIXES", "svc.cluster.local."),
    ("proxy-require-identity-inbound-ports", "8080", "INBOUND_PORTS_REQUIRE_IDENTITY", "8080"), ("proxy-metrics-hostname-labels", "true", "OUTBOUND_METRICS_HOSTNAME_LABELS", "true"),
    ("proxy-outbound-connect-timeout", "6s", "OUTBOUND_CONNECT_TIMEOUT", "6s"), ("proxy-inbound-connect-timeout", "600ms", "INBOUND_CONNECT_TIMEOUT", "600ms"),
    ("proxy-outbound-discovery-cache-unused-timeout", "50s", "OUTBOUND_DISCOVERY_IDLE_TIMEOUT", "50s"), ("proxy-inbound-discovery-cache-unused-timeout", "1h", "INBOUND_DISCOVERY_IDLE_TIMEOUT", "1h"),
    ("proxy-disable-outbound-protocol-detect-timeout", "true", "OUTBOUND_DETECT_TIMEOUT", "365d"), ("proxy-disable-inbound-protocol-detect-timeout", "true", "INBOUND_DETECT_TIMEOUT", "365d"),
    ("access-log", "json", "ACCESS_LOG", "json"), ("shutdown-grace-period", "30s", "SHUTDOWN_GRACE_PERIOD", "30s"), ("proxy-admin-shutdown", "enabled", "SHUTDOWN_ENDPOINT_ENABLED", "true"), ("proxy-cpu-request", "1500m", "CORES", "2"),
    ("proxy-cpu-limit", "2.1", "CORES_MAX", "3"), ("proxy-cpu-ratio-limit", "0.5", "CORES_MAX_RATIO", "0.5"), ("proxy-additional-env", #"[{"name":"LINKERD2_PROXY_LOG","value":"x"}]"#, "LOG", "x"),
    ("proxy-log-format", "xml", "LOG_FORMAT", "plain"), ("control-port", "0", "CONTROL_LISTEN_ADDR", "0.0.0.0:4190"), ("default-inbound-policy", "maybe", "INBOUND_DEFAULT_POLICY", "all-unauthenticated"),
    ("proxy-inbound-connect-timeout", "soon", "INBOUND_CONNECT_TIMEOUT", "100ms"), ("enable-external-profiles", "perhaps", "DESTINATION_PROFILE_SUFFIXES", "svc.cluster.local."), ("proxy-cpu-limit", "many", "CORES_MAX", ""),
    ("proxy-cpu-ratio-limit", "1.5", "CORES_MAX_RATIO", ""),
]) func `an annotation changes one variable, on the pod and on its namespace`(annotation: String, value: String, name: String, expected: String) throws {
    let full = MeshAnnotation.prefix + annotation
    #expect((variable(try injected([full: value]).0, name) ?? "") == expected)
    let (inherited, _) = try injected([MeshAnnotation.inject: "enabled"], mode: .admission, namespace: [full: value])
    let isInherited = !["enable-gateway", "proxy-cpu-ratio-limit"].contains(annotation)
    let unchanged = variable(try injected([:]).0, name) ?? ""
    #expect((variable(inherited, name) ?? "") == (isInherited ? expected : unchanged))
    #expect((inherited.text("metadata", "annotations", full) == value) == isInherited)
}

@Test(arguments: [
    ("skip-inbound-ports", "80,90-91", "--inbound-ports-to-ignore 4190,4191,80,90-91"), ("skip-outbound-ports", "25", "--outbound-ports-to-ignore 25"), ("skip-subnets", "10.0.0.0/8", "--subnets-to-ignore 10.0.0.0/8"),
    ("proxy-uid", "3000", "--proxy-uid 3000"), ("proxy-gid", "3001", "--proxy-gid 3001"), ("inbound-port", "5143", "--incoming-proxy-port 5143"), ("outbound-port", "5140", "--outgoing-proxy-port 5140"),
]) func `an annotation changes the initialiser's arguments`(annotation: String, value: String, expected: String) throws {
    let (object, report) = try injected([MeshAnnotation.prefix + annotation: value])
    #expect(arguments(object).contains(expected) && report.warnings.isEmpty)
    #expect(!arguments(try injected([:]).0).contains(expected))
}

@Test func `images and resources follow annotations`() throws {
    let (plain, _) = try injected([:])
    #expect(plain.podContainers.map { $0.text("image") } == ["weft/proxy-init:\(Release.version)", "weft/proxy:\(Release.version)", "app"])
    let (object, _) = try injected([
        "config.linkerd.io/proxy-image": "r/p", "config.linkerd.io/proxy-version": "v9", "config.linkerd.io/image-pull-policy": "Always", "config.linkerd.io/enable-debug-sidecar": "true",
        "config.linkerd.io/debug-image": "r/d", "config.linkerd.io/debug-image-version": "v8", "config.linkerd.io/proxy-memory-limit": "1024Mi", "config.linkerd.io/proxy-cpu-request": "0.1",
        "config.linkerd.io/proxy-ephemeral-storage-request": "1e3",
    ])
    #expect(object.podContainers.map { $0.text("image") } == ["weft/proxy-init:v9", "r/p:v9", "app", "r/d:v8"])
    #expect(object.podContainers.map { $0.text("imagePullPolicy") } == ["Always", "Always", nil, "Always"])
    #expect(try proxy(object)?.member("resources")?.canonical == yaml("{limits: {memory: 1Gi}, requests: {cpu: 100m, ephemeral-storage: 1k}}").canonical)
    #expect(object.text("metadata", "annotations", "linkerd.io/proxy-version") == "v9")
}

@Test func `a value that cannot be used is named`() throws {
    let (_, report) = try injected(["config.linkerd.io/proxy-uid": "root", "config.linkerd.io/opaque-ports": "25,nosuch", "config.linkerd.io/close-wait-timeout": "1h"])
    #expect(
        report.warnings == [
            "config.linkerd.io/opaque-ports: \"nosuch\" is not a port, a range or the name of a port, and is ignored", "config.linkerd.io/proxy-uid: \"root\" is not a number and is ignored",
            "config.linkerd.io/close-wait-timeout needs an initialiser that runs as root and is ignored",
        ])
    #expect(InjectionReport.text([report], isVerbose: false).contains("\u{203c} pod/p: config.linkerd.io/proxy-uid: \"root\" is not a number and is ignored\n"))
}

@Test func `a proxy that is no native sidecar stands among the containers`() throws {
    let native = "config.linkerd.io/proxy-enable-native-sidecar"
    let (awaited, _) = try injected([native: "false"])
    #expect(awaited.items("spec", "containers").map { $0.text("name") } == ["linkerd-proxy", "app"] && awaited.items("spec", "initContainers").map { $0.text("name") } == ["linkerd-init"])
    #expect(proxy(awaited)?.items("lifecycle", "postStart", "exec", "command").compactMap { $0.text() } == ["/usr/lib/linkerd/linkerd-await", "--timeout=2m", "--port=4191"])
    #expect(proxy(awaited)?.member("restartPolicy") == nil && proxy(awaited)?.member("startupProbe") == nil)
    let (other, _) = try injected([native: "false", "config.linkerd.io/proxy-await": "disabled", "config.alpha.linkerd.io/proxy-wait-before-exit-seconds": "7"])
    #expect(other.items("spec", "containers").map { $0.text("name") } == ["app", "linkerd-proxy"] && proxy(other)?.member("lifecycle", "postStart") == nil)
    #expect(proxy(other)?.items("lifecycle", "preStop", "exec", "command").compactMap { $0.text() } == ["/bin/sleep", "7"])
    let (unawaited, _) = try injected(["config.linkerd.io/proxy-await": "disabled"])
    #expect(proxy(unawaited)?.text("restartPolicy") == "Always" && proxy(unawaited)?.member("startupProbe") == nil)
}

@Test func `native proxies start before the application's own initialisers`() throws {
    let object = try pod(spec: "{initContainers: [{name: first, image: i}], containers: [{name: app, image: a}], volumes: [{name: v, emptyDir: {}}]}")
    let result = try Injector(values: InjectionValues(), mode: .manual).inject(object).object
    #expect(result.podContainers.map { $0.text("name") } == ["linkerd-init", "linkerd-proxy", "first", "app"])
    #expect(result.items("spec", "volumes").map { $0.text("name") } == ["v", "linkerd-proxy-init-xtables-lock", "linkerd-identity-end-entity", "linkerd-identity-token"])
}

@Test func `the pod's opaque ports are written down for the policy controller`() throws {
    let (object, _) = try injected([MeshAnnotation.inject: "enabled"], mode: .admission)
    #expect(object.text("metadata", "annotations", MeshAnnotation.opaquePorts) == "3306")
    let (own, _) = try injected([MeshAnnotation.inject: "enabled", MeshAnnotation.opaquePorts: ""], mode: .admission)
    #expect(own.text("metadata", "annotations", MeshAnnotation.opaquePorts) == "" && variable(own, "INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION") == nil)
    let injector = Injector(values: InjectionValues(), mode: .admission)
    let service = try yaml("{kind: Service, metadata: {name: s}, spec: {ports: [{port: 3306}, {port: 80, targetPort: 6379}, {port: 5432, targetPort: pg}, {port: 25, targetPort: 8025}]}}")
    #expect(injector.opaquePorts(for: service, in: Injector.Surroundings()) == "3306,80")
}

@Test func `without anchors the proxy reads them from the config map`() throws {
    let (object, _) = try injected([:])
    let anchors = proxy(object)?.items("env").first { $0.text("name") == "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS" }
    #expect(anchors?.text("valueFrom", "configMapKeyRef", "name") == "linkerd-identity-trust-roots" && anchors?.member("value") == nil)
    #expect(object.text("metadata", "annotations", "linkerd.io/trust-root-sha256") == nil)
}

@Test(arguments: [
    ("{kind: Pod, spec: {hostNetwork: true, containers: []}, metadata: {name: p}}", "failed to inject pod/p: hostNetwork is enabled"),
    ("{kind: Pod, spec: {containers: [{name: istio-proxy}]}, metadata: {name: p}}", "failed to inject pod/p: pod has a sidecar injected already"),
    ("{kind: Deployment, metadata: {name: d}, spec: {}}", "deployment/d has no pod: spec.template.spec is missing or not an object"), ("{kind: Pod, metadata: {name: p}, spec: {containers: 1}}", "pod/p: spec.containers is not a list"),
    ("{kind: Pod, metadata: {name: p, labels: [1]}, spec: {containers: []}}", "pod/p: metadata.labels is not a map"), ("{a: 1}", "the object has no kind"), ("[1]", "an array is not a Kubernetes object"),
    ("{kind: List, items: [{kind: CronJob, metadata: {name: c}, spec: {jobTemplate: 1}}]}", "cronjob/c has no pod: spec.jobTemplate.spec.template.spec is missing or not an object"),
]) func `what cannot be injected is refused by name`(text: String, reason: String) throws {
    #expect { try Injector(values: InjectionValues(), mode: .manual).inject(yaml(text)) } throws: { "\($0)" == reason }
}

@Test(arguments: ["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "ReplicationController", "CronJob", "Pod"]) func `every kind with a pod is injected, and uninjecting gives it back`(kind: String) throws {
    let template = "{metadata: {labels: {app: x}, annotations: {config.linkerd.io/opaque-ports: '25'}}, spec: {containers: [{name: app, image: a}], volumes: [{name: v, emptyDir: {}}]}}"
    let text =
        switch kind {
        case "Pod": "{kind: Pod, metadata: {name: w, annotations: {a: b}}, spec: {containers: [{name: app, image: a}]}}"
        case "CronJob": "{kind: CronJob, metadata: {name: w}, spec: {schedule: '* * * * *', jobTemplate: {spec: {template: \(template)}}}}"
        default: "{kind: \(kind), metadata: {name: w}, spec: {template: \(template), other: 1}}"
        }
    let object = try yaml(text)
    let (injected, reports) = try Injector(values: InjectionValues(), mode: .manual).inject(object)
    #expect(reports.map(\.line) == ["\(kind.lowercased()) \"w\" injected"])
    #expect(injected != object)
    if kind != "Pod" { #expect(injected.json().contains("\"linkerd.io/proxy-\(kind.lowercased())\":\"w\"")) }
    let (restored, after) = try Uninjector.uninject(injected)
    #expect(restored == object && after.map(\.line) == ["\(kind.lowercased()) \"w\" uninjected"])
    #expect(try Uninjector.uninject(object).reports.map(\.outcome) == [.skipped])
}

@Test func `quantities are read, rounded and written as Kubernetes does`() {
    for (text, canonical, units) in [
        ("500m", "500m", 1), ("0.5", "500m", 1), ("1", "1", 1), ("1000m", "1", 1), ("1.5", "1500m", 2), ("64Mi", "64Mi", 64 << 20), ("1024Mi", "1Gi", 1 << 30), ("1e3", "1k", 1000), ("0", "0", 1), ("2.5Gi", "2560Mi", 5 << 29),
        ("1E", "1E", 1_000_000_000_000_000_000), ("100000n", "100u", 1), (".5", "500m", 1),
    ] {
        #expect(Quantity(text)?.canonical == canonical)
        #expect(Quantity(text)?.wholeUnits == units)
    }
    for text in ["", "m", "1x", "1 Mi", "--1", "1.2.3", "1e99", "99999999999999999999"] { #expect(Quantity(text) == nil) }
}

@Test func `digests are those of FIPS 180-4`() {
    #expect(SHA256.hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(SHA256.hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(SHA256.hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
}

@Test func `real manifests are injected, change nothing else and come back`() throws {
    var count = 0
    var passed = 0
    // Files that PyYAML refuses too: they are templates, not YAML.
    let broken = String(decoding: try bytes(fixtures + "/k8s/INDEX.tsv"), as: UTF8.self).split(separator: "\n").map { $0.split(separator: "\t", omittingEmptySubsequences: false) }
        .filter { $0.count > 8 && !$0[8].isEmpty }.map { String($0[0]) }
    for folder in ["apps", "istio-inject-inputs", "linkerd-integration"] {
        let root = fixtures + "/k8s/" + folder
        let names = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
        for name in names.sorted() where name.hasSuffix(".yaml") || name.hasSuffix(".yml") {
            count += 1
            let documents: [Value]
            do {
                documents = try YAML.parse(bytes(root + "/" + name)).map(\.value).filter { $0.text("kind") != nil }
                #expect(!broken.contains(folder + "/" + name), "\(name)")
            } catch {
                #expect(broken.contains(folder + "/" + name), "\(name): \(error)")
                if broken.contains(folder + "/" + name) { passed += 1 }
                continue
            }
            var isGood = true
            for document in documents {
                #expect(try YAML.parse(Array(YAML.print([document]).utf8)).map(\.value) == [document], "\(name)")
                do {
                    let (injected, reports) = try Injector(values: InjectionValues(), mode: .manual).inject(document)
                    // Settings that the injector wrote would be the only difference; it writes none in this mode.
                    let restored = try Uninjector.uninject(injected).object
                    let plain = try Uninjector.uninject(document).object
                    if restored.canonical != plain.canonical {
                        isGood = false
                        Issue.record("\(name): \(JSONPatch(from: plain, to: restored).value.json())")
                    }
                    let isPodBearing = reports.contains { !$0.reasons.contains(.unsupportedKind) }
                    if isPodBearing, injected == document, !reports.contains(where: { $0.reasons.contains(.disabled) }) {
                        isGood = false
                        Issue.record("\(name): nothing was injected")
                    }
                } catch {
                    let isExpected = "\(error)".hasSuffix("hostNetwork is enabled") || "\(error)".hasSuffix("pod has a sidecar injected already")
                    if !isExpected {
                        isGood = false
                        Issue.record("\(name): \(error)")
                    }
                }
            }
            if isGood { passed += 1 }
        }
    }
    print("corpus k8s manifests passed \(passed) of \(count)")
    #expect(count > 100)
}
