// Label and field selectors in the text form of the API's query parameters: written by the client, read and applied by the
// API server. The structured form of specs (matchLabels, matchExpressions) becomes the same value.

import OrderedCollections

public typealias KubeLabels = OrderedDictionary<String, String>

/// All requirements must hold; none matches everything. Source: k8s.io/apimachinery pkg/labels/selector.go.
public struct LabelSelector: Hashable, Sendable, CustomStringConvertible {
    public enum Operation: String, Sendable { case `in` = "In", notIn = "NotIn", exists = "Exists", doesNotExist = "DoesNotExist" }

    public struct Requirement: Hashable, Sendable {
        public var key: String
        public var operation: Operation
        /// In the order written; empty for `exists` and `doesNotExist`.
        public var values: [String]

        public init(_ key: String, _ operation: Operation, _ values: [String] = []) {
            self.key = key
            self.operation = operation
            self.values = values
        }
    }

    public var requirements: [Requirement]

    public static let everything = LabelSelector()

    public init(_ requirements: [Requirement] = []) { self.requirements = requirements }

    /// Every one of these labels with exactly this value.
    public init(labels: KubeLabels) { requirements = labels.map { Requirement($0.key, .in, [$0.value]) } }

    public var isEmpty: Bool { requirements.isEmpty }

    public func matches(_ labels: KubeLabels) -> Bool {
        requirements.allSatisfy { requirement in
            let value = labels[requirement.key]
            switch requirement.operation {
            case .in: return value.map { requirement.values.contains($0) } ?? false
            case .notIn: return value.map { !requirement.values.contains($0) } ?? true
            case .exists: return value != nil
            case .doesNotExist: return value == nil
            }
        }
    }

    public var description: String {
        requirements.map { requirement in
            switch requirement.operation {
            case .exists: requirement.key
            case .doesNotExist: "!" + requirement.key
            case .in where requirement.values.count == 1: "\(requirement.key)=\(requirement.values[0])"
            case .notIn where requirement.values.count == 1: "\(requirement.key)!=\(requirement.values[0])"
            case .in: "\(requirement.key) in (\(requirement.values.joined(separator: ",")))"
            case .notIn: "\(requirement.key) notin (\(requirement.values.joined(separator: ",")))"
            }
        }.joined(separator: ",")
    }

    /// `a=b,c==d,e!=f,g in (h,i),j notin (k),l,!m`. Refused with a sentence that says what was expected.
    public init(parsing text: String) throws(SelectorError) {
        requirements = []
        var parser = SelectorParser(text)
        parser.skipSpaces()
        if parser.isAtEnd { return }
        while true {
            requirements.append(try parser.requirement())
            parser.skipSpaces()
            if parser.isAtEnd { return }
            guard parser.take(0x2c) else { throw parser.error("a comma") }
        }
    }
}

/// Requirements on a few fields. Source: k8s.io/apimachinery pkg/fields/selector.go.
public struct FieldSelector: Hashable, Sendable, CustomStringConvertible {
    public struct Requirement: Hashable, Sendable {
        public var field: String
        public var isEqual: Bool
        public var value: String

        public init(_ field: String, isEqual: Bool = true, _ value: String) {
            self.field = field
            self.isEqual = isEqual
            self.value = value
        }
    }

    public var requirements: [Requirement]

    public static let everything = FieldSelector()

    public init(_ requirements: [Requirement] = []) { self.requirements = requirements }

    public static func name(_ name: String) -> FieldSelector { FieldSelector([Requirement("metadata.name", name)]) }
    public static func node(_ name: String) -> FieldSelector { FieldSelector([Requirement("spec.nodeName", name)]) }

    public var isEmpty: Bool { requirements.isEmpty }

    /// The value the selector demands of a field, if it demands one.
    public func required(_ field: String) -> String? { requirements.first { $0.field == field && $0.isEqual }?.value }

    public var description: String { requirements.map { $0.field + ($0.isEqual ? "=" : "!=") + Self.escaped($0.value) }.joined(separator: ",") }

    /// As the parser takes it for a value: `,`, `=` and `\` behind a backslash.
    private static func escaped(_ value: String) -> String {
        var text = ""
        for scalar in value.unicodeScalars {
            if scalar == "," || scalar == "=" || scalar == "\\" { text.unicodeScalars.append("\\") }
            text.unicodeScalars.append(scalar)
        }
        return text
    }

    /// `a=b,c==d,e!=f`; values may escape `,`, `=` and `\` with a backslash.
    public init(parsing text: String) throws(SelectorError) {
        requirements = []
        for term in Self.split(Array(text.utf8)) where !term.isEmpty {
            guard let (at, length, isEqual) = Self.operation(of: term) else {
                throw SelectorError("invalid selector: '\(text)'; can't understand '\(String(decoding: term, as: UTF8.self))'")
            }
            var value: [UInt8] = []
            var i = at + length
            while i < term.count {
                if term[i] == 0x5c, i + 1 < term.count { i += 1 }
                value.append(term[i])
                i += 1
            }
            requirements.append(Requirement(String(decoding: term[..<at], as: UTF8.self), isEqual: isEqual, String(decoding: value, as: UTF8.self)))
        }
    }

    private static func split(_ text: [UInt8]) -> [[UInt8]] {
        var terms: [[UInt8]] = [[]]
        var isEscaped = false
        for byte in text {
            if byte == 0x2c, !isEscaped {
                terms.append([])
            } else {
                terms[terms.count - 1].append(byte)
            }
            isEscaped = byte == 0x5c && !isEscaped
        }
        return terms
    }

    private static func operation(of term: [UInt8]) -> (at: Int, length: Int, isEqual: Bool)? {
        for i in term.indices {
            let next: UInt8 = i + 1 < term.count ? term[i + 1] : 0
            if term[i] == 0x21, next == 0x3d { return (i, 2, false) }
            if term[i] == 0x3d { return (i, next == 0x3d ? 2 : 1, true) }
        }
        return nil
    }
}

/// A selector that cannot be read.
public struct SelectorError: Error, Hashable, Sendable {
    public var message: String
    init(_ message: String) { self.message = message }
}

private struct SelectorParser {
    private let text: [UInt8]
    private var at = 0

    init(_ text: String) { self.text = Array(text.utf8) }

    var isAtEnd: Bool { at == text.count }

    mutating func skipSpaces() { while at < text.count, text[at] == 0x20 || text[at] == 0x09 { at += 1 } }

    mutating func take(_ byte: UInt8) -> Bool {
        skipSpaces()
        guard at < text.count, text[at] == byte else { return false }
        at += 1
        skipSpaces()
        return true
    }

    func error(_ expected: String) -> SelectorError {
        let rest = String(decoding: text[at...], as: UTF8.self)
        return SelectorError("unable to parse requirement: found '\(rest)', expected: \(expected)")
    }

    mutating func requirement() throws(SelectorError) -> LabelSelector.Requirement {
        if take(0x21) { return LabelSelector.Requirement(try key(), .doesNotExist) }
        let key = try key()
        skipSpaces()
        if isAtEnd || text[at] == 0x2c { return LabelSelector.Requirement(key, .exists) }
        if take(0x21) {
            guard take(0x3d) else { throw error("=, !=, ==, in, notin") }
            return LabelSelector.Requirement(key, .notIn, [value()])
        }
        if take(0x3d) {
            _ = take(0x3d)
            return LabelSelector.Requirement(key, .in, [value()])
        }
        switch value() {
        case "in": return LabelSelector.Requirement(key, .in, try values())
        case "notin": return LabelSelector.Requirement(key, .notIn, try values())
        default: throw error("=, !=, ==, in, notin")
        }
    }

    /// A label key: optional DNS prefix and slash, then letters, digits, `-`, `_`, `.`.
    private mutating func key() throws(SelectorError) -> String {
        let word = value(withSlash: true)
        if word.isEmpty { throw error("identifier") }
        return word
    }

    private mutating func values() throws(SelectorError) -> [String] {
        guard take(0x28) else { throw error("'('") }
        var values: [String] = []
        while true {
            skipSpaces()
            values.append(value())
            if take(0x29) { return values }
            guard take(0x2c) else { throw error("',' or ')'") }
        }
    }

    private mutating func value(withSlash: Bool = false) -> String {
        let first = at
        while at < text.count {
            switch text[at] {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f: at += 1
            case 0x2f where withSlash: at += 1
            default: return String(decoding: text[first..<at], as: UTF8.self)
            }
        }
        return String(decoding: text[first..<at], as: UTF8.self)
    }
}
