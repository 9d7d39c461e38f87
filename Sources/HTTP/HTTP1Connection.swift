// HTTP/1.0 and HTTP/1.1 on one connection, either side, as a state machine without I/O.

import Base

public final class HTTP1Connection: Engine {
    public typealias Event = HTTPEvent

    public init(role: HTTPRole, limits: HTTPLimits = HTTPLimits()) {}

    public func receive(_ bytes: RawSpan, now: Instant) { fatalError() }
    /// The peer sent FIN.
    public func receiveEnd(now: Instant) { fatalError() }
    public func nextEvent() -> HTTPEvent? { fatalError() }
    /// The bytes of the last `data` event, valid inside `body` only.
    public func withData<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R { fatalError() }
    public func drainOutput(into buffer: inout ByteBuffer) { fatalError() }

    /// Client side. Refused while an exchange is open or the connection cannot be used again.
    public func sendRequest(_ head: RequestHead, endStream: Bool) throws(Refusal) -> HTTPStreamID { fatalError() }
    /// Server side; informational heads may precede the final one. The body's framing follows from the head: `content-length`, else chunked,
    /// else (HTTP/1.0 peer) until close.
    public func sendResponse(_ stream: HTTPStreamID, _ head: ResponseHead, endStream: Bool) throws(Refusal) { fatalError() }
    public func sendData(_ stream: HTTPStreamID, _ bytes: RawSpan, endStream: Bool) throws(Refusal) { fatalError() }
    public func sendTrailers(_ stream: HTTPStreamID, _ trailers: Headers) throws(Refusal) { fatalError() }
    /// Says `Connection: close` with the message that is or will be under way.
    public func shutdown() { fatalError() }

    /// Client side: another request may be sent now. Server side: another request may come.
    public var isReusable: Bool { fatalError() }
    /// Server side: pipelined requests wait beyond the bound; the owner stops reading.
    public var wantsReadPause: Bool { fatalError() }
    /// After `upgraded`: what was received behind the head.
    public func takeTunnelBytes() -> [UInt8] { fatalError() }

    public var deadline: Instant? { nil }
    public func expire(now: Instant) {}
}
