// What a route asks for besides forwarding: timeouts, and which outcomes are worth another attempt. Prepared for each rule; a
// request on a route without any of it has no plan and pays for none. Source: linkerd2-proxy outbound http/logical/policy and
// http/retry, shared facts on the data plane 2.12 to 2.14.

import Base
import GRPC
import HTTP

struct RetryPlan {
    var timeouts = Timeouts()
    /// From the start to the head of the response, all attempts among it. A profile's.
    var headTimeout: Interval?
    /// By policy: so many attempts, each after a wait.
    var retry: Retry?
    /// By profile: as many attempts as the budget pays for.
    var budget: RetryBudget?
    /// The application's wishes were honoured, and are nobody else's business.
    var stripsHeaders = false

    /// nil: nothing is asked for.
    init?(_ rule: HTTPRouter.PreparedRule?, _ route: ProfileRoutes.Route?, _ budget: RetryBudget, _ headers: Headers) {
        if let rule {
            timeouts = rule.timeouts
            retry = rule.retry
            if rule.allowsRequestHeaders { honour(headers) }
        }
        if let route {
            headTimeout = route.profile.timeout
            if route.profile.isRetryable { self.budget = budget }
        }
        if timeouts == Timeouts(), headTimeout == nil, retry == nil, self.budget == nil, !stripsHeaders { return nil }
    }

    /// Bytes of a request body that are kept for another attempt.
    var bodyBytesMax: Int { retry?.bodyBytesMax ?? ProxyLimits.replayBodyBytesMax }
    var mayRetry: Bool { retry != nil || budget != nil }

    func isRetryable(status: UInt16) -> Bool { retry?.statuses.contains { $0.contains(status) } ?? false }
    func isRetryable(_ code: GRPCStatus.Code) -> Bool { retry?.grpcCodes.contains(code.rawValue) ?? false }

    // MARK: What the application asks for

    static let headers: [StaticString] = ["l5d-retry-http", "l5d-retry-grpc", "l5d-retry-limit", "l5d-retry-timeout", "l5d-timeout", "l5d-request-timeout", "l5d-response-timeout"]

    /// Values that cannot be read say nothing; a header overrides the route's own.
    private mutating func honour(_ headers: Headers) {
        guard Self.headers.contains(where: { headers.contains($0) }) else { return }
        stripsHeaders = true
        if let time = (headers.first("l5d-request-timeout") ?? headers.first("l5d-timeout")).flatMap(Self.interval) { timeouts.request = time }
        if let time = headers.first("l5d-response-timeout").flatMap(Self.interval) { timeouts.response = time }
        if let text = headers.first("l5d-retry-http"), let ranges = Self.statuses(text) { change { $0.statuses = ranges } }
        if let text = headers.first("l5d-retry-grpc"), let codes = Self.codes(text) { change { $0.grpcCodes = codes } }
        if let text = headers.first("l5d-retry-limit"), let limit = UInt16(text), limit > 0 { change { $0.retriesMax = UInt32(limit) } }
        if let time = headers.first("l5d-retry-timeout").flatMap(Self.interval) { change { $0.timeout = time } }
    }

    private mutating func change(_ body: (inout Retry) -> Void) {
        var changed = retry ?? Retry()
        body(&changed)
        retry = changed
    }

    /// A whole number and ms, s, m, h or d. Source: linkerd2-proxy linkerd/app/outbound/src/http/policy headers (`parse_duration`).
    static func interval(_ text: String) -> Interval? {
        let digits = text.utf8.prefix { $0 >= 48 && $0 <= 57 }
        guard let value = Int64(Substring(digits)), value > 0, value <= 1_000_000 else { return nil }
        switch text.dropFirst(digits.count) {
        case "ms": return .milliseconds(value)
        case "s": return .seconds(value)
        case "m": return .seconds(value * 60)
        case "h": return .seconds(value * 3600)
        case "d" where value <= 10_000: return .seconds(value * 86_400)
        default: return nil
        }
    }

    /// `5xx`, `gateway-error`, a code, or `a-b`, separated by commas; nil when one of them is none of these.
    static func statuses(_ text: String) -> [ClosedRange<UInt16>]? {
        var ranges: [ClosedRange<UInt16>] = []
        for part in text.split(separator: ",") {
            let word = part.filter { $0 != " " }
            let ends = word.split(separator: "-", omittingEmptySubsequences: false).map { UInt16($0) }
            if word == "5xx" {
                ranges.append(500...599)
            } else if word == "gateway-error" {
                ranges.append(502...504)
            } else if ends.count == 1, let code = ends[0], (100...999).contains(code) {
                ranges.append(code...code)
            } else if ends.count == 2, let low = ends[0], let high = ends[1], low >= 100, low <= high, high <= 999 {
                ranges.append(low...high)
            } else {
                return nil
            }
        }
        return ranges
    }

    static func codes(_ text: String) -> [UInt32]? {
        var codes: [UInt32] = []
        for part in text.split(separator: ",") {
            switch part.filter({ $0 != " " }) {
            case "cancelled": codes.append(GRPCStatus.Code.cancelled.rawValue)
            case "deadline-exceeded": codes.append(GRPCStatus.Code.deadlineExceeded.rawValue)
            case "internal": codes.append(GRPCStatus.Code.internal.rawValue)
            case "resource-exhausted": codes.append(GRPCStatus.Code.resourceExhausted.rawValue)
            case "unavailable": codes.append(GRPCStatus.Code.unavailable.rawValue)
            default: return nil
            }
        }
        return codes
    }
}

/// The wait before the next try: doubles from the shortest, with a share more by chance, and never exceeds the longest.
/// Source: linkerd2-proxy linkerd/exp-backoff.
struct JitteredBackoff {
    var min: Interval
    var max: Interval
    /// In hundredths.
    var jitterPercent: UInt32

    /// `failures`: how many tries have failed before the one that just did.
    func wait(_ failures: UInt32, _ random: inout Random) -> Interval {
        var base = Swift.min(min, max)
        for _ in 0..<Swift.min(failures, 40) where base < max { base = Swift.min(max, base * 2) }
        guard jitterPercent > 0 else { return base }
        // Never more than the longest wait, so that the share need not be computed beyond it.
        let share = base.nanoseconds / 100 * Int64(Swift.min(jitterPercent, 10_000))
        return Swift.min(max, base + .nanoseconds(random.within(0...Swift.min(share, max.nanoseconds))))
    }
}
