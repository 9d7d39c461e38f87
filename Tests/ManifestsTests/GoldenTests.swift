// Linkerd's own injection goldens, every case: manifests by the command (`cases.json`, the folder case), pods by the webhook
// (`cases.tsv`). Compared by meaning, rendered with Linkerd's image names. Where we differ on purpose, `deviations.tsv` says so
// with the reason, and a deviation that no longer occurs fails too.

import Documents
import Foundation
import Kube
import OrderedCollections
import Testing

@testable import Manifests

let fixtures: String = {
    let tree = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    return ProcessInfo.processInfo.environment["WEFT_FIXTURES"] ?? tree.deletingLastPathComponent().appendingPathComponent("shared/fixtures").path
}()

func bytes(_ path: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))) }

/// name → reason
private func deviations() throws -> OrderedDictionary<String, String> {
    let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("deviations.tsv").path
    var deviations: OrderedDictionary<String, String> = [:]
    for line in String(decoding: try bytes(path), as: UTF8.self).split(separator: "\n").dropFirst() {
        let fields = line.split(separator: "\t").map(String.init)
        if fields.count == 2 { deviations[fields[0]] = fields[1] }
    }
    return deviations
}

/// Values as Linkerd's command-line tests have them.
private func linkerdValues(version: String, anchors: String) -> InjectionValues {
    var values = InjectionValues()
    values.proxy.image = .init("cr.l5d.io/linkerd/proxy", version: version)
    values.initializer.imageName = nil
    values.initializer.command = ["/usr/lib/linkerd/linkerd2-proxy-init"]
    values.debugImage = .init("cr.l5d.io/linkerd/debug", version: "test-inject-debug-version")
    values.createdBy = "linkerd/cli dev-undefined"
    values.trustAnchorsPEM = anchors
    return values
}

/// Go's typed objects lose what is empty; a document tree keeps what was written. Both sides are compared without it.
private func pruned(_ value: Value) -> Value {
    switch value {
    case .array(let elements): return .array(elements.map(pruned))
    case .object(let members):
        var kept = Object()
        for (name, member) in members {
            let member = pruned(member)
            let isEmpty = member == .null || member == .object([:]) && ["status", "strategy", "resources", "metadata"].contains(name)
            if isEmpty || name == "hostNetwork" && member == .bool(false) || name == "initialDelaySeconds" && member == .int(0) { continue }
            kept[name] = member
        }
        return .object(kept)
    case .null, .bool, .int, .double, .string: return value
    }
}

private func same(_ ours: [Value], _ theirs: [Value]) -> Bool { ours.map { pruned($0).canonical } == theirs.map { pruned($0).canonical } }

private func documents(_ path: String) throws -> [Value] { try YAML.parse(bytes(path)).map(\.value).filter { $0 != .null } }

/// The anchors of the goldens, as the chart's values had them.
private func goldenAnchors() throws -> String {
    let golden = try documents(fixtures + "/k8s/linkerd-inject-golden/inject_emojivoto_deployment.golden.yml")[0]
    let proxy = try #require(golden.items("spec", "template", "spec", "initContainers").last)
    return try #require(proxy.items("env").first { $0.text("name") == "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS" }?.text("value"))
}

/// The settings of a case, by the words in which `cases.json` gives them.
private func configure(_ injector: inout Injector, _ config: String) throws {
    switch config {
    case "default", "default (Proxy.Image.Version = testinjectversion)", "Proxy.Image.Version = \"override\"": break
    case "Proxy.OpaquePorts = \"3000,5000-6000,mysql\"": injector.overrides[MeshAnnotation.opaquePorts] = "3000,5000-6000,mysql"
    case "Proxy.DefaultInboundPolicy = \"all-authenticated\"": injector.overrides["config.linkerd.io/default-inbound-policy"] = "all-authenticated"
    case "CNIEnabled = true": injector.values.isCNIEnabled = true
    case "Identity.ServiceAccountTokenProjection = false": injector.values.isTokenProjected = false
    case "Proxy.Ports.Admin = 1234": injector.overrides["config.linkerd.io/admin-port"] = "1234"
    case "ProxyInit.IgnoreInboundPorts = \"22,8100-8102\"; IgnoreOutboundPorts = \"5432\"":
        injector.overrides["config.linkerd.io/skip-inbound-ports"] = "22,8100-8102"
        injector.overrides["config.linkerd.io/skip-outbound-ports"] = "5432"
    case "Proxy.IsIngress = true": injector.overrides[MeshAnnotation.inject] = "ingress"
    case "Proxy.Inbound scope.proto appleSauce=valueA blueberry=3.14; Proxy.Outbound scope.proto applesauce=valueA blueBerry=true":
        injector.values.proxy.inbound = [.init("scope", "proto", "appleSauce", "valueA"), .init("scope", "proto", "blueberry", "3.14")]
        injector.values.proxy.outbound = [.init("scope", "proto", "applesauce", "valueA"), .init("scope", "proto", "blueBerry", "true")]
    case "Proxy.AccessLog = \"apache\"": injector.overrides["config.linkerd.io/access-log"] = "apache"
    default: throw InjectionError(.malformed, "the case has settings unknown to the test: \(config)")
    }
}

/// nil when the case is as Linkerd has it, else what differs.
private func difference(_ test: Value, _ folder: String, anchors: String) throws -> String? {
    let config = test.text("config") ?? ""
    let isRunCommand = test.text("kind") == "run-inject-cmd"
    var injector = Injector(values: linkerdValues(version: config.contains("testinjectversion") ? "testinjectversion" : "test-inject-proxy-version", anchors: anchors), mode: test.flag("inject_proxy") == true ? .manual : .annotate)
    try configure(&injector, config)
    if test.flag("enable_debug_sidecar") == true { injector.overrides["config.linkerd.io/enable-debug-sidecar"] = "true" }
    var injected: [Value] = []
    var reports: [InjectionReport] = []
    do {
        for document in try documents(folder + (test.text("input") ?? "")) {
            let input = isRunCommand ? document : try Uninjector.uninject(document).object
            let (object, more) = try injector.inject(input)
            injected.append(object)
            reports += more
        }
    } catch {
        if test.number("exit_code") == 0 { return "refused: \(error)" }
        let expected = String(decoding: try bytes(folder + (test.text("stderr") ?? "")), as: UTF8.self)
        return expected.hasSuffix("\(error)") ? nil : "refused in other words: \(error)"
    }
    if test.number("exit_code") != 0 { return "not refused" }
    if let golden = test.text("golden"), !same(injected, try documents(folder + golden)) { return "another object:\n" + JSONPatch(from: pruned(.array(try documents(folder + golden))).canonical, to: pruned(.array(injected)).canonical).value.json() }
    if let report = test.text("report") ?? test.text("stderr") {
        for isVerbose in [false, true] {
            let expected = String(decoding: try bytes(folder + report + (isVerbose ? ".verbose" : "")), as: UTF8.self)
            let ours = InjectionReport.text(reports, isVerbose: isVerbose)
            if ours != expected { return "another report:\n\(ours)" }
        }
    }
    return nil
}

@Test func `the command's goldens`() throws {
    let folder = fixtures + "/k8s/linkerd-inject-golden/"
    let anchors = try goldenAnchors()
    guard case .array(let cases) = try Value(json: bytes(folder + "cases.json")) else { throw InjectionError(.malformed, "no cases") }
    var explained = try deviations()
    var passed = 0
    for test in cases {
        let name = test.text("golden") ?? test.text("input") ?? ""
        if let difference = try difference(test, folder, anchors: anchors) {
            if explained.removeValue(forKey: name) == nil { Issue.record("\(name): \(difference)") }
        } else {
            passed += 1
        }
    }
    for name in ["injected_nginx", "injected_redis", "injected_nginx_redis"] {
        let inputs = name == "injected_nginx" ? ["nginx"] : name == "injected_redis" ? ["db/redis"] : ["db/redis", "nginx"]
        let injector = Injector(values: linkerdValues(version: "install-proxy-version", anchors: anchors), mode: .manual)
        var injected: [Value] = []
        var text = ""
        for input in inputs {
            var reports: [InjectionReport] = []
            for document in try documents(folder + "inject-filepath/resources/\(input).yaml") {
                let (object, more) = try injector.inject(document)
                injected.append(object)
                reports += more
            }
            text += InjectionReport.text(reports, isVerbose: false)
        }
        let isSame = same(injected, try documents(folder + "inject-filepath/expected/\(name).yaml"))
        let isSameReport = text == String(decoding: try bytes(folder + "inject-filepath/expected/\(name).stderr"), as: UTF8.self)
        #expect(isSame && isSameReport, "\(name)")
        if isSame && isSameReport { passed += 1 }
    }
    print("corpus linkerd-inject-golden passed \(passed) of \(cases.count + 3)")
    #expect(cases.count == 27)
    #expect(explained.isEmpty, "explained, but no longer different")
}

@Test func `the webhook's goldens`() throws {
    let folder = fixtures + "/k8s/linkerd-webhook-golden/"
    var passed = 0
    var count = 0
    for line in String(decoding: try bytes(folder + "cases.tsv"), as: UTF8.self).split(separator: "\n") where !line.hasPrefix("#") && !line.hasPrefix("input") {
        let fields = line.split(separator: "\t").map(String.init)
        count += 1
        var surroundings = Injector.Surroundings()
        surroundings.namespace = "kube-public"
        if fields[1].contains("inject=enabled") { surroundings.namespaceAnnotations[MeshAnnotation.inject] = "enabled" }
        if fields[1].contains("inject=disabled") { surroundings.namespaceAnnotations[MeshAnnotation.inject] = "disabled" }
        if fields[1].contains("opaque-ports=3306") { surroundings.namespaceAnnotations[MeshAnnotation.opaquePorts] = "3306" }
        surroundings.owner = (kind: "Deployment", name: "owner-deployment")
        var values = linkerdValues(version: "dev-undefined", anchors: "IdentityTrustAnchorsPEM")
        values.debugImage.version = "dev-undefined"
        values.createdBy = ""
        let injector = Injector(values: values, mode: .admission)
        let input = try documents(folder + fields[0])[0]
        var ours = input
        if fields[2] == "annotation.patch.json" || fields[2] == "NO PATCH" {
            if let opaque = injector.opaquePorts(for: input, in: surroundings) { ours.setMetadata("annotations", [MeshAnnotation.opaquePorts: opaque]) }
        } else if fields[2].hasPrefix("(") {
            // A deployment with a sidecar and no wish for one: upstream's test looks at the patch's mere existence.
            let (object, reports) = try injector.inject(input, in: surroundings)
            #expect(object == input && reports[0].reasons == [.sidecarExists, .notEnabled])
            passed += 1
            continue
        } else {
            ours = try injector.inject(input, in: surroundings).object
        }
        var theirs = input
        if fields[2] != "NO PATCH" { theirs = try JSONPatch(Value(json: bytes(folder + fields[2]))).apply(to: input) }
        if same([ours], [theirs]) {
            passed += 1
        } else {
            Issue.record("\(line): \(JSONPatch(from: pruned(theirs).canonical, to: pruned(ours).canonical).value.json())")
        }
    }
    print("corpus linkerd-webhook-golden passed \(passed) of \(count)")
    #expect(count == 15)
}
