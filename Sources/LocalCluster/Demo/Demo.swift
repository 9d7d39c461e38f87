// The demonstration from beginning to end: a cluster of namespaces on this machine, real calls through real proxies, a capture that
// proves what could be read, the same in the simulator, and the comparison. It decides what holds; the report only says it.

import Base
import CLinux
import Capture
import Glibc
import Linux
import Manifests
import Platform
import Simulations

public struct DemoOptions: Sendable {
    /// Leave the cluster up until the user ends it.
    public var keepsCluster = false
    /// One JSON object instead of lines.
    public var isJSON = false
    public init() {}
}

/// The same calls in the simulator.
public struct Rehearsal: Sendable {
    public var records: [CallRecord]
    /// The line that says which run it was.
    public var trace: String
    /// What the simulator's judges said; nil: nothing.
    public var failure: String?

    public init(records: [CallRecord], trace: String, failure: String?) {
        self.records = records
        self.trace = trace
        self.failure = failure
    }
}

public final class Demo {
    private let options: DemoOptions
    private let programs: () throws(Refusal) -> WeftPrograms
    private let rehearse: (_ token: String) -> Rehearsal
    private let output: (String) -> Void
    private var report = DemoReport()
    private var begun = Int64(0)
    /// All that was to be shown was shown, and held.
    private var isKept = false

    /// `rehearse` runs the simulated half in a process of its own; `output` takes whole lines without their ends.
    public init(options: DemoOptions, programs: @escaping () throws(Refusal) -> WeftPrograms, rehearse: @escaping (_ token: String) -> Rehearsal, output: @escaping (String) -> Void) {
        self.options = options
        self.programs = programs
        self.rehearse = rehearse
        self.output = output
    }

    /// Returns the exit status: 0 only if everything held, 130 after an interruption.
    public func run() -> Int32 {
        begun = clinux_monotonic()
        let token = Self.token()
        report.phrases = DemoPlan(token: token).phrases.count
        guard clinux_user_id() == 0 else {
            say("Network namespaces need root, so only the simulated half runs here; `sudo make demo` shows both.")
            return withoutMachine(token)
        }
        var status: Int32
        do throws(LocalFailure) {
            status = try live(DemoPlan(token: token))
        } catch {
            if error.isInterruption {
                say("\n\(isKept ? "ended" : "interrupted"); everything that was started is gone")
                return isKept ? 0 : 130
            }
            report.failures.append(error.text)
            status = 1
        }
        if options.isJSON { output(String(report.json.dropLast())) } else { for failure in report.failures { output("FAILED: \(failure)") } }
        return status
    }

    private func withoutMachine(_ token: String) -> Int32 {
        let rehearsal = rehearse(token)
        report.rehearsal = rehearsal
        report.failures += [rehearsal.failure].compactMap { $0 } + rehearsal.records.compactMap { record in record.failure.map { "\(record.call): \($0)" } }
        say("")
        for record in rehearsal.records { say("  \(pad(record.call, 15))\(DemoReport.cell(record))") }
        if options.isJSON { output(String(report.json.dropLast())) }
        for failure in report.failures { say("FAILED: \(failure)") }
        return report.failures.isEmpty ? 0 : 1
    }

    private static func token() -> String {
        var seed: UInt64 = 0
        _ = clinux_random(&seed, 8)
        var random = Random(seed: seed)
        let letters = Array("abcdefghijklmnopqrstuvwxyz".utf8)
        return String(decoding: (0..<16).map { _ in letters[random.below(letters.count)] }, as: UTF8.self)
    }

    // MARK: On this machine

    private func live(_ plan: DemoPlan) throws(LocalFailure) -> Int32 {
        say("weft demo: two pods, one mesh, no Kubernetes\n")
        var notes: [String] = []
        let cluster: MachineCluster
        do {
            let log = Log(control: Log.Control(level: .warn)) { _, target, text in if notes.count < 100 { notes.append("\(target): \(text)") } }
            let host = try LinuxHost(settings: Settings(), log: log, takesSignals: true)
            cluster = MachineCluster(host: host, programs: try programs()) { [self] in step($0) }
        } catch { throw LocalFailure("\(error)") }
        var taps: [Tap] = []
        defer {
            for tap in taps { tap.stop() }
            cluster.stop()
            if !report.failures.isEmpty { report.failures += notes.suffix(5) }
        }
        try cluster.start()
        report.run = cluster.network.name
        let bridge = try tap("br0", cluster.network.hub, cluster, &taps)
        try cluster.apply(EmbeddedManifests.demo)
        let (web, api) = (try cluster.ready("web"), try cluster.ready("api"))
        for pod in [web, api] { step("\(pad(pod.name.split(separator: "-").first.map(String.init) ?? "", 3)) on \(pod.place.address): iptables redirect it, its proxy is certified and ready") }
        try cluster.listening(api, port: DemoPlan.httpPort)
        try cluster.listening(api, port: DemoPlan.bytesPort)
        let inside = try tap("lo", api.place, cluster, &taps)

        say("\nweb calls \(DemoPlan.host) with curl and socat; api is told who calls:\n")
        let caller = DemoCaller(cluster: cluster, web: web, api: api)
        for calls in plan.steps {
            let made = try caller.make(calls)
            report.calls += made
            for line in DemoReport.made(made) { say(line) }
            report.failures += made.compactMap { call in call.record.failure.map { "\(call.record.call): \($0)" } }
        }
        let metrics = ProxyMetrics(try cluster.metrics(of: web))
        let toPeer: KeyValuePairs<String, String> = ["direction": "outbound", "peer": "dst", "tls": "true", "server_id": DemoPlan.server]
        report.meshedBytes = (metrics.sum("tcp_write_bytes_total", toPeer), metrics.sum("tcp_read_bytes_total", toPeer))

        // The capture's last packets are handed over within its timeout.
        try cluster.wait("the last packets") { [begun = cluster.host.now] in cluster.host.now - begun >= .milliseconds(60) }
        for tap in taps { tap.stop() }
        judge(plan, cluster, bridge: bridge, inside: inside)
        say("")
        for line in report.wire() { say(line) }
        try rehearseAndCompare(plan, cluster)
        if options.keepsCluster, report.isGood { try keep(cluster) }
        return report.isGood ? 0 : 1
    }

    private func tap(_ interface: String, _ place: PodNamespace, _ cluster: MachineCluster, _ taps: inout [Tap]) throws(LocalFailure) -> Tap {
        do {
            let tap = try Tap(interface, in: place, host: cluster.host)
            taps.append(tap)
            return tap
        } catch { throw LocalFailure("no capture of \(interface): \(error)") }
    }

    /// Nothing of ours was readable on the bridge; all of it was inside the pod, so the search can find things; and what was not TLS
    /// on the bridge were probes and metrics of the proxies, as with Linkerd.
    private func judge(_ plan: DemoPlan, _ cluster: MachineCluster, bridge: Tap, inside: Tap) {
        let phrases = plan.phrases.map { Array($0.utf8) }
        let tokens = cluster.pods.pods.compactMap { try? cluster.host.files.read("\($0.run)/secrets/tokens/linkerd-identity-token") }
        let bridgeWatch = bridge.judge(phrases + tokens)
        let insideWatch = inside.judge(phrases)
        report.bridge = WireReport(bridgeWatch, phrases: phrases.count)
        report.inside = WireReport(insideWatch, phrases: phrases.count)
        report.failures += [bridge.doubt(bridgeWatch), inside.doubt(insideWatch)].compactMap { $0 }
        for i in bridgeWatch.seen { report.failures.append(i < phrases.count ? "\"\(plan.phrases[i])\" crossed the bridge in the clear" : "a service account's token crossed the bridge in the clear") }
        for i in phrases.indices where !insideWatch.seen.contains(i) { report.failures.append("\"\(plan.phrases[i])\" was not found inside api, so not finding it elsewhere proves nothing") }
        for (client, server) in bridgeWatch.otherConnections where server.port != 4191 && server.port != 53 { report.failures.append("\(client) and \(server) spoke without TLS on the bridge") }
        if tokens.count < 2 { report.failures.append("the pods have no tokens to look for") }
        if report.bridge.tlsConnections == 0 { report.failures.append("no TLS was seen on the bridge") }
        if report.bridge.versions != "TLS 1.3" { report.failures.append("servers on the bridge chose \(report.bridge.versions.isEmpty ? "no version" : report.bridge.versions), not TLS 1.3") }
    }

    // MARK: In the simulator

    private func rehearseAndCompare(_ plan: DemoPlan, _ cluster: MachineCluster) throws(LocalFailure) {
        say("\nthe same objects and calls in the simulator:\n")
        let rehearsal = rehearse(plan.token)
        // The loop stood still meanwhile; an interruption that came is told by its next turn.
        cluster.host.turn(waitingAtMost: .zero)
        try cluster.wait("the simulator") { true }
        report.rehearsal = rehearsal
        for line in report.worlds() { say(line) }
        report.failures += [rehearsal.failure].compactMap { $0 }
        report.failures += rehearsal.records.compactMap { record in record.failure.map { "in the simulator, \(record.call): \($0)" } }
        report.differences = CallRecord.differences(report.calls.map(\.record), rehearsal.records)
        say("")
        for difference in report.differences { say("  differs: \(difference)") }
        if report.isGood { say("both worlds agree") }
    }

    // MARK: Staying

    private func keep(_ cluster: MachineCluster) throws(LocalFailure) {
        let path = try cluster.openToMachine()
        say("""

            The cluster stays until Ctrl-C. In another terminal:
              export KUBECONFIG=\(path)
              kubectl get pods -A
              ip netns exec \(cluster.network.pods.first { $0.role.hasPrefix("web") }?.name ?? "") curl -s http://\(cluster.network.pods.first { $0.role.hasPrefix("api") }?.address.description ?? "")/
            """)
        isKept = true
        try cluster.wait("the end", within: .days(365)) { false }
    }

    // MARK: Lines

    private func say(_ line: String) { if !options.isJSON { output(line) } }

    private func step(_ text: String) {
        let tenths = (clinux_monotonic() - begun) / 100_000_000
        say("\(padLeft("\(tenths / 10).\(tenths % 10) s", 7))  \(text)")
    }
}
