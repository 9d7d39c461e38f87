// What a peer must not do, rule by rule: each case is a stream of bytes to a server or client engine, and the verdict: an error of
// the stream or of the connection with its code. Every case is fed whole and byte by byte, and the events must be the same.

import Base
import Testing

@testable import HTTP

enum Verdict: Equatable, CustomStringConvertible {
    case fine
    case stream(UInt32)
    case connection(UInt32)

    var description: String {
        switch self {
        case .fine: "fine"
        case .stream(let code): "stream error \(code)"
        case .connection(let code): "connection error \(code)"
        }
    }
}

struct RuleCase: CustomTestStringConvertible, Sendable {
    let what: String
    let bytes: [UInt8]
    let verdict: Verdict
    var testDescription: String { what }

    init(_ what: String, _ bytes: [UInt8], _ verdict: Verdict) {
        self.what = what
        self.bytes = bytes
        self.verdict = verdict
    }
}

private let opening = Wire.preface + Wire.settings()
private let protocolError = Verdict.connection(HTTP2ErrorCode.protocolError)
private let sizeError = Verdict.connection(HTTP2ErrorCode.frameSizeError)
private let malformed = Verdict.stream(HTTP2ErrorCode.protocolError)

@Suite struct HTTP2RuleTests {
    /// What the engine told and wrote, with the verdict in both.
    static func run(_ bytes: [UInt8], pieces: Int = .max, respond: Bool = false) -> (HTTP2End, [UInt8], Verdict) {
        var settings = HTTP2Settings()
        settings.maxConcurrentStreams = 10
        let end = HTTP2End(HTTP2Connection(server: settings))
        var at = 0
        var answered = 0
        while at < bytes.count {
            let next = min(bytes.count, at + min(pieces, bytes.count))
            end.receive(Array(bytes[at..<next]))
            if respond {
                while answered < end.requests.count {
                    try? end.engine.sendResponse(end.requests[answered].stream, ResponseHead(status: 200), endStream: true)
                    answered += 1
                }
            }
            at = next
        }
        let output = end.output()
        var verdict = Verdict.fine
        for frame in Wire.frames(output) {
            if frame.type == 3 { verdict = .stream(frame.payload[3...].reduce(0) { $0 << 8 | UInt32($1) }) }
            if frame.type == 7 { verdict = .connection(frame.payload[4..<8].reduce(0) { $0 << 8 | UInt32($1) }) }
        }
        return (end, output, verdict)
    }

    static func check(_ rule: RuleCase, respond: Bool = false) {
        let (whole, output, verdict) = run(rule.bytes, respond: respond)
        #expect(verdict == rule.verdict, "\(rule.what): \(whole.log)")
        let ours = whole.resets.values.filter { $0.rule != "the peer reset the stream" }
        switch rule.verdict {
        case .fine: #expect(whole.failure == nil && ours.isEmpty)
        case .stream(let code): #expect(whole.failure == nil && ours.allSatisfy { $0.code == code && $0.scope == .stream })
        case .connection(let code): #expect(whole.failure?.code == code && whole.failure?.scope == .connection)
        }
        if respond { return }
        for pieces in [1, 2, 3, 7] {
            let (split, splitOutput, _) = run(rule.bytes, pieces: pieces)
            #expect(split.log == whole.log, "\(rule.what) in pieces of \(pieces)")
            #expect(splitOutput == output)
        }
    }

    // MARK: Frames and order

    static let frames: [RuleCase] = [
        RuleCase("a preface of HTTP/1", [UInt8]("GET / HTTP/1.1\r\n\r\n"), protocolError),
        RuleCase("a wrong last byte of the preface", Array(Wire.preface.dropLast()) + [0] + Wire.settings(), protocolError),
        RuleCase("no SETTINGS first", Wire.preface + Wire.frame(6, [UInt8](repeating: 0, count: 8)), protocolError),
        RuleCase("an acknowledgement first", Wire.preface + Wire.frame(4, flags: 1), protocolError),
        RuleCase("SETTINGS twice", opening + Wire.settings([(3, 100)]), .fine),
        RuleCase("an unknown frame", opening + Wire.frame(0x16, flags: 0xff, stream: 77, [1, 2, 3]), .fine),
        RuleCase("undefined flags", opening + Wire.frame(6, flags: 0x16, [UInt8](repeating: 0, count: 8)), .fine),
        RuleCase("a reserved bit", opening + Wire.frame(6, stream: 0x8000_0000, [UInt8](repeating: 0, count: 8)), .fine),
        RuleCase("a frame of 2^14 bytes", opening + Wire.headers(1, Wire.post, end: false) + Wire.frame(0, flags: 1, stream: 1, [UInt8](repeating: 0, count: 16_384)), .fine),
        RuleCase("a frame of 2^14 + 1 bytes", opening + Wire.headers(1, Wire.post, end: false) + Wire.frame(0, flags: 1, stream: 1, [UInt8](repeating: 0, count: 16_385)), sizeError),
        RuleCase("DATA on stream 0", opening + Wire.frame(0, [1]), protocolError),
        RuleCase("HEADERS on stream 0", opening + Wire.headers(0, Wire.get), protocolError),
        RuleCase("PRIORITY on stream 0", opening + Wire.frame(2, [0, 0, 0, 1, 1]), protocolError),
        RuleCase("PRIORITY of 4 bytes", opening + Wire.headers(1, Wire.post, end: false) + Wire.frame(2, stream: 1, [0, 0, 0, 1]), .stream(HTTP2ErrorCode.frameSizeError)),
        RuleCase("PRIORITY on an idle stream", opening + Wire.frame(2, stream: 9, [0, 0, 0, 1, 1]) + Wire.headers(1, Wire.get), .fine),
        RuleCase("RST_STREAM on stream 0", opening + Wire.reset(0), protocolError),
        RuleCase("RST_STREAM on an idle stream", opening + Wire.reset(1), protocolError),
        RuleCase("RST_STREAM of 3 bytes", opening + Wire.headers(1, Wire.post, end: false) + Wire.frame(3, stream: 1, [0, 0, 8]), sizeError),
        RuleCase("RST_STREAM with an unknown code", opening + Wire.headers(1, Wire.post, end: false) + Wire.reset(1, 0xff) + Wire.headers(3, Wire.get), .fine),
        RuleCase("SETTINGS on a stream", opening + Wire.frame(4, stream: 1), protocolError),
        RuleCase("SETTINGS of 5 bytes", opening + Wire.frame(4, [0, 1, 0, 0, 0]), sizeError),
        RuleCase("an acknowledgement with content", opening + Wire.frame(4, flags: 1, [0, 1, 0, 0, 0, 0]), sizeError),
        RuleCase("ENABLE_PUSH of 2", opening + Wire.settings([(2, 2)]), protocolError),
        RuleCase("INITIAL_WINDOW_SIZE of 2^31", opening + Wire.settings([(4, 0x8000_0000)]), .connection(HTTP2ErrorCode.flowControlError)),
        RuleCase("MAX_FRAME_SIZE below 2^14", opening + Wire.settings([(5, 16_383)]), protocolError),
        RuleCase("MAX_FRAME_SIZE of 2^24", opening + Wire.settings([(5, 0x100_0000)]), protocolError),
        RuleCase("ENABLE_CONNECT_PROTOCOL of 2", opening + Wire.settings([(8, 2)]), protocolError),
        RuleCase("ENABLE_CONNECT_PROTOCOL taken back", opening + Wire.settings([(8, 1)]) + Wire.settings([(8, 0)]), protocolError),
        RuleCase("NO_RFC7540_PRIORITIES of 2", opening + Wire.settings([(9, 2)]), protocolError),
        RuleCase("an unknown setting", opening + Wire.settings([(0x7777, 1)]), .fine),
        RuleCase("PUSH_PROMISE from a client", opening + Wire.headers(1, Wire.post, end: false) + Wire.frame(5, flags: 4, stream: 1, Wire.word(2)), protocolError),
        RuleCase("PING on a stream", opening + Wire.frame(6, stream: 1, [UInt8](repeating: 0, count: 8)), protocolError),
        RuleCase("PING of 6 bytes", opening + Wire.frame(6, [UInt8](repeating: 0, count: 6)), sizeError),
        RuleCase("GOAWAY on a stream", opening + Wire.frame(7, stream: 1, [UInt8](repeating: 0, count: 8)), protocolError),
        RuleCase("GOAWAY of 7 bytes", opening + Wire.frame(7, [UInt8](repeating: 0, count: 7)), sizeError),
        RuleCase("WINDOW_UPDATE of 3 bytes", opening + Wire.frame(8, [0, 0, 1]), sizeError),
        RuleCase("WINDOW_UPDATE of 0 on the connection", opening + Wire.windowUpdate(0, 0), protocolError),
        RuleCase("WINDOW_UPDATE of 0 on a stream", opening + Wire.headers(1, Wire.post, end: false) + Wire.windowUpdate(1, 0), malformed),
        RuleCase("WINDOW_UPDATE on an idle stream", opening + Wire.windowUpdate(1, 1), protocolError),
        RuleCase("a connection window above 2^31-1", opening + Wire.windowUpdate(0, 0x7fff_ffff), .connection(HTTP2ErrorCode.flowControlError)),
        RuleCase("a stream window above 2^31-1", opening + Wire.headers(1, Wire.post, end: false) + Wire.windowUpdate(1, 0x7fff_ffff), .stream(HTTP2ErrorCode.flowControlError)),
        RuleCase(
            "a stream window above 2^31-1 by SETTINGS", opening + Wire.headers(1, Wire.post, end: false) + Wire.windowUpdate(1, 0x7fff_ffff - 65_535) + Wire.settings([(4, 65_536)]),
            .connection(HTTP2ErrorCode.flowControlError)),
        RuleCase("DATA on an idle stream", opening + Wire.data(1, "x"), protocolError),
        RuleCase("padding as long as the frame", opening + Wire.headers(1, Wire.post, end: false) + Wire.frame(0, flags: 9, stream: 1, [2, 0]), protocolError),
        RuleCase("a padded frame without content", opening + Wire.headers(1, Wire.post, end: false) + Wire.frame(0, flags: 9, stream: 1), sizeError),
        RuleCase("a frame of padding only", opening + Wire.headers(1, Wire.post, end: false) + Wire.frame(0, flags: 9, stream: 1, [1, 0]), .fine),
        RuleCase("HEADERS with too much padding", opening + Wire.frame(1, flags: 13, stream: 1, [200, 0x82]), protocolError),
        RuleCase("HEADERS too short for its priority", opening + Wire.frame(1, flags: 0x25, stream: 1, [0, 0, 0]), sizeError),
        RuleCase("HEADERS with padding and priority", opening + Wire.frame(1, flags: 0x2d, stream: 1, [2, 0, 0, 0, 3, 9] + Wire.block(Wire.get) + [0, 0]), .fine),
        RuleCase("a broken header block", opening + Wire.frame(1, flags: 5, stream: 1, [0xff]), .connection(HTTP2ErrorCode.compressionError)),
        RuleCase("an even stream number", opening + Wire.headers(2, Wire.get), protocolError),
        RuleCase("a stream number below the last one", opening + Wire.headers(5, Wire.get) + Wire.headers(3, Wire.get), protocolError),
        RuleCase("CONTINUATION on an idle stream", opening + Wire.frame(9, flags: 4, stream: 1, Wire.block(Wire.get)), protocolError),
        RuleCase("CONTINUATION behind END_HEADERS", opening + Wire.headers(1, Wire.post, end: false) + Wire.frame(9, flags: 4, stream: 1, [0x82]), protocolError),
        RuleCase("CONTINUATION of another stream", opening + Wire.frame(1, flags: 1, stream: 1, [0x82]) + Wire.frame(9, flags: 4, stream: 3, [0x86]), protocolError),
        RuleCase("PRIORITY inside a header block", opening + Wire.frame(1, flags: 1, stream: 1, [0x82]) + Wire.frame(2, stream: 1, [0, 0, 0, 3, 1]), protocolError),
        RuleCase("an unknown frame inside a header block", opening + Wire.frame(1, flags: 1, stream: 1, [0x82]) + Wire.frame(0x20, stream: 1), protocolError),
        RuleCase(
            "a head in three frames", opening + Wire.frame(1, flags: 1, stream: 1, [0x82]) + Wire.frame(9, stream: 1, [0x86]) + Wire.frame(9, flags: 4, stream: 1, [0x84]), .fine),
        RuleCase("DATA after END_STREAM", opening + Wire.headers(1, Wire.post) + Wire.data(1, "x"), .stream(HTTP2ErrorCode.streamClosed)),
        RuleCase("HEADERS after END_STREAM", opening + Wire.headers(1, Wire.post) + Wire.headers(1, Wire.post), .stream(HTTP2ErrorCode.streamClosed)),
        RuleCase("WINDOW_UPDATE after END_STREAM", opening + Wire.headers(1, Wire.post) + Wire.windowUpdate(1, 10), .fine),
        RuleCase("DATA after RST_STREAM", opening + Wire.headers(1, Wire.post, end: false) + Wire.reset(1) + Wire.data(1, "x"), .stream(HTTP2ErrorCode.streamClosed)),
        RuleCase(
            "trailers after RST_STREAM", opening + Wire.headers(1, Wire.post, end: false) + Wire.reset(1) + Wire.headers(1, [("x", "y")]), .stream(HTTP2ErrorCode.streamClosed)),
        RuleCase(
            "DATA beyond the stream's window",
            opening + Wire.headers(1, Wire.post, end: false)
                + (0..<5).flatMap { _ in Wire.frame(0, stream: 1, [UInt8](repeating: 0, count: 13_107)) } + Wire.data(1, "x"), .fine),
    ]

    @Test(arguments: frames)
    func `a frame is judged by its shape, order and place`(rule: RuleCase) { Self.check(rule) }

    static let afterResponse: [RuleCase] = [
        RuleCase("DATA on a stream that both sides ended", opening + Wire.headers(1, Wire.get) + Wire.data(1, "x"), .connection(HTTP2ErrorCode.streamClosed)),
        RuleCase("HEADERS on a stream that both sides ended", opening + Wire.headers(1, Wire.get) + Wire.headers(1, Wire.get), .connection(HTTP2ErrorCode.streamClosed)),
        RuleCase("PRIORITY on a stream that both sides ended", opening + Wire.headers(1, Wire.get) + Wire.frame(2, stream: 1, [0, 0, 0, 3, 1]), .fine),
        RuleCase("WINDOW_UPDATE on a stream that both sides ended", opening + Wire.headers(1, Wire.get) + Wire.windowUpdate(1, 1), .fine),
        RuleCase("RST_STREAM on a stream that both sides ended", opening + Wire.headers(1, Wire.get) + Wire.reset(1), .fine),
    ]

    @Test(arguments: afterResponse)
    func `a finished stream takes no messages`(rule: RuleCase) {
        // Byte by byte, so that the response is out before the late frame comes.
        let (end, _, verdict) = Self.run(rule.bytes, pieces: 1, respond: true)
        #expect(verdict == rule.verdict, "\(end.log)")
    }

    // MARK: Messages

    static func request(_ fields: [(String, String)]) -> [UInt8] { opening + Wire.headers(1, fields) }
    static func with(_ name: String, _ value: String) -> [UInt8] { request(Wire.get + [(name, value)]) }
    static func without(_ name: String) -> [UInt8] { request(Wire.get.filter { $0.0 != name }) }

    static let messages: [RuleCase] = [
        RuleCase("an upper-case name", with("X-Upper", "1"), malformed),
        RuleCase("an empty name", with("", "1"), malformed),
        RuleCase("a space in a name", with("a b", "1"), malformed),
        RuleCase("a colon in a name", with("a:b", "1"), malformed),
        RuleCase("a byte above ASCII in a name", with("\u{e9}", "1"), malformed),
        RuleCase("a line feed in a value", with("x", "1\n2"), malformed),
        RuleCase("a carriage return in a value", with("x", "1\r2"), malformed),
        RuleCase("a NUL in a value", with("x", "1\u{0}2"), malformed),
        RuleCase("a DEL deep in a value", with("x", "0123456789\u{7f}abcdef"), malformed),
        RuleCase("a tab in a value", with("x", "0123456789\tabcdef"), .fine),
        RuleCase("bytes above ASCII in a value", with("x", "h\u{e9}llo w\u{f6}rld \u{1f30d}"), .fine),
        RuleCase("a space before a value", with("x", " 1"), malformed),
        RuleCase("a tab behind a value", with("x", "1\t"), malformed),
        RuleCase("an empty value", with("x", ""), .fine),
        RuleCase("connection", with("connection", "keep-alive"), malformed),
        RuleCase("keep-alive", with("keep-alive", "5"), malformed),
        RuleCase("proxy-connection", with("proxy-connection", "close"), malformed),
        RuleCase("transfer-encoding", with("transfer-encoding", "chunked"), malformed),
        RuleCase("upgrade", with("upgrade", "h2c"), malformed),
        RuleCase("te of gzip", with("te", "gzip"), malformed),
        RuleCase("te of trailers and more", with("te", "trailers, deflate"), malformed),
        RuleCase("te of trailers", with("te", "trailers"), .fine),
        RuleCase("an unknown pseudo-header", request(Wire.get + [(":test", "1")]), malformed),
        RuleCase("a response's pseudo-header", request(Wire.get + [(":status", "200")]), malformed),
        RuleCase("a pseudo-header behind a field", request(Array(Wire.get.prefix(3)) + [("x", "1")] + [Wire.get[3]]), malformed),
        RuleCase(":method missing", without(":method"), malformed),
        RuleCase(":scheme missing", without(":scheme"), malformed),
        RuleCase(":path missing", without(":path"), malformed),
        RuleCase(":authority missing", without(":authority"), .fine),
        RuleCase(":method twice", request(Wire.get + [Wire.get[0]]), malformed),
        RuleCase(":scheme twice", request(Wire.get + [Wire.get[1]]), malformed),
        RuleCase(":path twice", request(Wire.get + [Wire.get[2]]), malformed),
        RuleCase(":authority twice", request(Wire.get + [Wire.get[3]]), malformed),
        RuleCase(":path empty", request([(":method", "GET"), (":scheme", "http"), (":path", "")]), malformed),
        RuleCase(":path without a slash", request([(":method", "GET"), (":scheme", "http"), (":path", "x")]), malformed),
        RuleCase(":path with a space", request([(":method", "GET"), (":scheme", "http"), (":path", "/a b")]), malformed),
        RuleCase(":path of * with GET", request([(":method", "GET"), (":scheme", "http"), (":path", "*")]), malformed),
        RuleCase(":path of * with OPTIONS", request([(":method", "OPTIONS"), (":scheme", "http"), (":path", "*")]), .fine),
        RuleCase(":method that is no token", request([(":method", "GE T"), (":scheme", "http"), (":path", "/")]), malformed),
        RuleCase(":scheme of neither kind", request([(":method", "GET"), (":scheme", "ftp"), (":path", "/")]), malformed),
        RuleCase(":scheme in upper case", request([(":method", "GET"), (":scheme", "HTTPS"), (":path", "/")]), .fine),
        RuleCase("user information in :authority", request(Array(Wire.get.prefix(3)) + [(":authority", "a@b")]), malformed),
        RuleCase("a slash in :authority", request(Array(Wire.get.prefix(3)) + [(":authority", "a/b")]), malformed),
        RuleCase("an IPv6 :authority", request(Array(Wire.get.prefix(3)) + [(":authority", "[::1]:80")]), .fine),
        RuleCase("host twice", request(Wire.get + [("host", "example.com"), ("host", "example.com")]), malformed),
        RuleCase("host other than :authority", with("host", "evil.example"), malformed),
        RuleCase("CONNECT with :path", request([(":method", "CONNECT"), (":authority", "a:1"), (":path", "/")]), malformed),
        RuleCase("CONNECT with :scheme", request([(":method", "CONNECT"), (":authority", "a:1"), (":scheme", "http")]), malformed),
        RuleCase("CONNECT without :authority", request([(":method", "CONNECT")]), malformed),
        RuleCase("CONNECT", request([(":method", "CONNECT"), (":authority", "a:1")]), .fine),
        RuleCase(
            ":protocol that was not offered", request([(":method", "CONNECT"), (":scheme", "http"), (":path", "/"), (":authority", "a"), (":protocol", "websocket")]), malformed),
        RuleCase("content-length that is no number", with("content-length", "-1"), malformed),
        RuleCase("content-length of a list", with("content-length", "0, 0"), malformed),
        RuleCase("content-length too long", with("content-length", "1234567890123456789"), malformed),
        RuleCase("content-length twice", request(Wire.get + [("content-length", "0"), ("content-length", "0")]), malformed),
        RuleCase("content-length without a body", with("content-length", "1"), malformed),
        RuleCase("content-length of 0 without a body", with("content-length", "0"), .fine),
        RuleCase("a body shorter than content-length", opening + Wire.headers(1, Wire.post + [("content-length", "3")], end: false) + Wire.data(1, "ab", end: true), malformed),
        RuleCase("a body longer than content-length", opening + Wire.headers(1, Wire.post + [("content-length", "3")], end: false) + Wire.data(1, "abcd"), malformed),
        RuleCase(
            "a body of two parts shorter than content-length",
            opening + Wire.headers(1, Wire.post + [("content-length", "5")], end: false) + Wire.data(1, "ab") + Wire.data(1, "cd", end: true), malformed),
        RuleCase("a body as content-length says", opening + Wire.headers(1, Wire.post + [("content-length", "3")], end: false) + Wire.data(1, "abc", end: true), .fine),
        RuleCase(
            "trailers before the body is complete", opening + Wire.headers(1, Wire.post + [("content-length", "3")], end: false) + Wire.data(1, "ab") + Wire.headers(1, [("x", "1")]),
            malformed),
        RuleCase("a pseudo-header in trailers", opening + Wire.headers(1, Wire.post, end: false) + Wire.headers(1, [(":path", "/")]), malformed),
        RuleCase("an upper-case name in trailers", opening + Wire.headers(1, Wire.post, end: false) + Wire.headers(1, [("X", "/")]), malformed),
        RuleCase("a second head without END_STREAM", opening + Wire.headers(1, Wire.post, end: false) + Wire.headers(1, [("x", "1")], end: false), malformed),
        RuleCase("trailers without fields", opening + Wire.headers(1, Wire.post, end: false) + Wire.headers(1, []), .fine),
    ]

    @Test(arguments: messages)
    func `a malformed message ends its stream`(rule: RuleCase) { Self.check(rule) }

    @Test func `a malformed message names its rule and spares the connection`() {
        let (end, output, _) = Self.run(Self.with("connection", "close") + Wire.headers(3, Wire.get))
        #expect(end.resets[1]?.rule == "a connection-specific field (RFC 9113 section 8.2.2)")
        #expect(end.resets[1]?.scope == .stream)
        #expect(end.requests.map(\.stream.rawValue) == [3])
        #expect(Wire.frames(output).contains { $0.type == 3 && $0.stream == 1 && $0.payload == [0, 0, 0, 1] })
    }

    // MARK: The client side

    /// One request is out, and then these bytes come.
    static func client(_ bytes: [UInt8], method: HTTPMethod = .get) throws -> HTTP2End {
        let end = HTTP2End(HTTP2Connection(role: .client, now: .zero))
        _ = try end.engine.sendRequest(RequestHead(method: method, authority: "a", path: "/"), endStream: true)
        end.receive(Wire.settings() + bytes)
        return end
    }

    static let responses: [RuleCase] = [
        RuleCase("a response", Wire.headers(1, [(":status", "200")]), .fine),
        RuleCase(":status missing", Wire.headers(1, [("x", "200")]), malformed),
        RuleCase(":status twice", Wire.headers(1, [(":status", "200"), (":status", "200")]), malformed),
        RuleCase(":status of two digits", Wire.headers(1, [(":status", "20")]), malformed),
        RuleCase(":status below 100", Wire.headers(1, [(":status", "099")]), malformed),
        RuleCase("101", Wire.headers(1, [(":status", "101")], end: false), malformed),
        RuleCase("a request's pseudo-header", Wire.headers(1, [(":status", "200"), (":path", "/")]), malformed),
        RuleCase("an informational head with END_STREAM", Wire.headers(1, [(":status", "100")]), malformed),
        RuleCase("DATA before the head", Wire.data(1, "x"), malformed),
        RuleCase("DATA behind an informational head", Wire.headers(1, [(":status", "103")], end: false) + Wire.data(1, "x"), malformed),
        RuleCase("a second final head", Wire.headers(1, [(":status", "200")], end: false) + Wire.headers(1, [(":status", "200")]), malformed),
        RuleCase("a body of 204", Wire.headers(1, [(":status", "204")], end: false) + Wire.data(1, "x", end: true), malformed),
        RuleCase("a body of 304", Wire.headers(1, [(":status", "304"), ("content-length", "7")], end: false) + Wire.data(1, "x", end: true), malformed),
        RuleCase("304 with content-length", Wire.headers(1, [(":status", "304"), ("content-length", "7")]), .fine),
        RuleCase("a short body", Wire.headers(1, [(":status", "200"), ("content-length", "7")], end: false) + Wire.data(1, "x", end: true), malformed),
        RuleCase("no body", Wire.headers(1, [(":status", "200"), ("content-length", "7")]), malformed),
        RuleCase("HEADERS on an idle stream", Wire.headers(3, [(":status", "200")]), protocolError),
        RuleCase("HEADERS on a server's stream", Wire.headers(2, [(":status", "200")]), protocolError),
        RuleCase("PUSH_PROMISE", Wire.frame(5, flags: 4, stream: 1, Wire.word(2) + Wire.block(Wire.get)), protocolError),
        RuleCase("ENABLE_PUSH from a server", Wire.settings([(2, 1)]), protocolError),
        RuleCase("DATA on an idle stream", Wire.data(5, "x"), protocolError),
    ]

    @Test(arguments: responses)
    func `a client judges the server`(rule: RuleCase) throws {
        let end = try Self.client(rule.bytes)
        switch rule.verdict {
        case .fine: #expect(end.failure == nil && end.resets.isEmpty)
        case .stream(let code): #expect(end.resets[1]?.code == code && end.failure == nil)
        case .connection(let code): #expect(end.failure?.code == code)
        }
    }

    @Test func `a server's preface is its SETTINGS`() {
        let end = HTTP2End(HTTP2Connection(role: .client, now: .zero))
        end.receive([UInt8]("HTTP/1.1 400 Bad Request\r\n\r\n"))
        #expect(end.failure?.code == HTTP2ErrorCode.protocolError)
        #expect(throws: Refusal.self) { try end.engine.sendRequest(RequestHead(method: .get, authority: "a", path: "/"), endStream: true) }
    }

    @Test func `the owner's mistakes are refused`() throws {
        var pair = HTTP2Pair()
        let stream = try pair.request(.post, end: false)
        pair.drive()
        #expect(throws: Refusal.self) { try pair.server.send("early", on: stream) }
        #expect(throws: Refusal.self) { try pair.server.engine.sendTrailers(stream, [:]) }
        #expect(throws: Refusal.self) { try pair.respond(stream, 101, end: false) }
        #expect(throws: Refusal.self) { try pair.respond(stream, 100, end: true) }
        #expect(throws: Refusal.self) { try pair.server.engine.sendRequest(RequestHead(method: .get, authority: "a", path: "/"), endStream: true) }
        #expect(throws: Refusal.self) { try pair.client.engine.sendResponse(stream, ResponseHead(status: 200), endStream: true) }
        try pair.client.send("x", on: stream, end: true)
        #expect(throws: Refusal.self) { try pair.client.send("y", on: stream) }
        #expect(throws: Refusal.self) { try pair.client.send("y", on: HTTPStreamID(rawValue: 99)) }
        try pair.respond(stream)
        #expect(throws: Refusal.self) { try pair.respond(stream) }
        pair.drive()
        #expect(pair.client.log == ["response 1 200 end"])
    }
}
