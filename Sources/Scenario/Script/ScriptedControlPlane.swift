// The control plane of a scripted mesh: identity, destination and policy in one process, over real gRPC and TLS, answering from what the
// story has set and pushing every change to who listens.

import Base
import GRPC
import MeshAPI
import Platform
import Simulator
import SwiftProtobuf
import TLS
import Transport

final class ScriptedControlPlane {
    private struct Follower<Message> {
        var subject: String
        var stream: ResponseStream<Message>
    }

    private unowned let mesh: ScriptedMesh
    private(set) var questions: [ScriptedMesh.Question] = []
    private var endpoints: [(follower: Follower<Mesh.Destination.Update>, said: [Mesh.Destination.WeightedAddr]?)] = []
    private var profiles: [Follower<Mesh.Destination.DestinationProfile>] = []
    private var policies: [Follower<Mesh.Outbound.OutboundPolicy>] = []
    private var ports: [(pod: ScriptedPod, port: UInt16, stream: ResponseStream<Mesh.Inbound.Server>)] = []
    private var servers: [GRPCServer] = []
    private var process: SimProcess { mesh.control }

    init(mesh: ScriptedMesh) { self.mesh = mesh }

    func start() throws {
        let batch = FlushBatch(host: process)
        let identity = GRPCServer(host: process)
        identity.register(Mesh.Identity.certify, unary: { [self] request, caller, answer in answer(certify(request, caller)) })
        let destination = GRPCServer(host: process)
        destination.register(Mesh.Destination.get, streaming: { [self] request, caller, stream in follow(request, caller, stream) })
        destination.register(Mesh.Destination.getProfile, streaming: { [self] request, caller, stream in follow(request, caller, stream) })
        let policy = GRPCServer(host: process)
        policy.register(Mesh.Outbound.watch, streaming: { [self] spec, caller, stream in follow(spec, caller, stream) })
        policy.register(Mesh.Inbound.watchPort, streaming: { [self] spec, caller, stream in follow(spec, caller, stream) })
        let now = mesh.world.wall
        let validity = (now - .hours(1))...(now + .days(365))
        for (server, port, name) in [(identity, 8080, ScriptedMesh.identityIdentity), (destination, 8086, ScriptedMesh.controlIdentity), (policy, 8090, ScriptedMesh.controlIdentity)] as [(GRPCServer, UInt16, String)] {
            let credentials = try mesh.issuer.issueCredentials(identity: name, validity: validity)
            // Read anew at each connection: the story may have changed whom we trust.
            try server.listen(on: SocketAddress(.any, port), batch: batch, tls: { [mesh] in TLSServerConfiguration(credentials: credentials, anchors: mesh.anchors) })
        }
        servers = [identity, destination, policy]
    }

    func stop(_ done: @escaping () -> Void) {
        var left = servers.count
        for server in servers {
            server.drain {
                left -= 1
                if left == 0 { done() }
            }
        }
    }

    private func note(_ method: String, _ subject: String, _ caller: GRPCCaller) {
        let account = caller.peer.tls?.identity?.split(separator: ".").first.map(String.init) ?? "nobody"
        questions.append(ScriptedMesh.Question(account: account, method: method, subject: subject, time: process.now))
    }

    // MARK: Identity

    private func certify(_ request: Mesh.Identity.CertifyRequest, _ caller: GRPCCaller) -> Result<Mesh.Identity.CertifyResponse, GRPCStatus> {
        let token = String(decoding: request.tokenBytes, as: UTF8.self)
        note("Certify", token, caller)
        guard token.hasPrefix("token of "), request.identity == ScriptedPod.identity(String(token.dropFirst(9))) else { return .failure(GRPCStatus(.failedPrecondition, "the token is of somebody else")) }
        do {
            let now = mesh.world.wall
            let asked = try CertificateSigningRequest(der: request.requestBytes)
            let leaf = try mesh.issuer.issue(asked, validity: (now - .seconds(20))...(now + mesh.leafLifetime))
            var response = Mesh.Identity.CertifyResponse(leaf: leaf.der, intermediates: [])
            response.validUntil = Mesh.timestamp(leaf.notAfter)
            return .success(response)
        } catch { return .failure(GRPCStatus(.internal, "\(error)")) }
    }

    // MARK: Streams

    private func follow(_ request: Mesh.Destination.GetDestination, _ caller: GRPCCaller, _ stream: ResponseStream<Mesh.Destination.Update>) {
        note("Get", request.path, caller)
        guard mesh.services.contains(where: { $0.authority == request.path }) else { return stream.finish(GRPCStatus(.notFound, request.path)) }
        endpoints.append((Follower(subject: request.path, stream: stream), nil))
        stream.onCancel = { [self] in endpoints.removeAll { $0.follower.stream === stream } }
        sayEndpoints(endpoints.count - 1)
    }

    private func follow(_ request: Mesh.Destination.GetDestination, _ caller: GRPCCaller, _ stream: ResponseStream<Mesh.Destination.DestinationProfile>) {
        note("GetProfile", request.path, caller)
        profiles.append(Follower(subject: request.path, stream: stream))
        stream.onCancel = { [self] in profiles.removeAll { $0.stream === stream } }
        if !mesh.isSilent { stream.send(service(request.path)?.profile ?? .init()) }
    }

    private func follow(_ spec: Mesh.Outbound.TrafficSpec, _ caller: GRPCCaller, _ stream: ResponseStream<Mesh.Outbound.OutboundPolicy>) {
        let subject = switch spec.target {
        case .addr(let address): SocketAddress(address).map { "\($0)" } ?? ""
        case .authority(let name): name
        case nil: ""
        }
        note("Watch", subject, caller)
        if mesh.isSilent { return keep(subject, stream) }
        guard let policy = policy(subject) else { return stream.finish(GRPCStatus(.notFound, "no policy for \(subject)")) }
        keep(subject, stream)
        stream.send(policy)
    }

    private func keep(_ subject: String, _ stream: ResponseStream<Mesh.Outbound.OutboundPolicy>) {
        policies.append(Follower(subject: subject, stream: stream))
        stream.onCancel = { [self] in policies.removeAll { $0.stream === stream } }
    }

    private func follow(_ spec: Mesh.Inbound.PortSpec, _ caller: GRPCCaller, _ stream: ResponseStream<Mesh.Inbound.Server>) {
        note("WatchPort", "\(spec.port)", caller)
        guard let pod = mesh.pods.first(where: { spec.workload.contains("\"pod\":\"\($0.name)\"") }), let port = UInt16(exactly: spec.port) else {
            return stream.finish(GRPCStatus(.notFound, "no pod of this name"))
        }
        ports.append((pod, port, stream))
        stream.onCancel = { [self] in ports.removeAll { $0.stream === stream } }
        if !mesh.isSilent { stream.send(pod.servers[port] ?? .open) }
    }

    private func service(_ subject: String) -> ScriptedService? { mesh.services.first { "\($0.address)" == subject || $0.authority == subject } }
    private func policy(_ subject: String) -> Mesh.Outbound.OutboundPolicy? { mesh.policies[subject] ?? service(subject)?.policy }

    // MARK: Changes

    func publishAll() {
        for service in mesh.services { publishEndpoints(of: service) }
        publishPolicies()
        publishProfiles()
        for pod in mesh.pods { publishServers(of: pod) }
    }

    func publishEndpoints(of service: ScriptedService) {
        process.run { for i in endpoints.indices where endpoints[i].follower.subject == service.authority { sayEndpoints(i) } }
    }

    func publishPolicies() {
        process.run { if !mesh.isSilent { for follower in policies { if let policy = policy(follower.subject) { follower.stream.send(policy) } } } }
    }

    func publishProfiles() {
        process.run { if !mesh.isSilent { for follower in profiles { follower.stream.send(service(follower.subject)?.profile ?? .init()) } } }
    }

    func publishServers(of pod: ScriptedPod) {
        process.run { if !mesh.isSilent { for open in ports where open.pod === pod { open.stream.send(pod.servers[open.port] ?? .open) } } }
    }

    func endStreams(_ code: UInt32) {
        let status = GRPCStatus(GRPCStatus.Code(rawValue: code) ?? .unavailable, "the story ends it")
        let (a, b, c, d) = (endpoints, profiles, policies, ports)
        (endpoints, profiles, policies, ports) = ([], [], [], [])
        process.run {
            for (follower, _) in a { follower.stream.finish(status) }
            for follower in b { follower.stream.finish(status) }
            for follower in c { follower.stream.finish(status) }
            for open in d { open.stream.finish(status) }
        }
    }

    /// What has come, and what has gone, since this stream was last told.
    private func sayEndpoints(_ index: Int) {
        guard !mesh.isSilent, let service = mesh.services.first(where: { $0.authority == endpoints[index].follower.subject }) else { return }
        let stream = endpoints[index].follower.stream
        let now = service.endpoints
        let before = endpoints[index].said
        if now.isEmpty, mesh.hidesEmptiness, before == nil { return }
        endpoints[index].said = now
        if now.isEmpty, !mesh.hidesEmptiness { return stream.send(.with { $0.noEndpoints.exists = true }) }
        let new = now.filter { endpoint in !(before ?? []).contains(endpoint) }
        let gone = (before ?? []).filter { endpoint in !now.contains { $0.addr == endpoint.addr } }
        if !new.isEmpty {
            stream.send(
                .with {
                    $0.add.addrs = new
                    $0.add.metricLabels = ["namespace": ScriptedMesh.namespace, "service": service.name]
                })
        }
        if !gone.isEmpty { stream.send(.with { $0.remove.addrs = gone.map(\.addr) }) }
    }
}
