// Messages of the proxy API against the values they become, and every rule a message can break.

import Base
import GRPC
import HTTP
import MeshAPI
import Testing

@testable import Proxy

@Suite struct `what the destination API says` {
    @Test func `of a meshed pod becomes an endpoint`() throws {
        let message = weighted("10.1.2.3:8080") {
            $0.tlsIdentity.dnsLikeIdentity.name = MeshAuthority.name("web")
            $0.tlsIdentity.serverName.name = MeshAuthority.name("web")
            $0.protocolHint.h2 = .init()
            $0.protocolHint.opaqueTransport.inboundPort = 4143
            $0.metricLabels = ["pod": "web-1", "namespace": "other", "zone_locality": "local"]
            $0.authorityOverride.authorityOverride = "web.shop:80"
            $0.http2.keepAlive.interval = Mesh.duration(.seconds(10))
            $0.http2.keepAlive.timeout = Mesh.duration(.seconds(3))
            $0.http2.keepAlive.whileIdle = true
            $0.http2.flowControl.initialStreamWindowSize = 1_000_000
        }
        let endpoint = try #require(Endpoint(message, setLabels: ["namespace": "shop", "service": "web"]))
        #expect(endpoint.address == address("10.1.2.3:8080") && endpoint.identity == MeshAuthority.name("web") && endpoint.serverName == endpoint.identity)
        #expect(endpoint.hint == .http2 && endpoint.transportPort == 4143 && endpoint.authorityOverride == "web.shop:80" && endpoint.locality == .local)
        #expect(endpoint.labels.map { "\($0.name)=\($0.value)" } == ["namespace=other", "pod=web-1", "service=web", "zone_locality=local"])
        #expect(endpoint.http2.keepAliveInterval == .seconds(10) && endpoint.http2.keepAliveTimeout == .seconds(3) && endpoint.http2.keepAliveWhileIdle)
        #expect(endpoint.http2.initialStreamWindowBytes == 1_000_000 && endpoint.http2.initialConnectionWindowBytes == nil)
    }

    @Test func `of a workload outside has a URI identity and a server name`() throws {
        let endpoint = try #require(Endpoint(weighted("10.1.2.3:8080") {
            $0.tlsIdentity.uriLikeIdentity.uri = "spiffe://cluster.local/vm"
            $0.tlsIdentity.serverName.name = "vm.shop"
        }))
        #expect(endpoint.identity == "spiffe://cluster.local/vm" && endpoint.serverName == "vm.shop")
    }

    @Test(arguments: [
        Mesh.Destination.TlsIdentity.with { $0.dnsLikeIdentity.name = "" }, .with { $0.dnsLikeIdentity.name = "web.shop." }, .with { $0.dnsLikeIdentity.name = "web shop" },
        .with { $0.uriLikeIdentity.uri = "spiffe://cluster.local/vm" }, .with { $0.uriLikeIdentity.uri = "http://vm"; $0.serverName.name = "vm" }, .init(),
    ]) func `of an identity that is none leaves the endpoint unmeshed`(_ tls: Mesh.Destination.TlsIdentity) throws {
        let endpoint = try #require(Endpoint(weighted("10.1.2.3:8080") { $0.tlsIdentity = tls }))
        #expect(endpoint.identity == nil && endpoint.serverName == nil)
    }

    @Test(arguments: [UInt32(0), 65_535, 65_536, 70_000]) func `of a transport port out of range is not used`(_ port: UInt32) throws {
        #expect(try #require(Endpoint(weighted("10.1.2.3:8080") { $0.protocolHint.opaqueTransport.inboundPort = port })).transportPort == nil)
    }

    @Test func `of an address that is none is dropped, its siblings stay`() {
        var table = EndpointTable()
        var update = add("10.1.0.2:80", "10.1.0.1:80")
        update.add.addrs.append(Mesh.Destination.WeightedAddr())
        update.add.addrs.append(.with { $0.addr.ip.ipv4 = 1; $0.addr.port = 70_000 })
        guard case .exists(let endpoints)? = table.apply(update, name: "web:80") else { return #expect(Bool(false)) }
        #expect(endpoints.map(\.address) == [address("10.1.0.1:80"), address("10.1.0.2:80")] && table.droppedCount == 2)
    }

    @Test func `of a profile keeps what it can and drops what it cannot read`() {
        var message = Mesh.Destination.DestinationProfile()
        message.fullyQualifiedName = "web.shop.svc.cluster.local."
        message.retryBudget.retryRatio = 0.2
        message.retryBudget.minRetriesPerSecond = 10
        message.retryBudget.ttl = Mesh.duration(.seconds(10))
        message.routes = [
            .with { route in
                route.condition.all.matches = [.with { $0.method.registered = .get }, .with { $0.path.regex = "/books/[^/]+" }]
                route.metricsLabels = ["route": "GET /books/{id}"]
                route.isRetryable = true
                route.timeout = Mesh.duration(.milliseconds(300))
                route.responseClasses = [.with { $0.condition.status.min = 500; $0.condition.status.max = 599; $0.isFailure = true }, .with { $0.condition.status.min = 599; $0.condition.status.max = 500 }]
            },
            .with { $0.condition.not.method.unregistered = "a b" }, .init(),
        ]
        message.dstOverrides = [.with { $0.authority = "a.shop.svc.cluster.local.:80"; $0.weight = 5000 }, .with { $0.authority = "b.shop:80"; $0.weight = 0 }, .with { $0.authority = "no port"; $0.weight = 1 }]
        let profile = ServiceProfile(message)
        #expect(profile.fullyQualifiedName == "web.shop.svc.cluster.local" && profile.routes.count == 1)
        #expect(profile.routes[0].condition == .all([.method(.get), .path(regex: "/books/[^/]+")]) && profile.routes[0].isRetryable && profile.routes[0].timeout == .milliseconds(300))
        #expect(profile.routes[0].responseClasses == [.init(condition: .status(500...599), isFailure: true)])
        #expect(profile.overrides.count == 1 && profile.overrides[0] == ("a.shop.svc.cluster.local:80", 5000))
        #expect(profile.budget.ratioPermille == 200 && profile.budget.ttl == .seconds(10))

        // A budget out of its bounds turns retries off.
        message.retryBudget.ttl = Mesh.duration(.seconds(61))
        #expect(!ServiceProfile(message).routes[0].isRetryable)
    }
}

@Suite struct `what the outbound policy API says` {
    @Test func `of a Service becomes detection with a balancer`() {
        let policy = OutboundPolicy(servicePolicy("web.shop.svc.cluster.local:80"))
        guard case .detect(let http1, let http2, let opaque) = policy.kind else { return #expect(Bool(false), "\(policy)") }
        let backend = Backend(kind: .balance("web.shop.svc.cluster.local:80"), name: ResourceName(group: "core", kind: "Service", namespace: "shop", name: "web", port: 80))
        #expect(http1 == http2 && http1.routes.map(\.name) == [ResourceName(name: "http")] && http1.routes[0].rules[0].backends == .firstAvailable([backend]))
        #expect(opaque.map(\.backends) == [.firstAvailable([backend])] && policy.parent.name == "web" && policy.parent.port == 80)
    }

    @Test func `of routes keeps matches, filters, timeouts and retries`() throws {
        var message = servicePolicy("web.shop.svc.cluster.local:80")
        message.protocol.detect.http1.routes[0].hosts = [.with { $0.suffix.reverseLabels = ["com", "example"] }]
        message.protocol.detect.http1.routes[0].rules[0].matches = [.with { match in
            match.path.prefix = "/api"
            match.method.registered = .post
            match.headers = [.init(name: "X-Tenant", exact: Array("blue".utf8)), .with { $0.name = "cookie"; $0.regex = ".*a=1.*" }]
            match.queryParams = [.with { $0.name = "v"; $0.exact = "2" }]
        }]
        message.protocol.detect.http1.routes[0].rules[0].filters = [
            .with { $0.failureInjector.status = 503; $0.failureInjector.ratio.numerator = 1; $0.failureInjector.ratio.denominator = 10 },
            .with { $0.requestHeaderModifier.add.headers = [.init(name: "X-A", value: Array("1".utf8))]; $0.requestHeaderModifier.remove = ["X-B"] },
            .with { $0.redirect.host = "other"; $0.redirect.scheme.registered = .https; $0.redirect.path.prefix = "/new" },
        ]
        message.protocol.detect.http1.routes[0].rules[0].timeouts.request = Mesh.duration(.seconds(2))
        message.protocol.detect.http1.routes[0].rules[0].retry = .with {
            $0.maxRetries = 2
            $0.conditions.statusRanges = [.with { $0.start = 502; $0.end = 504 }]
            $0.backoff.minBackoff = Mesh.duration(.milliseconds(25))
            $0.backoff.maxBackoff = Mesh.duration(.milliseconds(250))
            $0.backoff.jitterRatio = 1
        }
        message.protocol.detect.http1.failureAccrual.consecutiveFailures.maxFailures = 7
        message.protocol.detect.http1.failureAccrual.consecutiveFailures.backoff = .with {
            $0.minBackoff = Mesh.duration(.seconds(1))
            $0.maxBackoff = Mesh.duration(.seconds(60))
            $0.jitterRatio = 0.5
        }
        guard case .detect(let http, _, _) = OutboundPolicy(message).kind else { return #expect(Bool(false), "\(OutboundPolicy(message).kind)") }
        let rule = http.routes[0].rules[0]
        #expect(http.routes[0].hosts == [.suffix(["com", "example"])])
        #expect(rule.matches[0].path == .prefix("/api") && rule.matches[0].method == .post && rule.matches[0].headers.map(\.name) == ["x-tenant", "cookie"])
        #expect(rule.matches[0].headers[0].value == .exact("blue") && rule.matches[0].headers[1].value == .regex(".*a=1.*") && rule.matches[0].queryParameters.count == 1)
        #expect(rule.filters[0] == .failure(status: 503, message: "", numerator: 1, denominator: 10))
        #expect(rule.filters[1] == .requestHeaders(.init(add: [Label(name: "x-a", value: "1")], remove: ["x-b"])))
        #expect(rule.filters[2] == .redirect(.init(scheme: .https, host: "other", path: .prefix("/new"), status: 301)))
        #expect(rule.timeouts == Timeouts(request: .seconds(2)) && rule.retry?.retriesMax == 2 && rule.retry?.statuses == [502...504] && rule.retry?.jitterPercent == 100)
        #expect(http.failureAccrual == FailureAccrual())
    }

    @Test func `of gRPC routes names calls by their path`() {
        var message = Mesh.Outbound.OutboundPolicy()
        message.metadata = Mesh.Meta.Metadata(default: "x")
        let backends = Mesh.Outbound.GrpcRoute.Distribution.with { $0.empty = .init() }
        message.protocol.grpc.routes = [.with { route in
            route.metadata = Mesh.Meta.Metadata(default: "calls")
            route.rules = [.with { rule in
                rule.backends = backends
                rule.matches = [
                    .with { $0.rpc.service = "shop.Cart"; $0.rpc.method = "Get" }, .with { $0.rpc.service = "shop.Cart" }, .with { $0.rpc.method = "Get+" }, .init(),
                ]
                rule.retry = .with { $0.maxRetries = 1; $0.conditions.unavailable = true; $0.conditions.cancelled = true }
            }]
        }]
        guard case .grpc(let routing) = OutboundPolicy(message).kind else { return #expect(Bool(false)) }
        let rule = routing.routes[0].rules[0]
        #expect(rule.matches.map(\.path) == [.exact("/shop.Cart/Get"), .prefix("/shop.Cart"), .regex("/[^/]+/Get\\+"), nil] && rule.matches.allSatisfy { $0.method == .post })
        #expect(rule.retry?.grpcCodes == [1, 14] && rule.backends == .empty)
    }

    /// Each breaks one rule of a good policy.
    static let breakages: [(String, @Sendable (inout Mesh.Outbound.OutboundPolicy) -> Void)] = [
        ("no protocol", { $0.clearProtocol() }), ("no metadata", { $0.clearMetadata() }), ("detection without opaque", { $0.protocol.detect.clearOpaque() }),
        ("a route without metadata", { $0.protocol.detect.http1.routes[0].clearMetadata() }), ("a rule without backends", { $0.protocol.detect.http1.routes[0].rules[0].clearBackends() }),
        ("a backend without metadata", { $0.protocol.detect.http1.routes[0].rules[0].backends.firstAvailable.backends[0].backend.clearMetadata() }),
        ("a balancer without a path", { $0.protocol.detect.http1.routes[0].rules[0].backends.firstAvailable.backends[0].backend.balancer.discovery.dst.path = "" }),
        ("a backoff that shrinks", {
            $0.protocol.detect.http1.failureAccrual.consecutiveFailures.backoff.minBackoff = Mesh.duration(.seconds(2))
            $0.protocol.detect.http1.failureAccrual.consecutiveFailures.backoff.maxBackoff = Mesh.duration(.seconds(1))
        }),
        ("a jitter over 100", {
            $0.protocol.detect.http1.failureAccrual.consecutiveFailures.backoff.minBackoff = Mesh.duration(.seconds(1))
            $0.protocol.detect.http1.failureAccrual.consecutiveFailures.backoff.maxBackoff = Mesh.duration(.seconds(1))
            $0.protocol.detect.http1.failureAccrual.consecutiveFailures.backoff.jitterRatio = 101
        }),
        ("a negative timeout", { $0.protocol.detect.http1.routes[0].rules[0].timeouts.request = Mesh.duration(.seconds(-1)) }),
        ("a ratio over nothing", { $0.protocol.detect.http1.routes[0].rules[0].filters = [.with { $0.failureInjector.status = 500; $0.failureInjector.ratio.numerator = 1 }] }),
        ("a filter of no kind", { $0.protocol.detect.http1.routes[0].rules[0].filters = [.init()] }),
        ("a header that is none", { $0.protocol.detect.http1.routes[0].rules[0].filters = [.with { $0.requestHeaderModifier.set.headers = [.init(name: "a b", value: [])] }] }),
        ("a header with a line break", { $0.protocol.detect.http1.routes[0].rules[0].filters = [.with { $0.requestHeaderModifier.set.headers = [.init(name: "a", value: [13, 10])] }] }),
        ("a relative path", { $0.protocol.detect.http1.routes[0].rules[0].matches = [.with { $0.path.exact = "x" }] }),
        ("a retry without conditions", { $0.protocol.detect.http1.routes[0].rules[0].retry.maxRetries = 1 }),
    ]

    @Test(arguments: breakages.indices) func `and breaks a rule makes the policy invalid`(_ i: Int) {
        var message = servicePolicy("web.shop.svc.cluster.local:80")
        Self.breakages[i].1(&message)
        guard case .invalid(let reason) = OutboundPolicy(message).kind else { return #expect(Bool(false), "\(Self.breakages[i].0) was accepted") }
        #expect(!reason.isEmpty)
    }

    @Test func `of a backend without a kind fails by name`() {
        var message = servicePolicy("web.shop.svc.cluster.local:80")
        message.protocol.detect.http1.routes[0].rules[0].backends.firstAvailable.backends[0].backend.kind = nil
        guard case .detect(let http, _, _) = OutboundPolicy(message).kind, case .firstAvailable(let backends) = http.routes[0].rules[0].backends, case .fail(let text) = backends[0].kind else { return #expect(Bool(false)) }
        #expect(text.contains("shop/web"))
    }

    @Test func `of an undefined port forbids`() {
        var message = servicePolicy("web.shop.svc.cluster.local:80")
        let route = message.protocol.detect.opaque.routes[0]
        message.protocol.opaque.routes = [route]
        message.protocol.opaque.routes[0].rules[0].filters = [.with { $0.forbidden = .init() }]
        guard case .opaque(let routes) = OutboundPolicy(message).kind else { return #expect(Bool(false)) }
        #expect(routes[0].refusal == "forbidden")
    }
}

@Suite struct `what the inbound policy API says` {
    @Test func `names the server and whom it lets in`() throws {
        var message = server("web-http", networks: ["10.0.0.0/8"])
        message.authorizations[0].networks[0].except = [Mesh.Net.IPNetwork(IPNetwork("10.9.0.0/16")!)]
        message.authorizations[0].authentication.meshTls.identities.identities = [.with { $0.name = MeshAuthority.name("cart") }]
        message.authorizations[0].authentication.meshTls.identities.suffixes = [.with { $0.parts = ["bank", "serviceaccount", "identity", "linkerd", "cluster", "local"] }]
        let policy = try InboundPolicy(message, detectTimeout: .seconds(1))
        #expect(policy.server == ResourceName(group: "policy.linkerd.io", kind: "server", name: "web-http"))
        guard case .detect(.seconds(10), let routes) = policy.kind else { return #expect(Bool(false)) }
        #expect(routes.count == 1)
        func client(_ ip: String, _ identity: String?) -> InboundClient { InboundClient(address: address(ip + ":1"), isMeshTLS: identity != nil, identity: identity) }
        #expect(policy.authorization(for: client("10.1.0.1", MeshAuthority.name("cart")))?.name.name == "web-http-clients")
        #expect(policy.authorization(for: client("10.1.0.1", MeshAuthority.name("any", "bank"))) != nil)
        #expect(policy.authorization(for: client("10.1.0.1", MeshAuthority.name("any", "shop"))) == nil)
        #expect(policy.authorization(for: client("10.9.0.1", MeshAuthority.name("cart"))) == nil && policy.authorization(for: client("11.1.0.1", MeshAuthority.name("cart"))) == nil)
        #expect(policy.authorization(for: client("10.1.0.1", nil)) == nil && policy.authorization(for: client("127.0.0.1", nil)) == .loopback)
    }

    @Test func `and breaks a rule is refused whole`() {
        let breakages: [(inout Mesh.Inbound.Server) -> Void] = [
            { $0.clearProtocol() }, { $0.authorizations[0].clearAuthentication() }, { $0.authorizations[0].authentication.meshTls = .init() }, { $0.authorizations[0].networks[0].clearNet() },
            { $0.authorizations[0].networks[0].net.prefixLen = 33 }, { $0.protocol.detect.httpRoutes[0].clearMetadata() }, { $0.protocol.detect.httpRoutes[0].rules[0].filters = [.init()] },
            { $0.protocol.detect.httpLocalRateLimit = .with { $0.metadata = Mesh.Meta.Metadata(default: "x"); $0.total.requestsPerSecond = 0 } },
        ]
        for (i, breakage) in breakages.enumerated() {
            var message = server("web")
            breakage(&message)
            #expect(throws: InvalidPolicy.self, "breakage \(i)") { try InboundPolicy(message, detectTimeout: .seconds(1)) }
        }
    }

    @Test func `limits rates`() throws {
        var message = server("web")
        message.protocol.detect.httpLocalRateLimit = .with {
            $0.metadata = Mesh.Meta.Metadata(group: "policy.linkerd.io", kind: "httplocalratelimitpolicy", namespace: "shop", name: "rl")
            $0.total.requestsPerSecond = 100
            $0.identity.requestsPerSecond = 10
            $0.overrides = [.with { $0.limit.requestsPerSecond = 50; $0.clients.identities = [.with { $0.name = "a" }] }]
        }
        let limit = try #require(try InboundPolicy(message, detectTimeout: .seconds(1)).rateLimit)
        #expect(limit.total == 100 && limit.identity == 10 && limit.overrides == [.init(requestsPerSecond: 50, identities: ["a"])] && limit.name.name == "rl")
    }

    @Test(arguments: DefaultPolicy.allCases) func `by default is as configured`(_ policy: DefaultPolicy) {
        let cluster = [IPNetwork("10.0.0.0/8")!]
        let made = InboundPolicy(policy, clusterNetworks: cluster, isOpaque: false, detectTimeout: .seconds(10))
        func lets(_ ip: String, meshed: Bool) -> Bool { made.authorization(for: InboundClient(address: address(ip + ":1"), isMeshTLS: meshed, identity: meshed ? "a.b" : nil)) != nil }
        let expected: [Bool] =  // inside meshed, inside plain, outside meshed, outside plain
            switch policy {
            case .deny: [false, false, false, false]
            case .allAuthenticated: [true, false, true, false]
            case .allUnauthenticated, .audit: [true, true, true, true]
            case .clusterAuthenticated: [true, false, false, false]
            case .clusterUnauthenticated: [true, true, false, false]
            }
        #expect([lets("10.1.1.1", meshed: true), lets("10.1.1.1", meshed: false), lets("192.0.2.1", meshed: true), lets("192.0.2.1", meshed: false)] == expected)
        #expect(made.server.name == policy.rawValue && (policy == .deny) == (made.kind == .opaque))
        #expect(InboundPolicy(policy, clusterNetworks: cluster, isOpaque: true, detectTimeout: .seconds(10)).kind == .opaque)
    }
}
