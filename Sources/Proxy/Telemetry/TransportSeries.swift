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
    /// Bytes by where the endpoint is; nil: nobody pays for them.
    private let received: Metric?
    private let sent: Metric?

    /// `locality`: of an outbound endpoint, `local`, `remote` or something else.
    init(_ registry: MetricsRegistry, _ labels: [(String, String)], locality: String? = nil) {
        self.registry = registry
        self.labels = labels
        opened = registry.metric(Families.opened, labels)
        open = registry.metric(Families.open, labels)
        readBytes = registry.metric(Families.readBytes, labels)
        writeBytes = registry.metric(Families.writtenBytes, labels)
        func cost(_ operation: String, _ locality: String) -> Metric {
            let zone = locality == "local" ? "Local" : locality == "remote" ? "Remote" : "Unknown"
            return registry.metric(Families.transferCost, [("op", operation), ("zone_locality", zone)])
        }
        received = locality.map { cost("Recv", $0) }
        sent = locality.map { cost("Send", $0) }
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

    @inline(__always) func countRead(_ bytes: Int) {
        readBytes.increment(by: Double(bytes))
        received?.increment(by: Double(bytes))
    }

    @inline(__always) func countWritten(_ bytes: Int) {
        writeBytes.increment(by: Double(bytes))
        sent?.increment(by: Double(bytes))
    }

    private func closedTotal(_ errno: String) -> Metric {
        registry.metric(Families.closed, labels + [("errno", errno)])
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
