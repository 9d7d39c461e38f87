// The life of a connection: keep-alive, draining from both sides, GOAWAY, the peer's end, and what a new connection says.

import Base
import Testing

@testable import HTTP

@Suite struct HTTP2LifeTests {
    @Test func `a silent peer is pinged and then given up`() throws {
        var settings = HTTP2Settings()
        settings.keepAliveInterval = .seconds(10)
        settings.keepAliveWhileIdle = true
        let end = HTTP2End(HTTP2Connection(role: .client, settings: settings, now: .zero))
        end.receive(Wire.settings() + Wire.settingsAnswer, now: Instant.zero + .seconds(1))
        _ = end.output()
        #expect(end.engine.deadline == Instant.zero + .seconds(11))
        end.engine.expire(now: Instant.zero + .seconds(11))
        let ping = Wire.frames(end.output())
        #expect(ping.map(\.type) == [6])
        #expect(end.engine.deadline == Instant.zero + .seconds(14))
        // The answer restarts the watch.
        end.receive(Wire.frame(6, flags: 1, ping[0].payload), now: Instant.zero + .seconds(12))
        #expect(end.engine.deadline == Instant.zero + .seconds(22))
        end.engine.expire(now: Instant.zero + .seconds(22))
        end.receive(Wire.frame(6, flags: 1, [UInt8](repeating: 7, count: 8)), now: Instant.zero + .seconds(23))
        end.engine.expire(now: Instant.zero + .seconds(25))
        end.takeEvents()
        #expect(end.failure?.rule == "no answer to a keep-alive PING")
        #expect(Wire.frames(end.output()).map(\.type) == [6, 7])
        #expect(end.engine.deadline == nil)
        #expect(!end.engine.isReusable)
    }

    @Test(arguments: [HTTPRole.client, .server]) func `settingsTimeout ends a connection whose peer does not acknowledge`(_ role: HTTPRole) {
        let end = HTTP2End(HTTP2Connection(role: role, now: .zero))
        end.engine.connected(now: Instant.zero + .seconds(5))
        #expect(end.engine.deadline == Instant.zero + .seconds(15))
        end.receive((role == .server ? Wire.preface : []) + Wire.settings(), now: Instant.zero + .seconds(6))
        _ = end.output()
        end.engine.expire(now: Instant.zero + .seconds(14))
        #expect(end.failure == nil && end.engine.deadline == Instant.zero + .seconds(15))
        end.engine.expire(now: Instant.zero + .seconds(15))
        end.takeEvents()
        #expect(end.failure?.code == HTTP2ErrorCode.settingsTimeout)
        #expect(Wire.frames(end.output()).map(\.type) == [7])
    }

    @Test func `an acknowledged connection has no deadline`() {
        let end = HTTP2End(HTTP2Connection(server: HTTP2Settings()))
        end.receive(Wire.preface + Wire.settings() + Wire.settingsAnswer)
        #expect(end.engine.deadline == nil)
    }

    @Test func `an idle connection is not pinged unless asked for`() throws {
        var settings = HTTP2Settings()
        settings.keepAliveInterval = .seconds(10)
        var pair = HTTP2Pair(client: settings)
        pair.drive()
        #expect(pair.client.engine.deadline == nil)
        let stream = try pair.request()
        #expect(pair.client.engine.deadline == Instant.zero + .seconds(10))
        pair.drive()
        try pair.respond(stream)
        pair.drive()
        #expect(pair.client.engine.deadline == nil)
    }

    @Test func `PING is answered with its payload`() {
        let end = HTTP2End(HTTP2Connection(server: HTTP2Settings()))
        end.receive(Wire.preface + Wire.settings())
        _ = end.output()
        end.receive(Wire.frame(6, [1, 2, 3, 4, 5, 6, 7, 8]))
        #expect(end.output() == Wire.frame(6, flags: 1, [1, 2, 3, 4, 5, 6, 7, 8]))
        end.receive(Wire.frame(6, flags: 1, [1, 2, 3, 4, 5, 6, 7, 8]))
        #expect(end.output().isEmpty)
    }

    @Test func `a server drains without losing what was on its way`() throws {
        var pair = HTTP2Pair()
        let first = try pair.request(.get, "/first")
        pair.drive()
        pair.server.engine.shutdown(now: .zero)
        #expect(!pair.server.engine.isDrained)
        // This request crosses the GOAWAY.
        let crossing = try pair.request(.get, "/crossing")
        pair.drive()
        #expect(pair.server.requests.map(\.stream) == [first, crossing])
        #expect(pair.client.log == ["goaway 2147483647 0", "goaway 3 0"])
        #expect(throws: Refusal.self) { try pair.request() }
        #expect(!pair.server.engine.isDrained)
        try pair.respond(first)
        try pair.respond(crossing)
        pair.drive()
        #expect(pair.client.responses.count == 2)
        #expect(pair.server.engine.isDrained)
        #expect(pair.client.engine.isDrained)
    }

    @Test func `drainPingTimeout ends the wait for a PING that is not answered`() {
        let end = HTTP2End(HTTP2Connection(server: HTTP2Settings()))
        end.receive(Wire.preface + Wire.settings())
        end.engine.shutdown(now: Instant.zero + .seconds(5))
        _ = end.output()
        #expect(end.engine.deadline == Instant.zero + .seconds(6))
        end.receive(Wire.headers(1, Wire.get), now: Instant.zero + .milliseconds(5500))
        end.engine.expire(now: Instant.zero + .seconds(6))
        #expect(Wire.frames(end.output()).map { [$0.type, $0.payload[3]] } == [[7, 1]])
        // Streams above the last one are not looked at, and nothing is said about them.
        end.receive(Wire.headers(3, Wire.post, end: false) + Wire.data(3, "body", end: true), now: Instant.zero + .seconds(7))
        #expect(end.requests.count == 1)
        #expect(end.output().isEmpty)
        #expect(end.failure == nil)
    }

    @Test func `a client drains by opening no more streams`() throws {
        var pair = HTTP2Pair()
        let stream = try pair.request(.post, end: false)
        pair.client.engine.shutdown(now: .zero)
        pair.drive()
        #expect(pair.server.log == ["request 1 POST /", "goaway 0 0"])
        #expect(throws: Refusal.self) { try pair.request() }
        try pair.client.send("still", on: stream, end: true)
        pair.drive()
        try pair.respond(stream)
        pair.drive()
        #expect(pair.client.log == ["response 1 200 end"])
        #expect(pair.client.engine.isDrained)
    }

    @Test func `streams above the peer's last one may be sent again elsewhere`() throws {
        let client = HTTP2End(HTTP2Connection(role: .client, now: .zero))
        client.receive(Wire.settings())
        for _ in 0..<3 { _ = try client.engine.sendRequest(RequestHead(method: .get, authority: "a", path: "/"), endStream: true) }
        client.receive(Wire.frame(7, Wire.word(1) + Wire.word(0)))
        #expect(client.log[0] == "goaway 1 0")
        #expect(client.resets.keys.sorted() == [3, 5])
        #expect(client.resets.values.allSatisfy { $0.code == HTTP2ErrorCode.refusedStream })
        client.receive(Wire.headers(1, [(":status", "200")]))
        #expect(client.log.last == "response 1 200 end")
        #expect(client.engine.isDrained)
    }

    @Test func `a GOAWAY with an error is told`() {
        let client = HTTP2End(HTTP2Connection(role: .client, now: .zero))
        client.receive(Wire.settings() + Wire.frame(7, Wire.word(0) + Wire.word(0xabcd) + [UInt8]("why")))
        #expect(client.log == ["goaway 0 43981"])
        #expect(client.failure == nil)
    }

    @Test func `the peer's end cancels requests that are not complete`() throws {
        let end = HTTP2End(HTTP2Connection(server: HTTP2Settings()))
        end.receive(Wire.preface + Wire.settings() + Wire.headers(1, Wire.get) + Wire.headers(3, Wire.post, end: false) + Wire.data(3, "half").dropLast(2))
        end.engine.receiveEnd(now: .zero)
        end.takeEvents()
        #expect(end.log == ["request 1 GET / end", "request 3 POST /", "reset 3 8 the connection ended before the request was complete"])
        // A complete request still gets its answer.
        try end.engine.sendResponse(HTTPStreamID(rawValue: 1), ResponseHead(status: 200), endStream: true)
        #expect(end.engine.streamCount == 0)
    }

    @Test func `frames before the end are told before the end`() {
        let end = HTTP2End(HTTP2Connection(server: HTTP2Settings()))
        let bytes = Wire.preface + Wire.settings() + Wire.headers(1, Wire.post, end: false) + Wire.data(1, "whole", end: true)
        end.engine.receive(bytes.span.bytes, now: .zero)
        end.engine.receiveEnd(now: .zero)
        end.takeEvents()
        #expect(end.log == ["request 1 POST /", "data 1 whole end"])
    }

    @Test func `a new connection says what it was set to`() {
        var settings = HTTP2Settings()
        settings.initialStreamWindowBytes = 1000
        settings.initialConnectionWindowBytes = 100_000
        settings.maxConcurrentStreams = 7
        settings.maxFrameBytes = 32_768
        settings.allowsExtendedConnect = true
        let server = Wire.frames(HTTP2End(HTTP2Connection(role: .server, settings: settings, now: .zero)).output())
        #expect(server.map(\.type) == [4, 8])
        #expect(server[0].payload == [0, 3, 0, 0, 0, 7, 0, 4, 0, 0, 3, 232, 0, 5, 0, 0, 128, 0, 0, 6, 0, 1, 0, 0, 0, 8, 0, 0, 0, 1])
        #expect(server[1].payload == Wire.word(100_000 - 65_535))
        let client = HTTP2End(HTTP2Connection(role: .client, now: .zero)).output()
        #expect(client.starts(with: Wire.preface))
        #expect(Wire.frames(client)[0].payload == [0, 2, 0, 0, 0, 0, 0, 6, 0, 1, 0, 0])
    }

    @Test func `SETTINGS are acknowledged before they are used`() throws {
        let client = HTTP2End(HTTP2Connection(role: .client, now: .zero))
        client.receive(Wire.settings([(4, 0)]))
        let stream = try client.engine.sendRequest(RequestHead(method: .post, authority: "a", path: "/"), endStream: false)
        try client.send("waits", on: stream)
        _ = client.output()
        client.receive(Wire.settings([(4, 100), (4, 2)]))
        let frames = Wire.frames(client.output())
        #expect(frames.map(\.type) == [4, 0])
        #expect(frames[0].flags == 1)
        #expect(frames[1].payload == [UInt8]("wa"))
    }

    @Test func `nothing is said or taken after a failure`() throws {
        let end = HTTP2End(HTTP2Connection(server: HTTP2Settings()))
        end.receive(Wire.preface + Wire.settings() + Wire.headers(1, Wire.get) + Wire.frame(6))
        #expect(end.failure != nil)
        _ = end.output()
        end.receive(Wire.headers(3, Wire.get))
        #expect(throws: Refusal.self) { try end.engine.sendResponse(HTTPStreamID(rawValue: 1), ResponseHead(status: 200), endStream: true) }
        end.engine.acknowledge(HTTPStreamID(rawValue: 1), bytes: 1 << 20)
        end.engine.reset(HTTPStreamID(rawValue: 1), code: 8)
        end.engine.shutdown(now: .zero)
        end.engine.expire(now: .distantFuture)
        #expect(end.output().isEmpty)
        #expect(end.log.count == 2)
        #expect(end.engine.isDrained)
    }
}
