// Stories of what was true a moment ago: addresses that are gone, belong to somebody else, or were missed while nobody told us.

import Base
import HTTP
import MeshAPI
import Platform
import Scenario
import Simulator
import SwiftProtobuf

extension Stories {
    // Story: a service shrinks from ten pods to two at once, the pods die a moment later, and calls go on.
    // Promise: no call fails, and none is made to a pod that was taken out.
    // Source: linkerd2 #6842: proxies that dial addresses from before a scale-down.
    static let scaleDown = Story(
        "stale/scale-down",
        story: "A service shrinks from ten pods to two at once, the pods die a moment later, and calls go on.",
        promise: "No call fails, and no connection is made to a pod that was taken out.",
        source: "linkerd2 #6842"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let web = mesh.addPod("web")
        let caller = web.caller()
        let pods = (0..<10).map { i in mesh.addPod("api-\(i)") { named($0, "api-\(i)", stage) } }
        let api = mesh.addService("api")
        api.pods = pods
        try mesh.ready()
        for i in 0..<20 { _ = try stage.call(caller, api.url, "/before/\(i)") }
        api.pods = Array(pods.prefix(2))
        stage.world.run(for: .milliseconds(200))
        for pod in pods.dropFirst(2) { stage.world.crash(pod.node) }
        let opened = web.metric("tcp_open_total", "peer=\"dst\"", "direction=\"outbound\"")
        for i in 0..<40 {
            let result = try stage.call(caller, api.url, "/after/\(i)")
            try stage.check(result.status == 200 && ["api-0", "api-1"].contains(result.text), "call \(i) goes to a pod that is left, not \(result.text) (\(result.summary))")
            stage.world.run(for: .milliseconds(100))
        }
        let later = web.metric("tcp_open_total", "peer=\"dst\"", "direction=\"outbound\"")
        stage.say("forty calls answered by the two that are left, \(Int(later - opened)) connections made meanwhile")
        try stage.check(later == opened, "nobody dials what is gone")
    }

    // Story: a pod dies, its address goes to a pod of another account, and the proxy has not been told yet.
    // Promise: the stranger never gets a request that was not meant for it.
    // Source: linkerd2 #10406: a stale address taken over by another pod.
    static let addressReused = Story(
        "stale/address-reused",
        story: "A pod dies, its address goes to a pod of another account, and the controller is slow to say so.",
        promise: "The stranger never gets a request that was not meant for it; when the news comes, calls are answered again.",
        source: "linkerd2 #10406"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let caller = mesh.addPod("web").caller()
        let old = mesh.addPod("api-0") { named($0, "api", stage) }
        let api = mesh.addService("api", old)
        try mesh.ready()
        try stage.check(try stage.call(caller, api.url).text == "api", "the pod answers")
        mesh.isSilent = true
        stage.world.removeNode(old.node)
        var strangers = 0
        mesh.addPod("other", ip: old.ip) { process in
            process.keep(
                HTTPApplication(process, in: stage.world, port: 80) { _ in
                    strangers += 1
                    return HTTPApplication.Answer(body: Array("stranger".utf8))
                })
        }
        stage.world.run(for: .seconds(3))
        for i in 0..<4 {
            let result = try stage.call(caller, api.url, "/\(i)", timeout: .seconds(10))
            try stage.check(result.status != 200, "call \(i) is not answered by a stranger: \(result.summary)")
        }
        stage.say("four calls refused, the stranger saw \(strangers) requests")
        try stage.check(strangers == 0, "the stranger never got one")
        let new = mesh.addPod("api-1") { named($0, "api-1", stage) }
        api.pods = [new]
        mesh.isSilent = false
        try mesh.stage.wait("the new pod") { new.isReady }
        stage.world.run(for: .seconds(1))
        let back = try stage.call(caller, api.url)
        try stage.check(back.text == "api-1", "the new pod answers, not \(back.text) (\(back.summary))")
    }

    // Story: the way to the control plane is cut for a minute; meanwhile one pod goes and another comes.
    // Promise: calls go on to the pods that are known and live, and after the cut the first message replaces the whole set.
    // Source: linkerd2 #11480; linkerd2-proxy api-resolve: the first Add after a reconnect.
    static let controllerLost = Story(
        "stale/controller-lost",
        story: "The way to the control plane is cut for a minute; meanwhile one pod goes and another comes.",
        promise: "Calls go on to the pod that is known and lives; afterwards the new set replaces the old, whole.",
        source: "linkerd2 #11480; linkerd2-proxy api-resolve"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let web = mesh.addPod("web")
        let caller = web.caller()
        let pods = (0..<3).map { i in mesh.addPod("api-\(i)") { named($0, "api-\(i)", stage) } }
        let api = mesh.addService("api", pods[0], pods[1])
        try mesh.ready()
        _ = try stage.call(caller, api.url)
        stage.world.partition(web.node, mesh.control.node)
        stage.world.crash(pods[0].node)
        api.pods = [pods[1], pods[2]]
        // The connection to the dead pod is noticed by its keep-alive; from then on no call may fail.
        var failed = 0
        for i in 0..<25 {
            stage.world.run(for: .seconds(2))
            let result = try stage.call(caller, api.url, "/\(i)", timeout: .seconds(20))
            if result.status != 200 { failed += 1 }
            if i >= 8 { try stage.check(result.text == "api-1", "call \(i) goes to the pod that lives, not \(result.summary)") }
        }
        stage.say("while cut off for a minute \(failed) of 25 calls failed")
        stage.world.heal(web.node, mesh.control.node)
        var names: [String] = []
        for i in 0..<120 where names.count < 2 {
            stage.world.run(for: .seconds(1))
            let result = try stage.call(caller, api.url, "/healed/\(i)", timeout: .seconds(5))
            if result.status == 200, !names.contains(result.text) { names.append(result.text) }
        }
        stage.say("afterwards answers come from \(names.sorted().joined(separator: " and "))")
        try stage.check(names.sorted() == ["api-1", "api-2"], "the new set replaces the old: \(names.sorted())")
    }

    // Story: a client keeps a connection to the address of one pod, as clients of headless services do; the pod goes.
    // Promise: the connection ends, so that the client resolves anew, instead of being held open on a dead address.
    // Source: linkerd2 #5209: stuck on a stale address after a rollout of a headless service.
    static let headlessPod = Story(
        "stale/headless-pod",
        story: "A client keeps a connection to the address of one pod, as clients of headless services do; the pod goes.",
        promise: "The client gets an error that closes its connection, so that it resolves anew.",
        source: "linkerd2 #5209"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let caller = mesh.addPod("web").caller()
        let pod = mesh.addPod("api-0") { named($0, "api-0", stage) }
        try mesh.ready()
        let address = SocketAddress(pod.ip, 80)
        var backend = Mesh.Outbound.Backend.forward(address)
        backend.forward.tlsIdentity.dnsLikeIdentity.name = pod.identity
        backend.forward.protocolHint.h2 = .init()
        backend.forward.protocolHint.opaqueTransport.inboundPort = 4143
        backend.forward.http2.keepAlive = .with { ($0.interval, $0.timeout, $0.whileIdle) = (Mesh.duration(.seconds(10)), Mesh.duration(.seconds(3)), true) }
        mesh.policies["\(address)"] = .with { policy in
            policy.metadata = Mesh.Meta.Metadata(default: "endpoint")
            policy.protocol.detect.http1.routes = [.named("http") { [backend] in $0.backends = .first(backend) }]
            policy.protocol.detect.http2.routes = policy.protocol.detect.http1.routes
            policy.protocol.detect.opaque.routes = [.to(backend)]
        }
        let talk = caller.talk("\(pod.ip)", 80)
        talk.say("GET / HTTP/1.1\r\nhost: api\r\n\r\n")
        try stage.wait("the first answer") { talk.text.contains("api-0") }
        stage.world.crash(pod.node)
        stage.world.run(for: .seconds(1))
        talk.say("GET /again HTTP/1.1\r\nhost: api\r\n\r\n")
        try stage.wait("the end of the connection", within: .seconds(40)) { talk.isFinished || talk.isClosed }
        let second = talk.text.split(separator: "HTTP/1.1 ").last.map { $0.prefix(3) } ?? ""
        stage.say("the second request got \(second), and the connection ended")
        try stage.check(second == "502" || second == "504", "the second request fails as a gateway fails: \(second)")
        try stage.check(talk.text.lowercased().contains("connection: close"), "the client is told to let go of the connection")
    }

    // Story: a route splits between two backends, one of which never has endpoints; controllers say nothing of empty services.
    // Promise: all calls go to the other one; the empty one neither blocks them nor eats its share.
    // Source: linkerd2 #11493; linkerd2 2.20: no message for an empty service.
    static let emptyBackend = Story(
        "stale/empty-backend",
        story: "A route splits evenly between two backends, one of which never has endpoints, and the controller says nothing of it.",
        promise: "After one fail-fast time all calls go to the other backend.",
        source: "linkerd2 #11493; linkerd2 2.20: silence for empty services"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh { $0.hidesEmptiness = true }
        let caller = mesh.addPod("web").caller()
        let full = mesh.addService("full", mesh.addPod("full") { named($0, "full", stage) })
        let empty = mesh.addService("empty")
        let api = mesh.addService("api")
        let (a, b) = (full.backend, empty.backend)
        api.route(.named("split") { $0.backends = .weighted((a, 1), (b, 1)) })
        try mesh.ready()
        var early: [UInt16?] = []
        for i in 0..<10 where !early.contains(504) { early.append(try stage.call(caller, api.url, "/early/\(i)").status) }
        try stage.check(early.contains(504), "some call waits for the empty backend: \(early)")
        for i in 0..<20 {
            let result = try stage.call(caller, api.url, "/\(i)")
            try stage.check(result.text == "full" && result.latency < .milliseconds(100), "call \(i) goes to the other backend at once, not \(result.summary)")
        }
        stage.say("twenty calls went to the backend that has endpoints")
    }

    // Story: the destination service accepts streams and says nothing, later it speaks.
    // Promise: the proxy asks again every few seconds instead of waiting for ever, and calls succeed as soon as it is told.
    // Source: linkerd2: CONTROL_STREAM_INITIAL_TIMEOUT; destination controllers that hang.
    static let silentController = Story(
        "stale/silent-controller",
        story: "The control plane accepts streams and says nothing; later it speaks.",
        promise: "The proxy asks again every few seconds instead of waiting for ever, and calls are answered once it is told.",
        source: "linkerd2-proxy tonic-stream: initial timeout"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let caller = mesh.addPod("web").caller()
        let api = mesh.addService("api", mesh.addPod("api") { named($0, "api", stage) })
        try mesh.ready()
        mesh.isSilent = true
        var result: CallResult?
        caller.call(api.url, timeout: .seconds(60)) { result = $0 }
        stage.world.run(for: .seconds(12))
        let asked = mesh.questions.filter { $0.method == "Watch" && $0.subject == "\(api.address)" }.count
        stage.say("asked \(asked) times in twelve seconds of silence")
        try stage.check(asked >= 3, "the proxy asks again: \(asked) times")
        try stage.check(result == nil, "the call waits")
        mesh.isSilent = false
        try stage.wait("the answer", within: .seconds(10)) { result != nil }
        try stage.check(result?.status == 200, "the call is answered, not \(result!.summary)")
    }

    // Story: discovery of an address is unused for a little less, and then for a little more, than five seconds.
    // Promise: within five seconds nothing is asked again; after them the streams end and the next call asks anew.
    // Source: linkerd2-proxy: OUTBOUND_DISCOVERY_IDLE_TIMEOUT.
    static let discoveryIdle = Story(
        "stale/discovery-idle",
        story: "An address is unused for 4.9 seconds, and later for 5.1.",
        promise: "Within five seconds what is known is used again; after them the next call asks anew.",
        source: "linkerd2-proxy: OUTBOUND_DISCOVERY_IDLE_TIMEOUT"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let caller = mesh.addPod("web").caller()
        let api = mesh.addService("api", mesh.addPod("api") { named($0, "api", stage) })
        try mesh.ready()
        func visit(after pause: Interval) throws(StoryFailure) -> Int {
            stage.world.run(for: pause)
            let result = try stage.call(caller, api.url)
            try stage.check(result.status == 200, "the call is answered, not \(result.summary)")
            caller.closeConnections()
            return mesh.questions.filter { $0.method == "Watch" && $0.subject == "\(api.address)" }.count
        }
        let counts = [try visit(after: .zero), try visit(after: .milliseconds(4_900)), try visit(after: .milliseconds(5_100))]
        stage.say("asked \(counts[0]) time at first, \(counts[1]) after 4.9 s, \(counts[2]) after 5.1 s")
        try stage.check(counts == [1, 1, 2], "once for both of the first, again for the third: \(counts)")
    }
}
