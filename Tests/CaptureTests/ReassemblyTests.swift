// TCP and IP put back together: however a conversation was cut, repeated, reordered or wrapped, the same bytes come out, and what is
// missing stays visibly missing.

import Base
import Testing

@testable import Capture

@Suite struct `TCP reassembly` {
    private func direction(_ segments: [Segment]) throws -> TCPDirection {
        var direction = TCPDirection()
        for (i, segment) in segments.enumerated() {
            let parsed = try #require(TCPSegment(segment.tcp))
            _ = direction.receive(parsed, packet: i + 1, time: .milliseconds(Int64(i)), bytesAllowed: .max)
        }
        direction.settle()
        return direction
    }

    private func text(_ direction: TCPDirection) -> String { String(decoding: direction.chunks.flatMap(\.bytes), as: UTF8.self) }

    private func at(_ sequence: UInt32, _ text: String) -> Segment { Segment(sequence: sequence, payload: Array(text.utf8)) }

    @Test func `every order of three segments gives the same stream`() throws {
        let parts = [at(1001, "abc"), at(1004, "def"), at(1007, "ghi")]
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let result = try direction([Segment(sequence: 1000, flags: [.syn])] + order.map { parts[$0] })
            #expect(text(result) == "abcdefghi")
            #expect(result.gaps.count == 0)
        }
    }

    @Test func `sequence numbers wrap`() throws {
        let result = try direction([Segment(sequence: 0xffff_fffd, flags: [.syn]), at(0xffff_fffe, "abc"), at(1, "def"), at(4, "ghi")])
        #expect(text(result) == "abcdefghi")
        #expect(result.chunks.map(\.offset) == [0, 3, 6])
    }

    @Test func `the first copy of overlapping bytes stays, and a different second copy is counted`() throws {
        let result = try direction([Segment(sequence: 0, flags: [.syn]), at(1, "abcd"), at(3, "XYef"), at(1, "abcdef")])
        #expect(text(result) == "abcdef")
        #expect(result.conflictingBytes == 2)
        #expect(result.retransmissions == 1)
    }

    @Test func `a segment over several pieces fills only the holes`() throws {
        let result = try direction([Segment(sequence: 0, flags: [.syn]), at(2, "b"), at(4, "d"), at(1, "aBcDe")])
        #expect(text(result) == "abcde")
    }

    @Test func `what never came is a gap with its size`() throws {
        let result = try direction([Segment(sequence: 0, flags: [.syn]), at(1, "abc"), at(9, "def"), Segment(sequence: 14, flags: [.fin, .ack])])
        #expect(result.gaps.count == 2)
        #expect(result.gaps.bytes == 5 + 2)
    }

    @Test func `bytes after the FIN are left out`() throws {
        let result = try direction([Segment(sequence: 0, flags: [.syn]), at(1, "abc"), Segment(sequence: 4, flags: [.fin, .ack]), at(4, "junk")])
        #expect(text(result) == "abc")
    }

    @Test func `a keep-alive probe before the stream adds nothing`() throws {
        let result = try direction([Segment(sequence: 9, flags: [.syn]), at(10, "abc"), at(12, "c"), at(9, "?")])
        #expect(text(result) == "abc")
    }

    @Test func `a SYN captured after the data still sets the origin`() throws {
        let result = try direction([at(1001, "abc"), Segment(sequence: 1000, flags: [.syn])])
        #expect(result.hasSYN)
        #expect(result.chunks.first?.offset == 0)
    }

    @Test func `a SYN captured after the FIN leaves the data between them`() throws {
        let result = try direction([Segment(sequence: 1004, flags: [.fin, .ack]), Segment(sequence: 1000, flags: [.syn]), at(1001, "abc")])
        #expect(text(result) == "abc")
        #expect(result.gaps.count == 0)
    }

    @Test func `a segment from far outside the window is foreign`() throws {
        let result = try direction([Segment(sequence: 0, flags: [.syn]), at(1, "abc"), at(0x7000_0000, "x")])
        #expect(text(result) == "abc")
        #expect(result.segmentsDropped == 1)
    }

    @Test func `no byte beyond the memory bound is kept`() throws {
        var direction = TCPDirection()
        let kept = direction.receive(try #require(TCPSegment(at(1, "abcd").tcp)), packet: 1, time: .zero, bytesAllowed: 3)
        #expect(kept == 0)
        #expect(direction.chunks.isEmpty)
        #expect(direction.segmentsDropped == 1)
    }

    @Test(arguments: [[UInt8](), [0, 80], [UInt8](repeating: 0, count: 20), [UInt8](repeating: 0xff, count: 20)])
    func `a short or contradictory TCP header is refused`(bytes: [UInt8]) { #expect(TCPSegment(bytes) == nil) }
}

@Suite struct `IP reassembly` {
    private func receive(_ packets: [[UInt8]]) -> [[UInt8]] {
        var layer = InternetLayer()
        var whole: [[UInt8]] = []
        for packet in packets { if case .datagram(let datagram) = layer.receive(packet, at: 0, time: WallTime(seconds: 1)) { whole.append(datagram.bytes) } }
        return whole
    }

    @Test func `fragments in any order give the datagram once`() {
        let body = (0..<40).map { UInt8($0) }
        let segment = Segment(sequence: 0)
        let pieces = [
            segment.ipv4(Array(body[0..<16]), isMore: true), segment.ipv4(Array(body[16..<32]), offset: 16, isMore: true),
            segment.ipv4(Array(body[32..<40]), offset: 32),
        ]
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 1, 0, 2]] { #expect(receive(order.map { pieces[$0] }) == [body]) }
        #expect(receive([pieces[0], pieces[2]]).isEmpty)
    }

    @Test func `overlapping fragments keep the bytes that came first`() {
        let segment = Segment(sequence: 0)
        let first = segment.ipv4([UInt8](repeating: 1, count: 16), isMore: true)
        let second = segment.ipv4([UInt8](repeating: 2, count: 16), offset: 8)
        #expect(receive([first, second]) == [[UInt8](repeating: 1, count: 16) + [UInt8](repeating: 2, count: 8)])
    }

    @Test func `a stream of first fragments stays within its bound`() {
        var layer = InternetLayer()
        for i in 0..<2000 {
            let segment = Segment(sequence: UInt32(i))
            var packet = segment.ipv4([UInt8](repeating: 0, count: 16), isMore: true)
            packet[4] = UInt8(i >> 8)
            packet[5] = UInt8(i & 255)
            _ = layer.receive(packet, at: 0, time: WallTime(seconds: 1))
        }
        #expect(layer.fragmentsPending == Limits.fragmentedDatagramsMax)
        #expect(layer.fragmentsLost == 2000 - Limits.fragmentedDatagramsMax)
    }
}
