// Whole captures made by hand, read to the end: splits change nothing, holes and half captures are told as they are, damage names
// its packet.

import Base
import Testing

@testable import Capture

@Suite struct `Conversations of a capture` {
    private func summary(_ report: CaptureReport) -> [String] {
        report.conversations.flatMap { conversation in
            conversation.exchanges.map { exchange in
                "\(exchange.request?.method ?? "-") \(exchange.request?.target ?? "-") \(exchange.response.map { "\($0.status)" } ?? "-") "
                    + String(decoding: exchange.response?.message.body ?? [], as: UTF8.self)
            }
        }
    }

    @Test func `one exchange is found however its bytes were cut`() throws {
        let dialogue = Dialogue()
        for cut in 0..<max(dialogue.request.count, dialogue.answer.count) {
            let segments =
                dialogue.handshake + dialogue.requestSegments(cuts: [min(cut, dialogue.request.count)])
                + dialogue.answerSegments(cuts: [min(cut, dialogue.answer.count)]) + dialogue.farewell
            let report = try CaptureReport(name: "cut", bytes: file(segments))
            #expect(summary(report) == ["GET /a 200 hello"], "cut at \(cut)")
            #expect(report.flows.count == 1)
            #expect(report.flows.first?.gaps == 0)
        }
    }

    @Test func `reversing the order of the segments of each direction changes nothing`() throws {
        let dialogue = Dialogue()
        let segments = dialogue.handshake + dialogue.requestSegments(cuts: [3, 9, 20]).reversed() + dialogue.answerSegments(cuts: [1, 17, 40]).reversed() + dialogue.farewell
        #expect(try summary(CaptureReport(name: "reversed", bytes: file(segments))) == ["GET /a 200 hello"])
    }

    @Test func `times are those of the first and last byte`() throws {
        let dialogue = Dialogue()
        let segments = dialogue.handshake + dialogue.requestSegments(cuts: []) + dialogue.answerSegments(cuts: [10]) + dialogue.farewell
        let exchange = try #require(CaptureReport(name: "times", bytes: file(segments)).conversations.first?.exchanges.first)
        #expect(exchange.time == .milliseconds(3))
        #expect(exchange.response?.message.firstByte == .milliseconds(4))
        #expect(exchange.response?.message.lastByte == .milliseconds(5))
        #expect(exchange.response?.message.packet == 5)
    }

    @Test func `pipelined requests meet their answers in order`() throws {
        var dialogue = Dialogue()
        dialogue.request = Array("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nHEAD /2 HTTP/1.1\r\nHost: x\r\n\r\nGET /3 HTTP/1.1\r\nHost: x\r\n\r\n".utf8)
        dialogue.answer = Array(
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n".utf8)
        for cut in 0..<dialogue.answer.count {
            let segments = dialogue.handshake + dialogue.requestSegments(cuts: [30]) + dialogue.answerSegments(cuts: [cut]) + dialogue.farewell
            #expect(try summary(CaptureReport(name: "pipeline", bytes: file(segments))) == ["GET /1 200 a", "HEAD /2 200 ", "GET /3 404 no"], "cut at \(cut)")
        }
    }

    @Test func `an answer that ends with the connection is complete`() throws {
        var dialogue = Dialogue()
        dialogue.answer = Array("HTTP/1.1 200 OK\r\n\r\nuntil the end".utf8)
        let report = try CaptureReport(name: "close", bytes: file(dialogue.handshake + dialogue.requestSegments(cuts: []) + dialogue.answerSegments(cuts: [25]) + dialogue.farewell))
        #expect(summary(report) == ["GET /a 200 until the end"])
        #expect(report.conversations.first?.exchanges.first?.response?.message.isComplete == true)
    }

    @Test func `an interim answer stands beside the final one`() throws {
        var dialogue = Dialogue()
        dialogue.answer = Array("HTTP/1.1 100 Continue\r\n\r\n".utf8) + dialogue.answer
        let report = try CaptureReport(name: "interim", bytes: file(dialogue.handshake + dialogue.requestSegments(cuts: []) + dialogue.answerSegments(cuts: []) + dialogue.farewell))
        let exchange = try #require(report.conversations.first?.exchanges.first)
        #expect(exchange.informational.map(\.status) == [100])
        #expect(exchange.response?.status == 200)
        #expect(report.responseCount == 2)
    }

    @Test func `a request whose answer was not captured stays alone`() throws {
        let dialogue = Dialogue()
        let report = try CaptureReport(name: "half", bytes: file(dialogue.handshake + dialogue.requestSegments(cuts: [])))
        #expect(summary(report) == ["GET /a - "])
        #expect(report.conversations.first?.exchanges.first?.problems == ["no answer was captured"])
    }

    @Test func `an answer whose request was not captured stays alone`() throws {
        let dialogue = Dialogue()
        let report = try CaptureReport(name: "half", bytes: file(dialogue.answerSegments(cuts: [])))
        #expect(summary(report) == ["- - 200 hello"])
        #expect(report.flows.first?.startsMidConnection == true)
        #expect(report.flows.first?.server == SocketAddress(IPAddress(10, 0, 0, 2), 80))
    }

    @Test func `after a hole an answer goes to the request that acknowledged the bytes before it`() throws {
        let answer = Dialogue().answer
        let one = Array("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n".utf8)
        let two = Array("GET /2 HTTP/1.1\r\nHost: x\r\n\r\n".utf8)
        let n = UInt32(one.count)
        let a = UInt32(answer.count)
        let report = try CaptureReport(
            name: "hole",
            bytes: file(
                Dialogue().handshake + [
                    Segment(sequence: 1001, acknowledgement: 5001, payload: one),
                    // The first answer, bytes 5001 to 5001 + a, was not captured.
                    Segment(sequence: 1001 + n, acknowledgement: 5001 + a, payload: two),
                    Segment(isFromClient: false, sequence: 5001 + a, acknowledgement: 1001 + 2 * n, payload: answer),
                ]))
        #expect(summary(report) == ["GET /1 - ", "GET /2 200 hello"])
        #expect(report.flows.first?.gaps == 1)
        #expect(report.flows.first?.bytesMissing == Int64(a))
    }

    @Test func `after an upgrade the rest is a tunnel`() throws {
        var dialogue = Dialogue()
        dialogue.request = Array("GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nabc".utf8)
        dialogue.answer = Array("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\u{1}\u{2}".utf8)
        let report = try CaptureReport(name: "upgrade", bytes: file(dialogue.handshake + dialogue.requestSegments(cuts: []) + dialogue.answerSegments(cuts: []) + dialogue.farewell))
        #expect(summary(report) == ["GET /ws 101 "])
        #expect(report.conversations.first?.tunnelBytes?.client == 3)
        #expect(report.conversations.first?.tunnelBytes?.server == 2)
    }

    @Test func `a request that the parser refuses ends the conversation with its rule`() throws {
        var dialogue = Dialogue()
        dialogue.request += Array("GET /b HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n".utf8)
        let report = try CaptureReport(name: "refused", bytes: file(dialogue.handshake + dialogue.requestSegments(cuts: []) + dialogue.answerSegments(cuts: []) + dialogue.farewell))
        #expect(summary(report) == ["GET /a 200 hello"])
        #expect(report.conversations.first?.problems.contains { $0.what.hasPrefix("request refused: ") && $0.packet == 4 } == true)
    }

    @Test func `a file cut short names the packet and keeps what came before`() throws {
        let dialogue = Dialogue()
        let whole = file(dialogue.handshake + dialogue.requestSegments(cuts: []) + dialogue.answerSegments(cuts: []) + dialogue.farewell)
        let report = try CaptureReport(name: "short", bytes: Array(whole.dropLast(3)))
        #expect(report.packets == 6)
        #expect(report.damage?.packet == 7)
        #expect(report.damage?.reason.contains("truncated dump file") == true)
        #expect(summary(report) == ["GET /a 200 hello"])
    }

    @Test(arguments: ["", "GET / HTTP/1.1\r\n\r\n", "\u{a}\u{d}\u{d}\u{a}"])
    func `what is no capture is refused before the first packet`(content: String) {
        #expect(throws: CaptureFailure.self) { try CaptureReport(name: "none", bytes: Array(content.utf8)) }
    }

    @Test func `a missing file is named`() {
        do throws(CaptureFailure) {
            _ = try CaptureReport(path: "/nowhere/a.pcap")
            Issue.record("opened")
        } catch {
            #expect(error.packet == 0)
            #expect(error.reason.contains("/nowhere/a.pcap"))
        }
    }
}
