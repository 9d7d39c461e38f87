// A copy of a collection that follows the API server: list, watch, resume, list again when the server has forgotten. Consumers
// hear differences, find objects by key, namespace or an index of their own, and never see a state that is older than one they
// saw. Sharing is by holding the same informer, see `InformerSet`.

import Base
import Documents
import OrderedCollections
import Platform

public final class Informer {
    public enum Change: Sendable {
        case added(KubeObject)
        case updated(old: KubeObject, new: KubeObject)
        /// With its last known state.
        case deleted(KubeObject)
    }

    /// What is kept of each object.
    public enum Retention: Sendable, Equatable {
        case documents
        /// Only which version of which object was told, so that deletions are noticed: the consumer keeps what it needs. `old` of an
        /// update and the object of a deletion after a list then carry names and versions only, and there are no indexes.
        case versions
    }

    /// How an informer holds and asks; informers of one collection are shared when these are equal.
    public struct Shape: Sendable {
        public var retention = Retention.documents
        /// Asks for type and metadata alone.
        public var metadataOnly = false
        /// Drops what nobody reads before an object is kept; managed fields always go.
        public var trim: (@Sendable (inout KubeObject) -> Void)?
        /// Names the trim, since functions cannot be compared.
        public var trimName = ""

        public init(retention: Retention = .documents, metadataOnly: Bool = false) {
            self.retention = retention
            self.metadataOnly = metadataOnly
        }

        public init(retention: Retention = .documents, trimName: String, trim: @escaping @Sendable (inout KubeObject) -> Void) {
            self.retention = retention
            self.trimName = trimName
            self.trim = trim
        }

        static func same(_ a: Shape, _ b: Shape) -> Bool { a.retention == b.retention && a.metadataOnly == b.metadataOnly && a.trimName == b.trimName }
    }

    /// The form of the kind that is followed: the first of those given that the server serves.
    public private(set) var resource: KubeResource
    /// nil: all namespaces.
    public let namespace: String?
    private let client: KubeClient
    private let forms: [KubeResource]
    private let labels: LabelSelector
    private let fields: FieldSelector
    private let isOptional: Bool
    public private(set) var shape: Shape
    private var watcher: Watcher
    private var call: KubeCall?
    /// Of the request under way; answers to older ones are ignored.
    private var asked = 0
    private var isNegotiated: Bool
    private var timer: TimerID?
    private var isStarted = false
    private var isDriving = false
    private var handlers: [(Change) -> Void] = []
    private var syncListeners: [() -> Void] = []
    private var failureListeners: [(KubeError) -> Void] = []
    private var store: [KubeKey: Entry] = [:]
    private var indexes: [String: Index] = [:]
    /// The first list is in the store; an optional kind that the server does not know counts as an empty list.
    public private(set) var hasSynced = false
    /// What went wrong last; nil while the watch stands.
    public private(set) var lastFailure: KubeError?
    /// Events that could not be decoded and were passed over.
    public private(set) var skippedCount = 0
    /// Of what is kept, by count of nodes and characters. Unit: bytes.
    public private(set) var estimatedBytes = 0

    private struct Entry {
        /// nil: only versions are kept.
        var object: KubeObject?
        var uid: String
        var version: String
        var bytes: Int32
    }

    private struct Index {
        var keys: (KubeObject) -> [String]
        var entries: [String: Set<KubeKey>] = [:]
    }

    /// `forms`: the same kind in the versions that the reader understands, most wanted first; with more than one the server is asked
    /// which it serves. `isOptional`: the kind may be unknown to the server (a CRD that is not installed) or forbidden; it counts as
    /// empty and is asked for again and again.
    public init(
        client: KubeClient, forms: [KubeResource], namespace: String? = nil, labels: LabelSelector = .everything, fields: FieldSelector = .everything,
        isOptional: Bool = false, shape: Shape = Shape()
    ) {
        invariant(!forms.isEmpty, "an informer follows some kind")
        self.client = client
        self.forms = forms
        resource = forms[0]
        isNegotiated = forms.count == 1
        self.namespace = namespace
        self.labels = labels
        self.fields = fields
        self.isOptional = isOptional
        self.shape = shape
        watcher = Watcher(random: client.host.random("informer/\(forms[0])/\(namespace ?? "")"), limits: client.limits)
        if shape.retention == .documents { addIndex("namespace") { [$0.namespace] } }
    }

    public convenience init(
        client: KubeClient, _ resource: KubeResource, namespace: String? = nil, labels: LabelSelector = .everything, fields: FieldSelector = .everything,
        isOptional: Bool = false, shape: Shape = Shape()
    ) {
        self.init(client: client, forms: [resource], namespace: namespace, labels: labels, fields: fields, isOptional: isOptional, shape: shape)
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
        asked += 1
        call?.cancel()
        call = nil
        handlers = []
        syncListeners = []
        failureListeners = []
    }

    /// Every object that is known already is told at once as added; later changes as they come. With `versions` kept, ask before
    /// the start.
    public func onChange(_ handler: @escaping (Change) -> Void) {
        invariant(shape.retention == .documents || store.isEmpty, "who keeps only versions cannot tell what was")
        for object in objects { handler(.added(object)) }
        handlers.append(handler)
    }

    /// Called once, at once if it has happened already.
    public func onSynced(_ listener: @escaping () -> Void) {
        if hasSynced { listener() } else { syncListeners.append(listener) }
    }

    /// Each failure, also those that are tried again.
    public func onFailure(_ listener: @escaping (KubeError) -> Void) { failureListeners.append(listener) }

    /// From now on whole documents are kept, because another reader needs them: everything is listed again.
    func widen() {
        shape = Shape()
        if indexes["namespace"] == nil { addIndex("namespace") { [$0.namespace] } }
        for key in store.keys.sorted() { store[key]!.version = "" } // order: by key
        guard isStarted else { return }
        watcher.relist()
        drive()
    }

    // MARK: Finding

    public subscript(key: KubeKey) -> KubeObject? { store[key]?.object }
    public subscript(namespace: String, name: String) -> KubeObject? { store[KubeKey(namespace, name)]?.object }
    public var count: Int { store.count }
    public var keys: [KubeKey] { store.keys.sorted() } // order: by key

    /// All, by key.
    public var objects: [KubeObject] { store.keys.sorted().compactMap { store[$0]!.object } } // order: by key

    /// Those of one namespace, by name.
    public func objects(in namespace: String) -> [KubeObject] { objects(by: "namespace", namespace) }

    /// Makes objects findable by the keys that `keys` gives.
    public func addIndex(_ name: String, _ keys: @escaping (KubeObject) -> [String]) {
        invariant(shape.retention == .documents, "only documents can be indexed")
        indexes[name] = Index(keys: keys)
        for object in objects { for key in keys(object) { indexes[name]!.entries[key, default: []].insert(object.key) } }
    }

    /// Those with this key in the index, by their own keys.
    public func objects(by index: String, _ key: String) -> [KubeObject] {
        (indexes[index]?.entries[key] ?? []).sorted().compactMap { store[$0]?.object } // order: by key
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
        asked += 1
        switch action {
        case .cancel:
            call?.cancel()
            call = nil
        case .list(let token, let limit):
            if isNegotiated { return list(token, limit) }
            let mine = asked
            client.negotiate(forms) { [self] result in
                guard mine == asked else { return }
                switch result {
                case .success(let found?):
                    resource = found
                    isNegotiated = true
                    list(token, limit)
                case .success(nil): listFailed(.status(KubeStatus(code: 404, reason: .notFound, message: "the server serves no \(resource) in a version that we know"), retryAfter: nil))
                case .failure(let error) where error.isRetryable || error.code == 401: listFailed(error)
                // Who may not discover, or understands no answer, tries the form that is wanted most.
                case .failure:
                    resource = forms[0]
                    list(token, limit)
                }
            }
        case .watch(let version, let timeout):
            let mine = asked
            call = client.watch(
                resource, namespace: namespace, labels: labels, fields: fields, resourceVersion: version, timeoutSeconds: timeout, metadataOnly: shape.metadataOnly,
                onEvent: { [self] event in
                    guard mine == asked else { return }
                    watcher.received(event, now: now)
                    drive()
                },
                onHeard: { [self] in
                    guard mine == asked else { return }
                    watcher.heard(now: now)
                    lastFailure = nil
                },
                onEnd: { [self] error in
                    guard mine == asked else { return }
                    call = nil
                    watcher.watchEnded(error, now: now)
                    drive()
                })
        }
    }

    private func list(_ token: String?, _ limit: Int?) {
        let mine = asked
        call = client.list(
            resource, namespace: namespace, labels: labels, fields: fields, limit: limit, continueToken: token, metadataOnly: shape.metadataOnly
        ) { [self] result in
            guard mine == asked else { return }
            call = nil
            switch result {
            case .success(let page):
                watcher.listed(page, now: now)
                drive()
            case .failure(let error): listFailed(error)
            }
        }
    }

    private func listFailed(_ error: KubeError) {
        // The kind may have come back in another form.
        if error.isNotFound, forms.count > 1 {
            isNegotiated = false
            client.forgetDiscovery()
        }
        if isOptional, error.isNotFound || error.code == 403 { sync([]) }
        watcher.listFailed(error, now: now)
        drive()
    }

    private func take(_ event: Watcher.Event) {
        switch event {
        case .relisted(let objects): sync(objects)
        case .applied(let object): apply(object)
        case .deleted(let object): remove(object.key, last: object)
        case .skipped(let reason):
            skippedCount += 1
            client.host.log(.warn, "kube::watch", "\(resource): skipped: \(reason)")
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
        let key = object.key
        let known = store[key]
        let version = object.resourceVersion
        let uid = object.uid
        if let known, !known.version.isEmpty, known.version == version, known.uid == uid { return }
        var object = object
        object.value.put(nil, at: "metadata", "managedFields")
        shape.trim?(&object)
        let keeps = shape.retention == .documents
        let bytes = keeps ? object.value.estimatedBytes : key.namespace.utf8.count + key.name.utf8.count + uid.utf8.count + version.utf8.count + 96
        estimatedBytes += bytes - Int(known?.bytes ?? 0)
        store[key] = Entry(object: keeps ? object : nil, uid: uid, version: version, bytes: Int32(clamping: bytes))
        if keeps { reindex(key, from: known?.object, to: object) }
        guard let known else { return tell(.added(object)) }
        let old = known.object ?? named(key, known)
        if known.uid != uid {
            // Deleted and made again between two looks.
            tell(.deleted(old))
            tell(.added(object))
        } else {
            tell(.updated(old: old, new: object))
        }
    }

    private func remove(_ key: KubeKey, last: KubeObject?) {
        guard let old = store.removeValue(forKey: key) else { return }
        estimatedBytes -= Int(old.bytes)
        if let object = old.object { reindex(key, from: object, to: nil) }
        tell(.deleted(last ?? old.object ?? named(key, old)))
    }

    /// What is known of an object of which only the version is kept.
    private func named(_ key: KubeKey, _ entry: Entry) -> KubeObject {
        var object = KubeObject(resource, namespace: key.namespace.isEmpty ? nil : key.namespace, name: key.name)
        object.value.put(.string(entry.uid), at: "metadata", "uid")
        object.resourceVersion = entry.version
        return object
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

extension Value {
    /// What the tree takes in memory, roughly. Unit: bytes. Source: measured on 64-bit Linux: a value is 17 bytes in a stride of 24, a
    /// string longer than 15 characters has 32 bytes beside its text, an object's member costs a key, a value and a slot of its table.
    public var estimatedBytes: Int {
        switch self {
        case .null, .bool, .int, .double: return 24
        case .string(let text): return 24 + Self.heap(text)
        case .array(let elements): return elements.reduce(56) { $0 + $1.estimatedBytes }
        case .object(let members):
            var sum = 120
            for (key, value) in members { sum += 24 + Self.heap(key) + value.estimatedBytes }
            return sum
        }
    }

    private static func heap(_ text: String) -> Int { text.utf8.count <= 15 ? 0 : 32 + text.utf8.count }
}
