// A Kubernetes API server as one component: store, rules, HTTP, and the controllers that a cluster takes for granted. It runs
// on any host: in the simulator it is the mesh's cluster, on real sockets `kubectl` is its judge. What runs pods is absent:
// whoever does so binds itself as a node and writes `pods/status`.

import Base
import Documents
import HTTP
import Kube
import OrderedCollections
import Platform
import TLS
import Transport

public final class KubeAPIServer: HTTPRequestHandler {
    public let host: any Host
    public let adminToken: String
    private let batch: FlushBatch
    private let options: APIServerOptions
    private let registry: Registry
    private let writer: Writer
    private let router: Router
    private let authenticator: Authenticator
    private let tokens: ServiceAccountTokens
    private var controllers: [Reconciler] = []
    private var server: HTTPServer?
    private var watches: [ServedWatch] = []
    private let lines: WatchLines
    /// Look-up only: collections changed in this turn.
    private var changed: Set<Int> = []
    private var pumpTimer: TimerID?
    private var random: Random
    private var persistence: Persistence?
    /// Told when the cluster's records cannot be written any more: nothing is served from then on.
    public var onStorageFailure: (HostFailure) -> Void = { _ in }

    /// The cluster stands and its controllers run as soon as the host's loop does; nobody reaches it by network before `start`.
    /// Goes on with the cluster that `records` hold; nil: a new one that lives in memory. Refused when no key can be made, or the records
    /// are damaged.
    public init(batch: FlushBatch, options: APIServerOptions = APIServerOptions(), records: (any RecordStore)? = nil) throws(Refusal) {
        self.batch = batch
        host = batch.host
        self.options = options
        random = host.random("apiserver")
        lines = WatchLines(countMax: options.limits.watchLinesMax)
        let host = host
        let registry = Registry(limits: options.limits, serviceNetwork: options.serviceNetwork, random: host.random("apiserver/names"), wall: { host.wall })
        self.registry = registry
        registry.recordsEvents = options.recordsEvents
        let secrets: ClusterSecrets?
        if let records, options.adminToken == nil || options.signingKey == nil { secrets = try ClusterSecrets.load(records, host: host) } else { secrets = nil }
        adminToken = options.adminToken ?? secrets?.adminToken ?? Self.makeToken(&random)
        let key: PrivateKey
        if let given = options.signingKey ?? secrets?.signingKey { key = given } else { key = try PrivateKey.generate() }
        let tokens = ServiceAccountTokens(key: key, issuer: options.issuer, audiences: options.audiences)
        self.tokens = tokens
        if options.enforcesAccess { registry.checkEscalation = { [unowned registry] (pending) throws(KubeStatus) in try Escalation(registry: registry).check(pending) } }
        let known = [(token: adminToken, caller: Caller.admin)] + options.tokens.map { (token: $0.token, caller: Caller(name: $0.user, groups: $0.groups + ["system:authenticated"])) }
        authenticator = Authenticator(registry: registry, tokens: tokens, staticTokens: known, allowsAnonymous: options.allowsAnonymous)
        let admission = Admission(registry: registry, log: { host.log(.warn, "apiserver", $0) }) { hook, review, done in
            WebhookCall.send(review, to: hook, registry: registry, batch: batch, limits: options.limits, done)
        }
        writer = Writer(registry: registry, admission: admission)
        router = Router(registry: registry, writer: writer, authenticator: authenticator, isEnforced: options.enforcesAccess, version: options.version, log: host.log)
        registry.store.observe { [self] collection, change in observed(collection, change) }
        router.watch = { [self] exchange, cursor, initial, kind, version, form, includes, options in
            begin(exchange, cursor, initial, kind, version, form, includes, options)
        }
        makeControllers()
        host.onShutdown { [self] in close() }
        if let records { try restore(records) }
        do throws(KubeStatus) {
            try bootstrap()
        } catch {
            throw Refusal("the cluster cannot be set up: \(error)")
        }
    }

    public convenience init(host: any Host, options: APIServerOptions = APIServerOptions(), records: (any RecordStore)? = nil) throws(Refusal) {
        try self.init(batch: FlushBatch(host: host), options: options, records: records)
    }

    private func restore(_ records: any RecordStore) throws(Refusal) {
        let persistence = Persistence(records: records, host: host)
        let state = try persistence.load()
        registry.store.restore(version: state.version, state.objects)
        for (collection, _, object) in state.objects where collection == KubeResource.services.description { registry.serviceAddresses.restore(object) }
        // From here on writes are kept; what was read back is.
        registry.store.observe { [registry] collection, change in persistence.wrote(registry.store.name(of: collection), change) }
        persistence.onFailure = { [self] failure in
            host.log(.error, "apiserver", "the cluster's records cannot be written, nothing is served any more: \(failure)")
            // Not inside the sending that asked.
            host.after(.zero) { [self] in
                close()
                onStorageFailure(failure)
            }
        }
        batch.beforeOutput = { persistence.commit() }
        self.persistence = persistence
    }

    static func makeToken(_ random: inout Random) -> String {
        let alphabet = Array("abcdefghijklmnopqrstuvwxyz0123456789".utf8)
        return String(decoding: (0..<32).map { _ in alphabet[random.below(alphabet.count)] }, as: UTF8.self)
    }

    // MARK: On the network

    /// Listens. Without `tls` the server speaks cleartext, which real clients accept, too.
    public func start(address: SocketAddress, tls: TLSServerConfiguration? = nil) throws(HostFailure) {
        let server = try HTTPServer(batch: batch, address: address, tls: tls, handler: self)
        self.server = server
        isSecure = tls != nil
        router.address = "\(server.address)"
    }

    private var isSecure = false

    /// Credentials under the names by which API servers are reached, and these addresses. Real clients send tokens over TLS only.
    public static func makeCredentials(_ authority: CertificateAuthority, addresses: [IPAddress], at now: WallTime, options: APIServerOptions = APIServerOptions()) throws(Refusal) -> TLSCredentials {
        let first = ServiceAddresses(network: options.serviceNetwork).address(1).map { [$0] } ?? []
        return try authority.issueServerCredentials(
            names: ["kubernetes.default.svc.cluster.local", "kubernetes.default.svc", "kubernetes.default", "kubernetes", "localhost"], addresses: addresses + first,
            validity: (now - .hours(1))...(now + .days(365)))
    }

    /// Where it listens; nil before `start` and after `stop`.
    public var address: SocketAddress? { server?.address }

    /// Ends every exchange and watch; the state stays, and `start` may be called again.
    public func stop() {
        for watch in watches { watch.end() }
        server?.close()
        server = nil
    }

    /// Ends the cluster for good: nothing of it runs or waits any more. Done by itself when the host's process is asked to stop.
    public func close() {
        stop()
        for controller in controllers { controller.stop() }
        controllers = []
        if let pumpTimer { host.cancel(pumpTimer) }
        pumpTimer = nil
        persistence?.end()
        registry.store.removeObservers()
        router.watch = { _, _, _, _, _, _, _, _ in }
    }

    /// A kubeconfig for a token, the administrator's when nil. `address` replaces the one it listens on (behind a mapping).
    public func kubeconfig(token: String? = nil, address: SocketAddress? = nil, anchorsPEM: String? = nil) -> String {
        let authority = (address ?? self.address).map { "\($0)" } ?? ""
        let cluster = Value.members([
            "server": .string("\(isSecure ? "https" : "http")://\(authority)"), "certificate-authority-data": anchorsPEM.map { .string(base64Encoded(Array($0.utf8))) },
        ])
        let document = Value.members([
            "apiVersion": .string("v1"), "kind": .string("Config"), "current-context": .string("weft"),
            "clusters": .array([.members(["name": .string("weft"), "cluster": cluster])]),
            "users": .array([.members(["name": .string("weft"), "user": .members(["token": .string(token ?? adminToken)])])]),
            "contexts": .array([.members(["name": .string("weft"), "context": .members(["cluster": .string("weft"), "user": .string("weft")])])]),
        ])
        return YAML.print([document])
    }

    public func request(_ stream: HTTPStream, _ head: RequestHead, endStream: Bool, peer: HTTPPeer) {
        let exchange = Exchange(stream, head, peer: peer, bytesMax: options.limits.requestBodyBytesMax) { [router] in router.serve($0) }
        stream.handler = exchange
        if endStream { exchange.complete() }
    }

    private func begin(
        _ exchange: Exchange, _ cursor: WatchCursor, _ initial: [Value], _ kind: ServedKind, _ version: ServedVersion, _ form: Representation.Form, _ includes: TableForm.Objects,
        _ options: WatchOptions
    ) {
        let limits = self.options.limits
        let longest = limits.watchTimeoutMin
        let lifetime = options.timeout ?? longest + .nanoseconds(random.within(0...longest.nanoseconds))
        let watch = ServedWatch(
            exchange, cursor, kind, version, form: form, includes: includes, options: options, store: registry.store, lines: lines, host: host, limits: limits, lifetime: lifetime
        ) { [self] over in
            watches.removeAll { $0 === over }
        }
        watches.append(watch)
        watch.begin(initial: initial, marksEnd: options.marksInitialEnd)
    }

    // MARK: In this process

    /// Loads documents in order: creates what is not there, updates what is. Webhooks are not asked: this is how a cluster is
    /// set up before anybody runs in it. Lists are loaded item by item; definitions are served from the next document on.
    @discardableResult
    public func apply(_ documents: [Value]) throws(KubeStatus) -> [KubeObject] {
        var applied: [KubeObject] = []
        for document in documents {
            if document == .null { continue }
            if document.text("kind") == "List" {
                applied += try apply(document.items("items"))
                continue
            }
            applied.append(try apply(document))
        }
        return applied
    }

    private func apply(_ document: Value) throws(KubeStatus) -> KubeObject {
        let apiVersion = document.text("apiVersion") ?? ""
        let kindName = document.text("kind") ?? ""
        guard let (kind, version) = registry.catalog.kind(apiVersion: apiVersion, kind: kindName) else {
            throw .badRequest("no matches for kind \"\(kindName)\" in version \"\(apiVersion)\"")
        }
        let namespace = kind.isNamespaced ? document.text("metadata", "namespace") ?? "default" : ""
        let key = kind.key(namespace: namespace, name: document.text("metadata", "name") ?? "")
        let object: Value
        if let current = registry.store.object(kind.collection, key) {
            let pending = try registry.prepareUpdate(kind, version, key, subresource: "", isReplacement: false, .admin, WriteOptions()) { _ in
                var document = document
                document.put(current.member("metadata", "resourceVersion"), at: "metadata", "resourceVersion")
                return document
            }
            try registry.validate(pending)
            object = try registry.commitUpdate(pending)
        } else {
            let pending = try registry.prepareCreate(kind, version, namespace: namespace, document, .admin, WriteOptions())
            try registry.validate(pending)
            object = try registry.commitCreate(pending)
        }
        return KubeObject(registry.shown(object, kind, version))
    }

    /// Creates an object as a client would, webhooks included; `done` comes now or in a later turn.
    public func create(_ document: Value, _ done: @escaping (Result<KubeObject, KubeStatus>) -> Void) {
        guard let (kind, version) = registry.catalog.kind(apiVersion: document.text("apiVersion") ?? "", kind: document.text("kind") ?? "") else {
            return done(.failure(.badRequest("no matches for kind \"\(document.text("kind") ?? "")\" in version \"\(document.text("apiVersion") ?? "")\"")))
        }
        writer.submit(attempts: 1) { [registry] () throws(KubeStatus) in
            try registry.prepareCreate(kind, version, namespace: document.text("metadata", "namespace") ?? "default", document, .admin, WriteOptions())
        } _: { result in
            done(result.map { KubeObject($0.object) })
        }
    }

    /// The object as it is now. For a scenario's eyes and for whoever runs pods beside the server.
    public func object(_ resource: KubeResource, namespace: String = "", name: String) -> KubeObject? { registry.find(resource, namespace: namespace, name: name) }

    /// Every object of a kind, by namespace and name.
    public func objects(_ resource: KubeResource, namespace: String? = nil) -> [KubeObject] {
        registry.catalog.kind(group: resource.group, plural: resource.plural) == nil ? [] : registry.all(resource, namespace: namespace)
    }

    /// Changes an object or (`subresource: "status"`) a part of it on its newest version. Webhooks are not asked.
    @discardableResult
    public func update(_ resource: KubeResource, namespace: String = "", name: String, subresource: String = "", _ change: (inout KubeObject) -> Void) throws(KubeStatus) -> KubeObject? {
        try registry.update(resource, namespace: namespace, name: name, subresource: subresource, change)
    }

    /// Deletes or begins to. `gracePeriodSeconds` 0 ends a pod at once, as its node does when it has stopped.
    public func delete(_ resource: KubeResource, namespace: String = "", name: String, gracePeriodSeconds: Int64? = nil) throws(KubeStatus) {
        var options = DeleteOptions()
        options.gracePeriodSeconds = gracePeriodSeconds
        let kind = registry.kind(resource)
        try registry.delete(kind, kind.key(namespace: namespace, name: name), options)
    }

    /// A token of a service account, as TokenRequest makes them; nil audiences: the server's own.
    public func token(namespace: String, serviceAccount: String, audiences: [String]? = nil, lifetime: Interval = .hours(1), pod: String? = nil) throws(Refusal) -> String {
        guard let account = registry.find(.serviceAccounts, namespace: namespace, name: serviceAccount) else { throw Refusal("there is no service account \(namespace)/\(serviceAccount)") }
        var subject = ServiceAccountTokens.Subject(namespace: namespace, name: serviceAccount, uid: account.uid)
        if let pod {
            guard let object = registry.find(.pods, namespace: namespace, name: pod) else { throw Refusal("there is no pod \(namespace)/\(pod)") }
            subject.pod = (pod, object.uid)
        }
        return try authenticator.tokens.make(subject, audiences: audiences ?? options.audiences, now: host.wall, lifetime: lifetime, id: registry.makeUID()).text
    }

    /// Forgets the history of changes: watches that are behind and pages begun before are answered with 410, as after etcd's compaction.
    public func compactHistory() {
        for watch in watches { watch.pump() }
        registry.store.compact()
    }

    /// How many objects of all kinds there are.
    public var objectsCount: Int { (0..<registry.store.collectionCount).reduce(0) { $0 + registry.store.count($1) } }

    /// Gets an event of audit.k8s.io/v1, level Metadata, for each request that is answered, and two for one whose answer goes on.
    public var onAudit: ((Value) -> Void)? {
        get { router.onAudit }
        set { router.onAudit = newValue }
    }

    /// Answers `pods/log` with text for the container of a pod; nil: no node agent serves logs here, and callers are told so (501).
    public var podLogs: PodLogSource? {
        get { router.podLogs }
        set { router.podLogs = newValue }
    }

    /// The version of Kubernetes whose API this is.
    public var version: String { options.version }

    /// The version of the last write.
    public var resourceVersion: UInt64 { registry.store.version }

    // MARK: Changes

    private func observed(_ collection: Int, _ change: StoredChange) {
        if registry.store.name(of: collection) == KubeResource.customResourceDefinitions.description { definitionChanged(change) }
        for controller in controllers { controller.observe(registry.store.name(of: collection), change) }
        if changed.isEmpty {
            pumpTimer = host.after(.zero) { [self] in
                pumpTimer = nil
                let collections = changed
                changed = []
                // Watches may end while they are pumped.
                for watch in Array(watches) where collections.contains(watch.collection) { watch.pump() }
            }
        }
        changed.insert(collection)
    }

    private func definitionChanged(_ change: StoredChange) {
        guard change.kind != .deleted else { return registry.unregister(definition: change.object) }
        registry.register(definition: change.object)
    }

    private func makeControllers() {
        let set = options.controllers
        func add(_ controller: Reconciler) { controllers.append(controller) }
        add(DefinitionController(registry: registry, writer: writer, host: host))
        if set.contains(.namespaces) {
            add(NamespaceController(registry: registry, writer: writer, host: host, rootCertificatePEM: options.rootCertificatePEM))
            add(TokenSecretController(registry: registry, writer: writer, host: host, tokens: tokens, rootCertificatePEM: options.rootCertificatePEM))
            add(AggregationController(registry: registry, writer: writer, host: host))
        }
        if set.contains(.garbage) {
            add(GarbageCollector(registry: registry, writer: writer, host: host))
            add(PodGarbageCollector(registry: registry, writer: writer, host: host))
            if options.recordsEvents { add(EventExpiry(registry: registry, writer: writer, host: host)) }
        }
        if set.contains(.scheduler) { add(Scheduler(registry: registry, writer: writer, host: host)) }
        if set.contains(.workloads) {
            add(DeploymentController(registry: registry, writer: writer, host: host))
            add(ReplicaSetController(registry: registry, writer: writer, host: host))
            add(StatefulSetController(registry: registry, writer: writer, host: host))
            add(DaemonSetController(registry: registry, writer: writer, host: host))
        }
        if set.contains(.jobs) {
            add(JobController(registry: registry, writer: writer, host: host))
            add(CronJobController(registry: registry, writer: writer, host: host))
        }
        if set.contains(.disruption) { add(DisruptionController(registry: registry, writer: writer, host: host)) }
        if options.standInNodes > 0 { add(StandInNodes(registry: registry, writer: writer, host: host, count: options.standInNodes)) }
        if set.contains(.endpoints) { add(EndpointController(registry: registry, writer: writer, host: host)) }
    }

    private func bootstrap() throws(KubeStatus) {
        for name in ["default", "kube-system", "kube-public", "kube-node-lease"] where registry.find(.namespaces, name: name) == nil {
            try registry.create(.namespaces, KubeObject(.namespaces, name: name).value)
        }
        // The server's own service takes the first address of the block.
        var service = KubeObject(.services, namespace: "default", name: "kubernetes", labels: ["component": "apiserver", "provider": "kubernetes"])
        service.value.put(
            .array([.members(["name": .string("https"), "port": .int(443), "protocol": .string("TCP"), "targetPort": .int(6443)])]), at: "spec", "ports")
        if registry.find(.services, namespace: "default", name: "kubernetes") == nil { try registry.create(.services, namespace: "default", service.value) }
        for object in BootstrapRoles.objects {
            let resource: KubeResource = object.kind == "ClusterRole" ? .clusterRoles : .clusterRoleBindings
            if registry.find(resource, name: object.name) == nil { try registry.create(resource, object.value) }
        }
    }
}
