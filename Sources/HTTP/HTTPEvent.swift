// What both HTTP engines tell their owner.

import Base

public enum HTTPEvent: Sendable {
    /// Server side: a request head. With `endStream` the message is complete.
    case request(HTTPStreamID, RequestHead, endStream: Bool)
    /// Client side: a response head; informational ones come before the final one.
    case response(HTTPStreamID, ResponseHead, endStream: Bool)
    /// Body bytes: read them with `withData` before the next call of `nextEvent`. `bytes` may be 0 with `endStream`.
    case data(HTTPStreamID, bytes: Int, endStream: Bool)
    /// The message is complete, with trailers.
    case trailers(HTTPStreamID, Headers)
    /// The peer ended the stream abnormally, or broke a rule on it; the engine has answered as the rule asks.
    case reset(HTTPStreamID, PeerError)
    /// HTTP/2: the stream may send again, after its window or queue was full.
    case writable(HTTPStreamID)
    /// HTTP/1: the exchange has become a tunnel (101, or a 2xx answer to CONNECT): raw bytes from here on, those already
    /// read by `takeTunnelBytes`.
    case upgraded(HTTPStreamID)
    /// HTTP/2: the peer takes no new streams above this one; open ones up to it go on.
    case goAway(lastStream: UInt32, code: UInt32)
    /// The peer broke a rule of the connection. Everything on it is over; what must be said to the peer is in the output.
    case failed(PeerError)
}
