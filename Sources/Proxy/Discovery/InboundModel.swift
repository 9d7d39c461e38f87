// What the policy controller says about a port that this pod serves, as values, and the judgement of a client by them.
// Source: shared facts on the data plane, 3.2 to 3.6 and 10.10.

import Base
import HTTP

struct InboundPolicy: Equatable, Sendable {
    enum Kind: Equatable, Sendable {
        case detect(timeout: Interval, [InboundRoute])
        case http1([InboundRoute])
        case http2([InboundRoute])
        case grpc([InboundRoute])
        case opaque
        case tls
    }

    var kind: Kind
    /// The server, for labels: `srv_group`, `srv_kind`, `srv_name`.
    var server = ResourceName()
    /// Besides the routes' own. Loopback is always allowed.
    var authorizations: [Authorization] = []
    /// For HTTP; nil: none.
    var rateLimit: RateLimit?

    /// Per instance of the proxy. Source: shared facts on the data plane 3.6.
    struct RateLimit: Equatable, Sendable {
        struct Override: Equatable, Sendable {
            var requestsPerSecond: UInt32
            var identities: [String]
        }

        var name = ResourceName()
        /// Of all clients together. Unit: requests per second.
        var total: UInt32?
        /// Of each client identity; those without one share a bucket.
        var identity: UInt32?
        var overrides: [Override] = []
    }

    /// The HTTP routes, if the port speaks HTTP.
    var routes: [InboundRoute] {
        switch kind {
        case .detect(_, let routes), .http1(let routes), .http2(let routes), .grpc(let routes): routes
        case .opaque, .tls: []
        }
    }
}

struct Authorization: Equatable, Sendable {
    struct Network: Equatable, Sendable {
        var net: IPNetwork
        var except: [IPNetwork] = []

        func contains(_ ip: IPAddress) -> Bool { net.contains(ip) && !except.contains { $0.contains(ip) } }
    }

    enum Authentication: Equatable, Sendable {
        case anyone
        /// Mesh TLS, with an identity or without.
        case meshTLS
        /// One of these names, or of the names below these suffixes (labels; an empty suffix is every name).
        case identities([String], suffixes: [[String]])
    }

    var networks: [Network]
    var authentication: Authentication
    var name = ResourceName()
    /// Lets pass, and says so in the log.
    var isAudit: Bool { name.kind == "default" && name.name == "audit" }

    /// The authorization that is always there: the pod itself.
    static let loopback = Authorization(
        networks: [Network(net: IPNetwork(IPAddress(127, 0, 0, 1), prefixBits: 32)), Network(net: IPNetwork(.v6(0, 1), prefixBits: 128))], authentication: .anyone,
        name: ResourceName(name: "localhost"))

    func permits(_ client: InboundClient) -> Bool {
        guard networks.contains(where: { $0.contains(client.address.ip.unmapped) }) else { return false }
        switch authentication {
        case .anyone: return true
        case .meshTLS: return client.isMeshTLS
        case .identities(let names, let suffixes):
            guard client.isMeshTLS, let identity = client.identity else { return false }
            if names.contains(identity) { return true }
            // A SPIFFE id has no labels: it matches whole, or the suffix that is everything.
            if identity.contains("://") { return suffixes.contains([]) }
            let labels = identity.split(separator: ".").map(String.init)
            return suffixes.contains { $0.count <= labels.count && labels.suffix($0.count).elementsEqual($0) }
        }
    }
}

/// Who is at the other end of an inbound connection.
struct InboundClient: Equatable, Sendable {
    var address: SocketAddress
    /// The connection was mesh TLS, terminated here.
    var isMeshTLS = false
    /// The first name of its verified certificate.
    var identity: String?
    /// Why it is not mesh TLS, as far as is known.
    var plainReason = PlainReason.notOffered

    enum PlainReason: Equatable, Sendable {
        case notOffered
        /// The port is opaque: nobody looked.
        case portSkipped
        /// TLS for somebody else, passed on untouched.
        case passedOn(serverName: String)
    }
}

struct InboundRoute: Equatable, Sendable {
    struct Rule: Equatable, Sendable {
        /// Any of them; empty: matches everything.
        var matches: [HTTPMatch] = []
        var filters: [HTTPFilter] = []
    }

    var name = ResourceName()
    var hosts: [HostMatch] = []
    var authorizations: [Authorization] = []
    var rules: [Rule] = []
}

extension InboundPolicy {
    /// The first authorization that lets the client pass: the route's own, then the server's, then loopback.
    func authorization(for client: InboundClient, route: InboundRoute? = nil) -> Authorization? {
        route?.authorizations.first { $0.permits(client) } ?? authorizations.first { $0.permits(client) } ?? (Authorization.loopback.permits(client) ? .loopback : nil)
    }
}
