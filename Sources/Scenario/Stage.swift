// A world with a cluster in it: API server, identity, destination and policy controllers, a name server, and a node agent that runs
// pods from ordinary manifests. Everything that is not the world itself is the code that ships.

import APIServer
import Base
import ControlPlane
import DNS
import Documents
import HTTP
import Kube
import Manifests
import Platform
import Simulator
import TLS
import Transport

public final class Stage {
    public let world: World
    /// What the story said as it went.
    public private(set) var narrative: [String] = []
    public private(set) var cluster: StageCluster?
    private var callers: [Caller] = []

    init(_ world: World) { self.world = world }

    /// A line of the story, with its virtual time.
    public func say(_ text: String) {
        world.note(text)
        narrative.append("\(padded(world.now)) \(text)")
    }

    /// Time passes until the condition holds. Throws when it does not within `limit`.
    public func wait(_ what: String, within limit: Interval = .seconds(60), until condition: () -> Bool) throws(StoryFailure) {
        if !world.run(until: condition, limit: limit, awaiting: what) { throw StoryFailure("after \(limit) still no \(what)") }
    }

    /// What the story promises must hold now.
    public func check(_ condition: Bool, _ promise: String) throws(StoryFailure) {
        if !condition { throw StoryFailure("the promise is broken: \(promise)") }
    }

    /// A cluster with a control plane that is up and serving. Manifests are applied in order.
    @discardableResult
    public func deploy(_ manifests: String..., configure: (inout StageOptions) -> Void = { _ in }) throws(StoryFailure) -> StageCluster {
        var options = StageOptions()
        configure(&options)
        let cluster = try StageCluster(stage: self, options: options)
        self.cluster = cluster
        try cluster.start()
        for manifest in manifests { try cluster.apply(manifest) }
        return cluster
    }

    /// A mesh whose control plane says what the story says.
    public func mesh(_ configure: (ScriptedMesh) -> Void = { _ in }) throws(StoryFailure) -> ScriptedMesh {
        let mesh = try ScriptedMesh(stage: self)
        configure(mesh)
        return mesh
    }

    /// Calls over HTTP and waits for the answer.
    public func call(
        _ caller: Caller, _ authority: String, _ path: String = "/", method: HTTPMethod = .get, version: HTTPVersion = .http11, headers: [(String, String)] = [], body: [UInt8] = [],
        timeout: Interval = .seconds(30)
    ) throws(StoryFailure) -> CallResult {
        var result: CallResult?
        caller.call(authority, path, method: method, version: version, headers: headers, body: body, timeout: timeout) { result = $0 }
        try wait("answer to \(method) \(authority)\(path)", within: timeout + .seconds(10)) { result != nil }
        return result!
    }

    /// Says bytes, half-closes, and waits for all that comes back.
    public func converse(_ caller: Caller, _ host: String, _ port: UInt16, say bytes: [UInt8], timeout: Interval = .seconds(30)) throws(StoryFailure) -> (heard: [UInt8], failure: String?) {
        var result: ([UInt8], String?)?
        caller.converse(host, port, say: bytes, timeout: timeout) { result = ($0, $1) }
        try wait("end of the conversation with \(host):\(port)", within: timeout + .seconds(10)) { result != nil }
        return result!
    }

    /// Asks everything to stop, applications first, and lets it.
    func end() {
        let agents = world.processes.filter { $0.node.name == "node-1" || $0.node.name == "kube-apiserver" }
        let controllers = world.processes.filter { $0.node.name.hasPrefix("linkerd-") }
        let proxies = world.processes.filter { $0.name == "linkerd-proxy" }
        let applications = world.processes.filter { process in !(agents + controllers + proxies).contains { $0 === process } }
        for group in [applications, proxies, agents.filter { $0.name == "agent" }, controllers, agents.filter { $0.name != "agent" }] {
            for process in group { process.stop() }
            _ = world.run(until: { group.allSatisfy { !$0.isRunning } || group.allSatisfy { $0.name == "dns" } }, limit: .minutes(3), awaiting: "the end of the processes")
        }
        world.run(for: .seconds(10))
    }

    private func padded(_ time: Instant) -> String {
        let text = "\(time - .zero)"
        return String(repeating: " ", count: max(0, 10 - text.utf8.count)) + text
    }
}

public struct StageOptions {
    /// Life of the trust root and the issuer.
    public var anchorLifetime = Interval.days(365)
    public var issuerLifetime = Interval.days(30)
    /// Life of the proxies' certificates.
    public var leafLifetime = Interval.hours(24)
    /// The API server keeps its objects on a volume, so that it can be killed and started again.
    public var keepsObjects = false
    /// Injected into the pods that ask for it, besides the defaults.
    public var injection: (inout InjectionValues) -> Void = { _ in }
    public init() {}
}
