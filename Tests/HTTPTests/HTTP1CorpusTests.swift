// Other people's collections of HTTP/1 messages, each case run whole and in every split. What the collections expect and we do not
// do is in `deviations.tsv` with its reason; a deviation that no longer occurs fails too. The folder of fixtures is named by
// WEFT_FIXTURES, else it is ../shared/fixtures beside the tree.

import Base
import Foundation
import Testing

@testable import HTTP

private let here = URL(fileURLWithPath: #filePath).deletingLastPathComponent()

private func fixture(_ path: String) throws -> Data {
    let tree = here.deletingLastPathComponent().deletingLastPathComponent()
    let root = ProcessInfo.processInfo.environment["WEFT_FIXTURES"] ?? tree.deletingLastPathComponent().appendingPathComponent("shared/fixtures").path
    return try Data(contentsOf: URL(fileURLWithPath: root + "/http1/" + path))
}

private func cases(_ path: String) throws -> [[String: Any]] {
    try #require(JSONSerialization.jsonObject(with: fixture(path)) as? [[String: Any]])
}

private func bytes(_ entry: [String: Any], _ key: String) throws -> [UInt8] {
    [UInt8](try #require((entry[key] as? String).flatMap { Data(base64Encoded: $0) }))
}

/// Compares the cases that failed with those that `deviations.tsv` explains.
private func judge(_ corpus: String, _ failed: [(name: String, what: String)], of count: Int) throws {
    print("corpus \(corpus) passed \(count - failed.count) of \(count)")
    #expect(count > 0)
    let table = try String(contentsOf: here.appendingPathComponent("deviations.tsv"), encoding: .utf8)
    var explained: [String] = []
    for row in table.split(separator: "\n") {
        let columns = row.split(separator: "\t").map(String.init)
        if columns.count == 3, columns[0] == corpus { explained.append(columns[1]) }
    }
    for (name, what) in failed where !explained.contains(name) { Issue.record("\(corpus)\t\(name)\t\(what)") }
    for name in explained where !failed.contains(where: { $0.name == name }) { Issue.record("\(corpus)\t\(name) passes: it is no deviation") }
}

/// A message in the words that every collection has.
private struct Message: Equatable, CustomStringConvertible {
    var first = ""
    /// Names in lower case, without those of the connection and Host.
    var fields: [String] = []
    var body = ""
    var isComplete = false

    var description: String { "\(first) \(fields) \(body.debugDescription)\(isComplete ? "" : " (incomplete)")" }
}

private let connectionFields = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "te", "host", "upgrade", "http2-settings"]

private func field(_ name: String, _ value: String) -> String? {
    let name = name.lowercased()
    return connectionFields.contains(name) ? nil : "\(name): \(value.trimmingCharacters(in: CharacterSet(charactersIn: " \t")))"
}

/// What an engine told, as messages.
private struct MessageLog {
    var messages: [Message] = []
    var failure: PeerError?

    mutating func note(_ event: HTTPEvent, of engine: HTTP1Connection) {
        switch event {
        case .request(_, let head, let endStream):
            let target = head.method == .connect ? "\(head.authority)" : head.isAbsoluteForm ? "\(head.scheme)://\(head.authority)\(head.path)" : "\(head.path)"
            messages.append(Message(first: "\(head.method) \(target) \(head.version)", fields: fields(head.headers), isComplete: endStream))
        case .response(_, let head, let endStream):
            messages.append(Message(first: "\(head.status) \(head.version)", fields: fields(head.headers), isComplete: endStream || head.status < 200))
        case .data(_, _, let endStream):
            messages[messages.count - 1].body += engine.withData { String(decoding: $0.array(), as: UTF8.self) }
            messages[messages.count - 1].isComplete = endStream
        case .trailers(_, let trailers):
            messages[messages.count - 1].fields += fields(trailers)
            messages[messages.count - 1].isComplete = true
        case .failed(let error): failure = error
        default: break
        }
    }

    private func fields(_ headers: Headers) -> [String] { headers.list.compactMap { field($0.name, $0.value) } }
}

/// Runs a server (or, for responses, a client) and answers every complete request.
private func read(_ input: [UInt8], isResponse: Bool, ends: Bool) -> MessageLog {
    let engine = HTTP1Connection(role: isResponse ? .client : .server)
    var log = MessageLog()
    if isResponse {
        var asked = RequestHead(method: .get, authority: "corpus", path: "/")
        if input.starts(with: "HTTP/1.1 101".utf8) { asked.headers.add("upgrade", "anything") }
        _ = try? engine.sendRequest(asked, endStream: true)
    }
    engine.receive(input)
    if ends { engine.receiveEnd(now: .zero) }
    var stream: HTTPStreamID?
    while let event = engine.nextEvent() {
        log.note(event, of: engine)
        if case .request(let id, _, _) = event { stream = id }
        if let stream, log.messages.last?.isComplete == true { try? engine.sendResponse(stream, ResponseHead(status: 400), endStream: true) }
    }
    return log
}

/// Collections written for parsers that do not ask for Host: it is added where a 1.1 request begins without one.
private func addingHost(_ input: [UInt8], at starts: [Int]) -> [UInt8] {
    var output = input
    for start in starts.reversed() {
        let rest = Array(input[start...])
        guard let line = rest.range(of: "\r\n"), String(decoding: rest[..<line.lowerBound], as: UTF8.self).hasSuffix(" HTTP/1.1") else { continue }
        let head = rest[..<(rest.range(of: "\r\n\r\n")?.lowerBound ?? rest.count)]
        if String(decoding: head, as: UTF8.self).lowercased().contains("\r\nhost:") { continue }
        output.insert(contentsOf: "Host: corpus\r\n".utf8, at: start + line.upperBound)
    }
    return output
}

extension Array where Element == UInt8 {
    fileprivate func range(of text: String) -> Range<Int>? {
        let pattern = Array(text.utf8)
        guard count >= pattern.count else { return nil }
        for i in 0...(count - pattern.count) where Array(self[i..<(i + pattern.count)]) == pattern { return i..<(i + pattern.count) }
        return nil
    }
}

// MARK: llhttp's event logs

/// One line of an event log: `off=4 len=3 span[url]="/a"`, or a mark.
private struct LogLine {
    var offset = 0
    var span: (kind: String, value: String)?
    var mark = ""

    init(_ text: String) {
        var rest = Substring(text)
        func number(_ key: String) -> Int? {
            guard rest.hasPrefix(key) else { return nil }
            rest = rest.dropFirst(key.count)
            let digits = rest.prefix { $0.isNumber }
            rest = rest.dropFirst(digits.count).drop { $0 == " " }
            return Int(digits)
        }
        offset = number("off=") ?? 0
        if number("len=") != nil, rest.hasPrefix("span["), let close = rest.firstIndex(of: "]") {
            let value = rest[close...].dropFirst(2)
            span = (String(rest.dropFirst(5)[..<close]), value == "cr" ? "\r" : value == "lf" ? "\n" : String(value.dropFirst().dropLast()))
        } else {
            mark = String(rest)
        }
    }
}

private func messages(ofLog lines: [LogLine], isResponse: Bool) -> [Message] {
    var messages: [Message] = []
    var method = "", url = "", version = "", status = "", name = "", value = ""
    var hasValue = false
    func flush() {
        if hasValue, let line = field(name, value), !messages.isEmpty { messages[messages.count - 1].fields.append(line) }
        name = ""
        value = ""
        hasValue = false
    }
    for line in lines {
        if let span = line.span {
            switch span.kind {
            case "method": method += span.value
            case "url": url += span.value
            case "version": version += span.value
            case "header_field":
                if hasValue { flush() }
                name += span.value
            case "header_value":
                value += span.value
                hasValue = true
            case "body": messages[messages.count - 1].body += span.value
            default: break
            }
        } else if line.mark == "message begin" {
            flush()
            (method, url, version, status) = ("", "", "", "")
            messages.append(Message())
        } else if line.mark.hasPrefix("header_value complete") {
            hasValue = true
            flush()
        } else if line.mark.hasPrefix("headers complete") {
            flush()
            if let range = line.mark.range(of: "status=") { status = String(line.mark[range.upperBound...].prefix { $0.isNumber }) }
            messages[messages.count - 1].first = isResponse ? "\(status) HTTP/\(version)" : "\(method) \(url) HTTP/\(version)"
        } else if line.mark == "message complete" {
            flush()
            messages[messages.count - 1].isComplete = true
        }
    }
    // A message whose head is not complete is none for us.
    return messages.filter { !$0.first.isEmpty }
}

@Suite struct `HTTP/1 corpora` {
    @Test func `llhttp: the messages of each event log, and its refusals`() throws {
        var failed: [(String, String)] = []
        let all = try cases("llhttp/cases.json")
        for (index, entry) in all.enumerated() {
            let type = try #require(entry["type"] as? String)
            let name = "\(index) \(entry["file"] as? String ?? "") \(entry["name"] as? String ?? "")"
            let lines = try #require(entry["expected_log"] as? [String]).map(LogLine.init)
            var input = try bytes(entry, "input_b64")
            let error = lines.first { $0.mark.hasPrefix("error ") && !$0.mark.contains("code=21 ") && !$0.mark.contains("code=22 ") }?.mark
            if type == "url" {
                input = Array("GET ".utf8) + input + Array(" HTTP/1.1\r\nHost: corpus\r\n\r\n".utf8)
                let log = read(input, isResponse: false, ends: false)
                if (log.failure == nil) != (error == nil) { failed.append((name, "\(log.failure?.rule ?? "accepted"), expected \(error ?? "acceptance")")) }
                continue
            }
            let isResponse = type.hasPrefix("response")
            if !isResponse { input = addingHost(input, at: lines.filter { $0.mark == "message begin" }.map(\.offset)) }
            let log = read(input, isResponse: isResponse, ends: error != nil || type.hasSuffix("finish"))
            if isResponse { _ = inEverySplit(input) { ask(plainRequest, $0) } } else { _ = inEverySplit(input) { serve($0) } }
            let expected = messages(ofLog: lines, isResponse: isResponse)
            // A relaxed rule may be refused, or what follows left unread; if it is accepted, then as the log says.
            if type.contains("lenient"), log.failure != nil || expected.starts(with: log.messages) { continue }
            if type.hasSuffix("finish") {
                if (log.failure == nil) == name.contains(" unsafe ") { failed.append((name, "\(log.messages)")) }
                continue
            }
            if let error, error.contains("code=5 ") {
                // Data after the connection's last message: unread is as good as refused.
                if log.messages.filter(\.isComplete) != expected.filter(\.isComplete) { failed.append((name, "\(log.messages), expected \(expected)")) }
            } else if error != nil {
                if log.failure == nil { failed.append((name, "accepted \(log.messages), expected \(error ?? "")")) }
            } else if let failure = log.failure {
                failed.append((name, "\(failure.rule), expected \(expected)"))
            } else if log.messages != expected {
                failed.append((name, "\(log.messages), expected \(expected)"))
            }
        }
        try judge("llhttp", failed, of: all.count)
    }

    @Test func `gunicorn: its verdicts, and the first request as it reads it`() throws {
        var failed: [(String, String)] = []
        let all = try cases("gunicorn/cases.json")
        for entry in all {
            let verdict = try #require(entry["verdict"] as? String)
            let name = "\(verdict) \(entry["name"] as? String ?? "")"
            let input = addingHost(try bytes(entry, "input_b64"), at: [0])
            let log = read(input, isResponse: false, ends: true)
            _ = inEverySplit(input) { serve($0) }
            if verdict == "invalid" {
                if log.failure == nil { failed.append((name, "accepted \(log.messages)")) }
                continue
            }
            let expected = try #require(entry["expected"] as? [String: Any] ?? (entry["expected"] as? [[String: Any]])?.first)
            let version = try #require(expected["version"] as? [Int])
            var message = Message(first: "\(expected["method"] ?? "") \(expected["uri"] ?? "") HTTP/\(version[0]).\(version[1])", body: expected["body"] as? String ?? "", isComplete: true)
            for pair in try #require(expected["headers"] as? [[String]]) {
                if let line = field(pair[0], pair[1]) { message.fields.append(line) }
            }
            for pair in expected["trailers"] as? [[String]] ?? [] {
                if let line = field(pair[0], pair[1]) { message.fields.append(line) }
            }
            if let failure = log.failure, log.messages.isEmpty { failed.append((name, failure.rule)) } else if log.messages.first != message { failed.append((name, "\(log.messages), expected \(message)")) }
        }
        try judge("gunicorn", failed, of: all.count)
    }

    @Test func `http-garden: each payload that set two servers at odds is refused`() throws {
        let text = String(decoding: try fixture("http-garden/TROPHIES.md"), as: UTF8.self)
        var failed: [(String, String)] = []
        var count = 0
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            guard let mark = line.range(of: "- Payload: `") else { continue }
            let payload = String(line[mark.upperBound...].prefix { $0 != "`" })
            count += 1
            let input = addingHost(unescapedBytes(payload), at: [0])
            _ = inEverySplit(input) { serve($0) }
            let log = read(input, isResponse: false, ends: true)
            if log.failure == nil { failed.append(("line \(number + 1)", "accepted \(log.messages)")) }
        }
        try judge("http-garden", failed, of: count)
    }

    @Test func `payloads: each obfuscated Transfer-Encoding beside a Content-Length is refused`() throws {
        let text = String(decoding: try fixture("payloads/Request-Smuggling.md"), as: UTF8.self)
        var requests: [String] = []
        var isCode = false
        var block = ""
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("```") {
                if isCode, block.hasPrefix("POST ") || block.hasPrefix("GET ") { requests.append(block) }
                if isCode, block.hasPrefix("Transfer-Encoding: xchunked") {
                    let obfuscated = block.replacingOccurrences(of: "[tab]", with: "\t").replacingOccurrences(of: "[space]", with: " ").replacingOccurrences(of: "[\\n]", with: "\n")
                    for field in obfuscated.components(separatedBy: "\r\n") where !field.isEmpty {
                        requests.append("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\(field)\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
                    }
                }
                isCode.toggle()
                block = ""
            } else if isCode {
                block += line + "\r\n"
            }
        }
        var failed: [(String, String)] = []
        for (index, request) in requests.enumerated() {
            _ = inEverySplit(Array(request.utf8)) { serve($0) }
            let log = read(Array(request.utf8), isResponse: false, ends: true)
            if log.failure == nil { failed.append(("\(index)", "accepted \(request.debugDescription): \(log.messages)")) }
        }
        #expect(requests.count >= 12)
        try judge("payloads", failed, of: requests.count)
    }

    @Test func `fuzzing corpora: no crash, and the same events in every split`() throws {
        var count = 0
        for name in ["go-httpreq", "go-httpresp", "grpc-http-request", "grpc-http-response"] {
            for line in try fixture("fuzz/\(name).jsonl").split(separator: UInt8(ascii: "\n")) {
                let entry = try #require(JSONSerialization.jsonObject(with: line) as? [String: Any])
                let input = try bytes(entry, "b64")
                if input.isEmpty { continue }
                _ = inEverySplit(input) { serve($0) }
                _ = inEverySplit(input) { ask(plainRequest, $0) }
                count += 1
            }
        }
        for name in 1...4 { _ = inEverySplit([UInt8](try fixture("h11-fuzz-seeds/\(name)"))) { serve($0) } }
        #expect(count > 250)
        print("corpus http1-fuzz passed \(count + 4) of \(count + 4)")
    }
}

/// A payload of the collection: `\r`, `\n`, `\t`, `\xhh`.
private func unescapedBytes(_ text: String) -> [UInt8] {
    var out: [UInt8] = []
    let bytes = Array(text.utf8)
    var i = 0
    while i < bytes.count {
        guard bytes[i] == UInt8(ascii: "\\"), i + 1 < bytes.count else {
            out.append(bytes[i])
            i += 1
            continue
        }
        switch bytes[i + 1] {
        case UInt8(ascii: "r"): out.append(13)
        case UInt8(ascii: "n"): out.append(10)
        case UInt8(ascii: "t"): out.append(9)
        case UInt8(ascii: "x"):
            if i + 3 < bytes.count, let high = hexDigit(bytes[i + 2]), let low = hexDigit(bytes[i + 3]) { out.append(high << 4 | low) }
            i += 2
        default: out += bytes[i...(i + 1)]
        }
        i += 2
    }
    return out
}
