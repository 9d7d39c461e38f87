// One message for many streams. What a thousand proxies are told of one service is the same, so it is made and encoded once.

import GRPC
import MeshAPI
import SwiftProtobuf

public final class SharedMessage<Content> {
    public let content: Content
    private var encoded: [UInt8]?

    public init(_ content: Content) { self.content = content }

    fileprivate func bytes(_ encode: (Content) -> [UInt8]) -> [UInt8] {
        if let encoded { return encoded }
        let made = encode(content)
        encoded = made
        return made
    }
}

extension GRPCMethod {
    /// The same call with answers that streams may share.
    func sharing() -> GRPCMethod<Request, SharedMessage<Response>> {
        let (encode, decode) = (encodeResponse, decodeResponse)
        return GRPCMethod<Request, SharedMessage<Response>>(
            path: path, isServerStreaming: isServerStreaming, encodeRequest: encodeRequest, decodeRequest: decodeRequest, encodeResponse: { $0.bytes(encode) },
            decodeResponse: { decode($0).map { SharedMessage($0) } })
    }
}
