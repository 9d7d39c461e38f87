// Which requests a tap wants to see: the conditions of the proxy API, checked once when the tap begins, then asked of each request.
// Source: linkerd2-proxy linkerd/proxy/tap/src/grpc/match.rs; facts 6.

import Base
import HTTP
import MeshAPI

/// What a condition is asked about: a request as it leaves for its endpoint.
struct TapSubject {
    var isInbound: Bool
    var source: SocketAddress?
    var destination: SocketAddress
    /// Without the `dst_` and `rt_` that metrics put before them.
    var destinationLabels: [Label]
    var routeLabels: [Label]
    /// What is said of the TLS towards each; told, not asked about.
    var sourceTLS: [(String, String)]
    var destinationTLS: [(String, String)] = []
    var head: RequestHead
}

indirect enum TapMatch: Equatable {
    enum Text: Equatable {
        case exact(String)
        case prefix(String)

        func matches(_ text: some StringProtocol) -> Bool {
            switch self {
            case .exact(let wanted): text == wanted
            case .prefix(let wanted): text.hasPrefix(wanted)
            }
        }
    }

    enum Place: Equatable {
        case network(IPNetwork)
        case ports(ClosedRange<UInt16>)

        func contains(_ address: SocketAddress) -> Bool {
            switch self {
            case .network(let network): network.contains(address.ip.unmapped)
            case .ports(let range): range.contains(address.port)
            }
        }
    }

    case all([TapMatch])
    case any([TapMatch])
    case not(TapMatch)
    case source(Place)
    case destination(Place)
    case destinationLabel(Label)
    case routeLabel(Label)
    case scheme(String)
    case method(HTTPMethod)
    case authority(Text)
    case path(Text)

    func matches(_ subject: TapSubject) -> Bool {
        switch self {
        case .all(let parts): parts.allSatisfy { $0.matches(subject) }
        case .any(let parts): parts.contains { $0.matches(subject) }
        case .not(let part): !part.matches(subject)
        case .source(let place): subject.source.map { place.contains($0) } ?? false
        case .destination(let place): place.contains(subject.destination)
        case .destinationLabel(let label): subject.destinationLabels.contains(label)
        case .routeLabel(let label): subject.routeLabels.contains(label)
        // Whatever the proxy forwards as HTTP is in the clear where it is tapped.
        case .scheme(let scheme): scheme == "http"
        case .method(let method): subject.head.method == method
        case .authority(let text): text.matches("\(subject.head.authority)")
        case .path(let text): text.matches(RouteTable.split("\(subject.head.path)").path)
        }
    }

    /// The Refusal names the part that is wrong. `depth`: of conditions within conditions that are still allowed.
    init(_ message: Mesh.Tap.ObserveRequest.Match, depth: Int = ProxyLimits.tapMatchDepthMax) throws(Refusal) {
        guard depth > 0 else { throw Refusal("conditions are nested too deeply") }
        switch message.match {
        case nil: throw Refusal("a condition is missing")
        case .all(let list): self = .all(try Self.list(list, depth))
        case .any(let list): self = .any(try Self.list(list, depth))
        case .not(let inner): self = .not(try TapMatch(inner, depth: depth - 1))
        case .source(let tcp): self = .source(try Self.place(tcp))
        case .destination(let tcp): self = .destination(try Self.place(tcp))
        case .destinationLabel(let label): self = .destinationLabel(try Self.label(label))
        case .routeLabel(let label): self = .routeLabel(try Self.label(label))
        case .http(let http):
            switch http.match {
            case nil: throw Refusal("an HTTP condition is missing")
            case .scheme(let scheme):
                switch scheme.type {
                case .registered(.https): self = .scheme("https")
                case .registered(.http), nil: self = .scheme("http")
                case .registered: throw Refusal("a scheme is unknown")
                case .unregistered(let text): self = .scheme(text.lowercased())
                }
            case .method(let method): self = .method(try Self.method(method))
            case .authority(let text): self = .authority(try Self.text(text))
            case .path(let text): self = .path(try Self.text(text))
            }
        }
    }

    private static func list(_ list: Mesh.Tap.ObserveRequest.Match.Seq, _ depth: Int) throws(Refusal) -> [TapMatch] {
        var made: [TapMatch] = []
        for part in list.matches { made.append(try TapMatch(part, depth: depth - 1)) }
        return made
    }

    private static func place(_ tcp: Mesh.Tap.ObserveRequest.Match.Tcp) throws(Refusal) -> Place {
        switch tcp.match {
        case nil: throw Refusal("an address condition is missing")
        case .netmask(let mask):
            guard let ip = IPAddress(mask.ip) else { throw Refusal("a network has no address") }
            guard mask.mask > 0, mask.mask <= (ip.isV4 ? 32 : 128) else { throw Refusal("a network's mask of \(mask.mask) bits is none") }
            return .network(IPNetwork(ip, prefixBits: UInt8(mask.mask)))
        case .ports(let ports):
            guard let low = UInt16(exactly: ports.min), let high = UInt16(exactly: ports.max) else { throw Refusal("a port is above 65535") }
            // One that is absent makes the other the only one.
            switch (low, high) {
            case (0, 0): throw Refusal("a range of ports has no bounds")
            case (0, _): return .ports(high...high)
            case (_, 0): return .ports(low...low)
            default:
                guard low <= high else { throw Refusal("a range of ports ends before it begins") }
                return .ports(low...high)
            }
        }
    }

    private static func label(_ label: Mesh.Tap.ObserveRequest.Match.Label) throws(Refusal) -> Label {
        guard !label.key.isEmpty, !label.value.isEmpty else { throw Refusal("a label needs a key and a value") }
        return Label(name: label.key, value: label.value)
    }

    private static func text(_ text: Mesh.Tap.ObserveRequest.Match.Http.StringMatch) throws(Refusal) -> Text {
        switch text.match {
        case .exact(let text): .exact(text)
        case .prefix(let text): .prefix(text)
        case nil: throw Refusal("a text to compare with is missing")
        }
    }

    private static func method(_ method: Mesh.HTTPTypes.HttpMethod) throws(Refusal) -> HTTPMethod {
        switch method.type {
        case .registered(let registered):
            switch registered {
            case .get: .get
            case .post: .post
            case .put: .put
            case .delete: .delete
            case .patch: .patch
            case .options: .options
            case .connect: .connect
            case .head: .head
            case .trace: .trace
            default: throw Refusal("a method is unknown")
            }
        case .unregistered(let text):
            if text.isEmpty { throw Refusal("a method is missing") } else { HTTPMethod(text) }
        case nil: throw Refusal("a method is missing")
        }
    }
}
