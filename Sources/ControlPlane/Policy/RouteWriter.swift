// Routes of one parent as messages: each route's rules with their filters, timeouts, retries and backends, and the default route
// that holds where there is none. Source: linkerd2 policy-controller grpc/src/outbound/{http,grpc,tls,tcp}.rs.

import Base
import Kube
import MeshAPI
import OrderedCollections
import SwiftProtobuf

struct RouteWriter {
    enum Parent {
        case service(Cluster.Service, UInt16)
        case egress(Cluster.EgressNetwork, SocketAddress)
        /// No policy speaks of this address.
        case nobody(SocketAddress)
    }

    let messages: OutboundMessages
    let parent: Parent
    /// The parent's.
    let annotations: KubeLabels
    private var options: PolicyOptions { messages.options }
    private var index: ClusterIndex { messages.index }

    init(messages: OutboundMessages, parent: Parent, annotations: KubeLabels) {
        self.messages = messages
        self.parent = parent
        self.annotations = annotations
    }

    var parentMetadata: Mesh.Meta.Metadata {
        switch parent {
        case .service(let service, let port): Mesh.Meta.Metadata(group: "core", kind: "Service", namespace: service.name.namespace, name: service.name.name, port: port)
        case .egress(let network, let address):
            Mesh.Meta.Metadata(group: "policy.linkerd.io", kind: "EgressNetwork", namespace: network.name.namespace, name: network.name.name, port: address.port)
        case .nobody: Mesh.Meta.Metadata(default: "egress-fallback")
        }
    }

    // MARK: Protocols

    func detect(_ routes: [Cluster.Route]) -> Mesh.Outbound.ProxyProtocol.Detect {
        .with {
            $0.timeout = Mesh.duration(options.detectTimeout)
            $0.opaque = opaque([])
            $0.http1 = http1(routes)
            $0.http2 = http2(routes)
        }
    }

    func http1(_ routes: [Cluster.Route]) -> Mesh.Outbound.ProxyProtocol.Http1 {
        .with {
            $0.routes = http(routes)
            if let accrual = FailureAccrual.read(annotations) { $0.failureAccrual = accrual }
        }
    }

    func http2(_ routes: [Cluster.Route]) -> Mesh.Outbound.ProxyProtocol.Http2 {
        .with {
            $0.routes = http(routes)
            if let accrual = FailureAccrual.read(annotations) { $0.failureAccrual = accrual }
        }
    }

    func grpc(_ routes: [Cluster.Route]) -> Mesh.Outbound.ProxyProtocol.Grpc {
        .with {
            $0.routes = routes.map { grpc($0) }
            if case .egress(let network, _) = parent { $0.routes.append(defaultGRPC("grpc-egress-\(network.allows ? "allow" : "deny")", denied: !network.allows)) }
            if let accrual = FailureAccrual.read(annotations) { $0.failureAccrual = accrual }
        }
    }

    func tls(_ routes: [Cluster.Route]) -> Mesh.Outbound.ProxyProtocol.Tls {
        .with {
            // Only the first route of a kind without rules inside can hold.
            $0.routes = routes.map { tls($0) }
            if case .egress(let network, _) = parent {
                var route = Mesh.Outbound.TlsRoute()
                route.metadata = Mesh.Meta.Metadata(default: "tls-egress-\(network.allows ? "allow" : "deny")")
                var rule = Mesh.Outbound.TlsRoute.Rule()
                rule.backends.firstAvailable.backends = [.with { $0.backend = ownBackend() }]
                if !network.allows { rule.filters = [.with { $0.forbidden = .init() }] }
                route.rules = [rule]
                $0.routes.append(route)
            }
        }
    }

    func opaque(_ routes: [Cluster.Route]) -> Mesh.Outbound.ProxyProtocol.Opaque {
        .with {
            // At most one TCPRoute: there is nothing to choose by.
            $0.routes = routes.prefix(1).map { tcp($0) }
            if !$0.routes.isEmpty { return }
            var isDenied = false
            let name: String
            switch parent {
            case .service: name = "opaq"
            case .egress(let network, _):
                isDenied = !network.allows
                name = "tcp-egress-\(isDenied ? "deny" : "allow")"
            case .nobody: name = "egress-fallback"
            }
            var rule = Mesh.Outbound.OpaqueRoute.Rule()
            rule.backends.firstAvailable.backends = [.with { $0.backend = ownBackend() }]
            if isDenied { rule.filters = [.with { $0.forbidden = .init() }] }
            var route = Mesh.Outbound.OpaqueRoute()
            route.metadata = Mesh.Meta.Metadata(default: name)
            route.rules = [rule]
            $0.routes = [route]
        }
    }

    // MARK: HTTP

    private func http(_ routes: [Cluster.Route]) -> [Mesh.Outbound.HttpRoute] {
        let written = routes.map { http($0) }
        switch parent {
        // A Service that has routes answers nothing else; what leaves the cluster is still allowed or denied.
        case .service: return written.isEmpty ? [defaultHTTP("http", denied: false)] : written
        case .egress(let network, _): return written + [defaultHTTP("http-egress-\(network.allows ? "allow" : "deny")", denied: !network.allows)]
        case .nobody: return [defaultHTTP("egress-fallback", denied: false)]
        }
    }

    private func http(_ route: Cluster.Route) -> Mesh.Outbound.HttpRoute {
        var message = Mesh.Outbound.HttpRoute()
        message.metadata = route.metadata
        message.hosts = route.hostnames.map { RouteMessages.host($0) }
        message.rules = route.rules.map { rule in
            Mesh.Outbound.HttpRoute.Rule.with {
                $0.matches = rule.http
                $0.filters = rule.filters.map { Self.http($0) }
                if let timeouts = timeouts(route, rule) { $0.timeouts = timeouts }
                if let retry = RouteAnnotations.httpRetry(RouteAnnotations.speaksOfRetries(route.annotations) ? route.annotations : annotations) { $0.retry = retry }
                $0.allowL5DRequestHeaders = options.allowsRequestHeaders
                if rule.backends.isEmpty {
                    $0.backends.firstAvailable.backends = [backend(ownBackend(), [], rule)]
                } else {
                    $0.backends.randomAvailable.backends = rule.backends.map { item in
                        Mesh.Outbound.HttpRoute.WeightedRouteBackend.with {
                            $0.weight = item.weight
                            let (found, complaint) = resolve(item)
                            $0.backend = backend(found, item.filters, rule)
                            if let complaint { $0.backend.filters.append(.with { $0.failureInjector = Self.failure(500, complaint) }) }
                        }
                    }
                }
            }
        }
        return message
    }

    private func backend(_ backend: Mesh.Outbound.Backend, _ filters: [Cluster.Route.Filter], _ rule: Cluster.Route.Rule) -> Mesh.Outbound.HttpRoute.RouteBackend {
        .with {
            $0.backend = backend
            $0.filters = filters.map { Self.http($0) }
            if let timeout = rule.backendTimeout { $0.requestTimeout = Mesh.duration(timeout) }
        }
    }

    private func defaultHTTP(_ name: String, denied: Bool) -> Mesh.Outbound.HttpRoute {
        var rule = Mesh.Outbound.HttpRoute.Rule()
        rule.matches = [.with { $0.path.prefix = "/" }]
        rule.backends.firstAvailable.backends = [.with { $0.backend = ownBackend() }]
        if denied { rule.filters = [.with { $0.failureInjector = Self.failure(403, "traffic not allowed") }] }
        if let timeouts = RouteAnnotations.timeouts(annotations) { rule.timeouts = timeouts }
        if let retry = RouteAnnotations.httpRetry(annotations) { rule.retry = retry }
        rule.allowL5DRequestHeaders = options.allowsRequestHeaders
        var route = Mesh.Outbound.HttpRoute()
        route.metadata = Mesh.Meta.Metadata(default: name)
        route.rules = [rule]
        return route
    }

    private static func http(_ filter: Cluster.Route.Filter) -> Mesh.Outbound.HttpRoute.Filter {
        .with {
            switch filter {
            case .requestHeaders(let modifier): $0.requestHeaderModifier = modifier
            case .responseHeaders(let modifier): $0.responseHeaderModifier = modifier
            case .redirect(let redirect): $0.redirect = redirect
            }
        }
    }

    private static func failure(_ status: UInt32, _ message: String) -> Mesh.HTTPRoute.HttpFailureInjector {
        .with {
            $0.status = status
            $0.message = message
        }
    }

    /// The route's annotations replace the parent's as a whole; a rule's own timeout holds where they name none for the request.
    private func timeouts(_ route: Cluster.Route, _ rule: Cluster.Route.Rule) -> Mesh.HTTPRoute.Timeouts? {
        var timeouts = RouteAnnotations.timeouts(RouteAnnotations.speaksOfTimeouts(route.annotations) ? route.annotations : annotations)
        if let request = rule.requestTimeout, timeouts?.hasRequest != true {
            timeouts = timeouts ?? Mesh.HTTPRoute.Timeouts()
            timeouts?.request = Mesh.duration(request)
        }
        return timeouts
    }

    // MARK: gRPC

    private func grpc(_ route: Cluster.Route) -> Mesh.Outbound.GrpcRoute {
        var message = Mesh.Outbound.GrpcRoute()
        message.metadata = route.metadata
        message.hosts = route.hostnames.map { RouteMessages.host($0) }
        message.rules = route.rules.map { rule in
            Mesh.Outbound.GrpcRoute.Rule.with {
                $0.matches = rule.grpc
                $0.filters = rule.filters.compactMap { Self.grpc($0) }
                if let timeouts = timeouts(route, rule) { $0.timeouts = timeouts }
                if let retry = RouteAnnotations.grpcRetry(RouteAnnotations.speaksOfRetries(route.annotations) ? route.annotations : annotations) { $0.retry = retry }
                $0.allowL5DRequestHeaders = options.allowsRequestHeaders
                if rule.backends.isEmpty {
                    $0.backends.firstAvailable.backends = [.with { $0.backend = ownBackend() }]
                } else {
                    $0.backends.randomAvailable.backends = rule.backends.map { item in
                        Mesh.Outbound.GrpcRoute.WeightedRouteBackend.with {
                            $0.weight = item.weight
                            let (found, complaint) = resolve(item)
                            $0.backend.backend = found
                            $0.backend.filters = item.filters.compactMap { Self.grpc($0) }
                            // UNAVAILABLE, as the Gateway API asks of a backend that is not there.
                            if let complaint { $0.backend.filters.append(.with { $0.failureInjector = Self.grpcFailure(14, complaint) }) }
                        }
                    }
                }
            }
        }
        return message
    }

    private func defaultGRPC(_ name: String, denied: Bool) -> Mesh.Outbound.GrpcRoute {
        var rule = Mesh.Outbound.GrpcRoute.Rule()
        rule.matches = [Mesh.GRPCRoute.GrpcRouteMatch()]
        rule.backends.firstAvailable.backends = [.with { $0.backend = ownBackend() }]
        // PERMISSION_DENIED.
        if denied { rule.filters = [.with { $0.failureInjector = Self.grpcFailure(7, "traffic not allowed") }] }
        var route = Mesh.Outbound.GrpcRoute()
        route.metadata = Mesh.Meta.Metadata(default: name)
        route.rules = [rule]
        return route
    }

    private static func grpc(_ filter: Cluster.Route.Filter) -> Mesh.Outbound.GrpcRoute.Filter? {
        if case .requestHeaders(let modifier) = filter { .with { $0.requestHeaderModifier = modifier } } else { nil }
    }

    private static func grpcFailure(_ code: UInt32, _ message: String) -> Mesh.GRPCRoute.GrpcFailureInjector {
        .with {
            $0.code = code
            $0.message = message
        }
    }
}
