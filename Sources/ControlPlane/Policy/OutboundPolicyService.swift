// Policy of the traffic a pod sends: a service's protocol and its balancer, or the way out of the cluster. Route and
// EgressNetwork resources are not read: every service has its default routes.
// Source: linkerd2 policy-controller grpc/src/outbound.rs, shared facts on the control plane 3.3 and on the data plane 2.2.

import Base
import GRPC
import Kube
import MeshAPI
import OrderedCollections
import SwiftProtobuf
import Transport

public final class OutboundPolicyService {
    private let index: ClusterIndex
    private let options: PolicyOptions

    enum Target: Equatable {
        case service(Cluster.Name, port: UInt16)
        case address(SocketAddress)
    }

    public init(index: ClusterIndex, options: PolicyOptions) {
        self.index = index
        self.options = options
    }

    /// Answers `Get`.
    public func get(_ spec: Mesh.Outbound.TrafficSpec) throws(GRPCStatus) -> Mesh.Outbound.OutboundPolicy { try policy(try parse(spec)) }

    /// Answers `Watch`: again whenever the answer becomes another; ends with NOT_FOUND when the target is gone.
    public func watch(_ spec: Mesh.Outbound.TrafficSpec, _ stream: ResponseStream<Mesh.Outbound.OutboundPolicy>) {
        do throws(GRPCStatus) {
            let target = try parse(spec)
            var sent = try policy(target)
            let index = index
            let topic: ClusterIndex.Topic =
                switch target {
                case .service(let name, _): .service(name)
                case .address(let address): .address(address.ip)
                }
            var subscription: ClusterIndex.Subscription?
            let made = index.subscribe([topic]) {
                do throws(GRPCStatus) {
                    let now = try self.policy(target)
                    if now != sent {
                        sent = now
                        stream.send(now)
                    }
                } catch {
                    if let subscription { index.unsubscribe(subscription) }
                    stream.finish(error)
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

    /// `<svc>.<ns>.svc[.<domain>][:port]`, port 80 when none is given.
    private func parse(_ spec: Mesh.Outbound.TrafficSpec) throws(GRPCStatus) -> Target {
        guard ContextToken(workload: spec.sourceWorkload) != nil else { throw GRPCStatus(.invalidArgument, "Invalid workload: \(spec.sourceWorkload.prefix(300))") }
        switch spec.target {
        case .addr(let address):
            guard let address = SocketAddress(address), address.port > 0 else { throw GRPCStatus(.invalidArgument, "the address to look up is not one") }
            return .address(address)
        case .authority(let authority):
            var host = authority[...]
            var port: UInt16 = 80
            if let colon = authority.firstIndex(of: ":") {
                guard let number = parsePort(authority[authority.index(after: colon)...]), number > 0 else { throw GRPCStatus(.invalidArgument, "invalid port in \(authority.prefix(300))") }
                port = number
                host = authority[..<colon]
            }
            if host.hasSuffix("." + options.clusterDomain) { host = host.dropLast(options.clusterDomain.count + 1) }
            let labels = host.split(separator: ".", omittingEmptySubsequences: false)
            guard labels.count == 3, labels[2] == "svc" else { throw GRPCStatus(.notFound, "No such service") }
            return .service(Cluster.Name(String(labels[1]), String(labels[0])), port: port)
        case nil: throw GRPCStatus(.invalidArgument, "target is required")
        }
    }

    // MARK: Answers

    func policy(_ target: Target) throws(GRPCStatus) -> Mesh.Outbound.OutboundPolicy {
        switch target {
        case .service(let name, let port):
            guard let service = index.service(name) else { throw GRPCStatus(.notFound, "No such service") }
            return policy(of: service, port)
        case .address(let address):
            if let service = index.services(at: address.ip).first { return policy(of: service, address.port) }
            if options.clusterNetworks.contains(where: { $0.contains(address.ip) }) { throw GRPCStatus(.notFound, "No such service") }
            return egress(address)
        }
    }

    private func policy(of service: Cluster.Service, _ port: UInt16) -> Mesh.Outbound.OutboundPolicy {
        var message = Mesh.Outbound.OutboundPolicy()
        guard let declared = service.port(port) else {
            message.metadata = Mesh.Meta.Metadata(default: "undefined-port")
            var rule = Mesh.Outbound.OpaqueRoute.Rule()
            rule.filters = [Mesh.Outbound.OpaqueRoute.Filter.with { $0.forbidden = .init() }]
            var route = Mesh.Outbound.OpaqueRoute()
            route.metadata = Mesh.Meta.Metadata(default: "undefined-port")
            route.rules = [rule]
            message.protocol.opaque.routes = [route]
            return message
        }
        message.metadata = Mesh.Meta.Metadata(group: "core", kind: "Service", namespace: service.name.namespace, name: service.name.name, port: port)
        let backend = balancer(service, port)
        let accrual = FailureAccrual.read(service.annotations)
        let opaque = Mesh.Outbound.ProxyProtocol.Opaque.with { $0.routes = [opaqueRoute("opaq", backend)] }
        let http1 = Mesh.Outbound.ProxyProtocol.Http1.with {
            $0.routes = [httpRoute("http", backend, annotations: service.annotations)]
            if let accrual { $0.failureAccrual = accrual }
        }
        let http2 = Mesh.Outbound.ProxyProtocol.Http2.with {
            $0.routes = [httpRoute("http", backend, annotations: service.annotations)]
            if let accrual { $0.failureAccrual = accrual }
        }
        let isOpaque = (service.annotations[Annotation.opaquePorts].map { PortList($0) } ?? options.opaquePorts).contains(port)
        switch declared.appProtocol {
        case "http": message.protocol.http1 = http1
        case "kubernetes.io/h2c": message.protocol.http2 = http2
        case .some: message.protocol.opaque = opaque
        case nil where isOpaque: message.protocol.opaque = opaque
        case nil:
            message.protocol.detect.timeout = Mesh.duration(options.detectTimeout)
            message.protocol.detect.opaque = opaque
            message.protocol.detect.http1 = http1
            message.protocol.detect.http2 = http2
        }
        return message
    }

    /// Outside the cluster, and nobody's business: forwarded as it is.
    private func egress(_ address: SocketAddress) -> Mesh.Outbound.OutboundPolicy {
        var backend = Mesh.Outbound.Backend()
        backend.metadata = Mesh.Meta.Metadata(default: "egress-fallback")
        backend.forward.addr = Mesh.Net.TcpAddress(address)
        backend.forward.weight = EndpointTranslator.weight
        backend.queue = Self.queue
        var message = Mesh.Outbound.OutboundPolicy()
        message.metadata = Mesh.Meta.Metadata(default: "egress-fallback")
        message.protocol.detect.timeout = Mesh.duration(options.detectTimeout)
        message.protocol.detect.opaque.routes = [opaqueRoute("egress-fallback", backend)]
        message.protocol.detect.http1.routes = [httpRoute("egress-fallback", backend, annotations: [:])]
        message.protocol.detect.http2.routes = [httpRoute("egress-fallback", backend, annotations: [:])]
        return message
    }

    private func balancer(_ service: Cluster.Service, _ port: UInt16) -> Mesh.Outbound.Backend {
        var backend = Mesh.Outbound.Backend()
        backend.metadata = Mesh.Meta.Metadata(group: "core", kind: "Service", namespace: service.name.namespace, name: service.name.name, port: port)
        backend.balancer.discovery.dst.path = "\(service.name.name).\(service.name.namespace).svc.\(options.clusterDomain):\(port)"
        backend.balancer.peakEwma.defaultRtt = Mesh.duration(.milliseconds(30))
        backend.balancer.peakEwma.decay = Mesh.duration(.seconds(10))
        backend.queue = Self.queue
        return backend
    }

    /// Source: linkerd2 policy-controller grpc/src/outbound.rs, `default_queue_config`.
    private static let queue = Mesh.Outbound.Queue.with {
        $0.capacity = 100
        $0.failfastTimeout = Mesh.duration(.seconds(3))
    }

    private func httpRoute(_ name: String, _ backend: Mesh.Outbound.Backend, annotations: KubeLabels) -> Mesh.Outbound.HttpRoute {
        var match = Mesh.HTTPRoute.HttpRouteMatch()
        match.path.prefix = "/"
        var rule = Mesh.Outbound.HttpRoute.Rule()
        rule.matches = [match]
        rule.backends.firstAvailable.backends = [Mesh.Outbound.HttpRoute.RouteBackend.with { $0.backend = backend }]
        if let timeouts = RouteAnnotations.timeouts(annotations) { rule.timeouts = timeouts }
        if let retry = RouteAnnotations.httpRetry(annotations) { rule.retry = retry }
        var route = Mesh.Outbound.HttpRoute()
        route.metadata = Mesh.Meta.Metadata(default: name)
        route.rules = [rule]
        return route
    }

    private func opaqueRoute(_ name: String, _ backend: Mesh.Outbound.Backend) -> Mesh.Outbound.OpaqueRoute {
        var rule = Mesh.Outbound.OpaqueRoute.Rule()
        rule.backends.firstAvailable.backends = [Mesh.Outbound.OpaqueRoute.RouteBackend.with { $0.backend = backend }]
        var route = Mesh.Outbound.OpaqueRoute()
        route.metadata = Mesh.Meta.Metadata(default: name)
        route.rules = [rule]
        return route
    }
}
