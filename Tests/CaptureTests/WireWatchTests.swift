// The judge of what could be read on a wire: a phrase is found wherever packets cut it, and TLS is told from what is not.

import Base
import Testing

@testable import Capture

@Suite struct WireWatchTests {
    private let phrase = Array("the secret phrase".utf8)

    private func watch(_ segments: [Segment]) -> WireWatch {
        // DLT 12: raw IP.
        let watch = WireWatch(linkType: 12, needles: [phrase, Array("another one".utf8)])
        for (i, segment) in segments.enumerated() {
            watch.take(CapturedPacket(number: i + 1, time: WallTime(nanoseconds: Int64(i)), wireBytes: segment.packet.count, bytes: segment.packet))
        }
        watch.settle()
        return watch
    }

    @Test func `a phrase is found in every cut, in either direction`() {
        let text = Array("before ".utf8) + phrase + Array(" after".utf8)
        for isFromClient in [true, false] {
            for first in 0...text.count {
                for second in [first, min(text.count, first + 3)] {
                    let parts = [text[..<first], text[first..<second], text[second...]]
                    var segments = [Segment(isFromClient: isFromClient, sequence: 99, flags: [.syn])]
                    var sequence: UInt32 = 100
                    for part in parts {
                        segments.append(Segment(isFromClient: isFromClient, sequence: sequence, payload: Array(part)))
                        sequence += UInt32(part.count)
                    }
                    let watch = watch(segments)
                    #expect(watch.seen == [0], "cut at \(first) and \(second)")
                    #expect(watch.packetsUnread == 0 && watch.holes == 0 && watch.packets == 4)
                }
            }
        }
    }

    @Test func `a repeated segment neither hides a phrase nor makes one`() {
        let text = Array("before ".utf8) + phrase
        let segments = [
            Segment(sequence: 99, flags: [.syn]), Segment(sequence: 100, payload: Array(text[..<12])), Segment(sequence: 100, payload: Array(text[..<12])),
            Segment(sequence: 106, payload: Array(text[6...])),
        ]
        #expect(watch(segments).seen == [0])
        let made = [Segment(sequence: 100, payload: Array("the secret".utf8)), Segment(sequence: 100, payload: Array("the secret".utf8)), Segment(isFromClient: false, sequence: 7, payload: Array(" phrase".utf8))]
        #expect(watch(made).seen == [])
    }

    @Test func `a hole is told`() {
        let watch = watch([Segment(sequence: 99, flags: [.syn]), Segment(sequence: 100, payload: [1, 2, 3]), Segment(sequence: 110, payload: [1, 2, 3])])
        #expect(watch.holes == 1)
    }

    /// A record of this type with so many bytes.
    private func record(_ type: UInt8, _ body: [UInt8]) -> [UInt8] { [type, 3, 3, UInt8(body.count >> 8), UInt8(body.count & 255)] + body }

    /// What a server of TLS 1.3 says first.
    private var serverHello: [UInt8] {
        let extensions: [UInt8] = [0, 51, 0, 4, 1, 2, 3, 4, 0, 43, 0, 2, 3, 4]
        let body: [UInt8] = [3, 3] + [UInt8](repeating: 7, count: 32) + [0] + [0x13, 1, 0] + [0, UInt8(extensions.count)] + extensions
        return [2, 0, 0, UInt8(body.count)] + body
    }

    @Test func `records and the chosen version are counted in every cut`() {
        let answer = record(22, serverHello) + record(20, [1]) + record(23, [UInt8](repeating: 9, count: 300)) + record(23, [])
        for cut in 0...answer.count {
            let watch = watch([
                Segment(sequence: 99, flags: [.syn]), Segment(sequence: 100, payload: record(22, [1, 0, 0, 0])), Segment(isFromClient: false, sequence: 499, flags: [.syn, .ack]),
                Segment(isFromClient: false, sequence: 500, payload: Array(answer[..<cut])), Segment(isFromClient: false, sequence: 500 + UInt32(cut), payload: Array(answer[cut...])),
            ])
            #expect(watch.tlsRecords == 5 && watch.tlsVersions == [0x0304] && watch.tlsConnections == 1 && watch.otherConnections.isEmpty, "cut at \(cut)")
        }
    }

    @Test func `a side that says something else makes the connection something else`() {
        let mixed = watch([Segment(sequence: 100, payload: record(22, [1, 0, 0, 0])), Segment(isFromClient: false, sequence: 7, payload: Array("HTTP/1.1 400".utf8))])
        #expect(mixed.tlsConnections == 0 && mixed.otherConnections.count == 1)
        // It begins as TLS and goes on as text.
        let turned = watch([Segment(sequence: 100, payload: record(22, [1, 0, 0, 0]) + Array("GET / HTTP/1.1\r\n".utf8))])
        #expect(turned.tlsConnections == 0 && turned.otherConnections.count == 1)
        #expect(turned.otherConnections.first?.server == SocketAddress(IPAddress(10, 0, 0, 2), 80))
    }
}
