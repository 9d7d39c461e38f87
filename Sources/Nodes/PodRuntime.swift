// What a node agent asks of the world that its pods run in: a place with an address, and processes in it. The simulator answers
// with nodes and simulated processes, a Linux machine with network namespaces and real ones.

import Base
import Documents
import Kube
import Manifests

/// One container of a pod that is to run, its environment worked out.
public struct PodContainer: Sendable {
    public var name: String
    public var image: String
    public var command: [String]
    public var arguments: [String]
    public var environment: [(name: String, value: String)]
    /// nil: the image's own.
    public var userID: UInt32?
    /// An init container that stays while the others run, and is stopped after them.
    public var isSidecar: Bool

    public static let proxyName = "linkerd-proxy"
    public var isProxy: Bool { name == Self.proxyName }
    /// Sets up the redirection and ends.
    public var isInitializer: Bool { name == "linkerd-init" }
    /// Shows that a CNI plugin has set it up, and ends.
    public var isValidator: Bool { name == "linkerd-network-validator" }

    init(_ container: Value, of pod: KubeObject) {
        name = container.text("name") ?? ""
        image = container.text("image") ?? ""
        command = container.items("command").compactMap { $0.text() }
        arguments = container.items("args").compactMap { $0.text() }
        environment = PodEnvironment.variables(container, of: pod)
        isSidecar = container.text("restartPolicy") == "Always"
        userID = container.number("securityContext", "runAsUser").flatMap { UInt32(exactly: $0) }
    }
}

public protocol PodRuntime: AnyObject {
    /// Makes a place for the pod and says its address.
    func makePlace(for pod: AgentPod) throws(Refusal) -> IPAddress
    /// Puts a file where the pod's containers find it.
    func put(_ path: String, _ bytes: [UInt8], mode: UInt32, in pod: AgentPod) throws(Refusal)
    /// Runs an init container; `done` hears its status, 0 for success.
    func runToEnd(_ container: PodContainer, in pod: AgentPod, done: @escaping (Int32) -> Void)
    /// Starts a container; `ended` hears when it is over, however that came.
    func start(_ container: PodContainer, in pod: AgentPod, ended: @escaping (Int32) -> Void) throws(Refusal)
    /// Asks a container to end, as SIGTERM does; by force as SIGKILL does.
    func stop(_ container: PodContainer, in pod: AgentPod, byForce: Bool)
    /// Takes the place away; everything in it has ended.
    func removePlace(of pod: AgentPod)
    /// Names and addresses of services, whole, whenever they change; and where a service's address leads for those without a proxy.
    func publish(_ services: [PublishedService])
}

/// A service as cluster DNS and kube-proxy see it.
public struct PublishedService: Equatable, Sendable {
    /// `api.demo.svc` without the cluster domain.
    public var name: String
    /// Its own addresses, or of a headless service those of its ready endpoints.
    public var addresses: [IPAddress]
    public var isHeadless: Bool
    /// Its ports for SRV records, of a headless service those of its endpoints; an unnamed port's name is empty.
    public var portNames: [(name: String, port: UInt16)]
    /// Where each of its own addresses leads; empty for a headless service.
    public var ports: [(address: SocketAddress, backends: [SocketAddress])]

    public init(name: String, addresses: [IPAddress], isHeadless: Bool, portNames: [(name: String, port: UInt16)], ports: [(address: SocketAddress, backends: [SocketAddress])]) {
        self.name = name
        self.addresses = addresses
        self.isHeadless = isHeadless
        self.portNames = portNames
        self.ports = ports
    }

    public static func == (a: PublishedService, b: PublishedService) -> Bool {
        a.name == b.name && a.addresses == b.addresses && a.isHeadless == b.isHeadless && a.portNames.elementsEqual(b.portNames) { $0 == $1 }
            && a.ports.elementsEqual(b.ports) { $0.address == $1.address && $0.backends == $1.backends }
    }
}
