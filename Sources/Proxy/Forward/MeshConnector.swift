// How one proxy reaches another: mutual TLS to the identity that discovery named, and, where the endpoint asks for it, a transport
// header that says which port is meant. To its user it is one more connector.

import Base
import Platform
import TLS
import Transport

/// TLS with an optional transport header in front of the session.
final class MeshConnector: Connector {
    private let host: any Host
    private let lower: any Connector
    private let configuration: () -> TLSClientConfiguration?
    private let header: TransportHeader?

    /// `configuration` is asked at each connect; nil means that there is no certificate yet, and the connect fails.
    init(host: any Host, lower: any Connector, header: TransportHeader?, configuration: @escaping () -> TLSClientConfiguration?) {
        self.host = host
        self.lower = lower
        self.header = header
        self.configuration = configuration
    }

    func connect(_ handler: any ConnectionHandler) -> any Connection {
        guard let configuration = configuration() else { return FailedConnection(HostFailure("no certificate yet to connect to \(lower.target)", .other), host: host, handler: handler) }
        guard let header else { return TLSStream(configuration: configuration, host: host, handler: handler) { lower.connect($0) } }
        let introduction = Introduction(header, handler)
        return TLSStream(configuration: configuration, host: host, handler: introduction) { lower.connect($0) }
    }

    var target: String { lower.target }
}

/// Sends the header when the handshake is complete, then steps aside. A server that did not choose the header's protocol gets none.
private final class Introduction: ConnectionHandler {
    private let header: TransportHeader
    private let handler: any ConnectionHandler

    init(_ header: TransportHeader, _ handler: any ConnectionHandler) {
        self.header = header
        self.handler = handler
    }

    func connected(_ connection: any Connection) {
        if let stream = connection as? TLSStream, stream.peer?.alpn == TransportHeader.alpn {
            let bytes = header.encoded()
            stream.send(bytes.span.bytes)
        }
        connection.handler = handler
        handler.connected(connection)
    }

    func received(_ bytes: RawSpan, on connection: any Connection) { handler.received(bytes, on: connection) }
    func finished(_ connection: any Connection) { handler.finished(connection) }
    func closed(_ connection: any Connection, _ failure: HostFailure?) { handler.closed(connection, failure) }
}

/// A connection that could not even be tried; its handler hears so in a later turn.
final class FailedConnection: Connection {
    var handler: (any ConnectionHandler)?
    let localAddress = SocketAddress(.any, 0)
    let remoteAddress = SocketAddress(.any, 0)
    let originalDestination: SocketAddress? = nil
    let bytesQueued = 0
    var isReadingPaused = false

    init(_ failure: HostFailure, host: any Host, handler: any ConnectionHandler) {
        self.handler = handler
        host.after(.zero) { [self] in
            let handler = self.handler
            self.handler = nil
            handler?.closed(self, failure)
        }
    }

    func send(_ bytes: RawSpan) {}
    func finish() {}
    func close() { handler = nil }
    func reset() { handler = nil }
}
