// A collector of spans, as a tracing backend's: gRPC over mesh TLS, keeping what it gets for the story to judge.

import Base
import GRPC
import MeshAPI
import Platform
import Simulator
import TLS
import Transport

public final class SpanCollector {
    /// Batches, in the order in which they came.
    public private(set) var batches: [OpenTelemetry.ExportRequest] = []
    /// What each batch is answered with; nil: accepted.
    public var refusal: GRPCStatus?
    public let process: SimProcess

    public static let identity = "collector.demo.serviceaccount.identity.linkerd.cluster.local"
    public static let address = SocketAddress(IPAddress(10, 0, 2, 1), 4317)

    /// What a proxy is told of it.
    public static let environment: [(name: String, value: String?)] = [("TRACE_COLLECTOR_SVC_ADDR", "\(address)"), ("TRACE_COLLECTOR_SVC_NAME", identity)]

    public var spans: [OpenTelemetry.Span] { batches.flatMap(\.spans) }

    init(mesh: ScriptedMesh) throws(StoryFailure) {
        process = mesh.stage.world.addProcess("collector", on: mesh.stage.world.addNode("collector", ip: Self.address.ip), userID: 1000, settings: Settings()) { _ in }
        process.start()
        mesh.stage.world.run(for: .zero)
        let server = GRPCServer(host: process)
        server.register(
            OpenTelemetry.export,
            unary: { [unowned self] request, _, answer in
                if let refusal { return answer(.failure(refusal)) }
                batches.append(request)
                answer(.success(OpenTelemetry.ExportResponse()))
            })
        let process = process
        let now = mesh.stage.world.wall
        let outcome: Result<Void, any Error> = process.run {
            Result {
                let credentials = try mesh.issuer.issueCredentials(identity: Self.identity, validity: (now - .hours(1))...(now + .days(365)))
                try server.listen(on: SocketAddress(.any, Self.address.port), batch: FlushBatch(host: process), tls: { [mesh] in TLSServerConfiguration(credentials: credentials, anchors: mesh.anchors) })
            }
        }
        if case .failure(let error) = outcome { throw StoryFailure("no collector: \(error)") }
        process.keep(self)
        process.onShutdown { server.drain { process.exit(0) } }
    }
}

extension ScriptedMesh {
    /// A collector at `SpanCollector.address`.
    public func addCollector() throws(StoryFailure) -> SpanCollector { try SpanCollector(mesh: self) }
}
