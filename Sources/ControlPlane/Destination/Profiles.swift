// GetProfile: what a name or address is. A service gives its routes and whether its port is opaque; a pod gives the endpoint.
// Source: linkerd2 controller/api/destination/{server,profile_translator,endpoint_profile_translator}.go.

import Base
import GRPC
import MeshAPI
import SwiftProtobuf
import Transport

extension DestinationService {
    public func getProfile(_ request: Mesh.Destination.GetDestination, _ stream: ResponseStream<SharedMessage<Mesh.Destination.DestinationProfile>>) {
        do throws(GRPCStatus) {
            let authority = try Authority(request.path, options: options)
            let key = ProfileView.Key(authority: authority, consumer: ContextToken(destination: request.contextToken).namespace)
            // The first answer may be a refusal; later ones never are.
            try profiles.view(key, of: self).add(ProfileStream(stream))
        } catch { stream.finish(error) }
    }

    func topics(_ authority: Authority) -> [ClusterIndex.Topic] {
        switch authority.target {
        case .address(let ip): [.address(ip)]
        case .service(let name), .instance(_, let name): [.service(name)]
        }
    }

    /// The profile as of now.
    func profile(_ authority: Authority, consumer: String) throws(GRPCStatus) -> Mesh.Destination.DestinationProfile {
        switch authority.target {
        case .service(let name):
            // Upstream lets this error through unnamed.
            guard let service = index.service(name) else { throw GRPCStatus(.unknown, "Service \(name.name).\(name.namespace) not found") }
            return profile(of: service, authority.port, consumer)
        case .instance(let hostname, let name):
            guard let pod = translator.instance(hostname, of: name), let ip = pod.ips.first else { throw GRPCStatus(.notFound, "no pod found in endpoints \(name) for hostname \(hostname)") }
            return endpointProfile(SocketAddress(ip, authority.port), pod: pod)
        case .address(let ip):
            let services = index.services(at: ip)
            if services.count > 1 { throw GRPCStatus(.failedPrecondition, "clusterIP conflict for \(ip): \(services.map(\.name.description).joined(separator: ", "))") }
            if let service = services.first { return profile(of: service, authority.port, consumer) }
            let pods = index.pods(at: ip)
            if pods.count > 1 { throw GRPCStatus(.failedPrecondition, "pod IP conflict for \(ip): \(pods.map(\.name.description).joined(separator: ", "))") }
            if let pod = pods.first { return endpointProfile(SocketAddress(ip, authority.port), pod: pod.phase == "Running" ? pod : nil) }
            let hosted = index.pods(atHost: ip, port: authority.port)
            if hosted.count > 1 { throw GRPCStatus(.failedPrecondition, "host port conflict for \(ip):\(authority.port)") }
            if let (pod, port) = hosted.first, let own = pod.ips.first { return endpointProfile(SocketAddress(own, port), pod: pod) }
            return endpointProfile(SocketAddress(ip, authority.port), pod: nil)
        }
    }

    private func profile(of service: Cluster.Service, _ port: UInt16, _ consumer: String) -> Mesh.Destination.DestinationProfile {
        var message = Mesh.Destination.DestinationProfile()
        // A port that the service does not have: an empty profile, so that policy can forbid it.
        guard service.isExternalName || service.port(port) != nil else { return message }
        let name = service.name
        let fullName = "\(name.name).\(name.namespace).svc.\(options.clusterDomain)"
        message.fullyQualifiedName = fullName
        message.opaqueProtocol = translator.isOpaque(service, port)
        message.retryBudget = Self.defaultRetryBudget
        message.parentRef = Mesh.Meta.Metadata(group: "core", kind: "Service", namespace: name.namespace, name: name.name, port: port)
        let own = consumer.isEmpty ? nil : index.profile(of: name, in: consumer)
        if let profile = own ?? index.profile(of: name, in: name.namespace) {
            message.routes = profile.routes
            if let budget = profile.retryBudget { message.retryBudget = budget }
            message.dstOverrides = profile.overrides.map { override in
                var override = override
                if !override.authority.contains(":") { override.authority += ":\(port)" }
                return override
            }
            message.profileRef = Mesh.Meta.Metadata(group: "linkerd.io", kind: "ServiceProfile", namespace: profile.name.namespace, name: profile.name.name)
        }
        if options.readsTrafficSplits { split(name, port, &message) }
        return message
    }

    /// A TrafficSplit comes before a profile's own overrides; without either the service is its own, so that older proxies know the
    /// name for a service. Source: linkerd2 2.10, controller/api/destination/traffic_split_adaptor.go.
    private func split(_ name: Cluster.Name, _ port: UInt16, _ message: inout Mesh.Destination.DestinationProfile) {
        func override(_ service: String, _ weight: UInt32) -> Mesh.Destination.WeightedDst {
            .with {
                $0.authority = "\(service).\(name.namespace).svc.\(options.clusterDomain).:\(port)"
                $0.weight = weight
            }
        }
        if let split = index.trafficSplit(of: name) {
            message.dstOverrides = split.backends.map { override($0.service, $0.weight) }
        } else if message.dstOverrides.isEmpty {
            message.dstOverrides = [override(name.name, EndpointTranslator.weight)]
        }
    }

    private func endpointProfile(_ address: SocketAddress, pod: Cluster.Pod?) -> Mesh.Destination.DestinationProfile {
        var message = Mesh.Destination.DestinationProfile()
        message.retryBudget = Self.defaultRetryBudget
        message.endpoint = translator.weighted(address, pod: pod)
        if let pod {
            message.endpoint.metricLabels["namespace"] = pod.name.namespace
            message.opaqueProtocol = translator.isOpaque(pod, address.port)
        } else {
            message.opaqueProtocol = options.opaquePorts.contains(address.port)
        }
        return message
    }

    /// Source: linkerd2 controller/api/destination/profile_translator.go.
    static let defaultRetryBudget: Mesh.Destination.RetryBudget = {
        var budget = Mesh.Destination.RetryBudget()
        budget.retryRatio = 0.2
        budget.minRetriesPerSecond = 10
        budget.ttl = Mesh.duration(.seconds(10))
        return budget
    }()
}
