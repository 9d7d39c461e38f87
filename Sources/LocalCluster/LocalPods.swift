// Pods as network namespaces: the Linux runtime of the shipping node agent. Each pod has a /run of its own, in which its token, its
// proxy's keys and its logs live, and sees the cluster's name server in /etc/resolv.conf. Deliberately absent: images, other mounts,
// resource limits, and service addresses for pods without a proxy (kube-proxy).

import Base
import CLinux
import DNS
import Glibc
import Kube
import Linux
import Nodes
import Platform

/// A pod and its place.
public final class LocalPod {
    public let pod: AgentPod
    public let place: PodNamespace
    /// What the pod sees as /run.
    let run: String
    let resolver: String
    fileprivate var programs: [(container: String, child: ChildProcess)] = []

    init(_ pod: AgentPod, place: PodNamespace, directory: String) {
        self.pod = pod
        self.place = place
        run = "\(directory)/run"
        resolver = "\(directory)/resolv.conf"
    }

    public var name: String { pod.name }

    /// Makes a program one of the pod's: its network, its files, its names.
    func adopt(_ program: ChildProgram) -> ChildProgram {
        var program = program
        // /run last: it hides where the others come from.
        program.binds = [(resolver, "/etc/resolv.conf"), (run, "/run")]
        return program
    }
}

final class LocalPods: PodRuntime {
    private(set) var pods: [LocalPod] = []
    private let host: LinuxHost
    private let network: PodNetwork
    private let programs: WeftPrograms
    private let names: ClusterNames

    init(host: LinuxHost, network: PodNetwork, programs: WeftPrograms, names: ClusterNames) {
        self.host = host
        self.network = network
        self.programs = programs
        self.names = names
    }

    func find(_ pod: AgentPod) -> LocalPod? { pods.first { $0.pod === pod } }

    func makePlace(for pod: AgentPod) throws(Refusal) -> IPAddress {
        do throws(HostFailure) {
            let directory = "\(network.directory)/pods/\(pod.namespace)-\(pod.name)"
            let local = LocalPod(pod, place: try network.addPod(pod.name), directory: directory)
            for (folder, mode) in [("", 0o755), ("lock", 0o1777), ("nginx", 0o755), ("logs", 0o755), ("secrets/tokens", 0o755)] as [(String, UInt32)] {
                try Folders.make("\(local.run)/\(folder)", mode: mode)
            }
            // An emptyDir is everybody's.
            try Folders.make("\(local.run)/linkerd/identity/end-entity", mode: 0o777)
            let search = ["\(pod.namespace).svc.cluster.local", "svc.cluster.local", "cluster.local"].joined(separator: " ")
            try host.files.write(local.resolver, Array("search \(search)\nnameserver \(network.hub.address)\noptions ndots:5 timeout:2\n".utf8), mode: 0o644)
            pods.append(local)
            return local.place.address
        } catch { throw Refusal("\(error)") }
    }

    func put(_ path: String, _ bytes: [UInt8], mode: UInt32, in pod: AgentPod) throws(Refusal) {
        guard let local = find(pod) else { throw Refusal("the pod has no place") }
        guard let prefix = ["/var/run/", "/run/"].first(where: { path.hasPrefix($0) }) else { throw Refusal("\(path) is not below /run") }
        do throws(HostFailure) { try host.files.write("\(local.run)/\(path.dropFirst(prefix.count))", bytes, mode: mode) } catch { throw Refusal("\(error)") }
    }

    func runToEnd(_ container: PodContainer, in pod: AgentPod, done: @escaping (Int32) -> Void) {
        do throws(Refusal) {
            try launch(container, in: pod, ended: done)
        } catch {
            host.log(.error, "weft::local", "\(container.name): \(error)")
            host.after(.zero) { done(127) }
        }
    }

    func start(_ container: PodContainer, in pod: AgentPod, ended: @escaping (Int32) -> Void) throws(Refusal) { try launch(container, in: pod, ended: ended) }

    private func launch(_ container: PodContainer, in pod: AgentPod, ended: @escaping (Int32) -> Void) throws(Refusal) {
        guard let local = find(pod) else { throw Refusal("the pod has no place") }
        var program = try program(of: container, in: local)
        do throws(HostFailure) {
            let path = "\(local.run)/logs/\(container.name).log"
            let log = clinux_open_append(path)
            guard log >= 0 else { throw HostFailure("open", errno: -log, subject: path) }
            defer { _ = clinux_close(log) }
            program.output = log
            program.error = log
            let child = try local.place.start(local.adopt(program))
            local.programs.append((container.name, child))
            try host.watch(child) { [local] status in
                local.programs.removeAll { $0.child === child }
                ended(status)
            }
        } catch { throw Refusal("\(error)") }
    }

    private func program(of container: PodContainer, in local: LocalPod) throws(Refusal) -> ChildProgram {
        if container.isInitializer {
            // As root: what the container's NET_ADMIN is for a user with file capabilities.
            return ChildProgram(path: programs.initializer, arguments: container.arguments, environment: [("PATH", ChildProcess.systemPath)])
        }
        if container.isValidator {
            return ChildProgram(path: programs.initializer, arguments: ["network-validator"] + container.arguments, environment: container.environment, user: container.userID, group: container.userID)
        }
        if container.isProxy {
            // What it knows, it knows from the container's environment.
            let user = container.userID ?? 2102
            return ChildProgram(path: programs.proxy, arguments: container.arguments, environment: container.environment, user: user, group: user)
        }
        return try Images.program(container) { (path, text) throws(Refusal) in
            do throws(HostFailure) { try host.files.write("\(local.run)/\(path)", Array(text.utf8), mode: 0o644) } catch { throw Refusal("\(error)") }
        }
    }

    func stop(_ container: PodContainer, in pod: AgentPod, byForce: Bool) {
        for (name, child) in find(pod)?.programs ?? [] where name == container.name { child.signal(byForce ? SIGKILL : SIGTERM, wholeGroup: true) }
    }

    func removePlace(of pod: AgentPod) {
        guard let local = find(pod) else { return }
        pods.removeAll { $0 === local }
        network.removePod(local.place)
    }

    func publish(_ services: [PublishedService]) { names.publish(services) }
}
