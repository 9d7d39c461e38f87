// HTTP/1.0 and HTTP/1.1 on one connection, either side, as a state machine without I/O (RFC 9112). Events are pulled: bytes wait in
// one buffer and are read only as far as the owner asks, so a pipelined request is not even parsed before the response to the one
// before it is complete. Fields that belong to the connection (RFC 9110 section 7.6.1) end here: a reported head can be given to the
// engine of another connection, of either version, as it is. Repairing what a peer sent wrongly is deliberately absent.

import Base

public final class HTTP1Connection: Engine {
    public typealias Event = HTTPEvent

    /// What the next received byte belongs to.
    enum Reading: Equatable {
        /// Client side: nothing was asked. A byte now is a fault.
        case idle
        case head
        case counted(Int64)
        case chunkLine
        case chunk(Int64)
        /// CR LF after a chunk.
        case chunkEnd
        case trailers
        case untilEnd
        /// The message is complete; what follows waits until the exchange is over, or is never read.
        case complete
        case tunnel
        case failed
    }

    /// What the owner may send next.
    enum Writing: Equatable {
        /// No exchange: a client may ask, a server has nothing to answer.
        case idle
        /// Server side: the response head.
        case head
        case counted(Int64)
        case chunked
        case untilEnd
        /// A response that has no body whatever it says; only its end is awaited. `discards`: bytes are dropped rather than refused.
        case bodiless(discards: Bool)
        case complete
        case tunnel
        case failed
    }

    let role: HTTPRole
    let limits: HTTPLimits
    var reading: Reading
    var writing = Writing.idle
    /// Of the exchange that is open, or the last one.
    var stream: UInt32 = 0

    var input = ByteBuffer()
    var output = ByteBuffer()
    /// Bytes at the head of `input` that the last `data` event told of. Unit: bytes.
    private var dataBytes = 0
    /// Bytes to drop from `input` before anything else: those of `dataBytes` and what frames them.
    private var usedBytes = 0
    var reader = HTTP1HeadReader()
    private var extensionsLeft = 0
    private var peerEnded = false

    // The open exchange.
    var isHead = false
    var isConnect = false
    /// The request offers to change the protocol.
    var asksUpgrade = false
    /// Client side: informational responses to the open request so far.
    var informationals = 0
    /// Server side: the client waits for 100 before it sends its body.
    var awaitsContinue = false
    var peerIs10 = false
    /// After this exchange the connection ends.
    var closes = false
    /// The owner wants this exchange to be the last.
    var isShuttingDown = false
    private var hasUpgraded = false

    // The last texts, to be told again when the peer sends the same bytes.
    private var lastAuthority: HTTPText = ""
    private var lastPath: HTTPText = "/"
    private var lastReason: HTTPText = "OK"

    public init(role: HTTPRole, limits: HTTPLimits = HTTPLimits()) {
        self.role = role
        self.limits = limits
        reading = role == .server ? .head : .idle
    }

    // MARK: The world happened

    public func receive(_ bytes: RawSpan, now: Instant) {
        // Behind the last message of a connection nothing counts.
        if reading == .failed || (closes && reading == .complete) { return }
        input.append(bytes)
    }

    /// The peer sent FIN.
    public func receiveEnd(now: Instant) { peerEnded = true }

    public var deadline: Instant? { nil }
    public func expire(now: Instant) {}

    // MARK: What the owner must know

    public func nextEvent() -> HTTPEvent? {
        if usedBytes > 0 {
            input.consume(usedBytes)
            usedBytes = 0
            dataBytes = 0
        }
        while true {
            switch reading {
            case .head:
                return role == .server ? readRequest() : readResponse()
            case .counted(let left):
                if input.isEmpty { return endedEarly(isHead: false) }
                let bytes = Int(min(left, Int64(input.count)))
                let isLast = Int64(bytes) == left
                if !isLast { reading = .counted(left - Int64(bytes)) }
                return data(bytes, endStream: isLast)
            case .untilEnd:
                if !input.isEmpty { return data(input.count, endStream: false) }
                return peerEnded ? data(0, endStream: true) : settle()
            case .chunkLine:
                do throws(HTTP1Fault) {
                    guard let line = try readChunkLine(input.unsafeBytes, extensionsLeft: extensionsLeft) else { return endedEarly(isHead: false) }
                    input.consume(line.byteCount)
                    extensionsLeft -= line.extensionBytes
                    reading = line.size > 0 ? .chunk(line.size) : .trailers
                } catch { return fail(error) }
            case .chunk(let left):
                if input.isEmpty { return endedEarly(isHead: false) }
                return chunk(left)
            case .chunkEnd:
                let raw = input.unsafeBytes
                guard raw.count >= 2 else {
                    if raw.count == 1, raw[0] != carriageReturn { return fail(faultOfChunkEnd) }
                    return endedEarly(isHead: false)
                }
                if raw[0] != carriageReturn || raw[1] != lineFeed { return fail(faultOfChunkEnd) }
                input.consume(2)
                reading = .chunkLine
            case .trailers:
                return readTrailers()
            case .idle:
                if !input.isEmpty { return fail(HTTP1Fault(400, "a response follows a request (RFC 9112 section 9.2)")) }
                return settle()
            case .complete:
                return settle()
            case .tunnel:
                if hasUpgraded { return nil }
                hasUpgraded = true
                return .upgraded(HTTPStreamID(rawValue: stream))
            case .failed:
                return nil
            }
        }
    }

    /// The bytes of the last `data` event, valid inside `body` only.
    public func withData<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R { try body(lastData.bytes) }

    /// The same without a closure, valid until the next call of this engine: what moves bytes on per event need not pay for a generic call.
    public var lastData: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: input.unsafeBytes.baseAddress, count: dataBytes) }

    public func drainOutput(into buffer: inout ByteBuffer) {
        if !output.isEmpty { buffer.append(moving: &output) }
    }

    /// Takes over the memory of `spare` for output if it has none of its own: `drainOutput` moves memory out with the bytes.
    @inline(__always)
    public func borrowOutput(_ spare: inout ByteBuffer) {
        if output.capacityBytes == 0 { swap(&output, &spare) }
    }

    /// After `upgraded`: what was received behind the head.
    public func takeTunnelBytes() -> [UInt8] {
        guard reading == .tunnel, !input.isEmpty else { return [] }
        let bytes = input.array()
        input.release()
        return bytes
    }

    /// The exchange has become a tunnel; `upgraded` has been told or is the next event.
    public var isTunnel: Bool { reading == .tunnel }

    /// Client side: another request may be sent now. Server side: another request may come.
    public var isReusable: Bool {
        switch role {
        case .client: reading == .idle && writing == .idle && input.count == usedBytes && !peerEnded && !closes && !isShuttingDown
        case .server: reading != .failed && reading != .tunnel && !closes && !isShuttingDown && !(peerEnded && input.count == usedBytes)
        }
    }

    /// Server side: pipelined requests wait beyond the bound; the owner stops reading.
    public var wantsReadPause: Bool { reading == .complete && input.count > limits.pipelineBytesMax }

    /// Memory for bytes. Unit: bytes.
    public var bytesHeld: Int { input.capacityBytes + output.capacityBytes }

    /// Bytes wait for `drainOutput`.
    public var hasOutput: Bool { !output.isEmpty }

    /// `nextEvent` may have something to tell although nothing was received since it had not.
    public var hasUnreadInput: Bool { input.count > usedBytes || peerEnded }

    /// Says `Connection: close` with the message that is or will be under way.
    public func shutdown() { isShuttingDown = true }

    // MARK: Heads

    private func readRequest() -> HTTPEvent? {
        if reader.isUntouched, !skipEmptyLine() { return input.isEmpty || !peerEnded ? settle() : endedEarly(isHead: true) }
        do throws(HTTP1Fault) {
            let raw = input.unsafeBytes
            guard try reader.read(raw, .request, limits, isEnd: peerEnded) else { return raw.isEmpty ? settle() : endedEarly(isHead: true) }
            let head = try requestHead(raw.baseAddress.unsafelyUnwrapped)
            input.consume(reader.byteCount)
            stream &+= 1
            writing = .head
            let isEnd = beginBody(hasNone: isConnect)
            reader.reset()
            return .request(HTTPStreamID(rawValue: stream), head, endStream: isEnd)
        } catch { return fail(error) }
    }

    /// RFC 9112 section 2.2: one empty line before a request line is overlooked. False: the next byte must come first.
    private func skipEmptyLine() -> Bool {
        let raw = input.unsafeBytes
        guard raw.count > 0 else { return false }
        guard raw[0] == carriageReturn, !hasSkippedLine else { return true }
        guard raw.count > 1 else { return false }
        guard raw[1] == lineFeed else { return true }
        input.consume(2)
        hasSkippedLine = true
        return !input.isEmpty
    }
    private var hasSkippedLine = false

    /// The facts of a complete request head, and what is reported of it.
    private func requestHead(_ base: UnsafeRawPointer) throws(HTTP1Fault) -> RequestHead {
        try reader.judgeFraming()
        let flags = reader.flags
        peerIs10 = flags.contains(.version10)
        if flags.contains(.host) {
            let host = reader.host.bytes(base)
            if !lastAuthority.equals(host) {
                // An empty Host says that there is no authority, as an HTTP/1.0 request without Host becomes when it is passed on.
                guard host.isEmpty || isAuthority(host) else { throw HTTP1Fault(400, "Host is a host and perhaps a port (RFC 9112 section 3.2)") }
                lastAuthority = HTTPText(host)
            }
        } else {
            if !peerIs10 { throw HTTP1Fault(400, "one Host field (RFC 9112 section 3.2)") }
            lastAuthority = ""
        }
        let method = reader.method
        isHead = method == .head
        isConnect = method == .connect
        let form = try targetForm(base)
        if isConnect, flags.contains(.chunked) || (reader.contentLength ?? 0) > 0 {
            throw HTTP1Fault(400, "CONNECT has no content (RFC 9110 section 9.3.6)")
        }
        asksUpgrade = reader.asksUpgrade && !isConnect
        awaitsContinue = flags.contains(.expectsContinue) && !peerIs10
        closes = flags.contains(.close) || (peerIs10 && !flags.contains(.keepAlive))
        hasSkippedLine = false
        var head = RequestHead(
            method: method, scheme: form.scheme, authority: lastAuthority, path: form.path,
            headers: reader.takeHeaders(base, dropsLength: isConnect), version: peerIs10 ? .http10 : .http11)
        head.isAbsoluteForm = form.isAbsolute
        return head
    }

    /// RFC 9112 section 3.2: the four forms of a target. An authority in it takes the place of Host's.
    private func targetForm(_ base: UnsafeRawPointer) throws(HTTP1Fault) -> (scheme: HTTPScheme, path: HTTPText, isAbsolute: Bool) {
        let target = reader.target.bytes(base)
        if isConnect {
            guard isAuthority(target, needsPort: true) else { throw HTTP1Fault(400, "the target of CONNECT is host:port (RFC 9112 section 3.2.3)") }
            if !lastAuthority.equals(target) { lastAuthority = HTTPText(target) }
            return (.http, "", false)
        }
        if target[0] == UInt8(ascii: "/") { return (.http, pathText(target), false) }
        if target.count == 1, target[0] == UInt8(ascii: "*") {
            guard reader.method == .options else { throw HTTP1Fault(400, "the target * is for OPTIONS only (RFC 9112 section 3.2.4)") }
            return (.http, "*", false)
        }
        let isHTTPS = target.count > 8 && equalsIgnoringCase(UnsafeRawBufferPointer(rebasing: target[0..<8]), "https://")
        guard isHTTPS || (target.count > 7 && equalsIgnoringCase(UnsafeRawBufferPointer(rebasing: target[0..<7]), "http://")) else {
            throw HTTP1Fault(400, "a target begins with a slash, or with http:// or https:// (RFC 9112 section 3.2)")
        }
        let start = isHTTPS ? 8 : 7
        var end = start
        while end < target.count, target[end] != UInt8(ascii: "/"), target[end] != UInt8(ascii: "?") { end += 1 }
        let authority = UnsafeRawBufferPointer(rebasing: target[start..<end])
        guard isAuthority(authority) else { throw HTTP1Fault(400, "the authority of a target is a host and perhaps a port (RFC 9110 section 4.2)") }
        if !lastAuthority.equals(authority) { lastAuthority = HTTPText(authority) }
        let rest = UnsafeRawBufferPointer(rebasing: target[end...])
        let scheme = isHTTPS ? HTTPScheme.https : .http
        if rest.isEmpty { return (scheme, reader.method == .options ? "*" : "/", true) }
        if rest[0] == UInt8(ascii: "/") { return (scheme, pathText(rest), true) }
        return (scheme, HTTPText("/" + String(decoding: rest, as: UTF8.self)), true)
    }

    private func pathText(_ bytes: UnsafeRawBufferPointer) -> HTTPText {
        if !lastPath.equals(bytes) { lastPath = HTTPText(bytes) }
        return lastPath
    }

    private func readResponse() -> HTTPEvent? {
        do throws(HTTP1Fault) {
            let raw = input.unsafeBytes
            guard try reader.read(raw, .response, limits, isEnd: peerEnded) else { return raw.isEmpty ? settle() : endedEarly(isHead: true) }
            try reader.judgeFraming()
            let head = responseHead(raw.baseAddress.unsafelyUnwrapped)
            let flags = reader.flags
            let status = head.status
            if status == 101, !asksUpgrade || writing != .complete {
                throw HTTP1Fault(400, "101 answers a complete request that offered an upgrade (RFC 9110 section 15.2.2)")
            }
            input.consume(reader.byteCount)
            if status < 200, status != 101 {
                reader.reset()
                informationals += 1
                if informationals > limits.informationalsMax { throw HTTP1Fault(502, "too many informational responses before the final one (RFC 9110 section 15.2)") }
                return .response(HTTPStreamID(rawValue: stream), head, endStream: false)
            }
            peerIs10 = flags.contains(.version10)
            if status == 101 || (isConnect && status / 100 == 2) {
                reader.reset()
                reading = .tunnel
                writing = .tunnel
                return .response(HTTPStreamID(rawValue: stream), head, endStream: false)
            }
            if flags.contains(.close) || (peerIs10 && !flags.contains(.keepAlive)) { closes = true }
            let isEnd = beginBody(hasNone: isHead || status == 204 || status == 304)
            reader.reset()
            return .response(HTTPStreamID(rawValue: stream), head, endStream: isEnd)
        } catch { return fail(error) }
    }

    private func responseHead(_ base: UnsafeRawPointer) -> ResponseHead {
        let status = reader.status
        let reason = reader.reason.bytes(base)
        if !lastReason.equals(reason) { lastReason = HTTPText(reason) }
        let dropsLength = status < 200 || status == 204 || (isConnect && status / 100 == 2)
        return ResponseHead(status: status, headers: reader.takeHeaders(base, dropsLength: dropsLength), version: reader.flags.contains(.version10) ? .http10 : .http11, reason: lastReason)
    }

    /// Turns to the body that the head announces. True: there is none, the message is complete.
    private func beginBody(hasNone: Bool) -> Bool {
        if !hasNone {
            if reader.flags.contains(.chunked) {
                extensionsLeft = limits.chunkExtensionBytesMax
                reading = .chunkLine
                return false
            }
            if let length = reader.contentLength {
                if length > 0 {
                    reading = .counted(length)
                    return false
                }
            } else if role == .client {
                closes = true
                reading = .untilEnd
                return false
            }
        }
        messageIsComplete()
        return true
    }

    // MARK: Bodies

    private func data(_ bytes: Int, endStream: Bool, framing: Int = 0) -> HTTPEvent {
        dataBytes = bytes
        usedBytes = bytes + framing
        awaitsContinue = false
        let id = HTTPStreamID(rawValue: stream)
        if endStream { messageIsComplete() }
        return .data(id, bytes: bytes, endStream: endStream)
    }

    private func chunk(_ left: Int64) -> HTTPEvent {
        let bytes = Int(min(left, Int64(input.count)))
        if Int64(bytes) < left {
            reading = .chunk(left - Int64(bytes))
            return data(bytes, endStream: false)
        }
        // The usual end of a small body, seen at once: one event less.
        let raw = input.unsafeBytes
        if raw.count >= bytes + 7, isPlainEnd(raw.baseAddress.unsafelyUnwrapped + bytes) { return data(bytes, endStream: true, framing: 7) }
        reading = .chunkEnd
        return data(bytes, endStream: false)
    }

    private func readTrailers() -> HTTPEvent? {
        do throws(HTTP1Fault) {
            let raw = input.unsafeBytes
            guard try reader.read(raw, .trailers, limits, isEnd: peerEnded) else { return endedEarly(isHead: false) }
            let trailers = reader.takeHeaders(raw.baseAddress.unsafelyUnwrapped, dropsLength: false)
            input.consume(reader.byteCount)
            reader.reset()
            if trailers.isEmpty { return data(0, endStream: true) }
            awaitsContinue = false
            let id = HTTPStreamID(rawValue: stream)
            messageIsComplete()
            return .trailers(id, trailers)
        } catch { return fail(error) }
    }

    // MARK: The end of a message, of an exchange, of the connection

    private func messageIsComplete() {
        reading = .complete
        endExchangeIfComplete()
    }

    /// Both messages are complete: the connection is ready for the next exchange, or for nothing.
    func endExchangeIfComplete() {
        guard reading == .complete, writing == .complete, !closes else { return }
        writing = .idle
        reading = role == .server ? .head : .idle
    }

    /// Nothing to tell. An idle connection keeps no large memory.
    private func settle() -> HTTPEvent? {
        if input.isEmpty, input.capacityBytes > 512 { input.release() }
        return nil
    }

    /// Nothing to tell yet; if the peer has ended, what it began will never be complete.
    private func endedEarly(isHead: Bool) -> HTTPEvent? {
        guard peerEnded else { return nil }
        return fail(
            isHead
                ? HTTP1Fault(400, "a head is complete before the connection ends (RFC 9112 section 8)")
                : HTTP1Fault(400, "a body is complete before the connection ends (RFC 9112 section 8)"))
    }

    private var faultOfChunkEnd: HTTP1Fault { HTTP1Fault(400, "a chunk ends with CR LF after its size in bytes (RFC 9112 section 7.1)") }

    /// The peer broke a rule. A server says so itself while no response is under way.
    private func fail(_ fault: HTTP1Fault) -> HTTPEvent {
        if role == .server, writing == .idle || writing == .head { writeErrorResponse(UInt16(fault.code)) }
        reading = .failed
        writing = .failed
        closes = true
        reader.reset()
        input.release()
        usedBytes = 0
        dataBytes = 0
        return .failed(PeerError(.connection, code: role == .server ? fault.code : 502, rule: "\(fault.rule)"))
    }
}

/// CR LF, the last chunk, no trailers.
@inline(__always)
private func isPlainEnd(_ at: UnsafeRawPointer) -> Bool {
    // CR LF 0 CR, LF CR LF; the two loads overlap by one byte.
    UInt32(bigEndian: at.loadUnaligned(as: UInt32.self)) == 0x0d0a_300d && UInt32(bigEndian: at.loadUnaligned(fromByteOffset: 3, as: UInt32.self)) == 0x0d0a_0d0a
}
