// Known attacks on HTTP/2, by the name under which they are known, each played as long as the engine lets it: how many of the attacker's
// bytes are taken before the connection ends, and how much memory the engine holds at its worst. The attacker takes what it is sent
// unless not reading is the attack.

import Base
import Testing

@testable import HTTP

/// A server engine under attack, and what it cost.
private struct Siege {
    let end: HTTP2End
    /// Bytes of the attacker that the engine took.
    var taken = 0
    /// The most that the engine held, output among it. Unit: bytes.
    var heldMax = 0
    var written = 0
    var reads = true
    /// What was written and not read. Unit: bytes.
    var unread = 0

    init(_ change: (inout HTTPLimits, inout HTTP2Settings) -> Void = { _, _ in }) {
        var limits = HTTPLimits()
        var settings = HTTP2Settings()
        settings.initialConnectionWindowBytes = 1_048_576
        settings.maxConcurrentStreams = 200
        change(&limits, &settings)
        end = HTTP2End(HTTP2Connection(role: .server, settings: settings, limits: limits, now: .zero))
        send(Wire.preface + Wire.settings() + Wire.settingsAnswer)
    }

    mutating func send(_ bytes: [UInt8], now: Instant = .zero) {
        guard end.failure == nil else { return }
        taken += bytes.count
        if !reads { end.engine.bytesBelow = unread }
        end.receive(bytes, now: now)
        heldMax = max(heldMax, end.engine.bytesHeld)
        let output = end.output()
        written += output.count
        if !reads { unread += output.count }
        heldMax = max(heldMax, end.engine.bytesHeld + unread)
    }

    /// Until the engine ends the connection, at most `times`.
    mutating func `repeat`(_ times: Int, _ bytes: (Int) -> [UInt8]) {
        for i in 0..<times where end.failure == nil { send(bytes(i)) }
    }

    var isCalmed: Bool { end.failure?.code == HTTP2ErrorCode.enhanceYourCalm }
}

private func id(_ i: Int) -> UInt32 { UInt32(2 * i + 1) }

@Suite struct HTTP2AttackTests {
    @Test func `rapid reset, CVE-2023-44487`() {
        var siege = Siege()
        siege.repeat(100_000) { Wire.headers(id($0), Wire.get) + Wire.reset(id($0)) }
        #expect(siege.isCalmed)
        #expect(siege.end.requests.count <= 1100)
        #expect(siege.heldMax < 64 * 1024, "\(siege.heldMax)")
    }

    /// Each is legal as far as it goes, and makes the server reset a stream that its backend already works on.
    @Test(arguments: ["window of 0", "window overflow", "DATA after the end", "HEADERS after the end", "PRIORITY of a wrong size", "more body than promised"])
    func `made you reset, CVE-2025-8671`(_ how: String) {
        var siege = Siege()
        siege.repeat(100_000) { i in
            let stream = id(i)
            switch how {
            case "window of 0": return Wire.headers(stream, Wire.get) + Wire.windowUpdate(stream, 0)
            case "window overflow": return Wire.headers(stream, Wire.get) + Wire.windowUpdate(stream, 0x7fff_ffff)
            case "DATA after the end": return Wire.headers(stream, Wire.get) + Wire.data(stream, "x")
            case "HEADERS after the end": return Wire.headers(stream, Wire.get) + Wire.headers(stream, [("x", "y")])
            case "PRIORITY of a wrong size": return Wire.headers(stream, Wire.get) + Wire.frame(2, stream: stream, [0])
            default: return Wire.headers(stream, Wire.post + [("content-length", "1")], end: false) + Wire.data(stream, "xy")
            }
        }
        #expect(siege.isCalmed)
        #expect(siege.end.requests.count <= 1100, "\(siege.end.requests.count)")
        #expect(siege.end.resets.count >= 900, "the owner is told, so that nobody works for a stream that is gone")
        #expect(siege.heldMax < 64 * 1024, "\(siege.heldMax)")
    }

    @Test func `streams beyond the announced number are refused and counted`() {
        var siege = Siege { _, settings in settings.maxConcurrentStreams = 10 }
        siege.repeat(100_000) { Wire.headers(id($0), Wire.get) }
        #expect(siege.isCalmed && siege.end.requests.count == 10)
        #expect(siege.heldMax < 64 * 1024, "\(siege.heldMax)")
    }

    @Test(arguments: [0, 1, 1000, 16_384]) func `CONTINUATION flood, VU#421644`(_ bytes: Int) {
        var siege = Siege()
        siege.send(Wire.frame(1, flags: 0, stream: 1, Wire.block(Wire.get)))
        let piece = Wire.frame(9, flags: 0, stream: 1, [UInt8](repeating: 0, count: bytes))
        siege.repeat(100_000) { _ in piece }
        #expect(siege.isCalmed)
        #expect(siege.taken < 300 * 1024 && siege.heldMax < 768 * 1024, "\(siege.taken) taken, \(siege.heldMax) held")
        #expect(siege.end.engine.bytesHeld < 16 * 1024, "what was gathered is let go")
    }

    /// One entry of nearly the whole table, then one byte for each repetition: a block of 12 KB says 48 MB.
    @Test func `HPACK bomb by indexed fields, CVE-2016-6581`() {
        var siege = Siege { limits, _ in limits.resetsBurst = 50 }
        let bomb = [UInt8](repeating: 0xbe, count: 12_000)
        siege.repeat(1000) { i in
            let entry: [UInt8] = i == 0 ? [0x40, 1, UInt8(ascii: "x"), 0x7f, 0x81, 0x1e] + [UInt8](repeating: UInt8(ascii: "v"), count: 3968) : []
            return Wire.frame(1, flags: 5, stream: id(i), Wire.block(Wire.get) + entry + bomb)
        }
        #expect(siege.isCalmed)
        #expect(siege.end.requests.isEmpty, "a list beyond the announced size is nobody's request")
        #expect(siege.heldMax < 512 * 1024, "\(siege.heldMax)")
    }

    /// Huffman's shortest codes have 5 bits: what arrives grows by 8/5 at most, and counts as what it says.
    @Test func `HPACK bomb by Huffman codes and new entries`() {
        var siege = Siege { limits, _ in limits.resetsBurst = 50 }
        // Sixteen times the five-bit code of 0, and so on.
        let coded = [UInt8](repeating: 0, count: 10_000)
        siege.repeat(1000) { i in
            Wire.frame(1, flags: 5, stream: id(i), Wire.block(Wire.get) + [0x40, 1, UInt8(ascii: "x"), 0xff, 0x91, 0x4d] + coded + [0x40, 1, UInt8(ascii: "y"), 0x85, 0, 0, 0, 0, 0])
        }
        #expect(siege.heldMax < 512 * 1024, "\(siege.heldMax)")
    }

    @Test func `table size updates back and forth cost what they are`() {
        var siege = Siege()
        siege.repeat(200) { i in
            var updates: [UInt8] = []
            for _ in 0..<2000 { updates += [0x20, 0x3f, 0xe1, 0x1f] }
            return Wire.frame(1, flags: 5, stream: id(i), updates + Wire.block(Wire.get))
        }
        #expect(siege.heldMax < 256 * 1024, "\(siege.heldMax)")
    }

    @Test(arguments: [
        ("PING flood, CVE-2019-9512", Wire.frame(6, [UInt8](repeating: 1, count: 8))), ("SETTINGS flood, CVE-2019-9515", Wire.settings([(4, 65_535)])),
        ("empty SETTINGS", Wire.settings()), ("empty DATA, CVE-2019-9518", Wire.frame(0, stream: 1)), ("only padding", Wire.frame(0, flags: 8, stream: 1, [200] + [UInt8](repeating: 0, count: 200))),
        ("PRIORITY churn, CVE-2019-9513", Wire.frame(2, stream: 3, [0, 0, 0, 1, 16])), ("windows by one byte, CVE-2019-9511", Wire.windowUpdate(1, 1)),
        ("unknown frames", Wire.frame(0xfa, [UInt8](repeating: 0, count: 100))),
    ])
    func `floods of frames that carry nothing`(_ name: String, _ frame: [UInt8]) {
        var siege = Siege()
        siege.send(Wire.headers(1, Wire.post, end: false))
        siege.repeat(100_000) { _ in frame }
        #expect(siege.isCalmed, "\(name)")
        #expect(siege.taken < 300 * 1024 && siege.written < 64 * 1024, "\(siege.taken) taken, \(siege.written) answered")
        #expect(siege.heldMax < 64 * 1024, "\(siege.heldMax)")
    }

    @Test(arguments: [UInt32(0), 1]) func `window overflow`(_ stream: UInt32) {
        var siege = Siege()
        siege.send(Wire.headers(1, Wire.get))
        siege.send(Wire.windowUpdate(stream, 0x7fff_ffff))
        if stream == 0 {
            #expect(siege.end.failure?.code == HTTP2ErrorCode.flowControlError)
        } else {
            #expect(siege.end.failure == nil && siege.end.resets[1]?.code == HTTP2ErrorCode.flowControlError)
        }
    }

    @Test func `window overflow by SETTINGS`() {
        var siege = Siege()
        siege.send(Wire.headers(1, Wire.get) + Wire.windowUpdate(1, 0x7fff_0000))
        siege.send(Wire.settings([(4, 0x7fff_ffff)]))
        #expect(siege.end.failure?.code == HTTP2ErrorCode.flowControlError)
    }

    /// The windows of streams are closed from the start: responses wait here, and the owner sees how much.
    @Test func `slow reader by closed windows`() throws {
        var siege = Siege()
        siege.send(Wire.settings([(4, 0)]))
        for i in 0..<200 { siege.send(Wire.headers(id(i), Wire.get)) }
        for i in 0..<200 {
            let stream = HTTPStreamID(rawValue: id(i))
            try siege.end.engine.sendResponse(stream, ResponseHead(status: 200), endStream: false)
            try siege.end.send(String(repeating: "w", count: 5000), on: stream)
        }
        #expect(siege.end.engine.bytesQueued == 1_000_000)
        // A reset gives everything back at once.
        for i in 0..<200 { siege.send(Wire.reset(id(i))) }
        #expect(siege.end.engine.bytesQueued == 0)
        #expect(siege.end.engine.bytesHeld < 256 * 1024, "\(siege.end.engine.bytesHeld)")
    }

    /// The windows of HTTP/2 are open and that of TCP is closed: whatever needs no window waits here.
    @Test(arguments: ["heads", "PING", "SETTINGS"]) func `internal data buffering, CVE-2019-9517`(_ what: String) throws {
        var siege = Siege()
        siege.reads = false
        var asked = 0
        for i in 0..<200_000 where siege.end.failure == nil {
            asked = i
            // A byte of body is honest work, which pays for what follows.
            switch what {
            case "heads":
                siege.send(Wire.headers(id(i), Wire.get))
                let head = ResponseHead(status: 204, headers: ["x-long": String(repeating: "h", count: 500) + "\(i)"])
                if siege.end.failure == nil { try siege.end.engine.sendResponse(HTTPStreamID(rawValue: id(i)), head, endStream: true) }
            case "PING":
                siege.send(i == 0 ? Wire.headers(1, Wire.post, end: false) : Wire.data(1, "x") + (0..<9).flatMap { _ in Wire.frame(6, [UInt8](repeating: 1, count: 8)) })
            default:
                siege.send(i == 0 ? Wire.headers(1, Wire.post, end: false) : Wire.data(1, "x") + (0..<9).flatMap { _ in Wire.settings() })
            }
        }
        #expect(siege.isCalmed, "after \(asked)")
        #expect(siege.heldMax < 3 * 1024 * 1024, "\(siege.heldMax)")
    }

    /// The same traffic of a client that reads is none of this.
    @Test func `a client that reads may ask for ever`() throws {
        var siege = Siege()
        for i in 0..<20_000 {
            siege.send(Wire.headers(id(i), Wire.get))
            let head = ResponseHead(status: 204, headers: ["x-long": String(repeating: "h", count: 500) + "\(i)"])
            try siege.end.engine.sendResponse(HTTPStreamID(rawValue: id(i)), head, endStream: true)
        }
        #expect(siege.end.failure == nil)
        #expect(siege.heldMax < 64 * 1024, "\(siege.heldMax)")
    }

    /// A client that reads slowly is measured by what it has not taken, not by what it ever was sent.
    @Test func `a client that reads behind is spared`() throws {
        var siege = Siege()
        siege.reads = false
        for i in 0..<20_000 {
            siege.unread = min(siege.unread, 200_000)
            siege.send(Wire.headers(id(i), Wire.get))
            try siege.end.engine.sendResponse(HTTPStreamID(rawValue: id(i)), ResponseHead(status: 204, headers: ["x-long": String(repeating: "h", count: 500) + "\(i)"]), endStream: true)
        }
        #expect(siege.end.failure == nil)
    }

    @Test func `informational heads without end`() throws {
        let client = HTTP2End(HTTP2Connection(role: .client, now: .zero))
        _ = try client.engine.sendRequest(RequestHead(method: .get, authority: "a", path: "/"), endStream: true)
        client.receive(Wire.settings())
        for _ in 0..<100 { client.receive(Wire.headers(1, [(":status", "103"), ("link", "<a>")], end: false)) }
        #expect(client.responses.count == HTTPLimits().informationalsMax)
        #expect(client.resets[1]?.code == HTTP2ErrorCode.enhanceYourCalm && client.failure == nil)
    }
}
