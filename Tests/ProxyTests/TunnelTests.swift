// Exchanges that become tunnels through both proxies: Upgrade and CONNECT on HTTP/1, plain and extended CONNECT on HTTP/2. Bytes flow both
// ways at once, each way ends by itself, and a peer that breaks off is seen to have done so.

import Base
import HTTP
import Platform
import Testing
import Transport

@testable import Proxy

private let upgrade = "GET /chat HTTP/1.1\r\nHost: api.demo\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
private let switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
private let connect = "CONNECT api.demo:80 HTTP/1.1\r\nHost: api.demo:80\r\n\r\n"
private let tunnels: [(String, String, String)] = [(upgrade, switching, "101"), (connect, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", "200")]

@Suite struct TunnelTests {
    /// An application that opens the tunnel, greets, and echoes in brackets.
    private func crossing(_ head: String) throws -> Crossing {
        try Crossing { heard in
            guard let end = heard.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false).dropFirst().first else { return nil }
            return end.isEmpty ? head + "greeting;" : "[\(end.count)]"
        }
    }

    @Test(arguments: tunnels) func `bytes flow both ways, and each way ends by itself`(_ request: String, _ head: String, _ status: String) throws {
        let crossing = try crossing(head)
        let client = crossing.say(request)
        crossing.run()
        #expect(client.text.hasPrefix("HTTP/1.1 \(status) ") && client.text.hasSuffix("\r\n\r\ngreeting;"), "\(client.text.debugDescription)")
        if status == "200" { #expect(!client.text.lowercased().contains("content-length")) }
        if status == "101" { #expect(crossing.server.heard.lowercased().contains("upgrade: websocket\r\n")) }
        client.say([0x81, 0x02, 0xff, 0x00])
        crossing.run()
        #expect(client.text.hasSuffix("greeting;[4]") || client.text.contains("greeting;["))
        // The client has said everything; the server still answers.
        client.finish()
        crossing.run()
        #expect(crossing.server.conversations[0].isFinished, "the end of one way arrives")
        crossing.run()
        #expect(client.isFinished, "and the end of the other")
        crossing.end()
    }

    @Test(arguments: tunnels) func `a server that says its last still hears the client`(_ request: String, _ head: String, _ status: String) throws {
        let crossing = try crossing(head)
        crossing.server.finishes = true
        let client = crossing.say(request)
        crossing.run()
        #expect(client.text.hasSuffix("greeting;") && client.isFinished && !client.isClosed)
        client.say("still here")
        crossing.run()
        #expect(crossing.server.heard.hasSuffix("still here"))
        client.finish()
        crossing.run()
        #expect(crossing.server.conversations[0].isFinished)
        crossing.end()
    }

    @Test func `a client that goes away takes its tunnel along`() throws {
        let crossing = try crossing(switching)
        let client = crossing.say(upgrade)
        crossing.run()
        client.close()
        crossing.run()
        #expect(crossing.server.conversations[0].isFinished)
        crossing.end()
    }

    @Test func `a refused upgrade is an ordinary answer`() throws {
        let crossing = try Crossing { $0.hasSuffix("\r\n\r\n") ? "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno" : nil }
        let client = crossing.say(upgrade)
        crossing.run()
        // An upgrade keeps HTTP/1 all the way, and so the names their case.
        #expect(client.text == "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        crossing.run()
        #expect(client.text.hasSuffix("noHTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno"))
        crossing.end()
    }

    @Test func `a slow reader of a tunnel slows its writer`() throws {
        var chunks = 0
        let crossing = try Crossing { heard in
            guard heard.contains("\r\n\r\n") else { return nil }
            chunks += 1
            return chunks == 1 ? switching : nil
        }
        let client = crossing.say([UInt8](upgrade.utf8))
        crossing.run()
        #expect(client.text == switching.replacingUpgradeCase)
        client.reads = false
        let server = crossing.server.conversations[0].connection
        crossing.pair.server.run { for _ in 0..<200 { server.send([UInt8](repeating: 0x2e, count: 65_536)) } }
        crossing.run(.seconds(20))
        let waiting = crossing.pair.server.run { server.bytesQueued }
        #expect(waiting > 8_000_000, "the application feels it: \(waiting)")
        client.reads = true
        crossing.run(.seconds(60))
        #expect(client.heard.count == switching.utf8.count + 200 * 65_536)
        crossing.end()
    }

    // MARK: HTTP/2

    /// An application over HTTP/2 that takes CONNECT of both kinds, greets and echoes.
    private final class Relay: HTTPRequestHandler, HTTPStreamHandler {
        var heads: [RequestHead] = []
        var ends = 0
        var failures = 0

        func request(_ stream: HTTPStream, _ head: RequestHead, endStream: Bool, peer: HTTPPeer) {
            heads.append(head)
            stream.handler = self
            stream.respond(ResponseHead(status: 200), endStream: false)
            stream.send([UInt8]("greeting;".utf8).span.bytes, endStream: false)
        }

        func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) {
            let text = [UInt8]("[\(bytes.byteCount)]".utf8)
            stream.acknowledge(bytes.byteCount)
            if endStream { ends += 1 }
            stream.send(text.span.bytes, endStream: endStream)
        }

        func trailers(_ stream: HTTPStream, _ trailers: Headers) {}
        func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) { failures += 1 }
    }

    private func relay(offers: Bool) throws -> (Pair, Relay) {
        let relay = Relay()
        let pair = try Pair(target: Pair.balanced, policy: Pair.open) { process in
            do {
                var settings = HTTP2Settings()
                settings.allowsExtendedConnect = offers
                let server = try HTTPServer(batch: FlushBatch(host: process), address: SocketAddress(.any, 8080), settings: settings, handler: relay)
                process.keep(server)
                process.onShutdown { server.drain { process.exit(0) } }
            } catch { process.unexpected("\(error)") }
        }
        return (pair, relay)
    }

    private func head(_ tunnelProtocol: String?) -> RequestHead {
        var head = RequestHead(method: .connect, authority: "api.demo:80", path: tunnelProtocol == nil ? "" : "/chat", version: .http2)
        head.tunnelProtocol = tunnelProtocol
        return head
    }

    @Test(arguments: [nil, "websocket"]) func `CONNECT on HTTP/2 is a stream of bytes through both proxies`(_ tunnelProtocol: String?) throws {
        let (pair, relay) = try relay(offers: true)
        let answer = Answer()
        var stream: HTTPStream?
        var http: HTTPClient?
        pair.client.run {
            let made = HTTPClient(version: .http2, connector: TCPConnector(host: pair.client, address: Pair.service), batch: FlushBatch(host: pair.client))
            http = made
            made.whenSettled { failure in
                #expect(failure == nil)
                stream = try? made.send(self.head(tunnelProtocol), endStream: false, handler: answer)
            }
        }
        pair.world.run(for: .seconds(2))
        #expect(answer.head?.status == 200 && answer.body == [UInt8]("greeting;".utf8))
        #expect(relay.heads.map(\.tunnelProtocol) == [tunnelProtocol] && relay.heads[0].method == .connect)
        #expect(relay.heads.first.map { "\($0.authority)\($0.path)" } == (tunnelProtocol == nil ? "api.demo:80" : "api.demo:80/chat"))
        pair.client.run { stream?.send(([1, 2, 3] as [UInt8]).span.bytes, endStream: false) }
        pair.world.run(for: .seconds(1))
        #expect(answer.body == [UInt8]("greeting;[3]".utf8) && !answer.isOver)
        pair.client.run { stream?.send([UInt8]().span.bytes, endStream: true) }
        pair.world.run(for: .seconds(1))
        #expect(answer.isOver && answer.failure == nil && relay.ends == 1 && relay.failures == 0)
        pair.client.run { http?.close() }
        let verdict = pair.end()
        #expect(verdict.passes, "\(verdict)")
    }

    @Test func `an extended CONNECT that the application does not offer is answered with 501`() throws {
        let (pair, relay) = try relay(offers: false)
        let answer = Answer()
        var http: HTTPClient?
        pair.client.run {
            let made = HTTPClient(version: .http2, connector: TCPConnector(host: pair.client, address: Pair.service), batch: FlushBatch(host: pair.client))
            http = made
            made.whenSettled { _ in _ = try? made.send(self.head("websocket"), endStream: false, handler: answer) }
        }
        pair.world.run(for: .seconds(2))
        #expect(answer.head?.status == 501)
        #expect(relay.heads.isEmpty)
        pair.client.run { http?.close() }
        let verdict = pair.end()
        #expect(verdict.passes, "\(verdict)")
    }
}

extension String {
    /// What our proxies make of the head above: the fields as they came, the connection's own at the end.
    fileprivate var replacingUpgradeCase: String {
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nconnection: upgrade\r\n\r\n"
    }
}
