// The destination service against the behaviour vectors written down from Linkerd's (shared facts on the control plane 14.4).

import Base
import ControlPlane
import GRPC
import Kube
import MeshAPI
import Platform
import Transport
import Testing

private struct World {
    let index = ClusterIndex()
    let metrics = MetricsRegistry()
    let destination: DestinationService

    init(_ change: (inout DestinationOptions) -> Void = { _ in }) {
        var options = DestinationOptions()
        change(&options)
        destination = DestinationService(index: index, options: options, metrics: DestinationMetrics(metrics))
    }

    func get(_ path: String = "web.books.svc.cluster.local:80", token: String = "", capacity: Int = 100) -> Said<Mesh.Destination.Update> {
        let stream = ResponseStream<SharedMessage<Mesh.Destination.Update>>(capacity: capacity)
        destination.get(ControlPlaneTests.destination(path, token: token), stream)
        return Said(stream: stream)
    }

    func profile(_ path: String, token: String = "") -> Said<Mesh.Destination.DestinationProfile> {
        let stream = ResponseStream<SharedMessage<Mesh.Destination.DestinationProfile>>()
        destination.getProfile(ControlPlaneTests.destination(path, token: token), stream)
        return Said(stream: stream)
    }

    /// The one endpoint of a service with one pod.
    func endpoint(_ pod: Cluster.Pod) -> Mesh.Destination.WeightedAddr? {
        index.apply(service("books/web"))
        index.apply(pod)
        index.apply(slice("books/web-1", of: "web", [pod]))
        return get().next()?.add.addrs.first
    }
}

/// What a stream has said, out of the messages that streams share.
private struct Said<Content> {
    let stream: ResponseStream<SharedMessage<Content>>
    func next() -> Content? { stream.next()?.content }
    func drain() -> [Content] { stream.drain().map(\.content) }
    func cancel() { stream.cancel() }
    var status: GRPCStatus? { stream.status }
    var isOpen: Bool { stream.isOpen }
    var isDone: Bool { stream.isDone }
    var overflowed: Bool { stream.overflowed }
}

@Suite struct GetTests {
    @Test(arguments: [
        ("foo.bar", GRPCStatus.Code.invalidArgument), ("10.0.0.1:80", .invalidArgument), ("[::1]:80", .invalidArgument), ("10.0.0.1", .invalidArgument),
        ("missing.books.svc.cluster.local", .notFound), ("missing.books.svc.cluster.local:8080", .notFound),
        ("web.books.svc.cluster.local.:80", .invalidArgument), ("web.books.svc.cluster.local:0", .invalidArgument), ("web.books.svc.cluster.local:65536", .invalidArgument),
        ("web.books.svc.cluster.local:", .invalidArgument), ("books.svc.cluster.local", .invalidArgument), ("a.b.c.d.svc.cluster.local", .invalidArgument),
        (".books.svc.cluster.local", .invalidArgument), ("", .invalidArgument), ("outside.books.svc.cluster.local", .invalidArgument), ("far.books.svc.cluster.local", .notFound),
    ])
    func `what cannot be asked is refused with its status`(_ path: String, _ code: GRPCStatus.Code) {
        let world = World()
        world.index.apply(service("books/web"))
        world.index.apply(service("books/outside") { $0.isExternalName = true })
        world.index.apply(service("books/far") { $0.labels = ["multicluster.linkerd.io/remote-discovery": "west", "multicluster.linkerd.io/remote-service": "web"] })
        let stream = world.get(path)
        #expect(stream.status?.code == code && stream.isDone)
        #expect(world.index.subscribedTopicCount == 0)
    }

    @Test func `endpoints are told once, then their differences, and emptiness by removal`() {
        let world = World()
        let (a, b) = (pod("books/a", ip: "10.0.0.1"), pod("books/b", ip: "10.0.0.2"))
        world.index.apply(service("books/web"))
        let stream = world.get()
        #expect(stream.next() == nil && stream.isOpen)
        world.index.apply(a)
        world.index.apply(slice("books/web-1", of: "web", [a, b]))
        world.index.apply(b)
        #expect(stream.next() == nil)
        world.index.flush()
        let first = stream.next()
        #expect(first.map(summary) == "add 10.0.0.1:8080 10.0.0.2:8080")
        #expect(first?.add.addrs.map(\.weight) == [10000, 10000])
        #expect(first?.add.metricLabels == ["service": "web", "namespace": "books"])
        world.index.apply(slice("books/web-1", of: "web", [a]))
        world.index.flush()
        #expect(stream.drain().map(summary) == ["remove 10.0.0.2:8080"])
        world.index.apply(slice("books/web-1", of: "web", [a]))
        world.index.flush()
        #expect(stream.drain().isEmpty)
        world.index.remove(service: name("books/web"))
        world.index.flush()
        #expect(stream.drain().map(summary) == ["remove 10.0.0.1:8080"])
        world.index.apply(service("books/web"))
        world.index.flush()
        #expect(stream.drain().map(summary) == ["add 10.0.0.1:8080"])
        stream.cancel()
        #expect(world.index.subscribedTopicCount == 0)
    }

    @Test func `a meshed pod carries identity, hint, labels and the proxy's parameters`() {
        var parameters = Mesh.Destination.Http2ClientParams()
        parameters.keepAlive.whileIdle = true
        let world = World {
            $0.transportMode = .transportHeader
            $0.meshedHTTP2 = parameters
        }
        world.index.apply(Cluster.Ownership(kind: "replicaset", name: name("books/web-5d"), owner: .init(kind: "deployment", name: "web")))
        let endpoint = world.endpoint(pod("books/a", ip: "10.0.0.1") {
            $0.owner = .init(kind: "replicaset", name: "web-5d")
            $0.labels["pod-template-hash"] = "5d"
        })
        let identity = "web.books.serviceaccount.identity.linkerd.cluster.local"
        #expect(endpoint?.tlsIdentity.dnsLikeIdentity.name == identity && endpoint?.tlsIdentity.serverName.name == identity)
        #expect(endpoint?.protocolHint.protocol == .h2(.init()) && endpoint?.protocolHint.opaqueTransport.inboundPort == 4143)
        #expect(endpoint?.http2 == parameters)
        #expect(endpoint?.metricLabels == ["pod": "a", "deployment": "web", "serviceaccount": "web", "control_plane_ns": "linkerd", "pod_template_hash": "5d", "zone": "", "zone_locality": "unknown"])
    }

    @Test func `an unmeshed pod, a foreign mesh and a skipped port have less`() {
        let plain = World().endpoint(pod("books/a", ip: "10.0.0.1", meshed: false) { $0.serviceAccount = "" })
        #expect(plain?.hasTlsIdentity == false && plain?.hasProtocolHint == false && plain?.metricLabels["serviceaccount"] == "default")
        let foreign = World().endpoint(pod("books/a", ip: "10.0.0.1") { $0.labels["linkerd.io/control-plane-ns"] = "other" })
        #expect(foreign?.hasTlsIdentity == false && foreign?.hasProtocolHint == true)
        let skipped = World().endpoint(pod("books/a", ip: "10.0.0.1") { $0.annotations["config.linkerd.io/skip-inbound-ports"] = "8000-8090" })
        #expect(skipped?.hasTlsIdentity == false && skipped?.hasProtocolHint == false)
    }

    @Test(arguments: [("8080", true), ("http", true), ("9000,8000-8100", true), ("", false), ("8081", false), ("nonsense-", false)])
    func `a pod's annotation makes its port opaque`(_ list: String, _ isOpaque: Bool) {
        let hint = World().endpoint(pod("books/a", ip: "10.0.0.1") {
            $0.annotations["config.linkerd.io/opaque-ports"] = list
            $0.containers[1].inboundListenAddress = "0.0.0.0:5143"
        })?.protocolHint
        #expect(hint?.protocol == (isOpaque ? .opaque(.init()) : .h2(.init())))
        #expect(hint?.opaqueTransport.inboundPort == (isOpaque ? 5143 : 0))
    }

    @Test func `the proxy's own ports are never reached through its inbound port`() {
        let world = World { $0.transportMode = .transportHeader }
        let target = pod("books/a", ip: "10.0.0.1")
        world.index.apply(service("books/web", ports: [.init(name: "admin", port: 4191)]))
        world.index.apply(target)
        world.index.apply(slice("books/web-1", of: "web", [target]) { $0.ports = [("admin", 4191)] })
        let endpoint = world.get("web.books.svc.cluster.local:4191").next()?.add.addrs.first
        #expect(endpoint?.protocolHint.protocol == .h2(.init()) && endpoint?.protocolHint.hasOpaqueTransport == false)
    }

    @Test func `a Server of the pod's own namespace makes its port opaque, another's does not`() {
        let world = World()
        let target = pod("books/a", ip: "10.0.0.1") { $0.labels["app"] = "web" }
        world.index.apply(service("books/web"))
        world.index.apply(target)
        world.index.apply(slice("books/web-1", of: "web", [target]))
        let stream = world.get()
        #expect(stream.next()?.add.addrs[0].protocolHint.protocol == .h2(.init()))
        var server = Cluster.Server(name: name("other/s"), createdAt: WallTime(seconds: 1), podSelector: LabelSelector(labels: ["app": "web"]), port: .name("http"))
        server.proxyProtocol = "opaque"
        world.index.apply(server)
        world.index.flush()
        #expect(stream.next() == nil)
        server.name = name("books/s")
        world.index.apply(server)
        world.index.flush()
        #expect(stream.next()?.add.addrs[0].protocolHint.protocol == .opaque(.init()))
        world.index.remove(server: server.name)
        world.index.flush()
        #expect(stream.next()?.add.addrs[0].protocolHint.protocol == .h2(.init()))
    }

    @Test func `ready is true or unsaid, and an unknown pod waits`() {
        let world = World()
        let pods = (1...3).map { pod("books/p\($0)", ip: "10.0.0.\($0)") }
        world.index.apply(service("books/web"))
        for pod in pods.dropLast() { world.index.apply(pod) }
        world.index.apply(slice("books/web-1", of: "web", pods) { $0.endpoints[0].isReady = false; $0.endpoints[1].isReady = true })
        let stream = world.get()
        #expect(stream.drain().map(summary) == ["add 10.0.0.2:8080"])
        world.index.apply(pods[2])
        world.index.flush()
        #expect(stream.drain().map(summary) == ["add 10.0.0.3:8080"])
    }

    @Test func `local traffic stays on the node, hints keep to the zone, and nothing near means everything`() {
        let pods = (1...2).map { i in pod("books/p\(i)", ip: "10.0.0.\(i)") { $0.nodeName = "node-\(i)" } }
        func world(local: Bool, hints: [[String]?]) -> World {
            let world = World()
            world.index.apply(service("books/web") { $0.isTrafficLocal = local })
            for (i, pod) in pods.enumerated() {
                world.index.apply(pod)
                world.index.apply(Cluster.Node(name: "node-\(i + 1)", zone: "zone-\(i + 1)"))
            }
            world.index.apply(slice("books/web-1", of: "web", pods) { slice in
                for i in 0...1 {
                    slice.endpoints[i].hintZones = hints[i]
                    slice.endpoints[i].zone = "zone-\(i + 1)"
                }
            })
            return world
        }
        let token = #"{"ns":"books","nodeName":"node-2","pod":"client"}"#
        #expect(world(local: true, hints: [nil, nil]).get(token: token).drain().map(summary) == ["add 10.0.0.2:8080"])
        #expect(world(local: true, hints: [nil, nil]).get(token: "ns:books").drain().isEmpty)
        #expect(world(local: false, hints: [["zone-1"], ["zone-2"]]).get(token: token).drain().map(summary) == ["add 10.0.0.2:8080"])
        #expect(world(local: false, hints: [["zone-1"], nil]).get(token: token).drain().map(summary) == ["add 10.0.0.1:8080 10.0.0.2:8080"])
        #expect(world(local: false, hints: [["zone-1"], ["zone-1"]]).get(token: token).drain().map(summary) == ["add 10.0.0.1:8080 10.0.0.2:8080"])
        let labels = world(local: false, hints: [nil, nil]).get(token: token).next()?.add.addrs.map { $0.metricLabels["zone_locality"]! }
        #expect(labels == ["remote", "local"])

        let moving = world(local: false, hints: [["zone-1"], ["zone-2"]])
        let stream = moving.get(token: token)
        _ = stream.drain()
        moving.index.apply(Cluster.Node(name: "node-2", zone: "zone-1"))
        moving.index.flush()
        #expect(stream.drain().map(summary) == ["add 10.0.0.1:8080", "remove 10.0.0.2:8080"])
    }

    @Test func `of a pod with both families one is chosen`() {
        for usesIPv6 in [false, true] {
            let world = World { $0.usesIPv6 = usesIPv6 }
            let (dual, single) = (pod("books/dual", ip: "10.0.0.1"), pod("books/single", ip: "10.0.0.2"))
            world.index.apply(service("books/web"))
            world.index.apply(dual)
            world.index.apply(single)
            world.index.apply(slice("books/web-4", of: "web", [dual, single]))
            world.index.apply(slice("books/web-6", of: "web", [dual]) { $0.endpoints[0].addresses = [IPAddress("fd00::1")!] })
            #expect(world.get().drain().map(summary) == [usesIPv6 ? "add 10.0.0.2:8080 [fd00::1]:8080" : "add 10.0.0.1:8080 10.0.0.2:8080"])
        }
    }

    @Test func `an instance of a stateful set is found by its host name`() {
        let world = World()
        let pods = (0...1).map { pod("books/db-\($0)", ip: "10.0.0.1\($0)") }
        world.index.apply(service("books/db", ip: nil))
        for pod in pods { world.index.apply(pod) }
        world.index.apply(slice("books/db-x", of: "db", pods) { $0.endpoints[0].hostname = "db-0"; $0.endpoints[1].hostname = "db-1" })
        #expect(world.get("db-1.db.books.svc.cluster.local:80").drain().map(summary) == ["add 10.0.0.11:8080"])
        #expect(world.get("db.books.svc.cluster.local:5000").drain().map(summary) == ["add 10.0.0.10:5000 10.0.0.11:5000"])
    }

    @Test func `a mirrored service leads to its gateway by name`() {
        let world = World()
        world.index.apply(service("books/web-west"))
        var mirror = Cluster.EndpointSlice(name: name("books/web-west-1"), serviceName: "web-west")
        mirror.ports = [("http", 4143)]
        mirror.labels = ["mirror.linkerd.io/cluster-name": "west"]
        mirror.annotations = ["mirror.linkerd.io/remote-gateway-identity": "gw.id", "mirror.linkerd.io/remote-svc-fq-name": "web.books.svc.cluster.local"]
        mirror.endpoints = [.init(addresses: [IPAddress("203.0.113.7")!])]
        world.index.apply(mirror)
        let set = world.get("web-west.books.svc.cluster.local:80").next()?.add
        #expect(set?.addrs[0].authorityOverride.authorityOverride == "web.books.svc.cluster.local:80" && set?.addrs[0].tlsIdentity.dnsLikeIdentity.name == "gw.id")
        #expect(set?.metricLabels == ["service": "web-west", "namespace": "books", "target_cluster": "west", "target_service": "web", "target_service_namespace": "books"])
    }

    @Test func `a client that does not read is sent away with OK`() {
        let world = World()
        world.index.apply(service("books/web"))
        let stream = world.get(capacity: 3)
        for i in 1...4 {
            let new = pod("books/p\(i)", ip: "10.0.0.\(i)")
            world.index.apply(new)
            world.index.apply(slice("books/web-\(i)", of: "web", [new]))
            world.index.flush()
        }
        #expect(stream.overflowed && stream.status == .ok && stream.isDone && world.index.subscribedTopicCount == 0)
    }
}

@Suite struct GetProfileTests {
    @Test func `a service is told by its name and by its address`() {
        let world = World()
        world.index.apply(service("books/web", ports: [.init(name: "http", port: 80), .init(name: "db", port: 3306)]))
        for path in ["web.books.svc.cluster.local:80", "web.books.svc.cluster.local", "10.96.0.1:80"] {
            let profile = world.profile(path).next()
            #expect(profile?.fullyQualifiedName == "web.books.svc.cluster.local" && profile?.opaqueProtocol == false)
            #expect(profile?.parentRef.resource.kind == "Service" && profile?.parentRef.resource.port == 80 && profile?.hasEndpoint == false)
            #expect(profile?.retryBudget.retryRatio == 0.2 && profile?.retryBudget.minRetriesPerSecond == 10)
        }
        #expect(world.profile("10.96.0.1:3306").next()?.opaqueProtocol == true)
        #expect(world.profile("web.books.svc.cluster.local:81").next() == Mesh.Destination.DestinationProfile())
        #expect(world.profile("missing.books.svc.cluster.local:81").status?.code == .unknown)
        #expect(world.profile("nonsense").status?.code == .invalidArgument)
        world.index.apply(service("books/other"))
        #expect(world.profile("10.96.0.1:80").status?.code == .failedPrecondition)
    }

    @Test func `a change of the service is told, a redundant one is not`() {
        let world = World()
        world.index.apply(service("books/web"))
        let stream = world.profile("10.96.0.1:80")
        #expect(stream.drain().count == 1)
        world.index.apply(service("books/web") { $0.labels["x"] = "y" })
        world.index.flush()
        #expect(stream.drain().isEmpty)
        world.index.apply(service("books/web") { $0.annotations["config.linkerd.io/opaque-ports"] = "80" })
        world.index.flush()
        #expect(stream.drain().map(\.opaqueProtocol) == [true])
        stream.cancel()
        #expect(world.index.subscribedTopicCount == 0)
    }

    @Test func `the client's own ServiceProfile wins over the service's`() {
        let world = World()
        world.index.apply(service("books/web"))
        var theirs = Cluster.ServiceProfile(name: name("books/web.books.svc.cluster.local"))
        theirs.overrides = [.init(), .init()]
        theirs.overrides[0].authority = "a.books.svc.cluster.local"
        theirs.overrides[1].authority = "b.books.svc.cluster.local:9"
        var ours = Cluster.ServiceProfile(name: name("shop/web.books.svc.cluster.local"))
        ours.retryBudget = .init()
        let stream = world.profile("web.books.svc.cluster.local:80", token: #"{"ns":"shop"}"#)
        _ = stream.drain()
        world.index.apply(theirs)
        world.index.flush()
        let first = stream.next()
        #expect(first?.profileRef.resource.namespace == "books" && first?.dstOverrides.map(\.authority) == ["a.books.svc.cluster.local:80", "b.books.svc.cluster.local:9"])
        world.index.apply(ours)
        world.index.flush()
        #expect(stream.next()?.profileRef.resource.namespace == "shop")
        world.index.remove(profile: ours.name)
        world.index.flush()
        #expect(stream.next()?.profileRef.resource.namespace == "books")
    }

    @Test func `a pod's address gives the endpoint, once it runs`() {
        let world = World()
        world.index.apply(pod("books/a", ip: "10.0.0.1") { $0.phase = "Pending" })
        let stream = world.profile("10.0.0.1:8080")
        #expect(stream.next()?.endpoint.hasTlsIdentity == false)
        world.index.apply(pod("books/a", ip: "10.0.0.1"))
        world.index.flush()
        let profile = stream.next()
        #expect(profile?.fullyQualifiedName == "" && profile?.endpoint.hasTlsIdentity == true)
        #expect(profile?.endpoint.metricLabels["namespace"] == "books" && profile?.endpoint.metricLabels["zone"] == nil)
        #expect(profile.map { SocketAddress($0.endpoint.addr) } == SocketAddress("10.0.0.1:8080"))
    }

    @Test func `nobody's address is an endpoint without anything, opaque by the default list`() {
        let world = World()
        #expect(world.profile("203.0.113.1:80").next()?.opaqueProtocol == false)
        #expect(world.profile("203.0.113.1:3306").next()?.opaqueProtocol == true)
        #expect(world.profile("203.0.113.1:80").next()?.endpoint.metricLabels == [:])
    }

    @Test func `a host port leads to its pod, a pod on the host's network does not`() {
        let world = World()
        world.index.apply(pod("books/a", ip: "10.0.0.1") { $0.containers[0].ports[0].hostPort = 9080 })
        world.index.apply(pod("books/host", ip: "192.168.1.1") { $0.isHostNetwork = true })
        #expect(world.profile("192.168.1.1:9080").next().map { SocketAddress($0.endpoint.addr) } == SocketAddress("10.0.0.1:8080"))
        #expect(world.profile("192.168.1.1:9081").next()?.endpoint.hasTlsIdentity == false)
    }

    @Test func `an instance gives its pod's endpoint`() {
        let world = World()
        let target = pod("books/db-0", ip: "10.0.0.9")
        world.index.apply(service("books/db", ip: nil))
        world.index.apply(target)
        world.index.apply(slice("books/db-x", of: "db", [target]) { $0.endpoints[0].hostname = "db-0" })
        #expect(world.profile("db-0.db.books.svc.cluster.local:5432").next()?.opaqueProtocol == true)
        #expect(world.profile("db-1.db.books.svc.cluster.local:5432").status?.code == .notFound)
    }
}

@Suite struct `Streams of one service` {
    private func filled(_ world: World, _ count: Int = 2) {
        world.index.apply(service("books/web"))
        let pods = (1...count).map { pod("books/p\($0)", ip: "10.0.0.\($0)") }
        for pod in pods { world.index.apply(pod) }
        world.index.apply(slice("books/web-1", of: "web", pods) { slice in for i in slice.endpoints.indices { slice.endpoints[i].zone = i % 2 == 0 ? "a" : "b" } })
    }

    @Test func `share one view and one message, however many they are`() {
        let world = World()
        filled(world)
        let streams = (0..<50).map { _ in world.get() }
        let profiles = (0..<50).map { _ in world.profile("10.96.0.1:80") }
        #expect(world.destination.viewCount == 2 && world.index.subscribedTopicCount == 2)
        let first = streams[0].stream.next()
        #expect(first != nil && streams.dropFirst().allSatisfy { $0.stream.next() === first })
        let profile = profiles[0].stream.next()
        #expect(profile != nil && profiles.dropFirst().allSatisfy { $0.stream.next() === profile })
        for stream in streams { stream.cancel() }
        for stream in profiles { stream.cancel() }
        #expect(world.destination.viewCount == 0 && world.index.subscribedTopicCount == 0)
    }

    @Test func `are told only what became another, and a late one everything`() {
        let world = World()
        filled(world, 5)
        let early = world.get()
        #expect(early.drain().map(summary) == ["add 10.0.0.1:8080 10.0.0.2:8080 10.0.0.3:8080 10.0.0.4:8080 10.0.0.5:8080"])
        world.index.apply(pod("books/p3", ip: "10.0.0.3") { $0.annotations["config.linkerd.io/opaque-ports"] = "8080" })
        world.index.flush()
        #expect(early.drain().map(summary) == ["add 10.0.0.3:8080"])
        // What the endpoints do not show is not told.
        world.index.apply(pod("books/p4", ip: "10.0.0.4") { $0.annotations["note"] = "x" })
        world.index.flush()
        #expect(early.drain().isEmpty)
        let late = world.get()
        #expect(late.next()?.add.addrs.map(\.protocolHint.protocol) == [.h2(.init()), .h2(.init()), .opaque(.init()), .h2(.init()), .h2(.init())])
    }

    @Test func `differ by zone, and follow their node into another`() {
        let world = World { $0.prefersLocalZone = true }
        filled(world)
        world.index.apply(Cluster.Node(name: "n1", zone: "a"))
        world.index.apply(Cluster.Node(name: "n2", zone: "a"))
        let (one, two, nowhere) = (world.get(token: #"{"nodeName":"n1"}"#), world.get(token: #"{"nodeName":"n2"}"#), world.get())
        #expect(world.destination.viewCount == 2)
        func weights(_ update: Mesh.Destination.Update?) -> [String] { update?.add.addrs.map { "\($0.metricLabels["zone_locality"] ?? "") \($0.weight)" } ?? [] }
        #expect(weights(one.next()) == ["local 100000", "remote 10000"] && weights(two.next()) == ["local 100000", "remote 10000"])
        #expect(weights(nowhere.next()) == ["unknown 10000", "unknown 10000"])
        world.index.apply(Cluster.Node(name: "n2", zone: "b"))
        world.index.flush()
        #expect(weights(two.next()) == ["remote 10000", "local 100000"] && one.drain().isEmpty && nowhere.drain().isEmpty)
        // Traffic that stays on the node makes each node a kind of its own.
        world.index.apply(service("books/web") { $0.isTrafficLocal = true })
        world.index.flush()
        #expect(one.drain().map(summary) == ["remove 10.0.0.1:8080 10.0.0.2:8080"])
        world.index.apply(service("books/web"))
        world.index.flush()
        #expect(one.drain().map(summary) == ["add 10.0.0.1:8080 10.0.0.2:8080"])
        for stream in [one, two, nowhere] { stream.cancel() }
        #expect(world.destination.viewCount == 0 && world.index.subscribedTopicCount == 0)
    }

    @Test func `are counted in upstream's names`() {
        let world = World()
        filled(world)
        let streams = [world.get(), world.get(capacity: 1)]
        _ = streams[0].drain()
        world.index.apply(slice("books/web-1", of: "web", []))
        world.index.flush()
        let labels = #"{cluster="local",namespace="books",service="web",port="80",hostname="",nodename="",zone=""}"#
        let text = world.metrics.exposition()
        for line in ["endpoints_subscribers\(labels) 1", "endpoints_updates\(labels) 1", "endpoints_pods\(labels) 0", "endpoints_exists\(labels) 1", #"endpoint_updates_queue_overflow{service="web.books:80"} 1"#] {
            #expect(text.contains(line + "\n"), "\(line)")
        }
    }
}

@Suite struct `Older proxies` {
    @Test func `are told no_endpoints of what is empty, missing or gone`() {
        let world = World { $0.sendsNoEndpoints = true }
        world.index.apply(service("books/web"))
        let (empty, missing) = (world.get(), world.get("later.books.svc.cluster.local:80"))
        #expect(empty.drain().map(summary) == ["none, though it exists"] && missing.drain().map(summary) == ["none, it does not exist"])
        let a = pod("books/a", ip: "10.0.0.1")
        world.index.apply(a)
        for name in ["web", "later"] {
            world.index.apply(service("books/\(name)"))
            world.index.apply(slice("books/\(name)-1", of: name, [a]))
        }
        world.index.flush()
        #expect(empty.drain().map(summary) == ["add 10.0.0.1:8080"] && missing.drain().map(summary) == ["add 10.0.0.1:8080"])
        world.index.apply(slice("books/web-1", of: "web", []))
        world.index.remove(service: name("books/later"))
        world.index.flush()
        #expect(empty.drain().map(summary) == ["none, though it exists"] && missing.drain().map(summary) == ["none, it does not exist"])
    }

    @Test func `are told of TrafficSplits as overrides, whose names they may ask for`() {
        let world = World { $0.readsTrafficSplits = true }
        for name in ["web", "web-v2"] { world.index.apply(service("books/\(name)")) }
        let stream = world.profile("web.books.svc.cluster.local:80")
        func overrides(_ profile: Mesh.Destination.DestinationProfile?) -> [String] { profile?.dstOverrides.map { "\($0.authority) \($0.weight)" } ?? [] }
        #expect(overrides(stream.next()) == ["web.books.svc.cluster.local.:80 10000"])
        var split = Cluster.TrafficSplit(name: name("books/canary"), createdAt: WallTime(seconds: 1), service: "web")
        split.backends = [.init(service: "web", weight: 9000), .init(service: "web-v2", weight: 1000)]
        world.index.apply(split)
        world.index.flush()
        #expect(overrides(stream.next()) == ["web.books.svc.cluster.local.:80 9000", "web-v2.books.svc.cluster.local.:80 1000"])
        #expect(world.get("web-v2.books.svc.cluster.local.:80").isOpen)
        world.index.remove(trafficSplit: name("books/canary"))
        world.index.flush()
        #expect(overrides(stream.next()) == ["web.books.svc.cluster.local.:80 10000"])
    }
}
