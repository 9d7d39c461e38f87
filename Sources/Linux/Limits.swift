// Bounds of the epoll binding. Byte sizes are those measured for a proxy on this loop; the rest are the kernel's habits.

import Base

public struct LinuxLimits: Sendable {
    /// One read of a stream. Unit: bytes. Full: the stream counts as bulk and its next read may be `bulkReadBytes`.
    /// Source: measured, 64 KiB is within 3 % of the best for requests.
    public var readBytes = 64 * 1024
    /// One read of a bulk stream, and the loop's scratch memory. Unit: bytes. Source: measured, 256 KiB moves 20 % more per CPU second than 64 KiB.
    public var bulkReadBytes = 256 * 1024
    /// Read from one connection before the others get their turn. Unit: bytes. When reached: it goes on after them.
    public var readBytesPerTurn = 512 * 1024
    /// Connections accepted from one listener before the others get their turn. When reached: the rest stay in the backlog.
    public var acceptsPerTurn = 64
    /// Datagrams read from one socket before the others get their turn. When reached: the rest stay in the kernel.
    public var datagramsPerTurn = 64
    /// One datagram. Unit: bytes. Longer does not exist in IPv4.
    public var datagramBytesMax = 65_535
    /// Length of a listener's backlog when its options say nothing. Unit: connections. The kernel caps it at somaxconn.
    /// Source: Linux's own default since 5.4.
    public var backlogDefault: Int32 = 4096
    /// How long a closed connection waits for the peer's FIN, throwing away what still comes, so that our last bytes are not
    /// destroyed by a reset. When over: closed hard. Source: nginx's lingering_timeout is 5 s; a proxy has more of them.
    public var lingerTime = Interval.seconds(2)
    /// Thrown away while lingering. Unit: bytes. When over: closed hard.
    public var lingerBytesMax = 1024 * 1024
    /// A closed connection whose peer takes none of what is queued for so long is reset. Source: nginx's send_timeout, 60 s.
    public var flushStallTime = Interval.seconds(60)
    /// Pause of a listener when the process is out of descriptors and even its reserve is gone.
    public var acceptRetry = Interval.milliseconds(100)
    /// A whole file in memory. Unit: bytes. Longer: `HostFailure` with EFBIG. Source: ours; a trust bundle has kilobytes.
    public var fileBytesMax = 64 * 1024 * 1024
    /// Kept of what a program writes to its output, and to its error. Unit: bytes. More: cut off. Source: ours; a credential has kilobytes.
    public var programOutputBytesMax = 1024 * 1024
    /// Actions waiting in a loop's mailbox. When full: `Refusal`.
    public var mailboxActionsMax = 1024
    /// Name servers taken from resolv.conf. More: ignored. Source: resolv.conf(5), MAXNS.
    public static let nameServersMax = 3
    /// Largest ndots. Larger: taken as this. Source: resolv.conf(5).
    public static let ndotsMax = 15
    /// Timers at once. When full: the process traps, because a component leaks them.
    public static let timersMax = 1 << TimerHeap.slotBits

    public init() {}
}
