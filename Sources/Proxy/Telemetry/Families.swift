// Every family of metrics that the proxy shows, under Linkerd's names, with their labels and buckets: the one list that code counts by
// and that a test holds against Linkerd's. Families without a word of their own beyond Linkerd's are absent; ours begin with `weft_`.
// Source: linkerd2-proxy linkerd/app/core/src/metrics.rs, linkerd/http/{metrics,prom}, linkerd/transport-metrics; facts 5.

import Base
import Platform

enum Labels {
    static let target = ["target_addr", "target_ip", "target_port"]
    static let server = ["srv_group", "srv_kind", "srv_name", "srv_port"]
    static let inboundRoute = ["route_group", "route_kind", "route_name"]
    static let authorization = ["authz_group", "authz_kind", "authz_name"]
    /// Of an accepted connection.
    static let client = ["tls", "no_tls_reason", "client_id", "sni"]
    /// Of a connection made.
    static let endpoint = ["tls", "no_tls_reason", "server_id", "dst_*"]
    static let parent = ["parent_group", "parent_kind", "parent_namespace", "parent_name", "parent_port", "parent_section_name"]
    static let route = ["route_group", "route_kind", "route_namespace", "route_name"]
    static let backend = ["backend_group", "backend_kind", "backend_namespace", "backend_name", "backend_port", "backend_section_name"]
    static let limit = ["ratelimit_group", "ratelimit_kind", "ratelimit_name", "ratelimit_scope"]
    static let response = ["status_code", "classification", "grpc_status", "error"]
    static let profile = ["direction", "dst", "rt_*"]
}

enum Families {
    // MARK: Requests

    /// Upper bounds in milliseconds.
    static let latencyBounds: [Double] = [1, 2, 3, 4, 5, 10, 20, 30, 40, 50, 100, 200, 300, 400, 500, 1000, 2000, 3000, 4000, 5000, 10_000, 20_000, 30_000, 40_000, 50_000]

    /// The three families of requests, and their copies under a prefix.
    struct Requests: Sendable {
        var requests: MetricFamily
        /// nil: not measured.
        var latency: MetricFamily?
        var responses: MetricFamily

        init(prefix: String, _ labels: [String], measuresLatency: Bool = true) {
            requests = MetricFamily(prefix + "request_total", .counter, "Total count of HTTP requests.", labels: labels, isFirst: true)
            latency =
                measuresLatency
                ? MetricFamily(
                    prefix + "response_latency_ms", .histogram, "Elapsed times between a request's headers being received and its response stream completing", labels: labels + ["status_code"],
                    bounds: Families.latencyBounds, isFirst: true) : nil
            responses = MetricFamily(prefix + "response_total", .counter, "Total count of HTTP responses.", labels: labels + Labels.response, isFirst: true)
        }
    }

    static let requests = Requests(
        prefix: "",
        ["direction", "authority"] + Labels.target + ["tls", "no_tls_reason", "client_id", "server_id", "sni", "dst_*"] + Labels.server + Labels.inboundRoute + Labels.authorization)
    static let profileRequests = Requests(prefix: "route_", Labels.profile)
    static let profileAttempts = Requests(prefix: "route_actual_", Labels.profile, measuresLatency: false)
    static let controlRequests = Requests(prefix: "control_", ["addr", "tls", "no_tls_reason", "server_id"])
    static let profileRetries = MetricFamily("route_retryable_total", .counter, "Total count of retryable HTTP responses.", labels: Labels.profile + ["skipped"], isFirst: true)

    // MARK: Connections

    private static let connection = ["direction", "peer", "authority"] + Labels.target + ["tls", "no_tls_reason", "client_id", "server_id", "sni", "dst_*"] + Labels.server
    static let opened = MetricFamily("tcp_open_total", .counter, "Total count of opened connections", labels: connection, isFirst: true)
    static let open = MetricFamily("tcp_open_connections", .gauge, "Number of currently-open connections", labels: connection, isFirst: true)
    static let readBytes = MetricFamily("tcp_read_bytes_total", .counter, "Total count of bytes read from peers", labels: connection, isFirst: true)
    static let writtenBytes = MetricFamily("tcp_write_bytes_total", .counter, "Total count of bytes written to peers", labels: connection, isFirst: true)
    static let closed = MetricFamily("tcp_close_total", .counter, "Total count of closed connections", labels: connection + ["errno"], isFirst: true)
    static let transferCost = MetricFamily("outbound_tcp_transfer_cost_bytes_total", .counter, "Bytes sent to and received from endpoints, by where these are.", labels: ["op", "zone_locality"])

    // MARK: Policy and errors

    private static let decided = Labels.target + Labels.server
    static let requestsAllowed = MetricFamily(
        "inbound_http_authz_allow_total", .counter, "The total number of inbound HTTP requests that were authorized", labels: decided + Labels.inboundRoute + Labels.authorization + Labels.client,
        isFirst: true)
    static let requestsDenied = MetricFamily(
        "inbound_http_authz_deny_total", .counter, "The total number of inbound HTTP requests that could not be processed due to being denied by policy",
        labels: decided + Labels.inboundRoute + Labels.client, isFirst: true)
    static let requestsWithoutRoute = MetricFamily(
        "inbound_http_route_not_found_total", .counter, "The total number of inbound HTTP requests that could not be associated with a route", labels: decided + Labels.client, isFirst: true)
    static let requestsLimited = MetricFamily(
        "inbound_http_local_ratelimit_total", .counter, "The total number of inbound HTTP requests that were rate-limited", labels: Labels.server + Labels.limit, isFirst: true)
    static let connectionsAllowed = MetricFamily(
        "inbound_tcp_authz_allow_total", .counter, "The total number of inbound TCP connections that were authorized", labels: decided + Labels.authorization + Labels.client, isFirst: true)
    static let connectionsDenied = MetricFamily(
        "inbound_tcp_authz_deny_total", .counter, "The total number of inbound TCP connections that were denied", labels: decided + Labels.client, isFirst: true)
    static let connectionsTerminated = MetricFamily(
        "inbound_tcp_authz_terminate_total", .counter, "The total number of inbound TCP connections that were terminated due to a policy change", labels: decided + Labels.client, isFirst: true)
    static let inboundRequestErrors = MetricFamily(
        "inbound_http_errors_total", .counter, "The total number of inbound HTTP requests that could not be processed due to a proxy error.", labels: ["error"] + decided, isFirst: true)
    static let inboundConnectionErrors = MetricFamily(
        "inbound_tcp_errors_total", .counter, "The total number of inbound TCP connections that could not be processed due to a proxy error.", labels: ["error"] + Labels.target, isFirst: true)
    static let outboundRequestErrors = MetricFamily(
        "outbound_http_errors_total", .counter, "The total number of HTTP requests that could not be processed due to a proxy error.", labels: ["error"], isFirst: true)
    static let outboundConnectionErrors = MetricFamily(
        "outbound_tcp_errors_total", .counter, "The total number of outbound TCP connections that could not be processed due to a proxy error.", labels: Labels.target + ["error"], isFirst: true)

    // MARK: What connections are

    static let protocolConnections = MetricFamily("outbound_tcp_protocol_connections_total", .counter, "Outbound TCP connections by protocol configuration.", labels: ["protocol"] + Labels.parent)
    static let outboundDetection = Detection("outbound", Labels.parent)
    static let inboundDetection = Detection("inbound", Labels.server)
    static let transportHeaders = MetricFamily(
        "inbound_tcp_transport_header_connections_total", .counter, "TCP connections with transport headers.", labels: ["session_protocol", "target_port", "target_name", "client_id"])

    /// How long it took to tell HTTP from other protocols, and what came of it.
    struct Detection: Sendable {
        var duration: MetricFamily
        var results: MetricFamily

        fileprivate init(_ direction: String, _ labels: [String]) {
            duration = MetricFamily(direction + "_tcp_detect_http_duration_seconds", .histogram, "Time taken for protocol detection.", labels: labels, bounds: [0.001, 0.1])
            results = MetricFamily(direction + "_tcp_detect_http_results_total", .counter, "Results of protocol detection.", labels: labels + ["result"])
        }
    }

    // MARK: Routes

    static let frameBounds: [Double] = [128, 1024, 10_240]
    static let requestBounds: [Double] = [0.05, 0.5, 1, 10]
    static let responseBounds: [Double] = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 10]

    static let httpRoute = Route(isGRPC: false)
    static let grpcRoute = Route(isGRPC: true)

    /// Policy routes outbound, of one protocol.
    struct Route: Sendable {
        var isGRPC: Bool
        var duration, statuses, frames: MetricFamily
        var backendRequests, backendDuration, backendStatuses, backendFrames: MetricFamily
        var retryRequests, retrySuccesses, retryLimitExceeded, retryOverflow: MetricFamily

        fileprivate init(isGRPC: Bool) {
            self.isGRPC = isGRPC
            let prefix = "outbound_\(isGRPC ? "grpc" : "http")_route_"
            let labels = Labels.parent + Labels.route
            let backend = labels + Labels.backend
            let status = [isGRPC ? "grpc_status" : "http_status", "error"]
            duration = MetricFamily(
                prefix + "request_duration_seconds", .histogram, "The time between request initialization and response completion.", labels: labels + ["hostname"], bounds: requestBounds)
            statuses = MetricFamily(prefix + "request_statuses_total", .counter, "Completed request-response streams.", labels: labels + ["hostname"] + status)
            frames = MetricFamily(prefix + "request_frame_size_bytes", .histogram, "Request data frame sizes.", labels: labels, bounds: frameBounds)
            backendRequests = MetricFamily(prefix + "backend_requests_total", .counter, "The total number of requests dispatched.", labels: backend)
            backendDuration = MetricFamily(prefix + "backend_response_duration_seconds", .histogram, "The time between request completion and response completion.", labels: backend, bounds: responseBounds)
            backendStatuses = MetricFamily(prefix + "backend_response_statuses_total", .counter, "Completed responses.", labels: backend + status)
            backendFrames = MetricFamily(prefix + "backend_response_frame_size_bytes", .histogram, "Response data frame sizes.", labels: backend, bounds: frameBounds)
            retryRequests = MetricFamily(prefix + "retry_requests_total", .counter, "Retry requests emitted.", labels: labels)
            retrySuccesses = MetricFamily(prefix + "retry_successes_total", .counter, "Successful responses to retry requests.", labels: labels)
            retryLimitExceeded = MetricFamily(prefix + "retry_limit_exceeded_total", .counter, "Retryable requests not sent due to retry limits.", labels: labels)
            retryOverflow = MetricFamily(prefix + "retry_overflow_total", .counter, "Retryable requests not sent because no backend was ready.", labels: labels)
        }
    }

    static let opaqueRoute = StreamRoute("tcp", [])
    static let tlsRoute = StreamRoute("tls", ["hostname"])

    /// Routes of connections that are not looked into.
    struct StreamRoute: Sendable {
        var opened, closed: MetricFamily

        fileprivate init(_ kind: String, _ extra: [String]) {
            let labels = Labels.parent + Labels.route + ["target_ip", "target_port"] + extra
            opened = MetricFamily("outbound_\(kind)_route_open_total", .counter, "The total number of connections opened by the route.", labels: labels)
            closed = MetricFamily("outbound_\(kind)_route_close_total", .counter, "The total number of connections closed by the route.", labels: labels + ["error"])
        }
    }

    static let inboundHTTP = InboundRoute("http")
    static let inboundGRPC = InboundRoute("grpc")

    /// Routes inbound, of one protocol.
    struct InboundRoute: Sendable {
        var requests, statuses, requestDuration, responseDuration, requestFrames, responseFrames: MetricFamily

        fileprivate init(_ kind: String) {
            let prefix = "inbound_\(kind)_"
            let labels = ["parent_group", "parent_kind", "parent_name", "parent_port"] + Labels.inboundRoute
            requests = MetricFamily(prefix + "requests_total", .counter, "The total number of requests dispatched.", labels: labels)
            statuses = MetricFamily(prefix + "statuses_total", .counter, "Completed responses.", labels: labels + ["status"])
            requestDuration = MetricFamily(prefix + "request_duration_seconds", .histogram, "The time between request initialization and request completion.", labels: labels, bounds: responseBounds)
            responseDuration = MetricFamily(prefix + "response_duration_seconds", .histogram, "The time between request completion and response completion.", labels: labels, bounds: requestBounds)
            requestFrames = MetricFamily(prefix + "request_frame_size_bytes", .histogram, "Request data frame sizes.", labels: labels, bounds: frameBounds)
            responseFrames = MetricFamily(prefix + "response_frame_size_bytes", .histogram, "Response data frame sizes.", labels: labels, bounds: frameBounds)
        }
    }

    // MARK: Balancers

    static let httpBalancer = Balancer("outbound_http", Labels.parent + Labels.backend)
    static let opaqueBalancer = Balancer("outbound_tcp", Labels.parent + Labels.backend + ["logical", "concrete"])
    static let tlsBalancer = Balancer("outbound_tls", ["concrete"])
    static let identityBalancer = Balancer("control_identity", ["addr"])
    static let destinationBalancer = Balancer("control_destination", ["addr"])
    static let policyBalancer = Balancer("control_policy", ["addr"])
    static let collectorBalancer = Balancer("opentelemetry", ["addr"])

    /// Endpoints of one backend and what waits for them.
    struct Balancer: Sendable {
        var endpoints, p2cEndpoints, updates, queueLength, queueRequests, queueLatency: MetricFamily
        var gateOpens, gateShuts, gateOpenTime, gateShutTime, gateTimeout: MetricFamily

        fileprivate init(_ prefix: String, _ labels: [String]) {
            let prefix = prefix + "_balancer_"
            endpoints = MetricFamily(prefix + "endpoints", .gauge, "The number of endpoints currently in the balancer.", labels: ["endpoint_state"] + labels)
            p2cEndpoints = MetricFamily(prefix + "p2c_endpoints", .gauge, "The number of endpoints to draw from.", labels: ["endpoint_state"] + labels)
            updates = MetricFamily(prefix + "p2c_updates_total", .counter, "Updates of the set of endpoints.", labels: ["op"] + labels)
            queueLength = MetricFamily(prefix + "queue_length", .gauge, "The number of requests currently waiting for an endpoint.", labels: labels)
            queueRequests = MetricFamily(prefix + "queue_requests_total", .counter, "The total number of requests that were given an endpoint.", labels: labels)
            queueLatency = MetricFamily(prefix + "queue_latency_seconds", .histogram, "Time that requests waited for an endpoint.", labels: labels, bounds: [0.0005, 0.005, 0.05, 0.5, 1, 3])
            gateOpens = MetricFamily(prefix + "queue_gate_open_total", .counter, "How often the queue was opened.", labels: labels)
            gateShuts = MetricFamily(prefix + "queue_gate_shut_total", .counter, "How often the queue was shut.", labels: labels)
            gateOpenTime = MetricFamily(prefix + "queue_gate_open_time_seconds", .gauge, "When the queue was last opened, in seconds since the UNIX epoch.", labels: labels, merging: .greatest)
            gateShutTime = MetricFamily(prefix + "queue_gate_shut_time_seconds", .gauge, "When the queue was last shut, in seconds since the UNIX epoch.", labels: labels, merging: .greatest)
            gateTimeout = MetricFamily(prefix + "queue_gate_timeout_seconds", .gauge, "How long requests may wait before the queue is shut.", labels: labels, merging: .greatest)
        }
    }

    // MARK: The proxy itself

    static let resolutions = MetricFamily("control_dns_resolutions_total", .counter, "DNS lookups of control-plane services.", labels: ["client", "record_type", "result"])
    static let certificateExpiry = MetricFamily(
        "control_identity_cert_expiration_timestamp_seconds", .gauge, "When the certificate in use ends, in seconds since the UNIX epoch.", merging: .greatest)
    static let certificateRefresh = MetricFamily(
        "control_identity_cert_refresh_timestamp_seconds", .gauge, "When the certificate in use was obtained, in seconds since the UNIX epoch.", merging: .greatest)
    static let certificateRefreshes = MetricFamily("control_identity_cert_refreshes_total", .counter, "Certificates obtained from the identity service.")
    static let spanStreams = MetricFamily("opentelemetry_span_export_streams", .counter, "Total count of opened span export streams", isFirst: true)
    static let spanRequests = MetricFamily("opentelemetry_span_export_requests", .counter, "Total count of span export request messages", isFirst: true)
    static let spanExports = MetricFamily("opentelemetry_span_exports", .counter, "Total count of spans exported", isFirst: true)
    static let stacksCreated = MetricFamily("stack_create_total", .counter, "Total number of services created", labels: ["direction", "protocol", "name"], isFirst: true)
    static let stacksDropped = MetricFamily("stack_drop_total", .counter, "Total number of services dropped", labels: ["direction", "protocol", "name"], isFirst: true)
    static let build = MetricFamily("proxy_build_info", .gauge, "The build that runs.", labels: ["date", "git_sha", "profile", "vendor", "version"], merging: .greatest)
    static let tls = MetricFamily(
        "rustls_info", .gauge, "How TLS is set up; the name is that of Linkerd's library.", labels: ["tls_suites", "tls_kx_groups", "tls_rand", "tls_key_provider", "tls_fips"], merging: .greatest)
    static let startTime = MetricFamily("process_start_time_seconds", .gauge, "When the process started, in seconds since the UNIX epoch.", merging: .greatest)
    static let uptime = MetricFamily("process_uptime_seconds_total", .counter, "Seconds since the process started.", merging: .greatest)
    static let cpu = MetricFamily("process_cpu_seconds_total", .counter, "CPU time used, user and system, in seconds.", merging: .greatest)
    static let virtualMemory = MetricFamily("process_virtual_memory_bytes", .gauge, "Virtual memory, in bytes.", merging: .greatest)
    static let residentMemory = MetricFamily("process_resident_memory_bytes", .gauge, "Resident memory, in bytes.", merging: .greatest)
    static let descriptors = MetricFamily("process_open_fds", .gauge, "Open file descriptors.", merging: .greatest)
    static let descriptorsMax = MetricFamily("process_max_fds", .gauge, "File descriptors that may be open.", merging: .greatest)
    static let threads = MetricFamily("process_threads", .gauge, "Threads of the process.", merging: .greatest)
    static let receivedBytes = MetricFamily("process_network_receive_bytes_total", .counter, "Bytes received by the pod's network interfaces.", merging: .greatest)
    static let sentBytes = MetricFamily("process_network_transmit_bytes_total", .counter, "Bytes sent by the pod's network interfaces.", merging: .greatest)

    // MARK: Ours

    static let seriesRefused = MetricFamily("weft_metric_series_refused_total", .counter, "Series that were not shown because there were too many.")
    static let shed = MetricFamily("weft_shed_total", .counter, "What was turned away because a bound was reached.", labels: ["direction", "bound"])

    /// All of them, for whoever wants to know.
    static let all: [MetricFamily] = {
        var list: [MetricFamily] = []
        for requests in [requests, profileRequests, profileAttempts, controlRequests] { list += [requests.requests, requests.responses] + (requests.latency.map { [$0] } ?? []) }
        list += [profileRetries, opened, open, readBytes, writtenBytes, closed, transferCost, requestsAllowed, requestsDenied, requestsWithoutRoute, requestsLimited, connectionsAllowed]
        list += [connectionsDenied, connectionsTerminated, inboundRequestErrors, inboundConnectionErrors, outboundRequestErrors, outboundConnectionErrors, protocolConnections, transportHeaders]
        for detection in [inboundDetection, outboundDetection] { list += [detection.duration, detection.results] }
        for route in [httpRoute, grpcRoute] {
            list += [route.duration, route.statuses, route.frames, route.backendRequests, route.backendDuration, route.backendStatuses, route.backendFrames]
            list += [route.retryRequests, route.retrySuccesses, route.retryLimitExceeded, route.retryOverflow]
        }
        for route in [opaqueRoute, tlsRoute] { list += [route.opened, route.closed] }
        for route in [inboundHTTP, inboundGRPC] { list += [route.requests, route.statuses, route.requestDuration, route.responseDuration, route.requestFrames, route.responseFrames] }
        for balancer in [httpBalancer, opaqueBalancer, tlsBalancer, identityBalancer, destinationBalancer, policyBalancer, collectorBalancer] {
            list += [balancer.endpoints, balancer.p2cEndpoints, balancer.updates, balancer.queueLength, balancer.queueRequests, balancer.queueLatency]
            list += [balancer.gateOpens, balancer.gateShuts, balancer.gateOpenTime, balancer.gateShutTime, balancer.gateTimeout]
        }
        list += [resolutions, certificateExpiry, certificateRefresh, certificateRefreshes, spanStreams, spanRequests, spanExports, stacksCreated, stacksDropped, build, tls, startTime, uptime, cpu]
        return list + [virtualMemory, residentMemory, descriptors, descriptorsMax, threads, receivedBytes, sentBytes, seriesRefused, shed]
    }()
}
