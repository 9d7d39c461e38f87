// Seeded fuzzing: mutated valid streams as raw bytes to either side, and random operations on a pair with books kept beside it.
// scripts/fuzz runs them for longer; a failure names its seed.

import Base
import Fuzzing
import Testing

@testable import HTTP

@Suite struct HTTP2FuzzTests {
    // MARK: Raw bytes

    /// A valid conversation of a client, as single frames.
    private func validFrames(_ random: inout Random) -> [[UInt8]] {
        var frames = [Wire.settings([(4, 1000), (1, UInt32(random.below(5000)))])]
        let encoder = PlainEncoder()
        for i in 0..<random.below(8) + 1 {
            let id = UInt32(2 * i + 1)
            let block = encoder.encode(Wire.post + [("x-\(random.below(3))", String(repeating: "v", count: random.below(30))), ("te", "trailers")])
            switch random.below(3) {
            case 0: frames.append(Wire.frame(1, flags: 5, stream: id, block))
            case 1:
                let cut = random.below(block.count)
                frames.append(Wire.frame(1, flags: 0, stream: id, Array(block[..<cut])))
                frames.append(Wire.frame(9, flags: 4, stream: id, Array(block[cut...])))
                frames.append(Wire.frame(0, flags: 1, stream: id, [UInt8](repeating: 1, count: random.below(200))))
            default:
                frames.append(Wire.frame(1, flags: 4, stream: id, block))
                frames.append(Wire.frame(0, flags: 8, stream: id, [3] + [UInt8](repeating: 1, count: random.below(100) + 3)))
                frames.append(Wire.frame(1, flags: 5, stream: id, encoder.encode([("x-sum", "1")])))
            }
            switch random.below(6) {
            case 0: frames.append(Wire.frame(6, [UInt8](repeating: 9, count: 8)))
            case 1: frames.append(Wire.windowUpdate(id, UInt32(random.below(1000) + 1)))
            case 2: frames.append(Wire.reset(id))
            case 3: frames.append(Wire.windowUpdate(0, 100))
            default: break
            }
        }
        return frames
    }

    private func mutate(_ frames: inout [[UInt8]], _ random: inout Random) {
        for _ in 0..<random.below(4) {
            let i = random.below(frames.count)
            switch random.below(7) {
            case 0: frames.remove(at: i)
            case 1: frames.insert(frames[random.below(frames.count)], at: i)
            case 2: frames.swapAt(i, random.below(frames.count))
            case 3: frames[i][random.below(frames[i].count)] = UInt8(random.below(256))
            case 4: frames[i][random.below(frames[i].count)] ^= 1 << UInt8(random.below(8))
            case 5: frames[i].removeLast(random.below(frames[i].count))
            default: if frames[i].count > 3 { frames[i][3] = UInt8(random.below(11)) }
            }
            frames.removeAll(where: \.isEmpty)
            if frames.isEmpty { frames = [Wire.settings()] }
        }
    }

    private func feed(_ bytes: [UInt8], role: HTTPRole, _ random: inout Random, pieces: Int) -> ([String], [UInt8]) {
        var limits = HTTPLimits()
        limits.resetsBurst = 20
        limits.controlFramesBurst = 50
        let end = HTTP2End(HTTP2Connection(role: role, limits: limits, now: .zero))
        if role == .client { for _ in 0..<4 { _ = try? end.engine.sendRequest(RequestHead(method: .post, authority: "a", path: "/"), endStream: false) } }
        var at = 0
        while at < bytes.count {
            let next = min(bytes.count, at + pieces)
            end.receive(Array(bytes[at..<next]))
            at = next
        }
        end.engine.receiveEnd(now: .zero)
        end.takeEvents()
        for line in end.log where line.hasPrefix("failed") { #expect(line == end.log.last) }
        return (end.log, end.output())
    }

    @Test func `any bytes give the same events in every split, and no trap`() {
        var failed = 0
        let done = fuzz("http2-frames", executions: 700) { random in
            var frames = validFrames(&random)
            mutate(&frames, &random)
            let role: HTTPRole = random.chance(1, in: 4) ? .client : .server
            let bytes = (role == .server ? Wire.preface : []) + frames.flatMap { $0 }
            let whole = feed(bytes, role: role, &random, pieces: .max / 2)
            let split = feed(bytes, role: role, &random, pieces: random.below(20) + 1)
            #expect(whole.0 == split.0 && whole.1 == split.1)
            if whole.0.last?.hasPrefix("failed") == true { failed += 1 }
        }
        // Mutation hits some and spares some.
        #expect(isFuzzingLong || failed > done / 14 && failed < done - done / 14)
    }

    @Test func `any bytes are read or refused by HPACK`() {
        var refused = 0
        fuzz("hpack", executions: 400) { random in
            // One decoder for several blocks: damage to its table shows in the next.
            let decoder = PlainDecoder()
            for _ in 0..<8 {
                var block = PlainEncoder().encode([(":path", "/\(random.below(100))"), ("x-\(random.below(5))", String(repeating: "z", count: random.below(40))), ("accept", "*/*")])
                for _ in 0..<random.below(5) { block[random.below(block.count)] = UInt8(random.below(256)) }
                do throws(HPACKError) { _ = try decoder.decode(block, listBytesMax: 1000) } catch { refused += 1 }
                #expect(decoder.tableBytes <= 4096)
            }
        }
        #expect(isFuzzingLong || refused > 100)
    }

    // MARK: Operations on a pair

    /// What a stream should have come to.
    private final class Books {
        var sent: [UInt32: [UInt8]] = [:]
        var ended: Set<UInt32> = []
        var reset: Set<UInt32> = []
    }

    @Test func `operations on a pair lose nothing and add nothing`() {
        fuzz("http2-pair", executions: 100) { (random) throws in try operate(&random) }
    }

    private func operate(_ random: inout Random) throws {
        func settings() -> HTTP2Settings {
            var settings = HTTP2Settings()
            settings.initialStreamWindowBytes = [0, 1, 10, 1000, 65_535, 200_000][random.below(6)]
            settings.initialConnectionWindowBytes = [65_535, 100_000][random.below(2)]
            settings.maxFrameBytes = [16_384, 30_000][random.below(2)]
            settings.maxConcurrentStreams = [nil, 3, 50][random.below(3)]
            return settings
        }
        var limits = HTTPLimits()
        limits.controlFramesBurst = 1_000_000
        limits.resetsBurst = 1_000_000
        var pair = HTTP2Pair(client: settings(), server: settings(), limits: limits)
        let (client, server) = (pair.client, pair.server)
        client.acknowledges = random.chance(1, in: 2)
        server.acknowledges = random.chance(1, in: 2)
        let up = Books()
        let down = Books()
        var streams: [HTTPStreamID] = []
        var answered: Set<UInt32> = []

        func send(_ end: HTTP2End, _ books: Books, _ stream: HTTPStreamID) {
            // Small windows get small bodies, so that the settling takes few turns.
            let window = (end === client ? server : client).engine.announcedStreamWindow
            let body = [UInt8](repeating: UInt8(random.below(256)), count: random.below(min([10, 1000, 70_000][random.below(3)], window * 30 + 30)))
            let ends = random.chance(1, in: 4)
            guard (try? end.engine.sendData(stream, body.span.bytes, endStream: ends)) != nil else { return }
            books.sent[stream.rawValue, default: []] += body
            if ends { books.ended.insert(stream.rawValue) }
        }
        func reset(_ end: HTTP2End, _ stream: HTTPStreamID) {
            end.engine.reset(stream, code: HTTP2ErrorCode.cancel)
            up.reset.insert(stream.rawValue)
            down.reset.insert(stream.rawValue)
        }
        func exchange(_ from: HTTP2End, _ to: HTTP2End) {
            let bytes = from.output()
            var at = 0
            while at < bytes.count {
                let next = min(bytes.count, at + random.below(5000) + 1)
                to.receive(Array(bytes[at..<next]))
                at = next
            }
        }
        func acknowledge(_ end: HTTP2End) {
            guard let stream = streams.isEmpty ? nil : streams[random.below(streams.count)] else { return }
            end.engine.acknowledge(stream, bytes: random.below(50_000) + 1)
        }

        for _ in 0..<150 {
            let stream = streams.isEmpty ? nil : streams[random.below(streams.count)]
            switch random.below(12) {
            case 0, 1:
                if let opened = try? pair.request(.post, "/\(random.below(4))", headers: ["x-n": "\(random.below(5))"], end: false) { streams.append(opened) }
            case 2, 3: if let stream { send(client, up, stream) }
            case 4, 5:
                if let stream, server.requests.contains(where: { $0.stream == stream }) {
                    if answered.insert(stream.rawValue).inserted { try? pair.respond(stream, headers: ["x-m": "\(random.below(5))"], end: false) }
                    send(server, down, stream)
                }
            case 6:
                if let stream, random.chance(1, in: 3) {
                    if (try? client.engine.sendTrailers(stream, ["x-t": "1"])) != nil { up.ended.insert(stream.rawValue) }
                } else if let stream, (try? server.engine.sendTrailers(stream, ["x-t": "1"])) != nil { down.ended.insert(stream.rawValue) }
            case 7: if let stream, random.chance(1, in: 3) { reset(random.chance(1, in: 2) ? client : server, stream) }
            case 8: exchange(client, server)
            case 9: exchange(server, client)
            case 10: acknowledge(server)
            default: acknowledge(client)
            }
            try #require(client.failure == nil && server.failure == nil, "\(String(describing: client.failure)) \(String(describing: server.failure))")
        }
        settle(&pair, streams, up, down)
    }

    /// Everything that waits is let go; then the books must be right: each body whole and in order, windows equal on both sides.
    private func settle(_ pair: inout HTTP2Pair, _ streams: [HTTPStreamID], _ up: Books, _ down: Books) {
        for end in [pair.client, pair.server] { end.acknowledges = true }
        for _ in 0..<2000 {
            let before = pair.clientBytes + pair.serverBytes
            for stream in streams { for end in [pair.client, pair.server] { end.engine.acknowledge(stream, bytes: 1 << 30) } }
            pair.drive()
            if pair.clientBytes + pair.serverBytes == before { break }
        }
        #expect(pair.client.failure == nil && pair.server.failure == nil)
        for (from, to, books) in [(pair.client, pair.server, up), (pair.server, pair.client, down)] {
            // A window of 0 never opens by itself.
            let isOpen = to.engine.announcedStreamWindow > 0
            for stream in streams {
                let id = stream.rawValue
                let sent = books.sent[id] ?? []
                let got = to.bodies[id] ?? []
                #expect(got == Array(sent.prefix(got.count)), "stream \(id)")
                if !books.reset.contains(id), isOpen, to.resets[id] == nil, from.resets[id] == nil {
                    #expect(got.count == sent.count, "stream \(id)")
                    #expect(to.ended.contains(id) == books.ended.contains(id), "stream \(id)")
                    #expect(from.engine.bytesQueued(stream) == 0)
                }
            }
            #expect(from.engine.sendWindow == to.engine.receiveWindow)
            #expect(to.engine.receiveWindow + to.engine.unreturned == to.engine.connectionWindowBytes)
        }
        #expect(pair.client.engine.streamCount == pair.server.engine.streamCount)
    }
}
