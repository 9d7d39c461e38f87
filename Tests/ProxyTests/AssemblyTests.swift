// Whole proxies in a small mesh: real TLS, real gRPC, real redirects, a control plane that answers by a script.

import Base
import HTTP
import MeshAPI
import Platform
import Simulator
import Testing
import Transport

@testable import Proxy

@Suite struct `a proxy and its control plane` {
    private func shop(seed: UInt64 = 1, _ changes: [String: String?] = [:]) throws -> (TinyMesh, web: MeshPod, cart: MeshPod) {
        let mesh = try TinyMesh(seed: seed)
        let web = mesh.addPod("web", ip: IPAddress(10, 1, 0, 1), changes)
        let cart = mesh.addPod("cart", ip: IPAddress(10, 1, 0, 2))
        mesh.services["10.96.0.2:80"] = ("cart.shop.svc.cluster.local", ["10.1.0.2:8080"])
        try cart.serve(8080)
        return (mesh, web, cart)
    }

    @Test func `become ready over real TLS and gRPC`() throws {
        let (mesh, web, cart) = try shop()
        mesh.wait("both proxies to be ready") { web.proxy.isReady && cart.proxy.isReady }
        #expect(web.proxy.isReady && cart.proxy.isReady, "\(web.sidecar.logLines)")
        #expect(mesh.certified.sorted() == ["token of cart", "token of web"])
        mesh.run(.seconds(1))
        #expect(mesh.calls.sorted() == ["cart WatchPort 4191", "cart WatchPort 8080", "web WatchPort 4191", "web WatchPort 8080"])
        let text = web.proxy.metrics.exposition()
        #expect(text.contains("control_request_total{addr=\"linkerd-policy.linkerd.svc.cluster.local.:8090\""))
    }

    @Test func `carry a request from application to application`() throws {
        let (mesh, web, cart) = try shop()
        mesh.wait("both proxies to be ready") { web.proxy.isReady && cart.proxy.isReady }
        let answer = try #require(web.get("/items", at: "10.96.0.2:80", host: "cart"))
        #expect(answer.status == 200 && answer.body == "/items for \(MeshAuthority.name("web"))", "\(answer) \(web.sidecar.logLines) \(cart.sidecar.logLines)")
        #expect(cart.served == ["/items"])
        #expect(mesh.calls.filter { $0.hasPrefix("web Get") || $0.hasPrefix("web Watch ") }.sorted() == ["web Get cart.shop.svc.cluster.local:80", "web GetProfile 10.96.0.2:80", "web Watch 10.96.0.2:80"])
        let state = web.proxy.stateText()
        #expect(state.contains("\"addr\":\"10.96.0.2:80\"") && state.contains(MeshAuthority.name("cart")))
    }

    @Test func `count what they carried under Linkerd's names`() throws {
        let (mesh, web, cart) = try shop()
        mesh.wait("both proxies to be ready") { web.proxy.isReady && cart.proxy.isReady }
        #expect(web.get("/items", at: "10.96.0.2:80", host: "cart")?.status == 200)
        let text = web.proxy.metrics.exposition()
        let parent = "parent_group=\"core\",parent_kind=\"Service\",parent_namespace=\"shop\",parent_name=\"cart\",parent_port=\"80\",parent_section_name=\"\""
        let route = "route_group=\"\",route_kind=\"default\",route_namespace=\"\",route_name=\"http\""
        let backend = "backend_group=\"core\",backend_kind=\"Service\",backend_namespace=\"shop\",backend_name=\"cart\",backend_port=\"80\",backend_section_name=\"\""
        for line in [
            "outbound_http_route_request_statuses_total{\(parent),\(route),hostname=\"\",http_status=\"200\",error=\"\"} 1", "outbound_http_route_backend_requests_total{\(parent),\(route),\(backend)} 1",
            "outbound_http_route_backend_response_statuses_total{\(parent),\(route),\(backend),http_status=\"200\",error=\"\"} 1",
            "outbound_http_route_request_duration_seconds_count{\(parent),\(route),hostname=\"\"} 1", "outbound_http_balancer_endpoints{endpoint_state=\"ready\",\(parent),\(backend)} 1",
        ] { #expect(text.contains(line + "\n"), "\(line)") }
        #expect(text.contains("response_total{direction=\"outbound\"") && text.contains("dst_pod=\"cart\"") && text.contains("server_id=\"\(MeshAuthority.name("cart"))\""))
        #expect(cart.proxy.metrics.exposition().contains("client_id=\"\(MeshAuthority.name("web"))\""))
        let seen = try ListedFamily.judge(web.proxy.metrics).union(try ListedFamily.judge(cart.proxy.metrics))
        for name in [
            "tcp_open_total", "request_total", "control_request_total", "inbound_http_authz_allow_total", "inbound_tcp_transport_header_connections_total", "outbound_tcp_protocol_connections_total",
            "outbound_tcp_detect_http_duration_seconds", "outbound_tcp_detect_http_results_total", "outbound_http_route_backend_response_frame_size_bytes", "outbound_http_balancer_queue_latency_seconds",
            "outbound_http_balancer_p2c_updates_total", "outbound_tcp_transfer_cost_bytes_total", "inbound_http_requests_total", "inbound_http_statuses_total", "inbound_http_response_duration_seconds",
            "control_dns_resolutions_total", "control_identity_cert_refreshes_total", "control_destination_balancer_endpoints", "control_policy_balancer_queue_requests_total", "proxy_build_info", "rustls_info",
        ] { #expect(seen.contains(name), "\(name) in \(seen.sorted())") }
    }

    @Test func `name requests by the routes of a profile`() throws {
        let (mesh, web, cart) = try shop()
        mesh.profileRoutes = [
            .with { $0.condition.path.regex = "/items/[^/]+"; $0.metricsLabels = ["route": "/items/{id}"]; $0.responseClasses = [.with { $0.condition.status.min = 200; $0.condition.status.max = 299; $0.isFailure = true }] }
        ]
        mesh.wait("both proxies to be ready") { web.proxy.isReady && cart.proxy.isReady }
        #expect(web.get("/items/7?x=/", at: "10.96.0.2:80", host: "cart")?.status == 200)
        #expect(web.get("/other", at: "10.96.0.2:80", host: "cart")?.status == 200)
        let text = web.proxy.metrics.exposition()
        let labels = "direction=\"outbound\",dst=\"cart.shop.svc.cluster.local:80\""
        #expect(text.contains("route_response_total{\(labels),rt_route=\"/items/{id}\",status_code=\"200\",classification=\"failure\",grpc_status=\"\",error=\"\"} 1\n"), "\(text)")
        #expect(text.contains("route_actual_response_total{\(labels),status_code=\"200\",classification=\"success\",grpc_status=\"\",error=\"\"} 1\n"))
        #expect(text.contains("route_request_total{\(labels),rt_route=\"/items/{id}\"} 1\n") && !text.contains("outbound_http_route_request_statuses_total{"))
    }

    @Test func `show their metrics to a scraper in the mesh`() throws {
        let (mesh, web, cart) = try shop()
        mesh.services["10.96.0.3:80"] = ("cart-admin.shop.svc.cluster.local", ["10.1.0.2:4191"])
        mesh.setServer(4191, meshedOnly("admin"))
        mesh.wait("both proxies to be ready") { web.proxy.isReady && cart.proxy.isReady }
        let answer = try #require(web.get("/metrics", at: "10.96.0.3:80", host: "cart-admin"))
        #expect(answer.status == 200 && answer.body.hasSuffix("# EOF\n"), "\(answer) \(cart.sidecar.logLines)")
    }

    @Test func `let connections wait that come before the certificate`() throws {
        let mesh = try TinyMesh()
        mesh.certifiesNobody = true
        let web = mesh.addPod("web", ip: IPAddress(10, 1, 0, 1))
        try web.serve(8080)
        mesh.services["10.96.0.9:80"] = ("out.shop.svc.cluster.local", ["10.1.9.1:9999"])
        mesh.run(.seconds(5))
        #expect(!web.proxy.isReady && web.get("/early", at: "10.96.0.9:80", host: "out", limit: .seconds(3)) == nil)
        mesh.certifiesNobody = false
        mesh.wait("the proxy to be ready") { web.proxy.isReady }
        mesh.run(.seconds(10))
        #expect(mesh.calls.contains("web Watch 10.96.0.9:80"))
    }

    @Test func `judge by the policy that is in force`() throws {
        let (mesh, web, cart) = try shop()
        mesh.wait("both proxies to be ready") { web.proxy.isReady && cart.proxy.isReady }
        #expect(web.get("/a", at: "10.96.0.2:80", host: "cart")?.status == 200)
        mesh.setServer(8080, server("closed", networks: []))
        mesh.run(.seconds(1))
        #expect(web.get("/b", at: "10.96.0.2:80", host: "cart")?.status == 403)
        mesh.setServer(8080, server("open"))
        mesh.run(.seconds(1))
        #expect(web.get("/c", at: "10.96.0.2:80", host: "cart")?.status == 200 && cart.served == ["/a", "/c"])
    }

    @Test func `go on with what they know while the control plane is away`() throws {
        let (mesh, web, cart) = try shop(["OUTBOUND_DISCOVERY_IDLE_TIMEOUT": "10m"])
        mesh.wait("both proxies to be ready") { web.proxy.isReady && cart.proxy.isReady }
        #expect(web.get("/a", at: "10.96.0.2:80", host: "cart")?.status == 200)
        mesh.control.run { for server in mesh.servers3 { server.close() } }
        mesh.run(.seconds(30))
        #expect(web.get("/b", at: "10.96.0.2:80", host: "cart")?.status == 200 && cart.served == ["/a", "/b"])
    }

    @Test func `open their streams again when those are silent or old`() throws {
        let (mesh, web, cart) = try shop(["CONTROL_STREAM_INITIAL_TIMEOUT": "3s", "CONTROL_STREAM_IDLE_TIMEOUT": "30s", "CONTROL_STREAM_LIFETIME": "1h"])
        mesh.wait("both proxies to be ready") { web.proxy.isReady && cart.proxy.isReady }
        mesh.run(.seconds(100))
        let count = mesh.calls.filter { $0 == "web WatchPort 8080" }.count
        #expect(count == 4, "\(count)")
        #expect(mesh.calls.filter { $0 == "cart WatchPort 8080" }.count == 1)
    }

    @Test func `forget with a new stream what the old one alone had said`() throws {
        let (mesh, web, cart) = try shop(["CONTROL_STREAM_LIFETIME": "30s", "OUTBOUND_DISCOVERY_IDLE_TIMEOUT": "10m"])
        mesh.services["10.96.0.2:80"] = ("cart.shop.svc.cluster.local", ["10.1.0.2:8080", "10.1.0.2:8081"])
        mesh.wait("both proxies to be ready") { web.proxy.isReady && cart.proxy.isReady }
        _ = web.get("/a", at: "10.96.0.2:80", host: "cart")
        // The script's updates only ever add: what is left out is gone for a new stream alone.
        mesh.services["10.96.0.2:80"] = ("cart.shop.svc.cluster.local", ["10.1.0.2:8080"])
        mesh.run(.seconds(10))
        #expect(web.proxy.stateText().contains("{\"addr\":\"10.1.0.2:8081\""))
        mesh.run(.seconds(30))
        #expect(!web.proxy.stateText().contains("{\"addr\":\"10.1.0.2:8081\"") && web.proxy.stateText().contains("{\"addr\":\"10.1.0.2:8080\""))
    }

    @Test func `renew certificates under traffic`() throws {
        let (mesh, web, cart) = try shop()
        mesh.leafLifetime = .minutes(1)
        mesh.wait("both proxies to be ready") { web.proxy.isReady && cart.proxy.isReady }
        for i in 0..<12 {
            #expect(web.get("/\(i)", at: "10.96.0.2:80", host: "cart")?.status == 200, "request \(i)")
            mesh.run(.seconds(15))
        }
        #expect(mesh.certified.count >= 8 && cart.served.count == 12)
    }

    @Test func `finish what is open and exit with 0 when asked to stop`() throws {
        let (mesh, web, cart) = try shop()
        mesh.wait("both proxies to be ready") { web.proxy.isReady && cart.proxy.isReady }
        #expect(web.get("/a", at: "10.96.0.2:80", host: "cart")?.status == 200)
        web.sidecar.stop()
        cart.sidecar.stop()
        mesh.run(.minutes(3))
        #expect(web.sidecar.state == .exited(0) && cart.sidecar.state == .exited(0))
        #expect(!web.sidecar.logLines.contains { $0.contains("Graceful shutdown did not complete") }, "\(web.sidecar.logLines)")
        let verdict = mesh.world.finish()
        #expect(verdict.passes, "\(verdict)")
    }

    @Test(arguments: [UInt64(1), 2, 3]) func `run the same way twice`(_ seed: UInt64) throws {
        func trace() throws -> String {
            let (mesh, web, cart) = try shop(seed: seed)
            mesh.wait("both proxies to be ready") { web.proxy.isReady && cart.proxy.isReady }
            for i in 0..<3 { _ = web.get("/\(i)", at: "10.96.0.2:80", host: "cart") }
            return mesh.world.finish().traceLine
        }
        #expect(try trace() == trace())
    }
}
