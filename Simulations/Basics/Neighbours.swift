// Stories of callers that are not both meshed, and of the newer protocols.

import Base
import HTTP
import Scenario
import Simulator

extension Stories {
    // Story: a pod without a proxy calls a meshed server.
    // Promise: it is answered (default policy), and the server is not told an identity, even if the client claims one.
    // Source: Linkerd default policy all-unauthenticated; l5d-client-id anti-spoofing.
    static let unmeshedClient = Story(
        "basics/unmeshed-client",
        story: "A pod without a proxy calls a meshed server and claims an identity.",
        promise: "It is answered, and its claim does not reach the server.",
        source: "Linkerd: all-unauthenticated, l5d-client-id"
    ) { stage throws(StoryFailure) in
        let cluster = try stage.deploy()
        cluster.image("nginx") { process, _ in
            process.keep(HTTPApplication(process, in: stage.world, port: 80) { request in
                HTTPApplication.Answer(body: Array((request.head.headers.first("l5d-client-id") ?? "nobody").utf8))
            })
        }
        try cluster.apply(Manifest.servers(1) + "---\n" + Manifest.client("outsider", isMeshed: false))
        try cluster.ready("api-0")
        let caller = try cluster.ready("outsider").caller()
        let result = try stage.call(caller, "api.demo", headers: [("l5d-client-id", "admin.demo.serviceaccount.identity.linkerd.cluster.local")])
        stage.say("GET / → \(result.summary), the server saw: \(result.text)")
        try stage.check(result.status == 200, "the outsider is answered, not \(result.summary)")
        try stage.check(result.text == "nobody", "the claim is stripped, the server saw \(result.text)")
    }

    // Story: an HTTP/2 client with prior knowledge sends thirty concurrent requests, one of them gRPC.
    // Promise: all are answered over HTTP/2, in whatever order they complete.
    // Source: RFC 9113; gRPC over HTTP/2.
    static let http2AndGRPC = Story(
        "basics/http2-and-grpc",
        story: "An HTTP/2 client sends thirty requests at once; the slow ones do not hold up the fast ones.",
        promise: "All are answered over HTTP/2, the fast ones first.",
        source: "RFC 9113 section 5"
    ) { stage throws(StoryFailure) in
        let cluster = try stage.deploy()
        cluster.image("nginx") { process, _ in
            process.keep(HTTPApplication(process, in: stage.world, port: 80) { request in
                HTTPApplication.Answer(body: Array("\(request.head.path)".utf8), delay: "\(request.head.path)".hasPrefix("/slow") ? .milliseconds(500) : .zero)
            })
        }
        try cluster.apply(Manifest.servers(1))
        let caller = try cluster.ready("web").caller()
        try cluster.ready("api-0")
        var order: [String] = []
        var broken: [String] = []
        for i in 0..<30 {
            let path = i % 10 == 0 ? "/slow/\(i)" : "/fast/\(i)"
            caller.call("api.demo", path, version: .http2) { result in
                order.append(result.text)
                if result.status != 200 || result.text != path || result.version != .http2 { broken.append("\(path): \(result.summary)") }
            }
        }
        try stage.wait("thirty answers") { order.count == 30 }
        stage.say("thirty answers over one connection, the last three: \(order.suffix(3).joined(separator: " "))")
        try stage.check(broken.isEmpty, "every request has its own answer: \(broken.joined(separator: ", "))")
        try stage.check(order.suffix(3).allSatisfy { $0.hasPrefix("/slow") }, "slow answers come last")
    }
}
