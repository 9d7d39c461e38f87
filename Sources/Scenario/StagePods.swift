// Pods as nodes of the world: the simulated runtime of the shipping node agent. What a container does is decided by its image; the
// proxy is the proxy.

import Base
import DNS
import Interception
import Kube
import Nodes
import OrderedCollections
import Platform
import Proxy
import Simulator
import Transport

/// A pod on a stage.
public final class StagePod {
    public let pod: AgentPod
    public let node: Simulator.Node
    /// The proxy's process, if the pod is meshed and it has been started.
    public fileprivate(set) var proxy: SimProcess?
    /// By container name, in order.
    public fileprivate(set) var containers: OrderedDictionary<String, SimProcess> = [:]

    fileprivate init(_ pod: AgentPod, node: Simulator.Node) {
        self.pod = pod
        self.node = node
    }

    public var name: String { pod.name }
    /// Why it cannot run; nil: nothing is known against it.
    public var problem: String? { pod.problem }
    /// Its agent says so, and its applications have begun.
    public var isReady: Bool { pod.isReady && containers.values.allSatisfy(\.isRunning) }

    /// Memory of the proxy's HTTP engines, and bytes that wait for slow readers. Unit: bytes.
    public var proxyBytesHeld: Int { proxy?.components.compactMap { $0 as? Proxy }.first?.bytesHeld ?? 0 }
    /// Connections that the proxy has accepted and not ended.
    public var proxyConnections: Int { proxy?.components.compactMap { $0 as? Proxy }.first?.connectionCount ?? 0 }

    /// A sample of the proxy's metrics by its full name and labels as exposed; nil: there is none.
    public func metric(_ sample: String) -> Double? {
        guard let proxy = proxy?.components.compactMap({ $0 as? Proxy }).first else { return nil }
        return proxy.metrics.exposition().split(separator: "\n").first { $0.hasPrefix(sample + " ") }.flatMap { Double($0.dropFirst(sample.utf8.count + 1)) }
    }

    /// The process of a container; the first one that is no proxy when no name is given.
    public func process(_ container: String? = nil) -> SimProcess { container.map { containers[$0]! } ?? containers.elements[0].value }

    /// Makes a caller in a container of this pod.
    public func caller(_ container: String? = nil) -> Caller {
        let process = process(container)
        return process.run {
            let caller = Caller(process)
            process.keep(caller)
            return caller
        }
    }
}

/// Runs pods in a world.
final class StagePods: PodRuntime {
    private let world: World
    /// In the order they came.
    private(set) var places: OrderedDictionary<ObjectIdentifier, StagePod> = [:]
    var pods: [StagePod] { Array(places.values) }
    /// What was last made of each service, so that only what is new is told to the world.
    private var published: [String: PublishedService] = [:]
    private var made = 0
    /// What an image does; the longest prefix of the image's name wins.
    var images: [(prefix: String, start: (SimProcess, StagePod) -> Void)] = []

    /// Changes a container before it starts: for stories about broken pods.
    var tamper: (inout PodContainer, AgentPod) -> Void = { _, _ in }

    /// Sees each place before anything runs in it.
    var onPlace: (Simulator.Node) -> Void = { _ in }

    /// Whether the node of a pod has a CNI plugin that redirects as `linkerd-init` does elsewhere.
    var hasPlugin: (StagePod) -> Bool = { _ in true }

    init(_ world: World) { self.world = world }

    func makePlace(for pod: AgentPod) throws(Refusal) -> IPAddress {
        made += 1
        let ip = IPAddress(10, 1, UInt8(made / 250), UInt8(made % 250 + 1))
        let node = world.addNode(pod.name, ip: ip)
        onPlace(node)
        node.resolver.searchDomains = ["\(pod.namespace).svc.cluster.local", "svc.cluster.local", "cluster.local"]
        places[ObjectIdentifier(pod)] = StagePod(pod, node: node)
        return ip
    }

    func put(_ path: String, _ bytes: [UInt8], mode: UInt32, in pod: AgentPod) throws(Refusal) {
        find(pod).node.files.put(path, bytes, mode: mode)
        if path.contains("token") { world.declareSecret(Array(bytes.suffix(40))) }
    }

    func runToEnd(_ container: PodContainer, in pod: AgentPod, done: @escaping (Int32) -> Void) {
        let place = find(pod)
        if container.isValidator { return validate(container, place, done) }
        if container.isInitializer { place.node.redirect = RedirectRules(arguments: container.arguments) }
        done(0)
    }

    /// The network validator as a process of its own, behind what the node's CNI plugin did.
    private func validate(_ container: PodContainer, _ place: StagePod, _ done: @escaping (Int32) -> Void) {
        if hasPlugin(place) { place.node.redirect = RedirectRules(arguments: []) }
        let process = world.addProcess(container.name, on: place.node, userID: container.userID ?? 65_534, settings: Settings()) { process in
            do throws(Refusal) {
                let validator = NetworkValidator(host: process, flags: try ValidatorFlags(container.arguments)) { refusal in
                    if let refusal { process.log(.error, "network_validator", "\(refusal)") }
                    process.exit(refusal == nil ? 0 : NetworkValidator.failureStatus)
                }
                process.keep(validator)
                process.onShutdown { validator.stop() }
                validator.start()
            } catch {
                process.log(.error, "network_validator", "\(error)")
                process.exit(2)
            }
        }
        process.start()
        watch(process, ended: done)
    }

    func start(_ container: PodContainer, in pod: AgentPod, ended: @escaping (Int32) -> Void) throws(Refusal) {
        let place = find(pod)
        var container = container
        tamper(&container, pod)
        let settings = Settings(environment: container.environment)
        let process: SimProcess
        if container.isProxy {
            place.node.isMeshed = true
            place.node.plaintextPorts = [4190...4191]
            process = world.addProcess(container.name, on: place.node, userID: 2102, settings: settings) { process in
                let proxy = Proxy(host: process)
                process.keep(proxy)
                proxy.start()
            }
            place.proxy = process
        } else {
            let start = images.filter { container.image.hasPrefix($0.prefix) }.max { $0.prefix.utf8.count < $1.prefix.utf8.count }?.start
            process = world.addProcess(container.name, on: place.node, userID: 1000, settings: settings) { [unowned place] process in
                if let start { start(process, place) } else { process.onShutdown { process.exit(0) } }
            }
            place.containers[container.name] = process
        }
        process.start()
        watch(process, ended: ended)
    }

    /// A process that crashed may be started again.
    private func watch(_ process: SimProcess, ended: @escaping (Int32) -> Void) {
        process.onEnd = { [world] state in if case .exited(let status) = state { world.after(.zero) { ended(status) } } }
    }

    func stop(_ container: PodContainer, in pod: AgentPod, byForce: Bool) {
        let place = find(pod)
        guard let process = container.isProxy ? place.proxy : place.containers[container.name] else { return }
        if byForce { world.crash(process) } else { process.stop() }
    }

    func removePlace(of pod: AgentPod) {
        guard let place = places.removeValue(forKey: ObjectIdentifier(pod)) else { return }
        world.after(.zero) { [world] in world.removeNode(place.node) }
    }

    func publish(_ services: [PublishedService]) {
        for service in services where published[service.name] != service {
            published[service.name] = service
            if let name = DNSName("\(service.name).cluster.local") { world.nameServer?.set(name, addresses: service.addresses) }
            for (address, backends) in service.ports { world.forward(address, to: backends) }
        }
    }

    private func find(_ pod: AgentPod) -> StagePod { places[ObjectIdentifier(pod)]! }
}

extension RedirectRules {
    /// From the arguments that the injector gives to the init container.
    init(arguments: [String]) {
        self.init()
        func ports(_ text: String) -> [ClosedRange<UInt16>] {
            text.split(separator: ",").compactMap { part in
                let ends = part.split(separator: "-")
                guard let low = ends.first.flatMap({ parsePort($0) }), let high = ends.last.flatMap({ parsePort($0) }), low <= high else { return nil }
                return low...high
            }
        }
        for (flag, value) in zip(arguments, arguments.dropFirst()) {
            switch flag {
            case "--incoming-proxy-port": inboundPort = parsePort(value) ?? inboundPort
            case "--outgoing-proxy-port": outboundPort = parsePort(value) ?? outboundPort
            case "--proxy-uid": proxyUserID = UInt32(value) ?? proxyUserID
            case "--inbound-ports-to-ignore": skipInboundPorts = ports(value)
            case "--outbound-ports-to-ignore": skipOutboundPorts = ports(value)
            case "--subnets-to-ignore": skipSubnets = value.split(separator: ",").compactMap { IPNetwork($0) }
            default: break
            }
        }
    }
}
