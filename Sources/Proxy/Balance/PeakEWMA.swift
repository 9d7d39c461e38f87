// The load of an endpoint: an estimate of its round-trip time that jumps up to every slower sample and decays towards faster ones,
// times the requests it has in flight. Integers only, so that two machines agree. Source: Finagle's Peak EWMA as linkerd2-proxy
// uses it (linkerd/proxy/balance, tower-load).

import Base

struct PeakEWMA {
    /// Before the first sample. Source: linkerd2-proxy DEFAULT_RTT.
    static let defaultRTT = Interval.milliseconds(30)
    /// Source: linkerd2-proxy, the least default round trip that is taken: 1 ms.
    static let leastRTT = Interval.milliseconds(1)
    /// Time in which an old estimate loses all but 1/e of its weight. Source: linkerd2-proxy ewma decay.
    static let defaultDecay = Interval.seconds(10)

    private var estimate: UInt64
    private var updated: Instant
    private let decay: Interval
    var inFlight = 0

    init(now: Instant, rtt: Interval = Self.defaultRTT, decay: Interval = Self.defaultDecay) {
        estimate = UInt64(max(1, rtt.nanoseconds))
        updated = now
        self.decay = decay
    }

    /// Counts a failure as an answer that took so long; never makes the endpoint look better than it does.
    mutating func penalize(_ time: Interval, now: Instant) {
        let weight = Self.exponential(now - updated, decay)
        let product = estimate.multipliedFullWidth(by: weight)
        estimate = max((product.high << 32) | (product.low >> 32), UInt64(max(0, time.nanoseconds)))
        updated = max(updated, now)
    }

    mutating func observe(_ rtt: Interval, now: Instant) {
        let sample = UInt64(max(0, rtt.nanoseconds))
        if sample > estimate {
            estimate = sample
        } else {
            let weight = Self.exponential(now - updated, decay)
            let old = estimate.multipliedFullWidth(by: weight)
            let new = sample.multipliedFullWidth(by: (1 << 32) - weight)
            estimate = ((old.high << 32) | (old.low >> 32)) &+ ((new.high << 32) | (new.low >> 32))
        }
        updated = max(updated, now)
    }

    /// Nanoseconds times requests. An idle endpoint's estimate decays towards zero, so that one slow answer is forgiven.
    func load(now: Instant) -> UInt64 {
        let weight = Self.exponential(now - updated, decay)
        let product = estimate.multipliedFullWidth(by: weight)
        let current = (product.high << 32) | (product.low >> 32)
        let (load, overflow) = (current + 1).multipliedReportingOverflow(by: UInt64(inFlight + 1))
        return overflow ? .max : load
    }

    /// exp(-elapsed/decay) as a 32-bit fraction: 2^-(x·log2 e), whole powers by shift, the rest by a cubic whose error is below 2·10⁻⁴.
    static func exponential(_ elapsed: Interval, _ decay: Interval) -> UInt64 {
        guard elapsed.nanoseconds > 0 else { return 1 << 32 }
        let elapsed = UInt64(elapsed.nanoseconds)
        let span = UInt64(max(1, decay.nanoseconds))
        if elapsed / span >= 22 { return 0 }
        // x in 1/65536; log2 e = 94,548/65,536.
        let x = ((elapsed / span) << 16) + ((((elapsed % span) << 10) / span) << 6)
        let y = (x * 94_548) >> 16
        let fraction = y & 0xffff
        // 2^-f = 1 - 0.6931 f + 0.2402 f² - 0.0520 f³, coefficients in 1/65536.
        let f2 = (fraction * fraction) >> 16
        let f3 = (f2 * fraction) >> 16
        let power = 65_536 - ((45_426 * fraction) >> 16) + ((15_743 * f2) >> 16) - ((3_372 * f3) >> 16)
        return (power << 16) >> (y >> 16)
    }
}
