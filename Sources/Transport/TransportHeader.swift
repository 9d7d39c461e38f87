// Linkerd's transport header: what a proxy says first on a mesh connection to port 4143, so that the other side knows which
// port, name and protocol are meant. Sent only when ALPN `transport.l5d.io/v1` was negotiated.
// Source: linkerd2-proxy linkerd/transport-header; shared facts on the data plane, 2.17.

import Base
import MeshAPI
import Platform
import TLS

public struct TransportHeader: Equatable, Sendable {
    public enum SessionProtocol: Equatable, Sendable { case http1, http2 }

    /// The port that is meant, on the receiving pod or at `name`.
    public var port: UInt16
    /// An authority behind a gateway; nil for the pod itself.
    public var name: String?
    /// nil: opaque bytes.
    public var sessionProtocol: SessionProtocol?

    public init(port: UInt16, name: String? = nil, sessionProtocol: SessionProtocol? = nil) {
        self.port = port
        self.name = name
        self.sessionProtocol = sessionProtocol
    }

    public static let alpn = [UInt8]("transport.l5d.io/v1")
    static let preface = [UInt8]("transport.l5d.io/v1\r\n\r\n")

    public enum Reading: Equatable {
        case incomplete
        /// The bytes are not a header: the preface is missing or the message is malformed.
        case invalid(String)
        /// `length` bytes were the header; what follows belongs to the session.
        case header(TransportHeader, length: Int)
    }

    public func encoded() -> [UInt8] {
        var message = Mesh.TransportHeader()
        message.port = Int32(port)
        if let name { message.name = name }
        switch sessionProtocol {
        case .http1: message.sessionProtocol.http1 = .init()
        case .http2: message.sessionProtocol.http2 = .init()
        case nil: break
        }
        let body = Mesh.encode(message)
        let count = UInt32(body.count)
        return Self.preface + [UInt8(count >> 24), UInt8(count >> 16 & 255), UInt8(count >> 8 & 255), UInt8(count & 255)] + body
    }

    /// Reads a header from the first bytes of a connection, however they were split.
    public static func read(_ bytes: [UInt8], limits: TransportLimits = TransportLimits()) -> Reading {
        let common = min(bytes.count, preface.count)
        guard bytes[..<common].elementsEqual(preface[..<common]) else { return .invalid("the transport header's preface is missing") }
        guard bytes.count >= preface.count + 4 else { return .incomplete }
        let length = bytes[preface.count..<preface.count + 4].reduce(0) { $0 << 8 | Int($1) }
        guard length <= limits.transportHeaderBytesMax else { return .invalid("the transport header claims \(length) bytes, more than \(limits.transportHeaderBytesMax)") }
        let end = preface.count + 4 + length
        guard bytes.count >= end else { return .incomplete }
        guard let message: Mesh.TransportHeader = Mesh.decode(Array(bytes[(preface.count + 4)..<end])) else { return .invalid("the transport header is not a valid message") }
        guard let port = UInt16(exactly: message.port), port > 0 else { return .invalid("the transport header names port \(message.port)") }
        var header = TransportHeader(port: port, name: message.name.isEmpty ? nil : message.name)
        switch message.sessionProtocol.kind {
        case .http1: header.sessionProtocol = .http1
        case .http2: header.sessionProtocol = .http2
        case nil: break
        }
        return .header(header, length: end)
    }
}
