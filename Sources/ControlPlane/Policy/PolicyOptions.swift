// What the policy service is told at start. Names and defaults are those of Linkerd's flags.

import Base

public struct PolicyOptions: Sendable {
    public var controlPlaneNamespace = "linkerd"
    public var identityDomain = "cluster.local"
    public var clusterDomain = "cluster.local"
    /// Addresses that belong to the cluster. Source: linkerd2 charts `clusterNetworks`.
    public var clusterNetworks = ["10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8"].compactMap { IPNetwork($0) }
    /// Whence kubelets probe.
    public var probeNetworks = [IPNetwork("0.0.0.0/0")!, IPNetwork("::/0")!]
    /// Whose EgressNetworks hold for clients of every namespace. Source: linkerd2 charts `egress.globalEgressNetworkNamespace`.
    public var globalEgressNamespace = "linkerd-egress"
    public var defaultPolicy = DefaultPolicy.allUnauthenticated
    public var opaquePorts = PortList.opaqueByDefault
    /// How long a proxy waits for a client's first bytes. Source: linkerd2 policy-controller, `Detect`.
    public var detectTimeout = Interval.seconds(10)
    /// Clients may steer timeouts and retries of single requests by headers. Source: linkerd2 policy-controller, `--allow-l5d-request-headers`.
    public var allowsRequestHeaders = false
    public var limits = ControlPlaneLimits()

    public init() {}
}

/// What holds where no Server says otherwise. Source: shared facts on the data plane 3.5.
public enum DefaultPolicy: String, Sendable, CaseIterable {
    case allUnauthenticated = "all-unauthenticated"
    case allAuthenticated = "all-authenticated"
    case clusterUnauthenticated = "cluster-unauthenticated"
    case clusterAuthenticated = "cluster-authenticated"
    case deny
    case audit

    /// The same networks, but only for clients with an identity. Denying stays denying.
    var authenticated: DefaultPolicy {
        switch self {
        case .allUnauthenticated, .audit: .allAuthenticated
        case .clusterUnauthenticated: .clusterAuthenticated
        case .allAuthenticated, .clusterAuthenticated, .deny: self
        }
    }
}
