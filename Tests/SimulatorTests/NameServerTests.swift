// The name server over the simulated network, asked by the resolver engine.

import Base
import DNS
import Platform
import Testing

@testable import Simulator

@Suite struct `The name server` {
    final class Asker: DatagramHandler, ConnectionHandler {
        let process: SimProcess
        var resolution: DNSResolution
        var result: DNSResult?
        var socket: (any DatagramSocket)?
        var stream: (any Connection)?
        var datagrams = 0
        var streams = 0

        init(_ process: SimProcess, _ question: DNSResolution.Question) {
            self.process = process
            let servers = process.network.resolverConfiguration.servers
            resolution = DNSResolution(question, configuration: DNSConfiguration(servers: servers), random: process.random("dns"), now: process.now)
        }

        func step() {
            while let event = resolution.nextEvent() {
                switch event {
                case .sendDatagram(let bytes, let to):
                    datagrams += 1
                    if socket == nil { socket = sure { try process.network.datagrams(on: SocketAddress(.any, 0), handler: self) } }
                    socket?.send(bytes.span.bytes, to: to)
                case .sendStream(let bytes, let to):
                    streams += 1
                    stream = process.network.connect(to: to, options: ConnectOptions(), handler: self)
                    stream?.send(bytes.span.bytes)
                case .finished(let result):
                    self.result = result
                    socket?.close()
                    stream?.close()
                }
            }
            if let deadline = resolution.deadline {
                process.after(deadline - process.now) { [self] in
                    resolution.expire(now: process.now)
                    step()
                }
            }
        }

        func received(_ bytes: RawSpan, from address: SocketAddress, on socket: any DatagramSocket) {
            resolution.receive(bytes, from: address, now: process.now)
            step()
        }

        func received(_ bytes: RawSpan, on connection: any Connection) {
            resolution.receive(stream: bytes, now: process.now)
            step()
        }

        func finished(_ connection: any Connection) {}
        func closed(_ connection: any Connection, _ failure: HostFailure?) {}
    }

    let world = World(seed: 1, options: options())
    let names: NameServer
    let process: SimProcess

    init() {
        names = world.addNameServer("dns", ip: IPAddress(10, 0, 0, 53), zone: DNSName("cluster.local")!)
        let node = world.addNode("a", ip: IPAddress(10, 0, 0, 1))
        process = world.addProcess("p", on: node, userID: 1, settings: Settings()) { _ in }
        process.start()
        names.set(DNSName("web.cluster.local")!, addresses: [IPAddress(10, 1, 0, 1), IPAddress(10, 1, 0, 2), .v6(1, 2)])
        names.set(DNSName("alias.cluster.local")!, alias: DNSName("web.cluster.local")!)
        names.set(DNSName("dst.cluster.local")!, services: [DNSService(priority: 0, weight: 1, port: 8086, target: DNSName("10-1-0-1.dst.cluster.local")!)])
        names.set(DNSName("many.cluster.local")!, addresses: (0..<200).map { IPAddress(10, 2, 0, UInt8($0)) })
        names.set(DNSName("loop.cluster.local")!, alias: DNSName("loop.cluster.local")!)
        world.run(for: .seconds(1))
    }

    func ask(_ question: DNSResolution.Question) -> Asker {
        let asker = Asker(process, question)
        asker.step()
        world.run(until: { asker.result != nil }, limit: .minutes(2))
        return asker
    }

    @Test func `answers addresses, aliases, services and absence`() {
        #expect(ask(.addresses("web.cluster.local")).result == .addresses([IPAddress(10, 1, 0, 1), IPAddress(10, 1, 0, 2)], ttl: .seconds(5)))
        #expect(ask(.addresses("alias.cluster.local")).result == .addresses([IPAddress(10, 1, 0, 1), IPAddress(10, 1, 0, 2)], ttl: .seconds(5)))
        #expect(ask(.services("dst.cluster.local")).result == .services([DNSService(priority: 0, weight: 1, port: 8086, target: DNSName("10-1-0-1.dst.cluster.local")!)], ttl: .seconds(5)))
        #expect(ask(.addresses("none.cluster.local")).result == .notFound(ttl: .seconds(5)))
        #expect(ask(.services("web.cluster.local")).result == .notFound(ttl: .seconds(5)))
        names.remove(DNSName("web.cluster.local")!)
        #expect(ask(.addresses("web.cluster.local")).result == .notFound(ttl: .seconds(5)))
        if case .failed = ask(.addresses("loop.cluster.local")).result {} else { Issue.record("an alias loop is a failure") }
    }

    @Test func `is asked by stream when the answer is too long`() {
        let asker = ask(.addresses("many.cluster.local"))
        #expect(asker.datagrams == 1 && asker.streams == 1)
        if case .addresses(let ips, _) = asker.result { #expect(ips.count == 200) } else { Issue.record("\(String(describing: asker.result))") }
    }

    @Test func `suffers what it is told, and recovers`() {
        world.apply(.names(.silent, .seconds(7)))
        let silent = ask(.addresses("web.cluster.local"))
        // The first attempt times out after five seconds, the second is answered.
        #expect(silent.datagrams == 2 || world.now - .zero > .seconds(6))
        world.run(for: .seconds(10))
        world.apply(.names(.failing, .seconds(60)))
        if case .failed = ask(.addresses("web.cluster.local")).result {} else { Issue.record("SERVFAIL is a failure") }
        world.apply(.names(.forgetful, .seconds(60)))
        #expect(ask(.addresses("web.cluster.local")).result == .notFound(ttl: .seconds(5)))
        world.apply(.names(.truncating, .seconds(60)))
        #expect(ask(.addresses("web.cluster.local")).streams == 1)
        world.apply(.names(.slow, .seconds(60)))
        let begin = world.now
        _ = ask(.addresses("web.cluster.local"))
        #expect(world.now - begin >= .milliseconds(500))
        world.run(for: .seconds(61))
        #expect(ask(.addresses("web.cluster.local")).streams == 0)
        world.stopAll()
        world.run(for: .seconds(30))
        let verdict = world.finish()
        #expect(verdict.passes, "\(verdict)")
    }
}
