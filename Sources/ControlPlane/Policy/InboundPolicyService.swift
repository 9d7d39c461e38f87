// Policy of the ports a pod serves: the default policy, or a Server's protocol and routes with whom its authorizations let in.
// Source: linkerd2 policy-controller grpc/src/inbound.rs, shared facts on the control plane 3.2 and on the data plane 3.5.

import Base
import GRPC
import MeshAPI
import OrderedCollections
import SwiftProtobuf
import Transport

public final class InboundPolicyService {
    private let index: ClusterIndex
    private let options: PolicyOptions

    public init(index: ClusterIndex, options: PolicyOptions) {
        self.index = index
        self.options = options
    }

    /// Answers `GetPort`.
    public func getPort(_ spec: Mesh.Inbound.PortSpec) throws(GRPCStatus) -> Mesh.Inbound.Server {
        let (name, port) = try Self.parse(spec)
        guard let pod = index.pod(name) else { throw GRPCStatus(.notFound, "unknown server") }
        return server(pod, port)
    }

    /// Answers `WatchPort`: again whenever the answer becomes another; ends with NOT_FOUND when the pod is gone.
    public func watchPort(_ spec: Mesh.Inbound.PortSpec, _ stream: ResponseStream<Mesh.Inbound.Server>) {
        do throws(GRPCStatus) {
            let (name, port) = try Self.parse(spec)
            guard let pod = index.pod(name) else { throw GRPCStatus(.notFound, "unknown server") }
            var sent = server(pod, port)
            let index = index
            var subscription: ClusterIndex.Subscription?
            let made = index.subscribe([.pod(name)]) {
                guard let pod = index.pod(name) else {
                    if let subscription { index.unsubscribe(subscription) }
                    return stream.finish(GRPCStatus(.notFound, "unknown server"))
                }
                let now = self.server(pod, port)
                if now != sent {
                    sent = now
                    stream.send(now)
                }
            }
            subscription = made
            stream.onCancel = {
                index.unsubscribe(made)
                subscription = nil
            }
            stream.send(sent)
        } catch { stream.finish(error) }
    }

    private static func parse(_ spec: Mesh.Inbound.PortSpec) throws(GRPCStatus) -> (Cluster.Name, UInt16) {
        guard let port = UInt16(exactly: spec.port), port > 0 else { throw GRPCStatus(.invalidArgument, "port must be 1 to 65535, not \(spec.port)") }
        guard let token = ContextToken(workload: spec.workload) else { throw GRPCStatus(.invalidArgument, "Invalid workload: \(spec.workload.prefix(300))") }
        if token.pod.isEmpty { throw GRPCStatus(.notFound, "unknown server") }
        return (Cluster.Name(token.namespace, token.pod), port)
    }

    // MARK: Answers

    func server(_ pod: Cluster.Pod, _ port: UInt16) -> Mesh.Inbound.Server {
        var message = Mesh.Inbound.Server()
        if let server = index.server(of: pod, port: port) {
            message.labels = ["group": "policy.linkerd.io", "kind": "server", "name": server.name.name]
            message.authorizations = AuthorizationTranslator(table: index.authorizations, options: options).authorizations(of: server)
            if let policy = DefaultPolicy(rawValue: server.accessPolicy) { message.authorizations += authorizations(policy) }
            let attached = InboundRoutes(index: index, options: options)
            var http = attached.http(server, message.authorizations)
            // With routes of its own a Server has no default ones: probes must then be authorized as everything else.
            if http.isEmpty { http = routes(pod, port, message.authorizations) }
            let grpc = server.proxyProtocol == "gRPC" ? attached.grpc(server, message.authorizations) : []
            message.protocol = proxyProtocol(server.proxyProtocol, http, grpc)
            if let limit = index.rateLimit(of: server) { Self.add(limit.message(AuthorizationTranslator(table: index.authorizations, options: options)), to: &message.protocol) }
            return message
        }
        let policy = defaultPolicy(of: pod, port)
        message.labels = ["group": "", "kind": "default", "name": policy.rawValue]
        message.authorizations = authorizations(policy)
        let isOpaque = pod.annotations[Annotation.opaquePorts].map { PortList($0).contains(port, in: pod) } ?? false
        message.protocol = proxyProtocol(isOpaque ? "opaque" : "unknown", routes(pod, port, message.authorizations))
        return message
    }

    /// The pod's annotation, its namespace's, the cluster's; a port that requires identity makes it authenticated.
    func defaultPolicy(of pod: Cluster.Pod, _ port: UInt16) -> DefaultPolicy {
        let named = [pod.annotations[Annotation.defaultInboundPolicy], index.namespace(pod.name.namespace)?.annotations[Annotation.defaultInboundPolicy]]
        let policy = named.compactMap { $0.flatMap { DefaultPolicy(rawValue: $0) } }.first ?? options.defaultPolicy
        let requires = pod.annotations[Annotation.requireIdentityPorts].map { PortList($0).contains(port, in: pod) } ?? false
        return requires ? policy.authenticated : policy
    }

    private func authorizations(_ policy: DefaultPolicy) -> [Mesh.Inbound.Authz] {
        if policy == .deny { return [] }
        var authz = Mesh.Inbound.Authz()
        authz.metadata = Mesh.Meta.Metadata(default: policy.rawValue)
        authz.labels = ["group": "", "kind": "default", "name": policy.rawValue]
        switch policy {
        case .allUnauthenticated, .allAuthenticated, .audit, .deny: authz.networks = Self.networks(Self.everywhere)
        case .clusterUnauthenticated, .clusterAuthenticated: authz.networks = Self.networks(options.clusterNetworks)
        }
        switch policy {
        case .allAuthenticated, .clusterAuthenticated: authz.authentication.meshTls.identities.suffixes = [Mesh.Inbound.IdentitySuffix()]
        case .allUnauthenticated, .clusterUnauthenticated, .audit, .deny: authz.authentication.unauthenticated = .init()
        }
        return [authz]
    }

    /// The route that matches everything, and one for the kubelet's probes of this port.
    private func routes(_ pod: Cluster.Pod, _ port: UInt16, _ authorizations: [Mesh.Inbound.Authz]) -> [Mesh.Inbound.HttpRoute] {
        var main = Mesh.Inbound.HttpRoute()
        main.metadata = Mesh.Meta.Metadata(default: "default")
        main.authorizations = authorizations
        var match = Mesh.HTTPRoute.HttpRouteMatch()
        match.path.prefix = "/"
        main.rules = [Mesh.Inbound.HttpRoute.Rule.with { $0.matches = [match] }]

        var paths: [String] = []
        for container in pod.containers {
            for probe in container.probes where probe.port == port && !paths.contains(probe.path) { paths.append(probe.path) }
        }
        guard !paths.isEmpty, !options.probeNetworks.isEmpty else { return [main] }
        var authz = Mesh.Inbound.Authz()
        authz.metadata = Mesh.Meta.Metadata(default: "probe")
        authz.labels = ["group": "", "kind": "default", "name": "probe"]
        authz.networks = Self.networks(options.probeNetworks)
        authz.authentication.unauthenticated = .init()
        var probe = Mesh.Inbound.HttpRoute()
        probe.metadata = Mesh.Meta.Metadata(default: "probe")
        probe.authorizations = [authz]
        probe.rules = [
            Mesh.Inbound.HttpRoute.Rule.with {
                $0.matches = paths.map { path in
                    var match = Mesh.HTTPRoute.HttpRouteMatch()
                    match.path.exact = path
                    match.method.registered = .get
                    return match
                }
            }
        ]
        return [main, probe]
    }

    /// Names are those of a Server's `proxyProtocol`; what is unknown is detected.
    private func proxyProtocol(_ name: String, _ routes: [Mesh.Inbound.HttpRoute], _ grpc: [Mesh.Inbound.GrpcRoute] = []) -> Mesh.Inbound.ProxyProtocol {
        var message = Mesh.Inbound.ProxyProtocol()
        switch name {
        case "opaque": message.opaque = .init()
        case "TLS": message.tls = .init()
        case "HTTP/1": message.http1.routes = routes
        case "HTTP/2": message.http2.routes = routes
        case "gRPC" where !grpc.isEmpty: message.grpc.routes = grpc
        case "gRPC":
            var route = Mesh.Inbound.GrpcRoute()
            route.metadata = Mesh.Meta.Metadata(default: "default")
            route.authorizations = routes[0].authorizations
            route.rules = [Mesh.Inbound.GrpcRoute.Rule.with { $0.matches = [Mesh.GRPCRoute.GrpcRouteMatch()] }]
            message.grpc.routes = [route]
        default:
            message.detect.timeout = Mesh.duration(options.detectTimeout)
            message.detect.httpRoutes = routes
        }
        return message
    }

    /// gRPC servers and those that are not HTTP have none.
    private static func add(_ limit: Mesh.Inbound.HttpLocalRateLimit, to message: inout Mesh.Inbound.ProxyProtocol) {
        switch message.kind {
        case .detect: message.detect.httpLocalRateLimit = limit
        case .http1: message.http1.localRateLimit = limit
        case .http2: message.http2.localRateLimit = limit
        case .grpc, .opaque, .tls, nil: break
        }
    }

    static let everywhere = [IPNetwork("0.0.0.0/0")!, IPNetwork("::/0")!]

    static func networks(_ networks: [IPNetwork]) -> [Mesh.Inbound.Network] {
        networks.map { network in Mesh.Inbound.Network.with { $0.net = Mesh.Net.IPNetwork(network) } }
    }
}
