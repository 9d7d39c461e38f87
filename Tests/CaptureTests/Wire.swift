// Captures made by hand: packets of one TCP connection over raw IPv4, in any order, cut anywhere, written as a pcap file in memory.
// Checksums are left at zero, as network cards with offload leave them.

import Base

/// A pcap file in memory, link type RAW.
struct Wire {
    private(set) var bytes: [UInt8] = []
    private(set) var packets = 0
    private var microseconds: UInt32 = 0

    init() {
        bytes += little(0xa1b2_c3d4) + [2, 0, 4, 0] + little(0) + little(0) + little(65_535) + little(101)
    }

    /// One packet, a millisecond after the one before.
    mutating func add(_ packet: [UInt8]) {
        bytes += little(1_700_000_000 + microseconds / 1_000_000) + little(microseconds % 1_000_000) + little(UInt32(packet.count)) + little(UInt32(packet.count)) + packet
        microseconds += 1000
        packets += 1
    }

    private func little(_ word: UInt32) -> [UInt8] { [UInt8(word & 255), UInt8(word >> 8 & 255), UInt8(word >> 16 & 255), UInt8(word >> 24)] }
}

/// A segment between 10.0.0.1:40000 (client) and 10.0.0.2:80 (server).
struct Segment {
    enum Flag: UInt8 { case fin = 1, syn = 2, rst = 4, ack = 16 }

    var isFromClient = true
    var sequence: UInt32
    var acknowledgement: UInt32 = 0
    var flags: [Flag] = [.ack]
    var payload: [UInt8] = []

    var tcp: [UInt8] {
        let ports: [UInt8] = isFromClient ? [0x9c, 0x40, 0, 80] : [0, 80, 0x9c, 0x40]
        return ports + big(sequence) + big(acknowledgement) + [5 << 4, flags.reduce(0) { $0 | $1.rawValue }, 0xff, 0xff, 0, 0, 0, 0] + payload
    }

    var packet: [UInt8] { ipv4(tcp) }

    /// An IPv4 packet, or one fragment of it.
    func ipv4(_ body: [UInt8], identification: UInt8 = 1, offset: Int = 0, isMore: Bool = false) -> [UInt8] {
        let total = 20 + body.count
        let field = UInt16(offset / 8) | (isMore ? 0x2000 : 0)
        let a: [UInt8] = [10, 0, 0, isFromClient ? 1 : 2]
        let b: [UInt8] = [10, 0, 0, isFromClient ? 2 : 1]
        return [0x45, 0, UInt8(total >> 8), UInt8(total & 255), 0, identification, UInt8(field >> 8), UInt8(field & 255), 64, 6, 0, 0] + a + b + body
    }

    private func big(_ word: UInt32) -> [UInt8] { [UInt8(word >> 24), UInt8(word >> 16 & 255), UInt8(word >> 8 & 255), UInt8(word & 255)] }
}

/// A conversation with handshake, whose two directions are cut into segments where asked.
struct Dialogue {
    var request = [UInt8]("GET /a HTTP/1.1\r\nHost: x\r\n\r\n".utf8)
    var answer = [UInt8]("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".utf8)
    var clientSequence: UInt32 = 1000
    var serverSequence: UInt32 = 5000

    var handshake: [Segment] {
        [
            Segment(sequence: clientSequence, flags: [.syn]),
            Segment(isFromClient: false, sequence: serverSequence, acknowledgement: clientSequence &+ 1, flags: [.syn, .ack]),
            Segment(sequence: clientSequence &+ 1, acknowledgement: serverSequence &+ 1),
        ]
    }

    func requestSegments(cuts: [Int]) -> [Segment] {
        pieces(request, cuts).map {
            Segment(sequence: clientSequence &+ 1 &+ UInt32($0.offset), acknowledgement: serverSequence &+ 1, payload: $0.bytes)
        }
    }

    func answerSegments(cuts: [Int]) -> [Segment] {
        pieces(answer, cuts).map {
            Segment(
                isFromClient: false, sequence: serverSequence &+ 1 &+ UInt32($0.offset), acknowledgement: clientSequence &+ 1 &+ UInt32(request.count), payload: $0.bytes)
        }
    }

    var farewell: [Segment] {
        let (c, s) = (clientSequence &+ 1 &+ UInt32(request.count), serverSequence &+ 1 &+ UInt32(answer.count))
        return [
            Segment(sequence: c, acknowledgement: s, flags: [.fin, .ack]),
            Segment(isFromClient: false, sequence: s, acknowledgement: c &+ 1, flags: [.fin, .ack]),
        ]
    }

    private func pieces(_ bytes: [UInt8], _ cuts: [Int]) -> [(offset: Int, bytes: [UInt8])] {
        let bounds = [0] + cuts + [bytes.count]
        return zip(bounds, bounds.dropFirst()).filter { $0 < $1 }.map { ($0, Array(bytes[$0..<$1])) }
    }
}

func file(_ segments: [Segment]) -> [UInt8] {
    var wire = Wire()
    for segment in segments { wire.add(segment.packet) }
    return wire.bytes
}
