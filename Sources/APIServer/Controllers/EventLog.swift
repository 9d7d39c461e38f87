// What controllers tell people: events about objects, counted when they repeat and forgotten after an hour.
// Source: k8s.io/client-go tools/record; kube-apiserver --event-ttl.

import Base
import Documents
import Kube
import OrderedCollections
import Platform

extension Reconciler {
    /// Says what happened to an object, if events are wanted. The same again is counted.
    final func event(_ object: KubeObject, _ resource: KubeResource, _ reason: String, _ message: String, isWarning: Bool = false) {
        guard registry.recordsEvents else { return }
        var digest = Digest64()
        for part in [object.uid, reason, message] { digest.mix(string: part) }
        let namespace = object.namespace.isEmpty ? "default" : object.namespace
        let name = "\(object.name).\(digest.value.hex)"
        let time = registry.timestamp
        if registry.find(.events, namespace: namespace, name: name) != nil {
            _ = try? registry.update(.events, namespace: namespace, name: name) { event in
                event.value.put(.int((event.value.number("count") ?? 1) + 1), at: "count")
                event.value.put(time, at: "lastTimestamp")
            }
            return
        }
        let component = Value.string(Self.component(resource))
        var event = KubeObject(.events, namespace: namespace, name: name)
        event.value.put(
            .members([
                "apiVersion": .string(object.apiVersion.isEmpty ? resource.apiVersion : object.apiVersion), "kind": .string(resource.kind), "name": .string(object.name),
                "namespace": object.namespace.isEmpty ? nil : .string(object.namespace), "uid": .string(object.uid), "resourceVersion": .string(object.resourceVersion),
            ]), at: "involvedObject")
        event.value.put(.string(reason), at: "reason")
        event.value.put(.string(message), at: "message")
        event.value.put(.string(isWarning ? "Warning" : "Normal"), at: "type")
        event.value.put(.int(1), at: "count")
        event.value.put(time, at: "firstTimestamp")
        event.value.put(time, at: "lastTimestamp")
        event.value.put(.members(["component": component]), at: "source")
        event.value.put(component, at: "reportingComponent")
        _ = try? registry.create(.events, namespace: namespace, event.value)
    }

    private static func component(_ resource: KubeResource) -> String {
        switch resource.plural {
        case "pods": "default-scheduler"
        case "deployments": "deployment-controller"
        case "replicasets": "replicaset-controller"
        case "cronjobs": "cronjob-controller"
        case "jobs": "job-controller"
        default: "controller-manager"
        }
    }
}

/// Forgets events an hour after they were last told.
final class EventExpiry: Reconciler {
    private static let lifetime = Interval.hours(1)
    private static let period = Interval.minutes(5)

    override func observe(_ collection: String, _ change: StoredChange) { if collection == "events", change.kind != .deleted { enqueue(KubeKey("", ""), after: Self.period) } }

    override func reconcile(_ key: KubeKey) throws(KubeStatus) {
        let kind = registry.kind(.events)
        let end = registry.wall() - Self.lifetime
        for key in Array(registry.store.keys(kind.collection)) {
            guard let event = registry.store.object(kind.collection, key) else { continue }
            let last = ["lastTimestamp", "eventTime", "firstTimestamp"].compactMap { event.text($0) }.first ?? event.text("metadata", "creationTimestamp") ?? ""
            if let time = WallTime(rfc3339: last), time < end { registry.store.remove(kind.collection, key) }
        }
        if registry.store.count(kind.collection) > 0 { enqueue(KubeKey("", ""), after: Self.period) }
    }
}
