// What a proxy is told at start, as values with Linkerd's defaults; how they are read is in Environment/. Absent on purpose: files and
// flags; a pod's proxy has no other source than its environment. Source: linkerd2-proxy linkerd/app/src/env.rs.

import Base
import HTTP
import Platform
import Transport

public struct Configuration {
    public struct Service {
        /// `name:port`; the name may end in a dot.
        public var authority: Authority
        /// The identity it must prove; nil for a loopback address, which is dialled without TLS.
        public var identity: String?
    }

    public struct Side {
        public var connectTimeout: Interval
        /// Between attempts to connect again.
        public var connectBackoff: BackoffOptions
        public var acceptKeepAlive: Interval?
        public var connectKeepAlive: Interval?
        public var acceptUserTimeout: Interval?
        public var connectUserTimeout: Interval?
        public var detectTimeout = Interval.seconds(10)
        public var discoveryIdleTimeout: Interval
        public var queueRequestsMax = 10_000
        public var failfastTimeout: Interval
        /// Opaque connections that may wait for an endpoint, and how long. Outbound only.
        public var queueConnectionsMax = 10_000
        public var opaqueFailfastTimeout = Interval.seconds(3)
        /// Requests in flight in one server.
        public var requestsInFlightMax = 100_000
        /// Idle HTTP/1 connections kept for one endpoint, and how long.
        public var idleConnectionsMax = 10_000
        public var idleConnectionTimeout = Interval.seconds(3)
        public var backlog: Int32?
        /// What the server says on HTTP/2 connections, and how it watches over them.
        public var serverHTTP2 = Configuration.http2Defaults
        /// Early resets that a peer may cause before its connection ends; nil: the engine's bound.
        public var pendingResetsMax: Int?
        /// Bytes of one stream that may wait for its reader; nil: the engine's bound.
        public var sendBufferBytesMax: Int?

        /// Of accepted connections.
        var serverLimits: TransportLimits {
            var limits = TransportLimits()
            if let pendingResetsMax { limits.http.resetsBurst = pendingResetsMax }
            if let sendBufferBytesMax { limits.sendQueueBytesMax = sendBufferBytesMax }
            return limits
        }

        /// Of connections made.
        var clientLimits: TransportLimits {
            var limits = TransportLimits()
            limits.idleConnectionsMax = idleConnectionsMax
            limits.idleConnectionTimeout = idleConnectionTimeout
            return limits
        }
    }

    public struct StreamLimits {
        public var initial: Interval?
        public var idle: Interval?
        public var lifetime: Interval?
    }

    public struct IdentitySettings {
        public var service: Service
        /// What our certificate says: a DNS name, or a SPIFFE URI.
        public var localID: String
        /// What peers ask for in their handshakes (SNI).
        public var localName: String
        public var directory: String
        public var tokenFile: String
        public var trustAnchorsPEM: String
        /// A file with roots that are followed as it changes; nil: they stay what they are.
        public var trustAnchorsPath: String?
        public var refreshMin = Interval.seconds(10)
        public var refreshMax = Interval.hours(24)
    }

    public var outboundListen: [SocketAddress] = [SocketAddress(.loopback, 4140)]
    public var inboundListen = SocketAddress(.any, 4143)
    public var adminListen = SocketAddress(.loopback, 4191)
    /// Of the tap server, which is there if `tapIdentity` is.
    public var controlListen = SocketAddress(.any, 4190)
    public var inbound = Side(
        connectTimeout: .milliseconds(300), connectBackoff: BackoffOptions(max: .seconds(10)), discoveryIdleTimeout: .seconds(90), failfastTimeout: .seconds(1))
    public var outbound = Side(
        connectTimeout: .seconds(1), connectBackoff: BackoffOptions(max: .seconds(60)), discoveryIdleTimeout: .seconds(5), failfastTimeout: .seconds(3))
    /// Of connections that we make: windows and the rest.
    public var clientHTTP2 = Configuration.http2Defaults
    public var destination: Service
    public var policy: Service
    public var identity: IdentitySettings
    public var streamLimits = StreamLimits()
    public var destinationContext = ""
    public var policyWorkload: String
    public var profileNetworks: [IPNetwork] = []
    /// Names for which a profile may be asked, by ingress, gateway and inbound.
    public var profileSuffixes = NameSuffixes(["svc.cluster.local"])
    /// Inbound: without a profile by then, a request goes on without.
    public var profileInitialTimeout = Interval.milliseconds(500)
    public var clusterNetworks: [IPNetwork] = []
    public var inboundIPs: [IPAddress] = []
    public var inboundPorts: PortSet = PortSet()
    public var inboundOpaquePorts: PortSet = PortSet()
    public var inboundDefaultPolicy = DefaultPolicy.allUnauthenticated
    /// Names that this proxy is a gateway for; empty: it is none.
    public var gatewaySuffixes = NameSuffixes([])
    /// Outbound requests go by the name that they carry, not by their original destination.
    public var isIngress = false
    public var shutdownGracePeriod = Interval.minutes(2)
    public var isShutdownEndpointEnabled = false
    public var informsOutbound = true
    /// How long a name's answer counts at least and at most; nil: as it says.
    public var dnsTTLMin: Interval?
    public var dnsTTLMax: Interval?
    /// Series that nobody counts in any more are forgotten after this.
    public var metricsRetainIdle = Interval.minutes(10)
    /// Inbound request families carry an `authority` label, which callers choose.
    public var hasInboundAuthorityLabels = false
    /// Outbound route families carry the `hostname` asked for.
    public var hasHostnameLabels = false
    /// Who may call the tap server; nil: there is none.
    public var tapIdentity: String?
    /// Where spans go; nil: nowhere.
    public var tracing: TraceSettings?
    /// Requests served are told line by line on stderr.
    public var accessLog: AccessLogFormat?
    public var cores = CoreSettings()
    public var logFilter = LogFilter(Configuration.logFilterDefault)

    public static let logFilterDefault = "warn,linkerd=info,hickory=error"
    /// Source: linkerd2-proxy linkerd/app/src/env.rs, windows of 65,535 and 1,048,576 bytes; hyper's servers announce 200 streams. Extended CONNECT is
    /// passed on to who takes it and else answered with 501; Linkerd's proxy does not offer it.
    public static var http2Defaults: HTTP2Settings {
        var settings = HTTP2Settings()
        settings.initialStreamWindowBytes = 65_535
        settings.initialConnectionWindowBytes = 1_048_576
        settings.maxConcurrentStreams = 200
        settings.allowsExtendedConnect = true
        return settings
    }
}

/// Where spans go, and what is said of this process with each batch of them.
public struct TraceSettings {
    public var collector: Configuration.Service
    /// `service.name`.
    public var serviceName = "linkerd-proxy"
    /// A file of `key="value"` lines, the pod's labels.
    public var attributesPath: String?
    public var attributes: [(name: String, value: String)] = []
    public var hostName: String?
}

public enum AccessLogFormat: String, Sendable { case apache, json }

/// How many loops serve. Source: linkerd2-proxy linkerd2-proxy/src/rt.rs.
public struct CoreSettings: Sendable, Equatable {
    public var most: Int?
    /// `CORES` is the older spelling of the least.
    public var least: Int?
    /// Of the machine's cores, in thousandths, 1 to 1000.
    public var ratio: Int?

    public init() {}

    /// Loops on a machine with this many cores.
    public func count(available: Int) -> Int {
        let want = most ?? ratio.map { ($0 * available + 500) / 1000 } ?? 1
        return max(1, min(max(want, least ?? 1), available))
    }
}

/// Names by their endings: `svc.cluster.local` covers itself and everything below it, the root everything.
public struct NameSuffixes: Sendable, Equatable {
    private let suffixes: [String]

    /// Without a dot at the end; the empty one is the root.
    public init(_ suffixes: [String]) { self.suffixes = suffixes.map { $0.lowercased() } }

    public var isEmpty: Bool { suffixes.isEmpty }

    public func contains(_ name: some StringProtocol) -> Bool {
        var name = Substring(name.lowercased())
        if name.last == "." { name.removeLast() }
        return suffixes.contains { suffix in
            suffix.isEmpty || (name.hasSuffix(suffix) && (name.utf8.count == suffix.utf8.count || name.dropLast(suffix.count).last == "."))
        }
    }
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

    /// `name`, or `name:port`; `port` if there is none.
    public init?(_ text: String, port: UInt16) {
        if let whole = Authority(text) { self = whole } else if let named = Authority("\(text):\(port)") { self = named } else { return nil }
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
