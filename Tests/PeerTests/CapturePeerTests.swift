// What is on the wire as Wireshark's dissectors read it: HTTP/1, HTTP/2, WebSocket and gRPC on both sides of the proxies, TLS between them, and
// the inside of TLS with the secrets of sessions that this process holds itself. Shipped programs have no way to give secrets away.

import Base
import CLinux
import COpenSSLSystem
import Foundation
import GRPC
import HTTP
import Linux
import Platform
import Synchronization
import Testing
import Transport

@testable import LocalCluster
@testable import TLS

/// Lines of an NSS key log, from any session of this process whose context was told to.
private let secrets = Mutex<[String]>([])

@Suite(.serialized) struct CapturePeerTests {
    /// Everything on one interface of a namespace, into a file.
    private final class Recording {
        let path: String
        private let child: ChildProcess

        init(_ interface: String, filter: String = "", path: String, start: (ChildProgram) throws -> ChildProcess) throws {
            self.path = path
            // 64 MiB wait for the disk: where a packet is missing, a dissector reads on in the wrong place.
            child = try start(try Programs.program("dumpcap", ["-q", "-B", "64", "-i", interface, "-w", path] + (filter.isEmpty ? [] : ["-f", filter])))
            // The file's first bytes are written when the capture is open.
            let end = clinux_monotonic() + 10_000_000_000
            while child.status == nil, clinux_monotonic() < end, (try? FileManager.default.attributesOfItem(atPath: path)[.size] as? Int) ?? 0 == 0 { usleep(5_000) }
            try #require(child.status == nil, "dumpcap records \(interface)")
        }

        /// What is still in the kernel's ring is written within its timeout.
        func stop() {
            usleep(300_000)
            child.signal(SIGINT)
            _ = child.wait()
        }
        deinit { child.signal(SIGKILL) }
    }

    /// Lines that tshark prints of a recording.
    private func tshark(_ path: String, _ filter: String, fields: [String], options: [String] = []) throws -> [String] {
        let program = try Programs.program("tshark", ["-n", "-r", path, "-Y", filter, "-T", "fields"] + fields.flatMap { ["-e", $0] } + options)
        let result = try ChildProcess.run(program)
        try #require(result.status == 0, "\(result.error)")
        return result.output.split(separator: "\n").map(String.init).filter { !$0.allSatisfy(\.isWhitespace) }
    }

    /// Nothing that a dissector could not read, or calls an error of the protocol.
    private func expectSound(_ path: String, options: [String] = []) throws {
        let wrong = try tshark(path, "_ws.malformed || _ws.expert.severity == \"Error\"", fields: ["frame.number", "_ws.col.Protocol", "_ws.expert.message", "_ws.col.Info"], options: options)
        // An assertion that fails inside a dissector ("Dissector bug") is a fault of tshark's, not of what it reads.
        let ours = wrong.filter { !$0.contains("Dissector bug") }
        #expect(ours.isEmpty, "\(ours.prefix(10))")
    }

    @Test @Mesh func `nothing is malformed on either side of the proxies, nor between them`() throws {
        let peers = try MeshPeers.shared()
        let directory = peers.cluster.directory
        for pod in [peers.far!, peers.bare!] {
            try peers.serve(.origin, in: pod, "origin.py", ["\(MeshPeers.Port.origin.rawValue)"])
            // Started again while everything is recorded: whoever misses the start of an HTTP/2 connection cannot read its fields.
            peers.end(.grpc, in: pod)
            try peers.serve(.socket, in: pod, "sockets.py", ["serve", "\(MeshPeers.Port.socket.rawValue)"])
        }
        let bridge = try Recording("br0", path: "\(directory)/bridge.pcapng") { try peers.cluster.network.hub.start($0) }
        let inside = try Recording("lo", path: "\(directory)/far.pcapng") { try peers.far.place.start($0) }
        let caller = try Recording("lo", path: "\(directory)/near.pcapng") { try peers.near.place.start($0) }
        try peers.put("upload", pattern(100_000), in: peers.near)
        for pod in [peers.far!, peers.bare!] {
            for arguments in [["--http1.1"], ["--http1.1", "-H", "transfer-encoding: chunked", "--data-binary", "@/run/upload"], ["--http1.1", "-I"]] {
                for path in ["/echo", "/chunked", "/early-hints", "/status/204"] {
                    _ = try peers.run("curl", ["-sS", "--max-time", "10", "-o", "/dev/null"] + arguments + [peers.url(pod, .origin, path)], in: peers.near)
                }
            }
        }
        // What the caller says is redirected to its proxy, so that each direction has addresses of its own there: a dissector that does not see an
        // answer takes what follows an upgrade for HTTP/1 still.
        caller.stop()
        for pod in [peers.far!, peers.bare!] {
            try peers.serve(.grpc, in: pod, "interop.py", ["serve", "\(MeshPeers.Port.grpc.rawValue)"])
            GRPCPeerTests.expect(try peers.run("interop.py", ["call", peers.authority(pod, .grpc)], in: peers.near).output.split(separator: "\n").map(String.init), GRPCPeerTests.cases)
            #expect(try peers.run("sockets.py", ["call", "ws://\(peers.authority(pod, .socket))"], in: peers.near).status == 0)
        }
        let clear = ["-d", "tcp.port==\(MeshPeers.Port.grpc.rawValue),http2"]
        bridge.stop()
        inside.stop()
        for (recording, options) in [(bridge, []), (inside, clear), (caller, [])] { try expectSound(recording.path, options: options) }
        // The dissectors did read: each protocol, where it is in the clear.
        for (filter, field) in [("http", "http.request.uri"), ("http2.headers.path", "http2.headers.path"), ("grpc", "grpc.message_length"), ("websocket", "websocket.opcode")] {
            #expect(try tshark(inside.path, filter, fields: [field], options: clear).count > 10, "\(filter)")
        }
        #expect(try tshark(caller.path, "http", fields: ["http.request.uri"]).count > 10)
        let between = try tshark(bridge.path, "ip.addr == \(peers.far.place.address) && tls.handshake.type == 2", fields: ["tls.handshake.extensions.supported_version"])
        #expect(!between.isEmpty && between.allSatisfy { $0 == "0x0304" }, "\(between)")
        let readable = try tshark(bridge.path, "ip.addr == \(peers.far.place.address) && ip.addr == \(peers.near.place.address) && (http || http2 || websocket)", fields: ["_ws.col.Info"])
        #expect(readable.isEmpty, "\(readable.prefix(5))")
    }

    @Test func `with its secrets a session is HTTP/2 inside, without them nothing`() throws {
        try Loop.run { loop in
            let authority = try Authority(now: loop.host.wall)
            let (serving, calling) = (try authority.serverConfiguration(alpn: ["h2"]), try authority.clientConfiguration(alpn: ["h2"]))
            secrets.withLock { $0 = [] }
            SSL_CTX_set_keylog_callback(calling.context.pointer) { _, line in
                if let line { secrets.withLock { $0.append(String(cString: line)) } }
            }
            let server = GRPCServer(host: loop.host)
            InteropService(host: loop.host).register(on: server)
            let address = try server.listen(on: SocketAddress(.loopback, 0), batch: loop.batch, tls: { serving })
            let recording = try Recording("lo", filter: "tcp port \(address.port)", path: "\(loop.directory)/lo.pcapng") { try ChildProcess($0) }
            let connector = TLSConnector(host: loop.host, lower: TCPConnector(host: loop.host, address: address)) { calling }
            let channel = GRPCChannel(batch: loop.batch, connector: connector, authority: "\(address)")
            let client = InteropClient(host: loop.host, channel: channel) { what, condition in loop.drive(what, until: condition) }
            client.largeUnary()
            client.pingPong()
            client.customMetadata()
            channel.close()
            loop.settle()
            recording.stop()
            let keys = try loop.put("keys", secrets.withLock { $0.joined(separator: "\n") } + "\n")
            let options = ["-o", "tls.keylog_file:\(keys)"]
            try expectSound(recording.path)
            try expectSound(recording.path, options: options)
            #expect(try tshark(recording.path, "http2", fields: ["frame.number"]).isEmpty)
            let paths = try tshark(recording.path, "http2.headers.path", fields: ["http2.headers.path"], options: options)
            #expect(paths.filter { $0.contains("/grpc.testing.TestService/FullDuplexCall") }.count == 2 && paths.filter { $0.contains("/UnaryCall") }.count == 2, "\(paths)")
            let ends = try tshark(recording.path, "tls.alert_message.desc == 0", fields: ["frame.number"], options: options)
            #expect(!ends.isEmpty, "close_notify is on the wire")
            server.close()
        }
    }
}
