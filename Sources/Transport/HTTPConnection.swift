// An HTTP engine bound to a connection: bytes in, stream events out, and everything the components ask for back into bytes.
// Works the same over plain TCP and TLS, for both versions and both sides. Accepting, pooling and reconnecting live elsewhere.

import Base
import HTTP
import Platform

/// Hears what concerns a whole connection.
public protocol HTTPConnectionOwner: AnyObject {
    /// Server side: a request head arrived. Set `stream.handler` before returning, and answer in time.
    func request(_ stream: HTTPStream, _ head: RequestHead, endStream: Bool)
    /// Client side: the connection stands, TLS included.
    func connected(_ connection: HTTPConnection)
    /// Client side: the connection can take another request (connected, idle again, or a stream slot is free).
    func available(_ connection: HTTPConnection)
    /// Client side, HTTP/2: the peer's SETTINGS have come, so that `offersExtendedConnect` is known.
    func settled(_ connection: HTTPConnection)
    /// The connection is gone; its streams have been told.
    func closed(_ connection: HTTPConnection)
}

extension HTTPConnectionOwner {
    public func request(_ stream: HTTPStream, _ head: RequestHead, endStream: Bool) { stream.reset(code: HTTP2ErrorCode.refusedStream) }
    public func connected(_ connection: HTTPConnection) {}
    public func available(_ connection: HTTPConnection) {}
    public func settled(_ connection: HTTPConnection) {}
}

public final class HTTPConnection: ConnectionHandler {
    public enum State { case connecting, open, draining, closed }

    public let batch: FlushBatch
    public let version: HTTPVersion
    public internal(set) var state: State
    /// Whoever answers or asks; cleared at close.
    public var owner: (any HTTPConnectionOwner)?
    /// The stream of bytes below; nil once closed.
    public private(set) var connection: (any Connection)?
    /// Client side: why it never stood; nil if it did, or still may.
    public private(set) var connectFailure: HTTPStreamFailure?
    /// Server side, set by the owner: what it wants to know again at each request (the peer's identity, a policy).
    public var context: AnyObject?

    /// One of the two, for ever: what never changes costs no reference count per use.
    let http1: HTTP1Connection?
    let http2: HTTP2Connection?
    let limits: TransportLimits
    let isServer: Bool
    let isHTTP2: Bool
    var isMarked = false
    var closesAfterFlush = false
    /// The one exchange of an HTTP/1 connection.
    var current: HTTPStream?
    /// HTTP/1: the object of the exchange that is open, or of the last one.
    private var spare: HTTPStream?
    /// The streams of an HTTP/2 connection; look-up only.
    private var streams: [UInt32: HTTPStream] = [:]
    var unacknowledgedBytes = 0
    /// What the connection below was last told; nil: nothing yet.
    var isPausing: Bool?
    /// Body bytes given to the engine since the last flush: they are on their way, but the connection below does not know yet.
    var unflushedBytes = 0
    /// A stream was told that it may not send.
    var hasBlocked = false
    private var offersSoon = false
    var isTunnel = false
    var wantsPump = false
    /// HTTP/1 server: the next request is not read because the client does not take the responses before it.
    var holdsPump = false
    /// HTTP/2 client: the peer's SETTINGS have come.
    private(set) var isSettled = false
    /// Client side: streams at once that the peer allows, as far as is known.
    var streamsAllowed: Int { isHTTP2 ? http2!.streamsAllowed : 1 }
    var timer: TimerID?
    var timerDeadline = Instant.distantFuture
    var host: any Host { batch.host }

    /// Server side of an accepted connection. Takes over as its handler; bytes already read go through `receive(buffered:)`.
    public init(serving connection: any Connection, version: HTTPVersion, settings: HTTP2Settings = HTTP2Settings(), batch: FlushBatch, limits: TransportLimits = TransportLimits(), owner: any HTTPConnectionOwner) {
        self.batch = batch
        self.version = version
        self.connection = connection
        self.owner = owner
        self.limits = limits
        isServer = true
        state = .open
        isHTTP2 = version == .http2
        http1 = isHTTP2 ? nil : HTTP1Connection(role: .server, limits: limits.http)
        http2 = isHTTP2 ? HTTP2Connection(role: .server, settings: settings, limits: limits.http, now: batch.host.now) : nil
        connection.handler = self
        if isHTTP2 { markDirty() }
    }

    /// Client side over a connection being made by `connect`, which must return a connection with the given handler.
    public init(version: HTTPVersion, settings: HTTP2Settings = HTTP2Settings(), batch: FlushBatch, limits: TransportLimits = TransportLimits(), owner: any HTTPConnectionOwner, connect: (any ConnectionHandler) -> any Connection) {
        self.batch = batch
        self.version = version
        self.owner = owner
        self.limits = limits
        isServer = false
        state = .connecting
        isHTTP2 = version == .http2
        http1 = isHTTP2 ? nil : HTTP1Connection(role: .client, limits: limits.http)
        http2 = isHTTP2 ? HTTP2Connection(role: .client, settings: settings, limits: limits.http, now: batch.host.now) : nil
        connection = connect(self)
    }

    /// Streams now open.
    public var streamCount: Int { isHTTP2 ? streams.count : (current == nil ? 0 : 1) }

    /// Client side: another request may be sent now.
    public var isAvailable: Bool {
        guard state == .open || state == .connecting, !closesAfterFlush else { return false }
        return isHTTP2 ? http2!.isReusable : (current == nil && http1!.isReusable)
    }

    /// Client side: whether the peer takes extended CONNECT (RFC 8441). nil: it has not said yet.
    public var offersExtendedConnect: Bool? { isHTTP2 ? http2!.offersExtendedConnect : false }

    /// Memory of the engine for bytes and streams, and bytes that the connection below has not sent. Unit: bytes.
    public var bytesHeld: Int { (isHTTP2 ? http2!.bytesHeld : http1!.bytesHeld) + (connection?.bytesQueued ?? 0) }

    // MARK: What components ask for

    /// Client side: sends a request. Throws when no stream is free.
    public func open(_ head: RequestHead, endStream: Bool, handler: any HTTPStreamHandler) throws(Refusal) -> HTTPStream {
        guard isAvailable else { throw Refusal("the connection takes no further request") }
        if !isHTTP2 { http1!.borrowOutput(&batch.spare) }
        let id = isHTTP2 ? try http2!.sendRequest(head, endStream: endStream) : try http1!.sendRequest(head, endStream: endStream)
        let stream = makeStream(id)
        stream.handler = handler
        stream.isConnect = head.method == .connect
        stream.isLocalEnded = endStream
        if isHTTP2 { streams[id.rawValue] = stream } else { current = stream }
        markDirty()
        return stream
    }

    /// Finishes what is open and closes: GOAWAY on HTTP/2, `Connection: close` on HTTP/1.
    public func drain() {
        guard state == .open || state == .connecting else { return }
        state = .draining
        if isTunnel { return }
        if isHTTP2 {
            http2!.shutdown(now: host.now)
            updateTimer()
        } else {
            http1!.shutdown()
        }
        markDirty()
        closeIfDrained()
    }

    /// Ends the connection now; streams fail. What was said before, a reset of a stream among it, still goes out.
    public func close() {
        if state == .open || state == .draining { sendOutput() }
        end(nil, tellBelow: true)
    }

    func respond(_ stream: HTTPStream, _ head: ResponseHead, endStream: Bool) {
        do {
            if isHTTP2 {
                try http2!.sendResponse(stream.id, head, endStream: endStream)
                if stream.isConnect, head.status / 100 == 2 { stream.isTunnel = true }
            } else {
                http1!.borrowOutput(&batch.spare)
                try http1!.sendResponse(stream.id, head, endStream: endStream)
            }
            markDirty()
            // The engine tells of the tunnel only when it is asked again.
            if !isHTTP2, http1!.isTunnel { wantsPump = true }
            if endStream { endLocal(stream) }
        } catch { refused(stream, error) }
    }

    func send(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) {
        if isTunnel {
            connection?.send(bytes)
            if endStream { connection?.finish() }
            return
        }
        do {
            if isHTTP2 { try http2!.sendData(stream.id, bytes, endStream: endStream) } else { try http1!.sendData(stream.id, bytes, endStream: endStream) }
            unflushedBytes += bytes.byteCount
            markDirty()
            if endStream { endLocal(stream) }
        } catch { refused(stream, error) }
    }

    func send(_ stream: HTTPStream, trailers: Headers) {
        do {
            if isHTTP2 { try http2!.sendTrailers(stream.id, trailers) } else { try http1!.sendTrailers(stream.id, trailers) }
            markDirty()
            endLocal(stream)
        } catch { refused(stream, error) }
    }

    func acknowledge(_ stream: HTTPStream, _ bytes: Int) {
        if isHTTP2 {
            http2?.acknowledge(stream.id, bytes: bytes)
            markDirty()
        } else {
            unacknowledgedBytes -= bytes
            updateReading()
        }
    }

    func reset(_ stream: HTTPStream, code: UInt32) {
        forget(stream)
        if isHTTP2 {
            http2!.reset(stream.id, code: code)
            markDirty()
        } else if isServer, !isTunnel {
            // What is already written (an error response, say) still goes out; the connection cannot be used further.
            closesAfterFlush = true
            markDirty()
        } else {
            connection?.reset()
            end(nil, tellBelow: false)
        }
    }

    /// Of the stream's output, what waits for the peer's window. Unit: bytes.
    func bytesWaiting(_ stream: HTTPStream) -> Int { isHTTP2 ? http2!.bytesQueued(stream.id) : 0 }

    func isWritable(_ stream: HTTPStream) -> Bool {
        let below = (connection?.bytesQueued ?? 0) + unflushedBytes
        var isWritable = below < limits.sendQueueBytesMax
        if isHTTP2, isWritable {
            let queued = http2!.bytesQueued(stream.id)
            isWritable = queued == 0 || below + queued < limits.sendQueueBytesMax && http2!.bytesQueued < limits.connectionQueueBytesMax
        }
        if !isWritable { hasBlocked = true }
        return isWritable
    }

    /// The engine forbids what a component asked for, because the peer has ended or reset the stream meanwhile.
    private func refused(_ stream: HTTPStream, _ refusal: Refusal) {
        guard stream.connection != nil else { return }
        let handler = stream.handler
        forget(stream)
        if isHTTP2 { http2!.reset(stream.id, code: HTTP2ErrorCode.internalError) } else { closesAfterFlush = true }
        markDirty()
        handler?.failed(stream, .reset(PeerError(.stream, code: HTTP2ErrorCode.internalError, rule: refusal.reason)))
    }

    // MARK: What the connection tells

    public func connected(_ connection: any Connection) {
        guard state == .connecting else { return }
        batch.enter()
        state = .open
        http2?.connected(now: host.now)
        markDirty()
        owner?.connected(self)
        owner?.available(self)
        batch.leave()
    }

    public func received(_ bytes: RawSpan, on connection: any Connection) {
        batch.enter()
        if isTunnel {
            unacknowledgedBytes += bytes.byteCount
            if let current { current.handler?.data(current, bytes, endStream: false) }
        } else {
            if isHTTP2 {
                if http2!.wantsBytesBelow { http2!.bytesBelow = connection.bytesQueued }
                http2!.receive(bytes, now: host.now)
            } else { http1!.receive(bytes, now: host.now) }
            pump()
        }
        updateReading()
        batch.leave()
    }

    /// Bytes that were read from the connection before it became ours.
    public func receive(buffered bytes: RawSpan) {
        guard let connection, bytes.byteCount > 0 else { return }
        received(bytes, on: connection)
    }

    public func finished(_ connection: any Connection) {
        batch.enter()
        if isTunnel {
            if let current { current.handler?.data(current, RawSpan(), endStream: true) }
        } else {
            if isHTTP2 { http2!.receiveEnd(now: host.now) } else { http1!.receiveEnd(now: host.now) }
            pump()
            // A half-closed HTTP/1 client still gets its answer. On HTTP/2 nobody is left to open windows and answer pings, and a
            // silent stream would never find out that its client is gone.
            if streamCount == 0 && !holdsPump || !isServer || isHTTP2 { closesAfterFlush = true }
            markDirty()
        }
        batch.leave()
    }

    public func drained(_ connection: any Connection) {
        offerAll()
        if holdsPump { pumpHeld() }
    }

    private func offerAll() {
        batch.enter()
        hasBlocked = false
        if isHTTP2 {
            for id in streams.keys.sorted() { // order: ascending stream id
                if let stream = streams[id] { offer(stream) }
            }
        } else if let current {
            offer(current)
        }
        batch.leave()
    }

    /// What was blocked by bytes that left at once goes on in the next turn, so that others have theirs.
    func offerSoon() {
        if offersSoon { return }
        offersSoon = true
        host.after(.zero) { [self] in
            offersSoon = false
            if state != .closed { offerAll() }
        }
    }

    public func closed(_ connection: any Connection, _ failure: HostFailure?) {
        batch.enter()
        end(failure, tellBelow: false)
        batch.leave()
    }

    private func offer(_ stream: HTTPStream) {
        guard stream.wantsWritable, isWritable(stream) else { return }
        stream.wantsWritable = false
        stream.handler?.writable(stream)
    }

    // MARK: Engine events

    private func nextEvent() -> HTTPEvent? { isHTTP2 ? http2!.nextEvent() : http1!.nextEvent() }

    func pump() {
        while state != .closed, !holdsNextRequest(), let event = nextEvent() {
            switch consume event {
            case .request(let id, let head, let endStream):
                let stream = makeStream(id)
                stream.isRemoteEnded = endStream
                stream.isConnect = head.method == .connect
                if isHTTP2 { streams[id.rawValue] = stream } else { current = stream }
                owner?.request(stream, head, endStream: endStream)
            case .response(let id, let head, let endStream):
                guard let stream = stream(id) else { continue }
                if isHTTP2, stream.isConnect, head.status / 100 == 2 { stream.isTunnel = true }
                stream.handler?.response(stream, head, endStream: endStream)
                if endStream { endRemote(stream) }
            case .data(let id, let bytes, let endStream):
                deliver(id, bytes, endStream: endStream)
            case .trailers(let id, let trailers):
                guard let stream = stream(id) else { continue }
                stream.handler?.trailers(stream, trailers)
                endRemote(stream)
            case .reset(let id, let error):
                guard let stream = stream(id) else { continue }
                forget(stream)
                stream.handler?.failed(stream, .reset(error))
            case .writable(let id):
                if let stream = stream(id) { offer(stream) }
            case .upgraded(let id):
                beginTunnel(id)
            case .goAway:
                if state == .open { state = .draining }
            case .failed(let error):
                fail(error)
            }
        }
        if state == .closed { return }
        if isHTTP2 {
            if !isSettled, !isServer, http2!.offersExtendedConnect != nil {
                isSettled = true
                owner?.settled(self)
            }
            updateTimer()
            closeIfDrained()
            markDirty()
        } else if http1!.hasOutput {
            markDirty()
        }
    }

    private func deliver(_ id: HTTPStreamID, _ bytes: Int, endStream: Bool) {
        guard let stream = stream(id) else {
            if bytes > 0, isHTTP2 { http2!.acknowledge(id, bytes: bytes) }
            return
        }
        if isHTTP2 {
            // The handler may turn to this very connection, so the engine must not be borrowed while it runs.
            var scratch = ByteBuffer()
            swap(&scratch, &batch.scratch)
            http2!.withData { scratch.append($0) }
            stream.handler?.data(stream, scratch.unsafeBytes.bytes, endStream: endStream)
            scratch.removeAll()
            swap(&scratch, &batch.scratch)
        } else {
            // Nothing that a handler can ask of this connection touches what was received before the next event is asked for.
            unacknowledgedBytes += bytes
            stream.handler?.data(stream, http1!.lastData.bytes, endStream: endStream)
        }
        if endStream { endRemote(stream) }
    }

    private func beginTunnel(_ id: HTTPStreamID) {
        guard let stream = stream(id) else { return }
        isTunnel = true
        stream.isTunnel = true
        flush()
        let leftover = http1!.takeTunnelBytes()
        if !leftover.isEmpty {
            unacknowledgedBytes += leftover.count
            stream.handler?.data(stream, leftover.span.bytes, endStream: false)
        }
    }

    private func stream(_ id: HTTPStreamID) -> HTTPStream? {
        if isHTTP2 { return streams[id.rawValue] }
        return current?.id == id ? current : nil
    }

    /// An HTTP/1 connection takes the object of its last exchange again, unless somebody still holds it.
    private func makeStream(_ id: HTTPStreamID) -> HTTPStream {
        if isHTTP2 { return HTTPStream(id: id, connection: self) }
        if spare != nil, isKnownUniquelyReferenced(&spare) {
            spare!.begin(id, on: self)
        } else {
            spare = HTTPStream(id: id, connection: self)
        }
        return spare!
    }

    private func endLocal(_ stream: HTTPStream) {
        stream.isLocalEnded = true
        if stream.isRemoteEnded { complete(stream) }
    }

    private func endRemote(_ stream: HTTPStream) {
        stream.isRemoteEnded = true
        if stream.isLocalEnded { complete(stream) }
    }

    /// Both sides have ended: the stream goes, and the connection may serve the next one.
    private func complete(_ stream: HTTPStream) {
        guard stream.connection != nil, !isTunnel else { return }
        forget(stream)
        // Nothing more comes, so nobody must be kept to hear it.
        if !isHTTP2 { stream.handler = nil }
        if !isHTTP2, !http1!.isReusable {
            // One side said `Connection: close`, or the message ends with the connection.
            closesAfterFlush = true
            markDirty()
            return
        }
        if isServer {
            wantsPump = !isHTTP2 && http1!.hasUnreadInput
        } else if state == .open, isAvailable {
            owner?.available(self)
        }
        closeIfDrained()
    }

    private func forget(_ stream: HTTPStream) {
        stream.connection = nil
        if isHTTP2 {
            stream.formerConnection = self
            streams[stream.id.rawValue] = nil
        } else if current === stream {
            current = nil
            unacknowledgedBytes = 0
        }
    }

    private func fail(_ error: PeerError) {
        let affected = takeStreams()
        closesAfterFlush = true
        markDirty()
        for stream in affected { stream.handler?.failed(stream, .protocolBroken(error)) }
    }

    private func takeStreams() -> [HTTPStream] {
        var taken: [HTTPStream] = []
        if let current { taken.append(current) }
        for id in streams.keys.sorted() { taken.append(streams[id]!) } // order: ascending stream id
        current = nil
        streams.removeAll()
        for stream in taken { stream.connection = nil }
        return taken
    }

    // MARK: The end

    func end(_ failure: HostFailure?, tellBelow: Bool) {
        guard state != .closed else { return }
        let wasConnecting = state == .connecting
        state = .closed
        if tellBelow { connection?.close() }
        let handshake = (connection as? TLSStream)?.failure
        connection?.handler = nil
        connection = nil
        if let timer { host.cancel(timer) }
        if wasConnecting { connectFailure = handshake.map { .handshakeFailed($0) } ?? .connectFailed(failure ?? HostFailure("connect", .connectionReset)) }
        let tunnel = isTunnel
        for stream in takeStreams() {
            if tunnel, failure == nil { continue }
            stream.handler?.failed(stream, connectFailure ?? .connectionLost(failure))
        }
        spare = nil
        let owner = owner
        self.owner = nil
        owner?.closed(self)
        context = nil
    }
}
