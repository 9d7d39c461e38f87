// Streams and datagrams. Data is pushed: bytes arrive in the loop's one scratch buffer and are valid during the call only,
// so an idle connection owns no memory. Writes are optimistic: what the kernel does not take at once is queued in order.

import Base

public protocol Network: AnyObject {
    /// Binds and listens. Port 0 lets the world choose; `Listener.address` tells.
    func listen(on address: SocketAddress, options: ListenOptions, handler: any AcceptHandler) throws(HostFailure) -> any Listener
    /// Starts to connect. The result is told to the handler in a later turn, never inside this call.
    func connect(to address: SocketAddress, options: ConnectOptions, handler: any ConnectionHandler) -> any Connection
    /// Opens a datagram socket.
    func datagrams(on address: SocketAddress, handler: any DatagramHandler) throws(HostFailure) -> any DatagramSocket
    /// The name servers and search list of this host (resolv.conf).
    var resolverConfiguration: ResolverConfiguration { get }
}

public struct ListenOptions: Sendable {
    /// Ask the kernel for the destination before redirection (SO_ORIGINAL_DST) on each accept.
    public var wantsOriginalDestination: Bool
    /// nil: the kernel's default length. Unit: connections.
    public var backlog: Int32?
    public var keepAlive: Interval?
    public var userTimeout: Interval?

    public init(wantsOriginalDestination: Bool = false, backlog: Int32? = nil, keepAlive: Interval? = nil, userTimeout: Interval? = nil) {
        self.wantsOriginalDestination = wantsOriginalDestination
        self.backlog = backlog
        self.keepAlive = keepAlive
        self.userTimeout = userTimeout
    }
}

public struct ConnectOptions: Sendable {
    /// Fails with `.timedOut` when not connected by then.
    public var timeout: Interval?
    public var keepAlive: Interval?
    public var userTimeout: Interval?

    public init(timeout: Interval? = nil, keepAlive: Interval? = nil, userTimeout: Interval? = nil) {
        self.timeout = timeout
        self.keepAlive = keepAlive
        self.userTimeout = userTimeout
    }
}

public protocol Listener: AnyObject {
    var address: SocketAddress { get }
    /// Stops accepting; accepted connections live on.
    func close()
}

public protocol AcceptHandler: AnyObject {
    /// A connection stands. Set its `handler` before returning; bytes come in later calls.
    func accepted(_ connection: any Connection)
}

/// An ordered stream of bytes in both directions, with half-close. Closing either way drops the handler reference.
public protocol Connection: AnyObject {
    var handler: (any ConnectionHandler)? { get set }
    var localAddress: SocketAddress { get }
    var remoteAddress: SocketAddress { get }
    /// Where the peer meant to go, if the listener asked for it and the kernel knows.
    var originalDestination: SocketAddress? { get }

    /// Sends in order; queues what the world does not take now. Ignored after `finish`, `close` or `reset`.
    func send(_ bytes: RawSpan)
    /// Bytes accepted by `send` and not yet taken by the world.
    var bytesQueued: Int { get }
    /// Half-close: FIN after what is queued. Reading goes on.
    func finish()
    /// Orderly end of both directions: what is queued is still sent, nothing more is read or reported.
    func close()
    /// Abortive end (RST): what is queued is dropped. Nothing more is reported.
    func reset()
    /// While paused, no `received` or `finished` comes; the peer feels back-pressure.
    var isReadingPaused: Bool { get set }
}

extension Connection {
    public func send(_ bytes: [UInt8]) { send(bytes.span.bytes) }
}

public protocol ConnectionHandler: AnyObject {
    /// A connection begun by `connect` stands. Not called for accepted ones.
    func connected(_ connection: any Connection)
    /// Bytes arrived, valid during this call only. Never empty.
    func received(_ bytes: RawSpan, on connection: any Connection)
    /// The peer sent FIN: no more bytes will come.
    func finished(_ connection: any Connection)
    /// The send queue, which was not empty, is empty now.
    func drained(_ connection: any Connection)
    /// The connection is gone: refused, reset, timed out (`failure`), or ended in both directions (nil). The last call.
    func closed(_ connection: any Connection, _ failure: HostFailure?)
}

extension ConnectionHandler {
    public func connected(_ connection: any Connection) {}
    public func drained(_ connection: any Connection) {}
}

public protocol DatagramSocket: AnyObject {
    var address: SocketAddress { get }
    func send(_ bytes: RawSpan, to address: SocketAddress)
    func close()
}

public protocol DatagramHandler: AnyObject {
    func received(_ bytes: RawSpan, from address: SocketAddress, on socket: any DatagramSocket)
}

public struct ResolverConfiguration: Sendable {
    public var servers: [SocketAddress]
    public var searchDomains: [String]
    /// Names with fewer dots try the search list first.
    public var ndots: Int

    public init(servers: [SocketAddress], searchDomains: [String] = [], ndots: Int = 1) {
        self.servers = servers
        self.searchDomains = searchDomains
        self.ndots = ndots
    }
}
