// Events that people find with `kubectl get events`: about an object, with a reason and a message. The same event again within
// a while is counted in place rather than written anew. Losing one is no failure, so errors are only logged.
// Source: k8s.io/client-go tools/record.

import Base
import Documents
import Platform

public final class EventRecorder {
    private let client: KubeClient
    private let component: String
    /// What was written lately, oldest first.
    private var recent: [(key: String, event: KubeKey, count: Int64, at: Instant)] = []
    private var random: Random
    private var isClosed = false

    /// `component` is the reporting one: `linkerd-identity`.
    public init(client: KubeClient, component: String) {
        self.client = client
        self.component = component
        random = client.host.random("events/\(component)")
    }

    /// About an object known by type and name; `uid` if it is known.
    public func record(about resource: KubeResource, _ key: KubeKey, uid: String = "", isWarning: Bool, reason: String, message: String) {
        guard !isClosed else { return }
        let now = client.host.wall
        let identity = "\(resource)/\(key)/\(reason)/\(message)"
        let oldest = client.host.now - client.limits.eventWindow
        recent.removeAll { $0.at < oldest }
        if let i = recent.firstIndex(where: { $0.key == identity }) {
            recent[i].count += 1
            let patch = Value.members(["count": .int(recent[i].count), "lastTimestamp": .string("\(now)")])
            client.patch(.events, recent[i].event, .merge(patch)) { [self] in note($0) }
            return
        }
        if recent.count >= client.limits.eventsRememberedMax { recent.removeFirst() }
        // Cluster-scoped objects' events live in the default namespace.
        let namespace = key.namespace.isEmpty ? "default" : key.namespace
        var event = KubeObject(.events, namespace: namespace, name: "\(key.name).\(random.next().hex)")
        event.value.put(
            .members([
                "kind": .string(resource.kind), "namespace": key.namespace.isEmpty ? nil : .string(key.namespace), "name": .string(key.name),
                "uid": uid.isEmpty ? nil : .string(uid), "apiVersion": .string(resource.apiVersion),
            ]), at: "involvedObject")
        event.value.put(.string(reason), at: "reason")
        event.value.put(.string(message), at: "message")
        event.value.put(.string(isWarning ? "Warning" : "Normal"), at: "type")
        event.value.put(.members(["component": .string(component)]), at: "source")
        event.value.put(.string("\(now)"), at: "firstTimestamp")
        event.value.put(.string("\(now)"), at: "lastTimestamp")
        event.value.put(.int(1), at: "count")
        event.value.put(.string(component), at: "reportingComponent")
        event.value.put(.string(""), at: "reportingInstance")
        recent.append((identity, event.key, 1, client.host.now))
        client.create(.events, event) { [self] in note($0) }
    }

    public func close() { isClosed = true }

    private func note(_ result: Result<KubeObject, KubeError>) {
        if case .failure(let error) = result, !isClosed { client.host.log(.debug, "kube::events", "an event was not recorded: \(error)") }
    }
}
