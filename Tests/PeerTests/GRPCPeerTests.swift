// gRPC with `grpcio`: its client at our server, our client at its server, and its client at its server through the proxies.

import Base
import GRPC
import HTTP
import Linux
import Platform
import TLS
import Testing
import Transport

@testable import LocalCluster

@Suite struct GRPCPeerTests {
    /// The cases that `interop.py` goes through when none is named.
    static let cases = [
        "empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream", "half_duplex", "custom_metadata", "status_code_and_message", "special_status_message",
        "unimplemented_method", "unimplemented_service", "cancel_after_begin", "cancel_after_first_response", "timeout_on_sleeping_server", "deadline_on_slow_answer", "many_at_once", "much_both_ways",
        "slow_reader",
    ]

    /// Every case has said that it went well.
    static func expect(_ lines: [String], _ cases: [String]) {
        for name in cases {
            let line = lines.first { $0.hasPrefix("\(name) ") }
            #expect(line?.hasPrefix("\(name) ok ") == true, "\(name): \(line ?? "was not run: \(lines)")")
        }
    }

    @Test func `grpcio's client is served by our server`() throws {
        try Loop.run { loop in
            let server = GRPCServer(host: loop.host)
            InteropService(host: loop.host).register(on: server)
            let address = try server.listen(on: SocketAddress(.loopback, 0), batch: loop.batch)
            let cases = Self.cases + ["compressed_refused", "too_long_refused"]
            let caller = loop.finish(try loop.start("interop.py", ["call", "\(address)"] + cases))
            Self.expect(caller.lines, cases)
            loop.drive("no call is left open") { server.callCount == 0 }
            server.close()
        }
    }

    @Test func `our client is served by grpcio's server`() throws {
        try Loop.run { loop in
            let served = try loop.start("interop.py", ["serve", "0"])
            let address = SocketAddress(.loopback, try loop.port(of: served, after: "LISTENING"))
            let channel = GRPCChannel(batch: loop.batch, connector: TCPConnector(host: loop.host, address: address), authority: "\(address)")
            let client = InteropClient(host: loop.host, channel: channel) { what, condition in loop.drive(what, until: condition) }
            client.all()
            client.compressedAnswerRefused()
            client.tooLongRefused()
            channel.close()
            loop.settle()
        }
    }

    @Test func `our client is served by our server over mutual TLS`() throws {
        try Loop.run { loop in
            let authority = try Authority(now: loop.host.wall)
            let server = GRPCServer(host: loop.host)
            InteropService(host: loop.host).register(on: server)
            let (serving, calling) = (try authority.serverConfiguration(), try authority.clientConfiguration())
            let address = try server.listen(on: SocketAddress(.loopback, 0), batch: loop.batch, tls: { serving })
            let connector = TLSConnector(host: loop.host, lower: TCPConnector(host: loop.host, address: address)) { calling }
            let channel = GRPCChannel(batch: loop.batch, connector: connector, authority: "\(address)")
            let client = InteropClient(host: loop.host, channel: channel) { what, condition in loop.drive(what, until: condition) }
            client.all()
            client.tooLongRefused()
            channel.close()
            loop.drive("no call is left open") { server.callCount == 0 }
            server.close()
        }
    }

    @Test(arguments: HTTP1PeerTests.Callee.allCases) @Mesh func `grpcio's client is served by its server through proxies`(_ callee: HTTP1PeerTests.Callee) throws {
        let peers = try MeshPeers.shared()
        let pod = callee.pod(peers)
        try peers.serve(.grpc, in: pod, "interop.py", ["serve", "\(MeshPeers.Port.grpc.rawValue)"])
        let cases = Self.cases + ["compressed"]
        let result = try peers.run("interop.py", ["call", peers.authority(pod, .grpc)] + cases, in: peers.near)
        Self.expect(result.output.split(separator: "\n").map(String.init), cases)
        #expect(result.status == 0, "\(result.errors)")
    }
}
