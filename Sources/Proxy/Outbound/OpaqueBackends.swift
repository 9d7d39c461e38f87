// Connections of opaque traffic over the endpoints of a backend: of two drawn by chance the one that answers faster and holds
// fewer gets the connection. One dial for each client connection; a dial that fails is told to the client by a reset.
// Source: linkerd2-proxy outbound opaq, shared facts on the data plane 2.18.

import Base
import Platform
import Transport

/// One endpoint of opaque traffic.
final class OpaqueEndpoint {
    let endpoint: Endpoint
    let connector: any Connector
    var load: PeakEWMA

    init(endpoint: Endpoint, connector: any Connector, now: Instant) {
        self.endpoint = endpoint
        self.connector = connector
        load = PeakEWMA(now: now)
    }
}

/// The endpoints of one authority, followed while connections or policies refer to it.
final class OpaqueBalancer {
    let authority: String
    private let host: any Host
    private let discovery: any OutboundDiscovery
    private let connectors: EndpointConnectors
    /// Connections that may wait for an endpoint. When full: further ones are closed.
    private let connectionsMax: Int
    private let failfastTimeout: Interval
    private let watch: Watch<EndpointSet>
    private var subscription: WatchID?
    private var random: Random
    /// By address.
    private(set) var endpoints: [OpaqueEndpoint] = []
    private var waiting: [(OpaqueEndpoint?) -> Void] = []
    private var timer: TimerID?

    init(authority: String, host: any Host, discovery: any OutboundDiscovery, connectors: EndpointConnectors, connectionsMax: Int, failfastTimeout: Interval) {
        self.authority = authority
        self.host = host
        self.discovery = discovery
        self.connectors = connectors
        self.connectionsMax = connectionsMax
        self.failfastTimeout = failfastTimeout
        random = host.random("opaque/\(authority)")
        watch = discovery.endpoints(authority)
        subscription = watch.subscribe { [unowned self] in update($0) }
    }

    var waitingCount: Int { waiting.count }
    /// It has an endpoint, or may still hear of one.
    var isReady: Bool { !endpoints.isEmpty || (watch.value == nil && !hasFailed) }
    /// Nothing was heard within the fail-fast time.
    private var hasFailed = false

    /// Calls `assign` with an endpoint, now or within the fail-fast time; nil when there is none.
    func pick(_ assign: @escaping (OpaqueEndpoint?) -> Void) {
        if let endpoint = draw() { return assign(endpoint) }
        guard waiting.count < connectionsMax else { return assign(nil) }
        waiting.append(assign)
        guard timer == nil else { return }
        timer = host.after(failfastTimeout) { [self] in
            timer = nil
            hasFailed = true
            serve()
        }
    }

    func retire() {
        if let subscription { watch.cancel(subscription) }
        subscription = nil
        discovery.release(authority: authority)
        if let timer { host.cancel(timer) }
        timer = nil
        endpoints = []
        serve()
    }

    private func update(_ set: EndpointSet) {
        var discovered: [Endpoint] = []
        if case .exists(let list) = set { discovered = list.sorted { $0.address < $1.address } }
        endpoints = discovered.map { endpoint in
            endpoints.first { $0.endpoint == endpoint }
                ?? OpaqueEndpoint(endpoint: endpoint, connector: connectors.opaque(endpoint, labels: connectors.labels(endpoint, authority: authority)), now: host.now)
        }
        if !endpoints.isEmpty {
            hasFailed = false
            if let timer { host.cancel(timer) }
            timer = nil
            serve()
        }
    }

    private func serve() {
        let served = waiting
        waiting = []
        for assign in served { assign(draw()) }
    }

    private func draw() -> OpaqueEndpoint? {
        guard endpoints.count > 1 else { return endpoints.first }
        let first = random.below(endpoints.count)
        var second = random.below(endpoints.count - 1)
        if second >= first { second += 1 }
        let now = host.now
        return endpoints[second].load.load(now: now) < endpoints[first].load.load(now: now) ? endpoints[second] : endpoints[first]
    }
}
