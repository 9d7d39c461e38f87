// HTTP to one endpoint in the version that its server prefers: each new connection offers both by ALPN (RFC 7301) and goes into
// the pool of what was agreed. Requests wait only while a connection is being made for them. What the last server agreed to
// decides whether one connection is made for many requests or one for each.

import Base
import HTTP
import Platform
import TLS

public final class HTTPNegotiator {
    /// What to offer by ALPN, most wanted first.
    public static let alpn: [[UInt8]] = [[UInt8]("h2"), [UInt8]("http/1.1")]

    /// A request on its way to a connection.
    public final class Ticket {
        fileprivate var begin: ((Result<HTTPStream, HTTPStreamFailure>) -> Void)?
        fileprivate let head: RequestHead
        fileprivate let endStream: Bool
        fileprivate let handler: any HTTPStreamHandler

        fileprivate init(_ head: RequestHead, _ endStream: Bool, _ handler: any HTTPStreamHandler, _ begin: @escaping (Result<HTTPStream, HTTPStreamFailure>) -> Void) {
            self.head = head
            self.endStream = endStream
            self.handler = handler
            self.begin = begin
        }

        /// Gives up waiting; nothing is told any more. Without effect once the request was sent.
        public func cancel() { begin = nil }

        /// It was sent, failed, or was cancelled.
        public var isOver: Bool { begin == nil }
    }

    /// What the last connection agreed on; nil before the first.
    public private(set) var version: HTTPVersion?
    private let host: any Host
    private let connector: any Connector
    private let pools: (http1: HTTPClient, http2: HTTPClient)
    /// Oldest first.
    private var waiting: [Ticket] = []
    private var preludes: [Prelude] = []
    private var isClosed = false

    /// `connector` leads to TLS that offers `alpn`, or to cleartext, which is HTTP/1.1.
    public init(connector: any Connector, batch: FlushBatch, settings: HTTP2Settings = HTTP2Settings(), limits: TransportLimits = TransportLimits()) {
        host = batch.host
        self.connector = connector
        pools = (
            HTTPClient(version: .http11, connector: connector, batch: batch, limits: limits),
            HTTPClient(version: .http2, connector: connector, batch: batch, settings: settings, limits: limits)
        )
    }

    /// Sends a request once there is a connection for it, perhaps inside this call. `begin` gets its stream, or why no connection
    /// could be made; all that happens later is told to the handler.
    @discardableResult
    public func send(_ head: RequestHead, endStream: Bool, handler: any HTTPStreamHandler, begin: @escaping (Result<HTTPStream, HTTPStreamFailure>) -> Void) -> Ticket {
        let ticket = Ticket(head, endStream, handler, begin)
        if isClosed {
            host.after(.zero) { Self.fail(ticket, .connectFailed(HostFailure("connect", .other, subject: self.connector.target))) }
        } else if let pool = [pools.http2, pools.http1].first(where: \.hasFreeConnection) {
            Self.send(ticket, on: pool)
        } else {
            waiting.append(ticket)
            connectAsNeeded()
        }
        return ticket
    }

    public var connectionCount: Int { pools.http1.connectionCount + pools.http2.connectionCount + preludes.count }

    /// New requests go to new connections; those that have streams finish them. For when credentials changed.
    public func renew() {
        pools.http1.drainConnections()
        pools.http2.drainConnections()
        let old = preludes
        preludes = []
        for prelude in old { prelude.close() }
        connectAsNeeded()
    }

    /// Ends everything now.
    public func close() {
        isClosed = true
        pools.http1.close()
        pools.http2.close()
        for prelude in preludes { prelude.close() }
        preludes = []
        let left = waiting
        waiting = []
        for ticket in left { Self.fail(ticket, .connectFailed(HostFailure("connect", .other, subject: connector.target))) }
    }

    // MARK: Connections

    /// One connection carries many requests if the server speaks HTTP/2, or may; else each waiting request gets its own.
    private func connectAsNeeded() {
        if isClosed { return }
        waiting.removeAll { $0.begin == nil }
        let wanted = version == .http11 ? waiting.count : min(1, waiting.count)
        while preludes.count < wanted {
            let prelude = Prelude(self)
            preludes.append(prelude)
            prelude.start(connector)
        }
    }

    fileprivate func established(_ prelude: Prelude, _ connection: any Connection) {
        guard let i = preludes.firstIndex(where: { $0 === prelude }) else { return connection.close() }
        preludes.remove(at: i)
        let isHTTP2 = (connection as? TLSStream)?.peer?.alpn == Self.alpn[0]
        version = isHTTP2 ? .http2 : .http11
        let pool = isHTTP2 ? pools.http2 : pools.http1
        pool.adopt(connection)
        while !waiting.isEmpty, pool.hasFreeConnection { Self.send(waiting.removeFirst(), on: pool) }
        connectAsNeeded()
    }

    fileprivate func failed(_ prelude: Prelude, _ failure: HTTPStreamFailure) {
        guard let i = preludes.firstIndex(where: { $0 === prelude }) else { return }
        preludes.remove(at: i)
        waiting.removeAll { $0.begin == nil }
        // Each connection that could not be made fails what it was made for.
        let lost = version == .http11 ? min(1, waiting.count) : waiting.count
        let left = Array(waiting.prefix(lost))
        waiting.removeFirst(lost)
        for ticket in left { Self.fail(ticket, failure) }
        connectAsNeeded()
    }

    private static func send(_ ticket: Ticket, on pool: HTTPClient) {
        guard let begin = ticket.begin else { return }
        ticket.begin = nil
        do throws(Refusal) {
            begin(.success(try pool.send(ticket.head, endStream: ticket.endStream, handler: ticket.handler)))
        } catch {
            begin(.failure(.connectFailed(HostFailure("send", .other, subject: error.reason))))
        }
    }

    private static func fail(_ ticket: Ticket, _ failure: HTTPStreamFailure) {
        let begin = ticket.begin
        ticket.begin = nil
        begin?(.failure(failure))
    }
}

/// A connection until it is known what is spoken on it.
private final class Prelude: ConnectionHandler {
    private var owner: HTTPNegotiator?
    private var connection: (any Connection)?

    init(_ owner: HTTPNegotiator) { self.owner = owner }

    func start(_ connector: any Connector) { connection = connector.connect(self) }

    func connected(_ connection: any Connection) {
        let owner = release()
        owner?.established(self, connection)
    }

    /// Not before it is connected, and then it is somebody else's.
    func received(_ bytes: RawSpan, on connection: any Connection) {}
    func finished(_ connection: any Connection) { closed(connection, HostFailure("connect", .connectionReset)) }

    func closed(_ connection: any Connection, _ failure: HostFailure?) {
        let handshake = (connection as? TLSStream)?.failure
        let owner = release()
        connection.handler = nil
        owner?.failed(self, handshake.map { .handshakeFailed($0) } ?? .connectFailed(failure ?? HostFailure("connect", .connectionReset)))
    }

    func close() {
        let below = connection
        _ = release()
        below?.handler = nil
        below?.close()
    }

    private func release() -> HTTPNegotiator? {
        let last = owner
        owner = nil
        connection = nil
        return last
    }
}
