// What kind of list or object lies at a place in a document: replaced whole, a set, or merged by keys. Known for built-in
// kinds by a table of the lists that people patch, for custom kinds by their schema.
// Source: the x-kubernetes-list-type, x-kubernetes-map-type and x-kubernetes-patch-merge-key marks of Kubernetes' OpenAPI.

import Documents
import OrderedCollections

struct Structure {
    enum ListMerge: Equatable { case atomic, set, map(keys: [String]) }

    private enum Source {
        case builtIn(kind: String)
        case schema(Schema)
        case unknown
    }

    private var source: Source
    /// Names from the root; elements of lists add none.
    private var path: [String] = []

    init(_ kind: ServedKind, _ version: ServedVersion) {
        if !kind.isCustom {
            source = .builtIn(kind: kind.name)
        } else if let schema = version.schema {
            source = .schema(schema)
        } else {
            source = .unknown
        }
    }

    func child(_ name: String) -> Structure {
        var child = self
        child.path.append(name)
        if case .schema(let schema) = source {
            // Metadata is the server's own, whatever the schema says.
            if path.isEmpty, name == "metadata" {
                child.source = .builtIn(kind: "")
            } else {
                child.source = schema.child(name).map { .schema($0) } ?? .unknown
            }
        }
        return child
    }

    var element: Structure {
        var element = self
        if case .schema(let schema) = source { element.source = schema.items.map { .schema($0) } ?? .unknown }
        return element
    }

    /// How server-side apply merges the list here.
    var list: ListMerge {
        switch source {
        case .unknown: .atomic
        case .schema(let schema):
            switch schema.listType {
            case .atomic: .atomic
            case .set: .set
            case .map: .map(keys: schema.listKeys)
            }
        case .builtIn(let kind): Self.builtInList(kind, path)
        }
    }

    /// The one key by which a strategic merge patch finds elements; nil: the list is replaced.
    var strategicKey: String? {
        guard case .map(let keys) = list else { return nil }
        return keys.first
    }

    /// The object here is replaced whole by server-side apply.
    var isAtomicObject: Bool {
        switch source {
        case .unknown: return false
        case .schema(let schema): return schema.isMapAtomic
        case .builtIn:
            switch path.last {
            case "selector", "nodeSelector", "labelSelector", "namespaceSelector", "objectSelector", "podSelector", "fieldRef", "resourceFieldRef", "secretKeyRef", "configMapKeyRef",
                "targetRef", "involvedObject", "roleRef", "secretRef", "clientConfig":
                return true
            default: return false
            }
        }
    }

    /// How lists in this field of a built-in type are merged.
    static func list(_ field: String, of type: String) -> ListMerge {
        switch type {
        case "Container", "EphemeralContainer": builtInList("", ["containers", field])
        case "ServiceSpec": builtInList("services", ["spec", field])
        case "NodeStatus": builtInList("nodes", ["status", field])
        default: builtInList("", [field])
        }
    }

    private static func builtInList(_ kind: String, _ path: [String]) -> ListMerge {
        switch path.last {
        case "containers", "initContainers", "ephemeralContainers", "env", "volumes", "imagePullSecrets", "webhooks", "secrets", "resourceClaims": return .map(keys: ["name"])
        case "volumeMounts": return .map(keys: ["mountPath"])
        case "volumeDevices": return .map(keys: ["devicePath"])
        case "hostAliases", "podIPs", "hostIPs": return .map(keys: ["ip"])
        case "topologySpreadConstraints": return .map(keys: ["topologyKey", "whenUnsatisfiable"])
        case "ownerReferences": return .map(keys: ["uid"])
        case "conditions": return .map(keys: ["type"])
        case "finalizers": return .set
        case "ports":
            if path.contains("containers") || path.contains("initContainers") { return .map(keys: ["containerPort", "protocol"]) }
            return kind == "services" && path.count == 2 ? .map(keys: ["port", "protocol"]) : .atomic
        case "addresses": return kind == "nodes" ? .map(keys: ["type"]) : .atomic
        default: return .atomic
        }
    }
}
