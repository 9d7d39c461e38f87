// Every bound of the data path: what it bounds, in which unit, what happens when it is full, and where the number comes from.
// Queue lengths and timeouts that Linkerd reads from the environment are in `Configuration`.

import Base

public enum ProxyLimits {
    /// Bytes that one half of a relay may hold for a slow reader. Unit: bytes. When full: the fast side is not read.
    /// Source: two scratch buffers of the loop.
    static let relayQueueBytesMax = 128 * 1024
    /// First bytes of a connection kept while its protocol is in doubt. Unit: bytes. When full: it is not what it might have been.
    /// Source: linkerd2-proxy linkerd/tls/src/server (8192) and linkerd/http/detect (1024).
    static let detectBytesMax = 8192
    /// Shortest input that may be HTTP: `GET / HTTP/1.1`. Source: linkerd2-proxy linkerd/http/detect.
    static let httpBytesMin = 14
    /// Connections that one side holds. Unit: connections. When full: new ones are closed at once and counted.
    /// Source: ours; 100,000 connections at 1 KiB and a TLS session each stay below 2 GiB.
    static let connectionsMax = 100_000
    /// Request body bytes held while no endpoint is ready. Unit: bytes. When full: the client's window closes.
    /// Source: the initial window of a stream, which bounds it by itself.
    static let heldBodyBytesMax = 64 * 1024

    /// Request body bytes kept for another attempt. Unit: bytes. When full: the request is not tried again.
    /// Source: linkerd2-proxy linkerd/http/retry, 64 KiB.
    static let replayBodyBytesMax = 64 * 1024
    /// Routes of one inbound connection whose authorization is remembered. Unit: routes. When full: the oldest is judged again.
    /// Source: ours; one workload calls few routes of another, and a scan of more would cost what it saves.
    static let verdictsMax = 16
    /// Client identities with a rate limit of their own, of one port. Unit: identities. When full: those whose quota is whole are
    /// forgotten; if none is, new ones share one quota. Source: ours; a namespace has a handful of accounts.
    static let rateLimitIdentitiesMax = 4_096

    /// Endpoints known of one authority. Unit: endpoints. When full: further ones are not used, and a warning says so.
    /// Source: ours; the largest Kubernetes clusters have 150,000 pods, a service has a fraction of them.
    static let endpointsMax = 50_000
    /// Original destinations, and authorities, that are watched. Unit: entries. When full: the one released longest ago goes; while
    /// all are in use, what is new is refused. Source: ours; below the stream numbers of one HTTP/2 connection's life.
    static let discoveryEntriesMax = 10_000
    /// Ports whose policy is watched besides those of the configuration. Unit: ports. When full: a new port gets the default policy
    /// alone. Source: ours; a pod serves a handful, a scanner touches them all.
    static let policyPortsMax = 1_000
    /// A Certify call may take so long, the wait for a connection included. Source: ours; two times the failfast of 30 s.
    static let certifyTimeout = Interval.seconds(60)
    /// Connections that wait for the first certificate, of one listener. Unit: connections. When full: new ones are reset.
    /// Source: net.core.somaxconn of Linux, 4096: where they would wait with Linkerd's proxy.
    static let gateConnectionsMax = 4_096
    /// Host names told apart in the metrics of one route, where that is asked for. Unit: names. When full: further ones are counted as
    /// nameless. Source: ours; who asks for arbitrary hosts must not fill the memory.
    static let hostnamesMax = 200
    /// Loops of one proxy. Unit: loops. When more are asked for: refused at start. Source: ours; no pod pays for more cores.
    static let loopsMax = 256
    /// Connections to the admin server. Unit: connections. When full: new ones are reset. Source: ours; probes and scrapers are few.
    static let adminConnectionsMax = 256
    /// Spans that wait for the collector. Unit: spans. When full: further ones are dropped, and that is logged once.
    /// Source: linkerd2-proxy linkerd/opentelemetry: a channel of 100 before a batch of 1000.
    static let spansWaitingMax = 1_100
    /// Spans of one export. Unit: spans. When full: sent at once. Source: linkerd2-proxy linkerd/opentelemetry.
    static let spansBatchMax = 1_000
    /// How long a span waits for company. Source: linkerd2-proxy linkerd/opentelemetry.
    static let spansDelayMax = Interval.seconds(10)
    /// How long a collector may take for a batch; then it is lost. Source: OpenTelemetry, OTEL_EXPORTER_OTLP_TIMEOUT of 10 s.
    static let spansExportTimeout = Interval.seconds(10)
    /// How often a file of trust roots is looked at besides hints. Source: ours; a kubelet refreshes a ConfigMap about once a minute.
    static let trustRootsInterval = Interval.seconds(60)
    /// Items of one list on the debug page. Unit: items. When there are more: the first are shown, with the number of all.
    /// Source: ours; 10,000 connections are two megabytes.
    static let stateItemsMax = 10_000
    /// Events that wait for a watcher. Unit: events. When full: further ones are left out, and no new requests are shown.
    /// Source: linkerd2-proxy linkerd/proxy/tap: 400.
    static let tapEventsMax = 400
    /// Watchers at once. Unit: calls. When full: RESOURCE_EXHAUSTED. Source: ours; every request is held against each.
    static let tapsMax = 32
    /// Conditions within conditions. Unit: levels. When deeper: INVALID_ARGUMENT. Source: ours; `linkerd viz tap` makes three.
    static let tapMatchDepthMax = 32
    /// How long a caller of the control listener may say nothing. Source: linkerd2-proxy linkerd/app/src/env.rs, INBOUND_DETECT_TIMEOUT.
    static let tapDetectTimeout = Interval.seconds(10)
    /// Body of an admin request. Unit: bytes. When full: 413. Source: a log filter is a line.
    static let adminBodyBytesMax = 8 * 1024
}
