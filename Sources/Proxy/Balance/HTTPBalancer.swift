// Requests over the endpoints of one backend: of two ready endpoints drawn by chance the less loaded gets the request. While none
// is ready requests wait in order; after a while all of them fail at once and new ones are shed, until an endpoint is ready again.
// Source: Mitzenmacher, "The power of two choices"; linkerd2-proxy linkerd/pool and linkerd/proxy/balance.

import Base
import DequeModule
import HTTP
import Platform
import Transport

/// Sends a request to the endpoint that was chosen for it.
protocol HTTPAssigner: AnyObject {
    func assign(_ exchange: HTTPExchange, to endpoint: HTTPEndpoint)
}

final class HTTPBalancer: HTTPEndpointObserver {
    /// For people: `api.demo.svc.cluster.local:80`.
    let name: String
    private let host: any Host
    private let queueRequestsMax: Int
    private let failfastTimeout: Interval
    private let series: BalancerSeries?
    private let make: (Endpoint, any HTTPEndpointObserver) -> HTTPEndpoint
    private var random: Random
    /// By address.
    private(set) var endpoints: [HTTPEndpoint] = []
    /// In the order they became ready.
    private var ready: [HTTPEndpoint] = []
    private var waiting: Deque<(exchange: HTTPExchange, assigner: any HTTPAssigner, since: Instant)> = []
    private var failfastTimer: TimerID?
    /// Failing fast: what comes is shed.
    private(set) var isShut = false
    private var isRetired = false

    init(name: String, host: any Host, queueRequestsMax: Int, failfastTimeout: Interval, series: BalancerSeries? = nil, make: @escaping (Endpoint, any HTTPEndpointObserver) -> HTTPEndpoint) {
        self.name = name
        self.host = host
        self.queueRequestsMax = queueRequestsMax
        self.failfastTimeout = failfastTimeout
        self.series = series
        self.make = make
        random = host.random("balancer/\(name)")
    }

    var isReady: Bool { !ready.isEmpty }
    var readyCount: Int { ready.count }
    var queueLength: Int { waiting.count }

    /// The whole set as discovery knows it now, in any order. An endpoint whose description changed is replaced.
    func update(_ discovered: [Endpoint]) {
        var kept: [HTTPEndpoint] = []
        let sorted = discovered.sorted { $0.address < $1.address }
        var old = endpoints[...]
        var added: [HTTPEndpoint] = []
        for endpoint in sorted {
            while let first = old.first, first.address < endpoint.address { retire(old.removeFirst()) }
            if let first = old.first, first.address == endpoint.address {
                old.removeFirst()
                if first.endpoint == endpoint {
                    kept.append(first)
                    continue
                }
                retire(first)
            }
            let made = make(endpoint, self)
            kept.append(made)
            added.append(made)
        }
        for gone in old { retire(gone) }
        if let series {
            let isGone = kept.count - added.count < endpoints.count
            if !added.isEmpty { series.updated(endpoints.isEmpty ? .reset : .add) }
            if isGone { series.updated(.remove) }
        }
        endpoints = kept
        series?.set(ready: ready.count, of: endpoints.count)
        for endpoint in added { endpoint.start() }
        if ready.isEmpty { startFailfast() }
    }

    /// Tells `assigner` an endpoint, now or when one is ready; or fails the exchange.
    func dispatch(_ exchange: HTTPExchange, to assigner: any HTTPAssigner) {
        if let endpoint = pick() {
            series?.served(after: .zero)
            return assigner.assign(exchange, to: endpoint)
        }
        if isShut || waiting.count >= queueRequestsMax { return exchange.fail(.loadShed) }
        waiting.append((exchange, assigner, host.now))
        series?.set(queued: waiting.count)
        startFailfast()
    }

    /// Lets open requests finish and forgets the endpoints.
    func retire() {
        isRetired = true
        if let failfastTimer { host.cancel(failfastTimer) }
        failfastTimer = nil
        for endpoint in endpoints { endpoint.retire() }
        endpoints = []
        ready = []
        series?.set(ready: 0, of: 0)
        failWaiting()
    }

    func changed(_ endpoint: HTTPEndpoint) {
        defer { series?.set(ready: ready.count, of: endpoints.count) }
        if endpoint.isReady {
            if !ready.contains(where: { $0 === endpoint }) { ready.append(endpoint) }
            if isShut { series?.opened() }
            isShut = false
            if let failfastTimer { host.cancel(failfastTimer) }
            failfastTimer = nil
            while !waiting.isEmpty, let endpoint = pick() {
                let (exchange, assigner, since) = waiting.removeFirst()
                if exchange.isOver { continue }
                series?.served(after: host.now - since)
                assigner.assign(exchange, to: endpoint)
            }
            series?.set(queued: waiting.count)
        } else {
            ready.removeAll { $0 === endpoint }
            if ready.isEmpty, !waiting.isEmpty { startFailfast() }
        }
    }

    private func pick() -> HTTPEndpoint? {
        switch ready.count {
        case 0: return nil
        case 1: return ready[0]
        default:
            let first = random.below(ready.count)
            var second = random.below(ready.count - 1)
            if second >= first { second += 1 }
            let now = host.now
            return ready[second].load.load(now: now) < ready[first].load.load(now: now) ? ready[second] : ready[first]
        }
    }

    private func startFailfast() {
        guard failfastTimer == nil, !isShut, !waiting.isEmpty, !isRetired else { return }
        failfastTimer = host.after(failfastTimeout) { [self] in
            failfastTimer = nil
            isShut = true
            series?.shut()
            failWaiting()
        }
    }

    private func failWaiting() {
        defer { series?.set(queued: waiting.count) }
        while let (exchange, _, _) = waiting.popFirst() {
            if !exchange.isOver { exchange.fail(.failfast(name)) }
        }
    }

    private func retire(_ endpoint: HTTPEndpoint) {
        ready.removeAll { $0 === endpoint }
        endpoint.retire()
    }
}
