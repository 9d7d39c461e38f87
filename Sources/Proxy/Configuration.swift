// What a proxy is told at start: Linkerd's environment variables, parsed once, every problem listed. Absent on purpose: files
// and flags; a pod's proxy has no other source. Source: linkerd2-proxy linkerd/app/src/env.rs (names, defaults, syntax).

import Base
import Platform

public struct Configuration {
    public struct Service {
        /// `name:port`; the name may end in a dot.
        public var authority: Authority
        /// The identity it must prove; nil for a loopback address, which is dialled without TLS.
        public var identity: String?
    }

    public struct Side {
        public var connectTimeout: Interval
        public var acceptKeepAlive: Interval?
        public var connectKeepAlive: Interval?
        public var acceptUserTimeout: Interval?
        public var connectUserTimeout: Interval?
        public var detectTimeout = Interval.seconds(10)
        public var discoveryIdleTimeout: Interval
        public var queueRequestsMax = 10_000
        public var failfastTimeout: Interval
        public var backlog: Int32?
    }

    public struct StreamLimits {
        public var initial: Interval?
        public var idle: Interval?
        public var lifetime: Interval?
    }

    public struct IdentitySettings {
        public var service: Service
        public var localName: String
        public var directory: String
        public var tokenFile: String
        public var trustAnchorsPEM: String
        public var refreshMin = Interval.seconds(10)
        public var refreshMax = Interval.hours(24)
    }

    public var outboundListen: [SocketAddress] = [SocketAddress(.loopback, 4140)]
    public var inboundListen = SocketAddress(.any, 4143)
    public var adminListen = SocketAddress(.loopback, 4191)
    public var inbound = Side(connectTimeout: .milliseconds(300), discoveryIdleTimeout: .seconds(90), failfastTimeout: .seconds(1))
    public var outbound = Side(connectTimeout: .seconds(1), discoveryIdleTimeout: .seconds(5), failfastTimeout: .seconds(3))
    public var destination: Service
    public var policy: Service
    public var identity: IdentitySettings
    public var streamLimits = StreamLimits()
    public var destinationContext = ""
    public var policyWorkload: String
    public var profileNetworks: [IPNetwork] = []
    public var clusterNetworks: [IPNetwork] = []
    public var inboundIPs: [IPAddress] = []
    public var inboundPorts: PortSet = PortSet()
    public var inboundOpaquePorts: PortSet = PortSet()
    public var inboundDefaultPolicy = DefaultPolicy.allUnauthenticated
    public var shutdownGracePeriod = Interval.minutes(2)
    public var isShutdownEndpointEnabled = false
    public var informsOutbound = true
    /// How long a name's answer counts at least and at most; nil: as it says.
    public var dnsTTLMin: Interval?
    public var dnsTTLMax: Interval?
    /// Series that nobody counts in any more are forgotten after this.
    public var metricsRetainIdle = Interval.minutes(10)
    public var logFilter = "warn,linkerd=info"

    /// The level the filter asks for, by its first bare directive; `linkerd=` wins for our own lines.
    public var logLevel: Log.Level { LogFilter.level(logFilter) ?? .info }
}

public enum DefaultPolicy: String, CaseIterable, Sendable {
    case deny
    case allAuthenticated = "all-authenticated"
    case allUnauthenticated = "all-unauthenticated"
    case clusterAuthenticated = "cluster-authenticated"
    case clusterUnauthenticated = "cluster-unauthenticated"
    case audit
}

/// A name or address with a port.
public struct Authority: Hashable, Sendable, CustomStringConvertible {
    public var host: String
    public var port: UInt16

    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// `name:port` or `ip:port`.
    public init?(_ text: String) {
        if let address = SocketAddress(text) {
            self.init(host: "\(address.ip)", port: address.port)
            return
        }
        guard let colon = text.lastIndex(of: ":"), let port = parsePort(text[text.index(after: colon)...]), port > 0 else { return nil }
        let host = text[..<colon]
        guard !host.isEmpty, host.utf8.count <= 254,
            host.utf8.allSatisfy({ ($0 >= 97 && $0 <= 122) || ($0 >= 65 && $0 <= 90) || ($0 >= 48 && $0 <= 57) || $0 == 45 || $0 == 46 || $0 == 95 })
        else { return nil }
        self.init(host: String(host), port: port)
    }

    public var address: SocketAddress? { IPAddress(host).map { SocketAddress($0, port) } }
    public var isLoopback: Bool { address?.ip.isLoopback ?? ["localhost", "localhost."].contains(host.lowercased()) }
    public var description: String { host.utf8.contains(58) ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// Ports as sorted ranges.
public struct PortSet: Hashable, Sendable {
    public private(set) var ranges: [ClosedRange<UInt16>] = []

    public init() {}

    public mutating func insert(_ range: ClosedRange<UInt16>) { ranges.append(range) }
    public func contains(_ port: UInt16) -> Bool { ranges.contains { $0.contains(port) } }
    /// Every port, range by range.
    public var ports: [UInt16] { ranges.flatMap { Array($0) } }
}

/// Every problem of the environment at once. The process exits with status 64 (EX_USAGE).
public struct ConfigurationProblems: Error {
    public var lines: [String]
}

extension Configuration {
    public static let prefix = "LINKERD2_PROXY_"

    /// Reads the environment. Unknown variables are ignored, as Linkerd's proxy ignores them.
    public static func parse(_ settings: Settings) throws(ConfigurationProblems) -> Configuration {
        var reader = EnvironmentReader(settings: settings)

        let destination = reader.service("DESTINATION_SVC")
        let policy = reader.service("POLICY_SVC")
        let identityService = reader.service("IDENTITY_SVC")
        let workload = reader.required("POLICY_WORKLOAD", hint: "a JSON object with the pod's ns and pod name") { $0 }
        let identityName = reader.optional("IDENTITY_LOCAL_NAME") { $0 } ?? reader.optional("IDENTITY_SERVER_NAME") { $0 }
        if identityName == nil { reader.problem("IDENTITY_LOCAL_NAME", "is missing: set the workload's identity name") }
        let directory = reader.required("IDENTITY_DIR", hint: "the directory of key.p8 and csr.der") { $0 }
        let tokenFile = reader.required("IDENTITY_TOKEN_FILE", hint: "the path of the service account token") { $0 }
        let anchors = reader.required("IDENTITY_TRUST_ANCHORS", hint: "the trust anchors in PEM") { $0.contains("-----BEGIN CERTIFICATE-----") ? $0 : nil }
        if let disabled = settings[prefix + "IDENTITY_DISABLED"], !disabled.isEmpty {
            reader.problem("IDENTITY_DISABLED", "is set, but identity can no longer be disabled: unset it")
        }

        guard let destination, let policy, let identityService, let workload, let identityName, let directory, let tokenFile, let anchors else {
            // The optional ones are read as well, so that one run names everything that is wrong.
            var scratch = Configuration(
                destination: Service(authority: Authority(host: "", port: 1)), policy: Service(authority: Authority(host: "", port: 1)),
                identity: IdentitySettings(service: Service(authority: Authority(host: "", port: 1)), localName: "", directory: "", tokenFile: "", trustAnchorsPEM: ""),
                policyWorkload: "")
            scratch.readOptional(&reader)
            throw ConfigurationProblems(lines: reader.problems)
        }
        var configuration = Configuration(
            destination: destination, policy: policy,
            identity: IdentitySettings(service: identityService, localName: identityName, directory: directory, tokenFile: tokenFile, trustAnchorsPEM: anchors),
            policyWorkload: workload)
        configuration.readOptional(&reader)
        if !reader.problems.isEmpty { throw ConfigurationProblems(lines: reader.problems) }
        return configuration
    }

    private mutating func readOptional(_ reader: inout EnvironmentReader) {
        if let listen = reader.addresses("OUTBOUND_LISTEN_ADDRS") ?? reader.optional("OUTBOUND_LISTEN_ADDR", as: "an ip:port", { SocketAddress($0) }).map({ [$0] }) {
            if listen.count > 2 { reader.problem("OUTBOUND_LISTEN_ADDRS", "names \(listen.count) addresses, at most 2 are supported") }
            outboundListen = listen
        }
        reader.set(&inboundListen, "INBOUND_LISTEN_ADDR", as: "an ip:port") { SocketAddress($0) }
        reader.set(&adminListen, "ADMIN_LISTEN_ADDR", as: "an ip:port") { SocketAddress($0) }

        reader.side(&inbound, "INBOUND_")
        reader.side(&outbound, "OUTBOUND_")

        streamLimits.initial = reader.duration("CONTROL_STREAM_INITIAL_TIMEOUT")
        streamLimits.idle = reader.duration("CONTROL_STREAM_IDLE_TIMEOUT")
        streamLimits.lifetime = reader.duration("CONTROL_STREAM_LIFETIME")
        if let a = streamLimits.initial, let b = streamLimits.idle, a > b { reader.problem("CONTROL_STREAM_INITIAL_TIMEOUT", "is longer than CONTROL_STREAM_IDLE_TIMEOUT") }
        if let a = streamLimits.idle, let b = streamLimits.lifetime, a > b { reader.problem("CONTROL_STREAM_IDLE_TIMEOUT", "is longer than CONTROL_STREAM_LIFETIME") }

        destinationContext = reader.optional("DESTINATION_CONTEXT") { $0 } ?? ""
        profileNetworks = reader.networks("DESTINATION_PROFILE_NETWORKS")
        clusterNetworks = reader.networks("POLICY_CLUSTER_NETWORKS")
        inboundIPs = reader.list("INBOUND_IPS", as: "a comma-separated list of IP addresses") { IPAddress($0) }
        inboundPorts = reader.ports("INBOUND_PORTS")
        inboundOpaquePorts = reader.ports("INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION")
        reader.set(&inboundDefaultPolicy, "INBOUND_DEFAULT_POLICY", as: "one of \(DefaultPolicy.allCases.map(\.rawValue).joined(separator: ", "))") { DefaultPolicy(rawValue: $0) }
        if clusterNetworks.isEmpty, [.clusterAuthenticated, .clusterUnauthenticated].contains(inboundDefaultPolicy) {
            reader.problem("INBOUND_DEFAULT_POLICY", "is \(inboundDefaultPolicy.rawValue), which needs POLICY_CLUSTER_NETWORKS")
        }
        reader.set(&identity.refreshMin, "IDENTITY_MIN_REFRESH", as: "a duration") { EnvironmentReader.interval($0) }
        reader.set(&identity.refreshMax, "IDENTITY_MAX_REFRESH", as: "a duration") { EnvironmentReader.interval($0) }
        reader.set(&shutdownGracePeriod, "SHUTDOWN_GRACE_PERIOD", as: "a duration") { EnvironmentReader.interval($0) }
        dnsTTLMin = reader.duration("DNS_MIN_TTL")
        dnsTTLMax = reader.duration("DNS_MAX_TTL")
        if let low = dnsTTLMin, let high = dnsTTLMax, low > high { reader.problem("DNS_MIN_TTL", "is longer than DNS_MAX_TTL") }
        reader.set(&metricsRetainIdle, "METRICS_RETAIN_IDLE", as: "a duration") { EnvironmentReader.interval($0) }
        reader.set(&isShutdownEndpointEnabled, "SHUTDOWN_ENDPOINT_ENABLED", as: "true or false") { EnvironmentReader.bool($0) }
        if let disabled = reader.optional("OUTBOUND_DISABLE_INFORMATIONAL_HEADERS", as: "true or false", { EnvironmentReader.bool($0) }) { informsOutbound = !disabled }
        // Directives that cannot be read are passed over by the log, as Linkerd's proxy does.
        if let filter = reader.optional("LOG", { $0 }) { logFilter = filter }
    }
}

/// Reads variables one by one and collects what is wrong with them.
private struct EnvironmentReader {
    let settings: Settings
    private(set) var problems: [String] = []

    init(settings: Settings) { self.settings = settings }

    mutating func problem(_ name: String, _ text: String) { problems.append("\(Configuration.prefix)\(name) \(text)") }

    /// The value if set and not empty.
    private func value(_ name: String) -> String? {
        guard let text = settings[Configuration.prefix + name], !text.isEmpty else { return nil }
        return text
    }

    mutating func optional<T>(_ name: String, as kind: String = "", _ convert: (String) -> T?) -> T? {
        guard let text = value(name) else { return nil }
        if let converted = convert(text) { return converted }
        problem(name, "must be \(kind), but is \"\(text.prefix(80))\"")
        return nil
    }

    mutating func required<T>(_ name: String, hint: String, _ convert: (String) -> T?) -> T? {
        guard value(name) != nil else {
            problem(name, "is missing: set \(hint)")
            return nil
        }
        return optional(name, as: hint, convert)
    }

    mutating func set<T>(_ target: inout T, _ name: String, as kind: String, _ convert: (String) -> T?) {
        if let converted = optional(name, as: kind, convert) { target = converted }
    }

    mutating func service(_ name: String) -> Configuration.Service? {
        guard let authority = required(name + "_ADDR", hint: "name:port of the service", { Authority($0) }) else {
            if value(name + "_NAME") == nil { problem(name + "_NAME", "is missing: set the identity of the service") }
            return nil
        }
        if authority.isLoopback { return Configuration.Service(authority: authority, identity: nil) }
        guard let identity = required(name + "_NAME", hint: "the identity of the service", { $0 }) else { return nil }
        return Configuration.Service(authority: authority, identity: identity)
    }

    mutating func duration(_ name: String) -> Interval? { optional(name, as: "a duration such as 300ms, 10s or 5m") { Self.interval($0) } }

    mutating func list<T>(_ name: String, as kind: String, _ convert: (String) -> T?) -> [T] {
        optional(name, as: kind) { text in
            var items: [T] = []
            for part in text.split(separator: ",") {
                let trimmed = part.drop { $0 == " " }.prefix { $0 != " " }
                if trimmed.isEmpty { continue }
                guard let item = convert(String(trimmed)) else { return nil }
                items.append(item)
            }
            return items
        } ?? []
    }

    mutating func addresses(_ name: String) -> [SocketAddress]? {
        let found = list(name, as: "a comma-separated list of ip:port") { SocketAddress($0) }
        return found.isEmpty ? nil : found
    }

    mutating func networks(_ name: String) -> [IPNetwork] { list(name, as: "a comma-separated list of CIDR networks") { IPNetwork($0) } }

    mutating func ports(_ name: String) -> PortSet {
        var set = PortSet()
        let ranges: [ClosedRange<UInt16>] = list(name, as: "a comma-separated list of ports and lo-hi ranges") { text in
            let ends = text.split(separator: "-", omittingEmptySubsequences: false)
            guard ends.count <= 2, let low = parsePort(ends[0]), let high = parsePort(ends[ends.count - 1]), low <= high else { return nil }
            return low...high
        }
        for range in ranges { set.insert(range) }
        return set
    }

    mutating func side(_ side: inout Configuration.Side, _ name: String) {
        set(&side.connectTimeout, name + "CONNECT_TIMEOUT", as: "a duration") { Self.interval($0) }
        set(&side.detectTimeout, name + "DETECT_TIMEOUT", as: "a duration") { Self.interval($0) }
        set(&side.discoveryIdleTimeout, name + "DISCOVERY_IDLE_TIMEOUT", as: "a duration") { Self.interval($0) }
        set(&side.queueRequestsMax, name + "HTTP_QUEUE_CAPACITY", as: "a number") { Int($0).flatMap { $0 > 0 ? $0 : nil } }
        set(&side.failfastTimeout, name + "HTTP_FAILFAST_TIMEOUT", as: "a duration") { Self.interval($0) }
        side.acceptKeepAlive = duration(name + "ACCEPT_KEEPALIVE")
        side.connectKeepAlive = duration(name + "CONNECT_KEEPALIVE")
        side.acceptUserTimeout = duration(name + "ACCEPT_USER_TIMEOUT")
        side.connectUserTimeout = duration(name + "CONNECT_USER_TIMEOUT")
        side.backlog = optional(name + "TCP_LISTEN_BACKLOG", as: "a positive number") { Int32($0).flatMap { $0 > 0 ? $0 : nil } }
    }

    /// An integer with `ms`, `s`, `m`, `h` or `d`; a bare 0 is legal.
    static func interval(_ text: String) -> Interval? {
        let trimmed = text.drop { $0 == " " }
        let digits = trimmed.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int64(digits), number >= 0 else { return nil }
        let unit = trimmed.dropFirst(digits.count).prefix { $0 != " " }
        let scale: Int64
        switch unit {
        case "ms": scale = 1_000_000
        case "s": scale = 1_000_000_000
        case "m": scale = 60_000_000_000
        case "h": scale = 3_600_000_000_000
        case "d": scale = 86_400_000_000_000
        case "" where number == 0: scale = 1
        default: return nil
        }
        let (product, overflow) = number.multipliedReportingOverflow(by: scale)
        return overflow ? nil : Interval(nanoseconds: product)
    }

    static func bool(_ text: String) -> Bool? { text == "true" ? true : text == "false" ? false : nil }
}

/// The part of Rust's env-filter syntax that a single-level log understands.
public enum LogFilter {
    /// The level for our own lines: the directive of `linkerd` or `weft` if there is one, else the bare one. nil: no valid directive.
    public static func level(_ filter: String) -> Log.Level? {
        var bare: Log.Level?
        var own: Log.Level?
        for directive in filter.split(separator: ",") {
            let parts = directive.split(separator: "=", maxSplits: 1)
            if parts.count == 1, let level = named(parts[0]) {
                bare = level
            } else if parts.count == 2, ["linkerd", "weft", "linkerd_app"].contains(parts[0]), let level = named(parts[1]) {
                own = level
            }
        }
        return own ?? bare
    }

    private static func named(_ text: Substring) -> Log.Level? {
        switch text.lowercased() {
        case "trace": .trace
        case "debug": .debug
        case "info": .info
        case "warn": .warn
        case "error": .error
        case "off": .off
        default: nil
        }
    }
}
