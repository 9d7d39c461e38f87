// One way to run a seeded fuzz driver: a fixed number of executions in every test run, and as long as wanted by scripts/fuzz. An
// execution's chance depends on its own seed only, so that a failure can be had again alone, in a second. No coverage feedback,
// no corpus on disk: inputs are drawn by drivers that know the grammar. A suite of drivers has `fuzz` in its name.

import Base
import Glibc
import Testing

/// Runs `body` once per seed and returns how often. In tests: `executions` times, seeds 1, 2, 3. Under scripts/fuzz: the target asked for
/// until its time is over, seeds counted up from the one given, and every other target not at all (0 comes back).
/// An expectation that fails or an error thrown ends the run and names its seed.
@discardableResult
public func fuzz(_ target: StaticString, executions: Int, _ body: (inout Random) throws -> Void) -> Int {
    let name = target.description
    guard let asked = setting("WEFT_FUZZ_TARGET") else {
        var done = 0
        while done < executions, execute(UInt64(done + 1), body) { done += 1 }
        if done < executions { print("fuzz \(name): execution \(done + 1) failed; again: scripts/fuzz \(name) 0 \(done + 1)") }
        return done
    }
    guard asked == name else { return 0 }
    let first = setting("WEFT_FUZZ_SEED").flatMap { UInt64($0) } ?? 1
    let end = now() + .seconds(setting("WEFT_FUZZ_SECONDS").flatMap { Int64($0) } ?? 0)
    let began = now()
    // The seed at work lies in a file, because after a trap nobody is left to tell it.
    let note = setting("WEFT_FUZZ_NOTE").map { open($0, O_WRONLY | O_CREAT | O_TRUNC, 0o644) } ?? -1
    defer { if note >= 0 { close(note) } }
    var seed = first
    while true {
        if note >= 0 {
            let text = Array("\(seed)\n".utf8)
            pwrite(note, text, text.count, 0)
        }
        if !execute(seed, body) {
            print("fuzz \(name): execution with seed \(seed) failed; again: scripts/fuzz \(name) 0 \(seed)")
            return Int(seed &- first)
        }
        seed &+= 1
        if now() >= end { break }
    }
    print("fuzz \(name): \(seed &- first) executions in \(now() - began), seeds \(first) to \(seed &- 1)")
    return Int(seed &- first)
}

/// Whether a long run was asked for: statistics over the inputs hold for the fixed seeds only.
public var isFuzzingLong: Bool { setting("WEFT_FUZZ_TARGET") != nil }

/// Bytes that lie near `valid`: flipped, set, cut, repeated, swapped, or replaced by one of `tokens`.
public func mutated(_ valid: [UInt8], tokens: [[UInt8]] = [], _ random: inout Random) -> [UInt8] {
    var bytes = valid
    for _ in 0..<random.below(5) {
        if bytes.isEmpty { bytes = [0] }
        let at = random.below(bytes.count)
        switch random.below(tokens.isEmpty ? 6 : 7) {
        case 0: bytes[at] ^= 1 << UInt8(random.below(8))
        case 1: bytes[at] = UInt8(random.below(256))
        case 2: bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)]
        case 3: bytes.removeLast(random.below(bytes.count))
        case 4: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + 1 + random.below(16))], at: random.below(bytes.count))
        case 5: bytes.removeSubrange(at..<min(bytes.count, at + 1 + random.below(4)))
        default: bytes.insert(contentsOf: tokens[random.below(tokens.count)], at: at)
        }
    }
    return bytes
}

/// The bytes in pieces of 1 to 64, often tiny ones.
public func pieces(_ bytes: [UInt8], _ random: inout Random) -> [[UInt8]] {
    var cut: [[UInt8]] = []
    var at = 0
    while at < bytes.count {
        let next = min(bytes.count, at + 1 + random.below(random.chance(1, in: 3) ? 3 : 64))
        cut.append(Array(bytes[at..<next]))
        at = next
    }
    return cut
}

/// False if an expectation failed in `body` or it threw. The issues stay what they are; here they are only noticed.
private func execute(_ seed: UInt64, _ body: (inout Random) throws -> Void) -> Bool {
    final class Notice: @unchecked Sendable { var failed = false }
    let notice = Notice()
    var random = Random(seed: seed)
    withKnownIssue(isIntermittent: true) {
        do { try body(&random) } catch { Issue.record("seed \(seed): \(error)") }
    } when: {
        true
    } matching: { _ in
        notice.failed = true
        return false
    }
    return !notice.failed
}

private func setting(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

private func now() -> Instant {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
}
