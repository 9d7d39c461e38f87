// Everything a proxy's containers are rendered from, with the defaults of Linkerd's chart. A copy is made for each pod and
// changed by its annotations (`InjectionAnnotations.swift`). Source: linkerd2 charts/linkerd-control-plane/values.yaml.

import Documents

/// This release.
public enum Release {
    public static let version = "0.1.0"
}

public struct InjectionValues: Equatable, Sendable {
    public struct Image: Equatable, Sendable {
        public var name: String
        public var version: String
        /// nil: the common pull policy.
        public var pullPolicy: String?

        public init(_ name: String, version: String, pullPolicy: String? = nil) {
            self.name = name
            self.version = version
            self.pullPolicy = pullPolicy
        }
    }

    /// Requests and limits as Kubernetes quantities; empty means none.
    public struct Resources: Equatable, Sendable {
        public var cpuRequest = ""
        public var cpuLimit = ""
        public var memoryRequest = ""
        public var memoryLimit = ""
        public var ephemeralStorageRequest = ""
        public var ephemeralStorageLimit = ""

        public init() {}
    }

    /// One of the chart's free `proxy.inbound.<scope>.<protocol>.<parameter>` settings.
    public struct Parameter: Equatable, Sendable {
        public var scope: String
        public var proto: String
        public var name: String
        public var value: String

        public init(_ scope: String, _ proto: String, _ name: String, _ value: String) {
            self.scope = scope
            self.proto = proto
            self.name = name
            self.value = value
        }
    }

    public struct Proxy: Equatable, Sendable {
        public var image = Image("weft/proxy", version: Release.version)
        public var inboundPort: UInt16 = 4143
        public var outboundPort: UInt16 = 4140
        public var adminPort: UInt16 = 4191
        public var controlPort: UInt16 = 4190
        public var uid: Int64 = 2102
        /// Negative: none.
        public var gid: Int64 = -1
        public var logLevel = "warn,linkerd=info,hickory=error"
        public var logFormat = "plain"
        /// `off` or `insecure`.
        public var logHTTPHeaders = "off"
        public var resources = Resources()
        /// Unit: threads.
        public var workersMin = 1
        /// Unit: threads. nil: not said.
        public var workersMax: Int?
        /// Share of the node's processors, 0 < r < 1. nil: not said.
        public var workersRatioMax: String?
        public var opaquePorts = "25,587,3306,4444,5432,6379,9300,11211"
        public var requireIdentityInboundPorts = ""
        public var requireTLSInboundPorts = ""
        public var defaultInboundPolicy = "all-unauthenticated"
        public var inboundConnectTimeout = "100ms"
        public var outboundConnectTimeout = "1000ms"
        public var inboundDiscoveryIdleTimeout = "90s"
        public var outboundDiscoveryIdleTimeout = "5s"
        public var controlStreamInitialTimeout = "3s"
        public var controlStreamIdleTimeout = "5m"
        public var controlStreamLifetime = "1h"
        public var isInboundDetectTimeoutDisabled = false
        public var isOutboundDetectTimeoutDisabled = false
        public var hasExternalProfiles = false
        public var hasHostnameLabels = false
        public var isGateway = false
        public var isIngress = false
        public var isShutdownEndpointEnabled = false
        public var isNativeSidecar = true
        /// The application starts after the proxy is ready.
        public var isAwaited = true
        /// Unit: seconds. Not for native sidecars, which outlive the application anyway.
        public var waitBeforeExit = 0
        /// Empty: no access log. `apache` or `json`.
        public var accessLog = ""
        /// Empty: the proxy's own.
        public var shutdownGracePeriod = ""
        public var inbound = [Parameter("server", "http2", "keepAliveInterval", "10s"), Parameter("server", "http2", "keepAliveTimeout", "3s")]
        public var outbound = [Parameter("server", "http2", "keepAliveInterval", "10s"), Parameter("server", "http2", "keepAliveTimeout", "3s")]
        /// EnvVar objects, added last; a later one of the same name replaces an earlier one.
        public var additionalEnvironment: [Value] = []
        /// Runs in the proxy's container and returns when the proxy is ready; for proxies that are not native sidecars.
        public var awaitCommand = ["/usr/lib/linkerd/linkerd-await"]

        public init() {}
    }

    public struct Initializer: Equatable, Sendable {
        /// nil: the proxy's image.
        public var imageName: String? = "weft/proxy-init"
        /// nil: the proxy's version, since the two are built together.
        public var imageVersion: String?
        /// Empty: the image's own.
        public var command: [String] = []
        /// `nft` or `legacy`.
        public var iptablesMode = "nft"
        public var ignoreInboundPorts = "4567,4568"
        public var ignoreOutboundPorts = "4567,4568"
        public var skipSubnets = ""
        public var logLevel = ""
        public var logFormat = ""
        public var isRoot = false
        public var isPrivileged = false
        /// Unit: seconds. 0: the kernel's own. Needs `isRoot`.
        public var closeWaitTimeout = 0

        public init() {}
    }

    /// Checks, where a CNI plugin has set up the redirection, that it works.
    public struct Validator: Equatable, Sendable {
        public var command = ["/usr/lib/linkerd/linkerd2-network-validator"]
        public var logFormat = "plain"
        public var logLevel = "debug"
        /// Empty: an address that only a redirection can answer.
        public var connectAddress = ""
        /// Empty: the outbound port on all addresses.
        public var listenAddress = ""
        public var timeout = "10s"
        public var hasSecurityContext = true

        public init() {}
    }

    public var controlPlaneNamespace = "linkerd"
    public var clusterDomain = "cluster.local"
    /// Empty: the cluster domain.
    public var identityTrustDomain = ""
    /// PEM. Empty: the proxy takes them from the ConfigMap `linkerd-identity-trust-roots` of its namespace.
    public var trustAnchorsPEM = ""
    public var isTokenProjected = true
    public var clusterNetworks = "10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fd00::/8"
    public var isCNIEnabled = false
    public var isIPv6Disabled = true
    public var pullPolicy = "IfNotPresent"
    /// What the `linkerd.io/created-by` annotation says; empty: none.
    public var createdBy = "weft/cli \(Release.version)"
    public var proxy = Proxy()
    public var initializer = Initializer()
    public var validator = Validator()
    public var debugImage = Image("weft/debug", version: Release.version)
    public var hasDebugSidecar = false

    public init() {}

    public var trustDomain: String { identityTrustDomain.isEmpty ? clusterDomain : identityTrustDomain }
    /// What the initialiser and the validator run from.
    var initializerImage: Image {
        Image(initializer.imageName ?? proxy.image.name, version: initializer.imageVersion ?? proxy.image.version, pullPolicy: proxy.image.pullPolicy)
    }

    /// `linkerd-destination.linkerd.serviceaccount.identity.linkerd.cluster.local`
    func controlPlaneIdentity(_ serviceAccount: String) -> String {
        "\(serviceAccount).\(controlPlaneNamespace).serviceaccount.identity.\(controlPlaneNamespace).\(trustDomain)"
    }

    func controlPlaneAddress(_ service: String, _ port: Int) -> String { "\(service).\(controlPlaneNamespace).svc.\(clusterDomain).:\(port)" }
}
