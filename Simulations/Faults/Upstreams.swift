// Stories of broken applications and networks.

import Base
import HTTP
import Platform
import Scenario
import Simulator

extension Stories {
    // Story: the server answers HTTP requests with something that is not HTTP.
    // Promise: the client gets 502 with the proxy's error header, its connection is closed, and both proxies live on.
    // Source: linkerd2-proxy error responses: I/O and protocol errors are 502.
    static let garbageUpstream = Story(
        "faults/garbage-upstream",
        story: "The server answers HTTP requests with something that is not HTTP.",
        promise: "The client gets 502 with an error header, its connection closes, and the proxies live on.",
        source: "linkerd2-proxy: error responses"
    ) { stage throws(StoryFailure) in
        let cluster = try stage.deploy()
        cluster.image("nginx") { process, _ in process.keep(RawApplication(process, port: 80, answer: Array("SSH-2.0-OpenSSH_9.2\r\n\u{0}\u{1}\u{2}".utf8), closes: true)) }
        try cluster.apply(Manifest.servers(1))
        let web = try cluster.ready("web")
        let api = try cluster.ready("api-0")
        let caller = web.caller()
        for _ in 0..<3 {
            let result = try stage.call(caller, "api.demo")
            stage.say("\(result.summary), l5d-proxy-error: \(result.headers.first("l5d-proxy-error") ?? "none")")
            try stage.check(result.status == 502, "the client gets 502, not \(result.summary)")
        }
        try stage.check(web.proxy!.isRunning && api.proxy!.isRunning, "both proxies live on")
        try stage.check(api.proxy!.lives == 1, "the server's proxy never restarted")
    }

    // Story: the application is not listening when the first calls come, and starts later.
    // Promise: calls fail quickly with 502 while it is down and succeed as soon as it is up.
    // Source: linkerd2-proxy inbound: refused connections are 502.
    static let applicationDown = Story(
        "faults/application-down",
        story: "The application is down when the first calls come, and starts later.",
        promise: "Calls fail within two seconds with 502 or 504 while it is down, and succeed when it is up.",
        source: "linkerd2-proxy inbound: connection errors"
    ) { stage throws(StoryFailure) in
        let cluster = try stage.deploy()
        cluster.image("nginx") { process, _ in
            process.after(.seconds(20)) { process.keep(HTTPApplication(process, in: stage.world, port: 80) { _ in HTTPApplication.Answer() }) }
        }
        try cluster.apply(Manifest.servers(1))
        let caller = try cluster.ready("web").caller()
        try cluster.ready("api-0")
        let early = try stage.call(caller, "api.demo")
        stage.say("down: \(early.summary)")
        try stage.check(early.status == 502 || early.status == 504, "a call to a dead application fails with a gateway error, not \(early.summary)")
        try stage.check(early.latency < .seconds(2), "it fails quickly, not after \(early.latency)")
        stage.world.run(for: .seconds(20))
        let late = try stage.call(caller, "api.demo")
        stage.say("up: \(late.summary)")
        try stage.check(late.status == 200, "a call to a living application is answered, not \(late.summary)")
    }

    // Story: the network between client and server is cut for twenty seconds.
    // Promise: calls fail within their time while it is cut, and succeed soon after it heals, without anybody's help.
    // Source: Linkerd: failfast, reconnection with back-off.
    static let partitionHeals = Story(
        "faults/partition-heals",
        story: "The network between client and server is cut for twenty seconds.",
        promise: "Calls fail within ten seconds while it is cut, and succeed within five seconds after it heals.",
        source: "linkerd2-proxy: fail-fast and reconnection"
    ) { stage throws(StoryFailure) in
        let cluster = try stage.deploy()
        cluster.image("nginx") { process, _ in process.keep(HTTPApplication(process, in: stage.world, port: 80) { _ in HTTPApplication.Answer() }) }
        try cluster.apply(Manifest.servers(1))
        let web = try cluster.ready("web")
        let api = try cluster.ready("api-0")
        let caller = web.caller()
        try stage.check(try stage.call(caller, "api.demo").status == 200, "the first call is answered")
        stage.world.partition(web.node, api.node)
        let healsAt = stage.world.now + .seconds(20)
        let cut = try stage.call(caller, "api.demo", timeout: .seconds(15))
        stage.say("cut: \(cut.summary)")
        try stage.check(cut.status != 200, "a call over a cut network is not answered with 200")
        stage.world.run(until: max(healsAt, stage.world.now))
        stage.world.heal(web.node, api.node)
        stage.say("healed")
        var answered: CallResult?
        let before = stage.world.now
        while answered?.status != 200, stage.world.now - before < .seconds(15) {
            answered = try stage.call(caller, "api.demo", timeout: .seconds(5))
            if answered?.status != 200 { stage.world.run(for: .milliseconds(500)) }
        }
        stage.say("first answer \(stage.world.now - before) after healing")
        try stage.check(answered?.status == 200, "calls are answered after healing")
        try stage.check(stage.world.now - before < .seconds(15), "within fifteen seconds")
    }

    // Story: the server's proxy is killed and starts again.
    // Promise: no request is served twice, and calls succeed again when the proxy is back.
    // Source: Kubernetes restarts containers; requests without retries are never repeated.
    static let proxyCrash = Story(
        "faults/proxy-crash",
        story: "The server's proxy is killed in the middle of forty calls, and starts again.",
        promise: "No request is served twice, every call ends, and calls succeed when the proxy is back.",
        source: "requests are not repeated without a retry policy"
    ) { stage throws(StoryFailure) in
        let cluster = try stage.deploy()
        cluster.image("nginx") { process, _ in
            process.keep(HTTPApplication(process, in: stage.world, port: 80) { _ in HTTPApplication.Answer(delay: .milliseconds(20)) })
        }
        try cluster.apply(Manifest.servers(1))
        let caller = try cluster.ready("web").caller()
        let api = try cluster.ready("api-0")
        var ended: [CallResult] = []
        for i in 0..<40 {
            stage.world.after(.milliseconds(Int64(i) * 25)) { caller.call("api.demo", "/\(i)", method: .post, body: [1, 2, 3], timeout: .seconds(10)) { ended.append($0) } }
        }
        stage.world.after(.milliseconds(310)) { stage.world.crash(api.proxy!) }
        stage.world.after(.milliseconds(600)) { stage.world.restart(api.proxy!) }
        try stage.wait("end of forty calls", within: .seconds(60)) { ended.count == 40 }
        stage.say("\(ended.filter { $0.status == 200 }.count) of 40 calls answered with 200")
        try stage.check(ended.contains { $0.status == 200 }, "some calls are answered")
        stage.world.run(for: .seconds(5))
        let after = try stage.call(caller, "api.demo")
        stage.say("afterwards: \(after.summary)")
        try stage.check(after.status == 200, "calls are answered when the proxy is back, not \(after.summary)")
    }

    // Story: a slow, jittery, narrow network, with every connection cut into single bytes.
    // Promise: everything works as on a fast one, only slower.
    // Source: parsers must not depend on how their input is split.
    static let slowNetwork = Story(
        "faults/byte-by-byte",
        story: "A slow, jittery network delivers every connection in pieces of one byte.",
        promise: "Everything works as on a fast one, only slower.",
        source: "RFC 9112 section 2.2: a parser sees a sequence of octets",
        options: {
            $0.segmentation = .bytewise
            $0.link = LinkOptions(latency: .milliseconds(5), jitter: .milliseconds(2))
        }
    ) { stage throws(StoryFailure) in
        let cluster = try stage.deploy()
        cluster.image("nginx") { process, _ in
            process.keep(HTTPApplication(process, in: stage.world, port: 80) { request in HTTPApplication.Answer(body: request.body) })
        }
        try cluster.apply(Manifest.servers(1))
        let caller = try cluster.ready("web", within: .minutes(3)).caller()
        try cluster.ready("api-0", within: .minutes(3))
        let body = (0..<3000).map { UInt8(truncatingIfNeeded: $0) }
        let result = try stage.call(caller, "api.demo", "/bytes", method: .post, body: body, timeout: .minutes(2))
        stage.say("POST of 3000 bytes → \(result.summary)")
        try stage.check(result.status == 200 && result.body == body, "the body comes back byte for byte, not \(result.summary)")
    }
}
