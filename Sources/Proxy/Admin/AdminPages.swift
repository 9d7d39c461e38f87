// What the admin port answers: probes, metrics, the log's level, the environment, the stop button, and what the proxy knows.
// Absent: profiles and log streams, which Linkerd's own builds leave out by default.
// Source: linkerd2-proxy linkerd/app/admin/src/server; facts 1.5.

import Base
import HTTP
import Platform

/// The page that a request asks for, as a value; the server sends it.
struct AdminAnswer: Equatable {
    var status: UInt16
    var contentType = "text/plain"
    var contentEncoding: String?
    var body: [UInt8] = []
    var allow: String?

    static func text(_ status: UInt16, _ body: String) -> AdminAnswer { AdminAnswer(status: status, body: Array(body.utf8)) }
    static func methodNotAllowed(_ allow: String) -> AdminAnswer { AdminAnswer(status: 405, allow: allow) }
    static let loopbackOnly = AdminAnswer.text(403, "this is only permitted from localhost\n")
}

final class AdminPages {
    /// What the pages are made of; given by whoever assembles the proxy.
    struct Sources {
        var isReady: () -> Bool
        /// Every loop's, at once or later.
        var metrics: (@escaping (MetricsSnapshot) -> Void) -> Void
        var state: () -> String
        var shutdown: () -> Void
    }

    private let settings: Settings
    private let control: Log.Control
    private let isShutdownEnabled: Bool
    private let sources: Sources

    init(settings: Settings, control: Log.Control, isShutdownEnabled: Bool, sources: Sources) {
        self.settings = settings
        self.control = control
        self.isShutdownEnabled = isShutdownEnabled
        self.sources = sources
    }

    /// Whether the answer needs the request's body.
    func wantsBody(_ head: RequestHead) -> Bool { head.method == .put && Self.path(head).path == "/proxy-log-level" }

    /// Calls `then` once, at once or later.
    func answer(_ head: RequestHead, body: [UInt8] = [], isLoopback: Bool, then: @escaping (AdminAnswer) -> Void) {
        guard Self.path(head).path == "/metrics" else { return then(answer(head, body: body, isLoopback: isLoopback)) }
        sources.metrics { snapshot in then(Self.metrics(snapshot, head.headers)) }
    }

    private static func metrics(_ snapshot: MetricsSnapshot, _ headers: Headers) -> AdminAnswer {
        let format: MetricsSnapshot.Format = headers.all("accept").contains { $0.contains("application/openmetrics-text") } ? .openMetrics : .text
        let text = snapshot.exposition(format)
        let isZipped = headers.all("accept-encoding").contains { Self.takesGzip($0) }
        return AdminAnswer(status: 200, contentType: format.contentType, contentEncoding: isZipped ? "gzip" : nil, body: isZipped ? Gzip.compress(text) : text)
    }

    /// RFC 9110 section 12.5.3; a weight of zero forbids.
    private static func takesGzip(_ field: String) -> Bool {
        field.split(separator: ",").contains { part in
            let words = part.split(separator: ";").map { $0.filter { $0 != " " && $0 != "\t" }.lowercased() }
            guard words.first == "gzip" || words.first == "*" else { return false }
            return !words.dropFirst().contains { $0.hasPrefix("q=0") && !$0.dropFirst(3).contains { ("1"..."9").contains($0) } }
        }
    }

    private func answer(_ head: RequestHead, body: [UInt8], isLoopback: Bool) -> AdminAnswer {
        let (path, query) = Self.path(head)
        switch path {
        case "/live": return .text(200, "live\n")
        case "/ready": return sources.isReady() ? .text(200, "ready\n") : .text(503, "not ready\n")
        case "/proxy-log-level": return isLoopback ? logLevel(head.method, body) : .loopbackOnly
        case "/env.json": return head.method == .get ? environment(query) : .methodNotAllowed("GET")
        case "/shutdown":
            if head.method != .post { return .methodNotAllowed("POST") }
            if !isLoopback { return .loopbackOnly }
            if !isShutdownEnabled { return .text(404, "shutdown endpoint is not enabled\n") }
            sources.shutdown()
            return .text(200, "shutdown\n")
        case "/debug/state":
            if head.method != .get { return .methodNotAllowed("GET") }
            return isLoopback ? AdminAnswer(status: 200, contentType: "application/json", body: Array(sources.state().utf8)) : .loopbackOnly
        default: return AdminAnswer(status: 404)
        }
    }

    private func logLevel(_ method: HTTPMethod, _ body: [UInt8]) -> AdminAnswer {
        switch method {
        case .get: return .text(200, control.filter.text + "\n")
        case .put:
            guard let text = String(validating: body, as: UTF8.self) else { return .text(400, "the filter is not UTF-8\n") }
            let filter = LogFilter(text.split(whereSeparator: \.isWhitespace).joined(separator: " "))
            if filter.text.isEmpty { return .text(400, "the filter is empty; try warn,linkerd=debug\n") }
            if let wrong = filter.refused.first { return .text(400, "directive \"\(wrong.prefix(200))\" cannot be read; try warn,linkerd=debug\n") }
            control.filter = filter
            return AdminAnswer(status: 204)
        default: return .methodNotAllowed("GET, PUT")
        }
    }

    /// All variables, or those that the query names; null for one that is not set.
    private func environment(_ query: Substring) -> AdminAnswer {
        var json = JSONText()
        json.object { object in
            if query.isEmpty {
                var seen: Set<String> = []
                for (name, _) in settings.environment where seen.insert(name).inserted { object.member(name, settings[name]) }
            } else {
                for part in query.split(separator: "&") {
                    let name = String(part.prefix { $0 != "=" })
                    object.member(name, settings[name])
                }
            }
        }
        return AdminAnswer(status: 200, contentType: "application/json", body: Array((json.text + "\n").utf8))
    }

    private static func path(_ head: RequestHead) -> (path: Substring, query: Substring) { RouteTable.split("\(head.path)") }
}
