// Circuit breaking as a Service's annotations ask for it. What cannot be read turns it off, as upstream does with a log line.
// Source: linkerd2 policy-controller k8s/index/src/outbound/index.rs, shared facts on the control plane 3.3.

import Base
import Kube
import MeshAPI
import OrderedCollections
import SwiftProtobuf

enum FailureAccrual {
    private static let prefix = "balancer.linkerd.io/failure-accrual"
    private static let alpha = "balancer.alpha.linkerd.io/failure-accrual-"

    /// nil: off.
    static func read(_ annotations: KubeLabels) -> Mesh.Outbound.FailureAccrual? {
        guard let mode = annotations[prefix], mode == "consecutive" || mode == "unified" else { return nil }
        guard
            let failures = annotations["\(prefix)-consecutive-max-failures"].map({ UInt32($0) }) ?? 7,
            let least = annotations["\(prefix)-consecutive-min-penalty"].map({ duration($0) }) ?? .seconds(1),
            let most = annotations["\(prefix)-consecutive-max-penalty"].map({ duration($0) }) ?? .seconds(60),
            let jitter = annotations["\(prefix)-consecutive-jitter-ratio"].map({ Float($0) }) ?? 0.5,
            least > .zero, least <= most, jitter >= 0, jitter <= 100
        else { return nil }
        let backoff = Mesh.Outbound.ExponentialBackoff.with {
            $0.minBackoff = Mesh.duration(least)
            $0.maxBackoff = Mesh.duration(most)
            $0.jitterRatio = jitter
            $0.respectRetryAfterHint = annotations["\(alpha)honor-retry-after"] == "true"
        }
        var message = Mesh.Outbound.FailureAccrual()
        if mode == "consecutive" {
            message.consecutiveFailures.maxFailures = failures
            message.consecutiveFailures.backoff = backoff
            return message
        }
        guard
            let threshold = annotations["\(alpha)success-rate-threshold"].map({ Double($0) }) ?? 0.8,
            let window = annotations["\(alpha)window"].map({ duration($0) }) ?? .seconds(10),
            let requests = annotations["\(alpha)min-requests"].map({ UInt32($0) }) ?? 5,
            threshold >= 0, threshold <= 1, window >= .milliseconds(10), requests <= 1_000_000
        else { return nil }
        message.unified.successRateThreshold = threshold
        message.unified.decay = Mesh.duration(window)
        message.unified.minRequests = requests
        message.unified.maxConsecutiveFailures = failures
        message.unified.backoff = backoff
        return message
    }

    /// A whole number and ms, s, m, h or d; `0` alone is allowed.
    static func duration(_ text: String) -> Interval? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard !digits.isEmpty, let value = Int64(digits), value <= 1_000_000_000 else { return nil }
        switch text.dropFirst(digits.count) {
        case "ms": return .milliseconds(value)
        case "s": return .seconds(value)
        case "m": return .seconds(value * 60)
        case "h" where value <= 1_000_000: return .hours(value)
        case "d" where value <= 100_000: return .days(value)
        case "" where value == 0: return .zero
        default: return nil
        }
    }
}

/// A balancer that holds failures against endpoints. Source: shared facts on the control plane 3.3.
enum PenaltyLoad {
    private static let alpha = "balancer.alpha.linkerd.io/"

    /// nil: not asked for, or not readable.
    static func read(_ annotations: KubeLabels) -> Mesh.Outbound.Backend.PenaltyPeakEwma? {
        guard annotations["\(alpha)penalize-failures"] == "true",
            let penalty = annotations["\(alpha)load-biaser-penalty"].map({ FailureAccrual.duration($0) }) ?? .seconds(5),
            let most = annotations["\(alpha)load-biaser-max-retry-after"].map({ FailureAccrual.duration($0) }) ?? .seconds(300)
        else { return nil }
        return .with {
            $0.defaultRtt = Mesh.duration(.milliseconds(30))
            $0.decay = Mesh.duration(.seconds(10))
            $0.penalty = Mesh.duration(penalty)
            $0.maxRetryAfter = Mesh.duration(most)
            $0.penaltyDecay = Mesh.duration(.seconds(10))
        }
    }
}
