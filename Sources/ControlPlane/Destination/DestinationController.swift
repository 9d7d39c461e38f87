// The destination service as a process: informers fill the index, the gRPC port opens once they have.
// Source: linkerd2 controller/cmd/destination/main.go.

import Base
import Kube
import MeshAPI
import Platform
import TLS
import Transport

public final class DestinationController {
    public let controller: Controller
    public let feed: ClusterFeed
    public let service: DestinationService

    /// Source: linkerd2's default addresses, `:8086` and `:9996`.
    public static let defaults = ControllerOptions(address: SocketAddress(.any, 8086), adminAddress: SocketAddress(.any, 9996))

    /// Starts; the caller keeps it while it is to run. It ends itself when the host shuts down.
    public static func run(host: any Host, options: ControllerOptions = defaults, service: DestinationOptions) throws(Refusal) -> DestinationController {
        try DestinationController(host: host, options: options, service: service)
    }

    private init(host: any Host, options: ControllerOptions, service serviceOptions: DestinationOptions) throws(Refusal) {
        controller = try Controller(name: "destination", host: host, options: options)
        let index = ClusterIndex(clusterDomain: serviceOptions.clusterDomain)
        let kinds = ClusterFeed.Kind.destination + (serviceOptions.readsTrafficSplits ? [.trafficSplits] : [])
        feed = ClusterFeed(client: controller.client, index: index, kinds: kinds)
        service = DestinationService(index: index, options: serviceOptions, metrics: DestinationMetrics(controller.metrics))
        let capacity = serviceOptions.limits.streamQueueMessagesMax
        controller.server.register(Mesh.Destination.get.sharing(), capacity: capacity) { [service] request, _, stream in service.get(request, stream) }
        controller.server.register(Mesh.Destination.getProfile.sharing(), capacity: capacity) { [service] request, _, stream in service.getProfile(request, stream) }
        controller.expose(feed)
        let credentials = try controller.credentials(component: "destination", namespace: serviceOptions.controllerNamespace, trustDomain: serviceOptions.trustDomain)
        feed.onSynced { [controller] in controller.serve(credentials: credentials) }
        feed.start()
    }
}

extension Controller {
    /// The cache sizes of the informers as metrics, and their end with ours.
    func expose(_ feed: ClusterFeed) {
        admin.beforeMetrics { [metrics] in
            for informer in feed.informers {
                metrics.gauge("\(informer.resource.plural)_cache_size", help: "Number of items in the client-go \(informer.resource.plural) cache", [("cluster", "local")]).value = Double(informer.count)
            }
        }
        onStop { feed.stop() }
    }

    /// What the TLS options ask for; nil without them.
    func credentials(component: String, namespace: String, trustDomain: String) throws(Refusal) -> ControllerCredentials? {
        guard let tls = options.tls else { return nil }
        let name = tls.localName.isEmpty ? "linkerd-\(component).\(namespace).serviceaccount.identity.\(namespace).\(trustDomain)" : tls.localName
        let anchors = try anchors(tls.anchorsPath)
        return .certified(tls, name: name, anchors: anchors, batch: batch, resolver: resolver)
    }

    /// Followed until the end.
    func anchors(_ path: String) throws(Refusal) -> TrustAnchorsFile {
        let anchors = try TrustAnchorsFile(host: host, path: path, interval: options.limits.certificatePollInterval)
        anchors.expose(metrics, admin)
        onStop { anchors.stop() }
        return anchors
    }
}
