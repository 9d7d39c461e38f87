// gRPC calls whose clients send more than one request: order, both directions at once, back-pressure, early ends, metadata.

import Base
import GRPC
import HTTP
import Platform
import Simulator
import Testing

@testable import Transport

private func method(_ name: String, client: Bool, server: Bool) -> GRPCMethod<String, String> {
    GRPCMethod(
        path: "/test.Service/\(name)", isServerStreaming: server, isClientStreaming: client, encodeRequest: { Array($0.utf8) }, decodeRequest: { String(validating: $0, as: UTF8.self) },
        encodeResponse: { Array($0.utf8) }, decodeResponse: { String(validating: $0, as: UTF8.self) })
}

private let join = method("Join", client: true, server: false)
private let echo = method("Echo", client: true, server: true)

private final class Heard {
    var messages: [String] = []
    var ends: [GRPCStatus] = []
    var writable = 0
}

/// `Join` answers with all requests in one when they end; `Echo` answers each, and ends at `stop`.
private final class Choir {
    let net: Net
    var server: GRPCServer!
    var received: [String] = []
    var streams: [ResponseStream<String>] = []
    var cancelled = 0

    init(_ net: Net) throws {
        self.net = net
        try net.asServer {
            server = GRPCServer(host: net.server)
            server.register(join, duplex: { [unowned self] _, answers in
                var parts: [String] = []
                return GRPCRequests(received: { parts.append($0); self.received.append($0) }, ended: {
                    answers.send(parts.joined(separator: " "))
                    answers.finish(.ok)
                })
            })
            server.register(echo, duplex: { [unowned self] caller, answers in
                streams.append(answers)
                answers.onCancel = { self.cancelled += 1 }
                if let note = caller.metadata.first("x-note") {
                    answers.initialMetadata = [("x-initial", note)]
                    answers.trailingMetadata = [("x-trailing-bin", note)]
                }
                return GRPCRequests(received: { text in
                    self.received.append(text)
                    if text == "stop" { answers.finish(GRPCStatus(.aborted, "asked to")) } else { answers.send(text.uppercased()) }
                }, ended: { answers.finish(.ok) })
            })
            try server.listen(on: SocketAddress(Net.serverIP, 8086), batch: net.batch(net.server))
        }
    }

    func open(_ method: GRPCMethod<String, String>, metadata: [(name: String, value: String)] = [], timeout: Interval? = nil) -> (heard: Heard, requests: GRPCRequestStream<String>, channel: GRPCChannel) {
        let heard = Heard()
        return net.asClient {
            let channel = GRPCChannel(batch: net.batch(net.client), connector: TCPConnector(host: net.client, address: SocketAddress(Net.serverIP, 8086)), authority: "choir:8086")
            let requests = channel.stream(
                method, metadata: metadata, timeout: timeout, onWritable: { heard.writable += 1 }, onMessage: { heard.messages.append($0) }, onEnd: { heard.ends.append($0) })
            return (heard, requests, channel)
        }
    }
}

@Suite struct `A gRPC call of many requests` {
    @Test(arguments: [Segmentation.whole, .bytewise, .seeded]) func `is answered once when they end, though they were sent before there was a connection`(_ segmentation: Segmentation) throws {
        let net = Net { $0.segmentation = segmentation }
        let choir = try Choir(net)
        let (heard, requests, channel) = choir.open(join)
        net.asClient {
            for text in ["we", "are", "", "many"] { requests.send(text) }
            requests.finish()
            requests.send("too late")
        }
        net.wait { !heard.ends.isEmpty }
        #expect(heard.messages == ["we are  many"] && heard.ends == [.ok] && choir.server.callCount == 0)
        net.asClient { channel.close() }
        net.run()
        net.judge()
    }

    @Test(arguments: [Segmentation.whole, .bytewise, .seeded]) func `is answered while it goes on`(_ segmentation: Segmentation) throws {
        let net = Net { $0.segmentation = segmentation }
        let choir = try Choir(net)
        let (heard, requests, _) = choir.open(echo)
        for text in ["one", "two", String(repeating: "x", count: 3_000)] {
            net.asClient { requests.send(text) }
            net.wait { heard.messages.last == text.uppercased() }
            #expect(heard.messages.last == text.uppercased() && heard.ends.isEmpty)
        }
        net.asClient { requests.finish() }
        net.wait { !heard.ends.isEmpty }
        #expect(heard.ends == [.ok] && heard.messages.count == 3 && choir.cancelled == 0)
    }

    @Test func `without requests ends well`() throws {
        let net = Net()
        let choir = try Choir(net)
        let (heard, requests, _) = choir.open(echo)
        net.asClient { requests.finish() }
        net.wait { !heard.ends.isEmpty }
        #expect(heard.ends == [.ok] && heard.messages.isEmpty)
    }

    @Test func `is not read on while its answers are not taken, and loses nothing`() throws {
        let net = Net()
        let choir = try Choir(net)
        let (heard, requests, _) = choir.open(echo)
        net.run(1)
        net.asClient { requests.call.isPaused = true }
        let text = String(repeating: "y", count: 20_000)
        var sent = 0
        for _ in 0..<200 {
            net.asClient { if requests.isWritable { requests.send(text); sent += 1 } }
            net.world.run(for: .milliseconds(20))
        }
        // Both windows and both queues, no more: the rest waits at its sender.
        #expect(sent < 60 && choir.received.count < 40 && choir.streams[0].isOpen && heard.messages.isEmpty, "\(sent) sent, \(choir.received.count) received")
        net.asClient { requests.call.isPaused = false }
        net.run(2)
        #expect(heard.messages.count == sent && heard.writable > 0)
        net.asClient { requests.finish() }
        net.run(1)
        #expect(heard.ends == [.ok] && choir.received.count == sent)
    }

    @Test func `may be ended by its server while it still sends`() throws {
        let net = Net()
        let choir = try Choir(net)
        let (heard, requests, channel) = choir.open(echo)
        net.asClient { for text in ["a", "stop", "b", String(repeating: "z", count: 60_000)] { requests.send(text) } }
        net.wait { !heard.ends.isEmpty }
        #expect(heard.messages == ["A"] && heard.ends == [GRPCStatus(.aborted, "asked to")] && choir.received == ["a", "stop"])
        // The connection's window was given back: as much again passes, many times over.
        for _ in 0..<20 {
            let other = Heard()
            let more = net.asClient { channel.stream(join, onMessage: { other.messages.append($0) }, onEnd: { other.ends.append($0) }) }
            net.asClient {
                more.send(String(repeating: "w", count: 60_000))
                more.finish()
            }
            net.wait { !other.ends.isEmpty }
            #expect(other.ends == [.ok] && other.messages.first?.utf8.count == 60_000)
        }
    }

    @Test func `that its client cancels, or whose time is over, is told to its service`() throws {
        let net = Net()
        let choir = try Choir(net)
        let (heard, requests, _) = choir.open(echo)
        net.asClient { requests.send("a") }
        net.wait { !heard.messages.isEmpty }
        net.asClient { requests.call.cancel() }
        net.run(1)
        #expect(choir.cancelled == 1 && heard.ends.isEmpty && choir.server.callCount == 0)
        let (late, _, _) = choir.open(echo, timeout: .seconds(2))
        net.run(5)
        #expect(late.ends.map(\.code) == [.deadlineExceeded] && choir.cancelled == 2 && choir.server.callCount == 0)
    }

    @Test func `carries metadata before the first and after the last answer`() throws {
        let net = Net()
        let choir = try Choir(net)
        let (heard, requests, _) = choir.open(echo, metadata: [("x-note", "AQID")])
        net.asClient { requests.send("a") }
        net.wait { !heard.messages.isEmpty }
        #expect(requests.call.responseHead?.first("x-initial") == "AQID" && requests.call.responseTrailers == nil)
        net.asClient { requests.finish() }
        net.wait { !heard.ends.isEmpty }
        #expect(requests.call.responseTrailers?.first("x-trailing-bin") == "AQID" && heard.ends == [.ok])
    }

    @Test func `with an undecodable request ends with INTERNAL`() throws {
        let net = Net()
        let choir = try Choir(net)
        let exchange = Exchange()
        try net.asClient {
            let client = HTTPClient(version: .http2, connector: TCPConnector(host: net.client, address: SocketAddress(Net.serverIP, 8086)), batch: net.batch(net.client))
            let head = RequestHead(method: .post, authority: "x", path: "/test.Service/Echo", headers: ["content-type": "application/grpc", "te": "trailers"], version: .http2)
            let stream = try client.send(head, endStream: false, handler: exchange)
            let body: [UInt8] = [0, 0, 0, 0, 1, UInt8(ascii: "a"), 0, 0, 0, 0, 1, 0xff]
            stream.send(body.span.bytes, endStream: false)
        }
        net.wait { exchange.isOver }
        #expect(exchange.trailing?.first("grpc-status") == String(GRPCStatus.Code.internal.rawValue) && choir.received == ["a"] && choir.cancelled == 1)
    }

    @Test func `whose messages are compressed is refused with what would be taken`() throws {
        let net = Net()
        _ = try Choir(net)
        let exchange = Exchange()
        try net.asClient {
            let client = HTTPClient(version: .http2, connector: TCPConnector(host: net.client, address: SocketAddress(Net.serverIP, 8086)), batch: net.batch(net.client))
            let head = RequestHead(method: .post, authority: "x", path: "/test.Service/Join", headers: ["content-type": "application/grpc", "te": "trailers", "grpc-encoding": "gzip"], version: .http2)
            _ = try client.send(head, endStream: false, handler: exchange)
        }
        net.wait { exchange.isOver }
        #expect(exchange.head?.headers.first("grpc-status") == String(GRPCStatus.Code.unimplemented.rawValue) && exchange.head?.headers.first("grpc-accept-encoding") == "identity")
    }
}
