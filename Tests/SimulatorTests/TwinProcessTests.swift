// The proof of determinism: the same seed in processes that differ in hash seed, time zone, language and working directory ends
// in the same line. A run that lets a set's order decide shows that the proof can fail.

import Base
import CDeterminism
import Foundation
import Platform
import Testing

@testable import Simulator

/// What one process of ours says about a seed.
private struct Testimony {
    var line: String
    var tls: String
    var spoiled: String
    var order: String

    init(seed: UInt64) {
        line = busyRun(seed: seed).verdict.description
        tls = meshedRun(seed: seed).verdict.description
        let names: Set<String> = ["a", "b", "c", "d", "e", "f", "g", "h"]
        order = names.joined()
        spoiled = busyRun(seed: seed) { world in for name in names { world.note(name) } }.verdict.description
    }

    init?(text: String) {
        let lines = text.split(separator: "\n").map(String.init)
        guard lines.count == 4 else { return nil }
        (line, tls, spoiled, order) = (lines[0], lines[1], lines[2], lines[3])
    }

    var text: String { [line, tls, spoiled, order].joined(separator: "\n") }
}

@Suite struct `Twin processes` {
    static let seed: UInt64 = 11

    /// Not a test of its own: what a twin runs, and where it writes.
    // tidy: skip — only a twin runs it
    @Test(.enabled(if: ProcessInfo.processInfo.environment["WEFT_SIM_TESTIMONY"] != nil)) func `testify`() throws {
        let path = try #require(ProcessInfo.processInfo.environment["WEFT_SIM_TESTIMONY"])
        #expect(weft_hash_seed_is_chosen() == 1)
        try Testimony(seed: Self.seed).text.write(toFile: path, atomically: true, encoding: .utf8)
    }

    private func twin(_ environment: [String: String], directory: String) throws -> Testimony {
        let path = NSTemporaryDirectory() + "weft-testimony-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
        process.arguments = ["--testing-library", "swift-testing", "--filter", "testify"]
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }.merging(["WEFT_SIM_TESTIMONY": path]) { $1 }
        process.currentDirectoryURL = URL(fileURLWithPath: directory)
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return try #require(Testimony(text: String(contentsOfFile: path, encoding: .utf8)))
    }

    // tidy: skip — a twin has no twins of its own
    @Test(.enabled(if: ProcessInfo.processInfo.environment["WEFT_SIM_TESTIMONY"] == nil)) func `agree on a seed's last line, whatever their hash seed, zone and place`() throws {
        let twins = [
            try twin(["WEFT_SIM_HASH_SEED": "1", "TZ": "Asia/Kolkata", "LANG": "C"], directory: "/"),
            try twin(["WEFT_SIM_HASH_SEED": "2", "TZ": "America/St_Johns", "LANG": "de_DE.UTF-8"], directory: NSTemporaryDirectory()),
        ]
        let here = Testimony(seed: Self.seed)
        for twin in twins {
            #expect(twin.line == here.line)
            #expect(twin.tls == here.tls)
        }
        // The hash seeds did their work, and a dependence on them would have shown.
        #expect(twins[0].order != twins[1].order)
        #expect(twins[0].spoiled != twins[1].spoiled)
    }
}
