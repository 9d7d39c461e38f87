// The OpenAPI documents as far as clients decide by them: which paths there are, that writes take `fieldValidation` and
// `dryRun`, and the schemas of custom kinds. Schemas of built-in kinds are deliberately absent: kubectl knows them by heart,
// and patch metadata of lists that were not complete would mislead it.
// Source: kubernetes.io/docs/concepts/overview/kubernetes-api, "OpenAPI interface definition".

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
        var paths = Object()
        var schemas = Object()
        for (kind, served) in kinds {
            let mark = Value.members(["group": .string(group), "version": .string(version), "kind": .string(kind.kind)])
            let base = (group.isEmpty ? "/api/\(version)" : "/apis/\(group)/\(version)") + (kind.isNamespaced ? "/namespaces/{namespace}" : "") + "/\(kind.plural)"
            paths[base] = .members(["get": operation("list", mark), "post": operation("post", mark)])
            if !kind.isVirtual {
                paths[base + "/{name}"] = .members(["get": operation("get", mark), "put": operation("put", mark), "patch": operation("patch", mark), "delete": operation("delete", mark)])
            }
            if kind.isCustom {
                var schema = served.schema?.source ?? .members(["type": .string("object")])
                schema.put(.array([mark]), at: "x-kubernetes-group-version-kind")
                schemas[group.split(separator: ".").reversed().joined(separator: ".") + ".\(version).\(kind.kind)"] = schema
            }
        }
        return .members([
            "openapi": .string("3.0.0"), "info": .members(["title": .string("Kubernetes"), "version": .string(self.version)]), "paths": .object(paths),
            "components": .members(["schemas": .object(schemas)]),
        ])
    }

    /// `/openapi/v2`, one document for all.
    var whole: Value {
        var paths = Object()
        for group in catalog.groups {
            for version in group.versions {
                if case .object(let more)? = document(group: group.name, version: version)?.member("paths") { for (path, item) in more { paths[path] = item } }
            }
        }
        return .members([
            "swagger": .string("2.0"), "info": .members(["title": .string("Kubernetes"), "version": .string(version)]), "paths": .object(paths), "definitions": .object(Object()),
        ])
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
}
