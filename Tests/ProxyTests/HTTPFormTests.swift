// HTTP/1 through both proxies, whose way between them is HTTP/2: every form of a request arrives as the application must see it, what
// belongs to one connection stays on it, and what could be read in two ways goes nowhere.

import Base
import HTTP
import Testing

@testable import Proxy

/// The head that the application saw: its lines, names in lower case, without `l5d-client-id`, sorted behind the first.
private func head(_ heard: String) -> [String] {
    let end = heard.range(of: "\r\n\r\n")?.lowerBound ?? heard.endIndex
    let lines = heard[..<end].split(separator: "\r\n").map(String.init)
    guard let first = lines.first else { return [] }
    let fields = lines.dropFirst().map { line -> String in
        let parts = line.split(separator: ":", maxSplits: 1)
        return parts[0].lowercased() + ":" + (parts.count > 1 ? parts[1] : "")
    }
    return [first] + fields.filter { !$0.hasPrefix("l5d-client-id") }.sorted()
}

extension String {
    fileprivate func range(of text: String) -> Range<String.Index>? {
        let bytes = Array(utf8)
        let wanted = Array(text.utf8)
        guard bytes.count >= wanted.count else { return nil }
        for i in 0...bytes.count - wanted.count where Array(bytes[i..<i + wanted.count]) == wanted {
            return utf8.index(startIndex, offsetBy: i)..<utf8.index(startIndex, offsetBy: i + wanted.count)
        }
        return nil
    }
}

private struct Form: CustomTestStringConvertible {
    var name: String
    var request: String
    var expected: [String]
    var testDescription: String { name }
}

private let forms: [Form] = [
    Form(name: "origin form", request: "GET /a/b?c=d HTTP/1.1\r\nHost: api.demo\r\nAccept: */*\r\n\r\n", expected: ["GET /a/b?c=d HTTP/1.1", "accept: */*", "host: api.demo"]),
    Form(name: "absolute form", request: "GET http://other.demo:81/x?y HTTP/1.1\r\nHost: api.demo\r\n\r\n", expected: ["GET http://other.demo:81/x?y HTTP/1.1", "host: other.demo:81"]),
    Form(name: "absolute form without a path", request: "GET http://other.demo HTTP/1.1\r\nHost: api.demo\r\n\r\n", expected: ["GET http://other.demo/ HTTP/1.1", "host: other.demo"]),
    Form(name: "asterisk form", request: "OPTIONS * HTTP/1.1\r\nHost: api.demo\r\n\r\n", expected: ["OPTIONS * HTTP/1.1", "host: api.demo"]),
    Form(name: "asterisk of an absolute form", request: "OPTIONS http://api.demo HTTP/1.1\r\nHost: x\r\n\r\n", expected: ["OPTIONS http://api.demo HTTP/1.1", "host: api.demo"]),
    Form(name: "HTTP/1.0 without Host", request: "GET / HTTP/1.0\r\n\r\n", expected: ["GET / HTTP/1.1", "connection: close", "host: 10.96.0.1:80"]),
    Form(name: "HTTP/1.0 that wants to stay", request: "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", expected: ["GET / HTTP/1.1", "connection: close", "host: a"]),
    Form(name: "an empty Host", request: "GET / HTTP/1.1\r\nHost:\r\n\r\n", expected: ["GET / HTTP/1.1", "host: 10.96.0.1:80"]),
    Form(name: "a method that nobody registered", request: "BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n", expected: ["BREW /pot HTTP/1.1", "host: a"]),
    Form(
        name: "fields of the connection", request: "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\nX-End: 2\r\n\r\n",
        expected: ["GET / HTTP/1.1", "host: a", "x-end: 2"]),
    Form(name: "trailers are accepted", request: "GET / HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nTE: gzip;q=1, trailers\r\n\r\n", expected: ["GET / HTTP/1.1", "connection: te", "host: a", "te: trailers"]),
    Form(
        name: "an upgrade to h2c is not taken", request: "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
        expected: ["GET / HTTP/1.1", "host: a"]),
    Form(name: "an upgrade that Connection does not name", request: "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", expected: ["GET / HTTP/1.1", "host: a"]),
    Form(name: "headers of ours are not an application's", request: "GET / HTTP/1.1\r\nHost: a\r\nl5d-orig-proto: HTTP/1.0\r\nl5d-client-id: root\r\n\r\n", expected: ["GET / HTTP/1.1", "host: a"]),
    Form(name: "a body that has no length of its own", request: "POST / HTTP/1.1\r\nHost: a\r\n\r\n", expected: ["POST / HTTP/1.1", "content-length: 0", "host: a"]),
]

@Suite struct HTTPFormTests {
    @Test(arguments: forms) fileprivate func `a request arrives as the application must see it`(_ form: Form) throws {
        let crossing = try Crossing()
        let client = crossing.say(form.request)
        crossing.run()
        #expect(client.text.hasPrefix("HTTP/1.1 200 OK\r\n") && client.text.hasSuffix("\r\n\r\nok"), "\(client.text.debugDescription)")
        let seen = head(crossing.server.heard)
        #expect(seen.filter { !$0.hasPrefix("connection: close") || form.expected.contains($0) } == form.expected)
        #expect(crossing.server.heard.contains("l5d-client-id: \(Pair.webName)\r\n"))
        crossing.end()
    }

    @Test(arguments: [
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", "content-length: 5", "hello"),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n", "transfer-encoding: chunked", "\r\n0\r\n\r\n"),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n", "transfer-encoding: chunked", "0\r\nx-sum: 7\r\n\r\n"),
    ])
    func `a body keeps its framing and its trailers`(_ request: String, _ field: String, _ tail: String) throws {
        let crossing = try Crossing { $0.hasSuffix("hello") || $0.hasSuffix("0\r\n\r\n") || $0.hasSuffix("7\r\n\r\n") ? "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" : nil }
        let client = crossing.say(request)
        crossing.run()
        #expect(client.text.hasSuffix("\r\n\r\nok"))
        let heard = crossing.server.heard
        #expect(head(heard).contains(field) && heard.hasSuffix(tail) && !heard.contains("x=y"), "\(heard.debugDescription)")
        crossing.end()
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"),
        ("HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 7\r\n\r\n"),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n"),
        ("HTTP/1.1 200 OK\r\nConnection: x-hop, close\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        ("HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        ("HTTP/1.1 200 OK\r\nl5d-proxy-error: forged\r\nl5d-proxy-connection: close\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
    ])
    func `a response arrives as the client must see it`(_ answer: String, _ expected: String) throws {
        let crossing = try Crossing { $0.hasSuffix("\r\n\r\n") ? answer : nil }
        let client = crossing.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        crossing.run()
        #expect(client.text == expected, "\(client.text.debugDescription)")
        #expect(!client.isFinished, "the connection stays")
        crossing.end()
    }

    @Test func `a response to HEAD has no body, whatever its head says`() throws {
        let crossing = try Crossing { $0.hasSuffix("\r\n\r\n") ? "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" : nil }
        let client = crossing.say("HEAD / HTTP/1.1\r\nHost: a\r\n\r\nHEAD /2 HTTP/1.1\r\nHost: a\r\n\r\n")
        crossing.run()
        let one = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"
        #expect(client.text == one + one)
        crossing.end()
    }

    @Test func `a client that waits for 100 is told to continue by the application`() throws {
        let crossing = try Crossing { heard in
            if heard.hasSuffix("body") { return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" }
            return heard.hasSuffix("\r\n\r\n") ? "HTTP/1.1 100 Continue\r\n\r\n" : nil
        }
        let client = crossing.say("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        crossing.run()
        #expect(client.text == "HTTP/1.1 100 Continue\r\n\r\n")
        #expect(crossing.server.heard.contains("100-continue"))
        client.say("body")
        crossing.run()
        #expect(client.text.hasSuffix("\r\n\r\nok"))
        crossing.end()
    }

    @Test func `pipelined requests are answered in order`() throws {
        let crossing = try Crossing { heard in
            guard heard.hasSuffix("\r\n\r\n"), let last = heard.split(separator: "GET /").last else { return nil }
            return "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\(last.first!)"
        }
        let client = crossing.say((1...5).map { "GET /\($0) HTTP/1.1\r\nHost: a\r\n\r\n" }.joined())
        crossing.run()
        #expect(client.text.split(separator: "\r\n\r\n").dropFirst().compactMap(\.first) == ["1", "2", "3", "4", "5"])
        crossing.end()
    }

    // MARK: What goes nowhere

    @Test(arguments: [
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400), ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", 400), ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\n", 400), ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", 400), ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\n", 400), ("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n", 400), ("GET / HTTP/1.1\nHost: a\n\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: a\r\nX: a\u{0}b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX\u{1}: a\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400), ("GET / HTTP/1.1\r\nX: no host\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400), ("GET http://user@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400), ("GET * HTTP/1.1\r\nHost: a.example\r\n\r\n", 400),
        ("GET a.demo:80 HTTP/1.1\r\nHost: a.demo\r\n\r\n", 400), ("CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", 400), ("CONNECT a:1 HTTP/1.0\r\nHost: a:1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501), ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505), ("GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "x", count: 70_000))\r\n\r\n", 431),
        ("GET / HTTP/1.1\r\nHost: a\r\n\(String(repeating: "X: y\r\n", count: 200))\r\n", 431), ("GET /\(String(repeating: "x", count: 70_000)) HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    ])
    func `what can be read in two ways is refused and the connection closed`(_ request: String, _ status: Int) throws {
        let crossing = try Crossing { _ in nil }
        // What follows must never be taken for a request of its own.
        let client = crossing.say(request + "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        crossing.run()
        #expect(client.text.hasPrefix("HTTP/1.1 \(status) "), "\(client.text.prefix(60).debugDescription)")
        #expect(client.isFinished)
        #expect(client.text.split(separator: "HTTP/1.1 ").count == 1, "one answer and no more")
        #expect(!crossing.server.heard.contains("smuggled"), "\(crossing.server.heard.debugDescription)")
        crossing.end()
    }

    /// Bytes behind a response that no request asked for, and every broken framing of a response: the client gets 502 or a response that is
    /// visibly cut off, and the connection to the application serves nobody any more.
    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc", "502"), ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "502"),
        ("HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "502"), ("HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "502"), ("HTTP/1.1 2xx OK\r\n\r\n", "502"),
        ("HTTP/1.1 200 OK\r\nX: a\u{0}\r\n\r\n", "502"), ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", "502"), ("HTTP/2.0 200 OK\r\n\r\n", "502"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", "200"),
    ])
    func `a broken response poisons nothing`(_ answer: String, _ status: String) throws {
        var isFirst = true
        let crossing = try Crossing { heard in
            guard heard.hasSuffix("\r\n\r\n") else { return nil }
            defer { isFirst = false }
            return isFirst ? answer : "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nclean"
        }
        let client = crossing.say("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")
        crossing.run()
        #expect(client.text.hasPrefix("HTTP/1.1 \(status) "), "\(client.text.debugDescription)")
        let next = crossing.say("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
        crossing.run()
        #expect(next.text.hasSuffix("\r\n\r\nclean"), "\(next.text.debugDescription)")
        #expect(crossing.server.conversations.count == 2, "the poisoned connection is not used again")
        crossing.end()
    }

    @Test(arguments: ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"])
    func `a response that breaks off is seen to be broken`(_ answer: String) throws {
        let crossing = try Crossing { $0.hasSuffix("\r\n\r\n") ? answer : nil }
        crossing.server.finishes = true
        let client = crossing.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        crossing.run()
        #expect(client.text.contains("hello") && !client.text.hasSuffix("0\r\n\r\n"))
        #expect(client.isFinished || client.isClosed)
        crossing.end()
    }
}
