// The proxy of one pod, put together: configuration first, then who we are, where things are and what is allowed, then the
// listeners, which let nobody in before there is a certificate. This file only connects; each part explains itself.
// Source: linkerd2-proxy linkerd/app/src/lib.rs, linkerd2-proxy/src/main.rs; facts 1.4 to 1.6.

import Base
import Platform
import TLS
import Transport

public final class Proxy {
    /// Of this build; in the log, in `proxy_build_info`.
    public static let version = "0.1.0"
    /// EX_USAGE of sysexits.h: the environment does not describe a proxy.
    public static let exitUsage: Int32 = 64
    private static let target: StaticString = "linkerd2_proxy"
    /// Source: linkerd2-proxy linkerd/app/src/lib.rs.
    private static let waitingWarning = Interval.seconds(15)

    private enum State: Equatable { case new, waiting, serving, draining, ended }

    private let host: any Host
    public let metrics = MetricsRegistry()
    private var state = State.new
    private var parts: Parts?
    private var warningTimer: TimerID?
    private var graceTimer: TimerID?
    private var sweepTimer: TimerID?

    /// Everything that exists once the configuration is known.
    private struct Parts {
        var configuration: Configuration
        var resolver: Resolver
        var identity: Identity
        var clients: [ControlClient]
        var discovery: Discovery
        var policies: PolicyStore
        var inbound: InboundServer
        var outbound: OutboundServer
        var gates: [AcceptGate]
        var admin: AdminServer
        var process: ProcessSeries
        var tracer: Tracer?
        /// nil: nobody may watch.
        var tap: TapServer?
        /// nil: what is trusted does not change.
        var roots: TrustRoots?
    }

    public init(host: any Host) { self.host = host }

    /// Identity is certified and traffic is let in.
    public var isReady: Bool { state == .serving }
    /// Memory of the HTTP engines on both sides, and bytes that wait for slow readers. Unit: bytes.
    public var bytesHeld: Int { parts.map { $0.inbound.bytesHeld + $0.outbound.bytesHeld } ?? 0 }
    /// Accepted connections that are open, inbound and outbound.
    public var connectionCount: Int { parts.map { $0.inbound.connectionCount + $0.outbound.connectionCount } ?? 0 }
    /// Nothing is open any more; the process was told to end.
    public var isEnded: Bool { state == .ended }

    /// Reads the environment, binds, and serves as soon as there is a certificate. Ends the process with 64 when the environment
    /// is wrong, with 1 when an address cannot be bound, with 0 after a shutdown.
    public func start() {
        invariant(state == .new, "a proxy starts once")
        host.log(.info, Self.target, "release \(Self.version) by weft")
        host.log(.info, Self.target, "TLS by \(TLSLibrary.version), key exchange by \(TLSLibrary.groups.joined(separator: ", "))")
        let configuration: Configuration
        let anchors: TrustAnchors
        do throws(ConfigurationProblems) { (configuration, anchors) = try Self.configure(host.settings) } catch {
            for line in error.lines { host.log(.error, "linkerd_app::env", line) }
            host.log(.error, Self.target, "Invalid configuration: \(error.lines.count) \(error.lines.count == 1 ? "problem" : "problems")")
            return end(Self.exitUsage)
        }
        state = .waiting
        let parts = assemble(configuration, anchors)
        self.parts = parts
        do throws(HostFailure) {
            try parts.inbound.start(through: parts.gates[0])
            try parts.outbound.start(through: parts.gates[1])
            try parts.admin.start(on: configuration.adminListen)
            try parts.tap?.start(on: configuration.controlListen)
        } catch {
            host.log(.error, Self.target, "Initialization failed: \(error)")
            return end(1)
        }
        if let format = host.settings[Configuration.prefix + "ACCESS_LOG"], !format.isEmpty, configuration.accessLog == nil {
            host.log(.error, Self.target, "Access log format \"\(format.prefix(40))\" is none of apache and json: there is no access log")
        }
        announce(configuration)
        host.onShutdown { [self] in shutdown() }
        do throws(Refusal) { try parts.identity.start() } catch {
            host.log(.error, Self.target, "Initialization failed: \(error)")
            return end(1)
        }
        parts.identity.whenReady { [self] in serve() }
        if state == .waiting { warnLater() }
        sweepLater(configuration.metricsRetainIdle)
    }

    /// Takes nothing new, lets what is open finish within the grace period, then ends the process. Harmless when it has begun.
    public func shutdown() {
        guard let parts, state == .waiting || state == .serving else { return }
        state = .draining
        host.log(.debug, "linkerd_app", "Draining")
        cancel(&warningTimer)
        let grace = parts.configuration.shutdownGracePeriod
        graceTimer = host.after(grace) { [self] in
            graceTimer = nil
            host.log(.warn, "linkerd_app", "Graceful shutdown did not complete in \(grace), terminating now")
            end(0)
        }
        for gate in parts.gates { gate.close() }
        var left = 2
        let drained = { [self] in
            left -= 1
            guard left == 0 else { return }
            host.log(.debug, "linkerd_app", "Shutdown completed gracefully")
            if let tracer = parts.tracer { tracer.finish { [self] in end(0) } } else { end(0) }
        }
        parts.inbound.drain(drained)
        parts.outbound.drain(drained)
    }

    /// Every problem of the environment at once, the anchors' included.
    static func configure(_ settings: Settings) throws(ConfigurationProblems) -> (Configuration, TrustAnchors) {
        var problems: [String] = []
        var anchors: TrustAnchors?
        let name = Configuration.prefix + "IDENTITY_TRUST_ANCHORS"
        // What is missing, or no PEM at all, the parser says.
        if let pem = settings[name], pem.contains("-----BEGIN CERTIFICATE-----") {
            do throws(PeerError) { anchors = try TrustAnchors(pem: pem) } catch { problems.append("\(name) cannot be used: \(error.rule)") }
        }
        do throws(ConfigurationProblems) {
            let configuration = try Configuration.parse(settings)
            if let anchors { return (configuration, anchors) }
        } catch { problems = error.lines + problems }
        throw ConfigurationProblems(lines: problems)
    }

    // MARK: The parts

    private func assemble(_ configuration: Configuration, _ anchors: TrustAnchors) -> Parts {
        let batch = FlushBatch(host: host)
        let resolver = Resolver(host: host, ttlMin: configuration.dnsTTLMin, ttlMax: configuration.dnsTTLMax)
        let process = ProcessSeries(host: host, registry: metrics, version: Self.version)

        // The identity service is met before there is a certificate, and needs to know us by the token alone.
        var unproven = TLSClientConfiguration(anchors: anchors)
        func series(_ client: String, _ families: Families.Balancer, _ service: Configuration.Service) -> ControlSeries {
            ControlSeries(metrics, client: client, families, service: service, host: host)
        }
        let identitySeries = series("identity", Families.identityBalancer, configuration.identity.service)
        let certifying = ControlClient.connector(batch: batch, resolver: resolver, service: configuration.identity.service, configuration: configuration, series: identitySeries) { unproven.toward($0) }
        let certifier = IdentityServiceCertifier(batch: batch, connector: certifying, authority: "\(configuration.identity.service.authority)", series: identitySeries)
        let identity = Identity(host: host, settings: configuration.identity, anchors: anchors, certifier: certifier, metrics: metrics)

        let roots = configuration.identity.trustAnchorsPath.map { TrustRoots(host: host, path: $0, pem: configuration.identity.trustAnchorsPEM) }
        roots?.start { anchors in
            unproven = TLSClientConfiguration(anchors: anchors)
            identity.trust(anchors)
        }
        let credentials = { (name: String) in identity.clientConfiguration(toward: name, alpn: []) }
        let destination = ControlClient(batch: batch, resolver: resolver, service: configuration.destination, configuration: configuration, series: series("destination", Families.destinationBalancer, configuration.destination), credentials: credentials)
        let policy = ControlClient(batch: batch, resolver: resolver, service: configuration.policy, configuration: configuration, series: series("policy", Families.policyBalancer, configuration.policy), credentials: credentials)
        let source = ControlPlaneSource(destination: destination, policy: policy, context: configuration.destinationContext, workload: configuration.policyWorkload)
        // A stack keeps its target for the idle time-out by itself.
        let discovery = Discovery(
            host: host, source: source, profileNetworks: configuration.profileNetworks, profileSuffixes: configuration.profileSuffixes, targetIdleTimeout: .zero, authorityIdleTimeout: configuration.outbound.discoveryIdleTimeout)
        let policies = PolicyStore(host: host, source: source, configuration: configuration, ports: configuration.inboundPorts.ports + [configuration.adminListen.port] + (configuration.gatewaySuffixes.isEmpty ? [] : [configuration.inboundListen.port]))

        let inbound = InboundServer(batch: batch, configuration: configuration, identity: identity, policies: policies, registry: metrics)
        let outbound = OutboundServer(batch: batch, configuration: configuration, identity: identity, discovery: discovery, registry: metrics)
        let tracer = configuration.tracing.map { settings in
            let client = ControlClient(
                batch: batch, resolver: resolver, service: settings.collector, configuration: configuration, series: series("opentelemetry", Families.collectorBalancer, settings.collector),
                credentials: credentials)
            return Tracer(host: host, settings: settings, client: client, registry: metrics)
        }
        let tap = configuration.tapIdentity.map { watcher in
            let taps = Taps(host: host)
            inbound.http.taps = taps
            outbound.taps = taps
            return TapServer(batch: batch, identity: identity, watcher: watcher, taps: taps)
        }
        inbound.http.tracer = tracer
        outbound.tracer = tracer
        if !configuration.gatewaySuffixes.isEmpty { inbound.gateway = Gateway(outbound: outbound, identity: identity, configuration: configuration) }
        let port = InboundPort(port: configuration.adminListen.port, batch: batch, configuration: configuration, policies: policies, registry: metrics)
        let pages = AdminPages(
            settings: host.settings, control: host.log.control, isShutdownEnabled: configuration.isShutdownEndpointEnabled,
            sources: AdminPages.Sources(
                isReady: { [self] in state == .serving || state == .draining },
                metrics: { [self] then in
                    process.refresh()
                    metrics.sweep(now: host.now, idle: configuration.metricsRetainIdle)
                    then(metrics.snapshot())
                },
                state: { [self] in stateText() },
                shutdown: { [self] in host.after(.zero) { [self] in shutdown() } }))
        return Parts(
            configuration: configuration, resolver: resolver, identity: identity, clients: [destination, policy], discovery: discovery, policies: policies,
            inbound: inbound, outbound: outbound, gates: [AcceptGate(inbound), AcceptGate(outbound)],
            admin: AdminServer(batch: batch, identity: identity, port: port, pages: pages), process: process, tracer: tracer, tap: tap, roots: roots)
    }

    private func serve() {
        guard state == .waiting, let parts else { return }
        state = .serving
        cancel(&warningTimer)
        parts.policies.start()
        for gate in parts.gates { gate.open() }
    }

    // MARK: What is said

    /// Source: linkerd2-proxy/src/main.rs; `linkerd diagnostics` and people look for these lines.
    private func announce(_ configuration: Configuration) {
        func line(_ text: String) { host.log(.info, Self.target, text) }
        func service(_ service: Configuration.Service) -> String { "\(service.authority)" + (service.identity.map { " (\($0))" } ?? "") }
        line("Using single-threaded proxy runtime")
        line("Admin interface on \(configuration.adminListen)")
        line("Inbound interface on \(configuration.inboundListen)")
        for address in configuration.outboundListen { line("Outbound interface on \(address)") }
        line(configuration.tapIdentity == nil ? "Tap DISABLED" : "Tap interface on \(configuration.controlListen)")
        if let tracing = configuration.tracing { line("OpenTelemetry tracing collector at \(service(tracing.collector))") }
        line("SNI is \(configuration.identity.localName)")
        line("Local identity is \(configuration.identity.localID)")
        line("Destinations resolved via \(service(configuration.destination))")
        line("Policies resolved via \(service(configuration.policy))")
        line("Identity verified via \(service(configuration.identity.service))")
    }

    private func warnLater() {
        warningTimer = host.after(Self.waitingWarning) { [self] in
            guard state == .waiting else { return }
            host.log(.warn, "linkerd_app", "Waiting for identity to be initialized...")
            warnLater()
        }
    }

    private func sweepLater(_ idle: Interval) {
        sweepTimer = host.after(max(idle, .minutes(1))) { [self] in
            metrics.sweep(now: host.now, idle: idle)
            sweepLater(idle)
        }
    }

    // MARK: The end

    private func end(_ status: Int32) {
        guard state != .ended else { return }
        state = .ended
        cancel(&warningTimer)
        cancel(&graceTimer)
        cancel(&sweepTimer)
        if let parts {
            parts.identity.stop()
            parts.discovery.stop()
            parts.policies.stop()
            parts.tracer?.stop()
            for client in parts.clients { client.close() }
            parts.admin.close()
            parts.tap?.close()
            parts.roots?.stop()
        }
        host.exit(status)
    }

    private func cancel(_ timer: inout TimerID?) {
        if let timer { host.cancel(timer) }
        timer = nil
    }
}

// MARK: What it knows

extension Proxy {
    /// The proxy's view of the mesh as JSON, for people and for tools that compare it with the control plane's.
    public func stateText() -> String {
        var json = JSONText()
        json.object { object in
            object.member("version", Self.version)
            object.member("state", "\(state)")
            guard let parts else { return }
            object.key("identity")
            object.object { identity in
                identity.member("name", parts.identity.localName)
                identity.member("expiry", parts.identity.expiry.map { "\($0)" })
                identity.member("serial", parts.identity.credentials?.leaf.serial)
            }
            object.key("control")
            object.array { list in
                for client in parts.clients {
                    list.object { one in
                        one.member("addr", client.name)
                        one.key("ready")
                        one.bool(client.channel.isReady)
                    }
                }
            }
            object.key("outbound")
            object.object { parts.outbound.describe(&$0) }
            object.key("inbound")
            object.object { parts.inbound.describe(&$0) }
            object.key("targets")
            object.array { list in for entry in parts.discovery.targets { list.object { entry.describe(&$0) } } }
            object.key("authorities")
            object.array { list in for entry in parts.discovery.authorities { list.object { entry.describe(&$0) } } }
            object.key("ports")
            object.array { list in for entry in parts.policies.entries { list.object { entry.describe(&$0) } } }
        }
        return json.text + "\n"
    }
}

extension TargetEntry {
    fileprivate func describe(_ json: inout JSONText) {
        json.member("addr", "\(destination)")
        json.member("profile", watch.value?.profile.map { $0.fullyQualifiedName ?? "" })
        json.member("parent", watch.value.map { "\($0.policy.parent.kind)/\($0.policy.parent.namespace)/\($0.policy.parent.name)" })
        json.key("users")
        json.number(idle.users)
    }
}

extension AuthorityEntry {
    fileprivate func describe(_ json: inout JSONText) {
        json.member("name", authority)
        json.key("users")
        json.number(idle.users)
        json.key("endpoints")
        guard case .exists(let endpoints)? = watch.value else { return json.null() }
        json.array { list in
            for endpoint in endpoints {
                list.object { one in
                    one.member("addr", "\(endpoint.address)")
                    one.member("identity", endpoint.identity)
                }
            }
        }
    }
}

extension PolicyStore.Entry {
    fileprivate func describe(_ json: inout JSONText) {
        json.key("port")
        json.number(port)
        json.member("server", watch.value.map { "\($0.server.kind)/\($0.server.name)" })
        json.key("known")
        json.bool(isKnown)
    }
}
