// `weft simulate STORY`: runs a story of Simulations/ in the deterministic world and prints what happened; with --twice in two
// processes that differ in all that must not matter. This file knows arguments, output and exit codes; the work is Scenario's.

import ArgumentParser
import Base
import Documents
import Glibc
import Scenario
import Simulations
import Simulator

struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a story in the deterministic simulator.",
        discussion: """
            The same proxy, identity, destination and policy code that runs in a cluster runs here, over a simulated network, with real
            TLS. The same story, seed and build give the same run, byte for byte. The last line says which run it was:

              TRACE v1 seed=7 plan=… build=… events=… vtime=… hash=… unseed=…

            --twice runs it in two processes that differ in hash seed, address layout, time zone and working directory, and fails
            unless both end with the same line.

            Examples:
              weft simulate --list
              weft simulate basics/two-pods-mtls --seed 7 --twice
              weft simulate basics/two-pods-mtls --trace | less
              weft simulate basics/two-pods-mtls --pcap wire.pcap && tshark -r wire.pcap
              weft simulate --all --twice --seeds 3

            Exit status: 0 the promise holds; 1 it does not; 2 two runs differ; 64 the arguments are wrong.
            """)

    @Argument(help: "A story, or the beginning of the names of several: basics/two-pods-mtls, basics/.")
    var story: String?

    @Flag(help: "Every story.")
    var all = false

    @Flag(help: "List the stories and what each promises.")
    var list = false

    @Option(help: "Seed of the world.")
    var seed: UInt64 = 1

    @Option(help: "Run this many seeds, from --seed on.")
    var seeds: UInt64 = 1

    @Flag(help: "Run in two processes and compare.")
    var twice = false

    @Flag(help: "Print every event.")
    var trace = false

    @Option(help: "Write the simulated wire to this file; tshark and Wireshark open it.")
    var pcap: String?

    @Flag(help: "Print one JSON object a story.")
    var json = false

    func validate() throws {
        if list || all { return }
        guard let story else { throw ValidationError("name a story, or use --all; weft simulate --list shows them") }
        if matching(story).isEmpty {
            let near = Stories.all.map(\.name).filter { $0.split(separator: "/").last?.contains(story.split(separator: "/").last ?? "") ?? false }
            throw ValidationError("there is no story \(story)\(near.isEmpty ? "" : "; did you mean \(near.joined(separator: " or "))?"); weft simulate --list shows all")
        }
        if pcap != nil, matching(story).count > 1 || twice { throw ValidationError("--pcap takes one story, run once") }
    }

    private func matching(_ name: String) -> [Story] {
        let exact = (Stories.all + Stories.large).filter { $0.name == name }
        return exact.isEmpty ? Stories.all.filter { $0.name.hasPrefix(name) } : exact
    }

    func run() throws {
        let stories = all || story == nil ? Stories.all : matching(story!)
        if list {
            for story in stories { print("\(story.name)\n    \(story.story)\n    Promise: \(story.promise)\n") }
            return
        }
        let isMany = stories.count * Int(seeds) > 1
        var failed = 0
        var differing = 0
        var count = 0
        for story in stories {
            for seed in seed..<seed + max(1, seeds) {
                count += 1
                if isMany, isatty(2) == 1 { writeError("\u{1b}[2K\r\(count)/\(stories.count * Int(seeds)) \(story.name) seed \(seed)") }
                let result = twice ? try twoRuns(of: story, seed: seed) : one(story, seed: seed)
                if isMany, isatty(2) == 1 { writeError("\u{1b}[2K\r") }
                report(story, seed, result, isMany: isMany)
                if result.failure != nil { failed += 1 }
                if result.differs { differing += 1 }
            }
        }
        if isMany { print("\(count - failed) passed, \(failed) failed") }
        if differing > 0 { throw ExitCode(2) }
        if failed > 0 { throw ExitCode(1) }
    }

    private struct Result {
        var narrative: [String] = []
        var failure: String?
        var line = ""
        var differs = false
    }

    private func report(_ story: Story, _ seed: UInt64, _ result: Result, isMany: Bool) {
        if json {
            var object: [(String, String)] = [("story", Value.string(story.name).json()), ("seed", "\(seed)"), ("passed", "\(result.failure == nil)")]
            if let failure = result.failure { object.append(("failure", Value.string(failure).json())) }
            object.append(("trace", Value.string(result.line).json()))
            object.append(("narrative", "[" + result.narrative.map { Value.string($0).json() }.joined(separator: ",") + "]"))
            print("{" + object.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",") + "}")
            return
        }
        if isMany {
            print("\(result.failure == nil ? "ok  " : "FAIL") \(story.name) seed \(seed)\(twice && !result.differs ? ", twice the same" : "")")
            if let failure = result.failure { print("     \(failure)\n     weft simulate \(story.name) --seed \(seed)") }
            return
        }
        print("\(story.name): \(story.story)")
        print("Promise: \(story.promise)\n")
        for line in result.narrative { print(line) }
        print("")
        if let failure = result.failure { print("FAIL \(failure)") } else { print(story.isNegative ? "ok: the planted bug was seen" : "ok: the promise holds") }
        if twice { print(result.differs ? "" : "both processes ended with the same line:") }
        print(result.line)
    }

    // MARK: One run

    private func one(_ story: Story, seed: UInt64) -> Result {
        var wire: [UInt8] = []
        let outcome = story.run(seed: seed, build: Version.build) { world in
            if trace { world.trace.lines = { print($0) } }
            if pcap != nil { _ = world.capture(nodes: nil, includesLoopback: false) { wire += $0 } }
        }
        var result = Result(narrative: outcome.narrative, failure: outcome.failure, line: "\(outcome.verdict.traceLine) unseed=\(outcome.verdict.unseed.hex)")
        if let pcap {
            do { try write(wire, to: pcap) } catch { result.failure = result.failure ?? "\(error)" }
        }
        if outcome.failure != nil, !story.isNegative {
            for violation in outcome.verdict.violations.prefix(10) { result.narrative.append("VIOLATION \(violation)") }
        }
        return result
    }

    private func write(_ bytes: [UInt8], to path: String) throws {
        guard let file = fopen(path, "w") else { throw ValidationError("\(path) cannot be written: \(String(cString: strerror(errno)))") }
        defer { fclose(file) }
        _ = bytes.withUnsafeBytes { fwrite($0.baseAddress, 1, $0.count, file) }
    }

    // MARK: Two runs

    private func twoRuns(of story: Story, seed: UInt64) throws -> Result {
        let arguments = ["simulate", story.name, "--seed", "\(seed)", "--json"]
        // Everything that must not matter differs: hash seed, address layout, time zone, language, working directory.
        let first = try Executable.runAgain(arguments, directory: "/", variables: ["WEFT_SIM_HASH_SEED=1", "TZ=Asia/Kathmandu", "LANG=C"], fixedAddresses: false)
        let second = try Executable.runAgain(arguments, directory: "/tmp", variables: ["WEFT_SIM_HASH_SEED=9182736455463728191", "TZ=America/St_Johns", "LANG=C.UTF-8"], fixedAddresses: true)
        guard let a = parse(first.output), let b = parse(second.output) else {
            return Result(failure: "a run ended without a result (status \(first.status) and \(second.status)): \((first.error + second.error).prefix(500))")
        }
        if a.line == b.line { return a }
        var result = a
        result.differs = true
        result.failure = "two runs differ:\n       \(a.line)\n       \(b.line)"
        return result
    }

    /// Reads back what `report` wrote as JSON.
    private func parse(_ text: String) -> Result? { RunReport(text).map { Result(narrative: $0.narrative, failure: $0.failure, line: $0.trace) } }
}
