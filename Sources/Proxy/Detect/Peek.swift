// The first bytes of an accepted connection, read until somebody can decide what it is, or until time is up. The bytes are handed
// on with the connection, so the protocol that is chosen sees everything.

import Base
import Platform

final class Peek: ConnectionHandler {
    enum Outcome {
        /// `decide` said that it has seen enough.
        case decided([UInt8])
        case timedOut([UInt8])
        /// The peer has finished or gone; the connection is closed.
        case gone
    }

    private let host: any Host
    private var connection: (any Connection)?
    private var bytes: [UInt8] = []
    private var isEnough: (([UInt8]) -> Bool)?
    private var done: ((Outcome) -> Void)?
    private let bytesMax: Int
    private var timer: TimerID?

    /// Begins to read. `isEnough` is asked with all bytes so far whenever some have come, `buffered` among them; `done` is called
    /// once, within this call if `buffered` is enough.
    @discardableResult
    init(_ connection: any Connection, buffered: [UInt8] = [], bytesMax: Int = ProxyLimits.detectBytesMax, host: any Host, timeout: Interval, isEnough: @escaping ([UInt8]) -> Bool, done: @escaping (Outcome) -> Void) {
        self.host = host
        self.connection = connection
        self.bytesMax = bytesMax
        self.isEnough = isEnough
        self.done = done
        bytes = buffered
        connection.handler = self
        if !bytes.isEmpty, isEnough(bytes) {
            end(.decided(bytes))
            return
        }
        timer = host.after(timeout) { [self] in
            timer = nil
            end(.timedOut(bytes))
        }
        connection.isReadingPaused = false
    }

    func received(_ span: RawSpan, on connection: any Connection) {
        span.withUnsafeBytes { bytes.append(contentsOf: $0) }
        if isEnough?(bytes) ?? true || bytes.count >= bytesMax { end(.decided(bytes)) }
    }

    func finished(_ connection: any Connection) {
        // A client that has said everything and closed its side may still wait for an answer to it.
        if bytes.isEmpty {
            connection.close()
            end(.gone)
        } else {
            isFinished = true
            end(.decided(bytes))
        }
    }

    func closed(_ connection: any Connection, _ failure: HostFailure?) { end(.gone) }

    /// The peer's FIN came while we read; whoever takes over will not hear it from the connection again.
    private(set) var isFinished = false

    private func end(_ outcome: Outcome) {
        guard let done else { return }
        if let timer { host.cancel(timer) }
        let connection = connection
        let ended = isFinished
        self.done = nil
        self.isEnough = nil
        self.connection = nil
        bytes = []
        if case .gone = outcome {} else { connection?.handler = nil }
        done(outcome)
        // Told to the new handler in a turn of its own, as every event of a connection.
        if ended, let connection { host.after(.zero) { connection.handler?.finished(connection) } }
    }
}
