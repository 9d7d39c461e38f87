// What an HTTP/1 connection writes. The engine alone decides about framing and connection options, from the head it is given: fields of
// that kind in the head are its material, not its text. Fields that came from an HTTP/1 peer leave as they came, in one copy a run.

import Base

extension HTTP1Connection {
    /// Client side. Refused while an exchange is open or the connection cannot be used again, and when the head cannot be said in HTTP/1.
    public func sendRequest(_ head: RequestHead, endStream: Bool) throws(Refusal) -> HTTPStreamID {
        guard role == .client else { throw Refusal("a server sends no request") }
        guard isReusable else { throw Refusal(closes || reading == .idle ? "the connection cannot be used again" : "an exchange is open") }
        if head.tunnelProtocol != nil { throw Refusal("HTTP/1 has no extended CONNECT") }
        let isConnect = head.method == .connect
        var facts = HTTP1SentFacts(dropsLength: isConnect)
        let bound = 192 + head.method.byteCount + 2 * head.authority.count + head.path.count + head.headers.bytesOnWire
        let isLast = isShuttingDown
        var out = HTTP1Writer(output.unsafeRoom(bound))
        try out.putRequestLine(head)
        out.put("host: ")
        out.put(text: head.authority)
        out.put("\r\n")
        try out.put(head.headers, &facts)
        if !isConnect {
            if facts.length == nil {
                if !endStream { out.put("transfer-encoding: chunked\r\n") } else if head.method.expectsContent { out.put("content-length: 0\r\n") }
            } else if endStream, facts.length != 0 {
                throw Refusal("the request announces a body and ends without one")
            }
        }
        if isLast { facts.closes = true }
        out.putConnection(facts, keepsAlive: false)
        out.put("\r\n")
        output.commit(out.count)
        stream &+= 1
        isHead = head.method == .head
        self.isConnect = isConnect
        asksUpgrade = facts.hasUpgrade
        closes = facts.closes
        informationals = 0
        reading = .head
        if endStream {
            writing = .complete
        } else if isConnect {
            writing = .bodiless(discards: false)
        } else {
            writing = facts.length.map { .counted($0) } ?? .chunked
        }
        return HTTPStreamID(rawValue: stream)
    }

    /// Server side; informational heads may precede the final one (and are left out for an HTTP/1.0 peer). The body's framing follows from
    /// the head: `content-length`, else chunked, else (HTTP/1.0 peer) until close.
    public func sendResponse(_ stream: HTTPStreamID, _ head: ResponseHead, endStream: Bool) throws(Refusal) {
        try check(stream)
        guard role == .server, writing == .head else { throw Refusal("no request waits for a response") }
        guard head.status >= 100, head.status <= 999 else { throw Refusal("a status is 100 to 999") }
        if head.isInformational, head.status != 101 {
            if endStream { throw Refusal("an informational response does not end the exchange") }
            if peerIs10 { return }
            var facts = HTTP1SentFacts(dropsLength: true)
            try writeResponse(head, &facts) { _, _ in }
            if head.status == 100 { awaitsContinue = false }
            return
        }
        if head.status == 101 || (isConnect && head.status / 100 == 2) {
            if head.status == 101, !asksUpgrade || reading != .complete { throw Refusal("101 answers a complete request that offered an upgrade") }
            var facts = HTTP1SentFacts(dropsLength: true)
            try writeResponse(head, &facts) { out, facts in out.putConnection(facts, keepsAlive: false) }
            reading = .tunnel
            writing = .tunnel
            return
        }
        let isBodiless = isHead || head.status == 204 || head.status == 304
        // A client that was not told to continue may or may not send its body (RFC 9110 section 10.1.1), and one whose CONNECT is refused
        // may already have sent into the tunnel: what comes next cannot be told apart from a request, so nothing comes next.
        let isLast = closes || isShuttingDown || isConnect || (awaitsContinue && reading != .complete)
        let keepsAlive = peerIs10
        let isUntilEnd = peerIs10 && !endStream && !isBodiless
        var facts = HTTP1SentFacts(dropsLength: head.status == 204)
        try writeResponse(head, &facts) { (out, facts) throws(Refusal) in
            if let length = facts.length {
                if endStream, !isBodiless, length != 0 { throw Refusal("the response announces a body and ends without one") }
            } else if !isBodiless {
                if endStream { out.put("content-length: 0\r\n") } else if isUntilEnd { facts.closes = true } else { out.put("transfer-encoding: chunked\r\n") }
            }
            if isLast { facts.closes = true }
            out.putConnection(facts, keepsAlive: keepsAlive)
        }
        closes = facts.closes
        if endStream {
            writing = .complete
            endExchangeIfComplete()
        } else if isBodiless {
            writing = .bodiless(discards: isHead)
        } else if let length = facts.length {
            writing = .counted(length)
        } else {
            writing = isUntilEnd ? .untilEnd : .chunked
        }
    }

    /// Body bytes, copied into the output. More or fewer than `content-length` announced are refused, and the connection is not used again.
    /// In a tunnel the bytes leave as they are.
    public func sendData(_ stream: HTTPStreamID, _ bytes: RawSpan, endStream: Bool) throws(Refusal) {
        try check(stream)
        let count = bytes.byteCount
        switch writing {
        case .counted(let left):
            guard Int64(count) <= left, !endStream || Int64(count) == left else {
                writing = .failed
                closes = true
                throw Refusal("the body differs from its Content-Length")
            }
            output.append(bytes)
            writing = .counted(left - Int64(count))
        case .chunked:
            if count > 0 {
                output.reserve(count + 32)
                appendChunkSize(count)
                output.append(bytes)
                output.append("\r\n")
            }
            if endStream { output.append("0\r\n\r\n") }
        case .untilEnd:
            output.append(bytes)
        case .bodiless(let discards):
            if count > 0, !discards { throw Refusal("the message has no body") }
        case .tunnel:
            output.append(bytes)
            return
        case .idle, .head: throw Refusal("no message is being sent")
        case .complete: throw Refusal("the message is complete")
        case .failed: throw Refusal("the connection has failed")
        }
        if endStream {
            writing = .complete
            endExchangeIfComplete()
        }
    }

    /// Ends the message. Trailers are sent behind a chunked body only; other framings have no place for them and drop them
    /// (RFC 9110 section 6.5).
    public func sendTrailers(_ stream: HTTPStreamID, _ trailers: Headers) throws(Refusal) {
        try check(stream)
        guard writing == .chunked else {
            if writing == .tunnel { throw Refusal("a tunnel has no trailers") }
            return try sendData(stream, RawSpan(), endStream: true)
        }
        var out = HTTP1Writer(output.unsafeRoom(8 + trailers.bytesOnWire))
        out.put("0\r\n")
        try out.put(trailers: trailers)
        out.put("\r\n")
        output.commit(out.count)
        writing = .complete
        endExchangeIfComplete()
    }

    /// What a server says by itself to a peer that broke a rule.
    func writeErrorResponse(_ status: UInt16) {
        output.append("HTTP/1.1 ")
        output.append(decimal: UInt64(status))
        output.append(" ")
        output.append(reasonPhrase(status))
        output.append("\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    }

    private func check(_ stream: HTTPStreamID) throws(Refusal) {
        guard stream.rawValue == self.stream, writing != .failed else { throw Refusal(writing == .failed ? "the connection has failed" : "the exchange is over") }
    }

    @inline(__always)
    private func writeResponse(_ head: ResponseHead, _ facts: inout HTTP1SentFacts, _ framing: (inout HTTP1Writer, inout HTTP1SentFacts) throws(Refusal) -> Void) throws(Refusal) {
        var out = HTTP1Writer(output.unsafeRoom(192 + head.reason.count + head.headers.bytesOnWire))
        try out.putStatusLine(head)
        try out.put(head.headers, &facts)
        try framing(&out, &facts)
        out.put("\r\n")
        output.commit(out.count)
    }

    private func appendChunkSize(_ count: Int) {
        var digits: UInt64 = 0
        var length = 0
        var rest = count
        repeat {
            let digit = UInt64(rest & 15)
            digits = digits << 8 | (digit < 10 ? 48 + digit : 87 + digit)
            length += 1
            rest >>= 4
        } while rest > 0 && length < 8
        invariant(rest == 0, "one call sends less than 4 GiB")
        withUnsafeBytes(of: digits.littleEndian) { output.append(UnsafeRawBufferPointer(rebasing: $0[0..<length])) }
        output.append("\r\n")
    }
}
