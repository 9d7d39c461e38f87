// What the destination service is told at start. Names and defaults are those of Linkerd's flags.

import Base
import MeshAPI

public struct DestinationOptions: Sendable {
    public enum TransportMode: String, Sendable, CaseIterable {
        /// Only opaque ports are reached through the target proxy's own port.
        case transparent
        /// All meshed traffic is, with a transport header.
        case transportHeader = "transport-header"
    }

    public var controllerNamespace = "linkerd"
    /// Empty: endpoints get no identity.
    public var trustDomain = "cluster.local"
    public var clusterDomain = "cluster.local"
    public var opaquePorts = PortList.opaqueByDefault
    public var upgradesToHTTP2 = true
    public var usesIPv6 = false
    public var transportMode = TransportMode.transparent
    /// Sent with every meshed endpoint.
    public var meshedHTTP2: Mesh.Destination.Http2ClientParams?
    /// Endpoints in the client's zone weigh more. Source: upstream's experiment `-ext-endpoint-zone-weights`.
    public var prefersLocalZone = false
    /// A service without endpoints, or none at all, is told as `no_endpoints`, as proxies up to 2.19 expect.
    public var sendsNoEndpoints = false
    /// SMI TrafficSplits become overrides of profiles, whose names end in a dot, as proxies up to 2.11 expect.
    public var readsTrafficSplits = false
    public var limits = ControlPlaneLimits()

    public init() {}

    public func identity(serviceAccount: String, namespace: String) -> String {
        "\(serviceAccount.isEmpty ? "default" : serviceAccount).\(namespace).serviceaccount.identity.\(controllerNamespace).\(trustDomain)"
    }
}
