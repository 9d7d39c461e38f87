// Policy against the vectors written down from Linkerd's (shared facts on the control plane 14.5, on the data plane 2.2 and 3.5).

import Base
import ControlPlane
import GRPC
import Kube
import MeshAPI
import Transport
import Testing

private let token = #"{"ns":"books","pod":"a"}"#

private func inbound(_ index: ClusterIndex, _ port: UInt32 = 8080, workload: String = token, _ change: (inout PolicyOptions) -> Void = { _ in }) throws(GRPCStatus) -> Mesh.Inbound.Server {
    var options = PolicyOptions()
    change(&options)
    var spec = Mesh.Inbound.PortSpec()
    spec.workload = workload
    spec.port = port
    return try InboundPolicyService(index: index, options: options).getPort(spec)
}

@Suite struct InboundPolicyTests {
    @Test func `the oldest rate limit of a Server goes with its HTTP protocols`() throws {
        let index = ClusterIndex()
        index.apply(pod("books/a", ip: "10.0.0.1"))
        func set(_ proxyProtocol: String) {
            var server = Cluster.Server(name: name("books/web"), createdAt: WallTime(seconds: 2), podSelector: .init(), port: .number(8080))
            server.proxyProtocol = proxyProtocol
            index.apply(server)
        }
        set("HTTP/1")
        index.apply(Cluster.RateLimitPolicy(name: name("books/young"), createdAt: WallTime(seconds: 2), server: "web", total: 1))
        index.apply(Cluster.RateLimitPolicy(name: name("books/other"), createdAt: WallTime(seconds: 0), server: "db", total: 2))
        index.apply(
            Cluster.RateLimitPolicy(
                name: name("books/old"), createdAt: WallTime(seconds: 1), server: "web", total: 100, identity: 10, overrides: [.init(requestsPerSecond: 50, clients: [name("books/fast")])]))
        let limit = try inbound(index).protocol.http1.localRateLimit
        #expect(limit.metadata.resource.name == "old" && limit.total.requestsPerSecond == 100 && limit.identity.requestsPerSecond == 10)
        #expect(limit.overrides.map(\.limit.requestsPerSecond) == [50])
        #expect(limit.overrides[0].clients.identities.map(\.name) == ["fast.books.serviceaccount.identity.linkerd.cluster.local"])
        set("unknown")
        #expect(try inbound(index).protocol.detect.httpLocalRateLimit == limit)
        set("gRPC")
        #expect(try inbound(index).protocol.grpc.routes.count == 1)
        set("HTTP/2")
        index.remove(rateLimit: name("books/old"))
        #expect(try inbound(index).protocol.http2.localRateLimit.metadata.resource.name == "young")
    }

    @Test(arguments: [
        ("all-unauthenticated", 2, true), ("all-authenticated", 2, false), ("cluster-unauthenticated", 5, true), ("cluster-authenticated", 5, false), ("audit", 2, true),
    ])
    func `a default policy is written out as an authorization`(_ policy: String, _ networks: Int, _ open: Bool) throws {
        let index = ClusterIndex()
        index.apply(pod("books/a", ip: "10.0.0.1") { $0.annotations["config.linkerd.io/default-inbound-policy"] = policy })
        let server = try inbound(index)
        #expect(server.labels == ["group": "", "kind": "default", "name": policy])
        #expect(server.authorizations.count == 1 && server.authorizations[0].networks.count == networks && server.authorizations[0].metadata.default == policy)
        if open {
            #expect(server.authorizations[0].authentication.permit == .unauthenticated(.init()))
        } else {
            #expect(server.authorizations[0].authentication.meshTls.identities.suffixes == [.init()])
        }
        #expect(server.protocol.detect.httpRoutes.map(\.metadata.default) == ["default"] && server.protocol.detect.timeout.seconds == 10)
        #expect(server.protocol.detect.httpRoutes[0].authorizations == server.authorizations)
        #expect(server.protocol.detect.httpRoutes[0].rules[0].matches[0].path.prefix == "/")
    }

    @Test func `denying authorizes nobody but the kubelet's probes`() throws {
        let index = ClusterIndex()
        index.apply(pod("books/a", ip: "10.0.0.1") {
            $0.annotations["config.linkerd.io/default-inbound-policy"] = "deny"
            $0.containers[0].probes = [.init(path: "/live", port: 8080), .init(path: "/ready", port: 8080), .init(path: "/live", port: 8080), .init(path: "/other", port: 9)]
        })
        let server = try inbound(index)
        #expect(server.authorizations.isEmpty)
        let routes = server.protocol.detect.httpRoutes
        #expect(routes.map(\.metadata.default) == ["default", "probe"] && routes[0].authorizations.isEmpty)
        #expect(routes[1].rules[0].matches.map(\.path.exact) == ["/live", "/ready"] && routes[1].rules[0].matches.allSatisfy { $0.method.type == .registered(.get) })
        #expect(routes[1].authorizations[0].authentication.permit == .unauthenticated(.init()))
    }

    @Test func `the pod's word goes before its namespace's, and that before the cluster's`() throws {
        let index = ClusterIndex()
        index.apply(pod("books/a", ip: "10.0.0.1"))
        #expect(try inbound(index).labels["name"] == "all-unauthenticated")
        #expect(try inbound(index) { $0.defaultPolicy = .deny }.labels["name"] == "deny")
        var namespace = Cluster.Namespace(name: "books")
        namespace.annotations["config.linkerd.io/default-inbound-policy"] = "audit"
        index.apply(namespace)
        #expect(try inbound(index).labels["name"] == "audit")
        index.apply(pod("books/a", ip: "10.0.0.1") { $0.annotations["config.linkerd.io/default-inbound-policy"] = "nonsense" })
        #expect(try inbound(index).labels["name"] == "audit")
        index.apply(pod("books/a", ip: "10.0.0.1") { $0.annotations["config.linkerd.io/proxy-require-identity-inbound-ports"] = "8080" })
        #expect(try inbound(index).labels["name"] == "all-authenticated")
    }

    @Test func `a port in the pod's own list is opaque`() throws {
        let index = ClusterIndex()
        index.apply(pod("books/a", ip: "10.0.0.1") { $0.annotations["config.linkerd.io/opaque-ports"] = "3306" })
        #expect(try inbound(index, 3306).protocol.kind == .opaque(.init()))
        #expect(try inbound(index, 8080).protocol.detect.httpRoutes.count == 1)
    }

    @Test func `the oldest Server speaks for a port`() throws {
        let index = ClusterIndex()
        index.apply(pod("books/a", ip: "10.0.0.1"))
        var server = Cluster.Server(name: name("books/b"), createdAt: WallTime(seconds: 2), podSelector: .init(), port: .number(8080))
        server.proxyProtocol = "HTTP/2"
        index.apply(server)
        #expect(try inbound(index).protocol.http2.routes.count == 1)
        #expect(try inbound(index).labels == ["group": "policy.linkerd.io", "kind": "server", "name": "b"])
        #expect(try inbound(index).authorizations.isEmpty)
        server.name = name("books/z")
        server.createdAt = WallTime(seconds: 1)
        server.proxyProtocol = "gRPC"
        server.accessPolicy = "all-unauthenticated"
        index.apply(server)
        #expect(try inbound(index).protocol.grpc.routes.count == 1 && inbound(index).authorizations.count == 1)
    }

    @Test(arguments: [("", 80, GRPCStatus.Code.invalidArgument), ("{}", 80, .invalidArgument), ("books:a", 0, .invalidArgument), ("books:a", 65536, .invalidArgument), ("books:missing", 80, .notFound), (#"{"ns":"books","external_workload":"vm"}"#, 80, .notFound)])
    func `what cannot be asked is refused with its status`(_ workload: String, _ port: UInt32, _ code: GRPCStatus.Code) {
        let index = ClusterIndex()
        index.apply(pod("books/a", ip: "10.0.0.1"))
        #expect(throws: GRPCStatus.self) { try inbound(index, port, workload: workload) }
        do { _ = try inbound(index, port, workload: workload) } catch { #expect(error.code == code) }
        #expect((try? inbound(index, 80, workload: "books:a\n")) != nil)
    }

    @Test func `a watch tells changes and ends when the pod is gone`() {
        let index = ClusterIndex()
        index.apply(pod("books/a", ip: "10.0.0.1"))
        var spec = Mesh.Inbound.PortSpec()
        spec.workload = token
        spec.port = 8080
        let stream = ResponseStream<Mesh.Inbound.Server>()
        InboundPolicyService(index: index, options: PolicyOptions()).watchPort(spec, stream)
        #expect(stream.drain().count == 1)
        index.apply(pod("books/a", ip: "10.0.0.1") { $0.labels["x"] = "y" })
        index.flush()
        #expect(stream.drain().isEmpty)
        var namespace = Cluster.Namespace(name: "books")
        namespace.annotations["config.linkerd.io/default-inbound-policy"] = "deny"
        index.apply(namespace)
        index.flush()
        #expect(stream.drain().map(\.authorizations.count) == [0])
        index.remove(pod: name("books/a"))
        index.flush()
        #expect(stream.status?.code == .notFound && index.subscribedTopicCount == 0)
    }
}

@Suite struct OutboundPolicyTests {
    private func spec(_ target: String) -> Mesh.Outbound.TrafficSpec {
        var spec = Mesh.Outbound.TrafficSpec()
        spec.sourceWorkload = token
        if let address = SocketAddress(target) { spec.addr = Mesh.Net.TcpAddress(address) } else { spec.authority = target }
        return spec
    }

    private func get(_ index: ClusterIndex, _ target: String) throws(GRPCStatus) -> Mesh.Outbound.OutboundPolicy {
        try OutboundPolicyService(index: index, options: PolicyOptions()).get(spec(target))
    }

    @Test(arguments: ["10.96.0.1:80", "web.books.svc.cluster.local:80", "web.books.svc.cluster.local", "web.books.svc", "web.books.svc:80"])
    func `a service is detected and balanced`(_ target: String) throws {
        let index = ClusterIndex()
        index.apply(service("books/web"))
        let policy = try get(index, target)
        #expect(policy.metadata.resource.name == "web" && policy.metadata.resource.port == 80)
        #expect(policy.protocol.detect.timeout.seconds == 10)
        let route = policy.protocol.detect.http1.routes[0]
        #expect(route.metadata.default == "http" && route.rules[0].matches[0].path.prefix == "/")
        let backend = route.rules[0].backends.firstAvailable.backends[0].backend
        #expect(backend.balancer.discovery.dst.path == "web.books.svc.cluster.local:80" && backend.queue.capacity == 100)
        #expect(backend.balancer.peakEwma.defaultRtt.nanos == 30_000_000 && backend.balancer.peakEwma.decay.seconds == 10)
        #expect(policy.protocol.detect.http2.routes == policy.protocol.detect.http1.routes)
        #expect(policy.protocol.detect.opaque.routes[0].metadata.default == "opaq")
    }

    @Test func `a port that the service does not have is forbidden`() throws {
        let index = ClusterIndex()
        index.apply(service("books/web"))
        let policy = try get(index, "10.96.0.1:81")
        #expect(policy.metadata.default == "undefined-port")
        #expect(policy.protocol.opaque.routes[0].rules[0].filters[0].kind == .forbidden(.init()))
    }

    @Test(arguments: [("http", "http1"), ("kubernetes.io/h2c", "http2"), ("linkerd.io/tcp", "opaque"), ("linkerd.io/opaque", "opaque"), ("https", "opaque"), ("grpc", "opaque"), (nil, "detect")] as [(String?, String)])
    func `appProtocol decides`(_ appProtocol: String?, _ expected: String) throws {
        let index = ClusterIndex()
        index.apply(service("books/web", ports: [.init(name: "http", port: 80, appProtocol: appProtocol)]))
        let kind: String? =
            switch try get(index, "10.96.0.1:80").protocol.kind {
            case .detect: "detect"
            case .opaque: "opaque"
            case .http1: "http1"
            case .http2: "http2"
            default: nil
            }
        #expect(kind == expected)
    }

    @Test func `opaque ports hold where appProtocol is silent`() throws {
        let index = ClusterIndex()
        index.apply(service("books/db", ports: [.init(name: "db", port: 3306), .init(name: "h", port: 5432, appProtocol: "http"), .init(name: "w", port: 80)]))
        #expect(try get(index, "10.96.0.1:3306").protocol.opaque.routes.count == 1)
        #expect(try get(index, "10.96.0.1:5432").protocol.http1.routes.count == 1)
        index.apply(service("books/db", ports: [.init(name: "db", port: 3306)]) { $0.annotations["config.linkerd.io/opaque-ports"] = "" })
        #expect(try get(index, "10.96.0.1:3306").protocol.detect.http1.routes.count == 1)
    }

    @Test func `outside the cluster is forwarded, inside and unknown is not found`() throws {
        let index = ClusterIndex()
        let policy = try get(index, "203.0.113.9:443")
        #expect(policy.metadata.default == "egress-fallback")
        let backend = policy.protocol.detect.opaque.routes[0].rules[0].backends.firstAvailable.backends[0].backend
        #expect(SocketAddress(backend.forward.addr) == SocketAddress("203.0.113.9:443"))
        for target in ["10.1.1.1:80", "[fd00::1]:80", "missing.books.svc.cluster.local", "example.com:80", "web.books.svc.cluster.local.:80"] {
            do {
                _ = try get(index, target)
                Issue.record("\(target) was answered")
            } catch { #expect(error.code == .notFound) }
        }
        var empty = Mesh.Outbound.TrafficSpec()
        empty.sourceWorkload = token
        let service = OutboundPolicyService(index: index, options: PolicyOptions())
        for bad in [empty, Mesh.Outbound.TrafficSpec(), spec("web.books.svc:0"), spec("10.0.0.1:0")] {
            do {
                _ = try service.get(bad)
                Issue.record("answered")
            } catch { #expect(error.code == .invalidArgument) }
        }
    }

    @Test func `annotations ask for circuit breaking`() throws {
        let index = ClusterIndex()
        func accrual(_ annotations: KubeLabels) throws -> Mesh.Outbound.FailureAccrual? {
            index.apply(service("books/web") { $0.annotations = annotations })
            let http = try get(index, "10.96.0.1:80").protocol.detect.http2
            return http.hasFailureAccrual ? http.failureAccrual : nil
        }
        let key = "balancer.linkerd.io/failure-accrual"
        #expect(try accrual([:]) == nil)
        let plain = try accrual([key: "consecutive"])?.consecutiveFailures
        #expect(plain?.maxFailures == 7 && plain?.backoff.minBackoff.seconds == 1 && plain?.backoff.maxBackoff.seconds == 60 && plain?.backoff.jitterRatio == 0.5)
        let custom = try accrual([key: "consecutive", "\(key)-consecutive-max-failures": "3", "\(key)-consecutive-min-penalty": "250ms", "\(key)-consecutive-max-penalty": "2m"])?.consecutiveFailures
        #expect(custom?.maxFailures == 3 && custom?.backoff.minBackoff.nanos == 250_000_000 && custom?.backoff.maxBackoff.seconds == 120)
        for bad in ["x", "1", "2h", "-1s"] { #expect(try accrual([key: "consecutive", "\(key)-consecutive-min-penalty": bad]) == nil) }
        #expect(try accrual([key: "unified"])?.unified.successRateThreshold == 0.8)
        #expect(try accrual([key: "other"]) == nil)
    }

    @Test func `annotations ask for timeouts and retries`() throws {
        let index = ClusterIndex()
        func rule(_ annotations: KubeLabels) throws -> Mesh.Outbound.HttpRoute.Rule {
            index.apply(service("books/web") { $0.annotations = annotations })
            let detect = try get(index, "10.96.0.1:80").protocol.detect
            #expect(detect.http1.routes == detect.http2.routes)
            return detect.http1.routes[0].rules[0]
        }
        let plain = try rule([:])
        #expect(!plain.hasTimeouts && !plain.hasRetry)
        let timed = try rule(["timeout.linkerd.io/request": "1s", "timeout.linkerd.io/response": "250ms", "timeout.linkerd.io/idle": "0"])
        #expect(timed.timeouts.request.seconds == 1 && timed.timeouts.response.nanos == 250_000_000 && !timed.timeouts.hasIdle && !timed.hasRetry)
        #expect(try !rule(["timeout.linkerd.io/request": "1", "timeout.linkerd.io/idle": "1s"]).hasTimeouts, "one bad value spoils the set")
        let retry = try rule(["retry.linkerd.io/http": "5xx, 429,gateway-error,400-404", "retry.linkerd.io/limit": "3", "retry.linkerd.io/timeout": "100ms"]).retry
        #expect(retry.conditions.statusRanges.map(\.start) == [500, 429, 502, 400] && retry.conditions.statusRanges.map(\.end) == [599, 429, 504, 404])
        #expect(retry.maxRetries == 3 && retry.timeout.nanos == 100_000_000 && retry.maxRequestBytes == 65_536)
        #expect(retry.backoff.minBackoff.nanos == 25_000_000 && retry.backoff.maxBackoff.nanos == 250_000_000 && retry.backoff.jitterRatio == 1)
        let bare = try rule(["retry.linkerd.io/limit": "0"])
        #expect(bare.hasRetry && bare.retry.maxRetries == 1 && bare.retry.hasConditions && bare.retry.conditions.statusRanges.isEmpty)
        for bad in ["6xx", "99", "600", "504-502", "", "500,", "a-b"] { #expect(try !rule(["retry.linkerd.io/http": bad]).hasRetry, "\(bad)") }
    }

    @Test func `a watch tells changes and ends when the service is gone`() {
        let index = ClusterIndex()
        index.apply(service("books/web"))
        let policies = OutboundPolicyService(index: index, options: PolicyOptions())
        let stream = ResponseStream<Mesh.Outbound.OutboundPolicy>()
        policies.watch(spec("10.96.0.1:81"), stream)
        #expect(stream.drain().map(\.metadata.default) == ["undefined-port"])
        index.apply(service("books/web", ports: [.init(name: "http", port: 81)]))
        index.flush()
        #expect(stream.drain().map(\.metadata.resource.port) == [81])
        index.remove(service: name("books/web"))
        index.flush()
        #expect(stream.status?.code == .notFound && index.subscribedTopicCount == 0)
    }
}
