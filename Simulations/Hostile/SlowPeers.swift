// Stories of peers that take their time on purpose: who asks for much and reads nothing, who sends a byte now and then, and who hides one
// request in another.

import Base
import HTTP
import Scenario

extension Stories {
    // Story: somebody asks for large answers with closed windows.
    // Promise: an answer waits with the application, not in the proxy.
    // Source: CVE-2019-9511, CVE-2019-9517.
    static let slowReaders = Story(
        "hostile/slow-readers",
        story: "Somebody asks for two hundred answers of a megabyte each at once, with windows that are closed or open by single bytes.",
        promise: "The proxy holds a bounded part of each answer, the rest waits with the application; sixty calls of others are answered as in peace.",
        source: "CVE-2019-9511, CVE-2019-9517"
    ) { stage throws(StoryFailure) in
        let large = [UInt8](repeating: UInt8(ascii: "w"), count: 1_000_000)
        let siege = try Siege(stage) { request in
            request.head.path == "/large" ? HTTPApplication.Answer(body: large) : HTTPApplication.Answer(body: Array("fine".utf8), delay: .milliseconds(2))
        }
        let asks = (0..<200).flatMap { Hostile.request(Hostile.stream($0), "GET", "/large") }
        // Two hundred streams share one window toward the application: in all, less than the proxy weighs when nothing happens (5 MB).
        try siege.withstand("closed windows", connections: 2, bytesMax: 2560 * 1024, bytesToEnd: nil) {
            Assault(opening: Hostile.opening + Hostile.settings([(4, 0)]) + asks)
        }
        try siege.withstand("windows by single bytes", connections: 2, bytesMax: 2560 * 1024, bytesToEnd: nil) {
            Assault(opening: Hostile.opening + Hostile.settings([(4, 0)]) + asks, piece: { $0 < 1000 ? Hostile.windowUpdate(Hostile.stream($0 % 200), 1) : nil }, pause: .milliseconds(1))
        }
        try siege.end()
    }

    // Story: somebody asks on and on and leaves every answer on the wire.
    // Promise: HTTP/1 is not asked for more than it can give away; HTTP/2 ends the connection.
    // Source: CVE-2019-9517.
    static let neverReading = Story(
        "hostile/never-reading",
        story: "Somebody pipelines requests on HTTP/1, and asks on HTTP/2, without ever reading an answer.",
        promise: "The next request waits until the answers before it are on their way, or the connection is ended; sixty calls of others are answered as in peace.",
        source: "CVE-2019-9517; slow-read attacks on HTTP/1"
    ) { stage throws(StoryFailure) in
        let siege = try Siege(stage) { request in
            if request.head.path == "/head" { return HTTPApplication.Answer(204, headers: [("x-long", String(repeating: "h", count: 2000))]) }
            return HTTPApplication.Answer(body: request.head.path == "/kilobytes" ? [UInt8](repeating: 0x2e, count: 10_000) : Array("fine".utf8), delay: request.head.path == "/kilobytes" ? .zero : .milliseconds(2))
        }
        let pipelined = (0..<100).flatMap { _ in [UInt8]("GET /kilobytes HTTP/1.1\r\nHost: api.demo\r\n\r\n".utf8) }
        try siege.withstand("HTTP/1", bytesMax: 1024 * 1024, bytesToEnd: nil) { Assault(opening: [], piece: { _ in pipelined }, reads: false) }
        try siege.withstand("HTTP/2 heads", bytesMax: 3 * 1024 * 1024, bytesToEnd: nil) {
            Assault(opening: Hostile.opening, piece: { Hostile.request(Hostile.stream($0), "GET", "/head") }, pause: .milliseconds(1), reads: false)
        }
        let pings = (0..<45).flatMap { _ in Hostile.frame(6, [UInt8](repeating: 1, count: 8)) }
        try siege.withstand("HTTP/2 PING beside honest DATA", bytesMax: 3 * 1024 * 1024, bytesToEnd: nil) {
            Assault(
                opening: Hostile.opening + Hostile.request(1, "POST", "/", end: false),
                piece: { _ in Hostile.data(1, [1]) + pings }, pause: .milliseconds(4), reads: false)
        }
        try siege.end()
    }

    // Story: somebody opens many connections and says a byte now and then.
    // Promise: each costs little, and others are served.
    // Source: slowloris (2009), R-U-Dead-Yet.
    static let slowSenders = Story(
        "hostile/slow-senders",
        story: "Somebody opens two hundred connections and sends heads, chunks and frames byte by byte.",
        promise: "Each connection costs a few kilobytes, and sixty calls of others are answered as in peace.",
        source: "slowloris; R-U-Dead-Yet"
    ) { stage throws(StoryFailure) in
        let siege = try Siege(stage)
        let head = [UInt8](("GET / HTTP/1.1\r\nHost: api.demo\r\n" + String(repeating: "X-Slow: 1\r\n", count: 100)).utf8)
        let body = [UInt8]("POST / HTTP/1.1\r\nHost: api.demo\r\nTransfer-Encoding: chunked\r\n\r\n".utf8)
        let frames = Hostile.request(1, "POST", "/", [("x-slow", String(repeating: "s", count: 100))], end: false)
        try siege.withstand("heads", connections: 200, bytesMax: 8 * 1024, bytesToEnd: nil) { Assault(opening: Array(head.prefix(40)), piece: { 40 + $0 < head.count ? [head[40 + $0]] : nil }, pause: .milliseconds(100)) }
        try siege.withstand("chunks", connections: 200, bytesMax: 8 * 1024, bytesToEnd: nil) { Assault(opening: body, piece: { _ in [UInt8]("1\r\nx\r\n".utf8) }, pause: .milliseconds(100)) }
        try siege.withstand("frames", connections: 200, bytesMax: 16 * 1024, bytesToEnd: nil) { Assault(opening: Hostile.opening, piece: { $0 < frames.count ? [frames[$0]] : nil }, pause: .milliseconds(50)) }
        try siege.end()
    }

    // Story: somebody hides one request in another, in every way that two parsers may disagree about.
    // Promise: the hidden request reaches nobody.
    // Source: RFC 9112 section 11.2; Kettle, "HTTP Desync Attacks" and "HTTP/2: The Sequel is Always Worse".
    static let smuggling = Story(
        "hostile/smuggling",
        story: "Somebody hides a request in the framing of another, on HTTP/1, on HTTP/2, and in HTTP/2 that becomes HTTP/1 behind the proxy.",
        promise: "The application never sees the hidden request, and other clients get the answers to their own.",
        source: "RFC 9112 section 11.2; Kettle, HTTP Desync Attacks"
    ) { stage throws(StoryFailure) in
        var hidden = 0
        let siege = try Siege(stage) { request in
            if request.head.path == "/hidden" { hidden += 1 }
            return HTTPApplication.Answer(body: Array("fine".utf8), delay: .milliseconds(2))
        }
        let inner = "GET /hidden HTTP/1.1\r\nHost: api.demo\r\n\r\n"
        let heads = [
            "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n\r\n", "Transfer-Encoding : chunked\r\nContent-Length: 0\r\n\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", "Content-Length: 0\r\nContent-Length: 44\r\n\r\n", "Content-Length: 0x2c\r\n\r\n", "Transfer-Encoding:\u{b}chunked\r\n\r\n0\r\n\r\n",
            "X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n0;x=\"\n\"\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n00000000000000000\r\n\r\n", "Content-Length: 0\r\n Transfer-Encoding: chunked\r\n\r\n",
        ]
        for (i, head) in heads.enumerated() {
            let attack = [UInt8](("POST / HTTP/1.1\r\nHost: api.demo\r\n" + head + inner).utf8)
            try siege.withstand("HTTP/1 disagreement \(i + 1)", bytesMax: 256 * 1024, bytesToEnd: 4096) { Assault(opening: attack) }
        }
        let crossings: [(String, [UInt8])] = [
            ("transfer-encoding", Hostile.request(1, "POST", "/", [("transfer-encoding", "chunked"), ("l5d-orig-proto", "HTTP/1.1")], end: false) + Hostile.data(1, [UInt8](("0\r\n\r\n" + inner).utf8), end: true)),
            ("content-length", Hostile.request(1, "POST", "/", [("content-length", "0"), ("l5d-orig-proto", "HTTP/1.1")], end: false) + Hostile.data(1, [UInt8](inner.utf8), end: true)),
            ("a line in a value", Hostile.request(1, "GET", "/", [("x", "y\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a"), ("l5d-orig-proto", "HTTP/1.1")])),
            ("a line in the path", Hostile.request(1, "GET", "/ HTTP/1.1\r\nHost: a\r\n\r\nGET /hidden", [("l5d-orig-proto", "HTTP/1.1")])),
            ("a body nobody announced", Hostile.request(1, "GET", "/", [("l5d-orig-proto", "HTTP/1.1")], end: false) + Hostile.data(1, [UInt8](inner.utf8), end: true)),
        ]
        for (name, frames) in crossings { try siege.withstand("HTTP/2: \(name)", bytesMax: 256 * 1024, bytesToEnd: nil) { Assault(opening: Hostile.opening + frames) } }
        try siege.end()
        stage.say("\(hidden) hidden requests were served")
        try stage.check(hidden == 0, "no hidden request reaches the application, \(hidden) did")
    }
}
