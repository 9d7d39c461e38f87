// The address rewriting that weft-init asks of iptables, as rules on a node: same order, same exemptions. TCP only: the real
// rules never touch UDP either. What goes by the loopback interface, the node's own addresses included, is never redirected.
// Source: linkerd2-proxy-init pkg/iptables/iptables.go (chains PROXY_INIT_REDIRECT and PROXY_INIT_OUTPUT).

import Base

public struct RedirectRules: Hashable, Sendable {
    /// Where connections from other nodes are led.
    public var inboundPort: UInt16
    /// Where connections of this node's processes are led.
    public var outboundPort: UInt16
    /// Processes of this user are let through.
    public var proxyUserID: UInt32
    public var skipInboundPorts: [ClosedRange<UInt16>]
    public var skipOutboundPorts: [ClosedRange<UInt16>]
    /// Sources that are not redirected inbound. They have no effect outbound.
    public var skipSubnets: [IPNetwork]
    /// Only these ports are redirected inbound; nil: all.
    public var inboundPortsOnly: [ClosedRange<UInt16>]?

    public init(
        inboundPort: UInt16 = 4143, outboundPort: UInt16 = 4140, proxyUserID: UInt32 = 2102, skipInboundPorts: [ClosedRange<UInt16>] = [4190...4191, 4567...4568],
        skipOutboundPorts: [ClosedRange<UInt16>] = [4567...4568], skipSubnets: [IPNetwork] = [], inboundPortsOnly: [ClosedRange<UInt16>]? = nil
    ) {
        self.inboundPort = inboundPort
        self.outboundPort = outboundPort
        self.proxyUserID = proxyUserID
        self.skipInboundPorts = skipInboundPorts
        self.skipOutboundPorts = skipOutboundPorts
        self.skipSubnets = skipSubnets
        self.inboundPortsOnly = inboundPortsOnly
    }

    /// Whether a connection from `source` to this port, coming from another node, is led to `inboundPort`.
    public func redirectsInbound(from source: IPAddress, port: UInt16) -> Bool {
        if skipInboundPorts.contains(where: { $0.contains(port) }) || skipSubnets.contains(where: { $0.contains(source) }) { return false }
        return inboundPortsOnly?.contains { $0.contains(port) } ?? true
    }

    /// Whether a connection of this user to this port, leaving the node, is led to `outboundPort`.
    public func redirectsOutbound(userID: UInt32, port: UInt16) -> Bool {
        userID != proxyUserID && !skipOutboundPorts.contains { $0.contains(port) }
    }
}
