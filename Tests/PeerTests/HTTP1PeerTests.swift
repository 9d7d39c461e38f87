// HTTP/1 as curl and a server that counts every byte see it, through one proxy and through two with mutual TLS between them.

import Base
import Documents
import Kube
import Linux
import TLS
import Testing

@testable import LocalCluster

@Suite @Mesh struct HTTP1PeerTests {
    /// Whom `near` calls: `far` has a proxy, `bare` has none.
    enum Callee: CaseIterable, CustomStringConvertible {
        case far, bare
        var description: String { self == .far ? "two proxies" : "one proxy" }
        func pod(_ peers: MeshPeers) -> LocalPod { self == .far ? peers.far : peers.bare }
    }

    private func origin(_ callee: Callee) throws -> (peers: MeshPeers, pod: LocalPod) {
        let peers = try MeshPeers.shared()
        let pod = callee.pod(peers)
        try peers.serve(.origin, in: pod, "origin.py", ["\(MeshPeers.Port.origin.rawValue)"])
        return (peers, pod)
    }

    /// What curl said: its status line by line, and the origin's story.
    private struct Answer {
        var status: Int64
        var version: String
        var head: String
        var body: String
        var story: Value
        var connects: Int64
        func header(_ name: String) -> String? { story.items("headers").first { $0.items()[0].text()?.lowercased() == name }?.items()[1].text() }
        /// Heads that came, informational ones first.
        var heads: [Substring] { head.split(separator: "\r\n\r\n") }
    }

    private func curl(_ peers: MeshPeers, _ arguments: [String], url: String, input: String? = nil) throws -> Answer {
        let result = try peers.run("curl", ["-sS", "--max-time", "20", "-D", "/run/head", "-o", "/run/body", "-w", "%{http_code} %{http_version} %{num_connects}"] + arguments + [url], in: peers.near, input: input)
        try #require(result.status == 0, "curl \(arguments) \(url): \(result.status) \(result.errors)")
        let words = result.output.split(whereSeparator: \.isWhitespace)
        try #require(words.count == 3)
        let body = (try? peers.host.files.read("\(peers.near.run)/body")) ?? []
        let head = String(decoding: try peers.host.files.read("\(peers.near.run)/head"), as: UTF8.self)
        return Answer(
            status: Int64(words[0]) ?? 0, version: String(words[1]), head: head, body: String(decoding: body, as: UTF8.self), story: (try? Value(json: body)) ?? .null, connects: Int64(words[2]) ?? 0)
    }

    @Test(arguments: Callee.allCases) func `a GET reaches the origin with its own head and the proxies' word about it`(_ callee: Callee) throws {
        let (peers, pod) = try origin(callee)
        let answer = try curl(peers, ["--http1.1", "-H", "x-Strange-CASE: kept", "-H", "connection: x-private", "-H", "x-private: hop"], url: peers.url(pod, .origin, "/echo?a=%20b&c"))
        #expect(answer.status == 200 && answer.version == "1.1")
        #expect(answer.story.text("method") == "GET" && answer.story.text("target") == "/echo?a=%20b&c" && answer.story.text("version") == "HTTP/1.1")
        #expect(answer.header("host") == peers.authority(pod, .origin))
        #expect(answer.header("x-strange-case") == "kept")
        #expect(answer.header("x-private") == nil && answer.header("connection")?.contains("x-private") != true, "hop-by-hop fields end at the first hop")
        #expect(answer.header("l5d-client-id") == (callee == .far ? "near.peers.serviceaccount.identity.linkerd.cluster.local" : nil))
        #expect(answer.story.text("framing") == "none")
    }

    @Test(arguments: Callee.allCases) func `uploads arrive whole, by length and in chunks`(_ callee: Callee) throws {
        let (peers, pod) = try origin(callee)
        let bytes = pattern(700_000)
        try peers.put("upload", bytes, in: peers.near)
        for (flags, framing) in [(["-H", "expect:"], "length"), (["-H", "expect:", "-H", "transfer-encoding: chunked"], "chunked")] {
            let answer = try curl(peers, ["--http1.1", "-X", "POST", "--data-binary", "@/run/upload"] + flags, url: peers.url(pod, .origin, "/echo"))
            #expect(answer.status == 200 && answer.story.number("bytes") == Int64(bytes.count) && answer.story.text("framing") == framing)
            #expect(answer.story.text("sha256") == hexadecimal(sha256(bytes)))
        }
        let put = try curl(peers, ["--http1.1", "-T", "-"], url: peers.url(pod, .origin, "/echo"), input: "from a pipe")
        #expect(put.status == 200 && put.story.text("method") == "PUT" && put.story.number("bytes") == 11 && put.story.text("framing") == "chunked")
    }

    @Test(arguments: Callee.allCases) func `a body that asked first waits for its 100, and is not sent after a refusal`(_ callee: Callee) throws {
        let (peers, pod) = try origin(callee)
        try peers.put("upload", pattern(50_000), in: peers.near)
        let answer = try curl(peers, ["--http1.1", "-H", "expect: 100-continue", "--expect100-timeout", "10", "--data-binary", "@/run/upload"], url: peers.url(pod, .origin, "/echo"))
        #expect(answer.status == 200 && answer.story.number("bytes") == 50_000 && answer.story.number("early") == 0)
        #expect(answer.heads.first?.contains(" 100 ") == true, "\(answer.heads.first ?? "")")
        let refused = try curl(peers, ["--http1.1", "-H", "expect: 100-continue", "--expect100-timeout", "10", "--data-binary", "@/run/upload"], url: peers.url(pod, .origin, "/refuse"))
        #expect(refused.status == 417 && refused.body == "no")
        #expect(refused.heads.allSatisfy { !$0.contains(" 100 ") })
    }

    @Test(arguments: Callee.allCases) func `HEAD, 204 and 304 have no body, and the connection goes on`(_ callee: Callee) throws {
        let (peers, pod) = try origin(callee)
        let head = try curl(peers, ["--http1.1", "-I"], url: peers.url(pod, .origin, "/bytes/1234"))
        #expect(head.status == 200 && head.head.lowercased().contains("content-length: 1234\r\n"))
        for status in [204, 304] {
            let url = peers.url(pod, .origin, "/status/\(status)")
            let result = try peers.run("curl", ["-sS", "--http1.1", "--max-time", "10", "-w", "%{http_code} %{size_download} %{num_connects}\\n", url, url], in: peers.near)
            #expect(result.output == "\(status) 0 1\n\(status) 0 0\n", "\(result)")
        }
        let chunked = try curl(peers, ["--http1.1", "-I"], url: peers.url(pod, .origin, "/chunked"))
        #expect(chunked.status == 200 && chunked.story == .null, "\(chunked)")
    }

    @Test(arguments: Callee.allCases) func `answers in chunks keep their trailers, answers until the end of the connection end`(_ callee: Callee) throws {
        let (peers, pod) = try origin(callee)
        let chunked = try curl(peers, ["--http1.1"], url: peers.url(pod, .origin, "/chunked"))
        #expect(chunked.status == 200 && chunked.story.text("target") == "/chunked")
        // curl notes trailers with the heads.
        #expect(chunked.head.lowercased().contains("x-sum: \(chunked.body.utf8.count)"), "\(chunked.head)")
        let closing = try curl(peers, ["--http1.1"], url: peers.url(pod, .origin, "/until-close"))
        #expect(closing.status == 200 && closing.story.text("target") == "/until-close")
    }

    @Test(arguments: Callee.allCases) func `early hints come before the answer`(_ callee: Callee) throws {
        let (peers, pod) = try origin(callee)
        let answer = try curl(peers, ["--http1.1"], url: peers.url(pod, .origin, "/early-hints"))
        #expect(answer.status == 200 && answer.heads.count == 2, "\(answer.head)")
        #expect(answer.heads.first?.contains(" 103 ") == true && answer.heads.first?.lowercased().contains("link: </style.css>") == true)
    }

    @Test(arguments: Callee.allCases) func `an HTTP/1.0 client gets an answer it can read`(_ callee: Callee) throws {
        let (peers, pod) = try origin(callee)
        let answer = try curl(peers, ["--http1.0"], url: peers.url(pod, .origin, "/chunked"))
        #expect(answer.status == 200 && answer.story.text("target") == "/chunked", "\(answer)")
        #expect(!answer.head.lowercased().contains("transfer-encoding"))
    }

    @Test(arguments: Callee.allCases) func `an upgrade becomes a tunnel in both directions`(_ callee: Callee) throws {
        let (peers, pod) = try origin(callee)
        let script = "GET /upgrade HTTP/1.1\r\nhost: \(peers.authority(pod, .origin))\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nbytes after the head"
        let result = try peers.run("socat", ["-t", "3", "-", "TCP:\(pod.name).peers.svc.cluster.local:\(MeshPeers.Port.origin.rawValue)"], in: peers.near, input: script)
        #expect(result.status == 0 && result.output.hasPrefix("HTTP/1.1 101 "), "\(result)")
        #expect(result.output.lowercased().contains("upgrade: echo") && result.output.contains("bytes after the head"), "\(result)")
    }

    @Test(arguments: Callee.allCases) func `curl that offers h2c is served all the same`(_ callee: Callee) throws {
        let (peers, pod) = try origin(callee)
        let answer = try curl(peers, ["--http2"], url: peers.url(pod, .origin, "/echo"))
        #expect(answer.status == 200 && answer.story.text("method") == "GET", "\(answer)")
    }

    @Test(arguments: Callee.allCases) func `a download of many megabytes comes whole through slow hands`(_ callee: Callee) throws {
        let (peers, pod) = try origin(callee)
        let result = try peers.run("curl", ["-sS", "--http1.1", "--max-time", "25", "--limit-rate", "30M", "-o", "/dev/null", "-w", "%{http_code} %{size_download}", peers.url(pod, .origin, "/bytes/20000000")], in: peers.near)
        #expect(result.output == "200 20000000\n" || result.output == "200 20000000", "\(result)")
    }

    @Test(arguments: Callee.allCases) func `ambiguous requests never reach the origin`(_ callee: Callee) throws {
        let (peers, pod) = try origin(callee)
        let host = peers.authority(pod, .origin)
        for lines in ["content-length: 5\r\ntransfer-encoding: chunked", "content-length: 5\r\ncontent-length: 6", "transfer-encoding: xchunked", "content-length: +5", "x : y", "x: a\r\n b", "transfer-encoding: chunked, chunked"] {
            let before = peers.said(.origin, in: pod)
            let result = try peers.run("socat", ["-t", "3", "-", "TCP:\(host)"], in: peers.near, input: "POST /echo HTTP/1.1\r\nhost: \(host)\r\n\(lines)\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n")
            #expect(result.output.hasPrefix("HTTP/1.1 400 "), "\(lines): \(result)")
            #expect(!result.output.contains("smuggled") && peers.said(.origin, in: pod) == before, "\(lines): \(result)")
        }
    }
}

/// Repeatable bytes whose order shows.
func pattern(_ count: Int) -> [UInt8] {
    var random = Random(seed: 7)
    var bytes = [UInt8](repeating: 0, count: count)
    bytes.withUnsafeMutableBytes { random.fill($0) }
    return bytes
}
