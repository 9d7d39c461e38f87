// A pod and a service of a scripted mesh.

import Base
import MeshAPI
import Platform
import Proxy
import Simulator
import SwiftProtobuf
import TLS

public final class ScriptedPod {
    public let name: String
    public let account: String
    public let node: Simulator.Node
    public let application: SimProcess
    public let proxy: SimProcess?
    private unowned let mesh: ScriptedMesh

    init(
        _ name: String, account: String, ip: IPAddress, isMeshed: Bool, environment: [(name: String, value: String?)], mesh: ScriptedMesh, _ start: @escaping (SimProcess) -> Void
    ) {
        self.name = name
        self.account = account
        self.mesh = mesh
        let world = mesh.world
        node = world.addNode(name, ip: ip)
        node.resolver.searchDomains = ["\(ScriptedMesh.namespace).svc.cluster.local", "svc.cluster.local", "cluster.local"]
        application = world.addProcess("app", on: node, userID: 1000, settings: Settings(), start: start)
        guard isMeshed else {
            proxy = nil
            return
        }
        node.isMeshed = true
        node.plaintextPorts = [4190...4191]
        node.redirect = RedirectRules()
        node.files.put(Self.tokenFile, text: "token of \(account)", mode: 0o600)
        proxy = world.addProcess("linkerd-proxy", on: node, userID: 2102, settings: Self.settings(name, account, ip, mesh, environment)) { process in
            let proxy = Proxy(host: process)
            process.keep(proxy)
            proxy.start()
        }
    }

    func begin() {
        application.start()
        proxy?.start()
        mesh.world.run(for: .zero)
    }

    public var ip: IPAddress { node.ip }
    public var identity: String { Self.identity(account) }
    public static func identity(_ account: String) -> String { "\(account).\(ScriptedMesh.namespace).serviceaccount.identity.linkerd.cluster.local" }
    static let tokenFile = "/var/run/secrets/tokens/linkerd-identity-token"

    /// The proxy's own view.
    private var running: Proxy? { proxy?.components.compactMap { $0 as? Proxy }.first }
    public var isReady: Bool { proxy == nil ? application.isRunning : application.isRunning && running?.isReady ?? false }

    /// Makes a caller in the application.
    public func caller() -> Caller {
        application.run { [application] in
            let caller = Caller(application)
            application.keep(caller)
            return caller
        }
    }

    /// A sample of the proxy's metrics by its full name and labels as exposed, or the sum of all that begin so and contain `labels`.
    public func metric(_ family: String, _ labels: String...) -> Double {
        guard let running else { return 0 }
        let lines = running.metrics.exposition().split(separator: "\n").filter { line in
            (line.hasPrefix(family + "{") || line.hasPrefix(family + " ")) && labels.allSatisfy { line.contains($0) }
        }
        return lines.compactMap { $0.split(separator: " ").last.flatMap { Double($0) } }.reduce(0, +)
    }

    /// What the proxy says about itself at `/state`-like pages: JSON, for questions that no metric answers.
    public var state: String { running?.stateText() ?? "" }

    // MARK: Inbound policy

    /// By port; look-up only. Ports without are open to all and detect their protocol.
    public var servers: [UInt16: Mesh.Inbound.Server] = [:] { didSet { mesh.controlPlane.publishServers(of: self) } }

    // MARK: Environment

    /// What the injector gives with the chart's defaults.
    private static func settings(_ name: String, _ account: String, _ ip: IPAddress, _ mesh: ScriptedMesh, _ changes: [(name: String, value: String?)]) -> Settings {
        let token = "{\"ns\":\"\(ScriptedMesh.namespace)\", \"pod\":\"\(name)\"}\n"
        var variables: [(name: String, value: String)] = [
            ("DESTINATION_SVC_ADDR", "linkerd-dst-headless.linkerd.svc.cluster.local.:8086"), ("DESTINATION_SVC_NAME", ScriptedMesh.controlIdentity), ("DESTINATION_CONTEXT", token),
            ("POLICY_SVC_ADDR", "linkerd-policy.linkerd.svc.cluster.local.:8090"), ("POLICY_SVC_NAME", ScriptedMesh.controlIdentity), ("POLICY_WORKLOAD", token),
            ("IDENTITY_SVC_ADDR", "linkerd-identity-headless.linkerd.svc.cluster.local.:8080"), ("IDENTITY_SVC_NAME", ScriptedMesh.identityIdentity), ("IDENTITY_LOCAL_NAME", identity(account)),
            ("IDENTITY_DIR", "/var/run/linkerd/identity/end-entity"), ("IDENTITY_TOKEN_FILE", tokenFile), ("IDENTITY_TRUST_ANCHORS", mesh.anchors.pem),
            ("OUTBOUND_LISTEN_ADDR", "127.0.0.1:4140"), ("INBOUND_LISTEN_ADDR", "0.0.0.0:4143"), ("ADMIN_LISTEN_ADDR", "0.0.0.0:4191"), ("INBOUND_IPS", "\(ip)"),
            ("DESTINATION_PROFILE_NETWORKS", "10.0.0.0/8"), ("POLICY_CLUSTER_NETWORKS", "10.0.0.0/8"), ("DESTINATION_PROFILE_SUFFIXES", "svc.cluster.local."),
            ("OUTBOUND_CONNECT_TIMEOUT", "1000ms"), ("INBOUND_CONNECT_TIMEOUT", "100ms"), ("CONTROL_STREAM_INITIAL_TIMEOUT", "3s"), ("CONTROL_STREAM_IDLE_TIMEOUT", "5m"),
            ("CONTROL_STREAM_LIFETIME", "1h"), ("SHUTDOWN_GRACE_PERIOD", "30s"),
        ].map { ("LINKERD2_PROXY_" + $0.0, $0.1) }
        for change in changes {
            variables.removeAll { $0.name == "LINKERD2_PROXY_" + change.name }
            if let value = change.value { variables.append(("LINKERD2_PROXY_" + change.name, value)) }
        }
        return Settings(environment: variables)
    }
}

public final class ScriptedService {
    public let name: String
    public let ip: IPAddress
    public let port: UInt16
    public let targetPort: UInt16
    private unowned let mesh: ScriptedMesh
    /// Those behind it, now.
    public var pods: [ScriptedPod] { didSet { publish() } }
    /// Endpoints besides the pods: gateways, machines outside.
    public var addresses: [Mesh.Destination.WeightedAddr] = [] { didSet { publish() } }
    /// nil: the control plane knows no policy for it.
    public var policy: Mesh.Outbound.OutboundPolicy? { didSet { mesh.controlPlane.publishPolicies() } }
    public var profile: Mesh.Destination.DestinationProfile { didSet { mesh.controlPlane.publishProfiles() } }
    /// Changes what is said of each pod's address.
    public var change: (ScriptedPod, inout Mesh.Destination.WeightedAddr) -> Void = { _, _ in }

    init(_ name: String, ip: IPAddress, port: UInt16, targetPort: UInt16, pods: [ScriptedPod], mesh: ScriptedMesh) {
        self.name = name
        self.ip = ip
        self.port = port
        self.targetPort = targetPort
        self.pods = pods
        self.mesh = mesh
        profile = .with { $0.retryBudget = .with { ($0.retryRatio, $0.minRetriesPerSecond, $0.ttl) = (0.2, 10, Mesh.duration(.seconds(10))) } }
        profile.fullyQualifiedName = fullName
        policy = Mesh.Outbound.OutboundPolicy.detecting(self)
    }

    public var fullName: String { "\(name).\(ScriptedMesh.namespace).svc.cluster.local" }
    /// What `Get` is asked for.
    public var authority: String { "\(fullName):\(port)" }
    /// For clients of the namespace.
    public var url: String { port == 80 ? name : "\(name):\(port)" }
    public var address: SocketAddress { SocketAddress(ip, port) }

    /// As the destination controller describes a pod.
    var endpoints: [Mesh.Destination.WeightedAddr] {
        pods.map { pod in
            var endpoint = Mesh.Destination.WeightedAddr()
            endpoint.addr = Mesh.Net.TcpAddress(SocketAddress(pod.ip, targetPort))
            endpoint.weight = 10_000
            endpoint.metricLabels = ["pod": pod.name]
            if pod.proxy != nil {
                endpoint.tlsIdentity.dnsLikeIdentity.name = pod.identity
                endpoint.protocolHint.h2 = .init()
                endpoint.protocolHint.opaqueTransport.inboundPort = 4143
                endpoint.http2.keepAlive = .with { ($0.interval, $0.timeout, $0.whileIdle) = (Mesh.duration(.seconds(10)), Mesh.duration(.seconds(3)), true) }
            }
            change(pod, &endpoint)
            return endpoint
        } + addresses
    }

    public func publish() {
        mesh.world.forward(address, to: pods.map { SocketAddress($0.ip, targetPort) })
        mesh.controlPlane.publishEndpoints(of: self)
    }
}
