// One call of a gRPC service: where it lives and how its messages become bytes. Channels and servers are generic over it, so
// nothing below the API module knows what the messages are made of.

/// A unary or streaming call.
public struct GRPCMethod<Request, Response>: Sendable {
    /// `/package.Service/Method`.
    public let path: String
    public let isServerStreaming: Bool
    /// Any number of requests, sent while answers come.
    public let isClientStreaming: Bool
    public let encodeRequest: @Sendable (Request) -> [UInt8]
    /// nil: the bytes are not a message of this type.
    public let decodeRequest: @Sendable ([UInt8]) -> Request?
    public let encodeResponse: @Sendable (Response) -> [UInt8]
    /// nil: the bytes are not a message of this type.
    public let decodeResponse: @Sendable ([UInt8]) -> Response?

    public init(
        path: String, isServerStreaming: Bool, isClientStreaming: Bool = false,
        encodeRequest: @escaping @Sendable (Request) -> [UInt8], decodeRequest: @escaping @Sendable ([UInt8]) -> Request?,
        encodeResponse: @escaping @Sendable (Response) -> [UInt8], decodeResponse: @escaping @Sendable ([UInt8]) -> Response?
    ) {
        self.path = path
        self.isServerStreaming = isServerStreaming
        self.isClientStreaming = isClientStreaming
        self.encodeRequest = encodeRequest
        self.decodeRequest = decodeRequest
        self.encodeResponse = encodeResponse
        self.decodeResponse = decodeResponse
    }
}
