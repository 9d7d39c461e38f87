// What the HTTP/1 tests say things with: an engine fed in pieces, and its events as lines of text that do not depend on the pieces.

import Base
import Testing

@testable import HTTP

/// Events as text; body bytes that come in several events are one line.
struct HTTP1Log: Equatable, CustomStringConvertible {
    private(set) var lines: [String] = []
    private(set) var failure: PeerError?
    private var body: [UInt8] = []
    private var hasBody = false

    var description: String { lines.joined(separator: "\n") }

    mutating func note(_ event: HTTPEvent, of engine: HTTP1Connection) {
        if case .data(_, let bytes, let endStream) = event {
            engine.withData { span in
                #expect(span.byteCount == bytes)
                body += span.array()
            }
            hasBody = true
            if endStream { flush(ends: true) }
            return
        }
        if hasBody { flush(ends: false) }
        switch event {
        case .request(let id, let head, let endStream):
            lines.append("request \(id.rawValue) \(head.method) \(head.isAbsoluteForm ? "\(head.scheme)://" : "")\(head.authority) \(head.path) \(head.version)\(endStream ? " end" : "")")
            lines += head.headers.list.map { "  \($0.name): \($0.value)" }
        case .response(let id, let head, let endStream):
            lines.append("response \(id.rawValue) \(head.status) \(head.reason) \(head.version)\(endStream ? " end" : "")")
            lines += head.headers.list.map { "  \($0.name): \($0.value)" }
        case .data: break
        case .trailers(_, let trailers):
            lines.append("trailers")
            lines += trailers.list.map { "  \($0.name): \($0.value)" }
        case .upgraded: lines.append("upgraded")
        case .failed(let error):
            failure = error
            lines.append("failed \(error.code) \(error.rule)")
        case .reset, .writable, .goAway: lines.append("unexpected \(event)")
        }
    }

    private mutating func flush(ends: Bool) {
        lines.append("data \(String(decoding: body, as: UTF8.self))\(ends ? " end" : "")")
        body = []
        hasBody = false
    }

    mutating func finish() { if hasBody, !body.isEmpty { flush(ends: false) } }
}

extension HTTP1Connection {
    func receive(_ bytes: some Collection<UInt8>) {
        let array = Array(bytes)
        receive(array.span.bytes, now: .zero)
    }

    func receive(_ text: String) { receive(text.utf8) }

    /// No event waits.
    var isQuiet: Bool { nextEvent().map { _ in false } ?? true }

    func takeOutput() -> String {
        var buffer = ByteBuffer()
        drainOutput(into: &buffer)
        return buffer.text()
    }

    func send(_ stream: HTTPStreamID, _ text: String, endStream: Bool) throws(Refusal) {
        let bytes = Array(text.utf8)
        try sendData(stream, bytes.span.bytes, endStream: endStream)
    }
}

/// Runs a server over `pieces` that answers every complete request with 204, and tells what it heard.
func serve(_ pieces: [ArraySlice<UInt8>], limits: HTTPLimits = HTTPLimits(), ends: Bool = true) -> HTTP1Log {
    let engine = HTTP1Connection(role: .server, limits: limits)
    var log = HTTP1Log()
    var stream: HTTPStreamID?
    func pump() {
        while let event = engine.nextEvent() {
            log.note(event, of: engine)
            var isComplete = false
            switch event {
            case .request(let id, _, let endStream):
                stream = id
                isComplete = endStream
            case .data(_, _, let endStream): isComplete = endStream
            case .trailers: isComplete = true
            default: break
            }
            if isComplete, let stream { try? engine.sendResponse(stream, ResponseHead(status: 204), endStream: true) }
        }
    }
    for piece in pieces {
        engine.receive(piece)
        pump()
    }
    if ends {
        engine.receiveEnd(now: .zero)
        pump()
    }
    log.finish()
    return log
}

/// Runs a client that has asked `request`, over `pieces`.
func ask(_ request: RequestHead, _ pieces: [ArraySlice<UInt8>], limits: HTTPLimits = HTTPLimits(), ends: Bool = true) -> HTTP1Log {
    let engine = HTTP1Connection(role: .client, limits: limits)
    var log = HTTP1Log()
    _ = try? engine.sendRequest(request, endStream: true)
    func pump() { while let event = engine.nextEvent() { log.note(event, of: engine) } }
    for piece in pieces {
        engine.receive(piece)
        pump()
    }
    if ends {
        engine.receiveEnd(now: .zero)
        pump()
    }
    log.finish()
    return log
}

let plainRequest = RequestHead(method: .get, authority: "x", path: "/")

/// The log of the whole, after finding that every way to cut it in two, and one byte at a time, gives the same.
func inEverySplit(_ bytes: [UInt8], _ run: ([ArraySlice<UInt8>]) -> HTTP1Log) -> HTTP1Log {
    let whole = run([bytes[...]])
    let single = run(bytes.indices.map { bytes[$0...$0] })
    #expect(single == whole, "one byte at a time: \(String(decoding: bytes, as: UTF8.self).debugDescription)")
    // Of a long message the cuts near both ends and some between are enough.
    let step = max(1, bytes.count / 2000)
    for cut in stride(from: 1, to: max(1, bytes.count), by: step) {
        let halves = run([bytes[..<cut], bytes[cut...]])
        if halves != whole {
            Issue.record("cut at \(cut): \(String(decoding: bytes, as: UTF8.self).debugDescription)\n\(halves)\nrather than\n\(whole)")
            break
        }
    }
    return whole
}
