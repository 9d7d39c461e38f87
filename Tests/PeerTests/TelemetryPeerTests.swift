// What two proxies tell of a request on real sockets: spans to collectors made of OpenTelemetry's own messages on gRPC's own server, and
// lines on standard error.

import Base
import Documents
import Kube
import Testing

@testable import LocalCluster

@Suite @Mesh struct TelemetryPeerTests {
    @Test func `a sampled request makes a chain of four spans that collectors can read, and a line of the access log`() throws {
        let peers = try MeshPeers.shared()
        for pod in [peers.near!, peers.far!] { try peers.serve(.collector, in: pod, "collector.py", ["\(MeshPeers.Port.collector.rawValue)"]) }
        try peers.serve(.origin, in: peers.far, "origin.py", ["\(MeshPeers.Port.origin.rawValue)"])
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        let result = try peers.run(
            "curl", ["-sS", "--max-time", "20", "-H", "traceparent: 00-\(trace)-00f067aa0ba902b7-01", "-A", "curl/story", peers.url(peers.far, .origin, "/traced?x=1")], in: peers.near)
        try #require(result.status == 0, "\(result.errors)")
        let story = try Value(json: Array(result.output.utf8))
        let told = try #require(story.items("headers").first { $0.items()[0].text()?.lowercased() == "traceparent" }?.items()[1].text())
        #expect(told.hasPrefix("00-\(trace)-") && told.hasSuffix("-01") && !told.contains("00f067aa0ba902b7"))

        // A batch goes out after ten seconds.
        var spans: [Value] = []
        let isThere = peers.host.run(atMost: .seconds(30)) {
            spans = [peers.near!, peers.far!].flatMap { pod in
                peers.said(.collector, in: pod).split(separator: "\n").compactMap { try? Value(json: Array($0.utf8)) }.filter { $0.text("trace") == trace && $0.text("name") == "/traced" }
            }
            return spans.count >= 4
        }
        #expect(isThere, "\(peers.said(.collector, in: peers.near)) \(peers.said(.collector, in: peers.far))")
        var parent = "00f067aa0ba902b7"
        var kinds: [Int64] = []
        while let span = spans.first(where: { $0.text("parent") == parent }) {
            kinds.append(span.number("kind") ?? 0)
            parent = span.text("span") ?? ""
            #expect(
                span.text("attributes", "http.response.status_code") == "200" && span.text("attributes", "url.query") == "x=1" && span.text("attributes", "user_agent.original") == "curl/story", "\(span)")
            #expect(span.text("resource", "service.name") == "linkerd-proxy" && (span.number("resource", "process.pid") ?? 0) > 1)
        }
        // Asked, asking, asked, asking: OpenTelemetry's SERVER is 2, CLIENT 3.
        #expect(kinds == [2, 3, 2, 3], "\(spans)")
        #expect(told.contains(parent), "the application's parent is the last of them")

        let log = (try? peers.host.files.read("\(peers.far.run)/logs/linkerd-proxy.log")).map { String(decoding: $0, as: UTF8.self) } ?? ""
        let line = try #require(log.split(separator: "\n").first { $0.contains("/traced") && $0.hasPrefix("{\"client.addr\"") }, "\(log.suffix(2000))")
        let record = try Value(json: Array(line.utf8))
        #expect(record.text("client.id") == "near.peers.serviceaccount.identity.linkerd.cluster.local" && record.text("user_agent") == "curl/story" && record.text("method") == "GET")
        #expect(record.number("status") == 200 && record.text("version") == "HTTP/2.0" && record.text("uri")?.hasSuffix("/traced?x=1") == true)
    }

    @Test func `gRPC's own client watches requests of the proxy beside the origin, and a stranger may not`() throws {
        let peers = try MeshPeers.shared()
        try peers.serve(.origin, in: peers.far, "origin.py", ["\(MeshPeers.Port.origin.rawValue)"])
        let protos = "\(Programs.project)/Sources/MeshAPI/proto"
        let refused = try peers.run("tap.py", [protos, "\(peers.far.place.address):4190", "1", "/"], in: peers.bare)
        #expect(refused.output.contains("UNAUTHENTICATED"), "\(refused.output) \(refused.errors)")
        // The watcher's own proxy proves who it is.
        let program = try Programs.program("tap.py", [protos, "\(peers.far.place.address):4190", "1", "/watched"])
        let path = "\(peers.near.run)/logs/tap.log"
        let child = try peers.start(program, in: peers.near, log: path)
        func said() -> String { (try? peers.host.files.read(path)).map { String(decoding: $0, as: UTF8.self) } ?? "" }
        // It may not watch yet when the first requests pass.
        let end = peers.host.now + .seconds(20)
        while peers.host.now < end, child.status == nil {
            _ = try peers.run("curl", ["-sS", "--max-time", "5", peers.url(peers.far, .origin, "/watched?x=1")], in: peers.near)
            _ = peers.host.run(atMost: .milliseconds(200), until: { child.status != nil })
        }
        #expect(child.status == 0, "\(said())")
        let events = said().split(separator: "\n").compactMap { try? Value(json: Array($0.utf8)) }
        try #require(events.count == 4, "\(said())")
        #expect(events[0].text("http", "requestInit", "path") == "/watched" && events[0].text("sourceMeta", "labels", "client_id") == "near.peers.serviceaccount.identity.linkerd.cluster.local", "\(events[0])")
        #expect(events[1].number("http", "responseInit", "httpStatus") == 200 && events[2].member("http", "responseEnd") != nil && events[3].text("status") == "OK")
    }
}
