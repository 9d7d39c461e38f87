// What every story of this family does: a meshed client calls in peace, then while somebody attacks the server's proxy, then in peace again.
// The promise is always the same: the client notices nothing, and what the proxy holds for the attacker has a bound.

import Base
import HTTP
import Platform
import Scenario
import Simulator

struct Siege {
    let stage: Stage
    let api: StagePod
    let attacker: SimProcess
    private let caller: Caller
    /// Of the calm.
    private(set) var calmLatency = Interval.zero
    private(set) var calmBytes = 0

    /// A server with a proxy, a client with one, and a pod without.
    init(_ stage: Stage, respond: @escaping (HTTPApplication.Request) -> HTTPApplication.Answer = { _ in HTTPApplication.Answer(body: Array("fine".utf8), delay: .milliseconds(2)) }) throws(StoryFailure) {
        self.stage = stage
        let cluster = try stage.deploy()
        let world = stage.world
        cluster.image("nginx") { process, _ in process.keep(HTTPApplication(process, in: world, port: 80, respond: respond)) }
        try cluster.apply(Manifest.servers(1) + "---\n" + Manifest.client("stranger", isMeshed: false))
        let web = try cluster.ready("web")
        api = try cluster.ready("api-0")
        attacker = try cluster.ready("stranger").process()
        caller = web.caller()
        let calm = try calls("calm")
        calmLatency = calm.latency
        calmBytes = calm.bytes
    }

    var target: SocketAddress { SocketAddress(api.node.ip, 80) }

    /// Sixty calls over three seconds. Every one of them is answered; the slowest answer, and the most bytes that the proxy held meanwhile.
    private func calls(_ when: String) throws(StoryFailure) -> (latency: Interval, bytes: Int) {
        var ended: [CallResult] = []
        var bytes = 0
        for i in 0..<60 { stage.world.after(.milliseconds(Int64(i) * 50)) { [caller] in caller.call("api.demo", "/peace/\(i)", timeout: .seconds(5)) { ended.append($0) } } }
        for i in 0..<600 { stage.world.after(.milliseconds(Int64(i) * 5)) { [api] in bytes = max(bytes, api.proxyBytesHeld) } }
        stage.world.run(for: .seconds(3))
        try stage.wait("end of sixty calls", within: .seconds(20)) { ended.count == 60 }
        let failed = ended.filter { $0.status != 200 }
        try stage.check(failed.isEmpty, "\(when): every call is answered with 200, not \(failed.first.map(\.summary) ?? "")")
        return (ended.map(\.latency).max() ?? .zero, bytes)
    }

    /// Attacks for three seconds, with `connections` at a time. `bytesMax`: what the proxy may hold beside what the calm needed, per connection.
    /// `bytesToEnd`: what one connection may say before it is ended; nil: it may stay.
    func withstand(_ name: String, connections: Int = 4, bytesMax: Int, bytesToEnd: Int?, _ assault: @escaping () -> Assault) throws(StoryFailure) {
        let attack = Attacker(attacker, target: target, connections: connections, assault: assault)
        let siege = try calls(name)
        attack.stop()
        let worst = attack.bytesToEnd.max() ?? 0
        stage.say(
            "\(name): \(attack.made) connections said \(attack.bytesSaid) bytes and heard \(attack.bytesHeard), \(attack.ended) were ended; "
                + "the proxy held \(siege.bytes) bytes at most (in peace \(calmBytes)), the slowest of sixty calls took \(siege.latency) (in peace \(calmLatency))")
        try stage.check(siege.latency <= calmLatency * 2 + .milliseconds(10), "\(name): a call under attack takes \(siege.latency), in peace \(calmLatency)")
        try stage.check(siege.bytes <= calmBytes + connections * bytesMax, "\(name): the proxy holds \(siege.bytes) bytes under attack, \(calmBytes) in peace")
        if let bytesToEnd {
            try stage.check(attack.ended > 0, "\(name): the attacker's connections are ended")
            try stage.check(worst <= bytesToEnd, "\(name): a connection is ended after \(worst) bytes")
        }
        stage.world.run(for: .seconds(2))
        // Clients to the application keep their tables and buffers for the next load, whoever brought the last one.
        let after = api.proxyBytesHeld
        try stage.check(after <= calmBytes + 131_072, "\(name): when it is over the proxy holds \(after) bytes, before it \(calmBytes)")
    }

    /// The proxy lives, and has never been restarted.
    func end() throws(StoryFailure) {
        _ = try calls("afterwards")
        try stage.check(api.proxy!.isRunning && api.proxy!.lives == 1, "the attacked proxy lives on")
    }
}
