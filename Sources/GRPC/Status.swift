// How a call ended: the code, its name, and the percent-encoded text that travels in trailers.
// Source: grpc/doc/statuscodes.md, grpc/doc/PROTOCOL-HTTP2.md ("Responses"), grpc/doc/http-grpc-status-mapping.md.

import Base

/// The end of a call.
public struct GRPCStatus: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: UInt32, Hashable, Sendable, CaseIterable {
        case ok = 0
        case cancelled = 1
        case unknown = 2
        case invalidArgument = 3
        case deadlineExceeded = 4
        case notFound = 5
        case alreadyExists = 6
        case permissionDenied = 7
        case resourceExhausted = 8
        case failedPrecondition = 9
        case aborted = 10
        case outOfRange = 11
        case unimplemented = 12
        case `internal` = 13
        case unavailable = 14
        case dataLoss = 15
        case unauthenticated = 16

        /// As in the specification: `FAILED_PRECONDITION`.
        public var name: String {
            switch self {
            case .ok: "OK"
            case .cancelled: "CANCELLED"
            case .unknown: "UNKNOWN"
            case .invalidArgument: "INVALID_ARGUMENT"
            case .deadlineExceeded: "DEADLINE_EXCEEDED"
            case .notFound: "NOT_FOUND"
            case .alreadyExists: "ALREADY_EXISTS"
            case .permissionDenied: "PERMISSION_DENIED"
            case .resourceExhausted: "RESOURCE_EXHAUSTED"
            case .failedPrecondition: "FAILED_PRECONDITION"
            case .aborted: "ABORTED"
            case .outOfRange: "OUT_OF_RANGE"
            case .unimplemented: "UNIMPLEMENTED"
            case .internal: "INTERNAL"
            case .unavailable: "UNAVAILABLE"
            case .dataLoss: "DATA_LOSS"
            case .unauthenticated: "UNAUTHENTICATED"
            }
        }
    }

    public var code: Code
    /// For people; empty when nothing is to be said.
    public var message: String

    public init(_ code: Code, _ message: String = "") {
        self.code = code
        self.message = message
    }

    public static let ok = GRPCStatus(.ok)
    public var isOK: Bool { code == .ok }

    /// From the values of `grpc-status` and `grpc-message`. A status that is no number, or none of ours, is UNKNOWN.
    public init(statusValue: String, messageValue: String?, limits: GRPCLimits = GRPCLimits()) {
        let text = messageValue.map { Self.decode($0, bytesMax: limits.statusMessageBytesMax) } ?? ""
        let isNumber = !statusValue.isEmpty && statusValue.utf8.allSatisfy { $0 >= 48 && $0 <= 57 }
        if isNumber, let number = UInt32(statusValue), let code = Code(rawValue: number) {
            self.init(code, text)
        } else {
            self.init(.unknown, text.isEmpty ? "the peer sent grpc-status \(statusValue.prefix(32))" : text)
        }
    }

    /// What an HTTP status means when no `grpc-status` came with it.
    public init(httpStatus: UInt16) {
        let code: Code =
            switch httpStatus {
            case 400: .internal
            case 401: .unauthenticated
            case 403: .permissionDenied
            case 404: .unimplemented
            case 429, 502, 503, 504: .unavailable
            default: .unknown
            }
        self.init(code, "HTTP status \(httpStatus) without grpc-status")
    }

    /// What a reset of the HTTP/2 stream means, by its error code (RFC 9113 section 7).
    public init(http2ErrorCode: UInt32) {
        let code: Code =
            switch http2ErrorCode {
            case 7: .unavailable
            case 8: .cancelled
            case 11: .resourceExhausted
            case 12: .permissionDenied
            case 0...6, 9, 10: .internal
            default: .unknown
            }
        self.init(code, "the stream was reset with HTTP/2 error code \(http2ErrorCode)")
    }

    /// The fields of the trailers that say this.
    public var fields: [(name: String, value: String)] {
        [("grpc-status", String(code.rawValue))] + (message.isEmpty ? [] : [("grpc-message", encodedMessage)])
    }

    /// The message, percent-encoded: bytes outside 0x20...0x7E, and `%`, as `%XX`.
    public var encodedMessage: String {
        let digits = [UInt8]("0123456789ABCDEF")
        var bytes: [UInt8] = []
        for byte in message.utf8 {
            if byte >= 0x20, byte <= 0x7e, byte != UInt8(ascii: "%") {
                bytes.append(byte)
            } else {
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// A malformed escape stands for itself and is never an error, as the specification asks; what is not UTF-8 becomes U+FFFD.
    static func decode(_ text: String, bytesMax: Int) -> String {
        let source = Array(text.utf8)
        var bytes: [UInt8] = []
        var i = 0
        while i < source.count, bytes.count < bytesMax {
            if source[i] == UInt8(ascii: "%"), i + 2 < source.count, let high = hexadecimal(source[i + 1]), let low = hexadecimal(source[i + 2]) {
                bytes.append(high << 4 | low)
                i += 3
            } else {
                bytes.append(source[i])
                i += 1
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func hexadecimal(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }

    public var description: String { message.isEmpty ? code.name : "\(code.name): \(message)" }
}
