// Structural schemas of custom resources: what is dropped, what is filled in and what is wrong with a document.
// Expressions (x-kubernetes-validations) are deliberately absent: they need an interpreter of CEL.
// Source: kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions, "Specifying a structural schema".

import Base
import Documents
import Kube
import OrderedCollections

final class Schema {
    enum Kind: String { case object, array, string, integer, number, boolean }

    /// How server-side apply merges a list or an object.
    enum ListType: String { case atomic, set, map }

    let kind: Kind?
    let properties: Object
    private let children: [String: Schema]
    let additional: Schema?
    /// Any member is allowed: `additionalProperties: true`.
    private let allowsAnything: Bool
    let items: Schema?
    private let required: [String]
    private let allowed: [Value]
    private let document: Value
    /// The schema as it was written.
    var source: Value { document }
    private let isNullable: Bool
    private let preservesUnknown: Bool
    private let isIntOrString: Bool
    private let isEmbedded: Bool
    private let defaultValue: Value?
    private let pattern: Pattern?
    let listType: ListType
    let listKeys: [String]
    let isMapAtomic: Bool
    private let allOf: [Schema]
    private let anyOf: [Schema]
    private let oneOf: [Schema]
    private let not: Schema?
    /// The whole document of a resource, whose metadata and type the server itself looks after.
    private let isRoot: Bool

    init(_ document: Value, isRoot: Bool = false) {
        self.document = document
        self.isRoot = isRoot
        kind = document.text("type").flatMap { Kind(rawValue: $0) }
        properties = document.entriesOfAnything("properties")
        var children: [String: Schema] = [:]
        for (name, child) in properties { children[name] = Schema(child) }
        self.children = children
        if let more = document.member("additionalProperties"), case .object = more { additional = Schema(more) } else { additional = nil }
        allowsAnything = document.flag("additionalProperties") ?? false
        items = document.member("items").map { Schema($0) }
        required = document.items("required").compactMap { $0.text() }
        allowed = document.items("enum")
        isNullable = document.flag("nullable") ?? false
        preservesUnknown = document.flag("x-kubernetes-preserve-unknown-fields") ?? false
        isIntOrString = document.flag("x-kubernetes-int-or-string") ?? false
        isEmbedded = document.flag("x-kubernetes-embedded-resource") ?? false
        defaultValue = document.member("default")
        pattern = document.text("pattern").flatMap { Pattern($0) }
        listType = document.text("x-kubernetes-list-type").flatMap { ListType(rawValue: $0) } ?? .atomic
        listKeys = document.items("x-kubernetes-list-map-keys").compactMap { $0.text() }
        isMapAtomic = document.text("x-kubernetes-map-type") == "atomic"
        allOf = document.items("allOf").map { Schema($0) }
        anyOf = document.items("anyOf").map { Schema($0) }
        oneOf = document.items("oneOf").map { Schema($0) }
        not = document.member("not").map { Schema($0) }
    }

    func child(_ name: String) -> Schema? { children[name] ?? additional }

    // MARK: Pruning and defaults

    /// Without members the schema does not know, with its defaults; `unknown` gets the paths of what was dropped.
    func completed(_ value: Value, unknown: inout [String], path: String = "") -> Value {
        switch value {
        case .object(let members):
            var kept = Object(minimumCapacity: members.count)
            for (name, member) in members {
                let at = path.isEmpty ? name : "\(path).\(name)"
                if isRoot || isEmbedded, ["apiVersion", "kind", "metadata"].contains(name) {
                    kept[name] = member
                } else if let child = child(name) {
                    // A null that is not allowed counts as absent where a default stands ready.
                    if member == .null, !child.isNullable {
                        if child.defaultValue == nil { kept[name] = member }
                        continue
                    }
                    kept[name] = child.completed(member, unknown: &unknown, path: at)
                } else if preservesUnknown || allowsAnything || (kind != .object && properties.isEmpty && !isRoot) {
                    kept[name] = member
                } else {
                    unknown.append(at)
                }
            }
            for (name, child) in properties where kept[name] == nil {
                guard let schema = children[name], let value = schema.defaultValue else { continue }
                _ = child
                kept[name] = schema.completed(value, unknown: &unknown, path: path)
            }
            return .object(kept)
        case .array(let elements):
            guard let items else { return value }
            return .array(elements.enumerated().map { items.completed($1, unknown: &unknown, path: "\(path)[\($0)]") })
        default: return value
        }
    }

    // MARK: Validation

    func validate(_ value: Value, path: String, _ faults: inout [FieldFault]) {
        if value == .null {
            if !isNullable, kind != nil || isIntOrString { faults.append(.wrongType(path, value, "\(path) in body must be of type \(kind?.rawValue ?? "integer or string"): \"null\"")) }
            return
        }
        guard hasRightType(value) else {
            let name = value.kindName.split(separator: " ").last ?? ""
            faults.append(.wrongType(path, value, "\(path) in body must be of type \(isIntOrString ? "integer or string" : kind?.rawValue ?? ""): \"\(name)\""))
            return
        }
        if !allowed.isEmpty, !allowed.contains(where: { $0.canonical == value.canonical }) {
            faults.append(.notSupported(path, value, allowed.map { $0.text() ?? $0.json() }))
        }
        switch value {
        case .object(let members): validateObject(members, value, path, &faults)
        case .array(let elements): validateArray(elements, value, path, &faults)
        case .string(let text): validateText(text, value, path, &faults)
        case .int(let number): validateNumber(Double(number), value, path, &faults)
        case .double(let number): validateNumber(number, value, path, &faults)
        case .bool, .null: break
        }
        validateJunctions(value, path, &faults)
    }

    private func isValid(_ value: Value) -> Bool {
        var faults: [FieldFault] = []
        validate(value, path: "", &faults)
        return faults.isEmpty
    }

    private func validateJunctions(_ value: Value, _ path: String, _ faults: inout [FieldFault]) {
        for schema in allOf { schema.validate(value, path: path, &faults) }
        if !anyOf.isEmpty, !anyOf.contains(where: { $0.isValid(value) }) { faults.append(.invalid(path, value, "\"\(path)\" must validate at least one schema (anyOf)")) }
        if !oneOf.isEmpty, oneOf.filter({ $0.isValid(value) }).count != 1 { faults.append(.invalid(path, value, "\"\(path)\" must validate one and only one schema (oneOf)")) }
        if let not, not.isValid(value) { faults.append(.invalid(path, value, "\"\(path)\" must not validate the schema (not)")) }
    }

    private func hasRightType(_ value: Value) -> Bool {
        if isIntOrString {
            switch value {
            case .int, .string: return true
            default: return false
            }
        }
        switch (kind, value) {
        case (nil, _), (.object, .object), (.array, .array), (.string, .string), (.boolean, .bool), (.integer, .int), (.number, .int), (.number, .double): return true
        case (.integer, .double(let number)): return Int64(exactly: number) != nil
        default: return false
        }
    }

    private func validateObject(_ members: Object, _ value: Value, _ path: String, _ faults: inout [FieldFault]) {
        for name in required where members[name] == nil { faults.append(.required(path.isEmpty ? name : "\(path).\(name)")) }
        if let least = document.number("minProperties"), members.count < least { faults.append(.invalid(path, .int(Int64(members.count)), "\(path) in body should have at least \(least) properties")) }
        if let most = document.number("maxProperties"), members.count > most { faults.append(FieldFault(reason: .tooMany, field: path, message: "Too many: \(members.count): must have at most \(most) items")) }
        for (name, member) in members {
            if isRoot, ["apiVersion", "kind", "metadata"].contains(name) { continue }
            child(name)?.validate(member, path: path.isEmpty ? name : "\(path).\(name)", &faults)
        }
    }

    private func validateArray(_ elements: [Value], _ value: Value, _ path: String, _ faults: inout [FieldFault]) {
        if let least = document.number("minItems"), elements.count < least { faults.append(.invalid(path, .int(Int64(elements.count)), "\(path) in body should have at least \(least) items")) }
        if let most = document.number("maxItems"), elements.count > most { faults.append(FieldFault(reason: .tooMany, field: path, message: "Too many: \(elements.count): must have at most \(most) items")) }
        if document.flag("uniqueItems") == true || listType == .set {
            for i in elements.indices where elements[..<i].contains(elements[i]) { faults.append(.duplicate("\(path)[\(i)]", elements[i])) }
        }
        if listType == .map {
            let keys = elements.map { element in Value.array(listKeys.map { element.member($0) ?? items?.children[$0]?.defaultValue ?? .null }) }
            for i in keys.indices where keys[..<i].contains(keys[i]) { faults.append(.duplicate("\(path)[\(i)]", keys[i])) }
        }
        if let items { for (i, element) in elements.enumerated() { items.validate(element, path: "\(path)[\(i)]", &faults) } }
    }

    private func validateText(_ text: String, _ value: Value, _ path: String, _ faults: inout [FieldFault]) {
        let count = Int64(text.unicodeScalars.count)
        if let least = document.number("minLength"), count < least { faults.append(.invalid(path, value, "\(path) in body should be at least \(least) chars long")) }
        if let most = document.number("maxLength"), count > most { faults.append(FieldFault(reason: .tooLong, field: path, message: "Too long: may not be more than \(most) bytes")) }
        if let pattern, !pattern.matches(text) { faults.append(.invalid(path, value, "\(path) in body should match '\(document.text("pattern") ?? "")'")) }
        switch document.text("format") {
        case "date-time" where WallTime(rfc3339: text) == nil: faults.append(.invalid(path, value, "\(path) in body must be of type date-time: \"\(text)\""))
        case "ipv4" where !(IPAddress(text)?.isV4 ?? false): faults.append(.invalid(path, value, "\(path) in body must be of type ipv4: \"\(text)\""))
        case "ipv6" where IPAddress(text)?.isV4 ?? true: faults.append(.invalid(path, value, "\(path) in body must be of type ipv6: \"\(text)\""))
        case "cidr" where !text.contains("/") || IPNetwork(text) == nil: faults.append(.invalid(path, value, "\(path) in body must be of type cidr: \"\(text)\""))
        default: break
        }
    }

    private func validateNumber(_ number: Double, _ value: Value, _ path: String, _ faults: inout [FieldFault]) {
        func bound(_ name: String) -> Double? {
            switch document.member(name) {
            case .int(let number): Double(number)
            case .double(let number): number
            default: nil
            }
        }
        if let least = bound("minimum") {
            let isExclusive = document.flag("exclusiveMinimum") ?? false
            if isExclusive ? number <= least : number < least {
                faults.append(.invalid(path, value, "\(path) in body should be greater than \(isExclusive ? "" : "or equal to ")\(document.member("minimum")!.json())"))
            }
        }
        if let most = bound("maximum") {
            let isExclusive = document.flag("exclusiveMaximum") ?? false
            if isExclusive ? number >= most : number > most {
                faults.append(.invalid(path, value, "\(path) in body should be less than \(isExclusive ? "" : "or equal to ")\(document.member("maximum")!.json())"))
            }
        }
        if let step = bound("multipleOf"), step > 0, (number / step).rounded() * step != number {
            faults.append(.invalid(path, value, "\(path) in body should be a multiple of \(document.member("multipleOf")!.json())"))
        }
        if document.text("format") == "int32", number.magnitude > 2_147_483_648 { faults.append(.invalid(path, value, "\(path) in body must be of type int32")) }
    }
}
