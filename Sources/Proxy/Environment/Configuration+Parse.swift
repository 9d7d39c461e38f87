// From the environment to a configuration: which variable fills which field, and which may not stand together.
// Source: linkerd2-proxy linkerd/app/src/env.rs (names, defaults, rules); facts 1.3.

import Base
import HTTP
import Platform
import Transport

/// Every problem of the environment at once. The process exits with status 64 (EX_USAGE).
public struct ConfigurationProblems: Error {
    public var lines: [String]
}

extension Configuration {
    public static let prefix = "LINKERD2_PROXY_"
    /// Variables that other programs share.
    static let unprefixed = ["HOSTNAME", "OTEL_RESOURCE_ATTRIBUTES"]

    /// Reads the environment. Unknown variables are ignored, as Linkerd's proxy ignores them.
    public static func parse(_ settings: Settings) throws(ConfigurationProblems) -> Configuration {
        var reader = EnvironmentReader(settings: settings)
        return try parse(&reader)
    }

    static func parse(_ reader: inout EnvironmentReader) throws(ConfigurationProblems) -> Configuration {
        let destination = reader.service("DESTINATION_SVC")
        let policy = reader.service("POLICY_SVC")
        let workload = reader.required("POLICY_WORKLOAD", hint: "a JSON object with the pod's ns and pod name") { $0 }
        let identity = identity(&reader)
        // The optional ones are read in any case, so that one run names everything that is wrong.
        let none = Service(authority: Authority(host: "", port: 1))
        var configuration = Configuration(
            destination: destination ?? none, policy: policy ?? none,
            identity: identity ?? IdentitySettings(service: none, localID: "", localName: "", directory: "", tokenFile: "", trustAnchorsPEM: ""), policyWorkload: workload ?? "")
        configuration.readListeners(&reader)
        configuration.readSide(\.inbound, "INBOUND_", idleConnections: "MAX_IDLE_CONNS_PER_ENDPOINT", &reader)
        configuration.readSide(\.outbound, "OUTBOUND_", idleConnections: "OUTBOUND_MAX_IDLE_CONNS_PER_ENDPOINT", &reader)
        configuration.readDiscovery(&reader)
        configuration.readOperations(&reader)
        configuration.readTelemetry(&reader)
        for variable in Self.variables {
            guard case .unsupported(let reason) = variable.standing, let value = reader.value(variable.name), value != "false" else { continue }
            reader.problem(variable.name, "is set, but not supported: \(reason)")
        }
        if !reader.problems.isEmpty || destination == nil || policy == nil || workload == nil || identity == nil { throw ConfigurationProblems(lines: reader.problems) }
        return configuration
    }

    private static func identity(_ reader: inout EnvironmentReader) -> IdentitySettings? {
        let service = reader.service("IDENTITY_SVC")
        let both = reader.value("IDENTITY_LOCAL_NAME")
        let id = reader.value("IDENTITY_SERVER_ID") ?? both
        let name = reader.value("IDENTITY_SERVER_NAME") ?? both
        if id == nil || name == nil {
            let missing = both == nil && id == nil && name == nil ? "IDENTITY_LOCAL_NAME" : id == nil ? "IDENTITY_SERVER_ID" : "IDENTITY_SERVER_NAME"
            reader.problem(missing, "is missing: set the workload's identity name")
        } else if let id, let name {
            if id.hasPrefix("spiffe://") {
                reader.problem("IDENTITY_SERVER_ID", "is a SPIFFE URI, which the identity service does not certify: set the workload's DNS name")
            } else {
                if id.hasSuffix(".") || name.hasSuffix(".") { reader.problem(both == nil ? "IDENTITY_SERVER_ID" : "IDENTITY_LOCAL_NAME", "must not end with a dot, but is \"\(id.prefix(80))\"") }
                if id != name { reader.problem("IDENTITY_SERVER_NAME", "must equal IDENTITY_SERVER_ID, but is \"\(name.prefix(80))\"") }
            }
        }
        let directory = reader.required("IDENTITY_DIR", hint: "the directory of key.p8 and csr.der") { $0 }
        let tokenFile = reader.required("IDENTITY_TOKEN_FILE", hint: "the path of the service account token") { $0 }
        let anchors = reader.required("IDENTITY_TRUST_ANCHORS", hint: "the trust anchors in PEM") { $0.contains("-----BEGIN CERTIFICATE-----") ? $0 : nil }
        let path = reader.value("WEFT_TRUST_ANCHORS_PATH")
        if reader.value("IDENTITY_DISABLED") != nil { reader.problem("IDENTITY_DISABLED", "is set, but identity can no longer be disabled: unset it") }
        var refreshMin = Interval.seconds(10)
        var refreshMax = Interval.hours(24)
        reader.set(&refreshMin, duration: "IDENTITY_MIN_REFRESH")
        reader.set(&refreshMax, duration: "IDENTITY_MAX_REFRESH")
        if refreshMin > refreshMax { reader.problem("IDENTITY_MIN_REFRESH", "is longer than IDENTITY_MAX_REFRESH") }
        guard let service, let id, let name, let directory, let tokenFile, let anchors else { return nil }
        var settings = IdentitySettings(service: service, localID: id, localName: name, directory: directory, tokenFile: tokenFile, trustAnchorsPEM: anchors)
        settings.trustAnchorsPath = path
        settings.refreshMin = refreshMin
        settings.refreshMax = refreshMax
        return settings
    }

    private mutating func readListeners(_ reader: inout EnvironmentReader) {
        let single = reader.optional("OUTBOUND_LISTEN_ADDR", as: "an ip:port", { SocketAddress($0) })
        if let listen = reader.addresses("OUTBOUND_LISTEN_ADDRS") ?? single.map({ [$0] }) {
            if listen.count > 2 { reader.problem("OUTBOUND_LISTEN_ADDRS", "names \(listen.count) addresses, at most 2 are supported") }
            outboundListen = listen
        }
        reader.set(&inboundListen, "INBOUND_LISTEN_ADDR", as: "an ip:port") { SocketAddress($0) }
        reader.set(&adminListen, "ADMIN_LISTEN_ADDR", as: "an ip:port") { SocketAddress($0) }
        reader.set(&controlListen, "CONTROL_LISTEN_ADDR", as: "an ip:port") { SocketAddress($0) }
        var streamWindow = clientHTTP2.initialStreamWindowBytes
        var connectionWindow = clientHTTP2.initialConnectionWindowBytes
        reader.set(&streamWindow, number: "HTTP2_INITIAL_STREAM_WINDOW_SIZE", 1...Self.windowMax)
        reader.set(&connectionWindow, number: "HTTP2_INITIAL_CONNECTION_WINDOW_SIZE", 65_535...Self.windowMax)
        clientHTTP2.initialStreamWindowBytes = streamWindow
        clientHTTP2.initialConnectionWindowBytes = connectionWindow
        inbound.serverHTTP2 = clientHTTP2
        outbound.serverHTTP2 = clientHTTP2
    }

    /// RFC 9113 section 6.9.1.
    private static let windowMax = 0x7fff_ffff

    private mutating func readSide(_ path: WritableKeyPath<Configuration, Side>, _ name: String, idleConnections: String, _ reader: inout EnvironmentReader) {
        var side = self[keyPath: path]
        reader.set(&side.connectTimeout, duration: name + "CONNECT_TIMEOUT")
        reader.set(&side.detectTimeout, duration: name + "DETECT_TIMEOUT")
        reader.set(&side.discoveryIdleTimeout, duration: name + "DISCOVERY_IDLE_TIMEOUT")
        reader.set(&side.queueRequestsMax, number: name + "HTTP_QUEUE_CAPACITY", 1...Int(Int32.max))
        reader.set(&side.failfastTimeout, duration: name + "HTTP_FAILFAST_TIMEOUT")
        if path == \.outbound {
            reader.set(&side.queueConnectionsMax, number: name + "TCP_QUEUE_CAPACITY", 1...Int(Int32.max))
            reader.set(&side.opaqueFailfastTimeout, duration: name + "TCP_FAILFAST_TIMEOUT")
        }
        reader.set(&side.requestsInFlightMax, number: name + "MAX_IN_FLIGHT", 1...Int(Int32.max))
        reader.set(&side.idleConnectionsMax, number: idleConnections, 0...Int(Int32.max))
        reader.set(&side.idleConnectionTimeout, duration: name + "HTTP1_CONNECTION_POOL_IDLE_TIMEOUT")
        side.acceptKeepAlive = reader.duration(name + "ACCEPT_KEEPALIVE")
        side.connectKeepAlive = reader.duration(name + "CONNECT_KEEPALIVE")
        side.acceptUserTimeout = reader.duration(name + "ACCEPT_USER_TIMEOUT")
        side.connectUserTimeout = reader.duration(name + "CONNECT_USER_TIMEOUT")
        side.backlog = reader.number(name + "TCP_LISTEN_BACKLOG", 1...Int(Int32.max)).map { Int32($0) }
        readBackoff(&side.connectBackoff, name + "CONNECT_EXP_BACKOFF_", &reader)
        readServer(&side, name + "SERVER_HTTP2_", &reader)
        self[keyPath: path] = side
    }

    private func readBackoff(_ backoff: inout BackoffOptions, _ name: String, _ reader: inout EnvironmentReader) {
        let low = reader.duration(name + "MIN")
        let high = reader.duration(name + "MAX")
        if let low, let high {
            if low > high { reader.problem(name + "MIN", "is longer than \(name)MAX") }
            if high == .zero { reader.problem(name + "MAX", "must be longer than nothing") }
            backoff.min = low
            backoff.max = high
        } else if low != nil || high != nil {
            reader.problem(name + (low == nil ? "MIN" : "MAX"), "is missing: \(name)MIN and \(name)MAX come together")
        }
        if let jitter = reader.optional(name + "JITTER", as: "a number from 0 to 100 such as 0.1", { EnvironmentReader.thousandths($0).flatMap { $0 <= 100_000 ? $0 : nil } }) {
            backoff.jitterPercent = Int64(jitter / 10)
        }
    }

    private func readServer(_ side: inout Side, _ name: String, _ reader: inout EnvironmentReader) {
        let stream = reader.number(name + "INITIAL_STREAM_WINDOW_SIZE", 1...Self.windowMax)
        let connection = reader.number(name + "INITIAL_CONNECTION_WINDOW_SIZE", 65_535...Self.windowMax)
        if let stream, let connection {
            side.serverHTTP2.initialStreamWindowBytes = stream
            side.serverHTTP2.initialConnectionWindowBytes = connection
        } else if stream != nil || connection != nil {
            reader.problem(name + (stream == nil ? "INITIAL_STREAM_WINDOW_SIZE" : "INITIAL_CONNECTION_WINDOW_SIZE"), "is missing: the windows of stream and connection come together")
        }
        reader.set(&side.serverHTTP2.adaptsWindows, name + "ADAPTIVE_FLOW_CONTROL", as: "true or false") { EnvironmentReader.bool($0) }
        let interval = reader.duration(name + "KEEP_ALIVE_INTERVAL")
        let timeout = reader.duration(name + "KEEP_ALIVE_TIMEOUT")
        if let interval, let timeout {
            side.serverHTTP2.keepAliveInterval = interval
            side.serverHTTP2.keepAliveTimeout = timeout
            side.serverHTTP2.keepAliveWhileIdle = true
        } else if interval != nil || timeout != nil {
            reader.problem(name + (interval == nil ? "KEEP_ALIVE_INTERVAL" : "KEEP_ALIVE_TIMEOUT"), "is missing: interval and timeout come together")
        }
        if let streams = reader.number(name + "MAX_CONCURRENT_STREAMS", 1...Int(UInt32.max)) { side.serverHTTP2.maxConcurrentStreams = UInt32(streams) }
        reader.set(&side.serverHTTP2.maxFrameBytes, number: name + "MAX_FRAME_SIZE", 16_384...16_777_215)
        reader.set(&side.serverHTTP2.maxHeaderListBytes, number: name + "MAX_HEADER_LIST_SIZE", 1...Int(Int32.max))
        side.pendingResetsMax = reader.number(name + "MAX_PENDING_ACCEPT_RESET_STREAMS", 1...Int(Int32.max))
        side.sendBufferBytesMax = reader.number(name + "MAX_SEND_BUF_SIZE", 1...Int(UInt32.max))
    }

    private mutating func readDiscovery(_ reader: inout EnvironmentReader) {
        streamLimits.initial = reader.duration("CONTROL_STREAM_INITIAL_TIMEOUT")
        streamLimits.idle = reader.duration("CONTROL_STREAM_IDLE_TIMEOUT")
        streamLimits.lifetime = reader.duration("CONTROL_STREAM_LIFETIME")
        if let a = streamLimits.initial, let b = streamLimits.idle ?? streamLimits.lifetime, a > b {
            reader.problem("CONTROL_STREAM_INITIAL_TIMEOUT", "is longer than \(streamLimits.idle == nil ? "CONTROL_STREAM_LIFETIME" : "CONTROL_STREAM_IDLE_TIMEOUT")")
        }
        if let a = streamLimits.idle, let b = streamLimits.lifetime, a > b { reader.problem("CONTROL_STREAM_IDLE_TIMEOUT", "is longer than CONTROL_STREAM_LIFETIME") }
        destinationContext = reader.value("DESTINATION_CONTEXT") ?? ""
        profileNetworks = reader.networks("DESTINATION_PROFILE_NETWORKS")
        if let suffixes = reader.suffixes("DESTINATION_PROFILE_SUFFIXES") { profileSuffixes = suffixes }
        reader.set(&profileInitialTimeout, duration: "DESTINATION_PROFILE_INITIAL_TIMEOUT")
        clusterNetworks = reader.networks("POLICY_CLUSTER_NETWORKS")
        inboundIPs = reader.list("INBOUND_IPS", as: "a comma-separated list of IP addresses") { IPAddress($0) }
        inboundPorts = reader.ports("INBOUND_PORTS")
        inboundOpaquePorts = reader.ports("INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION")
        reader.set(&inboundDefaultPolicy, "INBOUND_DEFAULT_POLICY", as: "one of \(DefaultPolicy.allCases.map(\.rawValue).joined(separator: ", "))") { DefaultPolicy(rawValue: $0) }
        if clusterNetworks.isEmpty, [.clusterAuthenticated, .clusterUnauthenticated].contains(inboundDefaultPolicy) {
            reader.problem("INBOUND_DEFAULT_POLICY", "is \(inboundDefaultPolicy.rawValue), which needs POLICY_CLUSTER_NETWORKS")
        }
        if let suffixes = reader.suffixes("INBOUND_GATEWAY_SUFFIXES") { gatewaySuffixes = suffixes }
        reader.set(&isIngress, flag: "INGRESS_MODE")
        dnsTTLMin = reader.duration("DNS_MIN_TTL")
        dnsTTLMax = reader.duration("DNS_MAX_TTL")
        if let low = dnsTTLMin, let high = dnsTTLMax, low > high { reader.problem("DNS_MIN_TTL", "is longer than DNS_MAX_TTL") }
    }

    private mutating func readOperations(_ reader: inout EnvironmentReader) {
        reader.set(&shutdownGracePeriod, duration: "SHUTDOWN_GRACE_PERIOD")
        reader.set(&isShutdownEndpointEnabled, flag: "SHUTDOWN_ENDPOINT_ENABLED")
        var isSilent = isIngress
        reader.set(&isSilent, flag: "OUTBOUND_DISABLE_INFORMATIONAL_HEADERS")
        informsOutbound = !isSilent && !isIngress
        cores.most = reader.number("CORES_MAX", 1...ProxyLimits.loopsMax)
        cores.least = reader.number("CORES_MIN", 1...ProxyLimits.loopsMax)
        let older = reader.number("CORES", 1...ProxyLimits.loopsMax)
        if cores.least == nil { cores.least = older }
        cores.ratio = reader.optional("CORES_MAX_RATIO", as: "a number above 0 and at most 1") { EnvironmentReader.thousandths($0).flatMap { (1...1000).contains($0) ? $0 : nil } }
        // Directives that cannot be read are passed over by the log, as Linkerd's proxy does.
        if let filter = reader.value("LOG") { logFilter = LogFilter(filter) }
        // The format is the writer's business, which is there before us.
        _ = reader.value("LOG_FORMAT")
        accessLog = reader.value("ACCESS_LOG").flatMap { AccessLogFormat(rawValue: $0) }
    }

    private mutating func readTelemetry(_ reader: inout EnvironmentReader) {
        reader.set(&metricsRetainIdle, duration: "METRICS_RETAIN_IDLE")
        if let labels = reader.optional("INBOUND_METRICS_AUTHORITY_LABELS", as: "empty or unsafe", { $0 == "unsafe" ? $0 : nil }) { hasInboundAuthorityLabels = labels == "unsafe" }
        reader.set(&hasHostnameLabels, flag: "OUTBOUND_METRICS_HOSTNAME_LABELS")
        tapIdentity = reader.value("TAP_SVC_NAME")
        let host = reader.value("HOSTNAME")
        let attributes = reader.value("TRACE_EXTRA_ATTRIBUTES").map { Self.attributes($0, separator: "\n") } ?? []
        let resource = reader.value("OTEL_RESOURCE_ATTRIBUTES").map { Self.attributes($0, separator: ",") } ?? []
        let path = reader.value("TRACE_ATTRIBUTES_PATH")
        let name = reader.value("TRACE_SERVICE_NAME")
        if reader.value("TRACE_COLLECTOR_SVC_ADDR") == nil {
            _ = reader.value("TRACE_COLLECTOR_SVC_NAME")
            return
        }
        guard let collector = reader.service("TRACE_COLLECTOR_SVC") else { return }
        var settings = TraceSettings(collector: collector)
        if let name { settings.serviceName = name }
        settings.attributesPath = path
        settings.attributes = attributes + resource
        settings.hostName = host
        tracing = settings
    }

    /// `key=value` pairs; what is none is passed over.
    static func attributes(_ text: String, separator: Character) -> [(name: String, value: String)] {
        text.split(separator: separator).compactMap { line in
            let sides = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard sides.count == 2 else { return nil }
            let name = sides[0].drop { $0 == " " }
            var value = sides[1]
            while value.last?.isWhitespace ?? false { value.removeLast() }
            return name.isEmpty ? nil : (String(name), String(value))
        }
    }
}
