// gRPC channels and servers face to face over the simulated network: calls, streams, deadlines, restarts, back-pressure.

import Base
import GRPC
import HTTP
import Platform
import Simulator
import TLS
import Testing

@testable import Transport

private func method(_ name: String, streaming: Bool) -> GRPCMethod<String, String> {
    GRPCMethod(
        path: "/test.Service/\(name)", isServerStreaming: streaming, encodeRequest: { Array($0.utf8) }, decodeRequest: { String(validating: $0, as: UTF8.self) },
        encodeResponse: { Array($0.utf8) }, decodeResponse: { String(validating: $0, as: UTF8.self) })
}

private let upper = method("Upper", streaming: false)
private let watch = method("Watch", streaming: true)
private let unknown = method("Unknown", streaming: false)

/// A gRPC server on the server node, and a channel to it.
private final class Service {
    let net: Net
    let address = SocketAddress(Net.serverIP, 8086)
    var server: GRPCServer!
    var streams: [ResponseStream<String>] = []
    var requests: [String] = []
    var cancelled = 0
    var deadlines: [Instant?] = []
    var held: [(Result<String, GRPCStatus>) -> Void] = []
    var completed: [(String, GRPCStatus.Code)] = []
    let identities: Identities?
    var capacity = 100

    init(_ net: Net, tls: Bool = false) throws {
        self.net = net
        identities = tls ? try net.asServer { try Identities() } : nil
        try open()
    }

    func open(on process: SimProcess? = nil) throws {
        let process = process ?? net.server
        try Net.turn(process) {
            server = GRPCServer(host: process)
            server.onCompleted = { [unowned self] path, code, _ in completed.append((path, code)) }
            server.register(upper, unary: { [unowned self] text, caller, answer in
                requests.append(text)
                deadlines.append(caller.deadline)
                switch text {
                case "hold": held.append(answer)
                case "refuse": answer(.failure(GRPCStatus(.permissionDenied, "50% of nothing, naïve")))
                case "who": answer(.success(caller.peer.tls?.identity ?? "nobody"))
                case "metadata": answer(.success(caller.metadata.first("x-note") ?? ""))
                default: answer(.success(text.uppercased()))
                }
            })
            server.register(watch, capacity: capacity, streaming: { [unowned self] text, _, stream in
                requests.append(text)
                streams.append(stream)
                stream.onCancel = { self.cancelled += 1 }
                if text == "never" { stream.finish(GRPCStatus(.notFound, "no such thing")) }
            })
            let configuration = try identities?.server("cart")
            try server.listen(on: SocketAddress(process.node.ip, 8086), batch: net.batch(process), tls: configuration.map { configuration in { configuration } })
        }
    }

    func channel(as account: String? = "web", _ change: (inout GRPCChannelOptions) -> Void = { _ in }) throws -> GRPCChannel {
        try net.asClient {
            var connector: any Connector = TCPConnector(host: net.client, address: address)
            if let identities {
                let configuration = try identities.client(account, toward: "cart")
                connector = TLSConnector(host: net.client, lower: connector) { configuration }
            }
            var options = GRPCChannelOptions()
            change(&options)
            return GRPCChannel(batch: net.batch(net.client), connector: connector, authority: "cart.shop:8086", options: options)
        }
    }

    func ask(_ channel: GRPCChannel, _ text: String, by method: GRPCMethod<String, String> = upper, metadata: [(name: String, value: String)] = [], timeout: Interval? = nil) -> Result<String, GRPCStatus>? {
        var result: Result<String, GRPCStatus>?
        net.asClient { channel.unary(method, text, metadata: metadata, timeout: timeout) { result = $0 } }
        net.wait(.minutes(5)) { result != nil }
        return result
    }
}

private final class Heard {
    var messages: [String] = []
    var ends: [GRPCStatus] = []
}

private func follow(_ net: Net, _ channel: GRPCChannel, _ text: String, timeout: Interval? = nil) -> (Heard, GRPCCall) {
    let heard = Heard()
    let call = net.asClient { channel.call(watch, text, timeout: timeout, onMessage: { heard.messages.append($0) }, onEnd: { heard.ends.append($0) }) }
    return (heard, call)
}

extension Result where Success == String, Failure == GRPCStatus {
    fileprivate var text: String? { if case .success(let text) = self { text } else { nil } }
    fileprivate var status: GRPCStatus? { if case .failure(let status) = self { status } else { nil } }
}

@Suite struct `A gRPC channel and server` {
    @Test(arguments: [Segmentation.whole, .bytewise, .seeded], [false, true]) func `exchange unary messages, plain and over mutual TLS`(_ segmentation: Segmentation, _ tls: Bool) throws {
        let net = Net { $0.segmentation = segmentation }
        let service = try Service(net, tls: tls)
        let channel = try service.channel()
        #expect(service.ask(channel, "hello")?.text == "HELLO")
        #expect(service.ask(channel, "who")?.text == (tls ? Identities.name("web") : "nobody"))
        let refused = service.ask(channel, "refuse")?.status
        #expect(refused == GRPCStatus(.permissionDenied, "50% of nothing, naïve"))
        #expect(service.ask(channel, "metadata", metadata: [("x-note", "here")])?.text == "here")
        #expect(service.ask(channel, "x", by: unknown)?.status?.code == .unimplemented)
        let long = String(repeating: "a", count: segmentation == .bytewise ? 2_000 : 300_000)
        #expect(service.ask(channel, long)?.text?.utf8.count == long.utf8.count)
        #expect(service.completed.map(\.1) == [.ok, .ok, .permissionDenied, .ok, .ok])
        net.asClient { channel.close() }
        net.run()
        net.judge()
    }

    @Test func `serve clients without a certificate, which have no identity`() throws {
        let net = Net()
        let service = try Service(net, tls: true)
        #expect(service.ask(try service.channel(as: nil), "who")?.text == "nobody")
    }

    @Test func `stream messages until the service ends`() throws {
        let net = Net()
        let service = try Service(net)
        let channel = try service.channel()
        let (heard, _) = follow(net, channel, "books")
        net.run(1)
        #expect(service.requests == ["books"] && heard.messages.isEmpty && heard.ends.isEmpty)
        net.asServer { for i in 0..<10 { service.streams[0].send("m\(i)") } }
        net.run(1)
        #expect(heard.messages == (0..<10).map { "m\($0)" })
        net.asServer { service.streams[0].finish(GRPCStatus(.aborted, "enough")) }
        net.run(1)
        #expect(heard.ends == [GRPCStatus(.aborted, "enough")] && service.cancelled == 0 && service.server.callCount == 0)
        let (refused, _) = follow(net, channel, "never")
        net.run(1)
        #expect(refused.ends == [GRPCStatus(.notFound, "no such thing")])
    }

    @Test func `a client that goes away cancels the call`() throws {
        let net = Net()
        let service = try Service(net)
        let channel = try service.channel()
        let (heard, call) = follow(net, channel, "books")
        net.run(1)
        net.asClient { call.cancel() }
        net.run(1)
        #expect(service.cancelled == 1 && heard.ends.isEmpty && service.server.callCount == 0 && call.isOver)
        let (other, _) = follow(net, channel, "more")
        net.run(1)
        net.asClient { channel.close() }
        net.run(1)
        #expect(service.cancelled == 2 && other.ends.map(\.code) == [.unavailable])
    }

    @Test func `a client that does not read ends its stream with OK when the queue is full`() throws {
        let net = Net()
        let service = try Service(net)
        let channel = try service.channel()
        let (heard, call) = follow(net, channel, "books")
        net.run(1)
        net.asClient { call.isPaused = true }
        let message = String(repeating: "x", count: 10_000)
        var sent = 0
        while service.streams[0].isOpen, sent < 1_000 {
            net.asServer { service.streams[0].send(message) }
            sent += 1
            net.world.run(for: .milliseconds(10))
        }
        #expect(!service.streams[0].isOpen && service.streams[0].overflowed && service.cancelled == 1)
        #expect(heard.messages.isEmpty && heard.ends.isEmpty)
        net.asClient { call.isPaused = false }
        net.run(5)
        #expect(heard.ends == [.ok] && heard.messages.count < sent && !heard.messages.isEmpty)
    }

    @Test func `a paused reader loses nothing when it reads on in time`() throws {
        let net = Net()
        let service = try Service(net)
        let channel = try service.channel()
        let (heard, call) = follow(net, channel, "books")
        net.run(1)
        net.asClient { call.isPaused = true }
        net.asServer {
            for i in 0..<50 { service.streams[0].send("m\(i) " + String(repeating: "x", count: 5_000)) }
            service.streams[0].finish(.ok)
        }
        net.run(2)
        #expect(heard.messages.isEmpty && heard.ends.isEmpty)
        net.asClient { call.isPaused = false }
        net.run(2)
        #expect(heard.messages.count == 50 && heard.messages[49].hasPrefix("m49 ") && heard.ends == [.ok])
    }

    @Test func `a deadline ends the call on both sides`() throws {
        let net = Net()
        let service = try Service(net)
        let channel = try service.channel()
        let began = net.world.now
        #expect(service.ask(channel, "hold", timeout: .seconds(2))?.status?.code == .deadlineExceeded)
        #expect(net.world.now - began >= .seconds(2) && net.world.now - began < .seconds(3))
        #expect(service.deadlines[0] != nil)
        net.run(1)
        #expect(service.server.callCount == 0)
        // The late answer does nothing.
        net.asServer { service.held[0](.success("late")) }
        let (heard, _) = follow(net, channel, "books", timeout: .seconds(1))
        net.run(3)
        #expect(heard.ends.map(\.code) == [.deadlineExceeded] && service.cancelled == 1)
    }

    @Test func `calls wait for a server that is not there yet`() throws {
        let net = Net()
        let service = try Service(net)
        net.asServer { service.server.close() }
        let channel = try service.channel()
        var result: Result<String, GRPCStatus>?
        net.asClient { channel.unary(upper, "early") { result = $0 } }
        net.run(5)
        #expect(result == nil && !channel.isReady)
        try service.open()
        net.wait { result != nil }
        #expect(result?.text == "EARLY" && channel.isReady)
    }

    @Test func `calls that wait too long fail with the reason`() throws {
        let net = Net()
        let service = try Service(net)
        net.asServer { service.server.close() }
        let channel = try service.channel { $0.waitTimeout = .seconds(3) }
        let began = net.world.now
        let status = service.ask(channel, "early")?.status
        #expect(status?.code == .unavailable && status?.message.contains("refused") == true)
        #expect(net.world.now - began == .seconds(3))
    }

    @Test func `no more calls wait than the limit says`() throws {
        let net = Net()
        let service = try Service(net)
        net.asServer { service.server.close() }
        let channel = try service.channel { $0.limits.callsWaitingMax = 3 }
        var failed = 0
        net.asClient { for _ in 0..<5 { channel.unary(upper, "x") { if case .failure = $0 { failed += 1 } } } }
        net.run(1)
        #expect(failed == 2)
    }

    @Test func `reconnects wait longer and longer`() throws {
        let net = Net()
        let service = try Service(net)
        net.asServer { service.server.close() }
        var attempts: [Instant] = []
        final class Counting: Connector {
            let lower: any Connector
            let count: () -> Void
            init(_ lower: any Connector, _ count: @escaping () -> Void) { (self.lower, self.count) = (lower, count) }
            func connect(_ handler: any ConnectionHandler) -> any Connection {
                count()
                return lower.connect(handler)
            }
            var target: String { lower.target }
        }
        let channel = net.asClient {
            GRPCChannel(
                batch: net.batch(net.client), connector: Counting(TCPConnector(host: net.client, address: service.address)) { attempts.append(net.world.now) },
                authority: "x")
        }
        net.asClient { channel.unary(upper, "x") { _ in } }
        net.run(29)
        let waits = zip(attempts, attempts.dropFirst()).map { $1 - $0 }
        #expect(waits.count >= 6 && zip(waits, waits.dropFirst()).allSatisfy { $1 > $0 })
        #expect(waits[0] >= .milliseconds(100) && waits[0] < .milliseconds(120))
    }

    @Test func `a watch comes back after the server was restarted`() throws {
        let net = Net()
        let service = try Service(net)
        let channel = try service.channel()
        let heard = Heard()
        let watching = net.asClient { channel.watch(watch, "books", onMessage: { heard.messages.append($0) }, onEnd: { status, _ in heard.ends.append(status) }) }
        net.run(1)
        net.asServer { service.streams[0].send("one") }
        net.run(1)
        net.asServer { net.server.exit(1) }
        net.run(1)
        net.server.start()
        net.run(1)
        try service.open()
        net.wait(.minutes(2)) { service.streams.count == 2 }
        net.asServer { service.streams[1].send("two") }
        net.run(1)
        #expect(heard.messages == ["one", "two"] && heard.ends.first?.code == .unavailable && !watching.isStopped)
        net.asClient {
            watching.stop()
            channel.close()
        }
        net.run(1)
        #expect(service.server.callCount == 0)
    }

    @Test func `a watch ends for good at a final status`() throws {
        let net = Net()
        let service = try Service(net)
        let channel = try service.channel()
        var ends: [(GRPCStatus, Bool)] = []
        var options = GRPCWatchOptions()
        options.finalCodes = [.notFound]
        let watching = net.asClient { channel.watch(watch, "never", options: options, onMessage: { _ in }, onEnd: { ends.append(($0, $1)) }) }
        net.run(30)
        #expect(ends.count == 1 && ends[0].1 && watching.isStopped && service.requests.count == 1)
    }

    @Test func `a watch that hears nothing, or lives too long, is opened again`() throws {
        let net = Net()
        let service = try Service(net)
        let channel = try service.channel()
        var options = GRPCWatchOptions()
        options.initialTimeout = .seconds(3)
        options.lifetime = .seconds(60)
        var ends: [GRPCStatus] = []
        let watching = net.asClient { channel.watch(watch, "silent", options: options, onMessage: { _ in }, onEnd: { status, _ in ends.append(status) }) }
        net.run(10)
        #expect(service.requests.count >= 2 && ends.first?.code == .deadlineExceeded)
        let before = service.requests.count
        net.asServer { service.streams.last?.send("alive") }
        net.run(50)
        #expect(service.requests.count <= before + 1)
        net.asServer { service.streams.last?.send("alive") }
        net.run(61)
        #expect(service.requests.count >= before + 1 && service.cancelled >= 2)
        net.asClient { watching.stop() }
    }

    @Test func `a dead server is found out by its silence`() throws {
        let net = Net()
        let service = try Service(net)
        let channel = try service.channel()
        let (heard, _) = follow(net, channel, "books")
        net.run(1)
        net.world.faults = FaultPlan([TimedFault(at: net.world.now - .zero + .seconds(1), .partition("client", "server"))])
        net.wait(.minutes(2)) { !heard.ends.isEmpty }
        // 10 s of silence, 3 s for the answer.
        #expect(heard.ends.map(\.code) == [.unavailable] || heard.ends.map(\.code) == [.internal])
        #expect(net.world.now - .zero < .seconds(25))
    }

    @Test func `a draining server ends its streams with OK and finishes unary calls`() throws {
        let net = Net()
        let service = try Service(net)
        let channel = try service.channel()
        let (heard, _) = follow(net, channel, "books")
        var result: Result<String, GRPCStatus>?
        net.asClient { channel.unary(upper, "hold") { result = $0 } }
        net.run(1)
        var drained = false
        net.asServer { service.server.drain { drained = true } }
        net.run(1)
        #expect(heard.ends == [.ok] && service.cancelled == 1 && !drained && result == nil)
        net.asServer { service.held[0](.success("done")) }
        net.run(1)
        #expect(result?.text == "done" && drained)
    }

    @Test(arguments: [
        ("GET", "application/grpc", "/test.Service/Upper", 405), ("POST", "application/json", "/test.Service/Upper", 415), ("POST", "application/grpcx", "/test.Service/Upper", 415),
    ]) func `what is no gRPC is refused by HTTP status`(_ verb: String, _ contentType: String, _ path: String, _ status: UInt16) throws {
        let net = Net()
        let service = try Service(net)
        let exchange = Exchange()
        try net.asClient {
            let client = HTTPClient(version: .http2, connector: TCPConnector(host: net.client, address: service.address), batch: net.batch(net.client))
            let head = RequestHead(method: HTTPMethod(verb), authority: "x", path: HTTPText(path), headers: ["content-type": contentType], version: .http2)
            _ = try client.send(head, endStream: true, handler: exchange)
        }
        net.wait { exchange.isOver }
        #expect(exchange.head?.status == status)
    }

    @Test(arguments: [
        ([0, 0, 0, 0, 1, 0xff] as [UInt8], GRPCStatus.Code.internal), ([1, 0, 0, 0, 0], .internal), ([0, 0, 0, 0, 9, 1], .internal), ([], .internal),
        ([0, 0xff, 0, 0, 0], .resourceExhausted), ([0, 0, 0, 0, 0, 0, 0, 0, 0, 0], .internal),
    ]) func `a malformed request ends with a status`(_ body: [UInt8], _ code: GRPCStatus.Code) throws {
        let net = Net()
        let service = try Service(net)
        let exchange = Exchange()
        try net.asClient {
            let client = HTTPClient(version: .http2, connector: TCPConnector(host: net.client, address: service.address), batch: net.batch(net.client))
            let head = RequestHead(method: .post, authority: "x", path: "/test.Service/Watch", headers: ["content-type": "application/grpc", "te": "trailers"], version: .http2)
            let stream = try client.send(head, endStream: false, handler: exchange)
            stream.send(body.span.bytes, endStream: true)
        }
        net.wait { exchange.isOver }
        #expect((exchange.trailing ?? exchange.head?.headers)?.first("grpc-status") == String(code.rawValue))
    }
}
