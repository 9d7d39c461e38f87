// What routes lead to: a balancer over a Service, an address outside as it is, or nothing, with the reason told to the client.
// Source: linkerd2 policy-controller grpc/src/outbound.rs.

import Base
import MeshAPI
import SwiftProtobuf

extension RouteWriter {
    /// The parent itself: where requests go that no route sends elsewhere.
    func ownBackend() -> Mesh.Outbound.Backend {
        switch parent {
        case .service(let service, let port): balancer(service.name, port)
        case .egress(_, let address), .nobody(let address): forward(address)
        }
    }

    /// The backend, and what is wrong with it; nil: nothing.
    func resolve(_ backend: Cluster.Route.Backend) -> (backend: Mesh.Outbound.Backend, complaint: String?) {
        switch backend.target {
        case .service(let name, let port):
            if messages.index.service(name) == nil { return (nowhere(Mesh.Meta.Metadata(group: "core", kind: "Service", namespace: name.namespace, name: name.name, port: port)), "Service not found \(name.name)") }
            return (balancer(name, port), nil)
        case .egressNetwork(let name, let port):
            let metadata = Mesh.Meta.Metadata(group: "policy.linkerd.io", kind: "EgressNetwork", namespace: name.namespace, name: name.name, port: port ?? 0)
            if messages.index.routes.egressNetwork(name) == nil { return (nowhere(metadata), "EgressNetwork not found \(name.name)") }
            guard case .egress(let network, let address) = parent, network.name == name else {
                return (nowhere(metadata), "Route with EgressNetwork backend must have the same EgressNetwork parent")
            }
            return (forward(address), nil)
        case .invalid(let reason): return (nowhere(Mesh.Meta.Metadata(default: "invalid")), reason)
        }
    }

    private func balancer(_ name: Cluster.Name, _ port: UInt16) -> Mesh.Outbound.Backend {
        var backend = Mesh.Outbound.Backend()
        backend.metadata = Mesh.Meta.Metadata(group: "core", kind: "Service", namespace: name.namespace, name: name.name, port: port)
        backend.balancer.discovery.dst.path = "\(name.name).\(name.namespace).svc.\(messages.options.clusterDomain):\(port)"
        backend.queue = Self.queue
        if let load = PenaltyLoad.read(annotations) {
            backend.balancer.penaltyPeakEwma = load
        } else {
            backend.balancer.peakEwma.defaultRtt = Mesh.duration(.milliseconds(30))
            backend.balancer.peakEwma.decay = Mesh.duration(.seconds(10))
        }
        return backend
    }

    private func forward(_ address: SocketAddress) -> Mesh.Outbound.Backend {
        var backend = Mesh.Outbound.Backend()
        backend.metadata = parentMetadata
        backend.forward.addr = Mesh.Net.TcpAddress(address)
        backend.forward.weight = EndpointTranslator.weight
        backend.queue = Self.queue
        return backend
    }

    private func nowhere(_ metadata: Mesh.Meta.Metadata) -> Mesh.Outbound.Backend {
        var backend = Mesh.Outbound.Backend()
        backend.metadata = metadata
        backend.queue = Self.queue
        return backend
    }

    /// Source: linkerd2 policy-controller grpc/src/outbound.rs, `default_queue_config`.
    private static let queue = Mesh.Outbound.Queue.with {
        $0.capacity = 100
        $0.failfastTimeout = Mesh.duration(.seconds(3))
    }
}
