// Changes as documents: JSON Patch (RFC 6902), applied whole or not at all, and made from two versions of a document as an
// admission webhook needs it; JSON Merge Patch (RFC 7386). Deliberately absent: strategic merge patch, which needs the merge
// keys of every built-in type.

import OrderedCollections

/// A list of operations. Source: RFC 6902.
public struct JSONPatch: Hashable, Sendable {
    public enum Operation: Hashable, Sendable {
        case add(JSONPointer, Value)
        case remove(JSONPointer)
        case replace(JSONPointer, Value)
        case move(from: JSONPointer, to: JSONPointer)
        case copy(from: JSONPointer, to: JSONPointer)
        case test(JSONPointer, Value)
    }

    public var operations: [Operation]

    public init(_ operations: [Operation] = []) { self.operations = operations }

    public var isEmpty: Bool { operations.isEmpty }
}

/// Why a patch is none or does not fit the document.
public struct JSONPatchError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Reason: Hashable, Sendable {
        /// Not an operation of RFC 6902; the sentence says which part.
        case malformed(String)
        /// The place, or the container it names, does not exist.
        case notFound(JSONPointer)
        /// An index beyond the array's end, or no index at all.
        case badIndex(JSONPointer)
        /// The value at the place is another.
        case testFailed(JSONPointer)
        /// A value cannot move into itself.
        case intoItself(JSONPointer)
        /// The patch has too many operations, or the document would nest deeper or grow by copies more than its limits allow.
        case tooBig
    }

    /// Which operation, from 0.
    public var index: Int
    public var reason: Reason

    public init(index: Int, reason: Reason) {
        self.index = index
        self.reason = reason
    }

    public var description: String {
        let words =
            switch reason {
            case .malformed(let what): what
            case .notFound(let pointer): "there is nothing at '\(pointer)'"
            case .badIndex(let pointer): "'\(pointer)' is not an index of its array"
            case .testFailed(let pointer): "the value at '\(pointer)' is another"
            case .intoItself(let pointer): "'\(pointer)' cannot move into itself"
            case .tooBig: "the document would become too big"
            }
        return "operation \(index): \(words)"
    }
}

// MARK: Reading and writing

extension JSONPatch {
    /// From its document: an array of operations. Unknown members are passed over (RFC 6902 section 4).
    public init(_ document: Value, limits: DocumentLimits = DocumentLimits()) throws(JSONPatchError) {
        guard case .array(let elements) = document else { throw JSONPatchError(index: 0, reason: .malformed("a patch is an array of operations")) }
        guard elements.count <= limits.patchOperationsMax else { throw JSONPatchError(index: limits.patchOperationsMax, reason: .tooBig) }
        operations = []
        for (index, element) in elements.enumerated() {
            func malformed(_ what: String) -> JSONPatchError { JSONPatchError(index: index, reason: .malformed(what)) }
            guard case .object(let members) = element else { throw malformed("an operation is an object") }
            func pointer(_ name: String) throws(JSONPatchError) -> JSONPointer {
                guard case .string(let text)? = members[name] else { throw malformed("'\(name)' is missing or not a string") }
                guard let pointer = JSONPointer(parsing: text) else { throw malformed("'\(text)' is not a JSON pointer") }
                return pointer
            }
            func value() throws(JSONPatchError) -> Value {
                guard let value = members["value"] else { throw malformed("'value' is missing") }
                return value
            }
            guard case .string(let verb)? = members["op"] else { throw malformed("'op' is missing or not a string") }
            switch verb {
            case "add": operations.append(.add(try pointer("path"), try value()))
            case "remove": operations.append(.remove(try pointer("path")))
            case "replace": operations.append(.replace(try pointer("path"), try value()))
            case "move": operations.append(.move(from: try pointer("from"), to: try pointer("path")))
            case "copy": operations.append(.copy(from: try pointer("from"), to: try pointer("path")))
            case "test": operations.append(.test(try pointer("path"), try value()))
            default: throw malformed("'\(verb)' is not an operation")
            }
        }
    }

    /// As a document.
    public var value: Value {
        .array(
            operations.map { operation in
                switch operation {
                case .add(let path, let value): .object(["op": .string("add"), "path": .string("\(path)"), "value": value])
                case .remove(let path): .object(["op": .string("remove"), "path": .string("\(path)")])
                case .replace(let path, let value): .object(["op": .string("replace"), "path": .string("\(path)"), "value": value])
                case .move(let from, let path): .object(["op": .string("move"), "from": .string("\(from)"), "path": .string("\(path)")])
                case .copy(let from, let path): .object(["op": .string("copy"), "from": .string("\(from)"), "path": .string("\(path)")])
                case .test(let path, let value): .object(["op": .string("test"), "path": .string("\(path)"), "value": value])
                }
            })
    }
}

// MARK: Applying

extension JSONPatch {
    /// The patched document. Operations apply in order; the first that does not fit refuses the whole patch.
    public func apply(to document: Value, limits: DocumentLimits = DocumentLimits()) throws(JSONPatchError) -> Value {
        guard operations.count <= limits.patchOperationsMax else { throw JSONPatchError(index: limits.patchOperationsMax, reason: .tooBig) }
        var document = document
        var copiedWeight = 0
        for (index, operation) in operations.enumerated() {
            do throws(PatchFault) {
                switch operation {
                case .add(let path, let value): try document.add(value, within(limits, path, value))
                case .remove(let path): try document.remove(path)
                case .replace(let path, let value): try document.replace(value, within(limits, path, value))
                case .move(let from, let path):
                    guard let value = document[from] else { throw PatchFault(.notFound(from)) }
                    if from == path { continue }
                    if path.tokens.starts(with: from.tokens) { throw PatchFault(.intoItself(from)) }
                    try document.remove(from)
                    try document.add(value, within(limits, path, value))
                case .copy(let from, let path):
                    guard let value = document[from] else { throw PatchFault(.notFound(from)) }
                    copiedWeight += value.weight
                    if copiedWeight > limits.aliasWeightMax { throw PatchFault(.tooBig) }
                    try document.add(value, within(limits, path, value))
                case .test(let path, let value):
                    guard let found = document[path] else { throw PatchFault(.notFound(path)) }
                    if found.canonical != value.canonical { throw PatchFault(.testFailed(path)) }
                }
            } catch {
                throw JSONPatchError(index: index, reason: error.reason)
            }
        }
        return document
    }

    /// The path, if the value there stays within the depth.
    private func within(_ limits: DocumentLimits, _ path: JSONPointer, _ value: Value) throws(PatchFault) -> JSONPointer {
        if path.tokens.count + value.depth > limits.depthMax { throw PatchFault(.tooBig) }
        return path
    }
}

private struct PatchFault: Error {
    var reason: JSONPatchError.Reason
    init(_ reason: JSONPatchError.Reason) { self.reason = reason }
}

extension Value {
    /// Arrays and objects within each other; 0 for a scalar.
    var depth: Int {
        switch self {
        case .array(let elements): 1 + (elements.lazy.map(\.depth).max() ?? 0)
        case .object(let object): 1 + (object.values.lazy.map(\.depth).max() ?? 0)
        case .null, .bool, .int, .double, .string: 0
        }
    }

    /// A node counts 1, its text its bytes.
    fileprivate var weight: Int {
        switch self {
        case .array(let elements): elements.reduce(1) { $0 + $1.weight }
        case .object(let object): object.reduce(1) { $0 + $1.key.utf8.count + $1.value.weight }
        case .string(let text): 1 + text.utf8.count
        case .null, .bool, .int, .double: 1
        }
    }

    fileprivate mutating func add(_ value: Value, _ path: JSONPointer) throws(PatchFault) {
        guard !path.tokens.isEmpty else {
            self = value
            return
        }
        try change(path, 0) { (container: inout Value, token: String) throws(PatchFault) in
            switch container {
            case .object(var object):
                container = .null
                object[token] = value
                container = .object(object)
            case .array(var elements):
                guard let index = token == "-" ? elements.count : JSONPointer.index(token), index <= elements.count else { throw PatchFault(.badIndex(path)) }
                container = .null
                elements.insert(value, at: index)
                container = .array(elements)
            default: throw PatchFault(.notFound(path))
            }
        }
    }

    fileprivate mutating func remove(_ path: JSONPointer) throws(PatchFault) {
        guard !path.tokens.isEmpty else {
            self = .null
            return
        }
        try change(path, 0) { (container: inout Value, token: String) throws(PatchFault) in
            switch container {
            case .object(var object):
                container = .null
                if object.removeValue(forKey: token) == nil { throw PatchFault(.notFound(path)) }
                container = .object(object)
            case .array(var elements):
                guard let index = JSONPointer.index(token), index < elements.count else { throw PatchFault(.badIndex(path)) }
                container = .null
                elements.remove(at: index)
                container = .array(elements)
            default: throw PatchFault(.notFound(path))
            }
        }
    }

    fileprivate mutating func replace(_ value: Value, _ path: JSONPointer) throws(PatchFault) {
        guard !path.tokens.isEmpty else {
            self = value
            return
        }
        try change(path, 0) { (container: inout Value, token: String) throws(PatchFault) in
            switch container {
            case .object(var object):
                guard object[token] != nil else { throw PatchFault(.notFound(path)) }
                container = .null
                object[token] = value
                container = .object(object)
            case .array(var elements):
                guard let index = JSONPointer.index(token), index < elements.count else { throw PatchFault(.badIndex(path)) }
                container = .null
                elements[index] = value
                container = .array(elements)
            default: throw PatchFault(.notFound(path))
            }
        }
    }

    /// Walks to the container of the last token and lets `body` change it.
    private mutating func change(_ path: JSONPointer, _ at: Int, _ body: (inout Value, String) throws(PatchFault) -> Void) throws(PatchFault) {
        let token = path.tokens[at]
        if at == path.tokens.count - 1 { return try body(&self, token) }
        switch self {
        case .object(var object):
            guard var member = object[token] else { throw PatchFault(.notFound(path)) }
            try member.change(path, at + 1, body)
            object[token] = member
            self = .object(object)
        case .array(var elements):
            guard let index = JSONPointer.index(token), index < elements.count else { throw PatchFault(.notFound(path)) }
            try elements[index].change(path, at + 1, body)
            self = .array(elements)
        case .null, .bool, .int, .double, .string: throw PatchFault(.notFound(path))
        }
    }
}

// MARK: Making

extension JSONPatch {
    /// A patch that turns one document into another. Objects are compared member by member; arrays element by element, with
    /// what is longer added or removed at the end. Not the shortest patch, but a readable one that always applies.
    public init(from old: Value, to new: Value) {
        operations = []
        compare(old, new, at: JSONPointer())
    }

    private mutating func compare(_ old: Value, _ new: Value, at path: JSONPointer) {
        switch (old, new) {
        case (.object(let before), .object(let after)):
            for name in before.keys where after[name] == nil { operations.append(.remove(path.appending(name))) }
            for (name, value) in after {
                if let previous = before[name] {
                    compare(previous, value, at: path.appending(name))
                } else {
                    operations.append(.add(path.appending(name), value))
                }
            }
        case (.array(let before), .array(let after)):
            for i in 0..<min(before.count, after.count) { compare(before[i], after[i], at: path.appending(String(i))) }
            for i in stride(from: before.count - 1, through: after.count, by: -1) { operations.append(.remove(path.appending(String(i)))) }
            for value in after.dropFirst(before.count) { operations.append(.add(path.appending("-"), value)) }
        default: if old != new { operations.append(.replace(path, new)) }
        }
    }
}

// MARK: Merge patch

extension Value {
    /// This document with a merge patch applied: objects merge, null removes, anything else replaces. Source: RFC 7386 section 2.
    public func merged(with patch: Value) -> Value {
        guard case .object(let changes) = patch else { return patch }
        var target: Object = if case .object(let object) = self { object } else { Object() }
        for (name, change) in changes {
            if case .null = change {
                target[name] = nil
            } else {
                target[name] = (target[name] ?? .null).merged(with: change)
            }
        }
        return .object(target)
    }
}
