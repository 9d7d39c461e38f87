// Telling HTTP from everything else by the first line, and finding the next first line after a hole. This is not a parser: it only
// decides where the shipping parser may start. HTTP/2 (its preface) is recognised so that it is not taken for HTTP/1.

import Base

/// Methods whose bare form (`GET /`, HTTP/0.9 and broken clients) is still taken as an attempt at HTTP. Source: RFC 9110, RFC 5789.
private let registeredMethods = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"].map { [UInt8]($0.utf8) }

/// The bytes begin with a request line of HTTP/1, or with one of the common methods and a space.
func looksLikeRequest(_ bytes: ArraySlice<UInt8>) -> Bool {
    let line = bytes.prefix(Limits.firstLineBytesMax).prefix { $0 != 10 }
    guard let space = line.firstIndex(of: 32), space > line.startIndex, space - line.startIndex <= 32 else { return false }
    let method = line[line.startIndex..<space]
    guard method.allSatisfy({ $0 > 32 && $0 < 127 }) else { return false }
    if line.count < bytes.prefix(Limits.firstLineBytesMax).count {
        var end = line.endIndex
        while end > line.startIndex, line[end - 1] == 13 || line[end - 1] == 32 { end -= 1 }
        let tail = Array(line[line.startIndex..<end].suffix(9))
        if tail.count == 9, Array(tail[0..<8]) == Array(" HTTP/1.".utf8) { return true }
        if Array(line).containsVersion(2) { return false }
    }
    return registeredMethods.contains { $0.elementsEqual(method) }
}

/// The bytes begin with a status line of HTTP/1.
func looksLikeResponse(_ bytes: ArraySlice<UInt8>) -> Bool {
    let start = Array("HTTP/1.".utf8)
    return bytes.count >= 9 && bytes.prefix(7).elementsEqual(start)
}

/// The direction begins with HTTP/2's connection preface (RFC 9113 section 3.4).
func looksLikeHTTP2(_ direction: TCPDirection) -> Bool {
    direction.chunks.first?.bytes.prefix(14).elementsEqual(Array("PRI * HTTP/2.0".utf8)) ?? false
}

func startsRequest(_ direction: TCPDirection) -> Bool { looksLikeRequest(front(of: direction)) }

func startsResponse(_ direction: TCPDirection) -> Bool { looksLikeResponse(front(of: direction)) }

/// The first bytes of a direction, up to a hole, joined as far as a first line may reach; empty lines before it are skipped (RFC 9112 section 2.2).
private func front(of direction: TCPDirection) -> ArraySlice<UInt8> {
    guard let first = direction.chunks.first else { return [] }
    var bytes = Array(first.bytes)
    var end = first.end
    for chunk in direction.chunks.dropFirst() {
        guard chunk.offset == end, bytes.count < Limits.firstLineBytesMax, !bytes.contains(10) else { break }
        bytes += chunk.bytes
        end = chunk.end
    }
    return bytes.drop { $0 == 13 || $0 == 10 }
}

extension [UInt8] {
    fileprivate func containsVersion(_ digit: UInt8) -> Bool {
        let needle = Array("HTTP/".utf8) + [48 + digit]
        guard count >= needle.count else { return false }
        return (0...(count - needle.count)).contains { self[$0..<$0 + needle.count].elementsEqual(needle) }
    }
}
