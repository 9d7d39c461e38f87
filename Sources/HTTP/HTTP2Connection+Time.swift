// What happens when nothing happens: keep-alive PINGs, SETTINGS that nobody acknowledges, the end of a drain, and the peer's FIN.

import Base

extension HTTP2Connection {
    /// Our PINGs differ by payload.
    static let keepAlivePing: UInt64 = 0x7765_6674_6c69_7665
    static let drainPing: UInt64 = 0x7765_6674_676f_6e65

    public var deadline: Instant? {
        if hasFailed { return nil }
        var earliest: Instant?
        if case .announced(let since) = shutdownState { earliest = since + limits.drainPingTimeout }
        if let alive = keepAliveDeadline, alive < earliest ?? .distantFuture { earliest = alive }
        if let late = settingsDeadline, late < earliest ?? .distantFuture { earliest = late }
        return earliest
    }

    private var settingsDeadline: Instant? { unacknowledgedSettings > 0 ? settingsSentAt + limits.settingsTimeout : nil }

    /// The connection below stands and takes what is drained from now on: the peer's time to answer begins. Before this an engine counts
    /// from when it was made.
    public func connected(now: Instant) {
        self.now = now
        lastReceived = now
        settingsSentAt = now
    }

    private var keepAliveDeadline: Instant? {
        guard let interval = settings.keepAliveInterval else { return nil }
        if let sent = keepAlivePingAt { return sent + settings.keepAliveTimeout }
        if streamsOpen == 0, !settings.keepAliveWhileIdle { return nil }
        return lastReceived + interval
    }

    public func expire(now: Instant) {
        self.now = now
        if hasFailed { return }
        if case .announced(let since) = shutdownState, since + limits.drainPingTimeout <= now { finishShutdown() }
        if let late = settingsDeadline, late <= now {
            if let event = fail(HTTP2ErrorCode.settingsTimeout, "SETTINGS are not acknowledged (RFC 9113 section 6.5.3)") { tell(event) }
            return
        }
        guard let due = keepAliveDeadline, due <= now else { return }
        if keepAlivePingAt != nil {
            if let event = fail(HTTP2ErrorCode.noError, "no answer to a keep-alive PING") { tell(event) }
        } else {
            keepAlivePingAt = now
            writePing(Self.keepAlivePing, isAnswer: false)
        }
    }

    func receivePingAnswer(_ payload: UInt64) {
        if payload == Self.keepAlivePing {
            keepAlivePingAt = nil
        } else if payload == Self.adaptivePing {
            receiveAdaptiveAnswer()
        } else if payload == Self.drainPing, case .announced = shutdownState {
            finishShutdown()
        }
    }

    private func finishShutdown() {
        shutdownState = .final(last: lastPeerStreamID)
        writeGoAway(last: lastPeerStreamID, code: HTTP2ErrorCode.noError)
    }

    /// After the peer's FIN, when every whole frame is read. True if there is something to tell.
    func endInput() -> Bool {
        guard role == .server else { return false }
        var isTelling = false
        for slot in streams.ordered where streams[slot].isRemoteOpen {
            let id = streams[slot].id
            forget(id, .resetByPeer)
            tell(.reset(HTTPStreamID(rawValue: id), PeerError(.stream, code: HTTP2ErrorCode.cancel, rule: "the connection ended before the request was complete")))
            isTelling = true
        }
        return isTelling
    }
}
