// A connection whose bytes are counted as they pass, live and not only at the end. It stands between a transport and whoever uses
// it, and is a connection itself, so that nobody else needs to know.

import Base
import Platform
import Transport

final class MeteredConnection: Connection, ConnectionHandler {
    var handler: (any ConnectionHandler)?
    private let lower: any Connection
    private var series: TransportSeries?
    private var isCounted: Bool
    /// What passed before it was known where to count it.
    private var early = (read: 0, written: 0)
    private var isOver = false
    private var failure: HostFailure?

    /// Over an accepted connection. Where it is counted may be known only later.
    init(accepted lower: any Connection, series: TransportSeries?) {
        self.lower = lower
        self.series = series
        isCounted = series != nil
        series?.countOpened()
        lower.handler = self
    }

    /// It is now known where an accepted connection is counted.
    func count(in series: TransportSeries) {
        guard self.series == nil else { return }
        self.series = series
        isCounted = !isOver
        series.countOpened()
        series.countRead(early.read)
        series.countWritten(early.written)
        if isOver { series.countClosed(failure) }
    }

    /// Over a connection being made; it counts as open when it stands.
    fileprivate init(series: TransportSeries, handler: any ConnectionHandler, connect: (any ConnectionHandler) -> any Connection) {
        self.series = series
        self.handler = handler
        isCounted = false
        let late = Late()
        lower = connect(late)
        late.target = self
        lower.handler = self
    }

    var localAddress: SocketAddress { lower.localAddress }
    var remoteAddress: SocketAddress { lower.remoteAddress }
    var originalDestination: SocketAddress? { lower.originalDestination }
    var bytesQueued: Int { lower.bytesQueued }
    var isReadingPaused: Bool {
        get { lower.isReadingPaused }
        set { lower.isReadingPaused = newValue }
    }

    func send(_ bytes: RawSpan) {
        if let series { series.countWritten(bytes.byteCount) } else { early.written += bytes.byteCount }
        lower.send(bytes)
    }

    func finish() { lower.finish() }

    func close() {
        release(nil)
        lower.close()
    }

    func reset() {
        release(HostFailure("reset", .connectionReset))
        lower.reset()
    }

    func connected(_ connection: any Connection) {
        isCounted = true
        series?.countOpened()
        handler?.connected(self)
    }

    func received(_ bytes: RawSpan, on connection: any Connection) {
        if let series { series.countRead(bytes.byteCount) } else { early.read += bytes.byteCount }
        handler?.received(bytes, on: self)
    }

    func finished(_ connection: any Connection) { handler?.finished(self) }
    func drained(_ connection: any Connection) { handler?.drained(self) }

    func closed(_ connection: any Connection, _ failure: HostFailure?) {
        let handler = handler
        release(failure)
        handler?.closed(self, failure)
    }

    private func release(_ failure: HostFailure?) {
        handler = nil
        lower.handler = nil
        if isCounted { series?.countClosed(failure) }
        isCounted = false
        isOver = true
        self.failure = failure
    }
}

/// Holds the handler's place until the connection that it belongs to is made.
private final class Late: ConnectionHandler {
    var target: MeteredConnection?
    func connected(_ connection: any Connection) { target?.connected(connection) }
    func received(_ bytes: RawSpan, on connection: any Connection) { target?.received(bytes, on: connection) }
    func finished(_ connection: any Connection) { target?.finished(connection) }
    func closed(_ connection: any Connection, _ failure: HostFailure?) { target?.closed(connection, failure) }
}

/// Counts what another connector's connections move.
final class MeteredConnector: Connector {
    private let lower: any Connector
    private let series: TransportSeries

    init(_ lower: any Connector, series: TransportSeries) {
        self.lower = lower
        self.series = series
    }

    func connect(_ handler: any ConnectionHandler) -> any Connection {
        MeteredConnection(series: series, handler: handler) { lower.connect($0) }
    }

    var target: String { lower.target }
}
