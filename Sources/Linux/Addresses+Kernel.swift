// Addresses and error numbers between the kernel's forms and ours.

import Base
import CLinux
import Glibc

extension SocketAddress {
    var kernel: clinux_address {
        switch ip {
        case .v4(let word): clinux_address(high: 0, low: UInt64(word), port: port, is_v6: 0)
        case .v6(let high, let low): clinux_address(high: high, low: low, port: port, is_v6: 1)
        }
    }

    /// IPv4-mapped peers of a dual-stack socket are told as IPv4, as Linkerd does.
    init(kernel: clinux_address) {
        self.init(kernel.is_v6 != 0 ? IPAddress.v6(kernel.high, kernel.low).unmapped : .v4(UInt32(truncatingIfNeeded: kernel.low)), kernel.port)
    }
}

extension HostFailure {
    /// `number` is the kernel's, positive.
    public init(_ operation: String, errno number: Int32, subject: String = "") {
        let reason: Reason =
            switch number {
            case ECONNREFUSED: .connectionRefused
            case ECONNRESET, ECONNABORTED: .connectionReset
            case ETIMEDOUT: .timedOut
            case EHOSTUNREACH, ENETUNREACH, EHOSTDOWN, ENETDOWN: .hostUnreachable
            case EADDRINUSE: .addressInUse
            case EACCES, EPERM: .permissionDenied
            case ENOENT, ENOTDIR: .notFound
            case EPIPE: .brokenPipe
            case EMFILE, ENFILE: .tooManyOpen
            default: .other
            }
        self.init(operation, reason, subject: subject, errno: reason == .other ? number : 0)
    }
}

extension clinux_stream_options {
    init(keepAlive: Interval?, userTimeout: Interval?) {
        // Whole units of the kernel, rounded up: a time that was asked for is never "none".
        let up = { (interval: Interval?, unit: Int64) -> Int32 in
            guard let interval, interval > .zero else { return 0 }
            return Int32(clamping: (interval.nanoseconds - 1) / unit + 1)
        }
        self.init(keep_alive_seconds: up(keepAlive, 1_000_000_000), user_timeout_milliseconds: up(userTimeout, 1_000_000))
    }
}
