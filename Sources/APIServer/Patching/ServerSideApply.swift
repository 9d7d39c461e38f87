// Server-side apply: a manager says which fields it wants to have which values; the server merges, remembers whose each field
// is, removes what the manager no longer wants, and refuses to take a field from another unless forced.
// What clients make is tracked from its creation on; what the server's own controllers make, from its first apply on, and then all that was
// there before belongs to nobody in particular (`before-first-apply`).
// Source: kubernetes.io/docs/reference/using-api/server-side-apply; KEP-555.

import Documents
import Kube
import OrderedCollections

struct ServerSideApply {
    struct Entry {
        var manager: String
        var operation: String
        var subresource: String
        var apiVersion: String
        var time: String
        var fields: FieldSet

        init(manager: String, operation: String, subresource: String, apiVersion: String, time: String, fields: FieldSet) {
            self.manager = manager
            self.operation = operation
            self.subresource = subresource
            self.apiVersion = apiVersion
            self.time = time
            self.fields = fields
        }

        init(_ value: Value) {
            manager = value.text("manager") ?? ""
            operation = value.text("operation") ?? ""
            subresource = value.text("subresource") ?? ""
            apiVersion = value.text("apiVersion") ?? ""
            time = value.text("time") ?? ""
            fields = value.member("fieldsV1").map { FieldSet($0) } ?? FieldSet()
        }

        var value: Value {
            .members([
                "manager": .string(manager), "operation": .string(operation), "apiVersion": .string(apiVersion), "time": .string(time), "fieldsType": .string("FieldsV1"),
                "fieldsV1": fields.value, "subresource": subresource.isEmpty ? nil : .string(subresource),
            ])
        }
    }

    let kind: ServedKind
    let structure: Structure
    let apiVersion: String
    let subresource: String
    let time: String

    init(_ kind: ServedKind, _ version: ServedVersion, subresource: String, time: String) {
        self.kind = kind
        structure = Structure(kind, version)
        apiVersion = kind.apiVersion(version.name)
        self.subresource = subresource
        self.time = time
    }

    static func entries(_ object: Value) -> [Entry] { object.items("metadata", "managedFields").map { Entry($0) } }

    /// The live object with the wish applied.
    func apply(_ wish: Value, to live: Value, manager: String, isForced: Bool) throws(KubeStatus) -> Value {
        if wish.member("metadata", "managedFields") != nil { throw .badRequest("metadata.managedFields must be nil") }
        var entries = Self.entries(live)
        if entries.isEmpty, live.member("metadata", "uid") != nil {
            let before = owned(live)
            if !before.isEmpty { entries.append(Entry(manager: "before-first-apply", operation: "Update", subresource: "", apiVersion: apiVersion, time: time, fields: before)) }
        }
        let wanted = owned(wish)
        let mine = entries.firstIndex { $0.manager == manager && $0.operation == "Apply" && $0.subresource == subresource }
        let changed = changedPlaces(wanted, wish, live, structure)
        var conflicts: [(entry: Entry, fields: FieldSet)] = []
        for i in entries.indices where i != mine {
            let taken = entries[i].fields.intersection(changed)
            if taken.isEmpty { continue }
            conflicts.append((entries[i], taken))
            entries[i].fields = entries[i].fields.subtracting(taken)
        }
        if !conflicts.isEmpty, !isForced { throw conflict(conflicts, wish.text("metadata", "name") ?? "") }
        var result = merge(wish, into: live, structure)
        if let mine {
            var gone = entries[mine].fields.subtracting(wanted)
            for i in entries.indices where i != mine { gone = gone.subtracting(entries[i].fields) }
            let others = entries.indices.filter { $0 != mine }.reduce(wanted) { $0.union(entries[$1].fields) }
            result = remove(gone, from: result, keeping: others, structure) ?? result
        }
        let entry = Entry(manager: manager, operation: "Apply", subresource: subresource, apiVersion: apiVersion, time: time, fields: wanted)
        if let mine { entries[mine] = entry } else { entries.append(entry) }
        result.put(.array(entries.filter { !$0.fields.isEmpty }.map(\.value)), at: "metadata", "managedFields")
        return result
    }

    /// A new object belongs to whoever makes it.
    func begin(_ object: inout Value, manager: String) {
        let fields = owned(object)
        if fields.isEmpty { return }
        let entry = Entry(manager: manager, operation: "Update", subresource: subresource, apiVersion: apiVersion, time: time, fields: fields)
        object.put(.array([entry.value]), at: "metadata", "managedFields")
    }

    /// After a write that is no apply: what changed belongs to whoever wrote. Does nothing for an object that is not tracked.
    func track(_ object: inout Value, old: Value, manager: String) {
        var entries = Self.entries(old)
        guard !entries.isEmpty else { return }
        // A client that sends an empty list asks to forget the owners.
        if case .array(let given)? = object.member("metadata", "managedFields"), given.isEmpty || given == [.object(Object())] {
            object.put(nil, at: "metadata", "managedFields")
            return
        }
        if object.member("metadata", "managedFields") == nil { object.put(old.member("metadata", "managedFields"), at: "metadata", "managedFields") }
        let after = owned(object)
        let before = owned(old)
        let changed = changedPlaces(after, object, old, structure)
        let gone = before.subtracting(after)
        if changed.isEmpty, gone.isEmpty { return }
        let mine = entries.firstIndex { $0.manager == manager && $0.operation == "Update" && $0.subresource == subresource }
        for i in entries.indices { entries[i].fields = entries[i].fields.subtracting(i == mine ? gone : changed.union(gone)) }
        if let mine {
            entries[mine].fields = entries[mine].fields.union(changed)
            entries[mine].time = time
        } else if !changed.isEmpty {
            entries.append(Entry(manager: manager, operation: "Update", subresource: subresource, apiVersion: apiVersion, time: time, fields: changed))
        }
        object.put(.array(entries.filter { !$0.fields.isEmpty }.map(\.value)), at: "metadata", "managedFields")
    }

    // MARK: Places

    /// What the document sets, without what is the server's own.
    private func owned(_ document: Value) -> FieldSet {
        guard case .object(var members) = document else { return FieldSet() }
        for name in ["apiVersion", "kind"] { members[name] = nil as Value? }
        if subresource != "status" {
            // Status belongs to its own endpoint where there is one.
            members["status"] = kind.versions[0].hasStatus ? nil : members["status"]
        }
        var rest = Value.object(members)
        for name in ["name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields", "selfLink", "generateName"] {
            rest.put(nil, at: "metadata", name)
        }
        if case .object(let metadata)? = rest.member("metadata"), metadata.isEmpty { rest.put(nil, at: "metadata") }
        if case .object(let members) = rest, members.isEmpty { return FieldSet() }
        return FieldSet(of: rest, structure)
    }

    /// The places of `set` where `a` differs from `b`.
    private func changedPlaces(_ set: FieldSet, _ a: Value?, _ b: Value?, _ structure: Structure) -> FieldSet {
        var changed = FieldSet()
        if set.isMember {
            // An element with keys is itself no value: only its coming and going is a change.
            changed.isMember = set.children.isEmpty ? a?.canonical != b?.canonical : b == nil
        }
        for (name, child) in set.children {
            let (inner, x, y) = descend(name, a, b, structure)
            let part = changedPlaces(child, x, y, inner)
            if !part.isEmpty { changed.children[name] = part }
        }
        return changed
    }

    private func descend(_ name: String, _ a: Value?, _ b: Value?, _ structure: Structure) -> (Structure, Value?, Value?) {
        if name.hasPrefix("f:") {
            let member = String(name.dropFirst(2))
            return (structure.child(member), a?.member(member), b?.member(member))
        }
        func element(_ list: Value?) -> Value? {
            guard case .array(let items)? = list else { return nil }
            return items.first { FieldSet.name(of: $0, structure.list) == name }
        }
        return (structure.element, element(a), element(b))
    }

    // MARK: Values

    private func merge(_ wish: Value, into live: Value?, _ structure: Structure) -> Value {
        switch (wish, live) {
        case (.object(let wanted), .object(var members)?) where !structure.isAtomicObject:
            for (name, value) in wanted { members[name] = merge(value, into: members[name], structure.child(name)) }
            return .object(members)
        case (.array(let wanted), .array(var items)?) where structure.list != .atomic:
            for value in wanted {
                let name = FieldSet.name(of: value, structure.list)
                if let place = items.firstIndex(where: { FieldSet.name(of: $0, structure.list) == name }) {
                    items[place] = merge(value, into: items[place], structure.element)
                } else {
                    items.append(value)
                }
            }
            return .array(items)
        default: return wish
        }
    }

    /// nil: nothing is left.
    private func remove(_ set: FieldSet, from value: Value, keeping others: FieldSet, _ structure: Structure) -> Value? {
        if set.isMember, others.isEmpty { return nil }
        switch value {
        case .object(var members):
            for (name, child) in set.children where name.hasPrefix("f:") {
                let member = String(name.dropFirst(2))
                guard let inside = members[member] else { continue }
                let rest = remove(child, from: inside, keeping: others.children[name] ?? FieldSet(), structure.child(member))
                // A container emptied by this goes with its content, unless somebody holds it.
                if let rest, !(others.children[name] == nil && rest.isEmptyContainer && !inside.isEmptyContainer) { members[member] = rest } else { members[member] = nil as Value? }
            }
            return .object(members)
        case .array(let items):
            return .array(
                items.compactMap { item in
                    guard let name = FieldSet.name(of: item, structure.list), let child = set.children[name] else { return item }
                    return remove(child, from: item, keeping: others.children[name] ?? FieldSet(), structure.element)
                })
        default: return others.isEmpty ? nil : value
        }
    }

    private func conflict(_ conflicts: [(entry: Entry, fields: FieldSet)], _ name: String) -> KubeStatus {
        var causes: [KubeStatus.Cause] = []
        var sentences: [String] = []
        for (entry, fields) in conflicts {
            let by = "conflict with \"\(entry.manager)\"" + (entry.operation == "Update" ? " using \(entry.apiVersion)" : "")
            for path in fields.paths { causes.append(KubeStatus.Cause(reason: "FieldManagerConflict", message: by, field: path)) }
            sentences.append("\(by): \(fields.paths.joined(separator: ", "))")
        }
        return KubeStatus(
            code: 409, reason: .conflict, message: "Apply failed with \(causes.count) conflict\(causes.count == 1 ? "" : "s"): \(sentences.joined(separator: "; "))",
            details: KubeStatus.Details(causes: causes))
    }
}

extension Value {
    fileprivate var isEmptyContainer: Bool {
        switch self {
        case .object(let members): members.isEmpty
        case .array(let items): items.isEmpty
        default: false
        }
    }
}
