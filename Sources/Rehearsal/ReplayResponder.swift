// The captured server, answering again: it reads requests with the shipping engine, finds the answer by the tag that the caller set,
// and gives it with the captured head and body. A request whose answer the capture does not hold gets 504, one without a known
// tag 421; both say so in `x-weft-replay`. It never closes first: who closes is the mesh's and the caller's affair.

import Base
import Capture
import HTTP
import Platform

/// Answers for every captured server at one address.
public final class ReplayResponder: AcceptHandler {
    /// By request id less one; nil where the capture holds no answer.
    private let answers: [CapturedResponse?]
    /// Times each request was answered, by id less one: more than once is a duplicate that the mesh made.
    public private(set) var answered: [Int]
    /// Requests that came without a known tag.
    public private(set) var strangers = 0
    private var listener: (any Listener)?

    public init(plan: ReplayPlan) {
        var answers = [CapturedResponse?](repeating: nil, count: plan.requestCount)
        for request in plan.conversations.flatMap(\.requests) { answers[request.id - 1] = request.response }
        self.answers = answers
        answered = [Int](repeating: 0, count: answers.count)
    }

    /// Listens; port 0 lets the host choose.
    public func listen(on address: SocketAddress, host: any Host) throws(HostFailure) -> SocketAddress {
        let listener = try host.network.listen(on: address, options: ListenOptions(), handler: self)
        self.listener = listener
        return listener.address
    }

    public func close() {
        listener?.close()
        listener = nil
    }

    public func accepted(_ connection: any Connection) { connection.handler = ReplayResponderConnection(self) }

    /// The answer to a tagged request.
    fileprivate func answer(to tag: String?, isHEAD: Bool) -> (head: ResponseHead, body: [UInt8]) {
        guard let tag, let id = Int(tag), id >= 1, id <= answers.count else {
            strangers += 1
            return plain(421, "the request carries no known x-weft-replay-id")
        }
        answered[id - 1] += 1
        guard let response = answers[id - 1] else { return plain(504, "the capture holds no answer to this request") }
        let hasBody = !isHEAD && response.status != 204 && response.status != 304 && response.status != 101
        let body = hasBody ? replayBody(response.message) : []
        return (replayHead(response, isHEAD: isHEAD, bodyBytes: body.count), body)
    }

    private func plain(_ status: UInt16, _ why: String) -> (ResponseHead, [UInt8]) {
        var head = ResponseHead(status: status)
        head.headers.add("x-weft-replay", why)
        head.headers.add("content-length", "0")
        return (head, [])
    }
}

private final class ReplayResponderConnection: ConnectionHandler {
    private let responder: ReplayResponder
    private var engine = HTTP1Connection(role: .server)
    private var current: (stream: HTTPStreamID, tag: String?, isHEAD: Bool, isCONNECT: Bool)?
    private var isTunnel = false
    private var output = ByteBuffer()

    init(_ responder: ReplayResponder) { self.responder = responder }

    func received(_ bytes: RawSpan, on connection: any Connection) {
        guard !isTunnel else { return }
        engine.receive(bytes, now: .zero)
        pump(connection)
    }

    func finished(_ connection: any Connection) {
        if !isTunnel {
            engine.receiveEnd(now: .zero)
            pump(connection)
        }
        connection.close()
    }

    func closed(_ connection: any Connection, _ failure: HostFailure?) {}

    private func pump(_ connection: any Connection) {
        while let event = engine.nextEvent() {
            switch event {
            case .request(let stream, let head, let endStream):
                current = (stream, head.headers.first(replayIDHeader), head.method == .head, head.method == .connect)
                if endStream || head.method == .connect { answer() }
            case .data(_, _, let endStream): if endStream { answer() }
            case .trailers: answer()
            case .upgraded: isTunnel = true
            case .failed:
                flush(connection)
                connection.close()
                return
            case .reset: current = nil
            case .response, .writable, .goAway: break
            }
        }
        flush(connection)
    }

    private func answer() {
        guard let asked = current else { return }
        current = nil
        let (head, body) = responder.answer(to: asked.tag, isHEAD: asked.isHEAD)
        // A refusal here means that the peer is gone: there is nobody left to tell.
        do throws(Refusal) {
            try engine.sendResponse(asked.stream, head, endStream: body.isEmpty)
            if !body.isEmpty { try engine.sendData(asked.stream, body.span.bytes, endStream: true) }
        } catch { return }
    }

    private func flush(_ connection: any Connection) {
        engine.drainOutput(into: &output)
        if !output.isEmpty { output.withBytes { connection.send($0) } }
        output.release()
    }
}
