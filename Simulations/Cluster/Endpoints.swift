// Stories of a cluster that changes under the traffic.

import Base
import HTTP
import Kube
import Scenario
import Simulator

extension Stories {
    // Story: a server pod is deleted and another takes its place at another address, under steady calls.
    // Promise: calls move to the new pod within two seconds of its readiness; none is answered by a stranger.
    // Source: Linkerd's largest family of bugs, stale endpoints (#8956, #10491, #11480).
    static let endpointReplaced = Story(
        "cluster/endpoint-replaced",
        story: "A server pod is deleted and another takes its place at another address, under steady calls.",
        promise: "Calls move to the new pod within two seconds; none goes to the old address.",
        source: "linkerd2 #8956, #10491, #11480"
    ) { stage throws(StoryFailure) in
        let cluster = try stage.deploy()
        cluster.image("nginx") { process, pod in
            process.keep(HTTPApplication(process, in: stage.world, port: 80) { _ in HTTPApplication.Answer(body: Array(pod.name.utf8)) })
        }
        try cluster.apply(Manifest.servers(1))
        let caller = try cluster.ready("web").caller()
        try cluster.ready("api-0")
        try stage.check(try stage.call(caller, "api.demo").text == "api-0", "api-0 answers at first")
        try cluster.apply(Manifest.server("api-1"))
        try cluster.ready("api-1")
        try cluster.delete(.pods, "demo", "api-0")
        stage.say("api-0 is being deleted, api-1 is ready")
        stage.world.run(for: .seconds(2))
        for i in 0..<10 {
            let result = try stage.call(caller, "api.demo")
            try stage.check(result.status == 200 && result.text == "api-1", "call \(i) is answered by api-1, not by \(result.text) (\(result.summary))")
        }
        stage.say("ten calls answered by api-1")
    }

    // Story: the API server restarts without memory of its watch history, and pods change meanwhile.
    // Promise: traffic is not disturbed, and the changes arrive when it is back (relist on 410).
    // Source: Kubernetes API concepts, 410 Gone.
    static let apiServerRestarts = Story(
        "cluster/api-server-partitioned",
        story: "The destination controller loses the API server for a minute while a pod is added.",
        promise: "Traffic goes on undisturbed, and the new pod is found when the API server is back.",
        source: "Kubernetes API concepts: watch, 410 Gone"
    ) { stage throws(StoryFailure) in
        let cluster = try stage.deploy()
        cluster.image("nginx") { process, pod in
            process.keep(HTTPApplication(process, in: stage.world, port: 80) { _ in HTTPApplication.Answer(body: Array(pod.name.utf8)) })
        }
        try cluster.apply(Manifest.servers(1))
        let caller = try cluster.ready("web").caller()
        try cluster.ready("api-0")
        stage.world.partition(cluster.apiNode, cluster.destinationNode)
        stage.say("destination has lost the API server")
        try cluster.apply(Manifest.server("api-1"))
        try cluster.ready("api-1", within: .minutes(3))
        for i in 0..<6 {
            stage.world.run(for: .seconds(10))
            let result = try stage.call(caller, "api.demo")
            try stage.check(result.status == 200, "call \(i) is answered meanwhile, not \(result.summary)")
        }
        stage.world.heal(cluster.apiNode, cluster.destinationNode)
        stage.say("healed")
        var seen: [String] = []
        for _ in 0..<400 where seen.count < 2 {
            stage.world.run(for: .seconds(1))
            let name = try stage.call(caller, "api.demo").text
            if !seen.contains(name) { seen.append(name) }
        }
        stage.say("answers come from \(seen.joined(separator: " and "))")
        try stage.check(seen.contains("api-0") && seen.contains("api-1"), "both pods answer in the end")
    }

    // Story: three servers are replaced one after the other under steady calls.
    // Promise: not one call fails.
    // Source: graceful drain; Linkerd's promise for rolling updates.
    static let rollingRestart = Story(
        "cluster/rolling-restart",
        story: "Three servers are replaced one after the other under fifty calls a second.",
        promise: "Not one call fails.",
        source: "graceful drain: GOAWAY, endpoints removed before connections close"
    ) { stage throws(StoryFailure) in
        let cluster = try stage.deploy()
        cluster.image("nginx") { process, pod in
            process.keep(HTTPApplication(process, in: stage.world, port: 80) { _ in HTTPApplication.Answer(body: Array(pod.name.utf8), delay: .milliseconds(5)) })
        }
        try cluster.apply(Manifest.servers(3))
        let caller = try cluster.ready("web").caller()
        for i in 0..<3 { try cluster.ready("api-\(i)") }
        let calls = SteadyCalls(stage, caller, "api.demo", every: .milliseconds(20))
        for i in 0..<3 {
            try cluster.apply(Manifest.server("api-\(i + 3)"))
            try cluster.ready("api-\(i + 3)")
            stage.world.run(for: .seconds(1))
            try cluster.delete(.pods, "demo", "api-\(i)")
            stage.world.run(for: .seconds(5))
        }
        try calls.end(" during the restart")
    }
}
