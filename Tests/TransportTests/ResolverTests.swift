// Names to addresses to connections, with a name server that has its troubles; and growing waits.

import Base
import DNS
import Platform
import Simulator
import Testing

@testable import Transport

@Suite struct `A resolver` {
    private func ask(_ net: Net, _ resolver: Resolver, _ name: String) -> DNSResult? {
        var answer: DNSResult?
        net.asClient { resolver.addresses(of: name) { answer = $0 } }
        #expect(answer == nil, "answers come in a later turn")
        net.wait { answer != nil }
        return answer
    }

    @Test func `answers literal addresses and localhost without asking`() {
        let net = Net()
        let resolver = net.asClient { Resolver(host: net.client) }
        #expect(ask(net, resolver, "10.1.2.3") == .addresses([IPAddress(10, 1, 2, 3)], ttl: .days(1)))
        #expect(ask(net, resolver, "localhost.") == .addresses([.loopback], ttl: .days(1)))
        #expect(net.world.now - .zero < .milliseconds(1))
    }

    @Test func `keeps an answer for as long as it says, and not longer`() {
        let net = Net()
        let name = DNSName("web.shop.svc.cluster.local")!
        net.names.set(name, addresses: [Net.serverIP])
        let resolver = net.asClient { Resolver(host: net.client) }
        #expect(ask(net, resolver, "web.shop.svc.cluster.local") == .addresses([Net.serverIP], ttl: .seconds(5)))
        net.names.set(name, addresses: [Net.spareIP])
        net.run(4)
        guard case .addresses(let old, let rest)? = ask(net, resolver, "web.shop.svc.cluster.local") else { return #expect(Bool(false)) }
        #expect(old == [Net.serverIP] && rest <= .seconds(1) && rest > .zero)
        net.run(2)
        #expect(ask(net, resolver, "web.shop.svc.cluster.local") == .addresses([Net.spareIP], ttl: .seconds(5)))
    }

    @Test func `asks equal questions once`() {
        let net = Net()
        net.names.set(DNSName("web.cluster.local")!, addresses: [Net.serverIP])
        let resolver = net.asClient { Resolver(host: net.client) }
        var answers = 0
        net.asClient { for _ in 0..<10 { resolver.addresses(of: "web.cluster.local") { if case .addresses = $0 { answers += 1 } } } }
        net.wait { answers == 10 }
        #expect(answers == 10)
    }

    @Test func `comes by stream when the answer does not fit`() {
        let net = Net()
        let many = (0..<400).map { IPAddress(10, 2, UInt8($0 / 200), UInt8($0 % 200)) }
        net.names.set(DNSName("many.cluster.local")!, addresses: many)
        let resolver = net.asClient { Resolver(host: net.client) }
        #expect(ask(net, resolver, "many.cluster.local") == .addresses(many, ttl: .seconds(5)))
        net.asClient { resolver.close() }
        net.run()
        net.judge()
    }

    @Test func `says what does not exist, and fails when nobody answers`() {
        let net = Net()
        let resolver = net.asClient { Resolver(host: net.client) }
        #expect(ask(net, resolver, "nothing.cluster.local.") == .notFound(ttl: .seconds(5)))
        net.names.suffer(.silent, until: net.world.now + .minutes(5))
        guard case .failed? = ask(net, resolver, "web.cluster.local.") else { return #expect(Bool(false)) }
    }

    @Test func `can be closed while it asks`() {
        let net = Net()
        net.names.suffer(.silent, until: net.world.now + .minutes(5))
        let resolver = net.asClient { Resolver(host: net.client) }
        var answered = false
        net.asClient { resolver.addresses(of: "web.cluster.local.") { _ in answered = true } }
        net.run(1)
        net.asClient { resolver.close() }
        net.run(60)
        #expect(!answered)
        net.asClient { net.client.stop() }
        net.run()
        net.judge()
    }
}

@Suite struct `A connector to a name` {
    private func greet(_ net: Net, _ process: SimProcess, _ text: String, port: UInt16 = 80) {
        let acceptor = Accepting { connection in
            let listener = Listener()
            net.kept.append(listener)
            connection.handler = listener
            connection.send(text)
        }
        net.kept.append(acceptor)
        Net.turn(process) { _ = try? process.network.listen(on: SocketAddress(process.node.ip, port), options: ListenOptions(), handler: acceptor) }
    }

    private func connect(_ net: Net, _ connector: NameConnector) -> Listener {
        let listener = Listener()
        net.asClient { net.kept.append(connector.connect(listener) as AnyObject) }
        net.wait { listener.isClosed || !listener.bytes.isEmpty }
        return listener
    }

    @Test func `goes on to the next address until one stands`() {
        let net = Net()
        greet(net, net.spare, "spare")
        net.names.set(DNSName("web.cluster.local")!, addresses: [Net.serverIP, Net.spareIP])
        let resolver = net.asClient { Resolver(host: net.client) }
        let connector = net.asClient { NameConnector(host: net.client, resolver: resolver, name: "web.cluster.local.", port: 80) }
        for _ in 0..<4 { #expect(connect(net, connector).text == "spare") }
    }

    @Test func `takes turns among the addresses`() {
        let net = Net()
        greet(net, net.server, "server")
        greet(net, net.spare, "spare")
        net.names.set(DNSName("web.cluster.local")!, addresses: [Net.serverIP, Net.spareIP])
        let resolver = net.asClient { Resolver(host: net.client) }
        let connector = net.asClient { NameConnector(host: net.client, resolver: resolver, name: "web.cluster.local.", port: 80) }
        let heard = (0..<4).map { _ in connect(net, connector).text }
        #expect(Set(heard) == ["server", "spare"] && heard[0] == heard[2] && heard[1] == heard[3])
    }

    @Test func `prefers what the services' names spell`() {
        let net = Net()
        greet(net, net.spare, "spare", port: 8086)
        let name = DNSName("linkerd-dst-headless.linkerd.svc.cluster.local")!
        net.names.set(name, addresses: [Net.serverIP])
        net.names.set(name, services: [DNSService(priority: 0, weight: 100, port: 8086, target: DNSName("10-0-0-3.linkerd-dst-headless.linkerd.svc.cluster.local")!)])
        let resolver = net.asClient { Resolver(host: net.client) }
        let connector = net.asClient { NameConnector(host: net.client, resolver: resolver, name: "linkerd-dst-headless.linkerd.svc.cluster.local.", port: 1) }
        #expect(connect(net, connector).text == "spare")
    }

    @Test func `fails once with the last reason when no address stands or none is known`() {
        let net = Net()
        net.names.set(DNSName("web.cluster.local")!, addresses: [Net.serverIP, Net.spareIP])
        let resolver = net.asClient { Resolver(host: net.client) }
        let refused = connect(net, net.asClient { NameConnector(host: net.client, resolver: resolver, name: "web.cluster.local.", port: 80) })
        #expect(refused.failure?.reason == .connectionRefused && !refused.isConnected)
        let unknown = connect(net, net.asClient { NameConnector(host: net.client, resolver: resolver, name: "no.cluster.local.", port: 80) })
        #expect(unknown.failure?.reason == .notFound)
    }

    @Test func `that is closed before it stands tells nothing more and leaves nothing`() {
        let net = Net()
        net.names.set(DNSName("web.cluster.local")!, addresses: [IPAddress(10, 9, 9, 9)])
        let resolver = net.asClient { Resolver(host: net.client) }
        let connector = net.asClient { NameConnector(host: net.client, resolver: resolver, name: "web.cluster.local.", port: 80) }
        for delay in [Interval.zero, .milliseconds(2), .milliseconds(500)] {
            let listener = Listener()
            let connection = net.asClient { connector.connect(listener) }
            net.world.run(for: delay)
            net.asClient { connection.close() }
            net.run(10)
            #expect(!listener.isClosed && !listener.isConnected)
        }
        net.asClient {
            resolver.close()
            net.client.stop()
        }
        net.run()
        net.judge()
    }
}

@Suite struct `A backoff` {
    @Test func `doubles up to its longest, with jitter within bounds, and begins again after success`() {
        let options = BackoffOptions(min: .milliseconds(100), max: .seconds(1), jitterPercent: 10)
        var backoff = Backoff(options, random: Random(seed: 7))
        for base: Int64 in [100, 200, 400, 800, 1000, 1000, 1000] {
            let wait = backoff.next()
            #expect(wait >= .milliseconds(base) && wait <= min(.milliseconds(base + base / 10), .seconds(1)))
        }
        backoff.reset()
        #expect(backoff.next() <= .milliseconds(110))
        var long = Backoff(options, random: Random(seed: 7))
        for _ in 0..<200 { #expect(long.next() <= .seconds(1)) }
    }
}
