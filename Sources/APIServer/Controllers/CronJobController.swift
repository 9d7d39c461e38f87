// A job at each time of a schedule, and only so many old ones. Source: k8s.io/kubernetes pkg/controller/cronjob/cronjob_controllerv2.go.

import Base
import Documents
import Kube
import OrderedCollections
import Platform

final class CronJobController: Reconciler {
    override func observe(_ collection: String, _ change: StoredChange) {
        switch collection {
        case "cronjobs.batch": enqueue(change.key)
        case "jobs.batch": enqueueOwner(of: change.object, kind: "CronJob")
        default: break
        }
    }

    override func reconcile(_ key: KubeKey) throws(KubeStatus) {
        guard let cron = registry.find(.cronJobs, namespace: key.namespace, name: key.name), !cron.isTerminating,
            let schedule = try? CronSchedule(cron.value.text("spec", "schedule") ?? "")
        else { return }
        let jobs = registry.all(.jobs, namespace: key.namespace).filter { $0.controller?.uid == cron.uid }
        var active = jobs.filter { !Self.isOver($0) && !$0.isTerminating }
        try forget(cron, jobs)
        let now = registry.wall()
        var started: WallTime?
        if cron.value.flag("spec", "suspend") != true {
            if let due = due(cron, schedule, now), try start(cron, due, &active) { started = due }
            if let next = schedule.next(after: now) { enqueue(key, after: next - now) }
        }
        try setStatus(.cronJobs, cron) { status in
            status.put(
                active.isEmpty
                    ? nil
                    : .array(
                        active.map { job in
                            .members([
                                "apiVersion": .string("batch/v1"), "kind": .string("Job"), "name": .string(job.name), "namespace": .string(job.namespace), "uid": .string(job.uid),
                                "resourceVersion": .string(job.resourceVersion),
                            ])
                        }), at: "active")
            if let started { status.put(.string(started.description), at: "lastScheduleTime") }
            let successes = jobs.compactMap { $0.value.text("status", "completionTime") }.sorted()
            if let last = successes.last { status.put(.string(last), at: "lastSuccessfulTime") }
        }
    }

    static func isOver(_ job: KubeObject) -> Bool {
        job.value.items("status", "conditions").contains { ["Complete", "Failed"].contains($0.text("type") ?? "") && $0.text("status") == "True" }
    }

    /// The newest time that has come and not been served; nil: none, or its deadline is over.
    private func due(_ cron: KubeObject, _ schedule: CronSchedule, _ now: WallTime) -> WallTime? {
        var from = cron.value.text("status", "lastScheduleTime").flatMap { WallTime(rfc3339: $0) } ?? cron.createdAt ?? now
        let deadline = cron.value.number("spec", "startingDeadlineSeconds")
        if let deadline { from = max(from, now - .seconds(deadline) - .nanoseconds(1)) }
        // A server that stood still for long does not walk through every minute that it missed.
        from = max(from, now - .days(1))
        var due: WallTime?
        while let next = schedule.next(after: due ?? from), next <= now { due = next }
        return due
    }

    private func start(_ cron: KubeObject, _ time: WallTime, _ active: inout [KubeObject]) throws(KubeStatus) -> Bool {
        switch cron.value.text("spec", "concurrencyPolicy") {
        case "Forbid" where !active.isEmpty: return false
        case "Replace":
            for job in active {
                var options = DeleteOptions()
                options.propagation = .background
                writer.delete(registry.kind(.jobs), job.key, options)
            }
            active = []
        default: break
        }
        // The time in the name keeps a job from being made twice.
        let name = "\(cron.name)-\(time.seconds / 60)"
        if registry.find(.jobs, namespace: cron.namespace, name: name) != nil { return true }
        var job = KubeObject(.jobs, namespace: cron.namespace, name: name)
        let template = cron.value.member("spec", "jobTemplate") ?? .null
        for member in ["labels", "annotations"] { if let part = template.member("metadata", member) { job.value.put(part, at: "metadata", member) } }
        job.annotations["batch.kubernetes.io/cronjob-scheduled-timestamp"] = time.description
        job.spec = template.member("spec") ?? .null
        job.ownerReferences = [KubeOwner(controlling: cron)]
        active.append(try registry.create(.jobs, namespace: cron.namespace, job.value))
        event(cron, .cronJobs, "SuccessfulCreate", "Created job \(name)")
        return true
    }

    /// Drops finished jobs beyond the numbers that are kept.
    private func forget(_ cron: KubeObject, _ jobs: [KubeObject]) throws(KubeStatus) {
        for (type, member, usual) in [("Complete", "successfulJobsHistoryLimit", 3), ("Failed", "failedJobsHistoryLimit", 1)] {
            let kept = Int(clamping: cron.value.number("spec", member) ?? Int64(usual))
            let over = jobs.filter { job in !job.isTerminating && job.value.items("status", "conditions").contains { $0.text("type") == type && $0.text("status") == "True" } }
                .sorted { ($0.createdAt?.seconds ?? 0, $0.name) < ($1.createdAt?.seconds ?? 0, $1.name) }
            for job in over.prefix(max(0, over.count - kept)) {
                var options = DeleteOptions()
                options.propagation = .background
                writer.delete(registry.kind(.jobs), job.key, options)
            }
        }
    }
}
