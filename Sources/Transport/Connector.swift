// Ways to reach a peer as a stream of bytes: plain TCP here, TLS and the transport header in their own files. A connector is
// a value of one endpoint, so that pools and channels need not know what lies below them.

import Base
import Platform

/// Makes connections to one endpoint.
public protocol Connector: AnyObject {
    /// Starts to connect; `connected` or `closed` comes to the handler in a later turn.
    func connect(_ handler: any ConnectionHandler) -> any Connection
    /// For people: where this leads.
    var target: String { get }
}

/// Plain TCP to one address.
public final class TCPConnector: Connector {
    private let host: any Host
    public let address: SocketAddress
    private let options: ConnectOptions

    public init(host: any Host, address: SocketAddress, options: ConnectOptions = ConnectOptions()) {
        self.host = host
        self.address = address
        self.options = options
    }

    public func connect(_ handler: any ConnectionHandler) -> any Connection {
        host.network.connect(to: address, options: options, handler: handler)
    }

    public var target: String { "\(address)" }
}
