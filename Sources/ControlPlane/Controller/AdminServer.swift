// The admin port of a controller: whether it is ready, that it lives, and its metrics.
// Source: linkerd2 pkg/admin/admin.go, and the policy controller's /live.

import Base
import GRPC
import HTTP
import Platform
import Transport

public final class AdminServer: HTTPRequestHandler {
    /// Answers `/ready`.
    public var isReady = false
    public let metrics: MetricsRegistry
    private var refreshers: [() -> Void] = []
    private var server: HTTPServer?

    public init(batch: FlushBatch, address: SocketAddress, metrics: MetricsRegistry) throws(HostFailure) {
        self.metrics = metrics
        server = try HTTPServer(batch: batch, address: address, handler: self)
    }

    /// `refresh` is called before metrics are printed, to bring gauges up to date.
    public func beforeMetrics(_ refresh: @escaping () -> Void) { refreshers.append(refresh) }

    public var address: SocketAddress { server?.address ?? SocketAddress(.any, 0) }

    public func close() {
        server?.close()
        server = nil
        refreshers = []
    }

    public func request(_ stream: HTTPStream, _ head: RequestHead, endStream: Bool, peer: HTTPPeer) {
        guard head.method == .get || head.method == .head else { return stream.respond(status: 405, headers: [("allow", "GET, HEAD")]) }
        let text = [("content-type", "text/plain; charset=utf-8")]
        switch head.path.description.split(separator: "?", maxSplits: 1).first.map(String.init) {
        case "/ping": stream.respond(status: 200, headers: text, body: [UInt8]("pong\n"))
        case "/live": stream.respond(status: 200, headers: text, body: [UInt8]("live\n"))
        case "/ready": isReady ? stream.respond(status: 200, headers: text, body: [UInt8]("ok\n")) : stream.respond(status: 503, headers: text, body: [UInt8]("not ready\n"))
        case "/metrics":
            for refresh in refreshers { refresh() }
            stream.respond(status: 200, headers: [("content-type", "text/plain; version=0.0.4; charset=utf-8")], body: Array(metrics.exposition().utf8))
        default: stream.respond(status: 404, headers: text, body: [UInt8]("not found\n"))
        }
    }
}

/// Counts the calls of a gRPC server. Names and labels are those of Linkerd's controllers.
final class ServerMetrics {
    private let registry: MetricsRegistry

    init(_ server: GRPCServer, registry: MetricsRegistry) {
        self.registry = registry
        server.onStarted = { path in
            registry.counter("grpc_server_started_total", help: "Total number of RPCs started on the server.", Self.labels(path)).increment()
        }
        server.onCompleted = { path, code, took in
            registry.counter("grpc_server_handled_total", help: "Total number of RPCs completed on the server.", Self.labels(path) + [("grpc_code", Self.name(code))]).increment()
            // Source: linkerd2 pkg/prometheus, handling-time buckets.
            registry.histogram("grpc_server_handling_seconds", help: "Response latency of RPCs handled by the server.", bounds: [0.1, 1, 300, 3600], Self.labels(path))
                .observe(Double(took.nanoseconds) / 1e9)
        }
    }

    private static func labels(_ path: String) -> [(String, String)] {
        let parts = path.split(separator: "/")
        return [("grpc_service", parts.first.map(String.init) ?? ""), ("grpc_method", parts.last.map(String.init) ?? "")]
    }

    /// As grpc-go spells codes: `OK`, `Canceled`, `NotFound`.
    private static func name(_ code: GRPCStatus.Code) -> String {
        if code == .ok { return "OK" }
        if code == .cancelled { return "Canceled" }
        return code.name.split(separator: "_").map { $0.prefix(1) + $0.dropFirst().lowercased() }.joined()
    }
}
