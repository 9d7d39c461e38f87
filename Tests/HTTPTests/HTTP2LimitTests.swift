// Every bound of HTTP/2 in Limits.swift, by name: who exceeds it, and what happens then.

import Base
import Testing

@testable import HTTP

@Suite struct HTTP2LimitTests {
    private static let opening = Wire.preface + Wire.settings()

    private func server(_ change: (inout HTTPLimits, inout HTTP2Settings) -> Void = { _, _ in }) -> HTTP2End {
        var limits = HTTPLimits()
        var settings = HTTP2Settings()
        change(&limits, &settings)
        let end = HTTP2End(HTTP2Connection(role: .server, settings: settings, limits: limits, now: .zero))
        end.receive(Self.opening)
        return end
    }

    private func expectCalm(_ end: HTTP2End) {
        #expect(end.failure?.code == HTTP2ErrorCode.enhanceYourCalm)
        let frames = Wire.frames(end.output())
        #expect(frames.last?.type == 7)
        #expect(frames.last?.payload[7] == UInt8(HTTP2ErrorCode.enhanceYourCalm))
        #expect(end.engine.streamCount == 0)
    }

    @Test func `resetsBurst stops a rapid reset`() {
        let end = server { limits, _ in limits.resetsBurst = 50 }
        for i in 0..<51 { end.receive(Wire.headers(UInt32(2 * i + 1), Wire.get) + Wire.reset(UInt32(2 * i + 1))) }
        expectCalm(end)
        #expect(end.resets.count == 50)
    }

    @Test func `resetsPerSecond lets a steady trickle of resets pass`() {
        let end = server { limits, _ in
            limits.resetsBurst = 10
            limits.resetsPerSecond = 10
        }
        for i in 0..<200 {
            let id = UInt32(2 * i + 1)
            end.receive(Wire.headers(id, Wire.get) + Wire.reset(id), now: Instant.zero + .milliseconds(Int64(i) * 100))
        }
        #expect(end.failure == nil)
    }

    @Test func `resetAgeMin tells a caller that gave up from a flood`() throws {
        let end = server { limits, _ in limits.resetsBurst = 5 }
        for i in 0..<50 {
            let id = UInt32(2 * i + 1)
            end.receive(Wire.headers(id, Wire.get), now: Instant.zero + .seconds(0))
            end.receive(Wire.reset(id), now: Instant.zero + .seconds(1))
        }
        #expect(end.failure == nil)
        // A response under way is no flood either.
        for i in 50..<100 {
            let id = UInt32(2 * i + 1)
            end.receive(Wire.headers(id, Wire.get))
            try end.engine.sendResponse(HTTPStreamID(rawValue: id), ResponseHead(status: 200), endStream: false)
            end.receive(Wire.reset(id))
        }
        #expect(end.failure == nil)
    }

    @Test func `streams that end regularly pay for resets`() throws {
        let end = server { limits, _ in
            limits.resetsBurst = 5
            limits.resetsPerSecond = 1
        }
        for i in 0..<100 {
            let id = UInt32(4 * i + 1)
            end.receive(Wire.headers(id, Wire.get) + Wire.headers(id + 2, Wire.get) + Wire.reset(id + 2))
            try end.engine.sendResponse(HTTPStreamID(rawValue: id), ResponseHead(status: 200), endStream: true)
        }
        #expect(end.failure == nil)
    }

    @Test(arguments: [
        Wire.windowUpdate(1, 0), Wire.windowUpdate(1, 0x7fff_ffff), Wire.frame(2, stream: 1, [0]), Wire.headers(1, [("x", "1")], end: false),
    ])
    func `resetsBurst stops a client that makes us reset`(fault: [UInt8]) {
        let end = server { limits, _ in limits.resetsBurst = 50 }
        for i in 0..<51 {
            let id = UInt32(2 * i + 1)
            var aimed = fault
            aimed.replaceSubrange(5..<9, with: Wire.word(id))
            end.receive(Wire.headers(id, Wire.post, end: false) + aimed)
        }
        expectCalm(end)
    }

    @Test func `maxConcurrentStreams refuses further streams and counts them`() throws {
        let end = server { limits, settings in
            settings.maxConcurrentStreams = 2
            limits.resetsBurst = 5
        }
        end.receive((0..<3).flatMap { Wire.headers(UInt32(2 * $0 + 1), Wire.post, end: false) })
        #expect(end.requests.count == 2)
        let refusal = Wire.frames(end.output()).last
        #expect(refusal?.type == 3 && refusal?.stream == 5 && refusal?.payload == [0, 0, 0, 7])
        #expect(end.log.count == 2)
        // One ends, and another one finds room.
        try end.engine.sendResponse(HTTPStreamID(rawValue: 1), ResponseHead(status: 200), endStream: true)
        end.receive(Wire.data(1, "", end: true) + Wire.headers(7, Wire.get))
        #expect(end.requests.count == 3)
        end.receive((4..<10).flatMap { Wire.headers(UInt32(2 * $0 + 1), Wire.get) })
        expectCalm(end)
    }

    @Test func `streamsMax holds when no number is announced`() {
        let end = server { limits, _ in limits.streamsMax = 3 }
        end.receive((0..<5).flatMap { Wire.headers(UInt32(2 * $0 + 1), Wire.get) })
        #expect(end.requests.count == 3)
        #expect(end.failure == nil)
    }

    @Test func `a client keeps to the streams that the server allows`() throws {
        var settings = HTTP2Settings()
        settings.maxConcurrentStreams = 2
        var pair = HTTP2Pair(server: settings)
        pair.drive()
        let first = try pair.request()
        _ = try pair.request()
        #expect(!pair.client.engine.isReusable)
        #expect(throws: Refusal.self) { try pair.request() }
        pair.drive()
        try pair.respond(first)
        pair.drive()
        #expect(pair.client.engine.isReusable)
        _ = try pair.request()
    }

    @Test func `streamsBeforeSettingsMax holds a client back until the server has spoken`() throws {
        var limits = HTTPLimits()
        limits.streamsBeforeSettingsMax = 2
        let client = HTTP2End(HTTP2Connection(role: .client, limits: limits, now: .zero))
        let head = RequestHead(method: .get, authority: "a", path: "/")
        _ = try client.engine.sendRequest(head, endStream: true)
        _ = try client.engine.sendRequest(head, endStream: true)
        #expect(throws: Refusal.self) { try client.engine.sendRequest(head, endStream: true) }
        client.receive(Wire.settings())
        _ = try client.engine.sendRequest(head, endStream: true)
        // A limit equal to the assumed one holds through further SETTINGS.
        client.receive(Wire.settings([(3, 3)]) + Wire.settings())
        #expect(!client.engine.isReusable)
    }

    @Test func `continuationsMax stops a flood of fragments`() {
        let end = server()
        end.receive(Wire.frame(1, stream: 1, [0x82]))
        for _ in 0..<65 { end.receive(Wire.frame(9, stream: 1, [0x86])) }
        expectCalm(end)
    }

    @Test func `headerBlockBytesMax stops an endless block`() {
        let end = server()
        end.receive(Wire.frame(1, stream: 1, [0x82]))
        for _ in 0..<17 { end.receive(Wire.frame(9, stream: 1, [UInt8](repeating: 0x86, count: 16_384))) }
        expectCalm(end)
    }

    @Test func `maxHeaderListBytes is answered with 431 and spares the connection`() throws {
        let end = server { _, settings in settings.maxHeaderListBytes = 2000 }
        let long = Wire.get + (0..<30).map { ("x-\($0)", String(repeating: "v", count: 60)) }
        _ = end.output()
        end.receive(Wire.headers(1, long) + Wire.headers(3, Wire.get))
        #expect(end.failure == nil)
        #expect(end.requests.map(\.stream.rawValue) == [3])
        let frames = Wire.frames(end.output())
        #expect(frames.map(\.type).prefix(2) == [1, 3])
        let plain = PlainDecoder()
        #expect(try plain.decode(frames[0].payload).first == ":status: 431")
        #expect(end.resets[1]?.code == HTTP2ErrorCode.enhanceYourCalm)
    }

    @Test func `a list above the announced size costs its stream only, a bomb the connection`() {
        let end = server()
        let entry: [UInt8] = [0x40, 1, 0x61, 0x7f, 0xa1, 0x1e] + [UInt8](repeating: 0x62, count: 4000)
        end.receive(Wire.frame(1, flags: 5, stream: 1, Wire.block(Wire.get) + entry + [UInt8](repeating: 0xbe, count: 40)))
        #expect(end.resets[1]?.code == HTTP2ErrorCode.enhanceYourCalm)
        // The table is in step: the entry is still there.
        end.receive(Wire.frame(1, flags: 5, stream: 3, Wire.block(Wire.get) + [0xbe]))
        #expect(end.requests.first?.head.headers.count == 1)
        _ = end.output()
        end.receive(Wire.frame(1, flags: 5, stream: 5, Wire.block(Wire.get) + [UInt8](repeating: 0xbe, count: 12_000)))
        expectCalm(end)
    }

    @Test(arguments: [
        ("PING", Wire.frame(6, [UInt8](repeating: 1, count: 8))), ("SETTINGS", Wire.settings([(4, 65_535)])), ("SETTINGS acknowledgement", Wire.frame(4, flags: 1)),
        ("empty DATA", Wire.frame(0, stream: 1)), ("padding", Wire.frame(0, flags: 8, stream: 1, [0])), ("PRIORITY", Wire.frame(2, stream: 9, [0, 0, 0, 3, 1])),
        ("WINDOW_UPDATE", Wire.windowUpdate(1, 1)), ("unknown frames", Wire.frame(0x30)), ("GOAWAY", Wire.frame(7, [UInt8](repeating: 0, count: 8))), ("RST_STREAM", Wire.reset(3)),
    ])
    func `controlFramesBurst stops a flood`(what: String, frame: [UInt8]) {
        let end = server { limits, _ in
            limits.controlFramesBurst = 100
            limits.resetsBurst = 10
        }
        end.receive(Wire.headers(1, Wire.post, end: false) + Wire.headers(3, Wire.get) + Wire.reset(3))
        for _ in 0..<110 where end.failure == nil { end.receive(frame) }
        expectCalm(end)
    }

    @Test func `controlFramesPerWork lets a busy peer ping and open windows`() {
        let end = server { limits, _ in limits.controlFramesBurst = 20 }
        end.receive(Wire.headers(1, Wire.post, end: false))
        for _ in 0..<1000 { end.receive(Wire.data(1, "x") + Wire.frame(6, [UInt8](repeating: 0, count: 8)) + Wire.windowUpdate(0, 1)) }
        #expect(end.failure == nil)
    }

    @Test func `controlFramesPerSecond lets a quiet peer ping`() {
        let end = server { limits, _ in
            limits.controlFramesBurst = 5
            limits.controlFramesPerSecond = 10
        }
        for i in 0..<300 { end.receive(Wire.frame(6, [UInt8](repeating: 0, count: 8)), now: Instant.zero + .milliseconds(Int64(i) * 110)) }
        #expect(end.failure == nil)
    }

    @Test func `streamQueueBytesMax bounds what waits for a peer that opens no window`() throws {
        var limits = HTTPLimits()
        limits.streamQueueBytesMax = 1000
        let end = HTTP2End(HTTP2Connection(role: .server, limits: limits, now: .zero))
        end.receive(Wire.preface + Wire.settings([(4, 0)]) + Wire.headers(1, Wire.get))
        let stream = HTTPStreamID(rawValue: 1)
        try end.engine.sendResponse(stream, ResponseHead(status: 200), endStream: false)
        try end.send(String(repeating: "w", count: 900), on: stream)
        #expect(end.engine.bytesQueued(stream) == 900)
        #expect(throws: Refusal.self) { try end.send(String(repeating: "w", count: 101), on: stream) }
        #expect(end.engine.bytesQueued(stream) == 900)
        try end.send(String(repeating: "w", count: 100), on: stream, end: true)
    }

    @Test func `closedStreamsMax bounds the memory of resets`() {
        let end = server { limits, _ in limits.closedStreamsMax = 2 }
        end.receive((0..<3).flatMap { Wire.headers(UInt32(2 * $0 + 1), Wire.post, end: false) })
        for id in [1, 3, 5] as [UInt32] { end.engine.reset(HTTPStreamID(rawValue: id), code: HTTP2ErrorCode.cancel) }
        _ = end.output()
        end.receive(Wire.data(3, "late") + Wire.data(5, "late"))
        #expect(end.output().isEmpty)
        end.receive(Wire.data(1, "late"))
        #expect(Wire.frames(end.output()).map { [$0.stream, UInt32($0.payload[3])] } == [[1, HTTP2ErrorCode.streamClosed]])
        #expect(end.failure == nil)
    }

    @Test func `the peer's MAX_HEADER_LIST_SIZE is kept`() throws {
        let client = HTTP2End(HTTP2Connection(role: .client, now: .zero))
        client.receive(Wire.settings([(6, 100)]))
        #expect(throws: Refusal.self) {
            try client.engine.sendRequest(RequestHead(method: .get, authority: "a", path: "/", headers: ["x": String(repeating: "y", count: 100)]), endStream: true)
        }
        _ = try client.engine.sendRequest(RequestHead(method: .get, authority: "a", path: "/"), endStream: true)
    }

    @Test func `repeatedBlockBytesMax and repeatedListBytesMax bound what is remembered`() {
        for (block, list, isKept) in [(128, 2048, true), (3, 2048, false), (128, 100, false)] {
            let end = server { limits, _ in
                limits.repeatedBlockBytesMax = block
                limits.repeatedListBytesMax = list
            }
            let head: [UInt8] = [0x82, 0x86, 0x84, 0x90]
            for i in 0..<3 { end.receive(Wire.frame(1, flags: 5, stream: UInt32(2 * i + 1), head)) }
            let found = head.withUnsafeBytes { end.engine.requestHeads.find($0, generation: end.engine.decoder.generation) }
            #expect((found != nil) == isKept)
            #expect(end.requests.count == 3)
        }
    }
}
