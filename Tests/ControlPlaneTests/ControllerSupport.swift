// A small cluster for controllers over sockets: nodes for the API server, the controllers and a client, a name server, an
// authority. The API server here only lists, watches and reviews what the test puts into it; the store's own semantics are
// judged elsewhere.

import Base
import ControlPlane
import DNS
import Documents
import Foundation
import GRPC
import HTTP
import Kube
import MeshAPI
import Platform
import Simulator
import TLS
import Testing
import Transport

/// Lists and watches by collection; reviews tokens by a table; records what is created.
final class TableAPI: HTTPRequestHandler {
    private var objects: [String: [KubeObject]] = [:]
    private var watches: [(path: String, stream: HTTPStream)] = []
    private var version = 100
    /// Usernames by token.
    var tokens: [String: String] = [:]
    var created: [KubeObject] = []
    /// `USER VERB RESOURCE/SUBRESOURCE NAMESPACE` of what is allowed.
    var allowed: [String] = []
    /// Answers nothing while false.
    var isUp = true
    private var readers: [Reader] = []

    func put(_ resource: KubeResource, _ yaml: String) {
        var object = KubeObject(((try? YAML.parse(Array(yaml.utf8)))?.first?.value) ?? .null)
        version += 1
        object.resourceVersion = String(version)
        object.value.put(.string("uid-\(object.name)"), at: "metadata", "uid")
        object.value.put(.string(resource.kind), at: "kind")
        object.value.put(.string(resource.apiVersion), at: "apiVersion")
        let old = objects[resource.path(), default: []].firstIndex { $0.key == object.key }
        if let old { objects[resource.path()]![old] = object } else { objects[resource.path(), default: []].append(object) }
        tell(resource, old == nil ? "ADDED" : "MODIFIED", object)
    }

    func remove(_ resource: KubeResource, _ namespace: String, _ name: String) {
        guard let i = objects[resource.path()]?.firstIndex(where: { $0.key == KubeKey(namespace, name) }) else { return }
        var object = objects[resource.path()]!.remove(at: i)
        version += 1
        object.resourceVersion = String(version)
        tell(resource, "DELETED", object)
    }

    private func tell(_ resource: KubeResource, _ type: String, _ object: KubeObject) {
        for (path, stream) in watches where path == resource.path() || path == resource.path(namespace: object.namespace) {
            let line = Array((Value.members(["type": .string(type), "object": object.value]).json() + "\n").utf8)
            stream.send(line.span.bytes, endStream: false)
        }
    }

    func request(_ stream: HTTPStream, _ head: RequestHead, endStream: Bool, peer: HTTPPeer) {
        let reader = Reader(self, head)
        readers.append(reader)
        stream.handler = reader
        if endStream { reader.complete(stream) }
    }

    fileprivate func answer(_ stream: HTTPStream, _ head: RequestHead, _ body: [UInt8]) {
        guard isUp else { return }
        let parts = head.path.description.split(separator: "?", maxSplits: 1).map(String.init)
        if head.method == .post {
            guard var object = (try? Value(json: body)).map(KubeObject.init) else { return stream.respond(status: 400) }
            if object.kind == "TokenReview" {
                let username = object.value.text("spec", "token").flatMap { tokens[$0] }
                object.value.put(.members(["authenticated": .bool(username != nil), "user": .members(["username": .string(username ?? "")])]), at: "status")
            } else if object.kind == "SubjectAccessReview" {
                let asked = { (name: String) in object.value.text("spec", "resourceAttributes", name) ?? "" }
                let what = "\(object.value.text("spec", "user") ?? "") \(asked("verb")) \(asked("resource"))\(asked("subresource").isEmpty ? "" : "/" + asked("subresource")) \(asked("namespace"))"
                object.value.put(.members(["allowed": .bool(allowed.contains(what))]), at: "status")
            } else if object.kind == "SelfSubjectAccessReview" {
                object.value.put(.members(["allowed": .bool(true)]), at: "status")
            } else {
                created.append(object)
            }
            return reply(stream, object.value, status: 201)
        }
        guard head.method == .get else { return reply(stream, .members([:])) }
        if parts.count == 2, parts[1].contains("watch=1") {
            stream.respond(ResponseHead(status: 200, headers: ["content-type": "application/json"]), endStream: false)
            watches.append((parts[0], stream))
        } else {
            reply(
                stream,
                .members([
                    "kind": .string("List"), "apiVersion": .string("v1"), "metadata": .members(["resourceVersion": .string(String(version))]),
                    "items": .array(listed(parts[0]).map(\.value)),
                ]))
        }
    }

    /// Of all namespaces, or of the one that the path names.
    private func listed(_ path: String) -> [KubeObject] {
        var segments = path.split(separator: "/").map(String.init)
        guard let i = segments.firstIndex(of: "namespaces"), segments.count > i + 2 else { return objects[path] ?? [] }
        let namespace = segments[i + 1]
        segments.removeSubrange(i...i + 1)
        return (objects["/" + segments.joined(separator: "/")] ?? []).filter { $0.namespace == namespace }
    }

    private func reply(_ stream: HTTPStream, _ value: Value, status: UInt16 = 200) {
        stream.respond(status: status, headers: [("content-type", "application/json")], body: Array(value.json().utf8))
    }

    fileprivate func forget(_ stream: HTTPStream) { watches.removeAll { $0.stream === stream } }

    private final class Reader: HTTPStreamHandler {
        let api: TableAPI
        let head: RequestHead
        var body: [UInt8] = []
        init(_ api: TableAPI, _ head: RequestHead) { (self.api, self.head) = (api, head) }

        func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) {
            body += bytes.array()
            stream.acknowledge(bytes.byteCount)
            if endStream { complete(stream) }
        }
        func trailers(_ stream: HTTPStream, _ trailers: Headers) { complete(stream) }
        func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) { api.forget(stream) }
        func complete(_ stream: HTTPStream) { api.answer(stream, head, body) }
    }
}

/// Nodes, processes and an authority.
final class Plane {
    let world: Simulator.World
    let api = TableAPI()
    let names: NameServer
    let client: SimProcess
    let root: CertificateAuthority
    let anchors: TrustAnchors
    private let apiProcess: SimProcess
    private(set) var batch: FlushBatch!
    private(set) var resolver: Resolver!
    var kept: [AnyObject] = []
    static let start = WallTime(year: 2026, month: 6, day: 1, hour: 12)!
    static let kubeconfig = """
        current-context: test
        clusters: [{name: c, cluster: {server: "http://10.0.0.9:8001"}}]
        contexts: [{name: test, context: {cluster: c, user: ""}}]
        """

    init(seed: UInt64 = 1) throws {
        var options = WorldOptions(start: Self.start)
        options.build = "test"
        world = Simulator.World(seed: seed, options: options)
        let api = api
        apiProcess = world.addProcess("api", on: world.addNode("api", ip: IPAddress(10, 0, 0, 9)), userID: 1, settings: Settings()) { process in
            guard let server = try? HTTPServer(batch: FlushBatch(host: process), address: SocketAddress(IPAddress(10, 0, 0, 9), 8001), handler: api) else {
                Issue.record("the API server cannot listen")
                return
            }
            process.keep(server)
            process.onShutdown {
                server.close()
                process.exit(0)
            }
        }
        client = world.addProcess("client", on: world.addNode("client", ip: IPAddress(10, 0, 0, 1)), userID: 1, settings: Settings()) { _ in }
        names = world.addNameServer("names", ip: IPAddress(10, 0, 0, 53), zone: DNSName("cluster.local")!)
        apiProcess.start()
        client.start()
        world.run(for: .zero)
        var made: CertificateAuthority?
        var batch: FlushBatch?
        var resolver: Resolver?
        client.run { [client] in
            made = try? CertificateAuthority.selfSignedRoot(name: "root.linkerd.cluster.local", validity: Self.start - .hours(1)...Self.start + .days(365))
            batch = FlushBatch(host: client)
            resolver = Resolver(host: client)
        }
        root = try #require(made)
        anchors = TrustAnchors([root.certificate])
        (self.batch, self.resolver) = (batch, resolver)
    }

    /// A process that runs a controller; its files hold the kubeconfig and the trust anchors.
    func controller(_ name: String, ip: IPAddress, start: @escaping (SimProcess) throws -> AnyObject) -> SimProcess {
        let node = world.addNode(name, ip: ip)
        node.files.put("/kubeconfig", text: Self.kubeconfig)
        node.files.put("/var/run/linkerd/identity/trust-roots/ca-bundle.crt", text: root.certificate.pem)
        let settings = Settings(environment: [("KUBECONFIG", "/kubeconfig")])
        let process = world.addProcess(name, on: node, userID: 1, settings: settings) { process in
            do { process.keep(try start(process)) } catch { Issue.record("\(name): \(error)") }
        }
        process.start()
        return process
    }

    func run(_ seconds: Int64 = 1) { world.run(for: .seconds(seconds)) }
    @discardableResult
    func asClient<R>(_ body: () -> R) -> R { client.run(body) }
    func asAPI(_ body: () -> Void) { apiProcess.run(body) }

    /// A channel to an address, with TLS toward a name if one is given.
    func channel(_ address: SocketAddress, toward name: String? = nil, credentials: TLSCredentials? = nil) -> GRPCChannel {
        asClient {
            var connector: any Connector = TCPConnector(host: client, address: address)
            if let name {
                let configuration = TLSClientConfiguration(credentials: credentials, anchors: anchors, serverName: name, expectedPeer: [name])
                connector = TLSConnector(host: client, lower: connector) { configuration }
            }
            return GRPCChannel(batch: batch, connector: connector, authority: "\(address)")
        }
    }

    /// Status and body of an admin page.
    func page(_ address: SocketAddress, _ path: String) -> (status: UInt16?, body: String) {
        let fetch = Fetch()
        asClient {
            let http = HTTPClient(version: .http11, connector: TCPConnector(host: client, address: address), batch: batch)
            _ = try? http.send(RequestHead(method: .get, authority: "admin", path: HTTPText(path)), endStream: true, handler: fetch)
        }
        world.run(until: { fetch.isOver }, limit: .seconds(10), awaiting: path)
        return (fetch.status, String(decoding: fetch.body, as: UTF8.self))
    }

    private final class Fetch: HTTPStreamHandler {
        var status: UInt16?
        var body: [UInt8] = []
        var isOver = false
        func response(_ stream: HTTPStream, _ head: ResponseHead, endStream: Bool) {
            status = head.status
            isOver = endStream
        }
        func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) {
            body += bytes.array()
            stream.acknowledge(bytes.byteCount)
            isOver = endStream
        }
        func trailers(_ stream: HTTPStream, _ trailers: Headers) { isOver = true }
        func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) { isOver = true }
    }

    func judge() {
        let verdict = world.finish()
        #expect(verdict.passes, "\(verdict)")
    }
}

let serviceYAML = """
    metadata: {name: web, namespace: shop}
    spec: {clusterIP: 10.96.0.7, clusterIPs: [10.96.0.7], ports: [{name: http, port: 80, targetPort: 8080, protocol: TCP}]}
    """

func podYAML(_ name: String, _ ip: String, meshed: Bool = true) -> String {
    """
    metadata: {name: \(name), namespace: shop, labels: {app: web\(meshed ? ", linkerd.io/control-plane-ns: linkerd" : "")}}
    spec:
      serviceAccountName: web
      nodeName: n1
      containers:
      - {name: app, ports: [{name: http, containerPort: 8080, protocol: TCP}]}
      - {name: linkerd-proxy, env: [{name: LINKERD2_PROXY_INBOUND_LISTEN_ADDR, value: "0.0.0.0:4143"}]}
    status: {phase: Running, podIP: \(ip), podIPs: [{ip: \(ip)}]}
    """
}

func sliceYAML(_ pods: [(String, String)]) -> String {
    """
    metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}
    addressType: IPv4
    ports: [{name: http, port: 8080, protocol: TCP}]
    endpoints: [\(pods.map { "{addresses: [\($0.1)], conditions: {ready: true}, targetRef: {kind: Pod, name: \($0.0), namespace: shop}}" }.joined(separator: ", "))]
    """
}

/// A folder of the evidence.
func fixtures(_ folder: String, _ file: String = #filePath) -> String {
    let root = ProcessInfo.processInfo.environment["WEFT_FIXTURES"] ?? URL(fileURLWithPath: file).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("shared/fixtures").path
    return root + "/" + folder
}
