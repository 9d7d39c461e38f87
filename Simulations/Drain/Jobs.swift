// Stories of pods that are done by themselves: their proxies must not keep them from ending, nor end before them.

import Base
import HTTP
import Kube
import Manifests
import Platform
import Scenario
import Simulator

extension Stories {
    // Story: a Job's pod calls a server through the mesh and ends; its proxy is a native sidecar.
    // Promise: the call is answered, the proxy goes after the application, and the Job is complete.
    // Source: linkerd2 #1869, #11461: Jobs that never complete for their proxy; native sidecars.
    static let jobSidecar = Story(
        "drain/job-sidecar",
        story: "A Job's pod calls a server through the mesh, and is done.",
        promise: "The call is answered, the proxy goes after the application, and the Job is complete.",
        source: "linkerd2 #1869 and #11461, native sidecars"
    ) { stage throws(StoryFailure) in
        let job = try BatchStage(stage, annotations: "") { _, process in process.exit(0) }
        try stage.wait("the end of the Job") { job.status("succeeded") == 1 }
        try stage.check(job.answers == [200], "the call was answered: \(job.answers)")
        try stage.check(job.phase == "Succeeded" && job.condition == "Complete", "pod \(job.phase), Job \(job.condition)")
        stage.say("the Job is complete, its pod \(job.phase)")
    }

    // Story: the same with a work that fails.
    // Promise: the pod has failed, its proxy is gone all the same, and the Job tries again in a new pod.
    // Source: Kubernetes, Jobs, pod backoff failure policy.
    static let jobFails = Story(
        "drain/job-fails",
        story: "A Job's first pod fails, its second does the work.",
        promise: "The proxy of the failed pod is gone all the same, and the Job completes with one failure and one success.",
        source: "Kubernetes, Jobs: pod failures; linkerd2 #11461"
    ) { stage throws(StoryFailure) in
        let job = try BatchStage(stage, annotations: "") { attempt, process in process.exit(attempt == 1 ? 3 : 0) }
        try stage.wait("the end of the Job") { job.status("succeeded") == 1 }
        try stage.check(job.status("failed") == 1 && job.answers == [200, 200], "one failed, one did it: \(job.status("failed")) failed, answers \(job.answers)")
        stage.say("complete after one failure")
    }

    // Story: a Job's proxy is an ordinary container, as before native sidecars, and the work says at its end that the proxy may go.
    // Promise: /shutdown of the proxy is what completes the Job.
    // Source: linkerd-await; config.linkerd.io/proxy-admin-shutdown.
    static let jobAsksProxy = Story(
        "drain/job-asks-proxy",
        story: "A Job's proxy is an ordinary container; the work posts /shutdown to it when it is done.",
        promise: "The proxy takes the request as its end, and the Job is complete; without it the pod would stand for ever.",
        source: "linkerd-await --shutdown; config.linkerd.io/proxy-admin-shutdown"
    ) { stage throws(StoryFailure) in
        var isAsked = false
        let annotations = ", config.linkerd.io/proxy-enable-native-sidecar: 'false', config.linkerd.io/proxy-admin-shutdown: enabled"
        let job = try BatchStage(stage, annotations: annotations) { _, process in
            process.after(.seconds(20)) {
                let caller = Caller(process)
                process.keep(caller)
                isAsked = true
                caller.call("127.0.0.1:4191", "/shutdown", method: .post) { _ in process.exit(0) }
            }
        }
        try stage.wait("the answer to the work's call") { job.answers == [200] }
        stage.world.run(for: .seconds(10))
        try stage.check(!isAsked && job.phase == "Running", "nothing ends before it is asked to: pod \(job.phase)")
        try stage.wait("the end of the Job") { job.status("succeeded") == 1 }
        try stage.check(job.phase == "Succeeded", "pod \(job.phase)")
        stage.say("complete once the proxy was asked to go")
    }
}

/// A meshed server and a Job whose work is one call to it.
private final class BatchStage {
    private let cluster: StageCluster
    /// Of the calls, in order; 0: no answer.
    private(set) var answers: [UInt16] = []
    private var attempts = 0

    /// `done` ends the work's process, told how many attempts there were.
    init(_ stage: Stage, annotations: String, done: @escaping (Int, SimProcess) -> Void) throws(StoryFailure) {
        cluster = try stage.deploy()
        cluster.image("nginx") { process, _ in process.keep(HTTPApplication(process, in: stage.world, port: 80) { _ in HTTPApplication.Answer(body: Array("done\n".utf8)) }) }
        cluster.image("batch") { [unowned self] process, _ in
            attempts += 1
            let attempt = attempts
            let caller = Caller(process)
            process.keep(caller)
            caller.call("api.demo.svc.cluster.local", "/job/\(attempt)") { [unowned self] result in
                answers.append(result.status ?? 0)
                done(attempt, process)
            }
        }
        try cluster.apply(Manifest.servers(1))
        try cluster.ready("api")
        try cluster.apply(
            """
            apiVersion: batch/v1
            kind: Job
            metadata: {name: work, namespace: demo}
            spec:
              template:
                metadata: {annotations: {linkerd.io/inject: enabled\(annotations)}}
                spec: {serviceAccountName: web, restartPolicy: Never, containers: [{name: work, image: batch}]}
            """)
    }

    private var job: KubeObject? { cluster.stored(.jobs, namespace: "demo").first }
    func status(_ name: String) -> Int64 { job?.value.number("status", name) ?? 0 }
    var condition: String { job?.value.items("status", "conditions").first { $0.text("status") == "True" }?.text("type") ?? "none" }
    /// Of the newest pod.
    var phase: String { cluster.stored(.pods, namespace: "demo").last { $0.name.hasPrefix("work-") }?.value.text("status", "phase") ?? "none" }
}
