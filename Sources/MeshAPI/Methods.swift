// The calls of the proxy API, each as a path and the conversion of its messages, so that channels and servers need to know
// neither protobuf nor the messages.

import GRPC
import SwiftProtobuf

extension GRPCMethod where Request: Message, Response: Message {
    fileprivate init(_ service: String, _ name: String, streams: Bool) {
        self.init(
            path: "/io.linkerd.proxy.\(service)/\(name)", isServerStreaming: streams,
            encodeRequest: { Mesh.encode($0) }, decodeRequest: { Mesh.decode($0) },
            encodeResponse: { Mesh.encode($0) }, decodeResponse: { Mesh.decode($0) })
    }
}

extension Mesh.Destination {
    public static let get = GRPCMethod<GetDestination, Update>("destination.Destination", "Get", streams: true)
    public static let getProfile = GRPCMethod<GetDestination, DestinationProfile>("destination.Destination", "GetProfile", streams: true)
}

extension Mesh.Identity {
    public static let certify = GRPCMethod<CertifyRequest, CertifyResponse>("identity.Identity", "Certify", streams: false)
}

extension Mesh.Inbound {
    public static let getPort = GRPCMethod<PortSpec, Server>("inbound.InboundServerPolicies", "GetPort", streams: false)
    public static let watchPort = GRPCMethod<PortSpec, Server>("inbound.InboundServerPolicies", "WatchPort", streams: true)
}

extension Mesh.Outbound {
    public static let get = GRPCMethod<TrafficSpec, OutboundPolicy>("outbound.OutboundPolicies", "Get", streams: false)
    public static let watch = GRPCMethod<TrafficSpec, OutboundPolicy>("outbound.OutboundPolicies", "Watch", streams: true)
}

extension Mesh.Tap {
    public static let observe = GRPCMethod<ObserveRequest, TapEvent>("tap.Tap", "Observe", streams: true)
}
