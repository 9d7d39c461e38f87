// One subcommand a controller, with the flags that Linkerd's charts give it. Flags that choose what is always so here are
// accepted and change nothing, so that a chart's arguments can be used as they are.

import ArgumentParser
import Base
import ControlPlane
import MeshAPI
import Platform

/// Makes and starts its component on a host.
protocol ControllerCommand: ParsableCommand {
    var shared: SharedFlags { get }
    /// Returns what must be kept while the process runs.
    func start(on host: any Host) throws -> AnyObject
}

struct Destination: ControllerCommand {
    static let configuration = CommandConfiguration(abstract: "Tells proxies where services are.")

    @OptionGroup var shared: SharedFlags
    @OptionGroup var identityService: IdentityServiceFlags
    @Option(help: "Address of the gRPC service.") var addr = ":8086"
    @Option(help: "Address of readiness and metrics.") var metricsAddr = ":9996"
    @Option(help: "Namespace of the control plane.") var controllerNamespace = "linkerd"
    @Option(help: "Trust domain of identities.") var identityTrustDomain = "cluster.local"
    @Option(help: "Domain of cluster names.") var clusterDomain = "cluster.local"
    @Option(help: "Ports that are opaque unless told otherwise.") var defaultOpaquePorts = "25,587,3306,4444,5432,6379,9300,11211"
    @Option(help: "transparent or transport-header.") var outboundTransportMode = "transparent"
    @Option(help: "Upgrade HTTP/1 between proxies to HTTP/2.") var enableH2Upgrade = true
    @Option(help: "Accepted: endpoints always come from EndpointSlices.") var enableEndpointSlices = true
    @Option(help: "Prefer a pod's IPv6 address.") var enableIpv6 = false
    @Option(help: "Messages that may wait for a client.") var streamQueueCapacity = 100
    @Option(help: "Accepted: queues close their stream when full.") var exportQueueMetrics = true
    @Option(help: "JSON sent with every meshed endpoint; empty: none.") var meshedHttp2ClientParams = ""
    @Option(help: "Endpoints in the client's own zone weigh ten times as much.") var extEndpointZoneWeights = false
    @Option(help: "Say no_endpoints of empty and missing services, for proxies up to 2.19.") var legacyNoEndpoints = false
    @Option(help: "Read SMI TrafficSplits, for proxies up to 2.11.") var legacyTrafficSplits = false

    func service() throws -> DestinationOptions {
        var options = DestinationOptions()
        options.controllerNamespace = controllerNamespace
        options.trustDomain = identityTrustDomain.isEmpty ? clusterDomain : identityTrustDomain
        options.clusterDomain = clusterDomain
        options.opaquePorts = PortList(defaultOpaquePorts)
        options.upgradesToHTTP2 = enableH2Upgrade
        options.usesIPv6 = enableIpv6
        options.prefersLocalZone = extEndpointZoneWeights
        options.sendsNoEndpoints = legacyNoEndpoints
        options.readsTrafficSplits = legacyTrafficSplits
        guard let mode = DestinationOptions.TransportMode(rawValue: outboundTransportMode) else {
            throw ValidationError("--outbound-transport-mode \(outboundTransportMode) is neither transparent nor transport-header")
        }
        options.transportMode = mode
        guard streamQueueCapacity > 0 else { throw ValidationError("--stream-queue-capacity must be at least 1") }
        options.limits.streamQueueMessagesMax = streamQueueCapacity
        if !meshedHttp2ClientParams.isEmpty {
            do throws(Refusal) { options.meshedHTTP2 = try Mesh.Destination.Http2ClientParams(flag: meshedHttp2ClientParams) } catch { throw ValidationError(error.reason) }
        }
        return options
    }

    func controller() throws -> ControllerOptions {
        var options = ControllerOptions(address: try parseAddress(addr), adminAddress: try parseAddress(metricsAddr))
        shared.apply(to: &options)
        try identityService.apply(to: &options)
        return options
    }

    func validate() throws {
        _ = try service()
        _ = try controller()
    }

    func start(on host: any Host) throws -> AnyObject { try DestinationController.run(host: host, options: try controller(), service: try service()) }
}

struct Policy: ControllerCommand {
    static let configuration = CommandConfiguration(abstract: "Tells proxies what is allowed and how traffic is to be sent.")

    @OptionGroup var shared: SharedFlags
    @OptionGroup var identityService: IdentityServiceFlags
    @Option(help: "Address of the gRPC service.") var grpcAddr = "0.0.0.0:8090"
    @Option(help: "Address of readiness and metrics.") var adminAddr = "0.0.0.0:9990"
    @Option(help: "Namespace of the control plane.") var controlPlaneNamespace = "linkerd"
    @Option(help: "Networks of the cluster.") var clusterNetworks = "10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fd00::/8"
    @Option(help: "Networks that kubelets probe from.") var probeNetworks = "0.0.0.0/0,::/0"
    @Option(help: "Trust domain of identities.") var identityDomain = "cluster.local"
    @Option(help: "Domain of cluster names.") var clusterDomain = "cluster.local"
    @Option(help: "Policy of ports without a Server.") var defaultPolicy = "all-unauthenticated"
    @Option(help: "Ports that are opaque unless told otherwise.") var defaultOpaquePorts = "25,587,3306,4444,5432,6379,9300,11211"
    @Option(help: "Address of the admission webhook; empty: nothing is judged.") var serverAddr = ""
    @Option(help: "PEM file of the webhook's key.") var serverTlsKey = "/var/run/linkerd/tls/tls.key"
    @Option(help: "PEM file of the webhook's certificate.") var serverTlsCerts = "/var/run/linkerd/tls/tls.crt"
    @Option(help: "Namespace whose EgressNetworks hold for clients of every namespace.") var globalEgressNetworkNamespace = "linkerd-egress"

    func policy() throws -> PolicyOptions {
        var options = PolicyOptions()
        options.controlPlaneNamespace = controlPlaneNamespace
        options.identityDomain = identityDomain
        options.clusterDomain = clusterDomain
        options.clusterNetworks = try parseNetworks(clusterNetworks)
        options.probeNetworks = try parseNetworks(probeNetworks)
        guard let policy = DefaultPolicy(rawValue: defaultPolicy) else {
            throw ValidationError("--default-policy \(defaultPolicy) is none of \(DefaultPolicy.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        options.defaultPolicy = policy
        options.opaquePorts = PortList(defaultOpaquePorts)
        options.globalEgressNamespace = globalEgressNetworkNamespace
        return options
    }

    func controller() throws -> ControllerOptions {
        var options = ControllerOptions(address: try parseAddress(grpcAddr), adminAddress: try parseAddress(adminAddr))
        shared.apply(to: &options)
        try identityService.apply(to: &options)
        return options
    }

    func validate() throws {
        _ = try policy()
        _ = try controller()
        _ = try webhook()
    }

    func webhook() throws -> WebhookOptions? {
        if serverAddr.isEmpty { return nil }
        var options = WebhookOptions(address: try parseAddress(serverAddr))
        options.certificatePath = serverTlsCerts
        options.keyPath = serverTlsKey
        return options
    }

    func start(on host: any Host) throws -> AnyObject { try PolicyController.run(host: host, options: try controller(), policy: try policy(), webhook: try webhook()) }
}

struct Identity: ControllerCommand {
    static let configuration = CommandConfiguration(abstract: "Certifies proxies.")

    @OptionGroup var shared: SharedFlags
    @Option(help: "Address of the gRPC service.") var addr = ":8080"
    @Option(help: "Address of readiness and metrics.") var adminAddr = ":9990"
    @Option(help: "Namespace of the control plane.") var controllerNamespace = "linkerd"
    @Option(help: "Trust domain of identities.") var identityTrustDomain = "cluster.local"
    @Option(help: "Life of a certificate.") var identityIssuanceLifetime = "24h0m0s"
    @Option(help: "How far clocks may differ.") var identityClockSkewAllowance = "20s"
    @Option(help: "linkerd.io/tls (crt.pem, key.pem) or kubernetes.io/tls (tls.crt, tls.key).") var identityScheme = "linkerd.io/tls"
    @Option(help: "Directory of the issuer's certificate and key.") var issuerDirectory = IdentityControllerOptions().issuerDirectory
    @Option(help: "Accepted: concurrent requests to the API server are bounded instead.") var kubeApiclientQps = "100"
    @Option(help: "Accepted: concurrent requests to the API server are bounded instead.") var kubeApiclientBurst = "200"

    func identity() throws -> IdentityControllerOptions {
        var options = IdentityControllerOptions()
        options.service.controllerNamespace = controllerNamespace
        options.service.trustDomain = identityTrustDomain
        options.service.lifetime = try parseDuration(identityIssuanceLifetime)
        options.service.clockSkew = try parseDuration(identityClockSkewAllowance)
        guard let scheme = IssuerScheme(rawValue: identityScheme) else {
            throw ValidationError("--identity-scheme \(identityScheme) is neither linkerd.io/tls nor kubernetes.io/tls")
        }
        options.scheme = scheme
        options.issuerDirectory = issuerDirectory
        options.anchorsPath = shared.trustAnchors
        return options
    }

    func controller() throws -> ControllerOptions {
        var options = ControllerOptions(address: try parseAddress(addr), adminAddress: try parseAddress(adminAddr))
        shared.apply(to: &options)
        return options
    }

    func validate() throws {
        _ = try identity()
        _ = try controller()
    }

    func start(on host: any Host) throws -> AnyObject { try IdentityController.run(host: host, options: try controller(), identity: try identity()) }
}

struct PublicAPI: ControllerCommand {
    static let configuration = CommandConfiguration(commandName: "controller", abstract: "The API of command lines: version, self-check, and the doors to telemetry and tap.")

    @OptionGroup var shared: SharedFlags
    @OptionGroup var identityService: IdentityServiceFlags
    @Option(help: "Address of the API.") var addr = ":8085"
    @Option(help: "Address of readiness and metrics.") var metricsAddr = ":9995"
    @Option(help: "Namespace of the control plane.") var controllerNamespace = "linkerd"
    @Option(help: "Trust domain of identities.") var identityTrustDomain = "cluster.local"

    func service() -> PublicOptions {
        var options = PublicOptions()
        options.controllerNamespace = controllerNamespace
        options.trustDomain = identityTrustDomain
        return options
    }

    func controller() throws -> ControllerOptions {
        var options = ControllerOptions(address: try parseAddress(addr), adminAddress: try parseAddress(metricsAddr))
        shared.apply(to: &options)
        try identityService.apply(to: &options)
        return options
    }

    func validate() throws { _ = try controller() }

    func start(on host: any Host) throws -> AnyObject { try PublicController.run(host: host, options: try controller(), service: service()) }
}
