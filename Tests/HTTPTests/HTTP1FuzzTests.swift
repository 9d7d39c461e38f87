// Bytes and operations drawn from a seed. What must hold: nothing crashes, the cut of the input never matters, what one engine
// passes on is read by the next as the same messages (or it would smuggle), and two of our own engines understand each other.

import Base
import Fuzzing
import Testing

@testable import HTTP

private let seeds: [String] = [
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /y HTTP/1.0\r\n\r\n",
    "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /c HTTP/1.1\r\nHost: b:80\r\n\r\n",
    "POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nT: 1\r\n\r\nGET /c HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nConnection: close, X-A\r\nX-A: 1\r\nX-B: \t2 \r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    "OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\n\r\nCONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\ntunnel", "GET http://b/?q HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
]

/// Pieces that turn one message into another when they land in the right place.
private let splices: [String] = [
    "\r\n", "\n", "\r", "\r\n\r\n", " ", "\t", "\0", ":", ";", ",", "0", "\r\nContent-Length: 5", "\r\nTransfer-Encoding: chunked", "\r\nTransfer-Encoding : chunked", "\r\n\tchunked", "0\r\n\r\n",
    "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n", "\r\nHost: b", "HTTP/1.0", "HTTP/1.1", "\r\nConnection: content-length", "ffffffffffffffff", "5\r\n", "\u{b}", "\u{7f}", "\u{e9}", "%0d%0a",
]

private func mutated(_ random: inout Random) -> [UInt8] {
    var bytes = seeds[random.below(seeds.count)].latin1
    if random.chance(1, in: 4) { bytes += seeds[random.below(seeds.count)].latin1 }
    for _ in 0..<(1 + random.below(4)) where !bytes.isEmpty {
        let at = random.below(bytes.count)
        switch random.below(5) {
        case 0: bytes[at] = UInt8(random.below(256))
        case 1: bytes.remove(at: at)
        case 2: bytes.insert(contentsOf: splices[random.below(splices.count)].latin1, at: at)
        case 3: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + random.below(30))], at: random.below(bytes.count))
        default: bytes.removeLast(random.below(bytes.count))
        }
    }
    return bytes
}

private func pieces(_ bytes: [UInt8], _ random: inout Random) -> [ArraySlice<UInt8>] {
    var cut: [ArraySlice<UInt8>] = []
    var rest = bytes[...]
    while !rest.isEmpty {
        let count = min(rest.count, 1 + random.below(random.chance(1, in: 3) ? 3 : 64))
        cut.append(rest.prefix(count))
        rest = rest.dropFirst(count)
    }
    return cut
}

/// A message with its body put together.
private struct Whole: Equatable {
    var first: String
    var fields: [String]
    var body: [UInt8] = []
    var trailers: [String] = []
    var isComplete = false
}

private func lines(_ headers: Headers) -> [String] {
    headers.list.filter { $0.name.lowercased() != "content-length" }.map { "\($0.name): \($0.value)" }
}

/// Reads requests and passes each on through a client engine, whose bytes come back with the messages that were read.
private func relay(_ cut: [ArraySlice<UInt8>], ends: Bool) -> (messages: [Whole], passed: [UInt8], failure: PeerError?) {
    let server = HTTP1Connection(role: .server)
    let client = HTTP1Connection(role: .client)
    var messages: [Whole] = []
    var passed = ByteBuffer()
    var failure: PeerError?
    var asked = HTTPStreamID(rawValue: 0)
    var asking = HTTPStreamID(rawValue: 0)
    func complete() {
        messages[messages.count - 1].isComplete = true
        client.drainOutput(into: &passed)
        // The next server refuses; a tunnel would end what can be compared.
        client.receive("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        guard case .response(_, let answer, true)? = client.nextEvent() else { return }
        #expect(throws: Never.self) { try server.sendResponse(asked, answer, endStream: true) }
    }
    for piece in cut + (ends ? [[]] : []) {
        if piece.isEmpty { server.receiveEnd(now: .zero) } else { server.receive(piece) }
        while let event = server.nextEvent() {
            do throws(Refusal) {
                switch event {
                case .request(let id, let head, let endStream):
                    asked = id
                    messages.append(Whole(first: "\(head.method) \(head.isAbsoluteForm ? "\(head.scheme)" : "") \(head.authority) \(head.path)", fields: lines(head.headers)))
                    asking = try client.sendRequest(head, endStream: endStream)
                    if endStream { complete() }
                case .data(_, _, let endStream):
                    messages[messages.count - 1].body += server.withData { $0.array() }
                    try server.withData { bytes throws(Refusal) in try client.sendData(asking, bytes, endStream: endStream) }
                    if endStream { complete() }
                case .trailers(_, let trailers):
                    messages[messages.count - 1].trailers = lines(trailers)
                    try client.sendTrailers(asking, trailers)
                    complete()
                case .failed(let error): failure = error
                default: Issue.record("\(event)")
                }
            } catch {
                // Only a client that was told to close refuses: nothing else that was read may be unsayable.
                if !client.isReusable, messages.count > 1, messages.last?.isComplete == false { return (messages.dropLast(), passed.array(), failure) }
                Issue.record("\(error.reason) in \(String(decoding: cut.joined(), as: UTF8.self).debugDescription)")
            }
        }
    }
    client.drainOutput(into: &passed)
    return (messages, passed.array(), failure)
}

@Suite struct `HTTP/1 under fuzzing` {
    @Test func `requests made of damage are refused or passed on as what they were read as`() {
        fuzz("http1-requests", executions: 3000) { random in
            let bytes = mutated(&random)
            let first = relay([bytes[...]], ends: true)
            let cut = relay(pieces(bytes, &random), ends: true)
            let context = String(decoding: bytes, as: UTF8.self).debugDescription
            #expect(first.messages == cut.messages, "\(context)")
            #expect(first.failure == cut.failure, "\(context)")
            let second = relay([first.passed[...]], ends: false)
            #expect(second.failure == nil, "\(context)")
            #expect(second.messages == first.messages, "\(context)")
            let third = relay([second.passed[...]], ends: false)
            #expect(third.passed == second.passed, "\(context)")
        }
    }

    @Test func `responses made of damage fail or are read the same in every cut`() {
        let answers: [String] = [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n",
            "HTTP/1.0 200 OK\r\n\r\nto the end", "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
        ]
        fuzz("http1-responses", executions: 3000) { random in
            var bytes = answers[random.below(answers.count)].latin1
            for _ in 0..<random.below(4) where !bytes.isEmpty {
                let at = random.below(bytes.count)
                if random.chance(1, in: 2) { bytes[at] = UInt8(random.below(256)) } else { bytes.insert(contentsOf: splices[random.below(splices.count)].latin1, at: at) }
            }
            let method: HTTPMethod = random.chance(1, in: 4) ? .head : .get
            let request = RequestHead(method: method, authority: "a", path: "/")
            #expect(ask(request, [bytes[...]]) == ask(request, pieces(bytes, &random)), "\(String(decoding: bytes, as: UTF8.self).debugDescription)")
        }
    }

    @Test func `two engines that exchange random messages in random pieces understand each other`() {
        fuzz("http1-pair", executions: 150) { (random) throws in
            let client = HTTP1Connection(role: .client)
            let server = HTTP1Connection(role: .server)
            if random.chance(1, in: 8) { server.shutdown() }
            for _ in 0..<8 where client.isReusable { try exchange(client, server, &random) }
        }
    }

    /// One exchange; both sides must report what the other said.
    private func exchange(_ client: HTTP1Connection, _ server: HTTP1Connection, _ random: inout Random) throws {
        let request = Draft(&random, isRequest: true)
        let response = Draft(&random, isRequest: false)
        let methods: [HTTPMethod] = [.get, .post, .put, .head, .delete, .other("LINK")]
        var head = RequestHead(method: methods[random.below(methods.count)], authority: "a:\(random.below(9))", path: HTTPText("/" + String(repeating: "p", count: random.below(40))), headers: request.headers)
        head.isAbsoluteForm = random.chance(1, in: 8)
        let statuses: [UInt16] = [200, 201, 204, 304, 404, 503]
        let status = statuses[random.below(statuses.count)]
        let isBodiless = head.method == .head || status == 204 || status == 304
        let answer = ResponseHead(status: status, headers: isBodiless ? [:] : response.headers)

        var up = ByteBuffer()
        var down = ByteBuffer()
        var heard = HTTP1Log()
        var told = HTTP1Log()
        var serverStream: HTTPStreamID?
        var sendingUp = request.steps
        var sendingDown = isBodiless ? [] : response.steps
        var isAnswered = false
        let stream = try client.sendRequest(head, endStream: sendingUp.isEmpty)
        var quietTurns = 0
        while quietTurns < 50 {
            quietTurns += 1
            switch random.below(4) {
            case 0 where !sendingUp.isEmpty:
                quietTurns = 0
                try sendingUp.removeFirst().send(client, stream, isLast: sendingUp.isEmpty)
            case 1:
                guard let serverStream else { break }
                if !isAnswered {
                    isAnswered = true
                    quietTurns = 0
                    if random.chance(1, in: 4) { try server.sendResponse(serverStream, ResponseHead(status: 103), endStream: false) }
                    try server.sendResponse(serverStream, answer, endStream: sendingDown.isEmpty)
                } else if !sendingDown.isEmpty {
                    quietTurns = 0
                    try sendingDown.removeFirst().send(server, serverStream, isLast: sendingDown.isEmpty)
                }
            case 2:
                client.drainOutput(into: &up)
                if transfer(&up, server, &random) { quietTurns = 0 }
                while let event = server.nextEvent() {
                    quietTurns = 0
                    if case .request(let id, _, _) = event { serverStream = id }
                    heard.note(event, of: server)
                }
            default:
                server.drainOutput(into: &down)
                if transfer(&down, client, &random) { quietTurns = 0 }
                while let event = client.nextEvent() {
                    quietTurns = 0
                    told.note(event, of: client)
                }
            }
        }
        heard.finish()
        told.finish()
        #expect(heard.failure == nil, "\(heard)")
        #expect(told.failure == nil, "\(told)")
        #expect(heard.lines.first?.contains("\(head.method) ") == true)
        #expect(heard.lines.first?.contains(" \(head.path) ") == true, "\(heard)")
        #expect(heard.lines.filter { $0.hasPrefix("request ") }.count == 1)
        #expect(body(heard) == request.body, "\(heard)")
        #expect(body(told) == (isBodiless ? "" : response.body), "\(told)")
        #expect(told.lines.contains { $0.hasPrefix("response \(stream.rawValue) \(status) ") })
        #expect(client.isReusable == server.isReusable || !client.isReusable)
    }

    private func body(_ log: HTTP1Log) -> String {
        log.lines.filter { $0.hasPrefix("data ") }.map { String($0.dropFirst(5)) }.map { $0.hasSuffix(" end") ? String($0.dropLast(4)) : $0 }.joined()
    }

    private func transfer(_ buffer: inout ByteBuffer, _ engine: HTTP1Connection, _ random: inout Random) -> Bool {
        guard !buffer.isEmpty else { return false }
        let count = 1 + random.below(buffer.count)
        buffer.withBytes { engine.receive($0.extracting(first: count), now: .zero) }
        buffer.consume(count)
        return true
    }
}

/// A message body to be, with the head fields that frame it and the steps in which it is sent.
private struct Draft {
    enum Step {
        case data(String)
        case trailers(Headers)

        func send(_ engine: HTTP1Connection, _ stream: HTTPStreamID, isLast: Bool) throws(Refusal) {
            switch self {
            case .data(let text): try engine.send(stream, text, endStream: isLast)
            case .trailers(let trailers): try engine.sendTrailers(stream, trailers)
            }
        }
    }

    var headers: Headers = [:]
    var steps: [Step] = []
    var body = ""

    init(_ random: inout Random, isRequest: Bool) {
        for i in 0..<random.below(6) { headers.add("x-\(i)", String(repeating: "v", count: random.below(30))) }
        let pieces = random.below(4)
        for _ in 0..<pieces {
            let text = String(repeating: "b", count: random.below(3) == 0 ? 0 : random.below(300))
            body += text
            steps.append(.data(text))
        }
        if pieces > 0, random.chance(1, in: 2) {
            headers.add("content-length", "\(body.utf8.count)")
        } else if pieces > 0, random.chance(1, in: 2) {
            steps.append(.trailers(["t": "1"]))
        }
    }
}
