// Waiting longer after each failure, spread by chance so that many clients of one fallen server do not come back together.

import Base

public struct BackoffOptions: Sendable, Equatable {
    /// The first wait.
    public var min: Interval
    /// No wait is longer, jitter included.
    public var max: Interval
    /// What may be added to a wait, at most. Unit: percent of the wait.
    public var jitterPercent: Int64

    /// Source: linkerd2-proxy's control-plane clients, 100 ms to 60 s, jitter 0.1.
    public init(min: Interval = .milliseconds(100), max: Interval = .seconds(60), jitterPercent: Int64 = 10) {
        self.min = min
        self.max = max
        self.jitterPercent = jitterPercent
    }
}

/// One sequence of waits. Source: linkerd2-proxy linkerd/exp-backoff.
public struct Backoff: Sendable {
    private let options: BackoffOptions
    private var random: Random
    private var failures: Int64 = 0

    public init(_ options: BackoffOptions, random: Random) {
        self.options = options
        self.random = random
    }

    /// How long to wait after one more failure: the first wait doubled per failure before, plus jitter.
    public mutating func next() -> Interval {
        var base = options.min
        for _ in 0..<failures where base < options.max { base = base * 2 }
        base = Swift.min(base, options.max)
        failures = Swift.min(failures + 1, 64)
        let jitter = base.nanoseconds / 100 * options.jitterPercent
        return Swift.min(options.max, base + .nanoseconds(jitter > 0 ? random.within(0...jitter) : 0))
    }

    /// It worked: the next wait is the first again.
    public mutating func reset() { failures = 0 }
}
