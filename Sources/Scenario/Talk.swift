// A connection that a story holds open: it says what it wants when it wants, and sees what came, when, and how it ended.

import Base
import DNS
import Platform
import Simulator
import Transport

public final class Talk: ConnectionHandler {
    public private(set) var heard: [UInt8] = []
    public private(set) var isConnected = false
    /// The other side said that it has nothing more to say.
    public private(set) var isFinished = false
    /// It is gone; `failure` says why if that was not in order.
    public private(set) var isClosed = false
    public private(set) var failure: String?
    /// When the first bytes came, and when it ended.
    public private(set) var heardAt: Instant?
    public private(set) var closedAt: Instant?
    private let process: SimProcess
    private var connection: (any Connection)?
    private var unsent: [UInt8] = []

    init(_ process: SimProcess, connect: (any ConnectionHandler) -> any Connection) {
        self.process = process
        connection = connect(self)
    }

    public var text: String { String(decoding: heard, as: UTF8.self) }

    public func say(_ bytes: [UInt8]) {
        process.run {
            if isConnected { connection?.send(bytes.span.bytes) } else { unsent += bytes }
        }
    }

    public func say(_ text: String) { say(Array(text.utf8)) }

    /// Has nothing more to say.
    public func finish() { process.run { connection?.finish() } }

    public func close() {
        process.run {
            connection?.close()
            connection = nil
            if !isClosed { end(nil) }
        }
    }

    public func connected(_ connection: any Connection) {
        isConnected = true
        if !unsent.isEmpty { connection.send(unsent.span.bytes) }
        unsent = []
    }

    public func received(_ bytes: RawSpan, on connection: any Connection) {
        if heardAt == nil { heardAt = process.now }
        heard += bytes.array()
    }

    public func finished(_ connection: any Connection) { isFinished = true }

    public func closed(_ connection: any Connection, _ failure: HostFailure?) {
        self.connection = nil
        end(failure.map { "\($0)" })
    }

    private func end(_ failure: String?) {
        isClosed = true
        closedAt = process.now
        self.failure = failure
    }
}
