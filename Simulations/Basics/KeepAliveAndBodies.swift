// Story: one client connection carries twenty requests, some with bodies up to a megabyte in both directions.
// Promise: every body arrives byte for byte, in order, on one connection of the application.
// Source: RFC 9112 section 9.3; Linkerd's HTTP/1 over HTTP/2 between proxies.

import Base
import HTTP
import Scenario
import Simulator

extension Stories {
    static let keepAliveAndBodies = Story(
        "basics/keep-alive-and-bodies",
        story: "One client connection carries twenty requests, with bodies up to a megabyte both ways.",
        promise: "Every body arrives byte for byte, and the answers keep the order of the questions.",
        source: "RFC 9112 section 9.3"
    ) { stage throws(StoryFailure) in
        let cluster = try stage.deploy()
        cluster.image("nginx") { process, _ in
            process.keep(HTTPApplication(process, in: stage.world, port: 80) { request in
                HTTPApplication.Answer(headers: [("x-path", "\(request.head.path)")], body: request.body)
            })
        }
        try cluster.apply(Manifest.servers(1))
        let caller = try cluster.ready("web").caller()
        try cluster.ready("api-0")
        var random = stage.world.random("bodies")
        var total = 0
        for i in 0..<20 {
            let count = [0, 1, 100, 16_384, 65_537, 1_048_576][random.below(6)]
            let body = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ i) }
            let result = try stage.call(caller, "api.demo", "/\(i)", method: body.isEmpty ? .get : .post, body: body)
            try stage.check(result.status == 200, "request \(i) is answered, not \(result.summary)")
            try stage.check(result.headers.first("x-path") == "/\(i)", "answer \(i) belongs to question \(i)")
            try stage.check(result.body == body, "body \(i) of \(count) bytes comes back as it went")
            total += count
        }
        stage.say("20 requests answered, \(total) bytes there and back")
    }
}
