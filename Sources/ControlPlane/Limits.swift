// Bounds of the control plane's services.

import Base

public struct ControlPlaneLimits: Sendable {
    /// Messages waiting on one stream whose client does not read. When more: the stream ends with OK, so that the client comes
    /// back for a fresh snapshot. Source: linkerd2 controller `-stream-queue-capacity`.
    public var streamQueueMessagesMax = 100

    /// Ports named by one port list, ranges counted out. When more: the list is refused as malformed.
    /// Source: there are no more ports.
    public static let portListPortsMax = 65535

    /// Time between two looks at the issuer's files. Source: ours; kubelet renews mounted secrets within about a minute, and
    /// missed notifications were a real incident upstream (linkerd2 #15109).
    public var issuerPollInterval = Interval.seconds(10)

    public init() {}
}
