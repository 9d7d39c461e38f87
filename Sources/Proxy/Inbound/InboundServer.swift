// The inbound listener: connections to the pod's ports, redirected here by the kernel, and those of other proxies to this one.
// Source: linkerd2-proxy inbound, shared facts on the data plane 3.1.

import Base
import HTTP
import Platform
import Transport

public final class InboundServer: AcceptHandler {
    let batch: FlushBatch
    let configuration: Configuration
    let identity: any MeshIdentity
    let http: InboundHTTP
    let limits: TransportLimits
    private let policies: any InboundPolicies
    let registry: MetricsRegistry
    let links = LinkTable<InboundLink>()
    private var listener: (any Listener)?
    /// Look-up only; `ports` has the order.
    private var table: [UInt16: InboundPort] = [:]
    private(set) var ports: [InboundPort] = []
    private var drained: (() -> Void)?
    private var accepts: UInt64 = 0
    private let random: Random
    private var lastHandshakeLog = Instant(nanoseconds: .min / 2)

    init(batch: FlushBatch, configuration: Configuration, identity: any MeshIdentity, policies: any InboundPolicies, registry: MetricsRegistry) {
        self.batch = batch
        self.configuration = configuration
        self.identity = identity
        self.policies = policies
        self.registry = registry
        limits = configuration.inbound.serverLimits
        http = InboundHTTP(host: batch.host, configuration: configuration, registry: registry)
        random = batch.host.random("inbound")
    }

    /// nil: this proxy is none.
    var gateway: Gateway?

    /// Binds and accepts.
    func start() throws(HostFailure) { try start(through: self) }

    /// Binds; `entrance` hands connections on when they may come in.
    func start(through entrance: any AcceptHandler) throws(HostFailure) {
        let side = configuration.inbound
        let options = ListenOptions(wantsOriginalDestination: true, backlog: side.backlog, keepAlive: side.acceptKeepAlive, userTimeout: side.acceptUserTimeout)
        listener = try batch.host.network.listen(on: configuration.inboundListen, options: options, handler: entrance)
    }

    /// Memory of engines toward clients and the application, and bytes not sent. Unit: bytes.
    var bytesHeld: Int { links.links.reduce(0) { $0 + $1.bytesHeld } + ports.reduce(0) { $0 + $1.bytesHeld } }
    var connectionCount: Int { links.count }

    /// Stops accepting and lets what is open finish; `done` is called once.
    func drain(_ done: @escaping () -> Void) {
        listener?.close()
        listener = nil
        drained = done
        batch.enter()
        for link in links.links { link.drain() }
        batch.leave()
        tellIfDrained()
    }

    public func accepted(_ connection: any Connection) {
        guard links.count < ProxyLimits.connectionsMax else {
            batch.host.log(.warn, "weft::inbound", "too many connections, closing one from \(connection.remoteAddress)")
            return connection.reset()
        }
        guard let destination = connection.originalDestination else {
            batch.host.log(.warn, "weft::inbound", "connection from \(connection.remoteAddress) has no original destination")
            return connection.reset()
        }
        guard configuration.inboundIPs.isEmpty || configuration.inboundIPs.contains(destination.ip.unmapped) else {
            batch.host.log(.info, "weft::inbound", "connection from \(connection.remoteAddress) is for \(destination), which is not this pod")
            return connection.reset()
        }
        connection.isReadingPaused = true
        accepts += 1
        let link = InboundLink(MeteredConnection(accepted: connection, series: nil), target: destination, server: self, random: random.fork("\(accepts)"))
        links.insert(link)
        if destination.port == configuration.inboundListen.port { link.startDirect() } else { link.start(port: port(destination.port)) }
    }

    /// The state of one port, made at first use and let go when nobody has used it for the discovery idle timeout. Every call is matched
    /// by one `release`.
    func port(_ number: UInt16) -> InboundPort {
        if let found = table[number] {
            found.retain()
            return found
        }
        let made = InboundPort(port: number, batch: batch, configuration: configuration, policies: policies, registry: registry)
        table[number] = made
        ports.append(made)
        return made
    }

    func release(_ port: InboundPort) {
        port.release { [self] in
            port.retire()
            table[port.port] = nil
            ports.removeAll { $0 === port }
        }
    }

    func gone(_ link: InboundLink) {
        links.remove(link)
        tellIfDrained()
    }

    private func tellIfDrained() {
        guard links.count == 0, let done = drained else { return }
        drained = nil
        for port in ports { port.retire() }
        ports = []
        table = [:]
        done()
    }

    // MARK: Counting

    func countError(_ error: String, _ target: SocketAddress) {
        count(Families.inboundConnectionErrors, [("error", error), ("target_addr", "\(target)"), ("target_ip", "\(target.ip)"), ("target_port", "\(target.port)")])
    }

    /// Counted every time, logged once in ten seconds: a stranger must not be able to fill the log.
    func countHandshakeFailure(_ reason: String, from peer: SocketAddress, _ target: SocketAddress) {
        countError("i/o", target)
        guard batch.host.now - lastHandshakeLog >= .seconds(10) else { return }
        lastHandshakeLog = batch.host.now
        batch.host.log(.warn, "weft::inbound", "TLS handshake with \(peer) failed: \(reason)")
    }

    func countTransportHeader(_ header: TransportHeader, _ client: InboundClient) {
        let session =
            switch header.sessionProtocol {
            case .http1: "http/1"
            case .http2: "http/2"
            case nil: ""
            }
        count(
            Families.transportHeaders,
            [("session_protocol", session), ("target_port", "\(header.port)"), ("target_name", header.name ?? ""), ("client_id", client.identity ?? "")])
    }

    func count(_ family: MetricFamily, _ labels: [(String, String)]) { registry.metric(family, labels).increment() }
}
