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
        guard let (limit, timeout) = limits(annotations) else { return nil }
        message.maxRetries = limit
        if let timeout { message.timeout = Mesh.duration(timeout) }
        return message
    }

    /// What is retried on a gRPC route; nil: nothing.
    static func grpcRetry(_ annotations: KubeLabels) -> Mesh.Outbound.GrpcRoute.Retry? {
        guard let text = annotations["retry.linkerd.io/grpc"], let codes = codes(text), let (limit, timeout) = limits(annotations) else { return nil }
        var message = Mesh.Outbound.GrpcRoute.Retry()
        message.maxRetries = limit
        message.maxRequestBytes = 65_536
        message.backoff = backoff
        message.conditions = codes
        if let timeout { message.timeout = Mesh.duration(timeout) }
        return message
    }

    /// Any of the annotations that concern timeouts, or retries, is there: a route's replace those of its Service as a whole.
    static func speaksOfTimeouts(_ annotations: KubeLabels) -> Bool { annotations.keys.contains { $0.hasPrefix("timeout.linkerd.io/") } }
    static func speaksOfRetries(_ annotations: KubeLabels) -> Bool { annotations.keys.contains { $0.hasPrefix("retry.linkerd.io/") } }

    /// What cannot be read, by annotation.
    static func faults(_ annotations: KubeLabels) -> [(name: String, reason: String)] {
        var faults: [(name: String, reason: String)] = []
        func check(_ name: String, _ expected: String, _ isGood: (String) -> Bool) {
            if let text = annotations[name], !isGood(text) { faults.append((name, "\"\(text.prefix(80))\" is not \(expected)")) }
        }
        for name in ["timeout.linkerd.io/request", "timeout.linkerd.io/response", "timeout.linkerd.io/idle", "retry.linkerd.io/timeout"] {
            check(name, "a duration, such as 300ms or 10s") { FailureAccrual.duration($0) != nil }
        }
        check("retry.linkerd.io/http", "a list of 5xx, gateway-error, codes and ranges of codes") { statuses($0) != nil }
        check("retry.linkerd.io/grpc", "a list of cancelled, deadline-exceeded, internal, resource-exhausted and unavailable") { codes($0) != nil }
        check("retry.linkerd.io/limit", "a number") { UInt16($0) != nil }
        return faults
    }

    /// nil: one of them cannot be read.
    private static func limits(_ annotations: KubeLabels) -> (retries: UInt32, timeout: Interval?)? {
        var retries: UInt32 = 1
        if let text = annotations["retry.linkerd.io/limit"] {
            guard let limit = UInt16(text) else { return nil }
            // Zero is as if it were not there.
            if limit > 0 { retries = UInt32(limit) }
        }
        guard let text = annotations["retry.linkerd.io/timeout"] else { return (retries, nil) }
        guard let time = FailureAccrual.duration(text) else { return nil }
        return (retries, time > .zero ? time : nil)
    }

    /// Names of gRPC statuses, separated by commas.
    private static func codes(_ text: String) -> Mesh.Outbound.GrpcRoute.Retry.Conditions? {
        var conditions = Mesh.Outbound.GrpcRoute.Retry.Conditions()
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            switch part.filter({ $0 != " " }).lowercased() {
            case "cancelled": conditions.cancelled = true
            case "deadline-exceeded": conditions.deadineExceeded = true
            case "internal": conditions.internal = true
            case "resource-exhausted": conditions.resourceExhausted = true
            case "unavailable": conditions.unavailable = true
            default: return nil
            }
        }
        return conditions
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
