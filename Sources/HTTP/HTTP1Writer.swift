// Heads as HTTP/1 bytes, written through a raw pointer into room that the caller has measured (`bytesOnWire`). Fields of the connection
// are left out and turned into facts; what did not come from an HTTP/1 parser is judged once more before it becomes a line, since a
// line feed inside a value would make another message of it.

import Base

/// What the fields of a head said about framing and connection.
struct HTTP1SentFacts {
    /// Leave Content-Length out: the message has no body by its nature.
    var dropsLength: Bool
    var length: Int64?
    var hasUpgrade = false
    var hasTE = false
    var closes = false

    init(dropsLength: Bool) { self.dropsLength = dropsLength }
}

struct HTTP1Writer {
    private let base: UnsafeMutableRawPointer
    /// Unit: bytes written.
    private(set) var count = 0

    @inline(__always)
    init(_ base: UnsafeMutableRawPointer) { self.base = base }

    @inline(__always)
    mutating func put(_ text: StaticString) {
        (base + count).copyMemory(from: UnsafeRawPointer(text.utf8Start), byteCount: text.utf8CodeUnitCount)
        count &+= text.utf8CodeUnitCount
    }

    @inline(__always)
    mutating func put(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress else { return }
        (base + count).copyMemory(from: source, byteCount: bytes.count)
        count &+= bytes.count
    }

    @inline(__always)
    mutating func put(text: HTTPText) { text.withUnsafeBytes { put($0) } }

    @inline(__always)
    private mutating func put(_ byte: UInt8) {
        base.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
        count &+= 1
    }

    // MARK: First lines

    mutating func putRequestLine(_ head: RequestHead) throws(Refusal) {
        switch head.method {
        case .get: put("GET ")
        case .head: put("HEAD ")
        case .post: put("POST ")
        case .put: put("PUT ")
        case .delete: put("DELETE ")
        case .connect: put("CONNECT ")
        case .options: put("OPTIONS ")
        case .trace: put("TRACE ")
        case .patch: put("PATCH ")
        case .other(var text):
            guard text.withUTF8({ isToken(UnsafeRawBufferPointer($0)) }) else { throw Refusal("a method is a token") }
            text.withUTF8 { put(UnsafeRawBufferPointer($0)) }
            put(" ")
        }
        guard head.authority.withUnsafeBytes({ isTarget($0) }), head.path.withUnsafeBytes({ isTarget($0) }) else {
            throw Refusal("authority and path are visible ASCII without fragment")
        }
        if head.method == .connect {
            put(text: head.authority)
        } else {
            // Without an authority there is no absolute form to restore.
            let isAbsolute = head.isAbsoluteForm && !head.authority.isEmpty
            if isAbsolute {
                put(head.scheme == .https ? "https://" : "http://")
                put(text: head.authority)
            }
            let first = head.path.withUnsafeBytes { $0.first }
            if first == UInt8(ascii: "/") {
                put(text: head.path)
            } else if first == nil || first == UInt8(ascii: "?") {
                put("/")
                put(text: head.path)
            } else if head.path == "*", head.method == .options {
                if !isAbsolute { put("*") }
            } else {
                throw Refusal("a path begins with a slash")
            }
        }
        put(" HTTP/1.1\r\n")
    }

    mutating func putStatusLine(_ head: ResponseHead) throws(Refusal) {
        put("HTTP/1.1 ")
        put(48 + UInt8(head.status / 100))
        put(48 + UInt8(head.status / 10 % 10))
        put(48 + UInt8(head.status % 10))
        put(" ")
        if head.reason.isEmpty {
            put(reasonPhrase(head.status))
        } else {
            guard head.reason.withUnsafeBytes({ isValue($0) }) else { throw Refusal("a reason holds no control bytes") }
            put(text: head.reason)
        }
        put("\r\n")
    }

    // MARK: Fields

    /// The fields of a head but those of the connection.
    mutating func put(_ headers: Headers, _ facts: inout HTTP1SentFacts) throws(Refusal) {
        let fields = headers.fields
        if fields.isEmpty { return }
        try headers.storage.withUnsafeBufferPointer { (raw) throws(Refusal) in
            let storage = UnsafeRawPointer(raw.baseAddress.unsafelyUnwrapped)
            // A run of lines that stand together and leave in one copy.
            var runStart = 0
            var runEnd = 0
            for field in fields {
                if field.known != .other {
                    switch field.known {
                    case .connection:
                        let value = UnsafeRawBufferPointer(start: storage + Int(field.valueStart), count: Int(field.valueCount))
                        forEachElement(value) { _, element in if equalsIgnoringCase(element, "close") { facts.closes = true } }
                        continue
                    case .host, .keepAlive, .proxyConnection, .transferEncoding, .http2Settings:
                        continue
                    case .contentLength:
                        if facts.dropsLength { continue }
                        guard facts.length == nil, let length = decimalLength(UnsafeRawBufferPointer(start: storage + Int(field.valueStart), count: Int(field.valueCount))) else {
                            throw Refusal("a Content-Length is one decimal number")
                        }
                        facts.length = length
                    case .upgrade: facts.hasUpgrade = true
                    case .te: facts.hasTE = true
                    default: break
                    }
                }
                if field.isLine {
                    if Int(field.nameStart) != runEnd {
                        put(UnsafeRawBufferPointer(start: storage + runStart, count: runEnd &- runStart))
                        runStart = Int(field.nameStart)
                    }
                    runEnd = Int(field.lineEnd)
                } else {
                    put(UnsafeRawBufferPointer(start: storage + runStart, count: runEnd &- runStart))
                    runStart = runEnd
                    try put(field, storage)
                }
            }
            put(UnsafeRawBufferPointer(start: storage + runStart, count: runEnd &- runStart))
        }
    }

    mutating func put(trailers: Headers) throws(Refusal) {
        try trailers.storage.withUnsafeBufferPointer { (raw) throws(Refusal) in
            for field in trailers.fields where !field.known.isForbiddenInTrailers {
                try put(field, UnsafeRawPointer(raw.baseAddress.unsafelyUnwrapped))
            }
        }
    }

    /// `name: value CR LF`.
    private mutating func put(_ field: Headers.Field, _ storage: UnsafeRawPointer) throws(Refusal) {
        let name = UnsafeRawBufferPointer(start: storage + Int(field.nameStart), count: Int(field.nameCount))
        let value = UnsafeRawBufferPointer(start: storage + Int(field.valueStart), count: Int(field.valueCount))
        guard isToken(name), isValue(value) else { throw Refusal("a field is a token and text without control bytes") }
        put(name)
        put(": ")
        put(value)
        put("\r\n")
    }

    /// RFC 9110 section 7.6.1 and, for TE, section 10.1.4.
    mutating func putConnection(_ facts: HTTP1SentFacts, keepsAlive: Bool) {
        guard facts.closes || keepsAlive || facts.hasUpgrade || facts.hasTE else { return }
        put("connection: ")
        let start = count
        if facts.closes { put("close") } else if keepsAlive { put("keep-alive") }
        if facts.hasUpgrade {
            if count > start { put(", ") }
            put("upgrade")
        }
        if facts.hasTE {
            if count > start { put(", ") }
            put("te")
        }
        put("\r\n")
    }
}

/// Text, spaces and tabulators (RFC 9110 section 5.5).
private func isValue(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let base = bytes.baseAddress else { return true }
    var i = 0
    while true {
        i = indexOfControl(base, i, bytes.count)
        if i == bytes.count { return true }
        if base[i] != 9 { return false }
        i += 1
    }
}

extension Headers {
    /// Room that the fields need as HTTP/1 lines. Unit: bytes.
    var bytesOnWire: Int {
        var sum = 0
        for field in fields { sum &+= field.isLine ? Int(field.lineEnd &- field.nameStart) : Int(field.nameCount &+ field.valueCount) &+ 4 }
        return sum
    }
}

extension HTTPMethod {
    /// On the wire. Unit: bytes.
    var byteCount: Int { if case .other(let text) = self { text.utf8.count } else { 7 } }

    /// RFC 9110 section 8.6: without a body, these say so.
    var expectsContent: Bool {
        switch self {
        case .post, .put, .patch: true
        default: false
        }
    }
}

/// RFC 9110 section 15 and the IANA registry of status codes; empty for others.
func reasonPhrase(_ status: UInt16) -> StaticString {
    switch status {
    case 100: "Continue"
    case 101: "Switching Protocols"
    case 102: "Processing"
    case 103: "Early Hints"
    case 200: "OK"
    case 201: "Created"
    case 202: "Accepted"
    case 203: "Non-Authoritative Information"
    case 204: "No Content"
    case 205: "Reset Content"
    case 206: "Partial Content"
    case 207: "Multi-Status"
    case 300: "Multiple Choices"
    case 301: "Moved Permanently"
    case 302: "Found"
    case 303: "See Other"
    case 304: "Not Modified"
    case 307: "Temporary Redirect"
    case 308: "Permanent Redirect"
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 402: "Payment Required"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 406: "Not Acceptable"
    case 407: "Proxy Authentication Required"
    case 408: "Request Timeout"
    case 409: "Conflict"
    case 410: "Gone"
    case 411: "Length Required"
    case 412: "Precondition Failed"
    case 413: "Content Too Large"
    case 414: "URI Too Long"
    case 415: "Unsupported Media Type"
    case 416: "Range Not Satisfiable"
    case 417: "Expectation Failed"
    case 421: "Misdirected Request"
    case 422: "Unprocessable Content"
    case 424: "Failed Dependency"
    case 425: "Too Early"
    case 426: "Upgrade Required"
    case 428: "Precondition Required"
    case 429: "Too Many Requests"
    case 431: "Request Header Fields Too Large"
    case 451: "Unavailable For Legal Reasons"
    case 500: "Internal Server Error"
    case 501: "Not Implemented"
    case 502: "Bad Gateway"
    case 503: "Service Unavailable"
    case 504: "Gateway Timeout"
    case 505: "HTTP Version Not Supported"
    case 511: "Network Authentication Required"
    default: ""
    }
}
