// What goes back to a client, and in which form it asked for it: plain objects, tables, metadata alone.
// Source: kubernetes.io/docs/reference/using-api/api-concepts, "Alternate representations of resources".

import Base
import Documents
import Kube
import OrderedCollections

enum Answer {
    /// One object of a kind, or a document that is no object.
    case document(UInt16, Value)
    case object(UInt16, Value, ServedKind, ServedVersion)
    case list(Registry.Page, ServedKind, ServedVersion)
    case watch(WatchCursor, initial: [Value], ServedKind, ServedVersion, WatchOptions)
    case bytes(UInt16, type: String, [UInt8])
}

struct WatchOptions {
    var allowsBookmarks: Bool
    /// The state at the beginning was asked for, and its end is to be marked.
    var marksInitialEnd: Bool
    var timeout: Interval?

    init(_ query: Query) {
        allowsBookmarks = query.flag("allowWatchBookmarks")
        marksInitialEnd = query.flag("sendInitialEvents")
        timeout = query.number("timeoutSeconds").flatMap { $0 > 0 ? .seconds(min($0, 86_400)) : nil }
    }
}

/// One acceptable representation of an Accept header.
struct Representation {
    enum Form { case plain, table, partialMetadata }

    var form = Form.plain
    /// Aggregated discovery, and its version.
    var discovery: String?

    /// The first that the server can give; nil: none.
    init?(accept: String?) {
        guard let accept, !accept.isEmpty else { return }
        for choice in accept.split(separator: ",") {
            let parts = choice.split(separator: ";").map { String($0.drop { $0 == " " }.prefix { $0 != " " }) }
            guard let type = parts.first, ["application/json", "*/*", "application/*"].contains(type) else { continue }
            var parameters: [(String, String)] = []
            for part in parts.dropFirst() {
                let pair = part.split(separator: "=", maxSplits: 1).map(String.init)
                if pair.count == 2 { parameters.append((pair[0], pair[1])) }
            }
            func parameter(_ name: String) -> String? { parameters.first { $0.0 == name }?.1 }
            switch parameter("as") {
            case nil: form = .plain
            case "Table" where parameter("v") == "v1": form = .table
            case "PartialObjectMetadata", "PartialObjectMetadataList":
                guard parameter("v") == "v1" else { continue }
                form = .partialMetadata
            case "APIGroupDiscoveryList":
                guard parameter("v") == "v2" else { continue }
                discovery = "v2"
            default: continue
            }
            return
        }
        return nil
    }

    var contentType: String { discovery.map { "application/json;g=apidiscovery.k8s.io;v=\($0);as=APIGroupDiscoveryList" } ?? "application/json" }
}

/// Puts objects into the form asked for.
struct ObjectForm {
    let form: Representation.Form
    let kind: ServedKind
    let version: ServedVersion
    let table: TableForm

    init(_ form: Representation.Form, _ kind: ServedKind, _ version: ServedVersion, includes: TableForm.Objects, now: WallTime) {
        self.form = form
        self.kind = kind
        self.version = version
        table = TableForm(version: version, includes: includes, context: TableContext(now: now))
    }

    func one(_ object: Value, hasColumns: Bool = true) -> Value {
        switch form {
        case .plain: object
        case .partialMetadata: partialMetadata(object)
        case .table: table.table([object], metadata: .members(["resourceVersion": object.member("metadata", "resourceVersion")]), hasColumns: hasColumns)
        }
    }

    func list(_ page: Registry.Page) -> Value {
        let metadata = Value.members([
            "resourceVersion": .string(String(page.version)), "continue": page.continueToken.map { .string($0) }, "remainingItemCount": page.remaining.map { .int(Int64($0)) },
        ])
        switch form {
        case .table: return table.table(page.items, metadata: metadata)
        case .partialMetadata:
            return .members([
                "kind": .string("PartialObjectMetadataList"), "apiVersion": .string("meta.k8s.io/v1"), "metadata": metadata, "items": .array(page.items.map(partialMetadata)),
            ])
        case .plain:
            // Items of built-in lists do not repeat their type; clients know it from the list.
            let items = kind.isCustom ? page.items : page.items.map(\.withoutType)
            return .members([
                "kind": .string(kind.listKind), "apiVersion": .string(kind.apiVersion(version.name)), "metadata": metadata, "items": .array(items),
            ])
        }
    }
}

extension Value {
    var withoutType: Value {
        guard case .object(var members) = self else { return self }
        members["kind"] = nil as Value?
        members["apiVersion"] = nil as Value?
        return .object(members)
    }
}
