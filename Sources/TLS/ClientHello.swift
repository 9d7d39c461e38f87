// Looks at the first bytes of a connection without taking them: is this TLS, for which server name, with which protocols?
// Strict (RFC 8446 sections 4.1.2 and 5.1, RFC 6066 section 3, RFC 7301 section 3.1): what is not a well-formed ClientHello is
// not TLS to us and will be treated as opaque bytes. Decides as early as it can, so that plaintext is known by its first byte.

import Base

public enum ClientHello {
    public enum Sniffed: Equatable, Sendable {
        /// A prefix of what may become a ClientHello: read more, then ask again with everything from the start.
        case incomplete
        case notTLS
        /// The first host_name, lower-cased by nobody, and the offered protocols in order.
        case hello(serverName: String?, alpn: [String])
    }

    /// `bytes`: everything received so far. The answer for a prefix of what follows is `incomplete` or the final one.
    public static func sniff(_ bytes: RawSpan) -> Sniffed {
        bytes.withUnsafeBytes { all in
            let seen = UnsafeRawBufferPointer(rebasing: all.prefix(TLSLimits.clientHelloBytesMax))
            let result = sniff(seen)
            // A hello that does not end within the bound never will.
            return result == .incomplete && seen.count == TLSLimits.clientHelloBytesMax ? .notTLS : result
        }
    }

    private static func sniff(_ bytes: UnsafeRawBufferPointer) -> Sniffed {
        // Fast answer for the usual case: one record holds the message.
        switch reassemble(bytes) {
        case .message(let message): message.withUnsafeBytes { parse($0) } ?? .notTLS
        case .incomplete: .incomplete
        case .wrong: .notTLS
        }
    }

    private enum Reassembly {
        case message([UInt8])
        case incomplete
        case wrong
    }

    /// The body of the first handshake message, put together from one or more records.
    private static func reassemble(_ bytes: UnsafeRawBufferPointer) -> Reassembly {
        var message: [UInt8] = []
        var at = 0
        while true {
            // Record header: type 22, major version 3, length. Every byte is judged as soon as it is there.
            if at < bytes.count, bytes[at] != 22 { return .wrong }
            if at + 1 < bytes.count, bytes[at + 1] != 3 { return .wrong }
            guard at + 5 <= bytes.count else { return .incomplete }
            let length = Int(bytes[at + 3]) << 8 | Int(bytes[at + 4])
            guard length > 0, length <= 16384 else { return .wrong }
            at += 5
            message.append(contentsOf: bytes[at..<min(at + length, bytes.count)])
            at += length
            if let type = message.first, type != 1 { return .wrong }
            if message.count >= 4 {
                let size = Int(message[1]) << 16 | Int(message[2]) << 8 | Int(message[3])
                guard size <= TLSLimits.clientHelloBytesMax else { return .wrong }
                if message.count >= 4 + size { return .message(Array(message[4..<4 + size])) }
            }
            guard at <= bytes.count else { return .incomplete }
        }
    }

    private static func parse(_ bytes: UnsafeRawBufferPointer) -> Sniffed? {
        var hello = Reader(bytes)
        guard let version = hello.number(2), version >> 8 == 3, hello.skip(32), let session = hello.vector(1), session.count <= 32, let suites = hello.vector(2),
            suites.count >= 2, suites.count % 2 == 0, let compression = hello.vector(1), compression.count >= 1
        else { return nil }
        if hello.isAtEnd { return .hello(serverName: nil, alpn: []) }
        guard let extensions = hello.vector(2), hello.isAtEnd else { return nil }
        var serverName: String?
        var alpn: [String] = []
        var sawName = false
        var sawALPN = false
        var list = Reader(extensions)
        while !list.isAtEnd {
            guard let type = list.number(2), let body = list.vector(2) else { return nil }
            switch type {
            case 0:
                guard !sawName, let name = parseServerName(body) else { return nil }
                sawName = true
                serverName = name
            case 16:
                guard !sawALPN, let names = parseALPN(body) else { return nil }
                sawALPN = true
                alpn = names
            default: break
            }
        }
        return .hello(serverName: serverName, alpn: alpn)
    }

    private static func parseServerName(_ bytes: UnsafeRawBufferPointer) -> String? {
        var outer = Reader(bytes)
        guard let names = outer.vector(2), outer.isAtEnd, names.count > 0 else { return nil }
        var list = Reader(names)
        // Only host_name (0) exists; another type's shape is unknown, so nothing after it can be read.
        guard let type = list.number(1), type == 0, let name = list.vector(2), list.isAtEnd, name.count > 0, name.count <= 255,
            name.allSatisfy({ $0 > 0x20 && $0 < 0x7f })
        else { return nil }
        return String(decoding: name, as: UTF8.self)
    }

    private static func parseALPN(_ bytes: UnsafeRawBufferPointer) -> [String]? {
        var outer = Reader(bytes)
        guard let names = outer.vector(2), outer.isAtEnd, names.count > 0 else { return nil }
        var list = Reader(names)
        var found: [String] = []
        while !list.isAtEnd {
            guard let name = list.vector(1), name.count > 0 else { return nil }
            found.append(String(decoding: name, as: UTF8.self))
        }
        return found
    }
}

/// Reads numbers and length-prefixed vectors (RFC 8446 section 3); nil past the end.
private struct Reader {
    private let bytes: UnsafeRawBufferPointer
    private var at = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var isAtEnd: Bool { at == bytes.count }

    mutating func skip(_ count: Int) -> Bool {
        guard bytes.count - at >= count else { return false }
        at += count
        return true
    }

    mutating func number(_ width: Int) -> Int? {
        guard bytes.count - at >= width else { return nil }
        var value = 0
        for _ in 0..<width {
            value = value << 8 | Int(bytes[at])
            at += 1
        }
        return value
    }

    mutating func vector(_ lengthWidth: Int) -> UnsafeRawBufferPointer? {
        guard let length = number(lengthWidth), bytes.count - at >= length else { return nil }
        defer { at += length }
        return UnsafeRawBufferPointer(rebasing: bytes[at..<at + length])
    }
}
