// Frames as they come in: their shape, their order and their place (RFC 9113 sections 4 to 6). One frame is read at a time and
// gives at most one event directly; further ones wait in `pending`.

import Base

extension HTTP2Connection {
    /// Reads the next whole frame. nil: nothing to tell, or nothing whole is there.
    func readFrame() -> HTTPEvent? {
        // The memory does not move while a frame is handled, because nobody appends to `input` then.
        let raw = input.withUnsafeBytes { $0 }
        if prefaceLeft > 0 { return readPreface(raw) }
        guard raw.count >= HTTP2Frame.headerBytes else { return nil }
        let word = raw.bigEndian32(at: 0)
        let length = Int(word >> 8)
        let type = UInt8(truncatingIfNeeded: word)
        if isFirstFrame, type != HTTP2FrameType.settings || raw[4] & HTTP2Flag.ack != 0 {
            return fail(HTTP2ErrorCode.protocolError, "the first frame is not SETTINGS (RFC 9113 section 3.4)")
        }
        guard length <= announcedFrameBytes else { return fail(HTTP2ErrorCode.frameSizeError, "a frame is longer than announced (RFC 9113 section 4.2)") }
        guard raw.count >= HTTP2Frame.headerBytes + length else { return nil }
        isFirstFrame = false
        if unpaced.waiting > limits.unpacedBytesMax / 4, let fault = judgeUnpaced() { return fault }
        taken = HTTP2Frame.headerBytes + length
        let frame = HTTP2Frame(
            type: type, flags: raw[4], stream: raw.bigEndian32(at: 5) & 0x7fff_ffff,
            payload: UnsafeRawBufferPointer(start: raw.baseAddress.unsafelyUnwrapped + HTTP2Frame.headerBytes, count: length))
        if blockStream != 0, type != HTTP2FrameType.continuation || frame.stream != blockStream {
            return fail(HTTP2ErrorCode.protocolError, "a header block is interrupted (RFC 9113 section 4.3)")
        }
        switch type {
        case HTTP2FrameType.data: return receiveData(frame)
        case HTTP2FrameType.headers: return receiveHeaders(frame)
        case HTTP2FrameType.continuation: return receiveContinuation(frame)
        case HTTP2FrameType.windowUpdate: return receiveWindowUpdate(frame)
        case HTTP2FrameType.rstStream: return receiveReset(frame)
        case HTTP2FrameType.settings: return receiveSettings(frame)
        case HTTP2FrameType.ping: return receivePing(frame)
        case HTTP2FrameType.goAway: return receiveGoAway(frame)
        case HTTP2FrameType.priority: return receivePriority(frame)
        case HTTP2FrameType.pushPromise: return fail(HTTP2ErrorCode.protocolError, "PUSH_PROMISE, which is refused (RFC 9113 section 8.4)")
        default: return spendControl()  // unknown types are ignored (RFC 9113 section 4.1)
        }
    }

    private func readPreface(_ raw: UnsafeRawBufferPointer) -> HTTPEvent? {
        let offset = Self.preface.utf8CodeUnitCount - prefaceLeft
        let count = min(prefaceLeft, raw.count)
        for i in 0..<count where raw[i] != Self.preface.utf8Start[offset + i] {
            return fail(HTTP2ErrorCode.protocolError, "the connection preface is wrong (RFC 9113 section 3.4)")
        }
        prefaceLeft -= count
        taken = count
        return nil
    }

    /// One frame that carries nothing. nil as long as there are not too many.
    @inline(__always)
    func spendControl() -> HTTPEvent? {
        controlBudget.take(now: now) ? nil : failCalm("too many frames that carry nothing (CVE-2019-9512, -9515, -9518)")
    }

    /// What waits outside of flow control has grown: is the peer still reading?
    @inline(never)
    private func judgeUnpaced() -> HTTPEvent? {
        unpaced.settle(bytesLeft: output.count + bytesBelow)
        return unpaced.waiting > limits.unpacedBytesMax ? failCalm("the peer asks and does not read the answers (CVE-2019-9517)") : nil
    }

    /// The stream was never opened.
    @inline(__always)
    func isIdle(_ id: UInt32) -> Bool {
        let isOurs = (id & 1 == 1) == (role == .client)
        return isOurs ? id >= nextStreamID : id > lastPeerStreamID
    }

    /// A frame on a stream that is over, on the way when it ended or broken. Frames that may come late are not judged here.
    func receiveLate(_ id: UInt32) -> HTTPEvent? {
        if isIdle(id) { return fail(HTTP2ErrorCode.protocolError, "a frame on an idle stream (RFC 9113 section 5.1)") }
        if case .final(let last) = shutdownState, role == .server, id > last { return spendControl() }
        switch closedStreams.reason(id) {
        case .resetByUs: return spendControl()
        case .ended: return fail(HTTP2ErrorCode.streamClosed, "a frame on a stream that both sides have ended (RFC 9113 section 5.1)")
        case .resetByPeer, nil:
            writeReset(id, HTTP2ErrorCode.streamClosed)
            closedStreams.add(id, .resetByUs)
            return resetBudget.take(now: now) ? nil : failCalm("too many frames on streams that are over (CVE-2025-8671)")
        }
    }

    // MARK: DATA

    @inline(__always)
    private func receiveData(_ frame: HTTP2Frame) -> HTTPEvent? {
        guard frame.stream != 0 else { return fail(HTTP2ErrorCode.protocolError, "DATA on stream 0 (RFC 9113 section 6.1)") }
        let total = frame.payload.count
        var start = 0
        var count = total
        if frame.has(HTTP2Flag.padded) {
            guard count > 0 else { return fail(HTTP2ErrorCode.frameSizeError, "a padded frame without its length (RFC 9113 section 6.1)") }
            let padding = Int(frame.payload[0])
            guard padding < count else { return fail(HTTP2ErrorCode.protocolError, "more padding than frame (RFC 9113 section 6.1)") }
            start = 1
            count -= 1 + padding
        }
        guard total <= receiveWindow else { return fail(HTTP2ErrorCode.flowControlError, "DATA beyond the connection's window (RFC 9113 section 6.9.1)") }
        receiveWindow -= total
        adapt(total)
        let slot = streams.find(frame.stream)
        guard slot >= 0, streams[slot].state != .closed else {
            if total > 0 { returnToConnection(total) }
            return receiveLate(frame.stream)
        }
        guard let rule = faultOfData(slot, total, count, endStream: frame.has(HTTP2Flag.endStream)) else {
            return take(slot, frame, start: start, count: count)
        }
        if total > 0 { returnToConnection(total) }
        return failStream(frame.stream, rule.0, rule.1)
    }

    @inline(__always)
    private func faultOfData(_ slot: Int, _ total: Int, _ count: Int, endStream: Bool) -> (UInt32, StaticString)? {
        let stream = streams[slot]
        if !stream.isRemoteOpen { return (HTTP2ErrorCode.streamClosed, "DATA after END_STREAM (RFC 9113 section 5.1)") }
        if !stream.isHeadReceived { return (HTTP2ErrorCode.protocolError, "DATA before the head (RFC 9113 section 8.1)") }
        if total > stream.receiveWindow { return (HTTP2ErrorCode.flowControlError, "DATA beyond the stream's window (RFC 9113 section 6.9.1)") }
        if stream.contentLeft >= 0 {
            if count > stream.contentLeft { return (HTTP2ErrorCode.protocolError, "more body than content-length says (RFC 9113 section 8.1.1)") }
            if endStream, count < stream.contentLeft { return (HTTP2ErrorCode.protocolError, "less body than content-length says (RFC 9113 section 8.1.1)") }
        }
        return nil
    }

    @inline(__always)
    private func take(_ slot: Int, _ frame: HTTP2Frame, start: Int, count: Int) -> HTTPEvent? {
        let endStream = frame.has(HTTP2Flag.endStream)
        let total = frame.payload.count
        streams[slot].receiveWindow -= total
        streams[slot].unacknowledged += count
        if streams[slot].contentLeft >= 0 { streams[slot].contentLeft -= count }
        if total > count {
            // Padding never reaches the owner and so is acknowledged here.
            returnToConnection(total - count)
            if !endStream { returnToStream(slot, total - count) }
        }
        if count == 0, !endStream { return spendControl() }
        if endStream { endRemote(slot) }
        controlBudget.give(limits.controlFramesPerWork)
        dataStart = HTTP2Frame.headerBytes + start
        dataCount = count
        return .data(HTTPStreamID(rawValue: frame.stream), bytes: count, endStream: endStream)
    }

    // MARK: HEADERS and CONTINUATION

    @inline(__always)
    private func receiveHeaders(_ frame: HTTP2Frame) -> HTTPEvent? {
        guard frame.stream != 0 else { return fail(HTTP2ErrorCode.protocolError, "HEADERS on stream 0 (RFC 9113 section 6.2)") }
        var start = 0
        var padding = 0
        if frame.has(HTTP2Flag.padded) {
            guard frame.payload.count > 0 else { return fail(HTTP2ErrorCode.frameSizeError, "a padded frame without its length (RFC 9113 section 6.2)") }
            padding = Int(frame.payload[0])
            start = 1
        }
        if frame.has(HTTP2Flag.priority) { start += 5 }
        guard start <= frame.payload.count else { return fail(HTTP2ErrorCode.frameSizeError, "HEADERS is shorter than its fields (RFC 9113 section 6.2)") }
        guard start + padding <= frame.payload.count else { return fail(HTTP2ErrorCode.protocolError, "more padding than frame (RFC 9113 section 6.2)") }
        let fragment = UnsafeRawBufferPointer(rebasing: frame.payload[start..<frame.payload.count - padding])
        if frame.has(HTTP2Flag.endHeaders) { return receiveBlock(frame.stream, fragment, endStream: frame.has(HTTP2Flag.endStream)) }
        blockStream = frame.stream
        blockEndsStream = frame.has(HTTP2Flag.endStream)
        blockContinuations = 0
        block.append(fragment)
        return nil
    }

    private func receiveContinuation(_ frame: HTTP2Frame) -> HTTPEvent? {
        guard blockStream != 0 else { return fail(HTTP2ErrorCode.protocolError, "CONTINUATION without HEADERS (RFC 9113 section 6.10)") }
        blockContinuations += 1
        guard blockContinuations <= limits.continuationsMax, block.count + frame.payload.count <= max(limits.headerBlockBytesMax, settings.maxHeaderListBytes) else {
            return failCalm("a header block does not end (VU#421644)")
        }
        block.append(frame.payload)
        guard frame.has(HTTP2Flag.endHeaders) else { return frame.payload.isEmpty ? spendControl() : nil }
        let id = blockStream
        blockStream = 0
        let event = receiveBlock(id, block.withUnsafeBytes { $0 }, endStream: blockEndsStream)
        block.release()
        return event
    }

    // MARK: Other frames

    private func receiveReset(_ frame: HTTP2Frame) -> HTTPEvent? {
        guard frame.stream != 0 else { return fail(HTTP2ErrorCode.protocolError, "RST_STREAM on stream 0 (RFC 9113 section 6.4)") }
        guard frame.payload.count == 4 else { return fail(HTTP2ErrorCode.frameSizeError, "RST_STREAM is not 4 bytes long (RFC 9113 section 6.4)") }
        if isIdle(frame.stream) { return fail(HTTP2ErrorCode.protocolError, "RST_STREAM on an idle stream (RFC 9113 section 6.4)") }
        let slot = streams.find(frame.stream)
        guard slot >= 0, streams[slot].state != .closed else { return spendControl() }
        let isEarly = role == .server && !streams[slot].isHeadSent && now - streams[slot].opened < limits.resetAgeMin
        forget(frame.stream, .resetByPeer)
        if isEarly, !resetBudget.take(now: now) { return failCalm("too many streams end early (CVE-2023-44487)") }
        return .reset(HTTPStreamID(rawValue: frame.stream), PeerError(.stream, code: frame.payload.bigEndian32(at: 0), rule: "the peer reset the stream"))
    }

    private func receivePriority(_ frame: HTTP2Frame) -> HTTPEvent? {
        guard frame.stream != 0 else { return fail(HTTP2ErrorCode.protocolError, "PRIORITY on stream 0 (RFC 9113 section 6.3)") }
        if frame.payload.count != 5 {
            // On a stream that has none of our state there is nothing to end but the connection.
            if streams.find(frame.stream) < 0 { return fail(HTTP2ErrorCode.frameSizeError, "PRIORITY is not 5 bytes long (RFC 9113 section 6.3)") }
            return failStream(frame.stream, HTTP2ErrorCode.frameSizeError, "PRIORITY is not 5 bytes long (RFC 9113 section 6.3)")
        }
        return spendControl()
    }

    private func receivePing(_ frame: HTTP2Frame) -> HTTPEvent? {
        guard frame.stream == 0 else { return fail(HTTP2ErrorCode.protocolError, "PING on a stream (RFC 9113 section 6.7)") }
        guard frame.payload.count == 8 else { return fail(HTTP2ErrorCode.frameSizeError, "PING is not 8 bytes long (RFC 9113 section 6.7)") }
        let payload = UInt64(bigEndian: frame.payload.loadUnaligned(as: UInt64.self))
        if frame.has(HTTP2Flag.ack) {
            receivePingAnswer(payload)
        } else {
            writePing(payload, isAnswer: true)
        }
        return spendControl()
    }

    private func receiveGoAway(_ frame: HTTP2Frame) -> HTTPEvent? {
        guard frame.stream == 0 else { return fail(HTTP2ErrorCode.protocolError, "GOAWAY on a stream (RFC 9113 section 6.8)") }
        guard frame.payload.count >= 8 else { return fail(HTTP2ErrorCode.frameSizeError, "GOAWAY is shorter than 8 bytes (RFC 9113 section 6.8)") }
        let last = min(frame.payload.bigEndian32(at: 0) & 0x7fff_ffff, goAwayLast ?? .max)
        let code = frame.payload.bigEndian32(at: 4)
        if let fault = spendControl() { return fault }
        goAwayLast = last
        tell(.goAway(lastStream: last, code: code))
        if role == .client {
            // The peer has not looked at these; they may be sent again elsewhere (RFC 9113 section 8.7).
            for slot in streams.ordered where streams[slot].id > last && streams[slot].state != .closed {
                let id = streams[slot].id
                forget(id, .resetByUs)
                tell(.reset(HTTPStreamID(rawValue: id), PeerError(.stream, code: HTTP2ErrorCode.refusedStream, rule: "the peer goes away and has not looked at the stream (RFC 9113 section 6.8)")))
            }
        }
        return nil
    }

    // MARK: SETTINGS

    private func receiveSettings(_ frame: HTTP2Frame) -> HTTPEvent? {
        guard frame.stream == 0 else { return fail(HTTP2ErrorCode.protocolError, "SETTINGS on a stream (RFC 9113 section 6.5)") }
        if frame.has(HTTP2Flag.ack) {
            guard frame.payload.isEmpty else { return fail(HTTP2ErrorCode.frameSizeError, "a SETTINGS acknowledgement with content (RFC 9113 section 6.5)") }
            if unacknowledgedSettings > 0 {
                unacknowledgedSettings -= 1
                applyOurSettings()
            }
            return spendControl()
        }
        guard frame.payload.count % 6 == 0 else { return fail(HTTP2ErrorCode.frameSizeError, "SETTINGS is not a multiple of 6 bytes (RFC 9113 section 6.5)") }
        if let fault = spendControl() { return fault }
        if !hasPeerSettings {
            hasPeerSettings = true
            peerStreamsMax = .max
        }
        var window = peerStreamWindow
        for at in stride(from: 0, to: frame.payload.count, by: 6) {
            let value = frame.payload.bigEndian32(at: at + 2)
            switch frame.payload.bigEndian16(at: at) {
            case HTTP2Setting.headerTableSize: encoder.allow(tableBytes: Int(value))
            case HTTP2Setting.enablePush:
                if value > 1 || value == 1 && role == .client { return fail(HTTP2ErrorCode.protocolError, "ENABLE_PUSH out of range (RFC 9113 section 6.5.2)") }
            case HTTP2Setting.maxConcurrentStreams: peerStreamsMax = Int(value)
            case HTTP2Setting.initialWindowSize:
                guard value <= Self.windowMax else { return fail(HTTP2ErrorCode.flowControlError, "INITIAL_WINDOW_SIZE out of range (RFC 9113 section 6.5.2)") }
                window = Int(value)
            case HTTP2Setting.maxFrameSize:
                guard value >= 16_384, value <= 0xff_ffff else { return fail(HTTP2ErrorCode.protocolError, "MAX_FRAME_SIZE out of range (RFC 9113 section 6.5.2)") }
                peerFrameBytes = Int(value)
            case HTTP2Setting.maxHeaderListSize: peerHeaderListBytes = Int(value)
            case HTTP2Setting.enableConnectProtocol:
                if value > 1 || value == 0 && peerAllowsExtendedConnect { return fail(HTTP2ErrorCode.protocolError, "ENABLE_CONNECT_PROTOCOL out of range (RFC 8441 section 3)") }
                peerAllowsExtendedConnect = value == 1
            case HTTP2Setting.noRFC7540Priorities:
                if value > 1 { return fail(HTTP2ErrorCode.protocolError, "NO_RFC7540_PRIORITIES out of range (RFC 9218 section 2.1)") }
            default: break
            }
        }
        writeFrame(HTTP2FrameType.settings, flags: HTTP2Flag.ack, length: 0)
        return changePeerWindow(to: window)
    }
}
