// One exchange on one HTTP connection, the same for both versions and both sides. It is what components hold: they answer,
// send, acknowledge and reset here, and hear the rest through a handler. Timeouts, retries and routing are their business.

import Base
import HTTP
import Platform

/// Why a stream ended without its regular end.
public enum HTTPStreamFailure: Error, Sendable, CustomStringConvertible {
    /// The peer reset it, or broke a rule of the protocol on it.
    case reset(PeerError)
    /// The connection was never made: nothing of the request was sent.
    case connectFailed(HostFailure)
    /// The TLS handshake failed: nothing of the request was sent.
    case handshakeFailed(PeerError)
    /// The connection ended under it.
    case connectionLost(HostFailure?)
    /// The peer broke the protocol on the whole connection.
    case protocolBroken(PeerError)

    public var description: String {
        switch self {
        case .reset(let error): "stream reset: \(error.rule)"
        case .connectFailed(let failure): "\(failure)"
        case .handshakeFailed(let error): "TLS handshake failed: \(error.rule)"
        case .connectionLost(let failure): failure.map { "connection lost: \($0)" } ?? "connection closed before the message was complete"
        case .protocolBroken(let error): "invalid message: \(error.rule)"
        }
    }
}

/// Hears what happens on a stream. After the peer's side has ended (`endStream`, `trailers`) and ours too, nothing more comes;
/// after `failed` nothing more comes.
public protocol HTTPStreamHandler: AnyObject {
    /// A response head (client side): informational ones first, then the final one.
    func response(_ stream: HTTPStream, _ head: ResponseHead, endStream: Bool)
    /// Body or tunnel bytes, valid during the call; may be empty with `endStream`. Acknowledge them when they have moved on.
    func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool)
    func trailers(_ stream: HTTPStream, _ trailers: Headers)
    /// The stream can take more, after `isWritable` was false.
    func writable(_ stream: HTTPStream)
    func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure)
}

extension HTTPStreamHandler {
    public func response(_ stream: HTTPStream, _ head: ResponseHead, endStream: Bool) {}
    public func writable(_ stream: HTTPStream) {}
}

public final class HTTPStream {
    public private(set) var id: HTTPStreamID
    /// nil once the stream is over.
    public internal(set) var connection: HTTPConnection?
    /// HTTP/2: whose window the bytes of a stream that is over still hold.
    var formerConnection: HTTPConnection?
    public var handler: (any HTTPStreamHandler)?
    /// Bytes of a tunnel (CONNECT, Upgrade) rather than of a message body flow in both directions.
    public internal(set) var isTunnel = false
    /// The request is CONNECT, plain or extended.
    var isConnect = false
    var wantsWritable = false
    /// Our side of the exchange is complete.
    var isLocalEnded = false
    /// The peer's side of the exchange is complete.
    var isRemoteEnded = false

    init(id: HTTPStreamID, connection: HTTPConnection, handler: (any HTTPStreamHandler)? = nil) {
        self.id = id
        self.connection = connection
        self.handler = handler
    }

    /// Becomes the next exchange of an HTTP/1 connection.
    func begin(_ id: HTTPStreamID, on connection: HTTPConnection) {
        self.id = id
        self.connection = connection
        handler = nil
        isTunnel = false
        isConnect = false
        wantsWritable = false
        isLocalEnded = false
        isRemoteEnded = false
    }

    /// Server side: sends a response head; informational heads may precede the final one.
    public func respond(_ head: ResponseHead, endStream: Bool) { connection?.respond(self, head, endStream: endStream) }

    public func send(_ bytes: RawSpan, endStream: Bool) { connection?.send(self, bytes, endStream: endStream) }

    /// Ends our side with trailers.
    public func send(trailers: Headers) { connection?.send(self, trailers: trailers) }

    /// Received bytes have moved on: the peer may send as many more. Also after the stream's end, for the connection's sake.
    public func acknowledge(_ bytes: Int) { if bytes > 0 { (connection ?? formerConnection)?.acknowledge(self, bytes) } }

    /// Ends the stream abnormally. `code` is an HTTP/2 error code; an HTTP/1 connection closes. No more handler calls.
    public func reset(code: UInt32) { connection?.reset(self, code: code) }

    /// False while more than `TransportLimits.sendQueueBytesMax` bytes wait; then `writable` follows.
    public var isWritable: Bool {
        guard let connection else { return true }
        let writable = connection.isWritable(self)
        if !writable { wantsWritable = true }
        return writable
    }
}
