// IPv4 (RFC 791) and IPv6 (RFC 8200) as far as a capture needs them: from the header to the transport payload, through options,
// extension headers and fragments. Checksums are deliberately not verified: offloading network cards leave them wrong in
// every capture taken on the sending machine.

import Base

/// A whole transport payload (reassembled if it came in fragments).
struct Datagram {
    var source: IPAddress
    var destination: IPAddress
    /// IANA protocol number; 6 is TCP.
    var transport: UInt8
    var bytes: [UInt8]
}

/// Internet layer of one capture. Holds fragments until their datagram is complete.
struct InternetLayer {
    enum Outcome {
        case datagram(Datagram)
        /// A fragment was taken and its datagram is not complete.
        case pending
        case malformed(String)
    }

    private struct FragmentKey: Hashable {
        var source: IPAddress
        var destination: IPAddress
        var identification: UInt32
        var transport: UInt8
    }

    private struct Assembly {
        var key: FragmentKey
        var since: WallTime
        /// Sorted by offset, not overlapping.
        var pieces: [(offset: Int, bytes: [UInt8])] = []
        var total: Int?
        var transport: UInt8?
    }

    /// In order of their first fragment.
    private var assemblies: [Assembly] = []
    /// Datagrams given up: too old, too many, or contradictory.
    private(set) var fragmentsLost = 0

    /// Reads the IP packet that starts at `at`.
    mutating func receive(_ packet: [UInt8], at: Int, time: WallTime) -> Outcome {
        guard at < packet.count else { return .malformed("no IP header") }
        switch packet[at] >> 4 {
        case 4: return receiveV4(packet, at: at, time: time)
        case 6: return receiveV6(packet, at: at, time: time)
        default: return .malformed("IP version \(packet[at] >> 4)")
        }
    }

    /// Datagrams that never became complete.
    var fragmentsPending: Int { assemblies.count }

    private mutating func receiveV4(_ packet: [UInt8], at: Int, time: WallTime) -> Outcome {
        guard at + 20 <= packet.count, let source = packet.word32(at + 12), let destination = packet.word32(at + 16), let total = packet.word16(at + 2),
            let identification = packet.word16(at + 4), let fragment = packet.word16(at + 6)
        else { return .malformed("IPv4 header cut short") }
        let headerBytes = Int(packet[at] & 15) * 4
        guard headerBytes >= 20, at + headerBytes <= packet.count else { return .malformed("IPv4 header length \(headerBytes)") }
        // Total length 0 is what a capture below segmentation offload shows: the packet then goes on to its end.
        let end = total == 0 ? packet.count : min(packet.count, at + Int(total))
        guard total == 0 || Int(total) >= headerBytes, end >= at + headerBytes else { return .malformed("IPv4 total length below the header length") }
        let body = [UInt8](packet[at + headerBytes..<end])
        let (from, to) = (IPAddress.v4(source), IPAddress.v4(destination))
        let transport = packet[at + 9]
        let isMore = fragment & 0x2000 != 0
        let offset = Int(fragment & 0x1fff) * 8
        if offset == 0, !isMore { return .datagram(Datagram(source: from, destination: to, transport: transport, bytes: body)) }
        let key = FragmentKey(source: from, destination: to, identification: UInt32(identification), transport: transport)
        return take(key, offset: offset, isMore: isMore, body, transport: transport, isTruncated: total != 0 && at + Int(total) > packet.count, dropsOverlaps: false, time: time)
    }

    private mutating func receiveV6(_ packet: [UInt8], at: Int, time: WallTime) -> Outcome {
        guard at + 40 <= packet.count, let length = packet.word16(at + 4), let s0 = packet.word64(at + 8), let s1 = packet.word64(at + 16),
            let d0 = packet.word64(at + 24), let d1 = packet.word64(at + 32)
        else { return .malformed("IPv6 header cut short") }
        let (from, to) = (IPAddress.v6(s0, s1), IPAddress.v6(d0, d1))
        var next = packet[at + 6]
        var here = at + 40
        // Length 0: a jumbogram or segmentation offload.
        let end = length == 0 ? packet.count : min(packet.count, here + Int(length))
        for _ in 0..<Limits.extensionHeadersMax {
            switch next {
            case 0, 43, 60, 135:  // hop-by-hop, routing, destination options, mobility
                guard here + 2 <= end else { return .malformed("IPv6 extension header cut short") }
                let bytes = 8 + Int(packet[here + 1]) * 8
                guard here + bytes <= end else { return .malformed("IPv6 extension header of \(bytes) bytes runs past the packet") }
                next = packet[here]
                here += bytes
            case 51:  // authentication header, RFC 4302: length in words of four bytes, less two
                guard here + 2 <= end else { return .malformed("IPv6 authentication header cut short") }
                let bytes = (Int(packet[here + 1]) + 2) * 4
                guard here + bytes <= end else { return .malformed("IPv6 authentication header runs past the packet") }
                next = packet[here]
                here += bytes
            case 44:  // fragment
                guard here + 8 <= end, let field = packet.word16(here + 2), let identification = packet.word32(here + 4) else {
                    return .malformed("IPv6 fragment header cut short")
                }
                let offset = Int(field & 0xfff8)
                let isMore = field & 1 != 0
                let inner = packet[here]
                here += 8
                if offset == 0, !isMore {  // atomic fragment, RFC 6946: nothing to wait for
                    next = inner
                    continue
                }
                let key = FragmentKey(source: from, destination: to, identification: identification, transport: 44)
                let isTruncated = length != 0 && at + 40 + Int(length) > packet.count
                return take(key, offset: offset, isMore: isMore, [UInt8](packet[here..<end]), transport: inner, isTruncated: isTruncated, dropsOverlaps: true, time: time)
            default:
                return .datagram(Datagram(source: from, destination: to, transport: next, bytes: [UInt8](packet[here..<end])))
            }
        }
        return .malformed("more than \(Limits.extensionHeadersMax) IPv6 extension headers")
    }

    /// Takes one fragment. Overlaps: the first bytes that came stay (IPv4), or the datagram is given up (IPv6, RFC 5722).
    private mutating func take(
        _ key: FragmentKey, offset: Int, isMore: Bool, _ body: [UInt8], transport: UInt8, isTruncated: Bool, dropsOverlaps: Bool, time: WallTime
    ) -> Outcome {
        let before = assemblies.count
        assemblies.removeAll { time.nanoseconds &- $0.since.nanoseconds > Limits.fragmentAgeNanosecondsMax }
        fragmentsLost += before - assemblies.count
        // A fragment that the capture itself cut short has a hole: its datagram can never be whole.
        guard !isTruncated else { return .malformed("fragment cut short by the capture's packet size limit") }
        guard !body.isEmpty, offset + body.count <= 65_535, !isMore || body.count % 8 == 0 else { return .malformed("fragment with an impossible offset or length") }
        var index = assemblies.firstIndex { $0.key == key }
        if index == nil {
            if assemblies.count == Limits.fragmentedDatagramsMax {
                assemblies.removeFirst()
                fragmentsLost += 1
            }
            assemblies.append(Assembly(key: key, since: time))
            index = assemblies.count - 1
        }
        guard let index else { return .pending }
        if offset == 0, assemblies[index].transport == nil { assemblies[index].transport = transport }
        if !isMore, assemblies[index].total == nil { assemblies[index].total = offset + body.count }
        var from = offset
        let to = offset + body.count
        var place = 0
        while place < assemblies[index].pieces.count, from < to {
            let piece = assemblies[index].pieces[place]
            let pieceEnd = piece.offset + piece.bytes.count
            if pieceEnd <= from {
                place += 1
                continue
            }
            if dropsOverlaps, piece.offset < to, !(piece.offset == offset && pieceEnd == to) {
                assemblies.remove(at: index)
                fragmentsLost += 1
                return .malformed("overlapping IPv6 fragments (RFC 5722)")
            }
            if piece.offset > from {
                let upTo = min(to, piece.offset)
                assemblies[index].pieces.insert((from, [UInt8](body[from - offset..<upTo - offset])), at: place)
                place += 1
            }
            from = max(from, pieceEnd)
            place += 1
        }
        if from < to { assemblies[index].pieces.append((from, [UInt8](body[(from - offset)...]))) }
        guard assemblies[index].pieces.count <= Limits.fragmentsMax else {
            assemblies.remove(at: index)
            fragmentsLost += 1
            return .malformed("more than \(Limits.fragmentsMax) fragments in one datagram")
        }
        assemblies[index].pieces.sort { $0.offset < $1.offset }
        guard let total = assemblies[index].total, let whole = assemblies[index].transport else { return .pending }
        var reach = 0
        for piece in assemblies[index].pieces {
            guard piece.offset == reach else { return .pending }
            reach += piece.bytes.count
        }
        guard reach >= total else { return .pending }
        let assembly = assemblies.remove(at: index)
        var bytes: [UInt8] = []
        for piece in assembly.pieces { bytes += piece.bytes }
        return .datagram(Datagram(source: key.source, destination: key.destination, transport: whole, bytes: [UInt8](bytes.prefix(total))))
    }
}
