// The environment as the chart writes it, and every way in which it can be wrong.

import Base
import Platform
import Testing

@testable import Proxy

@Suite struct `the environment of a proxy` {
    @Test func `is read as the chart writes it`() throws {
        let configuration = try Configuration.parse(environment([
            "OUTBOUND_LISTEN_ADDRS": "127.0.0.1:4140,[::1]:4140", "INBOUND_CONNECT_TIMEOUT": "100ms", "OUTBOUND_CONNECT_TIMEOUT": "1000ms", "OUTBOUND_DISCOVERY_IDLE_TIMEOUT": "5s",
            "CONTROL_STREAM_INITIAL_TIMEOUT": "3s", "CONTROL_STREAM_IDLE_TIMEOUT": "5m", "CONTROL_STREAM_LIFETIME": "1h", "INBOUND_PORTS": "8080, 9000-9002,",
            "INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION": "25,587,3306,4444,5432,6379,9300,11211", "INBOUND_IPS": "10.1.0.1,fd00::1", "OUTBOUND_DETECT_TIMEOUT": "365d",
            "INBOUND_DEFAULT_POLICY": "cluster-unauthenticated", "SHUTDOWN_GRACE_PERIOD": "", "LOG": "warn,linkerd=info,hickory=error,[{headers}]=off,[{request}]=off",
        ]))
        #expect(configuration.outboundListen == [address("127.0.0.1:4140"), address("[::1]:4140")])
        #expect(configuration.inbound.connectTimeout == .milliseconds(100) && configuration.outbound.connectTimeout == .seconds(1))
        #expect(configuration.outbound.detectTimeout == .days(365) && configuration.inbound.detectTimeout == .seconds(10))
        #expect(configuration.streamLimits.initial == .seconds(3) && configuration.streamLimits.idle == .minutes(5) && configuration.streamLimits.lifetime == .hours(1))
        #expect(configuration.inboundPorts.ports == [8080, 9000, 9001, 9002])
        #expect(configuration.inboundOpaquePorts.contains(3306) && !configuration.inboundOpaquePorts.contains(3307))
        #expect(configuration.inboundIPs == [IPAddress(10, 1, 0, 1), IPAddress("fd00::1")!])
        #expect(configuration.inboundDefaultPolicy == .clusterUnauthenticated)
        #expect(configuration.shutdownGracePeriod == .minutes(2))
        #expect(configuration.destination.authority.host == "linkerd-dst-headless.linkerd.svc.cluster.local." && configuration.destination.authority.port == 8086)
        #expect(configuration.destinationContext.hasSuffix("}\n"))
        #expect(configuration.logLevel == .info)
    }

    @Test func `has its defaults where it says nothing`() throws {
        let configuration = try Configuration.parse(environment(["OUTBOUND_LISTEN_ADDR": nil, "INBOUND_LISTEN_ADDR": nil, "ADMIN_LISTEN_ADDR": nil]))
        #expect(configuration.outboundListen == [address("127.0.0.1:4140")] && configuration.inboundListen == address("0.0.0.0:4143") && configuration.adminListen == address("127.0.0.1:4191"))
        #expect(configuration.inbound.connectTimeout == .milliseconds(300) && configuration.outbound.connectTimeout == .seconds(1))
        #expect(configuration.inbound.discoveryIdleTimeout == .seconds(90) && configuration.outbound.discoveryIdleTimeout == .seconds(5))
        #expect(configuration.inbound.failfastTimeout == .seconds(1) && configuration.outbound.failfastTimeout == .seconds(3))
        #expect(configuration.inboundDefaultPolicy == .allUnauthenticated && configuration.streamLimits.initial == nil && !configuration.isShutdownEndpointEnabled)
        #expect(configuration.metricsRetainIdle == .minutes(10))
    }

    @Test func `is refused with every problem at once`() throws {
        let settings = environment([
            "DESTINATION_SVC_NAME": nil, "POLICY_WORKLOAD": nil, "IDENTITY_TRUST_ANCHORS": "none", "IDENTITY_DISABLED": "1", "INBOUND_LISTEN_ADDR": "4143", "INBOUND_PORTS": "9-8",
            "OUTBOUND_CONNECT_TIMEOUT": "10", "CONTROL_STREAM_INITIAL_TIMEOUT": "10m", "CONTROL_STREAM_IDLE_TIMEOUT": "5m", "SHUTDOWN_ENDPOINT_ENABLED": "yes",
            "INBOUND_DEFAULT_POLICY": "allow", "DESTINATION_PROFILE_NETWORKS": "10.0.0.0/33", "DNS_MIN_TTL": "2s", "DNS_MAX_TTL": "1s",
        ])
        let problems = try #require(throws: ConfigurationProblems.self) { try Configuration.parse(settings) }
        let wrong = [
            "DESTINATION_SVC_NAME", "POLICY_WORKLOAD", "IDENTITY_TRUST_ANCHORS", "IDENTITY_DISABLED", "INBOUND_LISTEN_ADDR", "INBOUND_PORTS", "OUTBOUND_CONNECT_TIMEOUT", "CONTROL_STREAM_INITIAL_TIMEOUT",
            "SHUTDOWN_ENDPOINT_ENABLED", "INBOUND_DEFAULT_POLICY", "DESTINATION_PROFILE_NETWORKS", "DNS_MIN_TTL",
        ]
        for name in wrong { #expect(problems.lines.filter { $0.hasPrefix("LINKERD2_PROXY_\(name) ") }.count == 1, "\(name) in \(problems.lines)") }
        #expect(problems.lines.count == wrong.count, "\(problems.lines)")
    }

    @Test(arguments: [("300ms", Interval.milliseconds(300)), (" 10s ", .seconds(10)), ("5m", .minutes(5)), ("2h", .hours(2)), ("365d", .days(365)), ("0", .zero)])
    func `writes a duration as a number with a unit`(_ text: String, _ interval: Interval) throws {
        #expect(try Configuration.parse(environment(["SHUTDOWN_GRACE_PERIOD": text])).shutdownGracePeriod == interval)
    }

    @Test(arguments: ["10", "s", "-1s", "1.5s", "1w", "10s5", "99999999999999999d"]) func `knows no other duration`(_ text: String) {
        #expect(throws: ConfigurationProblems.self) { try Configuration.parse(environment(["SHUTDOWN_GRACE_PERIOD": text])) }
    }

    @Test func `needs no identity of a service on loopback`() throws {
        let configuration = try Configuration.parse(environment(["DESTINATION_SVC_ADDR": "localhost.:8086", "DESTINATION_SVC_NAME": nil]))
        #expect(configuration.destination.identity == nil && configuration.destination.authority.isLoopback)
    }

    @Test func `ends the process with 64 and names what is wrong`() {
        let bench = Bench()
        bench.process.settings = environment(["POLICY_SVC_ADDR": nil, "INBOUND_PORTS": "x"])
        let proxy = bench.turn { Proxy(host: bench.host) }
        bench.turn { proxy.start() }
        bench.run(.seconds(1))
        #expect(bench.process.state == .exited(64), "\(bench.process.state)")
        #expect(bench.logged("LINKERD2_PROXY_POLICY_SVC_ADDR is missing") && bench.logged("LINKERD2_PROXY_INBOUND_PORTS must be"))
    }

    @Test func `is also wrong when its anchors are no certificates`() {
        let problems = #expect(throws: ConfigurationProblems.self) { _ = try Proxy.configure(environment(["INBOUND_PORTS": "x"])) }
        #expect(problems?.lines.map { String($0.prefix(37)) } == ["LINKERD2_PROXY_INBOUND_PORTS must be ", "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS"])
    }
}
