// Deployments over ReplicaSets: one for each version of the template, scaled against each other as the strategy allows.
// Source: k8s.io/kubernetes pkg/controller/deployment (sync.go, rolling.go, recreate.go).

import Base
import Documents
import Kube
import OrderedCollections
import Platform

final class DeploymentController: Reconciler {
    static let revision = "deployment.kubernetes.io/revision"
    static let hashLabel = "pod-template-hash"

    override func observe(_ collection: String, _ change: StoredChange) {
        switch collection {
        case "deployments.apps": enqueue(change.key)
        case "replicasets.apps": enqueueOwner(of: change.object, kind: "Deployment")
        default: break
        }
    }

    override func reconcile(_ key: KubeKey) throws(KubeStatus) {
        guard let deployment = registry.find(.deployments, namespace: key.namespace, name: key.name), !deployment.isTerminating else { return }
        let sets = registry.controlled(.replicaSets, by: deployment).filter { !$0.isTerminating }
        let hash = Self.hash(deployment)
        var current = sets.first { $0.labels[Self.hashLabel] == hash }
        let others = sets.filter { $0.uid != current?.uid }
        if deployment.value.flag("spec", "paused") != true {
            if let found = current { try mark(found, deployment, others) } else { current = try make(deployment, hash, others) }
            if let current { try roll(deployment, current, others) }
            try forget(deployment, others)
        }
        try report(deployment)
    }

    /// Names the template: equal templates, equal names.
    static func hash(_ deployment: KubeObject) -> String {
        var digest = Digest64()
        digest.mix(string: (deployment.value.member("spec", "template") ?? .null).canonical.json())
        var rest = digest.value
        var text: [UInt8] = []
        for _ in 0..<10 {
            text.append(Names.suffixAlphabet[Int(rest % UInt64(Names.suffixAlphabet.count))])
            rest /= UInt64(Names.suffixAlphabet.count)
        }
        return String(decoding: text, as: UTF8.self)
    }

    private func nextRevision(_ others: [KubeObject]) -> Int64 { (others.compactMap { $0.annotations[Self.revision].flatMap { Int64($0) } }.max() ?? 0) + 1 }

    private func make(_ deployment: KubeObject, _ hash: String, _ others: [KubeObject]) throws(KubeStatus) -> KubeObject {
        var set = KubeObject(.replicaSets, namespace: deployment.namespace, name: "\(deployment.name)-\(hash)")
        set.value.put(deployment.value.member("spec", "template"), at: "spec", "template")
        set.value.put(.string(hash), at: "spec", "template", "metadata", "labels", Self.hashLabel)
        set.value.put(deployment.value.member("spec", "selector"), at: "spec", "selector")
        set.value.put(.string(hash), at: "spec", "selector", "matchLabels", Self.hashLabel)
        set.value.put(deployment.value.member("spec", "minReadySeconds"), at: "spec", "minReadySeconds")
        set.labels = set.value.entries("spec", "template", "metadata", "labels")
        let revision = String(nextRevision(others))
        set.annotations = [
            "deployment.kubernetes.io/desired-replicas": String(replicas(deployment)), "deployment.kubernetes.io/max-replicas": String(replicas(deployment) + surge(deployment)),
            Self.revision: revision,
        ]
        set.ownerReferences = [KubeOwner(controlling: deployment)]
        let isRecreate = deployment.value.text("spec", "strategy", "type") == "Recreate"
        let total = others.reduce(0) { $0 + replicas($1) }
        let first = isRecreate ? (total == 0 ? replicas(deployment) : 0) : others.isEmpty ? replicas(deployment) : max(0, min(replicas(deployment), replicas(deployment) + surge(deployment) - total))
        set.value.put(.int(first), at: "spec", "replicas")
        let made = try registry.create(.replicaSets, namespace: deployment.namespace, set.value)
        if first > 0 { event(deployment, .deployments, "ScalingReplicaSet", "Scaled up replica set \(made.name) from 0 to \(first)") }
        try annotate(deployment, revision)
        return made
    }

    /// A template that comes back (a rollback) becomes the newest revision.
    private func mark(_ set: KubeObject, _ deployment: KubeObject, _ others: [KubeObject]) throws(KubeStatus) {
        let mine = set.annotations[Self.revision].flatMap { Int64($0) } ?? 0
        let next = nextRevision(others)
        let revision = String(max(mine, next))
        if mine < next { try registry.update(.replicaSets, namespace: set.namespace, name: set.name) { $0.annotations[Self.revision] = revision } }
        try annotate(deployment, revision)
    }

    private func annotate(_ deployment: KubeObject, _ revision: String) throws(KubeStatus) {
        if deployment.annotations[Self.revision] == revision { return }
        try registry.update(.deployments, namespace: deployment.namespace, name: deployment.name) { $0.annotations[Self.revision] = revision }
    }

    // MARK: Rolling

    private func replicas(_ object: KubeObject) -> Int64 { object.value.number("spec", "replicas") ?? 1 }
    private func available(_ set: KubeObject) -> Int64 { set.value.number("status", "availableReplicas") ?? 0 }

    /// A number or a share of the replicas.
    private func amount(_ value: Value?, of total: Int64, roundsUp: Bool) -> Int64 {
        switch value {
        case .int(let number): number
        case .string(let text): text.hasSuffix("%") ? ((Int64(text.dropLast()) ?? 0) * total + (roundsUp ? 99 : 0)) / 100 : Int64(text) ?? 0
        default: 0
        }
    }

    private func surge(_ deployment: KubeObject) -> Int64 {
        deployment.value.text("spec", "strategy", "type") == "Recreate"
            ? 0 : amount(deployment.value.member("spec", "strategy", "rollingUpdate", "maxSurge"), of: replicas(deployment), roundsUp: true)
    }

    private func unavailable(_ deployment: KubeObject) -> Int64 {
        let asked = amount(deployment.value.member("spec", "strategy", "rollingUpdate", "maxUnavailable"), of: replicas(deployment), roundsUp: false)
        // Both zero would stand still.
        return min(replicas(deployment), asked == 0 && surge(deployment) == 0 ? 1 : asked)
    }

    private func scale(_ set: KubeObject, to count: Int64) throws(KubeStatus) {
        if replicas(set) == count { return }
        if let owner = set.controller, let deployment = registry.find(.deployments, namespace: set.namespace, name: owner.name) {
            event(deployment, .deployments, "ScalingReplicaSet", "Scaled \(count > replicas(set) ? "up" : "down") replica set \(set.name) from \(replicas(set)) to \(count)")
        }
        try registry.update(.replicaSets, namespace: set.namespace, name: set.name) { $0.value.put(.int(count), at: "spec", "replicas") }
    }

    private func roll(_ deployment: KubeObject, _ current: KubeObject, _ others: [KubeObject]) throws(KubeStatus) {
        let wanted = replicas(deployment)
        let old = others.filter { replicas($0) > 0 }
        if deployment.value.text("spec", "strategy", "type") == "Recreate" {
            for set in old { try scale(set, to: 0) }
            if old.isEmpty, others.allSatisfy({ pods(of: $0).filter { $0.isPodActive || $0.isTerminating }.isEmpty }) { try scale(current, to: wanted) }
            return
        }
        if old.isEmpty { return try scale(current, to: wanted) }
        let total = replicas(current) + old.reduce(0) { $0 + replicas($1) }
        if replicas(current) > wanted { return try scale(current, to: wanted) }
        if replicas(current) < wanted, total < wanted + surge(deployment) {
            return try scale(current, to: min(wanted, replicas(current) + wanted + surge(deployment) - total))
        }
        try shrink(deployment, current, old, total)
    }

    /// Takes from old sets what may be missing: the unhealthy first.
    private func shrink(_ deployment: KubeObject, _ current: KubeObject, _ old: [KubeObject], _ total: Int64) throws(KubeStatus) {
        let least = replicas(deployment) - unavailable(deployment)
        var room = total - least - (replicas(current) - available(current))
        var left = old.sorted { ($0.createdAt?.seconds ?? 0, $0.name) < ($1.createdAt?.seconds ?? 0, $1.name) }
        for i in left.indices where room > 0 {
            let unhealthy = min(room, replicas(left[i]) - min(replicas(left[i]), available(left[i])))
            if unhealthy == 0 { continue }
            try scale(left[i], to: replicas(left[i]) - unhealthy)
            left[i] = registry.find(.replicaSets, namespace: left[i].namespace, name: left[i].name) ?? left[i]
            room -= unhealthy
        }
        room = min(room, available(current) + left.reduce(0) { $0 + min(available($1), replicas($1)) } - least)
        for set in left where room > 0 {
            let part = min(room, replicas(set))
            try scale(set, to: replicas(set) - part)
            room -= part
        }
    }

    /// Drops old sets beyond the history that is kept.
    private func forget(_ deployment: KubeObject, _ others: [KubeObject]) throws(KubeStatus) {
        let kept = deployment.value.number("spec", "revisionHistoryLimit") ?? 10
        let idle = others.filter { replicas($0) == 0 && ($0.value.number("status", "replicas") ?? 0) == 0 }
            .sorted { ($0.annotations[Self.revision].flatMap { Int64($0) } ?? 0) < ($1.annotations[Self.revision].flatMap { Int64($0) } ?? 0) }
        for set in idle.prefix(max(0, idle.count - Int(clamping: kept))) { writer.delete(registry.kind(.replicaSets), set.key) }
    }

    // MARK: Status

    private func report(_ deployment: KubeObject) throws(KubeStatus) {
        let sets = registry.controlled(.replicaSets, by: deployment)
        let hash = Self.hash(deployment)
        let current = sets.first { $0.labels[Self.hashLabel] == hash }
        let total = sets.reduce(0) { $0 + ($1.value.number("status", "replicas") ?? 0) }
        let ready = sets.reduce(0) { $0 + ($1.value.number("status", "readyReplicas") ?? 0) }
        let available = sets.reduce(0) { $0 + self.available($1) }
        let updated = current?.value.number("status", "replicas") ?? 0
        let wanted = replicas(deployment)
        let time = registry.timestamp
        let name = current?.name ?? deployment.name
        // The set's own controller has seen its newest size.
        let isSettled = current.map { ($0.value.number("status", "observedGeneration") ?? 0) >= $0.generation } ?? false
        let isComplete = isSettled && updated == wanted && total == wanted && available == wanted
        try setStatus(.deployments, deployment) { status in
            func count(_ name: String, _ value: Int64) { status.put(value == 0 ? nil : .int(value), at: name) }
            count("replicas", total)
            count("updatedReplicas", updated)
            count("readyReplicas", ready)
            count("availableReplicas", available)
            count("unavailableReplicas", max(0, total - available, wanted - available))
            status.put(.int(deployment.generation), at: "observedGeneration")
            let isAvailable = available >= wanted - unavailable(deployment)
            status.setCondition(
                "Available", isAvailable, reason: isAvailable ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable",
                message: isAvailable ? "Deployment has minimum availability." : "Deployment does not have minimum availability.", at: time, hasUpdateTime: true)
            status.setCondition(
                "Progressing", true, reason: isComplete ? "NewReplicaSetAvailable" : "ReplicaSetUpdated",
                message: isComplete ? "ReplicaSet \"\(name)\" has successfully progressed." : "ReplicaSet \"\(name)\" is progressing.", at: time, hasUpdateTime: true)
        }
    }
}
