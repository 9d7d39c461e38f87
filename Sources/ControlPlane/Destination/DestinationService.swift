// The destination service: which endpoints a service has, told as differences. Profiles are in their own file.
// Remote clusters are absent: a service that lives in another cluster is answered as one whose cluster is unknown.
// Source: linkerd2 controller/api/destination, shared facts on the control plane 2.

import Base
import GRPC
import MeshAPI
import OrderedCollections
import Transport

public final class DestinationService {
    let index: ClusterIndex
    let options: DestinationOptions
    let translator: EndpointTranslator

    public init(index: ClusterIndex, options: DestinationOptions) {
        self.index = index
        self.options = options
        translator = EndpointTranslator(index: index, options: options)
    }

    /// Answers `Get`. An existing service without endpoints is answered by silence, and a deleted one by removal, as Linkerd
    /// does since 2.20.
    public func get(_ request: Mesh.Destination.GetDestination, _ stream: ResponseStream<Mesh.Destination.Update>) {
        do throws(GRPCStatus) {
            let authority = try Authority(request.path, clusterDomain: options.clusterDomain)
            let name: Cluster.Name
            var hostname: String?
            switch authority.target {
            case .address: throw GRPCStatus(.invalidArgument, "IP queries not supported by Get API: host=\(request.path)")
            case .service(let service): name = service
            case .instance(let instance, let service): (hostname, name) = (instance, service)
            }
            guard let service = index.service(name) else { throw GRPCStatus(.notFound, "Service \(name.name).\(name.namespace) not found") }
            if service.isExternalName { throw GRPCStatus(.invalidArgument, "Invalid configuration: service \(name.name).\(name.namespace) of type ExternalName is not supported") }
            if service.labels["multicluster.linkerd.io/remote-discovery"] != nil {
                guard service.labels["multicluster.linkerd.io/remote-service"] != nil else { throw GRPCStatus(.failedPrecondition, "Remote discovery service missing remote service name \(name.namespace)/\(name.name)") }
                throw GRPCStatus(.notFound, "Remote cluster not found: \(service.labels["multicluster.linkerd.io/remote-discovery"] ?? "")")
            }
            EndpointStream(service: name, port: authority.port, hostname: hostname, nodeName: ContextToken(destination: request.contextToken).nodeName, translator: translator, stream: stream).start()
        } catch { stream.finish(error) }
    }
}

/// One `Get`: what was sent last, and the differences from it. Lives as long as its subscription.
private final class EndpointStream {
    private let service: Cluster.Name
    private let port: UInt16
    private let hostname: String?
    private let nodeName: String
    private let translator: EndpointTranslator
    private let stream: ResponseStream<Mesh.Destination.Update>
    private var sent: OrderedDictionary<SocketAddress, Mesh.Destination.WeightedAddr> = [:]

    init(service: Cluster.Name, port: UInt16, hostname: String?, nodeName: String, translator: EndpointTranslator, stream: ResponseStream<Mesh.Destination.Update>) {
        self.service = service
        self.port = port
        self.hostname = hostname
        self.nodeName = nodeName
        self.translator = translator
        self.stream = stream
    }

    func start() {
        let index = translator.index
        let subscription = index.subscribe([.service(service)] + (nodeName.isEmpty ? [] : [.node(nodeName)])) { self.refresh() }
        stream.onCancel = { index.unsubscribe(subscription) }
        refresh()
    }

    private func refresh() {
        let client = ClientView(nodeName: nodeName, zone: translator.index.zone(ofNode: nodeName) ?? "")
        let found = translator.index.service(service).map { translator.endpoints(of: $0, port: port, hostname: hostname, client: client) } ?? [:]
        let added = found.filter { sent[$0.key] != $0.value }.map(\.value)
        let removed = sent.keys.filter { found[$0] == nil }
        sent = found
        if !added.isEmpty {
            var update = Mesh.Destination.Update()
            update.add.addrs = added
            update.add.metricLabels = translator.setLabels(service)
            stream.send(update)
        }
        if !removed.isEmpty {
            var update = Mesh.Destination.Update()
            update.remove.addrs = removed.map { Mesh.Net.TcpAddress($0) }
            stream.send(update)
        }
    }
}
