// Captured messages made fit to be sent again: the framing of the old connection goes (lengths, codings, connection options), the
// engine writes its own; everything else stays byte for byte. Body bytes that the capture lost are replaced by as many zero bytes.

import Base
import Capture
import HTTP

/// Names the replayed request for the responder. Linkerd's own headers begin with `l5d-`, so this one cannot meet them.
let replayIDHeader: StaticString = "x-weft-replay-id"

/// Header fields that belong to the captured connection rather than to the message. Source: RFC 9110 section 7.6.1.
private let connectionFields: [StaticString] = [
    "connection", "proxy-connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings", "content-length", "expect",
]

/// The captured request's head with its tag. A request without authority (HTTP/1.0) gets the server's address.
func replayHead(_ request: ReplayRequest, server: SocketAddress) -> RequestHead {
    var head = request.request.head
    let upgrade = head.headers.first("upgrade")
    strip(&head.headers)
    head.version = .http11
    if head.authority.isEmpty { head.authority = "\(server)" }
    // Only what the capture shows as upgraded asks for it again: an ignored Upgrade is the same request without it.
    if let upgrade, request.statusThen == 101 {
        head.headers.add("connection", "upgrade")
        head.headers.add("upgrade", upgrade)
    }
    let body = replayBody(request.request.message)
    if !body.isEmpty { head.headers.add("content-length", "\(body.count)") }
    head.headers.set(replayIDHeader, "\(request.id)")
    return head
}

/// The captured answer's head. `isHEAD`: the length it announces is kept, since no body follows.
func replayHead(_ response: CapturedResponse, isHEAD: Bool, bodyBytes: Int) -> ResponseHead {
    var head = response.head
    let length = head.headers.first("content-length")
    let upgrade = head.headers.first("upgrade")
    strip(&head.headers)
    head.version = .http11
    if response.status == 101 {
        head.headers.add("connection", "upgrade")
        head.headers.add("upgrade", upgrade ?? "unknown")
    } else if isHEAD || response.status == 304 {
        if let length { head.headers.add("content-length", length) }
    } else if response.status != 204 {
        head.headers.add("content-length", "\(bodyBytes)")
    }
    return head
}

/// As many bytes as the body had, the kept ones first, zero bytes for the rest.
func replayBody(_ message: CapturedMessage) -> [UInt8] {
    let wanted = min(max(message.bodyBytes, message.body.count), Limits.bodyBytesMax)
    var body = message.body.count > wanted ? Array(message.body.prefix(wanted)) : message.body
    if body.count < wanted { body += [UInt8](repeating: 0, count: wanted - body.count) }
    return body
}

private func strip(_ headers: inout Headers) {
    for name in connectionFields { headers.removeAll(name) }
}
