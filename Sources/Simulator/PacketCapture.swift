// The simulated wire as a capture file: raw IP packets with right sequence numbers, acknowledgements, flags and checksums, so
// that a failure can be read in Wireshark. A packet is captured where it is sent. Redirection at the receiving node happens
// behind the wire, so the packets name the address that was meant there; what the sending node redirects stays on its loopback.
// Source: the classic pcap format with nanoseconds, link type 101 (raw IP); RFC 791, 8200, 9293, 768, 1071.

import Base

public final class PacketCapture {
    private let sink: ([UInt8]) -> Void
    private let nodes: [Int]?
    private let includesLoopback: Bool
    private unowned let world: World
    private var identification: UInt16 = 0
    /// Packets written.
    public private(set) var packets = 0

    init(_ world: World, nodes: [Node]?, includesLoopback: Bool, sink: @escaping ([UInt8]) -> Void) {
        self.world = world
        self.nodes = nodes?.map(\.index)
        self.includesLoopback = includesLoopback
        self.sink = sink
        var header: [UInt8] = []
        put(&header, little: UInt32(0xa1b2_3c4d))
        put(&header, little: UInt16(2))
        put(&header, little: UInt16(4))
        put(&header, little: UInt32(0))
        put(&header, little: UInt32(0))
        put(&header, little: UInt32(262_144))
        put(&header, little: UInt32(101))
        sink(header)
    }

    func wants(_ link: Link) -> Bool {
        if link.isLoopback, !includesLoopback { return false }
        return nodes.map { $0.contains(link.from.index) || $0.contains(link.to.index) } ?? true
    }

    private enum Flags {
        static let fin: UInt8 = 1, syn: UInt8 = 2, rst: UInt8 = 4, psh: UInt8 = 8, ack: UInt8 = 16
    }

    /// Both directions' sequence numbers begin where the stream's number says.
    private func first(_ stream: SimStream, _ side: Int) -> UInt32 {
        var mixed = Digest64()
        mixed.mix(UInt64(stream.serial) << 1 | UInt64(side))
        return UInt32(truncatingIfNeeded: mixed.value)
    }

    private func sequence(_ stream: SimStream, _ side: Int) -> UInt32 {
        first(stream, side) &+ 1 &+ UInt32(truncatingIfNeeded: stream.flow(from: side).wireBytes)
    }

    /// What this side has read of the other, its FIN included.
    private func acknowledged(_ stream: SimStream, _ side: Int) -> UInt32 {
        let hasFin = stream.end(side)?.isPeerFinished ?? false
        return first(stream, 1 - side) &+ 1 &+ UInt32(truncatingIfNeeded: stream.flow(from: 1 - side).received.length) &+ (hasFin ? 1 : 0)
    }

    func segment(_ stream: SimStream, _ side: Int, _ bytes: UnsafeRawBufferPointer, isEnd: Bool) {
        write(stream, side, flags: Flags.ack | (isEnd ? Flags.fin : Flags.psh), sequence: sequence(stream, side), acknowledged: acknowledged(stream, side), bytes)
    }

    func handshake(_ stream: SimStream, _ packet: SimStream.HandshakePacket) {
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        switch packet {
        case .syn: write(stream, 0, flags: Flags.syn, sequence: first(stream, 0), acknowledged: 0, none)
        case .synAck: write(stream, 1, flags: Flags.syn | Flags.ack, sequence: first(stream, 1), acknowledged: first(stream, 0) &+ 1, none)
        case .ack: write(stream, 0, flags: Flags.ack, sequence: first(stream, 0) &+ 1, acknowledged: first(stream, 1) &+ 1, none)
        case .refusal: write(stream, 1, flags: Flags.rst | Flags.ack, sequence: 0, acknowledged: first(stream, 0) &+ 1, none)
        case .reset(let side):
            write(stream, side, flags: Flags.rst | Flags.ack, sequence: sequence(stream, side) &+ ended(stream, side), acknowledged: acknowledged(stream, side), none)
        case .dataAck(let side):
            write(stream, side, flags: Flags.ack, sequence: sequence(stream, side) &+ ended(stream, side), acknowledged: acknowledged(stream, side), none)
        }
    }

    private func ended(_ stream: SimStream, _ side: Int) -> UInt32 { stream.flow(from: side).hasEnded ? 1 : 0 }

    private func write(_ stream: SimStream, _ side: Int, flags: UInt8, sequence: UInt32, acknowledged: UInt32, _ payload: UnsafeRawBufferPointer) {
        let client = stream.client.localAddress
        let (source, target) = side == 0 ? (client, stream.target) : (stream.target, client)
        var tcp: [UInt8] = []
        put(&tcp, big: source.port)
        put(&tcp, big: target.port)
        put(&tcp, big: sequence)
        put(&tcp, big: acknowledged)
        let isSyn = flags & Flags.syn != 0
        // On a SYN: maximum segment size and a window scale of 8.
        let options: [UInt8] = isSyn ? [2, 4, 0xff, 0xd7, 1, 3, 3, 8] : []
        tcp.append(UInt8((20 + options.count) / 4) << 4)
        tcp.append(flags)
        let window = world.options.receiveWindowBytes
        put(&tcp, big: UInt16(clamping: isSyn ? window : window >> 8))
        put(&tcp, big: UInt16(0))
        put(&tcp, big: UInt16(0))
        tcp += options
        tcp += payload
        packet(source.ip, target.ip, next: 6, checksumAt: 16, tcp)
    }

    func datagram(_ bytes: UnsafeRawBufferPointer, from source: SocketAddress, to target: SocketAddress) {
        var udp: [UInt8] = []
        put(&udp, big: source.port)
        put(&udp, big: target.port)
        put(&udp, big: UInt16(8 + bytes.count))
        put(&udp, big: UInt16(0))
        udp += bytes
        packet(source.ip, target.ip, next: 17, checksumAt: 6, udp)
    }

    private func packet(_ source: IPAddress, _ target: IPAddress, next: UInt8, checksumAt: Int, _ payload: [UInt8]) {
        var body = payload
        let (from, to) = (octets(source.unmapped), octets(target.unmapped))
        var pseudo = from + to
        put(&pseudo, big: UInt32(body.count))
        pseudo += [0, 0, 0, next]
        let sum = checksum(pseudo + body)
        // A UDP checksum of zero means none (RFC 768).
        let checked = next == 17 && sum == 0 ? 0xffff : sum
        body[checksumAt] = UInt8(checked >> 8)
        body[checksumAt + 1] = UInt8(checked & 255)
        var ip: [UInt8] = []
        if from.count == 4 {
            ip += [0x45, 0]
            put(&ip, big: UInt16(20 + body.count))
            identification &+= 1
            put(&ip, big: identification)
            ip += [0x40, 0, 64, next, 0, 0]
            ip += from + to
            let sum = checksum(ip)
            ip[10] = UInt8(sum >> 8)
            ip[11] = UInt8(sum & 255)
        } else {
            ip += [0x60, 0, 0, 0]
            put(&ip, big: UInt16(body.count))
            ip += [next, 64]
            ip += from + to
        }
        let wall = world.wall.nanoseconds
        var record: [UInt8] = []
        put(&record, little: UInt32(truncatingIfNeeded: wall / 1_000_000_000))
        put(&record, little: UInt32(truncatingIfNeeded: wall % 1_000_000_000))
        put(&record, little: UInt32(ip.count + body.count))
        put(&record, little: UInt32(ip.count + body.count))
        packets += 1
        sink(record + ip + body)
    }

    private func octets(_ ip: IPAddress) -> [UInt8] {
        var bytes: [UInt8] = []
        switch ip {
        case .v4(let word): put(&bytes, big: word)
        case .v6(let high, let low):
            put(&bytes, big: high)
            put(&bytes, big: low)
        }
        return bytes
    }
}

private func put<T: FixedWidthInteger>(_ bytes: inout [UInt8], big value: T) { withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) } }
private func put<T: FixedWidthInteger>(_ bytes: inout [UInt8], little value: T) { withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) } }

/// The ones' complement sum of RFC 1071.
private func checksum(_ bytes: [UInt8]) -> UInt16 {
    var sum: UInt64 = 0
    var i = 0
    while i + 1 < bytes.count {
        sum += UInt64(bytes[i]) << 8 | UInt64(bytes[i + 1])
        i += 2
    }
    if i < bytes.count { sum += UInt64(bytes[i]) << 8 }
    while sum >> 16 != 0 { sum = sum & 0xffff + sum >> 16 }
    return ~UInt16(sum)
}

extension World {
    /// Writes what crosses the wire from now on as a pcap file, piece by piece, to `sink`. `nodes` nil: everywhere.
    @discardableResult
    public func capture(nodes: [Node]?, includesLoopback: Bool, to sink: @escaping ([UInt8]) -> Void) -> PacketCapture {
        let capture = PacketCapture(self, nodes: nodes, includesLoopback: includesLoopback, sink: sink)
        captures.append(capture)
        return capture
    }
}
