// Reading and writing fields deep in an object by their path. Absent and mistyped fields read as nil: the API server has
// validated what clients read, and what clients write is judged by the API server.

import Documents
import OrderedCollections

extension Value {
    /// The member at a path of object keys; the value itself for an empty path.
    public func member(_ path: String...) -> Value? { member(path[...]) }
    public func text(_ path: String...) -> String? { if case .string(let text)? = member(path[...]) { text } else { nil } }
    public func number(_ path: String...) -> Int64? { if case .int(let number)? = member(path[...]) { number } else { nil } }
    public func flag(_ path: String...) -> Bool? { if case .bool(let flag)? = member(path[...]) { flag } else { nil } }
    /// Empty when absent.
    public func items(_ path: String...) -> [Value] { if case .array(let items)? = member(path[...]) { items } else { [] } }

    /// A map of strings, such as labels; members that are not strings are left out.
    public func entries(_ path: String...) -> KubeLabels {
        guard case .object(let object)? = member(path[...]) else { return [:] }
        var entries: KubeLabels = [:]
        for (key, value) in object { if case .string(let text) = value { entries[key] = text } }
        return entries
    }

    public func member(_ path: ArraySlice<String>) -> Value? {
        guard let key = path.first else { return self }
        guard case .object(let object) = self else { return nil }
        return object[key]?.member(path.dropFirst())
    }

    /// Sets the member at a path, making objects on the way; nil removes it. A non-object on the way is replaced.
    public mutating func put(_ value: Value?, at path: String...) { put(value, at: path[...]) }

    public mutating func put(_ value: Value?, at path: ArraySlice<String>) {
        guard let key = path.first else {
            self = value ?? .null
            return
        }
        var object: Object = if case .object(let object) = self { object } else { Object() }
        if path.count == 1 {
            object[key] = value
        } else if let value {
            var child = object[key] ?? .object(Object())
            object[key] = .null  // keeps the member in its place, and the child unshared
            child.put(value, at: path.dropFirst())
            object[key] = child
        } else if var child = object[key] {
            child.put(nil, at: path.dropFirst())
            object[key] = child
        }
        self = .object(object)
    }

    /// An object from its members in this order; nil members are left out.
    public static func members(_ members: KeyValuePairs<String, Value?>) -> Value {
        var object = Object()
        for (key, value) in members { if let value { object[key] = value } }
        return .object(object)
    }

    public static func strings(_ entries: KubeLabels) -> Value {
        var object = Object()
        for (key, value) in entries { object[key] = .string(value) }
        return .object(object)
    }
}
