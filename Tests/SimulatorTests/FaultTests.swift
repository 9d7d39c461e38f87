// What goes wrong goes wrong as told, and heals as told.

import Base
import Platform
import Testing

@testable import Simulator

@Suite struct `A fault` {
    /// A connection that stands, with both recorders.
    func standing(_ duo: Duo, _ options: ConnectOptions = ConnectOptions()) -> (connection: any Connection, near: Recorder, far: Recorder) {
        let (connection, near) = duo.connect(options)
        duo.world.run(until: { !duo.acceptor.accepted.isEmpty }, limit: .seconds(1))
        return (connection, near, duo.acceptor.accepted[0])
    }

    func nodes(_ duo: Duo) -> (Node, Node) { (duo.client.node, duo.server.node) }

    @Test func `partition loses nothing of a stream that outlives it, and keeps its order`() {
        for seed in 1...20 as ClosedRange<UInt64> {
            let duo = Duo(seed: seed)
            let (connection, near, far) = standing(duo)
            connection.send(pattern(30_000))
            duo.world.run(for: .microseconds(200))
            duo.world.partition(duo.client.node, duo.server.node)
            duo.world.run(for: .seconds(3))
            let before = far.bytes.count
            connection.send(pattern(5_000))
            duo.world.run(for: .seconds(3))
            #expect(far.bytes.count == before && near.failure == nil)
            duo.world.heal(duo.client.node, duo.server.node)
            connection.finish()
            duo.world.run(for: .seconds(60))
            #expect(far.bytes == pattern(30_000) + pattern(5_000) && near.bytes == far.bytes && near.isClosed && near.failure == nil)
            #expect(duo.finish().passes)
        }
    }

    @Test func `partition that lasts makes the sender give up, after its user timeout if it has one`() {
        let duo = Duo()
        let (_, patient, _) = standing(duo)
        let (connection, hasty) = duo.connect(ConnectOptions(userTimeout: .seconds(5)))
        duo.world.run(for: .seconds(1))
        duo.world.partition(duo.client.node, duo.server.node)
        let begin = duo.world.now
        connection.send("?")
        patient.connection!.send("?")
        duo.world.run(for: .seconds(2000))
        #expect(hasty.failure?.reason == .timedOut && hasty.closedAt! - begin >= .seconds(5) && hasty.closedAt! - begin < .seconds(6))
        #expect(patient.failure?.reason == .timedOut && patient.closedAt! - begin >= .seconds(900))
        // The server never hears of it.
        #expect(duo.acceptor.accepted.allSatisfy { !$0.isClosed })
    }

    @Test func `one way lets the other way pass`() {
        let duo = Duo(Acceptor())
        let (connection, near, far) = standing(duo, ConnectOptions(userTimeout: .seconds(10)))
        duo.world.apply(.cut("b", "a"))
        connection.send("there")
        far.connection!.send("back")
        duo.world.run(for: .seconds(2))
        #expect(far.text == "there" && near.text == "")
        duo.world.run(for: .seconds(60))
        // What was delivered was never acknowledged.
        #expect(near.failure?.reason == .timedOut)
    }

    @Test func `clog delays and loses nothing`() {
        let duo = Duo()
        let (connection, near, _) = standing(duo)
        duo.world.clog(duo.client.node, duo.server.node, for: .seconds(4))
        let begin = duo.world.now
        connection.send("slow")
        duo.world.run(until: { near.text == "slow" }, limit: .seconds(10))
        #expect(duo.world.now - begin >= .seconds(4) && duo.world.now - begin < .seconds(5))
    }

    @Test func `reset reaches both ends, drop only one`() {
        let duo = Duo()
        let (_, near, far) = standing(duo)
        duo.world.apply(.reset("a", "b"))
        duo.world.run(for: .seconds(1))
        #expect(near.failure?.reason == .connectionReset && far.failure?.reason == .connectionReset)

        let second = Duo()
        let (_, here, there) = standing(second)
        second.world.apply(.drop("b", "a"))
        second.world.run(for: .seconds(1))
        #expect(there.failure?.reason == .connectionReset && !here.isClosed)
        here.connection!.send("anybody?")
        second.world.run(for: .seconds(1))
        #expect(here.failure?.reason == .connectionReset)
    }

    @Test func `crash of a process ends its connections as a kernel does`() {
        let duo = Duo()
        let (connection, near, far) = standing(duo)
        duo.world.crash(duo.server)
        duo.world.run(for: .seconds(1))
        #expect(near.isFinished && !far.isClosed && duo.server.state == .crashed)
        connection.send("x")
        duo.world.run(for: .seconds(1))
        #expect(near.failure?.reason == .connectionReset)
        let (_, refused) = duo.connect()
        duo.world.run(for: .seconds(1))
        #expect(refused.failure?.reason == .connectionRefused)
        duo.world.restart(duo.server)
        duo.world.run(for: .zero)
        let (_, again) = duo.connect()
        duo.world.run(for: .seconds(1))
        #expect(again.isConnected && duo.server.lives == 2)
    }

    @Test func `crash of a node is silence; the connection stays half open until somebody speaks`() {
        let duo = Duo()
        let (connection, near, _) = standing(duo)
        duo.world.crash(duo.server.node)
        duo.world.run(for: .hours(1))
        #expect(!near.isClosed)
        duo.world.restart(duo.server.node)
        duo.world.run(for: .seconds(1))
        #expect(!near.isClosed && duo.server.isRunning)
        connection.send("still there?")
        duo.world.run(for: .seconds(1))
        #expect(near.failure?.reason == .connectionReset)
    }

    @Test func `crash of a node is found by keep-alive`() {
        let duo = Duo()
        let (_, near, _) = standing(duo, ConnectOptions(keepAlive: .seconds(10)))
        duo.world.crash(duo.server.node)
        duo.world.run(for: .seconds(684))
        #expect(!near.isClosed)
        duo.world.run(for: .seconds(2))
        #expect(near.failure?.reason == .timedOut)
    }

    @Test func `freeze lets the world go on and delivers later`() {
        let duo = Duo()
        let (connection, near, far) = standing(duo)
        duo.world.freeze(duo.server, for: .seconds(2))
        connection.send("ping")
        var fired: Instant?
        duo.server.after(.seconds(1)) { fired = duo.world.now }
        duo.world.run(for: .milliseconds(1900))
        #expect(far.bytes.isEmpty && fired == nil)
        duo.world.run(for: .seconds(1))
        #expect(near.text == "ping" && fired != nil)
    }

    @Test func `wall step and drift move civil time only`() {
        let duo = Duo()
        let (a, b) = nodes(duo)
        duo.world.run(until: .zero + .seconds(100))
        #expect(a.wall == noon + .seconds(100))
        duo.world.stepWall(a, by: .seconds(-3600))
        duo.world.driftWall(b, perMillion: 10_000)
        duo.world.run(until: .zero + .seconds(200))
        #expect(a.wall == noon + .seconds(200 - 3600) && b.wall == noon + .seconds(201) && duo.client.now - .zero == .seconds(200))
        duo.world.driftWall(b, perMillion: 0)
        duo.world.run(until: .zero + .days(10_000))
        #expect(b.wall == noon + .days(10_000) + .seconds(1))
    }

    @Test func `lossy links deliver all of a stream and some datagrams`() throws {
        let duo = Duo()
        let link = LinkOptions(latency: .milliseconds(1), lostPerMillion: 300_000)
        duo.world.setLink(from: duo.client.node, to: duo.server.node, link)
        duo.world.setLink(from: duo.server.node, to: duo.client.node, link)
        let (connection, near) = duo.connect()
        duo.world.run(until: { near.isConnected }, limit: .seconds(100))
        connection.send(pattern(100_000))
        connection.finish()
        duo.world.runUntilIdle(limit: .seconds(1000))
        #expect(near.bytes == pattern(100_000) && near.failure == nil && near.isClosed)
        let (sender, receiver) = (Datagrams(), Datagrams())
        let from = try duo.client.network.datagrams(on: SocketAddress(.any, 0), handler: sender)
        let to = try duo.server.network.datagrams(on: SocketAddress(.any, 5000), handler: receiver)
        for i in 0..<1000 { from.send([UInt8(i & 255)].span.bytes, to: SocketAddress(IPAddress(10, 0, 0, 2), 5000)) }
        duo.world.run(for: .seconds(1))
        #expect((600...800).contains(receiver.count))
        #expect(receiver.last == SocketAddress(IPAddress(10, 0, 0, 1), from.address.port))
        from.close()
        to.close()
        #expect(duo.finish().passes)
    }
}

final class Datagrams: DatagramHandler {
    var count = 0
    var last: SocketAddress?
    var answers: [[UInt8]] = []
    func received(_ bytes: RawSpan, from address: SocketAddress, on socket: any DatagramSocket) {
        count += 1
        last = address
        answers.append(bytes.array())
    }
}

@Suite struct `A fault plan` {
    static let every: [Fault] = [
        .partition("a", "b"), .cut("a", "*"), .heal("a", "b"), .healAll, .clog("a", "web-*", .milliseconds(1500)),
        .link("a", "b", LinkOptions(latency: .microseconds(1), jitter: .seconds(2), bytesPerSecond: 10, lostPerMillion: 3)), .link("a", "b", LinkOptions(latency: .zero)),
        .unlink("a", "b"), .reset("a", "b"), .drop("a", "b"), .crash("a"), .crash("a/p"), .restart("a/p"), .stop("a/p"), .freeze("a/p", .hours(3)),
        .wallStep("a", .seconds(-5)), .wallDrift("a", -100), .names(.truncating, .nanoseconds(17)),
    ]

    @Test func `is printed and read back`() throws {
        let plan = FaultPlan(Self.every.enumerated().map { TimedFault(at: .milliseconds(Int64($0.offset) * 333), $0.element) })
        #expect(try FaultPlan(text: plan.description) == plan)
        #expect(try FaultPlan(text: "\n# a remark\n 2s partition a b # why\n") == FaultPlan([TimedFault(at: .seconds(2), .partition("a", "b"))]))
    }

    @Test(arguments: ["partition a b", "2s partition a", "2 partition a b", "2s clog a b soon", "2s link a b jitter=1s", "2s unknown a", "9999999999h heal-all", "2s names loud 1s"])
    func `is refused with its line`(_ text: String) {
        let refusal = #expect(throws: Refusal.self) { try FaultPlan(text: "1s heal-all\n" + text) }
        #expect(refusal?.reason.contains("line 2") ?? false)
    }

    @Test func `happens when it says, to whom it says`() throws {
        let duo = Duo()
        duo.world.faults = try FaultPlan(text: "1s crash b/server\n3s restart b/server\n4s crash nobody\n5s wall-step * 1h")
        duo.world.run(for: .seconds(2))
        #expect(duo.server.state == .crashed)
        duo.world.run(for: .seconds(4))
        #expect(duo.server.isRunning && duo.client.wall == noon + .hours(1) + .seconds(6) && duo.server.wall == duo.client.wall)
    }

    @Test func `is whole again by its end when drawn`() {
        for seed in 0..<200 as Range<UInt64> {
            var random = Random(seed: seed)
            let plan = FaultPlan.drawn(&random, mix: .everything(longest: .seconds(2)), from: .seconds(1), to: .seconds(5), nodes: ["a", "b", "c"], processes: ["a/p", "b/p"])
            var drift: [String: Interval] = [:]
            var broken: Set<String> = []
            for timed in plan.faults {
                #expect(timed.at >= .seconds(1) && timed.at <= .seconds(5))
                switch timed.fault {
                case .partition(let a, let b), .cut(let a, let b): broken.insert(a < b ? a + b : b + a)
                case .heal(let a, let b): broken.remove(a < b ? a + b : b + a)
                case .link(let a, let b, _): broken.insert("link" + a + b)
                case .unlink(let a, let b): broken.remove("link" + a + b)
                case .crash(let a): broken.insert(a)
                case .restart(let a): broken.remove(a)
                case .wallStep(let a, let step): drift[a, default: .zero] = drift[a, default: .zero] + step
                case .clog(_, _, let time), .freeze(_, let time), .names(_, let time): #expect(timed.at + time <= .seconds(5))
                default: break
                }
            }
            #expect(broken.isEmpty && drift.allSatisfy { $0.value == .zero })
        }
    }

    @Test func `shrinks to what the failure needs`() throws {
        let plan = try FaultPlan(text: (0..<40).map { "\($0)s \($0 % 2 == 0 ? "reset a b" : "clog a b 64s")\n" }.joined())
        // Fails when both the fault at 7 s and the one at 30 s are there and the clog lasts at least 5 s.
        var tries = 0
        let small = plan.shrunk { candidate in
            tries += 1
            let clogs = candidate.faults.contains { if case .clog(_, _, let time) = $0.fault { $0.at == .seconds(7) && time >= .seconds(5) } else { false } }
            return clogs && candidate.faults.contains { $0.at == .seconds(30) }
        }
        #expect(small.description == "7s clog a b 8s\n30s reset a b\n")
        #expect(tries < 300)
        #expect(plan.shrunk { _ in true } == FaultPlan())
    }
}
