// The parts of the differential run: the reader that judges the engine, the plan that two worlds share, and the comparison, which must
// find what differs.

import Base
import Testing

@testable import Simulations

@Suite struct `The reader of messages` {
    private func request(_ text: String) -> PlainMessage.Reading { PlainMessage.request(Array(text.utf8)[...]) }
    private func response(_ text: String, toHead: Bool = false, isEnded: Bool = true) -> PlainMessage.Reading { PlainMessage.response(Array(text.utf8)[...], toHead: toHead, isEnded: isEnded) }

    private func message(_ reading: PlainMessage.Reading) throws -> (PlainMessage, Int) {
        guard case .whole(let message, let count) = reading else { throw Refusal("\(reading)") }
        return (message, count)
    }

    @Test func `reads lengths, chunks, trailers and what has no body`() throws {
        let (first, count) = try message(request("POST /a HTTP/1.1\r\nHost: x\r\ncontent-length: 3\r\n\r\nabcGET"))
        #expect(first.line == "POST /a HTTP/1.1" && first.body == Array("abc".utf8) && count == 51)
        let (chunked, _) = try message(response("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nx-sum:  7 \r\n\r\n"))
        #expect(chunked.body == Array("abcd".utf8) && chunked.trailers.map(\.value) == ["7"])
        #expect(try message(response("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", toHead: true)).0.body.isEmpty)
        #expect(try message(response("HTTP/1.1 304 \r\ncontent-length: 9\r\n\r\n")).0.body.isEmpty)
        #expect(try message(response("HTTP/1.0 200\r\n\r\nall of it")).0.body == Array("all of it".utf8))
    }

    @Test func `says when more must come, and when no more can help`() {
        for text in ["GET / HTTP/1.1\r\nHost: x\r\n", "POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\na", "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nab"] { #expect(request(text) == .partial, "\(text)") }
        #expect(response("HTTP/1.0 200 OK\r\n\r\nnot yet", isEnded: false) == .partial)
        for text in ["GET /\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n", "GET / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", "GET / HTTQ/1.1\r\n\r\n"] { #expect(request(text) == .malformed, "\(text)") }
    }
}

@Suite struct `The plan of exchanges` {
    @Test func `is the same for the same seed, and another for another`() {
        func text(_ plan: ExchangePlan) -> [String] { plan.exchanges.map { "\($0)" } }
        #expect(text(ExchangePlan(seed: 5, count: 40)) == text(ExchangePlan(seed: 5, count: 40)))
        #expect(text(ExchangePlan(seed: 5, count: 40)) != text(ExchangePlan(seed: 6, count: 40)))
        #expect(text(ExchangePlan(seed: 5, count: 10)) == Array(text(ExchangePlan(seed: 5, count: 40)).prefix(10)), "one more exchange changes none before it")
    }

    @Test func `draws every kind, pieces, pipelines and every kind of fault`() {
        let exchanges = ExchangePlan(seed: 1, count: 1000).exchanges
        for kind in Exchange.Kind.allCases { #expect(exchanges.count { $0.kind == kind } > 50, "\(kind)") }
        #expect(exchanges.count { $0.pieces.count > 1 } > 200 && exchanges.count { $0.heads.count > 1 } > 50)
        #expect(exchanges.count { $0.refused != nil } > 40)
        for fault in 0..<22 { #expect(exchanges.contains { $0.note.contains("request fault \(fault)") }, "request fault \(fault)") }
        for fault in 0..<14 { #expect(exchanges.contains { $0.note.contains("response fault \(fault)") }, "response fault \(fault)") }
    }
}

@Suite struct `The comparison of exchanges` {
    @Test func `names each line that differs, and whose`() {
        let a = ExchangeRecord(number: 3, note: "GET", client: ["HTTP/1.1 200 OK", "  body 0: "], server: ["GET / HTTP/1.1"])
        var b = a
        #expect(ExchangeRecord.differences(a, b) == [])
        b.client[0] = "HTTP/1.1 502 Bad Gateway"
        b.server = []
        #expect(ExchangeRecord.differences(a, b) == ["client, line 1: HTTP/1.1 200 OK here, HTTP/1.1 502 Bad Gateway in the simulator", "server, line 1: GET / HTTP/1.1 here, nothing in the simulator"])
        #expect(ExchangeRecord(a.json) == a)
    }

    @Test func `replaces what must differ and keeps what must not`() {
        let lines = ExchangeLines(names: [("10.1.0.2", "<api>")])
        #expect(lines.fields([("Date", "Wed, 01 Jan 2031 00:00:00 GMT"), ("x-peer", "10.1.0.2:80")], "  ") == ["  Date: <date>", "  x-peer: <api>:80"])
        #expect(lines.body(Array("connect 10.1.0.2:80: refused".utf8)) == "  body 28: connect <api>:80: refused")
        #expect(lines.body([0, 1]) != lines.body([0, 2]))
    }
}
