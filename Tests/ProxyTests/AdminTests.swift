// The admin port as probes, scrapers and people use it, over a simulated network; the beginning and end of a proxy's life.

import Base
import HTTP
import MeshAPI
import Platform
import Simulator
import TLS
import Testing
import Transport

@testable import Proxy

/// A pod with a proxy without a control plane, and a stranger elsewhere.
private final class Pod {
    let world: World
    let pod: SimProcess
    /// Another process of the pod, and one of another node.
    let beside: SimProcess
    let stranger: SimProcess
    var proxy: Proxy!
    let authority: MeshAuthority

    init(_ changes: [String: String?] = [:], seed: UInt64 = 1) throws {
        var options = WorldOptions(start: noon)
        options.build = "test"
        let world = World(seed: seed, options: options)
        self.world = world
        let node = world.addNode("pod", ip: IPAddress(10, 1, 0, 1))
        pod = world.addProcess("proxy", on: node, userID: 2102, settings: Settings()) { _ in }
        beside = world.addProcess("app", on: node, userID: 1, settings: Settings()) { _ in }
        stranger = world.addProcess("scraper", on: world.addNode("elsewhere", ip: IPAddress(10, 1, 0, 2)), userID: 1, settings: Settings()) { _ in }
        for process in [pod, beside, stranger] { process.start() }
        world.run(for: .zero)
        var made: MeshAuthority?
        var failure: (any Error)?
        pod.run { do { made = try MeshAuthority() } catch { failure = error } }
        if let failure { throw failure }
        authority = made!
        pod.settings = environment(changes, anchors: authority.anchors.pem)
        pod.run { [self] in
            proxy = Proxy(host: pod)
            proxy.start()
        }
        world.run(for: .milliseconds(10))
    }

    struct Answer: Equatable {
        var status: UInt16
        var body = ""
        var bytes: [UInt8] = []
        var headers = Headers()
    }

    /// Asks the admin port and waits for the whole answer; nil: there was none.
    func ask(_ method: HTTPMethod, _ path: String, body: String = "", with fields: [(String, String)] = [], from process: SimProcess? = nil, version: HTTPVersion = .http11) -> Answer? {
        let process = process ?? stranger
        let reader = AnswerReader()
        process.run {
            let ip = process === stranger ? IPAddress(10, 1, 0, 1) : .loopback
            let batch = FlushBatch(host: process)
            let client = HTTPClient(version: version, connector: TCPConnector(host: process, address: SocketAddress(ip, 4191)), batch: batch)
            process.keep(client)
            var headers = Headers()
            for (name, value) in fields { headers.add(name, value) }
            if !body.isEmpty { headers.add("content-length", String(body.utf8.count)) }
            guard let stream = try? client.send(RequestHead(method: method, authority: "pod:4191", path: HTTPText(path), headers: headers), endStream: body.isEmpty, singleUse: true, handler: reader) else { return }
            let bytes = Array(body.utf8)
            if !bytes.isEmpty { stream.send(bytes.span.bytes, endStream: true) }
        }
        _ = world.run(until: { reader.isDone }, limit: .seconds(5), awaiting: "an answer of the admin port")
        return reader.answer
    }
}

private final class AnswerReader: HTTPStreamHandler {
    var answer: Pod.Answer?
    var isDone = false
    private var bytes: [UInt8] = []

    func response(_ stream: HTTPStream, _ head: ResponseHead, endStream: Bool) {
        answer = Pod.Answer(status: head.status, headers: head.headers)
        isDone = endStream
    }
    func data(_ stream: HTTPStream, _ span: RawSpan, endStream: Bool) {
        bytes += span.array()
        stream.acknowledge(span.byteCount)
        answer?.body = String(decoding: bytes, as: UTF8.self)
        answer?.bytes = bytes
        if endStream { isDone = true }
    }
    func trailers(_ stream: HTTPStream, _ trailers: Headers) { isDone = true }
    func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) { isDone = true }
}

@Suite struct `the admin port` {
    @Test func `lives before it is ready`() throws {
        let pod = try Pod()
        let live = try #require(pod.ask(.get, "/live"))
        #expect(live.status == 200 && live.body == "live\n")
        let ready = try #require(pod.ask(.get, "/ready"))
        #expect(ready.status == 503 && ready.body == "not ready\n")
        #expect(pod.ask(.get, "/nothing")?.status == 404)
        let head = try #require(pod.ask(.head, "/live"))
        #expect(head.status == 200 && head.body.isEmpty)
    }

    @Test func `shows metrics that end in EOF`() throws {
        let pod = try Pod()
        let answer = try #require(pod.ask(.get, "/metrics"))
        #expect(answer.status == 200 && answer.headers.first("content-type") == "text/plain; version=0.0.4; charset=utf-8")
        #expect(answer.body.contains("proxy_build_info{") && answer.body.contains("process_start_time_seconds \(noon.seconds)\n") && answer.body.hasSuffix("# EOF\n"))
        #expect(answer.body.contains("control_identity_cert_refreshes_total 0\n"))
    }

    @Test func `shows metrics in the format and coding that the scraper asks for`() throws {
        let pod = try Pod()
        let open = try #require(pod.ask(.get, "/metrics", with: [("accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5")]))
        #expect(open.headers.first("content-type") == "application/openmetrics-text; version=1.0.0; charset=utf-8" && open.headers.first("content-encoding") == nil)
        #expect(open.body.contains("# TYPE control_identity_cert_refreshes counter\n") && open.body.contains("control_identity_cert_refreshes_total 0\n"))
        for coding in ["gzip", "br, gzip;q=0.8", "*"] {
            let zipped = try #require(pod.ask(.get, "/metrics", with: [("accept-encoding", coding)]))
            #expect(zipped.headers.first("content-encoding") == "gzip" && zipped.bytes.starts(with: [0x1f, 0x8b]), "\(coding)")
        }
        for coding in ["br", "gzip;q=0", "gzip; q=0.0", "identity"] {
            #expect(pod.ask(.get, "/metrics", with: [("accept-encoding", coding)])?.headers.first("content-encoding") == nil, "\(coding)")
        }
    }

    @Test func `shows and changes the log level for its own pod only`() throws {
        let pod = try Pod()
        #expect(pod.ask(.get, "/proxy-log-level")?.status == 403 && pod.ask(.put, "/proxy-log-level", body: "trace")?.status == 403)
        #expect(pod.ask(.get, "/proxy-log-level", from: pod.beside)?.body == "info\n")
        #expect(pod.ask(.put, "/proxy-log-level", body: "warn,linkerd=debug\n", from: pod.beside)?.status == 204)
        #expect(pod.pod.log.control.level == .debug && pod.ask(.get, "/proxy-log-level", from: pod.beside)?.body == "warn,linkerd=debug\n")
        #expect(pod.ask(.put, "/proxy-log-level", body: "warn,linkerd=loud", from: pod.beside)?.status == 400 && pod.pod.log.control.level == .debug)
        let other = try #require(pod.ask(.delete, "/proxy-log-level", from: pod.beside))
        #expect(other.status == 405 && other.headers.first("allow") == "GET, PUT")
        #expect(pod.ask(.put, "/proxy-log-level", body: String(repeating: "x", count: 9_000), from: pod.beside)?.status == 413)
    }

    @Test func `shows the environment, whole or by name`() throws {
        let pod = try Pod()
        let all = try #require(pod.ask(.get, "/env.json"))
        #expect(all.status == 200 && all.headers.first("content-type") == "application/json" && all.body.contains("\"LINKERD2_PROXY_ADMIN_LISTEN_ADDR\":\"0.0.0.0:4191\""))
        #expect(all.body.contains("\"LINKERD2_PROXY_POLICY_WORKLOAD\":\"{\\\"ns\\\":\\\"shop\\\",\\\"pod\\\":\\\"web-1\\\"}\\n\""))
        #expect(pod.ask(.get, "/env.json?LINKERD2_PROXY_INBOUND_PORTS&NONE")?.body == "{\"LINKERD2_PROXY_INBOUND_PORTS\":\"8080\",\"NONE\":null}\n")
        #expect(pod.ask(.post, "/env.json")?.status == 405)
    }

    @Test func `stops the proxy on demand of its own pod if that is enabled`() throws {
        let off = try Pod()
        #expect(off.ask(.get, "/shutdown", from: off.beside)?.status == 405 && off.ask(.post, "/shutdown", from: off.beside)?.status == 404 && off.pod.isRunning)
        let pod = try Pod(["SHUTDOWN_ENDPOINT_ENABLED": "true"])
        #expect(pod.ask(.post, "/shutdown")?.status == 403 && pod.pod.isRunning)
        #expect(pod.ask(.post, "/shutdown", from: pod.beside)?.status == 200)
        pod.world.run(for: .seconds(1))
        #expect(pod.pod.state == .exited(0) && pod.proxy.isEnded, "\(pod.pod.state)")
    }

    @Test func `obeys the policy of its port`() throws {
        let denied = try Pod(["INBOUND_DEFAULT_POLICY": "deny"])
        #expect(denied.ask(.get, "/live")?.status == 404)
        let meshedOnly = try Pod(["INBOUND_DEFAULT_POLICY": "all-authenticated"])
        #expect(meshedOnly.ask(.get, "/metrics")?.status == 403)
        #expect(meshedOnly.ask(.get, "/metrics", from: meshedOnly.beside)?.status == 200)
    }

    @Test func `says what the proxy knows`() throws {
        let pod = try Pod()
        #expect(pod.ask(.get, "/debug/state")?.status == 403)
        let state = try #require(pod.ask(.get, "/debug/state", from: pod.beside))
        #expect(state.status == 200 && state.body.contains("\"state\":\"waiting\"") && state.body.contains("\"port\":4191"))
    }

    @Test func `closes a connection that is no HTTP, and one with a foreign TLS name`() throws {
        let pod = try Pod()
        for bytes in [Array("no http at all\r\n\r\n".utf8), [0x16, 0x03, 0x01, 0x00, 0x05, 1, 0, 0, 1, 0]] {
            let listener = ClosedListener()
            pod.stranger.run {
                let connection = pod.stranger.connect(to: SocketAddress(IPAddress(10, 1, 0, 1), 4191), options: ConnectOptions(), handler: listener)
                connection.send(bytes.span.bytes)
            }
            pod.world.run(for: .seconds(15))
            #expect(listener.isOver)
        }
        #expect(pod.ask(.get, "/live")?.status == 200)
    }
}

private final class ClosedListener: ConnectionHandler {
    var isOver = false
    func received(_ bytes: RawSpan, on connection: any Connection) {}
    func finished(_ connection: any Connection) {
        isOver = true
        connection.close()
    }
    func closed(_ connection: any Connection, _ failure: HostFailure?) { isOver = true }
}

@Suite struct `the life of a proxy` {
    @Test func `waits for its identity and says so every 15 seconds`() throws {
        let pod = try Pod()
        pod.world.run(for: .seconds(46))
        #expect(pod.pod.logLines.filter { $0.contains("Waiting for identity to be initialized...") }.count == 3)
        #expect(pod.pod.logLines.contains { $0.contains("Inbound interface on 0.0.0.0:4143") } && pod.pod.logLines.contains { $0.contains("Local identity is \(MeshAuthority.name("web"))") })
        #expect(!pod.proxy.isReady && pod.pod.isRunning)
    }

    @Test func `ends at once when asked to stop before it served`() throws {
        let pod = try Pod()
        pod.pod.stop()
        pod.world.run(for: .seconds(1))
        #expect(pod.pod.state == .exited(0))
        let verdict = pod.world.finish()
        #expect(verdict.passes, "\(verdict)")
    }

    @Test func `fails with 1 when an address is taken`() throws {
        let pod = try Pod(["ADMIN_LISTEN_ADDR": "0.0.0.0:4143"])
        #expect(pod.pod.state == .exited(1), "\(pod.pod.state)")
        #expect(pod.pod.logLines.contains { $0.contains("Initialization failed") })
    }
}

@Suite struct `metrics that nobody counts in any more` {
    @Test func `are forgotten when they were idle long enough, and not before`() {
        let registry = MetricsRegistry()
        var held: Metric? = registry.counter("a_total", help: "a", [("x", "held")])
        registry.counter("a_total", help: "a", [("x", "loose")]).increment()
        registry.histogram("h", help: "h", bounds: [1], [("x", "loose")]).observe(2)
        var now = Instant.zero
        func sweep() { registry.sweep(now: now, idle: .minutes(10)) }
        sweep()
        now = now + .minutes(9)
        registry.counter("a_total", help: "a", [("x", "loose")]).increment()
        sweep()
        #expect(registry.seriesCount == 3)
        now = now + .minutes(9)
        sweep()
        // The histogram has not changed in 18 minutes, the counter in 9.
        #expect(registry.seriesCount == 2 && registry.exposition().contains("a_total{x=\"loose\"} 2\n") && !registry.exposition().contains("h_bucket"))
        now = now + .minutes(2)
        sweep()
        #expect(registry.seriesCount == 1 && registry.exposition().contains("x=\"held\""))
        // Asked for again it begins anew, and look-ups still find the right one.
        registry.counter("a_total", help: "a", [("x", "loose")]).increment()
        held?.increment(by: 5)
        held = nil
        #expect(registry.counter("a_total", help: "a", [("x", "held")]).value == 5 && registry.counter("a_total", help: "a", [("x", "loose")]).value == 1)
    }

    @Test func `are bounded in number`() {
        var limits = PlatformLimits()
        limits.metricSeriesMax = 3
        let registry = MetricsRegistry(limits: limits)
        let all = (0..<5).map { registry.counter("a_total", help: "a", [("x", "\($0)")]) }
        for metric in all { metric.increment() }
        #expect(registry.seriesCount == 3 && registry.refusedCount == 2 && all[4].value == 1 && !registry.exposition().contains("x=\"3\""))
        registry.counter("a_total", help: "a", [("x", "2")]).increment()
        #expect(registry.exposition().contains("a_total{x=\"2\"} 2\n"))
    }
}
