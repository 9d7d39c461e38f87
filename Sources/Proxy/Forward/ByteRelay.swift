// Two connections joined byte for byte: what opaque traffic, TLS pass-through and every other protocol we do not speak becomes.
// Half-close passes through, a reset passes through, and a slow reader slows its sender. Nothing is inspected.

import Base
import Platform

/// Hears what a relay moves and how it ends.
protocol ByteRelayObserver: AnyObject {
    /// The callee's connection stands.
    func relayConnected(_ relay: ByteRelay)
    /// Told once, when both directions are over; nil after a regular end.
    func relayEnded(_ relay: ByteRelay, _ failure: HostFailure?)
}

final class ByteRelay: ConnectionHandler {
    /// Accepted: whoever asked for the connection.
    private(set) var caller: (any Connection)?
    /// Dialled.
    private(set) var callee: (any Connection)?
    /// Bytes that wait for a slow reader on either side.
    var bytesHeld: Int { (caller?.bytesQueued ?? 0) + (callee?.bytesQueued ?? 0) }
    private var isConnected = false
    private var callerFinished = false
    private var calleeFinished = false
    private var observer: (any ByteRelayObserver)?
    /// What the caller said before the callee's connection stood. It waits here, not in the connection: a mesh connection says its
    /// transport header first, when it stands.
    private var buffered: [UInt8]

    /// Takes over `caller` and dials. `buffered` is what was read from the caller before.
    init(caller: any Connection, buffered: [UInt8], observer: any ByteRelayObserver, connect: (any ConnectionHandler) -> any Connection) {
        self.caller = caller
        self.observer = observer
        self.buffered = buffered
        caller.handler = self
        callee = connect(self)
        caller.isReadingPaused = true
    }

    /// Ends both sides now, as when a policy no longer allows them.
    func terminate() {
        let failure = HostFailure("relay", .connectionReset)
        caller?.reset()
        callee?.reset()
        end(failure)
    }

    func connected(_ connection: any Connection) {
        isConnected = true
        let waiting = buffered
        buffered = []
        if !waiting.isEmpty { connection.send(waiting.span.bytes) }
        if callerFinished { connection.finish() }
        updateReading()
        observer?.relayConnected(self)
    }

    func received(_ bytes: RawSpan, on connection: any Connection) {
        guard let other = other(than: connection) else { return }
        pass(bytes, to: other, from: connection)
    }

    func finished(_ connection: any Connection) {
        if connection === caller {
            callerFinished = true
            if isConnected { callee?.finish() }
        } else {
            calleeFinished = true
            caller?.finish()
        }
    }

    func drained(_ connection: any Connection) { updateReading() }

    func closed(_ connection: any Connection, _ failure: HostFailure?) {
        guard let other = other(than: connection) else { return }
        if failure == nil { other.close() } else { other.reset() }
        end(failure)
    }

    private func pass(_ bytes: RawSpan, to destination: any Connection, from source: any Connection) {
        destination.send(bytes)
        if destination.bytesQueued > ProxyLimits.relayQueueBytesMax { source.isReadingPaused = true }
    }

    private func updateReading() {
        guard let caller, let callee else { return }
        caller.isReadingPaused = !isConnected || callee.bytesQueued > ProxyLimits.relayQueueBytesMax
        callee.isReadingPaused = caller.bytesQueued > ProxyLimits.relayQueueBytesMax
    }

    private func other(than connection: any Connection) -> (any Connection)? { connection === caller ? callee : caller }

    private func end(_ failure: HostFailure?) {
        caller = nil
        callee = nil
        let observer = observer
        self.observer = nil
        observer?.relayEnded(self, failure)
    }
}
