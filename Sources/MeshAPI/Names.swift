// Short names for the generated messages of Linkerd's proxy API, a namespace a package, so that code reads
// `Mesh.Destination.Update` rather than the generated spelling. Nothing here but names.

/// The proxy API. `Mesh.Inbound.HttpRoute` is the message `io.linkerd.proxy.inbound.HttpRoute`; nested messages keep their nesting.
public enum Mesh {
    /// net: addresses.
    public enum Net {
        public typealias IPAddress = Io_Linkerd_Proxy_Net_IPAddress
        public typealias IPv6 = Io_Linkerd_Proxy_Net_IPv6
        public typealias IPNetwork = Io_Linkerd_Proxy_Net_IPNetwork
        public typealias TcpAddress = Io_Linkerd_Proxy_Net_TcpAddress
    }

    /// meta: names of configuration.
    public enum Meta {
        public typealias Metadata = Io_Linkerd_Proxy_Meta_Metadata
        public typealias Resource = Io_Linkerd_Proxy_Meta_Resource
    }

    /// http_types: methods, schemes, headers.
    public enum HTTPTypes {
        public typealias HttpMethod = Io_Linkerd_Proxy_HttpTypes_HttpMethod
        public typealias Scheme = Io_Linkerd_Proxy_HttpTypes_Scheme
        public typealias Headers = Io_Linkerd_Proxy_HttpTypes_Headers
    }

    /// destination: endpoints and profiles.
    public enum Destination {
        public typealias GetDestination = Io_Linkerd_Proxy_Destination_GetDestination
        public typealias Update = Io_Linkerd_Proxy_Destination_Update
        public typealias AddrSet = Io_Linkerd_Proxy_Destination_AddrSet
        public typealias WeightedAddrSet = Io_Linkerd_Proxy_Destination_WeightedAddrSet
        public typealias WeightedAddr = Io_Linkerd_Proxy_Destination_WeightedAddr
        public typealias TlsIdentity = Io_Linkerd_Proxy_Destination_TlsIdentity
        public typealias AuthorityOverride = Io_Linkerd_Proxy_Destination_AuthorityOverride
        public typealias NoEndpoints = Io_Linkerd_Proxy_Destination_NoEndpoints
        public typealias ProtocolHint = Io_Linkerd_Proxy_Destination_ProtocolHint
        public typealias Http2ClientParams = Io_Linkerd_Proxy_Destination_Http2ClientParams
        public typealias DestinationProfile = Io_Linkerd_Proxy_Destination_DestinationProfile
        public typealias Route = Io_Linkerd_Proxy_Destination_Route
        public typealias RetryBudget = Io_Linkerd_Proxy_Destination_RetryBudget
        public typealias ResponseClass = Io_Linkerd_Proxy_Destination_ResponseClass
        public typealias RequestMatch = Io_Linkerd_Proxy_Destination_RequestMatch
        public typealias PathMatch = Io_Linkerd_Proxy_Destination_PathMatch
        public typealias ResponseMatch = Io_Linkerd_Proxy_Destination_ResponseMatch
        public typealias HttpStatusRange = Io_Linkerd_Proxy_Destination_HttpStatusRange
        public typealias WeightedDst = Io_Linkerd_Proxy_Destination_WeightedDst
    }

    /// identity: certification.
    public enum Identity {
        public typealias CertifyRequest = Io_Linkerd_Proxy_Identity_CertifyRequest
        public typealias CertifyResponse = Io_Linkerd_Proxy_Identity_CertifyResponse
    }

    /// tap: observed requests.
    public enum Tap {
        public typealias ObserveRequest = Io_Linkerd_Proxy_Tap_ObserveRequest
        public typealias Eos = Io_Linkerd_Proxy_Tap_Eos
        public typealias TapEvent = Io_Linkerd_Proxy_Tap_TapEvent
    }

    /// http_route: matches and filters.
    public enum HTTPRoute {
        public typealias HostMatch = Io_Linkerd_Proxy_HttpRoute_HostMatch
        public typealias HttpRouteMatch = Io_Linkerd_Proxy_HttpRoute_HttpRouteMatch
        public typealias PathMatch = Io_Linkerd_Proxy_HttpRoute_PathMatch
        public typealias HeaderMatch = Io_Linkerd_Proxy_HttpRoute_HeaderMatch
        public typealias QueryParamMatch = Io_Linkerd_Proxy_HttpRoute_QueryParamMatch
        public typealias RequestHeaderModifier = Io_Linkerd_Proxy_HttpRoute_RequestHeaderModifier
        public typealias ResponseHeaderModifier = Io_Linkerd_Proxy_HttpRoute_ResponseHeaderModifier
        public typealias RequestRedirect = Io_Linkerd_Proxy_HttpRoute_RequestRedirect
        public typealias PathModifier = Io_Linkerd_Proxy_HttpRoute_PathModifier
        public typealias HttpFailureInjector = Io_Linkerd_Proxy_HttpRoute_HttpFailureInjector
        public typealias Ratio = Io_Linkerd_Proxy_HttpRoute_Ratio
        public typealias Timeouts = Io_Linkerd_Proxy_HttpRoute_Timeouts
    }

    /// grpc_route: matches and filters.
    public enum GRPCRoute {
        public typealias GrpcRouteMatch = Io_Linkerd_Proxy_GrpcRoute_GrpcRouteMatch
        public typealias GrpcRpcMatch = Io_Linkerd_Proxy_GrpcRoute_GrpcRpcMatch
        public typealias GrpcFailureInjector = Io_Linkerd_Proxy_GrpcRoute_GrpcFailureInjector
    }

    /// opaque_route: filters.
    public enum OpaqueRoute {
        public typealias Invalid = Io_Linkerd_Proxy_OpaqueRoute_Invalid
        public typealias Forbidden = Io_Linkerd_Proxy_OpaqueRoute_Forbidden
    }

    /// tls_route: matches.
    public enum TLSRoute {
        public typealias SniMatch = Io_Linkerd_Proxy_TlsRoute_SniMatch
    }

    /// inbound: policy of served ports.
    public enum Inbound {
        public typealias PortSpec = Io_Linkerd_Proxy_Inbound_PortSpec
        public typealias Server = Io_Linkerd_Proxy_Inbound_Server
        public typealias ProxyProtocol = Io_Linkerd_Proxy_Inbound_ProxyProtocol
        public typealias Authz = Io_Linkerd_Proxy_Inbound_Authz
        public typealias Network = Io_Linkerd_Proxy_Inbound_Network
        public typealias Authn = Io_Linkerd_Proxy_Inbound_Authn
        public typealias Identity = Io_Linkerd_Proxy_Inbound_Identity
        public typealias IdentitySuffix = Io_Linkerd_Proxy_Inbound_IdentitySuffix
        public typealias HttpRoute = Io_Linkerd_Proxy_Inbound_HttpRoute
        public typealias GrpcRoute = Io_Linkerd_Proxy_Inbound_GrpcRoute
        public typealias HttpLocalRateLimit = Io_Linkerd_Proxy_Inbound_HttpLocalRateLimit
    }

    /// outbound: policy of sent traffic.
    public enum Outbound {
        public typealias TrafficSpec = Io_Linkerd_Proxy_Outbound_TrafficSpec
        public typealias OutboundPolicy = Io_Linkerd_Proxy_Outbound_OutboundPolicy
        public typealias ProxyProtocol = Io_Linkerd_Proxy_Outbound_ProxyProtocol
        public typealias HttpRoute = Io_Linkerd_Proxy_Outbound_HttpRoute
        public typealias GrpcRoute = Io_Linkerd_Proxy_Outbound_GrpcRoute
        public typealias OpaqueRoute = Io_Linkerd_Proxy_Outbound_OpaqueRoute
        public typealias TlsRoute = Io_Linkerd_Proxy_Outbound_TlsRoute
        public typealias Backend = Io_Linkerd_Proxy_Outbound_Backend
        public typealias Queue = Io_Linkerd_Proxy_Outbound_Queue
        public typealias FailureAccrual = Io_Linkerd_Proxy_Outbound_FailureAccrual
        public typealias ExponentialBackoff = Io_Linkerd_Proxy_Outbound_ExponentialBackoff
    }

    /// What a proxy writes first on a connection to another proxy's inbound port (package transport.l5d.io, message Header).
    public typealias TransportHeader = Transport_L5d_Io_Header
}
