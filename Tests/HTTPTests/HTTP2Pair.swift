// Two HTTP/2 engines back to back: what one writes the other reads, until both are silent. Each side keeps what it was told, in
// order and as text, so that scenarios read like conversations.

import Base

@testable import HTTP

/// One side: the engine and everything that it told.
final class HTTP2End {
    let engine: HTTP2Connection
    /// Every event as one line.
    var log: [String] = []
    var requests: [(stream: HTTPStreamID, head: RequestHead)] = []
    var responses: [(stream: HTTPStreamID, head: ResponseHead)] = []
    var trailers: [UInt32: Headers] = [:]
    var bodies: [UInt32: [UInt8]] = [:]
    var ended: Set<UInt32> = []
    var resets: [UInt32: PeerError] = [:]
    var writable: [UInt32] = []
    var failure: PeerError?
    /// Acknowledges each body as it comes.
    var acknowledges = true

    init(_ engine: HTTP2Connection) { self.engine = engine }

    func takeEvents() {
        while let event = engine.nextEvent() { take(event) }
    }

    private func take(_ event: HTTPEvent) {
        switch event {
        case .request(let stream, let head, let endStream):
            requests.append((stream, head))
            if endStream { ended.insert(stream.rawValue) }
            log.append("request \(stream.rawValue) \(head.method) \(head.path)\(endStream ? " end" : "")")
        case .response(let stream, let head, let endStream):
            responses.append((stream, head))
            if endStream { ended.insert(stream.rawValue) }
            log.append("response \(stream.rawValue) \(head.status)\(endStream ? " end" : "")")
        case .data(let stream, let bytes, let endStream):
            let body = engine.withData { $0.array() }
            precondition(body.count == bytes)
            bodies[stream.rawValue, default: []] += body
            if endStream { ended.insert(stream.rawValue) }
            log.append("data \(stream.rawValue) \(String(decoding: body.prefix(40), as: UTF8.self))\(endStream ? " end" : "")")
            if acknowledges { engine.acknowledge(stream, bytes: bytes) }
        case .trailers(let stream, let headers):
            trailers[stream.rawValue] = headers
            ended.insert(stream.rawValue)
            log.append("trailers \(stream.rawValue) \(headers.list.map { "\($0.name)=\($0.value)" }.joined(separator: ","))")
        case .reset(let stream, let error):
            resets[stream.rawValue] = error
            log.append("reset \(stream.rawValue) \(error.code) \(error.rule)")
        case .writable(let stream):
            writable.append(stream.rawValue)
            log.append("writable \(stream.rawValue)")
        case .upgraded: log.append("upgraded")
        case .goAway(let last, let code): log.append("goaway \(last) \(code)")
        case .failed(let error):
            failure = error
            log.append("failed \(error.code) \(error.rule)")
        }
    }

    func output() -> [UInt8] {
        var buffer = ByteBuffer()
        engine.drainOutput(into: &buffer)
        return buffer.array()
    }

    func body(_ stream: HTTPStreamID) -> String { String(decoding: bodies[stream.rawValue] ?? [], as: UTF8.self) }

    func send(_ text: String, on stream: HTTPStreamID, end: Bool = false) throws {
        try engine.sendData(stream, [UInt8](text.utf8).span.bytes, endStream: end)
    }

    func receive(_ bytes: [UInt8], now: Instant = .zero) {
        engine.receive(bytes.span.bytes, now: now)
        takeEvents()
    }
}

struct HTTP2Pair {
    let client: HTTP2End
    let server: HTTP2End
    var now = Instant.zero
    /// Everything that each side sent.
    var clientBytes = 0
    var serverBytes = 0

    init(client: HTTP2Settings = HTTP2Settings(), server: HTTP2Settings = HTTP2Settings(), limits: HTTPLimits = HTTPLimits()) {
        self.client = HTTP2End(HTTP2Connection(role: .client, settings: client, limits: limits, now: .zero))
        self.server = HTTP2End(HTTP2Connection(role: .server, settings: server, limits: limits, now: .zero))
    }

    /// Both sides announce this window for each stream.
    init(windowBytes: Int) {
        var settings = HTTP2Settings()
        settings.initialStreamWindowBytes = windowBytes
        self.init(client: settings, server: settings)
        drive()
    }

    mutating func drive() {
        client.takeEvents()
        server.takeEvents()
        while true {
            let up = client.output()
            clientBytes += up.count
            if !up.isEmpty { server.receive(up, now: now) }
            let down = server.output()
            serverBytes += down.count
            if !down.isEmpty { client.receive(down, now: now) }
            if up.isEmpty && down.isEmpty { return }
        }
    }

    func request(_ method: HTTPMethod = .get, _ path: String = "/", headers: Headers = [:], end: Bool = true) throws -> HTTPStreamID {
        try client.engine.sendRequest(RequestHead(method: method, authority: "example.com", path: HTTPText(path), headers: headers), endStream: end)
    }

    func respond(_ stream: HTTPStreamID, _ status: UInt16 = 200, headers: Headers = [:], end: Bool = true) throws {
        try server.engine.sendResponse(stream, ResponseHead(status: status, headers: headers), endStream: end)
    }
}

extension HTTP2Connection {
    convenience init(server settings: HTTP2Settings = HTTP2Settings(), limits: HTTPLimits = HTTPLimits()) { self.init(role: .server, settings: settings, limits: limits, now: .zero) }
}

/// Bytes of single frames, for what an engine would never write.
enum Wire {
    static let preface = [UInt8](HTTP2Connection.preface)

    static func frame(_ type: UInt8, flags: UInt8 = 0, stream: UInt32 = 0, _ payload: [UInt8] = []) -> [UInt8] {
        let length = UInt32(payload.count)
        return [UInt8(length >> 16 & 255), UInt8(length >> 8 & 255), UInt8(length & 255), type, flags] + word(stream) + payload
    }

    static func word(_ value: UInt32) -> [UInt8] { [UInt8(value >> 24), UInt8(value >> 16 & 255), UInt8(value >> 8 & 255), UInt8(value & 255)] }

    static func settings(_ values: [(UInt16, UInt32)] = []) -> [UInt8] {
        frame(4, values.flatMap { [UInt8($0.0 >> 8), UInt8($0.0 & 255)] + word($0.1) })
    }

    static let settingsAnswer = frame(4, flags: 1)

    /// Literals without indexing and without Huffman.
    static func block(_ fields: [(String, String)]) -> [UInt8] {
        fields.flatMap { [0] + string($0.0) + string($0.1) }
    }

    static func string(_ text: String) -> [UInt8] {
        let bytes = [UInt8](text.utf8)
        precondition(bytes.count < 127 + 128)
        return (bytes.count < 127 ? [UInt8(bytes.count)] : [127, UInt8(bytes.count - 127)]) + bytes
    }

    static func headers(_ stream: UInt32, _ fields: [(String, String)], end: Bool = true) -> [UInt8] {
        frame(1, flags: 4 | (end ? 1 : 0), stream: stream, block(fields))
    }

    static let get = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "example.com")]
    static let post = [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "example.com")]

    static func data(_ stream: UInt32, _ text: String, end: Bool = false) -> [UInt8] { frame(0, flags: end ? 1 : 0, stream: stream, [UInt8](text.utf8)) }
    static func reset(_ stream: UInt32, _ code: UInt32 = 8) -> [UInt8] { frame(3, stream: stream, word(code)) }
    static func windowUpdate(_ stream: UInt32, _ bytes: UInt32) -> [UInt8] { frame(8, stream: stream, word(bytes)) }

    /// Frames in bytes that an engine wrote: type, flags, stream, payload.
    static func frames(_ bytes: [UInt8]) -> [(type: UInt8, flags: UInt8, stream: UInt32, payload: [UInt8])] {
        var at = 0
        if bytes.starts(with: preface) { at = preface.count }
        var found: [(UInt8, UInt8, UInt32, [UInt8])] = []
        while at + 9 <= bytes.count {
            let length = Int(bytes[at]) << 16 | Int(bytes[at + 1]) << 8 | Int(bytes[at + 2])
            let stream = UInt32(bytes[at + 5]) << 24 | UInt32(bytes[at + 6]) << 16 | UInt32(bytes[at + 7]) << 8 | UInt32(bytes[at + 8])
            found.append((bytes[at + 3], bytes[at + 4], stream, Array(bytes[at + 9..<at + 9 + length])))
            at += 9 + length
        }
        precondition(at == bytes.count, "the engine wrote part of a frame")
        return found
    }
}
