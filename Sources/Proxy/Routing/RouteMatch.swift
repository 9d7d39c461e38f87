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

/// The hosts and matches of a list of routes, prepared once for many requests. Matches that name a path are found by its first segment,
/// so that a hundred routes of a service cost a request no more than those that begin as it does.
struct RouteTable {
    private struct Entry {
        var index: RuleIndex
        var hosts: PreparedHosts
        /// nil: the rule has no matches and takes everything.
        var match: PreparedMatch?
    }

    /// In the order of the list, one for each match of each rule.
    private var entries: [Entry] = []
    /// Indices into `entries` by the first segment of the path that they name; look-up only.
    private var bySegment: [Substring: [Int]] = [:]
    /// Those that a path's first segment does not decide.
    private var others: [Int] = []
    /// A list whose only rule takes every request is answered without looking at the request.
    private var trivial: RuleIndex?

    /// `routes`: hosts, and the matches of each rule.
    init(_ routes: [(hosts: [HostMatch], rules: [[HTTPMatch]])]) {
        for (r, route) in routes.enumerated() {
            let hosts = PreparedHosts(route.hosts)
            for (i, matches) in route.rules.enumerated() {
                let prepared: [PreparedMatch?] = matches.isEmpty ? [nil] : matches.map { PreparedMatch($0) }
                for match in prepared {
                    if let segment = match?.firstSegment { bySegment[segment, default: []].append(entries.count) } else { others.append(entries.count) }
                    entries.append(Entry(index: RuleIndex(route: r, rule: i), hosts: hosts, match: match))
                }
            }
        }
        if let first = entries.first, first.hosts.isEmpty, entries.allSatisfy({ $0.index == first.index && $0.match?.isEverything ?? true }) {
            trivial = first.index
            trivial?.prefixBytes = entries.contains { $0.match?.isPrefix == true } ? 1 : nil
        }
    }

    func find(_ head: RequestHead) -> RuleIndex? {
        if let trivial { return trivial }
        let (path, query) = Self.split(head.path.description)
        var search = Search(head: head, path: path, query: query)
        if let segment = Self.firstSegment(path), let found = bySegment[segment] { for i in found { search.consider(entries[i], i) } }
        for i in others { search.consider(entries[i], i) }
        return search.best?.index
    }

    /// The best of the matches looked at so far.
    private struct Search {
        let head: RequestHead
        let path: Substring
        let query: Substring
        /// In lower case and without its port, once a route has asked for it.
        private var host: String?
        var best: (index: RuleIndex, host: Int, score: MatchScore, order: Int)?

        init(head: RequestHead, path: Substring, query: Substring) {
            self.head = head
            self.path = path
            self.query = query
        }

        mutating func consider(_ entry: Entry, _ order: Int) {
            guard let hostScore = score(entry.hosts) else { return }
            var score = MatchScore()
            if let match = entry.match {
                guard let found = match.score(head, path: path, query: query) else { return }
                score = found
            }
            if let best {
                if (hostScore, score) < (best.host, best.score) { return }
                if (best.host, best.score) >= (hostScore, score), best.order < order { return }
            }
            best = (RuleIndex(route: entry.index.route, rule: entry.index.rule, prefixBytes: score.prefixBytes), hostScore, score, order)
        }

        private mutating func score(_ hosts: PreparedHosts) -> Int? {
            if hosts.isEmpty { return 0 }
            let name = host ?? PreparedHosts.hostOnly(head.authority.description)
            host = name
            return hosts.score(name)
        }
    }

    /// `/a/b` has `a`; nil: none, and so nothing can be said by it.
    static func firstSegment(_ path: Substring) -> Substring? {
        guard path.utf8.first == UInt8(ascii: "/") else { return nil }
        let rest = path.dropFirst()
        let segment = rest[..<(rest.utf8.firstIndex(of: UInt8(ascii: "/")) ?? rest.endIndex)]
        return segment.isEmpty ? nil : segment
    }

    static func split(_ target: String) -> (path: Substring, query: Substring) {
        guard let mark = target.firstIndex(of: "?") else { return (Substring(target), "") }
        return (target[..<mark], target[target.index(after: mark)...])
    }
}

/// The hosts of a route in lower case.
struct PreparedHosts {
    private var exact: [String] = []
    /// Labels from the last to the first.
    private var suffixes: [[String]] = []

    init(_ hosts: [HostMatch]) {
        for host in hosts {
            switch host {
            case .exact(let name): exact.append(name.lowercased())
            case .suffix(let labels): suffixes.append(labels.map { $0.lowercased() })
            }
        }
    }

    /// Any host will do.
    var isEmpty: Bool { exact.isEmpty && suffixes.isEmpty }

    /// nil: no match. More is more specific: 0 for any host, then suffixes by their number of labels, then exact.
    /// `host`: as `hostOnly` gives it.
    func score(_ host: String) -> Int? {
        if isEmpty { return 0 }
        if exact.contains(host) { return .max }
        if suffixes.isEmpty { return nil }
        let reversed = host.split(separator: ".").reversed().map(String.init)
        return suffixes.filter { reversed.count > $0.count && reversed.starts(with: $0) }.map { 1 + $0.count }.max()
    }

    /// In lower case and without its port.
    static func hostOnly(_ authority: String) -> String {
        let lower = authority.lowercased()
        if lower.hasPrefix("["), let end = lower.firstIndex(of: "]") { return String(lower[...end]) }
        guard let colon = lower.lastIndex(of: ":") else { return lower }
        return String(lower[..<colon])
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
        case regex(RegularExpression)
        case never

        init(_ text: HTTPMatch.Text) {
            switch text {
            case .exact(let value): self = .exact(value)
            case .regex(let source): self = Pattern(regex: source)
            }
        }

        init(regex source: String) {
            do throws(Refusal) { self = .regex(try RegularExpression(source)) } catch { self = .never }
        }

        func matches(_ text: Substring) -> Bool {
            switch self {
            // Bytes, not characters: a path has no canonical equivalents.
            case .exact(let value): return text.utf8.elementsEqual(value.utf8)
            case .prefix(let prefix):
                guard text.utf8.starts(with: prefix.utf8) else { return false }
                return prefix.hasSuffix("/") || text.utf8.count == prefix.utf8.count || text.utf8[text.utf8.index(text.utf8.startIndex, offsetBy: prefix.utf8.count)] == UInt8(ascii: "/")
            case .regex(let expression): return expression.matchesWhole(text)
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
    /// Every path that it takes begins with this segment; nil: it names none.
    fileprivate var firstSegment: Substring? {
        switch path {
        case .exact(let text)?, .prefix(let text)?: RouteTable.firstSegment(Substring(text))
        case .regex(let expression)?: expression.firstSegment
        case .never?, nil: nil
        }
    }

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

extension RegularExpression {
    /// Every path that it takes begins with this segment; nil: it does not say one to its end.
    var firstSegment: Substring? {
        let text = Substring(String(decoding: prefix, as: UTF8.self))
        guard let segment = RouteTable.firstSegment(text) else { return nil }
        return isLiteral || segment.endIndex < text.endIndex ? segment : nil
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
