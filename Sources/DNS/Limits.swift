// Bounds of this module. Sizes are RFC 1035's; times are those of resolv.conf(5) where it has any.

import Base

public struct DNSLimits: Sendable {
    /// A label. Unit: bytes. Longer: refused. Source: RFC 1035 section 2.3.4.
    public static let labelBytesMax = 63
    /// A name on the wire, length bytes and root included. Unit: bytes. Longer: refused. Source: RFC 1035 section 2.3.4.
    public static let nameBytesMax = 255
    /// A message. Unit: bytes. Longer cannot be said in the TCP prefix. Source: RFC 1035 section 4.2.2.
    public static let messageBytesMax = 65535
    /// Without EDNS a datagram carries no more. Unit: bytes. More: truncated, TC set. Source: RFC 1035 section 4.2.1.
    public static let datagramBytesClassic = 512

    /// What we say we take in a datagram (EDNS). Unit: bytes. Source: DNS flag day 2020, fits every path without fragments.
    public var datagramBytesMax: UInt16 = 1232
    /// Links of a CNAME chain, over all answers to one question. When longer: the resolution fails. Source: BIND's default is 16.
    public var aliasesMax = 16
    /// Records read from one message. When more: refused. Source: ours; a record has at least 11 bytes, so 64 KiB cannot hold more than 5957.
    public var recordsMax = 6000
    /// Wait for one answer. Source: resolv.conf(5) `timeout`.
    public var attemptTimeout = Interval.seconds(5)
    /// Rounds over all servers. When none answers: the resolution fails. Source: resolv.conf(5) `attempts`.
    public var attemptsMax = 2
    /// Domains of a search list. More: ignored. Source: glibc's old MAXDNSRCH, Kubernetes allows 32.
    public var searchDomainsMax = 32

    public init() {}
}
