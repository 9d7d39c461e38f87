// Stories of policy routes: which backend takes a request, and what filters do to it on the way.

import Base
import HTTP
import MeshAPI
import Platform
import Scenario
import Simulator
import SwiftProtobuf

extension Stories {
    // Story: two versions of a service; a route leads requests with a header to the new one, another splits nine to one.
    // Promise: the header always wins, the split keeps its proportion, and a backend of weight 0 gets nothing.
    // Source: Gateway API HTTPRoute; linkerd2-proxy linkerd/http/route.
    static let routesAndWeights = Story(
        "outbound/routes-and-weights",
        story: "A route leads requests with a header to one version; another splits the rest nine to one, with a third version at weight 0.",
        promise: "The header always wins, the split keeps its proportion, and weight 0 gets nothing.",
        source: "Gateway API: HTTPRoute; linkerd2-proxy linkerd/http/route"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let caller = mesh.addPod("web").caller()
        var versions: [ScriptedService] = []
        for name in ["api-v1", "api-v2", "api-v3"] { versions.append(mesh.addService(name, mesh.addPod(name) { named($0, name, stage) })) }
        let api = mesh.addService("api")
        let (v1, v2, v3) = (versions[0].backend, versions[1].backend, versions[2].backend)
        api.route(
            .named("canary") {
                $0.matches = [.header("x-canary", "yes")]
                $0.backends = .first(v2)
            },
            .named("split") { $0.backends = .weighted((v1, 9), (v2, 1), (v3, 0)) })
        try mesh.ready()
        for i in 0..<10 {
            let result = try stage.call(caller, api.url, "/\(i)", headers: [("x-canary", "yes")])
            try stage.check(result.text == "api-v2", "the header leads to v2, not to \(result.text) (\(result.summary))")
        }
        var counts = [0, 0, 0]
        for i in 0..<200 {
            let result = try stage.call(caller, api.url, "/split/\(i)")
            if let index = ["api-v1", "api-v2", "api-v3"].firstIndex(of: result.text) { counts[index] += 1 }
        }
        stage.say("of 200 calls \(counts[0]) went to v1, \(counts[1]) to v2, \(counts[2]) to v3")
        try stage.check(counts[2] == 0 && counts[0] + counts[1] == 200 && (8...36).contains(counts[1]), "nine to one, and none to v3: \(counts)")
    }

    // Story: a route replaces a path prefix by a redirect, another changes heads both ways, a third fails on purpose.
    // Promise: the client is sent to the right place, both sides see the changed heads, and the application is not asked in vain.
    // Source: Gateway API filters; linkerd2-proxy linkerd/http/route/src/http/filter.
    static let routeFilters = Story(
        "outbound/filters",
        story: "A route replaces a path prefix by a redirect, another changes heads both ways, a third fails on purpose.",
        promise: "The client is sent to the right place, both sides see the changed heads, and only what is forwarded reaches the application.",
        source: "Gateway API: RequestRedirect, header modifiers; linkerd2-proxy: failure injector"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let caller = mesh.addPod("web").caller()
        var heads: [RequestHead] = []
        let pod = mesh.addPod("api") { process in
            process.keep(
                HTTPApplication(process, in: stage.world, port: 80) { request in
                    heads.append(request.head)
                    return HTTPApplication.Answer(headers: [("x-inner", "1"), ("x-secret", "1")])
                })
        }
        let api = mesh.addService("api", pod)
        let backend = api.backend
        api.route(
            .named("moved") {
                $0.matches = [.path(prefix: "/old")]
                $0.filters = [.with { $0.redirect.path.prefix = "/new" }]
                $0.backends = .first(backend)
            },
            .named("broken") {
                $0.matches = [.path(exact: "/broken")]
                $0.filters = [.with { $0.failureInjector = .with { ($0.status, $0.message) = (418, "a teapot") } }]
                $0.backends = .first(backend)
            },
            .named("changed") {
                $0.filters = [
                    .with { filter in
                        filter.requestHeaderModifier.set = .these(("x-added", "by the route"))
                        filter.requestHeaderModifier.remove = ["x-drop"]
                    },
                    .with { filter in
                        filter.responseHeaderModifier.add = .these(("x-outer", "1"))
                        filter.responseHeaderModifier.remove = ["x-secret"]
                    },
                ]
                $0.backends = .first(backend)
            })
        try mesh.ready()
        let moved = try stage.call(caller, api.url, "/old/page?q=1")
        stage.say("GET /old/page?q=1 → \(moved.summary), location \(moved.headers.first("location") ?? "none")")
        try stage.check(moved.status == 301 && moved.headers.first("location") == "http://api/new/page?q=1", "the client is sent to /new/page")
        let broken = try stage.call(caller, api.url, "/broken")
        try stage.check(broken.status == 418, "the injected status arrives, not \(broken.summary)")
        try stage.check(heads.isEmpty, "neither of them reached the application")
        let changed = try stage.call(caller, api.url, "/page", headers: [("x-drop", "1"), ("x-added", "by the client")])
        try stage.check(changed.status == 200 && heads.count == 1, "the third is forwarded: \(changed.summary)")
        try stage.check(heads[0].headers.first("x-added") == "by the route" && !heads[0].headers.contains("x-drop"), "the application sees the changed head")
        try stage.check(changed.headers.first("x-outer") == "1" && changed.headers.first("x-inner") == "1" && !changed.headers.contains("x-secret"), "the client sees the changed head")
    }

    // Story: a rule prefers one backend and names a second; the first loses all its pods and gets them back.
    // Promise: calls go to the second once the first fails fast, and return when it is ready.
    // Source: linkerd2-proxy 2.13, failfast-aware distribution; linkerd-failover.
    static let failover = Story(
        "outbound/failover",
        story: "A rule prefers one backend and names a second; the first loses its pods and gets them back.",
        promise: "After one fail-fast time calls go to the second, and they return to the first when it is ready.",
        source: "linkerd2-proxy 2.13: first available backend"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let caller = mesh.addPod("web").caller()
        let near = mesh.addPod("near") { named($0, "near", stage) }
        let first = mesh.addService("near", near)
        let second = mesh.addService("far", mesh.addPod("far") { named($0, "far", stage) })
        let api = mesh.addService("api")
        let (a, b) = (first.backend, second.backend)
        api.route(.named("failover") { $0.backends = .first(a, b) })
        try mesh.ready()
        try stage.check(try stage.call(caller, api.url).text == "near", "the first backend answers")
        first.pods = []
        stage.world.run(for: .milliseconds(100))
        let waits = try stage.call(caller, api.url)
        stage.say("the first call without pods: \(waits.summary)")
        for i in 0..<5 {
            let result = try stage.call(caller, api.url, "/\(i)")
            try stage.check(result.text == "far", "call \(i) goes to the second, not \(result.summary)")
        }
        first.pods = [near]
        stage.world.run(for: .milliseconds(500))
        let back = try stage.call(caller, api.url, "/back")
        try stage.check(back.text == "near", "calls return to the first, not to \(back.text) (\(back.summary))")
    }

    // Story: the route of a connection in use changes to other backends, then to opaque.
    // Promise: no request fails; the next one follows the new route, and a connection accepted as HTTP stays HTTP.
    // Source: linkerd2-proxy outbound/src/protocol.rs: a live connection keeps its protocol.
    static let routeChangesLive = Story(
        "outbound/route-changes-live",
        story: "The route of a connection in use changes to other backends, and later the service is declared opaque.",
        promise: "The next request follows the new route; the connection stays HTTP and no request fails.",
        source: "linkerd2-proxy outbound/src/protocol.rs"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let caller = mesh.addPod("web").caller()
        let old = mesh.addService("old", mesh.addPod("old") { named($0, "old", stage) })
        let new = mesh.addService("new", mesh.addPod("new") { named($0, "new", stage) })
        let api = mesh.addService("api")
        let (a, b) = (old.backend, new.backend)
        api.route(.named("r") { $0.backends = .first(a) })
        try mesh.ready()
        try stage.check(try stage.call(caller, api.url).text == "old", "the old backend answers")
        api.route(.named("r") { $0.backends = .first(b) })
        stage.world.run(for: .milliseconds(100))
        try stage.check(try stage.call(caller, api.url).text == "new", "the next request follows the new route")
        api.policy = .opaque(api, routes: [.to(b)])
        stage.world.run(for: .milliseconds(100))
        let kept = try stage.call(caller, api.url)
        stage.say("on the connection from before: \(kept.summary)")
        try stage.check(kept.status == 200 && kept.text == "new", "the connection stays HTTP, not \(kept.summary)")
    }
}

/// A server that answers with its name.
func named(_ process: SimProcess, _ name: String, _ stage: Stage) {
    process.keep(HTTPApplication(process, in: stage.world, port: 80) { _ in HTTPApplication.Answer(body: Array(name.utf8)) })
}
