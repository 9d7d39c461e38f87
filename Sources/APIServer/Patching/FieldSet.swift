// A set of places in a document, as managed fields record who set what. Places are named as in the FieldsV1 format: `f:` a
// member, `k:` an element by its keys, `v:` an element of a set by its value.
// Source: sigs.k8s.io/structured-merge-diff, fieldpath.

import Documents
import Kube
import OrderedCollections

struct FieldSet: Equatable {
    /// The place itself, besides what lies in it.
    var isMember = false
    var children: OrderedDictionary<String, FieldSet> = [:]

    var isEmpty: Bool { !isMember && children.isEmpty }

    init() {}

    /// Every place that the value sets.
    init(of value: Value, _ structure: Structure) {
        switch value {
        case .object(let members) where !members.isEmpty && !structure.isAtomicObject:
            for (name, member) in members { children["f:" + name] = FieldSet(of: member, structure.child(name)) }
        case .array(let items) where !items.isEmpty && structure.list != .atomic:
            for item in items {
                guard let name = FieldSet.name(of: item, structure.list) else { continue }
                var element = FieldSet(of: item, structure.element)
                element.isMember = true
                children[name] = element
            }
        default: isMember = true
        }
    }

    /// How an element of a merged list is called; nil when it has not its keys.
    static func name(of item: Value, _ list: Structure.ListMerge) -> String? {
        switch list {
        case .atomic: return nil
        case .set: return "v:" + item.json()
        case .map(let keys):
            var names = Object()
            for key in keys.sorted() {
                // Ports have a default in their key.
                guard let part = item.member(key) ?? (key == "protocol" ? .string("TCP") : nil) else { return nil }
                names[key] = part
            }
            return "k:" + Value.object(names).json()
        }
    }

    // MARK: The document form

    init(_ document: Value) {
        guard case .object(let members) = document else { return }
        if members.isEmpty { isMember = true }
        for (name, member) in members {
            if name == "." { isMember = true } else { children[name] = FieldSet(member) }
        }
    }

    var value: Value {
        var members = Object()
        if isMember, !children.isEmpty { members["."] = .object(Object()) }
        // order: sorted by name, as the API server writes them
        for name in children.keys.sorted() { members[name] = children[name]!.value }
        return .object(members)
    }

    // MARK: Algebra

    func union(_ other: FieldSet) -> FieldSet {
        var result = self
        result.isMember = isMember || other.isMember
        for (name, child) in other.children { result.children[name] = result.children[name]?.union(child) ?? child }
        return result
    }

    func subtracting(_ other: FieldSet) -> FieldSet {
        var result = self
        if other.isMember { result.isMember = false }
        for (name, child) in other.children {
            guard let rest = result.children[name]?.subtracting(child) else { continue }
            result.children[name] = rest.isEmpty ? nil : rest
        }
        return result
    }

    func intersection(_ other: FieldSet) -> FieldSet {
        var result = FieldSet()
        result.isMember = isMember && other.isMember
        for (name, child) in children {
            guard let common = other.children[name]?.intersection(child), !common.isEmpty else { continue }
            result.children[name] = common
        }
        return result
    }

    /// The places in words: `.spec.containers[name="app"].image`.
    var paths: [String] {
        func collect(_ set: FieldSet, _ path: String, _ paths: inout [String]) {
            if set.isMember { paths.append(path) }
            for (name, child) in set.children {
                let part = name.dropFirst(2)
                if name.hasPrefix("f:") {
                    collect(child, path + "." + part, &paths)
                } else if name.hasPrefix("k:"), let keys = try? Value(json: Array(part.utf8)), case .object(let members) = keys {
                    collect(child, path + "[" + members.map { "\($0.key)=\($0.value.json())" }.joined(separator: ",") + "]", &paths)
                } else {
                    collect(child, path + "[=\(part)]", &paths)
                }
            }
        }
        var paths: [String] = []
        collect(self, "", &paths)
        return paths
    }
}
