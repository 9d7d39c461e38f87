// The informers of one process, shared: however many readers ask for a collection, it is listed, watched and kept once. Readers
// that want the same parts share those; as soon as two differ, whole documents are kept for both.

import Base
import Platform

public final class InformerSet {
    private struct Member {
        var informer: Informer
        var key: String
        var readers: Int
    }

    public let client: KubeClient
    private var members: [Member] = []
    private var isStarted = false
    private var isStopped = false

    public init(client: KubeClient) { self.client = client }

    /// In the order in which they were first asked for.
    public var informers: [Informer] { members.map(\.informer) }
    public var hasSynced: Bool { informers.allSatisfy(\.hasSynced) }

    /// The informer of a collection, made at the first request for it. One that is asked for after `start` starts at once; it must
    /// want documents.
    public func informer(
        _ forms: [KubeResource], namespace: String? = nil, labels: LabelSelector = .everything, fields: FieldSelector = .everything, isOptional: Bool = false,
        shape: Informer.Shape = Informer.Shape()
    ) -> Informer {
        let key = "\(forms[0])|\(namespace ?? "*")|\(labels)|\(fields)"
        if let i = members.firstIndex(where: { $0.key == key }) {
            members[i].readers += 1
            if !Informer.Shape.same(members[i].informer.shape, shape), !Informer.Shape.same(members[i].informer.shape, Informer.Shape()) { members[i].informer.widen() }
            return members[i].informer
        }
        let informer = Informer(client: client, forms: forms, namespace: namespace, labels: labels, fields: fields, isOptional: isOptional, shape: shape)
        members.append(Member(informer: informer, key: key, readers: 1))
        if isStarted, !isStopped { client.host.after(.zero) { [self] in if !isStopped { informer.start() } } }
        return informer
    }

    /// One reader needs it no more; the last one ends it.
    public func release(_ informer: Informer) {
        guard let i = members.firstIndex(where: { $0.informer === informer }) else { return }
        members[i].readers -= 1
        if members[i].readers == 0 { members.remove(at: i).informer.stop() }
    }

    public func start() {
        isStarted = true
        for informer in informers { informer.start() }
    }

    public func stop() {
        isStopped = true
        for informer in informers { informer.stop() }
    }
}
