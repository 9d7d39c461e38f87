// HTTP on a listening socket for components that serve it directly: admin pages, the API server, gRPC services. The proxy's
// listeners decide more before they know that a connection is HTTP, and so use `HTTPConnection` by themselves.

import Base
import HTTP
import Platform
import TLS

/// Answers requests of an `HTTPServer`.
public protocol HTTPRequestHandler: AnyObject {
    /// A request arrived on a connection from `peer`. Set `stream.handler` when the body matters, and answer in time.
    func request(_ stream: HTTPStream, _ head: RequestHead, endStream: Bool, peer: HTTPPeer)
}

/// Who is at the other end of a connection.
public final class HTTPPeer {
    public let address: SocketAddress
    /// nil without TLS.
    public let tls: TLSPeer?

    public init(address: SocketAddress, tls: TLSPeer?) {
        self.address = address
        self.tls = tls
    }
}

/// Accepts connections, tells HTTP/2 by its preface from HTTP/1, and hands requests to one handler.
public final class HTTPServer: AcceptHandler, HTTPConnectionOwner {
    private let batch: FlushBatch
    private let settings: HTTP2Settings
    private var handler: (any HTTPRequestHandler)?
    private let newestTLS: (() -> TLSServerConfiguration?)?
    private let limits: TransportLimits
    private var listener: (any Listener)?
    private var connections: [HTTPConnection] = []
    private var pending: [PrefaceReader] = []
    private var drained: (() -> Void)?

    /// Binds at once. Without `tls` the server speaks cleartext.
    public convenience init(batch: FlushBatch, address: SocketAddress, tls: TLSServerConfiguration? = nil, settings: HTTP2Settings = HTTP2Settings(), limits: TransportLimits = TransportLimits(), handler: any HTTPRequestHandler) throws(HostFailure) {
        try self.init(batch: batch, address: address, newestTLS: tls.map { configuration in { configuration } }, settings: settings, limits: limits, handler: handler)
    }

    /// Binds at once. `newestTLS` is asked at each connection, so that renewed credentials are used by the next one; while it gives
    /// nothing, connections are reset. nil: cleartext.
    public init(batch: FlushBatch, address: SocketAddress, newestTLS: (() -> TLSServerConfiguration?)?, settings: HTTP2Settings = HTTP2Settings(), limits: TransportLimits = TransportLimits(), handler: any HTTPRequestHandler) throws(HostFailure) {
        self.batch = batch
        self.settings = settings
        self.handler = handler
        self.newestTLS = newestTLS
        self.limits = limits
        let listener = try batch.host.network.listen(on: address, options: ListenOptions(), handler: self)
        self.listener = listener
        self.address = listener.address
    }

    /// Where it listens, with the port the world chose.
    public private(set) var address = SocketAddress(.any, 0)
    public var connectionCount: Int { connections.count + pending.count }

    /// Stops accepting and lets open exchanges finish; `done` is called once when the last connection is gone.
    public func drain(_ done: @escaping () -> Void = {}) {
        stopAccepting()
        drained = done
        for connection in connections { connection.drain() }
        tellIfDrained()
    }

    /// Ends everything now; open exchanges fail.
    public func close() {
        stopAccepting()
        let open = connections
        for connection in open { connection.close() }
        handler = nil
    }

    private func stopAccepting() {
        listener?.close()
        listener = nil
        let abandoned = pending
        pending = []
        for reader in abandoned { reader.abandon() }
    }

    public func accepted(_ connection: any Connection) {
        guard listener != nil, connectionCount < limits.serverConnectionsMax else { return connection.reset() }
        var stream = connection
        if let newestTLS {
            guard let configuration = newestTLS() else { return connection.reset() }
            stream = TLSStream(serving: connection, configuration: configuration, host: batch.host)
        }
        pending.append(PrefaceReader(stream, server: self, host: batch.host, timeout: limits.firstBytesTimeout))
    }

    fileprivate func decided(_ reader: PrefaceReader, version: HTTPVersion?) {
        pending.removeAll { $0 === reader }
        guard let version, let stream = reader.stream else { return }
        let connection = HTTPConnection(serving: stream, version: version, settings: settings, batch: batch, limits: limits, owner: self)
        connection.context = HTTPPeer(address: stream.remoteAddress, tls: (stream as? TLSStream)?.peer)
        connections.append(connection)
        let bytes = reader.bytes
        connection.receive(buffered: bytes.span.bytes)
    }

    public func request(_ stream: HTTPStream, _ head: RequestHead, endStream: Bool) {
        guard let handler, let peer = stream.connection?.context as? HTTPPeer else { return }
        handler.request(stream, head, endStream: endStream, peer: peer)
    }

    public func closed(_ connection: HTTPConnection) {
        connections.removeAll { $0 === connection }
        tellIfDrained()
    }

    private func tellIfDrained() {
        guard connections.isEmpty, let done = drained else { return }
        drained = nil
        handler = nil
        done()
    }
}

/// Reads the first bytes of a connection until they are, or cannot become, the HTTP/2 preface (RFC 9113 section 3.4).
private final class PrefaceReader: ConnectionHandler {
    private static let preface = [UInt8]("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    private(set) var stream: (any Connection)?
    private(set) var bytes: [UInt8] = []
    private var server: HTTPServer?
    private let host: any Host
    private var timer: TimerID?

    init(_ stream: any Connection, server: HTTPServer, host: any Host, timeout: Interval) {
        self.stream = stream
        self.server = server
        self.host = host
        stream.handler = self
        timer = host.after(timeout) { [self] in
            timer = nil
            self.stream?.close()
            decide(nil)
        }
    }

    func received(_ span: RawSpan, on connection: any Connection) {
        span.withUnsafeBytes { bytes.append(contentsOf: $0) }
        let common = min(bytes.count, Self.preface.count)
        if !bytes[..<common].elementsEqual(Self.preface[..<common]) {
            decide(.http11)
        } else if common == Self.preface.count {
            decide(.http2)
        }
    }

    func finished(_ connection: any Connection) {
        connection.close()
        decide(nil)
    }

    func closed(_ connection: any Connection, _ failure: HostFailure?) { decide(nil) }

    func abandon() {
        if let timer { host.cancel(timer) }
        timer = nil
        stream?.handler = nil
        stream?.close()
        server = nil
        stream = nil
    }

    private func decide(_ version: HTTPVersion?) {
        let server = server
        self.server = nil
        if let timer { host.cancel(timer) }
        timer = nil
        if version == nil { stream?.handler = nil }
        server?.decided(self, version: version)
        stream = nil
    }
}

/// Answers with a whole body at once.
extension HTTPStream {
    /// Sends a complete response; `content-length` is added.
    public func respond(status: UInt16, headers: [(String, String)] = [], body: [UInt8] = []) {
        var fields = Headers()
        for (name, value) in headers { fields.add(name, value) }
        fields.add("content-length", String(body.count))
        let head = ResponseHead(status: status, headers: fields)
        respond(head, endStream: body.isEmpty)
        if !body.isEmpty { send(body.span.bytes, endStream: true) }
    }
}
