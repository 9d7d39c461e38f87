// Every rule by which a message is refused, each with the code that a server answers with; and the few liberties that are left.

import Base
import Testing

@testable import HTTP

/// One case: what comes, the code, and words of the rule.
private typealias Case = (bytes: String, code: UInt32, rule: String)

private let host = "Host: a\r\n"

private let requests: [Case] = [
    // Request lines
    ("GET /\r\nHost: a\r\n\r\n", 400, "names its version"),
    ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, "HTTP/1.0 or HTTP/1.1"),
    ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505, "HTTP/1.0 or HTTP/1.1"),
    ("GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505, "HTTP/1.0 or HTTP/1.1"),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "HTTP/1.0 or HTTP/1.1"),
    ("GET / http/1.1\r\nHost: a\r\n\r\n", 400, "HTTP/ digit . digit"),
    ("GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400, "ends with the version and CR LF"),
    ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400, "ends with the version and CR LF"),
    ("GET / HTTP/1.1\nHost: a\n\n", 400, "ends with the version and CR LF"),
    ("GET / HTTP/1.1\r\rHost: a\r\n\r\n", 400, "ends with the version and CR LF"),
    ("GET / X\r\nHost: a\r\n\r\n", 400, "ends with the version and CR LF"),
    ("GET / X\n", 400, "ends with the version and CR LF"),
    ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request target"),
    ("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400, "HTTP/ digit . digit"),
    ("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "method token"),
    (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "method token"),
    ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "method token"),
    ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "method token"),
    ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "method token"),
    ("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "method token"),
    // Targets
    ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request target"),
    ("GET /\u{7f} HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request target"),
    ("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request target"),
    ("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request target"),
    ("GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request target"),
    ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "begins with a slash"),
    ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "begins with a slash"),
    ("GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "authority of a target"),
    ("GET http:// HTTP/1.1\r\nHost: a\r\n\r\n", 400, "begins with a slash"),
    ("GET http://u@b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "authority of a target"),
    ("GET http://b:/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "authority of a target"),
    ("GET http://b:65536/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "authority of a target"),
    ("GET http://[::1/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "authority of a target"),
    ("GET http://b HTTP/1.1\r\n\r\n", 400, "one Host field"),
    ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400, "OPTIONS only"),
    ("CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "host:port"),
    ("CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "host:port"),
    ("CONNECT a:80 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", 400, "no content"),
    ("CONNECT a:80 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "no content"),
    // Host
    ("GET / HTTP/1.1\r\n\r\n", 400, "one Host field"),
    ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "one Host field"),
    ("GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", 400, "one Host field"),
    ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "Host is a host"),
    ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "Host is a host"),
    ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400, "Host is a host"),
    ("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400, "Host is a host"),
    ("GET / HTTP/1.1\r\nHost: a%2\r\n\r\n", 400, "Host is a host"),
    ("GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", 400, "Host is a host"),
    ("GET / HTTP/1.1\r\nHost: [1.2.3.4]\r\n\r\n", 400, "Host is a host"),
    ("GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", 400, "Host is a host"),
    // Fields
    ("GET / HTTP/1.1\r\n" + host + "X : 1\r\n\r\n", 400, "white space between"),
    ("GET / HTTP/1.1\r\n" + host + "X\t: 1\r\n\r\n", 400, "white space between"),
    ("GET / HTTP/1.1\r\n" + host + "X: 1\r\n y\r\n\r\n", 400, "folded"),
    ("GET / HTTP/1.1\r\n" + host + "X: 1\r\n\ty\r\n\r\n", 400, "folded"),
    ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, "folded"),
    ("GET / HTTP/1.1\r\n" + host + ": 1\r\n\r\n", 400, "begins with a token"),
    ("GET / HTTP/1.1\r\n" + host + "X\r\n\r\n", 400, "begins with a token"),
    ("GET / HTTP/1.1\r\n" + host + "X\n\r\n", 400, "LF alone"),
    ("GET / HTTP/1.1\r\n" + host + "X\0: 1\r\n\r\n", 400, "begins with a token"),
    ("GET / HTTP/1.1\r\n" + host + "X\u{e9}: 1\r\n\r\n", 400, "begins with a token"),
    ("GET / HTTP/1.1\r\n" + host + "X: a\0b\r\n\r\n", 400, "control"),
    ("GET / HTTP/1.1\r\n" + host + "X: a\u{7f}\r\n\r\n", 400, "control"),
    ("GET / HTTP/1.1\r\n" + host + "X: 12345678\u{1b}\r\n\r\n", 400, "control"),
    ("GET / HTTP/1.1\r\n" + host + "X: a\nY: b\r\n\r\n", 400, "LF alone"),
    ("GET / HTTP/1.1\r\n" + host + "X: a\rY: b\r\n\r\n", 400, "CR stands"),
    ("GET / HTTP/1.1\r\n" + host + "\rX: a\r\n\r\n", 400, "CR stands"),
    ("GET / HTTP/1.1\r\n" + host + "\n", 400, "LF alone"),
    // Framing
    ("POST / HTTP/1.1\r\n" + host + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "not both"),
    ("POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n", 400, "not both"),
    ("POST / HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400, "one Content-Length"),
    ("POST / HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400, "one Content-Length"),
    ("POST / HTTP/1.1\r\n" + host + "Content-Length: 1, 1\r\n\r\nx", 400, "one decimal"),
    ("POST / HTTP/1.1\r\n" + host + "Content-Length: +1\r\n\r\nx", 400, "one decimal"),
    ("POST / HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\nx", 400, "one decimal"),
    ("POST / HTTP/1.1\r\n" + host + "Content-Length: 0x1\r\n\r\nx", 400, "one decimal"),
    ("POST / HTTP/1.1\r\n" + host + "Content-Length:\r\n\r\nx", 400, "one decimal"),
    ("POST / HTTP/1.1\r\n" + host + "Content-Length: 9223372036854775808\r\n\r\nx", 400, "one decimal"),
    ("POST / HTTP/1.1\r\n" + host + "Content-Length: 18446744073709551617\r\n\r\nx", 400, "one decimal"),
    ("POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: identity\r\n\r\n", 400, "last transfer coding"),
    ("POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip\r\n\r\n", 400, "last transfer coding"),
    ("POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked, gzip\r\n\r\n", 400, "chunked is the last"),
    ("POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "chunked is the last"),
    ("POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked, chunked\r\n\r\n", 400, "chunked is the last"),
    ("POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: xchunked\r\n\r\n", 400, "last transfer coding"),
    ("POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: \u{b}chunked\r\n\r\n", 400, "control"),
    ("POST / HTTP/1.1\r\n" + host + "Transfer-Encoding:\r\n\r\n", 400, "last transfer coding"),
    ("POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501, "but chunked"),
    ("POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: , chunked\r\n\r\n", 501, "but chunked"),
    ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "HTTP/1.0 has no"),
]

/// Bodies behind a chunked request head.
private let chunks: [Case] = [
    ("\r\n", 400, "begins with its size"),
    ("x\r\n", 400, "begins with its size"),
    (" 1\r\nx\r\n", 400, "begins with its size"),
    ("-1\r\n", 400, "begins with its size"),
    ("+1\r\nx\r\n", 400, "begins with its size"),
    ("0x1\r\nx\r\n", 400, "semicolon"),
    ("1_0\r\n", 400, "semicolon"),
    ("1 \r\nx\r\n", 400, "semicolon"),
    ("1\nx\r\n", 400, "semicolon"),
    ("1\rx\r\n", 400, "CR stands"),
    ("1;\r\nx\r\n", 400, "semicolon"),
    ("1;a=\r\nx\r\n", 400, "semicolon"),
    ("1;a=\"b\r\nx\r\n", 400, "semicolon"),
    ("1;a\nx\r\n", 400, "semicolon"),
    ("1;a\rx\r\n", 400, "CR stands"),
    ("0000000000000001\r\nx\r\n", 400, "15 digits"),
    ("ffffffffffffffffff\r\n", 400, "15 digits"),
    ("1\r\nxx\r\n", 400, "chunk ends"),
    ("1\r\nx\n0\r\n\r\n", 400, "chunk ends"),
    ("1\r\nx\r0\r\n\r\n", 400, "chunk ends"),
    ("1\r\nx0\r\n\r\n", 400, "chunk ends"),
    ("0\r\nX\r\n\r\n", 400, "begins with a token"),
    ("0\r\nX: 1\n\r\n", 400, "LF alone"),
    ("0\r\n X: 1\r\n\r\n", 400, "folded"),
    ("0\r\nContent-Length: 1\r\n\r\n", 400, "trailers neither"),
    ("0\r\nHost: b\r\n\r\n", 400, "trailers neither"),
    ("0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "trailers neither"),
    ("0\r\n\rX", 400, "CR stands"),
]

private let responses: [Case] = [
    ("HTTP/1.1 099 X\r\n\r\n", 502, "three digits"),
    ("HTTP/1.1 20 OK\r\n\r\n", 502, "three digits"),
    ("HTTP/1.1 2000 OK\r\n\r\n", 502, "status line"),
    ("HTTP/1.1  200 OK\r\n\r\n", 502, "three digits"),
    ("HTTP/1.1\t200 OK\r\n\r\n", 502, "three digits"),
    ("HTTP/2.0 200 OK\r\n\r\n", 502, "HTTP/1.0 or"),
    ("ICY 200 OK\r\n\r\n", 502, "begins with a status line"),
    ("SSH-2.0-OpenSSH_9.2\r\n", 502, "HTTP/ digit"),
    ("200\r\n\r\n", 502, "begins with a status line"),
    ("HTTP/1.1 200 O\0K\r\n\r\n", 502, "status line"),
    ("HTTP/1.1 200 OK\nX: 1\n\n", 502, "status line"),
    ("HTTP/1.1 200 OK\rX: 1\r\n\r\n", 502, "CR stands"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 502, "one Content-Length"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 502, "not both"),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", 502, "last transfer coding"),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 502, "but chunked"),
    ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 502, "HTTP/1.0 has no"),
    ("HTTP/1.1 200 OK\r\nX: 1\r\n y\r\n\r\n", 502, "folded"),
    ("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", 502, "101 answers"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", 502, "body is complete"),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", 502, "body is complete"),
    ("HTTP/1.1 200 OK\r\nContent-Le", 502, "head is complete"),
]

@Suite struct `HTTP/1 refusals` {
    @Test func `each request that breaks a rule is refused with its code, however it is cut`() {
        for (text, code, rule) in requests {
            let log = inEverySplit(Array(text.latin1)) { serve($0) }
            #expect(log.failure?.code == code, "\(text.debugDescription): \(log)")
            #expect(log.failure?.scope == .connection)
            #expect(log.failure?.rule.contains(rule) == true, "\(text.debugDescription): \(log)")
            #expect(log.failure?.rule.contains("(RFC 9") == true)
            #expect(log.lines.count == 1, "\(text.debugDescription): \(log)")
        }
    }

    @Test func `each chunked body that breaks a rule is refused`() {
        for (text, code, rule) in chunks {
            let whole = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + text
            let log = inEverySplit(Array(whole.latin1)) { serve($0) }
            #expect(log.failure?.code == code, "\(text.debugDescription): \(log)")
            #expect(log.failure?.rule.contains(rule) == true, "\(text.debugDescription): \(log)")
            #expect(!log.lines.contains { $0.hasSuffix(" end") }, "\(text.debugDescription): \(log)")
        }
    }

    @Test func `each response that breaks a rule fails with 502`() {
        for (text, code, rule) in responses {
            let log = inEverySplit(Array(text.latin1)) { ask(plainRequest, $0) }
            #expect(log.failure?.code == code, "\(text.debugDescription): \(log)")
            #expect(log.failure?.rule.contains(rule) == true, "\(text.debugDescription): \(log)")
        }
    }

    @Test func `the refusing server answers once, says close and hears nothing more`() {
        let engine = HTTP1Connection(role: .server)
        engine.receive("GET / HTTP/1.1\r\n\r\n")
        guard case .failed(let error)? = engine.nextEvent() else {
            Issue.record("not refused")
            return
        }
        #expect(error.code == 400)
        #expect(engine.takeOutput() == "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        #expect(!engine.isReusable)
        engine.receive("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(engine.isQuiet)
        #expect(engine.takeOutput() == "")
    }

    @Test func `a server with a response under way does not answer a broken body`() throws {
        let engine = HTTP1Connection(role: .server)
        engine.receive("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        guard case .request(let stream, _, false)? = engine.nextEvent() else {
            Issue.record("no request")
            return
        }
        try engine.sendResponse(stream, ResponseHead(status: 200), endStream: false)
        _ = engine.takeOutput()
        engine.receive("x\r\n")
        guard case .failed? = engine.nextEvent() else {
            Issue.record("not refused")
            return
        }
        #expect(engine.takeOutput() == "")
        #expect(throws: Refusal.self) { try engine.send(stream, "x", endStream: true) }
    }

    @Test func `heads, lines and fields beyond their bounds are refused at the bound`() {
        var limits = HTTPLimits()
        limits.headBytesMax = 100
        limits.fieldsMax = 3
        limits.connectionOptionsMax = 2
        limits.chunkExtensionBytesMax = 8
        let cases: [(String, UInt32?)] = [
            ("GET /\(String(repeating: "a", count: 200)) HTTP/1.1\r\nHost: a\r\n\r\n", 414),
            ("GET /\(String(repeating: "a", count: 200))", 414),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "a", count: 200))\r\n\r\n", 431),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "a", count: 200))", 431),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "a", count: 68))\r\n\r\n", nil),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "a", count: 69))\r\n\r\n", 431),
            ("GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\n\r\n", nil),
            ("GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n", 431),
            ("GET / HTTP/1.1\r\nHost: a\r\nConnection: a, b\r\n\r\n", nil),
            ("GET / HTTP/1.1\r\nHost: a\r\nConnection: a, b, c\r\n\r\n", 431),
            ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;abc\r\nx\r\n1;abc\r\nx\r\n0\r\n\r\n", nil),
            ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;abc\r\nx\r\n1;abcd\r\nx\r\n0\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;\(String(repeating: "a", count: 100))", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: \(String(repeating: "a", count: 100))\r\n\r\n", 431),
        ]
        for (text, code) in cases {
            let log = inEverySplit(Array(text.utf8)) { serve($0, limits: limits, ends: false) }
            #expect(log.failure?.code == code, "\(text.prefix(120).debugDescription): \(log)")
        }
    }

    @Test func `a connection that ends inside a message fails, between messages it does not`() {
        let whole = Array("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhiPOST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nA: b\r\n\r\n".utf8)
        let first = 49
        for end in 0...whole.count {
            let log = serve([whole[0..<end]])
            let isBetween = end == 0 || end == first || end == whole.count
            #expect((log.failure == nil) == isBetween, "cut at \(end): \(log)")
            if !isBetween { #expect(log.failure?.rule.contains("before the connection ends") == true) }
        }
    }

    @Test func `bytes that no request asked for fail the client`() throws {
        let engine = HTTP1Connection(role: .client)
        engine.receive("HTTP/1.1 408 Request Timeout\r\n\r\n")
        #expect(!engine.isReusable)
        guard case .failed(let error)? = engine.nextEvent() else {
            Issue.record("not refused")
            return
        }
        #expect(error.code == 502)
        #expect(throws: Refusal.self) { try engine.sendRequest(plainRequest, endStream: true) }
    }

    @Test func `what is left free is accepted`() {
        let accepted: [(String, String)] = [
            ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "request 1 GET a / HTTP/1.1 end"),
            ("GET / HTTP/1.1\r\nhost:a\r\n\r\n", "request 1 GET a / HTTP/1.1 end"),
            ("GET / HTTP/1.1\r\nHost: \t a \t\r\n\r\n", "request 1 GET a / HTTP/1.1 end"),
            ("GET / HTTP/1.1\r\nHost:\r\n\r\n", "request 1 GET  / HTTP/1.1 end"),
            ("GET / HTTP/1.0\r\n\r\n", "request 1 GET  / HTTP/1.0 end"),
            ("GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n", "request 1 GET [2001:db8::1]:80 / HTTP/1.1 end"),
            ("GET / HTTP/1.1\r\nHost: a_b%20c:0\r\n\r\n", "request 1 GET a_b%20c:0 / HTTP/1.1 end"),
            ("GET /\"<>\\^`{|}?%zz?/ HTTP/1.1\r\nHost: a\r\n\r\n", "request 1 GET a /\"<>\\^`{|}?%zz?/ HTTP/1.1 end"),
            ("FOO-bar /x HTTP/1.1\r\nHost: a\r\n\r\n", "request 1 FOO-bar a /x HTTP/1.1 end"),
            ("get / HTTP/1.1\r\nHost: a\r\n\r\n", "request 1 get a / HTTP/1.1 end"),
            ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "request 1 OPTIONS a * HTTP/1.1 end"),
            ("OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n", "request 1 OPTIONS http://b * HTTP/1.1 end"),
            ("GET HTTP://b:1?c HTTP/1.1\r\nHost: a\r\n\r\n", "request 1 GET http://b:1 /?c HTTP/1.1 end"),
            ("GET https://b/c HTTP/1.1\r\nHost: a\r\n\r\n", "request 1 GET https://b /c HTTP/1.1 end"),
            ("GET http://b HTTP/1.1\r\nHost: a\r\n\r\n", "request 1 GET http://b / HTTP/1.1 end"),
        ]
        for (text, line) in accepted {
            let log = inEverySplit(Array(text.utf8)) { serve($0) }
            #expect(log.lines == [line], "\(text.debugDescription)")
        }
    }
}

extension String {
    /// One byte a character, for bytes above 127.
    var latin1: [UInt8] { unicodeScalars.map { UInt8($0.value) } }
}

@Suite struct HTTP1InformationalTests {
    @Test func `informationalsMax ends a response that never comes to its point`() throws {
        let client = HTTP1Connection(role: .client)
        _ = try client.sendRequest(RequestHead(method: .get, authority: "a", path: "/"), endStream: true)
        var heads = 0
        var failure: PeerError?
        for _ in 0..<100 {
            client.receive([UInt8]("HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n".utf8))
            while let event = client.nextEvent() {
                if case .response = event { heads += 1 }
                if case .failed(let error) = event { failure = error }
            }
        }
        #expect(heads == HTTPLimits().informationalsMax)
        #expect(failure?.code == 502)
    }
}
