// A cluster that outlives its server: stopped, killed, and with a disk that is full.

import APIServer
import Base
import Documents
import HTTP
import Kube
import Platform
import Simulator
import TLS
import Testing
import Transport

/// A server with records in a world, and a client elsewhere.
private final class LastingCluster {
    let world: World
    let serverProcess: SimProcess
    let clientProcess: SimProcess
    private(set) var server: KubeAPIServer!
    private(set) var failures: [String] = []

    init(seed: UInt64 = 1) throws {
        var options = WorldOptions(start: WallTime(year: 2026, month: 6, day: 1, hour: 12)!)
        options.segmentation = .seeded
        world = World(seed: seed, options: options)
        let node = world.addNode("control", ip: IPAddress(10, 0, 0, 1))
        var start: (SimProcess) -> Void = { _ in }
        serverProcess = world.addProcess("apiserver", on: node, userID: 1, settings: Settings()) { start($0) }
        clientProcess = world.addProcess("client", on: world.addNode("client", ip: IPAddress(10, 0, 0, 2)), userID: 1, settings: Settings()) { _ in }
        start = { [unowned self] process in
            do {
                var options = APIServerOptions()
                options.adminToken = "admin"
                options.standInNodes = 1
                server = try KubeAPIServer(host: process, options: options, records: process.records)
                server.onStorageFailure = { [unowned self] in failures.append("\($0)") }
                try server.start(address: SocketAddress(IPAddress(10, 0, 0, 1), 6443))
                process.keep(server)
            } catch { failures.append("\(error)") }
        }
        serverProcess.start()
        clientProcess.start()
        world.run(for: .milliseconds(10))
    }

    func client() throws -> KubeClient {
        var configuration = KubeConfiguration(scheme: .http, host: "10.0.0.1", port: 6443)
        configuration.token = .fixed("admin")
        return try clientProcess.run { Result { try KubeClient(batch: FlushBatch(host: clientProcess), configuration: configuration, resolver: Resolver(host: clientProcess), userAgent: "test") } }.get()
    }

    func apply(_ yaml: String) throws {
        let documents = try YAML.parse(Array(yaml.utf8)).map(\.value)
        _ = try serverProcess.run { Result { try server.apply(documents) } }.get()
    }

    /// Everything that is there, but for what a living cluster changes by itself.
    func contents() -> [String] {
        [KubeResource.namespaces, .services, .deployments, .replicaSets, .pods, .configMaps, .serviceAccounts, .endpoints].flatMap { resource in
            server.objects(resource).map { "\(resource) \($0.key) \($0.uid) \($0.resourceVersion)" }
        }
    }

    func crash() {
        world.crash(serverProcess)
        world.run(for: .milliseconds(10))
    }

    func restart() {
        serverProcess.start()
        world.run(for: .milliseconds(10))
    }
}

@Suite struct PersistenceTests {
    @Test func `a killed server goes on where it was, down to versions, addresses and keys`() throws {
        let cluster = try LastingCluster()
        try cluster.apply(webYAML)
        cluster.world.run(for: .seconds(5))
        let before = cluster.contents()
        #expect(cluster.server.objects(.pods).filter { $0.value.text("status", "phase") == "Running" }.count == 3)
        let version = cluster.server.resourceVersion
        let token = try cluster.serverProcess.run { Result { try cluster.server.token(namespace: "default", serviceAccount: "default") } }.get()
        cluster.crash()
        cluster.restart()
        cluster.world.run(for: .seconds(5))
        #expect(cluster.contents() == before)
        #expect(cluster.server.resourceVersion == version, "nothing is written again without need")
        let review: Value = ["apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": ["token": .string(token)]]
        let client = try cluster.client()
        var answer: Value?
        cluster.clientProcess.run {
            _ = client.send(KubeRequest(.post, "/apis/authentication.k8s.io/v1/tokenreviews", query: [], body: review)) { result in
                if case .success(let response) = result { answer = try? Value(json: response.body) }
            }
        }
        #expect(cluster.world.run(until: { answer != nil }, limit: .seconds(10)))
        #expect(answer?.flag("status", "authenticated") == true)
        cluster.clientProcess.run { client.close() }
        // The controllers know what they own: a deleted pod is replaced, and takes an address that nobody has.
        let pods = cluster.server.objects(.pods)
        cluster.serverProcess.run { try? cluster.server.delete(.pods, namespace: "default", name: pods[0].name) }
        cluster.world.run(for: .seconds(5))
        let addresses = cluster.server.objects(.pods).compactMap { $0.value.text("status", "podIP") }
        #expect(addresses.count == 3 && Set(addresses).count == 3)
        let second = webYAML.replacing("name: web}", with: "name: second}").replacing("name: web, labels", with: "name: second, labels")
        try cluster.apply(second)
        let ips = cluster.server.objects(.services).compactMap { $0.value.text("spec", "clusterIP") }
        #expect(Set(ips).count == ips.count)
        #expect(cluster.failures == [])
    }

    @Test func `custom kinds are served again, and finished with when their definition went`() throws {
        let cluster = try LastingCluster()
        try cluster.apply(serverDefinition + "\n---\napiVersion: example.io/v1\nkind: Widget\nmetadata: {name: a}\nspec: {port: http}\n")
        cluster.world.run(for: .seconds(1))
        cluster.crash()
        cluster.restart()
        let widgets = KubeResource(group: "example.io", version: "v1", plural: "widgets", kind: "Widget", isNamespaced: true)
        #expect(cluster.server.object(widgets, namespace: "default", name: "a")?.value.text("spec", "protocol") == "unknown")
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64]) func `every write that was acknowledged before a crash is there after it`(_ seed: UInt64) throws {
        let cluster = try LastingCluster(seed: seed)
        let client = try cluster.client()
        var acknowledged: [String] = []
        var sent = 0
        func write() {
            let name = "c-\(sent)"
            sent += 1
            var object = KubeObject(.configMaps, namespace: "default", name: name)
            object.value.put(.string(name), at: "data", "key")
            _ = client.create(.configMaps, object) { result in
                guard case .success = result else { return }
                acknowledged.append(name)
                write()
            }
        }
        cluster.clientProcess.run { for _ in 0..<8 { write() } }
        #expect(cluster.world.run(until: { acknowledged.count > 40 * Int(seed) }, limit: .seconds(60)))
        cluster.crash()
        let known = acknowledged
        cluster.restart()
        let present = cluster.server.objects(.configMaps, namespace: "default").map(\.name)
        #expect(known.filter { !present.contains($0) } == [])
        #expect(present.count <= sent + 1)
        cluster.clientProcess.run { client.close() }
    }

    @Test func `with a full disk nothing is acknowledged, and what was is still there`() throws {
        let cluster = try LastingCluster()
        let client = try cluster.client()
        var answers: [Bool] = []
        func write(_ name: String) {
            cluster.clientProcess.run {
                _ = client.create(.configMaps, KubeObject(.configMaps, namespace: "default", name: name)) { result in
                    if case .success = result { answers.append(true) } else { answers.append(false) }
                }
            }
            cluster.world.run(for: .seconds(2))
        }
        write("first")
        cluster.serverProcess.records.isFull = true
        write("second")
        #expect(answers == [true, false] || answers == [true])
        #expect(cluster.failures.count == 1 && cluster.failures[0].contains("errno 28"))
        cluster.crash()
        cluster.serverProcess.records.isFull = false
        cluster.restart()
        #expect(cluster.server.object(.configMaps, namespace: "default", name: "first") != nil)
        #expect(cluster.server.object(.configMaps, namespace: "default", name: "second") == nil)
        cluster.clientProcess.run { client.close() }
    }

    @Test func `a damaged record is named`() throws {
        let cluster = try LastingCluster()
        cluster.crash()
        try cluster.serverProcess.records.commit([RecordChange("o/configmaps/default/x", Array("{".utf8))])
        cluster.restart()
        #expect(cluster.failures == ["the cluster's record o/configmaps/default/x is damaged"])
    }

    @Test func `a watch goes on from the last version and is told 410 for older ones`() throws {
        let cluster = try LastingCluster()
        try cluster.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: default}}")
        cluster.world.run(for: .seconds(1))
        let version = cluster.server.resourceVersion
        cluster.crash()
        cluster.restart()
        let client = try cluster.client()
        func watch(from version: UInt64) throws -> UInt16 {
            var status: UInt16?
            var request = KubeRequest(.get, "/api/v1/namespaces/default/configmaps", query: [("watch", "true"), ("resourceVersion", "\(version)"), ("timeoutSeconds", "1")])
            request.accept = "application/json"
            var body: [UInt8] = []
            cluster.clientProcess.run { _ = client.send(request) { result in
                if case .success(let response) = result { (status, body) = (response.status, response.body) } else { status = 0 }
            } }
            #expect(cluster.world.run(until: { status != nil }, limit: .seconds(20)))
            return String(decoding: body, as: UTF8.self).contains("\"code\":410") ? 410 : status ?? 0
        }
        #expect(try watch(from: version) == 200)
        #expect(try watch(from: 1) == 410)
        cluster.clientProcess.run { client.close() }
    }
}
