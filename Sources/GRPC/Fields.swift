// Which header fields make an HTTP/2 request a gRPC call, and how a response says that it is one. Fields are name and value
// pairs, so that this module needs no more of HTTP than its rules. Source: grpc/doc/PROTOCOL-HTTP2.md.

import Base

public enum GRPCFields {
    public static let contentType = "application/grpc"

    /// The fields of a request besides the pseudo-headers; metadata follows in the order given. `te: trailers` must come before them.
    public static func request(timeout: Interval? = nil, metadata: [(name: String, value: String)] = []) -> [(name: String, value: String)] {
        var fields: [(name: String, value: String)] = [("te", "trailers"), ("content-type", contentType)]
        if let timeout { fields.append(("grpc-timeout", GRPCTimeout.format(timeout))) }
        return fields + metadata
    }

    public static let response: [(name: String, value: String)] = [("content-type", contentType)]

    /// A response without messages: the status stands in the head, which also ends the stream.
    public static func trailersOnly(_ status: GRPCStatus) -> [(name: String, value: String)] { response + status.fields }

    /// `application/grpc`, alone or followed by `+` or `;`.
    public static func isGRPC(contentType value: String?) -> Bool {
        guard let value else { return false }
        let bytes = Array(value.utf8)
        let prefix = Array(contentType.utf8)
        guard bytes.count >= prefix.count, bytes[..<prefix.count].elementsEqual(prefix) else { return false }
        return bytes.count == prefix.count || bytes[prefix.count] == UInt8(ascii: "+") || bytes[prefix.count] == UInt8(ascii: ";")
    }

    /// What the head of a response says. nil: go on, messages and trailers follow.
    /// `field` looks up a header; a head with `grpc-status` and the end of the stream is trailers-only.
    public static func verdict(httpStatus: UInt16, endStream: Bool, field: (String) -> String?) -> GRPCStatus? {
        if let status = field("grpc-status"), endStream { return GRPCStatus(statusValue: status, messageValue: field("grpc-message")) }
        if httpStatus != 200 { return GRPCStatus(httpStatus: httpStatus) }
        if !isGRPC(contentType: field("content-type")) {
            return GRPCStatus(.unknown, "the response's content-type is not \(contentType): \(field("content-type")?.prefix(64) ?? "none")")
        }
        return endStream ? GRPCStatus(.unknown, "the response ended without grpc-status") : nil
    }

    /// What trailers say; without `grpc-status` a call has no known end.
    public static func status(field: (String) -> String?) -> GRPCStatus {
        guard let status = field("grpc-status") else { return GRPCStatus(.unknown, "the trailers lack grpc-status") }
        return GRPCStatus(statusValue: status, messageValue: field("grpc-message"))
    }
}
