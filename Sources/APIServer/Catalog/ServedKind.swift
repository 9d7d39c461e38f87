// A kind as the server serves it: its names, its versions, its subresources, what people see of it in a table. Built-in kinds
// and custom resources are the same to everything above.

import Documents
import Kube
import OrderedCollections

final class ServedKind {
    let group: String
    let plural: String
    let singular: String
    let kind: String
    let shortNames: [String]
    let categories: [String]
    let isNamespaced: Bool
    /// Defined by a CustomResourceDefinition.
    let isCustom: Bool
    /// Served versions, the preferred first.
    let versions: [ServedVersion]
    /// The version in which objects are kept.
    let storageVersion: String
    /// Counts generations of the specification.
    let hasGeneration: Bool
    /// Only `create`, and nothing is kept: reviews.
    let isVirtual: Bool
    /// Where the store keeps it; -1 for virtual kinds.
    let collection: Int
    /// The kind is another form of one that is kept elsewhere.
    let conversion: Conversion?

    init(
        group: String, plural: String, singular: String, kind: String, shortNames: [String] = [], categories: [String] = [], isNamespaced: Bool, isCustom: Bool = false,
        versions: [ServedVersion], storageVersion: String, hasGeneration: Bool, isVirtual: Bool = false, collection: Int, conversion: Conversion? = nil
    ) {
        self.conversion = conversion
        self.group = group
        self.plural = plural
        self.singular = singular
        self.kind = kind
        self.shortNames = shortNames
        self.categories = categories
        self.isNamespaced = isNamespaced
        self.isCustom = isCustom
        self.versions = versions
        self.storageVersion = storageVersion
        self.hasGeneration = hasGeneration
        self.isVirtual = isVirtual
        self.collection = collection
    }

    /// `pods`, `deployments.apps`: the form messages and the store use.
    var name: String { group.isEmpty ? plural : "\(plural).\(group)" }
    /// `Pod`, `Deployment.apps`.
    var qualifiedKind: String { group.isEmpty ? kind : "\(kind).\(group)" }
    var listKind: String { kind + "List" }

    func version(_ name: String) -> ServedVersion? { versions.first { $0.name == name } }
    func apiVersion(_ version: String) -> String { group.isEmpty ? version : "\(group)/\(version)" }
    var storageAPIVersion: String { apiVersion(storageVersion) }

    /// The object as this version shows it. Versions of a custom kind differ in nothing but their name (conversion strategy None).
    func shown(_ object: Value, _ version: ServedVersion) -> Value {
        if let conversion { return conversion.shown(object) }
        if version.name == storageVersion { return object }
        var object = object
        object.put(.string(apiVersion(version.name)), at: "apiVersion")
        return object
    }

    /// A document of a client as it is kept.
    func stored(_ object: Value) -> Value {
        if let conversion { return conversion.stored(object) }
        var object = object
        object.put(.string(storageAPIVersion), at: "apiVersion")
        return object
    }

    func key(namespace: String, name: String) -> KubeKey { KubeKey(isNamespaced ? namespace : "", name) }
}

/// One version of a kind.
struct ServedVersion {
    let name: String
    var hasStatus: Bool
    var scale: ScalePaths?
    /// Subresources beyond status and scale: `token`, `eviction`, `binding`.
    var otherSubresources: [String] = []
    var schema: Schema?
    var columns: [TableColumn]
    /// Said to whoever uses the version; nil: it is current.
    var deprecation: String?
    /// Field selectors beyond name and namespace.
    var selectableFields: [String]
}

/// Where a kind keeps what `/scale` shows.
struct ScalePaths: Sendable {
    var specReplicas: [String] = ["spec", "replicas"]
    var statusReplicas: [String] = ["status", "replicas"]
    /// To a selector: a string, or a structured one; nil: none.
    var labelSelector: [String]? = ["spec", "selector"]
}

/// A column of `kubectl get`.
struct TableColumn: Sendable {
    enum Source: Sendable {
        /// A path into the object.
        case path(JSONPath)
        /// Computed for a built-in kind.
        case computed(@Sendable (Value, TableContext) -> Value)
    }

    var name: String
    var type: String
    var format = ""
    var description = ""
    /// 0: always shown; 1: with `-o wide`.
    var priority: Int64 = 0
    var source: Source
}
