// Judges packets as they pass: which of a few secret phrases ever stood on the wire in the clear, and how much of the traffic was
// TLS. Phrases are looked for in each direction of each TCP connection in order of its sequence numbers, so that one that was cut
// into packets is found, and in every other packet as it stands. Nothing is kept but the end of each direction.

import Base

public final class WireWatch {
    /// What passed. Unit: packets, and bytes on the wire with all headers.
    public private(set) var packets = 0
    public private(set) var bytes = 0
    /// Packets that are neither IP nor ARP, or malformed: not judged beyond a search as they stand.
    public private(set) var packetsUnread = 0
    /// Packets that the capture cut short: their rest is not judged.
    public private(set) var packetsCut = 0
    /// TCP segments whose place was lost (a hole before them): phrases across the hole are not found.
    public private(set) var holes = 0
    /// TLS records in directions that began with one. Unit: records.
    public private(set) var tlsRecords = 0
    /// TCP connections in which both sides spoke TLS, and those with payload in which somebody did not. By their ends, for people.
    public private(set) var tlsConnections = 0
    public private(set) var otherConnections: [(client: SocketAddress, server: SocketAddress)] = []
    /// Versions that servers chose, each once, such as 0x0304 for TLS 1.3.
    public private(set) var tlsVersions: [UInt16] = []
    /// Phrases that were seen, each once, in the order of their discovery.
    public private(set) var seen: [Int] = []

    private struct Key: Hashable {
        var low: SocketAddress
        var high: SocketAddress
    }

    private struct Connection {
        var first: SocketAddress
        var second: SocketAddress
        var sides: (Direction, Direction) = (Direction(), Direction())
    }

    private let linkType: Int32
    private let needles: [[UInt8]]
    private let tailBytes: Int
    private var internet = InternetLayer()
    private var connections: [Connection] = []
    /// Look-up only.
    private var index: [Key: Int] = [:]

    /// `needles`: phrases of at least 4 bytes that must not be seen.
    public init(linkType: Int32, needles: [[UInt8]]) {
        invariant(needles.allSatisfy { $0.count >= 4 }, "a phrase worth looking for has at least 4 bytes")
        self.linkType = linkType
        self.needles = needles
        tailBytes = (needles.map(\.count).max() ?? 1) - 1
    }

    public func take(_ packet: CapturedPacket) {
        packets += 1
        bytes += packet.wireBytes
        if packet.bytes.count < packet.wireBytes { packetsCut += 1 }
        // Every packet as it stands: finds what is in no TCP stream, and what the readers below cannot read.
        search(packet.bytes)
        switch linkPayload(packet.bytes, linkType: linkType) {
        case .malformed: packetsUnread += 1
        case .other: if packet.bytes.word16(12) != 0x0806 { packetsUnread += 1 }
        case .ip(let at):
            switch internet.receive(packet.bytes, at: at, time: packet.time) {
            case .pending: break
            case .malformed: packetsUnread += 1
            case .datagram(let datagram):
                guard datagram.transport == 6 else { break }
                guard let segment = TCPSegment(datagram.bytes) else {
                    packetsUnread += 1
                    break
                }
                take(segment, from: SocketAddress(datagram.source, segment.sourcePort), to: SocketAddress(datagram.destination, segment.destinationPort))
            }
        }
    }

    /// Counts the connections; call it when no more packets come.
    public func settle() {
        tlsConnections = 0
        otherConnections = []
        for connection in connections where connection.sides.0.hasPayload || connection.sides.1.hasPayload {
            let isTLS = [connection.sides.0, connection.sides.1].allSatisfy { $0.isTLS || !$0.hasPayload }
            if isTLS {
                tlsConnections += 1
            } else {
                otherConnections.append((connection.first, connection.second))
            }
        }
    }

    private func take(_ segment: TCPSegment, from source: SocketAddress, to destination: SocketAddress) {
        let key = source < destination ? Key(low: source, high: destination) : Key(low: destination, high: source)
        var place = index[key]
        // The same ports again: another connection.
        if segment.isSYN, segment.acknowledgement == nil, let old = place, connections[old].sides.0.hasPayload { place = nil }
        if place == nil {
            guard connections.count < Limits.flowsMax else {
                packetsUnread += 1
                return
            }
            connections.append(Connection(first: source, second: destination))
            place = connections.count - 1
            index[key] = place
        }
        guard let place else { return }
        var run: [UInt8] = []
        if connections[place].first == source { run = next(&connections[place].sides.0, segment) } else { run = next(&connections[place].sides.1, segment) }
        if !run.isEmpty { search(run) }
    }

    /// The end of what came before with what is new.
    private func next(_ direction: inout Direction, _ segment: TCPSegment) -> [UInt8] {
        if segment.isSYN { direction.expected = segment.sequence &+ 1 }
        guard !segment.payload.isEmpty else { return [] }
        var payload = segment.payload
        if let expected = direction.expected {
            let ahead = Int32(bitPattern: segment.sequence &- expected)
            if ahead > 0 {
                holes += 1
                direction.tail = []
                direction.loseRecords()
            } else if ahead < 0 {
                // A repetition: only what is new counts.
                payload = payload.dropFirst(Int(-Int64(ahead)))
                if payload.isEmpty { return [] }
            }
        }
        direction.expected = segment.sequence &+ UInt32(truncatingIfNeeded: segment.payload.count)
        let before = direction.records
        if let version = direction.follow(payload), !tlsVersions.contains(version) { tlsVersions.append(version) }
        tlsRecords += direction.records - before
        let run = direction.tail + payload
        direction.tail = Array(run.suffix(tailBytes))
        return run
    }

    private func search(_ bytes: [UInt8]) {
        for (i, needle) in needles.enumerated() where !seen.contains(i) && bytes.contains(needle) { seen.append(i) }
    }
}

/// One direction of a connection, as far as judging needs it.
private struct Direction {
    var expected: UInt32?
    var tail: [UInt8] = []
    var hasPayload = false
    private(set) var isTLS = false
    private(set) var records = 0
    /// Bytes of the current record still to come.
    private var rest = 0
    private var header: [UInt8] = []
    private var isLost = false
    /// The first record's beginning, in which a server says the version.
    private var opening: [UInt8] = []

    mutating func loseRecords() { isLost = true }

    /// Counts records; returns the version that a ServerHello chose, once.
    mutating func follow(_ payload: ArraySlice<UInt8>) -> UInt16? {
        var payload = payload
        if !hasPayload {
            hasPayload = true
            isTLS = payload.first == 22
        }
        guard isTLS, !isLost else { return nil }
        var version: UInt16?
        while !payload.isEmpty {
            if rest > 0 {
                let part = payload.prefix(rest)
                if records == 1 { opening += part }
                rest -= part.count
                payload = payload.dropFirst(part.count)
                if rest == 0, records == 1 { version = serverVersion(opening) }
                continue
            }
            let part = payload.prefix(5 - header.count)
            header += part
            payload = payload.dropFirst(part.count)
            if header.count < 5 { return version }
            // RFC 8446 section 5.1: change cipher spec, alert, handshake, application data; at most 2^14 + 256 bytes.
            let length = Int(header[3]) << 8 | Int(header[4])
            guard (20...23).contains(header[0]), header[1] == 3, length <= 16_640 else {
                isTLS = false
                return version
            }
            records += 1
            rest = length
            header = []
        }
        return version
    }
}

/// The version that a ServerHello chose (RFC 8446 section 4.2.1), nil if the bytes are none.
private func serverVersion(_ hello: [UInt8]) -> UInt16? {
    // Type, length, legacy version, random, session id, suite, compression, extensions.
    guard hello.count >= 39, hello[0] == 2 else { return nil }
    var at = 39 + Int(hello[38]) + 3
    guard let extensionBytes = hello.word16(at) else { return hello.word16(4) }
    at += 2
    let end = min(hello.count, at + Int(extensionBytes))
    while let type = hello.word16(at), let length = hello.word16(at + 2), at + 4 + Int(length) <= end {
        if type == 43 { return hello.word16(at + 4) }
        at += 4 + Int(length)
    }
    return hello.word16(4)
}

extension [UInt8] {
    /// Whether `needle` stands somewhere in it.
    func contains(_ needle: [UInt8]) -> Bool {
        guard let first = needle.first, count >= needle.count else { return needle.isEmpty }
        return withUnsafeBufferPointer { bytes in
            var i = 0
            while i <= bytes.count - needle.count {
                if bytes[i] == first, needle.withUnsafeBufferPointer({ zip(bytes[i...], $0).allSatisfy { $0 == $1 } }) { return true }
                i += 1
            }
            return false
        }
    }
}
