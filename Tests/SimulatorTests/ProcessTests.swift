// Processes, their lives and what a life has: timers, files, log, chance.

import Base
import Platform
import Testing

@testable import Simulator

@Suite struct `A process` {
    func world(_ start: @escaping (SimProcess) -> Void) -> (World, SimProcess) {
        let world = World(seed: 1, options: options())
        let node = world.addNode("a", ip: IPAddress(10, 0, 0, 1))
        let process = world.addProcess("p", on: node, userID: 7, settings: Settings(environment: [("A", "1")]), start: start)
        process.start()
        world.run(for: .zero)
        return (world, process)
    }

    @Test func `has timers that fire in order of time, then of asking, never inside the call`() {
        let (world, process) = world { _ in }
        var order: [Int] = []
        process.after(.seconds(2)) { order.append(4) }
        process.after(.seconds(1)) { order.append(2) }
        process.after(.seconds(1)) { order.append(3) }
        process.after(.zero) { order.append(0) }
        process.after(.seconds(-5)) { order.append(1) }
        let cancelled = process.after(.seconds(1)) { order.append(9) }
        process.cancel(cancelled)
        process.cancel(cancelled)
        #expect(order.isEmpty)
        world.runUntilIdle(limit: .seconds(10))
        #expect(order == [0, 1, 2, 3, 4])
    }

    @Test func `does not keep the world running by cancelled timers`() {
        let (world, process) = world { _ in }
        for _ in 0..<20_000 { process.cancel(process.after(.hours(1)) {}) }
        let kept = process.after(.seconds(1)) {}
        process.cancel(TimerID(rawValue: kept.rawValue &+ 1 << 32))
        world.runUntilIdle(limit: .days(1))
        #expect(world.now == .zero + .seconds(1))
        #expect(world.queue.count < 10_000)
    }

    @Test func `reuses no timer's name`() {
        let (world, process) = world { _ in }
        var fired = 0
        let first = process.after(.seconds(1)) { fired += 1 }
        world.run(for: .seconds(2))
        let second = process.after(.seconds(1)) { fired += 1 }
        #expect(first != second)
        process.cancel(first)
        world.run(for: .seconds(2))
        #expect(fired == 2)
    }

    @Test func `begins each life with nothing of the last but its files`() {
        var draws: [UInt64] = []
        var fired = 0
        let (world, process) = world { p in
            var random = p.random("x")
            draws.append(random.next())
            p.after(.seconds(10)) { fired += 1 }
            if p.lives == 1 { sure { try p.files.write("/kept", [1], mode: 0o600) } }
        }
        world.crash(process)
        #expect(process.state == .crashed && process.after(.zero) {} == TimerID(rawValue: 0))
        world.run(for: .seconds(5))
        world.restart(process)
        world.run(for: .seconds(9))
        #expect(fired == 0 && process.lives == 2 && draws.count == 2 && draws[0] != draws[1])
        world.run(for: .seconds(2))
        let kept = sure { try process.files.read("/kept") }
        #expect(fired == 1 && kept == [1])
    }

    @Test func `gives the same stream for the same label`() {
        let (world, process) = world { _ in }
        var (a, b, c) = (process.random("a"), process.random("a"), process.random("c"))
        let first = a.next()
        #expect(first == b.next() && first != c.next())
        #expect(world.trace.last.filter { $0.kind == Trace.Kind.fork.rawValue }.count == 3)
    }

    @Test func `stops by its shutdown actions in order and exits after its turn`() {
        var told: [Int] = []
        let (world, process) = world { p in
            p.onShutdown { told.append(1) }
            p.onShutdown {
                p.exit(3)
                told.append(2)
            }
        }
        process.stop()
        process.stop()
        #expect(told.isEmpty)
        world.run(for: .zero)
        #expect(told == [1, 2] && process.state == .exited(3))
        #expect(world.finish().passes)
    }

    @Test func `sees its own files above its node's`() throws {
        let (world, process) = world { _ in }
        process.node.files.put("/etc/token", text: "node's")
        #expect(try process.files.read("/etc/token") == Array("node's".utf8))
        let events = world.trace.events
        try process.files.write("/etc/token", Array("mine".utf8), mode: 0o600)
        #expect(world.trace.events == events + 1)
        #expect(try process.files.read("/etc/token") == Array("mine".utf8))
        #expect(process.simFiles.tree["/etc/token"]?.mode == 0o600)
        #expect(process.node.files["/etc/token"]?.bytes == Array("node's".utf8))
        let missing = #expect(throws: HostFailure.self) { try process.files.read("/none") }
        #expect(missing?.reason == .notFound)
        process.simFiles.forbidden = ["/etc"]
        let forbidden = #expect(throws: HostFailure.self) { try process.files.read("/etc/token") }
        #expect(forbidden?.reason == .permissionDenied)
    }

    @Test func `logs into the trace, and to whoever listens`() {
        let (world, process) = world { _ in }
        var lines: [String] = []
        world.onLog = { lines.append("\($0.path) \($1) \($2) \($3)") }
        process.log(.info, "target", "heard")
        process.log(.debug, "target", "below the level")
        process.log.control.level = .debug
        process.log(.debug, "target", "heard now")
        #expect(lines == ["a/p info target heard", "a/p debug target heard now"] && process.logLines.count == 2)
        #expect(world.trace.last.filter { $0.kind == Trace.Kind.log.rawValue }.count == 2)
    }

    @Test func `prints its life for people`() {
        let world = World(seed: 1, options: options())
        var lines: [String] = []
        world.trace.lines = { lines.append($0) }
        let node = world.addNode("a", ip: IPAddress(10, 0, 0, 1))
        world.addProcess("p", on: node, userID: 7, settings: Settings()) { p in p.after(.milliseconds(1500)) { p.unexpected("odd") } }.start()
        world.run(for: .seconds(2))
        #expect(lines[1] == "     0.000000  a  processStart  p life 1")
        #expect(lines[2] == "     1.500000  a  timer  p")
        #expect(lines.contains { $0.hasSuffix("world  violation  unexpected: a/p: odd") || $0.contains("violation") })
    }
}
