// Stories of the bounds of trying again: bodies, statuses of calls, time for each try, and servers that are all in trouble.

import Base
import HTTP
import MeshAPI
import Platform
import Scenario
import Simulator
import SwiftProtobuf

extension Stories {
    // Story: the first answer to every upload is 503; uploads are one byte below, at, and above the bound of what is kept.
    // Promise: what fits is sent again whole, what does not is answered with the 503, and no body is ever cut.
    // Source: linkerd2-proxy linkerd/http/retry, 64 KiB.
    static let retryBodyBound = Story(
        "reliability/body-bound",
        story: "The first answer to every upload is 503; uploads are one byte below, at, and above 64 KiB.",
        promise: "What fits is sent again whole, what does not is answered with the 503, and no body is ever cut.",
        source: "linkerd2-proxy linkerd/http/retry: 64 KiB"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let caller = mesh.addPod("web").caller()
        var seen: [String: Int] = [:]
        var cut = 0
        let pod = mesh.addPod("api") { process in
            process.keep(
                HTTPApplication(process, in: stage.world, port: 80, allowsRepeats: true) { request in
                    seen["\(request.head.path)", default: 0] += 1
                    if "/\(request.body.count)" != "\(request.head.path)" { cut += 1 }
                    return HTTPApplication.Answer(seen["\(request.head.path)"] == 1 ? 503 : 200)
                })
        }
        let api = mesh.addService("api", pod)
        api.rule { $0.retry = .times(3, 500...599) }
        try mesh.ready()
        for (count, status) in [(65_535, 200), (65_536, 200), (65_537, 503)] as [(Int, UInt16)] {
            let result = try stage.call(caller, api.url, "/\(count)", method: .post, body: [UInt8](repeating: 7, count: count))
            stage.say("POST of \(count) bytes → \(result.summary)")
            try stage.check(result.status == status, "\(count) bytes are answered \(status), not \(result.summary)")
        }
        try stage.check(cut == 0, "no body is cut")
    }

    // Story: calls fail with UNAVAILABLE in trailers, in a head without body, and with INVALID_ARGUMENT; only the first is worth a retry.
    // Promise: the caller sees OK where a retry helps and the server's own status where none is made.
    // Source: linkerd2-proxy: gRPC statuses are seen in trailers-only responses and early trailers.
    static let grpcRetries = Story(
        "reliability/grpc-retries",
        story: "Calls fail with UNAVAILABLE in trailers, in a head alone, and with INVALID_ARGUMENT; the route retries UNAVAILABLE.",
        promise: "The caller sees OK where a retry helps, and the server's own status where none is made.",
        source: "linkerd2 2.16: retry.linkerd.io/grpc"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let caller = mesh.addPod("web").caller()
        var asked: [String: Int] = [:]
        let pod = mesh.addPod("api") { process in
            process.keep(
                HTTPApplication(process, in: stage.world, port: 80, allowsRepeats: true) { request in
                    let path = "\(request.head.path)"
                    asked[path, default: 0] += 1
                    if path == "/a.B/Wrong" { return .grpc(3, trailersOnly: true) }
                    return asked[path]! < 3 ? .grpc(14, trailersOnly: path == "/a.B/Head") : .grpc(0)
                })
        }
        let api = mesh.addService("api", pod)
        let backend = api.backend
        api.policy = .grpc(
            api,
            routes: [
                .named("calls") {
                    $0.backends = .first(backend)
                    $0.retry = .with { retry in
                        retry.maxRetries = 5
                        retry.maxRequestBytes = 65_536
                        retry.backoff = .waits(.milliseconds(25), .milliseconds(250), jitter: 1)
                        retry.conditions.unavailable = true
                    }
                }
            ])
        try mesh.ready()
        for (method, code, times) in [("Trailers", "0", 3), ("Head", "0", 3), ("Wrong", "3", 1)] {
            let result = try stage.call(caller, api.url, "/a.B/\(method)", method: .post, version: .http2, headers: [("content-type", "application/grpc")], body: [0, 0, 0, 0, 0])
            let status = result.trailers.first("grpc-status") ?? result.headers.first("grpc-status")
            stage.say("\(method): grpc-status \(status ?? "none") after \(asked["/a.B/\(method)"] ?? 0) attempts")
            try stage.check(status == code && asked["/a.B/\(method)"] == times, "\(method) ends with \(code) after \(times) attempts")
        }
    }

    // Story: every server answers 503 while a hundred calls come at once; the route allows one retry each.
    // Promise: the servers get at most two requests a call, and the retries are spread by their back-off.
    // Source: retry storms; linkerd2-proxy retry limit and jittered back-off.
    static let retryStorm = Story(
        "reliability/retry-storm",
        story: "Every server answers 503 while a hundred calls come at once; the route allows one retry each.",
        promise: "The servers get at most two requests a call, and retries are spread over their back-off instead of coming at once.",
        source: "linkerd2 2.16: retry.linkerd.io/limit; linkerd2-proxy: back-off 25 to 250 ms with jitter"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let caller = mesh.addPod("web").caller()
        var times: [Instant] = []
        let pods = (0..<2).map { i in
            mesh.addPod("api-\(i)") { process in
                process.keep(
                    HTTPApplication(process, in: stage.world, port: 80, allowsRepeats: true) { request in
                        times.append(request.time)
                        return HTTPApplication.Answer(503)
                    })
            }
        }
        let api = mesh.addService("api", pods[0], pods[1])
        api.rule { $0.retry = .times(1, 500...599) }
        try mesh.ready()
        var ended: [CallResult] = []
        for i in 0..<100 { caller.call(api.url, "/\(i)", version: .http2) { ended.append($0) } }
        try stage.wait("a hundred answers") { ended.count == 100 }
        let retries = times.dropFirst(100).sorted()
        stage.say("100 calls made \(times.count) requests, retries over \(retries.last! - retries.first!)")
        try stage.check(ended.allSatisfy { $0.status == 503 }, "every caller sees the servers' 503")
        try stage.check(times.count == 200, "one retry a call: \(times.count) requests")
        try stage.check(retries.last! - retries.first! >= .milliseconds(10), "the retries do not come at once")
    }

    // Story: one of two servers hangs; the route gives each try 200 ms and the whole five seconds.
    // Promise: no caller waits much longer than one try, and all are answered by the other server.
    // Source: linkerd2 2.16: retry.linkerd.io/timeout.
    static let perTryTimeout = Story(
        "reliability/per-try-timeout",
        story: "One of two servers hangs; the route gives each try 200 ms and the whole five seconds.",
        promise: "Callers are answered by the other server after the tries that hung.",
        source: "linkerd2 2.16: retry.linkerd.io/timeout"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let caller = mesh.addPod("web").caller()
        let pods = (0..<2).map { i in
            mesh.addPod("api-\(i)") { process in
                process.keep(HTTPApplication(process, in: stage.world, port: 80, allowsRepeats: true) { _ in HTTPApplication.Answer(delay: i == 0 ? .seconds(20) : .milliseconds(2)) })
            }
        }
        let api = mesh.addService("api", pods[0], pods[1])
        api.rule {
            $0.retry = .times(20, 500...599, timeout: .milliseconds(200))
            $0.timeouts.request = Mesh.duration(.seconds(5))
        }
        try mesh.ready()
        var slowest = Interval.zero
        for i in 0..<10 {
            let result = try stage.call(caller, api.url, "/\(i)")
            slowest = max(slowest, result.latency)
            try stage.check(result.status == 200, "call \(i) is answered, not \(result.summary)")
        }
        stage.say("ten calls answered, the slowest after \(slowest)")
        try stage.check(slowest < .seconds(2), "a few tries at most: \(slowest)")
    }

    // Story: a server begins to answer and falls silent in the middle of the body; the route allows half a second of silence.
    // Promise: the caller learns it half a second later instead of waiting for ever.
    // Source: linkerd2 2.16: timeout.linkerd.io/idle.
    static let idleTimeout = Story(
        "reliability/idle-timeout",
        story: "A server falls silent in the middle of an answer; the route allows half a second of silence.",
        promise: "The caller learns it half a second later instead of waiting for ever.",
        source: "linkerd2 2.16: timeout.linkerd.io/idle"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let caller = mesh.addPod("web").caller()
        let pod = mesh.addPod("api") { process in
            process.keep(RawApplication(process, port: 80, answer: Array("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".utf8), closes: false))
        }
        let api = mesh.addService("api", pod)
        api.rule { $0.timeouts.idle = Mesh.duration(.milliseconds(500)) }
        try mesh.ready()
        let result = try stage.call(caller, api.url)
        stage.say(result.summary)
        try stage.check(result.failure != nil && result.body == Array("half".utf8), "the caller sees half an answer and its end")
        try stage.check(result.latency >= .milliseconds(500) && result.latency < .milliseconds(700), "half a second later, not \(result.latency)")
    }

    // Story: an application asks for a shorter timeout and a retry by headers, once where the route allows it and once where not.
    // Promise: where it may, the wish is granted and not passed on; where it may not, the server sees the headers and nothing else changes.
    // Source: linkerd2 2.16: l5d-timeout, l5d-retry-http; allow_l5d_request_headers.
    static let requestHeaders = Story(
        "reliability/request-headers",
        story: "An application asks for a timeout and a retry by headers, once where the route allows it and once where not.",
        promise: "Where it may, the wish is granted and not passed on; where not, the server sees the headers and nothing else changes.",
        source: "linkerd2 2.16: l5d-request-timeout, l5d-retry-http"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let caller = mesh.addPod("web").caller()
        var heads: [RequestHead] = []
        let pod = mesh.addPod("api") { process in
            process.keep(
                HTTPApplication(process, in: stage.world, port: 80, allowsRepeats: true) { request in
                    heads.append(request.head)
                    return HTTPApplication.Answer("\(request.head.path)" == "/slow" ? 200 : heads.count == 1 ? 503 : 200, delay: "\(request.head.path)" == "/slow" ? .seconds(1) : .zero)
                })
        }
        let api = mesh.addService("api", pod)
        api.rule { $0.allowL5DRequestHeaders = true }
        try mesh.ready()
        let retried = try stage.call(caller, api.url, "/", headers: [("l5d-retry-http", "5xx"), ("l5d-retry-limit", "2")])
        try stage.check(retried.status == 200 && heads.count == 2, "the 503 is tried again: \(retried.summary)")
        try stage.check(heads.allSatisfy { !$0.headers.contains("l5d-retry-http") && !$0.headers.contains("l5d-retry-limit") }, "the wish is not passed on")
        let cut = try stage.call(caller, api.url, "/slow", headers: [("l5d-request-timeout", "100ms")])
        try stage.check(cut.status == 504 && cut.latency < .milliseconds(200), "the timeout is granted: \(cut.summary)")
        api.rule { _ in }
        stage.world.run(for: .milliseconds(100))
        let kept = try stage.call(caller, api.url, "/slow", headers: [("l5d-request-timeout", "100ms")])
        stage.say("granted: \(cut.summary); not granted: \(kept.summary)")
        try stage.check(kept.status == 200 && heads.last?.headers.first("l5d-request-timeout") == "100ms", "where it may not, the header goes through: \(kept.summary)")
    }

    // Story: a service has no pods; calls come before and after the fail-fast time, and then a pod.
    // Promise: the first waits three seconds for a 504, the next get 503 at once, and with the pod everything is well within a second.
    // Source: linkerd2 #5599, #8934: proxies that stay in fail-fast.
    static let failfast = Story(
        "reliability/failfast",
        story: "A service has no pods; calls come before and after the fail-fast time, then a pod comes.",
        promise: "The first gets 504 after three seconds, the next 503 at once, and with the pod all is well within a second.",
        source: "linkerd2 #5599, #8934"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let caller = mesh.addPod("web").caller()
        let pod = mesh.addPod("api") { named($0, "api", stage) }
        let api = mesh.addService("api")
        try mesh.ready()
        let first = try stage.call(caller, api.url)
        try stage.check(first.status == 504 && first.latency >= .seconds(3) && first.latency < .milliseconds(3200), "the first gets 504 after 3 s, not \(first.summary)")
        for _ in 0..<3 {
            let next = try stage.call(caller, api.url)
            try stage.check(next.status == 503 && next.latency < .milliseconds(50), "the next get 503 at once, not \(next.summary)")
        }
        api.pods = [pod]
        stage.world.run(for: .milliseconds(500))
        let well = try stage.call(caller, api.url)
        stage.say("without pods \(first.summary), with one \(well.summary)")
        try stage.check(well.status == 200, "with the pod calls are answered, not \(well.summary)")
    }

    // Story: a server refuses one stream without having looked at it, as servers do that are about to go.
    // Promise: with a retry the caller does not notice; without, it sees a refusal, and the request was served at most once.
    // Source: RFC 9113 section 8.7; linkerd2-proxy: REFUSED_STREAM is always worth a retry.
    static let refusedStream = Story(
        "reliability/refused-stream",
        story: "A server refuses a stream without having looked at it.",
        promise: "With a retry the caller does not notice; without one it sees the refusal.",
        source: "RFC 9113 section 8.7; linkerd2-proxy linkerd/http/retry"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let caller = mesh.addPod("web").caller()
        var asked = 0
        let pod = mesh.addPod("api") { process in
            process.keep(
                HTTPApplication(process, in: stage.world, port: 80, allowsRepeats: true) { _ in
                    asked += 1
                    var answer = HTTPApplication.Answer()
                    if asked % 2 == 1 { answer.reset = HTTP2ErrorCode.refusedStream }
                    return answer
                })
        }
        let api = mesh.addService("api", pod)
        try mesh.ready()
        let bare = try stage.call(caller, api.url, "/bare", version: .http2)
        stage.say("without a retry: \(bare.summary)")
        try stage.check(bare.failure != nil, "the refusal is passed on, not \(bare.summary)")
        asked = 0
        api.rule { $0.retry = .times(1) }
        stage.world.run(for: .milliseconds(100))
        let hidden = try stage.call(caller, api.url, "/hidden", version: .http2)
        try stage.check(hidden.status == 200 && asked == 2, "with one the caller does not notice: \(hidden.summary)")
    }
}
