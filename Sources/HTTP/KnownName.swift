// The header names that engines and proxies react to, told apart once when a field is made, by length and then by bytes, so
// that nobody compares strings per request.

import Base

public enum KnownName: UInt8, Sendable, CaseIterable {
    case other
    case connection, contentLength, contentType, expect, host, http2Settings, keepAlive, proxyConnection, te, trailer, transferEncoding, upgrade
    case date, grpcStatus, grpcMessage, grpcTimeout, cookie, authorization, retryAfter

    /// As on the wire, in lower case; empty for `other`.
    public var text: StaticString {
        switch self {
        case .other: ""
        case .connection: "connection"
        case .contentLength: "content-length"
        case .contentType: "content-type"
        case .expect: "expect"
        case .host: "host"
        case .http2Settings: "http2-settings"
        case .keepAlive: "keep-alive"
        case .proxyConnection: "proxy-connection"
        case .te: "te"
        case .trailer: "trailer"
        case .transferEncoding: "transfer-encoding"
        case .upgrade: "upgrade"
        case .date: "date"
        case .grpcStatus: "grpc-status"
        case .grpcMessage: "grpc-message"
        case .grpcTimeout: "grpc-timeout"
        case .cookie: "cookie"
        case .authorization: "authorization"
        case .retryAfter: "retry-after"
        }
    }

    /// By the bytes of a name in any case.
    @inline(__always)
    init(_ name: UnsafeRawBufferPointer) {
        let candidate: KnownName
        switch name.count {
        case 2: candidate = .te
        case 4: candidate = name[0] | 32 == UInt8(ascii: "h") ? .host : .date
        case 6: candidate = name[0] | 32 == UInt8(ascii: "e") ? .expect : .cookie
        case 7: candidate = name[0] | 32 == UInt8(ascii: "u") ? .upgrade : .trailer
        case 10: candidate = name[0] | 32 == UInt8(ascii: "c") ? .connection : .keepAlive
        case 11: candidate = name[0] | 32 == UInt8(ascii: "r") ? .retryAfter : .grpcStatus
        case 12: candidate = name[0] | 32 == UInt8(ascii: "c") ? .contentType : name[5] | 32 == UInt8(ascii: "m") ? .grpcMessage : .grpcTimeout
        case 13: candidate = .authorization
        case 14: candidate = name[0] | 32 == UInt8(ascii: "c") ? .contentLength : .http2Settings
        case 16: candidate = .proxyConnection
        case 17: candidate = .transferEncoding
        default: candidate = .other
        }
        let text = candidate.text
        guard text.utf8CodeUnitCount == name.count else {
            self = .other
            return
        }
        for i in 0..<name.count where lowercased(name[i]) != text.utf8Start[i] {
            self = .other
            return
        }
        self = candidate
    }
}
