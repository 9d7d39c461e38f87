// Paths of printer columns and scale subresources: `.spec.replicas`, `.status.conditions[?(@.type=="Ready")].status`,
// `.items[0]`, `['a.b']`. Deliberately absent: recursive descent, slices and scripts, which definitions hardly use.
// Source: kubernetes.io/docs/reference/kubectl/jsonpath.

import Documents
import Kube
import OrderedCollections

struct JSONPath: Sendable {
    private enum Step: Sendable {
        case member(String)
        case index(Int)
        case all
        case filter(path: [String], isEqual: Bool, value: Value)
    }

    private var steps: [Step] = []

    /// nil when it uses what is not known.
    init?(_ text: String) {
        let s = Array(text.trimmedBraces.utf8)
        var i = 0
        func word(until stops: [UInt8]) -> String {
            let first = i
            while i < s.count, !stops.contains(s[i]) {
                if s[i] == 0x5c { i += 1 }
                i += 1
            }
            return String(decoding: s[first..<min(i, s.count)].filter { $0 != 0x5c }, as: UTF8.self)
        }
        while i < s.count {
            switch s[i] {
            case 0x24 where i == 0: i += 1
            case 0x2e:
                i += 1
                if i < s.count, s[i] == 0x2e { return nil }
                if i < s.count, s[i] == 0x5b { continue }
                let name = word(until: [0x2e, 0x5b])
                if name.isEmpty { continue }
                steps.append(name == "*" ? .all : .member(name))
            case 0x5b:
                guard let step = Self.bracket(s, &i) else { return nil }
                steps.append(step)
            default: return nil
            }
        }
    }

    private static func bracket(_ s: [UInt8], _ i: inout Int) -> Step? {
        i += 1
        guard i < s.count, let close = s[i...].firstIndex(of: 0x5d) else { return nil }
        var inside = String(decoding: s[i..<close], as: UTF8.self)
        i = close + 1
        if inside == "*" { return .all }
        if let index = Int(inside) { return .index(index) }
        if let quote = inside.first, quote == "'" || quote == "\"", inside.last == quote, inside.count >= 2 { return .member(String(inside.dropFirst().dropLast())) }
        guard inside.hasPrefix("?(@."), inside.hasSuffix(")") else { return nil }
        inside = String(inside.dropFirst(4).dropLast())
        for (sign, isEqual) in [("==", true), ("!=", false)] {
            guard let range = inside.firstRange(of: sign) else { continue }
            let path = inside[..<range.lowerBound].filter { $0 != " " }.split(separator: ".").map(String.init)
            var right = inside[range.upperBound...].drop { $0 == " " }
            while right.last == " " { right.removeLast() }
            if let quote = right.first, quote == "'" || quote == "\"" { return .filter(path: path, isEqual: isEqual, value: .string(String(right.dropFirst().dropLast()))) }
            if let number = Int64(right) { return .filter(path: path, isEqual: isEqual, value: .int(number)) }
            if right == "true" || right == "false" { return .filter(path: path, isEqual: isEqual, value: .bool(right == "true")) }
        }
        return nil
    }

    /// Every value the path leads to, in document order.
    func values(in document: Value) -> [Value] {
        var found = [document]
        for step in steps {
            found = found.flatMap { value -> [Value] in
                switch (step, value) {
                case (.member(let name), _): value.member(name).map { [$0] } ?? []
                case (.index(let index), .array(let items)): items.indices.contains(index < 0 ? items.count + index : index) ? [items[index < 0 ? items.count + index : index]] : []
                case (.all, .array(let items)): items
                case (.all, .object(let members)): members.map(\.value)
                case (.filter(let path, let isEqual, let wanted), .array(let items)): items.filter { ($0.member(at: path) == wanted) == isEqual }
                default: []
                }
            }
        }
        return found
    }
}

extension String {
    fileprivate var trimmedBraces: String { hasPrefix("{") && hasSuffix("}") ? String(dropFirst().dropLast()) : self }
}
