// One `Get` as its proxy hears it: a snapshot of the view it shares with proxies of its kind, and then the differences. Where the
// client runs may change, and with it the view.

import Base
import MeshAPI
import OrderedCollections
import Transport

final class EndpointStream {
    private let service: DestinationService
    private let name: Cluster.Name
    private let port: UInt16
    private let hostname: String?
    private let nodeName: String
    private let stream: ResponseStream<SharedMessage<Mesh.Destination.Update>>
    private var view: EndpointView?
    private var node: ClientNode?

    init(
        _ name: Cluster.Name, port: UInt16, hostname: String?, nodeName: String, service: DestinationService, stream: ResponseStream<SharedMessage<Mesh.Destination.Update>>
    ) {
        self.name = name
        self.port = port
        self.hostname = hostname
        self.nodeName = nodeName
        self.service = service
        self.stream = stream
    }

    /// From here on the view holds it, until the stream ends.
    func start() {
        let view = service.views.view(name, port: port, hostname: hostname, nodeName: nodeName)
        self.view = view
        stream.onCancel = { self.end() }
        if !nodeName.isEmpty { node = service.node(nodeName, of: self) }
        view.add(self)
        if let snapshot = view.snapshot { send(snapshot) } else if service.options.sendsNoEndpoints { sendNoEndpoints(view) }
    }

    /// The client's zone became another, or whether its node matters: the same endpoints through another view.
    func rehome() {
        guard let old = view else { return }
        let new = service.views.view(name, port: port, hostname: hostname, nodeName: nodeName)
        if new === old { return }
        view = new
        new.add(self)
        let added = new.addresses.filter { old.addresses[$0.key] != $0.value }.map(\.value)
        let removed = old.addresses.keys.filter { new.addresses[$0] == nil }
        old.remove(self)
        changed(add: added.isEmpty ? nil : SharedMessage(new.added(added)), remove: removed.isEmpty ? nil : SharedMessage(EndpointView.removed(Array(removed))))
    }

    func changed(add: SharedMessage<Mesh.Destination.Update>?, remove: SharedMessage<Mesh.Destination.Update>?) {
        if let add { send(add) }
        guard let remove, let view else { return }
        // Older proxies wait for this message before they take a service for empty.
        if service.options.sendsNoEndpoints, view.addresses.isEmpty { return sendNoEndpoints(view) }
        send(remove)
    }

    private func sendNoEndpoints(_ view: EndpointView) {
        var update = Mesh.Destination.Update()
        update.noEndpoints.exists = view.exists
        send(SharedMessage(update))
    }

    private func send(_ message: SharedMessage<Mesh.Destination.Update>) {
        guard stream.isOpen else { return }
        stream.send(message)
        if stream.overflowed { service.metrics.endpointOverflow(name, port) }
    }

    private func end() {
        view?.remove(self)
        view = nil
        node?.remove(self)
        node = nil
    }
}

/// A node that clients run on; its zone decides what they see.
final class ClientNode {
    private var streams: [EndpointStream] = []
    private var subscription: ClusterIndex.Subscription?
    private let index: ClusterIndex
    private let onEmpty: () -> Void

    init(_ name: String, index: ClusterIndex, onEmpty: @escaping () -> Void) {
        self.index = index
        self.onEmpty = onEmpty
        subscription = index.subscribe([.node(name)]) { [unowned self] in for stream in streams { stream.rehome() } }
    }

    func add(_ stream: EndpointStream) { streams.append(stream) }

    func remove(_ stream: EndpointStream) {
        guard let i = streams.firstIndex(where: { $0 === stream }) else { return }
        streams.remove(at: i)
        guard streams.isEmpty else { return }
        if let subscription { index.unsubscribe(subscription) }
        subscription = nil
        onEmpty()
    }
}
