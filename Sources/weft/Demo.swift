// `weft demo`: two pods, one mesh, no Kubernetes. Arguments, output and exit codes only; the work is LocalCluster's, and the simulated
// half runs in a process of its own, because a world replaces OpenSSL's chance.

import ArgumentParser
import Base
import Documents
import Glibc
import Kube
import LocalCluster
import Simulations

struct DemoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Run two meshed pods on this machine, prove that nothing crosses in the clear, and rehearse the same in the simulator.",
        discussion: """
            As root on Linux: API server, controllers, proxies, nginx and curl run as real processes, each pod in a network namespace
            behind real iptables rules. Calls are made, every packet between the pods is captured and searched. Then the same objects
            and calls run in the simulator, and both worlds are compared. Everything that was started is gone at the end.

            Without root only the simulated half runs.

            Examples:
              weft demo
              weft demo --keep        # then kubectl, curl and curiosity
              weft demo --json | jq .bridge

            Exit status: 0 everything held; 1 something did not; 130 interrupted.
            """)

    @Flag(help: "Leave the cluster up until Ctrl-C.")
    var keep = false

    @Flag(help: "Print one JSON object: calls, bridge, insideApi, simulator, differences, failures.")
    var json = false

    @Option(help: "Seed of the simulated world.")
    var seed: UInt64 = 1

    @Option(help: "Where weft-proxy, weft-controller and weft-init are; default: beside weft.")
    var programs: String?

    @Option(help: ArgumentHelp("Only the simulated half, with this token.", visibility: .hidden))
    var rehearse: String?

    func run() throws {
        if let rehearse {
            let outcome = DemoRehearsal.run(token: rehearse, seed: seed, build: Version.build)
            let json = Value.members(["records": .array(outcome.records.map(\.json)), "trace": .string(outcome.trace), "failure": outcome.failure.map { .string($0) }])
            return print(json.json())
        }
        var options = DemoOptions()
        options.keepsCluster = keep
        options.isJSON = json
        let directory = programs ?? String(Executable.path[..<(Executable.path.lastIndex(of: "/") ?? Executable.path.startIndex)])
        let demo = Demo(
            options: options, programs: { () throws(Refusal) in try WeftPrograms(directory: directory) }, rehearse: { elsewhere(token: $0) },
            output: { line in
                print(line)
                fflush(nil)
            })
        let status = demo.run()
        if status != 0 { throw ExitCode(status) }
    }

    private func elsewhere(token: String) -> Rehearsal {
        do {
            let outcome = try Executable.runAgain(["demo", "--rehearse", token, "--seed", "\(seed)"], directory: "/", variables: [], fixedAddresses: false)
            guard outcome.status == 0, let json = try? Value(json: Array(outcome.output.utf8)), let trace = json.text("trace") else {
                return Rehearsal(records: [], trace: "", failure: "the simulation ended with status \(outcome.status): \(outcome.error.suffix(300))")
            }
            return Rehearsal(records: json.items("records").compactMap { CallRecord($0) }, trace: trace, failure: json.text("failure"))
        } catch { return Rehearsal(records: [], trace: "", failure: "\(error)") }
    }
}
