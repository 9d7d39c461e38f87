// Exchanges as both sides see them: what is reported, what is written, and when a connection may be used again.

import Base
import Testing

@testable import HTTP

/// A server engine that has heard `text` up to the head of its last request.
private func server(hearing text: String) throws -> (engine: HTTP1Connection, stream: HTTPStreamID, head: RequestHead) {
    let engine = HTTP1Connection(role: .server)
    engine.receive(text)
    guard case .request(let stream, let head, _)? = engine.nextEvent() else { throw Refusal("no request in \(text)") }
    return (engine, stream, head)
}

private func client(asking method: HTTPMethod = .get, _ headers: Headers = [:]) throws -> (engine: HTTP1Connection, stream: HTTPStreamID) {
    let engine = HTTP1Connection(role: .client)
    let stream = try engine.sendRequest(RequestHead(method: method, authority: "a:1", path: method == .connect ? "" : "/", headers: headers), endStream: true)
    _ = engine.takeOutput()
    return (engine, stream)
}

private func log(_ engine: HTTP1Connection) -> HTTP1Log {
    var log = HTTP1Log()
    while let event = engine.nextEvent() { log.note(event, of: engine) }
    log.finish()
    return log
}

/// What a server writes for this answer to this request.
private func written(_ request: String, _ status: UInt16, _ headers: Headers, body: String? = nil) throws -> (text: String, isReusable: Bool) {
    let (engine, stream, _) = try server(hearing: request)
    try engine.sendResponse(stream, ResponseHead(status: status, headers: headers), endStream: body == nil)
    if let body { try engine.send(stream, body, endStream: true) }
    return (engine.takeOutput(), engine.isReusable)
}

private let get11 = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
private let head11 = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
private let get10 = "GET / HTTP/1.0\r\n\r\n"
private let keep10 = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"

@Suite struct `HTTP/1 exchanges` {
    @Test func `a small request and its answer pass through a pair of proxying engines`() throws {
        let server = HTTP1Connection(role: .server)
        let client = HTTP1Connection(role: .client)
        server.receive("GET /a?b=c HTTP/1.1\r\nHost: web:80\r\nUser-Agent: x\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nAccept: */*\r\n\r\n")
        guard case .request(let asked, let head, true)? = server.nextEvent() else {
            Issue.record("no request")
            return
        }
        #expect(server.isQuiet)
        #expect(head.authority == "web:80")
        #expect(head.path == "/a?b=c")
        let stream = try client.sendRequest(head, endStream: true)
        #expect(client.takeOutput() == "GET /a?b=c HTTP/1.1\r\nhost: web:80\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n")
        client.receive("HTTP/1.1 200 OK\r\nServer: y\r\nContent-Length: 5\r\n\r\nhello")
        guard case .response(stream, let answer, false)? = client.nextEvent() else {
            Issue.record("no response")
            return
        }
        try server.sendResponse(asked, answer, endStream: false)
        guard case .data(stream, 5, true)? = client.nextEvent() else {
            Issue.record("no body")
            return
        }
        try client.withData { bytes throws(Refusal) in try server.sendData(asked, bytes, endStream: true) }
        #expect(client.isReusable)
        #expect(client.isQuiet)
        #expect(server.takeOutput() == "HTTP/1.1 200 OK\r\nServer: y\r\nContent-Length: 5\r\n\r\nhello")
        #expect(server.isReusable)
        #expect(client.isReusable)
    }

    @Test func `requests of every kind are reported the same however they are cut`() {
        let text =
            "POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 005\r\nExpect: 100-continue\r\n\r\nhello"
            + "PUT /chunks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nTrailer: X\r\n\r\n5\r\nhello\r\n00006;a=\"b;\\\"\";c\r\n world\r\n000\r\nX: y\r\nConnection: no\r\n\r\n"
            + "\r\nDELETE /empty HTTP/1.1\r\nHost: [::1]:80\r\nTE: trailers, gzip\r\nConnection: TE, close\r\n\r\nGET /never HTTP/1.1\r\nHost: a\r\n\r\n"
        let log = inEverySplit(Array(text.utf8)) { serve($0) }
        #expect(
            log.lines == [
                "request 1 POST a /up HTTP/1.1", "  Content-Length: 5", "  Expect: 100-continue", "data hello end",
                "request 2 PUT a /chunks HTTP/1.1", "  Trailer: X", "data hello world", "trailers", "  X: y",
                "request 3 DELETE [::1]:80 /empty HTTP/1.1 end", "  te: trailers",
            ])
    }

    @Test func `responses of every framing are reported the same however they are cut`() {
        let cases: [(String, [String])] = [
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
                ["response 1 100 Continue HTTP/1.1", "response 1 103 Early Hints HTTP/1.1", "  Link: </a>", "response 1 200 OK HTTP/1.1", "  Content-Length: 2", "data hi end"]
            ),
            ("HTTP/1.1 204\r\nContent-Length: 9\r\n\r\n", ["response 1 204  HTTP/1.1 end"]),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", ["response 1 304 Not Modified HTTP/1.1 end", "  Content-Length: 9"]),
            ("HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", ["response 1 200  HTTP/1.1", "data hi end"]),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n", ["response 1 200 OK HTTP/1.1", "trailers", "  A: b"]),
            ("HTTP/1.1 200 A\tB\r\nContent-Length: 0\r\nUpgrade: h3\r\nConnection: upgrade\r\n\r\n", ["response 1 200 A\tB HTTP/1.1 end", "  Content-Length: 0", "  Upgrade: h3"]),
            ("HTTP/1.0 599 \u{e4}\r\nX:\r\n\r\nto the end\r\n", ["response 1 599 \u{fffd} HTTP/1.0", "  X: ", "data to the end\r\n end"]),
            ("HTTP/1.1 200 OK\r\n\r\n", ["response 1 200 OK HTTP/1.1", "data  end"]),
        ]
        for (text, lines) in cases {
            let log = inEverySplit(text.latin1) { ask(plainRequest, $0) }
            #expect(log.lines == lines)
        }
    }

    @Test func `a whole small message is two events`() throws {
        for text in ["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"] {
            let (engine, stream, _) = try server(hearing: text)
            guard case .data(stream, 2, true)? = engine.nextEvent() else {
                Issue.record("no complete body")
                continue
            }
            #expect(engine.withData { String(decoding: $0.array(), as: UTF8.self) } == "hi")
            #expect(engine.isQuiet)
        }
    }

    @Test func `a pipelined request waits for the response before it`() throws {
        let (engine, first, _) = try server(hearing: "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET bad")
        #expect(engine.isQuiet)
        try engine.sendResponse(first, ResponseHead(status: 200, headers: ["content-length": "2"]), endStream: false)
        #expect(engine.isQuiet)
        try engine.send(first, "ok", endStream: true)
        guard case .request(let second, let head, true)? = engine.nextEvent() else {
            Issue.record("no second request")
            return
        }
        #expect(second.rawValue == first.rawValue + 1)
        #expect(head.path == "/2")
        #expect(throws: Refusal.self) { try engine.send(first, "x", endStream: true) }
        #expect(throws: Refusal.self) { try engine.sendResponse(first, ResponseHead(status: 200), endStream: true) }
    }

    @Test func `more pipelined bytes than the bound pause reading`() throws {
        var limits = HTTPLimits()
        limits.pipelineBytesMax = 100
        let engine = HTTP1Connection(role: .server, limits: limits)
        engine.receive(get11)
        guard case .request(let stream, _, true)? = engine.nextEvent() else {
            Issue.record("no request")
            return
        }
        engine.receive(get11 + get11 + get11)
        #expect(!engine.wantsReadPause)
        engine.receive(get11)
        #expect(engine.wantsReadPause)
        try engine.sendResponse(stream, ResponseHead(status: 204), endStream: true)
        #expect(!engine.isQuiet)
        #expect(!engine.wantsReadPause)
    }

    @Test func `fields of the connection end here`() throws {
        let (_, _, head) = try server(
            hearing: "GET / HTTP/1.1\r\nA: 1\r\nConnection: keep-alive\r\nKeep-Alive: 5\r\nconnection:\tx-one , X-Two,,content-length\r\nX-ONE: 1\r\nx-two: 2\r\n"
                + "Proxy-Connection: close\r\nHTTP2-Settings: AAA\r\nUpgrade: websocket\r\nHost: a\r\nContent-Length: 0\r\nTE: gzip\r\nB: 2\r\n\r\n")
        #expect(head.headers == ["A": "1", "Content-Length": "0", "B": "2"])
    }

    @Test func `an upgrade is kept only if Connection names it and it is not to HTTP/2`() throws {
        let cases: [(String, Bool)] = [
            ("Connection: upgrade\r\nUpgrade: websocket\r\n", true), ("Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n", true), ("Upgrade: websocket\r\n", false),
            ("Connection: upgrade\r\nUpgrade: h2c\r\n", false), ("Connection: upgrade, http2-settings\r\nUpgrade: x, H2C\r\nHTTP2-Settings: A\r\n", false),
            ("Connection: upgrade\r\nUpgrade: x\r\nUpgrade: h2c\r\n", false),
        ]
        for (fields, isKept) in cases {
            let (_, _, head) = try server(hearing: "GET / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n")
            #expect(head.headers.contains("upgrade") == isKept, "\(fields.debugDescription)")
            #expect(!head.headers.contains("http2-settings"))
            let engine = HTTP1Connection(role: .client)
            _ = try engine.sendRequest(head, endStream: true)
            #expect(engine.takeOutput().contains("connection: upgrade\r\n") == isKept)
        }
        let (_, _, head) = try server(hearing: "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        #expect(head.headers.isEmpty)
    }

    @Test func `trailers are accepted onward`() throws {
        let (_, _, head) = try server(hearing: "GET / HTTP/1.1\r\nHost: a\r\nConnection: te\r\nTE: trailers\r\n\r\n")
        #expect(head.headers == ["TE": "trailers"])
        let engine = HTTP1Connection(role: .client)
        _ = try engine.sendRequest(head, endStream: true)
        #expect(engine.takeOutput() == "GET / HTTP/1.1\r\nhost: a\r\nTE: trailers\r\nconnection: te\r\n\r\n")
    }

    @Test func `a 101 makes a tunnel on both sides`() throws {
        let upgrade = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        let (server, asked, head) = try server(hearing: upgrade + "early")
        let client = HTTP1Connection(role: .client)
        let stream = try client.sendRequest(head, endStream: true)
        #expect(client.takeOutput() == "GET /chat HTTP/1.1\r\nhost: a\r\nUpgrade: websocket\r\nconnection: upgrade\r\n\r\n")
        client.receive("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nContent-Length: 3\r\n\r\nfirst")
        guard case .response(stream, let answer, false)? = client.nextEvent(), case .upgraded(stream)? = client.nextEvent() else {
            Issue.record("no tunnel")
            return
        }
        #expect(client.takeTunnelBytes() == Array("first".utf8))
        #expect(client.takeTunnelBytes() == [])
        #expect(answer.headers == ["upgrade": "websocket"])
        #expect(server.isQuiet)
        try server.sendResponse(asked, answer, endStream: false)
        #expect(server.takeOutput() == "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
        guard case .upgraded(asked)? = server.nextEvent() else {
            Issue.record("no tunnel")
            return
        }
        #expect(server.takeTunnelBytes() == Array("early".utf8))
        #expect(server.isQuiet)
        #expect(server.isTunnel && client.isTunnel)
        #expect(!server.isReusable && !client.isReusable)
        try server.send(asked, "raw", endStream: false)
        #expect(server.takeOutput() == "raw")
    }

    @Test func `a 101 that was not asked for, or before the request is complete, is refused`() throws {
        let (plain, asked, _) = try server(hearing: get11)
        #expect(throws: Refusal.self) { try plain.sendResponse(asked, ResponseHead(status: 101), endStream: false) }
        let (engine, stream, _) = try server(hearing: "POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 1\r\n\r\n")
        #expect(throws: Refusal.self) { try engine.sendResponse(stream, ResponseHead(status: 101), endStream: false) }
    }

    @Test func `an accepted CONNECT makes a tunnel, a refused one ends the connection`() throws {
        let connect = "CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\n"
        let (server, asked, head) = try server(hearing: connect + "SELECT")
        #expect(head.authority == "db:5432")
        #expect(head.path.isEmpty)
        let client = HTTP1Connection(role: .client)
        let stream = try client.sendRequest(head, endStream: true)
        #expect(client.takeOutput() == "CONNECT db:5432 HTTP/1.1\r\nhost: db:5432\r\n\r\n")
        client.receive("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nrows")
        guard case .response(stream, let answer, false)? = client.nextEvent(), case .upgraded(stream)? = client.nextEvent() else {
            Issue.record("no tunnel")
            return
        }
        #expect(client.takeTunnelBytes() == Array("rows".utf8))
        try server.sendResponse(asked, answer, endStream: false)
        #expect(server.takeOutput() == "HTTP/1.1 200 OK\r\n\r\n")
        guard case .upgraded(asked)? = server.nextEvent() else {
            Issue.record("no tunnel")
            return
        }
        #expect(server.takeTunnelBytes() == Array("SELECT".utf8))

        #expect(try written(connect + "SELECT", 403, ["content-length": "0"]) == ("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", false))
        #expect(try written(connect, 407, ["content-length": "0"]) == ("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", false))
    }

    @Test func `the framing of a response follows from head, request and version`() throws {
        let date: Headers = ["Date": "now"]
        #expect(try written(get11, 200, date) == ("HTTP/1.1 200 OK\r\nDate: now\r\ncontent-length: 0\r\n\r\n", true))
        #expect(try written(get11, 200, date, body: "hi") == ("HTTP/1.1 200 OK\r\nDate: now\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", true))
        #expect(try written(get11, 200, ["content-length": "2"], body: "hi") == ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", true))
        #expect(try written(get11, 200, ["connection": "close", "transfer-encoding": "chunked", "keep-alive": "1"]) == ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", false))
        #expect(try written(head11, 200, ["content-length": "2"]) == ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", true))
        #expect(try written(head11, 200, ["content-length": "2"], body: "hi") == ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", true))
        #expect(try written(head11, 200, date, body: "") == ("HTTP/1.1 200 OK\r\nDate: now\r\n\r\n", true))
        #expect(try written(get11, 204, ["content-length": "2"]) == ("HTTP/1.1 204 No Content\r\n\r\n", true))
        #expect(try written(get11, 304, ["content-length": "2"]) == ("HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\n", true))
        #expect(try written(get10, 200, date) == ("HTTP/1.1 200 OK\r\nDate: now\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", false))
        #expect(try written(get10, 200, date, body: "hi") == ("HTTP/1.1 200 OK\r\nDate: now\r\nconnection: close\r\n\r\nhi", false))
        #expect(try written(keep10, 200, date, body: "hi") == ("HTTP/1.1 200 OK\r\nDate: now\r\nconnection: close\r\n\r\nhi", false))
        #expect(try written(keep10, 200, ["content-length": "2"], body: "hi") == ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nhi", true))
        #expect(try written("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200, [:]) == ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", false))
        #expect(try written(get11, 999, [:]) == ("HTTP/1.1 999 \r\ncontent-length: 0\r\n\r\n", true))
        #expect(try written(get11, 200, ["host": "x", "http2-settings": "x", "proxy-connection": "x"]) == ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", true))
    }

    @Test func `the framing of a request follows from head and method`() throws {
        func written(_ method: HTTPMethod, _ headers: Headers, body: String? = nil, authority: HTTPText = "a", path: HTTPText = "/", isAbsolute: Bool = false) throws -> String {
            let engine = HTTP1Connection(role: .client)
            var head = RequestHead(method: method, scheme: .https, authority: authority, path: path, headers: headers)
            head.isAbsoluteForm = isAbsolute
            let stream = try engine.sendRequest(head, endStream: body == nil)
            if let body { try engine.send(stream, body, endStream: true) }
            return engine.takeOutput()
        }
        #expect(try written(.get, [:]) == "GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        #expect(try written(.post, [:]) == "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n")
        #expect(try written(.post, [:], body: "hi") == "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")
        #expect(try written(.get, [:], body: "") == "GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")
        #expect(try written(.put, ["Content-Length": "2"], body: "hi") == "PUT / HTTP/1.1\r\nhost: a\r\nContent-Length: 2\r\n\r\nhi")
        #expect(try written(.get, ["host": "evil", "connection": "x", "keep-alive": "1"]) == "GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        #expect(try written(.get, ["connection": "close"]) == "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        #expect(try written(.get, [:], path: "/b?c", isAbsolute: true) == "GET https://a/b?c HTTP/1.1\r\nhost: a\r\n\r\n")
        #expect(try written(.options, [:], path: "*", isAbsolute: true) == "OPTIONS https://a HTTP/1.1\r\nhost: a\r\n\r\n")
        #expect(try written(.options, [:], path: "*") == "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n")
        #expect(try written(.get, [:], path: "?c") == "GET /?c HTTP/1.1\r\nhost: a\r\n\r\n")
        #expect(try written(.get, [:], authority: "", path: "") == "GET / HTTP/1.1\r\nhost: \r\n\r\n")
        #expect(try written(.other("PROPFIND"), [:]) == "PROPFIND / HTTP/1.1\r\nhost: a\r\n\r\n")
        #expect(try written(.post, ["content-length": "0"]) == "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n")
    }

    @Test func `what would break out of its line is refused, and nothing of it is written`() throws {
        let heads: [RequestHead] = [
            RequestHead(method: .get, authority: "a\r\nX: 1", path: "/"), RequestHead(method: .get, authority: "a b", path: "/"), RequestHead(method: .get, authority: "a", path: "/ HTTP/1.1\r\n"),
            RequestHead(method: .get, authority: "a", path: "b"), RequestHead(method: .get, authority: "a", path: "*"), RequestHead(method: .other("A B"), authority: "a", path: "/"),
            RequestHead(method: .other(""), authority: "a", path: "/"), RequestHead(method: .get, authority: "a", path: "/", headers: ["X": "a\r\nY: b"]),
            RequestHead(method: .get, authority: "a", path: "/", headers: ["X": "a\0"]), RequestHead(method: .get, authority: "a", path: "/", headers: ["X Y": "a"]),
            RequestHead(method: .get, authority: "a", path: "/", headers: ["": "a"]), RequestHead(method: .get, authority: "a", path: "/", headers: ["content-length": "1"]),
            RequestHead(method: .get, authority: "a", path: "/", headers: ["content-length": "0", "Content-Length": "0"]),
            RequestHead(method: .get, authority: "a", path: "/", headers: ["content-length": "x"]),
        ]
        for head in heads {
            let engine = HTTP1Connection(role: .client)
            #expect(throws: Refusal.self, "\(head)") { try engine.sendRequest(head, endStream: true) }
            #expect(engine.takeOutput() == "")
            #expect(engine.isReusable)
        }
        let (engine, stream, _) = try server(hearing: get11)
        #expect(throws: Refusal.self) { try engine.sendResponse(stream, ResponseHead(status: 200, reason: "a\r\nb"), endStream: true) }
        #expect(throws: Refusal.self) { try engine.sendResponse(stream, ResponseHead(status: 99), endStream: true) }
        #expect(throws: Refusal.self) { try engine.sendResponse(stream, ResponseHead(status: 1000), endStream: true) }
        #expect(throws: Refusal.self) { try engine.sendResponse(stream, ResponseHead(status: 200, headers: ["content-length": "1"]), endStream: true) }
        #expect(engine.takeOutput() == "")
        try engine.sendResponse(stream, ResponseHead(status: 200), endStream: true)
    }

    @Test func `a body that differs from its length is refused and ends the connection's use`() throws {
        for (body, ends) in [("abc", false), ("a", true)] {
            let (engine, stream, _) = try server(hearing: get11)
            try engine.sendResponse(stream, ResponseHead(status: 200, headers: ["content-length": "2"]), endStream: false)
            _ = engine.takeOutput()
            #expect(throws: Refusal.self) { try engine.send(stream, body, endStream: ends) }
            #expect(engine.takeOutput() == "")
            #expect(!engine.isReusable)
            #expect(throws: Refusal.self) { try engine.send(stream, "ab", endStream: true) }
        }
    }

    @Test func `large bodies leave in chunks of their size, empty pieces leave nothing`() throws {
        let (engine, stream, _) = try server(hearing: get11)
        try engine.sendResponse(stream, ResponseHead(status: 200), endStream: false)
        _ = engine.takeOutput()
        try engine.send(stream, "", endStream: false)
        #expect(engine.takeOutput() == "")
        try engine.send(stream, String(repeating: "x", count: 0x1a2b3), endStream: false)
        let text = engine.takeOutput()
        #expect(text.hasPrefix("1a2b3\r\nxxx"))
        #expect(text.hasSuffix("xxx\r\n"))
        #expect(text.utf8.count == 7 + 0x1a2b3 + 2)
        try engine.sendTrailers(stream, ["grpc-status": "0", "content-length": "1", "transfer-encoding": "x", "connection": "y"])
        #expect(engine.takeOutput() == "0\r\ngrpc-status: 0\r\n\r\n")
        #expect(engine.isReusable)
    }

    @Test func `trailers behind a counted body are dropped, but the body must be whole`() throws {
        let (engine, stream, _) = try server(hearing: get11)
        try engine.sendResponse(stream, ResponseHead(status: 200, headers: ["content-length": "2"]), endStream: false)
        try engine.send(stream, "ab", endStream: false)
        try engine.sendTrailers(stream, ["a": "b"])
        #expect(engine.takeOutput().hasSuffix("\r\n\r\nab"))
        #expect(engine.isReusable)
    }

    @Test func `a 1.0 peer gets no informational response`() throws {
        let (engine, stream, _) = try server(hearing: keep10)
        try engine.sendResponse(stream, ResponseHead(status: 103), endStream: false)
        #expect(engine.takeOutput() == "")
        let (modern, asked, _) = try server(hearing: get11)
        try modern.sendResponse(asked, ResponseHead(status: 103, headers: ["link": "x", "content-length": "1"]), endStream: false)
        #expect(modern.takeOutput() == "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n")
        #expect(throws: Refusal.self) { try modern.sendResponse(asked, ResponseHead(status: 103), endStream: true) }
        try modern.sendResponse(asked, ResponseHead(status: 200), endStream: true)
    }

    @Test func `an answer instead of 100 ends the connection, since the body may or may not come`() throws {
        let text = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        let refused = try written(text, 417, [:])
        #expect(refused == ("HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", false))
        let (engine, stream, head) = try server(hearing: text)
        #expect(head.headers.contains("expect"))
        try engine.sendResponse(stream, ResponseHead(status: 100), endStream: false)
        engine.receive("hi")
        #expect(log(engine).lines == ["data hi end"])
        try engine.sendResponse(stream, ResponseHead(status: 200), endStream: true)
        #expect(engine.takeOutput() == "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        #expect(engine.isReusable)
    }

    @Test func `an early answer leaves the rest of the request to be read`() throws {
        let (engine, stream, _) = try server(hearing: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab")
        try engine.sendResponse(stream, ResponseHead(status: 200), endStream: true)
        #expect(log(engine).lines == ["data ab"])
        engine.receive("cd" + get11)
        #expect(log(engine).lines == ["data cd end", "request 2 GET a / HTTP/1.1 end"])
    }

    @Test func `shutdown says close with the message that is or will be under way`() throws {
        let (engine, stream, _) = try server(hearing: get11)
        engine.shutdown()
        try engine.sendResponse(stream, ResponseHead(status: 200), endStream: true)
        #expect(engine.takeOutput() == "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        #expect(!engine.isReusable)
        engine.receive(get11)
        #expect(engine.isQuiet)

        let idle = HTTP1Connection(role: .server)
        idle.shutdown()
        idle.receive(get11)
        guard case .request(let last, _, true)? = idle.nextEvent() else {
            Issue.record("no request")
            return
        }
        try idle.sendResponse(last, ResponseHead(status: 204), endStream: true)
        #expect(idle.takeOutput() == "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        let asking = HTTP1Connection(role: .client)
        asking.shutdown()
        #expect(!asking.isReusable)
    }

    @Test func `whether a client may ask again follows from the answer`() throws {
        let cases: [(HTTPMethod, String, Bool)] = [
            (.get, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true), (.get, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", false),
            (.get, "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false), (.get, "HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\r\n", true),
            (.get, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive, close\r\n\r\n", false), (.get, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nx", false),
            (.get, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", false), (.get, "HTTP/1.1 200 OK\r\n\r\n", false), (.head, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", true),
            (.head, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true), (.get, "HTTP/1.1 100 Continue\r\n\r\n", false), (.connect, "HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n", true),
            (.get, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nProxy-Connection: close\r\n\r\n", true),
        ]
        for (method, text, isReusable) in cases {
            let (engine, _) = try client(asking: method)
            engine.receive(text)
            _ = engine.nextEvent()
            #expect(engine.isReusable == isReusable, "\(method) \(text.debugDescription)")
        }
        let (engine, _) = try client()
        engine.receive("HTTP/1.1 204 No Content\r\n\r\n")
        _ = engine.nextEvent()
        engine.receiveEnd(now: .zero)
        #expect(!engine.isReusable)
    }

    @Test func `a connection that ends before any byte of the answer is no broken rule`() throws {
        let (engine, _) = try client()
        engine.receiveEnd(now: .zero)
        #expect(engine.isQuiet)
        #expect(!engine.isReusable)
    }

    @Test func `one exchange at a time, and only on its side`() throws {
        let (engine, stream) = try client()
        #expect(throws: Refusal.self) { try engine.sendRequest(plainRequest, endStream: true) }
        #expect(throws: Refusal.self) { try engine.sendResponse(stream, ResponseHead(status: 200), endStream: true) }
        #expect(throws: Refusal.self) { try engine.send(stream, "x", endStream: false) }
        let serving = HTTP1Connection(role: .server)
        #expect(throws: Refusal.self) { try serving.sendRequest(plainRequest, endStream: true) }
        #expect(throws: Refusal.self) { try serving.sendResponse(HTTPStreamID(rawValue: 0), ResponseHead(status: 200), endStream: true) }
        var extended = RequestHead(method: .connect, authority: "a:1", path: "/")
        extended.tunnelProtocol = "websocket"
        #expect(throws: Refusal.self) { try HTTP1Connection(role: .client).sendRequest(extended, endStream: false) }
    }

    @Test func `fields that a proxy adds stand behind those that came, and removed ones are gone`() throws {
        var (_, _, head) = try server(hearing: "GET / HTTP/1.1\r\nA: 1\r\nl5d-x: 2\r\nB:  3\t\r\nHost: a\r\nC: 4\r\n\r\n")
        head.headers.removeAll(prefix: "l5d-")
        head.headers.add("l5d-dst", "b")
        head.headers.set("B", "5")
        let engine = HTTP1Connection(role: .client)
        _ = try engine.sendRequest(head, endStream: true)
        #expect(engine.takeOutput() == "GET / HTTP/1.1\r\nhost: a\r\nA: 1\r\nC: 4\r\nl5d-dst: b\r\nB: 5\r\n\r\n")
    }

    @Test func `a head that is kept does not change when the next one is read into the memory of the last`() throws {
        let (engine, first, kept) = try server(hearing: "GET /1 HTTP/1.1\r\nHost: a\r\nX: 1\r\nY: 2\r\nZ: 3\r\n\r\n")
        try engine.sendResponse(first, ResponseHead(status: 204), endStream: true)
        var heads = [kept]
        for text in ["GET /2 HTTP/1.1\r\nHost: b\r\nU: 4\r\nV: 5\r\nW: 6\r\n\r\n", "GET /3 HTTP/1.1\r\nHost: c\r\nT: 7\r\n\r\n", "GET /4 HTTP/1.1\r\nHost: d\r\n\r\n", "GET /5 HTTP/1.1\r\nHost: e\r\nS: 8\r\nR: 9\r\n\r\n"] {
            engine.receive(text)
            guard case .request(let stream, let head, true)? = engine.nextEvent() else {
                Issue.record("no request")
                return
            }
            heads.append(head)
            try engine.sendResponse(stream, ResponseHead(status: 204), endStream: true)
        }
        #expect(heads.map(\.headers) == [["X": "1", "Y": "2", "Z": "3"], ["U": "4", "V": "5", "W": "6"], ["T": "7"], [:], ["S": "8", "R": "9"]])
        #expect(heads.map { "\($0.authority)\($0.path)" } == ["a/1", "b/2", "c/3", "d/4", "e/5"])
    }
}
