// The cluster on a stage: where its parts live, how they are started, and how manifests become pods. The parts talk over the
// world's network only; nothing here reaches into a component.

import APIServer
import Base
import ControlPlane
import DNS
import Documents
import HTTP
import Kube
import Manifests
import Nodes
import Platform
import Simulator
import TLS
import Transport

public final class StageCluster {
    public let stage: Stage
    public let options: StageOptions
    public let anchorsPEM: String
    public let apiNode: Simulator.Node
    public let identityNode: Simulator.Node
    public let destinationNode: Simulator.Node
    public let agentNode: Simulator.Node
    public private(set) var agent: NodeAgent!
    private(set) var agentProcess: SimProcess!
    let pods: StagePods
    /// The token of the cluster's administrator.
    static let adminToken = "admin-token-of-the-stage"
    private let issuer: (certificate: String, key: String)
    /// Of the mesh, for issuers to come.
    private let root: CertificateAuthority
    private var issuersMade = 1
    private var world: World { stage.world }

    private static let apiAddress = SocketAddress(IPAddress(10, 0, 0, 1), 6443)

    init(stage: Stage, options: StageOptions) throws(StoryFailure) {
        self.stage = stage
        self.options = options
        let world = stage.world
        pods = StagePods(world)
        world.addNameServer("dns", ip: IPAddress(10, 0, 0, 10), zone: DNSName("cluster.local")!)
        apiNode = world.addNode("kube-apiserver", ip: Self.apiAddress.ip)
        identityNode = world.addNode("linkerd-identity", ip: IPAddress(10, 0, 1, 1))
        destinationNode = world.addNode("linkerd-destination", ip: IPAddress(10, 0, 1, 2))
        agentNode = world.addNode("node-1", ip: IPAddress(10, 0, 2, 1))

        // The authority is made in a process of its own, so that its keys come from a stream of their own.
        let office = world.addProcess("trust", on: apiNode, userID: 0, settings: Settings()) { _ in }
        var made: Result<(CertificateAuthority, String, String), Refusal>?
        office.start()
        world.run(until: { office.isRunning }, limit: .seconds(1))
        office.run {
            do throws(Refusal) {
                let now = world.wall - .hours(1)
                let root = try CertificateAuthority.selfSignedRoot(name: "root.linkerd.cluster.local", validity: now...(now + options.anchorLifetime))
                let issuer = try root.issueIntermediate(name: "identity.linkerd.cluster.local", validity: now...(now + options.issuerLifetime))
                made = .success((root, issuer.certificate.pem, issuer.key.pem))
            } catch { made = .failure(error) }
        }
        office.exit(0)
        switch made {
        case .success(let (root, certificate, key)):
            self.root = root
            anchorsPEM = root.certificate.pem
            issuer = (certificate, key)
        case .failure(let refusal): throw StoryFailure("no trust root: \(refusal)")
        case nil: throw StoryFailure("no trust root")
        }
    }

    func start() throws(StoryFailure) {
        startAPIServer()
        try stage.wait("API server", within: .seconds(5)) { self.apiServer != nil }
        agentNode.files.put("/etc/kubeconfig", text: kubeconfig, mode: 0o600)
        try apply(EmbeddedManifests.customResources)
        try apply(
            """
            {apiVersion: v1, kind: Namespace, metadata: {name: linkerd}}
            ---
            {apiVersion: v1, kind: ServiceAccount, metadata: {name: linkerd-identity, namespace: linkerd}}
            ---
            {apiVersion: v1, kind: ServiceAccount, metadata: {name: linkerd-destination, namespace: linkerd}}
            """)
        agentProcess = world.addProcess("agent", on: agentNode, userID: 0, settings: Settings()) { [unowned self] process in
            do throws(Refusal) {
                let made = try NodeAgent(
                    host: process, configuration: try KubeConfiguration.load(process, path: "/etc/kubeconfig"), nodeName: "node-1", nodeAddress: agentNode.ip, runtime: pods)
                agent = made
                process.keep(made)
                process.onShutdown { made.stop { process.exit(0) } }
            } catch { process.unexpected("the node agent cannot start: \(error)") }
        }
        agentProcess.start()
        try stage.wait("node agent", within: .seconds(30)) { [self] in agent?.isReady ?? false }
        var token: String?
        agentProcess.run { agent.token(for: "linkerd-destination", in: "linkerd") { token = $0 } }
        try stage.wait("token of the controllers", within: .seconds(10)) { token != nil }
        destinationNode.files.put("/var/run/secrets/tokens/linkerd-identity-token", text: token!, mode: 0o600)
        startControlPlane()
        try stage.wait("control plane") { [self] in
            identity?.service.issuer != nil && destination?.controller.admin.isReady ?? false && policy?.controller.admin.isReady ?? false
        }
    }

    // MARK: Manifests

    /// Creates or updates objects, as `kubectl apply` does. Pods and pod templates that ask for it are injected first.
    public func apply(_ manifest: String) throws(StoryFailure) {
        var failure: String?
        apiProcess.run {
            do {
                let documents = try YAML.parse(Array(manifest.utf8)).map(\.value).filter { $0 != .null }
                for document in documents { _ = try apiServer!.apply([try inject(document)]) }
            } catch { failure = "\(error)" }
        }
        if let failure { throw StoryFailure("the manifest cannot be applied: \(failure)") }
    }

    /// Deletes one object, as `kubectl delete` does.
    /// `mayBeGone`: that it is not there is as good.
    public func delete(_ resource: KubeResource, _ namespace: String, _ name: String, mayBeGone: Bool = false) throws(StoryFailure) {
        var answered = false
        var failure: String?
        agentProcess.run {
            _ = agent.client.delete(resource, KubeKey(namespace, name)) { result in
                answered = true
                if case .failure(let error) = result, !(mayBeGone && error.isNotFound) { failure = "\(error)" }
            }
        }
        try stage.wait("deletion of \(namespace)/\(name)") { answered }
        if let failure { throw StoryFailure("\(namespace)/\(name) cannot be deleted: \(failure)") }
    }

    /// As the admission webhook does for pods that ask for it.
    private func inject(_ document: Value) throws -> Value {
        var values = InjectionValues()
        values.trustAnchorsPEM = anchorsPEM
        options.injection(&values)
        var surroundings = Injector.Surroundings()
        surroundings.namespace = document.text("metadata", "namespace") ?? "default"
        if let namespace = apiServer?.object(.namespaces, name: surroundings.namespace) { surroundings.namespaceAnnotations = namespace.annotations }
        return try Injector(values: values, mode: .admission).inject(document, in: surroundings).object
    }

    /// A turn of the node agent's process, whose client a story may use.
    public func onAgent(_ body: () -> Void) { agentProcess.run(body) }

    /// The node agent's client.
    public var client: KubeClient { agent.client }

    /// What the API server holds, seen from outside the world; empty while it is down.
    public func stored(_ resource: KubeResource, namespace: String) -> [KubeObject] { apiServer?.objects(resource, namespace: namespace) ?? [] }

    /// The API server forgets its history: watches that are behind are told 410.
    public func forgetHistory() { apiProcess.run { apiServer?.compactHistory() } }

    // MARK: Pods

    public func pod(_ name: String) -> StagePod? { pods.pods.first { $0.name == name || $0.name.hasPrefix(name + "-") } }

    /// Waits until the pod runs and, if it is meshed, its proxy is ready.
    @discardableResult
    public func ready(_ name: String, within limit: Interval = .seconds(60)) throws(StoryFailure) -> StagePod {
        try stage.wait("ready pod \(name)", within: limit) { self.pod(name)?.isReady ?? false }
        return pod(name)!
    }

    /// What an image does when its container starts; the longest prefix of the image's name wins. Set before the pods come.
    public func image(_ prefix: String, _ start: @escaping (SimProcess, StagePod) -> Void) { pods.images.append((prefix, start)) }

    /// Sees the node of each pod before anything runs on it: for stories about odd machines.
    public func onPlace(_ see: @escaping (Simulator.Node) -> Void) { pods.onPlace = see }

    /// Whether the node of a pod has its CNI plugin, for pods that are injected for one. Set before the pods come.
    public func plugin(_ isThere: @escaping (StagePod) -> Bool) { pods.hasPlugin = isThere }

    /// Sets a variable of a container's environment before it starts: for stories about broken pods.
    public func tamper(pod name: String, container: String, _ variable: String, _ value: String) {
        let before = pods.tamper
        pods.tamper = { changed, pod in
            before(&changed, pod)
            guard pod.name == name, changed.name == container else { return }
            changed.environment.removeAll { $0.name == variable }
            changed.environment.append((variable, value))
        }
    }

    // MARK: The parts

    public private(set) var apiServer: KubeAPIServer?
    public private(set) var identity: IdentityController?
    public private(set) var destination: DestinationController?
    public private(set) var policy: PolicyController?
    public private(set) var apiProcess: SimProcess!

    private func startAPIServer() {
        apiProcess = world.addProcess("api", on: apiNode, userID: 0, settings: Settings()) { [unowned self] process in
            var options = APIServerOptions()
            options.adminToken = Self.adminToken
            do {
                // The API server's trust is a tree of its own, as in any cluster.
                let root: CertificateAuthority
                if self.options.keepsObjects {
                    let secrets = try ClusterSecrets.load(process.records, host: process)
                    root = secrets.authority
                    options.signingKey = secrets.signingKey
                } else {
                    root = try CertificateAuthority.selfSignedRoot(name: "kubernetes", validity: (process.wall - .hours(1))...(process.wall + .days(365)))
                }
                let server = try KubeAPIServer(host: process, options: options, records: self.options.keepsObjects ? process.records : nil)
                let credentials = try KubeAPIServer.makeCredentials(root, addresses: [Self.apiAddress.ip], at: process.wall, options: options)
                try server.start(address: Self.apiAddress, tls: TLSServerConfiguration(credentials: credentials, anchors: TrustAnchors([root.certificate])))
                kubeconfig = server.kubeconfig(anchorsPEM: root.certificate.pem)
                apiServer = server
                process.keep(server)
                process.onShutdown {
                    server.stop()
                    process.exit(0)
                }
            } catch { process.unexpected("the API server cannot start: \(error)") }
        }
        apiProcess.start()
    }

    /// Kills the API server, lets time pass, and starts it again. What it acknowledged is there when `keepsObjects` was asked for.
    public func killAPIServer(for time: Interval) throws(StoryFailure) {
        world.crash(apiProcess)
        apiServer = nil
        world.run(for: time)
        apiProcess.start()
        try stage.wait("API server", within: .seconds(5)) { self.apiServer != nil }
    }

    /// The administrator's.
    private(set) var kubeconfig = ""

    private func startControlPlane() {
        let names = world.nameServer!
        for (name, node) in [("linkerd-identity-headless", identityNode), ("linkerd-dst-headless", destinationNode), ("linkerd-policy", destinationNode)] {
            names.set(DNSName("\(name).linkerd.svc.cluster.local")!, addresses: [node.ip])
        }
        for node in [identityNode, destinationNode] { node.files.put("/etc/kubeconfig", text: kubeconfig, mode: 0o600) }
        for node in [identityNode, destinationNode] { node.files.put("/var/run/linkerd/identity/trust-roots/ca-bundle.crt", text: anchorsPEM) }
        identityNode.files.put("/var/run/linkerd/identity/issuer/crt.pem", text: issuer.certificate)
        identityNode.files.put("/var/run/linkerd/identity/issuer/key.pem", text: issuer.key, mode: 0o600)
        world.declareSecret(Array(issuer.key.utf8.dropFirst(40).prefix(40)))

        start("identity", on: identityNode) { [unowned self] process throws(Refusal) -> AnyObject in
            var identityOptions = IdentityControllerOptions()
            identityOptions.service.lifetime = options.leafLifetime
            var controllerOptions = IdentityController.defaults
            controllerOptions.kubeconfig = "/etc/kubeconfig"
            controllerOptions.tls = ControllerOptions.TLSOptions()
            let made = try IdentityController.run(host: process, options: controllerOptions, identity: identityOptions)
            identity = made
            return made
        }
        start("destination", on: destinationNode) { [unowned self] process throws(Refusal) -> AnyObject in
            var controllerOptions = DestinationController.defaults
            controllerOptions.kubeconfig = "/etc/kubeconfig"
            controllerOptions.tls = controllerTLS()
            var service = DestinationOptions()
            service.transportMode = .transportHeader
            let made = try DestinationController.run(host: process, options: controllerOptions, service: service)
            destination = made
            return made
        }
        start("policy", on: destinationNode) { [unowned self] process throws(Refusal) -> AnyObject in
            var controllerOptions = PolicyController.defaults
            controllerOptions.kubeconfig = "/etc/kubeconfig"
            controllerOptions.tls = controllerTLS()
            let made = try PolicyController.run(host: process, options: controllerOptions, policy: PolicyOptions())
            policy = made
            return made
        }
    }

    /// Another issuer of the same root in the place where the identity service finds its own, as a renewed Secret brings it.
    public func rotateIssuer() throws(StoryFailure) {
        issuersMade += 1
        let office = world.addProcess("trust-\(issuersMade)", on: apiNode, userID: 0, settings: Settings()) { _ in }
        office.start()
        world.run(until: { office.isRunning }, limit: .seconds(1))
        var made: CertificateAuthority?
        office.run {
            let now = world.wall - .hours(1)
            made = try? root.issueIntermediate(name: "identity.linkerd.cluster.local", validity: now...(now + options.issuerLifetime))
        }
        office.exit(0)
        guard let made else { throw StoryFailure("no other issuer") }
        world.declareSecret(Array(made.key.pem.utf8.dropFirst(40).prefix(40)))
        // One file after the other: for a moment they do not fit together.
        identityNode.files.put("/var/run/linkerd/identity/issuer/crt.pem", text: made.certificate.pem)
        identityNode.files.put("/var/run/linkerd/identity/issuer/key.pem", text: made.key.pem, mode: 0o600)
    }

    private func start(_ name: String, on node: Simulator.Node, _ make: @escaping (SimProcess) throws(Refusal) -> AnyObject) {
        let process = world.addProcess(name, on: node, userID: 2103, settings: Settings()) { process in
            do throws(Refusal) {
                process.keep(try make(process))
            } catch {
                process.log(.error, "controller", error.reason)
                process.exit(1)
            }
        }
        process.start()
    }

    private func controllerTLS() -> ControllerOptions.TLSOptions {
        var tls = ControllerOptions.TLSOptions()
        tls.localName = "linkerd-destination.linkerd.serviceaccount.identity.linkerd.cluster.local"
        return tls
    }
}
