// Stories of an API server that fails its clients: killed and started again, cut off at every point of a watch, and slow.

import Base
import HTTP
import Kube
import Platform
import Scenario
import Simulator
import Transport

extension Stories {
    // Story: the API server is killed twice while calls go on and pods come.
    // Promise: calls are not disturbed; what was acknowledged is there afterwards, down to identity and version; what came meanwhile is found.
    // Source: our own decision: a commit before every answer.
    static let apiServerKilled = Story(
        "cluster/api-server-killed",
        story: "The API server is killed twice in the middle of writes, and started again on its volume, while pods call each other.",
        promise: "No call fails; every acknowledged write is there again with its identity; a pod added afterwards is found by the callers.",
        source: "Kubernetes API concepts: resource versions; our own: a commit before every answer"
    ) { stage throws(StoryFailure) in
        let cluster = try stage.deploy { $0.keepsObjects = true }
        cluster.image("nginx") { process, pod in
            process.keep(HTTPApplication(process, in: stage.world, port: 80) { _ in HTTPApplication.Answer(body: Array(pod.name.utf8)) })
        }
        try cluster.apply(Manifest.servers(1))
        let caller = try cluster.ready("web").caller()
        try cluster.ready("api-0")
        var acknowledged: [(name: String, uid: String)] = []
        var isWriting = true
        var number = 0
        func write() {
            guard isWriting else { return }
            number += 1
            let name = "note-\(number)"
            _ = cluster.client.create(.configMaps, KubeObject(.configMaps, namespace: "demo", name: name)) { result in
                if case .success(let object) = result { acknowledged.append((name, object.uid)) }
                stage.world.after(.milliseconds(10)) { cluster.onAgent { write() } }
            }
        }
        for life in 2...3 {
            isWriting = true
            cluster.onAgent { for _ in 0..<4 { write() } }
            stage.world.run(for: .milliseconds(300))
            let before = acknowledged.count
            try cluster.killAPIServer(for: .seconds(5))
            isWriting = false
            let present = cluster.stored(.configMaps, namespace: "demo")
            for (name, uid) in acknowledged.prefix(before) {
                let found = present.first { $0.name == name }?.uid
                try stage.check(found == uid, "\(name) is there again as \(uid), not \(found ?? "nothing")")
            }
            stage.say("life \(life): \(before) acknowledged writes, all there")
            for i in 0..<5 {
                let result = try stage.call(caller, "api.demo")
                try stage.check(result.status == 200, "call \(i) is answered, not \(result.summary)")
            }
            stage.world.run(for: .seconds(10))
        }
        try cluster.apply(Manifest.server("api-1"))
        try cluster.ready("api-1", within: .minutes(3))
        var seen: [String] = []
        for _ in 0..<200 where seen.count < 2 {
            stage.world.run(for: .seconds(1))
            let name = try stage.call(caller, "api.demo").text
            if !seen.contains(name) { seen.append(name) }
        }
        stage.say("answers come from \(seen.joined(separator: " and "))")
        try stage.check(seen.contains("api-1"), "the new pod is found")
    }

    // Story: an informer's connection is reset at every point of a watch, after each of which the history may be compacted.
    // Promise: after each cut the informer holds what the server holds; no object goes back to an older version; nothing is told twice.
    // Source: Kubernetes API concepts: watch, bookmarks, 410 Gone. kubernetes/kubernetes #55860.
    static let watchCutEverywhere = Story(
        "cluster/watch-cut-everywhere",
        story: "A watch is cut after each of sixty changes, at a different microsecond each time; every third time the history is forgotten as well.",
        promise: "After each cut the informer holds what the server holds, and never went back to an older version.",
        source: "Kubernetes API concepts: watch, 410 Gone; kubernetes #55860"
    ) { stage throws(StoryFailure) in
        let cluster = try stage.deploy()
        try cluster.apply("{apiVersion: v1, kind: Namespace, metadata: {name: demo}}")
        var known: [String: UInt64] = [:]
        var wentBack: String?
        var informer: Informer!
        cluster.onAgent {
            informer = Informer(client: cluster.client, .configMaps, namespace: "demo")
            informer.onChange { change in
                switch change {
                case .added(let object), .updated(_, let object):
                    let version = UInt64(object.resourceVersion) ?? 0
                    if let last = known[object.name], version <= last { wentBack = "\(object.name) came with version \(version) after \(last)" }
                    known[object.name] = version
                case .deleted: break
                }
            }
            informer.start()
        }
        try stage.wait("first list") { informer.hasSynced }
        var compactions = 0
        for step in 0..<60 {
            let name = "note-\(step % 7)"
            if step % 7 == 6, step > 10 {
                try cluster.delete(.configMaps, "demo", "note-\(step % 5)", mayBeGone: true)
            } else {
                try cluster.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: \(name), namespace: demo}, data: {step: \"\(step)\"}}")
            }
            // Each time another point on the way of the change: in the server, on the wire, in the reader.
            stage.world.run(for: .microseconds(Int64(step) * 37))
            stage.world.resetConnections(cluster.apiNode, cluster.agentNode)
            if step % 3 == 0 {
                compactions += 1
                cluster.forgetHistory()
            }
            try stage.wait("the informer to hold what the server holds after cut \(step)", within: .minutes(2)) {
                func shape(_ objects: [KubeObject]) -> [String] { objects.filter { $0.name.hasPrefix("note-") }.map { "\($0.name) \($0.resourceVersion)" }.sorted() }
                return shape(cluster.stored(.configMaps, namespace: "demo")) == shape(informer.objects)
            }
            try stage.check(wentBack == nil, wentBack ?? "")
        }
        stage.say("60 cuts, \(compactions) compactions; the informer holds \(informer.objects.count) objects")
        cluster.onAgent { informer.stop() }
    }

    // Story: the API server answers late: its link is slow, and it stands still for seconds again and again.
    // Promise: traffic goes on; what changes meanwhile is found in the end; nobody gives up.
    // Source: Linkerd: destination must serve from its cache while the API server is slow (#9431).
    static let slowAPIServer = Story(
        "cluster/api-server-slow",
        story: "The API server stands still for eight seconds of every ten, and its wire takes half a second, while a server pod is replaced.",
        promise: "No call fails, and the new pod is found.",
        source: "linkerd2 #9431; Kubernetes: clients must not take a silent watch for a quiet one"
    ) { stage throws(StoryFailure) in
        let cluster = try stage.deploy()
        cluster.image("nginx") { process, pod in
            process.keep(HTTPApplication(process, in: stage.world, port: 80) { _ in HTTPApplication.Answer(body: Array(pod.name.utf8)) })
        }
        try cluster.apply(Manifest.servers(1))
        let caller = try cluster.ready("web").caller()
        try cluster.ready("api-0")
        var isSlow = true
        func stall() {
            guard isSlow else { return }
            stage.world.freeze(cluster.apiProcess, for: .seconds(8))
            stage.world.after(.seconds(10)) { stall() }
        }
        stall()
        stage.world.apply(.clog("kube-apiserver", "linkerd-destination", .milliseconds(500)))
        stage.say("the API server is slow from now on")
        try cluster.apply(Manifest.server("api-1"))
        try cluster.ready("api-1", within: .minutes(5))
        var seen: [String] = []
        for i in 0..<120 where seen.count < 2 {
            stage.world.run(for: .seconds(1))
            let result = try stage.call(caller, "api.demo")
            try stage.check(result.status == 200, "call \(i) is answered, not \(result.summary)")
            if !seen.contains(result.text) { seen.append(result.text) }
        }
        isSlow = false
        stage.say("answers come from \(seen.joined(separator: " and "))")
        try stage.check(seen.contains("api-1"), "the new pod is found")
        // The last standstill ends before the world does.
        stage.world.run(for: .seconds(20))
    }
}
