// Cluster DNS on real sockets: datagrams, streams in every split, and streams that misbehave.

import Base
import DNS
import Linux
import Nodes
import Platform
import Testing

@testable import LocalCluster

@Suite struct ClusterNameServerTests {
    private final class Side: ConnectionHandler, DatagramHandler {
        var bytes: [UInt8] = []
        var isClosed = false
        func received(_ span: RawSpan, on connection: any Connection) { span.withUnsafeBytes { bytes += $0 } }
        func finished(_ connection: any Connection) {
            connection.close()
            isClosed = true
        }
        func closed(_ connection: any Connection, _ failure: HostFailure?) { isClosed = true }
        func received(_ span: RawSpan, from address: SocketAddress, on socket: any DatagramSocket) { span.withUnsafeBytes { bytes += $0 } }
    }

    private func withServer(_ change: (inout LocalClusterLimits) -> Void = { _ in }, _ body: (LinuxHost, ClusterNameServer, SocketAddress) throws -> Void) throws {
        let host = try LinuxHost(settings: Settings(), log: Log(control: .init(level: .off)) { _, _, _ in }, takesSignals: false)
        defer { host.shutDown() }
        let names = ClusterNames(zone: DNSName("cluster.local")!)
        names.publish([PublishedService(name: "api.demo.svc", addresses: [IPAddress(10, 96, 0, 7)], isHeadless: false, portNames: [("http", 80)], ports: [])])
        var limits = LocalClusterLimits()
        change(&limits)
        // Both sockets share a port that is free for datagrams; another try when it is not for streams.
        for _ in 0..<20 {
            let probe = try host.network.datagrams(on: SocketAddress(.loopback, 0), handler: Side())
            let address = probe.address
            probe.close()
            if let server = try? ClusterNameServer(host: host, address: address, names: names, limits: limits) {
                try body(host, server, address)
                server.close()
                return
            }
        }
        Issue.record("no port is free for both kinds of socket")
    }

    private let query = DNSMessage.query(id: 3, .init(DNSName("api.demo.svc.cluster.local")!, .a), datagramBytesMax: 1232)

    @Test func `a datagram is answered`() throws {
        try withServer { host, _, address in
            let side = Side()
            let socket = try host.network.datagrams(on: SocketAddress(.loopback, 0), handler: side)
            socket.send([UInt8]([1, 2, 3]).span.bytes, to: address)
            socket.send(query.encoded().span.bytes, to: address)
            #expect(host.run(atMost: .seconds(5)) { !side.bytes.isEmpty })
            #expect(try DNSMessage(side.bytes).answers.count == 1)
        }
    }

    @Test func `a stream is answered however its questions are cut`() throws {
        try withServer { host, server, address in
            let questions = query.encodedForStream() + query.encodedForStream()
            var expected: [UInt8]?
            for cut in 0...questions.count {
                let side = Side()
                let connection = host.network.connect(to: address, options: ConnectOptions(), handler: side)
                connection.send(Array(questions[..<cut]).span.bytes)
                #expect(host.run(atMost: .seconds(5)) { server.streamCount == 1 })
                host.turn(waitingAtMost: .milliseconds(1))
                connection.send(Array(questions[cut...]).span.bytes)
                #expect(host.run(atMost: .seconds(5)) { side.bytes.count >= expected?.count ?? 2 * (2 + 40) })
                #expect(expected == nil || side.bytes == expected, "cut at \(cut)")
                expected = side.bytes
                connection.close()
                #expect(host.run(atMost: .seconds(5)) { server.streamCount == 0 })
            }
        }
    }

    @Test func `a stream that says nonsense or nothing is closed, and too many make room`() throws {
        try withServer({ limits in
            limits.nameStreamIdle = .milliseconds(50)
            limits.nameStreamsMax = 3
        }) { host, server, address in
            let nonsense = Side()
            host.network.connect(to: address, options: ConnectOptions(), handler: nonsense).send([UInt8]([0, 3, 1, 2, 3]).span.bytes)
            #expect(host.run(atMost: .seconds(5)) { nonsense.isClosed })
            let silent = Side()
            let connection = host.network.connect(to: address, options: ConnectOptions(), handler: silent)
            #expect(host.run(atMost: .seconds(5)) { silent.isClosed })
            connection.close()
            let many = (0..<6).map { _ in Side() }
            for side in many { _ = host.network.connect(to: address, options: ConnectOptions(), handler: side) }
            var most = 0
            #expect(host.run(atMost: .seconds(5)) {
                most = max(most, server.streamCount)
                return many.allSatisfy(\.isClosed)
            })
            #expect(most <= 3)
        }
    }
}
