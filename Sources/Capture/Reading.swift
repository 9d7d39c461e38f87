// The whole way from a file to a report: packets, link layer, IP, TCP, HTTP. One pass over the packets, then one over the flows.
// Nothing is printed and nothing is decided here; a damaged file gives a report of what came before the damage.

import Base
import HTTP

extension CaptureReport {
    /// Reads a file (`-`: standard input). Throws only if it cannot be opened as a capture at all; damage further on is in `damage`.
    public init(path: String) throws(CaptureFailure) {
        var file = try PacketFile(path: path)
        self.init(name: path, reading: &file)
    }

    /// Reads a capture held in memory.
    public init(name: String, bytes: [UInt8]) throws(CaptureFailure) {
        var file = try PacketFile(bytes: bytes)
        self.init(name: name, reading: &file)
    }

    private init(name: String, reading file: inout PacketFile) {
        let linkType = file.linkType
        var internet = InternetLayer()
        var table = FlowTable()
        self.init(
            file: name, packets: 0, bytes: 0, linkType: file.linkName, start: nil, duration: .zero, flows: [], conversations: [], packetsNotTCP: 0,
            packetsMalformed: 0, problems: [], damage: nil)
        while let packet = file.next() {
            let start = start ?? packet.time
            self.start = start
            let time = packet.time - start
            duration = max(duration, time)
            bytes += packet.wireBytes
            take(packet, time: time, linkType: linkType, &internet, &table)
        }
        packets = file.packets
        damage = file.failure
        finish(&internet, &table)
    }

    private mutating func take(_ packet: CapturedPacket, time: Interval, linkType: Int32, _ internet: inout InternetLayer, _ table: inout FlowTable) {
        let at: Int
        switch linkPayload(packet.bytes, linkType: linkType) {
        case .ip(let offset): at = offset
        case .other:
            packetsNotTCP += 1
            return
        case .malformed(let what):
            malformed(packet.number, what)
            return
        }
        switch internet.receive(packet.bytes, at: at, time: packet.time) {
        case .pending: break
        case .malformed(let what): malformed(packet.number, what)
        case .datagram(let datagram):
            guard datagram.transport == 6 else {
                packetsNotTCP += 1
                return
            }
            guard let segment = TCPSegment(datagram.bytes) else {
                malformed(packet.number, "TCP header cut short or of impossible length")
                return
            }
            table.receive(segment, from: datagram.source, to: datagram.destination, packet: packet.number, wireBytes: packet.wireBytes, time: time)
        }
    }

    private mutating func malformed(_ packet: Int, _ what: String) {
        packetsMalformed += 1
        if problems.count < Limits.problemsMax { problems.append(CaptureProblem(packet: packet, what: what)) }
    }

    private mutating func finish(_ internet: inout InternetLayer, _ table: inout FlowTable) {
        table.settle()
        let fragments = internet.fragmentsLost + internet.fragmentsPending
        if fragments > 0 { problems.append(CaptureProblem(packet: 0, what: "\(fragments) fragmented datagrams never became complete")) }
        if table.segmentsRefused > 0 { problems.append(CaptureProblem(packet: 0, what: "\(table.segmentsRefused) segments beyond the memory bound were left out")) }
        for flow in table.flows {
            let client = clientSide(of: flow)
            let (up, down) = client == 0 ? (flow.sent.0, flow.sent.1) : (flow.sent.1, flow.sent.0)
            let (upGaps, downGaps) = (up.gaps, down.gaps)
            let captured = CapturedFlow(
                client: client == 0 ? flow.ends.0 : flow.ends.1,
                server: client == 0 ? flow.ends.1 : flow.ends.0,
                firstPacket: flow.firstPacket,
                packets: up.packets + down.packets,
                bytes: up.payloadBytes + down.payloadBytes,
                gaps: upGaps.count + downGaps.count,
                bytesMissing: upGaps.bytes + downGaps.bytes,
                retransmissions: up.retransmissions + down.retransmissions,
                bytesConflicting: up.conflictingBytes + down.conflictingBytes,
                startsMidConnection: !up.hasSYN || !down.hasSYN,
                start: flow.firstTime,
                end: flow.lastTime,
                ending: up.isReset || down.isReset ? .reset : up.finOffset != nil && down.finOffset != nil ? .finished : .open)
            flows.append(captured)
            var reader = ConversationReader(flow: captured, index: flows.count - 1, requests: up, responses: down)
            if let conversation = reader.read() { conversations.append(conversation) }
        }
    }
}

/// Which end is the client: the opener; else the one whose bytes read like a request (or whose peer's read like a response);
/// else the one with the higher port; else the one that spoke first.
func clientSide(of flow: Flow) -> Int {
    if let opener = flow.opener { return opener }
    if startsRequest(flow.sent.0) || startsResponse(flow.sent.1) { return 0 }
    if startsRequest(flow.sent.1) || startsResponse(flow.sent.0) { return 1 }
    return flow.ends.1.port > flow.ends.0.port ? 1 : 0
}
