// The environment as a table for people: every variable that Linkerd's proxy knows, what it means, and where we stand with it. A test
// holds the table to what is read. Source: linkerd2-proxy linkerd/app/src/env.rs; facts 1.3.

extension Configuration {
    /// One variable of the environment.
    public struct Variable: Sendable {
        public enum Standing: Sendable, Equatable {
            case read
            /// Setting it is refused, with the reason.
            case unsupported(String)
            /// Read and judged, so that a bad value is refused, but nothing acts on it yet.
            case inert
            /// The chart sets it, and Linkerd's proxy does nothing with it either.
            case idle
        }

        /// Without the prefix, except for the few that have none.
        public var name: String
        /// Empty: none.
        public var fallback: String
        public var meaning: String
        public var standing: Standing

        public var fullName: String { Configuration.unprefixed.contains(name) ? name : Configuration.prefix + name }
    }

    public static let variables: [Variable] =
        listeners + side("INBOUND", idle: "90s", failfast: "1s", connect: "300ms", backoff: "10s") + side("OUTBOUND", idle: "5s", failfast: "3s", connect: "1s", backoff: "60s") + discovery + identities
        + operations + telemetry

    private static func read(_ name: String, _ fallback: String = "", _ meaning: String) -> Variable { Variable(name: name, fallback: fallback, meaning: meaning, standing: .read) }

    private static func inert(_ name: String, _ fallback: String = "", _ meaning: String) -> Variable { Variable(name: name, fallback: fallback, meaning: meaning, standing: .inert) }

    private static let listeners = [
        read("OUTBOUND_LISTEN_ADDR", "127.0.0.1:4140", "where the pod's own connections are redirected to"),
        read("OUTBOUND_LISTEN_ADDRS", "", "one or two of them, for two address families; wins over the one"),
        read("INBOUND_LISTEN_ADDR", "0.0.0.0:4143", "where connections to the pod are redirected to"),
        read("CONTROL_LISTEN_ADDR", "0.0.0.0:4190", "the tap server, if there is one"),
        read("ADMIN_LISTEN_ADDR", "127.0.0.1:4191", "probes, metrics and debugging"),
        read("HTTP2_INITIAL_STREAM_WINDOW_SIZE", "65535", "bytes of an HTTP/2 stream's window"),
        read("HTTP2_INITIAL_CONNECTION_WINDOW_SIZE", "1048576", "bytes of an HTTP/2 connection's window"),
        read("OUTBOUND_TCP_QUEUE_CAPACITY", "10000", "opaque connections that may wait for an endpoint"),
        read("OUTBOUND_TCP_FAILFAST_TIMEOUT", "3s", "and how long until all of them fail"),
        read("MAX_IDLE_CONNS_PER_ENDPOINT", "10000", "idle HTTP/1 connections kept to the application"),
        read("OUTBOUND_MAX_IDLE_CONNS_PER_ENDPOINT", "10000", "idle HTTP/1 connections kept to an endpoint"),
    ]

    private static func side(_ side: String, idle: String, failfast: String, connect: String, backoff: String) -> [Variable] {
        [
            read(side + "_TCP_LISTEN_BACKLOG", "", "length of the listening socket's queue"),
            read(side + "_ACCEPT_KEEPALIVE", "", "TCP keep-alive time of accepted connections"),
            read(side + "_CONNECT_KEEPALIVE", "", "TCP keep-alive time of connections made"),
            read(side + "_ACCEPT_USER_TIMEOUT", "", "TCP_USER_TIMEOUT of accepted connections"),
            read(side + "_CONNECT_USER_TIMEOUT", "", "TCP_USER_TIMEOUT of connections made"),
            read(side + "_CONNECT_TIMEOUT", connect, "how long a connection may take to be made"),
            read(side + "_CONNECT_EXP_BACKOFF_MIN", "100ms", "first wait before connecting again; with the longest"),
            read(side + "_CONNECT_EXP_BACKOFF_MAX", backoff, "longest wait before connecting again"),
            read(side + "_CONNECT_EXP_BACKOFF_JITTER", "0.1", "share of a wait that chance may add"),
            read(side + "_HTTP_QUEUE_CAPACITY", "10000", "requests that may wait for an endpoint"),
            read(side + "_HTTP_FAILFAST_TIMEOUT", failfast, "and how long until all of them fail"),
            read(side + "_DETECT_TIMEOUT", "10s", "how long a connection may hide its protocol"),
            read(side + "_DISCOVERY_IDLE_TIMEOUT", idle, "how long what was discovered is kept unused"),
            read(side + "_HTTP1_CONNECTION_POOL_IDLE_TIMEOUT", "3s", "how long an idle HTTP/1 connection is kept"),
            read(side + "_MAX_IN_FLIGHT", "100000", "requests under way at once; more are answered 503"),
            read(side + "_SERVER_HTTP2_INITIAL_STREAM_WINDOW_SIZE", "65535", "of the server's streams; with the connection's"),
            read(side + "_SERVER_HTTP2_INITIAL_CONNECTION_WINDOW_SIZE", "1048576", "of the server's connections"),
            read(side + "_SERVER_HTTP2_KEEP_ALIVE_INTERVAL", "", "silence after which the server sends a PING; with the timeout"),
            read(side + "_SERVER_HTTP2_KEEP_ALIVE_TIMEOUT", "", "how long it waits for the answer"),
            read(side + "_SERVER_HTTP2_MAX_CONCURRENT_STREAMS", "200", "streams that a client may have open"),
            read(side + "_SERVER_HTTP2_MAX_FRAME_SIZE", "16384", "bytes of the largest frame taken"),
            read(side + "_SERVER_HTTP2_MAX_HEADER_LIST_SIZE", "65536", "bytes of the largest head taken"),
            read(side + "_SERVER_HTTP2_MAX_PENDING_ACCEPT_RESET_STREAMS", "1000", "early resets that a client may cause"),
            read(side + "_SERVER_HTTP2_MAX_SEND_BUF_SIZE", "131072", "bytes of a stream that may wait for their reader"),
            read(side + "_SERVER_HTTP2_ADAPTIVE_FLOW_CONTROL", "false", "windows that grow with what a connection can carry"),
        ]
    }

    private static let discovery = [
        read("DESTINATION_SVC_ADDR", "", "the destination service; required"), read("DESTINATION_SVC_NAME", "", "its identity; required unless it is on loopback"),
        read("DESTINATION_CONTEXT", "", "what is told to it with each question"),
        read("DESTINATION_PROFILE_NETWORKS", "", "addresses for which a profile may be asked, outbound"),
        read("DESTINATION_PROFILE_SUFFIXES", "svc.cluster.local.", "names for which a profile may be asked, by an ingress and a gateway"),
        inert("DESTINATION_PROFILE_INITIAL_TIMEOUT", "500ms", "inbound, how long a request waits for a profile"),
        read("POLICY_SVC_ADDR", "", "the policy service; required"), read("POLICY_SVC_NAME", "", "its identity; required unless it is on loopback"),
        read("POLICY_WORKLOAD", "", "who asks; required"), read("POLICY_CLUSTER_NETWORKS", "", "what the cluster-* default policies let in"),
        read("INBOUND_DEFAULT_POLICY", "all-unauthenticated", "of ports for which nothing is known yet"), read("INBOUND_PORTS", "", "ports whose policy is watched from the start"),
        read("INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION", "", "ports that are opaque until a policy says otherwise"), read("INBOUND_IPS", "", "the pod's addresses; empty: all are taken for it"),
        read("INBOUND_GATEWAY_SUFFIXES", "", "names for which this proxy is a gateway"), read("INGRESS_MODE", "false", "route by l5d-dst-override"),
        read("CONTROL_STREAM_INITIAL_TIMEOUT", "", "how long a stream of the control plane may say nothing at first"),
        read("CONTROL_STREAM_IDLE_TIMEOUT", "", "and later"), read("CONTROL_STREAM_LIFETIME", "", "and how old it may become"),
        read("DNS_MIN_TTL", "", "least time that an answer counts"), read("DNS_MAX_TTL", "", "longest time that an answer counts"),
        Variable(name: "INBOUND_PORTS_REQUIRE_IDENTITY", fallback: "", meaning: "replaced by policies", standing: .idle),
        Variable(name: "INBOUND_PORTS_REQUIRE_TLS", fallback: "", meaning: "replaced by policies", standing: .idle),
    ]

    private static let spire = "a Workload API is not spoken: certificates come from the identity service"
    private static let identities =
        [
            read("IDENTITY_SVC_ADDR", "", "the identity service; required"), read("IDENTITY_SVC_NAME", "", "its identity; required unless it is on loopback"),
            read("IDENTITY_DIR", "", "where key.p8 and csr.der are; required"), read("IDENTITY_TOKEN_FILE", "", "the token, read again for each certificate; required"),
            read("IDENTITY_TRUST_ANCHORS", "", "the roots in PEM; required"), read("IDENTITY_LOCAL_NAME", "", "identity and server name at once; required"),
            read("IDENTITY_SERVER_ID", "", "the identity alone"), read("IDENTITY_SERVER_NAME", "", "the server name alone"),
            read("WEFT_TRUST_ANCHORS_PATH", "", "our own: a file of roots in PEM, followed as it changes"),
            read("IDENTITY_MIN_REFRESH", "10s", "no certificate is asked for sooner"), read("IDENTITY_MAX_REFRESH", "24h", "and none later"),
            read("IDENTITY_DISABLED", "", "must not be set"),
        ]
        + ["IDENTITY_SPIRE_WORKLOAD_API_ADDRESS", "IDENTITY_SPIRE_SOCKET"].map { Variable(name: $0, fallback: "", meaning: "socket of a SPIFFE Workload API", standing: .unsupported(spire)) }
        + ["MIN", "MAX", "JITTER"].map {
            Variable(name: "LINKERD2_PROXY_IDENTITY_SPIRE_EXP_BACKOFF_" + $0, fallback: "", meaning: "waits between attempts at the Workload API", standing: .unsupported(spire))
        }

    private static let operations = [
        read("SHUTDOWN_GRACE_PERIOD", "2m", "how long open connections may take to finish"), read("SHUTDOWN_ENDPOINT_ENABLED", "false", "POST /shutdown works"),
        read("OUTBOUND_DISABLE_INFORMATIONAL_HEADERS", "false", "errors carry no l5d-proxy headers; always so for an ingress"),
        inert("CORES", "", "older spelling of CORES_MIN"), inert("CORES_MIN", "", "loops at least"), inert("CORES_MAX", "1", "loops at most"),
        inert("CORES_MAX_RATIO", "", "loops at most, as a share of the machine's cores"), read("LOG", Configuration.logFilterDefault, "which lines are logged"),
        read("LOG_FORMAT", "PLAIN", "PLAIN or JSON"), read("ACCESS_LOG", "", "apache or json: requests served, on stderr"),
    ]

    private static let telemetry = [
        read("METRICS_RETAIN_IDLE", "10m", "how long series are shown that nobody counts in"), read("INBOUND_METRICS_AUTHORITY_LABELS", "", "unsafe: inbound series carry the authority"),
        read("OUTBOUND_METRICS_HOSTNAME_LABELS", "false", "route series carry the hostname asked for"), read("TAP_SVC_NAME", "", "who may tap; unset: nobody"),
        read("TRACE_COLLECTOR_SVC_ADDR", "", "where spans go; unset: nowhere"), read("TRACE_COLLECTOR_SVC_NAME", "", "its identity; required with the address unless on loopback"),
        read("TRACE_SERVICE_NAME", "linkerd-proxy", "service.name of spans"), read("TRACE_ATTRIBUTES_PATH", "", "file of the pod's labels, for spans"),
        read("TRACE_EXTRA_ATTRIBUTES", "", "further attributes of spans, a line each"), read("OTEL_RESOURCE_ATTRIBUTES", "", "further attributes of spans, commas between"),
        read("HOSTNAME", "", "host.name of spans"),
        Variable(name: "TRACE_PROTOCOL", fallback: "", meaning: "older releases' choice of protocol", standing: .idle),
        Variable(name: "TRACE_ANNOTATIONS_PATH", fallback: "", meaning: "older releases' file of annotations", standing: .idle),
    ]
}
