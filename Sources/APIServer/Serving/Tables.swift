// Answers as tables, which is how `kubectl get` asks for them: the columns are the server's business, so that old clients
// show new kinds. Source: k8s.io/apimachinery meta/v1 Table; columns from k8s.io/kubernetes pkg/printers/internalversion.

import Base
import Documents
import Kube
import OrderedCollections

struct TableContext: Sendable {
    var now: WallTime

    /// The age of a time as kubectl writes it. Source: k8s.io/apimachinery pkg/util/duration HumanDuration.
    func age(_ time: String?) -> Value {
        guard let time, let then = WallTime(rfc3339: time) else { return .string("<unknown>") }
        return .string(Self.words(max(0, (now - then).seconds)))
    }

    static func words(_ seconds: Int64) -> String {
        func two(_ whole: Int64, _ unit: String, _ rest: Int64, _ smaller: String) -> String { rest == 0 ? "\(whole)\(unit)" : "\(whole)\(unit)\(rest)\(smaller)" }
        if seconds < 120 { return "\(seconds)s" }
        let minutes = seconds / 60
        if minutes < 10 { return two(minutes, "m", seconds % 60, "s") }
        if minutes < 180 { return "\(minutes)m" }
        let hours = minutes / 60
        if hours < 8 { return two(hours, "h", minutes % 60, "m") }
        if hours < 48 { return "\(hours)h" }
        if hours < 24 * 8 { return two(hours / 24, "d", hours % 24, "h") }
        if hours < 24 * 365 * 2 { return "\(hours / 24)d" }
        if hours < 24 * 365 * 8 { return two(hours / 24 / 365, "y", hours / 24 % 365, "d") }
        return "\(hours / 24 / 365)y"
    }
}

struct TableForm {
    enum Objects: String { case none = "None", metadata = "Metadata", whole = "Object" }

    let version: ServedVersion
    let includes: Objects
    let context: TableContext

    /// The columns are left out of all but the first event of a watch.
    func table(_ objects: [Value], metadata: Value, hasColumns: Bool = true) -> Value {
        let columns: [Value] = version.columns.map { column in
            .members([
                "name": .string(column.name), "type": .string(column.type), "format": .string(column.format),
                "description": .string(column.description), "priority": .int(column.priority),
            ])
        }
        let rows: [Value] = objects.map { object in
            .members(["cells": .array(version.columns.map { cell($0, object) }), "object": included(object)])
        }
        return .members([
            "kind": .string("Table"), "apiVersion": .string("meta.k8s.io/v1"), "metadata": metadata, "columnDefinitions": hasColumns ? .array(columns) : .array([]),
            "rows": .array(rows),
        ])
    }

    private func included(_ object: Value) -> Value? {
        switch includes {
        case .none: nil
        case .metadata: partialMetadata(object)
        case .whole: object
        }
    }

    private func cell(_ column: TableColumn, _ object: Value) -> Value {
        switch column.source {
        case .computed(let compute): return compute(object, context)
        case .path(let path):
            let values = path.values(in: object)
            guard let first = values.first else { return .null }
            switch column.type {
            case "date":
                return context.age(first.text())
            case "integer", "number", "boolean": return first
            default:
                return .string(values.map { $0.text() ?? ($0 == .null ? "" : $0.json()) }.joined(separator: ","))
            }
        }
    }
}

/// Type and metadata alone. Source: meta.k8s.io/v1 PartialObjectMetadata.
func partialMetadata(_ object: Value) -> Value {
    .members(["kind": .string("PartialObjectMetadata"), "apiVersion": .string("meta.k8s.io/v1"), "metadata": object.member("metadata")])
}
