// HTTP/2 on one connection, either side, as a state machine without I/O (RFC 9113). Received bytes are kept until whole frames
// can be read from them, one event at a time; what is to be sent goes to one buffer. The windows that the peer sees open again
// only as the owner acknowledges what it received: that is the back-pressure.
// Deliberately absent: server push (refused) and priorities (read past).
// The parts: +Receive (frames), +Messages (header blocks), +Flow (windows and queues), +Adaptive (windows that grow), +Send (what the
// owner asks), +Time.

import Base

/// What one side of an HTTP/2 connection announces and how it watches over the connection.
public struct HTTP2Settings: Sendable {
    /// Of each stream, as announced. Unit: bytes, at most 2^31-1. Source: linkerd2-proxy's default of h2 server and client settings.
    public var initialStreamWindowBytes = 65_535
    /// Of the connection. Unit: bytes, 65,535...2^31-1 (there is no way to announce less).
    public var initialConnectionWindowBytes = 65_535
    /// Unit: bytes, 16,384...2^24-1.
    public var maxFrameBytes = 16_384
    /// Streams that the peer may have open (server side). nil: not announced.
    public var maxConcurrentStreams: UInt32? = nil
    public var maxHeaderListBytes = 65_536
    /// RFC 8441, server side.
    public var allowsExtendedConnect = false
    /// The windows begin at 65,535 bytes and grow with what the path carries in a round trip; the two sizes above are not used then.
    public var adaptsWindows = false
    /// A PING is sent after this silence, and the connection fails when it is not answered in time.
    public var keepAliveInterval: Interval?
    public var keepAliveTimeout = Interval.seconds(3)
    /// Pings also when no stream is open.
    public var keepAliveWhileIdle = false

    public init() {}
}

public final class HTTP2Connection: Engine {
    public typealias Event = HTTPEvent

    static let preface: StaticString = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    static let windowMax = 0x7fff_ffff
    static let defaultWindow = 65_535

    /// Where our GOAWAY stands.
    enum Shutdown {
        case none
        /// GOAWAY with the highest id is out, and a PING whose answer shows that the peer has seen it. Server side only.
        case announced(since: Instant)
        /// GOAWAY is out; streams of the peer above `last` are not looked at.
        case final(last: UInt32)
    }

    let role: HTTPRole
    let settings: HTTP2Settings
    let limits: HTTPLimits

    // Input
    var input = ByteBuffer()
    /// Bytes at the head of `input` that the last frame took.
    var taken = 0
    var dataStart = 0
    var dataCount = 0
    var prefaceLeft: Int
    var isFirstFrame = true
    var hasInputEnded = false
    /// A header block under way: its HEADERS frame, and how many CONTINUATION frames came.
    var blockStream: UInt32 = 0
    var blockEndsStream = false
    var blockContinuations = 0
    var block = ByteBuffer()
    var decoder: HPACKDecoder
    var fields: HeaderBlock
    /// Heads that came before, by their header blocks.
    var requestHeads: HeadCache<RequestHead>
    var responseHeads: HeadCache<ResponseHead>
    var trailerFields: HeadCache<Headers>
    var pending: [HTTPEvent] = []
    var pendingNext = 0

    // Output
    var output = ByteBuffer()
    var encoder = HPACKEncoder()
    /// For names that came in upper case.
    var lowercaseScratch: [UInt8] = []

    // Streams
    var streams = HTTP2StreamTable()
    var closedStreams: HTTP2ClosedStreams
    /// Streams that are not over.
    var streamsOpen = 0
    var nextStreamID: UInt32 = 1
    var lastPeerStreamID: UInt32 = 0
    var ringFirst: Int32 = -1
    var ringLast: Int32 = -1

    // Windows of the connection
    var sendWindow = HTTP2Connection.defaultWindow
    var receiveWindow = HTTP2Connection.defaultWindow
    var unreturned = 0
    var connectionWindowBytes: Int
    /// Of each stream, as our last SETTINGS say. Unit: bytes.
    var announcedStreamWindow: Int
    /// What we let the peer send on a new stream; the announced value once the peer has acknowledged it.
    var streamReceiveWindow = HTTP2Connection.defaultWindow
    /// nil: the windows are fixed.
    var adaptive: HTTP2AdaptiveWindow?
    /// Body bytes of all streams that wait for the peer's windows.
    var queuedTotal = 0
    var unpaced = HTTP2UnpacedOutput()

    // The peer's settings
    var hasPeerSettings = false
    var peerStreamWindow = HTTP2Connection.defaultWindow
    var peerFrameBytes = 16_384
    var peerStreamsMax: Int
    var peerHeaderListBytes = Int.max
    var peerAllowsExtendedConnect = false
    var unacknowledgedSettings = 1
    var settingsSentAt: Instant

    // The whole
    var hasFailed = false
    var shutdownState = Shutdown.none
    /// The peer's GOAWAY: the last stream of ours that it takes.
    var goAwayLast: UInt32?
    var now: Instant
    var lastReceived: Instant
    var keepAlivePingAt: Instant?
    var resetBudget: TokenBucket
    var controlBudget: TokenBucket

    public init(role: HTTPRole, settings: HTTP2Settings = HTTP2Settings(), limits: HTTPLimits = HTTPLimits(), now: Instant) {
        self.role = role
        self.settings = settings
        self.limits = limits
        self.now = now
        lastReceived = now
        settingsSentAt = now
        prefaceLeft = role == .server ? Self.preface.utf8CodeUnitCount : 0
        decoder = HPACKDecoder()
        fields = HeaderBlock(listBytesMax: settings.maxHeaderListBytes)
        requestHeads = HeadCache(slots: 8, limits: limits)
        responseHeads = HeadCache(slots: 8, limits: limits)
        trailerFields = HeadCache(slots: 2, limits: limits)
        closedStreams = HTTP2ClosedStreams(countMax: limits.closedStreamsMax)
        connectionWindowBytes = settings.adaptsWindows ? Self.defaultWindow : max(Self.defaultWindow, min(settings.initialConnectionWindowBytes, Self.windowMax))
        announcedStreamWindow = settings.adaptsWindows ? Self.defaultWindow : max(0, min(settings.initialStreamWindowBytes, Self.windowMax))
        if settings.adaptsWindows { adaptive = HTTP2AdaptiveWindow() }
        peerStreamsMax = limits.streamsBeforeSettingsMax
        resetBudget = TokenBucket(burst: limits.resetsBurst, perSecond: limits.resetsPerSecond, now: now)
        controlBudget = TokenBucket(burst: limits.controlFramesBurst, perSecond: limits.controlFramesPerSecond, now: now)
        writePreface()
    }

    // MARK: The engine's verbs

    public func receive(_ bytes: RawSpan, now: Instant) {
        self.now = now
        if hasFailed { return }
        lastReceived = now
        input.append(bytes)
    }

    /// The peer sent FIN. On the server side requests that are not complete are reset by `nextEvent`; on the client side nothing more can
    /// come, and the owner knows that by itself.
    public func receiveEnd(now: Instant) {
        self.now = now
        hasInputEnded = true
    }

    public func nextEvent() -> HTTPEvent? {
        dataStart = 0
        dataCount = 0
        while true {
            if pendingNext < pending.count {
                if let event = takePending() { return event }
                continue
            }
            if hasFailed { return nil }
            if taken > 0 {
                input.consume(taken)
                taken = 0
            }
            guard let event = readFrame() else {
                if pendingNext < pending.count || taken > 0 || hasFailed { continue }
                if hasInputEnded, endInput() { continue }
                // An idle connection holds no large buffer.
                if input.isEmpty, input.capacityBytes > 4096 { input.release() }
                return nil
            }
            return event
        }
    }

    /// The bytes of the last `data` event, valid inside `body` only.
    public func withData<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
        try input.withUnsafeBytes { (raw: UnsafeRawBufferPointer) throws(E) -> R in
            try body(UnsafeRawBufferPointer(rebasing: raw[dataStart..<dataStart + dataCount]).bytes)
        }
    }

    public func drainOutput(into buffer: inout ByteBuffer) {
        if !output.isEmpty { buffer.append(moving: &output) }
    }

    // MARK: What the owner may ask

    /// Client side: a stream may be opened now.
    public var isReusable: Bool {
        !hasFailed && goAwayLast == nil && !isShuttingDown && !hasInputEnded && streamsOpen < peerStreamsMax && nextStreamID <= 0x7fff_ffff
    }

    /// Streams at once that the peer allows; before its SETTINGS, what is assumed. Unit: streams.
    public var streamsAllowed: Int { peerStreamsMax }

    /// Streams that are not over.
    public var streamCount: Int { streamsOpen }

    /// After `shutdown` or the peer's GOAWAY: every stream is over, and the peer knows which ones were looked at, so that the connection may be closed.
    public var isDrained: Bool {
        if hasFailed { return true }
        switch shutdownState {
        case .none: return goAwayLast != nil && streamsOpen == 0
        case .announced: return false
        case .final: return streamsOpen == 0
        }
    }

    /// Client side: whether the peer takes extended CONNECT (RFC 8441). nil: its SETTINGS have not come yet.
    public var offersExtendedConnect: Bool? { hasPeerSettings ? peerAllowsExtendedConnect : nil }

    /// What was drained from this engine and the peer has not taken. The owner keeps it up to date while `wantsBytesBelow`; without that, what is
    /// drained counts as taken. Unit: bytes.
    public var bytesBelow = 0
    public var wantsBytesBelow: Bool { unpaced.waiting > limits.unpacedBytesMax / 4 }

    /// Body bytes of all streams that wait for a window. Unit: bytes.
    public var bytesQueued: Int { queuedTotal }

    /// Memory for bytes and streams, tables included. Unit: bytes.
    public var bytesHeld: Int {
        input.capacityBytes + output.capacityBytes + block.capacityBytes + fields.capacityBytes + decoder.tableBytes + encoder.tableBytes + streams.bytesHeld
    }

    /// Body bytes of this stream that wait for a window. Unit: bytes.
    public func bytesQueued(_ stream: HTTPStreamID) -> Int {
        let slot = streams.find(stream.rawValue)
        return slot < 0 ? 0 : streams.queue(slot)?.bytes.count ?? 0
    }

    // MARK: Inside

    var isShuttingDown: Bool { if case .none = shutdownState { false } else { true } }

    func tell(_ event: HTTPEvent) { pending.append(event) }

    private func takePending() -> HTTPEvent? {
        let event = pending[pendingNext]
        pendingNext += 1
        if pendingNext == pending.count {
            pending.removeAll(keepingCapacity: true)
            pendingNext = 0
        }
        // The owner may have reset the stream meanwhile.
        if case .writable(let stream) = event, streams.find(stream.rawValue) < 0 { return nil }
        return event
    }

    private func writePreface() {
        if role == .client { output.append(Self.preface) }
        var values: [(UInt16, UInt32)] = []
        if role == .client { values.append((HTTP2Setting.enablePush, 0)) }
        if role == .server, let streams = settings.maxConcurrentStreams { values.append((HTTP2Setting.maxConcurrentStreams, streams)) }
        if announcedStreamWindow != Self.defaultWindow { values.append((HTTP2Setting.initialWindowSize, UInt32(announcedStreamWindow))) }
        if announcedFrameBytes != 16_384 { values.append((HTTP2Setting.maxFrameSize, UInt32(announcedFrameBytes))) }
        values.append((HTTP2Setting.maxHeaderListSize, UInt32(clamping: settings.maxHeaderListBytes)))
        if role == .server, settings.allowsExtendedConnect { values.append((HTTP2Setting.enableConnectProtocol, 1)) }
        writeSettings(values)
        if connectionWindowBytes > Self.defaultWindow {
            writeWindowUpdate(0, connectionWindowBytes - Self.defaultWindow)
            receiveWindow = connectionWindowBytes
        }
    }

    var announcedFrameBytes: Int { max(16_384, min(settings.maxFrameBytes, 0xff_ffff)) }

    func writeSettings(_ values: [(UInt16, UInt32)]) {
        writeFrame(HTTP2FrameType.settings, length: values.count * 6)
        for (name, value) in values {
            output.append(bigEndian: name)
            output.append(bigEndian: value)
        }
    }

    /// Ends the whole connection: GOAWAY, and `failed` for the owner.
    func fail(_ code: UInt32, _ rule: StaticString) -> HTTPEvent? {
        guard !hasFailed else { return nil }
        hasFailed = true
        writeFrame(HTTP2FrameType.goAway, length: 8 + rule.utf8CodeUnitCount)
        output.append(bigEndian: lastPeerStreamID)
        output.append(bigEndian: code)
        output.append(rule)
        streams.removeAll()
        streamsOpen = 0
        queuedTotal = 0
        ringFirst = -1
        ringLast = -1
        pending.removeAll()
        pendingNext = 0
        dataStart = 0
        dataCount = 0
        taken = 0
        input.release()
        block.release()
        return .failed(PeerError(.connection, code: code, rule: rule.description))
    }

    /// Ends one stream because of a fault of the peer's: RST_STREAM, and `reset` for the owner. Counts against the peer.
    func failStream(_ id: UInt32, _ code: UInt32, _ rule: StaticString) -> HTTPEvent? {
        writeReset(id, code)
        forget(id, .resetByUs)
        guard resetBudget.take(now: now) else { return failCalm("too many streams end early (CVE-2023-44487, CVE-2025-8671)") }
        return .reset(HTTPStreamID(rawValue: id), PeerError(.stream, code: code, rule: rule.description))
    }

    func failCalm(_ rule: StaticString) -> HTTPEvent? { fail(HTTP2ErrorCode.enhanceYourCalm, rule) }

    /// A stream is over abnormally: nothing of it is kept, and its unacknowledged bytes no longer hold back the connection.
    func forget(_ id: UInt32, _ reason: HTTP2ClosedStreams.Reason) {
        closedStreams.add(id, reason)
        let slot = streams.find(id)
        if slot < 0 { return }
        leaveRing(slot)
        if let queue = streams.queue(slot) { queuedTotal -= queue.bytes.count }
        if streams[slot].state != .closed { streamsOpen -= 1 }
        let held = streams[slot].unacknowledged
        streams.remove(slot)
        if held > 0 { returnToConnection(held) }
    }

    /// The peer has sent END_STREAM.
    @inline(__always)
    func endRemote(_ slot: Int) {
        if streams[slot].state == .open { streams[slot].state = .halfClosedRemote } else { close(slot) }
    }

    /// We have sent END_STREAM.
    @inline(__always)
    func endLocal(_ slot: Int) {
        if streams[slot].state == .open { streams[slot].state = .halfClosedLocal } else { close(slot) }
    }

    private func close(_ slot: Int) {
        streamsOpen -= 1
        resetBudget.give(1)
        closedStreams.addEnded(streams[slot].id)
        if streams[slot].unacknowledged == 0 { streams.remove(slot) } else { streams[slot].state = .closed }
    }

    // MARK: Writing frames

    @inline(__always)
    func writeFrame(_ type: UInt8, flags: UInt8 = 0, stream: UInt32 = 0, length: Int) {
        unpaced.wrote(HTTP2Frame.headerBytes + length, isPaced: type == HTTP2FrameType.data)
        output.fill(reserving: HTTP2Frame.headerBytes + length) { raw in
            writeFrameHeader(raw.baseAddress.unsafelyUnwrapped, length: length, type: type, flags: flags, stream: stream)
            return HTTP2Frame.headerBytes
        }
    }

    func writeReset(_ id: UInt32, _ code: UInt32) {
        writeFrame(HTTP2FrameType.rstStream, stream: id, length: 4)
        output.append(bigEndian: code)
    }

    func writeWindowUpdate(_ id: UInt32, _ bytes: Int) {
        writeFrame(HTTP2FrameType.windowUpdate, stream: id, length: 4)
        output.append(bigEndian: UInt32(bytes))
    }

    func writeGoAway(last: UInt32, code: UInt32) {
        writeFrame(HTTP2FrameType.goAway, length: 8)
        output.append(bigEndian: last)
        output.append(bigEndian: code)
    }

    func writePing(_ payload: UInt64, isAnswer: Bool) {
        writeFrame(HTTP2FrameType.ping, flags: isAnswer ? HTTP2Flag.ack : 0, length: 8)
        output.append(bigEndian: payload)
    }
}
