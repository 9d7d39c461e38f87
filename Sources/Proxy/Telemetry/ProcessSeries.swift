// The process as its metrics show it: which build, since when, how much of the machine. Read from /proc when somebody asks for
// metrics; where there is no /proc (the simulator) only the times are there.
// Source: Prometheus client library guidelines, "Process metrics"; proc(5); facts 5.5.

import Base
import Platform

final class ProcessSeries {
    private let host: any Host
    private let started: Instant
    private let uptime: Metric
    private let registry: MetricsRegistry
    /// Clock ticks of /proc/self/stat in a second. Source: proc(5), sysconf(_SC_CLK_TCK), 100 on every Linux architecture.
    private static let ticksPerSecond = 100.0
    /// Source: 4 KiB pages, the only size on the platforms we build for.
    private static let pageBytes = 4096.0

    init(host: any Host, registry: MetricsRegistry, version: String) {
        self.host = host
        self.registry = registry
        started = host.now
        registry.gauge("proxy_build_info", help: "The build that runs.", [("date", ""), ("git_sha", ""), ("profile", ""), ("vendor", "weft"), ("version", version)]).value = 1
        registry.gauge("process_start_time_seconds", help: "When the process started, in seconds since the UNIX epoch.").value = Double(host.wall.seconds)
        uptime = registry.counter("process_uptime_seconds_total", help: "Seconds since the process started.")
    }

    func refresh() {
        uptime.value = Double((host.now - started).milliseconds) / 1000
        guard let stat = try? host.files.read("/proc/self/stat") else { return }
        // The name in parentheses may hold anything; fields are counted from after it. Field 3 (state) comes first.
        let fields = String(decoding: stat, as: UTF8.self).split(separator: ")", maxSplits: 1).last?.split(separator: " ") ?? []
        guard fields.count > 21, let user = Double(fields[11]), let system = Double(fields[12]), let threads = Double(fields[17]), let virtual = Double(fields[20]), let pages = Double(fields[21])
        else { return }
        registry.counter("process_cpu_seconds_total", help: "CPU time used, user and system, in seconds.").value = (user + system) / Self.ticksPerSecond
        registry.gauge("process_threads", help: "Threads of the process.").value = threads
        registry.gauge("process_virtual_memory_bytes", help: "Virtual memory, in bytes.").value = virtual
        registry.gauge("process_resident_memory_bytes", help: "Resident memory, in bytes.").value = pages * Self.pageBytes
    }
}
