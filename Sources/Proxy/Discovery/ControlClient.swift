// A client of one control-plane service: its name resolved as Linkerd's proxy does it, mutual TLS to the identity it must prove,
// streams that are never let go. A service on loopback is this pod's own and is spoken to in clear and without limits of time.
// Source: linkerd2-proxy linkerd/app/core/src/control.rs; facts 1.3, 8.

import Base
import GRPC
import MeshAPI
import Platform
import TLS
import Transport

final class ControlClient {
    let channel: GRPCChannel
    private let service: Configuration.Service
    private let limits: Configuration.StreamLimits

    /// `credentials` gives what proves us to the identity of the service; nil while there is none.
    init(
        batch: FlushBatch, resolver: Resolver, service: Configuration.Service, configuration: Configuration, series: ControlSeries, credentials: @escaping (String) -> TLSClientConfiguration?
    ) {
        self.service = service
        limits = service.identity == nil ? Configuration.StreamLimits() : configuration.streamLimits
        let connector = Self.connector(batch: batch, resolver: resolver, service: service, configuration: configuration, series: series, credentials: credentials)
        channel = GRPCChannel(batch: batch, connector: connector, authority: "\(service.authority)")
        series.follow(channel)
    }

    func close() { channel.close() }

    /// How a control-plane service is reached.
    static func connector(batch: FlushBatch, resolver: Resolver, service: Configuration.Service, configuration: Configuration, series: ControlSeries, credentials: @escaping (String) -> TLSClientConfiguration?) -> any Connector {
        let side = service.authority.isLoopback ? configuration.inbound : configuration.outbound
        let options = ConnectOptions(timeout: side.connectTimeout, keepAlive: side.connectKeepAlive, userTimeout: side.connectUserTimeout)
        let name = NameConnector(host: batch.host, resolver: resolver, name: service.authority.host, port: service.authority.port, options: options)
        name.onResolved = { series.resolved(isService: $0, addressCount: $1) }
        guard let expected = service.identity else { return name }
        return MeshConnector(host: batch.host, lower: name, header: nil) { credentials(expected) }
    }

    /// For people and labels.
    var name: String { "\(service.authority)" }

    func options(finalCodes: [GRPCStatus.Code]) -> GRPCWatchOptions {
        var options = GRPCWatchOptions()
        options.initialTimeout = limits.initial
        options.idleTimeout = limits.idle
        options.lifetime = limits.lifetime
        options.finalCodes = finalCodes
        return options
    }
}

/// A stream of discovery that its owner follows until it stops it.
protocol DiscoveryStream: AnyObject {
    func stop()
}

extension GRPCWatch: DiscoveryStream {}

/// What a follower of a stream is told.
struct DiscoveryEvents<Message> {
    /// The stream begins anew: what it says next stands alone.
    var restarted: () -> Void = {}
    var said: (Message) -> Void
    /// The stream ended; unless that is final it is opened again.
    var ended: (GRPCStatus, _ isFinal: Bool) -> Void
}

/// Where discovery comes from: the control plane, or a test's script.
protocol DiscoverySource: AnyObject {
    /// `path` is `ip:port` or `name:port`.
    func profile(_ path: String, _ events: DiscoveryEvents<Mesh.Destination.DestinationProfile>) -> any DiscoveryStream
    func endpoints(_ path: String, _ events: DiscoveryEvents<Mesh.Destination.Update>) -> any DiscoveryStream
    func outboundPolicy(_ address: SocketAddress, _ events: DiscoveryEvents<Mesh.Outbound.OutboundPolicy>) -> any DiscoveryStream
    func outboundPolicy(authority: String, _ events: DiscoveryEvents<Mesh.Outbound.OutboundPolicy>) -> any DiscoveryStream
    func inboundPolicy(port: UInt16, _ events: DiscoveryEvents<Mesh.Inbound.Server>) -> any DiscoveryStream
}

/// The control plane as a source.
final class ControlPlaneSource: DiscoverySource {
    /// Source: linkerd2-proxy linkerd/service-profiles/src/client.rs and linkerd/proxy/api-resolve; facts 2.1.
    static let finalForDestination: [GRPCStatus.Code] = [.invalidArgument, .failedPrecondition]
    /// Source: linkerd2-proxy linkerd/app/{outbound,inbound}/src/policy/api.rs.
    static let finalForPolicy: [GRPCStatus.Code] = [.invalidArgument, .failedPrecondition, .notFound, .unimplemented]

    private let destination: ControlClient
    private let policy: ControlClient
    private let context: String
    private let workload: String

    init(destination: ControlClient, policy: ControlClient, context: String, workload: String) {
        self.destination = destination
        self.policy = policy
        self.context = context
        self.workload = workload
    }

    func profile(_ path: String, _ events: DiscoveryEvents<Mesh.Destination.DestinationProfile>) -> any DiscoveryStream {
        follow(destination, Mesh.Destination.getProfile, destination(path), Self.finalForDestination, events)
    }

    func endpoints(_ path: String, _ events: DiscoveryEvents<Mesh.Destination.Update>) -> any DiscoveryStream {
        follow(destination, Mesh.Destination.get, destination(path), Self.finalForDestination, events)
    }

    func outboundPolicy(_ address: SocketAddress, _ events: DiscoveryEvents<Mesh.Outbound.OutboundPolicy>) -> any DiscoveryStream {
        var spec = Mesh.Outbound.TrafficSpec()
        spec.sourceWorkload = workload
        spec.addr = Mesh.Net.TcpAddress(address)
        return follow(policy, Mesh.Outbound.watch, spec, Self.finalForPolicy, events)
    }

    func outboundPolicy(authority: String, _ events: DiscoveryEvents<Mesh.Outbound.OutboundPolicy>) -> any DiscoveryStream {
        var spec = Mesh.Outbound.TrafficSpec()
        spec.sourceWorkload = workload
        spec.authority = authority
        return follow(policy, Mesh.Outbound.watch, spec, Self.finalForPolicy, events)
    }

    func inboundPolicy(port: UInt16, _ events: DiscoveryEvents<Mesh.Inbound.Server>) -> any DiscoveryStream {
        var spec = Mesh.Inbound.PortSpec()
        spec.workload = workload
        spec.port = UInt32(port)
        return follow(policy, Mesh.Inbound.watchPort, spec, Self.finalForPolicy, events)
    }

    private func destination(_ path: String) -> Mesh.Destination.GetDestination {
        var request = Mesh.Destination.GetDestination()
        request.path = path
        request.contextToken = context
        return request
    }

    private func follow<Request, Response>(
        _ client: ControlClient, _ method: GRPCMethod<Request, Response>, _ request: Request, _ finalCodes: [GRPCStatus.Code], _ events: DiscoveryEvents<Response>
    ) -> any DiscoveryStream {
        let watch = client.channel.watch(method, request, options: client.options(finalCodes: finalCodes), onMessage: events.said, onEnd: events.ended)
        watch.onReopen = events.restarted
        return watch
    }
}
