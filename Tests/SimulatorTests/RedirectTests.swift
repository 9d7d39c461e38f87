// Address rewriting as weft-init's rules do it.

import Base
import Platform
import Testing

@testable import Simulator

@Suite struct `Redirection` {
    /// A pod with an application (uid 1000) and a proxy (uid 2102) on 4140 and 4143, and another node.
    final class Pod {
        let world = World(seed: 1, options: options())
        let node: Node
        let other: Node
        let app: SimProcess
        let proxy: SimProcess
        let outside: SimProcess
        let inbound = Acceptor()
        let outbound = Acceptor()
        let direct = Acceptor()
        let elsewhere = Acceptor()

        init(_ rules: RedirectRules? = RedirectRules()) {
            node = world.addNode("pod", ip: IPAddress(10, 1, 0, 1))
            other = world.addNode("other", ip: IPAddress(10, 1, 0, 2))
            node.redirect = rules
            let (inbound, outbound, direct, elsewhere) = (inbound, outbound, direct, elsewhere)
            app = world.addProcess("app", on: node, userID: 1000, settings: Settings()) { p in
                for port in [80, 4190, 5000] as [UInt16] { _ = sure { try p.network.listen(on: SocketAddress(.any, port), options: ListenOptions(wantsOriginalDestination: true), handler: direct) } }
            }
            proxy = world.addProcess("proxy", on: node, userID: 2102, settings: Settings()) { p in
                let options = ListenOptions(wantsOriginalDestination: true)
                _ = sure { try p.network.listen(on: SocketAddress(.any, 4143), options: options, handler: inbound) }
                _ = sure { try p.network.listen(on: SocketAddress(.loopback, 4140), options: options, handler: outbound) }
            }
            outside = world.addProcess("outside", on: other, userID: 1000, settings: Settings()) { p in
                for port in [80, 4567] as [UInt16] { _ = sure { try p.network.listen(on: SocketAddress(.any, port), options: ListenOptions(wantsOriginalDestination: true), handler: elsewhere) } }
            }
            for process in [app, proxy, outside] { process.start() }
            world.run(for: .zero)
        }

        func connect(_ process: SimProcess, _ ip: IPAddress, _ port: UInt16) -> any Connection {
            let connection = process.network.connect(to: SocketAddress(ip, port), options: ConnectOptions(), handler: Recorder())
            world.run(for: .seconds(1))
            return connection
        }
    }

    let pod = IPAddress(10, 1, 0, 1), other = IPAddress(10, 1, 0, 2)

    @Test func `leads what comes from outside to the inbound port, with its destination`() {
        let world = Pod()
        let connection = world.connect(world.outside, pod, 80)
        let end = world.inbound.accepted[0].connection!
        #expect(end.originalDestination == SocketAddress(pod, 80) && end.localAddress == SocketAddress(pod, 4143) && end.remoteAddress == connection.localAddress)
        #expect(connection.remoteAddress == SocketAddress(pod, 80) && world.direct.accepted.isEmpty)
        _ = world.connect(world.outside, pod, 4143)
        #expect(world.inbound.accepted[1].connection!.originalDestination == SocketAddress(pod, 4143))
    }

    @Test func `leaves out skipped ports and subnets inbound`() {
        let world = Pod()
        _ = world.connect(world.outside, pod, 4190)
        #expect(world.direct.accepted.count == 1 && world.direct.accepted[0].connection!.originalDestination == SocketAddress(pod, 4190))
        let open = Pod(RedirectRules(skipSubnets: [IPNetwork("10.1.0.0/24")!]))
        _ = open.connect(open.outside, pod, 80)
        #expect(open.direct.accepted.count == 1 && open.inbound.accepted.isEmpty)
        let only = Pod(RedirectRules(inboundPortsOnly: [5000...5000]))
        _ = only.connect(only.outside, pod, 80)
        _ = only.connect(only.outside, pod, 5000)
        #expect(only.direct.accepted.count == 1 && only.inbound.accepted.count == 1)
    }

    @Test func `leads what leaves to the outbound port, with its destination`() {
        let world = Pod()
        let connection = world.connect(world.app, IPAddress(10, 96, 0, 10), 80)
        let end = world.outbound.accepted[0].connection!
        #expect(end.originalDestination == SocketAddress(IPAddress(10, 96, 0, 10), 80) && end.localAddress == SocketAddress(.loopback, 4140))
        #expect(end.remoteAddress == SocketAddress(pod, connection.localAddress.port) && connection.remoteAddress == SocketAddress(IPAddress(10, 96, 0, 10), 80))
    }

    @Test func `lets the proxy, skipped ports and loopback through outbound`() {
        let world = Pod()
        _ = world.connect(world.proxy, other, 80)
        _ = world.connect(world.app, other, 4567)
        #expect(world.elsewhere.accepted.count == 2 && world.outbound.accepted.isEmpty)
        #expect(world.elsewhere.accepted[0].connection!.originalDestination == nil)
        _ = world.connect(world.app, pod, 80)
        _ = world.connect(world.app, .loopback, 80)
        _ = world.connect(world.proxy, pod, 80)
        #expect(world.direct.accepted.count == 3 && world.outbound.accepted.isEmpty && world.inbound.accepted.isEmpty)
        #expect(world.direct.accepted[1].connection!.remoteAddress.ip == .loopback)
    }

    @Test func `skips no subnet outbound`() {
        let world = Pod(RedirectRules(skipSubnets: [IPNetwork("10.1.0.0/24")!]))
        _ = world.connect(world.app, other, 80)
        #expect(world.outbound.accepted.count == 1)
    }

    @Test func `comes before a Service's address is resolved`() {
        let world = Pod()
        let service = SocketAddress(IPAddress(10, 96, 0, 10), 80)
        world.world.forward(service, to: [SocketAddress(other, 80)])
        let connection = world.connect(world.proxy, service.ip, 80)
        #expect(world.elsewhere.accepted.count == 1 && connection.remoteAddress == service)
        _ = world.connect(world.app, service.ip, 80)
        #expect(world.outbound.accepted.count == 1 && world.outbound.accepted[0].connection!.originalDestination == service)
        world.world.forward(service, to: [])
        let recorder = Recorder()
        _ = world.proxy.network.connect(to: service, options: ConnectOptions(), handler: recorder)
        world.world.run(for: .seconds(1))
        #expect(recorder.failure?.reason == .connectionRefused)
    }
}
