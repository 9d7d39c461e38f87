// Leader election against the API server of this house: one leader at a time whatever happens, and the next one soon.

import APIServer
import Base
import Documents
import HTTP
import Kube
import Platform
import Simulator
import Testing
import Transport

/// Replicas of a component, each on a node of its own, and an API server. Who leads is written down at every change.
private final class Replicas {
    let world: World
    private(set) var api: KubeAPIServer!
    let server: SimProcess
    private(set) var processes: [SimProcess] = []
    /// Replicas that lead now, by index, and when each term began.
    private(set) var leading: [Int] = []
    private(set) var history: [(index: Int, at: Instant)] = []
    private(set) var overlaps = 0
    private(set) var electors: [LeaderElector?] = []

    init(_ count: Int, seed: UInt64) {
        var options = WorldOptions(start: WallTime(year: 2026, month: 6, day: 1, hour: 12)!)
        options.build = "test"
        world = World(seed: seed, options: options)
        var made: KubeAPIServer?
        let address = SocketAddress(IPAddress(10, 0, 0, 2), 6443)
        server = world.addProcess("api", on: world.addNode("server", ip: address.ip), userID: 1, settings: Settings()) { process in
            var options = APIServerOptions()
            options.adminToken = "admin-token"
            do {
                made = try KubeAPIServer(host: process, options: options)
                try made?.start(address: address)
            } catch { Issue.record(error) }
        }
        server.start()
        world.run(for: .seconds(1))
        api = made
        for i in 0..<count {
            electors.append(nil)
            let node = world.addNode("replica-\(i)", ip: IPAddress(10, 0, 1, UInt8(i + 1)))
            let process = world.addProcess("main", on: node, userID: 1, settings: Settings()) { [unowned self] process in
                do {
                    var configuration = KubeConfiguration(scheme: .http, host: "10.0.0.2", port: 6443)
                    configuration.token = .fixed("admin-token")
                    let client = try KubeClient(batch: FlushBatch(host: process), configuration: configuration, resolver: Resolver(host: process), userAgent: "test")
                    let elector = LeaderElector(
                        client: client, options: LeaderElectionOptions(namespace: "default", name: "writer", identity: "replica-\(i)"),
                        onStarted: { [unowned self] in began(i) }, onStopped: { [unowned self] in ended(i) })
                    electors[i] = elector
                    elector.start()
                    process.keep(elector)
                    process.onShutdown {
                        elector.stop {
                            client.close()
                            process.exit(0)
                        }
                    }
                } catch { Issue.record(error) }
            }
            processes.append(process)
            process.start()
        }
        world.onProcessEnd = { [unowned self] process in
            if let i = processes.firstIndex(where: { $0 === process }) { leading.removeAll { $0 == i } }
        }
    }

    private func began(_ i: Int) {
        if !leading.isEmpty { overlaps += 1 }
        leading.append(i)
        history.append((i, world.now))
    }

    private func ended(_ i: Int) { leading.removeAll { $0 == i } }

    func run(_ seconds: Int64) { world.run(for: .seconds(seconds)) }

    /// How long it takes until somebody leads, other than `old`.
    func successor(of old: Int?) -> Interval? {
        let from = world.now
        guard world.run(until: { [self] in leading.contains { $0 != old } }, limit: .minutes(3), awaiting: "a leader") else { return nil }
        return world.now - from
    }

    var lease: KubeObject? { server.run { api.object(.leases, namespace: "default", name: "writer") } }
}

@Suite struct `Leaders` {
    @Test(arguments: 1...4 as ClosedRange<UInt64>) func `there is one, who renews and stays`(_ seed: UInt64) throws {
        let replicas = Replicas(3, seed: seed)
        let wait = try #require(replicas.successor(of: nil))
        #expect(wait < .seconds(5))
        replicas.run(300)
        #expect(replicas.history.count == 1 && replicas.leading.count == 1 && replicas.overlaps == 0)
        let lease = try #require(replicas.lease)
        #expect(lease.value.text("spec", "holderIdentity") == "replica-\(replicas.leading[0])" && lease.value.number("spec", "leaseTransitions") == 0 && lease.value.number("spec", "leaseDurationSeconds") == 30)
        #expect(replicas.electors.allSatisfy { $0?.holder == lease.value.text("spec", "holderIdentity") })
    }

    @Test func `one who ends gives up the lease, and the next follows within seconds`() throws {
        let replicas = Replicas(3, seed: 1)
        _ = replicas.successor(of: nil)
        let old = replicas.leading[0]
        replicas.processes[old].stop()
        replicas.run(1)
        #expect(replicas.processes[old].state == .exited(0) && replicas.lease?.value.text("spec", "holderIdentity") == "")
        let wait = try #require(replicas.successor(of: old))
        #expect(wait < .seconds(4) && replicas.overlaps == 0)
        #expect(replicas.lease?.value.number("spec", "leaseTransitions") == 1)
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>) func `one who dies is followed when the lease is over`(_ seed: UInt64) throws {
        let replicas = Replicas(3, seed: seed)
        _ = replicas.successor(of: nil)
        let old = replicas.leading[0]
        replicas.world.crash(replicas.processes[old])
        let wait = try #require(replicas.successor(of: old))
        #expect(wait > .seconds(25) && wait < .seconds(36) && replicas.overlaps == 0)
    }

    @Test func `one who comes back under its name takes its own lease up again`() throws {
        let replicas = Replicas(2, seed: 3)
        _ = replicas.successor(of: nil)
        let old = replicas.leading[0]
        replicas.world.crash(replicas.processes[old])
        replicas.run(1)
        replicas.processes[old].start()
        let wait = try #require(replicas.successor(of: nil))
        #expect(wait < .seconds(3) && replicas.leading == [old] && replicas.overlaps == 0)
    }

    /// The leader cannot reach the API server: it stops before another starts, and stands as a candidate when it is back.
    @Test(arguments: 1...6 as ClosedRange<UInt64>) func `one who is cut off stops leading before the next begins`(_ seed: UInt64) throws {
        let replicas = Replicas(3, seed: seed)
        _ = replicas.successor(of: nil)
        replicas.run(Int64(seed) * 7)
        let old = replicas.leading[0]
        replicas.world.partition(replicas.processes[old].node, replicas.server.node)
        let from = replicas.world.now
        #expect(replicas.world.run(until: { replicas.leading.isEmpty }, limit: .seconds(11), awaiting: "the end of the term"))
        let wait = try #require(replicas.successor(of: old))
        #expect(replicas.world.now - from < .seconds(37), "\(wait)")
        replicas.run(60)
        replicas.world.heal(replicas.processes[old].node, replicas.server.node)
        replicas.run(120)
        #expect(replicas.overlaps == 0 && replicas.leading.count == 1 && replicas.history.count == 2 && replicas.electors[old]?.holder == "replica-\(replicas.leading[0])")
    }

    /// Clocks that show other times change nothing, since only their own speed is used.
    @Test(arguments: [-86_400, -40, 40, 86_400] as [Int64]) func `a clock that is wrong makes no second leader`(_ seconds: Int64) throws {
        let replicas = Replicas(3, seed: 5)
        _ = replicas.successor(of: nil)
        let leader = replicas.leading[0]
        replicas.world.apply(.wallStep(replicas.processes[leader].node.name, .seconds(seconds)))
        replicas.run(120)
        for i in 0..<3 where i != leader { replicas.world.apply(.wallStep(replicas.processes[i].node.name, .seconds(-seconds))) }
        replicas.run(120)
        #expect(replicas.history.count == 1 && replicas.overlaps == 0)
        replicas.world.crash(replicas.processes[leader])
        let wait = try #require(replicas.successor(of: leader))
        #expect(wait < .seconds(36))
    }

    /// Whatever breaks for ten minutes: never two, and one in the end.
    @Test(arguments: 1...8 as ClosedRange<UInt64>) func `never are there two, whatever breaks`(_ seed: UInt64) throws {
        let replicas = Replicas(3, seed: seed)
        var random = Random(seed: seed)
        let names = replicas.processes.map(\.node.name)
        for _ in 0..<40 {
            let i = random.below(3)
            switch random.below(9) {
            case 0: replicas.world.apply(.partition(names[i], "server"))
            case 1, 2: for name in names { replicas.world.apply(.heal(name, "server")) }
            case 3: replicas.world.crash(replicas.processes[i])
            case 4: for process in replicas.processes where !process.isRunning { process.start() }
            case 5: replicas.world.apply(.clog(names[i], "server", .seconds(Int64(random.below(40)))))
            case 6: replicas.world.apply(.reset(names[i], "server"))
            case 7: replicas.world.apply(.wallStep(names[i], .seconds(random.within(-100...100))))
            default: break
            }
            replicas.run(Int64(random.below(30)))
        }
        for name in names { replicas.world.apply(.heal(name, "server")) }
        for process in replicas.processes where !process.isRunning { process.start() }
        replicas.run(60)
        #expect(replicas.overlaps == 0 && replicas.leading.count == 1)
    }
}
