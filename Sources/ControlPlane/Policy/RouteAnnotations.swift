// Timeouts and retries as annotations ask for them, on a Service or on a route. A set in which one value cannot be read is ignored
// whole, as upstream does with a log line. Source: linkerd2 policy-controller k8s/index/src/outbound/index.rs, shared facts on the
// control plane 3.3, on the data plane 2.12, 2.13.

import Base
import Kube
import MeshAPI
import OrderedCollections
import SwiftProtobuf

enum RouteAnnotations {
    /// nil: none asked for.
    static func timeouts(_ annotations: KubeLabels) -> Mesh.HTTPRoute.Timeouts? {
        var message = Mesh.HTTPRoute.Timeouts()
        var isAsked = false
        for (name, field) in [("request", \Mesh.HTTPRoute.Timeouts.request), ("response", \.response), ("idle", \.idle)] {
            guard let text = annotations["timeout.linkerd.io/\(name)"] else { continue }
            guard let time = FailureAccrual.duration(text) else { return nil }
            // A timeout of zero is none.
            if time == .zero { continue }
            message[keyPath: field] = Mesh.duration(time)
            isAsked = true
        }
        return isAsked ? message : nil
    }

    /// What is retried on an HTTP route; nil: nothing.
    static func httpRetry(_ annotations: KubeLabels) -> Mesh.Outbound.HttpRoute.Retry? {
        let names = ["http", "limit", "timeout"].map { "retry.linkerd.io/\($0)" }
        guard names.contains(where: { annotations[$0] != nil }) else { return nil }
        var message = Mesh.Outbound.HttpRoute.Retry()
        message.maxRetries = 1
        message.maxRequestBytes = 65_536
        message.backoff = backoff
        message.conditions = Mesh.Outbound.HttpRoute.Retry.Conditions()
        if let text = annotations[names[0]] {
            guard let ranges = statuses(text) else { return nil }
            message.conditions.statusRanges = ranges.map { range in
                Mesh.Outbound.HttpRoute.Retry.Conditions.StatusRange.with {
                    $0.start = range.lowerBound
                    $0.end = range.upperBound
                }
            }
        }
        if let text = annotations[names[1]] {
            guard let limit = UInt16(text) else { return nil }
            // Zero is as if it were not there.
            if limit > 0 { message.maxRetries = UInt32(limit) }
        }
        if let text = annotations[names[2]] {
            guard let time = FailureAccrual.duration(text) else { return nil }
            if time > .zero { message.timeout = Mesh.duration(time) }
        }
        return message
    }

    /// Source: linkerd2 policy-controller grpc/src/outbound.rs: 25 ms to 250 ms, jitter 1.
    private static let backoff = Mesh.Outbound.ExponentialBackoff.with {
        $0.minBackoff = Mesh.duration(.milliseconds(25))
        $0.maxBackoff = Mesh.duration(.milliseconds(250))
        $0.jitterRatio = 1
    }

    /// `5xx`, `gateway-error`, a code, or `a-b`, separated by commas.
    static func statuses(_ text: String) -> [ClosedRange<UInt32>]? {
        var ranges: [ClosedRange<UInt32>] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let word = part.filter { $0 != " " }
            let ends = word.split(separator: "-", omittingEmptySubsequences: false).map { UInt32($0) }
            if word.lowercased() == "5xx" {
                ranges.append(500...599)
            } else if word.lowercased() == "gateway-error" {
                ranges.append(502...504)
            } else if ends.count == 1, let code = ends[0], (100...599).contains(code) {
                ranges.append(code...code)
            } else if ends.count == 2, let low = ends[0], let high = ends[1], low >= 100, low <= high, high <= 599 {
                ranges.append(low...high)
            } else {
                return nil
            }
        }
        return ranges
    }
}
