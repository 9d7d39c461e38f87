// Both halves of the data path face to face in the simulated world: real TLS, real engines, an identity from a test authority, and
// discovery that says what the test says. What the control plane would say is tested elsewhere.

import Base
import HTTP
import Platform
import Simulator
import TLS
import Testing
import Transport

@testable import Proxy

private let port: UInt16 = 8080

/// An identity that was always there.
private final class FixedIdentity: MeshIdentity {
    let localName: String
    let serverConfiguration: TLSServerConfiguration?
    private let client: TLSClientConfiguration

    init(_ name: String, authority: CertificateAuthority, anchors: TrustAnchors, now: WallTime) throws(Refusal) {
        localName = name
        let credentials = try authority.issueCredentials(identity: name, validity: (now - .hours(1))...(now + .hours(24)))
        serverConfiguration = TLSServerConfiguration(credentials: credentials, anchors: anchors)
        client = TLSClientConfiguration(credentials: credentials, anchors: anchors)
    }

    func clientConfiguration(toward identity: String, alpn: [[UInt8]]) -> TLSClientConfiguration? { client.toward(identity, alpn: alpn) }
}

/// Answers what it was told.
final class FixedDiscovery: OutboundDiscovery, InboundPolicies {
    var target: OutboundTarget
    let endpoints = Watch<EndpointSet>()
    let policy: Watch<InboundPolicy>
    private(set) var uses = 0

    init(target: OutboundTarget, policy: InboundPolicy) {
        self.target = target
        self.policy = Watch(policy)
    }

    func target(_ destination: Destination) -> Watch<OutboundTarget> {
        uses += 1
        return Watch(target)
    }
    func release(_ destination: Destination) { uses -= 1 }
    func endpoints(_ authority: String) -> Watch<EndpointSet> {
        uses += 1
        return endpoints
    }
    func release(authority: String) { uses -= 1 }
    func policy(port: UInt16) -> Watch<InboundPolicy> { policy }
}

/// Echoes bodies, with the status, delay and trailers that the script says.
final class ScriptedServer: HTTPRequestHandler, HTTPStreamHandler {
    struct Step {
        var status: UInt16 = 200
        var delay = Interval.zero
        /// HTTP/2: after the head, instead of a body.
        var trailers: Headers?
        /// Answers nothing but this error code.
        var reset: UInt32?
        /// The head at once, the rest never.
        var stalls = false
    }

    var heads: [RequestHead] = []
    /// By the number of the request, from 0.
    var script: (Int) -> Step = { _ in Step() }
    private(set) var completed: [[UInt8]] = []
    private let process: SimProcess
    private var bodies: [ObjectIdentifier: [UInt8]] = [:]
    let server: HTTPServer

    init(_ process: SimProcess) throws(HostFailure) {
        self.process = process
        let late = Late()
        server = try HTTPServer(batch: FlushBatch(host: process), address: SocketAddress(.any, port), handler: late)
        late.handler = self
        process.onShutdown { [server] in server.drain { process.exit(0) } }
    }

    func request(_ stream: HTTPStream, _ head: RequestHead, endStream: Bool, peer: HTTPPeer) {
        heads.append(head)
        stream.handler = self
        bodies[ObjectIdentifier(stream)] = []
        if endStream { answer(stream) }
    }

    func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) {
        bodies[ObjectIdentifier(stream)]! += bytes.array()
        stream.acknowledge(bytes.byteCount)
        if endStream { answer(stream) }
    }

    func trailers(_ stream: HTTPStream, _ trailers: Headers) { answer(stream) }
    func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) {}

    private func answer(_ stream: HTTPStream) {
        let body = bodies[ObjectIdentifier(stream)] ?? []
        let step = script(completed.count)
        completed.append(body)
        if step.delay == .zero { give(step, body, stream) } else { process.after(step.delay) { [self] in give(step, body, stream) } }
    }

    private func give(_ step: Step, _ body: [UInt8], _ stream: HTTPStream) {
        if let code = step.reset { return stream.reset(code: code) }
        if step.trailers == nil, !step.stalls { return stream.respond(status: step.status, headers: [("x-echo", "yes")], body: body) }
        stream.respond(ResponseHead(status: step.status, headers: ["content-type": "application/grpc"]), endStream: false)
        if let trailers = step.trailers { stream.send(trailers: trailers) }
    }

    private final class Late: HTTPRequestHandler {
        var handler: (any HTTPRequestHandler)?
        func request(_ stream: HTTPStream, _ head: RequestHead, endStream: Bool, peer: HTTPPeer) { handler?.request(stream, head, endStream: endStream, peer: peer) }
    }
}

final class Answer: HTTPStreamHandler {
    var head: ResponseHead?
    var body: [UInt8] = []
    var failure: HTTPStreamFailure?
    var isOver = false
    var trailers: Headers?

    func response(_ stream: HTTPStream, _ head: ResponseHead, endStream: Bool) {
        self.head = head
        isOver = endStream
    }
    func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) {
        body += bytes.array()
        stream.acknowledge(bytes.byteCount)
        isOver = endStream
    }
    func trailers(_ stream: HTTPStream, _ trailers: Headers) {
        self.trailers = trailers
        isOver = true
    }
    func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) {
        self.failure = failure
        isOver = true
    }
}

/// Two meshed pods and what runs in them.
final class Pair {
    let world: World
    let web: Node
    let api: Node
    let discovery: FixedDiscovery
    let client: SimProcess
    let proxies: [SimProcess]
    let server: SimProcess
    private(set) var echo: ScriptedServer?
    let registries = (web: MetricsRegistry(), api: MetricsRegistry())
    private var http: HTTPClient?

    static let webName = "web.demo.serviceaccount.identity.linkerd.cluster.local"
    static let apiName = "api.demo.serviceaccount.identity.linkerd.cluster.local"
    static let service = SocketAddress(IPAddress(10, 96, 0, 1), 80)

    /// `application`: serves instead of the echo.
    init(seed: UInt64 = 1, target: OutboundTarget, policy: InboundPolicy, application: ((SimProcess) -> Void)? = nil) throws {
        world = World(seed: seed, options: WorldOptions(start: WallTime(seconds: 1_800_000_000)))
        web = world.addNode("web", ip: IPAddress(10, 0, 0, 1))
        api = world.addNode("api", ip: IPAddress(10, 0, 0, 2))
        let discovery = FixedDiscovery(target: target, policy: policy)
        self.discovery = discovery
        var authority: CertificateAuthority?
        var made: [SimProcess] = []
        for node in [web, api] {
            node.isMeshed = true
            node.redirect = RedirectRules()
            let registry = node === web ? registries.web : registries.api
            made.append(
                world.addProcess("linkerd-proxy", on: node, userID: 2102, settings: Settings()) { process in
                    do {
                        let now = process.wall
                        let root = try authority ?? CertificateAuthority.selfSignedRoot(name: "root", validity: (now - .hours(2))...(now + .days(30)))
                        authority = root
                        let name = node.name == "web" ? Pair.webName : Pair.apiName
                        let identity = try FixedIdentity(name, authority: root, anchors: TrustAnchors([root.certificate]), now: now)
                        let batch = FlushBatch(host: process)
                        let configuration = Pair.configuration
                        let inbound = InboundServer(batch: batch, configuration: configuration, identity: identity, policies: discovery, registry: registry)
                        let outbound = OutboundServer(batch: batch, configuration: configuration, identity: identity, discovery: discovery, registry: registry)
                        try inbound.start()
                        try outbound.start()
                        process.keep(inbound)
                        process.keep(outbound)
                        process.onShutdown {
                            var left = 2
                            let done = {
                                left -= 1
                                if left == 0 { process.exit(0) }
                            }
                            inbound.drain(done)
                            outbound.drain(done)
                        }
                    } catch { process.unexpected("\(error)") }
                })
        }
        proxies = made
        client = world.addProcess("curl", on: web, userID: 1000, settings: Settings()) { process in process.onShutdown { process.exit(0) } }
        var echo: ScriptedServer?
        server = world.addProcess("echo", on: api, userID: 1000, settings: Settings()) { process in
            if let application { return application(process) }
            do { echo = try ScriptedServer(process) } catch { process.unexpected("\(error)") }
        }
        for process in made + [client, server] { process.start() }
        world.run(for: .milliseconds(10))
        self.echo = echo
        var endpoint = Endpoint(address: SocketAddress(api.ip, port))
        endpoint.identity = Self.apiName
        endpoint.serverName = Self.apiName
        endpoint.hint = .http2
        endpoint.transportPort = 4143
        proxies[0].run { discovery.endpoints.set(.exists([endpoint])) }
    }

    static var configuration: Configuration {
        let service = Configuration.Service(authority: Authority(host: "127.0.0.1", port: 1), identity: nil)
        return Configuration(
            destination: service, policy: service,
            identity: Configuration.IdentitySettings(service: service, localID: "x", localName: "x", directory: "", tokenFile: "", trustAnchorsPEM: ""), policyWorkload: "{}")
    }

    func send(_ head: RequestHead, body: [UInt8] = [], version: HTTPVersion = .http11) -> Answer {
        let answer = Answer()
        client.run {
            let http = http ?? HTTPClient(version: version, connector: TCPConnector(host: client, address: Pair.service), batch: FlushBatch(host: client))
            self.http = http
            do {
                let stream = try http.send(head, endStream: body.isEmpty, handler: answer)
                if !body.isEmpty { stream.send(body.span.bytes, endStream: true) }
            } catch { Issue.record("not sent: \(error)") }
        }
        world.run(until: { answer.isOver }, limit: .seconds(60), awaiting: "an answer")
        return answer
    }

    /// Stops all and lets the judges speak.
    func end() -> Verdict {
        client.run { http?.close() }
        for process in [client] + proxies + [server] {
            process.stop()
            world.run(for: .seconds(1))
        }
        world.run(for: .seconds(20))
        return world.finish()
    }
}

extension Pair {
    static var balanced: OutboundTarget {
        let backend = Backend(kind: .balance("api.demo.svc.cluster.local:80"))
        let routing = HTTPRouting(routes: [HTTPRoute(rules: [HTTPRoute.Rule(backends: .firstAvailable([backend]))])])
        return OutboundTarget(profile: nil, policy: OutboundPolicy(kind: .detect(http1: routing, http2: routing, opaque: [OpaqueRoute(backends: .firstAvailable([backend]))])))
    }

    static var open: InboundPolicy {
        var policy = InboundPolicy(kind: .detect(timeout: .seconds(10), [InboundRoute(rules: [InboundRoute.Rule()])]))
        policy.authorizations = [Authorization(networks: [Authorization.Network(net: IPNetwork(.any, prefixBits: 0))], authentication: .anyone)]
        return policy
    }
}

@Suite struct DataPathTests {
    @Test(arguments: [HTTPVersion.http11, .http2]) func `a request crosses two proxies by mutual TLS and comes back`(_ version: HTTPVersion) throws {
        let pair = try Pair(target: Pair.balanced, policy: Pair.open)
        for i in 0..<5 {
            let answer = pair.send(RequestHead(method: .get, authority: "api.demo", path: "/\(i)", headers: ["accept": "*/*"], version: version), version: version)
            #expect(answer.head?.status == 200 && answer.failure == nil)
            #expect(answer.head?.headers.first("x-echo") == "yes")
        }
        let heads = pair.echo!.heads
        #expect(heads.map { "\($0.path)" } == ["/0", "/1", "/2", "/3", "/4"])
        #expect(heads.allSatisfy { $0.headers.first("l5d-client-id") == Pair.webName && $0.headers.first("l5d-orig-proto") == nil && $0.version == version && "\($0.authority)" == "api.demo" })
        let verdict = pair.end()
        #expect(verdict.passes, "\(verdict)")
        #expect(pair.registries.web.exposition().contains("request_total{direction=\"outbound\",authority=\"api.demo.svc.cluster.local:80\",target_addr=\"10.0.0.2:8080\""))
        #expect(pair.registries.api.exposition().contains("client_id=\"\(Pair.webName)\""))
        #expect(pair.discovery.uses == 0, "everything that was looked up is let go")
    }

    @Test(arguments: [1, 70_000, 2_000_000]) func `bodies pass whole in both directions`(_ count: Int) throws {
        let pair = try Pair(target: Pair.balanced, policy: Pair.open)
        let body = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 13) }
        let answer = pair.send(RequestHead(method: .post, authority: "api.demo", path: "/", headers: ["content-length": "\(count)"]), body: body)
        #expect(answer.head?.status == 200 && answer.body == body, "\(answer.failure.map { "\($0)" } ?? "\(answer.body.count) bytes")")
        let verdict = pair.end()
        #expect(verdict.passes, "\(verdict)")
    }

    @Test func `a client that is not allowed gets 403 and the reason in the head`() throws {
        var policy = Pair.open
        policy.authorizations = [Authorization(networks: [Authorization.Network(net: IPNetwork(.any, prefixBits: 0))], authentication: .identities(["someone.else"], suffixes: []))]
        let pair = try Pair(target: Pair.balanced, policy: policy)
        let answer = pair.send(RequestHead(method: .get, authority: "api.demo", path: "/"))
        #expect(answer.head?.status == 403)
        #expect(pair.echo!.heads.isEmpty)
        #expect(pair.registries.api.exposition().contains("inbound_http_authz_deny_total"))
        let verdict = pair.end()
        #expect(verdict.passes, "\(verdict)")
    }

    @Test func `while no endpoint is ready requests fail after the fail-fast time, then at once, then succeed again`() throws {
        let pair = try Pair(target: Pair.balanced, policy: Pair.open)
        guard case .exists(let endpoints)? = pair.discovery.endpoints.value else { return }
        pair.proxies[0].run { pair.discovery.endpoints.set(.exists([])) }
        let slow = pair.send(RequestHead(method: .get, authority: "api.demo", path: "/"))
        #expect(slow.head?.status == 504 && slow.head?.headers.first("l5d-proxy-error")?.contains("fail-fast") == true)
        let fast = pair.send(RequestHead(method: .get, authority: "api.demo", path: "/"))
        #expect(fast.head?.status == 503)
        pair.proxies[0].run { pair.discovery.endpoints.set(.exists(endpoints)) }
        pair.world.run(for: .milliseconds(100))
        #expect(pair.send(RequestHead(method: .get, authority: "api.demo", path: "/")).head?.status == 200)
        let verdict = pair.end()
        #expect(verdict.passes, "\(verdict)")
    }

    @Test func `the same seed gives the same trace`() throws {
        func line(_ seed: UInt64) throws -> String {
            let pair = try Pair(seed: seed, target: Pair.balanced, policy: Pair.open)
            _ = pair.send(RequestHead(method: .get, authority: "api.demo", path: "/"))
            return pair.end().traceLine
        }
        #expect(try line(7) == line(7))
        #expect(try line(7) != line(8))
    }
}

@Suite struct PeakEWMATests {
    @Test func `exp is right to a thousandth over its whole range`() {
        // Reference values of exp(-x), x in tenths.
        let expected: [(Int64, Double)] = [(0, 1), (1, 0.904837), (5, 0.606531), (10, 0.367879), (20, 0.135335), (50, 0.006738), (100, 0.0000454), (300, 0)]
        for (tenths, value) in expected {
            let found = Double(PeakEWMA.exponential(.milliseconds(tenths * 100), .seconds(1))) / 4_294_967_296
            #expect(abs(found - value) < 0.001, "exp(-\(tenths)/10) is \(found), not \(value)")
        }
    }

    @Test func `a slow answer counts at once and is forgiven slowly`() {
        var load = PeakEWMA(now: .zero, rtt: .milliseconds(1), decay: .seconds(10))
        load.observe(.milliseconds(100), now: Instant(nanoseconds: 0))
        #expect(load.load(now: .zero) > 99_000_000)
        #expect(load.load(now: Instant(nanoseconds: 10_000_000_000)) < 40_000_000)
        load.inFlight = 3
        #expect(load.load(now: .zero) > 4 * 99_000_000)
    }
}

@Suite struct SniffTests {
    @Test(arguments: [
        ("GET / HTTP/1.1\r\n", HTTPSniff.http1), ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", .http2), ("PRI * HT", .incomplete), ("GET /", .incomplete), ("POST /x", .incomplete),
        ("\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{fc}\u{3}\u{3}aaaa", .notHTTP), ("SSH-2.0-OpenSSH_9.2\r\n", .notHTTP), ("QUIT\r\n", .notHTTP), ("HELLO WORLD, HOW ARE YOU", .notHTTP),
        ("BREW /pot HTCPCP/1.0\r\n", .notHTTP), ("PATCH /a/b?c=d HTTP/1.0\r\n", .http1), ("x", .notHTTP),
    ])
    func `first bytes are told apart`(_ text: String, _ expected: HTTPSniff) {
        #expect(HTTPSniff.sniff(Array(text.utf8)) == expected)
    }
}
