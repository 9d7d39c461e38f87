// The environment as the chart writes it, and every way in which it can be wrong.

import Base
import Foundation
import Platform
import Testing
import Transport

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
        #expect(configuration.logFilter.level(of: "weft::inbound") == .info && configuration.logFilter.level(of: "hyper") == .warn && configuration.logFilter.refused.isEmpty)
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
            "OUTBOUND_CONNECT_EXP_BACKOFF_MIN": "1s", "INBOUND_CONNECT_EXP_BACKOFF_MIN": "2s", "INBOUND_CONNECT_EXP_BACKOFF_MAX": "1s", "INBOUND_CONNECT_EXP_BACKOFF_JITTER": "-1",
            "INBOUND_SERVER_HTTP2_KEEP_ALIVE_INTERVAL": "10s", "OUTBOUND_SERVER_HTTP2_INITIAL_STREAM_WINDOW_SIZE": "100000", "INBOUND_SERVER_HTTP2_MAX_FRAME_SIZE": "1000",
            "OUTBOUND_SERVER_HTTP2_ADAPTIVE_FLOW_CONTROL": "yes", "INBOUND_SERVER_HTTP2_ADAPTIVE_FLOW_CONTROL": "true", "INBOUND_MAX_IN_FLIGHT": "0", "CORES_MAX_RATIO": "1.5",
            "TRACE_COLLECTOR_SVC_ADDR": "collector.linkerd:4317", "INBOUND_METRICS_AUTHORITY_LABELS": "safe", "DESTINATION_PROFILE_SUFFIXES": "svc..local",
            "IDENTITY_SPIRE_SOCKET": "unix:/run/spire.sock", "IDENTITY_MIN_REFRESH": "2h", "IDENTITY_MAX_REFRESH": "1h",
        ])
        let problems = try #require(throws: ConfigurationProblems.self) { try Configuration.parse(settings) }
        let wrong = [
            "DESTINATION_SVC_NAME", "POLICY_WORKLOAD", "IDENTITY_TRUST_ANCHORS", "IDENTITY_DISABLED", "INBOUND_LISTEN_ADDR", "INBOUND_PORTS", "OUTBOUND_CONNECT_TIMEOUT", "CONTROL_STREAM_INITIAL_TIMEOUT",
            "SHUTDOWN_ENDPOINT_ENABLED", "INBOUND_DEFAULT_POLICY", "DESTINATION_PROFILE_NETWORKS", "DNS_MIN_TTL",
            "OUTBOUND_CONNECT_EXP_BACKOFF_MAX", "INBOUND_CONNECT_EXP_BACKOFF_MIN", "INBOUND_CONNECT_EXP_BACKOFF_JITTER", "INBOUND_SERVER_HTTP2_KEEP_ALIVE_TIMEOUT",
            "OUTBOUND_SERVER_HTTP2_INITIAL_CONNECTION_WINDOW_SIZE", "INBOUND_SERVER_HTTP2_MAX_FRAME_SIZE", "OUTBOUND_SERVER_HTTP2_ADAPTIVE_FLOW_CONTROL", "INBOUND_MAX_IN_FLIGHT", "CORES_MAX_RATIO",
            "TRACE_COLLECTOR_SVC_NAME", "INBOUND_METRICS_AUTHORITY_LABELS", "DESTINATION_PROFILE_SUFFIXES", "IDENTITY_SPIRE_SOCKET", "IDENTITY_MIN_REFRESH",
        ]
        for name in wrong { #expect(problems.lines.filter { $0.hasPrefix("LINKERD2_PROXY_\(name) ") }.count == 1, "\(name) in \(problems.lines)") }
        #expect(problems.lines.count == wrong.count, "\(problems.lines)")
    }

    @Test func `tunes both sides`() throws {
        let configuration = try Configuration.parse(environment([
            "HTTP2_INITIAL_STREAM_WINDOW_SIZE": "131072", "HTTP2_INITIAL_CONNECTION_WINDOW_SIZE": "2000000", "INBOUND_SERVER_HTTP2_INITIAL_STREAM_WINDOW_SIZE": "70000",
            "INBOUND_SERVER_HTTP2_INITIAL_CONNECTION_WINDOW_SIZE": "80000", "INBOUND_SERVER_HTTP2_KEEP_ALIVE_INTERVAL": "10s", "INBOUND_SERVER_HTTP2_KEEP_ALIVE_TIMEOUT": "3s",
            "INBOUND_SERVER_HTTP2_MAX_CONCURRENT_STREAMS": "250", "INBOUND_SERVER_HTTP2_MAX_FRAME_SIZE": "32768", "INBOUND_SERVER_HTTP2_MAX_HEADER_LIST_SIZE": "10000",
            "INBOUND_SERVER_HTTP2_MAX_PENDING_ACCEPT_RESET_STREAMS": "20", "INBOUND_SERVER_HTTP2_MAX_SEND_BUF_SIZE": "40000", "OUTBOUND_MAX_IN_FLIGHT": "7", "MAX_IDLE_CONNS_PER_ENDPOINT": "3",
            "OUTBOUND_MAX_IDLE_CONNS_PER_ENDPOINT": "4", "OUTBOUND_HTTP1_CONNECTION_POOL_IDLE_TIMEOUT": "9s", "OUTBOUND_TCP_QUEUE_CAPACITY": "5", "OUTBOUND_TCP_FAILFAST_TIMEOUT": "6s",
            "OUTBOUND_CONNECT_EXP_BACKOFF_MIN": "50ms", "OUTBOUND_CONNECT_EXP_BACKOFF_MAX": "2s", "OUTBOUND_CONNECT_EXP_BACKOFF_JITTER": "0.25", "CONTROL_LISTEN_ADDR": "127.0.0.1:5000",
            "TAP_SVC_NAME": "tap", "ACCESS_LOG": "json", "INBOUND_METRICS_AUTHORITY_LABELS": "unsafe", "OUTBOUND_METRICS_HOSTNAME_LABELS": "true", "INGRESS_MODE": "true",
            "INBOUND_GATEWAY_SUFFIXES": "svc.cluster.local.", "DESTINATION_PROFILE_SUFFIXES": ".", "CORES_MAX_RATIO": "0.5", "TRACE_COLLECTOR_SVC_ADDR": "collector.linkerd.:4317",
            "TRACE_COLLECTOR_SVC_NAME": "collector.id", "TRACE_EXTRA_ATTRIBUTES": "a=1\nb=2=3\n\nno", "DESTINATION_PROFILE_INITIAL_TIMEOUT": "1s",
        ]))
        let server = configuration.inbound.serverHTTP2
        #expect(server.initialStreamWindowBytes == 70_000 && server.initialConnectionWindowBytes == 80_000 && server.keepAliveInterval == .seconds(10) && server.keepAliveTimeout == .seconds(3))
        #expect(server.maxConcurrentStreams == 250 && server.maxFrameBytes == 32_768 && server.maxHeaderListBytes == 10_000 && server.keepAliveWhileIdle)
        #expect(configuration.inbound.serverLimits.http.resetsBurst == 20 && configuration.inbound.serverLimits.sendQueueBytesMax == 40_000)
        #expect(configuration.outbound.serverHTTP2.initialStreamWindowBytes == 131_072 && configuration.clientHTTP2.initialConnectionWindowBytes == 2_000_000)
        #expect(configuration.outbound.requestsInFlightMax == 7 && configuration.inbound.requestsInFlightMax == 100_000)
        #expect(configuration.inbound.clientLimits.idleConnectionsMax == 3 && configuration.outbound.clientLimits.idleConnectionsMax == 4)
        #expect(configuration.inbound.clientLimits.idleConnectionTimeout == .seconds(3) && configuration.outbound.clientLimits.idleConnectionTimeout == .seconds(9))
        #expect(configuration.outbound.queueConnectionsMax == 5 && configuration.outbound.opaqueFailfastTimeout == .seconds(6))
        #expect(configuration.outbound.connectBackoff == BackoffOptions(min: .milliseconds(50), max: .seconds(2), jitterPercent: 25) && configuration.inbound.connectBackoff.max == .seconds(10))
        #expect(configuration.controlListen == address("127.0.0.1:5000") && configuration.tapIdentity == "tap" && configuration.accessLog == .json)
        #expect(configuration.hasInboundAuthorityLabels && configuration.hasHostnameLabels && configuration.isIngress && !configuration.informsOutbound)
        #expect(configuration.gatewaySuffixes.contains("web.shop.svc.cluster.local") && configuration.gatewaySuffixes.contains("SVC.cluster.local.") && !configuration.gatewaySuffixes.contains("mysvc.cluster.local"))
        #expect(configuration.profileSuffixes.contains("example.com") && configuration.profileInitialTimeout == .seconds(1))
        let tracing = try #require(configuration.tracing)
        #expect(tracing.collector.identity == "collector.id" && tracing.attributes.map { "\($0.name) \($0.value)" } == ["a 1", "b 2=3"] && tracing.serviceName == "linkerd-proxy")
    }

    @Test(arguments: [
        ([:], 8, 1), (["CORES_MAX": "4"], 8, 4), (["CORES_MAX": "16"], 8, 8), (["CORES": "2", "CORES_MIN": "2"], 8, 2), (["CORES": "3"], 8, 3), (["CORES_MIN": "2", "CORES_MAX": "1"], 8, 2),
        (["CORES_MAX_RATIO": "0.5"], 8, 4), (["CORES_MAX_RATIO": "0.1"], 8, 1), (["CORES_MAX_RATIO": "1"], 8, 8), (["CORES_MAX": "2", "CORES_MAX_RATIO": "1.0"], 8, 2), (["CORES_MIN": "4"], 2, 2),
    ] as [([String: String], Int, Int)])
    func `says how many loops serve`(_ variables: [String: String], _ available: Int, _ loops: Int) throws {
        #expect(try Configuration.parse(environment(variables)).cores.count(available: available) == loops)
    }

    @Test func `is known by name, every variable of Linkerd's proxy`() throws {
        var reader = EnvironmentReader(settings: environment(["TRACE_COLLECTOR_SVC_ADDR": "c:1", "TRACE_COLLECTOR_SVC_NAME": "c"]))
        _ = try Configuration.parse(&reader)
        let table = Configuration.variables
        #expect(Set(table.map(\.name)).count == table.count)
        for variable in table where variable.standing != .idle { #expect(reader.asked.contains(variable.name), "\(variable.name) is in the table and not read") }
        for name in reader.asked.sorted() { #expect(table.contains { $0.name == name }, "\(name) is read and not in the table") }
        #expect(table.count { if case .unsupported = $0.standing { true } else { false } } == 5)
        // The names of linkerd2-proxy linkerd/app/src/env.rs.
        let known = try String(contentsOfFile: path(beside: "variables.txt"), encoding: .utf8).split(separator: "\n").filter { !$0.hasPrefix("#") }.map(String.init)
        #expect(known.count > 90)
        for name in known { #expect(table.contains { $0.fullName == name }, "\(name) is unknown") }
        for variable in table where !variable.name.hasPrefix("WEFT_") { #expect(known.contains(variable.fullName), "\(variable.fullName) is none of Linkerd's") }
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
