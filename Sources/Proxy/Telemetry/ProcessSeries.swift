// The process as its metrics show it: which build, since when, how much of the machine. Read from /proc when somebody asks for
// metrics; where there is no /proc (the simulator) only the times are there.
// Source: Prometheus client library guidelines, "Process metrics"; proc(5); facts 5.5.

import Base
import Platform
import TLS

final class ProcessSeries {
    private let host: any Host
    private let started: Instant
    private let uptime: Metric
    private let refused: Metric
    private let registry: MetricsRegistry
    /// Clock ticks of /proc/self/stat in a second. Source: proc(5), sysconf(_SC_CLK_TCK), 100 on every Linux architecture.
    private static let ticksPerSecond = 100.0
    /// Source: 4 KiB pages, the only size on the platforms we build for.
    private static let pageBytes = 4096.0

    init(host: any Host, registry: MetricsRegistry, version: String) {
        self.host = host
        self.registry = registry
        started = host.now
        registry.metric(Families.build, [("date", ""), ("git_sha", ""), ("profile", ""), ("vendor", "weft"), ("version", version)]).value = 1
        registry.metric(
            Families.tls,
            [
                ("tls_suites", "TLS13_AES_128_GCM_SHA256,TLS13_AES_256_GCM_SHA384,TLS13_CHACHA20_POLY1305_SHA256"),
                ("tls_kx_groups", TLSLibrary.groups.map { $0 == "P-256" ? "secp256r1" : $0 }.joined(separator: ",")), ("tls_rand", "openssl"),
                ("tls_key_provider", "openssl"), ("tls_fips", "false"),
            ]
        ).value = 1
        registry.metric(Families.startTime).value = Double(host.wall.seconds)
        uptime = registry.metric(Families.uptime)
        refused = registry.metric(Families.seriesRefused)
    }

    func refresh() {
        uptime.value = Double((host.now - started).milliseconds) / 1000
        refused.value = Double(registry.refusedCount)
        // The name in parentheses may hold anything; fields are counted from after it. Field 3 (state) comes first.
        let fields = words(of: "/proc/self/stat", after: ")")
        guard fields.count > 21, let user = Double(fields[11]), let system = Double(fields[12]), let threads = Double(fields[17]), let virtual = Double(fields[20]), let pages = Double(fields[21])
        else { return }
        registry.metric(Families.cpu).value = (user + system) / Self.ticksPerSecond
        registry.metric(Families.threads).value = threads
        registry.metric(Families.virtualMemory).value = virtual
        registry.metric(Families.residentMemory).value = pages * Self.pageBytes
        if let open = try? host.files.list("/proc/self/fd") { registry.metric(Families.descriptors).value = Double(open.count) }
        // Soft and hard limit follow the name.
        if let most = words(of: "/proc/self/limits", after: "Max open files").first.flatMap({ Double($0) }) { registry.metric(Families.descriptorsMax).value = most }
        let network = interfaces()
        registry.metric(Families.receivedBytes).value = network.received
        registry.metric(Families.sentBytes).value = network.sent
    }

    /// All interfaces but loopback. Source: proc(5), /proc/net/dev: received bytes are the first column, sent bytes the ninth.
    private func interfaces() -> (received: Double, sent: Double) {
        guard let text = try? host.files.read("/proc/self/net/dev") else { return (0, 0) }
        var sum = (received: 0.0, sent: 0.0)
        for line in String(decoding: text, as: UTF8.self).split(separator: "\n") {
            let sides = line.split(separator: ":", maxSplits: 1)
            guard sides.count == 2, !sides[0].hasSuffix("lo") || sides[0].drop(while: { $0 == " " }) != "lo" else { continue }
            let columns = sides[1].split(separator: " ")
            guard columns.count >= 9, let received = Double(columns[0]), let sent = Double(columns[8]) else { continue }
            sum.received += received
            sum.sent += sent
        }
        return sum
    }

    /// Words of a file after the first place where `mark` stands.
    private func words(of path: String, after mark: String) -> [Substring] {
        guard let bytes = try? host.files.read(path) else { return [] }
        let text = String(decoding: bytes, as: UTF8.self)
        guard let range = text.ranges(of: mark).last(where: { _ in true }) else { return [] }
        return text[range.upperBound...].split { $0 == " " || $0 == "\n" }
    }
}
