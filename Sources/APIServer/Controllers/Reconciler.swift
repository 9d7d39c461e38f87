// The frame of every controller: changes put keys into a queue, each key is brought into order in a later turn, and a key that
// failed comes again after a wait. A controller is told what changed, but looks only at what is.

import Base
import Documents
import Kube
import OrderedCollections
import Platform

class Reconciler {
    let registry: Registry
    let writer: Writer
    let host: any Host
    private var queue: OrderedSet<KubeKey> = []
    private var runTimer: TimerID?
    /// Keys that come again later, in the order set.
    private var waiting: [(at: Instant, key: KubeKey)] = []
    /// Look-up only: the keys in `waiting`.
    private var isWaiting: Set<KubeKey> = []
    private var waitTimer: TimerID?
    private var armedFor = Instant.zero
    /// Look-up only: how often a key has failed in a row.
    private var failures: [KubeKey: Int] = [:]
    private var isStopped = false

    init(registry: Registry, writer: Writer, host: any Host) {
        self.registry = registry
        self.writer = writer
        self.host = host
    }

    /// Enqueues what a change of this collection concerns. Must not write.
    func observe(_ collection: String, _ change: StoredChange) {}

    /// Brings one key into order. Throwing brings it again later.
    func reconcile(_ key: KubeKey) throws(KubeStatus) {}

    final func enqueue(_ key: KubeKey) {
        if isStopped { return }
        queue.append(key)
        if runTimer != nil { return }
        runTimer = host.after(.zero) { [self] in run() }
    }

    final func enqueue(_ key: KubeKey, after delay: Interval) {
        if isStopped { return }
        let at = host.now + delay
        if isWaiting.contains(key) {
            // The earlier time holds.
            guard let i = waiting.firstIndex(where: { $0.key == key }), at < waiting[i].at else { return }
            waiting[i].at = at
        } else {
            isWaiting.insert(key)
            waiting.append((at, key))
        }
        armWait(for: at)
    }

    /// For good.
    final func stop() {
        isStopped = true
        for timer in [runTimer, waitTimer].compactMap({ $0 }) { host.cancel(timer) }
        queue = []
        waiting = []
        isWaiting = []
    }

    /// Something is due at this time; an earlier one may be awaited already.
    private func armWait(for at: Instant) {
        if waitTimer != nil, at >= armedFor { return }
        if let waitTimer { host.cancel(waitTimer) }
        armedFor = at
        waitTimer = host.after(max(.zero, at - host.now)) { [self] in
            waitTimer = nil
            let now = host.now
            let due = waiting.filter { $0.at <= now }
            waiting.removeAll { $0.at <= now }
            for (_, key) in due {
                isWaiting.remove(key)
                enqueue(key)
            }
            if let first = waiting.map(\.at).min() { armWait(for: first) }
        }
    }

    private func run() {
        runTimer = nil
        let keys = queue
        queue = []
        for key in keys where !isStopped {
            do throws(KubeStatus) {
                try reconcile(key)
                failures[key] = nil
            } catch {
                let count = (failures[key] ?? 0) + 1
                failures[key] = count
                host.log(.debug, "apiserver::controllers", "\(type(of: self)) \(key): \(error)")
                // As client-go's rate limiter: 5 ms doubled with each failure, at most 1000 s; here at most 10 s.
                enqueue(key, after: .milliseconds(5 << Int64(min(count, 11))))
            }
        }
    }

    // MARK: Shared words

    /// Enqueues the controlling owner of this kind, if there is one.
    final func enqueueOwner(of object: Value, kind: String) {
        guard let owner = KubeObject(object).controller, owner.kind == kind else { return }
        enqueue(KubeKey(object.text("metadata", "namespace") ?? "", owner.name))
    }

    /// Pods controlled by this object, by name.
    final func pods(of owner: KubeObject) -> [KubeObject] {
        registry.controlled(.pods, by: owner)
    }

    /// Writes the status if it differs.
    final func setStatus(_ resource: KubeResource, _ object: KubeObject, _ change: (inout Value) -> Void) throws(KubeStatus) {
        try registry.update(resource, namespace: object.namespace, name: object.name, subresource: "status") { current in
            var status = current.status == .null ? Value.object([:]) : current.status
            change(&status)
            current.status = status
        }
    }
}

extension KubeObject {
    var isPodReady: Bool { value.items("status", "conditions").contains { $0.text("type") == "Ready" && $0.text("status") == "True" } }
    var isPodActive: Bool { !isTerminating && !["Succeeded", "Failed"].contains(value.text("status", "phase") ?? "") }

    /// A pod made from `spec.template` of this object.
    func podTemplate(generateName: String? = nil, name: String? = nil) -> Value {
        var pod = Value.members(["apiVersion": .string("v1"), "kind": .string("Pod")])
        let template = value.member("spec", "template") ?? .null
        for member in ["labels", "annotations", "finalizers"] { if let part = template.member("metadata", member) { pod.put(part, at: "metadata", member) } }
        if let generateName { pod.put(.string(generateName), at: "metadata", "generateName") }
        if let name { pod.put(.string(name), at: "metadata", "name") }
        pod.put(.string(namespace), at: "metadata", "namespace")
        pod.put(template.member("spec"), at: "spec")
        var object = KubeObject(pod)
        object.ownerReferences = [KubeOwner(controlling: self)]
        return object.value
    }
}

extension Value {
    /// The conditions with this one set; its time moves only when its status does.
    mutating func setCondition(_ type: String, _ status: Bool, reason: String, message: String, at time: Value, hasUpdateTime: Bool = false) {
        var conditions = items("conditions")
        let word = status ? "True" : "False"
        var condition = Value.members([
            "type": .string(type), "status": .string(word), "lastUpdateTime": hasUpdateTime ? time : nil, "lastTransitionTime": time, "reason": .string(reason), "message": .string(message),
        ])
        if let i = conditions.firstIndex(where: { $0.text("type") == type }) {
            if conditions[i].text("status") == word {
                condition.put(conditions[i].member("lastTransitionTime"), at: "lastTransitionTime")
                if hasUpdateTime, conditions[i].text("reason") == reason { condition.put(conditions[i].member("lastUpdateTime"), at: "lastUpdateTime") }
            }
            conditions[i] = condition
        } else {
            conditions.append(condition)
        }
        put(.array(conditions), at: "conditions")
    }
}
