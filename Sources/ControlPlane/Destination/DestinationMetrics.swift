// What the destination service counts about itself, in upstream's names, so that its alarms go on working.
// Source: linkerd2 controller/api/destination/watcher/prometheus.go and endpoint_translator.go.

import Platform

public final class DestinationMetrics {
    struct View {
        var subscribers: Metric
        var updates: Metric
        var pods: Metric
        var exists: Metric
    }

    struct Shared {
        var subscribers: Metric
        var updates: Metric
    }

    private let registry: MetricsRegistry

    public init(_ registry: MetricsRegistry) { self.registry = registry }

    func view(_ key: EndpointView.Key) -> View {
        let labels = [
            ("cluster", "local"), ("namespace", key.service.namespace), ("service", key.service.name), ("port", String(key.port)), ("hostname", key.hostname ?? ""), ("nodename", key.node),
            ("zone", key.zone),
        ]
        return View(
            subscribers: registry.gauge("endpoints_subscribers", help: "A gauge for the current number of subscribers to a endpoints.", labels),
            updates: registry.counter("endpoints_updates", help: "A counter for number of updates to a endpoints.", labels),
            pods: registry.gauge("endpoints_pods", help: "A gauge for the current number of pods in a endpoints.", labels),
            exists: registry.gauge("endpoints_exists", help: "A gauge which is 1 if the endpoints exists and 0 if it does not.", labels))
    }

    /// Streams that follow a service's profile.
    func service(_ name: Cluster.Name) -> Shared {
        let labels = [("namespace", name.namespace), ("name", name.name)]
        return Shared(
            subscribers: registry.gauge("service_subscribers", help: "Number of subscribers to Service changes.", labels),
            updates: registry.counter("profile_updates", help: "A counter for number of updates to a profile.", labels))
    }

    /// Streams that follow one workload's endpoint. Addresses come and go, so they are no labels.
    func workload() -> Shared {
        Shared(
            subscribers: registry.gauge("workload_subscribers", help: "A gauge for the current number of subscribers to workloads."),
            updates: registry.counter("workload_updates", help: "A counter for number of updates to workloads."))
    }

    func endpointOverflow(_ service: Cluster.Name, _ port: UInt16) {
        registry.counter(
            "endpoint_updates_queue_overflow", help: "A counter incremented whenever the endpoint updates queue overflows.", [("service", "\(service.name).\(service.namespace):\(port)")]
        ).increment()
    }

    func profileOverflow(_ fullName: String, _ port: UInt16) {
        registry.counter("profile_updates_queue_overflow", help: "A counter incremented whenever the profile updates queue overflows.", [("fqn", fullName), ("port", String(port))]).increment()
    }

    func endpointProfileOverflow() {
        registry.counter("endpoint_profile_updates_queue_overflow", help: "A counter incremented whenever the endpoint profile updates queue overflows.").increment()
    }
}
