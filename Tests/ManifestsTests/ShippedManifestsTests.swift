// The YAML that we ship: custom resource definitions whose schemas accept what Linkerd's admission tests and real manifests
// write, and the demo, which the injector accepts.

import Documents
import Foundation
import Kube
import OrderedCollections
import Testing

@testable import Manifests

private let shipped = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("manifests").path

private func definitions() throws -> [Value] {
    let names = try FileManager.default.contentsOfDirectory(atPath: shipped + "/crds").sorted()
    return try names.map { try YAML.parse(bytes(shipped + "/crds/" + $0))[0].value }
}

/// What a value breaks of a structural schema; unknown members count, since the API server would drop them.
private func problems(_ value: Value, _ schema: Value, _ path: String) -> [String] {
    var broken: [String] = []
    if schema.flag("x-kubernetes-int-or-string") == true {
        switch value {
        case .int, .string: return []
        default: return ["\(path): neither number nor string"]
        }
    }
    switch (schema.text("type"), value) {
    case ("object", .object(let members)):
        guard schema.flag("x-kubernetes-preserve-unknown-fields") != true else { break }
        for (name, member) in members {
            if let child = schema.member("properties", name) ?? schema.member("additionalProperties") { broken += problems(member, child, "\(path).\(name)") } else { broken.append("\(path).\(name): unknown") }
        }
        for name in schema.items("required").compactMap({ $0.text() }) where members[name] == nil { broken.append("\(path).\(name): missing") }
        let choices = schema.items("oneOf")
        if !choices.isEmpty, choices.count(where: { $0.items("required").allSatisfy { members[$0.text() ?? ""] != nil } }) != 1 { broken.append("\(path): not exactly one of its alternatives") }
        if let least = schema.number("minProperties"), members.count < least { broken.append("\(path): too few members") }
    case ("array", .array(let elements)):
        if let least = schema.number("minItems"), elements.count < least { broken.append("\(path): too few elements") }
        for (i, element) in elements.enumerated() { broken += problems(element, schema.member("items") ?? .null, "\(path)[\(i)]") }
    case ("string", .string), ("boolean", .bool), ("number", .double), ("number", .int): break
    case ("integer", .int(let number)):
        if let least = schema.number("minimum"), number < least { broken.append("\(path): too small") }
        if let most = schema.number("maximum"), number > most { broken.append("\(path): too big") }
    default: broken.append("\(path): not of type \(schema.text("type") ?? "-")")
    }
    if let words = schema.member("enum"), case .array(let allowed) = words, !allowed.contains(value) { broken.append("\(path): not one of the allowed") }
    return broken
}

/// The schema for an object; nil when its kind is none of ours.
private func schema(for object: Value, in definitions: [Value]) -> Value? {
    for definition in definitions where definition.text("spec", "names", "kind") == object.text("kind") {
        for version in definition.items("spec", "versions") where object.text("apiVersion") == "\(definition.text("spec", "group") ?? "")/\(version.text("name") ?? "")" { return version.member("schema", "openAPIV3Schema") }
    }
    return nil
}

private func check(_ object: Value, _ schema: Value) -> [String] {
    guard case .object(var members) = object else { return ["not an object"] }
    for name in ["apiVersion", "kind", "metadata"] { members[name] = nil }
    return problems(.object(members), schema, "")
}

@Test func `every schema is structural and every definition complete`() throws {
    func walk(_ schema: Value, _ path: String) {
        #expect(schema.text("type") != nil || schema.flag("x-kubernetes-int-or-string") == true, "\(path) has no type")
        if case .object(let properties)? = schema.member("properties") { for (name, child) in properties { walk(child, path + "." + name) } }
        if let items = schema.member("items") { walk(items, path + "[]") } else if schema.text("type") == "array" { Issue.record("\(path) has no items") }
    }
    let all = try definitions()
    #expect(all.count == 9)
    for definition in all {
        let plural = definition.text("spec", "names", "plural") ?? ""
        #expect(definition.text("metadata", "name") == "\(plural).\(definition.text("spec", "group") ?? "")")
        #expect(definition.items("spec", "versions").count { $0.flag("storage") == true } == 1)
        for version in definition.items("spec", "versions") { walk(version.member("schema", "openAPIV3Schema") ?? .null, plural) }
    }
}

@Test func `what Linkerd admits fits our schemas`() throws {
    let all = try definitions()
    guard case .array(let cases) = try Value(json: bytes(fixtures + "/policy/linkerd-admission/cases.json")) else { throw InjectionError(.malformed, "no cases") }
    var accepted = 0
    var refused = 0
    for test in cases {
        let object = test.member("resource") ?? .null
        guard let schema = schema(for: object, in: all) else { continue }
        let found = check(object, schema)
        if test.flag("admit") == true {
            #expect(found == [], "\(test.text("upstream_test") ?? "")")
            accepted += 1
        } else if !found.isEmpty {
            refused += 1
        }
    }
    // The rest of the refusals is the admission webhook's, which knows more than shapes.
    #expect(accepted >= 8 && refused >= 5)
    for folder in ["policy/linkerd-manifests", "profiles/real-profiles"] {
        for name in try FileManager.default.contentsOfDirectory(atPath: fixtures + "/" + folder).sorted() where name.hasSuffix(".yml") || name.hasSuffix(".yaml") {
            for document in try YAML.parse(bytes(fixtures + "/" + folder + "/" + name)) {
                if let schema = schema(for: document.value, in: all) { #expect(check(document.value, schema) == [], "\(name)") }
            }
        }
    }
}

@Test func `the demo fits together`() throws {
    let objects = try YAML.parse(bytes(shipped + "/demo/demo.yaml")).map(\.value)
    let policies = try YAML.parse(bytes(shipped + "/demo/policy.yaml")).map(\.value)
    let all = try definitions()
    for policy in policies { #expect(try check(policy, #require(schema(for: policy, in: all))) == []) }
    let lines = try objects.flatMap { try Injector(values: InjectionValues(), mode: .manual).inject($0).reports.map(\.line) }
    #expect(lines.filter { $0.hasSuffix("injected") } == ["deployment \"api\" injected", "deployment \"web\" injected"])
    let service = try #require(objects.first { $0.text("kind") == "Service" })
    #expect(service.items("spec", "ports").map { $0.number("port") } == [80, 9000] && service.items("spec", "ports").map { $0.text("name") } == ["http", "echo"])
    let api = try #require(objects.first { $0.text("kind") == "Deployment" && $0.text("metadata", "name") == "api" })
    #expect(api.text("spec", "template", "metadata", "annotations", MeshAnnotation.opaquePorts) == "9000" && service.text("metadata", "annotations", MeshAnnotation.opaquePorts) == "9000")
    #expect(policies.filter { $0.text("kind") == "Server" }.allSatisfy { $0.text("spec", "podSelector", "matchLabels", "app") == "api" })
}
