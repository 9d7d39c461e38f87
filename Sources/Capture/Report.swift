// What a capture turned out to hold: flows, HTTP conversations and everything that was wrong, as plain values. Times count from
// the capture's first packet. It says what was captured, not what must have happened: a gap stays a gap.

import Base
import HTTP

/// Something wrong in a capture that did not stop the reading.
public struct CaptureProblem: Hashable, Sendable, CustomStringConvertible {
    /// Counted from 1; 0 if it concerns no single packet.
    public var packet: Int
    public var what: String

    public init(packet: Int, what: String) {
        self.packet = packet
        self.what = what
    }

    public var description: String { packet == 0 ? what : "packet \(packet): \(what)" }
}

/// One TCP connection.
public struct CapturedFlow: Sendable {
    public enum Ending: String, Sendable { case open, finished, reset }

    public var client: SocketAddress
    public var server: SocketAddress
    public var firstPacket: Int
    public var packets: Int
    /// TCP payload of both directions, repeats included. Unit: bytes.
    public var bytes: Int
    /// Holes in both directions, and the bytes missing in them as far as known.
    public var gaps: Int
    public var bytesMissing: Int64
    public var retransmissions: Int
    /// Bytes captured twice with different content; the first copy was used.
    public var bytesConflicting: Int
    /// The SYN of at least one side was not captured.
    public var startsMidConnection: Bool
    public var start: Interval
    public var end: Interval
    public var ending: Ending
}

/// One HTTP message as captured.
public struct CapturedMessage: Sendable {
    /// First and last byte of the message, since the capture's first packet.
    public var firstByte: Interval
    public var lastByte: Interval
    /// The packet with its first byte.
    public var packet: Int
    public var headers: Headers
    /// Body after removal of the transfer coding, content coding kept. Unit: bytes.
    public var bodyBytes: Int
    /// The body's first `Limits.bodyBytesKeptMax` bytes.
    public var body: [UInt8]
    /// All of the message was captured.
    public var isComplete: Bool
}

public struct CapturedRequest: Sendable {
    public var head: RequestHead
    public var method: String
    /// The request target as it stood in the first line, or rebuilt from scheme, authority and path in absolute form.
    public var target: String
    public var message: CapturedMessage
}

public struct CapturedResponse: Sendable {
    public var head: ResponseHead
    public var status: UInt16
    public var message: CapturedMessage
}

/// A request and what was answered, as far as both were captured.
public struct CapturedExchange: Sendable {
    /// nil: the answer stands in the capture, the request does not.
    public var request: CapturedRequest?
    /// 1xx answers before the final one (101 is final).
    public var informational: [CapturedResponse]
    /// nil: no answer was captured.
    public var response: CapturedResponse?
    /// What is wrong with this exchange.
    public var problems: [String]

    /// First byte of the exchange.
    public var time: Interval { request?.message.firstByte ?? response?.message.firstByte ?? .zero }
}

/// HTTP/1 on one connection.
public struct CapturedConversation: Sendable {
    /// Index into `CaptureReport.flows`.
    public var flow: Int
    public var client: SocketAddress
    public var server: SocketAddress
    public var startsMidConnection: Bool
    public var exchanges: [CapturedExchange]
    /// Bytes after CONNECT or Upgrade, from client and from server; nil if the conversation stayed HTTP.
    public var tunnelBytes: (client: Int64, server: Int64)?
    /// Why the conversation was not followed to its end, and other remarks; oldest first.
    public var problems: [CaptureProblem]
}

/// All that one capture holds.
public struct CaptureReport: Sendable {
    public var file: String
    /// Packets read, the damaged one not counted.
    public var packets: Int
    /// Their bytes on the wire.
    public var bytes: Int
    /// libpcap's name of the link layer.
    public var linkType: String
    /// Calendar time of the first packet; nil in an empty capture.
    public var start: WallTime?
    public var duration: Interval
    public var flows: [CapturedFlow]
    public var conversations: [CapturedConversation]
    /// Sound packets of other protocols: ARP, UDP, ICMP, unknown link layers.
    public var packetsNotTCP: Int
    public var packetsMalformed: Int
    /// The first `Limits.problemsMax` of them.
    public var problems: [CaptureProblem]
    /// Why reading stopped before the file's end. What was read until then is in the report.
    public var damage: CaptureFailure?

    public init(
        file: String, packets: Int, bytes: Int, linkType: String, start: WallTime?, duration: Interval, flows: [CapturedFlow], conversations: [CapturedConversation],
        packetsNotTCP: Int, packetsMalformed: Int, problems: [CaptureProblem], damage: CaptureFailure?
    ) {
        self.file = file
        self.packets = packets
        self.bytes = bytes
        self.linkType = linkType
        self.start = start
        self.duration = duration
        self.flows = flows
        self.conversations = conversations
        self.packetsNotTCP = packetsNotTCP
        self.packetsMalformed = packetsMalformed
        self.problems = problems
        self.damage = damage
    }

    /// Requests captured in all conversations.
    public var requestCount: Int { conversations.reduce(0) { $0 + $1.exchanges.count { $0.request != nil } } }
    /// Answers captured in all conversations; 1xx count, as they do on the wire.
    public var responseCount: Int {
        conversations.reduce(0) { $0 + $1.exchanges.reduce(0) { $0 + $1.informational.count + ($1.response == nil ? 0 : 1) } }
    }
}
