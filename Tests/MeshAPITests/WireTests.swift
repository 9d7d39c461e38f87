// The API's bytes against vectors written down from Linkerd's definition, so that a wrong field number cannot hide behind a
// round trip through our own code.

import Base
import MeshAPI
import Testing

@Suite struct WireTests {
    @Test func `a transport header has the bytes Linkerd writes`() {
        var header = Mesh.TransportHeader()
        header.port = 8080
        #expect(Mesh.encode(header) == [0x08, 0x90, 0x3f])
        header.sessionProtocol.http2 = .init()
        #expect(Mesh.encode(header) == [0x08, 0x90, 0x3f, 0x1a, 0x02, 0x12, 0x00])
        header.sessionProtocol.http1 = .init()
        #expect(Mesh.encode(header) == [0x08, 0x90, 0x3f, 0x1a, 0x02, 0x0a, 0x00])
        header = Mesh.TransportHeader()
        header.port = 80
        header.name = "web.b"
        #expect(Mesh.encode(header) == [0x08, 80, 0x12, 5] + Array("web.b".utf8))
    }

    @Test func `an IPv4 address is a fixed32 with the first octet on top`() {
        #expect(Mesh.encode(Mesh.Net.IPAddress(IPAddress(10, 1, 2, 3))) == [0x0d, 0x03, 0x02, 0x01, 0x0a])
        let v6 = Mesh.encode(Mesh.Net.IPAddress(IPAddress("2001:db8::1")!))
        #expect(v6 == [0x12, 18, 0x09, 0, 0, 0, 0, 0xb8, 0x0d, 0x01, 0x20, 0x11, 1, 0, 0, 0, 0, 0, 0, 0])
    }

    /// Field numbers that are easy to get wrong: reserved gaps, oneofs out of order, numbers that differ between directions.
    @Test(arguments: vectors.indices) func `a message has the field numbers of the API`(_ index: Int) {
        let (made, bytes) = Self.vectors[index]
        #expect(made == bytes)
    }

    static let vectors: [([UInt8], [UInt8])] = [
        (Mesh.encode(with(Mesh.Destination.WeightedAddr()) { m in m.weight = 10000 }), [0x18, 0x90, 0x4e]),
        (Mesh.encode(with(Mesh.Destination.WeightedAddr()) { m in m.metricLabels = ["b": "2", "a": "1"] }), [0x22, 6, 0x0a, 1, 0x61, 0x12, 1, 0x31, 0x22, 6, 0x0a, 1, 0x62, 0x12, 1, 0x32]),
        (Mesh.encode(with(Mesh.Destination.WeightedAddr()) { m in m.http2 = .init() }), [0x42, 0]),
        (Mesh.encode(with(Mesh.Destination.TlsIdentity()) { m in m.uriLikeIdentity.uri = "u" }), [0x1a, 3, 0x0a, 1, 0x75]),
        (Mesh.encode(with(Mesh.Destination.TlsIdentity()) { m in m.serverName.name = "s" }), [0x22, 3, 0x0a, 1, 0x73]),
        (Mesh.encode(with(Mesh.Destination.ProtocolHint()) { m in m.opaque = .init(); m.opaqueTransport.inboundPort = 4143 }), [0x12, 3, 0x08, 0xaf, 0x20, 0x1a, 0]),
        (Mesh.encode(with(Mesh.Destination.DestinationProfile()) { m in m.opaqueProtocol = true; m.fullyQualifiedName = "f" }), [0x20, 1, 0x2a, 1, 0x66]),
        (Mesh.encode(with(Mesh.Destination.Update()) { m in m.noEndpoints.exists = true }), [0x1a, 2, 0x08, 1]),
        (Mesh.encode(with(Mesh.Inbound.ProxyProtocol()) { m in m.grpc = .init() }), [0x32, 0]),
        (Mesh.encode(with(Mesh.Inbound.ProxyProtocol()) { m in m.tls = .init() }), [0x1a, 0]),
        (Mesh.encode(with(Mesh.Outbound.ProxyProtocol()) { m in m.grpc = .init() }), [0x2a, 0]),
        (Mesh.encode(with(Mesh.Outbound.ProxyProtocol()) { m in m.tls = .init() }), [0x32, 0]),
        (Mesh.encode(with(Mesh.Outbound.HttpRoute.RouteBackend()) { m in m.filters = [.init()] }), [0x1a, 0]),
        (Mesh.encode(with(Mesh.Outbound.HttpRoute.Distribution()) { m in m.randomAvailable = .init() }), [0x1a, 0]),
        (Mesh.encode(with(Mesh.Outbound.GrpcRoute.Retry.Conditions()) { m in m.unavailable = true; m.deadineExceeded = true }), [0x20, 1, 0x70, 1]),
        (Mesh.encode(with(Mesh.Outbound.OpaqueRoute.Filter()) { m in m.forbidden = .init() }), [0x12, 0]),
        (Mesh.encode(with(Mesh.Outbound.Backend()) { m in m.balancer.discovery.dst.path = "p" }), [0x1a, 7, 0x0a, 5, 0x0a, 3, 0x0a, 1, 0x70]),
        (Mesh.encode(with(Mesh.Outbound.Backend()) { m in m.queue.capacity = 100 }), [0x22, 2, 0x08, 100]),
        (Mesh.encode(with(Mesh.Outbound.TrafficSpec()) { m in m.authority = "a" }), [0x1a, 1, 0x61]),
        (Mesh.encode(with(Mesh.Tap.ObserveRequest.Match.Tcp()) { m in m.ports.max = 9 }), [0x1a, 2, 0x10, 9]),
        (Mesh.encode(with(Mesh.Tap.TapEvent()) { m in m.proxyDirection = .outbound }), [0x30, 2]),
        (Mesh.encode(with(Mesh.HTTPTypes.HttpMethod()) { m in m.registered = .get }), [0x08, 0]),
        (Mesh.encode(Mesh.Meta.Metadata(default: "d")), [0x0a, 1, 0x64]),
        (Mesh.encode(Mesh.Meta.Metadata(group: "g", kind: "k", namespace: "s", name: "n", port: 80)), [0x12, 14, 0x0a, 1, 0x67, 0x12, 1, 0x6b, 0x1a, 1, 0x6e, 0x22, 1, 0x73, 0x30, 80]),
    ]

    @Test func `the paths are those of Linkerd's services`() {
        #expect(Mesh.Destination.get.path == "/io.linkerd.proxy.destination.Destination/Get")
        #expect(Mesh.Destination.getProfile.path == "/io.linkerd.proxy.destination.Destination/GetProfile")
        #expect(Mesh.Identity.certify.path == "/io.linkerd.proxy.identity.Identity/Certify")
        #expect(Mesh.Inbound.getPort.path == "/io.linkerd.proxy.inbound.InboundServerPolicies/GetPort")
        #expect(Mesh.Inbound.watchPort.path == "/io.linkerd.proxy.inbound.InboundServerPolicies/WatchPort")
        #expect(Mesh.Outbound.get.path == "/io.linkerd.proxy.outbound.OutboundPolicies/Get")
        #expect(Mesh.Outbound.watch.path == "/io.linkerd.proxy.outbound.OutboundPolicies/Watch")
        #expect(Mesh.Tap.observe.path == "/io.linkerd.proxy.tap.Tap/Observe")
        #expect(Mesh.Destination.get.isServerStreaming && !Mesh.Identity.certify.isServerStreaming)
    }

    @Test func `a method's closures carry a message there and back`() {
        var request = Mesh.Destination.GetDestination()
        request.path = "web.books.svc.cluster.local:80"
        let bytes = Mesh.Destination.get.encodeRequest(request)
        #expect(Mesh.Destination.get.decodeRequest(bytes) == request)
        #expect(Mesh.Destination.get.decodeRequest([0x12, 0xff]) == nil)
        #expect(Mesh.Destination.get.decodeRequest([0x12, 2, 0xff, 0xfe]) == nil)
    }

    @Test func `no prefix of a message traps, and only whole fields pass`() {
        var policy = Mesh.Outbound.OutboundPolicy()
        policy.protocol.detect.timeout = Mesh.duration(.seconds(10))
        policy.protocol.detect.http1.routes = [.init()]
        policy.metadata = .init(default: "x")
        let bytes = Mesh.encode(policy)
        for length in 0..<bytes.count {
            let cut: Mesh.Outbound.OutboundPolicy? = Mesh.decode(Array(bytes[..<length]))
            if let cut { #expect(Mesh.encode(cut) == Array(bytes[..<length])) }
        }
        #expect(Mesh.decode(bytes) == policy)
    }

    @Test func `addresses, networks and times convert both ways and refuse nonsense`() {
        for text in ["10.1.2.3:80", "[2001:db8::1]:65535", "0.0.0.0:1"] {
            let address = SocketAddress(text)!
            #expect(SocketAddress(Mesh.Net.TcpAddress(address)) == address)
        }
        var bad = Mesh.Net.TcpAddress(SocketAddress("1.2.3.4:5")!)
        bad.port = 65536
        #expect(SocketAddress(bad) == nil)
        #expect(SocketAddress(Mesh.Net.TcpAddress()) == nil)
        let network = IPNetwork("10.0.0.0/8")!
        #expect(IPNetwork(Mesh.Net.IPNetwork(network)) == network)
        var long = Mesh.Net.IPNetwork(network)
        long.prefixLen = 33
        #expect(IPNetwork(long) == nil)

        #expect(Interval(Mesh.duration(.milliseconds(1500))) == .milliseconds(1500))
        #expect(Interval(Mesh.duration(.milliseconds(-1500))) == .milliseconds(-1500))
        #expect(Interval(Mesh.Duration(seconds: 1, nanos: -1)) == nil)
        #expect(Interval(Mesh.Duration(seconds: .max)) == nil)
        let time = WallTime(nanoseconds: -1)
        #expect(WallTime(Mesh.timestamp(time)) == time)
        #expect(WallTime(Mesh.Timestamp(seconds: 0, nanos: -1)) == nil)
    }
}

private func with<M>(_ empty: M, _ change: (inout M) -> Void) -> M {
    var message = empty
    change(&message)
    return message
}
