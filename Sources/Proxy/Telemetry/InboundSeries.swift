// The families of inbound routes: requests, their ends, times and frame sizes, by server and route. Held by the prepared route of a port,
// so that a request adds to fields. Source: linkerd2-proxy linkerd/app/inbound/src/http/router/metrics.rs; facts 5.5.

import Base
import GRPC
import HTTP
import Platform

final class InboundRouteSeries {
    private let registry: MetricsRegistry
    private let families: Families.InboundRoute
    private let labels: [(String, String)]
    private let isGRPC: Bool
    private let requests: Metric
    private let requestDuration, responseDuration: Histogram
    let requestFrames, responseFrames: Histogram
    /// Few, the usual one first.
    private var statuses: [(status: UInt32, metric: Metric)] = []

    init(_ registry: MetricsRegistry, port: InboundPort, route: ResourceName, isGRPC: Bool) {
        self.registry = registry
        self.isGRPC = isGRPC
        families = isGRPC ? Families.inboundGRPC : Families.inboundHTTP
        let server = port.policy.server
        labels = [
            ("parent_group", server.group), ("parent_kind", server.kind), ("parent_name", server.name), ("parent_port", "\(port.port)"), ("route_group", route.group), ("route_kind", route.kind),
            ("route_name", route.name),
        ]
        requests = registry.metric(families.requests, labels)
        requestDuration = registry.histogram(families.requestDuration, labels)
        responseDuration = registry.histogram(families.responseDuration, labels)
        requestFrames = registry.histogram(families.requestFrames, labels)
        responseFrames = registry.histogram(families.responseFrames, labels)
    }

    func countRequest() { requests.increment() }

    /// `requestEnded`: nil when the answer was there before the end of the question.
    func count(status: UInt16, grpcStatus: GRPCStatus.Code?, started: Instant, requestEnded: Instant?, now: Instant) {
        let requestEnded = requestEnded ?? now
        requestDuration.observe((requestEnded - started).seconds)
        responseDuration.observe((now - requestEnded).seconds)
        let code = isGRPC ? (grpcStatus ?? .unknown).rawValue : UInt32(status)
        for entry in statuses where entry.status == code { return entry.metric.increment() }
        let word = isGRPC ? GRPCStatus.Code(rawValue: code)?.name ?? "UNKNOWN" : status == 0 ? "" : String(status)
        let made = registry.metric(families.statuses, labels + [("status", word)])
        statuses.append((code, made))
        made.increment()
    }
}
