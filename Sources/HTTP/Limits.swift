// Every bound of this module: what it bounds, in which unit, what happens when it is full, and where the number comes from.

import Base

public struct HTTPLimits: Sendable {
    /// A request or response head, or trailers, on HTTP/1. Unit: bytes. When longer: 431 and the connection closes (client side: the
    /// response fails). Source: hyper's default maximum buffer is 400 KiB; nginx takes 32 KiB, Node 16 KiB.
    public var headBytesMax = 64 * 1024
    /// Fields of one head. When more: as above. Source: hyper's default is 100, Apache's LimitRequestFields is 100.
    public var fieldsMax = 128
    /// Pipelined request bytes that wait for the response before them. Unit: bytes. When more: `wantsReadPause`.
    public var pipelineBytesMax = 64 * 1024

    /// Names in the Connection fields of one HTTP/1 head, beside those that engines know. When more: as for a head that is too long.
    /// Source: own choice; each name costs a comparison with every field.
    public var connectionOptionsMax = 32
    /// Chunk extensions of one HTTP/1 body, all chunks together. Unit: bytes. When more: 400 and the connection closes (client side: the
    /// response fails). Source: hyper's limit is 16 KiB; they are read and dropped.
    public var chunkExtensionBytesMax = 16 * 1024

    public init() {}
}
