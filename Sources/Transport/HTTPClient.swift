// HTTP to one endpoint: a pool of HTTP/1 connections used last in, first out, or a few HTTP/2 connections. Requests are never
// queued here: a new connection is made when none is free. Balancing, retries and backoff belong to the caller.

import Base
import HTTP
import Platform

/// Hears how the connections of a client fare; for whoever decides which endpoints are ready.
public protocol HTTPClientObserver: AnyObject {
    func connected(_ client: HTTPClient)
    /// A connection could not be made, or (nil) one that stood is gone and no other is left.
    func disconnected(_ client: HTTPClient, _ failure: HTTPStreamFailure?)
}

/// Sends requests to one endpoint.
public final class HTTPClient: HTTPConnectionOwner {
    public let version: HTTPVersion
    public var observer: (any HTTPClientObserver)?
    private let batch: FlushBatch
    private let connector: any Connector
    private let settings: HTTP2Settings
    private let limits: TransportLimits
    /// Every connection that lives, in order of birth.
    private var connections: [HTTPConnection] = []
    /// HTTP/1 connections without an exchange, the warmest last, with the time they became idle.
    private var idle: [(connection: HTTPConnection, since: Instant)] = []
    private var sweepTimer: TimerID?
    private var isClosed = false
    /// Those who wait for the SETTINGS of a connection.
    private var waiting: [(connection: HTTPConnection, done: (HTTPStreamFailure?) -> Void)] = []
    /// Streams at once that the peer allowed on its latest HTTP/2 connection: what is expected of one whose SETTINGS have not come. More would be
    /// refused (REFUSED_STREAM), and nobody repeats them.
    private var streamsExpected = Int.max

    public init(version: HTTPVersion, connector: any Connector, batch: FlushBatch, settings: HTTP2Settings = HTTP2Settings(), limits: TransportLimits = TransportLimits()) {
        self.version = version
        self.connector = connector
        self.batch = batch
        self.settings = settings
        self.limits = limits
    }

    public var connectionCount: Int { connections.count }
    /// Memory of engines, and bytes that connections have not sent. Unit: bytes.
    public var bytesHeld: Int { connections.reduce(0) { $0 + $1.bytesHeld } }

    /// Sends a request on a free connection, or on a new one. Everything that happens to it, a failed connect included, is
    /// told to the handler in a later turn. `singleUse` asks for a connection of its own that is not used again (HTTP/1.0, no Host).
    public func send(_ head: RequestHead, endStream: Bool, singleUse: Bool = false, handler: any HTTPStreamHandler) throws(Refusal) -> HTTPStream {
        if isClosed { throw Refusal("the client of \(connector.target) is closed") }
        if head.tunnelProtocol != nil {
            guard let connection = connections.first(where: { $0.isAvailable && $0.offersExtendedConnect == true }) else {
                throw Refusal("\(connector.target) offers no extended CONNECT (RFC 8441)")
            }
            return try connection.open(head, endStream: endStream, handler: handler)
        }
        if version == .http2 {
            for connection in connections where connection.isAvailable && (connection.isSettled || connection.streamCount < streamsExpected) { return try connection.open(head, endStream: endStream, handler: handler) }
        } else if !singleUse {
            while let (connection, _) = idle.popLast() {
                if connection.isAvailable { return try connection.open(head, endStream: endStream, handler: handler) }
            }
        }
        guard singleUse, version != .http2 else { return try connect().open(head, endStream: endStream, handler: handler) }
        var last = head
        last.headers.add("connection", "close")
        return try connect().open(last, endStream: endStream, handler: handler)
    }

    /// Makes a connection before it is needed, unless there is one. The observer hears how it went.
    public func connectAhead() {
        if connections.isEmpty, !isClosed { _ = connect() }
    }

    /// Whether an extended CONNECT can be sent is known only from a peer's SETTINGS, which no other request waits for. `done` is called once, perhaps
    /// within this call: nil when `send` will know, else why there is no connection to ask.
    public func whenSettled(_ done: @escaping (HTTPStreamFailure?) -> Void) {
        if isClosed { return done(.connectionLost(nil)) }
        if version != .http2 || connections.contains(where: { $0.isAvailable && $0.offersExtendedConnect != nil }) { return done(nil) }
        waiting.append((connections.first { $0.isAvailable } ?? connect(), done))
    }

    /// At least one connection stands, and over HTTP/2 the peer has said what it takes.
    public var isConnected: Bool { connections.contains { $0.state == .open && (version != .http2 || $0.isSettled) } }

    /// A request would go on a connection that stands already.
    public var hasFreeConnection: Bool { connections.contains { $0.isAvailable && (version == .http2 || $0.streamCount == 0) } }

    /// Takes a connection that stands, on which our version was agreed.
    public func adopt(_ lower: any Connection) {
        let connection = HTTPConnection(version: version == .http2 ? .http2 : .http11, settings: settings, batch: batch, limits: limits, owner: self) { handler in
            lower.handler = handler
            return lower
        }
        connections.append(connection)
        connection.connected(lower)
    }

    /// Lets what is open finish and takes nothing new on the connections there are; new ones may be made.
    public func drainConnections() {
        idle.removeAll()
        for connection in connections { if connection.streamCount == 0 { connection.close() } else { connection.drain() } }
    }

    private func connect() -> HTTPConnection {
        let connection = HTTPConnection(version: version == .http2 ? .http2 : .http11, settings: settings, batch: batch, limits: limits, owner: self) { connector.connect($0) }
        connections.append(connection)
        return connection
    }

    /// Lets what is open finish, takes nothing new.
    public func drain() {
        isClosed = true
        idle.removeAll()
        if let sweepTimer { batch.host.cancel(sweepTimer) }
        // Nobody waits for anything on an idle one: it needs no farewell.
        for connection in connections { if connection.streamCount == 0 { connection.close() } else { connection.drain() } }
    }

    /// Ends everything now.
    public func close() {
        isClosed = true
        idle.removeAll()
        if let sweepTimer { batch.host.cancel(sweepTimer) }
        for connection in connections { connection.close() }
    }

    public func connected(_ connection: HTTPConnection) { if version != .http2 { observer?.connected(self) } }

    public func available(_ connection: HTTPConnection) {
        guard version != .http2, !isClosed, connection.streamCount == 0 else { return }
        if idle.count >= limits.idleConnectionsMax { idle.removeFirst().connection.close() }
        idle.append((connection, batch.host.now))
        if sweepTimer == nil { scheduleSweep(after: limits.idleConnectionTimeout) }
    }

    public func settled(_ connection: HTTPConnection) {
        streamsExpected = connection.streamsAllowed
        tellWaiting(connection, nil)
        observer?.connected(self)
    }

    private func tellWaiting(_ connection: HTTPConnection, _ failure: HTTPStreamFailure?) {
        let told = waiting.filter { $0.connection === connection }
        if told.isEmpty { return }
        waiting.removeAll { $0.connection === connection }
        for (_, done) in told { done(failure) }
    }

    public func closed(_ connection: HTTPConnection) {
        connections.removeAll { $0 === connection }
        tellWaiting(connection, connection.connectFailure ?? .connectionLost(nil))
        idle.removeAll { $0.connection === connection }
        // A peer that takes a connection and leaves before its SETTINGS is no better than one that takes none.
        if let failure = connection.connectFailure ?? (version == .http2 && !connection.isSettled ? .connectionLost(nil) : nil) {
            observer?.disconnected(self, failure)
        } else if connections.isEmpty {
            observer?.disconnected(self, nil)
        }
    }

    private func scheduleSweep(after delay: Interval) {
        sweepTimer = batch.host.after(delay) { [self] in
            sweepTimer = nil
            let oldest = batch.host.now - limits.idleConnectionTimeout
            let expired = idle.prefix { $0.since <= oldest }.map(\.connection)
            for connection in expired { connection.close() }
            if let first = idle.first, !isClosed { scheduleSweep(after: first.since - oldest) }
        }
    }
}
