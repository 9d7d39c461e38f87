// Short ways to write what a control plane says: routes, backends, servers, in the API's own messages, so that a story can change any
// field of what these make.

import Base
import HTTP
import MeshAPI
import SwiftProtobuf

extension Mesh.Outbound.OutboundPolicy {
    /// What the policy controller says of a Service: detection, every protocol to its pods. `routes` replace the default HTTP route.
    public static func detecting(_ service: ScriptedService, routes: [Mesh.Outbound.HttpRoute]? = nil, accrual: Mesh.Outbound.FailureAccrual? = nil) -> Self {
        let http = routes ?? [.named("http") { $0.backends = .first(service.backend) }]
        return .with { policy in
            policy.metadata = service.metadata
            policy.protocol.detect.timeout = Mesh.duration(.seconds(10))
            policy.protocol.detect.http1.routes = http
            policy.protocol.detect.http2.routes = http
            if let accrual {
                policy.protocol.detect.http1.failureAccrual = accrual
                policy.protocol.detect.http2.failureAccrual = accrual
            }
            policy.protocol.detect.opaque.routes = [.to(service.backend)]
        }
    }

    /// gRPC only.
    public static func grpc(_ service: ScriptedService, routes: [Mesh.Outbound.GrpcRoute]) -> Self {
        .with {
            $0.metadata = service.metadata
            $0.protocol.grpc.routes = routes
        }
    }

    public static func opaque(_ service: ScriptedService, routes: [Mesh.Outbound.OpaqueRoute]? = nil) -> Self {
        .with {
            $0.metadata = service.metadata
            $0.protocol.opaque.routes = routes ?? [.to(service.backend)]
        }
    }
}

extension ScriptedService {
    public var metadata: Mesh.Meta.Metadata { Mesh.Meta.Metadata(group: "core", kind: "Service", namespace: ScriptedMesh.namespace, name: name, port: port) }

    /// Its pods, balanced.
    public var backend: Mesh.Outbound.Backend {
        .with {
            $0.metadata = metadata
            $0.balancer.discovery.dst.path = authority
            $0.balancer.peakEwma.defaultRtt = Mesh.duration(.milliseconds(30))
            $0.balancer.peakEwma.decay = Mesh.duration(.seconds(10))
            $0.queue.capacity = 100
            $0.queue.failfastTimeout = Mesh.duration(.seconds(3))
        }
    }

    /// HTTP routes in place of the default one.
    public func route(_ routes: Mesh.Outbound.HttpRoute..., accrual: Mesh.Outbound.FailureAccrual? = nil) { policy = .detecting(self, routes: routes, accrual: accrual) }

    /// The default route, changed.
    public func rule(accrual: Mesh.Outbound.FailureAccrual? = nil, _ change: (inout Mesh.Outbound.HttpRoute.Rule) -> Void) {
        let backend = backend
        policy = .detecting(
            self,
            routes: [
                .named("http") {
                    $0.backends = .first(backend)
                    change(&$0)
                }
            ], accrual: accrual)
    }
}

extension Mesh.Outbound.Backend {
    /// An address of its own.
    public static func forward(_ address: SocketAddress, _ name: String = "forward") -> Self {
        .with {
            $0.metadata = Mesh.Meta.Metadata(default: name)
            $0.forward.addr = Mesh.Net.TcpAddress(address)
            $0.forward.weight = 10_000
        }
    }
}

extension Mesh.Outbound.HttpRoute {
    /// A route of one rule.
    public static func named(_ name: String, hosts: [Mesh.HTTPRoute.HostMatch] = [], _ change: (inout Rule) -> Void) -> Self {
        .with { route in
            route.metadata = name == "http" ? Mesh.Meta.Metadata(default: name) : Mesh.Meta.Metadata(group: "gateway.networking.k8s.io", kind: "HTTPRoute", namespace: ScriptedMesh.namespace, name: name)
            route.hosts = hosts
            var rule = Rule()
            change(&rule)
            route.rules = [rule]
        }
    }
}

extension Mesh.Outbound.HttpRoute.Distribution {
    /// The first of them that can serve.
    public static func first(_ backends: Mesh.Outbound.Backend...) -> Self { .with { $0.firstAvailable.backends = backends.map { backend in .with { $0.backend = backend } } } }

    /// One of those that can serve, by weight.
    public static func weighted(_ backends: (Mesh.Outbound.Backend, UInt32)...) -> Self {
        .with { distribution in
            distribution.randomAvailable.backends = backends.map { backend, weight in
                .with {
                    $0.backend.backend = backend
                    $0.weight = weight
                }
            }
        }
    }
}

extension Mesh.Outbound.HttpRoute.Retry {
    /// Of these statuses.
    public static func times(_ count: UInt32, _ statuses: ClosedRange<UInt32>..., timeout: Interval? = nil) -> Self {
        .with { retry in
            retry.maxRetries = count
            retry.maxRequestBytes = 65_536
            retry.backoff = .waits(.milliseconds(25), .milliseconds(250), jitter: 1)
            retry.conditions.statusRanges = statuses.map { range in
                .with {
                    $0.start = range.lowerBound
                    $0.end = range.upperBound
                }
            }
            if let timeout { retry.timeout = Mesh.duration(timeout) }
        }
    }
}

extension Mesh.Outbound.ExponentialBackoff {
    public static func waits(_ least: Interval, _ most: Interval, jitter: Float = 0) -> Self {
        .with {
            $0.minBackoff = Mesh.duration(least)
            $0.maxBackoff = Mesh.duration(most)
            $0.jitterRatio = jitter
        }
    }
}

extension Mesh.Outbound.GrpcRoute {
    public static func named(_ name: String, service: String = "", method: String = "", _ change: (inout Rule) -> Void) -> Self {
        .with { route in
            route.metadata = Mesh.Meta.Metadata(group: "gateway.networking.k8s.io", kind: "GRPCRoute", namespace: ScriptedMesh.namespace, name: name)
            var rule = Rule()
            if !service.isEmpty || !method.isEmpty {
                rule.matches = [
                    .with {
                        $0.rpc.service = service
                        $0.rpc.method = method
                    }
                ]
            }
            change(&rule)
            route.rules = [rule]
        }
    }
}

extension Mesh.Outbound.GrpcRoute.Distribution {
    public static func first(_ backends: Mesh.Outbound.Backend...) -> Self { .with { $0.firstAvailable.backends = backends.map { backend in .with { $0.backend = backend } } } }
}

extension Mesh.Outbound.OpaqueRoute {
    /// To the first of these that can serve.
    public static func to(_ backends: Mesh.Outbound.Backend..., forbidden: Bool = false) -> Self {
        .with { route in
            route.metadata = Mesh.Meta.Metadata(default: "opaque")
            route.rules = [
                .with { rule in
                    rule.backends.firstAvailable.backends = backends.map { backend in .with { $0.backend = backend } }
                    if forbidden { rule.filters = [.with { $0.forbidden = .init() }] }
                }
            ]
        }
    }
}

extension Mesh.Outbound.TlsRoute {
    /// Connections that ask for this server name.
    public static func named(_ serverName: String, to backend: Mesh.Outbound.Backend) -> Self {
        .with { route in
            route.metadata = Mesh.Meta.Metadata(group: "gateway.networking.k8s.io", kind: "TLSRoute", namespace: ScriptedMesh.namespace, name: serverName)
            route.snis = [.with { if serverName.hasPrefix("*.") { $0.suffix.reverseLabels = serverName.dropFirst(2).split(separator: ".").reversed().map(String.init) } else { $0.exact = serverName } }]
            route.rules = [.with { rule in rule.backends.firstAvailable.backends = [.with { $0.backend = backend }] }]
        }
    }
}

extension Mesh.HTTPRoute.HttpRouteMatch {
    public static func path(prefix: String) -> Self { .with { $0.path.prefix = prefix } }
    public static func path(exact: String) -> Self { .with { $0.path.exact = exact } }
    public static func header(_ name: String, _ value: String) -> Self { .with { $0.headers = [Mesh.HTTPRoute.HeaderMatch(name: name, exact: Array(value.utf8))] } }
}

extension Mesh.HTTPTypes.Headers {
    public static func these(_ fields: (String, String)...) -> Self { .with { $0.headers = fields.map { Header(name: $0.0, value: Array($0.1.utf8)) } } }
}

// MARK: Inbound

extension Mesh.Inbound.Server {
    /// Everybody may come; the protocol is detected.
    public static var open: Self { named("all-unauthenticated", [.anyone]) }

    /// Detection, HTTP routes, and who may come.
    public static func named(_ name: String, _ authorizations: [Mesh.Inbound.Authz], routes: [Mesh.Inbound.HttpRoute]? = nil) -> Self {
        .with { server in
            server.protocol.detect.timeout = Mesh.duration(.seconds(10))
            server.protocol.detect.httpRoutes = routes ?? [.named("default") { _ in }]
            server.labels = ["group": "policy.linkerd.io", "kind": "server", "name": name]
            server.authorizations = authorizations
        }
    }

    public static func opaque(_ name: String, _ authorizations: [Mesh.Inbound.Authz]) -> Self {
        .with { server in
            server.protocol.opaque = .init()
            server.labels = ["group": "policy.linkerd.io", "kind": "server", "name": name]
            server.authorizations = authorizations
        }
    }
}

extension Mesh.Inbound.Authz {
    /// From these networks, whoever they are.
    public static func networks(_ networks: String...) -> Self {
        .with { authz in
            authz.networks = networks.compactMap { IPNetwork($0) }.map { network in .with { $0.net = Mesh.Net.IPNetwork(network) } }
            authz.authentication.unauthenticated = .init()
            authz.metadata = Mesh.Meta.Metadata(default: "networks")
        }
    }

    public static var anyone: Self { .networks("0.0.0.0/0", "::/0") }

    /// Whoever proves one of these identities; none: any identity of the mesh.
    public static func identities(_ names: String...) -> Self {
        .with { authz in
            authz.networks = [IPNetwork("0.0.0.0/0")!, IPNetwork("::/0")!].map { network in .with { $0.net = Mesh.Net.IPNetwork(network) } }
            authz.authentication.meshTls.identities.identities = names.map { name in .with { $0.name = name } }
            if names.isEmpty { authz.authentication.meshTls.identities.suffixes = [.init()] }
            authz.metadata = Mesh.Meta.Metadata(group: "policy.linkerd.io", kind: "authorizationpolicy", namespace: ScriptedMesh.namespace, name: "identities")
        }
    }
}

extension Mesh.Inbound.HttpRoute {
    /// A route of one rule that takes everything unless `change` says what.
    public static func named(_ name: String, authorizations: [Mesh.Inbound.Authz] = [], _ change: (inout Rule) -> Void) -> Self {
        .with { route in
            route.metadata = name == "default" || name == "probe" ? Mesh.Meta.Metadata(default: name) : Mesh.Meta.Metadata(group: "policy.linkerd.io", kind: "httproute", namespace: ScriptedMesh.namespace, name: name)
            route.authorizations = authorizations
            var rule = Rule()
            change(&rule)
            route.rules = [rule]
        }
    }
}
