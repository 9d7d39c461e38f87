// Requests served, a line each, for programs that read such lines: Apache's form or JSON. Inbound only: what a pod answered is told once,
// by the pod. Absent on purpose: counted bytes; the sizes told are those that the heads announce, as Linkerd's are.
// Source: linkerd2-proxy linkerd/http/access-log, linkerd/tracing/src/access_log.rs; facts 3.10.

import Base
import HTTP
import Platform

/// One request whose answer has begun.
struct AccessRecord {
    var client: SocketAddress
    var identity: String?
    /// When its head came.
    var time: WallTime
    /// As it came.
    var head: RequestHead
    /// nil: it ended without an answer.
    var status: UInt16?
    /// `content-length` of the answer.
    var responseBytes: String?
    /// From the request's head to the answer's.
    var total: Interval
    /// What of that was ours: until the application had the request.
    var processing: Interval
}

struct AccessLog {
    let format: AccessLogFormat

    init(_ format: AccessLogFormat) { self.format = format }

    /// Without the end of the line.
    func line(_ record: AccessRecord) -> String {
        switch format {
        case .apache: apache(record)
        case .json: json(record)
        }
    }

    private func apache(_ record: AccessRecord) -> String {
        let asked = "\(record.head.method) \(Self.uri(record.head)) \(Self.version(record.head.version))"
        return "\(record.client) \(record.identity ?? "-") - [\(Self.time(record.time))] \"\(Self.visible(asked))\" \(record.status.map { "\($0)" } ?? "-")"
    }

    /// Keys sorted; numbers other than the status are strings, as Linkerd writes them, and what is not known is left out.
    private func json(_ record: AccessRecord) -> String {
        let headers = record.head.headers
        let trace = headers.first("x-b3-traceid") ?? headers.first("x-request-id") ?? headers.first("x-amzn-trace-id")
        var json = JSONText()
        json.object { line in
            line.member("client.addr", "\(record.client)")
            line.member("client.id", record.identity ?? "-")
            line.member("host", "\(record.head.authority)")
            line.member("method", "\(record.head.method)")
            if record.status != nil { line.member("processing_ns", "\(record.processing.nanoseconds)") }
            line.member("request_bytes", headers.first("content-length") ?? "")
            if let bytes = record.responseBytes { line.member("response_bytes", bytes) }
            if let status = record.status {
                line.key("status")
                line.number(status)
            }
            line.member("timestamp", Self.time(record.time))
            if record.status != nil { line.member("total_ns", "\(record.total.nanoseconds)") }
            line.member("trace_id", trace ?? "")
            line.member("uri", Self.uri(record.head))
            line.member("user_agent", headers.first("user-agent") ?? "")
            line.member("version", Self.version(record.head.version))
        }
        return json.text
    }

    /// RFC 3339 with nanoseconds.
    private static func time(_ time: WallTime) -> String {
        let rest = String(time.nanoseconds - time.seconds * 1_000_000_000)
        return "\(WallTime(seconds: time.seconds))".dropLast() + "." + String(repeating: "0", count: max(0, 9 - rest.utf8.count)) + rest + "Z"
    }

    /// As it was asked for: whole when the request named scheme and authority.
    private static func uri(_ head: RequestHead) -> String {
        if head.method == .connect { return "\(head.authority)" }
        return head.version == .http2 || head.isAbsoluteForm ? "http://\(head.authority)\(head.path)" : "\(head.path)"
    }

    private static func version(_ version: HTTPVersion) -> String {
        switch version {
        case .http10: "HTTP/1.0"
        case .http11: "HTTP/1.1"
        case .http2: "HTTP/2.0"
        }
    }

    /// A caller must not be able to end the quotation or the line.
    private static func visible(_ text: String) -> String {
        var out = ""
        for c in text.unicodeScalars {
            switch c {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            default: if c.value < 0x20 || c.value == 0x7f { out += "?" } else { out.unicodeScalars.append(c) }
            }
        }
        return out
    }
}
