// The families of policy routes: how requests of one route fared, and those of each backend behind it. Held by the prepared rule,
// so that a request adds to fields; few statuses are seen on one route, so a scan beats a table.
// Source: linkerd2-proxy linkerd/http/prom, linkerd/app/outbound/src/http/logical/policy/route/metrics; facts 5.5.

import Base
import GRPC
import HTTP
import Platform

/// Durations and statuses, of a route or of a backend.
final class StatusSeries {
    private struct Total {
        var status: UInt16
        var grpcStatus: UInt32?
        var error: String
        var metric: Metric
    }

    private let registry: MetricsRegistry
    private let labels: [(String, String)]
    private let family: MetricFamily
    private let duration: Histogram
    private let isGRPC: Bool
    private var totals: [Total] = []

    fileprivate init(_ registry: MetricsRegistry, duration: MetricFamily, statuses: MetricFamily, isGRPC: Bool, _ labels: [(String, String)]) {
        self.registry = registry
        self.labels = labels
        self.isGRPC = isGRPC
        family = statuses
        self.duration = registry.histogram(duration, labels)
    }

    func observe(_ time: Interval) { duration.observe(time.seconds) }

    /// `error`: empty for what ended with a status; then the status does not count.
    func count(status: UInt16, grpcStatus: GRPCStatus.Code?, error: String) {
        let status = error.isEmpty && !isGRPC ? status : 0
        let code = error.isEmpty && isGRPC ? (grpcStatus ?? .unknown).rawValue : nil
        for i in totals.indices where totals[i].status == status && totals[i].grpcStatus == code && totals[i].error == error { return totals[i].metric.increment() }
        let said = isGRPC ? ("grpc_status", code.flatMap { GRPCStatus.Code(rawValue: $0)?.name } ?? "") : ("http_status", status == 0 ? "" : String(status))
        let made = registry.metric(family, labels + [said, ("error", error)])
        totals.append(Total(status: status, grpcStatus: code, error: error, metric: made))
        made.increment()
    }
}

/// One policy route of one parent.
final class RouteSeries {
    private let registry: MetricsRegistry
    private let labels: [(String, String)]
    private let families: Families.Route
    private let namesHosts: Bool
    /// Of all requests, or of those to one host. Few hosts are asked for on one route, the last one again most often.
    private var hosts: [(name: String, statuses: StatusSeries)]
    /// Sizes of the frames of requests.
    let frames: Histogram
    /// Made when the first request is tried again, or could not be.
    private(set) lazy var retries = RetrySeries(registry, families, labels)

    /// `namesHosts`: durations and statuses are told apart by the host asked for.
    init(_ registry: MetricsRegistry, parent: ResourceName, route: ResourceName, isGRPC: Bool, namesHosts: Bool = false) {
        self.registry = registry
        self.namesHosts = namesHosts
        families = isGRPC ? Families.grpcRoute : Families.httpRoute
        labels = parent.parentLabels + route.routeLabels
        frames = registry.histogram(families.frames, labels)
        hosts = [("", Self.statuses(registry, families, labels, ""))]
    }

    /// Where a request is counted by how it ended. A host beyond the bound is counted with those that are not named.
    func statuses(_ head: RequestHead) -> StatusSeries {
        guard namesHosts else { return hosts[0].statuses }
        let name = Self.hostname("\(head.authority)")
        if let i = hosts.firstIndex(where: { $0.name == name }) { return hosts[i].statuses }
        guard hosts.count <= ProxyLimits.hostnamesMax else { return hosts[0].statuses }
        let made = Self.statuses(registry, families, labels, name)
        hosts.append((name, made))
        return made
    }

    /// The series of a backend behind this route.
    func backend(_ name: ResourceName) -> BackendSeries { BackendSeries(registry, families, labels + name.backendLabels) }

    private static func statuses(_ registry: MetricsRegistry, _ families: Families.Route, _ labels: [(String, String)], _ hostname: String) -> StatusSeries {
        StatusSeries(registry, duration: families.duration, statuses: families.statuses, isGRPC: families.isGRPC, labels + [("hostname", hostname)])
    }

    /// Without the port, in lower case; an address is no name.
    private static func hostname(_ authority: String) -> String {
        var host = authority[...]
        if let colon = host.lastIndex(of: ":"), host[host.index(after: colon)...].allSatisfy(\.isNumber) { host = host[..<colon] }
        return IPAddress(host) == nil && !host.hasPrefix("[") ? host.lowercased() : ""
    }
}

/// What became of retries on one policy route.
final class RetrySeries {
    let requests: Metric
    let successes: Metric
    let limitExceeded: Metric
    let overflow: Metric

    fileprivate init(_ registry: MetricsRegistry, _ families: Families.Route, _ labels: [(String, String)]) {
        requests = registry.metric(families.retryRequests, labels)
        successes = registry.metric(families.retrySuccesses, labels)
        limitExceeded = registry.metric(families.retryLimitExceeded, labels)
        overflow = registry.metric(families.retryOverflow, labels)
    }
}

/// What became of retries on one route of a profile: made, or refused by the budget.
final class ProfileRetries {
    private let registry: MetricsRegistry
    private let labels: [(String, String)]
    private(set) lazy var made = registry.metric(Families.profileRetries, labels + [("skipped", "")])
    private(set) lazy var withoutBudget = registry.metric(Families.profileRetries, labels + [("skipped", "no_budget")])

    init(_ registry: MetricsRegistry, _ labels: [(String, String)]) {
        self.registry = registry
        self.labels = labels
    }
}

final class BackendSeries {
    let statuses: StatusSeries
    /// Sizes of the frames of responses.
    let frames: Histogram
    private let requests: Metric

    fileprivate init(_ registry: MetricsRegistry, _ families: Families.Route, _ labels: [(String, String)]) {
        requests = registry.metric(families.backendRequests, labels)
        frames = registry.histogram(families.backendFrames, labels)
        statuses = StatusSeries(registry, duration: families.backendDuration, statuses: families.backendStatuses, isGRPC: families.isGRPC, labels)
    }

    func countRequest() { requests.increment() }
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
