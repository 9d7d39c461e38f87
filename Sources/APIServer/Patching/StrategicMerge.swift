// Strategic merge patch: a merge patch that merges lists of objects by key and obeys directives in the patch.
// Source: kubernetes/community contributors/devel/sig-api-machinery/strategic-merge-patch.md.

import Documents
import Kube
import OrderedCollections

enum StrategicMerge {
    static func apply(_ patch: Value, to document: Value, _ structure: Structure) throws(KubeStatus) -> Value {
        guard case .object(let changes) = patch else { return patch }
        switch patch.text("$patch") {
        case "replace":
            var members = changes
            members["$patch"] = nil as Value?
            return .object(members)
        case "delete": return .object(Object())
        case "merge", nil: break
        case let other?: throw .badRequest("unrecognized patch directive: \(other)")
        }
        var target: Object = if case .object(let members) = document { members } else { Object() }
        if case .array(let keep)? = changes["$retainKeys"] {
            for name in Array(target.keys) where !keep.contains(.string(name)) { target[name] = nil as Value? }
        }
        // Deletions from lists of plain values come before additions.
        for (name, change) in changes where name.hasPrefix("$deleteFromPrimitiveList/") {
            let field = String(name.dropFirst("$deleteFromPrimitiveList/".count))
            if case .array(let items)? = target[field], case .array(let gone) = change { target[field] = .array(items.filter { !gone.contains($0) }) }
        }
        for (name, change) in changes where !name.hasPrefix("$") {
            let inner = structure.child(name)
            switch change {
            case .null: target[name] = nil as Value?
            case .object: target[name] = try apply(change, to: target[name] ?? .object(Object()), inner)
            case .array(let items): target[name] = .array(try merge(items, into: target[name], inner))
            default: target[name] = change
            }
        }
        for (name, order) in changes where name.hasPrefix("$setElementOrder/") {
            let field = String(name.dropFirst("$setElementOrder/".count))
            if case .array(let items)? = target[field], case .array(let order) = order { target[field] = .array(sorted(items, by: order, key: structure.child(field).strategicKey)) }
        }
        return .object(target)
    }

    private static func merge(_ changes: [Value], into current: Value?, _ structure: Structure) throws(KubeStatus) -> [Value] {
        guard case .array(var items)? = current else { return try withoutDirectives(changes, structure) }
        if structure.list == .set {
            for change in changes where !items.contains(change) { items.append(change) }
            return items
        }
        guard let key = structure.strategicKey else { return changes }
        if changes.contains(where: { $0.text("$patch") == "replace" }) { return changes.filter { $0.member("$patch") == nil } }
        for change in changes {
            guard let name = change.member(key) else { throw .badRequest("map: \(change.json()) does not contain declared merge key: \(key)") }
            let place = items.firstIndex { $0.member(key) == name }
            if change.text("$patch") == "delete" {
                items.removeAll { $0.member(key) == name }
            } else if let place {
                items[place] = try apply(change, to: items[place], structure.element)
            } else {
                items.append(try apply(change, to: .object(Object()), structure.element))
            }
        }
        return items
    }

    /// A list that did not exist yet: nothing to merge with, but deletions are no elements.
    private static func withoutDirectives(_ changes: [Value], _ structure: Structure) throws(KubeStatus) -> [Value] {
        var items: [Value] = []
        for change in changes {
            if case .object = change {
                if change.member("$patch") == nil { items.append(try apply(change, to: .object(Object()), structure.element)) }
            } else {
                items.append(change)
            }
        }
        return items
    }

    /// Elements named by the order, in that order; others stay behind the element that they followed.
    private static func sorted(_ items: [Value], by order: [Value], key: String?) -> [Value] {
        func name(_ item: Value) -> Value { key.flatMap { item.member($0) } ?? item }
        let names = order.map(name)
        var rest = items
        var result: [Value] = []
        for wanted in names {
            guard let place = rest.firstIndex(where: { name($0) == wanted }) else { continue }
            // What the order does not know keeps its place before the first known element that follows it.
            let unknown = rest[..<place].filter { !names.contains(name($0)) }
            result += unknown
            result.append(rest[place])
            let moved = unknown.map(name)
            rest.remove(at: place)
            rest.removeAll { moved.contains(name($0)) }
        }
        return result + rest
    }
}
