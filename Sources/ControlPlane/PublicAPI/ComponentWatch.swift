// The control plane's own parts: found by the labels and ports that Linkerd's chart gives their pods, and asked on their admin ports
// when somebody wants to know. Source: charts/linkerd-control-plane, pkg/admin/admin.go.

import Base
import HTTP
import Kube
import OrderedCollections
import Platform
import Transport

final class ComponentWatch {
    /// One container with an admin port.
    private struct Instance {
        var component: String
        var pod: String
        var version: String
        var address: SocketAddress?
        var problem: String
    }

    private let client: KubeClient
    private let batch: FlushBatch
    private let limits: ControlPlaneLimits
    private let informer: Informer

    init(client: KubeClient, batch: FlushBatch, namespace: String, limits: ControlPlaneLimits) {
        self.client = client
        self.batch = batch
        self.limits = limits
        let parts = LabelSelector([.init("linkerd.io/control-plane-component", .exists)])
        informer = Informer(client: client, .pods, namespace: namespace, labels: parts)
    }

    func start(_ synced: @escaping () -> Void) {
        informer.onSynced(synced)
        informer.onFailure { [client, informer] error in client.host.log(.warn, "controller::watch", "\(informer.resource): \(error)") }
        informer.start()
    }

    func stop() { informer.stop() }

    /// Asks every container; `done` comes once, when all have answered or were given up.
    func ask(_ done: @escaping ([ComponentStatus]) -> Void) {
        let instances = instances().prefix(limits.componentsMax)
        var answers = instances.map { instance in
            ComponentStatus(
                component: instance.component, pod: instance.pod, address: instance.address.map { "\($0)" } ?? "", version: instance.version, isAlive: false, isReady: false,
                message: instance.problem)
        }
        var left = 1
        let finish = {
            left -= 1
            if left == 0 { done(answers) }
        }
        for (i, instance) in instances.enumerated() {
            guard let address = instance.address else { continue }
            left += 1
            AdminProbe.ask(address, batch: batch, timeout: limits.componentProbeTimeout) { answer in
                switch answer {
                case .ready: (answers[i].isAlive, answers[i].isReady) = (true, true)
                case .notReady(let said): (answers[i].isAlive, answers[i].message) = (true, "not ready: \(said)")
                case .silent(let why): answers[i].message = why
                }
                finish()
            }
        }
        finish()
    }

    /// In the order of their names.
    private func instances() -> [Instance] {
        informer.objects.flatMap { object -> [Instance] in
            let pod = Pod(object)
            return (pod.initContainers + pod.containers).compactMap { container -> Instance? in
                guard container.name != "linkerd-proxy", let port = container.ports.first(where: { $0.name.hasSuffix("admin") }) else { return nil }
                var instance = Instance(component: container.name, pod: object.name, version: object.labels["app.kubernetes.io/version"] ?? "", address: nil, problem: "")
                if object.isTerminating {
                    instance.problem = "its pod ends"
                } else if let ip = pod.podIPs.first {
                    instance.address = SocketAddress(ip, port.containerPort)
                } else {
                    instance.problem = "its pod is \(pod.phase) and has no address"
                }
                return instance
            }
        }
    }
}

/// Asks for `/ready` once.
private final class AdminProbe: HTTPStreamHandler {
    enum Answer {
        case ready
        case notReady(String)
        case silent(String)
    }

    private let client: HTTPClient
    private let host: any Host
    private var timer: TimerID?
    private var done: ((Answer) -> Void)?
    private var status: UInt16 = 0
    private var body: [UInt8] = []

    static func ask(_ address: SocketAddress, batch: FlushBatch, timeout: Interval, _ done: @escaping (Answer) -> Void) { AdminProbe(address, batch, timeout, done).start(address) }

    private init(_ address: SocketAddress, _ batch: FlushBatch, _ timeout: Interval, _ done: @escaping (Answer) -> Void) {
        host = batch.host
        self.done = done
        client = HTTPClient(version: .http11, connector: TCPConnector(host: batch.host, address: address, options: ConnectOptions(timeout: timeout)), batch: batch)
        timer = host.after(timeout) { [self] in end(.silent("\(address) does not answer")) }
    }

    private func start(_ address: SocketAddress) {
        do throws(Refusal) {
            _ = try client.send(RequestHead(method: .get, authority: HTTPText("\(address)"), path: "/ready"), endStream: true, handler: self)
        } catch { end(.silent("\(address): \(error.reason)")) }
    }

    private func end(_ answer: Answer) {
        guard let done else { return }
        self.done = nil
        if let timer { host.cancel(timer) }
        timer = nil
        // Not inside the client's own call.
        host.after(.zero) { [client] in
            client.close()
            done(answer)
        }
    }

    private func judge() { end(status == 200 ? .ready : .notReady(body.isEmpty ? "status \(status)" : String(decoding: body.prefix(200), as: UTF8.self).split(separator: "\n").joined(separator: " "))) }

    func response(_ stream: HTTPStream, _ head: ResponseHead, endStream: Bool) {
        status = head.status
        if endStream { judge() }
    }

    func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) {
        if body.count < 1024 { body += bytes.array() }
        stream.acknowledge(bytes.byteCount)
        if endStream { judge() }
    }

    func trailers(_ stream: HTTPStream, _ trailers: Headers) { judge() }
    func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) { end(.silent("the admin port does not answer: \(failure)")) }
}
