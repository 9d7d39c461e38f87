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
    let metrics: DestinationMetrics
    let views: EndpointViews
    let profiles: ProfileViews
    /// Look-up only.
    private var nodes: [String: ClientNode] = [:]

    public init(index: ClusterIndex, options: DestinationOptions, metrics: DestinationMetrics) {
        self.index = index
        self.options = options
        self.metrics = metrics
        translator = EndpointTranslator(index: index, options: options)
        views = EndpointViews(translator: translator, metrics: metrics)
        profiles = ProfileViews()
    }

    /// What is computed for all who ask for the same. Unit: services' ports by kind of client, and profiles.
    public var viewCount: Int { views.count + profiles.count }

    /// Answers `Get`. An existing service without endpoints is answered by silence, and a deleted one by removal, as Linkerd
    /// does since 2.20; where older proxies are served, both by `no_endpoints`.
    public func get(_ request: Mesh.Destination.GetDestination, _ stream: ResponseStream<SharedMessage<Mesh.Destination.Update>>) {
        do throws(GRPCStatus) {
            let authority = try Authority(request.path, options: options)
            let name: Cluster.Name
            var hostname: String?
            switch authority.target {
            case .address: throw GRPCStatus(.invalidArgument, "IP queries not supported by Get API: host=\(request.path.prefix(300))")
            case .service(let service): name = service
            case .instance(let instance, let service): (hostname, name) = (instance, service)
            }
            if let service = index.service(name) {
                if service.isExternalName { throw GRPCStatus(.invalidArgument, "Invalid configuration: service \(name.name).\(name.namespace) of type ExternalName is not supported") }
                try refuseRemote(service)
            } else if !options.sendsNoEndpoints {
                throw GRPCStatus(.notFound, "Service \(name.name).\(name.namespace) not found")
            }
            EndpointStream(name, port: authority.port, hostname: hostname, nodeName: ContextToken(destination: request.contextToken).nodeName, service: self, stream: stream).start()
        } catch { stream.finish(error) }
    }

    private func refuseRemote(_ service: Cluster.Service) throws(GRPCStatus) {
        guard let cluster = service.labels["multicluster.linkerd.io/remote-discovery"] else { return }
        guard service.labels["multicluster.linkerd.io/remote-service"] != nil else { throw GRPCStatus(.failedPrecondition, "Remote discovery service missing remote service name \(service.name)") }
        throw GRPCStatus(.notFound, "Remote cluster not found: \(cluster)")
    }

    /// The client's node, which tells the stream of its changes.
    func node(_ name: String, of stream: EndpointStream) -> ClientNode {
        let node = nodes[name] ?? ClientNode(name, index: index) { [unowned self] in nodes[name] = nil }
        nodes[name] = node
        node.add(stream)
        return node
    }
}
