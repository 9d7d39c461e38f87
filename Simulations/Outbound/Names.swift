// Stories of traffic that goes by a name that it carries, not by where it was sent: an ingress, a gateway; and of bytes that fail over.

import Base
import HTTP
import MeshAPI
import Platform
import Scenario
import Simulator
import SwiftProtobuf

extension Stories {
    private static func application(_ mesh: ScriptedMesh, _ stage: Stage, _ name: String, _ asked: @escaping (HTTPApplication.Request) -> Void = { _ in }) -> ScriptedPod {
        mesh.addPod(name) { process in
            process.keep(
                HTTPApplication(process, in: stage.world, port: 80) { request in
                    asked(request)
                    return HTTPApplication.Answer(body: Array(name.utf8))
                })
        }
    }

    // Story: an ingress controller sends everything to one address and says in a header which service it means.
    // Promise: each request goes where its header says, without the header; one without goes where it was sent; a name nobody knows fails, bytes pass.
    // Source: linkerd2-proxy outbound/src/ingress.rs; linkerd.io/inject: ingress.
    static let ingress = Story(
        "outbound/ingress",
        story: "An ingress controller sends everything to one address and says in l5d-dst-override which service it means.",
        promise: "Each request goes where its header says and the header goes no further; one without goes where it was sent; an unknown name fails; bytes pass.",
        source: "linkerd2-proxy outbound/src/ingress.rs"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let caller = mesh.addPod("ingress", environment: [("INGRESS_MODE", "true")]).caller()
        var heads: [RequestHead] = []
        mesh.addService("front", application(mesh, stage, "front"))
        mesh.addService("api", application(mesh, stage, "api") { heads.append($0.head) })
        mesh.addService("tcp", port: 9000, mesh.addPod("tcp") { $0.keep(EchoApplication($0, port: 9000)) })
        try mesh.ready()
        for override in ["api.demo.svc.cluster.local", "api.demo.svc.cluster.local:80"] {
            let result = try stage.call(caller, "front", "/\(override)", headers: [("l5d-dst-override", override)])
            stage.say("to \(override): \(result.summary), \(result.text)")
            try stage.check(result.status == 200 && result.text == "api", "the header decides, not \(result.summary)")
        }
        try stage.check(heads.count == 2 && heads.allSatisfy { $0.headers.first("l5d-dst-override") == nil }, "the header goes no further")
        try stage.check(heads.allSatisfy { $0.headers.first("l5d-client-id") == ScriptedPod.identity("ingress") }, "the way is meshed")
        try stage.check(try stage.call(caller, "front").text == "front", "without the header the address decides")
        let unknown = try stage.call(caller, "front", headers: [("l5d-dst-override", "nobody.demo.svc.cluster.local:80")])
        stage.say("to nobody: \(unknown.summary)")
        try stage.check((unknown.status ?? 0) >= 500 && unknown.headers.first("l5d-proxy-error") == nil, "an unknown name fails, and an ingress does not tell why: \(unknown.summary)")
        try stage.check(try stage.call(caller, "front", headers: [("l5d-dst-override", "no name:at all")]).status == 400, "what is no name is refused")
        let (heard, failure) = try stage.converse(caller, "tcp", 9000, say: [1, 2, 3])
        try stage.check(heard == [1, 2, 3], "bytes pass: \(failure ?? "")")
        try stage.check(mesh.questions.contains { $0.method == "GetProfile" && $0.subject == "api.demo.svc.cluster.local:80" }, "the name was looked up")
    }

    /// A gateway with a service behind it, and a service of another cluster that stands for it.
    private static func behindGateway(_ stage: Stage, override: String = "api.demo.svc.cluster.local:80", _ asked: @escaping (HTTPApplication.Request) -> Void = { _ in }) throws(StoryFailure) -> (
        mesh: ScriptedMesh, web: ScriptedPod, gateway: ScriptedPod
    ) {
        let mesh = try stage.mesh()
        let web = mesh.addPod("web")
        let gateway = mesh.addPod("gateway", environment: [("INBOUND_GATEWAY_SUFFIXES", "svc.cluster.local.")])
        mesh.addService("api", application(mesh, stage, "api", asked))
        let mirror = mesh.addService("api-east")
        mirror.addresses = [
            .with {
                $0.addr = Mesh.Net.TcpAddress(SocketAddress(gateway.ip, 4143))
                $0.weight = 10_000
                $0.tlsIdentity.dnsLikeIdentity.name = gateway.identity
                $0.protocolHint.h2 = .init()
                $0.authorityOverride.authorityOverride = override
            }
        ]
        try mesh.ready()
        return (mesh, web, gateway)
    }

    // Story: a pod calls a service of another cluster; its proxy reaches that cluster's gateway and names the service.
    // Promise: the application answers, is told of both hops, and no hop is in the clear; HTTP/1 and HTTP/2 stay what they are.
    // Source: linkerd2-proxy app/gateway; Linkerd multicluster.
    static let gateway = Story(
        "outbound/gateway",
        story: "A pod calls a service of another cluster by its mirror; its proxy reaches that cluster's gateway and names the service.",
        promise: "The application answers; it is told who brought the request and for whom; bodies and versions survive both hops, and the wire shows TLS only.",
        source: "linkerd2-proxy linkerd/app/gateway"
    ) { stage throws(StoryFailure) in
        var requests: [HTTPApplication.Request] = []
        let (_, web, gateway) = try behindGateway(stage) { requests.append($0) }
        let caller = web.caller()
        let first = try stage.call(caller, "api-east", "/one", method: .post, body: Array("a body".utf8))
        stage.say("HTTP/1.1 through the gateway: \(first.summary), \(first.text)")
        try stage.check(first.status == 200 && first.text == "api" && first.version == .http11, "the application answers: \(first.summary) \(first.headers.first("l5d-proxy-error") ?? "")")
        let second = try stage.call(caller, "api-east", "/two", version: .http2)
        stage.say("HTTP/2 through the gateway: \(second.summary)")
        try stage.check(second.status == 200 && second.version == .http2, "HTTP/2 too: \(second.summary)")
        try stage.check(requests.count == 2 && requests[0].body == Array("a body".utf8) && requests[0].head.version == .http11 && requests[1].head.version == .http2, "bodies and versions survive")
        for request in requests {
            let forwarded = request.head.headers.first("forwarded") ?? ""
            try stage.check(forwarded.contains("by=\(gateway.identity);for=\(web.identity);") && forwarded.hasSuffix("proto=https"), "who brought it and for whom: \(forwarded)")
            try stage.check(request.head.headers.first("l5d-client-id") == gateway.identity, "the last hop is the gateway's")
            try stage.check("\(request.head.authority)".hasPrefix("api.demo.svc.cluster.local"), "the service is named as here: \(request.head.authority)")
        }
        try stage.check(gateway.metric("inbound_tcp_transport_header_connections_total", "target_name=\"api.demo.svc.cluster.local\"") >= 1, "the gateway counts the header")
    }

    // Story: names that the gateway is not for, a service that does not exist, and a request that was here before.
    // Promise: 404, 404 and 508, said by the gateway, and no application is asked.
    // Source: linkerd2-proxy app/gateway: gateway domain invalid, gateway loop.
    static let gatewayRefuses = Story(
        "outbound/gateway-refuses",
        story: "Requests name a domain that the gateway is not for, or carry the mark of having been there before.",
        promise: "The first get 404, the second 508, counted as such, and no application is asked.",
        source: "linkerd2-proxy linkerd/app/gateway: loop and domain"
    ) { stage throws(StoryFailure) in
        var asked = 0
        let (_, web, gateway) = try behindGateway(stage, override: "api.example.com:80") { _ in asked += 1 }
        let foreign = try stage.call(web.caller(), "api-east")
        stage.say("another domain: \(foreign.summary), \(foreign.headers.first("l5d-proxy-error") ?? "")")
        try stage.check(foreign.status == 404, "another domain is not found: \(foreign.summary)")
        try stage.check(gateway.metric("inbound_http_errors_total", "gateway domain invalid") == 1, "and counted")
        try stage.check(asked == 0, "nobody was asked")
    }

    static let gatewayLoop = Story(
        "outbound/gateway-loop",
        story: "A request reaches a gateway with the mark that the same gateway puts on what it forwards.",
        promise: "It is answered 508 and goes no further; a request with another gateway's mark passes.",
        source: "linkerd2-proxy linkerd/app/gateway: GatewayLoop; RFC 7239"
    ) { stage throws(StoryFailure) in
        var asked = 0
        let (_, web, gateway) = try behindGateway(stage) { _ in asked += 1 }
        let caller = web.caller()
        let loop = try stage.call(caller, "api-east", headers: [("forwarded", "by=other, by=\(gateway.identity);for=x;host=y;proto=https")])
        stage.say("it has been here: \(loop.summary)")
        try stage.check(loop.status == 508 && asked == 0, "a loop is broken: \(loop.summary)")
        let other = try stage.call(caller, "api-east", headers: [("forwarded", "by=other.demo.serviceaccount.identity.linkerd.cluster.local;for=x;host=y;proto=https")])
        try stage.check(other.status == 200 && asked == 1, "another gateway's mark is none of ours: \(other.summary)")
    }

    // Story: bytes that nobody understands go through a gateway.
    // Promise: they come back unchanged over two TLS hops, and an unknown name is closed.
    // Source: linkerd2-proxy app/gateway: opaq.
    static let gatewayBytes = Story(
        "outbound/gateway-bytes",
        story: "Opaque bytes go to a service of another cluster through its gateway; others to a name that no service has.",
        promise: "The first come back unchanged; the second connection is closed, not left hanging.",
        source: "linkerd2-proxy linkerd/app/gateway: opaque"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let web = mesh.addPod("web")
        let gateway = mesh.addPod("gateway", environment: [("INBOUND_GATEWAY_SUFFIXES", "svc.cluster.local.")])
        mesh.addService("tcp", port: 9000, mesh.addPod("tcp") { $0.keep(EchoApplication($0, port: 9000)) })
        for (name, target) in [("tcp-east", "tcp"), ("lost-east", "lost")] {
            let mirror = mesh.addService(name, port: 9000)
            mirror.policy = .opaque(mirror)
            mirror.addresses = [
                .with {
                    $0.addr = Mesh.Net.TcpAddress(SocketAddress(gateway.ip, 4143))
                    $0.weight = 10_000
                    $0.tlsIdentity.dnsLikeIdentity.name = gateway.identity
                    $0.authorityOverride.authorityOverride = "\(target).demo.svc.cluster.local:9000"
                }
            ]
        }
        try mesh.ready()
        let caller = web.caller()
        let sample = [UInt8]((0..<10_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        let (heard, failure) = try stage.converse(caller, "tcp-east", 9000, say: sample)
        stage.say("\(heard.count) bytes came back")
        try stage.check(heard == sample && failure == nil, "unchanged: \(heard.count) bytes, \(failure ?? "")")
        let began = stage.world.now
        let lost = try stage.converse(caller, "lost-east", 9000, say: [1, 2, 3])
        stage.say("a lost name: closed after \(stage.world.now - began)")
        try stage.check(lost.heard.isEmpty && stage.world.now - began < .seconds(5), "closed in time")
    }

    // Story: an opaque route prefers one service and names a second; the first loses its pods and gets them back.
    // Promise: no connection is lost: new ones go to the second while the first has nobody, and return.
    // Source: linkerd2-proxy outbound opaq: first available.
    static let opaqueFailover = Story(
        "outbound/opaque-failover",
        story: "An opaque route prefers one service and names a second; the first loses its pods and gets them back.",
        promise: "Connections go to the second at once while the first has nobody, and return when it has.",
        source: "linkerd2-proxy outbound/src/opaq: distribution by readiness"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let caller = mesh.addPod("web").caller()
        func echo(_ name: String) -> ScriptedPod { mesh.addPod(name) { $0.keep(EchoApplication($0, port: 9000, greeting: Array("\(name):".utf8))) } }
        let near = echo("near")
        let first = mesh.addService("near", port: 9000, near)
        let second = mesh.addService("far", port: 9000, echo("far"))
        let tcp = mesh.addService("tcp", port: 9000)
        tcp.policy = .opaque(tcp, routes: [.to(first.backend, second.backend)])
        try mesh.ready()
        func who() throws(StoryFailure) -> String {
            let began = stage.world.now
            let text = String(decoding: try stage.converse(caller, "tcp", 9000, say: [120]).heard, as: UTF8.self)
            stage.say("\(text) after \(stage.world.now - began)")
            return text
        }
        try stage.check(try who() == "near:x", "the first takes them")
        first.pods = []
        stage.world.run(for: .milliseconds(100))
        for _ in 0..<3 { try stage.check(try who() == "far:x", "the second takes them") }
        first.pods = [near]
        stage.world.run(for: .milliseconds(100))
        try stage.check(try who() == "near:x", "they return")
    }
}
