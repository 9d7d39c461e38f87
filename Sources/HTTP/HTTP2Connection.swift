// HTTP/2 on one connection, either side, as a state machine without I/O (RFC 9113).

import Base

/// What one side of an HTTP/2 connection announces and how it watches over the connection.
public struct HTTP2Settings: Sendable {
    /// Of each stream, as announced. Unit: bytes. Source: linkerd2-proxy's default of h2 server and client settings.
    public var initialStreamWindowBytes = 65_535
    /// Of the connection. Unit: bytes.
    public var initialConnectionWindowBytes = 65_535
    public var maxFrameBytes = 16_384
    /// Streams that the peer may have open (server side). nil: not announced.
    public var maxConcurrentStreams: UInt32? = nil
    public var maxHeaderListBytes = 65_536
    /// RFC 8441, server side.
    public var allowsExtendedConnect = false
    /// A PING is sent after this silence, and the connection fails when it is not answered in time.
    public var keepAliveInterval: Interval?
    public var keepAliveTimeout = Interval.seconds(3)
    /// Pings also when no stream is open.
    public var keepAliveWhileIdle = false

    public init() {}
}

public final class HTTP2Connection: Engine {
    public typealias Event = HTTPEvent

    public init(role: HTTPRole, settings: HTTP2Settings = HTTP2Settings(), limits: HTTPLimits = HTTPLimits(), now: Instant) {}

    public func receive(_ bytes: RawSpan, now: Instant) { fatalError() }
    /// The peer sent FIN.
    public func receiveEnd(now: Instant) { fatalError() }
    public func nextEvent() -> HTTPEvent? { fatalError() }
    /// The bytes of the last `data` event, valid inside `body` only.
    public func withData<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R { fatalError() }
    public func drainOutput(into buffer: inout ByteBuffer) { fatalError() }

    /// Client side. Refused when no stream is free, after GOAWAY, or after a failure.
    public func sendRequest(_ head: RequestHead, endStream: Bool) throws(Refusal) -> HTTPStreamID { fatalError() }
    public func sendResponse(_ stream: HTTPStreamID, _ head: ResponseHead, endStream: Bool) throws(Refusal) { fatalError() }
    /// Sends within the windows; what does not fit is queued in order (`bytesQueued`).
    public func sendData(_ stream: HTTPStreamID, _ bytes: RawSpan, endStream: Bool) throws(Refusal) { fatalError() }
    public func sendTrailers(_ stream: HTTPStreamID, _ trailers: Headers) throws(Refusal) { fatalError() }
    /// Received body bytes have moved on: the windows of stream and connection open again. Works for streams that are over, too.
    public func acknowledge(_ stream: HTTPStreamID, bytes: Int) { fatalError() }
    /// RST_STREAM; nothing more is told of the stream. Harmless on one that is over.
    public func reset(_ stream: HTTPStreamID, code: UInt32) { fatalError() }
    /// Body bytes of this stream that wait for a window. Unit: bytes.
    public func bytesQueued(_ stream: HTTPStreamID) -> Int { fatalError() }
    /// Graceful GOAWAY: open streams go on, no new ones.
    public func shutdown() { fatalError() }
    /// Client side: a stream may be opened now.
    public var isReusable: Bool { fatalError() }
    public var streamCount: Int { fatalError() }

    public var deadline: Instant? { fatalError() }
    public func expire(now: Instant) { fatalError() }
}
