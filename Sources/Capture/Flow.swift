// TCP connections of a capture: which packets belong together, who called whom, and where one connection on an address pair ends
// and the next begins. Addresses are compared without VLAN or MPLS tags: a capture on a bridge shows the same connection under both.

import Base

/// One TCP connection as captured.
struct Flow {
    /// The two ends; which one is the client is settled at the end.
    var ends: (SocketAddress, SocketAddress)
    /// Bytes sent by `ends.0`, bytes sent by `ends.1`.
    var sent: (TCPDirection, TCPDirection) = (TCPDirection(), TCPDirection())
    /// Index (0 or 1) of the end that sent a SYN without ACK, or did not send the SYN with ACK; nil if neither was captured.
    var opener: Int?
    var firstPacket: Int
    var firstTime: Interval
    var lastTime: Interval
    var capturedBytes = 0

    var isOver: Bool { sent.0.isReset || sent.1.isReset || (sent.0.finOffset != nil && sent.1.finOffset != nil) }
}

/// All connections of one capture, in order of their first packet.
struct FlowTable {
    private struct Key: Hashable {
        var low: SocketAddress
        var high: SocketAddress
    }

    private(set) var flows: [Flow] = []
    private var open: [Key: Int] = [:]
    private var payloadBytesKept = 0
    /// Segments not followed because a bound was reached.
    private(set) var segmentsRefused = 0

    mutating func receive(_ segment: TCPSegment, from source: IPAddress, to destination: IPAddress, packet: Int, wireBytes: Int, time: Interval) {
        let from = SocketAddress(source, segment.sourcePort)
        let to = SocketAddress(destination, segment.destinationPort)
        let key = from < to ? Key(low: from, high: to) : Key(low: to, high: from)
        var index = open[key]
        if let known = index, segment.isSYN, begins(anew: segment, from: from, flows[known]) { index = nil }
        if index == nil {
            guard flows.count < Limits.flowsMax else {
                segmentsRefused += 1
                return
            }
            flows.append(Flow(ends: (from, to), firstPacket: packet, firstTime: time, lastTime: time))
            index = flows.count - 1
            open[key] = index
        }
        guard let index else { return }
        let side = flows[index].ends.0 == from ? 0 : 1
        if segment.isSYN, flows[index].opener == nil { flows[index].opener = segment.acknowledgement == nil ? side : 1 - side }
        flows[index].lastTime = max(flows[index].lastTime, time)
        flows[index].capturedBytes += wireBytes
        let allowed = Limits.payloadBytesMax - payloadBytesKept
        if allowed < segment.payload.count { segmentsRefused += 1 }
        payloadBytesKept +=
            side == 0
            ? flows[index].sent.0.receive(segment, packet: packet, time: time, bytesAllowed: allowed)
            : flows[index].sent.1.receive(segment, packet: packet, time: time, bytesAllowed: allowed)
    }

    /// Whether a SYN opens a new connection on the addresses of a known one: another initial sequence number after the old
    /// connection ended or carried data. A repeated SYN keeps its number; a late one fits in front of what was captured.
    private func begins(anew segment: TCPSegment, from: SocketAddress, _ flow: Flow) -> Bool {
        let direction = flow.ends.0 == from ? flow.sent.0 : flow.sent.1
        let other = flow.ends.0 == from ? flow.sent.1 : flow.sent.0
        // A SYN that acknowledges the opener's own belongs to it, whatever number it chose (half-open servers try several).
        if let number = segment.acknowledgement, other.hasSYN, let opened = other.origin, number &- opened <= 1 << 16 { return false }
        guard let origin = direction.origin else { return flow.isOver && segment.acknowledgement == nil }
        if direction.hasSYN { return origin != segment.sequence &+ 1 && (flow.isOver || !direction.chunks.isEmpty || !other.chunks.isEmpty) }
        // Captured out of order, the SYN comes late and fits just before the data; a new connection's lies elsewhere.
        let before = Int32(bitPattern: origin &- (segment.sequence &+ 1))
        return before < 0 || before > 1 << 16
    }

    /// No more packets come.
    mutating func settle() {
        for i in flows.indices {
            flows[i].sent.0.settle()
            flows[i].sent.1.settle()
        }
    }
}
