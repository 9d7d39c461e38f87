// Windows and queues: what may be sent, what waits, who goes first, and that received bytes open windows only when the owner says so.

import Base
import Testing

@testable import HTTP

@Suite struct HTTP2FlowTests {
    @Test func `a stream may not send past a closed window`() throws {
        var pair = HTTP2Pair(windowBytes: 10)
        pair.server.acknowledges = false
        let stream = try pair.request(.post, "/upload", end: false)
        try pair.client.send("0123456789+", on: stream)
        pair.drive()
        #expect(pair.server.body(stream) == "0123456789")
        #expect(pair.client.engine.bytesQueued(stream) == 1)
        #expect(pair.client.writable.isEmpty)
        pair.server.engine.acknowledge(stream, bytes: 10)
        pair.drive()
        #expect(pair.server.body(stream) == "0123456789+")
        #expect(pair.client.engine.bytesQueued(stream) == 0)
        #expect(pair.client.writable == [1])
    }

    @Test func `windows open again only by what was acknowledged, from half a window on`() throws {
        var pair = HTTP2Pair(windowBytes: 100)
        pair.server.acknowledges = false
        let stream = try pair.request(.post, end: false)
        try pair.client.send(String(repeating: "a", count: 300), on: stream)
        pair.drive()
        #expect(pair.server.body(stream).count == 100)
        pair.server.engine.acknowledge(stream, bytes: 49)
        #expect(pair.server.output().isEmpty)
        pair.server.engine.acknowledge(stream, bytes: 1)
        let frames = Wire.frames(pair.server.output())
        #expect(frames.map(\.type) == [8])
        #expect(frames[0].payload == [0, 0, 0, 50])
    }

    @Test func `what is acknowledged twice opens nothing twice`() throws {
        var pair = HTTP2Pair(windowBytes: 100)
        pair.server.acknowledges = false
        let stream = try pair.request(.post, end: false)
        try pair.client.send("0123456789", on: stream)
        pair.drive()
        for _ in 0..<20 { pair.server.engine.acknowledge(stream, bytes: 10) }
        #expect(pair.server.output().isEmpty)
    }

    @Test func `finished streams hold the connection's window until their bytes have moved on`() throws {
        var settings = HTTP2Settings()
        settings.initialStreamWindowBytes = 40_000
        var pair = HTTP2Pair(server: settings)
        pair.server.acknowledges = false
        pair.drive()
        let body = String(repeating: "x", count: 40_000)
        var streams: [HTTPStreamID] = []
        for _ in 0..<2 {
            streams.append(try pair.request(.post, end: false))
            try pair.client.send(body, on: streams.last!, end: true)
        }
        pair.drive()
        #expect(pair.server.body(streams[0]).count == 40_000)
        #expect(pair.server.body(streams[1]).count == 25_535)
        try pair.respond(streams[0])
        pair.drive()
        #expect(pair.server.engine.streamCount == 1)
        #expect(pair.server.body(streams[1]).count == 25_535)
        pair.server.engine.acknowledge(streams[0], bytes: 40_000)
        pair.drive()
        #expect(pair.server.body(streams[1]).count == 40_000)
        #expect(pair.server.ended.contains(3))
    }

    @Test func `bytes of a reset stream no longer hold the connection's window`() throws {
        var pair = HTTP2Pair()
        pair.server.acknowledges = false
        let first = try pair.request(.post, end: false)
        try pair.client.send(String(repeating: "x", count: 65_535), on: first)
        pair.drive()
        pair.server.engine.reset(first, code: HTTP2ErrorCode.cancel)
        pair.server.engine.acknowledge(first, bytes: 65_535)
        pair.drive()
        #expect(pair.client.resets[1]?.code == HTTP2ErrorCode.cancel)
        let second = try pair.request(.post, end: false)
        try pair.client.send(String(repeating: "y", count: 65_535), on: second)
        pair.drive()
        #expect(pair.server.body(second).count == 65_535)
        #expect(pair.server.engine.receiveWindow == 0)
    }

    @Test func `late frames behind our reset are ignored and still count for the connection`() throws {
        var pair = HTTP2Pair()
        let stream = try pair.request(.post, end: false)
        pair.drive()
        try pair.client.send(String(repeating: "x", count: 40_000), on: stream)
        try pair.client.engine.sendTrailers(stream, ["x": "1"])
        pair.server.engine.reset(stream, code: HTTP2ErrorCode.cancel)
        pair.drive()
        #expect(pair.server.failure == nil && pair.client.failure == nil)
        #expect(pair.server.log == ["request 1 POST /"])
        #expect(pair.server.engine.receiveWindow + pair.server.engine.unreturned == 65_535)
        #expect(pair.client.engine.sendWindow == pair.server.engine.receiveWindow)
        // The table has stayed in step.
        _ = try pair.request(.get, "/next", headers: ["x": "1"])
        pair.drive()
        #expect(pair.server.log.last == "request 3 GET /next end")
    }

    @Test func `streams that wait for the connection's window take turns`() throws {
        var wide = HTTP2Settings()
        wide.initialStreamWindowBytes = 1 << 20
        var pair = HTTP2Pair(server: wide)
        pair.server.acknowledges = false
        pair.drive()
        let hog = try pair.request(.post, "/hog", end: false)
        try pair.client.send(String(repeating: "h", count: 200_000), on: hog, end: true)
        let mice = try (0..<3).map { _ in try pair.request(.post, "/mouse", end: false) }
        for mouse in mice { try pair.client.send("small", on: mouse, end: true) }
        pair.drive()
        #expect(mice.allSatisfy { pair.server.body($0).isEmpty })
        pair.server.engine.acknowledge(hog, bytes: 65_535)
        pair.drive()
        #expect(mice.allSatisfy { pair.server.body($0) == "small" })
        #expect(pair.server.body(hog).count < 200_000)
    }

    @Test func `a stream behind its own closed window does not hold up the others`() throws {
        var pair = HTTP2Pair(windowBytes: 10)
        pair.server.acknowledges = false
        let slow = try pair.request(.post, end: false)
        try pair.client.send("0123456789 and more", on: slow)
        let quick = try pair.request(.post, end: false)
        try pair.client.send("quick", on: quick, end: true)
        pair.drive()
        #expect(pair.server.body(quick) == "quick")
        #expect(pair.server.body(slow) == "0123456789")
    }

    @Test func `an initial window lowered below what is in flight makes the window negative`() throws {
        let client = HTTP2End(HTTP2Connection(role: .client, now: .zero))
        client.receive(Wire.settings([(4, 100)]))
        let stream = try client.engine.sendRequest(RequestHead(method: .post, authority: "a", path: "/"), endStream: false)
        try client.send(String(repeating: "x", count: 150), on: stream)
        client.receive(Wire.settings([(4, 30)]))
        _ = client.output()
        client.receive(Wire.windowUpdate(stream.rawValue, 70))
        #expect(client.output().isEmpty)
        #expect(client.engine.bytesQueued(stream) == 50)
        client.receive(Wire.windowUpdate(stream.rawValue, 1))
        #expect(Wire.frames(client.output()).map(\.payload.count) == [1])
        client.receive(Wire.settings([(4, 1000)]))
        #expect(Wire.frames(client.output()).map(\.payload.count) == [0, 49])
        #expect(client.writable == [1])
    }

    @Test func `trailers and END_STREAM wait behind queued bytes`() throws {
        var pair = HTTP2Pair(windowBytes: 4)
        pair.server.acknowledges = false
        let stream = try pair.request(.post, end: false)
        try pair.client.send("12345678", on: stream)
        try pair.client.engine.sendTrailers(stream, ["x-after": "all"])
        #expect(throws: Refusal.self) { try pair.client.send("more", on: stream) }
        pair.drive()
        #expect(pair.server.log == ["request 1 POST /", "data 1 1234"])
        pair.server.acknowledges = true
        pair.server.engine.acknowledge(stream, bytes: 4)
        pair.drive()
        #expect(pair.server.log.suffix(2) == ["data 1 5678", "trailers 1 x-after=all"])
        #expect(pair.client.writable.isEmpty)
    }

    @Test func `a reset drops what is queued and lets the others go on`() throws {
        var pair = HTTP2Pair(windowBytes: 1 << 20)
        pair.server.acknowledges = false
        let streams = try (0..<4).map { _ in try pair.request(.post, end: false) }
        for stream in streams { try pair.client.send(String(repeating: "q", count: 50_000), on: stream) }
        #expect(pair.client.engine.bytesQueued(streams[2]) == 50_000)
        pair.client.engine.reset(streams[2], code: HTTP2ErrorCode.cancel)
        #expect(pair.client.engine.bytesQueued(streams[2]) == 0)
        pair.server.acknowledges = true
        pair.drive()
        pair.server.engine.acknowledge(streams[0], bytes: 50_000)
        pair.server.engine.acknowledge(streams[1], bytes: 50_000)
        pair.drive()
        #expect(pair.server.body(streams[3]).count == 50_000)
        #expect(pair.server.resets[streams[2].rawValue]?.code == HTTP2ErrorCode.cancel)
        #expect(pair.client.writable.sorted() == [3, 7])
    }

    @Test func `nothing is told of a stream that the owner reset`() throws {
        var pair = HTTP2Pair(windowBytes: 10)
        pair.server.acknowledges = false
        let stream = try pair.request(.post, end: false)
        try pair.client.send("0123456789+", on: stream)
        pair.drive()
        pair.server.engine.acknowledge(stream, bytes: 10)
        let update = pair.server.output()
        // The window opens, and before the owner takes the event it resets the stream.
        pair.client.engine.receive(update.span.bytes, now: .zero)
        pair.client.engine.reset(stream, code: HTTP2ErrorCode.cancel)
        pair.client.takeEvents()
        #expect(pair.client.log.isEmpty)
    }

    @Test func `padding is given back at once`() {
        let server = HTTP2End(HTTP2Connection(server: HTTP2Settings()))
        server.acknowledges = false
        server.receive(Wire.preface + Wire.settings() + Wire.headers(1, Wire.post, end: false))
        for _ in 0..<200 { server.receive(Wire.frame(0, flags: 8, stream: 1, [250, 0x61] + [UInt8](repeating: 0, count: 250))) }
        #expect(server.bodies[1]?.count == 200)
        #expect(server.engine.receiveWindow + server.engine.unreturned == 65_535 - 200)
    }

    @Test func `DATA beyond a stream's window ends the stream`() throws {
        var settings = HTTP2Settings()
        settings.initialStreamWindowBytes = 10
        let server = HTTP2End(HTTP2Connection(server: settings))
        // Until the client has acknowledged the smaller window, the default holds.
        server.receive(Wire.preface + Wire.settings() + Wire.headers(1, Wire.post, end: false) + Wire.data(1, "more than ten bytes"))
        #expect(server.resets.isEmpty)
        server.receive(Wire.frame(4, flags: 1) + Wire.headers(3, Wire.post, end: false) + Wire.data(3, "more than ten bytes"))
        #expect(server.resets[3]?.code == HTTP2ErrorCode.flowControlError)
        #expect(server.failure == nil)
    }

    @Test func `DATA beyond the connection's window ends the connection`() {
        var settings = HTTP2Settings()
        settings.initialStreamWindowBytes = 1 << 20
        let server = HTTP2End(HTTP2Connection(server: settings))
        server.acknowledges = false
        server.receive(Wire.preface + Wire.settings() + Wire.frame(4, flags: 1) + Wire.headers(1, Wire.post, end: false))
        for _ in 0..<4 { server.receive(Wire.frame(0, stream: 1, [UInt8](repeating: 0, count: 16_384))) }
        #expect(server.failure?.code == HTTP2ErrorCode.flowControlError)
    }

    @Test func `a larger connection window is told at once`() throws {
        var settings = HTTP2Settings()
        settings.initialConnectionWindowBytes = 1_048_576
        var pair = HTTP2Pair(server: settings)
        pair.drive()
        #expect(pair.client.engine.sendWindow == 1_048_576)
    }

    @Test func `a DATA frame is as long as the peer takes`() throws {
        var settings = HTTP2Settings()
        settings.maxFrameBytes = 20_000
        var pair = HTTP2Pair(server: settings)
        pair.drive()
        let stream = try pair.request(.post, end: false)
        try pair.client.send(String(repeating: "z", count: 50_000), on: stream, end: true)
        #expect(Wire.frames(pair.client.output()).filter { $0.type == 0 }.map(\.payload.count) == [20_000, 20_000, 10_000])
    }

    @Test func `the bytes of several DATA frames of one receipt come in order`() {
        let server = HTTP2End(HTTP2Connection(server: HTTP2Settings()))
        server.receive(Wire.preface + Wire.settings() + Wire.headers(1, Wire.post, end: false) + Wire.data(1, "one") + Wire.data(1, "two") + Wire.data(1, "three", end: true))
        #expect(server.log == ["request 1 POST /", "data 1 one", "data 1 two", "data 1 three end"])
        #expect(server.engine.withData { $0.byteCount } == 0)
    }
}
