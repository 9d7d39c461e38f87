// Holds accepted connections until the proxy may serve: the socket listens from the start, so that clients wait as they would in
// the kernel's backlog instead of being refused. Source: linkerd2-proxy linkerd/app/src/lib.rs, accept loops start with the first
// certificate; facts 1.4.

import Base
import Platform

final class AcceptGate: AcceptHandler {
    private let handler: any AcceptHandler
    private var held: [Visitor] = []
    private(set) var isOpen = false

    init(_ handler: any AcceptHandler) { self.handler = handler }

    var heldCount: Int { held.count }

    func accepted(_ connection: any Connection) {
        if isOpen { return handler.accepted(connection) }
        guard held.count < ProxyLimits.gateConnectionsMax else { return connection.reset() }
        held.append(Visitor(connection, gate: self))
    }

    /// Lets in who waits, in the order of arrival, and from now on everybody.
    func open() {
        if isOpen { return }
        isOpen = true
        let visitors = held
        held = []
        for visitor in visitors {
            guard let connection = visitor.leave() else { continue }
            handler.accepted(connection)
        }
    }

    /// Turns everybody away.
    func close() {
        let visitors = held
        held = []
        for visitor in visitors { visitor.leave()?.reset() }
    }

    fileprivate func left(_ visitor: Visitor) { held.removeAll { $0 === visitor } }
}

/// A connection that waits, unread.
private final class Visitor: ConnectionHandler {
    private var connection: (any Connection)?
    private var gate: AcceptGate?

    init(_ connection: any Connection, gate: AcceptGate) {
        self.connection = connection
        self.gate = gate
        connection.handler = self
        connection.isReadingPaused = true
    }

    func leave() -> (any Connection)? {
        let leaving = connection
        connection = nil
        gate = nil
        leaving?.handler = nil
        leaving?.isReadingPaused = false
        return leaving
    }

    func received(_ bytes: RawSpan, on connection: any Connection) {}
    func finished(_ connection: any Connection) {}

    func closed(_ connection: any Connection, _ failure: HostFailure?) {
        let gate = gate
        self.gate = nil
        self.connection = nil
        gate?.left(self)
    }
}
