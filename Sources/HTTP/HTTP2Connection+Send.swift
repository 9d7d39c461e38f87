// What the owner asks for: heads, bodies, trailers, resets, the end. Refused is what the state of the stream or the connection
// does not allow; nothing is half done then.

import Base

extension HTTP2Connection {
    /// Client side. Refused when no stream is free, after GOAWAY, or after a failure.
    public func sendRequest(_ head: RequestHead, endStream: Bool) throws(Refusal) -> HTTPStreamID {
        guard role == .client else { throw Refusal("a server sends no requests") }
        guard isReusable else { throw Refusal(refusalOfStream()) }
        if head.tunnelProtocol != nil, !peerAllowsExtendedConnect { throw Refusal("the peer has not offered extended CONNECT (RFC 8441 section 3)") }
        if head.method == .connect, head.authority.isEmpty { throw Refusal("CONNECT needs an authority (RFC 9113 section 8.5)") }
        try checkListSize(head.headers)
        let id = nextStreamID
        nextStreamID += 2
        var stream = HTTP2Stream(id: id, state: endStream ? .halfClosedLocal : .open, sendWindow: peerStreamWindow, receiveWindow: streamReceiveWindow)
        stream.isHeadSent = true
        stream.isLocalDone = endStream
        stream.isHeadRequest = head.method == .head
        stream.isTunnel = head.method == .connect
        _ = streams.insert(stream)
        streamsOpen += 1
        controlBudget.give(limits.controlFramesPerWork)
        writeHead(id, head, endStream: endStream)
        return HTTPStreamID(rawValue: id)
    }

    /// Server side; informational heads may precede the final one.
    public func sendResponse(_ stream: HTTPStreamID, _ head: ResponseHead, endStream: Bool) throws(Refusal) {
        guard role == .server else { throw Refusal("a client sends no responses") }
        let slot = try sendable(stream)
        guard !streams[slot].isHeadSent else { throw Refusal("the response head is out") }
        guard head.status >= 100, head.status <= 999, head.status != 101 else { throw Refusal("status \(head.status) cannot be sent on HTTP/2 (RFC 9113 section 8.6)") }
        if head.isInformational, endStream { throw Refusal("an informational head cannot end the stream (RFC 9113 section 8.1)") }
        try checkListSize(head.headers)
        writeHead(stream.rawValue, head, endStream: endStream)
        if head.isInformational { return }
        streams[slot].isHeadSent = true
        if endStream {
            streams[slot].isLocalDone = true
            endLocal(slot)
        }
    }

    /// Sends within the windows; what does not fit is queued in order (`bytesQueued`). Refused when more than `HTTPLimits.streamQueueBytesMax` would wait.
    public func sendData(_ stream: HTTPStreamID, _ bytes: RawSpan, endStream: Bool) throws(Refusal) {
        let slot = try sendable(stream)
        guard streams[slot].isHeadSent else { throw Refusal("the head must precede the body") }
        if bytes.byteCount == 0, !endStream { return }
        guard bytes.byteCount + (streams.queue(slot)?.bytes.count ?? 0) <= limits.streamQueueBytesMax else { throw Refusal("too many bytes wait on the stream (streamQueueBytesMax)") }
        if endStream { streams[slot].isLocalDone = true }
        bytes.withUnsafeBytes { send(slot, $0, endStream: endStream) }
    }

    public func sendTrailers(_ stream: HTTPStreamID, _ trailers: Headers) throws(Refusal) {
        let slot = try sendable(stream)
        guard streams[slot].isHeadSent else { throw Refusal("the head must precede the trailers") }
        guard !streams[slot].isTunnel || role == .server else { throw Refusal("a tunnel has no trailers (RFC 9113 section 8.5)") }
        try checkListSize(trailers)
        streams[slot].isLocalDone = true
        if let queue = streams.queue(slot) {
            queue.trailers = trailers
            return
        }
        writeHead(stream.rawValue, trailers: trailers)
        endLocal(slot)
    }

    /// RST_STREAM; nothing more is told of the stream, and its unacknowledged bytes are given back. Harmless on one that is over.
    public func reset(_ stream: HTTPStreamID, code: UInt32) {
        let slot = streams.find(stream.rawValue)
        guard slot >= 0 else { return }
        if streams[slot].state != .closed {
            writeReset(stream.rawValue, code)
            forget(stream.rawValue, .resetByUs)
        } else {
            acknowledge(stream, bytes: streams[slot].unacknowledged)
        }
    }

    /// Graceful GOAWAY: open streams go on, no new ones. A server first says GOAWAY with the highest id and a PING; streams that were on
    /// their way when the peer answers are still taken, and then the final GOAWAY names the last one (RFC 9113 section 6.8).
    /// The owner closes the connection once `isDrained`.
    public func shutdown(now: Instant) {
        self.now = now
        guard !hasFailed, !isShuttingDown else { return }
        if role == .client {
            shutdownState = .final(last: 0)
            return writeGoAway(last: 0, code: HTTP2ErrorCode.noError)
        }
        shutdownState = .announced(since: now)
        writeGoAway(last: 0x7fff_ffff, code: HTTP2ErrorCode.noError)
        writePing(Self.drainPing, isAnswer: false)
    }

    // MARK: Inside

    private func refusalOfStream() -> String {
        if hasFailed { return "the connection has failed" }
        if goAwayLast != nil { return "the peer goes away" }
        if isShuttingDown { return "the connection is shut down" }
        if hasInputEnded { return "the peer has closed the connection" }
        if nextStreamID > 0x7fff_ffff { return "stream ids are used up" }
        return "the peer allows \(peerStreamsMax) streams at once"
    }

    private func sendable(_ stream: HTTPStreamID) throws(Refusal) -> Int {
        let slot = streams.find(stream.rawValue)
        guard slot >= 0, streams[slot].isLocalOpen, !streams[slot].isLocalDone else { throw Refusal(hasFailed ? "the connection has failed" : "our side of the stream is over") }
        return slot
    }

    /// The peer's SETTINGS_MAX_HEADER_LIST_SIZE; pseudo-headers are left out of the count.
    private func checkListSize(_ headers: Headers) throws(Refusal) {
        if headers.storage.count + headers.count * 32 <= peerHeaderListBytes { return }
        throw Refusal("the peer takes header lists of \(peerHeaderListBytes) bytes (RFC 9113 section 6.5.2)")
    }

    // MARK: Header blocks

    func writeHead(_ id: UInt32, _ head: RequestHead, endStream: Bool) {
        let method = head.method.description
        let protocolName = head.tunnelProtocol ?? ""
        let text = method.utf8.count + head.authority.count + head.path.count + protocolName.utf8.count + 5 * 32
        writeBlock(id, endStream: endStream, bytesMax: text + Self.bytesMax(head.headers)) { at in
            var at = encoder.begin(at)
            switch head.method {
            case .get: at = encoder.write(at, staticIndex: 2)
            case .post: at = encoder.write(at, staticIndex: 3)
            default: at = write(at, ":method", method)
            }
            if head.method != .connect || head.tunnelProtocol != nil {
                at = encoder.write(at, staticIndex: head.scheme == .http ? 6 : 7)
                at = head.path.withUnsafeBytes { path in
                    if path.isEmpty || path.count == 1 && path[0] == UInt8(ascii: "/") { return encoder.write(at, staticIndex: 4) }
                    return write(at, ":path", path)
                }
            }
            if !head.authority.isEmpty { at = head.authority.withUnsafeBytes { write(at, ":authority", $0) } }
            if head.tunnelProtocol != nil { at = write(at, ":protocol", protocolName) }
            return write(at, head.headers, keepsHost: head.authority.isEmpty)
        }
    }

    func writeHead(_ id: UInt32, _ head: ResponseHead, endStream: Bool) {
        writeBlock(id, endStream: endStream, bytesMax: 64 + Self.bytesMax(head.headers)) { at in
            var at = encoder.begin(at)
            switch head.status {
            case 200: at = encoder.write(at, staticIndex: 8)
            case 204: at = encoder.write(at, staticIndex: 9)
            case 206: at = encoder.write(at, staticIndex: 10)
            case 304: at = encoder.write(at, staticIndex: 11)
            case 400: at = encoder.write(at, staticIndex: 12)
            case 404: at = encoder.write(at, staticIndex: 13)
            case 500: at = encoder.write(at, staticIndex: 14)
            default: at = write(at, ":status", String(head.status))
            }
            return write(at, head.headers, keepsHost: true)
        }
    }

    func writeHead(_ id: UInt32, trailers: Headers) {
        writeBlock(id, endStream: true, bytesMax: Self.bytesMax(trailers)) { at in write(encoder.begin(at), trailers, keepsHost: true) }
    }

    private static func bytesMax(_ headers: Headers) -> Int { HPACKEncoder.prefixBytesMax + headers.storage.count + headers.count * HPACKEncoder.bytesMax(name: 0, value: 0) }

    /// HEADERS, and CONTINUATION where the block is longer than a frame.
    @inline(__always)
    private func writeBlock(_ id: UInt32, endStream: Bool, bytesMax: Int, _ body: (UnsafeMutableRawPointer) -> UnsafeMutableRawPointer) {
        let frameBytes = peerFrameBytes
        output.fill(reserving: bytesMax + (bytesMax / frameBytes + 1) * HTTP2Frame.headerBytes) { raw in
            let start = raw.baseAddress.unsafelyUnwrapped
            let end = body(start + HTTP2Frame.headerBytes)
            let count = UnsafeRawPointer(end) - UnsafeRawPointer(start) - HTTP2Frame.headerBytes
            let endFlag = endStream ? HTTP2Flag.endStream : 0
            if count <= frameBytes {
                writeFrameHeader(start, length: count, type: HTTP2FrameType.headers, flags: HTTP2Flag.endHeaders | endFlag, stream: id)
                unpaced.wrote(count + HTTP2Frame.headerBytes, isPaced: false)
                return count + HTTP2Frame.headerBytes
            }
            return splitBlock(start, count, frameBytes: frameBytes, id, endFlag)
        }
    }

    /// Moves the pieces of a long block apart, the last one first, and puts frame headers between them.
    @inline(never)
    private func splitBlock(_ start: UnsafeMutableRawPointer, _ count: Int, frameBytes: Int, _ id: UInt32, _ endFlag: UInt8) -> Int {
        let pieces = (count + frameBytes - 1) / frameBytes
        for piece in (0..<pieces).reversed() {
            let length = min(frameBytes, count - piece * frameBytes)
            let target = start + piece * (frameBytes + HTTP2Frame.headerBytes)
            (target + HTTP2Frame.headerBytes).copyMemory(from: start + HTTP2Frame.headerBytes + piece * frameBytes, byteCount: length)
            writeFrameHeader(
                target, length: length, type: piece == 0 ? HTTP2FrameType.headers : HTTP2FrameType.continuation,
                flags: (piece == pieces - 1 ? HTTP2Flag.endHeaders : 0) | (piece == 0 ? endFlag : 0), stream: id)
        }
        unpaced.wrote(count + pieces * HTTP2Frame.headerBytes, isPaced: false)
        return count + pieces * HTTP2Frame.headerBytes
    }

    private func write(_ at: UnsafeMutableRawPointer, _ name: StaticString, _ value: String) -> UnsafeMutableRawPointer {
        var value = value
        return value.withUTF8 { write(at, name, UnsafeRawBufferPointer($0)) }
    }

    @inline(__always)
    private func write(_ at: UnsafeMutableRawPointer, _ name: StaticString, _ value: UnsafeRawBufferPointer) -> UnsafeMutableRawPointer {
        encoder.write(
            at, name: UnsafeRawPointer(name.utf8Start), name.utf8CodeUnitCount, value: value.baseAddress ?? UnsafeRawPointer(name.utf8Start), value.count, known: .other, isSensitive: false)
    }

    /// The regular fields: names in lower case, without what belongs to a single HTTP/1 connection (RFC 9113 section 8.2.2).
    @inline(__always)
    private func write(_ start: UnsafeMutableRawPointer, _ headers: Headers, keepsHost: Bool) -> UnsafeMutableRawPointer {
        var at = start
        var hasConnection = false
        for field in headers.fields where field.known == .connection { hasConnection = true }
        headers.storage.withUnsafeBytes { storage in
            guard let base = storage.baseAddress else { return }
            for field in headers.fields {
                at = write(at, field, base, in: headers, keepsHost: keepsHost, hasConnection: hasConnection)
            }
        }
        return at
    }

    @inline(__always)
    private func write(_ at: UnsafeMutableRawPointer, _ field: Headers.Field, _ base: UnsafeRawPointer, in headers: Headers, keepsHost: Bool, hasConnection: Bool) -> UnsafeMutableRawPointer {
        var name = base + Int(field.nameStart)
        let nameCount = Int(field.nameCount)
        var value = base + Int(field.valueStart)
        var valueCount = Int(field.valueCount)
        if field.known != .other {
            switch field.known {
            case .connection, .keepAlive, .proxyConnection, .transferEncoding, .upgrade, .http2Settings: return at
            case .host where !keepsHost: return at
            case .te:
                guard hasElement(UnsafeRawBufferPointer(start: value, count: valueCount), "trailers") else { return at }
                value = UnsafeRawPointer(("trailers" as StaticString).utf8Start)
                valueCount = 8
            default: break
            }
            name = UnsafeRawPointer(field.known.text.utf8Start)
        } else if hasUppercase(name, nameCount) {
            return writeLowercased(at, field, base, in: headers)
        }
        if hasConnection, field.known == .other, isNominated(name, nameCount, in: headers) { return at }
        return encoder.write(at, name: name, nameCount, value: value, valueCount, known: field.known, isSensitive: field.isSensitive)
    }

    @inline(never)
    private func writeLowercased(_ at: UnsafeMutableRawPointer, _ field: Headers.Field, _ base: UnsafeRawPointer, in headers: Headers) -> UnsafeMutableRawPointer {
        lowercaseScratch.removeAll(keepingCapacity: true)
        for i in 0..<Int(field.nameCount) { lowercaseScratch.append(lowercased(base.load(fromByteOffset: Int(field.nameStart) + i, as: UInt8.self))) }
        return lowercaseScratch.withUnsafeBytes { name in
            let start = name.baseAddress.unsafelyUnwrapped
            if isNominated(start, name.count, in: headers) { return at }
            return encoder.write(
                at, name: start, name.count, value: base + Int(field.valueStart), Int(field.valueCount), known: .other, isSensitive: field.isSensitive)
        }
    }

    /// A Connection field names this one, which thereby belongs to the connection it came on (RFC 9110 section 7.6.1).
    private func isNominated(_ name: UnsafeRawPointer, _ count: Int, in headers: Headers) -> Bool {
        for i in headers.fields.indices where headers.fields[i].known == .connection {
            if headers.withField(at: i, { _, value in hasElement(value, UnsafeRawBufferPointer(start: name, count: count)) }) { return true }
        }
        return false
    }

    private func hasElement(_ list: UnsafeRawBufferPointer, _ element: StaticString) -> Bool {
        hasElement(list, UnsafeRawBufferPointer(start: element.utf8Start, count: element.utf8CodeUnitCount))
    }

    /// A comma-separated list has this element, given in lower case; what follows a semicolon is a parameter.
    private func hasElement(_ list: UnsafeRawBufferPointer, _ element: UnsafeRawBufferPointer) -> Bool {
        var at = 0
        while at < list.count {
            while at < list.count, list[at] == 0x20 || list[at] == 0x09 { at += 1 }
            var i = 0
            while at + i < list.count, i < element.count, lowercased(list[at + i]) == element[i] { i += 1 }
            if i == element.count {
                let end = at + i
                if end == list.count || list[end] == UInt8(ascii: ",") || list[end] == UInt8(ascii: ";") || list[end] == 0x20 || list[end] == 0x09 { return true }
            }
            while at < list.count, list[at] != UInt8(ascii: ",") { at += 1 }
            at += 1
        }
        return false
    }

    @inline(__always)
    private func hasUppercase(_ name: UnsafeRawPointer, _ count: Int) -> Bool {
        for i in 0..<count where name.load(fromByteOffset: i, as: UInt8.self) &- 65 < 26 { return true }
        return false
    }
}
