// HTTP clients and servers face to face over the simulated network: both versions, plain and over TLS.

import Base
import HTTP
import Platform
import Simulator
import TLS
import Testing

@testable import Transport

private let versions: [HTTPVersion] = [.http11, .http2]

@Suite struct `HTTP over the network` {
    @Test(arguments: versions, [false, true])
    func `carries requests and responses, plain and over TLS, however the bytes are cut`(_ version: HTTPVersion, _ tls: Bool) throws {
        for segmentation in [Segmentation.whole, .bytewise, .seeded] {
            let net = Net(seed: 3) { $0.segmentation = segmentation }
            let site = try Site(net, tls: tls)
            let client = try site.client(version)
            let sent = pattern(segmentation == .bytewise ? 2_000 : 200_000)
            let echo = try site.finish(client, .post, "/echo", body: sent)
            #expect(echo.head?.status == 200 && echo.body == sent && echo.failure == nil)
            let empty = try site.finish(client, .get, "/large/0")
            #expect(empty.head?.status == 200 && empty.body.isEmpty && empty.isComplete)
            let missing = try site.finish(client, .get, "/nowhere")
            #expect(missing.head?.status == 404)
            #expect(site.app.seen == ["POST /echo cart.shop", "GET /large/0 cart.shop", "GET /nowhere cart.shop"])
            #expect(site.app.peers.allSatisfy { ($0.tls?.identity == Identities.name("web")) == tls })
            net.asClient { client.close() }
            net.run()
            net.judge()
        }
    }

    @Test(arguments: versions) func `trailers follow the body`(_ version: HTTPVersion) throws {
        let net = Net()
        let site = try Site(net)
        let exchange = try site.finish(try site.client(version), .get, "/trailers")
        #expect(exchange.text == "body" && exchange.trailing?.first("x-checksum") == "1" && exchange.isComplete)
    }

    @Test(arguments: versions) func `a reader that does not read stops the writer`(_ version: HTTPVersion) throws {
        let net = Net()
        let site = try Site(net)
        let client = try site.client(version)
        let total = 8 << 20
        let exchange = try site.start(client, .get, "/large/\(total)", acknowledges: false)
        net.run(10)
        let stalled = site.app.produced
        #expect(stalled > 0 && stalled < 1 << 20, "\(stalled) bytes were produced for a reader that took \(exchange.body.count)")
        net.run(10)
        #expect(site.app.produced == stalled)
        exchange.acknowledges = true
        net.asClient { exchange.stream?.acknowledge(exchange.body.count) }
        net.wait(.minutes(2)) { exchange.isOver }
        #expect(exchange.body.count == total && exchange.isComplete)
    }

    @Test func `many streams share one HTTP/2 connection, and one that stalls does not stop the others`() throws {
        let net = Net()
        let site = try Site(net)
        let client = try site.client(.http2)
        let stalled = try site.start(client, .get, "/hang")
        let exchanges = try (0..<50).map { _ in try site.start(client, .get, "/large/10000") }
        net.wait { exchanges.allSatisfy(\.isOver) }
        #expect(exchanges.allSatisfy { $0.body.count == 10_000 } && client.connectionCount == 1 && !stalled.isOver)
        net.asClient { stalled.stream?.reset(code: HTTP2ErrorCode.cancel) }
        net.run(1)
        guard case .reset(let error)? = site.app.failures.first else { return #expect(Bool(false), "the server hears of the reset") }
        #expect(error.code == HTTP2ErrorCode.cancel)
        #expect(try site.finish(client, .get, "/large/10").body.count == 10 && client.connectionCount == 1)
    }

    @Test(arguments: [1, 10, 64]) func `more requests than an HTTP/2 server takes on one connection go over several, and none is refused`(_ streamsMax: UInt32) throws {
        let net = Net()
        let app = App()
        let address = SocketAddress(Net.serverIP, 8081)
        var settings = HTTP2Settings()
        settings.maxConcurrentStreams = streamsMax
        let server = try net.asServer { try HTTPServer(batch: net.batch(net.server), address: address, settings: settings, handler: app) }
        let observer = Readiness()
        let client = net.asClient { HTTPClient(version: .http2, connector: TCPConnector(host: net.client, address: address), batch: net.batch(net.client)) }
        net.asClient {
            client.observer = observer
            client.connectAhead()
        }
        net.wait { observer.connected == 1 }
        #expect(client.isConnected)
        let exchanges = try (0..<130).map { number in
            let exchange = Exchange()
            try net.asClient {
                exchange.stream = try client.send(RequestHead(method: .get, authority: "x", path: HTTPText(number % 2 == 0 ? "/large/5000" : "/trailers"), version: .http2), endStream: true, handler: exchange)
            }
            return exchange
        }
        net.wait { exchanges.allSatisfy(\.isOver) }
        #expect(exchanges.allSatisfy { $0.isComplete && $0.failure == nil } && client.connectionCount == (130 + Int(streamsMax) - 1) / Int(streamsMax))
        net.asServer { server.close() }
    }

    @Test func `a peer that leaves before its SETTINGS is a failure, not a connection`() throws {
        let net = Net()
        let address = SocketAddress(Net.serverIP, 8081)
        let accepting = Accepting { $0.close() }
        let listener = try net.asServer { try net.server.network.listen(on: address, options: ListenOptions(), handler: accepting) }
        let observer = Readiness()
        let client = net.asClient { HTTPClient(version: .http2, connector: TCPConnector(host: net.client, address: address), batch: net.batch(net.client)) }
        net.asClient {
            client.observer = observer
            client.connectAhead()
        }
        net.wait { !observer.failures.isEmpty }
        #expect(observer.connected == 0 && observer.failures.count == 1 && observer.failures[0] != nil)
        net.asServer { listener.close() }
    }

    @Test func `HTTP/1 connections are used again, the warmest first, and close when idle for long`() throws {
        let net = Net()
        let site = try Site(net)
        let client = try site.client(.http11)
        for _ in 0..<5 { #expect(try site.finish(client, .get, "/large/100").isComplete) }
        #expect(client.connectionCount == 1)
        let parallel = try (0..<4).map { _ in try site.start(client, .get, "/large/100000") }
        net.wait { parallel.allSatisfy(\.isOver) }
        #expect(client.connectionCount == 4)
        // One that is used again and again stays; the others go after their time.
        for _ in 0..<8 {
            net.world.run(for: .seconds(1))
            #expect(try site.finish(client, .get, "/large/100").isComplete)
        }
        #expect(client.connectionCount == 1)
        net.run(10)
        #expect(client.connectionCount == 0 && site.server.connectionCount == 0)
        net.judge()
    }

    @Test func `no more idle connections are kept than the limit says`() throws {
        let net = Net()
        let site = try Site(net)
        let client = try site.client(.http11) { $0.idleConnectionsMax = 2 }
        let parallel = try (0..<6).map { _ in try site.start(client, .get, "/large/100000") }
        net.wait { parallel.allSatisfy(\.isOver) }
        net.world.run(for: .milliseconds(100))
        #expect(client.connectionCount == 2)
    }

    @Test(arguments: versions) func `a draining server finishes what is open and takes nothing new`(_ version: HTTPVersion) throws {
        let net = Net()
        let site = try Site(net)
        let client = try site.client(version)
        let open = try site.start(client, .get, "/large/4000000")
        let idle = try site.client(version)
        _ = try site.finish(idle, .get, "/large/1")
        net.wait { open.body.count > 100_000 }
        var drained = 0
        net.asServer { site.server.drain { drained += 1 } }
        net.wait { open.isOver }
        #expect(open.isComplete && open.body.count == 4_000_000)
        net.run()
        #expect(drained == 1)
        let late = try site.finish(client, .get, "/large/1")
        guard case .connectFailed(let failure)? = late.failure else { return #expect(Bool(false), "\(String(describing: late.failure))") }
        #expect(failure.reason == .connectionRefused)
        net.run()
        net.judge()
    }

    @Test(arguments: versions) func `a server that dies fails what is open`(_ version: HTTPVersion) throws {
        let net = Net()
        let site = try Site(net)
        let client = try site.client(version)
        let open = try site.start(client, .get, "/hang")
        net.run(1)
        net.world.faults = FaultPlan([TimedFault(at: .seconds(2), .crash("server/main"))])
        net.wait { open.isOver }
        guard case .connectionLost? = open.failure else { return #expect(Bool(false), "\(String(describing: open.failure))") }
        #expect(client.connectionCount == 0)
    }

    @Test func `a client whose handshake fails says why`() throws {
        let net = Net()
        let site = try Site(net, tls: true)
        let exchange = try site.finish(try site.client(versions.last!, toward: "bank"), .get, "/large/1")
        guard case .handshakeFailed(let error)? = exchange.failure else { return #expect(Bool(false), "\(String(describing: exchange.failure))") }
        #expect(error.code == TLSAlert.badCertificate)
    }

    @Test func `a connection that says nothing is closed after its time`() throws {
        let net = Net()
        let site = try Site(net)
        let heard = Listener()
        let connection = net.asClient { net.client.network.connect(to: site.address, options: ConnectOptions(), handler: heard) }
        net.run(50)
        #expect(site.server.connectionCount == 1 && !heard.isFinished)
        net.run(20)
        #expect(site.server.connectionCount == 0 && (heard.isFinished || heard.isClosed))
        net.asClient { connection.close() }
    }

    @Test func `a server takes no more connections than its limit`() throws {
        let net = Net()
        var limits = TransportLimits()
        limits.serverConnectionsMax = 2
        let app = App()
        let address = SocketAddress(Net.serverIP, 9000)
        let server = try net.asServer { try HTTPServer(batch: net.batch(net.server), address: address, limits: limits, handler: app) }
        let heard = (0..<3).map { _ in Listener() }
        for listener in heard { net.asClient { net.kept.append(net.client.network.connect(to: address, options: ConnectOptions(), handler: listener) as AnyObject) } }
        net.run(1)
        #expect(server.connectionCount == 2 && heard.filter { $0.failure?.reason == .connectionReset }.count == 1)
    }

    @Test func `renewed server credentials are used by the next connection`() throws {
        let net = Net()
        let identities = try net.asServer { try Identities() }
        let app = App()
        let address = SocketAddress(Net.serverIP, 8443)
        var current: TLSServerConfiguration?
        _ = try net.asServer { try HTTPServer(batch: net.batch(net.server), address: address, newestTLS: { current }, handler: app) }
        func ask(_ peer: String) throws -> HTTPStreamFailure? {
            let exchange = Exchange()
            try net.asClient {
                let configuration = try identities.client("web", toward: peer)
                let client = HTTPClient(version: versions.last!, connector: TLSConnector(host: net.client, lower: TCPConnector(host: net.client, address: address)) { configuration }, batch: net.batch(net.client))
                _ = try client.send(RequestHead(method: .get, authority: "x", path: "/large/1", version: versions.last!), endStream: true, handler: exchange)
            }
            net.wait { exchange.isOver }
            return exchange.failure
        }
        #expect(try ask("cart") != nil, "without credentials no connection stands")
        current = try net.asServer { try identities.server("cart") }
        #expect(try ask("cart") == nil)
        current = try net.asServer { try identities.server("bank") }
        #expect(try ask("bank") == nil)
        #expect(try ask("cart") != nil)
    }
}

/// Notes what a client says of its connections.
private final class Readiness: HTTPClientObserver {
    var connected = 0
    var failures: [HTTPStreamFailure?] = []
    func connected(_ client: HTTPClient) { connected += 1 }
    func disconnected(_ client: HTTPClient, _ failure: HTTPStreamFailure?) { failures.append(failure) }
}
