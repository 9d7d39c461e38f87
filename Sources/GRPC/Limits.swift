// Bounds of this module.

public struct GRPCLimits: Sendable {
    /// One message, without its prefix. Unit: bytes. When longer: the stream ends with RESOURCE_EXHAUSTED.
    /// Source: the default of gRPC implementations (grpc-go `defaultClientMaxReceiveMessageSize`, 4 MiB).
    public var messageBytesMax = 4 << 20

    /// The decoded text of `grpc-message`. Unit: bytes. When longer: the rest is cut off.
    /// Source: ours; header lists are bounded by HTTP, this only keeps a log line readable.
    public var statusMessageBytesMax = 4096

    public init() {}
}
