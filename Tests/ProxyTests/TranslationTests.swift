// From HTTP/2 to HTTP/1 and back, where requests are smuggled when it is done carelessly: whatever a hostile peer says in HTTP/2, and
// whatever a hostile application answers in HTTP/1, one request stays one request and one response one response. The peer speaks to the
// inbound proxy itself, as another proxy would, with frames that no engine writes.

import Base
import HTTP
import Testing

@testable import Proxy

private struct Vector: CustomTestStringConvertible {
    var name: String
    var frames: [UInt8]
    /// The stream is reset with this code; nil: it is answered.
    var reset: UInt8?
    /// What the application may hear, if it hears anything.
    var heard: [String] = []
    var testDescription: String { name }
}

private func request(_ method: String = "GET", _ path: String = "/", _ fields: [(String, String)] = [], end: Bool = true) -> [UInt8] {
    Frames.headers(1, Frames.request(method, path, [("l5d-orig-proto", "HTTP/1.1")] + fields), end: end)
}

private func pseudo(_ fields: [(String, String)]) -> [UInt8] { Frames.headers(1, fields + [("l5d-orig-proto", "HTTP/1.1")]) }

private let base = Frames.request()

private let vectors: [Vector] = [
    // Fields that belong to a connection of HTTP/1 (RFC 9113 section 8.2.2).
    Vector(name: "transfer-encoding", frames: request("POST", "/", [("transfer-encoding", "chunked")], end: false) + Frames.data(1, "0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n", end: true), reset: 1),
    Vector(name: "connection", frames: request("GET", "/", [("connection", "content-length")]), reset: 1), Vector(name: "keep-alive", frames: request("GET", "/", [("keep-alive", "5")]), reset: 1),
    Vector(name: "proxy-connection", frames: request("GET", "/", [("proxy-connection", "x")]), reset: 1), Vector(name: "upgrade", frames: request("GET", "/", [("upgrade", "h2c")]), reset: 1),
    Vector(name: "te other than trailers", frames: request("GET", "/", [("te", "gzip, trailers")]), reset: 1), Vector(name: "te: chunked", frames: request("GET", "/", [("te", "chunked")]), reset: 1),
    // Lines in lines (RFC 9113 section 8.2.1).
    Vector(name: "CR LF in a value", frames: request("GET", "/", [("x", "a\r\nGET /smuggled HTTP/1.1")]), reset: 1), Vector(name: "LF in a value", frames: request("GET", "/", [("x", "a\nb: c")]), reset: 1),
    Vector(name: "CR in a value", frames: request("GET", "/", [("x", "a\rb")]), reset: 1), Vector(name: "NUL in a value", frames: request("GET", "/", [("x", "a\u{0}b")]), reset: 1),
    Vector(name: "CR LF in a name", frames: request("GET", "/", [("x\r\ny", "1")]), reset: 1), Vector(name: "a colon in a name", frames: request("GET", "/", [("x:y", "1")]), reset: 1),
    Vector(name: "a space in a name", frames: request("GET", "/", [("x y", "1")]), reset: 1), Vector(name: "an upper-case name", frames: request("GET", "/", [("X-Upper", "1")]), reset: 1),
    Vector(name: "an empty name", frames: request("GET", "/", [("", "1")]), reset: 1), Vector(name: "white space around a value", frames: request("GET", "/", [("x", " 1 ")]), reset: 1),
    // Lines in the request line.
    Vector(name: "CR LF in :path", frames: request("GET", "/ HTTP/1.1\r\nHost: evil\r\n\r\nGET /smuggled"), reset: 1), Vector(name: "a space in :path", frames: request("GET", "/ a"), reset: 1),
    Vector(name: "a :path without a slash", frames: request("GET", "smuggled"), reset: 1), Vector(name: "an empty :path", frames: request("GET", ""), reset: 1),
    Vector(name: "an absolute :path", frames: request("GET", "http://evil/"), reset: 1), Vector(name: "an asterisk with GET", frames: request("GET", "*"), reset: 1),
    Vector(name: "a space in :method", frames: request("GET / HTTP/1.1\r\nX:"), reset: 1), Vector(name: "CR LF in :method", frames: request("GET\r\n"), reset: 1), Vector(name: "an empty :method", frames: request(""), reset: 1),
    Vector(name: "CR LF in :authority", frames: pseudo([base[0], base[1], base[2], (":authority", "a\r\nX: y")]), reset: 1),
    Vector(name: "user information in :authority", frames: pseudo([base[0], base[1], base[2], (":authority", "user@api.demo")]), reset: 1),
    Vector(name: "a path in :authority", frames: pseudo([base[0], base[1], base[2], (":authority", "api.demo/x")]), reset: 1),
    Vector(name: "two ports in :authority", frames: pseudo([base[0], base[1], base[2], (":authority", "api.demo:80:81")]), reset: 1),
    Vector(name: "a line in :scheme", frames: pseudo([base[0], (":scheme", "http://evil/ HTTP/1.1\r\nX: "), base[2], base[3]]), reset: 1),
    Vector(name: "an unknown :scheme", frames: pseudo([base[0], (":scheme", "gopher"), base[2], base[3]]), reset: 1),
    // Pseudo-headers (RFC 9113 section 8.3).
    Vector(name: ":path twice", frames: pseudo(base + [(":path", "/other")]), reset: 1), Vector(name: ":method twice", frames: pseudo(base + [(":method", "POST")]), reset: 1),
    Vector(name: ":authority twice", frames: pseudo(base + [(":authority", "evil")]), reset: 1), Vector(name: ":scheme twice", frames: pseudo(base + [(":scheme", "https")]), reset: 1),
    Vector(name: "a pseudo-header behind fields", frames: pseudo([("x", "1")] + base), reset: 1), Vector(name: "no :path", frames: pseudo([base[0], base[1], base[3]]), reset: 1),
    Vector(name: "no :method", frames: pseudo([base[1], base[2], base[3]]), reset: 1), Vector(name: ":status in a request", frames: pseudo(base + [(":status", "200")]), reset: 1),
    Vector(name: "an unknown pseudo-header", frames: pseudo(base + [(":smuggled", "1")]), reset: 1), Vector(name: ":protocol without CONNECT", frames: pseudo(base + [(":protocol", "websocket")]), reset: 1),
    // Who is meant.
    Vector(name: "host and :authority differ", frames: request("GET", "/", [("host", "evil")]), reset: 1), Vector(name: "host twice", frames: pseudo(base.dropLast() + [("host", "a"), ("host", "b")]), reset: 1),
    Vector(name: "host agrees with :authority", frames: request("GET", "/", [("host", "API.demo")]), heard: ["GET / HTTP/1.1", "host: api.demo"]),
    Vector(name: "host instead of :authority", frames: pseudo(base.dropLast() + [("host", "api.demo")]), heard: ["GET / HTTP/1.1", "host: api.demo"]),
    // How long it is (RFC 9113 section 8.1.1).
    Vector(name: "content-length twice", frames: request("POST", "/", [("content-length", "1"), ("content-length", "1")], end: false) + Frames.data(1, "x", end: true), reset: 1),
    Vector(name: "content-length is a list", frames: request("POST", "/", [("content-length", "1, 1")], end: false) + Frames.data(1, "x", end: true), reset: 1),
    Vector(name: "content-length with a sign", frames: request("POST", "/", [("content-length", "+1")], end: false) + Frames.data(1, "x", end: true), reset: 1),
    Vector(name: "content-length without a body", frames: request("POST", "/", [("content-length", "1")]), reset: 1),
    Vector(name: "more body than content-length", frames: request("POST", "/", [("content-length", "0")], end: false) + Frames.data(1, "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", end: true), reset: 1),
    Vector(name: "less body than content-length", frames: request("POST", "/", [("content-length", "50")], end: false) + Frames.data(1, "short", end: true), reset: 1, heard: ["POST / HTTP/1.1", "content-length: 50", "host: api.demo"]),
    Vector(name: "a body without content-length", frames: request("POST", "/", end: false) + Frames.data(1, "GET /smuggled HTTP/1.1\r\n\r\n", end: true), heard: ["POST / HTTP/1.1", "host: api.demo", "transfer-encoding: chunked"]),
    Vector(name: "a GET with a body", frames: request(end: false) + Frames.data(1, "GET /smuggled HTTP/1.1\r\n\r\n", end: true), heard: ["GET / HTTP/1.1", "host: api.demo", "transfer-encoding: chunked"]),
    // What comes behind.
    Vector(name: "connection fields in trailers", frames: request("POST", "/", end: false) + Frames.data(1, "x") + Frames.headers(1, [("transfer-encoding", "chunked")]), reset: 1, heard: ["POST / HTTP/1.1", "host: api.demo", "transfer-encoding: chunked"]),
    Vector(name: "a pseudo-header in trailers", frames: request("POST", "/", end: false) + Frames.data(1, "x") + Frames.headers(1, [(":path", "/smuggled")]), reset: 1, heard: ["POST / HTTP/1.1", "host: api.demo", "transfer-encoding: chunked"]),
    Vector(name: "a line in trailers", frames: request("POST", "/", end: false) + Frames.data(1, "x") + Frames.headers(1, [("x", "y\r\n\r\nGET /smuggled HTTP/1.1")]), reset: 1, heard: ["POST / HTTP/1.1", "host: api.demo", "transfer-encoding: chunked"]),
    Vector(name: "framing fields in trailers go no further", frames: request("POST", "/", end: false) + Frames.data(1, "x") + Frames.headers(1, [("content-length", "99"), ("host", "evil"), ("x-sum", "1")]), heard: ["POST / HTTP/1.1", "host: api.demo", "transfer-encoding: chunked"]),
    // HTTP/2's own.
    Vector(name: "http2-settings goes no further", frames: request("GET", "/", [("http2-settings", "AAMAAABk")]), heard: ["GET / HTTP/1.1", "host: api.demo"]),
    Vector(name: "cookie crumbs are one field", frames: request("GET", "/", [("cookie", "a=1"), ("cookie", "b=2")]), heard: ["GET / HTTP/1.1", "cookie: a=1; b=2", "host: api.demo"]),
    Vector(name: "te: trailers is for this connection, too", frames: request("GET", "/", [("te", "trailers")]), heard: ["GET / HTTP/1.1", "connection: te", "host: api.demo", "te: trailers"]),
    Vector(name: "an absolute form without an authority", frames: Frames.headers(1, base.dropLast() + [("l5d-orig-proto", "HTTP/1.1; absolute-form")]), heard: ["GET / HTTP/1.1", "connection: close", "host: "]),
    Vector(name: "an absolute form", frames: Frames.headers(1, base + [("l5d-orig-proto", "HTTP/1.1; absolute-form")]), heard: ["GET http://api.demo/ HTTP/1.1", "host: api.demo"]),
    Vector(name: "two original protocols", frames: request("GET", "/", [("l5d-orig-proto", "HTTP/1.0; absolute-form")]), heard: ["GET / HTTP/1.1", "host: api.demo"]),
    Vector(name: "a fragment in :path", frames: request("GET", "/a#b")), Vector(name: "bytes beyond ASCII in :path", frames: request("GET", "/\u{e4}")),
]

@Suite struct TranslationTests {
    @Test(arguments: vectors) fileprivate func `HTTP/2 to HTTP/1`(_ vector: Vector) throws {
        let crossing = try Crossing()
        // The second request shows that the connection is spared, or is the one that a smuggled one would have met.
        let client = crossing.sayDirectly(Frames.opening + vector.frames + Frames.headers(3, Frames.request("GET", "/second", [("l5d-orig-proto", "HTTP/1.1")])))
        crossing.run()
        let frames = Frames.read(client.heard)
        let reset = frames.first { $0.type == 3 && $0.stream == 1 }
        if let code = vector.reset {
            #expect(reset?.payload.last == code, "stream 1 is reset")
        } else {
            #expect(reset == nil || reset?.payload.last == 0)
            #expect(frames.contains { $0.type == 1 && $0.stream == 1 }, "stream 1 is answered")
        }
        #expect(frames.contains { $0.type == 1 && $0.stream == 3 } && !frames.contains { $0.type == 7 }, "the next request is served")
        // Every connection of the application heard one head at a time, and nothing of what was hidden in the first request became one.
        var heads: [[String]] = []
        for conversation in crossing.server.conversations {
            let text = String(decoding: conversation.heard, as: UTF8.self)
            for part in text.split(separator: "\r\n\r\n") {
                let lines = part.split(separator: "\r\n").map(String.init)
                if let first = lines.first, first.hasSuffix(" HTTP/1.1") { heads.append([first] + lines.dropFirst().map { $0.first == "C" ? $0.lowercased() : $0 }.sorted()) }
            }
        }
        let firsts = heads.filter { !$0[0].hasPrefix("GET /second") && !$0[0].contains("smuggled") }
        if vector.heard.isEmpty || vector.reset != nil && firsts.isEmpty { #expect(firsts.isEmpty, "\(firsts)") } else { #expect(firsts == [vector.heard]) }
        #expect(heads.count { $0[0].hasPrefix("GET /second ") } == 1)
        // Whatever said so stands inside a body: behind the size of a chunk.
        let smuggled = crossing.server.heard.contains("GET /smuggled")
        if smuggled { #expect(vector.heard.contains("transfer-encoding: chunked")) }
        if vector.name.hasPrefix("framing fields") { #expect(crossing.server.heard.contains("0\r\nx-sum: 1\r\n\r\n") && !crossing.server.heard.contains("evil")) }
        crossing.end()
    }

    /// What a hostile application says in HTTP/1 reaches a peer that speaks HTTP/2 as one response, or as a reset or a 502.
    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 1\r\nProxy-Connection: x\r\nUpgrade: h2c\r\n\r\nok", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: identity\r\n\r\nok", false), ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: a\u{1}b\r\n\r\nok", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n X: folded\r\n\r\nok", false), ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n:status: 500\r\n\r\nok", false),
        ("HTTP/1.1 099 Low\r\nContent-Length: 2\r\n\r\nok", false), ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", false),
        ("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nok", false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nContent-Length: 9\r\n\r\n", false),
    ])
    func `HTTP/1 to HTTP/2`(_ answer: String, _ isServed: Bool) throws {
        let crossing = try Crossing { $0.hasSuffix("\r\n\r\n") ? answer : nil }
        let client = crossing.sayDirectly(Frames.opening + request())
        crossing.run()
        let frames = Frames.read(client.heard)
        let text = client.text.lowercased()
        #expect(!["x-hop", "keep-alive", "proxy-connection", "upgrade", "transfer-encoding", "folded"].contains(where: text.contains))
        #expect(!frames.contains { $0.type == 7 }, "the connection is spared")
        let isWhole = frames.contains { $0.stream == 1 && $0.type == 0 && $0.payload == [UInt8]("ok".utf8) } && !frames.contains { $0.stream == 1 && $0.type == 3 }
        #expect(isWhole == isServed)
        #expect(frames.contains { $0.stream == 1 && ($0.type == 3 || $0.flags & 1 == 1) }, "the stream ends either way")
        crossing.end()
    }

    /// A hostile application that speaks HTTP/2 to a client of HTTP/1, through both proxies.
    @Test(arguments: [
        [(":status", "200"), ("connection", "close")], [(":status", "200"), ("transfer-encoding", "chunked")], [(":status", "200"), ("x", "a\r\nb: c")], [(":status", "200"), (":status", "500")],
        [(":status", "101")], [(":status", "2000")], [(":status", "abc")], [("x", "y")], [(":status", "200"), (":path", "/")], [(":status", "200"), ("content-length", "1"), ("content-length", "2")],
        [(":status", "200"), ("X-Upper", "1")],
    ])
    func `a malformed response of HTTP/2 is reset and answered with nothing`(_ fields: [(String, String)]) throws {
        let crossing = try Crossing { heard in
            guard heard.hasPrefix("PRI"), heard.utf8.count > 70 else { return nil }
            return String(decoding: Frames.settings + Frames.headers(1, fields), as: UTF8.self)
        }
        let client = crossing.sayDirectly(Frames.opening + Frames.headers(1, Frames.request()))
        crossing.run()
        let frames = Frames.read(client.heard)
        #expect(frames.contains { $0.type == 3 && $0.stream == 1 }, "\(frames.map { ($0.type, $0.stream) })")
        #expect(!frames.contains { $0.type == 1 && $0.stream == 1 })
        crossing.end()
    }
}
