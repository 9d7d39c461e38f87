// Length-prefixed messages: a byte that says whether the message is compressed, four bytes of length, the message.
// Compression is deliberately absent: we never offer any, so a compressed message breaks the rules.
// Source: grpc/doc/PROTOCOL-HTTP2.md ("Length-Prefixed-Message").

import Base

public enum GRPCMessage {
    /// Flag and length. Unit: bytes.
    public static let prefixBytes = 5

    /// The message with its prefix.
    public static func frame(_ message: [UInt8]) -> [UInt8] {
        let length = UInt32(message.count)
        var framed: [UInt8] = [0, UInt8(length >> 24), UInt8(length >> 16 & 255), UInt8(length >> 8 & 255), UInt8(length & 255)]
        framed.reserveCapacity(prefixBytes + message.count)
        framed += message
        return framed
    }
}

/// Bytes of a stream's data in, whole messages out, however they were split. Holds at most one incomplete message and what was
/// received in one call; owns no memory between messages.
public struct GRPCMessageReader: ~Copyable {
    private var buffer = ByteBuffer()
    private var failure: PeerError?
    private let limits: GRPCLimits

    public init(limits: GRPCLimits = GRPCLimits()) { self.limits = limits }

    public mutating func receive(_ bytes: RawSpan) {
        if failure == nil { buffer.append(bytes) }
    }

    /// The next whole message, nil when none is left. After an error (code: gRPC status) the same error comes again.
    public mutating func next() throws(PeerError) -> [UInt8]? {
        if let failure { throw failure }
        guard buffer.count >= GRPCMessage.prefixBytes else {
            if buffer.isEmpty { buffer.release() }
            return nil
        }
        let (flag, length) = buffer.withUnsafeBytes { raw in
            (raw[0], Int(raw[1]) << 24 | Int(raw[2]) << 16 | Int(raw[3]) << 8 | Int(raw[4]))
        }
        if flag == 1 { throw fail(.internal, "a compressed gRPC message came without an agreed grpc-encoding") }
        if flag != 0 { throw fail(.internal, "a gRPC message has the compressed flag \(flag), neither 0 nor 1") }
        if length > limits.messageBytesMax { throw fail(.resourceExhausted, "a gRPC message of \(length) bytes is longer than \(limits.messageBytesMax)") }
        guard buffer.count >= GRPCMessage.prefixBytes + length else { return nil }
        let message = buffer.withUnsafeBytes { [UInt8]($0[GRPCMessage.prefixBytes..<GRPCMessage.prefixBytes + length]) }
        buffer.consume(GRPCMessage.prefixBytes + length)
        if buffer.isEmpty { buffer.release() }
        return message
    }

    /// The stream has ended: it may not end inside a message. Take the whole messages first.
    public mutating func finish() throws(PeerError) {
        if let failure { throw failure }
        if !buffer.isEmpty { throw fail(.internal, "the stream ended inside a gRPC message") }
    }

    private mutating func fail(_ code: GRPCStatus.Code, _ rule: String) -> PeerError {
        let error = PeerError(.stream, code: code.rawValue, rule: rule)
        failure = error
        buffer.release()
        return error
    }
}
