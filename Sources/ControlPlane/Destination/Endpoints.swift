// One endpoint as the proxy must know it: address, identity, protocol hint, labels. And all endpoints of a service's port as
// one client sees them. Pure functions of the index.
// Source: linkerd2 controller/api/destination/{endpoint_translator,filtered_listener_group}.go, shared facts on the control plane 2.5-2.7.

import Base
import MeshAPI
import OrderedCollections

/// Where the client of a stream runs.
struct ClientView: Equatable {
    var nodeName = ""
    var zone = ""
}

struct EndpointTranslator {
    let index: ClusterIndex
    let options: DestinationOptions

    static let weight: UInt32 = 10000

    /// How much more endpoints of the client's own zone weigh where that is asked for.
    /// Source: linkerd2 controller/cmd/destination/main.go, `-ext-endpoint-zone-weights`.
    static let localZoneFactor: UInt32 = 10

    /// Messages of the last computation, each with what it was made from.
    struct Cache {
        fileprivate struct Entry {
            var stamp: UInt64
            var pod: Cluster.Name
            var zone: String?
            var message: Mesh.Destination.WeightedAddr
            var isFresh: Bool
        }
        /// Look-up only.
        fileprivate var entries: [SocketAddress: Entry] = [:]

        /// Nothing that its message is made from changed between the last two computations.
        func isUnchanged(_ address: SocketAddress) -> Bool { entries[address].map { !$0.isFresh } ?? false }
    }

    private struct Candidate {
        var endpoint: Cluster.EndpointSlice.Endpoint
        var slice: Cluster.EndpointSlice
        var address: SocketAddress
    }

    /// What is sent for a service's port: endpoints by address, in the order of slices and their endpoints.
    func endpoints(
        of service: Cluster.Service, port: UInt16, hostname: String?, client: ClientView, cache: inout Cache
    ) -> OrderedDictionary<SocketAddress, Mesh.Destination.WeightedAddr> {
        var candidates: [Candidate] = []
        for slice in index.slices(of: service.name) {
            guard let target = targetPort(of: service, port, in: slice) else { continue }
            for endpoint in slice.endpoints where endpoint.isReady ?? true {
                if let hostname, endpoint.hostname != hostname { continue }
                // An endpoint whose pod is not known yet comes when the pod does.
                if let pod = endpoint.pod, index.pod(pod) == nil { continue }
                for ip in endpoint.addresses { candidates.append(Candidate(endpoint: endpoint, slice: slice, address: SocketAddress(ip, target))) }
            }
        }
        filter(&candidates, service, client)
        chooseFamily(&candidates)
        var next = Cache()
        next.entries.reserveCapacity(candidates.count)
        var endpoints: OrderedDictionary<SocketAddress, Mesh.Destination.WeightedAddr> = [:]
        endpoints.reserveCapacity(candidates.count)
        for candidate in candidates {
            let address = candidate.address
            if let pod = candidate.endpoint.pod, let known = cache.entries[address], known.pod == pod, known.stamp == index.stamp(of: pod), known.zone == candidate.endpoint.zone {
                next.entries[address] = Cache.Entry(stamp: known.stamp, pod: pod, zone: known.zone, message: known.message, isFresh: false)
                endpoints[address] = known.message
                continue
            }
            let message = message(for: candidate, port, client)
            if let pod = candidate.endpoint.pod {
                next.entries[address] = Cache.Entry(stamp: index.stamp(of: pod), pod: pod, zone: candidate.endpoint.zone, message: message, isFresh: true)
            }
            endpoints[address] = message
        }
        cache = next
        return endpoints
    }

    private func filter(_ candidates: inout [Candidate], _ service: Cluster.Service, _ client: ClientView) {
        if service.isTrafficLocal {
            candidates.removeAll { $0.endpoint.nodeName != client.nodeName || client.nodeName.isEmpty }
        } else if candidates.allSatisfy({ $0.endpoint.hintZones?.isEmpty == false }) {
            let near = candidates.filter { $0.endpoint.hintZones?.contains(client.zone) == true }
            if !near.isEmpty { candidates = near }
        }
    }

    private func chooseFamily(_ candidates: inout [Candidate]) {
        guard options.usesIPv6 else { return candidates.removeAll { !$0.address.ip.isV4 } }
        let dual = Set(candidates.filter { !$0.address.ip.isV4 }.compactMap(\.endpoint.pod))
        candidates.removeAll { candidate in candidate.address.ip.isV4 && candidate.endpoint.pod.map { dual.contains($0) } ?? false }
    }

    private func message(for candidate: Candidate, _ port: UInt16, _ client: ClientView) -> Mesh.Destination.WeightedAddr {
        var message = weighted(candidate.address, pod: candidate.endpoint.pod.flatMap { index.pod($0) })
        if candidate.endpoint.pod == nil { addGateway(candidate.slice, port, to: &message) }
        let zone = candidate.endpoint.zone ?? ""
        message.metricLabels["zone"] = zone
        message.metricLabels["zone_locality"] = zone.isEmpty || client.zone.isEmpty ? "unknown" : zone == client.zone ? "local" : "remote"
        if options.prefersLocalZone, !zone.isEmpty, zone == client.zone { message.weight *= Self.localZoneFactor }
        return message
    }

    /// The pod behind one host name of a headless service.
    func instance(_ hostname: String, of service: Cluster.Name) -> Cluster.Pod? {
        for slice in index.slices(of: service) {
            for endpoint in slice.endpoints where endpoint.hostname == hostname {
                if let pod = endpoint.pod.flatMap({ index.pod($0) }) { return pod }
            }
        }
        return nil
    }

    /// Labels of the whole set.
    func setLabels(_ service: Cluster.Name) -> [String: String] {
        var labels = ["service": service.name, "namespace": service.namespace]
        for slice in index.slices(of: service) {
            guard let cluster = slice.labels["mirror.linkerd.io/cluster-name"], let remote = slice.annotations["mirror.linkerd.io/remote-svc-fq-name"] else { continue }
            let parts = remote.split(separator: ".")
            labels["target_cluster"] = cluster
            if parts.count >= 2 {
                labels["target_service"] = String(parts[0])
                labels["target_service_namespace"] = String(parts[1])
            }
            break
        }
        return labels
    }

    /// One endpoint; without a pod only the address is known.
    func weighted(_ address: SocketAddress, pod: Cluster.Pod?) -> Mesh.Destination.WeightedAddr {
        var message = Mesh.Destination.WeightedAddr()
        message.addr = Mesh.Net.TcpAddress(address)
        message.weight = Self.weight
        guard let pod else { return message }
        let owner = index.owner(of: pod)
        message.metricLabels = ["pod": pod.name.name, "serviceaccount": pod.serviceAccount.isEmpty ? "default" : pod.serviceAccount]
        message.metricLabels[Self.labelKey(owner.kind)] = owner.name
        if let namespace = pod.controlPlaneNamespace { message.metricLabels["control_plane_ns"] = namespace }
        if let hash = pod.labels["pod-template-hash"] { message.metricLabels["pod_template_hash"] = hash }

        guard let controlPlane = pod.controlPlaneNamespace, !controlPlane.isEmpty, !skips(pod, address.port) else { return message }
        if let http2 = options.meshedHTTP2 { message.http2 = http2 }
        if controlPlane == options.controllerNamespace, !options.trustDomain.isEmpty {
            let identity = options.identity(serviceAccount: pod.serviceAccount, namespace: pod.name.namespace)
            message.tlsIdentity.dnsLikeIdentity.name = identity
            message.tlsIdentity.serverName.name = identity
        }
        let isOpaque = isOpaque(pod, address.port)
        var hint = Mesh.Destination.ProtocolHint()
        if isOpaque { hint.opaque = .init() } else if options.upgradesToHTTP2 { hint.h2 = .init() }
        if isOpaque || options.transportMode == .transportHeader, !isProxyPort(pod, address.port), let port = inboundPort(pod) { hint.opaqueTransport.inboundPort = UInt32(port) }
        message.protocolHint = hint
        return message
    }

    /// Whether the pod's port speaks something that must not be looked into: by the pod's annotation, else by default, or by a
    /// Server of the pod's namespace.
    func isOpaque(_ pod: Cluster.Pod, _ port: UInt16) -> Bool {
        let list = pod.annotations[Annotation.opaquePorts].map { PortList($0) } ?? options.opaquePorts
        return list.contains(port, in: pod) || index.server(of: pod, port: port)?.proxyProtocol == "opaque"
    }

    /// Whether the service says so of its port.
    func isOpaque(_ service: Cluster.Service, _ port: UInt16) -> Bool {
        (service.annotations[Annotation.opaquePorts].map { PortList($0) } ?? options.opaquePorts).contains(port)
    }

    /// By the name of the service's port; a port that the service does not have is taken as the target itself.
    private func targetPort(of service: Cluster.Service, _ port: UInt16, in slice: Cluster.EndpointSlice) -> UInt16? {
        guard let declared = service.port(port) else { return port }
        return slice.ports.first { $0.name == declared.name }?.port
    }

    private func skips(_ pod: Cluster.Pod, _ port: UInt16) -> Bool {
        pod.annotations[Annotation.skipInboundPorts].map { PortList($0).contains(port, in: pod) } ?? false
    }

    /// The proxy's own pages and control must not be reached through its inbound port.
    private func isProxyPort(_ pod: Cluster.Pod, _ port: UInt16) -> Bool {
        pod.containers.contains { container in
            container.name == "linkerd-proxy" && [container.adminListenAddress, container.controlListenAddress].contains { Self.port(of: $0) == port }
        }
    }

    private func inboundPort(_ pod: Cluster.Pod) -> UInt16? {
        for container in pod.containers where container.name == "linkerd-proxy" {
            if let port = Self.port(of: container.inboundListenAddress) { return port }
        }
        return nil
    }

    private static func port(of address: String?) -> UInt16? {
        guard let address, let colon = address.lastIndex(of: ":") else { return nil }
        return parsePort(address[address.index(after: colon)...])
    }

    /// Endpoints of a mirrored service: its gateway's identity, and the authority that the gateway routes by.
    private func addGateway(_ slice: Cluster.EndpointSlice, _ port: UInt16, to message: inout Mesh.Destination.WeightedAddr) {
        guard let identity = slice.annotations["mirror.linkerd.io/remote-gateway-identity"], !identity.isEmpty else { return }
        message.tlsIdentity.dnsLikeIdentity.name = identity
        message.tlsIdentity.serverName.name = identity
        if options.upgradesToHTTP2 { message.protocolHint.h2 = .init() }
        if let remote = slice.annotations["mirror.linkerd.io/remote-svc-fq-name"] { message.authorityOverride.authorityOverride = "\(remote):\(port)" }
    }

    /// `job` would clash with Prometheus' own label.
    private static func labelKey(_ kind: String) -> String { kind == "job" ? "k8s_job" : kind }
}

/// Annotations that the control plane reads.
enum Annotation {
    static let opaquePorts = "config.linkerd.io/opaque-ports"
    static let skipInboundPorts = "config.linkerd.io/skip-inbound-ports"
    static let defaultInboundPolicy = "config.linkerd.io/default-inbound-policy"
    static let requireIdentityPorts = "config.linkerd.io/proxy-require-identity-inbound-ports"
}
