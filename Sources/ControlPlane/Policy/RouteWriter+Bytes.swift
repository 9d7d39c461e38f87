// Routes of traffic that the proxy does not read, by TLS server name or not at all: rules with nothing but backends. The API has a
// message of its own for each of the two, alike in all but name, so what they share is said once for both.

import Base
import MeshAPI
import SwiftProtobuf

extension RouteWriter {
    func tls(_ route: Cluster.Route) -> Mesh.Outbound.TlsRoute {
        var message = Mesh.Outbound.TlsRoute()
        message.metadata = route.metadata
        message.snis = route.hostnames.map { RouteMessages.sni($0) }
        message.rules = route.rules.map { rule in .with { $0.backends = distribution(rule) } }
        return message
    }

    func tcp(_ route: Cluster.Route) -> Mesh.Outbound.OpaqueRoute {
        var message = Mesh.Outbound.OpaqueRoute()
        message.metadata = route.metadata
        message.rules = route.rules.map { rule in .with { $0.backends = distribution(rule) } }
        return message
    }

    /// Without backends of its own a rule leads to the parent.
    private func distribution<Distribution: ByteDistribution>(_ rule: Cluster.Route.Rule) -> Distribution {
        guard !rule.backends.isEmpty else { return Distribution(first: .with { $0.backend = ownBackend() }) }
        return Distribution(
            random: rule.backends.map { item in
                .with {
                    $0.weight = item.weight
                    let (found, complaint) = resolve(item)
                    $0.backend.backend = found
                    if let complaint { $0.backend.refuse(complaint) }
                }
            })
    }
}

private protocol ByteBackend: Message {
    var backend: Mesh.Outbound.Backend { get set }
    /// Connections are refused, with this as the reason.
    mutating func refuse(_ complaint: String)
}

private protocol WeightedByteBackend: Message {
    associatedtype Backend: ByteBackend
    var weight: UInt32 { get set }
    var backend: Backend { get set }
}

private protocol ByteDistribution: Message {
    associatedtype Weighted: WeightedByteBackend
    init(first backend: Weighted.Backend)
    init(random backends: [Weighted])
}

extension Mesh.Outbound.TlsRoute.RouteBackend: ByteBackend {
    fileprivate mutating func refuse(_ complaint: String) { filters = [.with { $0.invalid.message = complaint }] }
}
extension Mesh.Outbound.TlsRoute.WeightedRouteBackend: WeightedByteBackend {}
extension Mesh.Outbound.TlsRoute.Distribution: ByteDistribution {
    fileprivate init(first backend: Mesh.Outbound.TlsRoute.RouteBackend) { self = .with { $0.firstAvailable.backends = [backend] } }
    fileprivate init(random backends: [Mesh.Outbound.TlsRoute.WeightedRouteBackend]) { self = .with { $0.randomAvailable.backends = backends } }
}

extension Mesh.Outbound.OpaqueRoute.RouteBackend: ByteBackend {
    fileprivate mutating func refuse(_ complaint: String) { filters = [.with { $0.invalid.message = complaint }] }
}
extension Mesh.Outbound.OpaqueRoute.WeightedRouteBackend: WeightedByteBackend {}
extension Mesh.Outbound.OpaqueRoute.Distribution: ByteDistribution {
    fileprivate init(first backend: Mesh.Outbound.OpaqueRoute.RouteBackend) { self = .with { $0.firstAvailable.backends = [backend] } }
    fileprivate init(random backends: [Mesh.Outbound.OpaqueRoute.WeightedRouteBackend]) { self = .with { $0.randomAvailable.backends = backends } }
}
