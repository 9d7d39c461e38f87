// Stories of time that is over, and of endpoints that are left alone.

import Base
import HTTP
import Kube
import Platform
import Scenario
import Simulator

extension Stories {
    // Story: the Service allows 300 ms for a request; the server takes two seconds for some.
    // Promise: those are answered 504 when the time is over, others as ever, over the same connection.
    // Source: Linkerd timeout.linkerd.io/request.
    static let timeoutOnTime = Story(
        "reliability/timeout",
        story: "The Service's annotation allows 300 ms for a request; the server takes two seconds for some.",
        promise: "Those are answered 504 after 300 ms, and the others as ever.",
        source: "Linkerd: timeout.linkerd.io/request"
    ) { stage throws(StoryFailure) in
        let cluster = try stage.deploy()
        cluster.image("nginx") { process, _ in
            process.keep(HTTPApplication(process, in: stage.world, port: 80) { HTTPApplication.Answer(delay: "\($0.head.path)".hasPrefix("/slow") ? .seconds(2) : .milliseconds(5)) })
        }
        try cluster.apply(Manifest.servers(1, service: "timeout.linkerd.io/request: 300ms"))
        let caller = try cluster.ready("web").caller()
        try cluster.ready("api-0")
        try stage.check(try stage.call(caller, "api.demo", "/fast").status == 200, "a fast call is answered")
        for i in 0..<3 {
            let slow = try stage.call(caller, "api.demo", "/slow/\(i)")
            stage.say("a slow call: \(slow.summary)")
            try stage.check(slow.status == 504 && slow.latency >= .milliseconds(300) && slow.latency < .milliseconds(320), "a slow call is answered 504 after 300 ms, not \(slow.summary)")
            let fast = try stage.call(caller, "api.demo", "/fast/\(i)")
            try stage.check(fast.status == 200, "a fast call after it is answered, not \(fast.summary)")
        }
    }

    // Story: one of two servers fails for ten seconds and recovers; the Service asks for failure accrual after three in a row.
    // Promise: while it fails only the three and the probes reach it; when it is well again, it takes its share.
    // Source: Linkerd balancer.linkerd.io/failure-accrual.
    static let endpointEjected = Story(
        "reliability/ejection",
        story: "One of two servers fails for a while; the Service's annotation asks for failure accrual after three failures in a row.",
        promise: "Only three calls and a few probes fail, and the server takes its share again once it is well.",
        source: "Linkerd: balancer.linkerd.io/failure-accrual"
    ) { stage throws(StoryFailure) in
        var isFailing = true
        var asked = 0
        let cluster = try stage.deploy()
        cluster.image("nginx") { process, pod in
            process.keep(
                HTTPApplication(process, in: stage.world, port: 80) { _ in
                    if pod.name == "api-0" { asked += 1 }
                    return HTTPApplication.Answer(isFailing && pod.name == "api-0" ? 500 : 200, body: Array(pod.name.utf8))
                })
        }
        let accrual = "balancer.linkerd.io/failure-accrual"
        try cluster.apply(
            Manifest.servers(
                2,
                service: "\(accrual): consecutive, \(accrual)-consecutive-max-failures: \"3\", \(accrual)-consecutive-min-penalty: 1s, \(accrual)-consecutive-max-penalty: 4s, \(accrual)-consecutive-jitter-ratio: \"0\""))
        let caller = try cluster.ready("web").caller()
        for i in 0..<2 { try cluster.ready("api-\(i)") }
        stage.world.run(for: .seconds(1))
        var failed = 0
        for i in 0..<200 {
            if try stage.call(caller, "api.demo", "/\(i)").status == 500 { failed += 1 }
            stage.world.run(for: .milliseconds(50))
        }
        stage.say("200 calls in ten seconds, \(failed) of them failed")
        // Shut for 1, 2, 4 and 4 seconds: at most four probes in ten.
        try stage.check((4...7).contains(failed), "three calls and up to four probes fail, not \(failed)")
        isFailing = false
        stage.world.run(for: .seconds(5))
        asked = 0
        for i in 0..<50 {
            let result = try stage.call(caller, "api.demo", "/well/\(i)")
            try stage.check(result.status == 200, "all calls succeed again, not \(result.summary)")
            stage.world.run(for: .milliseconds(100))
        }
        stage.say("api-0 is well, and took \(asked) of 50 calls")
        try stage.check(asked >= 5, "the server takes its share again: \(asked) of 50")
    }

    // Story: a rate limit of ten a second stands before a Server; a client calls twice as often, and then less.
    // Promise: the application gets ten a second, the rest gets 429, and the slow client is always let in.
    // Source: Linkerd 2.17 HTTPLocalRateLimitPolicy.
    static let rateLimited = Story(
        "reliability/rate-limit",
        story: "A rate limit of ten a second stands before a Server; a client calls forty times in a second, and later five times.",
        promise: "Ten calls and the refill of that second pass, the rest gets 429, and later all pass.",
        source: "Linkerd 2.17: HTTPLocalRateLimitPolicy"
    ) { stage throws(StoryFailure) in
        var server: HTTPApplication?
        let cluster = try stage.deploy()
        cluster.image("nginx") { process, _ in
            server = HTTPApplication(process, in: stage.world, port: 80) { _ in HTTPApplication.Answer() }
            process.keep(server!)
        }
        try cluster.apply(
            Manifest.servers(1) + """
                ---
                {apiVersion: policy.linkerd.io/v1beta3, kind: Server, metadata: {name: api, namespace: demo}, spec: {podSelector: {matchLabels: {app: api}}, port: 80, proxyProtocol: HTTP/1, accessPolicy: all-unauthenticated}}
                ---
                {apiVersion: policy.linkerd.io/v1alpha1, kind: HTTPLocalRateLimitPolicy, metadata: {name: api, namespace: demo},
                 spec: {targetRef: {group: policy.linkerd.io, kind: Server, name: api}, total: {requestsPerSecond: 10}}}

                """)
        let caller = try cluster.ready("web").caller()
        try cluster.ready("api-0")
        stage.world.run(for: .seconds(2))
        var statuses: [UInt16?] = []
        for i in 0..<40 {
            statuses.append(try stage.call(caller, "api.demo", "/\(i)").status)
            stage.world.run(for: .milliseconds(20))
        }
        let passed = statuses.count { $0 == 200 }
        stage.say("40 calls in a second: \(passed) answered, \(statuses.count { $0 == 429 }) limited")
        try stage.check(passed >= 10 && passed <= 22 && statuses.allSatisfy { $0 == 200 || $0 == 429 }, "ten and the refill pass: \(passed)")
        try stage.check(server!.requests.count == passed, "the application is asked for those alone")
        stage.world.run(for: .seconds(1))
        for i in 0..<5 { try stage.check(try stage.call(caller, "api.demo", "/later/\(i)").status == 200, "a second later calls pass") }
    }
}
