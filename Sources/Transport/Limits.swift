// Every bound of this module: what it bounds, in which unit, what happens when it is full, and where the number comes from.

import Base
import HTTP

public struct TransportLimits: Sendable {
    /// Bytes a peer has not taken yet before a stream counts as blocked. Unit: bytes. When full: the producer is told to wait
    /// (`HTTPStream.isWritable`), and its own peer feels back-pressure. Source: two scratch buffers of the loop.
    public var sendQueueBytesMax = 128 * 1024
    /// Body bytes of all streams of one HTTP/2 connection that wait for the peer's windows before streams with bytes of their own waiting count as
    /// blocked, however few these are. Unit: bytes. When full: as above. Source: ours; eight such streams at their own bound.
    public var connectionQueueBytesMax = 1024 * 1024
    /// Body bytes handed up and not yet acknowledged on an HTTP/1 connection. When full: reading pauses. Source: one scratch buffer.
    public var unacknowledgedBytesMax = 64 * 1024
    /// Idle HTTP/1 connections kept for one endpoint. When full: the oldest is closed. Source: linkerd2-proxy env.rs, per endpoint.
    public var idleConnectionsMax = 10_000
    /// How long an idle HTTP/1 connection is kept. Source: linkerd2-proxy env.rs, HTTP1_CONNECTION_POOL_IDLE_TIMEOUT.
    public var idleConnectionTimeout = Interval.seconds(3)
    /// Messages of one served streaming call waiting for a client that does not read. When full: the call ends with OK, so that the
    /// client comes back for a fresh snapshot. Source: linkerd2 destination `-stream-queue-capacity`.
    public var responseQueueMessagesMax = 100
    /// Calls of one channel waiting for its connection. When full: the call fails with UNAVAILABLE. Source: linkerd2-proxy
    /// control.rs, buffer of each control-plane client.
    public var callsWaitingMax = 1000
    /// Answers kept by a resolver. When full: expired ones go; if none has, the new answer is not kept. Source: ours; a proxy asks
    /// for three control-plane names.
    public var resolverAnswersMax = 1024
    /// Connections open on one server. When full: a new one is reset at once. Source: half of a common descriptor limit of 65536.
    public var serverConnectionsMax = 32_768
    /// Wait for an accepted connection's TLS handshake and first bytes. When over: it is closed. Source: net/http servers in
    /// Kubernetes, ReadHeaderTimeout 32 s (k8s.io/apiserver); a minute is generous to pooled connections made ahead.
    public var firstBytesTimeout = Interval.minutes(1)
    /// Of the engines of connections.
    public var http = HTTPLimits()
    /// Transport header bytes read before the session. When full: the connection is refused. Source: linkerd2-proxy transport-header.
    public var transportHeaderBytesMax = 65_536

    public init() {}
}
