// Other people's bytes: HPACK stories of several encoders (decode all; encode and decode again), single frames with their
// expected reading, streams that h2spec and nghttp sent, and inputs that broke other implementations. What is judged otherwise
// than the corpus expects stands with its reason in http2-deviations.tsv.

import Base
import Foundation
import Testing

@testable import HTTP

private let corpus: String = {
    let tree = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    return (ProcessInfo.processInfo.environment["WEFT_FIXTURES"] ?? tree.deletingLastPathComponent().appendingPathComponent("shared/fixtures").path) + "/http2"
}()

/// Files under a folder of the corpus, by path. A missing folder fails the test.
private func files(_ folder: String, _ suffix: String) throws -> [String] {
    let found = try #require(FileManager.default.subpaths(atPath: corpus + "/" + folder), "the corpus is missing: \(corpus)/\(folder)")
    return found.filter { $0.hasSuffix(suffix) }.sorted().map { folder + "/" + $0 }
}

private func content(_ path: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: corpus + "/" + path))) }

private struct Story: Decodable {
    struct Case: Decodable {
        var wire: String?
        var headers: [[String: String]]
        var header_table_size: Int?

        /// Each object holds one field.
        var fields: [(String, String)] { headers.map { ($0.first!.key, $0.first!.value) } }
        var lines: [String] { fields.map { "\($0): \($1)" } }
    }

    var cases: [Case]
}

/// Cases of one corpus, with the deviations of the reviewed list taken into account.
private struct Tally {
    let name: String
    var passed = 0
    var failed: [String] = []
    private let expected: [String]

    init(_ name: String) throws {
        self.name = name
        let list = try String(contentsOf: URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("http2-deviations.tsv"), encoding: .utf8)
        expected = list.split(separator: "\n").map { $0.split(separator: "\t").map(String.init) }.filter { $0.count == 3 && $0[0] == name }.map { $0[1] }
    }

    mutating func note(_ what: String, _ isRight: Bool) {
        if isRight { passed += 1 } else { failed.append(what) }
    }

    func finish(atLeast: Int) {
        print("corpus \(name) passed \(passed) of \(passed + failed.count)")
        #expect(passed + failed.count >= atLeast)
        #expect(failed == expected, "deviations differ from http2-deviations.tsv")
    }
}

@Suite struct HTTP2CorpusTests {
    @Test func `HPACK stories of every encoder are decoded`() throws {
        var tally = try Tally("hpack-decode")
        for path in try files("hpack", ".json") {
            let story = try JSONDecoder().decode(Story.self, from: Data(content(path)))
            guard story.cases.contains(where: { $0.wire != nil }) else { continue }
            let decoder = PlainDecoder()
            for (i, item) in story.cases.enumerated() {
                if let size = item.header_table_size { decoder.decoder.allow(tableBytes: size) }
                let lines = try? decoder.decode(bytes(hex: item.wire ?? ""), listBytesMax: .max)
                tally.note("\(path)#\(i)", lines == item.lines)
            }
        }
        tally.finish(atLeast: 1_840)
    }

    @Test func `HPACK stories are encoded and decoded again`() throws {
        var tally = try Tally("hpack-encode")
        var plainBytes = 0
        var codedBytes = 0
        for path in try files("hpack/raw-data", ".json") + files("hpack/nghttp2-change-table-size", ".json") {
            let story = try JSONDecoder().decode(Story.self, from: Data(content(path)))
            let encoder = PlainEncoder()
            let decoder = PlainDecoder()
            for (i, item) in story.cases.enumerated() {
                if let size = item.header_table_size {
                    encoder.encoder.allow(tableBytes: size)
                    decoder.decoder.allow(tableBytes: size)
                }
                let block = encoder.encode(item.fields)
                codedBytes += block.count
                plainBytes += item.fields.reduce(0) { $0 + $1.0.utf8.count + $1.1.utf8.count }
                tally.note("\(path)#\(i)", (try? decoder.decode(block, listBytesMax: .max)) == item.lines)
            }
        }
        print("corpus hpack-encode ratio \(codedBytes * 100 / max(plainBytes, 1))%")
        #expect(codedBytes * 100 < plainBytes * 45)
        tally.finish(atLeast: 500)
    }

    /// Our own decoder could share a mistake with our encoder; the one of PyPI has another author.
    @Test func `HPACK stories that we encode are read by an independent decoder`() throws {
        struct Coded: Encodable {
            struct Case: Encodable {
                var size: Int?
                var block: String
                var fields: [[String]]

                /// A size that is not there is null, not absent.
                func encode(to encoder: any Swift.Encoder) throws {
                    var container = encoder.container(keyedBy: Key.self)
                    try container.encode(size, forKey: .size)
                    try container.encode(block, forKey: .block)
                    try container.encode(fields, forKey: .fields)
                }
                enum Key: CodingKey { case size, block, fields }
            }
            var name: String
            var cases: [Case]
        }
        var stories: [Coded] = []
        for path in try files("hpack", ".json") {
            let story = try JSONDecoder().decode(Story.self, from: Data(content(path)))
            let encoder = PlainEncoder()
            stories.append(
                Coded(name: path, cases: story.cases.map { item in
                    if let size = item.header_table_size { encoder.encoder.allow(tableBytes: size) }
                    return Coded.Case(size: item.header_table_size, block: hexadecimal(encoder.encode(item.fields)), fields: item.fields.map { [$0.0, $0.1] })
                }))
        }
        let tree = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("weft-hpack-\(UUID().uuidString).json")
        try JSONEncoder().encode(stories).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let reader = Process()
        reader.executableURL = URL(fileURLWithPath: "\(tree)/.build/peers/bin/python3")
        reader.arguments = ["\(tree)/Tests/PeerTests/peers/hpack_reader.py", file.path]
        let pipe = Pipe()
        reader.standardOutput = pipe
        try reader.run()
        let said = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        reader.waitUntilExit()
        let last = said.split(separator: "\n").last.map(String.init) ?? "it said nothing"
        let total = stories.reduce(0) { $0 + $1.cases.count }
        print("corpus hpack-independent passed \(last.replacing("read ", with: ""))")
        #expect(reader.terminationStatus == 0 && total > 1_840 && last == "read \(total) of \(total)", "\(said.prefix(2_000))")
    }

    private struct FrameCase: Decodable {
        struct Frame: Decodable {
            var length: Int
            var flags: UInt8
            var stream_identifier: UInt32
            var type: UInt8
        }

        var error: [UInt32]?
        var wire: String
        var frame: Frame?
    }

    /// A frame of its own means little on a connection; here the connection has the streams that the frame speaks of, where that is
    /// possible. A good frame must not be an error of shape; a bad one must be an error with one of the listed codes.
    @Test func `single frames are read or refused as listed`() throws {
        var tally = try Tally("frames")
        for path in try files("frames", ".json") {
            let item = try JSONDecoder().decode(FrameCase.self, from: Data(content(path)))
            let wire = bytes(hex: item.wire)
            let end = HTTP2End(HTTP2Connection(server: HTTP2Settings()))
            let stream = wire[5...8].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            var opening = Wire.preface + Wire.settings()
            if stream & 1 == 1, wire[3] != 1 { opening += Wire.headers(stream, Wire.post, end: false) }
            end.receive(opening)
            _ = end.output()
            end.receive(wire)
            var codes = Set(Wire.frames(end.output()).filter { $0.type == 3 }.map { $0.payload.reduce(0) { $0 << 8 | UInt32($1) } })
            if let failure = end.failure { codes.insert(failure.code) }
            if let expected = item.error {
                tally.note(path, codes.contains(where: expected.contains))
            } else {
                tally.note(path, codes.isEmpty)
            }
        }
        tally.finish(atLeast: 20)
    }

    /// What the server side must do with any bytes: no trap, bounded memory, the same events in every split, and an answer.
    private func survive(_ bytes: [UInt8], _ role: HTTPRole = .server) -> (events: [String], isAnswered: Bool) {
        var settings = HTTP2Settings()
        settings.maxConcurrentStreams = 100
        func run(_ pieces: Int) -> ([String], [UInt8]) {
            let end = HTTP2End(HTTP2Connection(role: role, settings: settings, now: .zero))
            var at = 0
            while at < bytes.count {
                let next = min(bytes.count, at + pieces)
                end.receive(Array(bytes[at..<next]))
                at = next
            }
            end.engine.receiveEnd(now: .zero)
            end.takeEvents()
            return (end.log, end.output())
        }
        let (events, output) = run(max(bytes.count, 1))
        for pieces in [1, 13] {
            let (splitEvents, splitOutput) = run(pieces)
            #expect(splitEvents == events)
            #expect(splitOutput == output)
        }
        let frames = Wire.frames(output)
        return (events, frames.contains { $0.type == 7 || $0.type == 3 } || !events.isEmpty || frames.contains { $0.type == 4 && $0.flags == 1 } || bytes.isEmpty)
    }

    @Test func `streams that h2spec and nghttp sent are answered`() throws {
        var tally = try Tally("recorded")
        for path in try files("h2spec-recorded", ".bin") + files("nghttp-recorded", ".bin") {
            let (_, isAnswered) = survive(try content(path))
            tally.note(path, isAnswered)
        }
        tally.finish(atLeast: 90)
    }

    private struct FuzzInput: Decodable {
        var name: String
        var b64: String
    }

    @Test func `inputs that broke others do not break us`() throws {
        var tally = try Tally("fuzz-inputs")
        let opening = Wire.preface + Wire.settings()
        for path in try files("fuzz", ".jsonl") {
            for line in String(decoding: try content(path), as: UTF8.self).split(separator: "\n") {
                let item = try JSONDecoder().decode(FuzzInput.self, from: Data(line.utf8))
                let input = [UInt8](try #require(Data(base64Encoded: item.b64)))
                _ = survive(input)
                // Most are frames without a preface.
                let (_, isAnswered) = survive(opening + input)
                _ = survive(Wire.settings() + input, .client)
                tally.note(item.name, isAnswered)
            }
        }
        for path in try files("fuzz", ".bin") {
            _ = survive(opening + (try content(path)))
            tally.note(path, survive(try content(path)).isAnswered)
        }
        tally.finish(atLeast: 180)
    }
}
