// A capture through the mesh: a meshed pod says what the captured clients said, each connection by itself and at its times; a meshed
// pod answers what the captured servers answered. Between them are two shipping proxies with real TLS in a simulated cluster.

import Base
import Platform
import Scenario
import Simulator
import Transport

/// What a rehearsal gives back.
public struct ReplayOutcome: Sendable {
    public var report: ReplayReport
    /// Broken promises of the world: plaintext, lost bytes, leaks. Empty when all is well.
    public var violations: [String]
    /// The world's events, if they were asked for.
    public var trace: [String]
    public var traceLine: String
}

private let manifest = """
    {apiVersion: v1, kind: Namespace, metadata: {name: replay}}
    ---
    {apiVersion: v1, kind: ServiceAccount, metadata: {name: caller, namespace: replay}}
    ---
    {apiVersion: v1, kind: ServiceAccount, metadata: {name: responder, namespace: replay}}
    ---
    {apiVersion: v1, kind: Service, metadata: {name: responder, namespace: replay}, spec: {clusterIP: 10.96.0.80, selector: {app: responder}, ports: [{port: 80}]}}
    ---
    {apiVersion: v1, kind: Pod, metadata: {name: responder, namespace: replay, labels: {app: responder}, annotations: {linkerd.io/inject: enabled}},
     spec: {serviceAccountName: responder, containers: [{name: responder, image: responder, ports: [{containerPort: 80}]}]}}
    ---
    {apiVersion: v1, kind: Pod, metadata: {name: caller, namespace: replay, annotations: {linkerd.io/inject: enabled}},
     spec: {serviceAccountName: caller, containers: [{name: caller, image: caller}]}}
    """

/// Runs the plan. Refused when the simulated mesh does not come up, or does not come to an end.
public func replay(_ plan: ReplayPlan, seed: UInt64, build: String, wantsTrace: Bool = false) throws(Refusal) -> ReplayOutcome {
    let rehearsal = Rehearsal(plan)
    let story = Story("replay", story: plan.file, promise: "every captured request is answered as it was", source: "capture") { stage throws(StoryFailure) in try rehearsal.tell(stage) }
    var lines: [String] = []
    let outcome = story.run(seed: seed, build: build) { world in
        if wantsTrace { world.trace.lines = { lines.append($0) } }
    }
    guard let answers = rehearsal.answers else { throw Refusal("the simulated mesh failed: \(outcome.failure ?? "no reason given")") }
    return ReplayOutcome(
        report: ReplayReport(plan: plan, answers: answers), violations: outcome.verdict.violations.map { "\($0)" }, trace: lines,
        traceLine: "\(outcome.verdict.traceLine)")
}

/// One run. Confined to the thread that runs its story, which is over when `replay` returns.
private final class Rehearsal: @unchecked Sendable {
    private let plan: ReplayPlan
    private(set) var answers: [ReplayAnswer]?

    init(_ plan: ReplayPlan) { self.plan = plan }

    func tell(_ stage: Stage) throws(StoryFailure) {
        let cluster = try stage.deploy()
        let plan = plan
        cluster.image("responder") { process, _ in
            let responder = ReplayResponder(plan: plan)
            process.keep(responder)
            do { _ = try responder.listen(on: SocketAddress(.any, 80), host: process) } catch { process.unexpected("the responder cannot listen: \(error)") }
            process.onShutdown {
                responder.close()
                process.exit(0)
            }
        }
        try cluster.apply(manifest)
        try cluster.ready("responder")
        let process = try cluster.ready("caller").process()

        var callers: [ReplayCaller] = []
        var finished = 0
        let conversations = plan.conversations.filter { !$0.requests.isEmpty }
        process.run {
            let start = process.now + .milliseconds(100)
            for conversation in conversations {
                let caller = ReplayCaller(host: process, address: SocketAddress(IPAddress(10, 96, 0, 80), 80), requests: conversation.requests, start: start) { finished += 1 }
                process.keep(caller)
                callers.append(caller)
                caller.begin()
            }
        }
        let last = plan.requests.map(\.sendTime).max() ?? .zero
        // Every request may wait for its whole timeout, one after the other on one connection.
        let longest = conversations.map { Int64($0.requests.count) }.max() ?? 0
        try stage.wait("end of the conversations", within: last + Limits.answerTimeout * (longest + 1) + .minutes(1)) { finished == conversations.count }

        var byID = [ReplayAnswer](repeating: ReplayAnswer(problem: "not asked again"), count: plan.requestCount)
        for (conversation, caller) in zip(conversations, callers) {
            for (request, answer) in zip(conversation.requests, caller.answers) { byID[request.id - 1] = answer }
        }
        answers = byID
    }
}
