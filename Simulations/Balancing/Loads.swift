// Stories of balancing: who gets the next request.

import Base
import HTTP
import MeshAPI
import Platform
import Scenario
import Simulator
import SwiftProtobuf

extension Stories {
    private static func counted(_ stage: Stage, _ mesh: ScriptedMesh, _ name: String, _ counts: Counts, _ answer: @escaping () -> HTTPApplication.Answer) -> ScriptedPod {
        mesh.addPod(name) { process in
            process.keep(
                HTTPApplication(process, in: stage.world, port: 80, allowsRepeats: true) { _ in
                    counts.add(name)
                    return answer()
                })
        }
    }

    /// Requests by pod; look-up only.
    final class Counts {
        private var table: [String: Int] = [:]
        func add(_ name: String) { table[name, default: 0] += 1 }
        func of(_ name: String) -> Int { table[name] ?? 0 }
        func clear() { table = [:] }
    }

    // Story: one of three servers takes ten times as long as the others, and then as long as they.
    // Promise: it gets a small share while it is slow, and takes part again some ten seconds later.
    // Source: linkerd2-proxy: power of two choices with peak EWMA.
    static let slowServer = Story(
        "balancing/slow-server",
        story: "One of three servers takes ten times as long as the others, and later as long as they.",
        promise: "It gets a small share while it is slow, and takes part again when its slowness is forgotten.",
        source: "linkerd2-proxy: power of two choices, peak EWMA"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let caller = mesh.addPod("web").caller()
        let counts = Counts()
        var isSlow = true
        let pods = (0..<3).map { i in counted(stage, mesh, "api-\(i)", counts) { HTTPApplication.Answer(delay: .milliseconds(i == 0 && isSlow ? 100 : 10)) } }
        let api = mesh.addService("api", pods[0], pods[1], pods[2])
        try mesh.ready()
        for i in 0..<90 { try stage.check(try stage.call(caller, api.url, "/\(i)").status == 200, "call \(i) is answered") }
        stage.say("while slow it took \(counts.of("api-0")) of 90 calls")
        try stage.check(counts.of("api-0") <= 15, "a small share while it is slow: \(counts.of("api-0")) of 90")
        isSlow = false
        stage.world.run(for: .seconds(30))
        counts.clear()
        for i in 0..<90 { _ = try stage.call(caller, api.url, "/again/\(i)") }
        stage.say("later it took \(counts.of("api-0")) of 90")
        try stage.check(counts.of("api-0") >= 15, "it takes part again: \(counts.of("api-0")) of 90")
    }

    // Story: one of three servers fails at once with 503 and asks for a rest, while the others take 20 ms; the Service penalises failures.
    // Promise: the one that fails fast does not win the calls by being fast.
    // Source: linkerd2 #11669; 2.20 balancer.alpha.linkerd.io/penalize-failures.
    static let fastFailures = Story(
        "balancing/fast-failures",
        story: "One of three servers fails at once with 503, the others take 20 ms; the balancer penalises failures.",
        promise: "The server that fails fast does not win the calls by being fast.",
        source: "linkerd2 #11669; 2.20: penalize-failures"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let caller = mesh.addPod("web").caller()
        let counts = Counts()
        let pods = (0..<3).map { i in
            counted(stage, mesh, "api-\(i)", counts) { i == 0 ? HTTPApplication.Answer(503, headers: [("retry-after", "30")]) : HTTPApplication.Answer(delay: .milliseconds(20)) }
        }
        let api = mesh.addService("api", pods[0], pods[1], pods[2])
        func failures(_ name: String) throws(StoryFailure) -> Int {
            var failed = 0
            for i in 0..<60 { if try stage.call(caller, api.url, "/\(name)/\(i)").status == 503 { failed += 1 } }
            return failed
        }
        try mesh.ready()
        let plain = try failures("plain")
        var backend = api.backend
        backend.balancer.penaltyPeakEwma = .with {
            ($0.defaultRtt, $0.decay, $0.penalty, $0.maxRetryAfter) = (Mesh.duration(.milliseconds(30)), Mesh.duration(.seconds(10)), Mesh.duration(.seconds(5)), Mesh.duration(.seconds(300)))
        }
        api.rule { [backend] in $0.backends = .first(backend) }
        stage.world.run(for: .milliseconds(200))
        let penalised = try failures("penalised")
        stage.say("of 60 calls \(plain) failed without the penalty, \(penalised) with it")
        try stage.check(plain > 30, "without it the fast failure attracts calls: \(plain) of 60")
        try stage.check(penalised <= 3, "with it hardly any: \(penalised) of 60")
    }

    // Story: every server fails half of its calls with 429 or 500; the Service trips endpoints below eighty percent.
    // Promise: with all of them shut calls fail fast instead of reaching servers in trouble, and probes bring them back.
    // Source: linkerd2 2.20: unified failure accrual; linkerd2 #11493: all endpoints ejected.
    static let allEjected = Story(
        "balancing/all-ejected",
        story: "Both servers fail their calls with 429; the Service trips endpoints whose success falls below eighty percent.",
        promise: "With both shut calls fail fast instead of reaching servers in trouble, and probes bring them back.",
        source: "linkerd2 2.20: unified failure accrual; #11493"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let caller = mesh.addPod("web").caller()
        let counts = Counts()
        var isBusy = true
        let pods = (0..<2).map { i in counted(stage, mesh, "api-\(i)", counts) { HTTPApplication.Answer(isBusy ? 429 : 200) } }
        let api = mesh.addService("api", pods[0], pods[1])
        api.rule(
            accrual: .with {
                $0.unified = .with {
                    ($0.successRateThreshold, $0.minRequests, $0.maxConsecutiveFailures) = (0.8, 5, 7)
                    ($0.decay, $0.backoff) = (Mesh.duration(.seconds(10)), .waits(.seconds(5), .seconds(60)))
                }
            }
        ) { _ in }
        try mesh.ready()
        for i in 0..<12 { _ = try stage.call(caller, api.url, "/busy/\(i)") }
        let reached = counts.of("api-0") + counts.of("api-1")
        let shut = try stage.call(caller, api.url, "/shut")
        stage.say("after \(reached) requests both are shut: \(shut.summary)")
        try stage.check(shut.status == 504 || shut.status == 503, "with both shut calls fail fast, not \(shut.summary)")
        try stage.check(reached <= 12, "the servers are left alone: \(reached) requests")
        isBusy = false
        stage.world.run(for: .seconds(6))
        for i in 0..<10 {
            let result = try stage.call(caller, api.url, "/well/\(i)")
            try stage.check(result.status == 200, "probes bring them back: \(result.summary)")
        }
    }

    // Story: forty connections of raw bytes to a service of four pods, of which one goes away.
    // Promise: connections spread over the pods; those of the pod that went end, new ones go to the others.
    // Source: linkerd2-proxy outbound opaq: P2C over connections.
    static let opaqueSpread = Story(
        "balancing/opaque-spread",
        story: "Forty connections of raw bytes to a service of four pods, of which one goes away.",
        promise: "Connections spread over the pods, and after one is gone new ones go to the others.",
        source: "linkerd2-proxy outbound/src/opaq"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let caller = mesh.addPod("web").caller()
        var echoes: [EchoApplication] = []
        let pods = (0..<4).map { i in
            mesh.addPod("tcp-\(i)") { process in
                let echo = EchoApplication(process, port: 9000)
                echoes.append(echo)
                process.keep(echo)
            }
        }
        let tcp = mesh.addService("tcp", port: 9000, pods[0], pods[1], pods[2], pods[3])
        tcp.policy = .opaque(tcp)
        try mesh.ready()
        var talks: [Talk] = []
        for i in 0..<40 {
            let talk = caller.talk("tcp", 9000)
            talk.say("hello \(i)")
            talks.append(talk)
        }
        try stage.wait("forty echoes") { talks.allSatisfy { !$0.heard.isEmpty } }
        let shares = echoes.map(\.connectionCount)
        stage.say("forty connections went \(shares) ways")
        try stage.check(shares.allSatisfy { $0 >= 3 }, "they spread over the pods: \(shares)")
        tcp.pods = Array(pods[1...])
        stage.world.run(for: .milliseconds(200))
        for talk in talks { talk.close() }
        for i in 0..<10 {
            let (heard, failure) = try stage.converse(caller, "tcp", 9000, say: Array("again \(i)".utf8))
            try stage.check(failure == nil && heard == Array("again \(i)".utf8), "new ones are answered: \(failure ?? "")")
        }
        try stage.check(echoes[0].connectionCount == shares[0], "the pod that went gets no more")
    }
}
