// When each request is due. An open loop asks at its own times, whatever the answers do; so a stall of the asked one shows in the
// latency of every request that was due meanwhile, and not only of the few that were under way (coordinated omission: Gil Tene,
// "How NOT to measure latency").

import Base

/// Evenly spaced requests from a starting point.
public struct Pace: Sendable {
    public let start: Instant
    /// Unit: requests per second, at least 1.
    public let perSecond: Int

    public init(start: Instant, perSecond: Int) {
        self.start = start
        self.perSecond = Swift.max(1, perSecond)
    }

    /// When request `index`, from 0, is due. Exact: fractions of a nanosecond do not add up.
    public func due(_ index: Int) -> Instant {
        let (seconds, rest) = index.quotientAndRemainder(dividingBy: perSecond)
        return start + .seconds(Int64(seconds)) + .nanoseconds(Int64(rest) * 1_000_000_000 / Int64(perSecond))
    }

    /// How many requests are due before `length` has passed.
    public func count(within length: Interval) -> Int {
        var low = 0
        var high = Int(length.seconds + 1) * perSecond
        while low < high {
            let middle = (low + high) / 2
            if due(middle) - start < length { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
