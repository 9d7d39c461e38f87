// Telling HTTP from other protocols by the first bytes a client sends. Like Linkerd, what the first read returns decides, except
// that an input which can only become HTTP (the start of the HTTP/2 preface, a registered method and a space) is waited for: a
// request line in two segments is then not taken for an opaque stream.
// Source: linkerd2-proxy linkerd/http/detect; RFC 9112 section 3, RFC 9113 section 3.4.

import Base

enum HTTPSniff: Equatable {
    case http1
    case http2
    case notHTTP
    /// Ask again with everything from the start when more has come.
    case incomplete

    private static let preface = [UInt8]("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    private static let methods = ["GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "CONNECT ", "OPTIONS ", "TRACE ", "PATCH "].map { [UInt8]($0.utf8) }

    static func sniff(_ bytes: [UInt8]) -> HTTPSniff {
        let common = min(bytes.count, ProxyLimits.httpBytesMin)
        if common > 0, bytes[..<common].elementsEqual(preface[..<common]) { return common < ProxyLimits.httpBytesMin ? .incomplete : .http2 }
        if bytes.count < ProxyLimits.httpBytesMin {
            let mayBecome = methods.contains { method in
                let common = min(method.count, bytes.count)
                return bytes.count > 0 && bytes[..<common].elementsEqual(method[..<common])
            }
            return mayBecome && !bytes.contains(UInt8(ascii: "\n")) ? .incomplete : .notHTTP
        }
        return beginsRequestLine(bytes) ? .http1 : .notHTTP
    }

    /// The bytes are a request line or the beginning of one: token, space, target without controls, space, `HTTP/1.x`.
    private static func beginsRequestLine(_ bytes: [UInt8]) -> Bool {
        var i = 0
        while i < bytes.count, bytes[i] == 13 || bytes[i] == 10 { i += 1 }
        let methodStart = i
        while i < bytes.count, isToken(bytes[i]) { i += 1 }
        guard i > methodStart else { return false }
        guard i < bytes.count else { return true }
        guard bytes[i] == 32 else { return false }
        i += 1
        let targetStart = i
        while i < bytes.count, bytes[i] > 32, bytes[i] != 127 { i += 1 }
        guard i < bytes.count else { return true }
        guard i > targetStart, bytes[i] == 32 else { return false }
        i += 1
        let version = [UInt8]("HTTP/1.")
        let common = min(version.count, bytes.count - i)
        return bytes[i..<i + common].elementsEqual(version[..<common])
    }

    private static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x21, 0x23...0x27, 0x2a, 0x2b, 0x2d, 0x2e, 0x5e, 0x5f, 0x60, 0x7c, 0x7e: true
        default: false
        }
    }
}
