// The agent of one node: what kubelet, kube-proxy and cluster DNS do, over any world. It follows pods and services with the shipping
// client, runs pods through a `PodRuntime`, probes the proxy's readiness, and tells the API server. Volumes, images, resource
// limits and restarts of failed containers are deliberately absent.

import Base
import Documents
import HTTP
import Kube
import OrderedCollections
import Platform
import Transport

public final class NodeAgent {
    public let host: any Host
    public let client: KubeClient
    public let nodeName: String
    /// In the order they came.
    private var podsByKey: OrderedDictionary<KubeKey, AgentPod> = [:]
    public var pods: [AgentPod] { Array(podsByKey.values) }
    let nodeAddress: IPAddress
    let runtime: any PodRuntime
    let batch: FlushBatch
    private let resolver: Resolver
    private let podInformer: Informer
    private let serviceInformer: Informer
    private let sliceInformer: Informer
    /// Look-up only: what each service was last.
    private var published: [KubeKey: PublishedService] = [:]
    /// Services that may have become others.
    private var dirty: OrderedSet<KubeKey> = []
    private var publishTimer: TimerID?
    private static let serviceIndex = "service"
    private var isStopping = false
    private var whenStopped: (() -> Void)?

    /// Begins to follow the cluster; `resolver` stays the agent's to close.
    public init(host: any Host, configuration: KubeConfiguration, nodeName: String, nodeAddress: IPAddress, runtime: any PodRuntime) throws(Refusal) {
        self.host = host
        self.nodeName = nodeName
        self.nodeAddress = nodeAddress
        self.runtime = runtime
        batch = FlushBatch(host: host)
        resolver = Resolver(host: host)
        client = try KubeClient(batch: batch, configuration: configuration, resolver: resolver, userAgent: "weft-node-agent")
        podInformer = Informer(client: client, .pods)
        serviceInformer = Informer(client: client, .services)
        sliceInformer = Informer(client: client, .endpointSlices)
        podInformer.onChange { [unowned self] change in
            switch change {
            case .added(let object): appeared(object)
            case .updated(_, let object): changed(object)
            case .deleted(let object): find(object)?.terminate()
            }
        }
        sliceInformer.addIndex(Self.serviceIndex) { ["\($0.namespace)/\(EndpointSlice($0).serviceName)"] }
        serviceInformer.onChange { [unowned self] change in
            switch change {
            case .added(let object), .deleted(let object), .updated(_, let object): touched(object.key)
            }
        }
        sliceInformer.onChange { [unowned self] change in
            switch change {
            case .added(let object), .deleted(let object), .updated(_, let object): touched(KubeKey(object.namespace, EndpointSlice(object).serviceName))
            }
        }
        for informer in [podInformer, serviceInformer, sliceInformer] {
            // What came with the first lists is published when the last of them is in.
            informer.onSynced { [unowned self] in publishSoon() }
            informer.start()
        }
    }

    /// The first lists are in.
    public var isReady: Bool { podInformer.hasSynced && serviceInformer.hasSynced && sliceInformer.hasSynced }

    /// Ends all pods, then following the cluster; `done` is called once.
    public func stop(_ done: @escaping () -> Void) {
        guard !isStopping else { return }
        isStopping = true
        whenStopped = done
        for informer in [podInformer, serviceInformer, sliceInformer] { informer.stop() }
        if let publishTimer { host.cancel(publishTimer) }
        publishTimer = nil
        for pod in pods { pod.terminate() }
        finishIfStopped()
    }

    private func finishIfStopped() {
        guard isStopping, podsByKey.isEmpty, let done = whenStopped else { return }
        whenStopped = nil
        client.close()
        resolver.close()
        done()
    }

    // MARK: Pods

    private func find(_ object: KubeObject) -> AgentPod? { podsByKey[object.key] }

    private func appeared(_ object: KubeObject) {
        let bound = object.value.text("spec", "nodeName")
        guard !isStopping, !object.isTerminating, bound == nil || bound == nodeName, find(object) == nil else { return }
        let pod = AgentPod(object, agent: self)
        podsByKey[object.key] = pod
        pod.begin()
    }

    private func changed(_ object: KubeObject) {
        if object.isTerminating { find(object)?.terminate() } else { appeared(object) }
    }

    /// Nothing of the pod runs any more.
    func ended(_ pod: AgentPod) {
        podsByKey[KubeKey(pod.namespace, pod.name)] = nil
        runtime.removePlace(of: pod)
        if !isStopping { _ = client.delete(.pods, KubeKey(pod.namespace, pod.name), gracePeriodSeconds: 0) { _ in } }
        finishIfStopped()
    }

    /// Asks for a token that the identity service accepts; nil: the API server gave none.
    public func token(for account: String, in namespace: String, _ answer: @escaping (String?) -> Void) {
        let body = Value.object([
            "apiVersion": .string("authentication.k8s.io/v1"), "kind": .string("TokenRequest"),
            "spec": .object(["audiences": .array([.string("identity.l5d.io")]), "expirationSeconds": .int(86_400)]),
        ])
        let path = KubeResource.serviceAccounts.path(namespace: namespace, name: account, subresource: "token")
        _ = client.object(KubeRequest(.post, path, query: [], body: body)) { [host] result in
            switch result {
            case .success(let object): answer(object.value.text("status", "token"))
            case .failure(let error):
                host.log(.error, "weft::agent", "no token for \(namespace)/\(account): \(error)")
                answer(nil)
            }
        }
    }

    /// Tells the API server how the pod is. One word at a time: of two on their way at once, the older might be heard last.
    func report(_ pod: AgentPod) {
        if pod.isReporting {
            pod.isReportDue = true
            return
        }
        pod.isReporting = true
        var status = Value.object(["phase": .string(pod.phase), "hostIP": .string("\(nodeAddress)")])
        if let ip = pod.address {
            status.put(.string("\(ip)"), at: "podIP")
            status.put(.array([.object(["ip": .string("\(ip)")])]), at: "podIPs")
        }
        let isReady = Value.string(pod.isReady ? "True" : "False")
        status.put(.array(["Initialized", "Ready", "ContainersReady", "PodScheduled"].map { .object(["type": .string($0), "status": $0.hasSuffix("Ready") ? isReady : .string("True")]) }), at: "conditions")
        _ = client.patch(.pods, KubeKey(pod.namespace, pod.name), .merge(.object(["status": status])), subresource: "status") { [self] result in
            if case .failure(let error) = result, !error.isNotFound { host.log(.warn, "weft::agent", "status of \(pod.namespace)/\(pod.name): \(error)") }
            pod.isReporting = false
            if pod.isReportDue {
                pod.isReportDue = false
                report(pod)
            }
        }
    }

    // MARK: Services

    private func touched(_ service: KubeKey) {
        dirty.append(service)
        publishSoon()
    }

    /// What one turn brought is published together.
    private func publishSoon() {
        guard isReady, publishTimer == nil, !isStopping else { return }
        publishTimer = host.after(.zero) { [self] in
            publishTimer = nil
            publish()
        }
    }

    private func publish() {
        var isChanged = false
        for key in dirty {
            let now = serviceInformer[key].flatMap { published(as: $0) }
            if published[key] == now { continue }
            published[key] = now
            isChanged = true
        }
        dirty = []
        if isChanged { runtime.publish(published.keys.sorted().compactMap { published[$0] }) }  // order: by name
    }

    private func published(as object: KubeObject) -> PublishedService? {
        let service = Service(object)
        guard !service.isExternalName else { return nil }
        let slices = sliceInformer.objects(by: Self.serviceIndex, "\(object.namespace)/\(object.name)").map { EndpointSlice($0) }
        let name = "\(object.name).\(object.namespace).svc"
        if service.isHeadless {
            var named: [(name: String, port: UInt16)] = []
            for port in slices.flatMap(\.ports) { if let number = port.port, !named.contains(where: { $0.port == number }) { named.append((port.name, number)) } }
            let addresses = slices.flatMap { $0.endpoints.filter { $0.isReady ?? true }.flatMap(\.addresses) }
            return PublishedService(name: name, addresses: addresses, isHeadless: true, portNames: named, ports: [])
        }
        let ports = service.ports.filter { $0.transport == "TCP" }.flatMap { port in
            let backends = slices.flatMap { slice in
                slice.ports.filter { $0.name == port.name }.compactMap(\.port).flatMap { number in slice.endpoints.filter { $0.isReady ?? true }.flatMap(\.addresses).map { SocketAddress($0, number) } }
            }
            return service.clusterIPs.map { (address: SocketAddress($0, port.port), backends: backends) }
        }
        let named = service.ports.filter { $0.transport == "TCP" }.map { (name: $0.name, port: $0.port) }
        return PublishedService(name: name, addresses: service.clusterIPs, isHeadless: false, portNames: named, ports: ports)
    }
}
