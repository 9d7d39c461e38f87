// The families of connections: opened, open, closed, bytes each way. A series is held by whoever owns the connection, so counting
// adds to a field. Source: linkerd2-proxy linkerd/transport-metrics, shared facts on the data plane 5.3.

import Base
import Platform

/// Connections with the same labels. `peer` is `src` for accepted ones, `dst` for dialled ones.
final class TransportSeries {
    private let registry: MetricsRegistry
    private let labels: [(String, String)]
    private let opened: Metric
    private let open: Metric
    private let readBytes: Metric
    private let writeBytes: Metric
    private var closedCleanly: Metric?

    init(_ registry: MetricsRegistry, _ labels: [(String, String)]) {
        self.registry = registry
        self.labels = labels
        opened = registry.counter("tcp_open_total", help: "Total count of opened connections", labels)
        open = registry.gauge("tcp_open_connections", help: "Number of currently-open connections", labels)
        readBytes = registry.counter("tcp_read_bytes_total", help: "Total count of bytes read from peers", labels)
        writeBytes = registry.counter("tcp_write_bytes_total", help: "Total count of bytes written to peers", labels)
    }

    func countOpened() {
        opened.increment()
        open.increment()
    }

    func countClosed(_ failure: HostFailure?) {
        open.increment(by: -1)
        guard let failure else {
            let metric = closedCleanly ?? closedTotal("")
            closedCleanly = metric
            metric.increment()
            return
        }
        closedTotal(Self.errno(failure)).increment()
    }

    @inline(__always) func countRead(_ bytes: Int) { readBytes.increment(by: Double(bytes)) }
    @inline(__always) func countWritten(_ bytes: Int) { writeBytes.increment(by: Double(bytes)) }

    private func closedTotal(_ errno: String) -> Metric {
        registry.counter("tcp_close_total", help: "Total count of closed connections", labels + [("errno", errno)])
    }

    private static func errno(_ failure: HostFailure) -> String {
        switch failure.reason {
        case .connectionRefused: "ECONNREFUSED"
        case .connectionReset: "ECONNRESET"
        case .timedOut: "ETIMEDOUT"
        case .hostUnreachable: "EHOSTUNREACH"
        case .brokenPipe: "EPIPE"
        default: "UNKNOWN"
        }
    }
}
