// A small mesh in one world: a control plane that answers by a script over real gRPC and TLS, pods whose proxies are the shipped
// ones, applications that speak HTTP, and redirects as weft-init makes them.

import Base
import DNS
import GRPC
import HTTP
import MeshAPI
import Platform
import Simulator
import TLS
import Testing
import Transport

@testable import Proxy

final class TinyMesh {
    let world: World
    let control: SimProcess
    let authority: MeshAuthority
    private(set) var pods: [MeshPod] = []
    /// By address of the service.
    var services: [String: (name: String, endpoints: [String])] = [:] { didSet { publish() } }
    /// Server messages by port; others get all-unauthenticated.
    var servers: [UInt16: Mesh.Inbound.Server] = [:]
    var profileRoutes: [Mesh.Destination.Route] = []
    var leafLifetime = Interval.hours(24)
    var certifiesNobody = false
    private(set) var certified: [String] = []
    /// Every call by its path and the subject it was about.
    private(set) var calls: [String] = []
    private var endpointStreams: [(path: String, stream: ResponseStream<Mesh.Destination.Update>)] = []
    private var portStreams: [(port: UInt16, stream: ResponseStream<Mesh.Inbound.Server>)] = []
    private(set) var servers3: [GRPCServer] = []

    static let controlIP = IPAddress(10, 1, 9, 1)

    init(seed: UInt64 = 1, _ change: (inout WorldOptions) -> Void = { _ in }) throws {
        var options = WorldOptions(start: noon)
        options.build = "test"
        change(&options)
        let world = World(seed: seed, options: options)
        self.world = world
        control = world.addProcess("control", on: world.addNode("control", ip: Self.controlIP), userID: 2103, settings: Settings()) { _ in }
        let names = world.addNameServer("names", ip: IPAddress(10, 1, 9, 53), zone: DNSName("cluster.local")!)
        control.start()
        world.run(for: .zero)
        authority = try Self.turn(control) { try MeshAuthority() }
        for name in ["linkerd-dst-headless", "linkerd-policy", "linkerd-identity-headless"] { names.set(DNSName(name + ".linkerd.svc.cluster.local")!, addresses: [Self.controlIP]) }
        try Self.turn(control) { try serve() }
    }

    static func turn<R>(_ process: SimProcess, _ body: () throws -> R) throws -> R {
        var result: Result<R, any Error>?
        process.run { result = Result { try body() } }
        return try result!.get()
    }

    // MARK: The control plane

    private func serve() throws {
        let batch = FlushBatch(host: control)
        let everywhere = { (port: UInt16) in SocketAddress(.any, port) }
        let identity = GRPCServer(host: control)
        identity.register(
            Mesh.Identity.certify,
            unary: { [self] request, _, answer in
                certified.append(String(decoding: request.tokenBytes, as: UTF8.self))
                if certifiesNobody { return answer(.failure(GRPCStatus(.failedPrecondition, "nobody is certified"))) }
                do {
                    let leaf = try authority.authority.issue(try CertificateSigningRequest(der: request.requestBytes), validity: control.wall - .seconds(20)...control.wall + leafLifetime)
                    var response = Mesh.Identity.CertifyResponse(leaf: leaf.der, intermediates: [])
                    response.validUntil = Mesh.timestamp(leaf.notAfter)
                    answer(.success(response))
                } catch { answer(.failure(GRPCStatus(.internal, "\(error)"))) }
            })
        let identityTLS = TLSServerConfiguration(credentials: try authority.credentials("linkerd-identity", "linkerd"), anchors: authority.anchors)
        try identity.listen(on: everywhere(8080), batch: batch, tls: { identityTLS })

        let destinationTLS = TLSServerConfiguration(credentials: try authority.credentials("linkerd-destination", "linkerd"), anchors: authority.anchors)
        let destination = GRPCServer(host: control)
        destination.register(
            Mesh.Destination.getProfile,
            streaming: { [self] request, caller, stream in
                note("GetProfile", request.path, caller)
                #expect(request.contextToken.contains("\"ns\":\"shop\""))
                guard let service = services[request.path] else { return stream.send(.init()) }
                stream.send(.with {
                    $0.fullyQualifiedName = service.name
                    $0.routes = profileRoutes
                })
            })
        destination.register(
            Mesh.Destination.get,
            streaming: { [self] request, caller, stream in
                note("Get", request.path, caller)
                guard request.path.hasSuffix(":80"), let update = endpoints(request.path) else { return stream.finish(GRPCStatus(.notFound, request.path)) }
                endpointStreams.append((request.path, stream))
                stream.onCancel = { [self] in endpointStreams.removeAll { $0.stream === stream } }
                stream.send(update)
            })
        try destination.listen(on: everywhere(8086), batch: batch, tls: { destinationTLS })

        let policy = GRPCServer(host: control)
        policy.register(
            Mesh.Outbound.watch,
            streaming: { [self] spec, caller, stream in
                let address = SocketAddress(spec.addr)!
                note("Watch", "\(address)", caller)
                #expect(spec.sourceWorkload.contains("\"ns\":\"shop\""))
                guard let service = services["\(address)"] else { return stream.finish(GRPCStatus(.notFound, "no policy")) }
                stream.send(servicePolicy("\(service.name):80", name: String(service.name.prefix { $0 != "." })))
            })
        policy.register(
            Mesh.Inbound.watchPort,
            streaming: { [self] spec, caller, stream in
                note("WatchPort", "\(spec.port)", caller)
                portStreams.append((UInt16(spec.port), stream))
                stream.onCancel = { [self] in portStreams.removeAll { $0.stream === stream } }
                stream.send(servers[UInt16(spec.port)] ?? server("all"))
            })
        try policy.listen(on: everywhere(8090), batch: batch, tls: { destinationTLS })
        servers3 = [identity, destination, policy]
        control.keep(self)
    }

    private func note(_ method: String, _ subject: String, _ caller: GRPCCaller) {
        let account = caller.peer.tls?.identity?.split(separator: ".").first ?? "nobody"
        calls.append("\(account) \(method) \(subject)")
    }

    private func endpoints(_ path: String) -> Mesh.Destination.Update? {
        var update = Mesh.Destination.Update()
        // order: by address of the service
        for key in services.keys.sorted() where "\(services[key]!.name):80" == path {
            update.add.addrs = services[key]!.endpoints.map { text in
                weighted(text) { endpoint in
                    guard let pod = pods.first(where: { $0.ip == address(text).ip }) else { return }
                    endpoint.tlsIdentity.dnsLikeIdentity.name = MeshAuthority.name(pod.name)
                    endpoint.protocolHint.h2 = .init()
                    // The admin port is reached directly, as the destination controller has it.
                    if address(text).port != 4191 { endpoint.protocolHint.opaqueTransport.inboundPort = 4143 }
                    endpoint.metricLabels = ["pod": pod.name]
                }
            }
            return update
        }
        return nil
    }

    private func publish() {
        control.run { for open in endpointStreams { if let update = endpoints(open.path) { open.stream.send(update) } } }
    }

    /// Tells the proxies that watch it.
    func setServer(_ port: UInt16, _ message: Mesh.Inbound.Server) {
        servers[port] = message
        control.run { for open in portStreams where open.port == port { open.stream.send(message) } }
    }

    // MARK: Pods

    @discardableResult
    func addPod(_ name: String, ip: IPAddress, _ changes: [String: String?] = [:]) -> MeshPod {
        let pod = MeshPod(name: name, ip: ip, mesh: self, changes)
        pods.append(pod)
        return pod
    }

    @discardableResult
    func wait(_ what: String, limit: Interval = .seconds(60), _ condition: () -> Bool) -> Bool { world.run(until: condition, limit: limit, awaiting: what) }
    func run(_ interval: Interval) { world.run(for: interval) }
}

/// An application with its proxy.
final class MeshPod {
    let name: String
    let ip: IPAddress
    let app: SimProcess
    let sidecar: SimProcess
    private(set) var proxy: Proxy!
    private let mesh: TinyMesh
    private let batch: FlushBatch
    private var client: HTTPClient?
    private(set) var served: [String] = []
    private var keptServers: [HTTPServer] = []

    fileprivate init(name: String, ip: IPAddress, mesh: TinyMesh, _ changes: [String: String?]) {
        self.name = name
        self.ip = ip
        self.mesh = mesh
        let node = mesh.world.addNode(name, ip: ip)
        node.isMeshed = true
        app = mesh.world.addProcess("app", on: node, userID: 1000, settings: Settings()) { _ in }
        batch = FlushBatch(host: app)
        sidecar = mesh.world.addProcess("proxy", on: node, userID: 2102, settings: Settings()) { _ in }
        sidecar.settings = environment(
            changes.merging(["IDENTITY_LOCAL_NAME": MeshAuthority.name(name), "INBOUND_IPS": "\(ip)", "POLICY_WORKLOAD": "{\"ns\":\"shop\",\"pod\":\"\(name)\"}\n"]) { old, _ in old },
            anchors: mesh.authority.anchors.pem)
        sidecar.simFiles.tree.put("/var/run/secrets/tokens/linkerd-identity-token", text: "token of \(name)")
        node.redirect = RedirectRules()
        app.start()
        sidecar.start()
        mesh.run(.zero)
        sidecar.run { [self] in
            proxy = Proxy(host: sidecar)
            proxy.start()
        }
    }

    /// Answers every request with its path and who the client is.
    func serve(_ port: UInt16) throws {
        let server = try TinyMesh.turn(app) { try HTTPServer(batch: batch, address: SocketAddress(.any, port), handler: Echo { [self] in served.append($0) }) }
        keptServers.append(server)
    }

    struct Answer: Equatable {
        var status: UInt16
        var body: String
        var headers: Headers
    }

    /// The application asks `http://address/path` and waits for the answer; nil: there was none.
    func get(_ path: String, at address: String, host: String, limit: Interval = .seconds(30)) -> Answer? {
        let reader = Reader()
        app.run {
            let client = HTTPClient(version: .http11, connector: TCPConnector(host: app, address: SocketAddress(address)!), batch: batch)
            self.client = client
            _ = try? client.send(RequestHead(method: .get, authority: HTTPText(host), path: HTTPText(path)), endStream: true, singleUse: true, handler: reader)
        }
        mesh.world.run(until: { reader.isDone }, limit: limit, awaiting: "an answer to \(path)")
        return reader.status.map { Answer(status: $0, body: String(decoding: reader.bytes, as: UTF8.self), headers: reader.headers) }
    }
}

private final class Reader: HTTPStreamHandler {
    var status: UInt16?
    var headers = Headers()
    var bytes: [UInt8] = []
    var isDone = false

    func response(_ stream: HTTPStream, _ head: ResponseHead, endStream: Bool) {
        status = head.status
        headers = head.headers
        if endStream { isDone = true }
    }
    func data(_ stream: HTTPStream, _ span: RawSpan, endStream: Bool) {
        bytes += span.array()
        stream.acknowledge(span.byteCount)
        if endStream { isDone = true }
    }
    func trailers(_ stream: HTTPStream, _ trailers: Headers) { isDone = true }
    func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) { isDone = true }
}

private final class Echo: HTTPRequestHandler {
    private let heard: (String) -> Void
    init(_ heard: @escaping (String) -> Void) { self.heard = heard }

    func request(_ stream: HTTPStream, _ head: RequestHead, endStream: Bool, peer: HTTPPeer) {
        heard("\(head.path)")
        let client = head.headers.first("l5d-client-id") ?? "nobody"
        stream.respond(status: 200, body: Array("\(head.path) for \(client)".utf8))
    }
}
