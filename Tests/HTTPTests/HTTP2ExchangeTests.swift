// Requests and responses over a pair of engines: heads, bodies, trailers, informational heads, tunnels.

import Base
import Testing

@testable import HTTP

@Suite struct HTTP2ExchangeTests {
    @Test func `a request and its response cross`() throws {
        var pair = HTTP2Pair()
        let stream = try pair.request(.get, "/hello?x=1", headers: ["accept": "*/*", "user-agent": "weft/1"])
        pair.drive()
        let head = try #require(pair.server.requests.first?.head)
        #expect(head.method == .get)
        #expect(head.scheme == .http)
        #expect(head.authority == "example.com")
        #expect(head.path == "/hello?x=1")
        #expect(head.version == .http2)
        #expect(head.headers == ["accept": "*/*", "user-agent": "weft/1"])
        try pair.respond(stream, headers: ["content-type": "text/plain"], end: false)
        try pair.server.send("hello, ", on: stream)
        try pair.server.send("world", on: stream, end: true)
        pair.drive()
        #expect(pair.client.log == ["response 1 200", "data 1 hello, ", "data 1 world end"])
        #expect(pair.client.responses[0].head.headers == ["content-type": "text/plain"])
        #expect(pair.client.engine.streamCount == 0)
        #expect(pair.server.engine.streamCount == 0)
    }

    @Test func `a body and trailers go both ways`() throws {
        var pair = HTTP2Pair()
        let stream = try pair.request(.post, "/echo", headers: ["te": "trailers"], end: false)
        try pair.client.send("ping", on: stream)
        try pair.client.engine.sendTrailers(stream, ["x-sum": "4"])
        pair.drive()
        #expect(pair.server.log == ["request 1 POST /echo", "data 1 ping", "trailers 1 x-sum=4"])
        try pair.respond(stream, end: false)
        try pair.server.send("pong", on: stream)
        try pair.server.engine.sendTrailers(stream, ["grpc-status": "0", "grpc-message": ""])
        pair.drive()
        #expect(pair.client.log == ["response 1 200", "data 1 pong", "trailers 1 grpc-status=0,grpc-message="])
        #expect(pair.client.engine.streamCount == 0)
    }

    @Test func `many requests share the connection and the table`() throws {
        var pair = HTTP2Pair()
        var before = 0
        for i in 0..<50 {
            let stream = try pair.request(.get, "/", headers: ["user-agent": "a rather long name of a client/1.0", "x-tenant": "blue"])
            before = pair.clientBytes
            pair.drive()
            try pair.respond(stream, headers: ["content-type": "application/json"])
            pair.drive()
            if i > 2 { #expect(pair.clientBytes - before <= 9 + 8) }
        }
        #expect(pair.server.requests.count == 50)
        #expect(pair.client.responses.count == 50)
        #expect(pair.server.requests[49].head == pair.server.requests[0].head)
        #expect(pair.client.responses[49].head == pair.client.responses[0].head)
    }

    @Test func `informational heads precede the final one`() throws {
        var pair = HTTP2Pair()
        let stream = try pair.request(.post, headers: ["expect": "100-continue"], end: false)
        pair.drive()
        try pair.respond(stream, 100, end: false)
        try pair.respond(stream, 103, headers: ["link": "</a.css>"], end: false)
        try pair.respond(stream, 404)
        pair.drive()
        #expect(pair.client.log == ["response 1 100", "response 1 103", "response 1 404 end"])
        #expect(throws: Refusal.self) { try pair.respond(stream, 200) }
    }

    @Test func `a large body passes through small windows`() throws {
        var pair = HTTP2Pair(windowBytes: 1000)
        let text = String(repeating: "0123456789", count: 20_000)
        let stream = try pair.request(.post, "/upload", end: false)
        try pair.client.send(text, on: stream, end: true)
        pair.drive()
        #expect(pair.server.body(stream) == text)
        #expect(pair.server.ended == [1])
        #expect(pair.client.engine.bytesQueued(stream) == 0)
    }

    @Test func `a long head is split and put together again`() throws {
        var pair = HTTP2Pair()
        var headers = Headers()
        for i in 0..<300 { headers.add("x-field-\(i)", String(repeating: "\(i),", count: 30)) }
        _ = try pair.request(.get, "/", headers: headers)
        pair.drive()
        #expect(pair.server.requests.first?.head.headers == headers)
    }

    @Test func `fields of HTTP1 are left out and names are lowered`() throws {
        var pair = HTTP2Pair()
        _ = try pair.request(
            .get, "/",
            headers: [
                "Host": "other.example", "Connection": "keep-alive, X-Hop", "Keep-Alive": "5", "X-Hop": "1", "x-hop": "2", "Transfer-Encoding": "chunked", "Upgrade": "h2c",
                "HTTP2-Settings": "AAMAAABk", "Proxy-Connection": "close", "TE": "gzip;q=0.5, trailers", "X-Stays": "Yes", "Accept": "text/html",
            ])
        pair.drive()
        #expect(pair.server.requests.first?.head.headers.list.map { "\($0.name): \($0.value)" } == ["te: trailers", "x-stays: Yes", "accept: text/html"])
    }

    @Test func `an extended CONNECT is a tunnel`() throws {
        var settings = HTTP2Settings()
        settings.allowsExtendedConnect = true
        var pair = HTTP2Pair(server: settings)
        var head = RequestHead(method: .connect, scheme: .https, authority: "example.com", path: "/chat")
        head.tunnelProtocol = "websocket"
        #expect(throws: Refusal.self) { try pair.client.engine.sendRequest(head, endStream: false) }
        pair.drive()
        let stream = try pair.client.engine.sendRequest(head, endStream: false)
        pair.drive()
        #expect(pair.server.requests.first?.head.tunnelProtocol == "websocket")
        #expect(pair.server.requests.first?.head.path == "/chat")
        #expect(pair.server.requests.first?.head.scheme == .https)
        try pair.respond(stream, end: false)
        try pair.client.send("frame", on: stream)
        pair.drive()
        #expect(pair.server.body(stream) == "frame")
    }

    @Test func `a plain CONNECT has only an authority`() throws {
        var pair = HTTP2Pair()
        let stream = try pair.client.engine.sendRequest(RequestHead(method: .connect, authority: "db:5432", path: ""), endStream: false)
        pair.drive()
        #expect(pair.server.log == ["request 1 CONNECT "])
        #expect(pair.server.requests[0].head.authority == "db:5432")
        try pair.respond(stream, end: false)
        try pair.server.send("banner", on: stream)
        pair.drive()
        #expect(pair.client.body(stream) == "banner")
    }

    @Test func `cookie crumbs are joined`() {
        let server = HTTP2End(HTTP2Connection(server: HTTP2Settings()))
        server.receive(Wire.preface + Wire.settings() + Wire.headers(1, Wire.get + [("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), ("cookie", "c=3")]))
        #expect(server.requests.first?.head.headers == ["cookie": "a=1; b=2; c=3", "x": "y"])
    }

    @Test func `Host stands in for a missing authority and agrees with a present one`() {
        let server = HTTP2End(HTTP2Connection(server: HTTP2Settings()))
        server.receive(
            Wire.preface + Wire.settings() + Wire.headers(1, Wire.get.dropLast() + [("host", "a.example:80")]) + Wire.headers(3, Wire.get + [("host", "Example.com")])
                + Wire.headers(5, Wire.get + [("host", "evil.example")]))
        #expect(server.requests.map(\.head.authority) == ["a.example:80", "example.com"])
        #expect(server.requests.allSatisfy { $0.head.headers.isEmpty })
        #expect(server.resets[5]?.code == HTTP2ErrorCode.protocolError)
    }

    @Test func `the response to HEAD may promise a body that never comes`() throws {
        var pair = HTTP2Pair()
        let stream = try pair.request(.head)
        pair.drive()
        try pair.respond(stream, headers: ["content-length": "5000"])
        pair.drive()
        #expect(pair.client.log == ["response 1 200 end"])
    }
}
