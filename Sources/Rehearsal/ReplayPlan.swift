// What of a capture will be said again: client conversations with their requests at their times, and the answer that the capture
// knows for each. Pure: the same report gives the same plan. Answers without a request cannot be asked for again and are only counted.

import Base
import Capture
import HTTP

/// One captured request, ready to be sent again.
public struct ReplayRequest: Sendable {
    /// Names the request in the whole rehearsal; travels in `x-weft-replay-id` and tells the responder which answer to give.
    public var id: Int
    /// When its first byte was captured, since the capture's first packet.
    public var time: Interval
    /// When it is sent again, since the rehearsal's start: `time`, with pauses over `Limits.pauseMax` shortened.
    public var sendTime: Interval
    public var request: CapturedRequest
    /// nil: the capture holds no final answer.
    public var response: CapturedResponse?
    /// What was wrong with the exchange in the capture.
    public var problems: [String]

    public var method: String { request.method }
    public var target: String { request.target }
    /// Not inlined: Swift 6.3.1 crashes in its copy propagation where it is.
    @inline(never)
    public var statusThen: UInt16? { response?.status }
}

/// The requests of one captured connection, in order.
public struct ReplayConversation: Sendable {
    public var client: SocketAddress
    public var server: SocketAddress
    public var requests: [ReplayRequest]
    public var problems: [CaptureProblem]
}

/// All that is said again.
public struct ReplayPlan: Sendable {
    public var file: String
    public var packets: Int
    public var flows: Int
    public var linkType: String
    public var conversations: [ReplayConversation]
    /// Answers in the capture whose requests are not in it.
    public var answersWithoutRequest: Int
    /// Requests beyond `Limits.requestsMax`.
    public var requestsLeftOut: Int
    public var pausesShortened: Int
    public var damage: CaptureFailure?

    public init(_ report: CaptureReport) {
        file = report.file
        packets = report.packets
        flows = report.flows.count
        linkType = report.linkType
        damage = report.damage
        conversations = []
        answersWithoutRequest = 0
        requestsLeftOut = 0
        pausesShortened = 0
        var count = 0
        for captured in report.conversations {
            var conversation = ReplayConversation(client: captured.client, server: captured.server, requests: [], problems: captured.problems)
            for exchange in captured.exchanges {
                guard let request = exchange.request else {
                    answersWithoutRequest += 1
                    continue
                }
                guard count < Limits.requestsMax else {
                    requestsLeftOut += 1
                    continue
                }
                count += 1
                conversation.requests.append(
                    ReplayRequest(id: count, time: exchange.time, sendTime: exchange.time, request: request, response: exchange.response, problems: exchange.problems))
            }
            if !conversation.requests.isEmpty || !conversation.problems.isEmpty { conversations.append(conversation) }
        }
        shortenPauses()
    }

    public var requestCount: Int { conversations.reduce(0) { $0 + $1.requests.count } }

    /// Requests of all conversations by time; equal times in the capture's order.
    public var requests: [ReplayRequest] {
        conversations.flatMap(\.requests).sorted { ($0.time, $0.id) < ($1.time, $1.id) }
    }

    /// Long silences of the whole capture are cut for everybody alike, so that the order of all requests stays.
    private mutating func shortenPauses() {
        var cut = Interval.zero
        var last = Interval.zero
        var times: [(id: Int, time: Interval)] = []
        for request in requests {
            let pause = request.time - last
            if pause > Limits.pauseMax {
                cut = cut + (pause - Limits.pauseMax)
                pausesShortened += 1
            }
            last = request.time
            times.append((request.id, request.time - cut))
        }
        var byID = [Interval](repeating: .zero, count: times.count + 1)
        for (id, time) in times { byID[id] = max(time, .zero) }
        for c in conversations.indices {
            for r in conversations[c].requests.indices { conversations[c].requests[r].sendTime = byID[conversations[c].requests[r].id] }
        }
    }
}
