// One endpoint as a balancer sees it: its client, whether it is ready, and its load. Connections are made ahead of requests and
// again after a back-off, so that a request is only ever given to an endpoint that answered the phone.

import Base
import HTTP
import Platform
import Transport

/// Hears when an endpoint becomes ready or stops being so.
protocol HTTPEndpointObserver: AnyObject {
    func changed(_ endpoint: HTTPEndpoint)
}

final class HTTPEndpoint: HTTPClientObserver {
    enum State: Equatable {
        case idle
        case connecting
        case ready
        /// The last attempt failed.
        case backingOff
    }

    let endpoint: Endpoint
    private(set) var state = State.idle
    /// Why the last attempt failed.
    private(set) var lastFailure: HTTPStreamFailure?
    var load: PeakEWMA
    /// What a failure adds to the load; nil: nothing.
    let penalty: LoadTerms.Penalty?
    /// Where its requests are counted.
    let series: RequestSeries
    /// Shuts the endpoint off after failures; nil: nothing does.
    let breaker: Breaker?
    private let host: any Host
    private let client: HTTPClient
    /// HTTP/1 upgrades cannot travel in HTTP/2 streams; made when the first one comes.
    private let makeUpgradeClient: () -> HTTPClient
    private var upgradeClient: HTTPClient?
    private var observer: (any HTTPEndpointObserver)?
    private var backoff: Backoff
    private var timer: TimerID?

    init(endpoint: Endpoint, series: RequestSeries, client: HTTPClient, upgradeClient: @escaping () -> HTTPClient, host: any Host, backoff: Backoff, load: LoadTerms = LoadTerms(), breaker: Breaker?, observer: (any HTTPEndpointObserver)?) {
        self.endpoint = endpoint
        self.breaker = breaker
        self.series = series
        self.client = client
        makeUpgradeClient = upgradeClient
        self.host = host
        self.observer = observer
        self.load = PeakEWMA(now: host.now, rtt: load.rtt, decay: load.decay)
        penalty = load.penalty
        self.backoff = backoff
        client.observer = self
        breaker?.onChange = { [unowned self] in self.observer?.changed(self) }
    }

    /// It answers the phone, and its breaker lets requests through.
    var isReady: Bool { state == .ready && breaker?.isOpen ?? true }
    var version: HTTPVersion { client.version }
    /// The order in which endpoints are kept and drawn.
    var address: SocketAddress { endpoint.address }

    var now: Instant { host.now }
    var wall: WallTime { host.wall }

    /// HTTP/1 upgrades go over connections of their own when the endpoint speaks HTTP/2.
    func client(for exchange: HTTPExchange) -> HTTPClient {
        guard client.version == .http2, exchange.isUpgrade else { return client }
        if let upgradeClient { return upgradeClient }
        let made = makeUpgradeClient()
        upgradeClient = made
        return made
    }

    /// Unit: bytes.
    var bytesHeld: Int { client.bytesHeld + (upgradeClient?.bytesHeld ?? 0) }

    /// Makes the first connection.
    func start() {
        guard state == .idle else { return }
        state = .connecting
        client.connectAhead()
    }

    /// No further requests; open ones finish.
    func retire() {
        observer = nil
        client.observer = nil
        breaker?.retire()
        if let timer { host.cancel(timer) }
        timer = nil
        client.drain()
        upgradeClient?.drain()
    }

    func connected(_ client: HTTPClient) {
        backoff.reset()
        lastFailure = nil
        change(.ready)
    }

    func disconnected(_ client: HTTPClient, _ failure: HTTPStreamFailure?) {
        guard let failure else {
            // A connection that stood may be replaced at once. HTTP/1 connections come and go with requests.
            if client.version == .http2 {
                change(.connecting)
                reconnect(after: .zero)
            }
            return
        }
        lastFailure = failure
        if client.isConnected { return }
        change(.backingOff)
        reconnect(after: backoff.next())
    }

    private func reconnect(after delay: Interval) {
        guard timer == nil, observer != nil else { return }
        timer = host.after(delay) { [self] in
            timer = nil
            if state != .ready { state = .connecting }
            client.connectAhead()
        }
    }

    private func change(_ next: State) {
        if state == next { return }
        state = next
        observer?.changed(self)
    }
}
