// Which route and rule a request takes: the most specific host, then the longest path match, then the most header, query and
// method matches; ties keep the order of the list. Source: linkerd2-proxy linkerd/http/route, shared facts on the data plane 2.8.

import Base
import HTTP

/// Where a match was found.
struct RuleIndex: Equatable {
    var route: Int
    var rule: Int
    /// Bytes of the request's path that a prefix match took; nil: the path was matched otherwise, or not at all.
    var prefixBytes: Int?
}

/// The hosts and matches of a list of routes, prepared once for many requests.
struct RouteTable {
    private struct Entry {
        var index: RuleIndex
        var hosts: [HostMatch]
        var matches: [PreparedMatch]
    }

    private var entries: [Entry] = []
    /// A list whose only rule takes every request is answered without looking at the request.
    private var trivial: RuleIndex?

    /// `routes`: hosts, and the matches of each rule.
    init(_ routes: [(hosts: [HostMatch], rules: [[HTTPMatch]])]) {
        for (r, route) in routes.enumerated() {
            for (i, matches) in route.rules.enumerated() {
                entries.append(Entry(index: RuleIndex(route: r, rule: i), hosts: route.hosts, matches: matches.map(PreparedMatch.init)))
            }
        }
        if entries.count == 1, entries[0].hosts.isEmpty, entries[0].matches.isEmpty || entries[0].matches.contains(where: { $0.isEverything }) {
            trivial = entries[0].index
            trivial?.prefixBytes = entries[0].matches.contains { $0.isPrefix } ? 1 : nil
        }
    }

    func find(_ head: RequestHead) -> RuleIndex? {
        if let trivial { return trivial }
        let host = "\(head.authority)"
        let (path, query) = Self.split("\(head.path)")
        var best: (index: RuleIndex, host: Int, score: MatchScore)?
        for entry in entries {
            guard let hostScore = Self.score(entry.hosts, host) else { continue }
            let score: MatchScore
            if entry.matches.isEmpty {
                score = MatchScore()
            } else {
                guard let found = entry.matches.compactMap({ $0.score(head, path: path, query: query) }).max() else { continue }
                score = found
            }
            if let best, (best.host, best.score) >= (hostScore, score) { continue }
            best = (RuleIndex(route: entry.index.route, rule: entry.index.rule, prefixBytes: score.prefixBytes), hostScore, score)
        }
        return best?.index
    }

    /// nil: no match. More is more specific: 0 for any host, then suffixes by their number of labels, then exact.
    static func score(_ hosts: [HostMatch], _ authority: String) -> Int? {
        if hosts.isEmpty { return 0 }
        let host = hostOnly(authority)
        var best: Int?
        for match in hosts {
            switch match {
            case .exact(let name): if name.lowercased() == host { return .max }
            case .suffix(let labels):
                let reversed = host.split(separator: ".").reversed().map(String.init)
                if reversed.count > labels.count, reversed[..<labels.count].elementsEqual(labels.map { $0.lowercased() }) { best = max(best ?? 0, 1 + labels.count) }
            }
        }
        return best
    }

    /// In lower case and without its port.
    private static func hostOnly(_ authority: String) -> String {
        let lower = authority.lowercased()
        if lower.hasPrefix("["), let end = lower.firstIndex(of: "]") { return String(lower[...end]) }
        guard let colon = lower.lastIndex(of: ":") else { return lower }
        return String(lower[..<colon])
    }

    static func split(_ target: String) -> (path: Substring, query: Substring) {
        guard let mark = target.firstIndex(of: "?") else { return (Substring(target), "") }
        return (target[..<mark], target[target.index(after: mark)...])
    }
}

struct MatchScore: Comparable {
    /// Bytes of the path that a match names.
    var path = 0
    var headers = 0
    var query = 0
    var method = 0
    /// As in `RuleIndex`; says nothing about which match is better.
    var prefixBytes: Int?

    static func < (a: MatchScore, b: MatchScore) -> Bool { (a.path, a.headers, a.query, a.method) < (b.path, b.headers, b.query, b.method) }
}

/// A match with its regular expressions compiled. An expression that cannot be compiled matches nothing.
struct PreparedMatch {
    private enum Pattern {
        case exact(String)
        case prefix(String)
        case regex(Regex<AnyRegexOutput>)
        case never

        init(_ text: HTTPMatch.Text) {
            switch text {
            case .exact(let value): self = .exact(value)
            case .regex(let source): self = Pattern(regex: source)
            }
        }

        init(regex source: String) {
            do { self = .regex(try Regex(source)) } catch { self = .never }
        }

        func matches(_ text: Substring) -> Bool {
            switch self {
            // Bytes, not characters: a path has no canonical equivalents.
            case .exact(let value): return text.utf8.elementsEqual(value.utf8)
            case .prefix(let prefix):
                guard text.utf8.starts(with: prefix.utf8) else { return false }
                return prefix.hasSuffix("/") || text.utf8.count == prefix.utf8.count || text.utf8[text.utf8.index(text.utf8.startIndex, offsetBy: prefix.utf8.count)] == UInt8(ascii: "/")
            case .regex(let regex):
                do { return try regex.wholeMatch(in: text) != nil } catch { return false }
            case .never: return false
            }
        }
    }

    private let method: HTTPMethod?
    private let path: Pattern?
    private let headers: [(name: String, pattern: Pattern)]
    private let query: [(name: String, pattern: Pattern)]

    init(_ match: HTTPMatch) {
        method = match.method
        path = match.path.map {
            switch $0 {
            case .exact(let text): .exact(text)
            case .prefix(let text): .prefix(text)
            case .regex(let text): Pattern(regex: text)
            }
        }
        headers = match.headers.map { ($0.name.lowercased(), Pattern($0.value)) }
        query = match.queryParameters.map { ($0.name, Pattern($0.value)) }
    }

    var isEverything: Bool { method == nil && headers.isEmpty && query.isEmpty && (path == nil || isPrefix) }
    /// Of every path.
    fileprivate var isPrefix: Bool { if case .prefix("/")? = path { true } else { false } }

    func score(_ head: RequestHead, path target: Substring, query targetQuery: Substring) -> MatchScore? {
        var score = MatchScore()
        if let method {
            guard head.method == method else { return nil }
            score.method = 1
        }
        if let path {
            guard path.matches(target) else { return nil }
            switch path {
            case .exact, .regex: score.path = target.utf8.count
            case .prefix(let text):
                score.path = text.utf8.count
                score.prefixBytes = text.utf8.count
            case .never: return nil
            }
        }
        for (name, pattern) in headers {
            guard head.headers.all(name).contains(where: { pattern.matches(Substring($0)) }) else { return nil }
            score.headers += 1
        }
        if !query.isEmpty {
            let parameters = targetQuery.split(separator: "&").map { $0.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false) }
            for (name, pattern) in query {
                guard parameters.contains(where: { $0[0] == name && pattern.matches($0.count > 1 ? $0[1] : "") }) else { return nil }
                score.query += 1
            }
        }
        return score
    }
}

extension HTTPFilter.HeaderChange {
    /// Adds, then sets, then removes.
    func apply(to headers: inout Headers) {
        for label in add { headers.add(label.name, label.value) }
        for label in set { headers.set(label.name, label.value) }
        for name in remove { headers.removeAll(name.lowercased()) }
    }
}

extension HTTPFilter.Redirect {
    enum Outcome: Equatable {
        case location(String)
        /// It leads to where the request already is.
        case same
        /// A prefix is to be replaced, and no prefix was matched.
        case invalid
    }

    /// Where a request is sent. `prefixBytes`: of its path, what the rule matched.
    /// Source: linkerd2-proxy linkerd/http/route/src/http/filter/redirect.rs; Gateway API, ReplacePrefixMatch.
    func outcome(_ head: RequestHead, prefixBytes: Int?) -> Outcome {
        let (path, query) = RouteTable.split("\(head.path)")
        let newPath: String
        switch self.path {
        case .full(let text): newPath = text
        case .prefix(let text):
            guard let prefixBytes, let start = path.utf8.index(path.startIndex, offsetBy: prefixBytes, limitedBy: path.endIndex) else { return .invalid }
            var rest = path[start...]
            // The slash between the new beginning and what stays belongs to neither; a slash at the end is kept.
            if rest.first == "/" { rest = rest.dropFirst() }
            let isBare = rest.isEmpty && !path.hasSuffix("/")
            newPath = isBare && !text.isEmpty ? text : text.hasSuffix("/") ? text + rest : "\(text)/\(rest)"
        case nil: newPath = String(path)
        }
        var authority = host ?? "\(head.authority)"
        if let port {
            if let colon = authority.lastIndex(of: ":"), !authority.hasSuffix("]") { authority = String(authority[..<colon]) }
            authority += ":\(port)"
        }
        let location = "\(scheme ?? head.scheme)://\(authority)\(newPath)\(query.isEmpty ? "" : "?\(query)")"
        let current = "\(head.scheme)://\(head.authority)\(head.path)"
        return location == current ? .same : .location(location)
    }
}
