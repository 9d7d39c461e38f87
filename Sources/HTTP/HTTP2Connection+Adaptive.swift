// Windows that grow with the path (`HTTP2Settings.adaptsWindows`): a PING goes out with the first DATA after a pause, and what came
// before its answer is what the path carries in a round trip. While that fills most of the window and the rate still rises, the window
// becomes twice as large, up to a bound. It never shrinks: a window is a promise, and what is not used costs nothing.
// Source: the estimators of gRPC and hyper (bandwidth-delay product by PING).

import Base

struct HTTP2AdaptiveWindow {
    /// Of a stream and of the connection. Unit: bytes.
    private(set) var windowBytes = HTTP2Connection.defaultWindow
    /// A PING is on its way since then.
    private var sentAt: Instant?
    /// DATA received behind that PING. Unit: bytes.
    private var received = 0
    /// Bytes a second, the most that was seen.
    private var rateMax: Int64 = 0
    private var nextAt = Instant(nanoseconds: .min)
    private var pause = HTTP2AdaptiveWindow.pauseMin

    private static let pauseMin = Interval.milliseconds(100)
    private static let pauseMax = Interval.seconds(10)

    /// DATA has come. True: a PING goes out now.
    mutating func take(_ bytes: Int, now: Instant) -> Bool {
        if sentAt != nil {
            received += bytes
            return false
        }
        guard now >= nextAt else { return false }
        sentAt = now
        received = bytes
        return true
    }

    /// The PING is answered. The new size of the windows if they grow.
    mutating func answered(now: Instant, bytesMax: Int) -> Int? {
        guard let sentAt else { return nil }
        self.sentAt = nil
        let roundTrip = max(1, (now - sentAt).nanoseconds)
        let rate = Int64(clamping: (Int128(received) * 1_000_000_000) / Int128(roundTrip))
        guard received * 3 >= windowBytes * 2, rate > rateMax, windowBytes < bytesMax else {
            // A larger window would not have been filled: the next probe comes later.
            pause = min(pause * 2, Self.pauseMax)
            nextAt = now + pause
            return nil
        }
        rateMax = rate
        pause = Self.pauseMin
        nextAt = now
        windowBytes = min(bytesMax, max(received * 2, windowBytes))
        return windowBytes
    }
}

extension HTTP2Connection {
    static let adaptivePing: UInt64 = 0x7765_6674_7061_7468

    /// DATA of this length came, padding included.
    @inline(__always)
    func adapt(_ bytes: Int) {
        // What we announced last must be in force, or its effect is not what is measured.
        if adaptive != nil, unacknowledgedSettings == 0, adaptive!.take(bytes, now: now) { writePing(Self.adaptivePing, isAnswer: false) }
    }

    func receiveAdaptiveAnswer() {
        guard adaptive != nil, let bytes = adaptive!.answered(now: now, bytesMax: limits.adaptiveWindowBytesMax) else { return }
        announcedStreamWindow = bytes
        unacknowledgedSettings += 1
        settingsSentAt = now
        writeSettings([(HTTP2Setting.initialWindowSize, UInt32(bytes))])
        let more = bytes - connectionWindowBytes
        guard more > 0 else { return }
        connectionWindowBytes = bytes
        receiveWindow += more
        writeWindowUpdate(0, more)
    }
}
