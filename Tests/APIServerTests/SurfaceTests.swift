// The server as a client sees it over a network: verbs, watches, representations and errors.

import APIServer
import Base
import Documents
import HTTP
import Kube
import Simulator
import Testing

@Suite struct SurfaceTests {
    private func configMap(_ name: String, _ value: String = "1") -> KubeObject {
        var object = KubeObject(.configMaps, namespace: "default", name: name)
        object.value.put(.string(value), at: "data", "key")
        return object
    }

    @Test(arguments: [Segmentation.whole, .bytewise, .seeded]) func `an object is created, read, patched, replaced and deleted`(_ segmentation: Segmentation) throws {
        let cluster = try Cluster(segmentation: segmentation)
        let made: KubeObject = try cluster.call { $0.create(.configMaps, configMap("a"), $1) }
        #expect(!made.uid.isEmpty)
        let patched: KubeObject = try cluster.call { $0.patch(.configMaps, made.key, .merge(["data": ["key": "2"]]), $1) }
        #expect(patched.value.text("data", "key") == "2")
        var stale = made
        stale.value.put("3", at: "data", "key")
        #expect(cluster.status { $0.update(.configMaps, stale, $1) }?.reason == .conflict)
        var fresh = patched
        fresh.value.put("3", at: "data", "key")
        let replaced: KubeObject = try cluster.call { $0.update(.configMaps, fresh, $1) }
        let read: KubeObject = try cluster.call { $0.get(.configMaps, made.key, $1) }
        #expect(read == replaced)
        let _: KubeObject = try cluster.call { $0.delete(.configMaps, made.key, $1) }
        #expect(cluster.status { $0.get(.configMaps, made.key, $1) }?.code == 404)
    }

    @Test func `an informer follows through a broken network and a compaction`() throws {
        let cluster = try Cluster()
        var informer: Informer!
        cluster.clientProcess.run {
            informer = Informer(client: cluster.client, .configMaps)
            informer.start()
        }
        cluster.await("the first list") { informer.hasSynced }
        try cluster.onServer { try $0.apply([configMap("a").value]) }
        cluster.await("a change") { informer.objects(in: "default").contains { $0.name == "a" } }
        // Everything the watch has not seen is forgotten while it is away.
        try cluster.onServer { $0.stop() }
        try cluster.onServer { server in
            try server.apply([configMap("b").value])
            try server.delete(.configMaps, namespace: "default", name: "a")
            server.compactHistory()
            try server.apply([configMap("c").value])
            try server.start(address: SocketAddress(IPAddress(10, 0, 0, 1), 6443))
        }
        cluster.await("the state after the break") { informer.objects(in: "default").map(\.name).sorted() == ["b", "c"] }
    }

    @Test func `a watch gets bookmarks and ends when its time is over`() throws {
        let cluster = try Cluster(hasNode: false)
        var events: [String] = []
        var isOver = false
        cluster.clientProcess.run {
            cluster.client.watch(.configMaps, namespace: "default", resourceVersion: "0", timeoutSeconds: 90) { event in
                switch event {
                case .added(let object): events.append("added \(object.name)")
                case .modified(let object): events.append("modified \(object.name)")
                case .deleted(let object): events.append("deleted \(object.name)")
                case .bookmark: events.append("bookmark")
                case .undecodable(let reason): events.append(reason)
                case .error(let status): events.append("\(status)")
                }
            } onHeard: {
            } onEnd: { error in
                #expect(error == nil)
                isOver = true
            }
        }
        cluster.world.run(for: .seconds(1))
        try cluster.onServer { try $0.apply([configMap("a").value, configMap("a", "2").value]) }
        cluster.world.run(for: .seconds(70))
        try cluster.onServer { try $0.delete(.configMaps, namespace: "default", name: "a") }
        cluster.await("the end") { isOver }
        #expect(events == ["added a", "modified a", "bookmark", "deleted a"])
    }

    @Test func `tokens of service accounts are made, reviewed and die with what they are bound to`() throws {
        let cluster = try Cluster()
        try cluster.apply(webYAML)
        cluster.await("pods") { cluster.objects(.pods).filter { $0.value.text("status", "phase") == "Running" }.count == 3 }
        let pod = cluster.objects(.pods)[0]
        let request: Value = [
            "spec": ["audiences": ["identity.l5d.io"], "expirationSeconds": 3600, "boundObjectRef": ["kind": "Pod", "apiVersion": "v1", "name": .string(pod.name), "uid": .string(pod.uid)]],
        ]
        let answer = try cluster.document(.post, "/api/v1/namespaces/default/serviceaccounts/default/token", request)
        let token = try #require(answer.text("status", "token"))
        func review(_ audiences: [String]) throws -> KubeTokenReview { try cluster.call { $0.reviewToken(token, audiences: audiences, $1) } }
        let good = try review(["identity.l5d.io"])
        #expect(good.isAuthenticated)
        #expect(good.username == "system:serviceaccount:default:default")
        #expect(good.groups == ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"])
        #expect(good.audiences == ["identity.l5d.io"])
        #expect(try review([]).isAuthenticated == false)
        #expect(try review(["other"]).isAuthenticated == false)
        let forged: KubeTokenReview = try cluster.call { $0.reviewToken(String(token.dropLast(4)) + "AAAA", audiences: ["identity.l5d.io"], $1) }
        #expect(!forged.isAuthenticated)
        try cluster.onServer { try $0.delete(.pods, namespace: "default", name: pod.name, gracePeriodSeconds: 0) }
        #expect(try review(["identity.l5d.io"]).isAuthenticated == false)
        // A token of the server's own audience opens the API until it expires.
        let own = try cluster.onServer { try $0.token(namespace: "default", serviceAccount: "default", lifetime: .minutes(10)) }
        let client = try cluster.makeClient(token: own)
        #expect(cluster.status { (_, done: @escaping (Result<KubeList, KubeError>) -> Void) in client.list(.pods, done) } == nil)
        cluster.world.run(for: .minutes(11))
        #expect(cluster.status { (_, done: @escaping (Result<KubeList, KubeError>) -> Void) in client.list(.pods, done) }?.code == 401)
    }

    @Test func `anonymous callers read discovery and nothing else`() throws {
        let cluster = try Cluster()
        let nobody = try cluster.makeClient(token: nil)
        #expect(cluster.status { (_, done: @escaping (Result<String, KubeError>) -> Void) in nobody.version(done) } == nil)
        let status = cluster.status { (_, done: @escaping (Result<KubeList, KubeError>) -> Void) in nobody.list(.pods, namespace: "default", done) }
        #expect(status?.message == "pods is forbidden: User \"system:anonymous\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\"")
        let stranger = try cluster.makeClient(token: "wrong")
        #expect(cluster.status { (_, done: @escaping (Result<KubeList, KubeError>) -> Void) in stranger.list(.pods, done) }?.code == 401)
    }

    @Test func `roles decide when they are enforced`() throws {
        var options = APIServerOptions()
        options.enforcesAccess = true
        options.tokens = [.init(token: "alice-token", user: "alice", groups: ["dev"])]
        let cluster = try Cluster(options: options)
        try cluster.apply(
            """
            apiVersion: rbac.authorization.k8s.io/v1
            kind: Role
            metadata: {name: reader}
            rules: [{apiGroups: [""], resources: [pods], verbs: [get, list]}]
            ---
            apiVersion: rbac.authorization.k8s.io/v1
            kind: RoleBinding
            metadata: {name: readers}
            roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
            subjects: [{kind: Group, name: dev}]
            """)
        let alice = try cluster.makeClient(token: "alice-token")
        #expect(cluster.status { (_, done: @escaping (Result<KubeList, KubeError>) -> Void) in alice.list(.pods, namespace: "default", done) } == nil)
        #expect(cluster.status { (_, done: @escaping (Result<KubeList, KubeError>) -> Void) in alice.list(.pods, namespace: "kube-system", done) }?.code == 403)
        #expect(cluster.status { (_, done: @escaping (Result<KubeList, KubeError>) -> Void) in alice.list(.services, namespace: "default", done) }?.code == 403)
        func may(_ access: KubeAccess) throws -> Bool {
            let review: KubeAccessReview = try cluster.call { $0.reviewAccess(access, user: "bob", groups: ["dev"], $1) }
            return review.isAllowed
        }
        #expect(try may(KubeAccess(verb: "get", resource: "pods", namespace: "default", name: "x")))
        #expect(try may(KubeAccess(verb: "delete", resource: "pods", namespace: "default", name: "x")) == false)
    }

    @Test func `lists leave out what clients know, tables show columns, metadata comes alone`() throws {
        let cluster = try Cluster()
        try cluster.apply(webYAML)
        let list = try cluster.document(.get, "/api/v1/namespaces/default/services")
        #expect(list.text("kind") == "ServiceList")
        #expect(list.items("items").allSatisfy { $0.member("kind") == nil })
        let table = try cluster.document(.get, "/api/v1/namespaces/default/services/web", accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json")
        #expect(table.items("columnDefinitions").map { $0.text("name") }.prefix(3) == ["Name", "Type", "Cluster-IP"])
        #expect(table.items("rows")[0].items("cells").prefix(3) == ["web", "ClusterIP", "10.96.0.2"])
        let partial = try cluster.document(.get, "/apis/apps/v1/deployments", accept: "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io")
        #expect(partial.text("kind") == "PartialObjectMetadataList")
        #expect(partial.items("items")[0].member("spec") == nil)
        #expect(partial.items("items")[0].text("metadata", "name") == "web")
    }

    @Test func `paths and methods that are not served are told apart`() throws {
        let cluster = try Cluster()
        func code(_ method: HTTPMethod, _ path: String, _ body: Value? = nil, contentType: String = "application/json") -> UInt16? {
            var request = KubeRequest(method, path)
            request.contentType = contentType
            if let body { request.body = Array(body.json().utf8) }
            return cluster.status { (client, done: @escaping (Result<KubeResponse, KubeError>) -> Void) in client.send(request, done) }?.code
        }
        #expect(code(.get, "/api/v1/wrongs") == 404)
        #expect(code(.get, "/apis/none/v1/pods") == 404)
        #expect(code(.get, "/nothing") == 404)
        #expect(code(.put, "/api/v1/namespaces/default/configmaps") == 405)
        #expect(code(.post, "/api/v1/namespaces/default/configmaps", ["metadata": ["name": "a"]], contentType: "text/plain") == 415)
        #expect(code(.patch, "/api/v1/namespaces/default/configmaps/a", ["a": 1], contentType: "text/plain") == 415)
        #expect(code(.post, "/api/v1/namespaces/default/configmaps", "no object") == 400)
        #expect(code(.get, "/api/v1/namespaces/default/configmaps/a/status") == 404)
        #expect(code(.get, "/healthz") == nil)
    }

    @Test func `a body that is too large is refused without being kept`() throws {
        var options = APIServerOptions()
        options.limits.requestBodyBytesMax = 1000
        let cluster = try Cluster(options: options)
        let object = configMap("a", String(repeating: "x", count: 5000))
        #expect(cluster.status { $0.create(.configMaps, object, $1) }?.code == 413)
    }

    @Test func `equal seeds give equal clusters`() throws {
        func run() throws -> [String] {
            let cluster = try Cluster(seed: 7)
            try cluster.apply(webYAML)
            cluster.await("pods") { cluster.objects(.pods).filter { $0.value.text("status", "phase") == "Running" }.count == 3 }
            return (cluster.objects(.pods) + cluster.objects(.endpointSlices)).map { $0.value.json() } + [cluster.server.adminToken]
        }
        #expect(try run() == run())
    }
}
