// Latencies by the million in constant memory. Buckets are as wide as a 128th of the power of two they lie in, so a quantile is
// never more than 0.8 percent above the sample it stands for, from a nanosecond to a day. Source of the layout: HdrHistogram.
// Deliberately absent: means, which hide exactly what a proxy is asked about.

import Base

public struct LatencyHistogram: Sendable {
    private static let subBits = 7
    private static let subCount = 1 << subBits

    private var buckets: [UInt32]
    public private(set) var count = 0
    public private(set) var max = Interval.zero

    public init() { buckets = Array(repeating: 0, count: Self.index(LoadLimits.latencyMax.nanoseconds) + 1) }

    /// Negative counts as none, more than `LoadLimits.latencyMax` as that.
    public mutating func record(_ latency: Interval) {
        let taken = Swift.max(.zero, Swift.min(latency, LoadLimits.latencyMax))
        buckets[Self.index(taken.nanoseconds)] += 1
        count += 1
        if taken > max { max = taken }
    }

    public mutating func add(_ other: LatencyHistogram) {
        for i in buckets.indices { buckets[i] += other.buckets[i] }
        count += other.count
        max = Swift.max(max, other.max)
    }

    /// The smallest latency that at least `parts` of `whole` samples do not exceed, rounded up to its bucket's end; zero without samples.
    public func quantile(_ parts: Int, of whole: Int) -> Interval {
        if count == 0 { return .zero }
        // Rank from 1: the ceiling of count * parts / whole.
        let rank = Swift.max(1, (count * parts + whole - 1) / whole)
        var seen = 0
        for i in buckets.indices where buckets[i] > 0 {
            seen += Int(buckets[i])
            if seen >= rank { return Swift.min(.nanoseconds(Self.end(i)), max) }
        }
        return max
    }

    /// Values below 256 have a bucket each; above, each power of two has 128.
    static func index(_ nanoseconds: Int64) -> Int {
        if nanoseconds < 2 * Int64(subCount) { return Int(nanoseconds) }
        let shift = 63 - nanoseconds.leadingZeroBitCount - subBits
        return (shift << subBits) + Int(nanoseconds >> Int64(shift))
    }

    /// The largest value of a bucket.
    static func end(_ index: Int) -> Int64 {
        if index < 2 * subCount { return Int64(index) }
        let shift = index >> subBits - 1
        return (Int64(index - shift << subBits) + 1) << Int64(shift) - 1
    }
}
