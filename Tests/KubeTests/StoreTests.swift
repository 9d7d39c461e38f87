// Client and informers against the API server of this house over the simulated network: the same semantics on both sides of the
// wire, whatever breaks in between.

import APIServer
import Base
import Documents
import HTTP
import Kube
import Platform
import Simulator
import Testing
import Transport

private final class Cluster {
    let world: World
    let client: SimProcess
    private(set) var kube: KubeClient!
    private(set) var api: KubeAPIServer!
    let server: SimProcess
    static let address = SocketAddress(IPAddress(10, 0, 0, 2), 6443)

    init(seed: UInt64 = 1, limits: KubeLimits = KubeLimits()) throws {
        var options = WorldOptions(start: WallTime(year: 2026, month: 6, day: 1, hour: 12)!)
        options.build = "test"
        world = World(seed: seed, options: options)
        client = world.addProcess("client", on: world.addNode("client", ip: IPAddress(10, 0, 0, 1)), userID: 1, settings: Settings()) { _ in }
        var made: KubeAPIServer?
        let process = world.addProcess("api", on: world.addNode("server", ip: IPAddress(10, 0, 0, 2)), userID: 1, settings: Settings()) { process in
            var options = APIServerOptions()
            options.adminToken = "admin-token"
            do {
                made = try KubeAPIServer(host: process, options: options)
                try made?.start(address: Self.address)
            } catch { Issue.record(error) }
        }
        server = process
        client.start()
        process.start()
        world.run(for: .seconds(1))
        api = made
        var failure: (any Error)?
        client.run {
            do {
                var configuration = KubeConfiguration(scheme: .http, host: "10.0.0.2", port: 6443)
                configuration.token = .fixed("admin-token")
                kube = try KubeClient(batch: FlushBatch(host: client), configuration: configuration, resolver: Resolver(host: client), userAgent: "test", limits: limits)
            } catch { failure = error }
        }
        if let failure { throw failure }
    }

    func wait<T>(_ start: (@escaping (T) -> Void) -> Void) throws -> T {
        var answer: T?
        client.run { start { answer = $0 } }
        world.run(until: { answer != nil }, limit: .minutes(2), awaiting: "an answer")
        return try #require(answer)
    }

    func ask(_ call: @escaping (KubeClient, @escaping KubeClient.ObjectAnswer) -> Void) throws -> Result<KubeObject, KubeError> { try wait { done in call(kube, done) } }

    func map(_ name: String, _ value: String) -> KubeObject {
        var object = KubeObject(.configMaps, namespace: "default", name: name, labels: ["app": "test"])
        object.value.put(.string(value), at: "data", "key")
        return object
    }
}

private extension Result where Failure == KubeError {
    var error: KubeError? { if case .failure(let error) = self { error } else { nil } }
}

@Suite struct `Client and API server` {
    @Test func `agree on the life of an object`() throws {
        let cluster = try Cluster()
        let key = KubeKey("default", "a")
        #expect(try cluster.ask { $0.get(.configMaps, key, $1) }.error?.isNotFound == true)
        let first = try cluster.ask { $0.create(.configMaps, cluster.map("a", "1"), $1) }.get()
        #expect(!first.resourceVersion.isEmpty && !first.uid.isEmpty)
        #expect(try cluster.ask { $0.create(.configMaps, cluster.map("a", "1"), $1) }.error?.isAlreadyExists == true)
        var changed = first
        changed.value.put(.string("2"), at: "data", "key")
        let second = try cluster.ask { $0.update(.configMaps, changed, $1) }.get()
        #expect(second.resourceVersion != first.resourceVersion)
        #expect(try cluster.ask { $0.update(.configMaps, changed, $1) }.error?.isConflict == true)
        let merged = try cluster.ask { $0.patch(.configMaps, key, .merge(.members(["data": .members(["more": .string("x")])])), $1) }.get()
        #expect(merged.value.text("data", "key") == "2" && merged.value.text("data", "more") == "x")
        let operation = Value.members(["op": .string("remove"), "path": .string("/data/more")])
        #expect(try cluster.ask { $0.patch(.configMaps, key, .json(.array([operation])), $1) }.get().value.text("data", "more") == nil)
        let applied = try cluster.ask { $0.patch(.configMaps, key, .apply(cluster.map("a", "3"), fieldManager: "weft", force: true), $1) }.get()
        #expect(applied.value.text("data", "key") == "3" && applied.uid == first.uid)
        #expect(try cluster.ask { $0.delete(.configMaps, key, uid: "another", $1) }.error?.isConflict == true)
        #expect(try cluster.ask { $0.delete(.configMaps, key, $1) }.error == nil)
        #expect(try cluster.ask { $0.get(.configMaps, key, $1) }.error?.isNotFound == true)
    }

    @Test func `agree on pages and selectors`() throws {
        var limits = KubeLimits()
        limits.listPageObjectsMax = 3
        let cluster = try Cluster(limits: limits)
        for i in 0..<10 { _ = try cluster.ask { $0.create(.configMaps, cluster.map("m\(i)", "\(i)"), $1) }.get() }
        let all: Result<KubeList, KubeError> = try cluster.wait { cluster.kube.listAll(.configMaps, namespace: "default", labels: LabelSelector(labels: ["app": "test"]), $0) }
        #expect(try all.get().items.map(\.name) == (0..<10).map { "m\($0)" })
        let one: Result<KubeList, KubeError> = try cluster.wait { cluster.kube.listAll(.configMaps, fields: .name("m4"), $0) }
        #expect(try one.get().items.map(\.name) == ["m4"])
    }

    @Test func `agree on who a token is`() throws {
        let cluster = try Cluster()
        cluster.world.run(for: .seconds(5))
        let token = try #require(cluster.server.run { try? cluster.api.token(namespace: "default", serviceAccount: "default", audiences: ["identity.l5d.io"]) })
        func review(_ token: String, _ audiences: [String]) throws -> KubeTokenReview {
            let result: Result<KubeTokenReview, KubeError> = try cluster.wait { cluster.kube.reviewToken(token, audiences: audiences, $0) }
            return try result.get()
        }
        let good = try review(token, ["identity.l5d.io"])
        #expect(good.isAuthenticated && good.username == "system:serviceaccount:default:default" && good.audiences == ["identity.l5d.io"])
        #expect(try !review(token, ["other"]).isAuthenticated)
        #expect(try !review(token + "x", ["identity.l5d.io"]).isAuthenticated)
        let access: Result<KubeAccessReview, KubeError> = try cluster.wait { cluster.kube.reviewOwnAccess(KubeAccess(verb: "create", group: "authentication.k8s.io", resource: "tokenreviews"), $0) }
        #expect(try access.get().isAllowed)
    }

    /// Whatever breaks, an informer ends with what the server has, and its consumer with the same.
    @Test(arguments: 1...8 as ClosedRange<UInt64>) func `an informer converges through resets, forgotten history and silence`(_ seed: UInt64) throws {
        var limits = KubeLimits()
        limits.listPageObjectsMax = 4
        let cluster = try Cluster(seed: seed, limits: limits)
        var mirror: [KubeKey: String] = [:]
        var wrong: [String] = []
        let informer = cluster.client.run { () -> Informer in
            let informer = Informer(client: cluster.kube, .configMaps, namespace: "default", labels: LabelSelector(labels: ["app": "test"]))
            informer.onChange { change in
                switch change {
                case .added(let object):
                    if mirror[object.key] != nil { wrong.append("added \(object.key) twice") }
                    mirror[object.key] = object.value.text("data", "key")
                case .updated(_, let object):
                    if mirror[object.key] == nil { wrong.append("updated \(object.key) unknown") }
                    mirror[object.key] = object.value.text("data", "key")
                case .deleted(let object): if mirror.removeValue(forKey: object.key) == nil { wrong.append("deleted \(object.key) unknown") }
                }
            }
            informer.start()
            return informer
        }
        var random = Random(seed: seed)
        for step in 0..<120 {
            let name = "m\(random.below(9))"
            let key = KubeKey("default", name)
            switch random.below(10) {
            case 0..<4: _ = try cluster.ask { $0.create(.configMaps, cluster.map(name, "\(step)"), $1) }
            case 4..<7: _ = try cluster.ask { $0.patch(.configMaps, key, .merge(.members(["data": .members(["key": .string("\(step)")])])), $1) }
            // Out of the selector and back in again is a deletion and an addition to the watcher.
            case 7: _ = try cluster.ask { $0.patch(.configMaps, key, .merge(.members(["metadata": .members(["labels": .members(["app": .string(step % 2 == 0 ? "other" : "test")])])])), $1) }
            default: _ = try cluster.ask { $0.delete(.configMaps, key, $1) }
            }
            switch random.below(12) {
            case 0: cluster.world.apply(.reset("client", "server"))
            case 1: cluster.api.compactHistory()
            case 2: cluster.world.apply(.clog("client", "server", .seconds(20)))
            case 3: cluster.world.run(for: .milliseconds(Int64(random.below(3000))))
            default: break
            }
        }
        cluster.world.run(for: .minutes(5))
        let truth = cluster.api.objects(.configMaps, namespace: "default").filter { $0.labels["app"] == "test" }
        #expect(informer.objects.map(\.resourceVersion) == truth.map(\.resourceVersion))
        #expect(mirror == Dictionary(uniqueKeysWithValues: truth.map { ($0.key, $0.value.text("data", "key") ?? "") }))
        #expect(wrong.isEmpty && informer.hasSynced, "\(wrong)")
        cluster.client.run { informer.stop() }
    }
}
