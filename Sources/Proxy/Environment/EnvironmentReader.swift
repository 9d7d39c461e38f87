// Reads variables one by one in Linkerd's spellings and collects everything that is wrong with them, so that one start names it all.
// Source: linkerd2-proxy linkerd/app/src/env/types.rs; facts 1.2.

import Base
import Platform

struct EnvironmentReader {
    let settings: Settings
    private(set) var problems: [String] = []
    /// Every name that was asked for, for the comparison with the table of variables.
    private(set) var asked: Set<String> = []

    init(settings: Settings) { self.settings = settings }

    /// `name` without the prefix, unless it has none.
    mutating func problem(_ name: String, _ text: String) { problems.append("\(Self.full(name)) \(text)") }

    private static func full(_ name: String) -> String { Configuration.unprefixed.contains(name) ? name : Configuration.prefix + name }

    /// The value if set and not empty.
    mutating func value(_ name: String) -> String? {
        asked.insert(name)
        guard let text = settings[Self.full(name)], !text.isEmpty else { return nil }
        return text
    }

    mutating func optional<T>(_ name: String, as kind: String = "", _ convert: (String) -> T?) -> T? {
        guard let text = value(name) else { return nil }
        if let converted = convert(text) { return converted }
        problem(name, "must be \(kind), but is \"\(text.prefix(80))\"")
        return nil
    }

    mutating func required<T>(_ name: String, hint: String, _ convert: (String) -> T?) -> T? {
        guard value(name) != nil else {
            problem(name, "is missing: set \(hint)")
            return nil
        }
        return optional(name, as: hint, convert)
    }

    mutating func set<T>(_ target: inout T, _ name: String, as kind: String, _ convert: (String) -> T?) {
        if let converted = optional(name, as: kind, convert) { target = converted }
    }

    // MARK: Kinds of values

    static let durationHint = "a duration such as 300ms, 10s or 5m"

    mutating func duration(_ name: String) -> Interval? { optional(name, as: Self.durationHint) { Self.interval($0) } }
    mutating func set(_ target: inout Interval, duration name: String) { if let found = duration(name) { target = found } }
    mutating func set(_ target: inout Bool, flag name: String) { set(&target, name, as: "true or false") { Self.bool($0) } }

    mutating func number(_ name: String, _ range: ClosedRange<Int>) -> Int? {
        optional(name, as: "a number from \(range.lowerBound) to \(range.upperBound)") { Int($0).flatMap { range.contains($0) ? $0 : nil } }
    }
    mutating func set(_ target: inout Int, number name: String, _ range: ClosedRange<Int>) { if let found = number(name, range) { target = found } }

    mutating func service(_ name: String) -> Configuration.Service? {
        guard let authority = required(name + "_ADDR", hint: "name:port of the service", { Authority($0) }) else {
            if value(name + "_NAME") == nil { problem(name + "_NAME", "is missing: set the identity of the service") }
            return nil
        }
        if authority.isLoopback {
            _ = value(name + "_NAME")
            return Configuration.Service(authority: authority, identity: nil)
        }
        guard let identity = required(name + "_NAME", hint: "the identity of the service", { $0 }) else { return nil }
        return Configuration.Service(authority: authority, identity: identity)
    }

    mutating func list<T>(_ name: String, as kind: String, _ convert: (String) -> T?) -> [T] {
        optional(name, as: kind) { text in
            var items: [T] = []
            for part in text.split(separator: ",") {
                let trimmed = part.drop { $0 == " " }.prefix { $0 != " " }
                if trimmed.isEmpty { continue }
                guard let item = convert(String(trimmed)) else { return nil }
                items.append(item)
            }
            return items
        } ?? []
    }

    mutating func addresses(_ name: String) -> [SocketAddress]? {
        let found = list(name, as: "a comma-separated list of ip:port") { SocketAddress($0) }
        return found.isEmpty ? nil : found
    }

    mutating func networks(_ name: String) -> [IPNetwork] { list(name, as: "a comma-separated list of CIDR networks") { IPNetwork($0) } }

    mutating func suffixes(_ name: String) -> NameSuffixes? {
        guard value(name) != nil else { return nil }
        let found: [String] = list(name, as: "a comma-separated list of DNS suffixes, . for all") { text in
            if text == "." { return "" }
            let name = text.hasSuffix(".") ? text.dropLast() : text[...]
            let isName = !name.isEmpty && name.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
                (1...63).contains(label.utf8.count) && label.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") }
            }
            return isName ? String(name) : nil
        }
        return NameSuffixes(found)
    }

    mutating func ports(_ name: String) -> PortSet {
        var set = PortSet()
        let ranges: [ClosedRange<UInt16>] = list(name, as: "a comma-separated list of ports and lo-hi ranges") { text in
            let ends = text.split(separator: "-", omittingEmptySubsequences: false)
            guard ends.count <= 2, let low = parsePort(ends[0]), let high = parsePort(ends[ends.count - 1]), low <= high else { return nil }
            return low...high
        }
        for range in ranges { set.insert(range) }
        return set
    }

    /// An integer with `ms`, `s`, `m`, `h` or `d`; a bare 0 is legal.
    static func interval(_ text: String) -> Interval? {
        let trimmed = text.drop { $0 == " " }
        let digits = trimmed.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int64(digits), number >= 0 else { return nil }
        let unit = trimmed.dropFirst(digits.count).prefix { $0 != " " }
        let scale: Int64
        switch unit {
        case "ms": scale = 1_000_000
        case "s": scale = 1_000_000_000
        case "m": scale = 60_000_000_000
        case "h": scale = 3_600_000_000_000
        case "d": scale = 86_400_000_000_000
        case "" where number == 0: scale = 1
        default: return nil
        }
        let (product, overflow) = number.multipliedReportingOverflow(by: scale)
        return overflow ? nil : Interval(nanoseconds: product)
    }

    static func bool(_ text: String) -> Bool? { text == "true" ? true : text == "false" ? false : nil }

    /// A decimal fraction in thousandths: `0.1` is 100. Integers only, so that every machine agrees.
    static func thousandths(_ text: String) -> Int? {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = parts[0].isEmpty ? 0 : Int(parts[0]), (0...1_000_000).contains(whole), parts[0].first != "+" else { return nil }
        guard parts.count == 2 else { return whole * 1000 }
        guard !parts[1].isEmpty, parts[1].utf8.allSatisfy({ (48...57).contains($0) }), let fraction = Int((parts[1] + "000").prefix(3)) else { return nil }
        return whole * 1000 + fraction
    }
}
