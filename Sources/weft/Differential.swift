// `weft differential`: are the two worlds one? Arguments, output and exit codes only; the work is LocalCluster's, and the simulated half
// runs in a process of its own, because a world replaces OpenSSL's chance.

import ArgumentParser
import Base
import Documents
import Glibc
import Kube
import LocalCluster
import Simulations

struct DifferentialCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "differential",
        abstract: "Make drawn exchanges on this machine and in the simulator, and say where they differ.",
        discussion: """
            As root on Linux: two meshed pods in network namespaces, and the same two in the simulator. A client holds the same drawn
            conversations with a server in both: HTTP/1 in one or several requests and any pieces, HTTP/2, opaque bytes; one in four is
            wrong in a way that has fooled proxies. Status, headers, bodies and trailers are compared on both sides.

            Examples:
              weft differential
              weft differential --count 5000 --seed 7
              weft differential --json | jq '.differences[].note'

            Exit status: 0 both worlds agree; 1 they differ; 77 no root; 130 interrupted.
            """)

    @Option(help: "How many exchanges.")
    var count = 1000

    @Option(help: "Seed of the exchanges and of the simulated world.")
    var seed: UInt64 = 1

    @Flag(help: "Print one JSON object: seed, exchanges, reachedServer, trace, differences, failures.")
    var json = false

    @Option(help: "Where weft-proxy, weft-controller and weft-init are; default: beside weft.")
    var programs: String?

    @Flag(help: ArgumentHelp("Only the simulated half.", visibility: .hidden))
    var rehearse = false

    func validate() throws {
        if !(1...100_000).contains(count) { throw ValidationError("--count is from 1 to 100000") }
    }

    func run() throws {
        if rehearse {
            let outcome = ExchangeRehearsal.run(ExchangePlan(seed: seed, count: count), seed: seed, build: Version.build)
            let json = Value.members(["records": .array(outcome.records.map(\.json)), "trace": .string(outcome.trace), "failure": outcome.failure.map { .string($0) }])
            return print(json.json())
        }
        var options = DifferentialOptions()
        options.count = count
        options.seed = seed
        options.isJSON = json
        let directory = programs ?? String(Executable.path[..<(Executable.path.lastIndex(of: "/") ?? Executable.path.startIndex)])
        let isTerminal = isatty(STDERR_FILENO) == 1
        let differential = Differential(
            options: options, programs: { () throws(Refusal) in try WeftPrograms(directory: directory) }, rehearse: elsewhere,
            output: { line in
                print(line)
                fflush(nil)
            },
            progress: { line in if isTerminal { writeError("\r\u{1b}[2K\(line)") } })
        let status = differential.run()
        if status != 0 { throw ExitCode(status) }
    }

    private func elsewhere() -> SimulatedExchanges {
        do {
            let outcome = try Executable.runAgain(["differential", "--rehearse", "--seed", "\(seed)", "--count", "\(count)"], directory: "/", variables: [], fixedAddresses: false)
            guard outcome.status == 0, let json = try? Value(json: Array(outcome.output.utf8)), let trace = json.text("trace") else {
                return SimulatedExchanges(records: [], trace: "", failure: "the simulation ended with status \(outcome.status): \(outcome.error.suffix(300))")
            }
            return SimulatedExchanges(records: json.items("records").compactMap { ExchangeRecord($0) }, trace: trace, failure: json.text("failure"))
        } catch { return SimulatedExchanges(records: [], trace: "", failure: "\(error)") }
    }
}
