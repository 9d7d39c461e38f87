// A simulated cluster for tests: the API server on one node, the production client on another, the simulated network between.

import APIServer
import Base
import Documents
import HTTP
import Kube
import Platform
import Simulator
import TLS
import Testing
import Transport

final class Cluster {
    let world: World
    let serverProcess: SimProcess
    let clientProcess: SimProcess
    private(set) var server: KubeAPIServer!
    private(set) var client: KubeClient!
    private(set) var node: TestNode!

    init(seed: UInt64 = 1, segmentation: Segmentation = .seeded, hasNode: Bool = true, options: APIServerOptions = APIServerOptions()) throws {
        var worldOptions = WorldOptions(start: WallTime(year: 2026, month: 6, day: 1, hour: 12)!)
        worldOptions.segmentation = segmentation
        world = World(seed: seed, options: worldOptions)
        serverProcess = world.addProcess("apiserver", on: world.addNode("control", ip: IPAddress(10, 0, 0, 1)), userID: 1, settings: Settings()) { _ in }
        clientProcess = world.addProcess("client", on: world.addNode("client", ip: IPAddress(10, 0, 0, 2)), userID: 1, settings: Settings()) { _ in }
        serverProcess.start()
        clientProcess.start()
        world.run(for: .zero)
        var failure: (any Error)?
        serverProcess.run {
            do {
                server = try KubeAPIServer(host: serverProcess, options: options)
                try server.start(address: SocketAddress(IPAddress(10, 0, 0, 1), 6443))
                if hasNode {
                    node = try TestNode(server)
                    node.start(serverProcess, every: .milliseconds(200))
                }
            } catch { failure = error }
        }
        if let failure { throw failure }
        client = try makeClient(token: server.adminToken)
        world.run(for: .milliseconds(1))
    }

    func makeClient(token: String?) throws -> KubeClient {
        var configuration = KubeConfiguration(scheme: .http, host: "10.0.0.1", port: 6443)
        if let token { configuration.token = .fixed(token) }
        var made: KubeClient?
        var failure: (any Error)?
        clientProcess.run {
            do { made = try KubeClient(batch: FlushBatch(host: clientProcess), configuration: configuration, resolver: Resolver(host: clientProcess), userAgent: "test") } catch { failure = error }
        }
        if let failure { throw failure }
        return made!
    }

    func apply(_ yaml: String) throws {
        let documents = try YAML.parse(Array(yaml.utf8)).map(\.value)
        var failure: (any Error)?
        serverProcess.run { do { try server.apply(documents) } catch { failure = error } }
        if let failure { throw failure }
    }

    @discardableResult
    func onServer<R>(_ body: (KubeAPIServer) throws -> R) throws -> R {
        try serverProcess.run { Result { try body(server) } }.get()
    }

    /// One call of the client to its end.
    func call<T>(_ start: (KubeClient, @escaping (Result<T, KubeError>) -> Void) -> Void) throws -> T {
        var answer: Result<T, KubeError>?
        clientProcess.run { start(client) { answer = $0 } }
        #expect(world.run(until: { answer != nil }, limit: .seconds(20)))
        guard let answer else { throw Refusal("no answer") }
        return try answer.get()
    }

    func status<T>(_ start: (KubeClient, @escaping (Result<T, KubeError>) -> Void) -> Void) -> KubeStatus? {
        do {
            _ = try call(start)
            return nil
        } catch { return (error as? KubeError)?.status }
    }

    /// A request by hand.
    func send(_ method: HTTPMethod, _ path: String, _ body: Value? = nil, contentType: String = "application/json", accept: String = "application/json") throws -> KubeResponse {
        var request = KubeRequest(method, path)
        request.contentType = contentType
        request.accept = accept
        if let body { request.body = Array(body.json().utf8) }
        return try call { $0.send(request, $1) }
    }

    func document(_ method: HTTPMethod, _ path: String, _ body: Value? = nil, contentType: String = "application/json", accept: String = "application/json") throws -> Value {
        try Value(json: try send(method, path, body, contentType: contentType, accept: accept).body)
    }

    func objects(_ resource: KubeResource, namespace: String = "default") -> [KubeObject] { server.objects(resource, namespace: namespace) }

    func await(_ what: String, _ condition: () -> Bool) {
        let came = world.run(until: condition, limit: .seconds(60), awaiting: what)
        #expect(came, "\(what)")
    }
}

let webYAML = """
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web, labels: {app: web}}
    spec:
      replicas: 3
      selector: {matchLabels: {app: web}}
      template:
        metadata: {labels: {app: web}}
        spec:
          containers:
          - {name: web, image: "web:1", ports: [{containerPort: 8080, name: http}]}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: web}
    spec:
      selector: {app: web}
      ports: [{name: http, port: 80, targetPort: http}]
    """
