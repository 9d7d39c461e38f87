// How fast the simulator runs on a core of this machine. Two scenarios: bytes to and fro between plain processes, which is the simulator alone;
// and HTTP through two proxies with real TLS between them, which is our whole data plane in virtual time.

import Base
import Glibc
import Platform
import Scenario
import Simulator
import Synchronization

private let start = WallTime(seconds: 1_804_075_200)

/// CPU time of this process, which a busy machine does not change. Unit: seconds.
private func cpuSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

// MARK: The simulator alone

private let echoPort: UInt16 = 7
private let messageBytes = 200

private final class Echo: AcceptHandler, ConnectionHandler {
    func accepted(_ connection: any Connection) { connection.handler = self }
    func received(_ bytes: RawSpan, on connection: any Connection) { connection.send(bytes) }
    func finished(_ connection: any Connection) { connection.finish() }
    func closed(_ connection: any Connection, _ failure: HostFailure?) {}
}

/// Sends a message as soon as the last one has come back whole.
private final class Player: ConnectionHandler {
    private let message = [UInt8](repeating: 120, count: messageBytes)
    private var awaited = messageBytes

    func connected(_ connection: any Connection) { connection.send(message) }

    func received(_ bytes: RawSpan, on connection: any Connection) {
        awaited -= bytes.byteCount
        if awaited > 0 { return }
        awaited = messageBytes
        connection.send(message)
    }

    func finished(_ connection: any Connection) {}
    func closed(_ connection: any Connection, _ failure: HostFailure?) {}
}

/// Sixteen pairs of nodes with four connections each; every event counts, trace and judges are on as in any run.
func simulatorEventsPerSecond() -> Int {
    let world = World(seed: 1, options: WorldOptions(start: start))
    for pair in 0..<16 {
        let server = world.addNode("server-\(pair)", ip: IPAddress(10, 1, 0, UInt8(pair + 1)))
        let client = world.addNode("client-\(pair)", ip: IPAddress(10, 2, 0, UInt8(pair + 1)))
        let serving = world.addProcess("echo", on: server, userID: 0, settings: Settings()) { process in
            let echo = Echo()
            process.keep(echo)
            do { process.keep(try process.listen(on: SocketAddress(.any, echoPort), options: ListenOptions(), handler: echo)) } catch { process.unexpected("\(error)") }
        }
        serving.start()
        let playing = world.addProcess("player", on: client, userID: 0, settings: Settings()) { process in
            for _ in 0..<4 {
                let player = Player()
                process.keep(player)
                process.keep(process.connect(to: SocketAddress(server.ip, echoPort), options: ConnectOptions(), handler: player))
            }
        }
        playing.start()
    }
    world.run(for: .seconds(1))
    let before = world.eventsRun
    let started = cpuSeconds()
    while cpuSeconds() - started < 3 { world.run(for: .milliseconds(100)) }
    return Int(Double(world.eventsRun - before) / (cpuSeconds() - started))
}

// MARK: The data plane in it

private let manifest = """
    {apiVersion: v1, kind: Namespace, metadata: {name: bench}}
    ---
    {apiVersion: v1, kind: ServiceAccount, metadata: {name: client, namespace: bench}}
    ---
    {apiVersion: v1, kind: ServiceAccount, metadata: {name: server, namespace: bench}}
    ---
    {apiVersion: v1, kind: Service, metadata: {name: server, namespace: bench}, spec: {selector: {app: server}, ports: [{name: http, port: 80, targetPort: 80}]}}
    ---
    {apiVersion: v1, kind: Pod, metadata: {name: server, namespace: bench, labels: {app: server}, annotations: {linkerd.io/inject: enabled}},
     spec: {serviceAccountName: server, containers: [{name: server, image: nginx, ports: [{containerPort: 80}]}]}}
    ---
    {apiVersion: v1, kind: Pod, metadata: {name: client, namespace: bench, annotations: {linkerd.io/inject: enabled}},
     spec: {serviceAccountName: client, containers: [{name: shell, image: curl}]}}
    """

/// Found inside a story, which may be told anywhere.
private final class Rate: Sendable { let value = Atomic(0) }

/// Requests that one client pod has under way at a time.
private let requestsAtOnce = 32
private let requestsMeasured = 20_000

/// A client pod calls a server pod through both their proxies, over mutual TLS, in a world with its control plane.
func meshRequestsPerSecond() throws -> Int {
    let rate = Rate()
    let story = Story("bench/mesh", story: "A client calls a server without pause.", promise: "Every answer is 200.", source: "scripts/bench") { stage throws(StoryFailure) in
        let cluster = try stage.deploy()
        cluster.image("nginx") { process, _ in
            process.keep(HTTPApplication(process, in: stage.world, port: 80) { _ in HTTPApplication.Answer(body: Array("ok".utf8)) })
        }
        try cluster.apply(manifest)
        let client = try cluster.ready("client")
        _ = try cluster.ready("server")
        let caller = client.caller()
        var left = 0
        var answered = 0
        var failure: String?
        func next() {
            if left == 0 { return }
            left -= 1
            caller.call("server.bench.svc.cluster.local") { result in
                answered += 1
                if result.status != 200 { failure = result.summary }
                next()
            }
        }
        func play(_ count: Int) throws(StoryFailure) {
            left = count
            answered = 0
            for _ in 0..<requestsAtOnce { next() }
            try stage.wait("\(count) answers", within: .minutes(60)) { answered == count }
            try stage.check(failure == nil, "every answer is 200, not \(failure ?? "")")
        }
        try play(1000)
        let before = cpuSeconds()
        try play(requestsMeasured)
        rate.value.store(Int(Double(requestsMeasured) / (cpuSeconds() - before)), ordering: .relaxed)
    }
    let outcome = story.run(seed: 1, build: "bench")
    if let failure = outcome.failure { throw Refusal("the mesh did not hold: \(failure)") }
    return rate.value.load(ordering: .relaxed)
}
