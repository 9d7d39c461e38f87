// From a CustomResourceDefinition to a served kind.

import Documents
import Kube
import OrderedCollections

extension Registry {
    /// Serves what the definition says, from now on. Sets the conditions that clients wait for.
    func register(definition: Value) {
        let spec = definition.member("spec") ?? .null
        let names = spec.member("names") ?? .null
        let group = spec.text("group") ?? ""
        let plural = names.text("plural") ?? ""
        let versions = spec.items("versions").filter { $0.flag("served") ?? false }.map { customVersion($0, group: group, kind: names.text("kind") ?? "") }
        guard !versions.isEmpty, !plural.isEmpty else { return unregister(definition: definition) }
        catalog.register(
            ServedKind(
                group: group, plural: plural, singular: names.text("singular") ?? "", kind: names.text("kind") ?? "", shortNames: names.items("shortNames").compactMap { $0.text() },
                categories: names.items("categories").compactMap { $0.text() }, isNamespaced: spec.text("scope") != "Cluster", isCustom: true,
                versions: versions.sorted { versionPrecedes($0.name, $1.name) },
                storageVersion: spec.items("versions").first { $0.flag("storage") == true }?.text("name") ?? versions[0].name, hasGeneration: true,
                collection: store.collection(named: "\(plural).\(group)")))
        onCatalogChange()
    }

    func unregister(definition: Value) {
        catalog.remove(named: "\(definition.text("spec", "names", "plural") ?? "").\(definition.text("spec", "group") ?? "")")
        onCatalogChange()
    }

    private func customVersion(_ version: Value, group: String, kind: String) -> ServedVersion {
        var scale: ScalePaths?
        if let subresource = version.member("subresources", "scale") {
            func path(_ member: String) -> [String]? { subresource.text(member).map { $0.split(separator: ".").map(String.init) } }
            scale = ScalePaths(
                specReplicas: path("specReplicasPath") ?? ["spec", "replicas"], statusReplicas: path("statusReplicasPath") ?? ["status", "replicas"],
                labelSelector: path("labelSelectorPath"))
        }
        var columns = [customNameColumn]
        let own = version.items("additionalPrinterColumns").compactMap { column -> TableColumn? in
            guard let name = column.text("name"), let path = column.text("jsonPath").flatMap({ JSONPath($0) }) else { return nil }
            return TableColumn(
                name: name, type: column.text("type") ?? "string", format: column.text("format") ?? "", description: column.text("description") ?? "",
                priority: column.number("priority") ?? 0, source: .path(path))
        }
        columns = own.isEmpty ? customColumnsAbsent : columns + own
        let name = version.text("name") ?? ""
        let deprecation = version.flag("deprecated") == true ? version.text("deprecationWarning") ?? "\(group)/\(name) \(kind) is deprecated" : nil
        return ServedVersion(
            name: name, hasStatus: version.member("subresources", "status") != nil, scale: scale,
            schema: version.member("schema", "openAPIV3Schema").map { Schema($0, isRoot: true) }, columns: columns, deprecation: deprecation,
            selectableFields: version.items("selectableFields").compactMap { $0.text("jsonPath").map { String($0.drop { $0 == "." }) } })
    }

    /// The status of a definition whose names are accepted. Source: k8s.io/apiextensions-apiserver pkg/controller/{status,establish}.
    func acceptedStatus(of definition: Value) -> Value {
        func condition(_ type: String, _ reason: String, _ message: String) -> Value {
            let known = definition.items("status", "conditions").first { $0.text("type") == type }
            return .members([
                "type": .string(type), "status": .string("True"), "lastTransitionTime": known?.member("lastTransitionTime") ?? timestamp, "reason": .string(reason),
                "message": .string(message),
            ])
        }
        return .members([
            "conditions": .array([
                condition("NamesAccepted", "NoConflicts", "no conflicts found"), condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
            ]),
            "acceptedNames": definition.member("spec", "names"),
            "storedVersions": .array(Array(OrderedSet(definition.items("status", "storedVersions") + definition.items("spec", "versions").filter { $0.flag("storage") == true }.compactMap { $0.member("name") }))),
        ])
    }
}
