// Pods until enough of them have succeeded or too many have failed. Source: k8s.io/kubernetes pkg/controller/job.

import Base
import Documents
import Kube
import OrderedCollections
import Platform

final class JobController: Reconciler {
    /// Look-up only: pods whose creation is not over yet.
    private var creating: [String: Int] = [:]

    override func observe(_ collection: String, _ change: StoredChange) {
        switch collection {
        case "jobs.batch": enqueue(change.key)
        case "pods": enqueueOwner(of: change.object, kind: "Job")
        default: break
        }
    }

    override func reconcile(_ key: KubeKey) throws(KubeStatus) {
        guard let job = registry.find(.jobs, namespace: key.namespace, name: key.name), !job.isTerminating else { return }
        let isOver = job.value.items("status", "conditions").contains { ["Complete", "Failed"].contains($0.text("type") ?? "") && $0.text("status") == "True" }
        if isOver { return }
        let pods = pods(of: job)
        let active = pods.filter(\.isPodActive)
        let succeeded = pods.filter { $0.value.text("status", "phase") == "Succeeded" }.count
        let failed = pods.filter { $0.value.text("status", "phase") == "Failed" }.count
        let parallel = Int(clamping: job.value.number("spec", "parallelism") ?? 1)
        let completions = job.value.number("spec", "completions").map { Int(clamping: $0) }
        let hasFailed = failed > Int(clamping: job.value.number("spec", "backoffLimit") ?? 6)
        let isComplete = completions.map { succeeded >= $0 } ?? (succeeded > 0 && active.isEmpty)
        if hasFailed {
            for pod in active { writer.delete(registry.kind(.pods), pod.key) }
        } else if !isComplete, job.value.flag("spec", "suspend") != true {
            let wanted = min(parallel, completions.map { $0 - succeeded } ?? (succeeded > 0 ? 0 : parallel))
            let missing = wanted - active.count - (creating[job.uid] ?? 0)
            if missing > 0 { for _ in 0..<missing { create(job) } }
        }
        let time = registry.timestamp
        try setStatus(.jobs, job) { status in
            status.fill(time, "startTime")
            func count(_ name: String, _ value: Int) { status.put(value == 0 ? nil : .int(Int64(value)), at: name) }
            count("active", hasFailed ? 0 : active.count)
            count("succeeded", succeeded)
            count("failed", failed)
            count("ready", active.filter(\.isPodReady).count)
            if isComplete {
                status.put(time, at: "completionTime")
                status.setCondition("Complete", true, reason: "CompletionsReached", message: "Reached expected number of succeeded pods", at: time)
            } else if hasFailed {
                status.setCondition("Failed", true, reason: "BackoffLimitExceeded", message: "Job has reached the specified backoff limit", at: time)
            }
        }
    }

    private func create(_ job: KubeObject) {
        creating[job.uid, default: 0] += 1
        writer.create(.pods, namespace: job.namespace, job.podTemplate(generateName: job.name + "-")) { [self] failure in
            let left = (creating[job.uid] ?? 1) - 1
            creating[job.uid] = left == 0 ? nil : left
            if failure == nil { enqueue(job.key) } else { enqueue(job.key, after: .seconds(1)) }
        }
    }
}
