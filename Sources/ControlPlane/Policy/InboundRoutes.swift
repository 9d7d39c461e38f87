// Routes attached to a Server, as the proxy is told of them: whose requests they match, who may send those, and what is changed on
// the way in. Filters that change responses are passed over here, as upstream does. Source: linkerd2 policy-controller
// grpc/src/inbound.rs and k8s/index/src/inbound/routes.

import Base
import MeshAPI
import OrderedCollections
import SwiftProtobuf

struct InboundRoutes {
    let index: ClusterIndex
    let options: PolicyOptions

    /// What the Server takes of the routes that name it, the oldest first.
    private func routes(of server: Cluster.Server, _ isWanted: (Cluster.Route.Kind) -> Bool) -> [Cluster.Route] {
        let acceptance = RouteAcceptance(index: index, options: options)
        return index.routes.routes(of: .server, server.name).filter { route in
            isWanted(route.id.kind) && route.parents.contains { $0.kind == .server && $0.name == server.name && acceptance.isAccepted(route, by: $0) }
        }
    }

    /// Empty: the Server has none, and its default routes hold. `common`: the authorizations of the Server itself, which hold for
    /// every route of it.
    func http(_ server: Cluster.Server, _ common: [Mesh.Inbound.Authz]) -> [Mesh.Inbound.HttpRoute] {
        routes(of: server, \.isHTTP).map { route in
            var message = Mesh.Inbound.HttpRoute()
            message.metadata = route.metadata
            message.hosts = route.hostnames.map { RouteMessages.host($0) }
            message.authorizations = authorizations(of: route) + common
            message.rules = route.rules.map { rule in
                Mesh.Inbound.HttpRoute.Rule.with {
                    $0.matches = rule.http
                    $0.filters = rule.filters.compactMap { filter in
                        switch filter {
                        case .requestHeaders(let modifier): .with { $0.requestHeaderModifier = modifier }
                        case .redirect(let redirect): .with { $0.redirect = redirect }
                        case .responseHeaders: nil
                        }
                    }
                }
            }
            return message
        }
    }

    func grpc(_ server: Cluster.Server, _ common: [Mesh.Inbound.Authz]) -> [Mesh.Inbound.GrpcRoute] {
        routes(of: server, { $0 == .grpc }).map { route in
            var message = Mesh.Inbound.GrpcRoute()
            message.metadata = route.metadata
            message.hosts = route.hostnames.map { RouteMessages.host($0) }
            message.authorizations = authorizations(of: route) + common
            message.rules = route.rules.map { rule in
                Mesh.Inbound.GrpcRoute.Rule.with {
                    $0.matches = rule.grpc
                    $0.filters = rule.filters.compactMap { filter in
                        if case .requestHeaders(let modifier) = filter { .with { $0.requestHeaderModifier = modifier } } else { nil }
                    }
                }
            }
            return message
        }
    }

    private func authorizations(of route: Cluster.Route) -> [Mesh.Inbound.Authz] {
        AuthorizationTranslator(table: index.authorizations, options: options).authorizations(of: route)
    }
}

/// Parts that inbound and outbound routes share.
enum RouteMessages {
    /// `*.example.com` is the suffix `com`, `example`; anything else is meant exactly.
    static func host(_ name: String) -> Mesh.HTTPRoute.HostMatch {
        var match = Mesh.HTTPRoute.HostMatch()
        if name.hasPrefix("*.") { match.suffix.reverseLabels = reversed(name) } else { match.exact = name }
        return match
    }

    static func sni(_ name: String) -> Mesh.TLSRoute.SniMatch {
        var match = Mesh.TLSRoute.SniMatch()
        if name.hasPrefix("*.") { match.suffix.reverseLabels = reversed(name) } else { match.exact = name }
        return match
    }

    private static func reversed(_ name: String) -> [String] { name.dropFirst(2).split(separator: ".").reversed().map(String.init) }
}
