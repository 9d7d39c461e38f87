// Timeouts, retries, breakers and rate limits, face to face over two proxies, and their parts alone.

import Base
import GRPC
import HTTP
import Platform
import Simulator
import TLS
import Testing
import Transport

@testable import Proxy

private let authority = "api.demo.svc.cluster.local:80"

private func target(accrual: FailureAccrual? = nil, _ change: (inout HTTPRoute.Rule) -> Void) -> OutboundTarget {
    let backend = Backend(kind: .balance(authority))
    var rule = HTTPRoute.Rule(backends: .firstAvailable([backend]))
    change(&rule)
    let routing = HTTPRouting(routes: [HTTPRoute(rules: [rule])], failureAccrual: accrual)
    return OutboundTarget(profile: nil, policy: OutboundPolicy(kind: .detect(http1: routing, http2: routing, opaque: [])))
}

private func profile(_ change: (inout ServiceProfile.Route) -> Void, budget: ServiceProfile.Budget = ServiceProfile.Budget()) -> OutboundTarget {
    var target = target { _ in }
    var route = ServiceProfile.Route(condition: .all([]))
    change(&route)
    target.profile = ServiceProfile(fullyQualifiedName: "api.demo.svc.cluster.local", routes: [route], budget: budget)
    return target
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

extension Pair {
    /// A sample of the client's proxy whose line begins with `family{` and has all of `labels`.
    fileprivate func sample(_ family: String, _ labels: String...) -> String? {
        let lines = registries.web.exposition().split(separator: "\n").filter { line in line.hasPrefix(family + "{") && labels.allSatisfy { line.contains($0) } }
        return lines.first?.split(separator: " ").last.map(String.init)
    }
}

@Suite struct TimeoutTests {
    @Test func `a request that takes too long is answered 504 when its time is over`() throws {
        let pair = try Pair(target: target { $0.timeouts.request = .milliseconds(200) }, policy: open)
        pair.echo!.script = { $0 == 0 ? .init(delay: .seconds(5)) : .init() }
        let started = pair.world.now
        let answer = pair.send(get())
        let took = pair.world.now - started
        #expect(answer.head?.status == 504 && took >= .milliseconds(200) && took < .milliseconds(220), "\(took)")
        #expect(answer.head?.headers.first("l5d-proxy-connection") == nil, "a timeout does not end the connection")
        #expect(pair.send(get()).head?.status == 200)
        #expect(pair.sample("outbound_http_route_request_statuses_total", "error=\"REQUEST_TIMEOUT\"") == "1")
        #expect(pair.sample("outbound_http_errors_total", "error=\"response timeout\"") == "1")
        finish(pair)
    }

    @Test func `each timeout has its own clock and label`() throws {
        let cases: [(Timeouts, String)] = [(Timeouts(response: .milliseconds(100)), "RESPONSE_STREAM_TIMEOUT"), (Timeouts(idle: .milliseconds(100)), "IDLE_TIMEOUT")]
        for (timeouts, label) in cases {
            let pair = try Pair(target: target { $0.timeouts = timeouts }, policy: open)
            pair.echo!.script = { _ in .init(delay: .seconds(2)) }
            #expect(pair.send(get()).head?.status == 504)
            #expect(pair.sample("outbound_http_route_request_statuses_total", "error=\"\(label)\"") == "1")
            finish(pair)
        }
    }

    @Test func `a response under way is broken off`() throws {
        let pair = try Pair(target: target { $0.timeouts.request = .milliseconds(200) }, policy: open)
        pair.echo!.script = { _ in .init(stalls: true) }
        let answer = pair.send(get())
        #expect(answer.head?.status == 200 && answer.failure != nil)
        finish(pair)
    }

    @Test func `a gRPC call gets DEADLINE_EXCEEDED, in trailers when it is under way`() throws {
        for stalls in [false, true] {
            let pair = try Pair(target: target { $0.timeouts.request = .milliseconds(200) }, policy: open)
            pair.echo!.script = { _ in .init(delay: stalls ? .zero : .seconds(2), stalls: true) }
            let answer = pair.send(get("/a.B/C", ["content-type": "application/grpc"], version: .http2), version: .http2)
            #expect(answer.head?.status == 200)
            #expect((stalls ? answer.trailers : answer.head?.headers)?.first("grpc-status") == "4")
            finish(pair)
        }
    }

    @Test func `a profile's timeout covers the head alone`() throws {
        let pair = try Pair(target: profile { $0.timeout = .milliseconds(100) }, policy: open)
        pair.echo!.script = { $0 == 0 ? .init(delay: .seconds(2)) : .init() }
        #expect(pair.send(get()).head?.status == 504)
        #expect(pair.sample("route_response_total", "error=\"timeout\"", "classification=\"failure\"") == "1")
        #expect(pair.send(get()).head?.status == 200)
        finish(pair)
    }
}

@Suite struct RetryTests {
    @Test func `a failing status is hidden by another attempt that gets the same body`() throws {
        let pair = try Pair(target: target { $0.retry = Retry(retriesMax: 2, statuses: [500...599]) }, policy: open)
        pair.echo!.script = { .init(status: $0 < 2 ? 503 : 200) }
        let body = (0..<40_000).map { UInt8(truncatingIfNeeded: $0) }
        let answer = pair.send(RequestHead(method: .post, authority: "api.demo", path: "/", headers: ["content-length": "\(body.count)"]), body: body)
        #expect(answer.head?.status == 200 && answer.body == body)
        #expect(pair.echo!.completed == [body, body, body])
        #expect(pair.sample("outbound_http_route_retry_requests_total") == "2" && pair.sample("outbound_http_route_retry_successes_total") == "1")
        #expect(pair.sample("outbound_http_route_request_statuses_total", "http_status=\"200\"") == "1")
        #expect(pair.sample("outbound_http_route_backend_response_statuses_total", "http_status=\"503\"") == "2")
        finish(pair)
    }

    @Test func `the limit ends it and the last answer is the caller's`() throws {
        let pair = try Pair(target: target { $0.retry = Retry(retriesMax: 2, statuses: [500...599]) }, policy: open)
        pair.echo!.script = { .init(status: 500 + UInt16($0)) }
        #expect(pair.send(get()).head?.status == 502)
        #expect(pair.echo!.heads.count == 3)
        #expect(pair.sample("outbound_http_route_retry_limit_exceeded_total") == "1")
        finish(pair)
    }

    @Test func `other statuses, long bodies and answers under way are not tried again`() throws {
        let pair = try Pair(target: target { $0.retry = Retry(retriesMax: 2, statuses: [503...503]) }, policy: open)
        pair.echo!.script = { .init(status: $0 == 0 ? 500 : 503) }
        #expect(pair.send(get()).head?.status == 500)
        let body = [UInt8](repeating: 7, count: 70_000)
        #expect(pair.send(RequestHead(method: .post, authority: "api.demo", path: "/", headers: ["content-length": "70000"]), body: body).head?.status == 503)
        #expect(pair.echo!.heads.count == 2)
        finish(pair)
    }

    @Test func `an attempt that takes too long is followed by another, the last without that limit`() throws {
        let pair = try Pair(target: target { $0.retry = Retry(retriesMax: 1, timeout: .milliseconds(100)) }, policy: open)
        pair.echo!.script = { .init(delay: $0 == 0 ? .seconds(5) : .milliseconds(500)) }
        #expect(pair.send(get()).head?.status == 200)
        #expect(pair.echo!.heads.count == 2)
        #expect(pair.sample("outbound_http_route_backend_response_statuses_total", "error=\"RESPONSE_HEADERS_TIMEOUT\"") == "1")
        finish(pair)
    }

    @Test func `a gRPC code in the trailers is tried again before the caller sees the head`() throws {
        let pair = try Pair(target: target { $0.retry = Retry(retriesMax: 1, grpcCodes: [14]) }, policy: open)
        pair.echo!.script = { .init(trailers: ["grpc-status": $0 == 0 ? "14" : "0"]) }
        let answer = pair.send(get("/a.B/C", ["content-type": "application/grpc"], version: .http2), version: .http2)
        #expect(answer.head?.status == 200 && answer.trailers?.first("grpc-status") == "0")
        #expect(pair.echo!.heads.count == 2)
        finish(pair)
    }

    @Test func `the application's headers are honoured and taken out where the route allows them`() throws {
        for allows in [true, false] {
            let pair = try Pair(target: target { $0.allowsRequestHeaders = allows }, policy: open)
            pair.echo!.script = { .init(status: $0 == 0 ? 503 : 200) }
            let answer = pair.send(get("/", ["l5d-retry-http": "5xx", "l5d-timeout": "3s"]))
            #expect(answer.head?.status == (allows ? 200 : 503))
            #expect(pair.echo!.heads.allSatisfy { $0.headers.contains("l5d-retry-http") != allows })
            finish(pair)
        }
    }

    @Test func `a profile's retries are paid from its budget`() throws {
        let budget = ServiceProfile.Budget(ratioPermille: 0, retriesPerSecondMin: 1, ttl: .seconds(3))
        let pair = try Pair(target: profile({ $0.isRetryable = true }, budget: budget), policy: open)
        pair.echo!.script = { .init(status: $0 == 0 ? 503 : 200) }
        #expect(pair.send(get()).head?.status == 200)
        pair.echo!.script = { _ in .init(status: 503) }
        let before = pair.echo!.heads.count
        #expect(pair.send(get()).head?.status == 503)
        #expect(pair.echo!.heads.count - before == 3, "two more are paid for")
        #expect(pair.sample("route_actual_request_total") == "5" && pair.sample("route_request_total") == "2")
        finish(pair)
    }

    @Test func `a budget pays its reserve, its share, and forgets`() {
        let budget = RetryBudget(terms: .init(ratioPermille: 200, retriesPerSecondMin: 0, ttl: .seconds(10)), now: .zero)
        var now = Instant.zero
        #expect(!budget.withdraw(now: now))
        for _ in 0..<10 { budget.deposit(now: now) }
        #expect(budget.withdraw(now: now) && budget.withdraw(now: now) && !budget.withdraw(now: now))
        for _ in 0..<5 { budget.deposit(now: now) }
        now = now + .seconds(11)
        #expect(!budget.withdraw(now: now), "what was deposited has expired")
    }

    @Test func `waits double, and never exceed the longest`() {
        var random = Random(seed: 1)
        let plain = JitteredBackoff(min: .milliseconds(25), max: .milliseconds(250), jitterPercent: 0)
        let doubling = (0..<6).map { plain.wait($0, &random) }
        #expect(doubling == [25, 50, 100, 200, 250, 250].map { .milliseconds($0) })
        let jittered = JitteredBackoff(min: .milliseconds(25), max: .milliseconds(250), jitterPercent: 100)
        let waits = (0..<50).map { _ in jittered.wait(1, &random) }
        #expect(waits.allSatisfy { $0 >= .milliseconds(50) && $0 <= .milliseconds(100) } && waits.min()! < .milliseconds(60) && waits.max()! > .milliseconds(90))
    }

    @Test func `header values are read or say nothing`() {
        #expect(RetryPlan.interval("150ms") == .milliseconds(150) && RetryPlan.interval("2m") == .seconds(120))
        for bad in ["", "1", "s", "-1s", "1.5s", "0s"] { #expect(RetryPlan.interval(bad) == nil, "\(bad)") }
        #expect(RetryPlan.statuses("5xx, 429,400-404")?.count == 3 && RetryPlan.statuses("5xx,nine") == nil)
        #expect(RetryPlan.codes("unavailable, internal") == [14, 13] && RetryPlan.codes("ok") == nil)
    }
}

@Suite struct BreakerTests {
    private static var accrual: FailureAccrual { FailureAccrual(failuresMax: 2, backoffMin: .seconds(1), backoffMax: .seconds(4), jitterPercent: 0) }

    @Test func `after failures in a row an endpoint is left alone, probed, and opened again`() throws {
        let pair = try Pair(target: target(accrual: Self.accrual) { _ in }, policy: open)
        pair.echo!.script = { .init(status: $0 < 3 ? 500 : 200) }
        #expect(pair.send(get()).head?.status == 500)
        #expect(pair.send(get()).head?.status == 500)
        let shut = pair.world.now
        // The probe, after one second; it fails, so the gate stays shut for two.
        #expect(pair.send(get()).head?.status == 500)
        #expect(pair.world.now - shut >= .milliseconds(990) && pair.world.now - shut < .milliseconds(1100), "\(pair.world.now - shut)")
        let again = pair.world.now
        #expect(pair.send(get()).head?.status == 200)
        #expect(pair.world.now - again >= .milliseconds(1990) && pair.world.now - again < .milliseconds(2100), "\(pair.world.now - again)")
        let opened = pair.world.now
        #expect(pair.send(get()).head?.status == 200)
        #expect(pair.world.now - opened < .milliseconds(100))
        finish(pair)
    }

    @Test func `a success rate needs enough requests, slides, and trips`() {
        var window = SuccessRateWindow(.init(threshold: 8000, window: .seconds(10), requestsMin: 5), now: .zero)
        var now = Instant.zero
        func trips(_ outcomes: Bool...) -> [Bool] { outcomes.map { window.record(success: $0, now) } }
        #expect(trips(false, false, false, false, false) == [false, false, false, false, true], "four are too few")
        now = now + .seconds(11)
        #expect(trips(true, true, true, true, true, true, true, true) == [Bool](repeating: false, count: 8))
        #expect(trips(false, false, false) == [false, false, true], "eight of ten is enough")
    }
}

@Suite struct RateLimitTests {
    @Test func `more than the limit gets 429, and a second later they are let in again`() throws {
        var policy = open
        policy.rateLimit = .init(name: ResourceName(group: "policy.linkerd.io", kind: "httplocalratelimitpolicy", name: "api"), total: 3)
        let pair = try Pair(target: target { _ in }, policy: policy)
        var statuses = (0..<5).map { _ in pair.send(get()).head?.status }
        #expect(statuses == [200, 200, 200, 429, 429])
        #expect(pair.echo!.heads.count == 3)
        #expect(pair.registries.api.exposition().contains("ratelimit_name=\"api\",ratelimit_scope=\"total\"} 2"))
        pair.world.run(for: .seconds(1))
        statuses = (0..<4).map { _ in pair.send(get()).head?.status }
        #expect(statuses == [200, 200, 200, 429])
        finish(pair)
    }

    @Test func `identities have quotas of their own, named ones theirs, and the nameless share one`() {
        let limit = InboundPolicy.RateLimit(total: nil, identity: 2, overrides: [.init(requestsPerSecond: 4, identities: ["fast"])])
        let limiter = RateLimiter(limit, now: .zero)
        func passes(_ identity: String?) -> Int { (0..<10).count { _ in limiter.check(identity, now: .zero) == nil } }
        #expect(passes("a") == 2 && passes("b") == 2 && passes("fast") == 4 && passes(nil) == 2 && passes(nil) == 0)
        #expect(limiter.check("a", now: .zero) == RateLimiter.Rejection(scope: "identity", requestsPerSecond: 2))
        #expect(limiter.check("a", now: Instant(nanoseconds: 500_000_000)) == nil, "half a second gives one of two back")
        #expect(limiter.check("a", now: Instant(nanoseconds: 500_000_000)) != nil)
    }

    @Test func `identities beyond the bound share a quota until others are whole again`() {
        let limiter = RateLimiter(InboundPolicy.RateLimit(identity: 1), now: .zero)
        for i in 0..<ProxyLimits.rateLimitIdentitiesMax { #expect(limiter.check("\(i)", now: .zero) == nil) }
        #expect(limiter.check("x", now: .zero) == nil && limiter.check("y", now: .zero) != nil)
        let later = Instant(nanoseconds: 2_000_000_000)
        #expect(limiter.check("x", now: later) == nil && limiter.check("y", now: later) == nil)
    }
}
