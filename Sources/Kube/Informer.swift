// A copy of a collection that follows the API server: list, watch, resume, list again when the server has forgotten. Consumers
// hear differences, find objects by key, namespace or an index of their own, and never see a state that is older than one they
// saw. Sharing is by holding the same informer; a second one of the same kind is a second watch.

import Base
import Platform

public final class Informer {
    public enum Change: Sendable {
        case added(KubeObject)
        case updated(old: KubeObject, new: KubeObject)
        /// With its last known state.
        case deleted(KubeObject)
    }

    public let resource: KubeResource
    /// nil: all namespaces.
    public let namespace: String?
    private let client: KubeClient
    private let labels: LabelSelector
    private let fields: FieldSelector
    private let isOptional: Bool
    private let trim: ((inout KubeObject) -> Void)?
    private var watcher: Watcher
    private var call: KubeCall?
    private var timer: TimerID?
    private var isStarted = false
    private var isDriving = false
    private var handlers: [(Change) -> Void] = []
    private var syncListeners: [() -> Void] = []
    private var failureListeners: [(KubeError) -> Void] = []
    /// Look-up only; whoever lists sorts.
    private var store: [KubeKey: KubeObject] = [:]
    private var indexes: [String: Index] = [:]
    /// The first list is in the store; an optional kind that the server does not know counts as an empty list.
    public private(set) var hasSynced = false
    /// What went wrong last; nil while the watch stands.
    public private(set) var lastFailure: KubeError?

    private struct Index {
        var keys: (KubeObject) -> [String]
        var entries: [String: Set<KubeKey>] = [:]
    }

    /// `isOptional`: the kind may be unknown to the server (a CRD that is not installed) or forbidden; it counts as empty and is
    /// asked for again and again.
    /// `trim` drops what nobody reads before an object is kept; managed fields always go.
    public init(
        client: KubeClient, _ resource: KubeResource, namespace: String? = nil, labels: LabelSelector = .everything, fields: FieldSelector = .everything,
        isOptional: Bool = false, trim: ((inout KubeObject) -> Void)? = nil
    ) {
        self.client = client
        self.resource = resource
        self.namespace = namespace
        self.labels = labels
        self.fields = fields
        self.isOptional = isOptional
        self.trim = trim
        watcher = Watcher(random: client.host.random("informer/\(resource)/\(namespace ?? "")"), limits: client.limits)
        addIndex("namespace") { [$0.namespace] }
    }

    // MARK: Following

    public func start() {
        guard !isStarted else { return }
        isStarted = true
        drive()
    }

    /// Ends for good; the store stays as it is.
    public func stop() {
        watcher.stop()
        if let timer { client.host.cancel(timer) }
        timer = nil
        call?.cancel()
        call = nil
        handlers = []
        syncListeners = []
        failureListeners = []
    }

    /// Every object that is known already is told at once as added; later changes as they come.
    public func onChange(_ handler: @escaping (Change) -> Void) {
        for object in objects { handler(.added(object)) }
        handlers.append(handler)
    }

    /// Called once, at once if it has happened already.
    public func onSynced(_ listener: @escaping () -> Void) {
        if hasSynced { listener() } else { syncListeners.append(listener) }
    }

    /// Each failure, also those that are tried again.
    public func onFailure(_ listener: @escaping (KubeError) -> Void) { failureListeners.append(listener) }

    // MARK: Finding

    public subscript(key: KubeKey) -> KubeObject? { store[key] }
    public subscript(namespace: String, name: String) -> KubeObject? { store[KubeKey(namespace, name)] }
    public var count: Int { store.count }

    /// All, by key.
    public var objects: [KubeObject] { store.keys.sorted().map { store[$0]! } } // order: by key

    /// Those of one namespace, by name.
    public func objects(in namespace: String) -> [KubeObject] { objects(by: "namespace", namespace) }

    /// Makes objects findable by the keys that `keys` gives.
    public func addIndex(_ name: String, _ keys: @escaping (KubeObject) -> [String]) {
        indexes[name] = Index(keys: keys)
        for object in objects { for key in keys(object) { indexes[name]!.entries[key, default: []].insert(object.key) } }
    }

    /// Those with this key in the index, by their own keys.
    public func objects(by index: String, _ key: String) -> [KubeObject] {
        (indexes[index]?.entries[key] ?? []).sorted().compactMap { store[$0] } // order: by key
    }

    // MARK: Driving the watcher

    private var now: Instant { client.host.now }

    private func drive() {
        // Consumers may call back into us; the loop below takes up what they cause.
        if isDriving { return }
        isDriving = true
        while true {
            if let event = watcher.nextEvent() {
                take(event)
            } else if let action = watcher.nextAction() {
                carryOut(action)
            } else {
                break
            }
        }
        isDriving = false
        if let timer { client.host.cancel(timer) }
        timer = watcher.deadline.map { deadline in
            client.host.after(deadline > now ? deadline - now : .zero) { [self] in
                timer = nil
                watcher.expire(now: now)
                drive()
            }
        }
    }

    private func carryOut(_ action: Watcher.Action) {
        switch action {
        case .cancel:
            call?.cancel()
            call = nil
        case .list(let token, let limit):
            call = client.list(resource, namespace: namespace, labels: labels, fields: fields, limit: limit, continueToken: token) { [self] result in
                call = nil
                switch result {
                case .success(let page): watcher.listed(page, now: now)
                case .failure(let error):
                    if isOptional, error.isNotFound || error.code == 403 { sync([]) }
                    watcher.listFailed(error, now: now)
                }
                drive()
            }
        case .watch(let version, let timeout):
            call = client.watch(
                resource, namespace: namespace, labels: labels, fields: fields, resourceVersion: version, timeoutSeconds: timeout,
                onEvent: { [self] event in
                    watcher.received(event, now: now)
                    drive()
                },
                onHeard: { [self] in
                    watcher.heard(now: now)
                    lastFailure = nil
                },
                onEnd: { [self] error in
                    call = nil
                    watcher.watchEnded(error, now: now)
                    drive()
                })
        }
    }

    private func take(_ event: Watcher.Event) {
        switch event {
        case .relisted(let objects): sync(objects)
        case .applied(let object): apply(object)
        case .deleted(let object): remove(object.key, last: object)
        case .failed(let error):
            lastFailure = error
            for listener in failureListeners { listener(error) }
        }
    }

    // MARK: The store

    /// The whole collection as of now.
    private func sync(_ objects: [KubeObject]) {
        lastFailure = nil
        let listed = Set(objects.map(\.key))
        for key in store.keys.sorted() where !listed.contains(key) { remove(key, last: nil) } // order: by key
        for object in objects { apply(object) }
        guard !hasSynced else { return }
        hasSynced = true
        let listeners = syncListeners
        syncListeners = []
        for listener in listeners { listener() }
    }

    private func apply(_ object: KubeObject) {
        var object = object
        object.value.put(nil, at: "metadata", "managedFields")
        trim?(&object)
        let key = object.key
        let old = store[key]
        if let old, !old.resourceVersion.isEmpty, old.resourceVersion == object.resourceVersion, old.uid == object.uid { return }
        store[key] = object
        reindex(key, from: old, to: object)
        if let old, old.uid != object.uid {
            // Deleted and made again between two looks.
            tell(.deleted(old))
            tell(.added(object))
        } else {
            tell(old.map { .updated(old: $0, new: object) } ?? .added(object))
        }
    }

    private func remove(_ key: KubeKey, last: KubeObject?) {
        guard let old = store.removeValue(forKey: key) else { return }
        reindex(key, from: old, to: nil)
        tell(.deleted(last ?? old))
    }

    private func reindex(_ key: KubeKey, from old: KubeObject?, to new: KubeObject?) {
        for name in indexes.keys.sorted() { // order: by name
            let keys = indexes[name]!.keys
            for entry in old.map(keys) ?? [] {
                indexes[name]!.entries[entry]?.remove(key)
                if indexes[name]!.entries[entry]?.isEmpty == true { indexes[name]!.entries[entry] = nil }
            }
            for entry in new.map(keys) ?? [] { indexes[name]!.entries[entry, default: []].insert(key) }
        }
    }

    private func tell(_ change: Change) { for handler in handlers { handler(change) } }
}
