// One pod on its way from object to processes and back: place, token, init container, proxy, readiness, applications; at the end
// the applications first and the proxy last, as a native sidecar is stopped. A pod whose applications end by themselves, as a Job's do,
// is over when its sidecars have been stopped, too, and stands as Succeeded or Failed until it is deleted. Deliberately absent:
// containers that are started again.

import Base
import Documents
import HTTP
import Kube
import OrderedCollections
import Platform
import Transport

public final class AgentPod {
    public enum Stage: Hashable, Sendable { case preparing, initializing, starting, running, completing, completed, terminating, ended }

    public let namespace: String
    public let name: String
    /// As the API server had it when the pod came, with address and node filled in.
    public private(set) var object: KubeObject
    public private(set) var stage = Stage.preparing
    public private(set) var address: IPAddress?
    /// The containers that stay, in the order of the spec.
    public private(set) var containers: [PodContainer] = []
    /// Names of containers that run now.
    public private(set) var running: [String] = []
    /// A container that was no sidecar ended with another status than 0.
    private var hasFailed = false
    /// Why it does not run, for people.
    public private(set) var problem: String?
    /// Its state is on its way to the API server, and has changed since.
    var isReporting = false
    var isReportDue = false
    private unowned let agent: NodeAgent
    private var probe: ReadinessProbe?
    private var graceTimer: TimerID?

    /// Source: Kubernetes' default terminationGracePeriodSeconds.
    private static let gracePeriod = Interval.seconds(30)

    init(_ object: KubeObject, agent: NodeAgent) {
        self.object = object
        self.agent = agent
        namespace = object.namespace
        name = object.name
    }

    public var isReady: Bool { stage == .running }
    public var isMeshed: Bool { containers.contains(where: \.isProxy) }
    var phase: String {
        switch stage {
        case .ended, .completed: hasFailed ? "Failed" : "Succeeded"
        case .running, .completing, .terminating: "Running"
        case .preparing, .initializing, .starting: problem != nil && !isRestarted ? "Failed" : "Pending"
        }
    }
    /// Kubernetes starts its containers again, whatever they end with.
    private var isRestarted: Bool { object.value.text("spec", "restartPolicy") ?? "Always" == "Always" }
    private var runtime: any PodRuntime { agent.runtime }

    func begin() {
        do throws(Refusal) {
            let ip = try runtime.makePlace(for: self)
            address = ip
            object.value.put(.string("\(ip)"), at: "status", "podIP")
            object.value.put(.array([.object(["ip": .string("\(ip)")])]), at: "status", "podIPs")
            object.value.put(.string("\(agent.nodeAddress)"), at: "status", "hostIP")
            object.value.put(.string(agent.nodeName), at: "spec", "nodeName")
        } catch { return fail(error.reason) }
        agent.token(for: object.value.text("spec", "serviceAccountName") ?? "default", in: namespace) { [self] token in
            guard stage == .preparing else { return }
            guard let token else { return fail("no token for its service account") }
            do throws(Refusal) {
                try runtime.put("/var/run/secrets/tokens/linkerd-identity-token", Array(token.utf8), mode: 0o444, in: self)
            } catch { return fail(error.reason) }
            stage = .initializing
            initialize(object.value.items("spec", "initContainers").map { PodContainer($0, of: object) }[...])
        }
    }

    /// Init containers in order; one with `restartPolicy: Always` is a sidecar and stays.
    private func initialize(_ rest: ArraySlice<PodContainer>) {
        guard stage == .initializing else { return }
        guard let container = rest.first else {
            containers += object.value.items("spec", "containers").map { PodContainer($0, of: object) }
            return startProxy()
        }
        let rest = rest.dropFirst()
        if container.isProxy {
            containers.append(container)
            return initialize(rest)
        }
        runtime.runToEnd(container, in: self) { [self] status in
            if status == 0 { initialize(rest) } else { fail("init container \(container.name) ended with status \(status)") }
        }
    }

    private func startProxy() {
        stage = .starting
        guard let proxy = containers.first(where: \.isProxy), let address else { return startApplications() }
        guard start(proxy) else { return }
        probe = ReadinessProbe(host: agent.host, batch: agent.batch, address: SocketAddress(address, 4191), path: "/ready") { [self] in
            probe = nil
            startApplications()
        }
    }

    private func startApplications() {
        guard stage == .starting else { return }
        for container in containers where !container.isProxy {
            guard start(container) else { return }
        }
        stage = .running
        agent.report(self)
    }

    private func start(_ container: PodContainer) -> Bool {
        do throws(Refusal) {
            try runtime.start(container, in: self) { [self] status in ended(container, status) }
            running.append(container.name)
            return true
        } catch {
            fail("container \(container.name): \(error.reason)")
            return false
        }
    }

    private func ended(_ container: PodContainer, _ status: Int32) {
        running.removeAll { $0 == container.name }
        if stage == .terminating || stage == .completing { return goOn() }
        if stage == .running, !isRestarted, !container.isSidecar {
            if status != 0 { hasFailed = true }
            if containers.allSatisfy({ $0.isSidecar || !running.contains($0.name) }) { complete() }
            return
        }
        agent.host.log(.warn, "weft::agent", "\(namespace)/\(name): container \(container.name) ended with status \(status)")
    }

    /// All that was to be done is done: the sidecars may go.
    private func complete() {
        stage = .completing
        for container in containers where running.contains(container.name) && !container.isProxy { runtime.stop(container, in: self, byForce: false) }
        agent.report(self)
        goOn()
    }

    private func fail(_ reason: String) {
        problem = reason
        agent.host.log(.error, "weft::agent", "\(namespace)/\(name) cannot run: \(reason)")
        agent.report(self)
    }

    // MARK: The end

    func terminate() {
        guard stage != .terminating, stage != .ended else { return }
        if stage == .completed { return end() }
        stage = .terminating
        probe?.stop()
        probe = nil
        graceTimer = agent.host.after(Self.gracePeriod) { [self] in
            graceTimer = nil
            for container in containers where running.contains(container.name) { runtime.stop(container, in: self, byForce: true) }
        }
        for container in containers where !container.isProxy && running.contains(container.name) { runtime.stop(container, in: self, byForce: false) }
        goOn()
    }

    private func goOn() {
        let proxy = containers.first(where: \.isProxy)
        if running.isEmpty, stage == .completing {
            stage = .completed
            agent.report(self)
        } else if running.isEmpty {
            end()
        } else if let proxy, running == [proxy.name], !isProxyAsked {
            isProxyAsked = true
            runtime.stop(proxy, in: self, byForce: false)
        }
    }
    private var isProxyAsked = false

    private func end() {
        stage = .ended
        if let graceTimer { agent.host.cancel(graceTimer) }
        graceTimer = nil
        // In a turn of its own: whoever ended us may still look at us.
        agent.host.after(.zero) { [self] in agent.ended(self) }
    }
}

/// Asks for a path until it is answered with 200.
private final class ReadinessProbe: HTTPStreamHandler {
    private let host: any Host
    private let client: HTTPClient
    private let path: String
    private var ready: (() -> Void)?
    private var timer: TimerID?

    init(host: any Host, batch: FlushBatch, address: SocketAddress, path: String, ready: @escaping () -> Void) {
        self.host = host
        self.path = path
        self.ready = ready
        client = HTTPClient(version: .http11, connector: TCPConnector(host: host, address: address, options: ConnectOptions(timeout: .seconds(1))), batch: batch)
        ask(after: .milliseconds(20))
    }

    func stop() {
        if let timer { host.cancel(timer) }
        timer = nil
        ready = nil
        client.close()
    }

    private func ask(after delay: Interval) {
        guard ready != nil, timer == nil else { return }
        timer = host.after(delay) { [self] in
            timer = nil
            let head = RequestHead(method: .get, authority: "probe", path: HTTPText(path))
            do throws(Refusal) { _ = try client.send(head, endStream: true, handler: self) } catch { ask(after: .seconds(1)) }
        }
    }

    func response(_ stream: HTTPStream, _ head: ResponseHead, endStream: Bool) {
        if head.status == 200, let ready {
            self.ready = nil
            host.after(.zero) { [self] in client.close() }
            ready()
        } else {
            ask(after: .milliseconds(100))
        }
    }

    func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) { stream.acknowledge(bytes.byteCount) }
    func trailers(_ stream: HTTPStream, _ trailers: Headers) {}
    func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) { ask(after: .milliseconds(100)) }
}
