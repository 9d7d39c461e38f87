// Routes and their filters: which rule takes a request, where a redirect leads, what filters change on the way there and back, and how
// failures count as load.

import Base
import GRPC
import HTTP
import Platform
import Simulator
import Testing

@testable import Proxy

private let authority = "api.demo.svc.cluster.local:80"

private func target(_ change: (inout HTTPRoute.Rule, inout Backend) -> Void) -> OutboundTarget {
    var backend = Backend(kind: .balance(authority))
    var rule = HTTPRoute.Rule()
    change(&rule, &backend)
    rule.backends = .firstAvailable([backend])
    let routing = HTTPRouting(routes: [HTTPRoute(rules: [rule])])
    return OutboundTarget(profile: nil, policy: OutboundPolicy(kind: .detect(http1: routing, http2: routing, opaque: [])))
}

private var open: InboundPolicy {
    var policy = InboundPolicy(kind: .detect(timeout: .seconds(10), [InboundRoute(rules: [InboundRoute.Rule()])]))
    policy.authorizations = [Authorization(networks: [Authorization.Network(net: IPNetwork(.any, prefixBits: 0))], authentication: .anyone)]
    return policy
}

private func get(_ path: String = "/", _ headers: Headers = [:], version: HTTPVersion = .http11) -> RequestHead {
    RequestHead(method: .get, authority: "api.demo", path: HTTPText(path), headers: headers, version: version)
}

private func finish(_ pair: Pair) {
    let verdict = pair.end()
    #expect(verdict.passes, "\(verdict)")
    #expect(pair.discovery.uses == 0)
}

@Suite struct RouteTableTests {
    /// Every match of every rule looked at, in order: what the table must find without doing so.
    private func slow(_ routes: [(hosts: [HostMatch], rules: [[HTTPMatch]])], _ head: RequestHead) -> RuleIndex? {
        let (path, query) = RouteTable.split(head.path.description)
        var best: (index: RuleIndex, host: Int, score: MatchScore)?
        for (r, route) in routes.enumerated() {
            guard let host = PreparedHosts(route.hosts).score(PreparedHosts.hostOnly(head.authority.description)) else { continue }
            for (i, matches) in route.rules.enumerated() {
                for match in matches.isEmpty ? [HTTPMatch()] : matches {
                    guard let score = PreparedMatch(match).score(head, path: path, query: query) else { continue }
                    if let best, (best.host, best.score) >= (host, score) { continue }
                    best = (RuleIndex(route: r, rule: i, prefixBytes: score.prefixBytes), host, score)
                }
            }
        }
        return best?.index
    }

    @Test(arguments: 0..<20) func `finds what looking at every match would find`(seed: UInt64) {
        var random = Random(seed: seed)
        func pick<T>(_ choices: [T]) -> T { choices[random.below(choices.count)] }
        let paths = ["", "/", "/a", "/a/", "/a/b", "/b", "//a", "/a/b/c", "a", "/%61", "*", "/caf\u{e9}", "/cafe\u{301}"]
        func match() -> HTTPMatch {
            var match = HTTPMatch()
            match.path = pick([nil, .exact(pick(paths)), .prefix(pick(paths)), .prefix(pick(paths)), .regex(pick(["/a.*", "/[ab]", ".*", "("]))])
            if random.chance(1, in: 4) { match.method = pick([.get, .post]) }
            if random.chance(1, in: 5) { match.headers = [(name: "x-a", value: .exact("1"))] }
            return match
        }
        for _ in 0..<50 {
            let hosts: [[HostMatch]] = [[], [], [.exact("API.demo")], [.suffix(["demo"])], [.exact("other"), .suffix(["demo"])]]
            let routes = (0..<(1 + random.below(6))).map { _ in (hosts: pick(hosts), rules: (0..<(1 + random.below(3))).map { _ in (0..<random.below(4)).map { _ in match() } }) }
            let table = RouteTable(routes)
            for _ in 0..<20 {
                let head = RequestHead(
                    method: pick([.get, .post]), authority: HTTPText(pick(["api.demo", "API.demo:80", "x.y.demo", "demo", "[::1]:80", ""])), path: HTTPText(pick(paths) + pick(["", "/x", "?q=/b"])),
                    headers: pick([[:], ["x-a": "1"]]))
                #expect(table.find(head) == slow(routes, head), "\(head.authority) \(head.path) in \(routes)")
            }
        }
    }
}

@Suite struct ProfileRoutesTests {
    @Test(arguments: 0..<20) func `the first route of the list that fits takes a request`(seed: UInt64) {
        var random = Random(seed: seed)
        func pick<T>(_ choices: [T]) -> T { choices[random.below(choices.count)] }
        typealias Condition = ServiceProfile.Route.Condition
        func condition(_ depth: Int) -> Condition {
            switch random.below(depth > 2 ? 2 : 5) {
            case 0: .method(pick([.get, .post]))
            case 1: .path(regex: pick(["/a", "/a/.*", "/a.*", "/b/[^/]*", ".*", "/", "(/a|/b)", "/a/b", "(?i)/A/b", "("]))
            case 2: .any((0..<random.below(3)).map { _ in condition(depth + 1) })
            case 3: .not(condition(depth + 1))
            default: .all((0..<random.below(3)).map { _ in condition(depth + 1) })
            }
        }
        for _ in 0..<50 {
            var profile = ServiceProfile()
            profile.routes = (0..<(1 + random.below(8))).map { i in
                var route = ServiceProfile.Route(condition: condition(0))
                route.labels = [Label(name: "route", value: "\(i)")]
                return route
            }
            let routes = ProfileRoutes(profile, name: "web:80", direction: "outbound", registry: MetricsRegistry())
            for _ in 0..<20 {
                let head = RequestHead(method: pick([.get, .post]), authority: "web", path: HTTPText(pick(["/", "/a", "/a/b", "/A/b", "/ab", "/b/", "/b/c", "/b/c/d", "*", "/a?x=/b"])))
                let path = RouteTable.split(head.path.description).path
                let expected = profile.routes.first { ProfileRoutes.Prepared($0.condition).matches(head.method, path) }
                #expect(routes.find(head).profile.labels.map(\.value) == expected?.labels.map(\.value) ?? [], "\(head.method) \(head.path) of \(profile.routes.map(\.condition))")
            }
        }
    }
}

@Suite struct RedirectTests {
    @Test(arguments: [
        ("/foo/bar", "/foo", "/xyz", "/xyz/bar"), ("/foo", "/foo", "/xyz", "/xyz"), ("/foo/", "/foo", "/xyz", "/xyz/"), ("/foo/bar", "/foo", "/", "/bar"),
        ("/foo/bar", "/foo/", "/xyz", "/xyz/bar"), ("/foo", "/foo", "/", "/"), ("/foo/bar?q=1", "/foo", "/xyz/", "/xyz/bar?q=1"), ("/foo/bar", "/foo", "", "/bar"),
    ])
    func `a matched prefix is replaced, and what follows it stays`(_ path: String, _ prefix: String, _ new: String, _ expected: String) throws {
        let table = RouteTable([([], [[HTTPMatch(path: .prefix(prefix))]])])
        let found = try #require(table.find(get(path)))
        #expect(found.prefixBytes == prefix.utf8.count)
        let redirect = HTTPFilter.Redirect(path: .prefix(new))
        #expect(redirect.outcome(get(path), prefixBytes: found.prefixBytes) == .location("http://api.demo\(expected)"))
    }

    @Test func `a prefix is not replaced where none was matched`() {
        #expect(HTTPFilter.Redirect(path: .prefix("/new")).outcome(get("/old"), prefixBytes: nil) == .invalid)
        #expect(HTTPFilter.Redirect(path: .full("/old")).outcome(get("/old"), prefixBytes: nil) == .same)
    }

    @Test func `the caller is sent elsewhere, and a gRPC call fails`() throws {
        let pair = try Pair(target: target { rule, _ in rule.filters = [.redirect(HTTPFilter.Redirect(scheme: .https, host: "other.example", port: 8443, status: 302))] }, policy: open)
        let answer = pair.send(get("/a?b=c"))
        #expect(answer.head?.status == 302 && answer.head?.headers.first("location") == "https://other.example:8443/a?b=c")
        let call = pair.send(get("/a.B/C", ["content-type": "application/grpc"], version: .http2))
        #expect(call.head?.status == 302, "over HTTP/1 there is no gRPC")
        finish(pair)
    }
}

@Suite struct FilterTests {
    @Test func `route and backend change heads in turn, both ways, and the backend is inside`() throws {
        let change = { (name: String) in
            (
                HTTPFilter.requestHeaders(.init(add: [Label(name: "x-order", value: name)], set: [Label(name: "x-set", value: name)], remove: ["x-\(name)"])),
                HTTPFilter.responseHeaders(.init(add: [Label(name: "x-order", value: name)], set: [Label(name: "x-set", value: name)], remove: ["x-echo"]))
            )
        }
        let pair = try Pair(
            target: target { rule, backend in
                (rule.filters, backend.filters) = ([change("route").0, change("route").1], [change("backend").0, change("backend").1])
            }, policy: open)
        let answer = pair.send(get("/", ["x-route": "1", "x-backend": "1", "x-kept": "1", "x-set": "application"]))
        let asked = try #require(pair.echo?.heads.first?.headers)
        #expect(Array(asked.all("x-order")) == ["route", "backend"] && Array(asked.all("x-set")) == ["backend"])
        #expect(!asked.contains("x-route") && !asked.contains("x-backend") && asked.contains("x-kept"))
        let told = try #require(answer.head?.headers)
        #expect(Array(told.all("x-order")) == ["backend", "route"] && Array(told.all("x-set")) == ["route"] && !told.contains("x-echo"))
        finish(pair)
    }

    @Test func `what the proxy refuses by itself is not changed, what the endpoint fails is`() throws {
        let filter = HTTPFilter.responseHeaders(.init(set: [Label(name: "x-filter", value: "yes")]))
        let pair = try Pair(target: target { rule, _ in (rule.filters, rule.timeouts.request) = ([filter], .milliseconds(100)) }, policy: open)
        pair.echo!.script = { _ in .init(delay: .seconds(1)) }
        let late = pair.send(get())
        #expect(late.head?.status == 504 && late.head?.headers.contains("x-filter") == false)
        finish(pair)
    }

    @Test func `a route without backends sheds`() throws {
        var empty = target { _, _ in }
        let routing = HTTPRouting(routes: [HTTPRoute(rules: [HTTPRoute.Rule(backends: .empty)])])
        empty.policy.kind = .detect(http1: routing, http2: routing, opaque: [])
        let pair = try Pair(target: empty, policy: open)
        #expect(pair.send(get()).head?.status == 503)
        finish(pair)
    }
}

@Suite struct PenaltyTests {
    private func head(_ status: UInt16, _ headers: Headers = [:]) -> ResponseHead { ResponseHead(status: status, headers: headers) }

    @Test func `an endpoint says how long to leave it alone`() {
        let now = WallTime(httpDate: "Sun, 06 Nov 1994 08:49:37 GMT")!
        #expect("\(now)" == "1994-11-06T08:49:37Z")
        #expect(HTTPEndpoint.hint(head(503, ["retry-after": "120"]), nil, at: now) == .seconds(120))
        #expect(HTTPEndpoint.hint(head(429, ["retry-after": "Sun, 06 Nov 1994 08:50:37 GMT"]), nil, at: now) == .seconds(60))
        #expect(HTTPEndpoint.hint(head(200, ["grpc-retry-pushback-ms": "250"]), .unavailable, at: now) == .milliseconds(250))
        for bad in ["", "soon", "-1", "99999999999999999999", "Sun, 31 Feb 1994 08:50:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT"] {
            #expect(HTTPEndpoint.hint(head(503, ["retry-after": bad]), nil, at: now) == nil, "\(bad)")
        }
        #expect(HTTPEndpoint.hint(head(500, ["retry-after": "120"]), nil, at: now) == nil, "only 429 and 503 may ask")
    }

    @Test func `a failure never makes an endpoint look better`() {
        var load = PeakEWMA(now: .zero, rtt: .seconds(20), decay: .seconds(10))
        load.penalize(.seconds(5), now: .zero)
        #expect(load.load(now: .zero) > 19_000_000_000)
        load.penalize(.seconds(300), now: .zero)
        #expect(load.load(now: .zero) > 299_000_000_000)
    }
}

@Suite struct RelayTests {
    /// What was read to detect the protocol follows the transport header, also when the client has already finished.
    @Test(arguments: [1, 9000]) func `bytes that are no HTTP cross two proxies whole`(_ count: Int) throws {
        var opaque = target { _, _ in }
        if case .detect(let http1, let http2, _) = opaque.policy.kind {
            opaque.policy.kind = .detect(http1: http1, http2: http2, opaque: [OpaqueRoute(backends: .firstAvailable([Backend(kind: .balance(authority))]))])
        }
        let pair = try Pair(target: opaque, policy: open)
        let said = [0x01] + (1..<count).map { UInt8(truncatingIfNeeded: $0) }
        let listener = Gatherer()
        // The server hears HTTP's rules broken and answers 400, so what it got is read from its answer's being there at all.
        pair.client.run {
            let connection = pair.client.network.connect(to: Pair.service, options: .init(timeout: .seconds(5)), handler: listener)
            listener.bytes = said
            _ = connection
        }
        pair.world.run(until: { listener.isOver }, limit: .seconds(30), awaiting: "the end")
        #expect(String(decoding: listener.heard, as: UTF8.self).hasPrefix("HTTP/1.1 400"), "\(listener.heard.count) bytes")
        #expect(pair.registries.api.exposition().contains("inbound_tcp_transport_header_connections_total{session_protocol=\"\",target_port=\"8080\""))
        finish(pair)
    }
}

private final class Gatherer: ConnectionHandler {
    var bytes: [UInt8] = []
    var heard: [UInt8] = []
    var isOver = false

    func connected(_ connection: any Connection) {
        let said = bytes
        connection.send(said.span.bytes)
        connection.finish()
    }
    func received(_ span: RawSpan, on connection: any Connection) { heard += span.array() }
    func finished(_ connection: any Connection) {
        isOver = true
        connection.close()
    }
    func closed(_ connection: any Connection, _ failure: HostFailure?) { isOver = true }
}
