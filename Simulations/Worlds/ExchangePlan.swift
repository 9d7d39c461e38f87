// Exchanges drawn from a seed, to be made in two worlds: what a client says on a connection, piece by piece, and what the server answers.
// Most are what clients and servers really send; a good part is wrong in one of the ways in which proxies have been fooled. Left out is
// what depends on who is faster (half-closing early, answering before the request is read): two worlds need not agree on a race.

import Base

/// One connection's worth of conversation.
struct Exchange: Sendable {
    /// Where it goes, and so who reads it.
    enum Kind: String, Sendable, CaseIterable { case http1, http2, bytes }

    var number: Int
    var kind: Kind
    /// What the client writes, each piece in a turn of its own. HTTP/2: pieces of the body.
    var pieces: [[UInt8]]
    /// For each request, whether it is HEAD.
    var heads: [Bool]
    /// For each request, what the server says to it.
    var answers: [Answer]
    /// HTTP/2 only.
    var method = ""
    var path = ""
    var fields: [(name: String, value: String)] = []
    /// The request, by its index, that no server may see: its framing or its fields can be read in two ways.
    var refused: Int?
    /// In words: what was drawn.
    var note: String

    struct Answer: Sendable {
        /// HTTP/1 and bytes: written as they are.
        var bytes: [UInt8] = []
        /// The connection ends behind the bytes.
        var closes = false
        /// HTTP/2: the parts of a response.
        var status: UInt16 = 200
        var fields: [(name: String, value: String)] = []
        var body: [UInt8] = []
        var trailers: [(name: String, value: String)] = []
        /// Instead of all that.
        var reset: UInt32?
    }
}

/// All exchanges of a run.
public struct ExchangePlan: Sendable {
    public static let host = "api.worlds.svc.cluster.local"
    static let http1Port: UInt16 = 80
    static let http2Port: UInt16 = 8080
    static let bytesPort: UInt16 = 9000
    /// Names an exchange and the request within it to the server: `12.0`.
    static let tag = "x-exchange"

    let exchanges: [Exchange]

    /// The same seed and count give the same plan anywhere.
    public init(seed: UInt64, count: Int) {
        let root = Random(seed: seed)
        exchanges = (0..<count).map { number in
            var draw = Draw(random: root.fork("exchange \(number)"), number: number)
            return draw.exchange()
        }
    }
}

/// Draws one exchange.
private struct Draw {
    var random: Random
    let number: Int
    private var notes: [String] = []
    private var refused: Int?

    init(random: Random, number: Int) {
        self.random = random
        self.number = number
    }

    private mutating func pick<T>(_ choices: [T]) -> T { choices[random.below(choices.count)] }
    private mutating func chance(_ percent: UInt64) -> Bool { random.chance(percent, in: 100) }

    private mutating func text(_ count: Int, of letters: String = "abcdefghijklmnopqrstuvwxyz0123456789") -> String {
        let letters = Array(letters.utf8)
        return String(decoding: (0..<count).map { _ in letters[random.below(letters.count)] }, as: UTF8.self)
    }

    /// Mostly small, now and then more than a segment, a TLS record or a window of a stream.
    private mutating func size() -> Int { chance(60) ? random.below(200) : chance(70) ? random.below(5_000) : random.below(90_000) }

    private mutating func bytes(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        bytes.withUnsafeMutableBytes { random.fill($0) }
        return bytes
    }

    mutating func exchange() -> Exchange {
        switch random.below(10) {
        case 0..<6: http1()
        case 6..<9: http2()
        default: conversation()
        }
    }

    private func made(_ kind: Exchange.Kind, _ pieces: [[UInt8]], heads: [Bool], _ answers: [Exchange.Answer]) -> Exchange {
        Exchange(number: number, kind: kind, pieces: pieces, heads: heads, answers: answers, refused: refused, note: notes.joined(separator: ", "))
    }

    private mutating func split(_ bytes: [UInt8]) -> [[UInt8]] {
        guard bytes.count > 1, chance(50) else { return [bytes] }
        let cuts = (0..<(1 + random.below(5))).map { _ in 1 + random.below(bytes.count - 1) }.sorted()
        var pieces: [[UInt8]] = []
        var start = 0
        for cut in cuts + [bytes.count] where cut > start {
            pieces.append(Array(bytes[start..<cut]))
            start = cut
        }
        return pieces
    }

    // MARK: Bytes

    private mutating func conversation() -> Exchange {
        notes = ["bytes"]
        var said = Array("\(number).0\n".utf8)
        said += bytes(size())
        return made(.bytes, split(said), heads: [], [Exchange.Answer(bytes: bytes(size()), closes: true)])
    }

    // MARK: HTTP/2

    private mutating func http2() -> Exchange {
        let method = pick(["GET", "GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "HEAD"])
        notes = ["HTTP/2", method]
        let body = method == "GET" || method == "HEAD" || chance(20) ? [] : bytes(size())
        var answer = Exchange.Answer()
        if chance(8) {
            answer.reset = pick([0x1, 0x2, 0x8, 0xb])
            notes.append("reset \(answer.reset!)")
        } else {
            answer.status = status()
            answer.fields = fields(hopByHop: false)
            if answer.status != 204, answer.status != 304, method != "HEAD" {
                answer.body = chance(25) ? [] : bytes(size())
                if chance(50) { answer.fields.append(("content-length", "\(answer.body.count)")) }
                if chance(25) { answer.trailers = [("x-checksum", text(8)), ("grpc-status", "\(random.below(17))")] }
            }
        }
        var exchange = made(.http2, body.isEmpty ? [] : split(body), heads: [method == "HEAD"], [answer])
        exchange.method = method
        exchange.path = path()
        exchange.fields = fields(hopByHop: false)
        if chance(20) { exchange.fields.append(("te", "trailers")) }
        return exchange
    }

    // MARK: HTTP/1

    private mutating func http1() -> Exchange {
        let count = chance(75) ? 1 : 2 + random.below(2)
        var said: [UInt8] = []
        var heads: [Bool] = []
        var answers: [Exchange.Answer] = []
        for i in 0..<count {
            let isLast = i == count - 1
            // A connection that begins with a method which nobody registered is HTTP or not by how much of it arrives first.
            let method = pick(["GET", "GET", "GET", "POST", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "HEAD"] + (i > 0 ? ["PURGE", "M-SEARCH"] : []))
            notes.append(method)
            said += request(method, i, isLast: isLast, mayBeWrong: isLast)
            heads.append(method == "HEAD")
            answers.append(response(to: method, mayBeWrong: isLast))
        }
        return made(.http1, split(said), heads: heads, answers)
    }

    private mutating func path() -> String {
        var path = "/" + text(random.below(20), of: "abcxyz/-._~")
        if chance(10) { path += "%2e%2e%2F%00" }
        if chance(20) { path += "?" + text(random.below(60), of: "abc=&?/:@!$'()*+,;") }
        if chance(2) { path += "/" + text(3_000) }
        return path
    }

    private mutating func fields(hopByHop: Bool) -> [(name: String, value: String)] {
        var fields: [(String, String)] = []
        for _ in 0..<random.below(5) {
            switch random.below(hopByHop ? 12 : 9) {
            case 0: fields.append(("x-empty", ""))
            case 1: fields.append(("x-obs", "caf\u{e9} \u{2603}"))
            case 2: fields.append(("x-long", text(random.below(4_000))))
            case 3: fields.append(("accept", "text/html, */*;q=0.8"))
            case 4: fields.append(("x-twice", text(3)))
            case 5: fields.append(("x-twice", text(4)))
            case 6: fields.append(("cookie", "a=\(text(5)); b=\(text(6))"))
            case 7: fields.append(("l5d-client-id", "root.everywhere.serviceaccount.identity.linkerd.cluster.local"))
            case 8: fields.append(("user-agent", "exchange/1"))
            case 9:
                fields.append(("connection", "x-private"))
                fields.append(("x-private", "not for others"))
            case 10: fields.append(("keep-alive", "timeout=5"))
            default: fields.append(("proxy-connection", "keep-alive"))
            }
        }
        return fields
    }

    private mutating func request(_ method: String, _ index: Int, isLast: Bool, mayBeWrong: Bool) -> [UInt8] {
        var fault = mayBeWrong && chance(25) ? random.below(22) : -1
        var target = path()
        if method == "OPTIONS", chance(40) { target = "*" } else if chance(8) { target = "http://\(ExchangePlan.host)\(target)" }
        var host = pick([ExchangePlan.host, ExchangePlan.host, ExchangePlan.host.uppercased(), "\(ExchangePlan.host):80"])
        if chance(5) { host = "elsewhere.example" }
        var lines = ["\(method) \(target) HTTP/\(isLast && chance(8) ? "1.0" : "1.1")"]
        var fields = [("Host", host), (ExchangePlan.tag, "\(number).\(index)")] + self.fields(hopByHop: true)
        if isLast { fields.append(("Connection", "close")) }
        let hasBody = method != "GET" && method != "HEAD" && method != "OPTIONS" && chance(85)
        var body: [UInt8] = []
        if hasBody || (fault >= 0 && fault < 8) {
            body = bytes(size())
            if fault < 0, chance(40) {
                fields.append(("Transfer-Encoding", "chunked"))
                body = chunks(body)
            } else if fault < 0 || fault > 7 {
                fields.append(("Content-Length", "\(body.count)"))
            }
            if fault < 0, chance(10) { fields.append(("Expect", "100-continue")) }
        }
        switch fault {
        case 0: fields += [("Content-Length", "\(body.count)"), ("Transfer-Encoding", "chunked")]
        case 1: fields += [("Content-Length", "\(body.count)"), ("Content-Length", "\(body.count + 1)")]
        case 2: fields += [("Content-Length", "\(body.count)"), ("Content-Length", "\(body.count)")]
        case 3: fields.append(("Content-Length", "-\(body.count + 1)"))
        case 4: fields.append(("Content-Length", "+\(body.count)"))
        case 5: fields.append(("Transfer-Encoding", pick(["identity", "gzip, chunked", "chunked, chunked", "xchunked", "chunked;q=1"])))
        case 6:
            fields.append(("Transfer-Encoding", "chunked"))
            body = Array(pick(["zz\r\n", "-1\r\nx\r\n", "ffffffffffffffff1\r\n", "1\r\nxx\r\n0\r\n\r\n", "1\nx\n0\n\n", "0x1\r\nx\r\n0\r\n\r\n"]).utf8)
        case 7:
            fields.append(("Content-Length", "\(body.count), \(body.count)"))
        case 8: fields.append(("x-space ", "before the colon"))
        case 9: fields.append(("x-folded", "one\r\n two"))
        case 10: fields.append(("x-nul", "a\0b"))
        case 11: fields.append(("x-control", "a\u{1}b"))
        case 12: fields.append(("", "no name"))
        case 13: fields.append(("x(y)", "no token"))
        case 14: fields.removeFirst()
        case 15: fields.append(("Host", "second.example"))
        case 16: lines[0] = "\(method) \(target) HTTP/1.2"
        // Not in a first request: by how much of it arrives first, it is HTTP gone wrong or no HTTP.
        case 17 where index > 0: lines[0] = "\(method) \(target) extra HTTP/1.1"
        case 18 where index > 0: lines[0] = "\(method)  \(target) HTTP/1.1"
        case 19: fields += (0..<150).map { ("x-many-\($0)", "1") }
        case 20: fields.append(("x-huge", text(70_000)))
        case 21: fields.append(("x-bare", "carriage\rreturn"))
        default: fault = -1
        }
        if fault >= 0 { notes.append("request fault \(fault)") }
        if [0, 1, 3, 4, 6, 8, 9, 10, 11, 12, 13, 20, 21].contains(fault) { refused = index }
        lines += fields.map { "\($0.0):\(pick([" ", "", "\t", "  "]))\($0.1)" }
        return Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) + body
    }

    /// A chunked body, with extensions and trailers now and then.
    private mutating func chunks(_ body: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        for piece in split(body) where !piece.isEmpty {
            out += Array((String(piece.count, radix: 16, uppercase: chance(50)) + (chance(15) ? ";name=value" : "") + "\r\n").utf8) + piece + [13, 10]
        }
        out += Array("0\r\n".utf8)
        if chance(20) { out += Array("x-checksum: \(text(8))\r\n".utf8) }
        return out + [13, 10]
    }

    // MARK: Responses

    private mutating func status() -> UInt16 { pick([200, 200, 200, 200, 201, 202, 204, 206, 301, 304, 400, 404, 418, 429, 500, 503]) }

    private mutating func response(to method: String, mayBeWrong: Bool) -> Exchange.Answer {
        var fault = mayBeWrong && chance(20) ? random.below(14) : -1
        let status = status()
        notes.append("\(status)")
        var lines = ["HTTP/1.1 \(status) \(pick(["OK", "", "Some Words"]))"]
        var fields = self.fields(hopByHop: true)
        var body: [UInt8] = []
        var answer = Exchange.Answer()
        let isBare = status == 204 || status == 304
        if !isBare {
            body = bytes(size())
            switch fault >= 0 ? 0 : random.below(4) {
            case 0, 1: fields.append(("Content-Length", "\(body.count)"))
            case 2:
                fields.append(("Transfer-Encoding", "chunked"))
                body = chunks(body)
            default:
                answer.closes = true
                fields.append(("Connection", "close"))
            }
            if method == "HEAD" { body = [] }
        }
        var interim = ""
        if chance(8) { interim = "HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n" }
        if fault >= 0 { answer.closes = true }
        switch fault {
        case 0: lines[0] = "HTTP/1.1 20 OK"
        case 1: lines[0] = "HTTQ/1.1 200 OK"
        case 2: lines[0] = "HTTP/1.1 999999 OK"
        case 3: fields.append(("Transfer-Encoding", "chunked"))
        case 4: fields.append(("Content-Length", "1\(body.count)"))
        case 5: fields.append(("x-space ", "before the colon"))
        case 6: fields.append(("x-folded", "one\r\n two"))
        case 7: fields.append(("x-nul", "a\0b"))
        case 8:
            lines = []
            fields = []
            body = []
            interim = ""
        case 9: fields.append(("x-huge", text(70_000)))
        case 10: lines[0] = "HTTP/1.1 101 Switching Protocols"
        case 11: lines[0] = "HTTP/2.0 200 OK"
        case 12: fields.append(("x(y)", "no token"))
        case 13: lines[0] = "HTTP/1.1 200"
        default: fault = -1
        }
        if fault >= 0 { notes.append("response fault \(fault)") }
        if fault == 8 { return answer }
        lines += fields.map { "\($0.0): \($0.1)" }
        answer.bytes = Array((interim + lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) + body
        return answer
    }
}
