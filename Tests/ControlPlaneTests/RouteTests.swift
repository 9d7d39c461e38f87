// Routes and networks outside, from objects to what proxies are told. Vectors: shared facts on the control plane 3.2, 3.3, 14.5; the
// Gateway API's conformance manifests.

import Base
import Documents
import Foundation
import GRPC
import Kube
import MeshAPI
import Testing
import Transport

@testable import ControlPlane

private func object(_ yaml: String) throws -> KubeObject { KubeObject(try #require(try YAML.parse(Array(yaml.utf8)).first?.value)) }

private func route(_ kind: Cluster.Route.Kind, _ yaml: String, age: Int = 0) throws -> Cluster.Route {
    var object = try object(yaml)
    object.value.put(.string("\(WallTime(seconds: 1_000_000 - Int64(age)))"), at: "metadata", "creationTimestamp")
    return Cluster.Route(object, kind: kind)
}

private func outbound(_ index: ClusterIndex, _ target: String, from namespace: String = "client", _ change: (inout PolicyOptions) -> Void = { _ in }) throws(GRPCStatus) -> Mesh.Outbound.OutboundPolicy {
    var options = PolicyOptions()
    change(&options)
    var spec = Mesh.Outbound.TrafficSpec()
    spec.sourceWorkload = "{\"ns\":\"\(namespace)\",\"pod\":\"p\"}"
    if let address = SocketAddress(target) { spec.addr = Mesh.Net.TcpAddress(address) } else { spec.authority = target }
    return try OutboundPolicyService(index: index, options: options).get(spec)
}

private func inbound(_ index: ClusterIndex) throws(GRPCStatus) -> Mesh.Inbound.Server {
    var spec = Mesh.Inbound.PortSpec()
    spec.workload = #"{"ns":"books","pod":"a"}"#
    spec.port = 8080
    return try InboundPolicyService(index: index, options: PolicyOptions()).getPort(spec)
}

private func books(_ ports: [Cluster.Service.Port] = [.init(name: "http", port: 80)], _ change: (inout Cluster.Service) -> Void = { _ in }) -> ClusterIndex {
    let index = ClusterIndex()
    index.apply(service("books/web", ip: "10.96.0.1", ports: ports, change))
    index.apply(service("books/v2", ip: "10.96.0.2"))
    return index
}

private let target = "web.books.svc.cluster.local:80"
private let toWeb = "parentRefs: [{group: core, kind: Service, name: web, namespace: books, port: 80}]"

@Suite struct OutboundRouteTests {
    @Test func `a route's matches, filters, timeouts and weights reach the proxy`() throws {
        let index = books()
        index.routes.apply(
            try route(
                .http,
                """
                metadata: {name: r, namespace: books, annotations: {retry.linkerd.io/http: 5xx, timeout.linkerd.io/response: 2s}}
                spec:
                  \(toWeb)
                  hostnames: [web.example, "*.shop.example"]
                  rules:
                  - matches:
                    - {path: {type: Exact, value: /a}, method: POST, headers: [{name: X-Version, value: two}], queryParams: [{name: q, type: RegularExpression, value: "a+"}]}
                    - {path: {type: RegularExpression, value: "/b.*"}}
                    filters:
                    - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: A, value: b}], remove: [C]}}
                    - {type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: D, value: e}]}}
                    - {type: RequestRedirect, requestRedirect: {scheme: https, hostname: x.example, port: 8443, statusCode: 302, path: {type: ReplacePrefixMatch, replacePrefixMatch: /p}}}
                    timeouts: {request: 10s, backendRequest: 3s}
                    backendRefs: [{name: web, port: 80, weight: 9}, {name: v2, port: 80}, {name: gone, port: 80}]
                """))
        let policy = try outbound(index, target)
        #expect(policy.protocol.detect.http1.routes == policy.protocol.detect.http2.routes && policy.protocol.detect.opaque.routes.map(\.metadata.default) == ["opaq"])
        let written = try #require(policy.protocol.detect.http1.routes.first)
        #expect(policy.protocol.detect.http1.routes.count == 1 && written.metadata.resource.kind == "HTTPRoute" && written.metadata.resource.group == "gateway.networking.k8s.io")
        #expect(written.hosts.map(\.exact) == ["web.example", ""] && written.hosts[1].suffix.reverseLabels == ["example", "shop"])
        let rule = written.rules[0]
        #expect(rule.matches[0].path.exact == "/a" && rule.matches[0].method.registered == .post && rule.matches[0].headers[0].name == "x-version")
        #expect(rule.matches[0].headers[0].exactBytes == Array("two".utf8) && rule.matches[0].queryParams[0].regex == "a+" && rule.matches[1].path.regex == "/b.*")
        #expect(rule.filters[0].requestHeaderModifier.set.headers[0].valueBytes == Array("b".utf8) && rule.filters[0].requestHeaderModifier.remove == ["c"])
        #expect(rule.filters[1].responseHeaderModifier.add.headers[0].name == "d")
        let redirect = rule.filters[2].redirect
        #expect(redirect.scheme.registered == .https && redirect.host == "x.example" && redirect.port == 8443 && redirect.status == 302 && redirect.path.prefix == "/p")
        #expect(rule.timeouts.request.seconds == 10 && rule.timeouts.response.seconds == 2 && rule.retry.conditions.statusRanges.map(\.start) == [500])
        let backends = rule.backends.randomAvailable.backends
        #expect(backends.map(\.weight) == [9, 1, 1] && backends[0].backend.backend.balancer.discovery.dst.path == target)
        #expect(backends.allSatisfy { $0.backend.requestTimeout.seconds == 3 })
        #expect(backends[2].backend.filters[0].failureInjector.status == 500 && backends[2].backend.filters[0].failureInjector.message == "Service not found gone" && backends[2].backend.backend.kind == nil)
    }

    @Test func `a service without routes has the default one, with routes only those`() throws {
        let index = books { $0.annotations["timeout.linkerd.io/request"] = "7s" }
        #expect(try outbound(index, target).protocol.detect.http1.routes.map(\.metadata.default) == ["http"])
        index.routes.apply(try route(.policyHTTP, "{metadata: {name: r, namespace: books}, spec: {\(toWeb), rules: [{}]}}"))
        let routes = try outbound(index, target).protocol.detect.http1.routes
        #expect(routes.map(\.metadata.resource.group) == ["policy.linkerd.io"] && routes[0].rules[0].matches[0].path.prefix == "/")
        #expect(routes[0].rules[0].backends.firstAvailable.backends[0].backend.balancer.discovery.dst.path == target && routes[0].rules[0].timeouts.request.seconds == 7)
        // The route's annotations replace the Service's as a whole.
        index.routes.apply(try route(.policyHTTP, "{metadata: {name: r, namespace: books, annotations: {timeout.linkerd.io/idle: 1s}}, spec: {\(toWeb), rules: [{}]}}"))
        let replaced = try outbound(index, target).protocol.detect.http1.routes[0].rules[0].timeouts
        #expect(!replaced.hasRequest && replaced.idle.seconds == 1)
        // The annotation beats the rule's own timeout.
        index.routes.apply(try route(.policyHTTP, "{metadata: {name: r, namespace: books, annotations: {timeout.linkerd.io/request: 1s}}, spec: {\(toWeb), rules: [{timeouts: {request: 5s}}]}}"))
        #expect(try outbound(index, target).protocol.detect.http1.routes[0].rules[0].timeouts.request.seconds == 1)
        index.routes.remove(Cluster.Route.ID(.policyHTTP, name("books/r")))
        #expect(try outbound(index, target).protocol.detect.http1.routes.map(\.metadata.default) == ["http"])
    }

    @Test func `a producer's route is for all, a consumer's for its own namespace, where it comes first`() throws {
        let index = books()
        index.routes.apply(try route(.http, "{metadata: {name: producer, namespace: books}, spec: {\(toWeb), rules: [{}]}}", age: 100))
        index.routes.apply(try route(.http, "{metadata: {name: consumer, namespace: client}, spec: {\(toWeb), rules: [{}]}}"))
        func names(_ namespace: String) throws -> [String] { try outbound(index, target, from: namespace).protocol.detect.http1.routes.map(\.metadata.resource.name) }
        #expect(try names("client") == ["consumer", "producer"] && names("other") == ["producer"] && names("books") == ["producer"])
    }

    @Test func `routes are in the order of age, and only those of the port`() throws {
        let index = books([.init(name: "http", port: 80), .init(name: "admin", port: 81)])
        index.routes.apply(try route(.http, "{metadata: {name: a, namespace: books}, spec: {\(toWeb), rules: [{}]}}", age: 1))
        index.routes.apply(try route(.http, "{metadata: {name: b, namespace: books}, spec: {parentRefs: [{group: '', kind: Service, name: web}], rules: [{}]}}", age: 2))
        #expect(try outbound(index, target).protocol.detect.http1.routes.map(\.metadata.resource.name) == ["b", "a"])
        #expect(try outbound(index, "web.books.svc:81").protocol.detect.http1.routes.map(\.metadata.resource.name) == ["b"])
    }

    @Test(arguments: [
        ("http", "http1"), ("kubernetes.io/h2c", "http2"), ("kubernetes.io/h2c+grpc", "grpc"), ("linkerd.io/opaque", "opaque"), ("linkerd.io/tcp", "opaque"), ("https", "opaque"), ("", "detect"), ("+grpc", "grpc"),
        ("+tls", "tls"), ("+tcp", "opaque"), ("+http", "detect"), ("+http+tls", "detect"),
    ])
    func `the protocol follows appProtocol, and routes where that is silent`(_ given: String, _ expected: String) throws {
        let parts = given.split(separator: "+", omittingEmptySubsequences: false).map(String.init)
        let index = books([.init(name: "p", port: 80, appProtocol: parts[0].isEmpty ? nil : parts[0])])
        for kind in parts.dropFirst() { index.routes.apply(try route(#require(Cluster.Route.Kind(rawValue: kind)), "{metadata: {name: \(kind), namespace: books}, spec: {\(toWeb), rules: [{}]}}")) }
        let found: String =
            switch try outbound(index, target).protocol.kind {
            case .detect: "detect"
            case .opaque: "opaque"
            case .http1: "http1"
            case .http2: "http2"
            case .grpc: "grpc"
            case .tls: "tls"
            case nil: "none"
            }
        #expect(found == expected)
    }

    @Test func `gRPC routes carry methods, headers, retries, and UNAVAILABLE for what is not there`() throws {
        let index = books()
        index.routes.apply(
            try route(
                .grpc,
                """
                metadata: {name: r, namespace: books, annotations: {retry.linkerd.io/grpc: "unavailable,internal", retry.linkerd.io/limit: "3", retry.linkerd.io/timeout: 400ms}}
                spec: {\(toWeb), rules: [{matches: [{method: {service: a.B, method: C}, headers: [{name: v, value: "1"}]}], backendRefs: [{name: gone, port: 80}]}]}
                """))
        let written = try outbound(index, target).protocol.grpc.routes
        let rule = try #require(written.first?.rules.first)
        #expect(rule.matches[0].rpc.service == "a.B" && rule.matches[0].rpc.method == "C" && rule.matches[0].headers[0].name == "v")
        #expect(rule.retry.maxRetries == 3 && rule.retry.conditions.unavailable && rule.retry.conditions.internal && !rule.retry.conditions.cancelled && rule.retry.timeout.nanos == 400_000_000)
        #expect(rule.backends.randomAvailable.backends[0].backend.filters[0].failureInjector.code == 14)
    }

    @Test func `TLS and TCP routes choose by name and send what cannot be told apart`() throws {
        let index = books()
        index.routes.apply(try route(.tls, "{metadata: {name: t, namespace: books}, spec: {\(toWeb), hostnames: [\"*.a.b\"], rules: [{backendRefs: [{name: v2, port: 80}, {name: gone, port: 80}]}]}}"))
        let tls = try outbound(index, target).protocol.tls.routes
        #expect(tls.count == 1 && tls[0].snis[0].suffix.reverseLabels == ["b", "a"])
        #expect(tls[0].rules[0].backends.randomAvailable.backends[1].backend.filters[0].invalid.message == "Service not found gone")
        index.routes.remove(Cluster.Route.ID(.tls, name("books/t")))
        index.routes.apply(try route(.tcp, "{metadata: {name: t, namespace: books}, spec: {\(toWeb), rules: [{backendRefs: [{name: v2, port: 80}]}]}}"))
        #expect(try outbound(index, target).protocol.opaque.routes[0].rules[0].backends.randomAvailable.backends[0].backend.backend.balancer.discovery.dst.path == "v2.books.svc.cluster.local:80")
        // Two rules within one connection are a contradiction, so the route is not carried out.
        index.routes.apply(try route(.tcp, "{metadata: {name: t, namespace: books}, spec: {\(toWeb), rules: [{}, {}]}}"))
        #expect(try outbound(index, target).protocol.detect.opaque.routes.map(\.metadata.default) == ["opaq"])
    }

    @Test(arguments: [
        "rules: [{filters: [{type: URLRewrite}]}]", "rules: [{filters: [{type: RequestMirror}]}]", "rules: [{filters: [{type: ExtensionRef}]}]", "rules: [{matches: [{path: {type: Wild, value: /}}]}]",
        "rules: [{timeouts: {request: soon}}]", "rules: [{matches: [{path: {value: relative}}]}]",
    ])
    func `a route that asks for what we cannot do is not carried out by half`(_ rules: String) throws {
        let index = books()
        let read = try route(.http, "{metadata: {name: r, namespace: books}, spec: {\(toWeb), \(rules)}}")
        #expect(read.fault != nil)
        index.routes.apply(read)
        #expect(try outbound(index, target).protocol.detect.http1.routes.map(\.metadata.default) == ["http"])
        let judged = RouteAcceptance(index: index, options: PolicyOptions()).accepted(read, by: read.parents[0])
        #expect(judged.reason == "UnsupportedValue" && judged.message == read.fault)
    }

    @Test func `backends of a foreign kind, without a port or with a foreign filter fail with the reason`() throws {
        let index = books()
        index.routes.apply(
            try route(
                .http, "{metadata: {name: r, namespace: books}, spec: {\(toWeb), rules: [{backendRefs: [{group: x, kind: Bucket, name: b, port: 1}, {name: v2}, {name: v2, port: 80, filters: [{type: URLRewrite}]}]}]}}"))
        let backends = try outbound(index, target).protocol.detect.http1.routes[0].rules[0].backends.randomAvailable.backends
        #expect(
            backends.map { $0.backend.filters.last?.failureInjector.message ?? "" } == [
                "unsupported backend type x Bucket", "missing port for backend Service v2", "unsupported backend filter: the filter \"URLRewrite\" is not carried out",
            ])
        #expect(backends.allSatisfy { $0.backend.backend.metadata.default == "invalid" })
    }

    @Test func `a watch hears of routes, of their backends, and of nothing twice`() throws {
        let index = books()
        var spec = Mesh.Outbound.TrafficSpec()
        spec.sourceWorkload = #"{"ns":"client","pod":"p"}"#
        spec.addr = Mesh.Net.TcpAddress(SocketAddress("10.96.0.1:80")!)
        let stream = ResponseStream<Mesh.Outbound.OutboundPolicy>(capacity: 10)
        OutboundPolicyService(index: index, options: PolicyOptions()).watch(spec, stream)
        #expect(stream.drain().count == 1)
        let written = try route(.http, "{metadata: {name: r, namespace: books}, spec: {\(toWeb), rules: [{backendRefs: [{name: late, port: 80}]}]}}")
        index.routes.apply(written)
        index.flush()
        #expect(stream.drain().map { $0.protocol.detect.http1.routes[0].rules[0].backends.randomAvailable.backends[0].backend.filters.count } == [1])
        index.apply(service("books/late", ip: "10.96.0.9"))
        index.flush()
        #expect(stream.drain().map { $0.protocol.detect.http1.routes[0].rules[0].backends.randomAvailable.backends[0].backend.filters.count } == [0])
        index.routes.apply(written)
        index.apply(service("books/unrelated", ip: "10.96.0.10"))
        index.flush()
        #expect(stream.drain().isEmpty)
        index.routes.remove(written.id)
        index.flush()
        #expect(stream.drain().map { $0.protocol.detect.http1.routes[0].metadata.default } == ["http"])
    }
}

@Suite struct EgressTests {
    private func network(_ text: String, allows: Bool, age: Int64 = 0, _ networks: [String]? = nil) -> Cluster.EgressNetwork {
        Cluster.EgressNetwork(name: name(text), createdAt: WallTime(seconds: 1000 - age), networks: networks?.map { Cluster.NetworkMatch(IPNetwork($0)!) }, allows: allows)
    }

    @Test func `without a network outside is forwarded as it is, and the cluster's own addresses are not found`() throws {
        let index = books()
        let policy = try outbound(index, "1.2.3.4:443")
        #expect(policy.metadata.default == "egress-fallback" && policy.protocol.detect.opaque.routes[0].rules[0].backends.firstAvailable.backends[0].backend.forward.addr.port == 443)
        #expect(throws: GRPCStatus.self) { try outbound(index, "10.5.5.5:80") }
        #expect(try outbound(index, "10.96.0.1:81").metadata.default == "undefined-port")
    }

    @Test func `denying answers 403, PERMISSION_DENIED and closed connections, allowing forwards`() throws {
        let index = books()
        index.routes.apply(network("linkerd-egress/all", allows: false))
        let denied = try outbound(index, "1.2.3.4:443")
        #expect(denied.metadata.resource.kind == "EgressNetwork" && denied.metadata.resource.port == 443)
        #expect(denied.protocol.detect.http1.routes[0].metadata.default == "http-egress-deny" && denied.protocol.detect.http1.routes[0].rules[0].filters[0].failureInjector.status == 403)
        #expect(denied.protocol.detect.opaque.routes[0].metadata.default == "tcp-egress-deny" && denied.protocol.detect.opaque.routes[0].rules[0].filters[0].kind == .forbidden(.init()))
        index.routes.apply(network("linkerd-egress/all", allows: true))
        let allowed = try outbound(index, "1.2.3.4:443")
        #expect(allowed.protocol.detect.http1.routes[0].metadata.default == "http-egress-allow" && allowed.protocol.detect.http1.routes[0].rules[0].filters.isEmpty)
        index.routes.remove(egressNetwork: name("linkerd-egress/all"))
        #expect(try outbound(index, "1.2.3.4:443").metadata.default == "egress-fallback")
    }

    @Test func `the client's own network comes first, then the smallest block, then the oldest`() throws {
        let index = books()
        func chosen() throws -> String {
            let resource = try outbound(index, "1.2.3.4:443").metadata.resource
            return "\(resource.namespace)/\(resource.name)"
        }
        index.routes.apply(network("linkerd-egress/exact", allows: false, ["1.2.3.4/32"]))
        #expect(try chosen() == "linkerd-egress/exact")
        index.routes.apply(network("client/wide", allows: true))
        #expect(try chosen() == "client/wide")
        index.routes.apply(network("client/narrow", allows: true, ["9.0.0.0/8", "1.2.0.0/16"]))
        #expect(try chosen() == "client/narrow")
        index.routes.apply(network("client/elder", allows: true, age: 5, ["1.2.0.0/16"]))
        #expect(try chosen() == "client/elder")
        index.routes.apply(network("other/exact", allows: true, ["1.2.3.4/32"]))
        #expect(try chosen() == "client/elder")
        // What touches the cluster's own networks is not accepted.
        index.routes.apply(network("client/greedy", allows: true, ["1.2.3.4/32", "10.0.0.0/16"]))
        #expect(try chosen() == "client/elder")
    }

    @Test func `routes of a network hold beside its policy`() throws {
        let index = books()
        index.routes.apply(network("client/all", allows: false))
        let parent = "parentRefs: [{group: policy.linkerd.io, kind: EgressNetwork, name: all, port: 443}]"
        index.routes.apply(
            try route(.http, "{metadata: {name: r, namespace: client}, spec: {\(parent), hostnames: [good.example], rules: [{backendRefs: [{group: policy.linkerd.io, kind: EgressNetwork, name: all}, {name: web, namespace: books, port: 80}]}]}}"))
        let routes = try outbound(index, "1.2.3.4:443").protocol.detect.http1.routes
        #expect(routes.map(\.metadata.default) == ["", "http-egress-deny"] && routes[0].hosts[0].exact == "good.example")
        let backends = routes[0].rules[0].backends.randomAvailable.backends
        #expect(backends[0].backend.backend.forward.addr.port == 443 && backends[1].backend.backend.balancer.discovery.dst.path == target)
        #expect(try outbound(index, "1.2.3.4:80").protocol.detect.http1.routes.count == 1)
        index.routes.apply(try route(.tls, "{metadata: {name: t, namespace: client}, spec: {\(parent), hostnames: [good.example], rules: [{}]}}"))
        #expect(try outbound(index, "1.2.3.4:443").protocol.detect.http1.routes.count == 2, "an HTTPRoute comes before a TLSRoute")
        index.routes.remove(Cluster.Route.ID(.http, name("client/r")))
        let tls = try outbound(index, "1.2.3.4:443").protocol.tls.routes
        #expect(tls.map(\.metadata.default) == ["", "tls-egress-deny"] && tls[1].rules[0].filters[0].kind == .forbidden(.init()))
    }

    @Test func `a watch of an address outside hears of networks`() throws {
        let index = books()
        var spec = Mesh.Outbound.TrafficSpec()
        spec.sourceWorkload = #"{"ns":"client","pod":"p"}"#
        spec.addr = Mesh.Net.TcpAddress(SocketAddress("1.2.3.4:443")!)
        let stream = ResponseStream<Mesh.Outbound.OutboundPolicy>(capacity: 10)
        OutboundPolicyService(index: index, options: PolicyOptions()).watch(spec, stream)
        index.routes.apply(network("client/all", allows: false))
        index.flush()
        #expect(stream.drain().map(\.metadata.resource.name) == ["", "all"])
    }
}

@Suite struct InboundRouteTests {
    private func cluster(_ proxyProtocol: String = "HTTP/1") -> ClusterIndex {
        let index = ClusterIndex()
        index.apply(pod("books/a", ip: "10.0.0.1") { $0.containers[0].probes = [.init(path: "/live", port: 8080)] })
        var server = Cluster.Server(name: name("books/web"), createdAt: WallTime(seconds: 2), podSelector: .init(), port: .number(8080))
        server.proxyProtocol = proxyProtocol
        index.apply(server)
        return index
    }

    private let toServer = "parentRefs: [{group: policy.linkerd.io, kind: Server, name: web}]"

    @Test func `an attached route takes the place of the default and the probes' route`() throws {
        let index = cluster()
        #expect(try inbound(index).protocol.http1.routes.map(\.metadata.default) == ["default", "probe"])
        index.routes.apply(
            try route(.policyHTTP, "{metadata: {name: r, namespace: books}, spec: {\(toServer), rules: [{matches: [{path: {value: /api}}], filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {}}, {type: RequestHeaderModifier, requestHeaderModifier: {remove: [x]}}]}]}}"))
        let routes = try inbound(index).protocol.http1.routes
        #expect(routes.map(\.metadata.resource.name) == ["r"] && routes[0].rules[0].matches[0].path.prefix == "/api" && routes[0].rules[0].filters.map(\.requestHeaderModifier.remove) == [["x"]])
        // Of another namespace, or for a Server that is not there: not attached.
        index.routes.apply(try route(.http, "{metadata: {name: s, namespace: other}, spec: {parentRefs: [{group: policy.linkerd.io, kind: Server, name: web, namespace: books}], rules: [{}]}}"))
        index.routes.apply(try route(.http, "{metadata: {name: t, namespace: books}, spec: {parentRefs: [{group: policy.linkerd.io, kind: Server, name: gone}], rules: [{}]}}"))
        #expect(try inbound(index).protocol.http1.routes.count == 1)
    }

    @Test func `a policy for a route holds for that route alone, a Server's for all`() throws {
        let index = cluster()
        for r in ["r", "s"] { index.routes.apply(try route(.http, "{metadata: {name: \(r), namespace: books}, spec: {\(toServer), rules: [{}]}}")) }
        let policy = { (kind: String, group: String, named: String) in "{metadata: {name: p-\(named), namespace: books}, spec: {targetRef: {group: \(group), kind: \(kind), name: \(named)}, requiredAuthenticationRefs: [{kind: ServiceAccount, name: reader}]}}" }
        index.apply(try #require(Cluster.AuthorizationPolicy(object(policy("HTTPRoute", "gateway.networking.k8s.io", "r")))))
        var server = try inbound(index)
        #expect(server.authorizations.isEmpty && server.protocol.http1.routes.map { $0.authorizations.map { $0.labels["name"] } } == [["p-r"], []])
        #expect(server.protocol.http1.routes[0].authorizations[0].authentication.meshTls.identities.identities.map(\.name) == ["reader.books.serviceaccount.identity.linkerd.cluster.local"])
        index.apply(try #require(Cluster.AuthorizationPolicy(object(policy("Server", "policy.linkerd.io", "web")))))
        server = try inbound(index)
        #expect(server.authorizations.count == 1 && server.protocol.http1.routes.map { $0.authorizations.map { $0.labels["name"] } } == [["p-r", "p-web"], ["p-web"]])
        // The same name of the other group is another route.
        index.apply(try #require(Cluster.AuthorizationPolicy(object(policy("HTTPRoute", "policy.linkerd.io", "s")))))
        #expect(try inbound(index).protocol.http1.routes[1].authorizations.count == 1)
    }

    @Test func `gRPC routes reach a gRPC server only`() throws {
        let yaml = "{metadata: {name: g, namespace: books}, spec: {\(toServer), rules: [{matches: [{method: {service: a.B}}]}]}}"
        let index = cluster("HTTP/2")
        index.routes.apply(try route(.grpc, yaml))
        #expect(try inbound(index).protocol.http2.routes.map(\.metadata.default) == ["default", "probe"])
        let grpc = cluster("gRPC")
        grpc.routes.apply(try route(.grpc, yaml))
        #expect(try inbound(grpc).protocol.grpc.routes.map(\.rules[0].matches[0].rpc.service) == ["a.B"])
    }

    @Test func `a watch of a port hears of its routes`() throws {
        let index = cluster()
        var spec = Mesh.Inbound.PortSpec()
        spec.workload = #"{"ns":"books","pod":"a"}"#
        spec.port = 8080
        let stream = ResponseStream<Mesh.Inbound.Server>(capacity: 10)
        InboundPolicyService(index: index, options: PolicyOptions()).watchPort(spec, stream)
        index.routes.apply(try route(.http, "{metadata: {name: r, namespace: books}, spec: {\(toServer), rules: [{}]}}"))
        index.flush()
        #expect(stream.drain().map { $0.protocol.http1.routes.count } == [2, 1])
    }
}

@Suite struct RouteConformanceTests {
    /// Every mesh manifest of the Gateway API's conformance suite is read, and taken by its Services, unless it asks for a filter that
    /// we say we do not carry out.
    @Test func `the conformance suite's mesh routes are taken`() throws {
        let folder = fixtures("policy/gateway-api/manifests")
        var taken = 0
        var count = 0
        for file in try FileManager.default.contentsOfDirectory(atPath: folder).sorted() where file.hasPrefix("mesh__") {
            let index = ClusterIndex()
            for base in [fixtures("policy/gateway-api/base-mesh-manifests.yaml"), folder + "/" + file] {
                for value in try YAML.parse([UInt8](try #require(FileManager.default.contents(atPath: base)))).map(\.value) where value.text("kind") == "Service" {
                    var value = value
                    value.put(.string("10.96.\(count).1"), at: "spec", "clusterIP")
                    index.apply(Cluster.Service(KubeObject(value)))
                }
            }
            for value in try YAML.parse([UInt8](try #require(FileManager.default.contents(atPath: folder + "/" + file)))).map(\.value) {
                guard let kind: Cluster.Route.Kind = value.text("kind") == "HTTPRoute" ? .http : value.text("kind") == "GRPCRoute" ? .grpc : nil else { continue }
                let read = Cluster.Route(KubeObject(value), kind: kind)
                index.routes.apply(read)
                count += 1
                let acceptance = RouteAcceptance(index: index, options: PolicyOptions())
                let isTaken = !read.parents.isEmpty && read.parents.allSatisfy { acceptance.isAccepted(read, by: $0) && acceptance.resolved(read, for: $0)?.isGood == true }
                #expect(isTaken, "\(file) \(read.id): \(read.fault ?? "") \(read.parents.map { "\(acceptance.accepted(read, by: $0)) \(String(describing: acceptance.resolved(read, for: $0)))" })")
                taken += isTaken ? 1 : 0
            }
        }
        print("corpus policy/gateway-api mesh routes passed \(taken) of \(count)")
        #expect(count == 12)
    }
}
