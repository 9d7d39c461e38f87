// Story: the demonstration's objects and calls, as `weft demo` makes them on a machine with real processes and namespaces.
// Promise: every call is answered in full, the server's side is told who called, and each came in over TLS; the phrases that were said
// are nowhere on the wire.
// Source: the main job; manifests/demo/demo.yaml.

import Base
import HTTP
import Manifests
import Platform
import Scenario
import Simulator

extension Stories {
    static let twoWorlds = demo(DemoPlan(token: "tokenofthestory.")) { _ in }

    static func demo(_ plan: DemoPlan, _ keep: @escaping @Sendable ([CallRecord]) -> Void) -> Story {
        Story(
            "demo/two-worlds", story: "The objects and calls of `weft demo`, which makes them on this machine with real processes, too.",
            promise: "Every call is answered, the server is told who called, and the network sees TLS only.", source: "weft demo, which applies manifests/demo/demo.yaml"
        ) { stage throws(StoryFailure) in
            let records = try DemoRehearsal.tell(plan, stage)
            keep(records)
            for record in records { try stage.check(record.failure == nil, "\(record.call) is answered: \(record.failure ?? "")") }
        }
    }
}

/// The simulated half of `weft demo`.
public enum DemoRehearsal {
    public struct Outcome: Sendable {
        public var records: [CallRecord]
        /// The line that says which run it was.
        public var trace: String
        /// nil: the promise holds.
        public var failure: String?
    }

    /// Runs the story with a token of one's own.
    public static func run(token: String, seed: UInt64, build: String) -> Outcome {
        let kept = Kept()
        let outcome = Stories.demo(DemoPlan(token: token)) { kept.records = $0 }.run(seed: seed, build: build)
        return Outcome(records: kept.records, trace: outcome.verdict.traceLine, failure: outcome.failure)
    }

    /// Written and read by the one thread that runs the story.
    private final class Kept: @unchecked Sendable { var records: [CallRecord] = [] }

    /// Whom the server was told of, by request.
    private final class Told { var requests: [(path: String, client: String?)] = [] }

    static func tell(_ plan: DemoPlan, _ stage: Stage) throws(StoryFailure) -> [CallRecord] {
        let told = Told()
        let cluster = try stage.deploy()
        for phrase in plan.phrases { stage.world.declareSecret(Array(phrase.utf8)) }
        cluster.image("nginx") { process, _ in
            process.keep(HTTPApplication(process, in: stage.world, port: DemoPlan.httpPort) { request in
                let client = request.head.headers.first("l5d-client-id")
                told.requests.append(("\(request.head.path)", client))
                return HTTPApplication.Answer(body: Array(DemoPlan.answer(body: String(decoding: request.body, as: UTF8.self), client: client ?? "").utf8))
            })
        }
        cluster.image("alpine/socat") { process, _ in process.keep(EchoApplication(process, port: DemoPlan.bytesPort)) }
        try cluster.apply(EmbeddedManifests.demo)
        let (web, api) = (try cluster.ready("web"), try cluster.ready("api"))
        stage.say("web (\(web.node.ip)) and api (\(api.node.ip)) are meshed and ready")
        let caller = web.caller()
        let watcher = try watcher(stage, cluster)

        var records: [CallRecord] = []
        for step in plan.steps {
            let before = try metrics(stage, watcher, api)
            let first = records.count
            for call in step {
                let record = call.kind == .bytes ? try converse(stage, caller, call) : try ask(stage, caller, call, told)
                records.append(record)
            }
            let after = try metrics(stage, watcher, api)
            let family = step[0].kind == .bytes ? DemoPlan.bytesFamily : DemoPlan.requestsFamily
            let isTLS = after.sum(family, DemoPlan.securedLabels) - before.sum(family, DemoPlan.securedLabels) == step.count
            for i in first..<records.count {
                records[i].isTLS = isTLS
                if step[0].kind == .bytes, isTLS { records[i].client = DemoPlan.client }
                if records[i].failure == nil, records[i].client != DemoPlan.client || !isTLS { records[i].failure = "the server's side took the client for \(records[i].client ?? "nobody")\(isTLS ? "" : ", without TLS")" }
                stage.say("\(records[i].call) → \(records[i].status.map { "\($0), " } ?? "")\(records[i].bytes) bytes, from \(records[i].client ?? "nobody known")")
            }
            caller.closeConnections()
        }
        return records
    }

    private static func ask(_ stage: Stage, _ caller: Caller, _ call: DemoPlan.Call, _ told: Told) throws(StoryFailure) -> CallRecord {
        let result = try stage.call(caller, DemoPlan.host, call.path, method: call.kind == .post ? .post : .get, body: Array(call.body.utf8))
        var record = CallRecord(call: call.name, status: result.status.map { Int($0) }, bytes: result.body.count, client: told.requests.last { $0.path == call.path }?.client, isTLS: false)
        let wanted = DemoPlan.answer(body: call.body, client: DemoPlan.client)
        if result.status != 200 { record.failure = result.summary } else if result.text != wanted { record.failure = "the body is \"\(result.text)\", not \"\(wanted)\"" }
        return record
    }

    private static func converse(_ stage: Stage, _ caller: Caller, _ call: DemoPlan.Call) throws(StoryFailure) -> CallRecord {
        let (heard, failure) = try stage.converse(caller, DemoPlan.host, DemoPlan.bytesPort, say: Array(call.body.utf8))
        var record = CallRecord(call: call.name, status: nil, bytes: heard.count, client: nil, isTLS: false, failure: failure)
        if failure == nil, heard != Array(call.body.utf8) { record.failure = "heard \"\(String(decoding: heard, as: UTF8.self))\"" }
        return record
    }

    /// Somebody on the node, beside the mesh, who reads metrics as Prometheus does.
    private static func watcher(_ stage: Stage, _ cluster: StageCluster) throws(StoryFailure) -> Caller {
        let process = stage.world.addProcess("prometheus", on: cluster.agentNode, userID: 1000, settings: Settings()) { _ in }
        process.start()
        try stage.wait("somebody to read metrics") { process.isRunning }
        return process.run {
            let caller = Caller(process)
            process.keep(caller)
            return caller
        }
    }

    private static func metrics(_ stage: Stage, _ watcher: Caller, _ pod: StagePod) throws(StoryFailure) -> ProxyMetrics {
        let result = try stage.call(watcher, "\(pod.node.ip):4191", "/metrics")
        guard result.status == 200 else { throw StoryFailure("the metrics of \(pod.name): \(result.summary)") }
        return ProxyMetrics(result.text)
    }
}
