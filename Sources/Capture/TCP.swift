// TCP of a capture (RFC 9293): segments, and the bytes of one direction put back in order. The whole direction is kept until the
// capture ends, so a segment that comes late, even after its acknowledgement, still finds its place; only what never came is a gap.
// Overlap policy: the first bytes captured for a sequence number stay, whatever comes later (BSD and Windows receivers agree;
// a later copy that differs is counted). Checksums, windows and timing rules are deliberately not judged.

import Base

struct TCPSegment {
    var sourcePort: UInt16
    var destinationPort: UInt16
    var sequence: UInt32
    var acknowledgement: UInt32?
    var isSYN: Bool
    var isFIN: Bool
    var isRST: Bool
    var payload: ArraySlice<UInt8>

    /// nil if the header is cut short or its length is impossible.
    init?(_ bytes: [UInt8]) {
        guard bytes.count >= 20, let source = bytes.word16(0), let destination = bytes.word16(2), let sequence = bytes.word32(4),
            let acknowledgement = bytes.word32(8)
        else { return nil }
        let headerBytes = Int(bytes[12] >> 4) * 4
        guard headerBytes >= 20, headerBytes <= bytes.count else { return nil }
        sourcePort = source
        destinationPort = destination
        self.sequence = sequence
        let flags = bytes[13]
        isFIN = flags & 1 != 0
        isSYN = flags & 2 != 0
        isRST = flags & 4 != 0
        self.acknowledgement = flags & 16 != 0 ? acknowledgement : nil
        payload = bytes[headerBytes...]
    }
}

/// A run of bytes of one direction that came in one packet.
struct TCPChunk {
    /// Place in the direction's stream; 0 is the first byte after the SYN, or the first byte captured.
    var offset: Int64
    var bytes: ArraySlice<UInt8>
    /// Since the capture's first packet.
    var time: Interval
    var packet: Int
    /// How far the sender had received the other direction, in that direction's sequence numbers.
    var acknowledgement: UInt32?

    var end: Int64 { offset + Int64(bytes.count) }
}

/// One direction of one connection.
struct TCPDirection {
    /// Sequence number of offset 0; nil before the first segment.
    private(set) var origin: UInt32?
    /// Offset 0 is the first byte that was ever sent.
    private(set) var hasSYN = false
    private(set) var finOffset: Int64?
    private(set) var isReset = false
    private(set) var packets = 0
    private(set) var payloadBytes = 0
    /// Segments that brought nothing new.
    private(set) var retransmissions = 0
    /// Bytes that came twice with different content.
    private(set) var conflictingBytes = 0
    /// Segments left out: too far away, or past the bound on segments or bytes.
    private(set) var segmentsDropped = 0
    /// Sorted by offset, not overlapping.
    private(set) var chunks: [TCPChunk] = []
    /// Largest offset seen, the point from which sequence numbers are unwrapped.
    private var highest: Int64 = 0

    /// Takes a segment; returns how many bytes of it are kept. Keeps none beyond `bytesAllowed`.
    mutating func receive(_ segment: TCPSegment, packet: Int, time: Interval, bytesAllowed: Int) -> Int {
        packets += 1
        payloadBytes += segment.payload.count
        if segment.isRST { isReset = true }
        let first = segment.isSYN ? segment.sequence &+ 1 : segment.sequence
        if segment.isSYN {
            let shift = origin.map { Int64(Int32(bitPattern: $0 &- first)) } ?? -1
            if !hasSYN, shift >= 0, shift <= Limits.sequenceStepBytesMax {
                // The SYN came late (captured out of order): what came before keeps its distance from it.
                for i in chunks.indices { chunks[i].offset += shift }
                highest += shift
                finOffset = finOffset.map { $0 + shift }
                origin = first
                hasSYN = true
            } else if chunks.isEmpty {
                origin = first
                highest = 0
                finOffset = nil
                hasSYN = true
            }
        } else if origin == nil {
            // A reset or a bare acknowledgement before anything else still tells where the stream stands.
            if segment.isRST { return 0 }
            origin = first
        }
        // A server that answered with several SYNs means the one whose numbers its data carries.
        if !segment.payload.isEmpty, chunks.isEmpty, let known = origin, abs(Int64(Int32(bitPattern: first &- known))) > Limits.sequenceStepBytesMax {
            origin = first
            highest = 0
            hasSYN = false
            finOffset = nil
        }
        guard let origin else { return 0 }
        // RST payload is a message to people, not part of the stream (RFC 9293 section 3.10.7.4).
        if segment.isRST { return 0 }
        let near = origin &+ UInt32(truncatingIfNeeded: highest)
        let step = Int64(Int32(bitPattern: first &- near))
        guard abs(step) <= Limits.sequenceStepBytesMax else {
            segmentsDropped += 1
            return 0
        }
        let offset = highest + step
        let end = offset + Int64(segment.payload.count)
        highest = max(highest, end)
        if segment.isFIN, finOffset == nil { finOffset = end }
        guard !segment.payload.isEmpty else { return 0 }
        return insert(segment.payload, at: offset, packet: packet, time: time, acknowledgement: segment.acknowledgement, bytesAllowed: bytesAllowed)
    }

    private mutating func insert(
        _ payload: ArraySlice<UInt8>, at offset: Int64, packet: Int, time: Interval, acknowledgement: UInt32?, bytesAllowed: Int
    ) -> Int {
        guard payload.count <= bytesAllowed, chunks.count < Limits.segmentsMax else {
            segmentsDropped += 1
            return 0
        }
        var from = hasSYN ? max(offset, 0) : offset
        let to = offset + Int64(payload.count)
        if to <= from { return 0 }
        func part(_ a: Int64, _ b: Int64) -> ArraySlice<UInt8> {
            payload[payload.startIndex + Int(a - offset)..<payload.startIndex + Int(b - offset)]
        }
        // First chunk that ends after `from`.
        var low = 0
        var high = chunks.count
        if let last = chunks.last, last.end <= from { low = high }
        while low < high {
            let middle = (low + high) / 2
            if chunks[middle].end <= from { low = middle + 1 } else { high = middle }
        }
        var place = low
        var kept = 0
        while from < to {
            if place == chunks.count || chunks[place].offset >= to {
                chunks.insert(TCPChunk(offset: from, bytes: part(from, to), time: time, packet: packet, acknowledgement: acknowledgement), at: place)
                kept += Int(to - from)
                break
            }
            let there = chunks[place]
            if there.offset > from {
                chunks.insert(TCPChunk(offset: from, bytes: part(from, there.offset), time: time, packet: packet, acknowledgement: acknowledgement), at: place)
                kept += Int(there.offset - from)
                from = there.offset
                place += 1
                continue
            }
            let upTo = min(to, there.end)
            let old = there.bytes[there.bytes.startIndex + Int(from - there.offset)..<there.bytes.startIndex + Int(upTo - there.offset)]
            for (a, b) in zip(old, part(from, upTo)) where a != b { conflictingBytes += 1 }
            from = upTo
            place += 1
        }
        if kept == 0 { retransmissions += 1 }
        return kept
    }

    /// Bytes after the FIN do not belong to the stream. Called once, when the capture has ended.
    mutating func settle() {
        guard let finOffset else { return }
        while let last = chunks.last, last.end > finOffset {
            chunks.removeLast()
            if last.offset < finOffset {
                var cut = last
                cut.bytes = cut.bytes.prefix(Int(finOffset - last.offset))
                chunks.append(cut)
            }
        }
    }

    /// Holes between captured bytes, and bytes missing at the front (after a SYN) or before the FIN. Unit: holes and bytes.
    var gaps: (count: Int, bytes: Int64) {
        var count = 0
        var bytes: Int64 = 0
        var reach: Int64? = hasSYN ? 0 : chunks.first?.offset
        for chunk in chunks {
            if let here = reach, chunk.offset > here {
                count += 1
                bytes += chunk.offset - here
            }
            reach = chunk.end
        }
        if let finOffset, let here = reach, finOffset > here {
            count += 1
            bytes += finOffset - here
        }
        return (count, bytes)
    }

    /// Where a sequence number stands in this direction; nil before the origin is known.
    func offset(of sequence: UInt32) -> Int64? {
        guard let origin else { return nil }
        return highest + Int64(Int32(bitPattern: sequence &- (origin &+ UInt32(truncatingIfNeeded: highest))))
    }
}
