// A mesh whose control plane says what the story says: the shipping proxies, real certificates and real gRPC, but no API server and no
// controllers. For stories about what a proxy does with an answer, which no manifest of today may be able to cause; those about how
// answers come to be use a `StageCluster`.

import Base
import DNS
import MeshAPI
import Platform
import Proxy
import Simulator
import TLS
import Transport

public final class ScriptedMesh {
    public let stage: Stage
    public private(set) var pods: [ScriptedPod] = []
    public private(set) var services: [ScriptedService] = []
    /// Who certifies, and what everybody trusts.
    public let authority: CertificateAuthority
    public var anchors: TrustAnchors
    /// Set before the first pod; set later, it changes what the next pods are told and the next certificates.
    public var issuer: CertificateAuthority
    /// Life of the proxies' certificates.
    public var leafLifetime = Interval.hours(24)
    public let control: SimProcess
    private(set) var controlPlane: ScriptedControlPlane!
    /// Changes to every proxy's environment, without the prefix; nil removes a variable.
    public var environment: [(name: String, value: String?)] = []
    var world: World { stage.world }

    public static let controlIP = IPAddress(10, 0, 1, 1)
    public static let namespace = "demo"
    static let controlIdentity = "linkerd-destination.linkerd.serviceaccount.identity.linkerd.cluster.local"
    static let identityIdentity = "linkerd-identity.linkerd.serviceaccount.identity.linkerd.cluster.local"

    init(stage: Stage) throws(StoryFailure) {
        self.stage = stage
        let world = stage.world
        let names = world.addNameServer("dns", ip: IPAddress(10, 0, 0, 10), zone: DNSName("cluster.local")!)
        control = world.addProcess("control", on: world.addNode("linkerd-control", ip: Self.controlIP), userID: 2103, settings: Settings()) { _ in }
        for name in ["linkerd-dst-headless", "linkerd-policy", "linkerd-identity-headless"] { names.set(DNSName(name + ".linkerd.svc.cluster.local")!, addresses: [Self.controlIP]) }
        control.start()
        world.run(for: .zero)
        let control = control
        let made: Result<CertificateAuthority, Refusal> = control.run {
            do throws(Refusal) { return .success(try Self.root("root.linkerd.cluster.local", world)) } catch { return .failure(error) }
        }
        switch made {
        case .success(let root): (authority, issuer, anchors) = (root, root, TrustAnchors([root.certificate]))
        case .failure(let refusal): throw StoryFailure("no trust root: \(refusal)")
        }
        do throws(HostFailure) { try startControlPlane() } catch { throw StoryFailure("no control plane: \(error)") }
    }

    private func startControlPlane() throws(HostFailure) {
        let plane = ScriptedControlPlane(mesh: self)
        controlPlane = plane
        let outcome: Result<Void, any Error> = control.run { Result { try plane.start() } }
        if case .failure(let error) = outcome { throw HostFailure("serve", .other, subject: "\(error)") }
        control.keep(plane)
        control.onShutdown { [control] in plane.stop { control.exit(0) } }
    }

    /// A trust root made in the control plane's process, for stories of more than one.
    public func makeRoot(_ name: String) throws(StoryFailure) -> CertificateAuthority {
        let world = world
        let made: Result<CertificateAuthority, Refusal> = control.run { do throws(Refusal) { return .success(try Self.root(name, world)) } catch { return .failure(error) } }
        switch made {
        case .success(let root): return root
        case .failure(let refusal): throw StoryFailure("no trust root: \(refusal)")
        }
    }

    private static func root(_ name: String, _ world: World) throws(Refusal) -> CertificateAuthority {
        try CertificateAuthority.selfSignedRoot(name: name, validity: (world.wall - .hours(1))...(world.wall + .days(365)))
    }

    // MARK: Population

    /// A pod, running at once. `start` is its application's main; a meshed pod has a proxy beside it. `environment`: of this proxy alone.
    @discardableResult
    public func addPod(
        _ name: String, account: String? = nil, ip: IPAddress? = nil, isMeshed: Bool = true, environment: [(name: String, value: String?)] = [], _ start: @escaping (SimProcess) -> Void = { _ in }
    ) -> ScriptedPod {
        let number = UInt8(pods.count + 1)
        let pod = ScriptedPod(name, account: account ?? String(name.prefix { $0 != "-" }), ip: ip ?? IPAddress(10, 1, 0, number), isMeshed: isMeshed, environment: self.environment + environment, mesh: self, start)
        pods.append(pod)
        pod.begin()
        return pod
    }

    /// A service, with everything that its pods and their proxies need to be found. `targetPort`: of the pods, if not the same.
    @discardableResult
    public func addService(_ name: String, port: UInt16 = 80, targetPort: UInt16? = nil, _ pods: ScriptedPod...) -> ScriptedService {
        let service = ScriptedService(name, ip: IPAddress(10, 96, 0, UInt8(services.count + 1)), port: port, targetPort: targetPort ?? port, pods: pods, mesh: self)
        services.append(service)
        world.nameServer?.set(DNSName("\(name).\(Self.namespace).svc.cluster.local")!, addresses: [service.ip])
        service.publish()
        return service
    }

    /// Waits until every proxy is certified and ready.
    public func ready() throws(StoryFailure) {
        try stage.wait("certified proxies", within: .seconds(20)) { self.pods.allSatisfy { $0.isReady } }
    }

    // MARK: What the control plane says

    /// Policies of addresses (`ip:port`) and names (`name:port`) that no service has; look-up only. Others are NOT_FOUND.
    public var policies: [String: Mesh.Outbound.OutboundPolicy] = [:] { didSet { controlPlane.publishPolicies() } }
    /// Every question so far, in order.
    public var questions: [Question] { controlPlane.questions }

    public struct Question: Sendable {
        /// The asker's service account.
        public var account: String
        /// `Get`, `GetProfile`, `Watch`, `WatchPort`, `Certify`.
        public var method: String
        public var subject: String
        public var time: Instant
    }

    /// While set, streams are opened and nothing is said on them.
    public var isSilent = false {
        didSet { if !isSilent { controlPlane.publishAll() } }
    }

    /// A service without pods says nothing at all, as controllers since 2.20 do, instead of `no_endpoints`.
    public var hidesEmptiness = false

    /// Ends every stream with this status; proxies open them again.
    public func endStreams(_ code: UInt32 = 14) { controlPlane.endStreams(code) }
}
