// Stories of proxies that are asked to stop: what is under way ends well, what comes later goes elsewhere, and a Job ends.

import Base
import HTTP
import MeshAPI
import Platform
import Scenario
import Simulator

extension Stories {
    private static func slow(_ mesh: ScriptedMesh, _ stage: Stage, _ name: String, delay: Interval = .seconds(2), environment: [(name: String, value: String?)] = []) -> ScriptedPod {
        mesh.addPod(name, account: "api", environment: environment) { process in
            process.keep(HTTPApplication(process, in: stage.world, port: 80) { "\($0.head.path)".hasPrefix("/slow") ? HTTPApplication.Answer(body: Array(name.utf8), delay: delay) : HTTPApplication.Answer(body: Array(name.utf8)) })
        }
    }

    private static func ended(_ stage: Stage, _ pod: ScriptedPod, within limit: Interval) throws(StoryFailure) -> Interval {
        let began = stage.world.now
        try stage.wait("the end of \(pod.name)'s proxy", within: limit) { !pod.proxy!.isRunning }
        try stage.check(pod.proxy!.state == .exited(0), "it ends with status 0, not \(pod.proxy!.state)")
        return stage.world.now - began
    }

    // Story: a server's proxy is asked to stop while requests of two versions wait for slow answers; another server stays.
    // Promise: both are answered, calls made meanwhile go to the other, none fails, and the proxy ends when the last answer is out.
    // Source: linkerd2-proxy drain; linkerd2 #4758, #7328: 502s while pods terminate.
    static let drainServer = Story(
        "drain/server",
        story: "A server's proxy is asked to stop while requests wait for slow answers; another server stays.",
        promise: "All are answered, calls made meanwhile go to the other server, and the proxy ends right after the last answer.",
        source: "linkerd2-proxy linkerd/proxy/http/src/server.rs: drain; linkerd2 #7328"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let web = mesh.addPod("web")
        let going = slow(mesh, stage, "api-0")
        let staying = slow(mesh, stage, "api-1")
        let service = mesh.addService("api", going, staying)
        try mesh.ready()
        let caller = web.caller()
        var results: [CallResult] = []
        for version in [HTTPVersion.http11, .http2] { for i in 0..<8 { caller.call("api", "/slow/\(version)/\(i)", version: version) { results.append($0) } } }
        stage.world.run(for: .milliseconds(500))
        going.proxy!.stop()
        service.pods = [staying]
        stage.world.run(for: .milliseconds(100))
        for i in 0..<10 {
            let result = try stage.call(caller, "api", "/\(i)")
            try stage.check(result.status == 200 && result.text == "api-1", "a call made meanwhile goes to the other: \(result.summary) \(result.text)")
        }
        let took = try ended(stage, going, within: .seconds(5))
        try stage.wait("all answers") { results.count == 16 }
        stage.say("16 answers, \(results.count { $0.text == "api-0" }) of them from the one that went; it was gone after \(took)")
        try stage.check(results.allSatisfy { $0.status == 200 }, "all are answered: \(results.filter { $0.status != 200 }.map(\.summary))")
        try stage.check(results.contains { $0.text == "api-0" }, "some by the one that went")
    }

    // Story: a client's proxy is asked to stop while its application waits for an answer and keeps an idle connection.
    // Promise: the answer comes, the connection is closed behind it, and the proxy ends at once then.
    // Source: linkerd2-proxy drain of HTTP/1: connection: close.
    static let drainClient = Story(
        "drain/client",
        story: "A client's proxy is asked to stop while its application waits for an answer and keeps an idle connection besides.",
        promise: "The answer comes, both connections are closed, and the proxy ends right then, not at the end of the grace period.",
        source: "linkerd2-proxy linkerd/app/src/lib.rs: graceful shutdown"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let web = mesh.addPod("web")
        mesh.addService("api", slow(mesh, stage, "api"))
        try mesh.ready()
        let caller = web.caller()
        let idle = caller.talk("api", 80)
        idle.say("GET /quick HTTP/1.1\r\nhost: api\r\n\r\n")
        try stage.wait("the first answer") { idle.text.hasSuffix("api") }
        var answer: CallResult?
        caller.call("api", "/slow") { answer = $0 }
        stage.world.run(for: .milliseconds(500))
        web.proxy!.stop()
        try stage.wait("the end of the idle connection", within: .seconds(1)) { idle.isFinished || idle.isClosed }
        idle.close()
        let took = try ended(stage, web, within: .seconds(5))
        try stage.wait("the answer", within: .seconds(1)) { answer != nil }
        stage.say("answered \(answer?.summary ?? "never"), ended after \(took)")
        try stage.check(answer?.status == 200, "the answer came")
        try stage.check(took < .seconds(3), "it does not wait for the grace period: \(took)")
    }

    // Story: bytes flow through a proxy that is asked to stop.
    // Promise: they go on both ways until the client is done, and the proxy ends with it.
    // Source: linkerd2-proxy drain: TCP connections are left to end by themselves within the grace period.
    static let drainBytes = Story(
        "drain/bytes",
        story: "Bytes flow through two proxies, and the server's is asked to stop.",
        promise: "They go on both ways until the client is done; then the proxy ends with status 0.",
        source: "linkerd2-proxy linkerd/app/core/src/serve.rs"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let web = mesh.addPod("web")
        let pod = mesh.addPod("tcp") { $0.keep(EchoApplication($0, port: 9000)) }
        let tcp = mesh.addService("tcp", port: 9000, pod)
        tcp.policy = .opaque(tcp)
        try mesh.ready()
        let talk = web.caller().talk("tcp", 9000)
        talk.say("one ")
        try stage.wait("an echo") { talk.text == "one " }
        pod.proxy!.stop()
        for word in ["two ", "three ", "four "] {
            stage.world.run(for: .seconds(2))
            talk.say(word)
        }
        try stage.wait("the echoes") { talk.text == "one two three four " }
        try stage.check(pod.proxy!.isRunning, "the proxy is still there")
        talk.close()
        stage.say("the client was done; the proxy ended \(try ended(stage, pod, within: .seconds(2))) later")
    }

    // Story: a job finishes its work and asks its proxy to end; another job's proxy does not allow it.
    // Promise: the first pod is over, status 0; the second proxy answers 404 and stays.
    // Source: linkerd2 #1869, #8006: jobs never complete; config.linkerd.io/proxy-admin-shutdown.
    static let jobCompletes = Story(
        "drain/job",
        story: "A job does its work and asks its proxy to end; another's proxy does not allow it.",
        promise: "The first pod is over with status 0; the other proxy says 404 and stays.",
        source: "linkerd2 #1869: jobs never complete; config.linkerd.io/proxy-admin-shutdown"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let job = mesh.addPod("job", environment: [("SHUTDOWN_ENDPOINT_ENABLED", "true")])
        let other = mesh.addPod("stuck")
        mesh.addService("api", slow(mesh, stage, "api"))
        try mesh.ready()
        for (pod, status) in [(job, UInt16(200)), (other, 404)] {
            let caller = pod.caller()
            try stage.check(try stage.call(caller, "api", "/work").status == 200, "\(pod.name) does its work")
            let asked = try stage.call(caller, "127.0.0.1:4191", "/shutdown", method: .post)
            stage.say("\(pod.name) asks its proxy to end: \(asked.summary)")
            try stage.check(asked.status == status, "\(pod.name) is answered \(status), not \(asked.summary)")
        }
        job.application.stop()
        stage.say("the job's proxy ended after \(try ended(stage, job, within: .seconds(5)))")
        try stage.check(other.proxy!.isRunning, "the other proxy stays")
    }

    // Story: the servers behind steady calls are asked to stop one after the other, each replaced by a new one first.
    // Promise: no call fails, none is served twice.
    // Source: linkerd2 #6146, #7328: errors during rolling restarts.
    static let drainRolling = Story(
        "drain/rolling",
        story: "Servers behind steady calls are replaced one after the other: a new one comes, the old one leaves the service and is asked to stop.",
        promise: "No call fails and none is served twice.",
        source: "linkerd2 #6146: errors during rolling restarts"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let web = mesh.addPod("web")
        var pods = (0..<3).map { slow(mesh, stage, "api-\($0)", delay: .milliseconds(80)) }
        let service = mesh.addService("api", pods[0], pods[1], pods[2])
        try mesh.ready()
        let caller = web.caller()
        var results: [CallResult] = []
        var made = 0
        func call(_ count: Int) {
            for _ in 0..<count {
                made += 1
                let name = "/slow/\(made)"
                caller.call("api", name, version: made % 2 == 0 ? .http2 : .http11, headers: [("x-story-request", name)]) { results.append($0) }
                stage.world.run(for: .milliseconds(10))
            }
        }
        call(50)
        for i in 0..<3 {
            let fresh = slow(mesh, stage, "api-\(i + 3)", delay: .milliseconds(80))
            try stage.wait("the new server") { fresh.isReady }
            let old = pods.removeFirst()
            pods.append(fresh)
            service.pods = pods
            old.proxy!.stop()
            call(60)
            _ = try ended(stage, old, within: .seconds(10))
        }
        try stage.wait("the answers") { results.count == made }
        stage.say("\(made) calls, \(results.count { $0.status == 200 }) answered well")
        try stage.check(results.allSatisfy { $0.status == 200 }, "none fails: \(results.filter { $0.status != 200 }.prefix(3).map(\.summary))")
    }
}
