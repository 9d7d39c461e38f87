// HTTP/2 as nghttp2's programs and curl see it: client and server are theirs, everything between is ours.

import Base
import Linux
import Testing

@testable import LocalCluster

@Suite @Mesh struct HTTP2PeerTests {
    typealias Callee = HTTP1PeerTests.Callee

    /// nghttpd with a few files: it echoes uploads, adds a trailer, and writes down every frame.
    private func server(_ callee: Callee) throws -> (peers: MeshPeers, pod: LocalPod) {
        let peers = try MeshPeers.shared()
        let pod = callee.pod(peers)
        try Folders.make("\(pod.run)/files")
        try peers.put("files/index.html", Array("hello from nghttpd\n".utf8), in: pod)
        try peers.put("files/large", pattern(8_000_000), in: pod)
        try peers.serve(.http2, in: pod, "nghttpd", ["--no-tls", "-v", "--echo-upload", "--trailer", "x-down: at the end", "-m", "10", "-d", "/run/files", "\(MeshPeers.Port.http2.rawValue)"])
        return (peers, pod)
    }

    private func curl(_ peers: MeshPeers, _ arguments: [String], _ url: String, written: String = "%{http_code} %{http_version} %{size_download}") throws -> MachineCluster.ProgramResult {
        try peers.run("curl", ["-sS", "--max-time", "20", "--http2-prior-knowledge", "-w", written] + arguments + [url], in: peers.near)
    }

    @Test(arguments: Callee.allCases) func `curl with prior knowledge is served, and HEAD has no body`(_ callee: Callee) throws {
        let (peers, pod) = try server(callee)
        let get = try curl(peers, [], peers.url(pod, .http2, "/index.html"))
        #expect(get.output == "hello from nghttpd\n200 2 19\n", "\(get)")
        let head = try curl(peers, ["-I", "-o", "/dev/null"], peers.url(pod, .http2, "/index.html"))
        #expect(head.output == "200 2 0\n", "\(head)")
        let absent = try curl(peers, ["-o", "/dev/null"], peers.url(pod, .http2, "/absent"), written: "%{http_code} %{http_version}")
        #expect(absent.output == "404 2\n", "\(absent)")
        let said = peers.said(.http2, in: pod)
        #expect(said.contains(":path: /index.html") && said.contains(":authority: \(peers.authority(pod, .http2))"))
        #expect(said.contains("l5d-client-id: near.peers.serviceaccount") == (callee == .far))
    }

    @Test(arguments: Callee.allCases) func `an upload comes back unchanged`(_ callee: Callee) throws {
        let (peers, pod) = try server(callee)
        let bytes = pattern(700_000)
        try peers.put("upload", bytes, in: peers.near)
        let result = try curl(peers, ["--data-binary", "@/run/upload", "-H", "expect:", "-o", "/run/back"], peers.url(pod, .http2, "/echo"))
        #expect(result.output == "200 2 700000\n", "\(result)")
        #expect(try peers.host.files.read("\(peers.near.run)/back") == bytes)
    }

    @Test(arguments: Callee.allCases) func `trailers pass both ways, 100 comes before the body`(_ callee: Callee) throws {
        let (peers, pod) = try server(callee)
        try peers.put("upload", pattern(20_000), in: peers.near)
        let result = try peers.run("nghttp", ["-nv", "-t", "20", "--expect-continue", "--trailer", "x-up: from below", "-d", "/run/upload", peers.url(pod, .http2, "/echo")], in: peers.near)
        #expect(result.status == 0 && result.output.contains("x-down: at the end"), "\(result)")
        #expect(result.output.contains(":status: 100") && result.output.contains(":status: 200"), "\(result.output)")
        #expect(peers.said(.http2, in: pod).contains("x-up: from below"))
    }

    @Test(arguments: Callee.allCases) func `many streams at once, with priorities that nobody need follow, all end well`(_ callee: Callee) throws {
        let (peers, pod) = try server(callee)
        let urls = (0..<30).map { peers.url(pod, .http2, $0 % 10 == 0 ? "/large?\($0)" : "/index.html?\($0)") }
        let result = try peers.run("nghttp", ["-ns", "-t", "25"] + urls, in: peers.near)
        #expect(result.status == 0, "\(result)")
        let codes = result.output.split(separator: "\n").filter { $0.contains(" 200 ") }.count
        #expect(codes == 30, "\(result.output)")
    }

    @Test(arguments: [Callee.far, .bare], [(4, 32), (16, 1)]) func `h2load gets every answer, though the server takes ten streams a connection`(_ callee: Callee, _ shape: (connections: Int, streams: Int)) throws {
        let (peers, pod) = try server(callee)
        let result = try peers.run(
            "h2load", ["-n", "2000", "-c", "\(shape.connections)", "-m", "\(shape.streams)", "-T", "20", peers.url(pod, .http2, "/index.html")], in: peers.near)
        #expect(result.output.contains("2000 succeeded, 0 failed, 0 errored, 0 timeout") && result.output.contains("2000 2xx"), "\(result)")
    }

    @Test(arguments: Callee.allCases) func `h2load over HTTP/1 is served by the same proxies`(_ callee: Callee) throws {
        let peers = try MeshPeers.shared()
        let pod = callee.pod(peers)
        try peers.serve(.origin, in: pod, "origin.py", ["\(MeshPeers.Port.origin.rawValue)"])
        let result = try peers.run("h2load", ["--h1", "-n", "500", "-c", "8", "-T", "20", peers.url(pod, .origin, "/bytes/100")], in: peers.near)
        #expect(result.output.contains("500 succeeded, 0 failed, 0 errored, 0 timeout"), "\(result)")
    }

    @Test(arguments: Callee.allCases) func `a slow reader of much gets it all`(_ callee: Callee) throws {
        let (peers, pod) = try server(callee)
        let result = try curl(peers, ["--limit-rate", "16M", "-o", "/run/back"], peers.url(pod, .http2, "/large"))
        #expect(result.output == "200 2 8000000\n", "\(result)")
        #expect(try peers.host.files.read("\(peers.near.run)/back") == pattern(8_000_000))
    }

    @Test(arguments: Callee.allCases) func `a server that went away and came back is found again`(_ callee: Callee) throws {
        let (peers, pod) = try server(callee)
        #expect(try curl(peers, ["-o", "/dev/null"], peers.url(pod, .http2, "/index.html")).output == "200 2 19\n")
        peers.end(.http2, in: pod)
        let gone = try curl(peers, ["-o", "/dev/null"], peers.url(pod, .http2, "/index.html"), written: "%{http_code}")
        #expect(gone.output == "502\n" || gone.output == "503\n" || gone.output == "504\n", "\(gone)")
        _ = try server(callee)
        // A backoff of half a second at most lies between two tries of the proxy.
        var last = ""
        let end = peers.host.now + .seconds(10)
        repeat { last = try curl(peers, ["-o", "/dev/null"], peers.url(pod, .http2, "/index.html")).output } while last != "200 2 19\n" && peers.host.now < end
        #expect(last == "200 2 19\n")
    }
}
