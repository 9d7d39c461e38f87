// Which lines are written: levels by target, in the syntax that Linkerd's proxy takes in `LINKERD2_PROXY_LOG` and on its admin port
// (env-filter of Rust's tracing). Spans do not exist here: a directive that selects by span is understood and holds for nothing.

/// `warn,linkerd=info,hickory=error`: levels by the beginning of a target, the longest wins.
public struct LogFilter: Sendable, Equatable {
    private struct Entry: Sendable, Equatable {
        var target: String
        var level: Log.Level
    }

    private var entries: [Entry] = []
    /// Directives that could not be read, for a warning.
    public private(set) var refused: [String] = []
    /// As it was given.
    public let text: String

    /// Source: env_filter of Rust's tracing: a bare level is for all targets, a bare target means trace, spans stand in brackets; nothing
    /// at all means warn (linkerd2-proxy linkerd/tracing).
    public init(_ text: String) {
        self.text = text
        for directive in Self.directives(text) {
            if let bracket = directive.firstIndex(of: "[") {
                if !Self.isSpan(directive[bracket...]) { refused.append(String(directive)) }
                continue
            }
            let sides = directive.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if sides.count == 1 {
                if let level = Log.Level(name: sides[0]) { set("", level) } else if Self.isTarget(directive) { set(directive, .trace) } else { refused.append(String(directive)) }
            } else if let level = Log.Level(name: sides[1]), Self.isTarget(sides[0]) {
                set(sides[0], level)
            } else {
                refused.append(String(directive))
            }
        }
    }

    /// One level for every target.
    public init(_ level: Log.Level) { self.init("\(level)") }

    /// Off for a target that nothing is said of. Our own targets follow the directives for Linkerd's, so that one filter serves
    /// both proxies.
    public func level(of target: String) -> Log.Level {
        if let found = longest(target) { return found.level }
        if target.hasPrefix("weft"), let found = longest("linkerd") { return found.level }
        return bare
    }

    /// The most talkative level of all.
    public var lowest: Log.Level { entries.reduce(bare) { min($0, $1.level) } }

    /// No directive names a target, so that one comparison decides.
    public var isUniform: Bool { entries.allSatisfy(\.target.isEmpty) }

    private var bare: Log.Level { entries.first { $0.target.isEmpty }?.level ?? (entries.isEmpty ? .warn : .off) }

    private func longest(_ target: String) -> Entry? {
        var best: Entry?
        for entry in entries where !entry.target.isEmpty && target.hasPrefix(entry.target) && entry.target.utf8.count > best?.target.utf8.count ?? 0 { best = entry }
        return best
    }

    private mutating func set(_ target: Substring, _ level: Log.Level) {
        entries.removeAll { $0.target == target }
        entries.append(Entry(target: String(target), level: level))
    }

    /// Commas inside of brackets and braces separate fields of a span, not directives.
    private static func directives(_ text: String) -> [Substring] {
        var found: [Substring] = []
        var depth = 0
        var start = text.startIndex
        for i in text.indices {
            switch text[i] {
            case "[", "{": depth += 1
            case "]", "}": depth -= 1
            case "," where depth <= 0:
                found.append(text[start..<i])
                start = text.index(after: i)
            default: break
            }
        }
        found.append(text[start...])
        return found.map { trimmed($0) }.filter { !$0.isEmpty }
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var rest = text.drop { $0.isWhitespace }
        while rest.last?.isWhitespace ?? false { rest.removeLast() }
        return rest
    }

    /// `[span{field=value}]=level`, the level left out for trace.
    private static func isSpan(_ text: Substring) -> Bool {
        guard let end = text.lastIndex(of: "]") else { return false }
        let rest = text[text.index(after: end)...]
        return rest.isEmpty || (rest.first == "=" && Log.Level(name: rest.dropFirst()) != nil)
    }

    private static func isTarget(_ text: Substring) -> Bool { !text.isEmpty && text.allSatisfy { $0.isLetter || $0.isNumber || "_:-./".contains($0) } }
}

extension Log.Level {
    public init?(name: some StringProtocol) {
        switch name.lowercased() {
        case "trace", "5": self = .trace
        case "debug", "4": self = .debug
        case "info", "3": self = .info
        case "warn", "warning", "2": self = .warn
        case "error", "1": self = .error
        case "off", "0": self = .off
        default: return nil
        }
    }
}
