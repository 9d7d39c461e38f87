// One cluster for every test that needs proxies: namespaces, the controllers and proxies that ship, and in its pods the programs of
// others that judge us. It lives on a thread of its own, because a loop belongs to one thread and what it starts ends with that
// thread; tests that stand on it are isolated to `Mesh`, whose executor is that thread. Needs root.

import Base
import CDeterminism
import CLinux
import Foundation
import Linux
import Platform
import Simulations
import Synchronization
import Testing

@testable import LocalCluster

@globalActor actor Mesh {
    static let shared = Mesh()
    private static let thread = MeshThread()
    nonisolated var unownedExecutor: UnownedSerialExecutor { Self.thread.asUnownedSerialExecutor() }
}

/// Runs jobs in the order they came, and the loop between them, so that name server, API server and node agent go on.
private final class MeshThread: SerialExecutor {
    private struct State: ~Copyable {
        var jobs: [UnownedJob] = []
        var isStopping = false
    }

    private let state = Mutex(State())
    private let mailbox = Mutex<LinuxMailbox?>(nil)
    private let work = DispatchSemaphore(value: 0)
    private let end = DispatchSemaphore(value: 0)

    init() {
        let thread = Thread { [self] in serve() }
        thread.name = "mesh"
        thread.stackSize = 8 << 20
        thread.start()
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        state.withLock { $0.jobs.append(job) }
        work.signal()
        // A loop that waits hears of it now.
        mailbox.withLock { try? $0?.post {} }
    }

    private func next() -> UnownedJob? { state.withLock { $0.jobs.isEmpty ? nil : $0.jobs.removeFirst() } }

    private func serve() {
        bindRandomness()
        while true {
            if state.withLock({ $0.isStopping }) { break }
            if let job = next() {
                job.runSynchronously(on: asUnownedSerialExecutor())
                if let host = MeshPeers.started?.host, mailbox.withLock({ $0 == nil }) { mailbox.withLock { $0 = host.mailbox } }
            } else if let host = MeshPeers.started?.host {
                host.turn(waitingAtMost: .seconds(1))
            } else {
                work.wait()
            }
        }
        MeshPeers.started?.cluster.stop()
        end.signal()
    }

    /// Takes the cluster down; called when the process ends.
    func stop() {
        state.withLock { $0.isStopping = true }
        work.signal()
        mailbox.withLock { try? $0?.post {} }
        _ = end.wait(timeout: .now() + 15)
    }

    static let stopsAtExit: Void = {
        atexit { Mesh.stop() }
    }()
}

extension Mesh {
    fileprivate static func stop() { thread.stop() }
    fileprivate static func stopAtExit() { MeshThread.stopsAtExit }
}

/// Other tests of the process may have replaced OpenSSL's chance (CDeterminism): then it is drawn from here on this thread.
func bindRandomness() {
    var seed: UInt64 = 0
    _ = clinux_random(&seed, 8)
    let stream = UnsafeMutablePointer<Random>.allocate(capacity: 1)
    stream.initialize(to: Random(seed: seed))
    weft_rand_bind({ context, bytes, count in context!.assumingMemoryBound(to: Random.self).pointee.fill(UnsafeMutableRawBufferPointer(start: bytes, count: count)) }, stream)
}

/// The cluster with its pods: `near` and `far` have proxies, `future` one with a newer OpenSSL, `bare` none.
final class MeshPeers {
    let cluster: MachineCluster
    private(set) var near: LocalPod!
    private(set) var far: LocalPod!
    private(set) var bare: LocalPod!
    private(set) var future: LocalPod!
    var host: LinuxHost { cluster.host }

    /// On the mesh's thread only.
    nonisolated(unsafe) fileprivate static var started: MeshPeers?
    nonisolated(unsafe) private static var failure: (any Error)?

    /// The cluster, started by whoever asks first.
    @Mesh static func shared() throws -> MeshPeers {
        if let failure { throw failure }
        if let started { return started }
        do {
            try #require(clinux_user_id() == 0, "network namespaces need root")
            let host = try LinuxHost(settings: Settings(), log: Log(control: .init(level: .error)) { print("\($0) \($1): \($2)") }, takesSignals: false)
            let peers = MeshPeers(MachineCluster(host: host, programs: try programs()) { _ in })
            started = peers
            Mesh.stopAtExit()
            try peers.start()
            return peers
        } catch {
            failure = error
            throw error
        }
    }

    private init(_ cluster: MachineCluster) { self.cluster = cluster }

    /// Those of this build, with a door before the proxy that gives the one of `future` another OpenSSL.
    private static func programs() throws -> WeftPrograms {
        var programs = try WeftPrograms(directory: Programs.built)
        let door = FileManager.default.temporaryDirectory.appendingPathComponent("weft-proxy-\(getpid())").path
        let text = """
            #!/bin/sh
            case "$LINKERD2_PROXY_IDENTITY_LOCAL_NAME" in future.*) export LD_LIBRARY_PATH='\(Programs.newerLibrary)' ;; esac
            exec '\(programs.proxy)' "$@"
            """
        // A shell writes it: had this process it open while another thread forks, nobody could run it ("text file busy").
        let made = try ChildProcess.run(try Programs.program("sh", ["-c", "cat >\"$0\" && chmod 755 \"$0\"", door]), input: text)
        try #require(made.status == 0, "\(made.error)")
        programs.proxy = door
        return programs
    }

    private func start() throws {
        try cluster.start()
        try cluster.apply(Self.manifest)
        near = try cluster.ready("near")
        far = try cluster.ready("far")
        bare = try cluster.ready("bare")
        future = try cluster.ready("future")
    }

    /// Ports of the services `far` and `bare`: what speaks there, and on which port of the pod.
    enum Port: UInt16 {
        /// `origin.py`, HTTP/1.
        case origin = 8001
        /// nginx.
        case nginx = 8002
        /// nghttpd, HTTP/2 in the clear.
        case http2 = 8003
        /// `interop.py`, gRPC.
        case grpc = 8004
        /// `sockets.py`, WebSocket.
        case socket = 8005
        /// `collector.py`, OpenTelemetry.
        case collector = 4317
        /// `openssl s_server`, TLS of the application's own.
        case tls = 8443
        /// dnsmasq with some records, and as the authority of a zone; `names.py`. Not of the services.
        case names = 5301
        case zone = 5302
        case odd = 5401
        /// socat, marked opaque.
        case opaque = 9000
    }

    private static var manifest: String {
        let ports: [(Port, String)] = [(.origin, ""), (.nginx, ""), (.http2, ", appProtocol: kubernetes.io/h2c"), (.grpc, ", appProtocol: kubernetes.io/h2c"), (.socket, ""), (.tls, ""), (.opaque, "")]
        var text = """
            apiVersion: v1
            kind: Namespace
            metadata: {name: peers, annotations: {linkerd.io/inject: enabled}}

            """
        for name in ["near", "far", "bare", "future"] {
            let watcher = "near.peers.serviceaccount.identity.linkerd.cluster.local"
            let collector = "[{\"name\": \"LINKERD2_PROXY_TRACE_COLLECTOR_SVC_ADDR\", \"value\": \"127.0.0.1:\(Port.collector.rawValue)\"}, {\"name\": \"LINKERD2_PROXY_TAP_SVC_NAME\", \"value\": \"\(watcher)\"}]"
            let annotations =
                (name == "bare" ? ["linkerd.io/inject: disabled"] : []) + ["config.linkerd.io/opaque-ports: \"9000\"", "config.linkerd.io/access-log: json", "config.linkerd.io/proxy-additional-env: '\(collector)'"]
            text += """
                ---
                {apiVersion: v1, kind: ServiceAccount, metadata: {name: \(name), namespace: peers}}
                ---
                apiVersion: v1
                kind: Service
                metadata: {name: \(name), namespace: peers, annotations: {config.linkerd.io/opaque-ports: "9000"}}
                spec: {selector: {app: \(name)}, ports: [\(ports.map { "{name: \($0.0), port: \($0.0.rawValue)\($0.1)}" }.joined(separator: ", "))]}
                ---
                apiVersion: v1
                kind: Pod
                metadata: {name: \(name), namespace: peers, labels: {app: \(name)}, annotations: {\(annotations.joined(separator: ", "))}}
                spec:
                  serviceAccountName: \(name)
                  containers: [{name: peers, image: curl, ports: [\(ports.map { "{containerPort: \($0.0.rawValue)}" }.joined(separator: ", "))]}]

                """
        }
        return text
    }

    /// As others call it.
    func url(_ pod: LocalPod, _ port: Port, _ path: String = "/") -> String { "http://\(authority(pod, port))\(path)" }

    /// The service's name where a proxy answers for its address, else the pod's own address.
    func authority(_ pod: LocalPod, _ port: Port, direct: Bool = false) -> String { direct ? "\(pod.place.address):\(port.rawValue)" : "\(pod.name).peers.svc.cluster.local:\(port.rawValue)" }

    // MARK: Programs

    /// Runs an installed program in a pod to its end.
    func run(_ name: String, _ arguments: [String], in pod: LocalPod, input: String? = nil) throws -> MachineCluster.ProgramResult {
        try cluster.run(try Programs.program(name, arguments), in: pod, input: input)
    }

    /// Programs that go on until the mesh ends, by pod and port.
    private var running: [String: ChildProcess] = [:]

    /// Starts a server in a pod, once, and waits until its port takes connections.
    func serve(_ port: Port, in pod: LocalPod, _ name: String, _ arguments: [String]) throws {
        let key = "\(pod.name) \(port)"
        if let child = running[key], child.status == nil { return }
        var program = try Programs.program(name, arguments)
        let path = "\(pod.run)/logs/\(port).log"
        let log = clinux_open_append(path)
        defer { _ = clinux_close(log) }
        program.output = log
        program.error = log
        let child = try pod.place.start(pod.adopt(program))
        running[key] = child
        do { try cluster.listening(pod, port: port.rawValue) } catch {
            throw LocalFailure("\(error); \(name) said: \(said(port, in: pod))")
        }
    }

    /// Starts a program in a pod that writes to a file.
    func start(_ program: ChildProgram, in pod: LocalPod, log path: String) throws -> ChildProcess {
        var program = program
        let log = clinux_open_append(path)
        defer { _ = clinux_close(log) }
        program.output = log
        program.error = log
        return try pod.place.start(pod.adopt(program))
    }

    func isServing(_ port: Port, in pod: LocalPod) -> Bool { running["\(pod.name) \(port)"].map { $0.status == nil } ?? false }

    func said(_ port: Port, in pod: LocalPod) -> String { (try? host.files.read("\(pod.run)/logs/\(port).log")).map { String(decoding: $0, as: UTF8.self) } ?? "" }

    /// Ends a server that `serve` started.
    func end(_ port: Port, in pod: LocalPod) {
        guard let child = running.removeValue(forKey: "\(pod.name) \(port)") else { return }
        child.signal(SIGTERM, wholeGroup: true)
        if !host.run(atMost: .seconds(3), until: { child.status != nil }) { child.signal(SIGKILL, wholeGroup: true) }
        _ = child.wait()
    }

    /// Writes a file that the pod's programs see below /run.
    func put(_ path: String, _ bytes: [UInt8], in pod: LocalPod) throws { try host.files.write("\(pod.run)/\(path)", bytes, mode: 0o644) }

    /// The proxies' counts, for what must have gone through them.
    func metrics(of pod: LocalPod) throws -> ProxyMetrics { ProxyMetrics(try cluster.metrics(of: pod)) }
}
