// The differential run: the same drawn exchanges through the shipped programs in network namespaces of this machine and through the
// simulator, and every line in which client or server saw something else. One code, two worlds; where they disagree, that is the bug.

import Base
import CLinux
import Documents
import Kube
import Linux
import Platform
import Simulations

public struct DifferentialOptions: Sendable {
    /// Unit: exchanges.
    public var count = 1000
    /// Of the exchanges that are drawn, and of the simulated world.
    public var seed: UInt64 = 1
    /// One JSON object instead of lines.
    public var isJSON = false
    public init() {}
}

/// The simulated half of a differential run.
public struct SimulatedExchanges: Sendable {
    public var records: [ExchangeRecord]
    /// The line that says which run it was.
    public var trace: String
    /// What the simulator's judges said; nil: nothing.
    public var failure: String?

    public init(records: [ExchangeRecord], trace: String, failure: String?) {
        self.records = records
        self.trace = trace
        self.failure = failure
    }
}

public final class Differential {
    private let options: DifferentialOptions
    private let programs: () throws(Refusal) -> WeftPrograms
    private let rehearse: () -> SimulatedExchanges
    private let output: (String) -> Void
    private let progress: (String) -> Void

    /// `rehearse` runs the simulated half in a process of its own; `output` takes whole lines without their ends; `progress` a line that
    /// may be written over by the next, and is empty at the end.
    public init(
        options: DifferentialOptions, programs: @escaping () throws(Refusal) -> WeftPrograms, rehearse: @escaping () -> SimulatedExchanges, output: @escaping (String) -> Void,
        progress: @escaping (String) -> Void
    ) {
        self.options = options
        self.programs = programs
        self.rehearse = rehearse
        self.output = output
        self.progress = progress
    }

    /// Returns the exit status: 0 only if both worlds agree in everything, 130 after an interruption.
    public func run() -> Int32 {
        guard clinux_user_id() == 0 else { return fail("network namespaces need root; `weft simulate worlds/` runs the simulated half", status: 77) }
        let plan = ExchangePlan(seed: options.seed, count: options.count)
        let here: [ExchangeRecord]
        do throws(LocalFailure) {
            here = try live(plan)
        } catch {
            progress("")
            return error.isInterruption ? 130 : fail(error.text, status: 1)
        }
        progress("the same in the simulator")
        let there = rehearse()
        progress("")
        return report(here, there)
    }

    private func fail(_ text: String, status: Int32) -> Int32 {
        output("weft differential: \(text)")
        return status
    }

    private func live(_ plan: ExchangePlan) throws(LocalFailure) -> [ExchangeRecord] {
        let cluster: MachineCluster
        do {
            let host = try LinuxHost(settings: Settings(), log: Log(control: Log.Control(level: .error)) { _, _, _ in }, takesSignals: true)
            cluster = MachineCluster(host: host, programs: try programs()) { [self] in progress($0) }
        } catch { throw LocalFailure("\(error)") }
        defer { cluster.stop() }
        try cluster.start()
        try cluster.apply(ExchangeRehearsal.manifest)
        let (web, api) = (try cluster.ready("web"), try cluster.ready("api"))
        let addresses = [(address: api.place.address, name: "<api>"), (address: web.place.address, name: "<web>")]
        let server: ExchangeServer
        do throws(HostFailure) { server = try ExchangeServer(host: cluster.host(of: api), plan: plan, addresses: addresses) } catch { throw LocalFailure("\(error)") }
        defer { server.close() }
        let caller = ExchangeCaller(host: cluster.host(of: web), service: ExchangeRehearsal.service, addresses: addresses)
        var results: [[String]]?
        caller.run(plan, progress: { [self] made in if made % 100 == 0 { progress("\(made) of \(options.count) exchanges on this machine") } }, done: { results = $0 })
        try cluster.wait("the exchanges to end", within: .seconds(Int64(options.count) * 6 + 60)) { results != nil }
        return ExchangeRehearsal.records(plan, client: results ?? [], server: server)
    }

    private func report(_ here: [ExchangeRecord], _ there: SimulatedExchanges) -> Int32 {
        var differences: [(record: ExchangeRecord, lines: [String])] = []
        for (a, b) in zip(here, there.records) {
            let lines = ExchangeRecord.differences(a, b)
            if !lines.isEmpty { differences.append((a, lines)) }
        }
        var failures = [there.failure].compactMap { $0 }
        if here.count != there.records.count { failures.append("\(here.count) exchanges here, \(there.records.count) in the simulator") }
        let reached = here.count { !$0.server.isEmpty }
        if options.isJSON {
            let json = Value.members([
                "seed": .string("\(options.seed)"), "exchanges": .int(Int64(here.count)), "reachedServer": .int(Int64(reached)), "trace": .string(there.trace),
                "differences": .array(differences.map { .members(["number": .int(Int64($0.record.number)), "note": .string($0.record.note), "lines": .array($0.lines.map { .string($0) })]) }),
                "failures": .array(failures.map { .string($0) }),
            ])
            output(json.json())
        } else {
            output("\(here.count) exchanges drawn from seed \(options.seed): \(reached) reached the server, \(here.count - reached) were answered by a proxy")
            for (record, lines) in differences.prefix(20) {
                output("  exchange \(record.number) (\(record.note))")
                for line in lines.prefix(6) { output("    \(line)") }
                if lines.count > 6 { output("    and \(lines.count - 6) lines more") }
            }
            if differences.count > 20 { output("  and \(differences.count - 20) exchanges more") }
            for failure in failures { output("FAILED: in the simulator, \(failure)") }
            output(there.trace)
            output(differences.isEmpty && failures.isEmpty ? "both worlds agree" : "the worlds differ in \(differences.count) exchanges")
        }
        return differences.isEmpty && failures.isEmpty ? 0 : 1
    }
}
