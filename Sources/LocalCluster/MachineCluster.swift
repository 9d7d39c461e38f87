// A cluster on one machine: API server and node agent in this process, controllers, proxies and applications as processes of their
// own, pods as network namespaces on a bridge. Everything is built up step by step and taken down in one call, however far it came.

import APIServer
import Base
import CLinux
import DNS
import Documents
import Glibc
import HTTP
import Kube
import Linux
import Manifests
import Nodes
import Platform
import Transport

/// Why a cluster, or what runs on it, could not go on.
public struct LocalFailure: Error, CustomStringConvertible, Sendable {
    /// In words for people, one line.
    public var text: String
    /// The user asked for the end (SIGINT, SIGTERM).
    public var isInterruption: Bool

    public init(_ text: String, isInterruption: Bool = false) {
        self.text = text
        self.isInterruption = isInterruption
    }

    public var description: String { text }
}

public final class MachineCluster {
    public let host: LinuxHost
    let programs: WeftPrograms
    /// A line of what was just done.
    private let say: (String) -> Void
    private let limits = LocalClusterLimits()
    private(set) var network: PodNetwork!
    private(set) var api: KubeAPIServer!
    private(set) var trust: ClusterTrust!
    private(set) var pods: LocalPods!
    private var hub: NamespaceHost!
    private(set) var hubBatch: FlushBatch!
    private var names: ClusterNameServer!
    private var agent: NodeAgent?
    private var outside: HTTPServer?
    private var controllers: [(part: ControllerPart, child: ChildProcess)] = []
    /// What ended that should run: in words.
    private var accident: String?
    private var isStopping = false
    /// The user asked for the end.
    public private(set) var isInterrupted = false

    static let apiPort: UInt16 = 6443
    private static let zone = "cluster.local"

    /// `host` takes signals; the first one ends what is waited for.
    public init(host: LinuxHost, programs: WeftPrograms, say: @escaping (String) -> Void) {
        self.host = host
        self.programs = programs
        self.say = say
        host.onShutdown { [self] in isInterrupted = true }
    }

    public var hubAddress: IPAddress { network.hub.address }
    /// Where the run keeps its files.
    public var directory: String { network.directory }

    // MARK: Building up

    /// Everything but pods. Call `stop` afterwards, whether it throws or not.
    public func start() throws(LocalFailure) {
        do {
            network = try PodNetwork(subnet: IPNetwork(IPAddress(10, 77, 0, 0), prefixBits: 16))
            say("a bridge on \(network.subnet), in a network namespace of its own")
            trust = try ClusterTrust(now: host.wall)
            say("trust root and issuer, ECDSA P-256, in \(network.directory) for root's eyes only")
            hub = NamespaceHost(host, in: network.hub, resolver: ResolverConfiguration(servers: [SocketAddress(hubAddress, 53)], searchDomains: []))
            hubBatch = FlushBatch(host: hub)
            guard let zone = DNSName(Self.zone) else { throw Refusal("no zone") }
            names = try ClusterNameServer(host: hub, address: SocketAddress(hubAddress, 53), names: ClusterNames(zone: zone))
            try host.files.write(resolver, Array("nameserver \(hubAddress)\noptions ndots:5 timeout:2\n".utf8), mode: 0o644)
            try startAPIServer()
            try startAgent()
        } catch { throw failure(error) }
        try wait("the node agent to follow the cluster") { self.agent?.isReady ?? false }
        say("API server on https://\(SocketAddress(hubAddress, Self.apiPort)), node agent and cluster DNS beside it")
        try startControllers()
    }

    private func failure(_ error: any Error) -> LocalFailure { error as? LocalFailure ?? LocalFailure("\(error)") }
    private var resolver: String { "\(directory)/resolv.conf" }

    private func startAPIServer() throws {
        var options = APIServerOptions()
        options.rootCertificatePEM = trust.apiAnchorsPEM
        api = try KubeAPIServer(batch: hubBatch, options: options)
        try api.start(address: SocketAddress(hubAddress, Self.apiPort), tls: trust.api)
        try api.apply(try objects(EmbeddedManifests.customResources) + objects(ControllerPart.manifest(hub: hubAddress)))
    }

    /// A kubeconfig; nil: the administrator's, as seen from the pods' network.
    public func kubeconfig(token: String? = nil, address: SocketAddress? = nil) -> String {
        let authority = address ?? SocketAddress(hubAddress, Self.apiPort)
        return """
            apiVersion: v1
            kind: Config
            current-context: weft
            clusters:
            - name: weft
              cluster:
                server: https://\(authority)
                tls-server-name: \(ClusterTrust.apiName)
                certificate-authority-data: \(base64Encoded(Array(trust.apiAnchorsPEM.utf8)))
            users:
            - name: weft
              user:
                token: \(token ?? api.adminToken)
            contexts:
            - name: weft
              context:
                cluster: weft
                user: weft

            """
    }

    private func startAgent() throws {
        let path = "\(directory)/kubeconfig"
        try host.files.write(path, Array(kubeconfig().utf8), mode: 0o600)
        pods = LocalPods(host: host, network: network, programs: programs, names: names.names)
        agent = try NodeAgent(host: hub, configuration: try KubeConfiguration.load(hub, path: path), nodeName: "this-machine", nodeAddress: hubAddress, runtime: pods)
    }

    private func startControllers() throws(LocalFailure) {
        for part in ControllerPart.all {
            do {
                let directory = "\(directory)/\(part.name)"
                let identityToken = try api.token(namespace: "linkerd", serviceAccount: part.serviceAccount, audiences: ["identity.l5d.io"], lifetime: .hours(24))
                let token = try api.token(namespace: "linkerd", serviceAccount: part.serviceAccount, lifetime: .hours(24))
                try part.furnish(directory, kubeconfig: kubeconfig(token: token), token: identityToken, trust: trust, files: host.files)
                var program = part.program(programs.controller, directory: directory, resolver: resolver)
                let log = clinux_open_append("\(directory)/logs/\(part.name).log")
                guard log >= 0 else { throw HostFailure("open", errno: -log, subject: "\(part.name).log") }
                defer { _ = clinux_close(log) }
                program.output = log
                program.error = log
                let child = try network.hub.start(program)
                controllers.append((part, child))
                try host.watch(child) { [self] status in
                    if !isStopping { accident = "weft-controller \(part.name) ended with status \(status): \(lastLine("\(directory)/logs/\(part.name).log"))" }
                }
            } catch { throw failure(error) }
        }
        var ready: [String] = []
        for part in ControllerPart.all { ask(part) { ready.append(part.name) } }
        try wait("the control plane to be ready", describe: {
            let late = ControllerPart.all.filter { part in !ready.contains(part.name) }
            return late.map { "\($0.name) says: \(self.lastLine("\(self.directory)/\($0.name)/logs/\($0.name).log"))" }.joined(separator: "; ")
        }) { ready.count == ControllerPart.all.count }
        say("\(ControllerPart.all.map(\.name).joined(separator: ", ")) controllers, each certified by the first")
    }

    /// Until it says that it is ready.
    private func ask(_ part: ControllerPart, _ ready: @escaping () -> Void) {
        HTTPFetch(batch: hubBatch, address: SocketAddress(hubAddress, part.adminPort), path: "/ready") { [self] status, _ in
            if isStopping { return }
            if status == 200 { return ready() }
            host.after(.milliseconds(20)) { [self] in if !isStopping { ask(part, ready) } }
        }
    }

    private func lastLine(_ path: String) -> String {
        guard let bytes = try? host.files.read(path) else { return "it said nothing" }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").last.map(String.init) ?? "it said nothing"
    }

    // MARK: Objects

    /// Creates or updates the objects of a manifest; pods that ask for it are injected first, as the webhook would.
    public func apply(_ manifest: String) throws(LocalFailure) {
        do {
            for object in try objects(manifest) {
                var values = InjectionValues()
                values.trustAnchorsPEM = trust.anchorsPEM
                var surroundings = Injector.Surroundings()
                surroundings.namespace = object.text("metadata", "namespace") ?? "default"
                if let namespace = api.object(.namespaces, name: surroundings.namespace) { surroundings.namespaceAnnotations = namespace.annotations }
                try api.apply([try Injector(values: values, mode: .admission).inject(object, in: surroundings).object])
            }
        } catch { throw failure(error) }
    }

    private func objects(_ text: String) throws -> [Value] { try YAML.parse(Array(text.utf8)).map(\.value).filter { $0 != .null } }

    /// The ready pod whose name begins so.
    public func ready(_ name: String) throws(LocalFailure) -> LocalPod {
        func found() -> LocalPod? { pods.pods.first { $0.name == name || $0.name.hasPrefix(name + "-") } }
        try wait("pod \(name) to be ready", describe: {
            guard let pod = found() else { return "there is no such pod" }
            if let problem = pod.pod.problem { return problem }
            return "it is \(pod.pod.stage): \(self.lastLine("\(pod.run)/logs/linkerd-proxy.log"))"
        }) {
            guard let pod = found() else { return false }
            return pod.pod.isReady || pod.pod.problem != nil
        }
        guard let pod = found(), pod.pod.isReady else { throw LocalFailure("pod \(name) cannot run: \(found()?.pod.problem ?? "it is gone")") }
        return pod
    }

    /// Until a port of a pod's own loopback takes connections.
    func listening(_ pod: LocalPod, port: UInt16) throws(LocalFailure) {
        var isListening = false
        func knock() {
            let knocker = Knocker { [self] opened in
                if opened { isListening = true } else { host.after(.milliseconds(20)) { if !self.isStopping { knock() } } }
            }
            _ = try? pod.place.inside { host.network.connect(to: SocketAddress(.loopback, port), options: ConnectOptions(timeout: .seconds(1)), handler: knocker) }
        }
        knock()
        try wait("port \(port) of \(pod.name) to listen") { isListening }
    }

    /// Sockets of a pod, for code of this process that speaks from there.
    func host(of pod: LocalPod) -> any Host {
        NamespaceHost(host, in: pod.place, resolver: ResolverConfiguration(servers: [SocketAddress(hubAddress, 53)], searchDomains: []))
    }

    // MARK: Programs

    /// What a program left behind.
    public struct ProgramResult: Sendable {
        public var status: Int32
        public var output: String
        public var errors: String
    }

    /// Runs a program in a pod, or in the hub, to its end. Cluster DNS and API server go on meanwhile.
    public func run(_ program: ChildProgram, in pod: LocalPod?, input: String? = nil) throws(LocalFailure) -> ProgramResult {
        var lines: ([String], [String]) = ([], [])
        var ends = 0
        var status: Int32?
        do {
            var pipes = [Int32](repeating: -1, count: 6)
            for i in 0..<3 { guard pipes.withUnsafeMutableBufferPointer({ clinux_pipe($0.baseAddress! + 2 * i) }) == 0 else { throw LocalFailure("no pipe for \(program.path)") } }
            var program = program
            (program.input, program.output, program.error) = (pipes[0], pipes[3], pipes[5])
            let child: ChildProcess
            do { child = try pod.map { try $0.place.start($0.adopt(program)) } ?? network.hub.start(program) } catch {
                for fd in pipes { _ = clinux_close(fd) }
                throw error
            }
            // Less than a pipe holds, so this never waits for the reader.
            let bytes = Array((input ?? "").utf8)
            invariant(bytes.count <= 4096, "the input of a program fits into its pipe")
            _ = bytes.withUnsafeBytes { clinux_write(pipes[1], $0.baseAddress, $0.count) }
            for i in [0, 1, 3, 5] { _ = clinux_close(pipes[i]) }
            try host.readLines(pipes[2], line: { lines.0.append($0) }, ended: { ends += 1 })
            try host.readLines(pipes[4], line: { lines.1.append($0) }, ended: { ends += 1 })
            try host.watch(child) { status = $0 }
        } catch { throw failure(error) }
        try wait("\(program.path) to end") { status != nil && ends == 2 }
        return ProgramResult(status: status ?? -1, output: lines.0.map { $0 + "\n" }.joined(), errors: lines.1.joined(separator: "; "))
    }

    /// The proxy's metrics, as Prometheus would fetch them.
    func metrics(of pod: LocalPod) throws(LocalFailure) -> String {
        var answer: (UInt16, [UInt8])?
        HTTPFetch(batch: hubBatch, address: SocketAddress(pod.place.address, 4191), path: "/metrics") { answer = ($0, $1) }
        try wait("the metrics of \(pod.name)") { answer != nil }
        guard let answer, answer.0 == 200 else { throw LocalFailure("\(pod.name) gives no metrics: status \(answer?.0 ?? 0)") }
        return String(decoding: answer.1, as: UTF8.self)
    }

    // MARK: Waiting

    /// Runs the loop until the condition holds. Throws when it takes too long, a controller ends, or the user asks for the end.
    func wait(_ what: String, within limit: Interval? = nil, describe: () -> String? = { nil }, until condition: () -> Bool) throws(LocalFailure) {
        let limit = limit ?? limits.stepTimeout
        let held = host.run(atMost: limit) { condition() || isInterrupted || accident != nil }
        if isInterrupted { throw LocalFailure("interrupted", isInterruption: true) }
        if let accident { throw LocalFailure(accident) }
        if !held || !condition() { throw LocalFailure("waited \(limit) for \(what)\(describe().map { ", but \($0)" } ?? "")") }
    }

    // MARK: To and from the machine

    /// Lets the machine's own programs reach the API server, on loopback; returns the path of a kubeconfig that says where.
    public func openToMachine() throws(LocalFailure) -> String {
        do {
            let server = try HTTPServer(batch: FlushBatch(host: host), address: SocketAddress(.loopback, 0), tls: trust.api, handler: api)
            outside = server
            let path = "\(directory)/kubeconfig"
            try host.files.write(path, Array(kubeconfig(address: server.address).utf8), mode: 0o600)
            return path
        } catch { throw failure(error) }
    }

    /// Takes everything down: pods in their order, controllers, servers, namespaces, files. Idempotent.
    public func stop() {
        if isStopping { return }
        isStopping = true
        guard network != nil else { return }
        if let agent {
            var isDone = false
            agent.stop { isDone = true }
            // Proxies let what they carry end; what takes longer is ended by the network below.
            _ = host.run(atMost: .seconds(5)) { isDone }
        }
        for (_, child) in controllers { child.signal(SIGTERM, wholeGroup: true) }
        outside?.close()
        api?.stop()
        names?.close()
        network.remove()
        // What the ends of all these left for later turns.
        _ = host.run(atMost: .milliseconds(50)) { false }
    }
}

/// Connects, hears whether that was possible, and leaves.
private final class Knocker: ConnectionHandler {
    private var done: ((Bool) -> Void)?
    init(_ done: @escaping (Bool) -> Void) { self.done = done }

    private func end(_ opened: Bool) {
        let last = done
        done = nil
        last?(opened)
    }

    func connected(_ connection: any Connection) {
        connection.close()
        end(true)
    }

    func received(_ bytes: RawSpan, on connection: any Connection) {}
    func finished(_ connection: any Connection) {}
    func closed(_ connection: any Connection, _ failure: HostFailure?) { end(false) }
}
