// Story: a client pod calls a server pod by its service name; neither knows of the mesh.
// Promise: the answer comes, both proxies hold certificates, the server learns the client's identity, and no byte of it crosses
// the network in the clear.
// Source: the main job; the walk-through of Linkerd 2.20, pod to pod.

import Base
import HTTP
import Scenario
import Simulator

extension Stories {
    static let twoPodsMTLS = Story(
        "basics/two-pods-mtls",
        story: "A client pod calls a server pod by its service name; neither knows of the mesh.",
        promise: "The answer comes, the server is told who asked, and nothing but TLS crosses the network.",
        source: "Linkerd 2.20: connection walk-through, meshed pod to meshed pod"
    ) { stage throws(StoryFailure) in
        var server: HTTPApplication?
        let cluster = try stage.deploy()
        cluster.image("nginx") { process, _ in
            let application = HTTPApplication(process, in: stage.world, port: 80) { request in
                HTTPApplication.Answer(headers: [("server", "nginx")], body: Array("hello, \(request.head.headers.first("l5d-client-id") ?? "stranger")\n".utf8))
            }
            process.keep(application)
            server = application
        }
        stage.say("the control plane serves")
        try cluster.apply(Manifest.servers(1))
        let web = try cluster.ready("web")
        let api = try cluster.ready("api-0")
        stage.say("web (\(web.node.ip)) and api (\(api.node.ip)) are meshed and ready")

        let result = try stage.call(web.caller(), "api.demo.svc.cluster.local", "/greeting")
        stage.say("GET /greeting → \(result.summary), \(result.body.count) bytes: \(result.text.dropLast())")
        try stage.check(result.status == 200, "the answer is 200, not \(result.summary)")
        try stage.check(result.text == "hello, web.demo.serviceaccount.identity.linkerd.cluster.local\n", "the server is told the client's identity, not \(result.text)")
        try stage.check(server?.requests.count == 1, "the server was asked once")
    }
}
