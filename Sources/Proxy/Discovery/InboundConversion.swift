// From the inbound policy API to policies of served ports, and the policies that hold until the controller has spoken.
// Source: linkerd2-proxy linkerd/proxy/server-policy/src, linkerd/app/inbound/src/policy/defaults.rs; facts 3.2 to 3.6, 10.10.

import Base
import HTTP
import MeshAPI

extension InboundPolicy {
    /// `detectTimeout` counts where the message gives none.
    init(_ message: Mesh.Inbound.Server, detectTimeout: Interval) throws(InvalidPolicy) {
        switch message.protocol.kind {
        case .detect(let detect):
            let timeout = try detect.hasTimeout ? Interval.positive(detect.timeout, "the detection timeout") : detectTimeout
            kind = .detect(timeout: timeout, try converted(detect.httpRoutes, InboundRoute.read))
            rateLimit = try detect.hasHTTPLocalRateLimit ? RateLimit(detect.httpLocalRateLimit) : nil
        case .http1(let http):
            kind = .http1(try converted(http.routes, InboundRoute.read))
            rateLimit = try http.hasLocalRateLimit ? RateLimit(http.localRateLimit) : nil
        case .http2(let http):
            kind = .http2(try converted(http.routes, InboundRoute.read))
            rateLimit = try http.hasLocalRateLimit ? RateLimit(http.localRateLimit) : nil
        case .grpc(let grpc): kind = .grpc(try converted(grpc.routes, InboundRoute.read))
        case .opaque: kind = .opaque
        case .tls: kind = .tls
        case nil: throw InvalidPolicy("the policy names no protocol")
        }
        server = ResourceName(labels: message.labels)
        authorizations = try converted(message.authorizations, Authorization.read)
    }

    /// The policy of the configuration. `deny` is opaque: nothing of the connection needs to be read to refuse it.
    init(_ policy: DefaultPolicy, clusterNetworks: [IPNetwork], isOpaque: Bool, detectTimeout: Interval) {
        let name = ResourceName(name: policy.rawValue)
        let everywhere = [IPNetwork(.any, prefixBits: 0), IPNetwork(.v6(0, 0), prefixBits: 0)]
        let networks: [IPNetwork]
        var authentication = Authorization.Authentication.anyone
        switch policy {
        case .deny: networks = []
        case .allUnauthenticated, .audit: networks = everywhere
        case .clusterUnauthenticated: networks = clusterNetworks
        case .allAuthenticated, .clusterAuthenticated:
            networks = policy == .allAuthenticated ? everywhere : clusterNetworks
            authentication = .identities([], suffixes: [[]])
        }
        let isDenied = policy == .deny
        kind = isOpaque || isDenied ? .opaque : .detect(timeout: detectTimeout, [InboundRoute(name: ResourceName(name: "default"), rules: [InboundRoute.Rule()])])
        server = name
        authorizations = isDenied ? [] : [Authorization(networks: networks.map { Authorization.Network(net: $0) }, authentication: authentication, name: name)]
    }
}

extension ResourceName {
    /// From the labels of older messages and of servers.
    init(labels: [String: String]) {
        self.init(group: labels["group"] ?? "", kind: labels["kind"] ?? "default", name: labels["name"] ?? "")
    }
}

extension Authorization {
    static func read(_ message: Mesh.Inbound.Authz) throws(InvalidPolicy) -> Authorization {
        let name = message.hasMetadata ? try ResourceName(message.metadata).named("an authorization") : ResourceName(labels: message.labels)
        let networks = try converted(message.networks) { (network) throws(InvalidPolicy) in
            guard let net = IPNetwork(network.net) else { throw InvalidPolicy("a network of authorization \(name.name) is none") }
            return Network(
                net: net,
                except: try converted(network.except) { (except) throws(InvalidPolicy) in
                    guard let net = IPNetwork(except) else { throw InvalidPolicy("an excepted network of authorization \(name.name) is none") }
                    return net
                })
        }
        let authentication: Authentication
        switch message.authentication.permit {
        case .unauthenticated: authentication = .anyone
        case .meshTls(let tls):
            switch tls.clients {
            case .unauthenticated: authentication = .meshTLS
            case .identities(let clients): authentication = .identities(clients.identities.map(\.name), suffixes: clients.suffixes.map(\.parts))
            case nil: throw InvalidPolicy("authorization \(name.name) does not say which mesh clients it permits")
            }
        case nil: throw InvalidPolicy("authorization \(name.name) does not say whom it permits")
        }
        return Authorization(networks: networks, authentication: authentication, name: name)
    }
}

extension InboundRoute {
    static func read(_ message: Mesh.Inbound.HttpRoute) throws(InvalidPolicy) -> InboundRoute {
        InboundRoute(
            name: try ResourceName(message.metadata).named("a route"),
            hosts: try converted(message.hosts) { (host) throws(InvalidPolicy) in try HostMatch(host) },
            authorizations: try converted(message.authorizations, Authorization.read),
            rules: try converted(message.rules) { (rule) throws(InvalidPolicy) in
                Rule(
                    matches: try converted(rule.matches) { (match) throws(InvalidPolicy) in try HTTPMatch(match) },
                    filters: try converted(rule.filters) { (filter) throws(InvalidPolicy) in
                        switch filter.kind {
                        case .failureInjector(let filter): try HTTPFilter.failure(filter)
                        case .requestHeaderModifier(let filter): try HTTPFilter.requestHeaders(filter)
                        case .redirect(let filter): try HTTPFilter.redirect(filter)
                        case nil: throw InvalidPolicy("a filter is of no known kind")
                        }
                    })
            })
    }

    static func read(_ message: Mesh.Inbound.GrpcRoute) throws(InvalidPolicy) -> InboundRoute {
        InboundRoute(
            name: try ResourceName(message.metadata).named("a route"),
            hosts: try converted(message.hosts) { (host) throws(InvalidPolicy) in try HostMatch(host) },
            authorizations: try converted(message.authorizations, Authorization.read),
            rules: try converted(message.rules) { (rule) throws(InvalidPolicy) in
                Rule(
                    matches: try converted(rule.matches) { (match) throws(InvalidPolicy) in try HTTPMatch(match) },
                    filters: try converted(rule.filters) { (filter) throws(InvalidPolicy) in
                        switch filter.kind {
                        case .failureInjector(let filter): try HTTPFilter.failure(filter)
                        case .requestHeaderModifier(let filter): try HTTPFilter.requestHeaders(filter)
                        case nil: throw InvalidPolicy("a filter is of no known kind")
                        }
                    })
            })
    }
}

extension InboundPolicy.RateLimit {
    init(_ message: Mesh.Inbound.HttpLocalRateLimit) throws(InvalidPolicy) {
        name = try ResourceName(message.metadata).named("a rate limit")
        total = try message.hasTotal ? Self.rate(message.total.requestsPerSecond) : nil
        identity = try message.hasIdentity ? Self.rate(message.identity.requestsPerSecond) : nil
        overrides = try converted(message.overrides) { (override) throws(InvalidPolicy) in
            Override(requestsPerSecond: try Self.rate(override.limit.requestsPerSecond), identities: override.clients.identities.map(\.name))
        }
    }

    private static func rate(_ number: UInt32) throws(InvalidPolicy) -> UInt32 {
        guard number > 0 else { throw InvalidPolicy("a rate limit of 0 requests per second allows nothing") }
        return number
    }
}
