// What the data path needs from the rest of the proxy, each as the few verbs it uses: who we are, where things are, what is
// allowed. The control side provides them; tests provide their own.

import Base
import HTTP
import TLS

protocol MeshIdentity: AnyObject {
    var localName: String { get }
    /// nil before the first certificate.
    var serverConfiguration: TLSServerConfiguration? { get }
    func clientConfiguration(toward identity: String, alpn: [[UInt8]]) -> TLSClientConfiguration?
}

/// What a connection or a request is for: where it was sent, or, for an ingress or a gateway, the name that it carries.
enum Destination: Hashable, CustomStringConvertible {
    case address(SocketAddress)
    case name(Authority)

    var port: UInt16 {
        switch self {
        case .address(let address): address.port
        case .name(let name): name.port
        }
    }

    var description: String {
        switch self {
        case .address(let address): "\(address)"
        case .name(let name): "\(name)"
        }
    }
}

protocol OutboundDiscovery: AnyObject {
    /// What is known about a destination, from now until `release` with the same one; uses are counted.
    func target(_ destination: Destination) -> Watch<OutboundTarget>
    func release(_ destination: Destination)
    /// Endpoints of an authority (`name:port`), from now until `release(authority:)`; uses are counted.
    func endpoints(_ authority: String) -> Watch<EndpointSet>
    func release(authority: String)
}

protocol InboundPolicies: AnyObject {
    /// The policy of a port; has a value from the start (the default until the controller has spoken).
    func policy(port: UInt16) -> Watch<InboundPolicy>
}
