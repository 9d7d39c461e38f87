// A reader of HTTP/1 messages that has nothing in common with the engine under test, so that the engine is not its own judge when two
// worlds are compared. It reads what is well-formed and says when something is not; it is no proxy's parser and has no bounds.

import Base

/// One message as it stood on the wire, framing removed.
struct PlainMessage: Equatable {
    enum Reading: Equatable {
        /// The message, and how many bytes it took.
        case whole(PlainMessage, Int)
        /// More bytes, or the end, must come.
        case partial
        case malformed
    }

    /// Request line or status line.
    var line: String
    var headers: [(name: String, value: String)]
    var body: [UInt8]
    var trailers: [(name: String, value: String)]

    static func == (a: PlainMessage, b: PlainMessage) -> Bool { a.line == b.line && a.body == b.body && a.headers.elementsEqual(b.headers, by: ==) && a.trailers.elementsEqual(b.trailers, by: ==) }

    func header(_ name: String) -> String? { headers.first { $0.name.lowercased() == name }?.value }

    /// A request from the beginning of `bytes`.
    static func request(_ bytes: ArraySlice<UInt8>) -> Reading { read(bytes, isResponse: false, hasBody: true, isEnded: false) }

    /// A response; `toHead`: it answers HEAD and so has no body; `isEnded`: no more bytes come.
    static func response(_ bytes: ArraySlice<UInt8>, toHead: Bool, isEnded: Bool) -> Reading { read(bytes, isResponse: true, hasBody: !toHead, isEnded: isEnded) }

    private static func read(_ bytes: ArraySlice<UInt8>, isResponse: Bool, hasBody: Bool, isEnded: Bool) -> Reading {
        guard let (lines, headEnd) = section(bytes) else { return .partial }
        guard let line = lines.first, let headers = fields(lines.dropFirst()) else { return .malformed }
        let words = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard words.count == 3 || (isResponse && words.count == 2), words[isResponse ? 0 : 2].hasPrefix("HTTP/1.") else { return .malformed }
        var message = PlainMessage(line: line, headers: headers, body: [], trailers: [])
        let rest = bytes[headEnd...]
        let status = isResponse ? Int(words[1]) ?? 0 : 0
        func whole(_ end: Int) -> Reading { .whole(message, end - bytes.startIndex) }
        if !hasBody || (isResponse && (status < 200 || status == 204 || status == 304)) { return whole(headEnd) }
        if message.header("transfer-encoding") != nil { return chunked(rest, &message).map(whole) ?? .partial }
        if let length = message.header("content-length") {
            guard let count = Int(length), count >= 0 else { return .malformed }
            if rest.count < count { return .partial }
            message.body = Array(rest.prefix(count))
            return whole(headEnd + count)
        }
        if !isResponse { return whole(headEnd) }
        if !isEnded { return .partial }
        message.body = Array(rest)
        return whole(bytes.endIndex)
    }

    /// The lines up to an empty one, and where what follows begins.
    private static func section(_ bytes: ArraySlice<UInt8>) -> (lines: [String], end: Int)? {
        var lines: [String] = []
        var start = bytes.startIndex
        while let feed = bytes[start...].firstIndex(of: 10) {
            var line = bytes[start..<feed]
            if line.last == 13 { line = line.dropLast() }
            start = feed + 1
            if line.isEmpty { return (lines, start) }
            lines.append(String(decoding: line, as: UTF8.self))
        }
        return nil
    }

    private static func fields(_ lines: ArraySlice<String>) -> [(name: String, value: String)]? {
        var fields: [(String, String)] = []
        for line in lines {
            guard let colon = line.firstIndex(of: ":") else { return nil }
            fields.append((String(line[..<colon]), trimmed(line[line.index(after: colon)...])))
        }
        return fields
    }

    private static func trimmed(_ text: Substring) -> String {
        var text = text
        while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return String(text)
    }

    /// Where the chunked body ends; nil: not yet.
    private static func chunked(_ bytes: ArraySlice<UInt8>, _ message: inout PlainMessage) -> Int? {
        var start = bytes.startIndex
        while let feed = bytes[start...].firstIndex(of: 10) {
            let size = String(decoding: bytes[start..<feed], as: UTF8.self).prefix { $0.isHexDigit }
            guard let count = Int(size, radix: 16) else { return nil }
            start = feed + 1
            if count == 0 {
                if bytes[start...].starts(with: [13, 10]) { return start + 2 }
                guard let (lines, end) = section(bytes[start...]), let trailers = fields(lines[...]) else { return nil }
                message.trailers = trailers
                return end
            }
            guard bytes.endIndex - start >= count + 2 else { return nil }
            message.body += bytes[start..<(start + count)]
            start += count + 2
        }
        return nil
    }
}
