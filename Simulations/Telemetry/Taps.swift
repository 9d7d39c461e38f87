// Stories of watching requests as they pass.

import Base
import GRPC
import HTTP
import MeshAPI
import Platform
import Scenario
import Simulator
import SwiftProtobuf
import Transport

extension Stories {
    /// A watcher of `pod`'s proxy, in another pod's application.
    private final class Watcher {
        var events: [Mesh.Tap.TapEvent] = []
        var status: GRPCStatus?

        init(_ process: SimProcess, _ address: SocketAddress, _ request: Mesh.Tap.ObserveRequest) {
            process.run {
                let channel = GRPCChannel(batch: FlushBatch(host: process), connector: TCPConnector(host: process, address: address), authority: "tap")
                process.keep(channel)
                process.onShutdown {
                    channel.close()
                    process.exit(0)
                }
                channel.call(Mesh.Tap.observe, request, onMessage: { [self] in events.append($0) }, onEnd: { [self] in status = $0 })
            }
        }

        var requests: [Mesh.Tap.TapEvent.Http.RequestInit] { events.compactMap { if case .requestInit(let event)? = $0.http.event { event } else { nil } } }
        var answers: [UInt32] { events.compactMap { if case .responseInit(let event)? = $0.http.event { event.httpStatus } else { nil } } }
        var ends: Int { events.count { if case .responseEnd? = $0.http.event { true } else { false } } }
    }

    private static func tapped(_ stage: Stage) throws(StoryFailure) -> (mesh: ScriptedMesh, web: ScriptedPod, api: ScriptedPod, tap: SocketAddress) {
        let mesh = try stage.mesh()
        let web = mesh.addPod("web")
        let api = mesh.addPod("api", environment: [("TAP_SVC_NAME", ScriptedPod.identity("tap")), ("CONTROL_LISTEN_ADDR", "0.0.0.0:4190")]) { process in
            process.keep(HTTPApplication(process, in: stage.world, port: 80) { HTTPApplication.Answer("\($0.head.path)".hasPrefix("/no") ? 404 : 200, delay: .milliseconds(5)) })
        }
        mesh.addService("api", api)
        // The control listener is reached directly.
        let service = mesh.addService("api-tap", port: 4190, api)
        service.change = { $1.protocolHint.clearOpaqueTransport() }
        service.publish()
        return (mesh, web, api, service.address)
    }

    private static func watch(limit: UInt32, _ match: (inout Mesh.Tap.ObserveRequest.Match) -> Void) -> Mesh.Tap.ObserveRequest {
        .with {
            $0.limit = limit
            match(&$0.match)
            $0.extract.http.headers = .init()
        }
    }

    // Story: somebody with the right identity watches GETs below a path, at most two, while all kinds of requests pass.
    // Promise: exactly the first two that match are shown, with who asked, the answer and the end, and then the watch is over.
    // Source: linkerd2-proxy linkerd/proxy/tap; facts of the tap API.
    static let tapWatches = Story(
        "telemetry/tap",
        story: "Somebody with the right identity watches GETs below /shop, at most two, while requests of all kinds pass.",
        promise: "Exactly the first two that match are shown, with who asked, their answers and ends, and then the watch is over.",
        source: "linkerd2-proxy linkerd/proxy/tap"
    ) { stage throws(StoryFailure) in
        let (mesh, web, _, address) = try tapped(stage)
        let watching = mesh.addPod("tap")
        try mesh.ready()
        let watcher = Watcher(
            watching.application, address,
            watch(limit: 2) { match in
                match.all.matches = [
                    .with { $0.http.path.prefix = "/shop" }, .with { $0.http.method.registered = .get }, .with { $0.not.http.path.exact = "/shop/hidden" }, .with { $0.source.ports = .with { ($0.min, $0.max) = (1, 65535) } },
                ]
            })
        stage.world.run(for: .seconds(1))
        try stage.check(watcher.status == nil, "the watch is open: \(watcher.status.map { "\($0)" } ?? "")")
        let caller = web.caller()
        for (method, path) in [(HTTPMethod.get, "/other"), (.post, "/shop/1"), (.get, "/shop/hidden"), (.get, "/shop/1?q=1"), (.get, "/shop/no"), (.get, "/shop/3")] { _ = try stage.call(caller, "api", path, method: method) }
        _ = try stage.call(caller, "api", "/no/shop")
        try stage.wait("the end of the watch", within: .seconds(5)) { watcher.status != nil }
        for event in watcher.requests { stage.say("seen: \(event.path)") }
        try stage.check(watcher.status!.isOK, "it ends well: \(watcher.status!)")
        try stage.check(watcher.requests.map(\.path) == ["/shop/1", "/shop/no"], "two requests, not \(watcher.requests.map(\.path))")
        try stage.check(watcher.answers == [200, 200] && watcher.ends == 2, "their answers and ends: \(watcher.answers)")
        let first = watcher.events[0]
        try stage.check(first.sourceMeta.labels["client_id"] == web.identity && first.sourceMeta.labels["tls"] == "true" && first.proxyDirection == .inbound, "and who asked: \(first.sourceMeta.labels["client_id"] ?? "")")
        try stage.check(watcher.requests[0].headers.fields.contains { $0.name == "l5d-client-id" }, "with the headers that the application got")
    }

    // Story: a pod with another identity watches, then one without an identity, then the right one with conditions that make no sense.
    // Promise: the first two are told that they may not; the last what is wrong; traffic goes on.
    // Source: linkerd2-proxy linkerd/app/src/tap.rs: unauthenticated.
    static let tapRefused = Story(
        "telemetry/tap-refused",
        story: "A pod of another identity watches, then a stranger in the clear, then the right one with conditions that make no sense.",
        promise: "Each is told what is wrong, nobody sees a request, and traffic goes on.",
        source: "linkerd2-proxy linkerd/app/src/tap.rs"
    ) { stage throws(StoryFailure) in
        let (mesh, web, api, address) = try tapped(stage)
        let watching = mesh.addPod("tap")
        let other = mesh.addPod("other")
        let stranger = mesh.addPod("stranger", isMeshed: false)
        try mesh.ready()
        let everything = watch(limit: 10) { $0.http.path.prefix = "/" }
        let wrong: [(String, Watcher, GRPCStatus.Code)] = [
            ("another identity", Watcher(other.application, address, everything), .unauthenticated),
            ("a stranger", Watcher(stranger.application, SocketAddress(api.ip, 4190), everything), .unauthenticated),
            ("no limit", Watcher(watching.application, address, watch(limit: 0) { $0.http.path.prefix = "/" }), .invalidArgument),
            ("no condition", Watcher(watching.application, address, watch(limit: 1) { $0 = .init() }), .invalidArgument),
            ("an empty label", Watcher(watching.application, address, watch(limit: 1) { $0.destinationLabel = .init() }), .invalidArgument),
            ("a mask of nothing", Watcher(watching.application, address, watch(limit: 1) { $0.source.netmask = .init() }), .invalidArgument),
        ]
        let caller = web.caller()
        for i in 0..<5 { try stage.check(try stage.call(caller, "api", "/\(i)").status == 200, "a call is answered") }
        stage.world.run(for: .seconds(2))
        for (who, watcher, code) in wrong {
            stage.say("\(who): \(watcher.status.map { "\($0)" } ?? "still open")")
            try stage.check(watcher.status?.code == code && watcher.events.isEmpty, "\(who) is refused with \(code)")
        }
    }

    // Story: a pod is asked for its proxy's state while requests and bytes are under way.
    // Promise: the page shows every connection, balancer with endpoints, route and policy, as JSON.
    // Source: our own; upstream has none, and `linkerd diagnostics` shows parts of it.
    static let stateShown = Story(
        "telemetry/debug-state",
        story: "A proxy is asked for its state while a request waits for a slow answer.",
        promise: "The page shows the connection, the destination with its route, the balancer with its endpoint in use, and on the other side the policy that let it in.",
        source: "our own decision: /debug/state"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let web = mesh.addPod("web")
        let api = mesh.addPod("api") { process in process.keep(HTTPApplication(process, in: stage.world, port: 80) { _ in HTTPApplication.Answer(delay: .seconds(5)) }) }
        mesh.addService("api", api)
        try mesh.ready()
        var answer: CallResult?
        web.caller().call("api", "/slow") { answer = $0 }
        stage.world.run(for: .seconds(1))
        let (near, far) = (web.state, api.state)
        stage.say("the client's proxy says \(near.utf8.count) bytes, the server's \(far.utf8.count)")
        for part in [
            "\"destination\":\"10.96.0.1:80\",\"protocol\":\"HTTP/1.1\",\"streams\":1", "\"authority\":\"api.demo.svc.cluster.local:80\",\"isFailingFast\":false,\"queued\":0,\"ready\":1",
            "\"addr\":\"\(api.ip):80\",\"identity\":\"\(api.identity)\"", "\"state\":\"ready\",\"isReady\":true,\"inFlight\":1",
        ] { try stage.check(near.contains(part), "the client's side shows \(part): \(near)") }
        for part in ["\"identity\":\"\(web.identity)\",\"tls\":true,\"target\":\"\(api.ip):80\",\"protocol\":\"HTTP/2\",\"streams\":1", "\"protocol\":\"detect\""] {
            try stage.check(far.contains(part), "the server's side shows \(part): \(far)")
        }
        try stage.wait("the answer", within: .seconds(10)) { answer?.status == 200 }
    }
}
