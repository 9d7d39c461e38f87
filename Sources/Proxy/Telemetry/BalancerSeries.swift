// What a balancer shows of itself: how many endpoints it has and which can take something, what waits for them and for how long, and
// when its queue was shut. Source: linkerd2-proxy linkerd/proxy/balance/*/metrics.rs, linkerd/pool; facts 5.5.

import Base
import Platform

final class BalancerSeries {
    enum Update: String { case reset = "Reset", add = "Add", remove = "Remove" }

    private let host: any Host
    private let registry: MetricsRegistry
    private let families: Families.Balancer
    private let labels: [(String, String)]
    private let ready, pending, readyDrawn, pendingDrawn: Metric
    private let length, requests: Metric
    private let latency: Histogram
    private let opens, shuts, openTime, shutTime: Metric
    private var shown = (ready: 0, pending: 0, queued: 0)
    /// By kind of update; few.
    private var updates: [(update: Update, metric: Metric)] = []

    init(_ registry: MetricsRegistry, _ families: Families.Balancer, _ labels: [(String, String)], host: any Host, failfastTimeout: Interval) {
        self.host = host
        self.registry = registry
        self.families = families
        self.labels = labels
        ready = registry.metric(families.endpoints, [("endpoint_state", "ready")] + labels)
        pending = registry.metric(families.endpoints, [("endpoint_state", "pending")] + labels)
        readyDrawn = registry.metric(families.p2cEndpoints, [("endpoint_state", "ready")] + labels)
        pendingDrawn = registry.metric(families.p2cEndpoints, [("endpoint_state", "pending")] + labels)
        length = registry.metric(families.queueLength, labels)
        requests = registry.metric(families.queueRequests, labels)
        latency = registry.histogram(families.queueLatency, labels)
        opens = registry.metric(families.gateOpens, labels)
        shuts = registry.metric(families.gateShuts, labels)
        openTime = registry.metric(families.gateOpenTime, labels)
        shutTime = registry.metric(families.gateShutTime, labels)
        registry.metric(families.gateTimeout, labels).value = failfastTimeout.seconds
    }

    /// Balancers of both versions of HTTP share their labels, so each adds what changed.
    func set(ready count: Int, of all: Int) {
        for metric in [ready, readyDrawn] { metric.increment(by: Double(count - shown.ready)) }
        for metric in [pending, pendingDrawn] { metric.increment(by: Double(all - count - shown.pending)) }
        shown.ready = count
        shown.pending = all - count
    }

    func updated(_ update: Update) {
        for entry in updates where entry.update == update { return entry.metric.increment() }
        let made = registry.metric(families.updates, [("op", update.rawValue)] + labels)
        updates.append((update, made))
        made.increment()
    }

    func set(queued count: Int) {
        length.increment(by: Double(count - shown.queued))
        shown.queued = count
    }

    /// Something was given an endpoint after this wait.
    func served(after wait: Interval) {
        requests.increment()
        latency.observe(wait.seconds)
    }

    func shut() {
        shuts.increment()
        shutTime.value = Double(host.wall.nanoseconds / 1_000_000) / 1000
    }

    func opened() {
        opens.increment()
        openTime.value = Double(host.wall.nanoseconds / 1_000_000) / 1000
    }
}

extension Interval {
    /// To the microsecond, for histograms.
    var seconds: Double { Double(nanoseconds / 1000) / 1_000_000 }
}
