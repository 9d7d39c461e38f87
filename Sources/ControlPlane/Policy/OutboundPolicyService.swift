// Policy of the traffic a pod sends, by what it is sent to: a name, or an address. What is answered is `OutboundMessages`.
// Source: linkerd2 policy-controller grpc/src/outbound.rs, shared facts on the control plane 3.3 and on the data plane 2.2.

import Base
import GRPC
import MeshAPI
import Transport

public final class OutboundPolicyService {
    private let index: ClusterIndex
    private let options: PolicyOptions

    enum Target: Equatable {
        case service(Cluster.Name, port: UInt16)
        case address(SocketAddress)
    }

    public init(index: ClusterIndex, options: PolicyOptions) {
        self.index = index
        self.options = options
    }

    /// Answers `Get`.
    public func get(_ spec: Mesh.Outbound.TrafficSpec) throws(GRPCStatus) -> Mesh.Outbound.OutboundPolicy {
        let (client, target) = try parse(spec)
        return try policy(target, client)
    }

    /// Answers `Watch`: again whenever the answer becomes another; ends with NOT_FOUND when the target is gone.
    public func watch(_ spec: Mesh.Outbound.TrafficSpec, _ stream: ResponseStream<Mesh.Outbound.OutboundPolicy>) {
        do throws(GRPCStatus) {
            let (client, target) = try parse(spec)
            var sent = try policy(target, client)
            let index = index
            let topics: [ClusterIndex.Topic] =
                switch target {
                case .service(let name, _): [.service(name)]
                case .address(let address): [.address(address.ip), .egress]
                }
            var subscription: ClusterIndex.Subscription?
            let made = index.subscribe(topics) {
                do throws(GRPCStatus) {
                    let now = try self.policy(target, client)
                    if now != sent {
                        sent = now
                        stream.send(now)
                    }
                } catch {
                    if let subscription { index.unsubscribe(subscription) }
                    stream.finish(error)
                }
            }
            subscription = made
            stream.onCancel = {
                index.unsubscribe(made)
                subscription = nil
            }
            stream.send(sent)
        } catch { stream.finish(error) }
    }

    /// The client's namespace and its target: `<svc>.<ns>.svc[.<domain>][:port]`, port 80 when none is given, or an address.
    private func parse(_ spec: Mesh.Outbound.TrafficSpec) throws(GRPCStatus) -> (client: String, Target) {
        guard let client = ContextToken(workload: spec.sourceWorkload)?.namespace else { throw GRPCStatus(.invalidArgument, "Invalid workload: \(spec.sourceWorkload.prefix(300))") }
        switch spec.target {
        case .addr(let address):
            guard let address = SocketAddress(address), address.port > 0 else { throw GRPCStatus(.invalidArgument, "the address to look up is not one") }
            return (client, .address(address))
        case .authority(let authority):
            var host = authority[...]
            var port: UInt16 = 80
            if let colon = authority.firstIndex(of: ":") {
                guard let number = parsePort(authority[authority.index(after: colon)...]), number > 0 else { throw GRPCStatus(.invalidArgument, "invalid port in \(authority.prefix(300))") }
                port = number
                host = authority[..<colon]
            }
            if host.hasSuffix("." + options.clusterDomain) { host = host.dropLast(options.clusterDomain.count + 1) }
            let labels = host.split(separator: ".", omittingEmptySubsequences: false)
            guard labels.count == 3, labels[2] == "svc" else { throw GRPCStatus(.notFound, "No such service") }
            return (client, .service(Cluster.Name(String(labels[1]), String(labels[0])), port: port))
        case nil: throw GRPCStatus(.invalidArgument, "target is required")
        }
    }

    // MARK: Answers

    func policy(_ target: Target, _ client: String) throws(GRPCStatus) -> Mesh.Outbound.OutboundPolicy {
        let messages = OutboundMessages(index: index, options: options, client: client)
        switch target {
        case .service(let name, let port):
            guard let service = index.service(name) else { throw GRPCStatus(.notFound, "No such service") }
            return messages.policy(of: service, port)
        case .address(let address):
            if let service = index.services(at: address.ip).first { return messages.policy(of: service, address.port) }
            if let network = messages.acceptance.egressNetwork(of: address.ip, client: client) { return messages.policy(of: network, address) }
            if options.clusterNetworks.contains(where: { $0.contains(address.ip) }) { throw GRPCStatus(.notFound, "No such service") }
            return messages.fallback(address)
        }
    }
}
