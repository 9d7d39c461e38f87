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

    /// By the bytes of a name in any case: the length decides among a few candidates, two words or three tell them apart.
    @inline(__always)
    init(_ name: UnsafeRawBufferPointer) {
        let base = name.baseAddress.unsafelyUnwrapped
        self = .other
        switch name.count {
        case 2: if isSame(base, "te", 2) { self = .te }
        case 4: if isSame(base, "host", 4) { self = .host } else if isSame(base, "date", 4) { self = .date }
        case 6: if isSame(base, "expect", 6) { self = .expect } else if isSame(base, "cookie", 6) { self = .cookie }
        case 7: if isSame(base, "upgrade", 7) { self = .upgrade } else if isSame(base, "trailer", 7) { self = .trailer }
        case 10: if isSame(base, "connection", 10) { self = .connection } else if isSame(base, "keep-alive", 10) { self = .keepAlive }
        case 11: if isSame(base, "retry-after", 11) { self = .retryAfter } else if isSame(base, "grpc-status", 11) { self = .grpcStatus }
        case 12:
            if isSame(base, "content-type", 12) {
                self = .contentType
            } else if isSame(base, "grpc-message", 12) {
                self = .grpcMessage
            } else if isSame(base, "grpc-timeout", 12) {
                self = .grpcTimeout
            }
        case 13: if isSame(base, "authorization", 13) { self = .authorization }
        case 14: if isSame(base, "content-length", 14) { self = .contentLength } else if isSame(base, "http2-settings", 14) { self = .http2Settings }
        case 16: if isSame(base, "proxy-connection", 16) { self = .proxyConnection }
        case 17: if isSame(base, "transfer-encoding", 17) { self = .transferEncoding }
        default: break
        }
    }
}

/// The `count` bytes are `text`, given in lower case, in any case of letters. Words overlap rather than end in single bytes; 32 set in
/// every byte makes letters lower case and leaves digits and the hyphen as they are.
@inline(__always)
func isSame(_ base: UnsafeRawPointer, _ text: StaticString, _ count: Int) -> Bool {
    let text = UnsafeRawPointer(text.utf8Start)
    if count >= 8 {
        var i = 0
        while i &+ 8 < count {
            if word(base, i) != word(text, i) { return false }
            i &+= 8
        }
        return word(base, count &- 8) == word(text, count &- 8)
    }
    if count >= 4 {
        return half(base, 0) == half(text, 0) && half(base, count &- 4) == half(text, count &- 4)
    }
    for i in 0..<count where lowercased(base[i]) != text[i] { return false }
    return true
}

@inline(__always)
private func word(_ base: UnsafeRawPointer, _ at: Int) -> UInt64 { base.loadUnaligned(fromByteOffset: at, as: UInt64.self) | 0x2020_2020_2020_2020 }

@inline(__always)
private func half(_ base: UnsafeRawPointer, _ at: Int) -> UInt32 { base.loadUnaligned(fromByteOffset: at, as: UInt32.self) | 0x2020_2020 }
