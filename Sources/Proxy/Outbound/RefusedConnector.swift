// A destination that this proxy does not dial, whoever asks: to its user a connection that was refused.

import Base
import Platform
import Transport

final class RefusedConnector: Connector {
    private let host: any Host
    private let address: SocketAddress

    init(host: any Host, address: SocketAddress) {
        self.host = host
        self.address = address
    }

    func connect(_ handler: any ConnectionHandler) -> any Connection {
        FailedConnection(HostFailure("connect to", .connectionRefused, subject: "\(address)"), host: host, handler: handler)
    }

    var target: String { "\(address)" }
}
