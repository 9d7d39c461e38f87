// Header blocks as messages: which head or trailers a block is, by the state of its stream, and what the message's form forbids
// (RFC 9113 section 8). Blocks on streams that are refused or over are decoded all the same, for the table's sake.

import Base

extension HTTP2Connection {
    func receiveBlock(_ id: UInt32, _ block: UnsafeRawBufferPointer, endStream: Bool) -> HTTPEvent? {
        let slot = streams.find(id)
        if slot >= 0, streams[slot].state != .closed, streams[slot].isRemoteOpen {
            if streams[slot].isHeadReceived { return receiveTrailers(slot, id, block, endStream: endStream) }
            return receiveResponse(slot, id, block, endStream: endStream)
        }
        if role == .server, id > lastPeerStreamID { return receiveRequest(id, block, endStream: endStream) }
        if let fault = decode(block) { return fault }
        if slot >= 0, streams[slot].state != .closed { return failStream(id, HTTP2ErrorCode.streamClosed, "HEADERS after END_STREAM (RFC 9113 section 5.1)") }
        if role == .server, fields.hasPseudo, !isIdle(id), closedStreams.reason(id) == nil {
            return fail(HTTP2ErrorCode.protocolError, "a stream number below the last one (RFC 9113 section 5.1.1)")
        }
        return receiveLate(id)
    }

    /// Decodes into `fields`. nil unless the block is broken.
    private func decode(_ block: UnsafeRawBufferPointer) -> HTTPEvent? {
        fields.reset()
        do throws(HPACKError) {
            try decoder.decode(block, into: &fields)
            return fields.listBytes / limits.headerListExcess <= fields.listBytesMax ? nil : failCalm("a header block that says many times the announced size (CVE-2016-6581)")
        } catch {
            return fail(HTTP2ErrorCode.compressionError, error.rule)
        }
    }

    private func receiveRequest(_ id: UInt32, _ block: UnsafeRawBufferPointer, endStream: Bool) -> HTTPEvent? {
        guard id & 1 == 1 else { return fail(HTTP2ErrorCode.protocolError, "a client opens a stream with an even number (RFC 9113 section 5.1.1)") }
        lastPeerStreamID = id
        if case .final = shutdownState { return decode(block) ?? spendControl() }
        guard streamsOpen < Int(settings.maxConcurrentStreams ?? UInt32(clamping: limits.streamsMax)), streams.count < max(limits.streamsMax, streamsOpen + 1) else {
            if let fault = decode(block) { return fault }
            // A refused stream counts as one that ended early, and the owner never hears of it.
            writeReset(id, HTTP2ErrorCode.refusedStream)
            closedStreams.add(id, .resetByUs)
            return resetBudget.take(now: now) ? nil : failCalm("too many streams beyond the announced limit (CVE-2025-8671)")
        }
        let generation = decoder.generation
        if let known = requestHeads.find(block, generation: generation) { return open(id, known.value, contentLength: known.contentLength, endStream: endStream) }
        if let fault = decode(block) { return fault }
        if fields.isTooLarge { return refuseLargeRequest(id, endStream: endStream) }
        guard let head = fields.takeRequest(allowsExtendedConnect: settings.allowsExtendedConnect) else {
            return failStream(id, HTTP2ErrorCode.protocolError, fields.violation ?? "a malformed request (RFC 9113 section 8.1.1)")
        }
        if decoder.generation == generation { requestHeads.keep(block, generation: generation, listBytes: fields.listBytes, head, contentLength: fields.contentLength) }
        return open(id, head, contentLength: fields.contentLength, endStream: endStream)
    }

    private func open(_ id: UInt32, _ head: RequestHead, contentLength: Int?, endStream: Bool) -> HTTPEvent? {
        let isTunnel = head.method == .connect
        let length = isTunnel ? -1 : contentLength ?? -1
        if endStream, length > 0 { return failStream(id, HTTP2ErrorCode.protocolError, "less body than content-length says (RFC 9113 section 8.1.1)") }
        var stream = HTTP2Stream(id: id, state: endStream ? .halfClosedRemote : .open, sendWindow: peerStreamWindow, receiveWindow: streamReceiveWindow)
        stream.opened = now
        stream.isHeadReceived = true
        stream.isTunnel = isTunnel
        stream.contentLeft = length
        _ = streams.insert(stream)
        streamsOpen += 1
        controlBudget.give(limits.controlFramesPerWork)
        return .request(HTTPStreamID(rawValue: id), head, endStream: endStream)
    }

    /// 431, as HTTP/1 servers say it (RFC 6585 section 5), and the stream is over.
    private func refuseLargeRequest(_ id: UInt32, endStream: Bool) -> HTTPEvent? {
        writeHead(id, ResponseHead(status: 431, headers: ["content-length": "0"]), endStream: true)
        return failStream(id, endStream ? HTTP2ErrorCode.enhanceYourCalm : HTTP2ErrorCode.noError, "the header list is larger than announced (RFC 9113 section 10.5.1)")
    }

    private func receiveResponse(_ slot: Int, _ id: UInt32, _ block: UnsafeRawBufferPointer, endStream: Bool) -> HTTPEvent? {
        let generation = decoder.generation
        if let known = responseHeads.find(block, generation: generation) { return begin(slot, id, known.value, contentLength: known.contentLength, endStream: endStream) }
        if let fault = decode(block) { return fault }
        if fields.isTooLarge { return failStream(id, HTTP2ErrorCode.enhanceYourCalm, "the header list is larger than announced (RFC 9113 section 10.5.1)") }
        guard let head = fields.takeResponse() else {
            return failStream(id, HTTP2ErrorCode.protocolError, fields.violation ?? "a malformed response (RFC 9113 section 8.1.1)")
        }
        if decoder.generation == generation { responseHeads.keep(block, generation: generation, listBytes: fields.listBytes, head, contentLength: fields.contentLength) }
        return begin(slot, id, head, contentLength: fields.contentLength, endStream: endStream)
    }

    private func begin(_ slot: Int, _ id: UInt32, _ head: ResponseHead, contentLength: Int?, endStream: Bool) -> HTTPEvent? {
        if head.isInformational {
            if endStream { return failStream(id, HTTP2ErrorCode.protocolError, "an informational head with END_STREAM (RFC 9113 section 8.1)") }
            streams[slot].informationals += 1
            if streams[slot].informationals > limits.informationalsMax { return failStream(id, HTTP2ErrorCode.enhanceYourCalm, "too many informational heads before the final one (RFC 9110 section 15.2)") }
            return spendControl() ?? .response(HTTPStreamID(rawValue: id), head, endStream: false)
        }
        streams[slot].isHeadReceived = true
        if streams[slot].isHeadRequest || head.status == 304 || head.status == 204 {
            streams[slot].contentLeft = 0
        } else if !streams[slot].isTunnel, let length = contentLength {
            if endStream, length > 0 { return failStream(id, HTTP2ErrorCode.protocolError, "less body than content-length says (RFC 9113 section 8.1.1)") }
            streams[slot].contentLeft = length
        }
        if endStream { endRemote(slot) }
        return .response(HTTPStreamID(rawValue: id), head, endStream: endStream)
    }

    private func receiveTrailers(_ slot: Int, _ id: UInt32, _ block: UnsafeRawBufferPointer, endStream: Bool) -> HTTPEvent? {
        let generation = decoder.generation
        let known = trailerFields.find(block, generation: generation)
        if known == nil, let fault = decode(block) { return fault }
        if known == nil, fields.isTooLarge { return failStream(id, HTTP2ErrorCode.enhanceYourCalm, "the trailers are larger than announced (RFC 9113 section 10.5.1)") }
        if !endStream { return failStream(id, HTTP2ErrorCode.protocolError, "a second head without END_STREAM (RFC 9113 section 8.1)") }
        if streams[slot].isTunnel, streams[slot].isHeadSent || role == .client { return failStream(id, HTTP2ErrorCode.protocolError, "trailers on a tunnel (RFC 9113 section 8.5)") }
        guard let trailers = known?.value ?? fields.takeTrailers() else {
            return failStream(id, HTTP2ErrorCode.protocolError, fields.violation ?? "malformed trailers (RFC 9113 section 8.1.1)")
        }
        if known == nil, decoder.generation == generation { trailerFields.keep(block, generation: generation, listBytes: fields.listBytes, trailers, contentLength: nil) }
        if streams[slot].contentLeft > 0 { return failStream(id, HTTP2ErrorCode.protocolError, "less body than content-length says (RFC 9113 section 8.1.1)") }
        endRemote(slot)
        return .trailers(HTTPStreamID(rawValue: id), trailers)
    }
}
