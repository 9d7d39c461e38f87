// The OpenAPI documents by which clients decide: which paths there are, that writes take `fieldValidation` and `dryRun`, what a kind's fields
// are (`kubectl explain`), and how lists are merged (`kubectl apply`). Built-in types come from the table of fields, custom ones from their
// definitions. Source: kubernetes.io/docs/concepts/overview/kubernetes-api, "OpenAPI interface definition".

import Documents
import Kube
import OrderedCollections

struct OpenAPI {
    let catalog: Catalog
    let version: String

    /// `/openapi/v3`: where the document of each group and version is.
    var index: Value {
        var paths = Object()
        for group in catalog.groups {
            for version in group.versions {
                let path = group.name.isEmpty ? "api/\(version)" : "apis/\(group.name)/\(version)"
                paths[path] = .members(["serverRelativeURL": .string("/openapi/v3/\(path)?hash=\(catalog.revision)")])
            }
        }
        return .members(["paths": .object(paths)])
    }

    func document(group: String, version: String) -> Value? {
        let kinds = catalog.kinds(group: group, version: version)
        guard !kinds.isEmpty else { return nil }
        return .members([
            "openapi": .string("3.0.0"), "info": .members(["title": .string("Kubernetes"), "version": .string(self.version)]), "paths": .object(paths(kinds, group, version)),
            "components": .members(["schemas": .object(schemas(kinds, prefix: "#/components/schemas/"))]),
        ])
    }

    /// `/openapi/v2`, one document for all.
    var whole: Value {
        var paths = Object()
        var all: [(ServedKind, ServedVersion)] = []
        for group in catalog.groups {
            for version in group.versions {
                let kinds = catalog.kinds(group: group.name, version: version)
                for (path, item) in self.paths(kinds, group.name, version) { paths[path] = item }
                all += kinds
            }
        }
        return .members([
            "swagger": .string("2.0"), "info": .members(["title": .string("Kubernetes"), "version": .string(version)]), "paths": .object(paths),
            "definitions": .object(schemas(all, prefix: "#/definitions/")),
        ])
    }

    // MARK: Paths

    private func paths(_ kinds: [(ServedKind, ServedVersion)], _ group: String, _ version: String) -> Object {
        var paths = Object()
        for (kind, served) in kinds {
            let mark = mark(kind, served)
            let base = (group.isEmpty ? "/api/\(version)" : "/apis/\(group)/\(version)") + (kind.isNamespaced ? "/namespaces/{namespace}" : "") + "/\(kind.plural)"
            paths[base] = .members(["get": kind.isVirtual ? nil : operation("list", mark), "post": operation("post", mark)])
            if kind.isVirtual { continue }
            paths[base + "/{name}"] = .members(["get": operation("get", mark), "put": operation("put", mark), "patch": operation("patch", mark), "delete": operation("delete", mark)])
        }
        return paths
    }

    private func mark(_ kind: ServedKind, _ version: ServedVersion) -> Value {
        .members(["group": .string(kind.group), "version": .string(version.name), "kind": .string(kind.kind)])
    }

    private func operation(_ action: String, _ mark: Value) -> Value {
        func parameter(_ name: String) -> Value {
            .members(["name": .string(name), "in": .string("query"), "schema": .members(["type": .string("string"), "uniqueItems": .bool(true)])])
        }
        let names = ["post", "put", "patch"].contains(action) ? ["dryRun", "fieldManager", "fieldValidation"] : action == "delete" ? ["dryRun", "gracePeriodSeconds"] : []
        return .members([
            "parameters": .array(names.map(parameter)), "responses": .members(["200": .members(["description": .string("OK")])]), "x-kubernetes-action": .string(action),
            "x-kubernetes-group-version-kind": mark,
        ])
    }

    // MARK: Schemas

    private func schemas(_ kinds: [(ServedKind, ServedVersion)], prefix: String) -> Object {
        var schemas = Object()
        var types: OrderedSet<String> = []
        var marks: [String: (mark: Value, kind: ServedKind)] = [:]
        for (kind, served) in kinds {
            if let type = BuiltInType.of(kind) {
                types.append(type.name)
                marks[type.name] = (mark(kind, served), kind)
                continue
            }
            var schema = served.schema?.source ?? .members(["type": .string("object")])
            types.append("ObjectMeta")
            if case .object = schema.member("properties") {
                schema.put(.members(["$ref": .string(prefix + Self.name("ObjectMeta"))]), at: "properties", "metadata")
                schema.put(.members(["type": .string("string"), "description": Self.describe("apiVersion")]), at: "properties", "apiVersion")
                schema.put(.members(["type": .string("string"), "description": Self.describe("kind")]), at: "properties", "kind")
            }
            schema.put(.array([mark(kind, served)]), at: "x-kubernetes-group-version-kind")
            schemas[kind.group.split(separator: ".").reversed().joined(separator: ".") + ".\(served.name).\(kind.kind)"] = schema
        }
        var next = 0
        while next < types.count {
            let name = types[next]
            next += 1
            guard let type = BuiltInType.named(name) else { continue }
            schemas[Self.name(name)] = schema(type, marks[name]?.mark, marks[name].flatMap { Explanations.kinds[$0.kind.name] }, prefix, &types)
        }
        return schemas
    }

    static func name(_ type: String) -> String { "io.k8s.api." + type }
    private static func describe(_ field: String) -> Value? { Explanations.fields[field].map { .string($0) } }

    private func schema(_ type: BuiltInType, _ mark: Value?, _ description: String?, _ prefix: String, _ types: inout OrderedSet<String>) -> Value {
        var properties = Object()
        for field in type.fields {
            var property = form(field.form, prefix, &types)
            property.put(Self.describe("\(type.name).\(field.name)") ?? Self.describe(field.name), at: "description")
            if case .list = field.form {
                switch Structure.list(field.name, of: type.name) {
                case .atomic: property.put(.string("atomic"), at: "x-kubernetes-list-type")
                case .set:
                    property.put(.string("set"), at: "x-kubernetes-list-type")
                    property.put(.string("merge"), at: "x-kubernetes-patch-strategy")
                case .map(let keys):
                    property.put(.string("map"), at: "x-kubernetes-list-type")
                    property.put(.array(keys.map { .string($0) }), at: "x-kubernetes-list-map-keys")
                    property.put(.string(keys[0]), at: "x-kubernetes-patch-merge-key")
                    property.put(.string(field.name == "volumes" ? "merge,retainKeys" : "merge"), at: "x-kubernetes-patch-strategy")
                }
            }
            if type.name == "DeploymentSpec", field.name == "strategy" { property.put(.string("retainKeys"), at: "x-kubernetes-patch-strategy") }
            properties[field.name] = property
        }
        let required = type.fields.filter(\.isRequired).map { Value.string($0.name) }
        return .members([
            "description": description.map { .string($0) }, "type": .string("object"), "required": required.isEmpty ? nil : .array(required), "properties": .object(properties),
            "x-kubernetes-group-version-kind": mark.map { .array([$0]) },
        ])
    }

    private func form(_ form: BuiltInType.Form, _ prefix: String, _ types: inout OrderedSet<String>) -> Value {
        func plain(_ type: String, _ format: String? = nil) -> Value { .members(["type": .string(type), "format": format.map { .string($0) }]) }
        switch form {
        case .string: return plain("string")
        case .bytes: return plain("string", "byte")
        case .integer: return plain("integer", "int32")
        case .boolean: return plain("boolean")
        case .number: return plain("number", "double")
        case .time, .preciseTime: return plain("string", "date-time")
        // A string in the words of old clients, who let numbers pass by this format. Source: k8s.io/apimachinery pkg/util/intstr.
        case .integerOrString: return plain("string", "int-or-string")
        // A string or a number: without a type nothing that is right is refused by old clients.
        case .quantity: return .object(Object())
        case .anything: return .members(["x-kubernetes-preserve-unknown-fields": .bool(true)])
        case .list(let element): return .members(["type": .string("array"), "items": self.form(element, prefix, &types)])
        case .map(let element): return .members(["type": .string("object"), "additionalProperties": self.form(element, prefix, &types)])
        case .type(let name):
            types.append(name)
            return .members(["$ref": .string(prefix + Self.name(name))])
        }
    }
}
