// Every bound of the Kubernetes client: what it bounds, in which unit, what happens when it is full, where the number comes from.

import Base

public struct KubeLimits: Sendable {
    /// Objects of one page of a list. Unit: objects. The server may give fewer. Source: client-go tools/pager defaultPageSize.
    public var listPageObjectsMax = 500
    /// Body of one answer. Unit: bytes. When full: the call fails with `malformed`. Source: 500 objects of etcd's 1.5 MiB would be
    /// more, but real pages are a few MB; 256 MiB keeps a process of a small memory limit alive.
    public var responseBytesMax = 256 * 1024 * 1024
    /// One event of a watch stream. Unit: bytes. When longer: it is skipped and counted, and the next watch begins with a list.
    /// Source: etcd's request limit of 1.5 MiB, doubled for the envelope and for objects grown by conversion.
    public var watchEventBytesMax = 3 * 1024 * 1024
    /// Short calls open at once; those beyond wait. Unit: calls. Source: the client-side burst of Linkerd's controllers is 200
    /// (charts, kubeAPI.clientBurst); half of it, as each takes a connection.
    public var requestsOpenMax = 100
    /// Calls that wait for the above. When full: the call fails with `refused`. Source: ours, a proxy's request queue.
    public var requestsWaitingMax = 10_000
    /// Time for TCP to reach the server. Source: client-go dials with 30 s; a third of the request's time leaves room for a second.
    public var connectTimeout = Interval.seconds(10)
    /// Events remembered so that repetitions are counted in place. When full: the oldest is forgotten. Source: client-go tools/record
    /// keeps 4096 over 10 minutes; our components write few.
    public var eventsRememberedMax = 512
    public var eventWindow = Interval.minutes(10)
    /// Time from request to complete answer of anything but a watch. When full: the call fails with `timedOut`.
    /// Source: the API server's own --request-timeout is 60 s; half of it, since a retry may be needed.
    public var requestTimeout = Interval.seconds(30)
    /// The server ends a watch after this time, drawn anew for each watch. Source: client-go reflector minWatchTimeout 5 min, doubled by chance.
    public var watchTimeoutMin = Interval.minutes(5)
    /// A watch that says nothing, not even a bookmark, for so long is begun again from where it stood. Source: bookmarks come about
    /// once a minute (k8s.io/apiserver cacher defaultBookmarkFrequency); two may be lost.
    public var watchSilenceMax = Interval.seconds(150)
    /// First and longest wait between attempts. Source: client-go reflector backoff 800 ms to 30 s, factor 2, jitter 1.
    public var backoffMin = Interval.milliseconds(800)
    public var backoffMax = Interval.seconds(30)
    /// Attempts far apart count as the first again. Source: client-go reflector backoff reset 2 min.
    public var backoffReset = Interval.minutes(2)
    /// How long a token read from its file is used. Source: client-go transport/token_source.go, one minute.
    public var tokenPeriod = Interval.minutes(1)

    /// A plug-in's credential is renewed so long before it expires. Source: ours; the time a request may be on its way.
    public var credentialMargin = Interval.seconds(10)
    /// How long a credential plug-in may run. When over: it is killed and the calls that wait fail with `refused`. Source: ours;
    /// plug-ins of the large clouds take one to three seconds, a request 30.
    public var pluginTimeout = Interval.seconds(25)
    /// Where the system keeps its authorities. Source: Debian's ca-certificates.
    public var systemAnchorsPath = "/etc/ssl/certs/ca-certificates.crt"

    /// Flow-control windows on HTTP/2. Unit: bytes. When full: the server waits for us. Source: golang.org/x/net/http2's client gives
    /// 4 MiB a stream and 1 GiB a connection; a page of pods is some MiB, and one watch must not hold up the others.
    public var streamWindowBytes = 4 * 1024 * 1024
    public var connectionWindowBytes = 64 * 1024 * 1024
    /// HTTP/2: a connection that says nothing for so long is pinged, and given up when the answer takes longer than the second.
    /// Source: k8s.io/apimachinery pkg/util/net, HTTP2_READ_IDLE_TIMEOUT_SECONDS 30 and HTTP2_PING_TIMEOUT_SECONDS 15.
    public var pingInterval = Interval.seconds(30)
    public var pingTimeout = Interval.seconds(15)

    /// First wait after somebody else wrote the object that we meant to write, and how often we try. When spent: the call fails with
    /// the last conflict. Source: client-go util/retry DefaultBackoff 10 ms, more steps since there is nobody to ask us again.
    public var conflictBackoff = Interval.milliseconds(10)
    public var conflictAttemptsMax = 8

    /// How long the answers of discovery are believed. Source: ours; kubectl keeps them for hours, but a CRD that was just installed
    /// should be found within a minute.
    public var discoveryPeriod = Interval.seconds(30)

    public init() {}
}
