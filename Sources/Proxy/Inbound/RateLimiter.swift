// How many requests a second this instance lets in: of all clients together, and of each identity. A quota refills evenly and
// holds one second's worth. Source: linkerd2-proxy inbound policy http local rate limit (governor's GCRA); facts 3.6.

import Base
import OrderedCollections

/// One quota. Unit: requests per second.
struct RateQuota {
    private let period: Int64
    /// When it would be whole again.
    private var whole: Instant

    /// `rate` above 0.
    init(_ rate: UInt32, now: Instant) {
        period = max(1, 1_000_000_000 / Int64(max(1, rate)))
        whole = now
    }

    mutating func take(now: Instant) -> Bool {
        let next = max(whole, now) + .nanoseconds(period)
        guard (next - now).nanoseconds <= 1_000_000_000 else { return false }
        whole = next
        return true
    }

    func isWhole(now: Instant) -> Bool { whole <= now }
}

final class RateLimiter {
    /// Which limit was passed.
    struct Rejection: Equatable {
        /// `total` or `identity`: the label.
        var scope: String
        var requestsPerSecond: UInt32

        var message: String { "rate-limited: \(scope) limit of \(requestsPerSecond) requests per second" }
    }

    let limit: InboundPolicy.RateLimit
    private var total: RateQuota?
    /// One for each override, shared by the identities that it names.
    private var overrides: [RateQuota]
    private var table: OrderedDictionary<String, RateQuota> = [:]
    private var nameless: RateQuota?

    init(_ limit: InboundPolicy.RateLimit, now: Instant) {
        self.limit = limit
        total = limit.total.flatMap { $0 > 0 ? RateQuota($0, now: now) : nil }
        overrides = limit.overrides.map { RateQuota($0.requestsPerSecond, now: now) }
        nameless = limit.identity.flatMap { $0 > 0 ? RateQuota($0, now: now) : nil }
    }

    /// nil: the request may pass, and is counted against its quotas.
    func check(_ identity: String?, now: Instant) -> Rejection? {
        if total != nil, !total!.take(now: now) { return Rejection(scope: "total", requestsPerSecond: limit.total ?? 0) }
        if let identity, let index = limit.overrides.firstIndex(where: { $0.identities.contains(identity) }) {
            return overrides[index].take(now: now) ? nil : Rejection(scope: "identity", requestsPerSecond: limit.overrides[index].requestsPerSecond)
        }
        guard let rate = limit.identity, rate > 0 else { return nil }
        return take(identity, rate, now) ? nil : Rejection(scope: "identity", requestsPerSecond: rate)
    }

    private func take(_ identity: String?, _ rate: UInt32, _ now: Instant) -> Bool {
        guard let identity else { return nameless!.take(now: now) }
        if table[identity] == nil {
            if table.count >= ProxyLimits.rateLimitIdentitiesMax { table.removeAll { $0.value.isWhole(now: now) } }
            // More clients than we count one by one: the rest share a quota with those that have no name.
            if table.count >= ProxyLimits.rateLimitIdentitiesMax { return nameless!.take(now: now) }
            table[identity] = RateQuota(rate, now: now)
        }
        return table[identity]!.take(now: now)
    }
}
