// What discovery keeps, shares, replaces and forgets, over a source that says what a test tells it to.

import Base
import MeshAPI
import Testing

@testable import Proxy

@Suite struct `discovery of an original destination` {
    let bench = Bench()
    let source = ScriptedSource()

    private func discovery() -> Discovery {
        Discovery(host: bench.host, source: source, profileNetworks: [IPNetwork("10.0.0.0/8")!], targetIdleTimeout: .seconds(5), authorityIdleTimeout: .seconds(5))
    }

    @Test func `knows it when profile and policy have spoken`() {
        let discovery = discovery()
        let watch = discovery.target(address("10.96.0.1:80"))
        var told: [OutboundTarget] = []
        watch.subscribe { told.append($0) }
        #expect(source.profiles.map(\.subject) == ["10.96.0.1:80"] && source.outbound.map(\.subject) == ["10.96.0.1:80"])
        source.outbound[0].say(servicePolicy("web.shop.svc.cluster.local:80"))
        #expect(told.isEmpty)
        source.profiles[0].say(.with { $0.fullyQualifiedName = "web.shop.svc.cluster.local" })
        #expect(told.count == 1 && told[0].profile?.fullyQualifiedName == "web.shop.svc.cluster.local")
        guard case .detect = told[0].policy.kind else { return #expect(Bool(false)) }
        // What is said twice is told once; what changes is told.
        source.profiles[0].say(.with { $0.fullyQualifiedName = "web.shop.svc.cluster.local" })
        #expect(told.count == 1)
        source.profiles[0].say(.with { $0.fullyQualifiedName = "web.shop.svc.cluster.local"; $0.opaqueProtocol = true })
        #expect(told.count == 2 && told[1].profile?.isOpaque == true)
    }

    @Test func `asks for no profile outside the networks that have them`() {
        let watch = discovery().target(address("192.0.2.1:443"))
        #expect(source.profiles.isEmpty)
        source.outbound[0].say(servicePolicy("x:443"))
        #expect(watch.value?.profile == nil && watch.value != nil)
    }

    @Test(arguments: [true, false]) func `forwards to the destination itself where there is no policy`(_ hasEndpoint: Bool) throws {
        let watch = discovery().target(address("10.1.0.9:8080"))
        source.profiles[0].say(.with { if hasEndpoint { $0.endpoint = weighted("10.1.0.9:8080") { $0.tlsIdentity.dnsLikeIdentity.name = "pod.shop" } } })
        source.outbound[0].end(.notFound, isFinal: true)
        let target = try #require(watch.value)
        guard case .detect(let http1, let http2, let opaque) = target.policy.kind, case .firstAvailable(let backends) = http1.routes[0].rules[0].backends, case .forward(let endpoint) = backends[0].kind
        else { return #expect(Bool(false)) }
        #expect(endpoint.address == address("10.1.0.9:8080") && endpoint.identity == (hasEndpoint ? "pod.shop" : nil))
        #expect(target.policy.parent == ResourceName(name: "endpoint") && http2 == http1 && opaque.count == 1)
    }

    @Test func `falls back to the destination without profile and policy`() {
        let watch = discovery().target(address("10.1.0.9:8080"))
        source.profiles[0].end(.invalidArgument, isFinal: true)
        source.outbound[0].end(.unimplemented, isFinal: true)
        #expect(watch.value?.profile == nil && watch.value?.policy.parent == ResourceName(name: "fallback"))
    }

    @Test func `refuses traffic when the policy cannot be had`() {
        let watch = discovery().target(address("10.1.0.9:8080"))
        source.profiles[0].end(.failedPrecondition, isFinal: true)
        source.outbound[0].end(.failedPrecondition, "two services", isFinal: true)
        guard case .invalid(let reason)? = watch.value?.policy.kind else { return #expect(Bool(false)) }
        #expect(reason.contains("two services"))
    }

    @Test func `keeps what it knows while a stream is away`() {
        let watch = discovery().target(address("10.96.0.1:80"))
        source.profiles[0].say(.with { $0.fullyQualifiedName = "web" })
        source.outbound[0].say(servicePolicy("web:80"))
        let known = watch.value
        source.outbound[0].end(.unavailable, isFinal: false)
        source.profiles[0].end(.deadlineExceeded, isFinal: false)
        source.profiles[0].end(.invalidArgument, isFinal: true)
        #expect(watch.value == known && known != nil)
    }

    @Test func `waits while the control plane is away`() {
        let watch = discovery().target(address("10.96.0.1:80"))
        source.profiles[0].end(.unavailable, isFinal: false)
        source.outbound[0].end(.unavailable, isFinal: false)
        #expect(watch.value == nil)
    }

    @Test func `is shared, and let go some time after its last user`() {
        let discovery = discovery()
        let first = bench.turn { discovery.target(address("10.96.0.1:80")) }
        #expect(bench.turn { discovery.target(address("10.96.0.1:80")) } === first && source.outbound.count == 1)
        bench.turn { discovery.release(address("10.96.0.1:80")) }
        bench.run(.seconds(60))
        #expect(!source.outbound[0].isStopped)
        bench.turn { discovery.release(address("10.96.0.1:80")) }
        bench.run(.milliseconds(4_900))
        #expect(bench.turn { discovery.target(address("10.96.0.1:80")) } === first)
        bench.turn { discovery.release(address("10.96.0.1:80")) }
        bench.run(.milliseconds(4_900))
        #expect(!source.outbound[0].isStopped)
        bench.run(.milliseconds(200))
        #expect(source.outbound[0].isStopped && source.profiles[0].isStopped && discovery.targets.isEmpty)
        #expect(bench.turn { discovery.target(address("10.96.0.1:80")) } !== first && source.outbound.count == 2)
    }

    @Test func `is bounded: the one unused longest makes room, and none in use does`() {
        let discovery = discovery()
        bench.turn {
            for i in 0..<ProxyLimits.discoveryEntriesMax { _ = discovery.target(SocketAddress(.v4(0x0a00_0000 + UInt32(i)), 80)) }
            guard case .invalid? = discovery.target(address("10.200.0.1:80")).value?.policy.kind else { return #expect(Bool(false)) }
            discovery.release(SocketAddress(.v4(0x0a00_0000 + 7), 80))
        }
        bench.run(.seconds(1))
        bench.turn {
            discovery.release(SocketAddress(.v4(0x0a00_0000 + 3), 80))
            #expect(discovery.target(address("10.200.0.1:80")).value == nil)
        }
        #expect(source.outbound[7].isStopped && !source.outbound[3].isStopped && discovery.targets.count == ProxyLimits.discoveryEntriesMax)
    }
}

@Suite struct `discovery of an authority` {
    let bench = Bench()
    let source = ScriptedSource()

    private func discovery() -> Discovery { Discovery(host: bench.host, source: source, profileNetworks: [], targetIdleTimeout: .zero, authorityIdleTimeout: .seconds(5)) }

    private func addresses(_ watch: Watch<EndpointSet>) -> [String]? {
        guard case .exists(let endpoints)? = watch.value else { return nil }
        return endpoints.map { "\($0.address)" }
    }

    @Test func `follows adds and removes and tells changes only`() {
        let watch = discovery().endpoints("web.shop.svc.cluster.local.:80")
        var told = 0
        watch.subscribe { _ in told += 1 }
        #expect(source.endpoints[0].subject == "web.shop.svc.cluster.local:80" && watch.value == nil)
        source.endpoints[0].say(add("10.1.0.2:80", "10.1.0.1:80"))
        #expect(addresses(watch) == ["10.1.0.1:80", "10.1.0.2:80"] && told == 1)
        source.endpoints[0].say(add("10.1.0.2:80"))
        source.endpoints[0].say(add())
        source.endpoints[0].say(remove("10.9.9.9:80"))
        source.endpoints[0].say(.init())
        #expect(told == 1)
        source.endpoints[0].say(add("10.1.0.3:80"))
        source.endpoints[0].say(remove("10.1.0.1:80"))
        #expect(addresses(watch) == ["10.1.0.2:80", "10.1.0.3:80"] && told == 3)
        source.endpoints[0].say(add("10.1.0.2:80", labels: ["pod": "new"]))
        #expect(told == 4)
        source.endpoints[0].say(remove("10.1.0.2:80", "10.1.0.3:80"))
        #expect(addresses(watch) == [])
    }

    @Test func `replaces everything with the first add of a new stream, and nothing before it`() {
        let watch = discovery().endpoints("web:80")
        source.endpoints[0].say(add("10.1.0.1:80", "10.1.0.2:80"))
        source.endpoints[0].end(.unavailable, isFinal: false)
        source.endpoints[0].restart()
        #expect(addresses(watch) == ["10.1.0.1:80", "10.1.0.2:80"])
        source.endpoints[0].say(add("10.1.0.2:80", "10.1.0.3:80"))
        #expect(addresses(watch) == ["10.1.0.2:80", "10.1.0.3:80"])
        source.endpoints[0].say(add("10.1.0.4:80"))
        #expect(addresses(watch) == ["10.1.0.2:80", "10.1.0.3:80", "10.1.0.4:80"])
    }

    @Test func `tells an empty set, an unknown name and a refused one apart`() {
        let watch = discovery().endpoints("web:80")
        source.endpoints[0].say(.with { $0.noEndpoints.exists = true })
        #expect(watch.value == .exists([]))
        source.endpoints[0].say(.with { $0.noEndpoints.exists = false })
        guard case .doesNotExist? = watch.value else { return #expect(Bool(false)) }
        source.endpoints[0].say(add("10.1.0.1:80"))
        #expect(addresses(watch) == ["10.1.0.1:80"])
        source.endpoints[0].end(.notFound, isFinal: false)
        #expect(addresses(watch) == ["10.1.0.1:80"])
        source.endpoints[0].end(.invalidArgument, "no such zone", isFinal: true)
        #expect(watch.value == .doesNotExist("no such zone"))
    }

    @Test func `is let go some time after its last user`() {
        let discovery = discovery()
        bench.turn {
            _ = discovery.endpoints("web:80")
            discovery.release(authority: "web:80")
        }
        bench.run(.milliseconds(4_900))
        #expect(!source.endpoints[0].isStopped)
        bench.run(.milliseconds(200))
        #expect(source.endpoints[0].isStopped && discovery.authorities.isEmpty)
    }
}

@Suite struct `policies of served ports` {
    let bench = Bench()
    let source = ScriptedSource()

    private func store(_ changes: [String: String?] = [:]) throws -> PolicyStore {
        let configuration = try Configuration.parse(environment(changes))
        return PolicyStore(host: bench.host, source: source, configuration: configuration, ports: [8080, 4191])
    }

    @Test func `are the default until the controller has spoken, opaque where configured`() throws {
        let store = try store(["INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION": "3306"])
        #expect(store.policy(port: 8080).value?.server.name == "all-unauthenticated" && store.policy(port: 3306).value?.kind == .opaque)
        guard case .detect(.seconds(10), let routes)? = store.policy(port: 8080).value?.kind else { return #expect(Bool(false)) }
        #expect(routes.map(\.name.name) == ["default"])
    }

    @Test func `are followed from the start for known ports, from first use for others`() throws {
        let store = try store()
        _ = store.policy(port: 9000)
        #expect(source.inbound.isEmpty)
        store.start()
        #expect(source.inbound.map(\.subject) == ["8080", "4191", "9000"])
        _ = store.policy(port: 9000)
        _ = store.policy(port: 9001)
        #expect(source.inbound.map(\.subject) == ["8080", "4191", "9000", "9001"])
    }

    @Test func `stay in force when an update is wrong or a stream is away`() throws {
        let store = try store()
        store.start()
        let watch = store.policy(port: 8080)
        var told: [String] = []
        watch.subscribe { told.append($0.server.name) }
        source.inbound[0].say(server("web"))
        source.inbound[0].say(server("web"))
        source.inbound[0].say(.init())
        source.inbound[0].end(.unavailable, isFinal: false)
        source.inbound[0].end(.notFound, isFinal: true)
        #expect(told == ["all-unauthenticated", "web"] && watch.value?.server.name == "web")
        #expect(bench.logged("The policy of port 8080 is invalid and the last one stays in force"))
    }

    @Test func `of ports on demand are let go when nobody holds or asks for them`() throws {
        let store = try store()
        var held: Watch<InboundPolicy>?
        bench.turn {
            store.start()
            held = store.policy(port: 9000)
            _ = store.policy(port: 9001)
        }
        bench.run(.seconds(91))
        #expect(!source.inbound[2].isStopped && source.inbound[3].isStopped && store.entries.map(\.port) == [8080, 4191, 9000])
        #expect(held?.value != nil)
        held = nil
        bench.run(.seconds(91))
        #expect(source.inbound[2].isStopped && store.entries.map(\.port) == [8080, 4191])
    }

    @Test func `are bounded: a scan of all ports opens no stream for each`() throws {
        let store = try store()
        store.start()
        for port in UInt16(10_000)..<12_000 { #expect(store.policy(port: port).value?.server.name == "all-unauthenticated") }
        #expect(source.inbound.count == 2 + ProxyLimits.policyPortsMax)
    }
}
