// Flow control (RFC 9113 sections 5.2 and 6.9): our windows, which open as the owner acknowledges, and the peer's, behind which
// bytes queue. A stream that waits for its own window waits alone; streams that wait for the connection's stand in a ring and
// take turns of one frame. So the ring is empty whenever the connection's window is open and nothing is being flushed.

import Base

extension HTTP2Connection {
    // MARK: Our windows

    /// Received body bytes have moved on: the windows of stream and connection open again. Works for streams that are over, too.
    public func acknowledge(_ stream: HTTPStreamID, bytes: Int) {
        let slot = streams.find(stream.rawValue)
        // A stream that was reset has given everything back already.
        guard slot >= 0, bytes > 0 else { return }
        let count = min(bytes, streams[slot].unacknowledged)
        streams[slot].unacknowledged -= count
        if streams[slot].isRemoteOpen {
            returnToStream(slot, count)
        } else if streams[slot].state == .closed, streams[slot].unacknowledged == 0 {
            streams.remove(slot)
        }
        returnToConnection(count)
    }

    func returnToConnection(_ bytes: Int) {
        unreturned += bytes
        if unreturned * 2 >= connectionWindowBytes {
            if !hasFailed { writeWindowUpdate(0, unreturned) }
            receiveWindow += unreturned
            unreturned = 0
        }
    }

    func returnToStream(_ slot: Int, _ bytes: Int) {
        streams[slot].unreturned += bytes
        let amount = streams[slot].unreturned
        if amount * 2 >= announcedStreamWindow {
            writeWindowUpdate(streams[slot].id, amount)
            streams[slot].receiveWindow += amount
            streams[slot].unreturned = 0
        }
    }

    /// The peer has acknowledged our SETTINGS: from here on it keeps to the announced window.
    func applyOurSettings() {
        if unacknowledgedSettings > 0 { return }
        let change = announcedStreamWindow - streamReceiveWindow
        streamReceiveWindow += change
        if change == 0 { return }
        for slot in streams.ordered { streams[slot].receiveWindow += change }
    }

    // MARK: The peer's windows

    func receiveWindowUpdate(_ frame: HTTP2Frame) -> HTTPEvent? {
        guard frame.payload.count == 4 else { return fail(HTTP2ErrorCode.frameSizeError, "WINDOW_UPDATE is not 4 bytes long (RFC 9113 section 6.9)") }
        if let fault = spendControl() { return fault }
        let bytes = Int(frame.payload.bigEndian32(at: 0) & 0x7fff_ffff)
        if frame.stream == 0 {
            guard bytes > 0 else { return fail(HTTP2ErrorCode.protocolError, "WINDOW_UPDATE of 0 (RFC 9113 section 6.9)") }
            guard sendWindow + bytes <= Self.windowMax else { return fail(HTTP2ErrorCode.flowControlError, "the connection's window exceeds 2^31-1 (RFC 9113 section 6.9.1)") }
            sendWindow += bytes
            flushRing()
            return nil
        }
        let slot = streams.find(frame.stream)
        guard slot >= 0, streams[slot].state != .closed else {
            if isIdle(frame.stream) { return fail(HTTP2ErrorCode.protocolError, "WINDOW_UPDATE on an idle stream (RFC 9113 section 5.1)") }
            return nil
        }
        guard bytes > 0 else { return failStream(frame.stream, HTTP2ErrorCode.protocolError, "WINDOW_UPDATE of 0 (RFC 9113 section 6.9)") }
        guard streams[slot].sendWindow + bytes <= Self.windowMax else {
            return failStream(frame.stream, HTTP2ErrorCode.flowControlError, "the stream's window exceeds 2^31-1 (RFC 9113 section 6.9.1)")
        }
        streams[slot].sendWindow += bytes
        joinRing(slot)
        flushRing()
        return nil
    }

    /// SETTINGS_INITIAL_WINDOW_SIZE moves the window of every stream (RFC 9113 section 6.9.2).
    func changePeerWindow(to window: Int) -> HTTPEvent? {
        let change = window - peerStreamWindow
        peerStreamWindow = window
        if change == 0 { return nil }
        for slot in streams.ordered where streams[slot].state != .closed {
            guard streams[slot].sendWindow + change <= Self.windowMax else {
                return fail(HTTP2ErrorCode.flowControlError, "INITIAL_WINDOW_SIZE makes a window exceed 2^31-1 (RFC 9113 section 6.9.2)")
            }
            streams[slot].sendWindow += change
            if change > 0 { joinRing(slot) }
        }
        flushRing()
        return nil
    }

    // MARK: Queues

    /// Puts a stream at the end of the ring if it has bytes to send and a window of its own.
    func joinRing(_ slot: Int) {
        guard !streams[slot].isInRing, let queue = streams.queue(slot), !queue.bytes.isEmpty, streams[slot].sendWindow > 0 else { return }
        streams[slot].isInRing = true
        streams[slot].ringPrevious = ringLast
        streams[slot].ringNext = -1
        if ringLast >= 0 { streams[Int(ringLast)].ringNext = Int32(slot) } else { ringFirst = Int32(slot) }
        ringLast = Int32(slot)
    }

    func leaveRing(_ slot: Int) {
        guard streams[slot].isInRing else { return }
        let next = streams[slot].ringNext
        let previous = streams[slot].ringPrevious
        if previous >= 0 { streams[Int(previous)].ringNext = next } else { ringFirst = next }
        if next >= 0 { streams[Int(next)].ringPrevious = previous } else { ringLast = previous }
        streams[slot].isInRing = false
    }

    /// Lets the streams of the ring take turns until the connection's window is used up.
    private func flushRing() {
        while sendWindow > 0, ringFirst >= 0 {
            let slot = Int(ringFirst)
            leaveRing(slot)
            // The peer lowered the stream's window while it stood here: it waits alone until that opens.
            if streams[slot].sendWindow <= 0 { continue }
            let queue = streams.queue(slot).unsafelyUnwrapped
            let count = min(queue.bytes.count, peerFrameBytes, sendWindow, streams[slot].sendWindow)
            let isLast = count == queue.bytes.count
            queue.bytes.withUnsafeBytes { writeData(slot, UnsafeRawBufferPointer(rebasing: $0[..<count]), endStream: isLast && queue.ends) }
            queue.bytes.consume(count)
            queuedTotal -= count
            if !isLast { joinRing(slot) } else { finishQueue(slot, queue) }
        }
    }

    /// The queue of a stream is empty: what stood behind the bytes goes out, or the owner learns that there is room.
    private func finishQueue(_ slot: Int, _ queue: HTTP2SendQueue) {
        streams.setQueue(slot, nil)
        let id = streams[slot].id
        if let trailers = queue.trailers {
            writeHead(id, trailers: trailers)
            endLocal(slot)
        } else if queue.ends {
            endLocal(slot)
        } else {
            tell(.writable(HTTPStreamID(rawValue: id)))
        }
    }

    /// Sends what the windows allow and queues the rest.
    func send(_ slot: Int, _ bytes: UnsafeRawBufferPointer, endStream: Bool) {
        var rest = bytes
        if let queue = streams.queue(slot) {
            queue.bytes.append(rest)
            queuedTotal += rest.count
            queue.ends = endStream
            return
        }
        if rest.isEmpty {
            writeData(slot, rest, endStream: true)
            return endLocal(slot)
        }
        while !rest.isEmpty {
            let count = min(rest.count, peerFrameBytes, sendWindow, streams[slot].sendWindow)
            if count <= 0 { break }
            let isLast = count == rest.count
            writeData(slot, UnsafeRawBufferPointer(rebasing: rest[..<count]), endStream: isLast && endStream)
            if isLast {
                if endStream { endLocal(slot) }
                return
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
        let queue = HTTP2SendQueue()
        queue.bytes.append(rest)
        queuedTotal += rest.count
        queue.ends = endStream
        streams.setQueue(slot, queue)
        joinRing(slot)
    }

    private func writeData(_ slot: Int, _ bytes: UnsafeRawBufferPointer, endStream: Bool) {
        streams[slot].sendWindow -= bytes.count
        sendWindow -= bytes.count
        controlBudget.give(limits.controlFramesPerWork)
        writeFrame(HTTP2FrameType.data, flags: endStream ? HTTP2Flag.endStream : 0, stream: streams[slot].id, length: bytes.count)
        output.append(bytes)
    }
}
