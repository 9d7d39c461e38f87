// One direction of a conversation through the parser that the proxies ship: captured bytes go into an `HTTP1Connection` in the role
// that would have received them, and its events become messages with times. The bytes are fed line by line and never beyond a
// counted body, so the exact byte where each message begins and ends is known without looking into the engine.

import Base
import HTTP

/// The bytes of one direction in order, handed out in small pieces.
struct StreamCursor {
    private let chunks: [TCPChunk]
    private var index = 0
    private var used = 0
    /// Where the next byte should stand; nil before the first one of a stream captured from the middle.
    private var expected: Int64?

    init(_ direction: TCPDirection) {
        chunks = direction.chunks
        expected = direction.hasSYN ? 0 : nil
    }

    /// Place of the next captured byte; nil at the end.
    var position: Int64? { index < chunks.count ? chunks[index].offset + Int64(used) : nil }
    /// Bytes missing before the next captured byte.
    var gapBytes: Int64 {
        guard let position, let expected else { return 0 }
        return max(0, position - expected)
    }
    var chunk: TCPChunk? { index < chunks.count ? chunks[index] : nil }
    /// The rest of the packet that comes next.
    var rest: ArraySlice<UInt8> { index < chunks.count ? chunks[index].bytes.dropFirst(used) : [] }
    /// All bytes not handed out yet. Unit: bytes.
    var bytesLeft: Int64 {
        var sum: Int64 = 0
        for i in index..<chunks.count { sum += Int64(chunks[i].bytes.count) }
        return sum - Int64(used)
    }

    /// The next run of bytes of one packet: up to and including a line feed, at most `limit`.
    mutating func take(limit: Int) -> ArraySlice<UInt8> {
        let rest = rest.prefix(max(1, limit))
        let piece = rest.firstIndex(of: 10).map { rest[rest.startIndex...$0] } ?? rest
        advance(piece.count)
        return piece
    }

    mutating func skipGap() { expected = position }

    /// Skips to the first packet from here on that begins with what `begins` accepts. False: there is none, and nothing is left.
    mutating func seek(_ begins: (ArraySlice<UInt8>) -> Bool) -> Bool {
        while index < chunks.count {
            if begins(rest) {
                expected = position
                return true
            }
            index += 1
            used = 0
        }
        return false
    }

    private mutating func advance(_ bytes: Int) {
        used += bytes
        if index < chunks.count {
            expected = chunks[index].offset + Int64(used)
            if used == chunks[index].bytes.count {
                index += 1
                used = 0
            }
        }
    }
}

/// Fields of a request that would make the engine wait for its body.
private let framing: [StaticString] = ["content-length", "transfer-encoding", "expect", "te", "trailer"]

/// Why no further message comes from a direction.
enum MessageStop {
    /// All captured bytes are used.
    case end
    /// Bytes are missing here; `seek` may find the next message.
    case gap(bytes: Int64, packet: Int)
    /// The parser refused; nothing after it can be trusted.
    case refused(PeerError, packet: Int)
}

/// A message being put together from engine events.
struct MessageParts {
    var first: Interval = .zero
    var last: Interval = .zero
    var packet = 0
    /// Place of the first byte in its direction.
    var offset: Int64 = 0
    var acknowledgement: UInt32?
    var bodyBytes = 0
    var body: [UInt8] = []

    mutating func append(_ bytes: RawSpan) {
        bodyBytes += bytes.byteCount
        let room = Limits.bodyBytesKeptMax - body.count
        if room > 0 { bytes.withUnsafeBytes { body += $0.prefix(room) } }
    }

    func message(_ headers: Headers, isComplete: Bool) -> CapturedMessage {
        CapturedMessage(firstByte: first, lastByte: last, packet: packet, headers: headers, bodyBytes: bodyBytes, body: body, isComplete: isComplete)
    }
}

/// Messages of one direction. A class because the engine it owns is not copyable and is replaced after a hole.
final class MessageReader {
    /// A message head with what of its body was captured.
    enum Item {
        case request(RequestHead, MessageParts, isComplete: Bool)
        case response(ResponseHead, MessageParts, isComplete: Bool, isFinal: Bool)
        case stop(MessageStop)
    }

    private(set) var cursor: StreamCursor
    private var engine: HTTP1Connection
    private let isClient: Bool
    /// The direction's sender said that nothing follows, by FIN or RST.
    private let hasEnd: Bool
    private var stream: HTTPStreamID?
    private var isEndTold = false
    /// Body bytes of the current message that its Content-Length still announces.
    private var remaining: Int64?
    private var open: (head: Head, parts: MessageParts)?
    private(set) var isTunnel = false

    private enum Head {
        case request(RequestHead)
        case response(ResponseHead)
    }

    /// `isServerBytes`: the direction carries responses, so the engine plays the client.
    init(_ direction: TCPDirection, isServerBytes: Bool) {
        cursor = StreamCursor(direction)
        isClient = isServerBytes
        engine = HTTP1Connection(role: isServerBytes ? .client : .server)
        hasEnd = direction.finOffset != nil || direction.isReset
    }

    /// A fresh parser: after a hole nothing that it knew holds any longer.
    func restart() {
        engine = HTTP1Connection(role: isClient ? .client : .server)
        stream = nil
        remaining = nil
        open = nil
    }

    /// Skips to the next packet that begins with a first line.
    func seek() -> Bool {
        restart()
        return cursor.seek(isClient ? looksLikeResponse : looksLikeRequest)
    }

    /// Tells the client engine what was asked, so that it knows how the answer is framed.
    func expect(_ head: RequestHead) throws(Refusal) {
        var asked = head
        for name in framing { asked.headers.removeAll(name) }
        stream = try engine.sendRequest(asked, endStream: true)
        discardOutput()
    }

    /// Tells the server engine what was answered, so that it goes on to the next request.
    func answer(_ head: ResponseHead) throws(Refusal) {
        guard let stream else { return }
        try engine.sendResponse(stream, head, endStream: true)
        discardOutput()
        self.stream = nil
    }

    /// The next message, or why there is none. An informational response is an item of its own.
    func next() -> Item {
        var parts = MessageParts()
        var hasBytes = false
        var lastPacket = 0
        while true {
            while let event = engine.nextEvent() {
                if let item = handle(event, &parts, packet: lastPacket) { return item }
            }
            discardOutput()
            if let position = cursor.position, cursor.gapBytes > 0 {
                if let item = flush(isComplete: false) { return item }
                // What is missing may be this very message.
                return .stop(.gap(bytes: cursor.gapBytes, packet: position >= 0 ? cursor.chunk?.packet ?? 0 : 0))
            }
            guard let chunk = cursor.chunk else {
                if hasEnd, !isEndTold {
                    isEndTold = true
                    engine.receiveEnd(now: Instant(nanoseconds: max(0, parts.last.nanoseconds)))
                    continue
                }
                if let item = flush(isComplete: false) { return item }
                return .stop(.end)
            }
            if !hasBytes {
                hasBytes = true
                parts.first = chunk.time
                parts.packet = chunk.packet
                parts.offset = cursor.position ?? 0
                parts.acknowledgement = chunk.acknowledgement
            }
            parts.last = chunk.time
            lastPacket = chunk.packet
            open?.parts.last = chunk.time
            let limit = remaining.map { Int(clamping: $0) } ?? Int.max
            let piece = cursor.take(limit: limit > 0 ? limit : Int.max)
            piece.withUnsafeBytes { engine.receive($0.bytes, now: Instant(nanoseconds: max(0, chunk.time.nanoseconds))) }
        }
    }

    private func handle(_ event: HTTPEvent, _ parts: inout MessageParts, packet: Int) -> Item? {
        switch event {
        case .request(let id, let head, let endStream):
            stream = id
            if endStream { return .request(head, parts, isComplete: true) }
            open = (.request(head), parts)
            remaining = contentLength(head.headers)
        case .response(_, let head, let endStream):
            if head.status < 200, head.status != 101 { return .response(head, parts, isComplete: true, isFinal: false) }
            if head.status == 101 { isTunnel = true }
            if endStream || head.status == 101 { return .response(head, parts, isComplete: true, isFinal: true) }
            open = (.response(head), parts)
            remaining = contentLength(head.headers)
        case .data(_, let bytes, let endStream):
            engine.withData { open?.parts.append($0) }
            remaining = remaining.map { max(0, $0 - Int64(bytes)) }
            if endStream { return flush(isComplete: true) }
        case .trailers:
            return flush(isComplete: true)
        case .upgraded:
            isTunnel = true
            return flush(isComplete: true)
        case .reset(_, let error), .failed(let error):
            if let item = flush(isComplete: false) {
                refusal = (error, packet)
                return item
            }
            return .stop(.refused(error, packet: packet))
        case .writable, .goAway:
            break
        }
        return nil
    }

    /// A refusal that came in the middle of a message, whose first part has been reported.
    private(set) var refusal: (error: PeerError, packet: Int)?

    private func flush(isComplete: Bool) -> Item? {
        guard let (head, parts) = open else { return nil }
        open = nil
        remaining = nil
        switch head {
        case .request(let head): return .request(head, parts, isComplete: isComplete)
        case .response(let head): return .response(head, parts, isComplete: isComplete, isFinal: true)
        }
    }

    private func discardOutput() {
        var sink = ByteBuffer()
        engine.drainOutput(into: &sink)
    }

    private func contentLength(_ headers: Headers) -> Int64? {
        guard headers.first("transfer-encoding") == nil else { return nil }
        return headers.first("content-length").flatMap { Int64($0) }
    }
}
