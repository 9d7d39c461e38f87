// The families of HTTP requests: how many, how fast, how they ended. One object for each set of base labels, held by an endpoint or
// a port, so that a request adds to fields. Source: linkerd2-proxy linkerd/http/metrics, shared facts on the data plane 5.2, 5.6.

import Base
import GRPC
import HTTP
import Platform

final class RequestSeries {
    private struct Latency {
        var status: UInt16
        var histogram: Histogram
    }

    private struct Total {
        var status: UInt16
        var isGRPC: Bool
        var grpcStatus: UInt32?
        var error: String
        var metric: Metric
    }

    private let registry: MetricsRegistry
    private let families: Families.Requests
    private let labels: [(String, String)]
    private let requests: Metric
    /// Few in number and the usual one first, so that a scan beats a table.
    private var latencies: [Latency] = []
    private var totals: [Total] = []

    init(_ registry: MetricsRegistry, _ families: Families.Requests, _ labels: [(String, String)]) {
        self.registry = registry
        self.families = families
        self.labels = labels
        requests = registry.metric(families.requests, labels)
    }

    func countRequest() { requests.increment() }

    func observe(_ latency: Interval, status: UInt16) {
        let milliseconds = Double(latency.nanoseconds / 1000) / 1000
        for i in latencies.indices where latencies[i].status == status { return latencies[i].histogram.observe(milliseconds) }
        guard let family = families.latency else { return }
        let made = registry.histogram(family, labels + [("status_code", String(status))])
        latencies.append(Latency(status: status, histogram: made))
        made.observe(milliseconds)
    }

    /// `error`: empty unless the stream broke.
    /// `isFailure`: what a profile's response class says; nil: the usual rules.
    func countResponse(status: UInt16, isGRPC: Bool, grpcStatus: GRPCStatus.Code?, error: String = "", isFailure judged: Bool? = nil) {
        let code = grpcStatus?.rawValue
        for i in totals.indices where totals[i].status == status && totals[i].grpcStatus == code && totals[i].isGRPC == isGRPC && totals[i].error == error {
            return totals[i].metric.increment()
        }
        let isFailure = judged ?? Self.isFailure(status: status, isGRPC: isGRPC, grpcStatus: grpcStatus, error: error)
        let made = registry.metric(
            families.responses,
            labels + [
                ("status_code", String(status)), ("classification", isFailure ? "failure" : "success"),
                ("grpc_status", code.map { String($0) } ?? (isGRPC ? "2" : "")), ("error", error),
            ])
        totals.append(Total(status: status, isGRPC: isGRPC, grpcStatus: code, error: error, metric: made))
        made.increment()
    }

    /// Source: linkerd2-proxy linkerd/app/core/src/classify.rs.
    static func isFailure(status: UInt16, isGRPC: Bool, grpcStatus: GRPCStatus.Code?, error: String) -> Bool {
        if !error.isEmpty { return true }
        if let grpcStatus {
            switch grpcStatus {
            case .unknown, .deadlineExceeded, .permissionDenied, .internal, .unavailable, .dataLoss: return true
            default: return false
            }
        }
        return isGRPC ? false : (500...599).contains(status)
    }
}
