// Windows that grow with the path: two engines with a delay between them, and what the windows come to.

import Base
import Testing

@testable import HTTP

@Suite struct HTTP2AdaptiveTests {
    /// Uploads `count` bytes with `delay` from end to end, `perDelay` of them at most in each. Returns the pair and how long it took.
    private func upload(_ count: Int, delay: Interval, perDelay: Int = .max, limits: HTTPLimits = HTTPLimits()) throws -> (HTTP2Pair, Interval) {
        var adaptive = HTTP2Settings()
        adaptive.adaptsWindows = true
        var pair = HTTP2Pair(server: adaptive, limits: limits)
        let stream = try pair.request(.post, end: false)
        var left = count
        var inFlight: [UInt8] = []
        var back: [UInt8] = []
        while (pair.server.bodies[stream.rawValue]?.count ?? 0) < count {
            pair.client.receive(back, now: pair.now)
            while left > 0, pair.client.engine.bytesQueued(stream) == 0 {
                let piece = [UInt8](repeating: 7, count: min(left, 50_000))
                left -= piece.count
                try pair.client.engine.sendData(stream, piece.span.bytes, endStream: left == 0)
            }
            inFlight += pair.client.output()
            let next = Array(inFlight.prefix(perDelay))
            inFlight.removeFirst(next.count)
            pair.now = pair.now + delay
            pair.server.receive(next, now: pair.now)
            back = pair.server.output()
            pair.now = pair.now + delay
            #expect(pair.client.failure == nil && pair.server.failure == nil)
            if pair.now - .zero > .minutes(10) { break }
        }
        return (pair, pair.now - .zero)
    }

    @Test func `windows grow until the path is full, and a body that needed a hundred round trips needs a few`() throws {
        let (pair, time) = try upload(10_000_000, delay: .milliseconds(25))
        #expect(pair.server.bodies[1]?.count == 10_000_000)
        #expect(pair.server.engine.announcedStreamWindow > 1_000_000)
        // 10 MB through 65,535 bytes a round trip of 50 ms would take 7.6 s.
        #expect(time < .seconds(2), "\(time)")
        #expect(pair.server.engine.receiveWindow <= pair.server.engine.connectionWindowBytes)
    }

    @Test func `windows stay near what a narrow path carries`() throws {
        let (pair, _) = try upload(3_000_000, delay: .milliseconds(25), perDelay: 100_000)
        let window = pair.server.engine.announcedStreamWindow
        #expect(window > 65_535 && window <= 400_000, "\(window)")
    }

    @Test func `adaptiveWindowBytesMax is the end of it`() throws {
        var limits = HTTPLimits()
        limits.adaptiveWindowBytesMax = 300_000
        let (pair, _) = try upload(5_000_000, delay: .milliseconds(25), limits: limits)
        #expect(pair.server.engine.announcedStreamWindow == 300_000)
        #expect(pair.server.engine.connectionWindowBytes == 300_000)
    }

    @Test func `a trickle asks for nothing`() throws {
        var adaptive = HTTP2Settings()
        adaptive.adaptsWindows = true
        var pair = HTTP2Pair(server: adaptive)
        let stream = try pair.request(.post, end: false)
        pair.drive()
        var pings = 0
        for _ in 0..<1000 {
            pair.now = pair.now + .milliseconds(10)
            try pair.client.send("x", on: stream)
            pair.server.receive(pair.client.output(), now: pair.now)
            let answer = pair.server.output()
            pings += Wire.frames(answer).count { $0.type == 6 }
            pair.client.receive(answer, now: pair.now)
            pair.server.receive(pair.client.output(), now: pair.now)
        }
        #expect(pair.server.engine.announcedStreamWindow == 65_535)
        // Ten seconds: the pauses double from 0.1 s.
        #expect(pings < 10, "\(pings)")
    }
}
