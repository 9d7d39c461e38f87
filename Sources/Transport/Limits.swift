// Every bound of this module: what it bounds, in which unit, what happens when it is full, and where the number comes from.

import Base

public struct TransportLimits: Sendable {
    /// Bytes a peer has not taken yet before a stream counts as blocked. Unit: bytes. When full: the producer is told to wait
    /// (`HTTPStream.isWritable`), and its own peer feels back-pressure. Source: two scratch buffers of the loop.
    public var sendQueueBytesMax = 128 * 1024
    /// Body bytes handed up and not yet acknowledged on an HTTP/1 connection. When full: reading pauses. Source: one scratch buffer.
    public var unacknowledgedBytesMax = 64 * 1024
    /// Idle HTTP/1 connections kept for one endpoint. When full: the oldest is closed. Source: linkerd2-proxy env.rs, per endpoint.
    public var idleConnectionsMax = 10_000
    /// How long an idle HTTP/1 connection is kept. Source: linkerd2-proxy env.rs, HTTP1_CONNECTION_POOL_IDLE_TIMEOUT.
    public var idleConnectionTimeout = Interval.seconds(3)
    /// Messages of one gRPC call waiting for its peer. Unit: bytes. When full: the call ends with RESOURCE_EXHAUSTED.
    /// Source: 100 discovery updates of 40 KB, the stream queue of Linkerd's destination service.
    public var callQueueBytesMax = 4 * 1024 * 1024
    /// Transport header bytes read before the session. When full: the connection is refused. Source: linkerd2-proxy transport-header.
    public var transportHeaderBytesMax = 65_536

    public init() {}
}
