// Stories of requests that are tried again, and of those that must not be.

import Base
import HTTP
import Kube
import Platform
import Scenario
import Simulator

extension Stories {
    // Story: one of three servers answers every request with 503; the Service asks for retries of 5xx.
    // Promise: no caller sees a 503, and the failing server was asked.
    // Source: Linkerd 2.16 retries by annotation, retry.linkerd.io/http.
    static let retriesHideFailures = Story(
        "reliability/retries",
        story: "One of three servers answers every request with 503; the Service's annotation asks for retries of 5xx.",
        promise: "No caller sees a 503, though the failing server was asked.",
        source: "Linkerd 2.16: retry.linkerd.io/http"
    ) { stage throws(StoryFailure) in
        var failing: HTTPApplication?
        let cluster = try stage.deploy()
        cluster.image("nginx") { process, pod in
            if pod.name == "api-0" {
                failing = HTTPApplication(process, in: stage.world, port: 80, allowsRepeats: true) { _ in HTTPApplication.Answer(503) }
                process.keep(failing!)
            } else {
                process.keep(HTTPApplication(process, in: stage.world, port: 80) { _ in HTTPApplication.Answer(body: Array(pod.name.utf8)) })
            }
        }
        try cluster.apply(Manifest.servers(3, service: "retry.linkerd.io/http: 5xx, retry.linkerd.io/limit: \"10\""))
        let web = try cluster.ready("web")
        for i in 0..<3 { try cluster.ready("api-\(i)") }
        stage.world.run(for: .seconds(1))
        let caller = web.caller()
        for i in 0..<40 {
            let result = try stage.call(caller, "api.demo", "/\(i)")
            try stage.check(result.status == 200, "call \(i) succeeds, not \(result.summary)")
        }
        stage.say("40 calls answered with 200; the failing server was asked \(failing!.requests.count) times")
        try stage.check(failing!.requests.count > 0, "the failing server was asked")
    }

    // Story: the only server answers everything with 503, and a profile says that its routes may be retried within a budget of a
    // fifth, and one a second.
    // Promise: the server gets no more than the calls, a fifth more, and one for each second of the budget's life.
    // Source: Linkerd ServiceProfile, retryBudget.
    static let retryBudget = Story(
        "reliability/retry-budget",
        story: "A server answers everything with 503; a profile allows retries within a budget of a fifth, and one a second.",
        promise: "The server gets the calls, at most a fifth more, and the budget's reserve of ten.",
        source: "Linkerd: ServiceProfile isRetryable, retryBudget"
    ) { stage throws(StoryFailure) in
        var failing: HTTPApplication?
        let cluster = try stage.deploy()
        cluster.image("nginx") { process, _ in
            failing = HTTPApplication(process, in: stage.world, port: 80, allowsRepeats: true) { _ in HTTPApplication.Answer(503) }
            process.keep(failing!)
        }
        try cluster.apply(
            Manifest.servers(1) + """
                ---
                {apiVersion: linkerd.io/v1alpha2, kind: ServiceProfile, metadata: {name: api.demo.svc.cluster.local, namespace: demo},
                 spec: {retryBudget: {retryRatio: 0.2, minRetriesPerSecond: 1, ttl: 10s}, routes: [{name: all, condition: {pathRegex: ".*"}, isRetryable: true}]}}

                """)
        let caller = try cluster.ready("web").caller()
        try cluster.ready("api-0")
        stage.world.run(for: .seconds(1))
        for i in 0..<100 {
            let result = try stage.call(caller, "api.demo", "/\(i)")
            try stage.check(result.status == 503, "call \(i) sees the server's 503, not \(result.summary)")
        }
        let asked = failing!.requests.count
        stage.say("100 calls made the server answer \(asked) times")
        try stage.check(asked > 100, "some calls are tried again")
        try stage.check(asked <= 100 + 20 + 10, "the budget bounds the retries: \(asked) requests for 100 calls")
    }

    // Story: a server begins to answer with 200 and breaks off in the middle of the body; the Service asks for retries of 5xx.
    // Promise: the caller is told, and the server was asked once for each call.
    // Source: linkerd2-proxy: nothing is retried once its response is under way.
    static let noDuplicates = Story(
        "reliability/no-duplicates",
        story: "A server begins to answer and breaks off in the middle of the body; the Service's annotation asks for retries of 5xx.",
        promise: "The caller sees a broken answer, and the server was asked once for each call.",
        source: "linkerd2-proxy: no retry once the response is under way"
    ) { stage throws(StoryFailure) in
        var breaking: RawApplication?
        let cluster = try stage.deploy()
        cluster.image("nginx") { process, _ in
            breaking = RawApplication(process, port: 80, answer: Array("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf of".utf8), closes: true)
            process.keep(breaking!)
        }
        try cluster.apply(Manifest.servers(1, service: "retry.linkerd.io/http: 5xx, retry.linkerd.io/limit: \"10\""))
        let caller = try cluster.ready("web").caller()
        try cluster.ready("api-0")
        stage.world.run(for: .seconds(1))
        for i in 0..<5 {
            let result = try stage.call(caller, "api.demo", "/\(i)")
            stage.say("call \(i): \(result.summary)")
            try stage.check(result.failure != nil, "call \(i) is broken off, not \(result.summary)")
            // The caller, too, must have heard that its connection is gone.
            stage.world.run(for: .milliseconds(100))
        }
        // It answers each connection once.
        stage.say("5 broken answers, the server was asked \(breaking!.connectionCount) times")
        try stage.check(breaking!.connectionCount == 5, "each call was made once: \(breaking!.connectionCount) requests")
    }
}
