// One tree for JSON and YAML. Members keep the order in which they were written, so that what passes through us unchanged
// reads as before; equality of objects is therefore equality of members in order: compare `canonical` to compare by meaning.
// Names are Swift strings: two that differ only in Unicode composition are the same name.
// Deliberately absent: numbers beyond Int64 and Double. Kubernetes' own decoder has only these two, too.

public import OrderedCollections

public typealias Object = OrderedDictionary<String, Value>

/// A document or a part of one.
public enum Value: Hashable, Sendable {
    case null
    case bool(Bool)
    /// A number written without fraction and exponent that fits.
    case int(Int64)
    /// Every other number. Never NaN or infinite when it comes from a parser.
    case double(Double)
    case string(String)
    case array([Value])
    case object(Object)
}

extension Value {
    /// The same document with every object's members sorted by name: equal for documents that mean the same.
    /// A whole number means the same with and without a fraction of zero.
    public var canonical: Value {
        switch self {
        case .double(let number):
            if let whole = Int64(exactly: number) { return .int(whole) }
            return self
        case .array(let elements): return .array(elements.map(\.canonical))
        case .object(let object):
            var sorted = Object(minimumCapacity: object.count)
            // order: by name, so that the order written does not matter
            for key in object.keys.sorted() { sorted[key] = object[key]!.canonical }
            return .object(sorted)
        case .null, .bool, .int, .string: return self
        }
    }

    /// What kind of value it is, as messages say it.
    public var kindName: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .int, .double: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

/// Why a text is not a document, and where.
public struct DocumentError: Error, Hashable, Sendable, CustomStringConvertible {
    /// From 1.
    public var line: Int
    /// From 1. Unit: Unicode scalars.
    public var column: Int
    /// The rule that is broken, in words.
    public var reason: String

    public init(line: Int, column: Int, reason: String) {
        self.line = line
        self.column = column
        self.reason = reason
    }

    /// The place of a byte offset in a text.
    init(offset: Int, in bytes: UnsafeRawBufferPointer, reason: String) {
        var line = 1
        var column = 1
        for i in 0..<min(offset, bytes.count) {
            if bytes[i] == 0x0a {
                line += 1
                column = 1
            } else if bytes[i] & 0xc0 != 0x80 {
                column += 1
            }
        }
        self.init(line: line, column: column, reason: reason)
    }

    public var description: String { "line \(line), column \(column): \(reason)" }
}
