// What a client is told of a port of a Service or of an address outside: its protocol, its routes, or the default ones where there
// are none, and what those lead to. A client sees the routes of its own namespace and those of the parent's; its own come first,
// so that they win where both match equally. Source: linkerd2 policy-controller grpc/src/outbound.rs and k8s/index/src/outbound.

import Base
import Kube
import MeshAPI
import OrderedCollections
import SwiftProtobuf

struct OutboundMessages {
    let index: ClusterIndex
    let options: PolicyOptions
    /// The client's namespace.
    let client: String

    var acceptance: RouteAcceptance { RouteAcceptance(index: index, options: options) }
    private typealias Proto = Mesh.Outbound.ProxyProtocol

    // MARK: Services

    func policy(of service: Cluster.Service, _ port: UInt16) -> Mesh.Outbound.OutboundPolicy {
        guard let declared = service.port(port) else { return Self.undefinedPort }
        let writer = RouteWriter(messages: self, parent: .service(service, port), annotations: service.annotations)
        let routes = routes(of: .service, service.name, port)
        var message = Mesh.Outbound.OutboundPolicy()
        message.metadata = writer.parentMetadata
        let http = routes.filter { $0.id.kind.isHTTP }
        let grpc = routes.filter { $0.id.kind == .grpc }
        let tls = routes.filter { $0.id.kind == .tls }
        let tcp = routes.filter { $0.id.kind == .tcp }
        let isOpaque = (service.annotations[Annotation.opaquePorts].map { PortList($0) } ?? options.opaquePorts).contains(port)
        switch declared.appProtocol {
        case "http": message.protocol.http1 = writer.http1(http)
        case "kubernetes.io/h2c":
            if grpc.isEmpty { message.protocol.http2 = writer.http2(http) } else { message.protocol.grpc = writer.grpc(grpc) }
        case .some: message.protocol.opaque = writer.opaque(tcp)
        case nil where isOpaque: message.protocol.opaque = writer.opaque(tcp)
        case nil where !grpc.isEmpty: message.protocol.grpc = writer.grpc(grpc)
        case nil where http.isEmpty && !tls.isEmpty: message.protocol.tls = writer.tls(tls)
        case nil where http.isEmpty && !tcp.isEmpty: message.protocol.opaque = writer.opaque(tcp)
        case nil: message.protocol.detect = writer.detect(http)
        }
        return message
    }

    /// A port that the Service does not have: refused, rather than guessed at.
    private static let undefinedPort: Mesh.Outbound.OutboundPolicy = {
        var rule = Mesh.Outbound.OpaqueRoute.Rule()
        rule.filters = [.with { $0.forbidden = .init() }]
        var route = Mesh.Outbound.OpaqueRoute()
        route.metadata = Mesh.Meta.Metadata(default: "undefined-port")
        route.rules = [rule]
        var message = Mesh.Outbound.OutboundPolicy()
        message.metadata = Mesh.Meta.Metadata(default: "undefined-port")
        message.protocol.opaque.routes = [route]
        return message
    }()

    // MARK: Outside

    func policy(of network: Cluster.EgressNetwork, _ address: SocketAddress) -> Mesh.Outbound.OutboundPolicy {
        let writer = RouteWriter(messages: self, parent: .egress(network, address), annotations: network.annotations)
        let routes = routes(of: .egressNetwork, network.name, address.port)
        var message = Mesh.Outbound.OutboundPolicy()
        message.metadata = writer.parentMetadata
        let http = routes.filter { $0.id.kind.isHTTP }
        let grpc = routes.filter { $0.id.kind == .grpc }
        let tls = routes.filter { $0.id.kind == .tls }
        let tcp = routes.filter { $0.id.kind == .tcp }
        if !grpc.isEmpty {
            message.protocol.grpc = writer.grpc(grpc)
        } else if http.isEmpty, !tls.isEmpty {
            message.protocol.tls = writer.tls(tls)
        } else if http.isEmpty, !tcp.isEmpty {
            message.protocol.opaque = writer.opaque(tcp)
        } else {
            message.protocol.detect = writer.detect(http)
        }
        return message
    }

    /// Outside the cluster, and nobody's business: forwarded as it is.
    func fallback(_ address: SocketAddress) -> Mesh.Outbound.OutboundPolicy {
        let writer = RouteWriter(messages: self, parent: .nobody(address), annotations: [:])
        var message = Mesh.Outbound.OutboundPolicy()
        message.metadata = writer.parentMetadata
        message.protocol.detect = writer.detect([])
        return message
    }

    // MARK: Which routes

    private func routes(of kind: Cluster.Route.Parent.Kind, _ name: Cluster.Name, _ port: UInt16) -> [Cluster.Route] {
        let acceptance = acceptance
        let seen = index.routes.routes(of: kind, name).filter { route in
            guard route.id.name.namespace == name.namespace || route.id.name.namespace == client else { return false }
            return route.parents.contains { parent in
                parent.kind == kind && parent.name == name && (parent.port == nil || parent.port == port) && acceptance.isAccepted(route, by: parent)
            }
        }
        // A consumer's routes come before the producer's; each in the order of age.
        return seen.filter { $0.id.name.namespace == client && client != name.namespace } + seen.filter { $0.id.name.namespace == name.namespace }
    }
}
