// From the first byte of a captured packet to the first byte of its IP header: Ethernet with any stack of VLAN tags, MPLS labels
// and PPPoE, LLC/SNAP, raw IP, BSD loopback, Linux "cooked" (both versions), PPP and NFLOG. Tunnels (VXLAN, GTP, Teredo, Geneve,
// GRE) are deliberately not entered: their inner traffic belongs to another network than the mesh under rehearsal.

import Base

/// Where the network layer starts in a packet.
enum LinkPayload: Equatable {
    /// Offset of an IPv4 or IPv6 header (its first nibble tells which).
    case ip(at: Int)
    /// Sound, but another protocol: ARP, LLDP, a link type that this reader does not know.
    case other
    /// Cut short or contradictory.
    case malformed(String)
}

/// Numbers are libpcap's DLT values. Source: pcap/dlt.h and https://www.tcpdump.org/linktypes.html.
func linkPayload(_ bytes: [UInt8], linkType: Int32) -> LinkPayload {
    switch linkType {
    case 1:  // EN10MB
        guard let type = bytes.word16(12) else { return .malformed("Ethernet header cut short") }
        return etherPayload(bytes, type: type, at: 14)
    case 12, 14, 101, 228, 229:  // RAW in its three numbers, IPV4, IPV6
        return bytes.isEmpty ? .malformed("empty packet") : .ip(at: 0)
    case 0, 108:  // NULL (the capturing machine's byte order), LOOP (network order)
        guard let family = bytes.word32(0) else { return .malformed("loopback header cut short") }
        // 2 is IPv4 everywhere; IPv6 is 10, 24, 28 or 30 depending on the system.
        let value = family > 0xffff ? family.byteSwapped : family
        return [2, 10, 24, 28, 30].contains(value) ? .ip(at: 4) : .other
    case 113:  // LINUX_SLL
        guard let type = bytes.word16(14) else { return .malformed("Linux cooked header cut short") }
        return etherPayload(bytes, type: type, at: 16)
    case 276:  // LINUX_SLL2
        guard let type = bytes.word16(0), bytes.count >= 20 else { return .malformed("Linux cooked v2 header cut short") }
        return etherPayload(bytes, type: type, at: 20)
    case 9, 50, 166:  // PPP, PPP_SERIAL, PPP_PPPD
        // The address and control bytes of RFC 1662 may be there or not; PPP_PPPD has a direction byte in their place.
        let isFramed = bytes.count >= 2 && (bytes[0] == 0xff || bytes[0] == 0x0f || linkType == 166) && bytes[1] == 0x03
        return pppPayload(bytes, at: isFramed ? 2 : 0)
    case 51:  // PPP_ETHER
        return pppPayload(bytes, at: 6)
    case 239:  // NFLOG
        return nflogPayload(bytes)
    default:
        return .other
    }
}

private func etherPayload(_ bytes: [UInt8], type: UInt16, at start: Int) -> LinkPayload {
    var type = type
    var at = start
    for _ in 0..<Limits.linkHeadersMax {
        switch type {
        case 0x0800, 0x86dd:
            return at < bytes.count ? .ip(at: at) : .malformed("no bytes after the link header")
        case 0x8100, 0x88a8, 0x9100, 0x9200:  // 802.1Q, 802.1ad and their older numbers
            guard let inner = bytes.word16(at + 2) else { return .malformed("VLAN tag cut short") }
            type = inner
            at += 4
        case 0x8864:  // PPPoE session, RFC 2516
            return pppPayload(bytes, at: at + 6)
        case 0x8847, 0x8848:  // MPLS, RFC 3032
            var isLast = false
            var labels = 0
            while !isLast {
                guard let label = bytes.word32(at), labels < Limits.linkHeadersMax else { return .malformed("MPLS label stack cut short") }
                isLast = label & 0x100 != 0
                at += 4
                labels += 1
            }
            // Nothing names the payload: its first nibble must be that of IP.
            guard at < bytes.count else { return .malformed("no bytes after the MPLS labels") }
            return bytes[at] >> 4 == 4 || bytes[at] >> 4 == 6 ? .ip(at: at) : .other
        case 0...1500:  // IEEE 802.3 length: LLC, and SNAP inside (RFC 1042)
            guard at + 8 <= bytes.count, bytes[at] == 0xaa, bytes[at + 1] == 0xaa, bytes[at + 2] == 3 else { return .other }
            guard let inner = bytes.word16(at + 6) else { return .malformed("SNAP header cut short") }
            guard inner > 1500 else { return .other }
            type = inner
            at += 8
        default:
            return .other
        }
    }
    return .malformed("more than \(Limits.linkHeadersMax) link headers")
}

private func pppPayload(_ bytes: [UInt8], at start: Int) -> LinkPayload {
    guard start < bytes.count else { return .malformed("PPP header cut short") }
    // RFC 1661: a protocol field whose first byte is odd is one byte long.
    if bytes[start] & 1 == 1 {
        return bytes[start] == 0x21 || bytes[start] == 0x57 ? ipAt(bytes, start + 1) : .other
    }
    guard let type = bytes.word16(start) else { return .malformed("PPP header cut short") }
    return type == 0x0021 || type == 0x0057 ? ipAt(bytes, start + 2) : .other
}

private func ipAt(_ bytes: [UInt8], _ at: Int) -> LinkPayload { at < bytes.count ? .ip(at: at) : .malformed("no bytes after the link header") }

/// Netfilter log: attributes of (length, type), little-endian as on every machine that writes them; type 9 is the packet.
private func nflogPayload(_ bytes: [UInt8]) -> LinkPayload {
    var at = 4
    while at + 4 <= bytes.count {
        let length = Int(bytes[at]) | Int(bytes[at + 1]) << 8
        let type = Int(bytes[at + 2]) | Int(bytes[at + 3] & 0x7f) << 8
        guard length >= 4 else { return .malformed("NFLOG attribute shorter than its header") }
        if type == 9 { return ipAt(bytes, at + 4) }
        at += (length + 3) & ~3
    }
    return .other
}

extension [UInt8] {
    /// Network byte order; nil past the end.
    func word16(_ at: Int) -> UInt16? {
        guard at >= 0, at + 2 <= count else { return nil }
        return UInt16(self[at]) << 8 | UInt16(self[at + 1])
    }

    /// Network byte order; nil past the end.
    func word32(_ at: Int) -> UInt32? {
        guard at >= 0, at + 4 <= count else { return nil }
        return UInt32(self[at]) << 24 | UInt32(self[at + 1]) << 16 | UInt32(self[at + 2]) << 8 | UInt32(self[at + 3])
    }

    /// Network byte order; nil past the end.
    func word64(_ at: Int) -> UInt64? {
        guard let high = word32(at), let low = word32(at + 4) else { return nil }
        return UInt64(high) << 32 | UInt64(low)
    }
}
