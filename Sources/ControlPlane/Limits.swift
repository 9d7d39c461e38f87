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

    /// Time between two looks at a webhook's certificate. Source: ours, as for the issuer.
    public var certificatePollInterval = Interval.seconds(10)

    /// Bytes of one review. When more: 413, and the webhook's failure policy decides. Source: linkerd2 controller/webhook/server.go;
    /// the API server itself takes objects of 3 MB at most.
    public var webhookBodyBytesMax = 10 * 1024 * 1024

    /// Bytes of all reviews that are being received. When more: 503. Source: ours; a memory bound that lets six of the largest in.
    public var webhookBodiesBytesMax = 64 * 1024 * 1024

    /// From a review's head to its last byte. When over: 408. Source: linkerd2 controller/webhook/server.go, ReadHeaderTimeout.
    public var webhookBodyTimeout = Interval.seconds(15)

    /// Reviews whose pod's owner is being looked up. When more: the pod is judged without its owner's name. Source: ours; each holds one pod.
    public var ownersLookedUpMax = 256

    /// How long a pod's creation may wait for the name of its owner. Source: ours; an API server waits 10 s for the webhook.
    public var ownerLookUpTimeout = Interval.seconds(2)

    /// From a change to the judging of all statuses. Source: ours; what is applied together is judged together.
    public var statusDelay = Interval.milliseconds(100)

    /// Between two looks at all statuses when nothing changes. Source: linkerd2 policy-controller, RECONCILIATION_PERIOD.
    public var statusPeriod = Interval.seconds(10)

    /// Statuses waiting to be written. When more: left to the next look. Source: linkerd2 policy-controller, STATUS_QUEUE.
    public var statusQueueMax = 10_000

    /// Statuses being written at once. When more: they wait. Source: ours; an API server has better to do.
    public var statusPatchesOpenMax = 8

    /// Of one write. When over: given up until the next look. Source: linkerd2 policy-controller, `--patch-timeout-ms`.
    public var statusPatchTimeout = Interval.seconds(5)

    /// Bytes of one request to the controller's API. When more: refused as malformed. Source: ours; its largest request is a tap's match.
    public var publicBodyBytesMax = 1024 * 1024

    /// Looks at the whole control plane under way at once. When more: refused, to be asked again. Source: ours; each asks every part.
    public var selfChecksOpenMax = 8

    /// Parts that one look asks. When more: the rest is left out. Source: ours; a control plane has a dozen.
    public var componentsMax = 256

    /// For the answer of one part's admin port. When over: it counts as silent. Source: kubelet's default timeoutSeconds.
    public var componentProbeTimeout = Interval.seconds(1)

    /// Callers whose tokens and rights the API server is judging. When more: refused, to be asked again. Source: ours; each is two calls.
    public var authorizationsOpenMax = 64

    public init() {}
}
