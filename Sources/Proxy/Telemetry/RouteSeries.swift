// The families of policy routes: how requests of one route fared, and those of each backend behind it. Held by the prepared rule,
// so that a request adds to fields; few statuses are seen on one route, so a scan beats a table.
// Source: linkerd2-proxy linkerd/http/prom, linkerd/app/outbound/src/http/logical/policy/route/metrics; facts 5.5.

import Base
import GRPC
import Platform

/// Durations and statuses under one prefix, for routes and for backends.
final class StatusSeries {
    private struct Total {
        var status: UInt16
        var grpcStatus: UInt32?
        var error: String
        var metric: Metric
    }

    private let registry: MetricsRegistry
    private let prefix: String
    private let labels: [(String, String)]
    private let statusesName: String
    private let duration: Histogram
    private let isGRPC: Bool
    private var totals: [Total] = []

    init(_ registry: MetricsRegistry, prefix: String, durationName: String, statusesName: String, bounds: [Double], isGRPC: Bool, _ labels: [(String, String)]) {
        self.registry = registry
        self.prefix = prefix
        self.labels = labels
        self.statusesName = statusesName
        self.isGRPC = isGRPC
        duration = registry.histogram(prefix + durationName, help: "Seconds from the request's head to the end of its response.", bounds: bounds, labels)
    }

    func observe(_ time: Interval) { duration.observe(Double(time.nanoseconds / 1000) / 1_000_000) }

    /// `error`: empty for what ended with a status; then the status does not count.
    func count(status: UInt16, grpcStatus: GRPCStatus.Code?, error: String) {
        let status = error.isEmpty && !isGRPC ? status : 0
        let code = error.isEmpty && isGRPC ? (grpcStatus ?? .unknown).rawValue : nil
        for i in totals.indices where totals[i].status == status && totals[i].grpcStatus == code && totals[i].error == error { return totals[i].metric.increment() }
        let said = isGRPC ? ("grpc_status", code.flatMap { GRPCStatus.Code(rawValue: $0)?.name } ?? "") : ("http_status", status == 0 ? "" : String(status))
        let made = registry.counter(prefix + statusesName, help: "Requests that are over, by how they ended.", labels + [said, ("error", error)])
        totals.append(Total(status: status, grpcStatus: code, error: error, metric: made))
        made.increment()
    }
}

/// One policy route of one parent.
final class RouteSeries {
    let statuses: StatusSeries
    private let registry: MetricsRegistry
    private let labels: [(String, String)]
    private let isGRPC: Bool
    /// Made when the first request is tried again, or could not be.
    private(set) lazy var retries = RetrySeries(registry, prefix: "outbound_\(isGRPC ? "grpc" : "http")_route_retry_", labels)

    init(_ registry: MetricsRegistry, parent: ResourceName, route: ResourceName, isGRPC: Bool) {
        self.registry = registry
        self.isGRPC = isGRPC
        labels = parent.parentLabels + route.routeLabels
        statuses = StatusSeries(
            registry, prefix: "outbound_\(isGRPC ? "grpc" : "http")_route_", durationName: "request_duration_seconds", statusesName: "request_statuses_total", bounds: [0.05, 0.5, 1, 10],
            isGRPC: isGRPC, labels + [("hostname", "")])
    }

    /// The series of a backend behind this route.
    func backend(_ name: ResourceName) -> BackendSeries { BackendSeries(registry, labels: labels + name.backendLabels, isGRPC: isGRPC) }
}

/// What became of retries on one policy route.
final class RetrySeries {
    let requests: Metric
    let successes: Metric
    let limitExceeded: Metric
    let overflow: Metric

    fileprivate init(_ registry: MetricsRegistry, prefix: String, _ labels: [(String, String)]) {
        requests = registry.counter(prefix + "requests_total", help: "Retries that were sent.", labels)
        successes = registry.counter(prefix + "successes_total", help: "Requests that succeeded after a retry.", labels)
        limitExceeded = registry.counter(prefix + "limit_exceeded_total", help: "Retries not sent because the limit was reached.", labels)
        overflow = registry.counter(prefix + "overflow_total", help: "Retries not sent because no backend was ready.", labels)
    }
}

final class BackendSeries {
    let statuses: StatusSeries
    private let requests: Metric

    fileprivate init(_ registry: MetricsRegistry, labels: [(String, String)], isGRPC: Bool) {
        let prefix = "outbound_\(isGRPC ? "grpc" : "http")_route_backend_"
        requests = registry.counter(prefix + "requests_total", help: "Requests given to the backend.", labels)
        statuses = StatusSeries(
            registry, prefix: prefix, durationName: "response_duration_seconds", statusesName: "response_statuses_total", bounds: [0.025, 0.05, 0.1, 0.25, 0.5, 1, 10], isGRPC: isGRPC, labels)
    }

    func countRequest() { requests.increment() }
}

/// How many endpoints of a balancer are ready, and how many are not.
final class BalancerSeries {
    private let ready: Metric
    private let pending: Metric

    /// `kind`: `http`, `tcp` or `tls`.
    init(_ registry: MetricsRegistry, kind: String, parent: ResourceName, backend: ResourceName, extra: [(String, String)] = []) {
        let labels = parent.parentLabels + backend.backendLabels + extra
        let name = "outbound_\(kind)_balancer_endpoints"
        let help = "Endpoints of the balancer, by whether they can take requests."
        ready = registry.gauge(name, help: help, [("endpoint_state", "ready")] + labels)
        pending = registry.gauge(name, help: help, [("endpoint_state", "pending")] + labels)
    }

    func set(ready: Int, of count: Int) {
        self.ready.value = Double(ready)
        pending.value = Double(count - ready)
    }
}

extension ResourceName {
    var parentLabels: [(String, String)] {
        [
            ("parent_group", group), ("parent_kind", kind), ("parent_namespace", namespace), ("parent_name", name), ("parent_port", port == 0 ? "" : String(port)),
            ("parent_section_name", section),
        ]
    }

    var routeLabels: [(String, String)] { [("route_group", group), ("route_kind", kind), ("route_namespace", namespace), ("route_name", name)] }

    var backendLabels: [(String, String)] {
        [
            ("backend_group", group), ("backend_kind", kind), ("backend_namespace", namespace), ("backend_name", name), ("backend_port", port == 0 ? "" : String(port)),
            ("backend_section_name", section),
        ]
    }
}

extension ProxyError {
    /// The `error` label of route families; nil: an answer with a status of its own, as far as a route can see.
    /// Source: linkerd2-proxy linkerd/http/prom, error names; failures to reach an endpoint have become 502 and 504 below the route.
    var routeLabel: String? {
        switch self {
        case .failfast: "FAIL_FAST"
        case .loadShed: "LOAD_SHED"
        case .timeout(.request): "REQUEST_TIMEOUT"
        case .timeout(.response): "RESPONSE_STREAM_TIMEOUT"
        case .timeout(.idle): "IDLE_TIMEOUT"
        case .timeout(.head), .timeout(.profile): "RESPONSE_HEADERS_TIMEOUT"
        default: nil
        }
    }

    /// The `error` label of request families, for what broke by itself; nil: it was answered like any other.
    var streamLabel: String? {
        if case .timeout = self { "timeout" } else { nil }
    }

    /// What a breaker holds against the endpoint, besides statuses.
    var breakerLabel: String? {
        switch self {
        case .timeout: "timeout"
        case .upstream, .connectTimeout: "unclassified"
        default: nil
        }
    }
}
