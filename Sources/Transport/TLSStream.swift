// TLS as a connection over a connection: whoever holds it sends and receives plaintext and needs not know. `connected` means
// that the handshake is complete, on both sides; until then what is sent waits.

import Base
import Platform
import TLS

public final class TLSStream: Connection, ConnectionHandler {
    public var handler: (any ConnectionHandler)?
    /// Who the other side proved to be; nil before the handshake is complete.
    public private(set) var peer: TLSPeer?
    /// Why TLS ended the connection, if it did.
    public private(set) var failure: PeerError?

    private let host: any Host
    private let lower: any Connection
    private var session: TLSSession?
    private var output = ByteBuffer()
    private var plaintext = ByteBuffer()
    private var finishes = false
    private var isFinished = false
    private var isPeerFinished = false

    /// Server side over an accepted connection. `buffered` is what was read from it before.
    public init(serving lower: any Connection, configuration: TLSServerConfiguration, host: any Host) {
        self.host = host
        self.lower = lower
        session = TLSSession(server: configuration, now: host.wall)
        lower.handler = self
    }

    /// Client side over a connection being made by `connect` with the given handler.
    public init(configuration: TLSClientConfiguration, host: any Host, handler: any ConnectionHandler, connect: (any ConnectionHandler) -> any Connection) {
        self.host = host
        self.handler = handler
        session = TLSSession(client: configuration, now: host.wall)
        let link = LateHandler()
        lower = connect(link)
        link.handler = self
        lower.handler = self
    }

    public var localAddress: SocketAddress { lower.localAddress }
    public var remoteAddress: SocketAddress { lower.remoteAddress }
    public var originalDestination: SocketAddress? { lower.originalDestination }
    public var bytesQueued: Int { lower.bytesQueued + (session?.outputBytes ?? 0) }

    public var isReadingPaused: Bool {
        get { lower.isReadingPaused }
        set { lower.isReadingPaused = newValue }
    }

    public func send(_ bytes: RawSpan) {
        guard let session, !isFinished, bytes.byteCount > 0 else { return }
        do throws(Refusal) { try session.send(bytes) } catch {
            // The bound of what may wait is ours, and the owner ignored `bytesQueued`.
            fail(PeerError(.connection, code: TLSAlert.internalError, rule: error.reason))
            return
        }
        if peer != nil { flush() }
    }

    public func finish() {
        guard let session, !isFinished else { return }
        if peer == nil {
            finishes = true
            return
        }
        isFinished = true
        session.finish()
        flush()
        lower.finish()
    }

    public func close() {
        if let session, peer != nil, !isFinished {
            isFinished = true
            session.finish()
            flush()
        }
        release()
        lower.close()
    }

    public func reset() {
        release()
        lower.reset()
    }

    /// Bytes that were read from the lower connection before it became ours.
    public func receive(buffered bytes: RawSpan) {
        if bytes.byteCount > 0 { received(bytes, on: lower) }
    }

    public func connected(_ connection: any Connection) { flush() }

    public func received(_ bytes: RawSpan, on connection: any Connection) {
        guard let session else { return }
        session.receive(bytes, now: host.now)
        pump()
    }

    public func finished(_ connection: any Connection) {
        guard session != nil else { return }
        if peer == nil {
            fail(PeerError(.connection, code: 0, rule: "the peer closed the connection during the TLS handshake"))
        } else if !isPeerFinished {
            // No close_notify: the stream was cut, perhaps by an attacker (RFC 8446 section 6.1).
            isPeerFinished = true
            let handler = handler
            release()
            lower.close()
            handler?.closed(self, HostFailure("read", .connectionReset, subject: "\(remoteAddress)"))
        }
    }

    public func drained(_ connection: any Connection) {
        if session != nil { handler?.drained(self) }
    }

    public func closed(_ connection: any Connection, _ failure: HostFailure?) {
        let handler = handler
        release()
        handler?.closed(self, failure)
    }

    private func pump() {
        while let session, let event = session.nextEvent() {
            switch event {
            case .established(let peer):
                self.peer = peer
                flush()
                handler?.connected(self)
                if finishes { finish() }
            case .data:
                var taken = ByteBuffer()
                swap(&taken, &plaintext)
                session.withData { taken.append($0) }
                taken.withBytes { handler?.received($0, on: self) }
                taken.removeAll()
                if taken.capacityBytes <= 65_536 { swap(&taken, &plaintext) }
            case .closeNotify:
                isPeerFinished = true
                handler?.finished(self)
            case .failed(let error):
                flush()
                fail(error)
            }
        }
        flush()
        if session != nil, plaintext.isEmpty { plaintext.release() }
    }

    private func fail(_ error: PeerError) {
        failure = error
        let handler = handler
        release()
        lower.close()
        handler?.closed(self, HostFailure("TLS with", .connectionReset, subject: "\(remoteAddress)"))
    }

    private func flush() {
        guard let session else { return }
        session.drainOutput(into: &output)
        if !output.isEmpty {
            output.withBytes { lower.send($0) }
            output.release()
        }
    }

    private func release() {
        session = nil
        handler = nil
        lower.handler = nil
    }
}

/// Stands in as the handler between the start of a connect and the birth of its real handler; hosts call nothing in between.
private final class LateHandler: ConnectionHandler {
    var handler: (any ConnectionHandler)?
    func connected(_ connection: any Connection) { handler?.connected(connection) }
    func received(_ bytes: RawSpan, on connection: any Connection) { handler?.received(bytes, on: connection) }
    func finished(_ connection: any Connection) { handler?.finished(connection) }
    func closed(_ connection: any Connection, _ failure: HostFailure?) { handler?.closed(connection, failure) }
}

/// TLS over another connector.
public final class TLSConnector: Connector {
    private let host: any Host
    private let lower: any Connector
    /// Read at each connect, so that a renewed certificate is used by the next connection.
    private let configuration: () -> TLSClientConfiguration

    public init(host: any Host, lower: any Connector, configuration: @escaping () -> TLSClientConfiguration) {
        self.host = host
        self.lower = lower
        self.configuration = configuration
    }

    public func connect(_ handler: any ConnectionHandler) -> any Connection {
        TLSStream(configuration: configuration(), host: host, handler: handler) { lower.connect($0) }
    }

    public var target: String { "\(lower.target) (TLS)" }
}
