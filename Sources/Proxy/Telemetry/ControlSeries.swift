// What the clients of the control plane show: calls, the lookups of their names, and, under the names that Linkerd's balancers have, the
// servers found and the calls that wait for one. Ours has one connection at a time: an address is ready when the connection stands,
// the rest are pending. Source: linkerd2-proxy linkerd/app/core/src/control.rs, linkerd/dns; facts 5.5.

import Base
import GRPC
import Platform
import Transport

final class ControlSeries {
    private let client: String
    private let registry: MetricsRegistry
    private let calls: RequestSeries
    private let balancer: BalancerSeries
    private var addressCount = 0
    private var isReady = false

    /// `client`: `identity`, `destination`, `policy` or `opentelemetry`.
    init(_ registry: MetricsRegistry, client: String, _ families: Families.Balancer, service: Configuration.Service, host: any Host) {
        self.client = client
        self.registry = registry
        let address = ("addr", "\(service.authority)")
        calls = RequestSeries(registry, Families.controlRequests, [address] + (service.identity.map { [("tls", "true"), ("server_id", $0)] } ?? [("tls", "no_identity"), ("no_tls_reason", "loopback")]))
        balancer = BalancerSeries(registry, families, [address], host: host, failfastTimeout: GRPCChannelOptions().waitTimeout)
    }

    /// Counts what a channel does from now on.
    func follow(_ channel: GRPCChannel) {
        channel.onCall = { [self, unowned channel] event in
            switch event {
            case .sent(let wait):
                calls.countRequest()
                balancer.served(after: wait)
                balancer.set(queued: channel.waitingCount)
            case .answered(let latency): calls.observe(latency, status: 200)
            case .ended(let status): calls.countResponse(status: 200, isGRPC: true, grpcStatus: status.code)
            }
        }
        channel.onStateChange = { [self] isReady, _ in
            self.isReady = isReady
            if isReady { balancer.opened() } else { balancer.shut() }
            show()
        }
    }

    func resolved(isService: Bool, addressCount count: Int?) {
        registry.metric(Families.resolutions, [("client", client), ("record_type", isService ? "SRV" : "A/AAAA"), ("result", count == nil ? "not_found" : "ok")]).increment()
        guard let count else { return }
        addressCount = count
        balancer.updated(.reset)
        show()
    }

    private func show() { balancer.set(ready: isReady ? 1 : 0, of: max(addressCount, isReady ? 1 : 0)) }
}
