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

protocol OutboundDiscovery: AnyObject {
    /// What is known about an original destination, from now until `release` with the same address; uses are counted.
    func target(_ address: SocketAddress) -> Watch<OutboundTarget>
    func release(_ address: SocketAddress)
    /// Endpoints of an authority (`name:port`), from now until `release(authority:)`; uses are counted.
    func endpoints(_ authority: String) -> Watch<EndpointSet>
    func release(authority: String)
}

protocol InboundPolicies: AnyObject {
    /// The policy of a port; has a value from the start (the default until the controller has spoken).
    func policy(port: UInt16) -> Watch<InboundPolicy>
}
