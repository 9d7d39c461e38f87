// What a name or address is to the clients of one namespace, shared by all streams that ask for the same: made once a change, encoded
// once, sent when it became another.

import Base
import GRPC
import MeshAPI
import Platform
import Transport

final class ProfileView {
    struct Key: Hashable {
        var authority: Authority
        /// The client's namespace, whose ServiceProfiles come first.
        var consumer: String
    }

    let key: Key
    private unowned let service: DestinationService
    private var streams: [ProfileStream] = []
    private var message: SharedMessage<Mesh.Destination.DestinationProfile>
    private var subscription: ClusterIndex.Subscription?
    private let metrics: DestinationMetrics.Shared

    /// Refused when there is nothing to follow.
    fileprivate init(_ key: Key, of service: DestinationService) throws(GRPCStatus) {
        self.key = key
        self.service = service
        message = SharedMessage(try service.profile(key.authority, consumer: key.consumer))
        if case .service(let name) = key.authority.target { metrics = service.metrics.service(name) } else { metrics = service.metrics.workload() }
        subscription = service.index.subscribe(service.topics(key.authority)) { [unowned self] in refresh() }
    }

    func add(_ stream: ProfileStream) {
        streams.append(stream)
        metrics.subscribers.increment()
        stream.onEnd { [self] in remove(stream) }
        send(to: stream)
    }

    private func remove(_ stream: ProfileStream) {
        guard let i = streams.firstIndex(where: { $0 === stream }) else { return }
        streams.remove(at: i)
        metrics.subscribers.increment(by: -1)
        guard streams.isEmpty else { return }
        if let subscription { service.index.unsubscribe(subscription) }
        subscription = nil
        service.profiles.forget(self)
    }

    /// A target that is gone, or in conflict for now, keeps its last profile.
    private func refresh() { if let profile = try? service.profile(key.authority, consumer: key.consumer) { tell(profile) } }

    /// For who comes new: a target that is gone or in conflict is refused, whatever others were told.
    fileprivate func renew() throws(GRPCStatus) { tell(try service.profile(key.authority, consumer: key.consumer)) }

    private func tell(_ profile: Mesh.Destination.DestinationProfile) {
        guard profile != message.content else { return }
        message = SharedMessage(profile)
        metrics.updates.increment()
        // Whoever is told may leave.
        for stream in streams { send(to: stream) }
    }

    private func send(to stream: ProfileStream) {
        guard stream.send(message) else { return }
        if message.content.hasEndpoint {
            service.metrics.endpointProfileOverflow()
        } else {
            service.metrics.profileOverflow(message.content.fullyQualifiedName, key.authority.port)
        }
    }
}

/// One `GetProfile`.
final class ProfileStream {
    private let stream: ResponseStream<SharedMessage<Mesh.Destination.DestinationProfile>>

    init(_ stream: ResponseStream<SharedMessage<Mesh.Destination.DestinationProfile>>) { self.stream = stream }

    func onEnd(_ action: @escaping () -> Void) { stream.onCancel = action }

    /// True: it was too much for a client that does not read.
    func send(_ message: SharedMessage<Mesh.Destination.DestinationProfile>) -> Bool {
        guard stream.isOpen else { return false }
        stream.send(message)
        return stream.overflowed
    }
}

/// Every profile that somebody follows.
final class ProfileViews {
    /// Look-up only.
    private var views: [ProfileView.Key: ProfileView] = [:]

    var count: Int { views.count }

    func view(_ key: ProfileView.Key, of service: DestinationService) throws(GRPCStatus) -> ProfileView {
        if let view = views[key] {
            try view.renew()
            return view
        }
        let view = try ProfileView(key, of: service)
        views[key] = view
        return view
    }

    fileprivate func forget(_ view: ProfileView) { views[view.key] = nil }
}
