// What reading one capture may cost at most. A capture is a stranger's file: every table that grows with its packets has a
// bound here, and what happens at the bound is said beside it. What was left out is always written in the report.

/// Bounds of the `Capture` module.
public enum Limits {
    /// TCP payload kept for reassembly over all flows. Unit: bytes. Full: later payload is dropped, which leaves gaps in its flows,
    /// and one problem says so. Source: twice what the largest capture that people mail around holds, a tenth of a laptop's memory.
    public static let payloadBytesMax = 512 << 20
    /// Flows followed at once. Unit: TCP connections. Full: segments of further flows are counted and not kept.
    public static let flowsMax = 200_000
    /// Pieces of one direction of one flow. Unit: segments. Full: further segments of it are dropped. Bounds the cost of one-byte segments.
    public static let segmentsMax = 1 << 20
    /// IP datagrams being reassembled. Unit: datagrams. Full: the oldest is given up. Source: Linux, net.ipv4.ipfrag_max_dist and high_thresh in spirit.
    public static let fragmentedDatagramsMax = 256
    /// Fragments of one datagram. Unit: fragments. Full: the datagram is given up. Source: 65,535 bytes in pieces of 576.
    public static let fragmentsMax = 128
    /// Age at which an incomplete datagram is given up. Unit: nanoseconds of capture time. Source: RFC 8200 section 4.5, 60 seconds.
    public static let fragmentAgeNanosecondsMax: Int64 = 60_000_000_000
    /// Link headers peeled off one packet (VLAN tags, MPLS labels, PPPoE). Unit: headers. Full: the packet is counted as not IP.
    public static let linkHeadersMax = 16
    /// IPv6 extension headers of one packet. Unit: headers. Full: the packet is counted as malformed.
    public static let extensionHeadersMax = 16
    /// Largest step of a sequence number that still counts as the same connection. Unit: bytes. Beyond: the segment is left out
    /// as foreign. Source: RFC 7323 section 2.3, the largest window.
    public static let sequenceStepBytesMax: Int64 = 1 << 30
    /// Body bytes kept for an answer, so that it can be given again. Unit: bytes. Full: the rest is counted, not kept; the answer
    /// is then given again with as many filler bytes.
    public static let bodyBytesKeptMax = 8 << 20
    /// Exchanges of one conversation. Unit: request and response pairs. Full: the conversation ends there with a problem.
    public static let exchangesMax = 1_000_000
    /// Bytes in which a first line must end for a flow to be taken as HTTP. Unit: bytes.
    public static let firstLineBytesMax = 16 << 10
    /// Packets that could not be decoded and are named one by one in the report. Unit: problems. Full: only counted.
    public static let problemsMax = 64
    /// Bytes of a live packet that are kept. Unit: bytes. Longer: cut, and counted as cut. Source: libpcap's own maximum; offloading
    /// makes virtual frames of 64 KiB.
    public static let livePacketBytesMax: Int32 = 262_144
    /// Ring in which the kernel keeps live packets until they are taken. Unit: bytes. Full: packets are lost, and counted as lost.
    /// Source: ours; two seconds of a gigabit per second between two looks are never reached by a demonstration.
    public static let liveRingBytes: Int32 = 64 << 20
}
