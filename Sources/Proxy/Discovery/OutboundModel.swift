// What discovery says about where traffic goes, as values: policies, profiles, routes, backends, endpoints. The messages of the
// proxy API become these in one place; the data path knows nothing of protobuf. Source: shared facts on the data plane, 2 and 10.

import Base
import HTTP

/// A name of configuration, for labels: group, kind, namespace, name, section, port. Defaults have kind `default`.
struct ResourceName: Hashable, Sendable {
    var group = ""
    var kind = "default"
    var namespace = ""
    var name = ""
    var section = ""
    var port: UInt16 = 0
}

extension ResourceName {
    /// What a profile names by authority: `name.namespace.svc.…:port` is a Service, anything else has its own name only.
    init(service text: String) {
        self.init(name: text)
        guard let authority = Authority(text) else { return }
        let labels = authority.host.split(separator: ".")
        guard labels.count > 2, labels[2] == "svc" else { return }
        self.init(group: "core", kind: "Service", namespace: String(labels[1]), name: String(labels[0]), port: authority.port)
    }
}

/// One address that serves, and how to talk to it.
struct Endpoint: Equatable, Sendable {
    enum Hint: Equatable, Sendable { case unknown, http2, opaque }
    enum Locality: Equatable, Sendable { case unknown, local, remote }

    struct HTTP2Parameters: Equatable, Sendable {
        var initialConnectionWindowBytes: Int?
        var initialStreamWindowBytes: Int?
        var adaptsWindows = false
        var maxFrameBytes: Int?
        var keepAliveInterval: Interval?
        var keepAliveTimeout: Interval?
        var keepAliveWhileIdle = false
    }

    var address: SocketAddress
    /// The identity it must prove, as a DNS name or URI; nil: not meshed, cleartext.
    var identity: String?
    /// SNI; equal to the identity unless that is a URI.
    var serverName: String?
    var hint = Hint.unknown
    /// The proxy port that takes a transport header; nil: dial the address itself.
    var transportPort: UInt16?
    /// Replaces the request's authority (gateways).
    var authorityOverride: String?
    var http2 = HTTP2Parameters()
    /// `dst_` labels without the prefix, in order of name.
    var labels: [Label] = []
    var locality = Locality.unknown

    init(address: SocketAddress) { self.address = address }
}

struct Label: Hashable, Sendable {
    var name: String
    var value: String
}

/// What one authority resolves to, whole.
enum EndpointSet: Equatable, Sendable {
    case exists([Endpoint])
    /// The name is unknown or may not be asked for; the text says which.
    case doesNotExist(String)
}

/// What is known about an original destination.
struct OutboundPolicy: Equatable, Sendable {
    enum Kind: Equatable, Sendable {
        /// Sniff; then `http1`, `http2` or `opaque`.
        case detect(http1: HTTPRouting, http2: HTTPRouting, opaque: [OpaqueRoute])
        case http1(HTTPRouting)
        case http2(HTTPRouting)
        case grpc(HTTPRouting)
        case opaque([OpaqueRoute])
        case tls([TLSRoute])
        /// The message could not be understood; the text says why.
        case invalid(String)
    }

    var kind: Kind
    var parent = ResourceName()
}

struct HTTPRouting: Equatable, Sendable {
    var routes: [HTTPRoute] = []
    var failureAccrual: FailureAccrual?
}

struct FailureAccrual: Hashable, Sendable {
    var failuresMax: UInt32 = 7
    var backoffMin = Interval.seconds(1)
    var backoffMax = Interval.seconds(60)
    /// In hundredths.
    var jitterPercent: UInt32 = 50
    /// Also trips when too few requests succeed; nil: failures in a row alone count.
    var successRate: SuccessRate?

    struct SuccessRate: Hashable, Sendable {
        /// In basis points.
        var threshold: UInt32 = 8000
        var window = Interval.seconds(10)
        var requestsMin: UInt32 = 5
    }
}

struct HTTPRoute: Equatable, Sendable {
    struct Rule: Equatable, Sendable {
        /// Any of them; empty: matches everything.
        var matches: [HTTPMatch] = []
        var filters: [HTTPFilter] = []
        var backends = Distribution.empty
        var timeouts = Timeouts()
        var retry: Retry?
        var allowsRequestHeaders = false
    }

    var name = ResourceName()
    /// Empty: every host.
    var hosts: [HostMatch] = []
    var rules: [Rule] = []
}

enum HostMatch: Equatable, Sendable {
    case exact(String)
    /// Labels from the right: `*.example.com` is `com`, `example`.
    case suffix([String])
}

struct HTTPMatch: Equatable, Sendable {
    enum Path: Equatable, Sendable { case exact(String), prefix(String), regex(String) }
    enum Text: Equatable, Sendable { case exact(String), regex(String) }

    var path: Path?
    var headers: [(name: String, value: Text)] = []
    var queryParameters: [(name: String, value: Text)] = []
    var method: HTTPMethod?

    static func == (a: HTTPMatch, b: HTTPMatch) -> Bool {
        a.path == b.path && a.method == b.method && a.headers.elementsEqual(b.headers, by: ==) && a.queryParameters.elementsEqual(b.queryParameters, by: ==)
    }
}

enum HTTPFilter: Equatable, Sendable {
    case failure(status: UInt16, message: String, numerator: UInt32, denominator: UInt32)
    case grpcFailure(code: UInt16, message: String, numerator: UInt32, denominator: UInt32)
    case requestHeaders(HeaderChange)
    case responseHeaders(HeaderChange)
    case redirect(Redirect)

    struct HeaderChange: Equatable, Sendable {
        var add: [Label] = []
        var set: [Label] = []
        var remove: [String] = []
    }

    struct Redirect: Equatable, Sendable {
        enum Path: Equatable, Sendable { case full(String), prefix(String) }
        var scheme: HTTPScheme?
        var host: String?
        var path: Path?
        var port: UInt16?
        var status: UInt16 = 301
    }
}

struct Timeouts: Equatable, Sendable {
    var request: Interval?
    var response: Interval?
    var idle: Interval?
}

struct Retry: Equatable, Sendable {
    var retriesMax: UInt32 = 1
    var bodyBytesMax = 65_536
    var statuses: [ClosedRange<UInt16>] = []
    var grpcCodes: [UInt32] = []
    var timeout: Interval?
    var backoffMin = Interval.milliseconds(25)
    var backoffMax = Interval.milliseconds(250)
    /// In hundredths.
    var jitterPercent: UInt32 = 100
}

enum Distribution: Equatable, Sendable {
    case empty
    case firstAvailable([Backend])
    case randomAvailable([(backend: Backend, weight: UInt32)])

    static func == (a: Distribution, b: Distribution) -> Bool {
        switch (a, b) {
        case (.empty, .empty): true
        case (.firstAvailable(let x), .firstAvailable(let y)): x == y
        case (.randomAvailable(let x), .randomAvailable(let y)): x.elementsEqual(y, by: ==)
        default: false
        }
    }
}

struct Backend: Equatable, Sendable {
    enum Kind: Equatable, Sendable {
        /// Endpoints of an authority `name:port`, balanced.
        case balance(String)
        case forward(Endpoint)
        case fail(String)
    }

    var kind: Kind
    var name = ResourceName()
    /// Of a balancer.
    var load = LoadTerms()
    var filters: [HTTPFilter] = []
    /// Opaque backends: set if connections must be refused.
    var refusal: String?
}

/// How the load of a balancer's endpoints is measured.
struct LoadTerms: Hashable, Sendable {
    /// Failures count as slow answers.
    struct Penalty: Hashable, Sendable {
        var time = Interval.seconds(5)
        /// The most that an endpoint may ask for by `retry-after`.
        var hintMax = Interval.seconds(300)
    }

    var rtt = PeakEWMA.defaultRTT
    var decay = PeakEWMA.defaultDecay
    /// HTTP and gRPC only; nil: failures say nothing about load.
    var penalty: Penalty?
}

struct OpaqueRoute: Equatable, Sendable {
    var name = ResourceName()
    var backends = Distribution.empty
    /// A filter says that connections must be refused, and why.
    var refusal: String?
}

struct TLSRoute: Equatable, Sendable {
    var name = ResourceName()
    var serverNames: [HostMatch] = []
    var backends = Distribution.empty
    var refusal: String?
}

/// What GetProfile said; nil parts were not said.
struct ServiceProfile: Equatable, Sendable {
    struct Route: Equatable, Sendable {
        indirect enum Condition: Equatable, Sendable {
            case all([Condition]), any([Condition]), not(Condition)
            case path(regex: String)
            case method(HTTPMethod)
        }

        struct ResponseClass: Equatable, Sendable {
            indirect enum Condition: Equatable, Sendable {
                case all([Condition]), any([Condition]), not(Condition)
                case status(ClosedRange<UInt16>)
            }

            var condition: Condition
            var isFailure: Bool
        }

        var condition: Condition
        var labels: [Label] = []
        var responseClasses: [ResponseClass] = []
        var isRetryable = false
        var timeout: Interval?
    }

    struct Budget: Equatable, Sendable {
        /// In thousandths.
        var ratioPermille: UInt32 = 200
        var retriesPerSecondMin: UInt32 = 10
        var ttl = Interval.seconds(10)
    }

    /// `name:port` without the port when the profile has none.
    var fullyQualifiedName: String?
    var isOpaque = false
    /// A single pod or external address rather than a service.
    var endpoint: Endpoint?
    var routes: [Route] = []
    var budget = Budget()
    /// Authority with port, and weight.
    var overrides: [(authority: String, weight: UInt32)] = []

    static func == (a: ServiceProfile, b: ServiceProfile) -> Bool {
        a.fullyQualifiedName == b.fullyQualifiedName && a.isOpaque == b.isOpaque && a.endpoint == b.endpoint && a.routes == b.routes && a.budget == b.budget
            && a.overrides.elementsEqual(b.overrides, by: ==)
    }
}

/// Both answers about one original destination, when both are in.
extension OutboundTarget {
    /// The `protocol` label: what a connection to it is taken for at first.
    var protocolName: String {
        if profile?.isOpaque ?? false { return "opaq" }
        switch policy.kind {
        case .opaque: return "opaq"
        case .tls: return "tls"
        case .http1: return "http/1"
        case .http2, .grpc: return "http/2"
        case .detect, .invalid: return "detect"
        }
    }
}

struct OutboundTarget: Equatable, Sendable {
    /// nil: none, or outside the networks that have profiles.
    var profile: ServiceProfile?
    var policy: OutboundPolicy

    /// Connections that come now are not HTTP.
    var hasNoHTTP: Bool {
        if profile?.isOpaque ?? false { return true }
        switch policy.kind {
        case .opaque, .tls: return true
        case .detect, .http1, .http2, .grpc, .invalid: return false
        }
    }
}
