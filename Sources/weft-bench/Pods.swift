// How long the simulator takes until ten thousand pods are ready: a cluster with its control plane and a node agent, a hundred Deployments of a
// hundred replicas each, and every pod a host of its own with a process in it. Time is this machine's, memory is this process's at its peak.

import APIServer
import Base
import Glibc
import Kube
import Platform
import Scenario
import Simulator

private func wallSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// Prints seconds until `count` pods are ready, seconds of virtual time, and megabytes resident at the peak, and ends the process.
func printPodsReady(_ count: Int) throws {
    let deployments = max(1, count / 100)
    let replicas = count / deployments
    let story = Story("bench/pods", story: "A hundred Deployments of a hundred replicas come up.", promise: "All are ready.", source: "weft-bench") { stage throws(StoryFailure) in
        let cluster = try stage.deploy()
        try cluster.apply("{apiVersion: v1, kind: Namespace, metadata: {name: bench}}")
        let started = wallSeconds()
        let begun = stage.world.now
        for i in 0..<deployments {
            try cluster.apply(
                """
                apiVersion: apps/v1
                kind: Deployment
                metadata: {name: app-\(i), namespace: bench}
                spec:
                  replicas: \(replicas)
                  selector: {matchLabels: {app: app-\(i)}}
                  template:
                    metadata: {labels: {app: app-\(i)}}
                    spec: {containers: [{name: main, image: idle, ports: [{containerPort: 80, name: http}]}]}
                ---
                apiVersion: v1
                kind: Service
                metadata: {name: app-\(i), namespace: bench}
                spec: {selector: {app: app-\(i)}, ports: [{name: http, port: 80, targetPort: http}]}
                """)
        }
        var looked = stage.world.now
        try stage.wait("\(count) ready pods", within: .minutes(60)) {
            // Looking at every Deployment after every event would be most of the work.
            guard stage.world.now - looked >= .milliseconds(500), let api = cluster.apiServer else { return false }
            looked = stage.world.now
            return api.objects(.deployments, namespace: "bench").reduce(0) { $0 + ($1.value.number("status", "readyReplicas") ?? 0) } == Int64(deployments * replicas)
        }
        let seconds = Double(Int((wallSeconds() - started) * 1000)) / 1000
        let virtual = Double((stage.world.now - begun).milliseconds) / 1000
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        print("pods_ready \(deployments * replicas)")
        print("pods_ready_seconds \(seconds)")
        print("pods_ready_virtual_seconds \(virtual)")
        // What a busy machine does not change.
        let cpu = Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
        print("pods_ready_cpu_seconds \(Double(Int(cpu * 1000)) / 1000)")
        print("pods_ready_peak_megabytes \(usage.ru_maxrss / 1024)")
        fflush(nil)
        // The end of the world would take as long again, and nobody waits for it here.
        exit(0)
    }
    let outcome = story.run(seed: 1, build: "bench")
    throw Refusal("the pods did not come up: \(outcome.failure ?? "no reason")")
}
