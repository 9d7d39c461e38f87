// Bounds and fixed numbers of the simulated world: the kernel's where a kernel has them.

import Base

public enum SimulatorLimits {
    /// Ports the world chooses from for port 0 and for outgoing connections. Full: connects fail with EADDRNOTAVAIL (99).
    /// Source: Linux net.ipv4.ip_local_port_range.
    public static let ephemeralPorts: ClosedRange<UInt16> = 32_768...60_999
    /// Connections that wait for one listener. Full: SYNs are dropped and tried again by the caller. Unit: connections.
    /// Source: Linux net.core.somaxconn.
    public static let backlogDefault: Int32 = 4096
    /// A datagram's payload. Longer: dropped. Unit: bytes. Source: IPv4's length field less both headers.
    public static let datagramBytesMax = 65_507
    /// One segment on the wire. Unit: bytes. Source: a captured packet must fit IP's length field.
    public static let segmentBytesMax = 65_000
    /// An Ethernet segment's payload with timestamps. Unit: bytes.
    public static let segmentBytesEthernet = 1448
    /// First retransmission of a lost segment; doubles each time. Source: Linux TCP_RTO_MIN, TCP_RTO_MAX.
    public static let retransmissionFirst = Interval.milliseconds(200)
    public static let retransmissionMax = Interval.seconds(120)
    /// Unacknowledged this long: the connection fails with `timedOut`, unless the caller set `userTimeout`.
    /// Source: Linux tcp_retries2 = 15.
    public static let retransmissionGivesUp = Interval.milliseconds(924_600)
    /// First repetition of a SYN; doubles each time. Source: RFC 6298.
    public static let connectRetryFirst = Interval.seconds(1)
    /// A connect without an answer fails by then. Source: Linux tcp_syn_retries = 6.
    public static let connectGivesUp = Interval.seconds(127)
    /// Unanswered probes until an idle connection with `keepAlive` counts as dead, and their distance, unless `userTimeout` is less.
    /// Source: Linux tcp_keepalive_probes, tcp_keepalive_intvl.
    public static let keepAliveProbes: Int64 = 9
    public static let keepAliveProbeInterval = Interval.seconds(75)
    /// A closed connection throws away what still comes for so long and so much after its FIN, so that its last bytes are not
    /// destroyed by a reset. When over: data is answered by RST. Unit: bytes. Source: `LinuxLimits`, which does the same.
    public static let lingerTime = Interval.seconds(2)
    public static let lingerBytesMax = 1024 * 1024
    /// A closed connection whose peer takes none of what is queued for so long is reset. Source: `LinuxLimits`.
    public static let flushStallTime = Interval.seconds(60)
    /// Records kept for a failure report.
    public static let recordsKept = 50
    /// Log lines kept a process. Full: the oldest goes.
    public static let logLinesKept = 200
    /// Records from one checkpoint to the next.
    public static let checkpointRecords: UInt64 = 1024
    /// Violations kept. Full: only counted.
    public static let violationsKept = 100
}
