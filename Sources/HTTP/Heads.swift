// The heads of requests and responses, the same for both versions of HTTP. Method, authority and path keep the peer's bytes;
// text is made of them only when somebody asks.

import Base

public enum HTTPVersion: UInt8, Hashable, Sendable, CustomStringConvertible {
    case http10, http11, http2

    public var description: String {
        switch self {
        case .http10: "HTTP/1.0"
        case .http11: "HTTP/1.1"
        case .http2: "HTTP/2"
        }
    }
}

/// The side that an engine plays.
public enum HTTPRole: UInt8, Sendable { case client, server }

/// Names one exchange of one connection: the stream id on HTTP/2, a count on HTTP/1.
public struct HTTPStreamID: Hashable, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
}

/// RFC 9110 section 9 and RFC 5789; any other token is `other`.
public enum HTTPMethod: Hashable, Sendable, CustomStringConvertible {
    case get, head, post, put, delete, connect, options, trace, patch
    case other(String)

    public init(_ text: String) {
        switch text {
        case "GET": self = .get
        case "HEAD": self = .head
        case "POST": self = .post
        case "PUT": self = .put
        case "DELETE": self = .delete
        case "CONNECT": self = .connect
        case "OPTIONS": self = .options
        case "TRACE": self = .trace
        case "PATCH": self = .patch
        default: self = .other(text)
        }
    }

    /// As on the wire; methods are case-sensitive.
    public var description: String {
        switch self {
        case .get: "GET"
        case .head: "HEAD"
        case .post: "POST"
        case .put: "PUT"
        case .delete: "DELETE"
        case .connect: "CONNECT"
        case .options: "OPTIONS"
        case .trace: "TRACE"
        case .patch: "PATCH"
        case .other(let text): text
        }
    }
}

public enum HTTPScheme: UInt8, Hashable, Sendable, CustomStringConvertible {
    case http, https
    public var description: String { self == .http ? "http" : "https" }
}

/// What a client asks. On HTTP/1 the authority is the target's when it has one, else the Host field's, and that field is not
/// among `headers`; on HTTP/2 it is `:authority`, else Host.
public struct RequestHead: Sendable, Equatable {
    public var method: HTTPMethod
    public var scheme: HTTPScheme
    /// `host` or `host:port`; empty if the request has none.
    public var authority: HTTPText
    /// Path and query, `*` for the asterisk form, empty for CONNECT.
    public var path: HTTPText
    public var headers: Headers
    public var version: HTTPVersion
    /// The target came, and is to be sent on HTTP/1, with scheme and authority.
    public var isAbsoluteForm = false
    /// `:protocol` of an extended CONNECT (RFC 8441); nil otherwise.
    public var tunnelProtocol: String?

    public init(method: HTTPMethod, scheme: HTTPScheme = .http, authority: HTTPText, path: HTTPText, headers: Headers = Headers(), version: HTTPVersion = .http11) {
        self.method = method
        self.scheme = scheme
        self.authority = authority
        self.path = path
        self.headers = headers
        self.version = version
    }
}

public struct ResponseHead: Sendable, Equatable {
    /// 100...999.
    public var status: UInt16
    public var headers: Headers
    public var version: HTTPVersion
    /// HTTP/1 only and without meaning; empty on HTTP/2, and then the registered phrase is sent.
    public var reason: HTTPText

    public init(status: UInt16, headers: Headers = Headers(), version: HTTPVersion = .http11, reason: HTTPText = "") {
        self.status = status
        self.headers = headers
        self.version = version
        self.reason = reason
    }

    public var isInformational: Bool { status < 200 }
}

/// A short run of a message's bytes that is text by its grammar: an authority, a path, a reason. Up to 15 bytes are held inside.
public struct HTTPText: Hashable, Comparable, Sendable, ExpressibleByStringInterpolation, CustomStringConvertible {
    private var string: String

    public init(stringLiteral value: String) { string = value }
    public init(_ string: String) { self.string = string }

    /// Bytes that the caller has found to be text; what is not UTF-8 becomes U+FFFD.
    public init(_ bytes: UnsafeRawBufferPointer) { string = String(decoding: bytes, as: UTF8.self) }

    public var isEmpty: Bool { string.isEmpty }
    /// Unit: bytes.
    public var count: Int { string.utf8.count }
    public var description: String { string }

    /// The bytes, valid inside `body` only.
    @inline(__always)
    public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        if let result = string.utf8.withContiguousStorageIfAvailable({ body(UnsafeRawBufferPointer($0)) }) { return result }
        var copy = string
        return copy.withUTF8 { body(UnsafeRawBufferPointer($0)) }
    }

    public static func < (a: HTTPText, b: HTTPText) -> Bool { a.string < b.string }
}
