// Requests and answers of one connection, paired. In order, as HTTP/1.1 demands, while nothing is missing; where the capture begins
// in the middle or has a hole, a pair is made only on evidence: the request acknowledged exactly the bytes before the answer.
// What cannot be known stays apart: a request without answer, an answer without request.

import Base
import HTTP

struct ConversationReader {
    private let flow: CapturedFlow
    private let up: TCPDirection
    private let down: TCPDirection
    private let requests: MessageReader
    private let responses: MessageReader
    private var conversation: CapturedConversation
    /// Order does not tell which request the next answer belongs to.
    private var isAdrift: Bool
    private var areResponsesOver = false

    init(flow: CapturedFlow, index: Int, requests up: TCPDirection, responses down: TCPDirection) {
        self.flow = flow
        self.up = up
        self.down = down
        requests = MessageReader(up, isServerBytes: false)
        responses = MessageReader(down, isServerBytes: true)
        isAdrift = !up.hasSYN || !down.hasSYN
        conversation = CapturedConversation(
            flow: index, client: flow.client, server: flow.server, startsMidConnection: flow.startsMidConnection, exchanges: [], tunnelBytes: nil, problems: [])
    }

    /// nil: the connection does not speak HTTP/1.
    mutating func read() -> CapturedConversation? {
        guard !looksLikeHTTP2(up), isHTTP else { return nil }
        if !up.hasSYN, !requests.seek() { /* no request begins in what was captured */  }
        if !down.hasSYN, !responses.seek() { areResponsesOver = true }
        while conversation.exchanges.count < Limits.exchangesMax {
            if !readExchange() { break }
        }
        if conversation.exchanges.count >= Limits.exchangesMax { problem(0, "more than \(Limits.exchangesMax) exchanges; the rest was left out") }
        if conversation.tunnelBytes == nil {
            while conversation.exchanges.count < Limits.exchangesMax, readOrphan(before: nil) {}
        }
        return conversation
    }

    private var isHTTP: Bool {
        if startsRequest(up) || startsResponse(down) { return true }
        guard flow.startsMidConnection || flow.gaps > 0 else { return false }
        return up.chunks.contains { looksLikeRequest($0.bytes) } || down.chunks.contains { looksLikeResponse($0.bytes) }
    }

    private mutating func problem(_ packet: Int, _ what: String) { conversation.problems.append(CaptureProblem(packet: packet, what: what)) }

    /// Reads the next request and its answer. False: no further request can be read.
    private mutating func readExchange() -> Bool {
        switch requests.next() {
        case .response: return false
        case .stop(.end): return false
        case .stop(.refused(let error, let packet)):
            problem(packet, "request refused: \(error.rule)")
            return false
        case .stop(.gap(let bytes, let packet)):
            problem(packet, "\(bytes) bytes of the client are missing")
            isAdrift = true
            return requests.seek()
        case .request(let head, let parts, let isComplete):
            var exchange = CapturedExchange(
                request: CapturedRequest(head: head, method: methodText(head), target: targetText(head), message: parts.message(head.headers, isComplete: isComplete)),
                informational: [], response: nil, problems: [])
            if !isComplete { exchange.problems.append(requests.refusal.map { "request refused: \($0.error.rule)" } ?? "the request is not complete") }
            if isAdrift { find(answerTo: parts) }
            if !areResponsesOver, !isAdrift { readAnswer(to: head, parts, &exchange) }
            if exchange.response == nil, exchange.problems.isEmpty { exchange.problems.append("no answer was captured") }
            conversation.exchanges.append(exchange)
            if !isComplete {
                guard requests.refusal == nil, requests.cursor.gapBytes > 0 else { return false }
                problem(requests.cursor.chunk?.packet ?? 0, "\(requests.cursor.gapBytes) bytes of the client are missing")
                isAdrift = true
                return requests.seek()
            }
            return goOn(after: exchange, head)
        }
    }

    /// Lets the request parser go on; false if the connection stopped being HTTP.
    private mutating func goOn(after exchange: CapturedExchange, _ head: RequestHead) -> Bool {
        let isConnect = methodText(head) == "CONNECT"
        if let response = exchange.response, response.status == 101 || (isConnect && response.status / 100 == 2) {
            conversation.tunnelBytes = (requests.cursor.bytesLeft, responses.cursor.bytesLeft)
            return false
        }
        if isConnect, exchange.response == nil {
            problem(0, "CONNECT without a captured answer: what follows may be a tunnel")
            return false
        }
        do throws(Refusal) {
            var answer = ResponseHead(status: exchange.response?.status == 101 ? 200 : exchange.response?.status ?? 200)
            answer.headers.add("content-length", "0")
            try requests.answer(answer)
            return true
        } catch {
            // The parser holds the connection closed (Connection: close, or an answer before the request's end).
            if requests.cursor.position != nil { problem(requests.cursor.chunk?.packet ?? 0, "bytes after the last request of the connection: \(error.reason)") }
            return false
        }
    }

    /// Adrift: gives up answers that began before this request could have been sent; stops being adrift if the next one is its answer.
    private mutating func find(answerTo parts: MessageParts) {
        guard !areResponsesOver, let number = parts.acknowledgement, let acknowledged = down.offset(of: number) else { return }
        while !areResponsesOver, let position = responses.cursor.position, position < acknowledged {
            if !readOrphan(before: acknowledged) { return }
        }
        if responses.cursor.position == acknowledged { isAdrift = false }
    }

    private mutating func readAnswer(to head: RequestHead, _ parts: MessageParts, _ exchange: inout CapturedExchange) {
        do throws(Refusal) { try responses.expect(head) } catch {
            if responses.cursor.position != nil { exchange.problems.append("an answer after the connection's last: \(error.reason)") }
            areResponsesOver = true
            return
        }
        while true {
            switch responses.next() {
            case .request: return
            case .response(let head, let parts, let isComplete, let isFinal):
                let response = CapturedResponse(head: head, status: head.status, message: parts.message(head.headers, isComplete: isComplete))
                guard isFinal else {
                    exchange.informational.append(response)
                    continue
                }
                exchange.response = response
                if !isComplete { incomplete(&exchange) }
                return
            case .stop(let stop):
                stopped(stop, &exchange)
                return
            }
        }
    }

    private mutating func incomplete(_ exchange: inout CapturedExchange) {
        if let refusal = responses.refusal {
            exchange.problems.append("answer refused at packet \(refusal.packet): \(refusal.error.rule)")
            areResponsesOver = true
        } else if responses.cursor.gapBytes > 0 {
            stopped(.gap(bytes: responses.cursor.gapBytes, packet: responses.cursor.chunk?.packet ?? 0), &exchange)
        } else {
            exchange.problems.append("the answer is not complete")
            areResponsesOver = true
        }
    }

    private mutating func stopped(_ stop: MessageStop, _ exchange: inout CapturedExchange) {
        switch stop {
        case .end: areResponsesOver = true
        case .refused(let error, let packet):
            exchange.problems.append("answer refused at packet \(packet): \(error.rule)")
            areResponsesOver = true
        case .gap(let bytes, let packet):
            exchange.problems.append("\(bytes) bytes of the server are missing before packet \(packet)")
            isAdrift = true
            if !responses.seek() { areResponsesOver = true }
        }
    }

    /// Reads an answer whose request was not captured, as the answer to a GET. False: there is none before `limit`.
    private mutating func readOrphan(before limit: Int64?) -> Bool {
        guard !areResponsesOver, let position = responses.cursor.position, limit.map({ position < $0 }) ?? true else { return false }
        var exchange = CapturedExchange(request: nil, informational: [], response: nil, problems: ["the request was not captured"])
        readAnswer(to: RequestHead(method: .get, scheme: .http, authority: "unknown", path: "/"), MessageParts(), &exchange)
        guard exchange.response != nil || !exchange.informational.isEmpty else {
            for text in exchange.problems.dropFirst() { problem(0, text) }
            return !areResponsesOver
        }
        conversation.exchanges.append(exchange)
        return true
    }
}

private func methodText(_ head: RequestHead) -> String { "\(head.method)" }

private func targetText(_ head: RequestHead) -> String {
    methodText(head) == "CONNECT" ? "\(head.authority)" : head.isAbsoluteForm ? "\(head.scheme)://\(head.authority)\(head.path)" : "\(head.path)"
}
