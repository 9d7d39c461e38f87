// What the tests of the control side share: a world of one proxy process, a scripted source of discovery, an authority, and short
// ways to write the API's messages.

import Base
import GRPC
import MeshAPI
import Platform
import Simulator
import TLS
import Testing

@testable import Proxy

let noon = WallTime(year: 2026, month: 6, day: 1, hour: 12)!

/// One node with one process that does nothing by itself.
final class Bench {
    let world: World
    let process: SimProcess
    var host: any Host { process }

    init(seed: UInt64 = 1) {
        var options = WorldOptions(start: noon)
        options.build = "test"
        let world = World(seed: seed, options: options)
        self.world = world
        process = world.addProcess("proxy", on: world.addNode("pod", ip: IPAddress(10, 1, 0, 1)), userID: 2102, settings: Settings()) { _ in }
        process.start()
        world.run(for: .zero)
    }

    /// As a turn of the process.
    @discardableResult
    func turn<R>(_ body: () throws -> R) rethrows -> R {
        func carried(_ body: () throws -> R, _ failed: (any Error) throws -> Never) rethrows -> R {
            var result: R?
            var failure: (any Error)?
            process.run { do { result = try body() } catch { failure = error } }
            if let failure { try failed(failure) }
            return result!
        }
        return try carried(body) { throw $0 }
    }

    func run(_ interval: Interval) { world.run(for: interval) }
    func logged(_ text: String) -> Bool { process.logLines.contains { $0.contains(text) } }
}

/// A control plane that says what a test tells it to.
final class ScriptedSource: DiscoverySource {
    final class Stream<Message>: DiscoveryStream {
        let subject: String
        let events: DiscoveryEvents<Message>
        private(set) var isStopped = false

        init(_ subject: String, _ events: DiscoveryEvents<Message>) {
            self.subject = subject
            self.events = events
        }

        func stop() { isStopped = true }
        func say(_ message: Message) { if !isStopped { events.said(message) } }
        func restart() { if !isStopped { events.restarted() } }

        /// Final for the codes that the real source takes for final.
        func end(_ code: GRPCStatus.Code, _ text: String = "", isFinal: Bool) { if !isStopped { events.ended(GRPCStatus(code, text), isFinal) } }
    }

    private(set) var profiles: [Stream<Mesh.Destination.DestinationProfile>] = []
    private(set) var endpoints: [Stream<Mesh.Destination.Update>] = []
    private(set) var outbound: [Stream<Mesh.Outbound.OutboundPolicy>] = []
    private(set) var inbound: [Stream<Mesh.Inbound.Server>] = []

    func profile(_ path: String, _ events: DiscoveryEvents<Mesh.Destination.DestinationProfile>) -> any DiscoveryStream {
        profiles.append(Stream(path, events))
        return profiles.last!
    }
    func endpoints(_ path: String, _ events: DiscoveryEvents<Mesh.Destination.Update>) -> any DiscoveryStream {
        endpoints.append(Stream(path, events))
        return endpoints.last!
    }
    func outboundPolicy(_ address: SocketAddress, _ events: DiscoveryEvents<Mesh.Outbound.OutboundPolicy>) -> any DiscoveryStream {
        outbound.append(Stream("\(address)", events))
        return outbound.last!
    }
    func outboundPolicy(authority: String, _ events: DiscoveryEvents<Mesh.Outbound.OutboundPolicy>) -> any DiscoveryStream {
        outbound.append(Stream(authority, events))
        return outbound.last!
    }
    func inboundPolicy(port: UInt16, _ events: DiscoveryEvents<Mesh.Inbound.Server>) -> any DiscoveryStream {
        inbound.append(Stream("\(port)", events))
        return inbound.last!
    }
}

/// An authority of the mesh and what it issued.
struct MeshAuthority {
    let authority: CertificateAuthority
    var anchors: TrustAnchors { TrustAnchors([authority.certificate]) }

    /// To be made inside a turn: keys come from the process's stream.
    init() throws { authority = try CertificateAuthority.selfSignedRoot(name: "root.linkerd.cluster.local", validity: noon - .hours(1)...noon + .days(365)) }

    static func name(_ account: String, _ namespace: String = "shop") -> String { "\(account).\(namespace).serviceaccount.identity.linkerd.cluster.local" }

    func credentials(_ account: String, _ namespace: String = "shop") throws -> TLSCredentials {
        try authority.issueCredentials(identity: Self.name(account, namespace), validity: noon - .hours(1)...noon + .days(1))
    }
}

func address(_ text: String) -> SocketAddress { SocketAddress(text)! }

func weighted(_ text: String, _ change: (inout Mesh.Destination.WeightedAddr) -> Void = { _ in }) -> Mesh.Destination.WeightedAddr {
    var message = Mesh.Destination.WeightedAddr()
    message.addr = Mesh.Net.TcpAddress(address(text))
    message.weight = 10_000
    change(&message)
    return message
}

func add(_ addresses: String..., labels: [String: String] = [:]) -> Mesh.Destination.Update {
    var update = Mesh.Destination.Update()
    update.add.addrs = addresses.map { weighted($0) }
    update.add.metricLabels = labels
    return update
}

func remove(_ addresses: String...) -> Mesh.Destination.Update {
    var update = Mesh.Destination.Update()
    update.remove.addrs = addresses.map { Mesh.Net.TcpAddress(address($0)) }
    return update
}

/// What the control plane says of a Service without routes.
func servicePolicy(_ path: String, name: String = "web") -> Mesh.Outbound.OutboundPolicy {
    var backend = Mesh.Outbound.Backend()
    backend.metadata = Mesh.Meta.Metadata(group: "core", kind: "Service", namespace: "shop", name: name, port: 80)
    backend.balancer.discovery.dst.path = path
    backend.queue.capacity = 100
    var http = Mesh.Outbound.HttpRoute()
    http.metadata = Mesh.Meta.Metadata(default: "http")
    http.rules = [.with { rule in rule.backends.firstAvailable.backends = [.with { $0.backend = backend }] }]
    var opaque = Mesh.Outbound.OpaqueRoute()
    opaque.metadata = Mesh.Meta.Metadata(default: "opaque")
    opaque.rules = [.with { rule in rule.backends.firstAvailable.backends = [.with { $0.backend = backend }] }]
    var policy = Mesh.Outbound.OutboundPolicy()
    policy.metadata = Mesh.Meta.Metadata(group: "core", kind: "Service", namespace: "shop", name: name, port: 80)
    policy.protocol.detect.timeout = Mesh.duration(.seconds(10))
    policy.protocol.detect.http1.routes = [http]
    policy.protocol.detect.http2.routes = [http]
    policy.protocol.detect.opaque.routes = [opaque]
    return policy
}

/// A server that lets these networks in.
func server(_ name: String, networks: [String] = ["0.0.0.0/0"], timeout: Interval = .seconds(10)) -> Mesh.Inbound.Server {
    var route = Mesh.Inbound.HttpRoute()
    route.metadata = Mesh.Meta.Metadata(default: "default")
    route.rules = [Mesh.Inbound.HttpRoute.Rule()]
    var message = Mesh.Inbound.Server()
    message.protocol.detect.timeout = Mesh.duration(timeout)
    message.protocol.detect.httpRoutes = [route]
    message.labels = ["group": "policy.linkerd.io", "kind": "server", "name": name]
    message.authorizations = [
        .with { authz in
            authz.networks = networks.map { text in .with { $0.net = Mesh.Net.IPNetwork(IPNetwork(text)!) } }
            authz.authentication.unauthenticated = .init()
            authz.metadata = Mesh.Meta.Metadata(group: "policy.linkerd.io", kind: "authorizationpolicy", namespace: "shop", name: "\(name)-clients")
        }
    ]
    return message
}

/// A server that lets in whoever has an identity of the mesh.
func meshedOnly(_ name: String) -> Mesh.Inbound.Server {
    var message = server(name)
    message.authorizations[0].authentication.meshTls.identities.suffixes = [.init()]
    return message
}

/// A whole environment; `nil` removes a variable.
func environment(_ changes: [String: String?] = [:], anchors: String = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----") -> Settings {
    var variables: [(name: String, value: String)] = [
        ("DESTINATION_SVC_ADDR", "linkerd-dst-headless.linkerd.svc.cluster.local.:8086"), ("DESTINATION_SVC_NAME", MeshAuthority.name("linkerd-destination", "linkerd")),
        ("POLICY_SVC_ADDR", "linkerd-policy.linkerd.svc.cluster.local.:8090"), ("POLICY_SVC_NAME", MeshAuthority.name("linkerd-destination", "linkerd")),
        ("POLICY_WORKLOAD", "{\"ns\":\"shop\",\"pod\":\"web-1\"}\n"), ("DESTINATION_CONTEXT", "{\"ns\":\"shop\",\"nodeName\":\"node-1\",\"pod\":\"web-1\"}\n"),
        ("IDENTITY_SVC_ADDR", "linkerd-identity-headless.linkerd.svc.cluster.local.:8080"), ("IDENTITY_SVC_NAME", MeshAuthority.name("linkerd-identity", "linkerd")),
        ("IDENTITY_LOCAL_NAME", MeshAuthority.name("web")), ("IDENTITY_DIR", "/var/run/linkerd/identity/end-entity"), ("IDENTITY_TOKEN_FILE", "/var/run/secrets/tokens/linkerd-identity-token"),
        ("IDENTITY_TRUST_ANCHORS", anchors), ("OUTBOUND_LISTEN_ADDR", "127.0.0.1:4140"), ("INBOUND_LISTEN_ADDR", "0.0.0.0:4143"), ("ADMIN_LISTEN_ADDR", "0.0.0.0:4191"),
        ("DESTINATION_PROFILE_NETWORKS", "10.0.0.0/8"), ("POLICY_CLUSTER_NETWORKS", "10.0.0.0/8"), ("INBOUND_PORTS", "8080"),
    ].map { ("LINKERD2_PROXY_" + $0.0, $0.1) }
    for name in changes.keys.sorted() {
        variables.removeAll { $0.name == "LINKERD2_PROXY_" + name }
        if let value = changes[name]! { variables.append(("LINKERD2_PROXY_" + name, value)) }
    }
    return Settings(environment: variables)
}

/// A file that lies with these tests.
func path(beside name: String, _ here: String = #filePath) -> String { here[...here.lastIndex(of: "/")!] + name }
