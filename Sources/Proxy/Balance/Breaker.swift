// Leaves an endpoint alone after it failed too often: open, then shut for a while, then one request as a probe, whose outcome
// opens the gate or shuts it for longer. The balancer sees a shut endpoint as one that is not ready.
// Source: linkerd2-proxy outbound http/breaker, shared facts on the data plane 2.11.

import Base
import GRPC
import HTTP
import Platform

final class Breaker {
    enum Gate: Equatable {
        case open
        case shut
        /// One request may pass.
        case limited
        /// It has passed and is not over.
        case probing
    }

    private let accrual: FailureAccrual
    private let host: any Host
    private var random: Random
    private(set) var gate = Gate.open
    /// Times that it was shut since it last was open.
    private(set) var trips: UInt32 = 0
    private var failuresInARow: UInt32 = 0
    private var rate: SuccessRateWindow?
    private var probe: ObjectIdentifier?
    private var timer: TimerID?
    var onChange: (() -> Void)?

    init(_ accrual: FailureAccrual, host: any Host, random: Random) {
        self.accrual = accrual
        self.host = host
        self.random = random
        rate = accrual.successRate.map { SuccessRateWindow($0, now: host.now) }
    }

    /// A request may pass.
    var isOpen: Bool { gate == .open || gate == .limited }

    func retire() {
        if let timer { host.cancel(timer) }
        timer = nil
        onChange = nil
    }

    /// The endpoint was given a request.
    func took(_ exchange: HTTPExchange) {
        guard gate == .limited else { return }
        probe = ObjectIdentifier(exchange)
        change(.probing)
    }

    /// An attempt at the endpoint is over. `error`: what broke it; empty if it was answered.
    func record(_ exchange: HTTPExchange, error: String) {
        let isProbe = probe == ObjectIdentifier(exchange)
        if isProbe { probe = nil }
        if error.isEmpty, exchange.status == nil {
            // The caller left before an answer: nothing is known, and a probe must be made again.
            if isProbe { change(.limited) }
            return
        }
        let isFailure = RequestSeries.isFailure(status: exchange.status ?? 0, isGRPC: exchange.isGRPC, grpcStatus: exchange.grpcStatus, error: error)
        let isLimited = accrual.successRate != nil && (exchange.status == 429 || exchange.grpcStatus == .resourceExhausted)
        switch gate {
        case .open: judge(isFailure: isFailure, isLimited: isLimited)
        case .probing where isProbe:
            if isFailure || isLimited {
                shut()
            } else {
                failuresInARow = 0
                trips = 0
                rate?.clear(host.now)
                change(.open)
            }
        // Requests from before it was shut tell nothing new.
        case .shut, .limited, .probing: break
        }
    }

    private func judge(isFailure: Bool, isLimited: Bool) {
        if isFailure { failuresInARow += 1 } else if !isLimited { failuresInARow = 0 }
        let isRateLow = rate?.record(success: !isFailure && !isLimited, host.now) ?? false
        if (accrual.failuresMax > 0 && failuresInARow >= accrual.failuresMax) || isRateLow { shut() }
    }

    private func shut() {
        let backoff = JitteredBackoff(min: accrual.backoffMin, max: accrual.backoffMax, jitterPercent: accrual.jitterPercent)
        let wait = backoff.wait(trips, &random)
        trips += 1
        failuresInARow = 0
        timer = host.after(wait) { [self] in
            timer = nil
            change(.limited)
        }
        change(.shut)
    }

    private func change(_ next: Gate) {
        gate = next
        onChange?()
    }
}

/// The share of requests that succeeded, over a window that slides by tenths.
struct SuccessRateWindow {
    private static let bucketCount = 10
    private let rule: FailureAccrual.SuccessRate
    private var buckets = [(total: UInt32, successes: UInt32)](repeating: (0, 0), count: bucketCount)
    private var bucket = 0
    private var bucketStart: Instant

    init(_ rule: FailureAccrual.SuccessRate, now: Instant) {
        self.rule = rule
        bucketStart = now
    }

    mutating func clear(_ now: Instant) {
        buckets = [(total: UInt32, successes: UInt32)](repeating: (0, 0), count: Self.bucketCount)
        bucketStart = now
    }

    /// True: with this outcome too few have succeeded.
    mutating func record(success: Bool, _ now: Instant) -> Bool {
        let width = max(1, rule.window.nanoseconds / Int64(Self.bucketCount))
        let steps = (now - bucketStart).nanoseconds / width
        if steps > 0 {
            for _ in 0..<min(steps, Int64(Self.bucketCount)) {
                bucket = (bucket + 1) % Self.bucketCount
                buckets[bucket] = (0, 0)
            }
            bucketStart = bucketStart + .nanoseconds(steps * width)
        }
        buckets[bucket].total += 1
        if success { buckets[bucket].successes += 1 }
        let total = buckets.reduce(UInt64(0)) { $0 + UInt64($1.total) }
        let successes = buckets.reduce(UInt64(0)) { $0 + UInt64($1.successes) }
        return total >= UInt64(rule.requestsMin) && successes * 10_000 < total * UInt64(rule.threshold)
    }
}
