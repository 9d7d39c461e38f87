// The same seed is the same run.

import Base
import Foundation
import Platform
import Testing

@testable import Simulator

/// A little of everything: several clients, chance, timers, logs, files, a name server, faults.
func busyRun(seed: UInt64, plan: FaultPlan? = nil, options given: WorldOptions = options(), prepare: (World) -> Void = { _ in }) -> (verdict: Verdict, world: World) {
    let world = World(seed: seed, options: given)
    prepare(world)
    let names = world.addNameServer("dns", ip: IPAddress(10, 0, 0, 53), zone: .init("cluster.local")!)
    names.set(.init("echo.cluster.local")!, addresses: [IPAddress(10, 0, 0, 100)])
    let server = world.addNode("server", ip: IPAddress(10, 0, 0, 100))
    world.addProcess("echo", on: server, userID: 1, settings: Settings()) { process in
        let acceptor = Acceptor.echo()
        process.keep(acceptor)
        let listener = sure { try process.network.listen(on: SocketAddress(.any, 7), options: ListenOptions(), handler: acceptor) }
        process.onShutdown {
            listener.close()
            // A peer may have vanished without a word.
            for recorder in acceptor.accepted { recorder.connection?.reset() }
        }
    }.start()
    for i in 0..<4 {
        let node = world.addNode("client-\(i)", ip: IPAddress(10, 0, 1, UInt8(i)))
        world.addProcess("load", on: node, userID: 1, settings: Settings()) { process in
            let load = Load(process)
            process.keep(load)
            load.next()
        }.start()
    }
    var random = world.random("plan")
    world.faults =
        plan
        ?? .drawn(
            &random, mix: .everything(longest: .milliseconds(300)), from: .milliseconds(100), to: .seconds(2), nodes: ["server", "client-0", "client-1", "client-2"],
            processes: ["server/echo", "client-3/load"])
    world.run(for: .seconds(4))
    world.stopAll()
    world.runUntilIdle(limit: .hours(1))
    return (world.finish(), world)
}

private final class Load {
    let process: SimProcess
    var random: Random
    var rounds = 0
    var isStopping = false

    init(_ process: SimProcess) {
        self.process = process
        random = process.random("load")
        process.onShutdown { [unowned self] in isStopping = true }
    }

    func next() {
        guard rounds < 60, !isStopping else { return }
        rounds += 1
        let bytes = pattern(1 + random.below(20_000))
        let recorder = Recorder()
        var left = bytes.count
        recorder.onReceived = { connection, piece in
            left -= piece.count
            if left == 0 { connection.finish() }
        }
        let connection = process.network.connect(to: SocketAddress(IPAddress(10, 0, 0, 100), 7), options: ConnectOptions(timeout: .milliseconds(200), userTimeout: .seconds(1)), handler: recorder)
        connection.send(bytes)
        process.log(.info, "load", "round \(rounds)")
        sure { try process.files.write("/round", Array("\(rounds)".utf8), mode: 0o600) }
        process.after(.milliseconds(Int64(random.below(50)))) { [unowned self] in
            if recorder.isClosed { next() } else { process.after(.seconds(2)) { [unowned self] in
                connection.reset()
                next()
            } }
        }
    }
}

@Suite struct `A seed` {
    @Test func `gives the same run twice and another for another seed`() {
        for seed in 1...6 as ClosedRange<UInt64> {
            let first = busyRun(seed: seed)
            let second = busyRun(seed: seed)
            #expect(first.verdict.traceLine == second.verdict.traceLine && first.verdict.unseed == second.verdict.unseed)
            #expect(first.world.trace.checkpoints == second.world.trace.checkpoints && first.world.trace.checkpoints.count > 1)
            #expect(first.verdict.traceLine != busyRun(seed: seed + 100).verdict.traceLine)
            #expect(first.verdict.passes, "\(first.verdict)\n\(first.verdict.plan)")
        }
    }

    /// `WEFT_SIM_SEEDS=2000` looks longer.
    @Test func `after seed leaves nothing open when all is over, whatever went wrong`() {
        let count = ProcessInfo.processInfo.environment["WEFT_SIM_SEEDS"].flatMap { UInt64($0) } ?? 12
        for seed in 1000..<1000 + count {
            let (verdict, world) = busyRun(seed: seed)
            #expect(verdict.passes, "\(verdict)\n\(verdict.plan)")
            let open = world.streams.compactMap(\.stream)
            #expect(open.isEmpty, "seed \(seed): \(open.map { $0.label($0.client) })\n\(verdict.plan)")
        }
    }

    @Test func `is not moved by watching`() {
        let quiet = busyRun(seed: 3).verdict
        var lines: [String] = []
        var records: [Trace.Record] = []
        var packets: [UInt8] = []
        let watched = busyRun(seed: 3) { world in
            world.trace.lines = { lines.append($0) }
            world.trace.records = { records.append($0) }
            world.capture(nodes: nil, includesLoopback: true) { packets += $0 }
        }
        #expect(watched.verdict.description == quiet.description)
        #expect(records.count == Int(watched.world.trace.events) && lines.count == records.count - 1 && packets.count > 10_000)
        #expect(records.suffix(50) == watched.verdict.lastRecords[...])
    }

    @Test func `names the window in which two runs part`() {
        let first = busyRun(seed: 5, plan: FaultPlan())
        let second = busyRun(seed: 5, plan: FaultPlan([TimedFault(at: .seconds(1), .freeze("server/echo", .milliseconds(1)))]))
        let window = Trace.divergence(first.world.trace.checkpoints, second.world.trace.checkpoints)!
        var records: (Trace.Record?, Trace.Record?)
        var all: [[Trace.Record]] = [[], []]
        for (i, plan) in [FaultPlan(), FaultPlan([TimedFault(at: .seconds(1), .freeze("server/echo", .milliseconds(1)))])].enumerated() {
            _ = busyRun(seed: 5, plan: plan) { $0.trace.records = { all[i].append($0) } }
        }
        let index = zip(all[0], all[1]).enumerated().first { $0.element.0 != $0.element.1 }!.offset
        records = (all[0][index], all[1][index])
        #expect(window.contains(UInt64(index)), "\(window) \(index) \(records)")
    }
}
