// HTTP/1 as it stands on the wire: a plain socket on one side, the transport on the other. When a connection ends is part of the
// protocol here, so it is looked at, too.

import Base
import HTTP
import Platform
import Simulator
import Testing

@testable import Transport

/// Switches protocols, speaks first, and echoes.
private final class Switching: HTTPRequestHandler, HTTPStreamHandler {
    func request(_ stream: HTTPStream, _ head: RequestHead, endStream: Bool, peer: HTTPPeer) {
        stream.handler = self
        stream.respond(ResponseHead(status: head.method == .connect ? 200 : 101, headers: ["upgrade": "echo"]), endStream: false)
        let greeting = Array("hello ".utf8)
        stream.send(greeting.span.bytes, endStream: false)
    }

    func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) {
        if bytes.byteCount > 0 { stream.send(bytes, endStream: false) }
        stream.acknowledge(bytes.byteCount)
    }

    func trailers(_ stream: HTTPStream, _ trailers: Headers) {}
    func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) {}
}

@Suite struct `HTTP/1 on the wire` {
    /// A socket that says `text` and notes the answer.
    private func say(_ text: String, to address: SocketAddress, in net: Net) -> Listener {
        let listener = Listener()
        listener.onConnected = { $0.send(text) }
        net.kept.append(listener)
        net.asClient { net.kept.append(net.client.network.connect(to: address, options: ConnectOptions(), handler: listener)) }
        return listener
    }

    @Test func `the last exchange of a connection ends it, whoever said so`() throws {
        let cases = [
            ("GET /large/2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n"),
            ("GET /large/2 HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n"),
            ("GET /trailers HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nbody"),
            ("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
            ("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/3.0\r\n\r\n", "HTTP/1.1 404 Not Found\r\n"),
        ]
        for (request, answer) in cases {
            let net = Net()
            let site = try Site(net)
            let heard = say(request, to: site.address, in: net)
            net.wait(.seconds(10), "the end of \(request.debugDescription)") { heard.isFinished || heard.isClosed }
            #expect(heard.text.hasPrefix(answer), "\(heard.text.debugDescription)")
            #expect(heard.isFinished || heard.isClosed)
            #expect(site.server.connectionCount == 0)
        }
    }

    @Test func `pipelined requests are answered in order on one connection, which stays`() throws {
        let net = Net()
        let site = try Site(net)
        let get = { (path: String) in "GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n" }
        let heard = say(get("/trailers") + "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi" + get("/large/0") + get("/trailers"), to: site.address, in: net)
        net.run(2)
        let trailed = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nx-checksum: 1\r\n\r\n"
        let echoed = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
        #expect(heard.text == trailed + echoed + "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n" + trailed)
        #expect(!heard.isFinished && site.server.connectionCount == 1)
    }

    @Test(arguments: ["GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"])
    func `a tunnel carries bytes from both sides at once, those sent early too`(_ request: String) throws {
        let net = Net()
        let switching = Switching()
        let address = SocketAddress(Net.serverIP, 8081)
        let server = try net.asServer { try HTTPServer(batch: net.batch(net.server), address: address, handler: switching) }
        let heard = say(request + "early ", to: address, in: net)
        net.run(2)
        #expect(heard.text.hasPrefix("HTTP/1.1 \(request.hasPrefix("GET") ? "101" : "200")"))
        #expect(heard.text.hasSuffix("\r\n\r\nhello early "), "\(heard.text.debugDescription)")
        net.asClient { (net.kept.last as? any Connection)?.send("late") }
        net.run(2)
        #expect(heard.text.hasSuffix("hello early late"))
        #expect(server.connectionCount == 1)
    }

    @Test func `a client does not keep a connection whose server said close`() throws {
        let net = Net()
        let address = SocketAddress(Net.serverIP, 8082)
        var listeners: [AnyObject] = []
        try net.asServer {
            listeners.append(
                try net.server.network.listen(
                    on: address, options: ListenOptions(),
                    handler: Accepting { connection in
                        let listener = Listener()
                        listener.onReceived = { connection, _ in connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi") }
                        connection.handler = listener
                        net.kept.append(listener)
                    }))
        }
        let client = net.asClient { HTTPClient(version: .http11, connector: TCPConnector(host: net.client, address: address), batch: net.batch(net.client)) }
        for _ in 0..<3 {
            let exchange = Exchange()
            try net.asClient { exchange.stream = try client.send(RequestHead(method: .get, authority: "a", path: "/"), endStream: true, handler: exchange) }
            net.wait { exchange.isOver }
            #expect(exchange.text == "hi" && exchange.failure == nil)
            net.run(1)
            #expect(client.connectionCount == 0)
        }
    }
}
