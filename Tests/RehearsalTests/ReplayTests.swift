// Captures of the shared fixtures said again: each request meets the answer that the capture holds, and what the capture lacks is
// shown as lacking. The counts are checked one capture at a time, so that a change in reading or replaying shows where.

import Base
import Capture
import Foundation
import Platform
import Testing

@testable import Rehearsal

private let pcaps: String? = {
    let tree = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let root = ProcessInfo.processInfo.environment["WEFT_FIXTURES"] ?? tree.deletingLastPathComponent().appendingPathComponent("shared/fixtures").path
    return FileManager.default.fileExists(atPath: root + "/pcaps/INDEX.tsv") ? root + "/pcaps" : nil
}()

/// Caller and responder face to face.
private func replayDirectly(_ plan: ReplayPlan, listens: Bool = true) throws -> (ReplayReport, ReplayResponder, LoopHost) {
    let host = LoopHost()
    let address = SocketAddress(.loopback, 80)
    let responder = ReplayResponder(plan: plan)
    if listens { _ = try responder.listen(on: address, host: host) }
    var done = 0
    let callers = plan.conversations.filter { !$0.requests.isEmpty }.map { ReplayCaller(host: host, address: address, requests: $0.requests, start: .zero) { done += 1 } }
    for caller in callers { caller.begin() }
    host.run()
    #expect(done == callers.count)
    return (ReplayReport(plan: plan, answers: callers.flatMap(\.answers)), responder, host)
}

@Suite struct `Replay of the corpus` {
    struct Case: CustomTestStringConvertible, Sendable {
        var file: String
        /// Statuses of the capture, in the plan's order; 0 where it holds none.
        var then: [UInt16]
        var testDescription: String { file }
    }

    static let cases: [Case] = [
        Case(file: "http1/zeek__pipelined-requests.pcap", then: [200, 200, 200, 200, 200]),
        Case(file: "http1/zeek__100-continue.pcap", then: [200]),
        Case(file: "http1/scapy__http_head.pcapng", then: [301]),
        Case(file: "http1/scapy__http_content_length.pcap", then: [200, 204]),
        Case(file: "http1/pcapplusplus__three_http_streams.pcap", then: [200, 200, 200]),
        Case(file: "http1/pcapplusplus__one_http_stream_rst.pcap", then: [503]),
        Case(file: "http1/pcapplusplus__frag_http_req.pcap", then: [0]),
        Case(file: "http1/ndpi__http_auth.pcap", then: [401]),
        Case(file: "http1/zeek__byteranges.pcap", then: [206]),
        Case(file: "http1/suricata__http-ipv6.pcap", then: [200]),
        Case(file: "linktype/zeek__http-vlan-0.pcap", then: [200]),
        Case(file: "tcp-edge/zeek__tcp--handshake-reorder.pcap", then: [200]),
        Case(file: "websocket/zeek__websocket.pcap", then: [101]),
    ]

    @Test(arguments: cases) func `every request meets its captured answer`(_ expected: Case) throws {
        let plan = ReplayPlan(try CaptureReport(path: try #require(pcaps) + "/" + expected.file))
        #expect(plan.conversations.flatMap(\.requests).map { $0.statusThen ?? 0 } == expected.then)
        let (report, responder, host) = try replayDirectly(plan)
        #expect(report.answers.map { $0.status ?? 0 } == expected.then.map { $0 == 0 ? 504 : $0 })
        #expect(responder.answered == [Int](repeating: 1, count: expected.then.count))
        #expect(responder.strangers == 0)
        #expect(host.surprises == [])
        for request in plan.conversations.flatMap(\.requests) where request.method != "HEAD" && request.statusThen != 101 {
            if let then = request.response?.message.bodyBytes { #expect(report.answer(to: request).bodyBytes == then) }
        }
    }

    @Test func `a thousand requests with one lost answer differ in that one only`() throws {
        let plan = ReplayPlan(try CaptureReport(path: try #require(pcaps) + "/http1/zeek__1000-requests-one-dropped-response.pcap"))
        let (report, _, _) = try replayDirectly(plan)
        #expect(report.tally == (alike: 999, different: 0, unknown: 1))
        #expect(report.answers[0].status == 504)
    }

    @Test func `the same capture prints the same bytes`() throws {
        let path = try #require(pcaps) + "/http1/zeek__pipelined-requests.pcap"
        let (first, _, _) = try replayDirectly(ReplayPlan(CaptureReport(path: path)))
        let (second, _, _) = try replayDirectly(ReplayPlan(CaptureReport(path: path)))
        #expect(first.text == second.text)
        #expect(first.json == second.json)
    }

    @Test func `the JSON object has the promised fields`() throws {
        let (report, _, _) = try replayDirectly(ReplayPlan(CaptureReport(path: try #require(pcaps) + "/http1/zeek__1000-requests-one-dropped-response.pcap")))
        let object = try #require(try JSONSerialization.jsonObject(with: Data(report.json.utf8)) as? [String: Any])
        #expect((object["file"] as? String)?.hasSuffix("dropped-response.pcap") == true)
        #expect(object["packets"] as? Int == 4102)
        #expect(object["flows"] as? Int == 1)
        let requests = try #require(object["requests"] as? [[String: Any]])
        #expect(requests.count == 1000)
        #expect(requests[0]["method"] as? String == "GET")
        #expect(requests[0]["target"] as? String == "/")
        #expect(requests[0]["statusThen"] is NSNull)
        #expect(requests[0]["statusNow"] as? Int == 504)
        #expect(requests[1]["statusThen"] as? Int == 200)
        #expect(requests[1]["time"] is Double)
    }

    @Test func `where nobody listens each request says why it has no answer`() throws {
        let plan = ReplayPlan(try CaptureReport(path: try #require(pcaps) + "/http1/zeek__pipelined-requests.pcap"))
        let (report, _, _) = try replayDirectly(plan, listens: false)
        #expect(report.answers.allSatisfy { $0.status == nil && $0.problem?.contains("connection refused") == true })
        #expect(report.tally.different == 5)
    }

    @Test func `a damaged file is replayed up to the damage and says where it is`() throws {
        var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: try #require(pcaps) + "/http1/zeek__pipelined-requests.pcap")))
        bytes.removeLast(5)
        let (report, _, _) = try replayDirectly(ReplayPlan(CaptureReport(name: "short.pcap", bytes: bytes)))
        #expect(report.plan.packets == 48)
        #expect(report.text.contains("damaged at packet 49: truncated dump file"))
        #expect(report.answers.count == 5)
    }
}

@Suite struct `Replay output` {
    @Test func `captured control characters do not reach the terminal`() { #expect(printable("a\u{1b}[31m\u{85}é") == "a\\x1b[31m\\x85é") }

    @Test func `an empty plan is a report without requests`() {
        let capture = CaptureReport(
            file: "a\"b.pcap", packets: 0, bytes: 0, linkType: "EN10MB", start: nil, duration: .zero, flows: [], conversations: [], packetsNotTCP: 0,
            packetsMalformed: 0, problems: [], damage: CaptureFailure(packet: 1, reason: "cut\n"))
        let report = ReplayReport(plan: ReplayPlan(capture), answers: [])
        #expect(
            report.json
                == #"{"file":"a\"b.pcap","packets":0,"flows":0,"linkType":"EN10MB","answersWithoutRequest":0,"damage":{"packet":1,"reason":"cut\u000a"},"requests":[]}"#)
        #expect(report.text.hasSuffix("damaged at packet 1: cut\\x0a; used the 0 packets before it, 0 requests in them\n"))
    }
}
