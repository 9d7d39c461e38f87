// Keeps the statuses of routes, EgressNetworks and rate limits true, while this replica leads: soon after something changed, and from
// time to time in case somebody else wrote. Patches carry the version they were made from, so that nobody's word is lost.
// Source: linkerd2 policy-controller/k8s/status/src/index.rs.

import Base
import Documents
import Kube
import OrderedCollections
import Platform

final class PolicyStatuses {
    private let client: KubeClient
    private let index: ClusterIndex
    private let options: PolicyOptions
    private let informers: [Informer]
    private let metrics: StatusMetrics
    private var subscription: ClusterIndex.Subscription?
    private var timer: TimerID?
    private var isSoon = false
    /// What is to be written, oldest first; one entry an object.
    private var queue: OrderedDictionary<Entry, (status: Value, version: String)> = [:]
    private var patchesOpen = 0
    private var isStopped = false

    /// Which replica writes. Source: linkerd2 policy-controller runtime/src/lib.rs, whose claimant is the pod's host name.
    private lazy var elector = LeaderElector(
        client: client, options: LeaderElectionOptions(namespace: options.controlPlaneNamespace, name: "policy-controller-write", identity: claimant),
        onStarted: { [unowned self] in reconcileSoon() }, onStopped: { [unowned self] in queue = [:] })

    private var claimant: String {
        if let name = host.settings["HOSTNAME"], !name.isEmpty { return name }
        var random = host.random("policy/replica")
        return "policy-\(random.next().hex)"
    }

    private struct Entry: Hashable {
        var resource: KubeResource
        var key: KubeKey
    }

    private var host: any Host { client.host }

    init(client: KubeClient, feed: ClusterFeed, options: PolicyOptions, metrics: MetricsRegistry) {
        self.client = client
        index = feed.index
        self.options = options
        informers = feed.informers
        self.metrics = StatusMetrics(metrics)
    }

    /// Once the index is filled.
    func start() {
        guard !isStopped else { return }
        subscription = index.subscribe([.policy]) { [self] in reconcileSoon() }
        elector.start()
        reconcileSoon()
    }

    /// `done` comes when another replica may write.
    func stop(_ done: @escaping () -> Void) {
        isStopped = true
        if let subscription { index.unsubscribe(subscription) }
        subscription = nil
        if let timer { host.cancel(timer) }
        timer = nil
        queue = [:]
        elector.stop(done)
    }

    /// What changes together is judged together.
    func reconcileSoon() {
        guard !isSoon, !isStopped else { return }
        isSoon = true
        if let timer { host.cancel(timer) }
        timer = host.after(options.limits.statusDelay) { [self] in reconcile() }
    }

    private func reconcile() {
        isSoon = false
        timer = host.after(options.limits.statusPeriod) { [self] in reconcile() }
        guard elector.isLeader else { return queue = [:] }
        let writer = RouteStatus(acceptance: RouteAcceptance(index: index, options: options), now: host.wall)
        for route in index.routes.all {
            offer(route.id.kind.resource, route.id.name) { writer.wanted(route, $0) }
        }
        for network in index.routes.egressNetworks { offer(.egressNetworks, network.name) { writer.wanted(network, $0) } }
        for limit in index.rateLimits { offer(.httpLocalRateLimitPolicies, limit.name) { writer.wanted(limit, $0) } }
        pump()
    }

    private func offer(_ resource: KubeResource, _ name: Cluster.Name, _ wanted: (KubeObject) -> Value?) {
        guard let informer = informers.first(where: { $0.resource.group == resource.group && $0.resource.plural == resource.plural }),
            let object = informer[name.namespace, name.name], let status = wanted(object)
        else { return }
        // In the version that the server has.
        let entry = Entry(resource: informer.resource, key: object.key)
        if queue[entry] == nil {
            guard queue.count < options.limits.statusQueueMax else { return metrics.overflows.increment() }
            metrics.enqueues.increment()
        }
        queue[entry] = (status, object.resourceVersion)
    }

    private func pump() {
        while !isStopped, patchesOpen < options.limits.statusPatchesOpenMax, let (entry, wanted) = queue.elements.first {
            queue.removeFirst()
            metrics.dequeues.increment()
            guard elector.isLeader else {
                metrics.drops.increment()
                continue
            }
            write(entry, wanted.status, wanted.version)
        }
    }

    private func write(_ entry: Entry, _ status: Value, _ version: String) {
        patchesOpen += 1
        metrics.patches.increment()
        let began = host.now
        var timer: TimerID?
        var isOver = false
        let finish = { [self] in
            if isOver { return }
            isOver = true
            if let timer { host.cancel(timer) }
            patchesOpen -= 1
            metrics.took.observe(Double((host.now - began).nanoseconds) / 1e9)
            pump()
        }
        let patch = Value.members(["metadata": .members(["resourceVersion": .string(version)]), "status": status])
        let call = client.patch(entry.resource, entry.key, .merge(patch), subresource: "status", options: KubeWriteOptions(fieldOwner: "policy-controller")) { [self] result in
            if case .failure(let error) = result, !isStopped {
                metrics.errors.increment()
                // Somebody else wrote in between: the watch tells what, and the next round looks again.
                host.log(error.isConflict ? .debug : .warn, "policy", "the status of \(entry.resource) \(entry.key) was not written: \(error)")
            }
            finish()
        }
        timer = host.after(options.limits.statusPatchTimeout) { [self] in
            metrics.timeouts.increment()
            call.cancel()
            finish()
        }
    }
}

/// Names are Linkerd's.
private struct StatusMetrics {
    let patches, errors, timeouts, enqueues, overflows, dequeues, drops: Metric
    let took: Histogram

    init(_ registry: MetricsRegistry) {
        func counter(_ name: String, _ help: String) -> Metric { registry.counter("resource_status_" + name, help: help) }
        patches = counter("patches_total", "Number of patches of a resource's status.")
        errors = counter("patch_api_errors_total", "Number of patches that the API server refused.")
        timeouts = counter("patch_timeouts_total", "Number of patches that took too long.")
        enqueues = counter("patch_enqueues_total", "Number of patches that were queued.")
        overflows = counter("patch_enqueue_overflows_total", "Number of patches for which the queue had no room.")
        dequeues = counter("patch_dequeues_total", "Number of patches taken from the queue.")
        drops = counter("patch_drops_total", "Number of patches dropped because this replica leads no more.")
        took = registry.histogram("resource_status_patch_duration_seconds", help: "How long a patch took.", bounds: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 1.5])
    }
}
