// TLS that is not the mesh's own, routed by the name in its first message.

import Base
import HTTP
import Platform
import Simulator
import Testing

@testable import Proxy

/// A ClientHello in one record; `name`: its server name, if any.
private func hello(_ name: String?) -> [UInt8] {
    func prefixed(_ bytes: [UInt8]) -> [UInt8] { [UInt8(bytes.count >> 8), UInt8(bytes.count & 255)] + bytes }
    var body: [UInt8] = [3, 3] + [UInt8](repeating: 7, count: 32) + [0, 0, 2, 0x13, 1, 1, 0]
    if let name { body += prefixed([0, 0] + prefixed(prefixed([0] + prefixed(Array(name.utf8))))) }
    return [22, 3, 1] + prefixed([1, 0] + prefixed(body))
}

/// Keeps what comes.
private final class Sink: AcceptHandler, ConnectionHandler {
    var received: [UInt8] = []
    private var open: [any Connection] = []
    private var listener: (any Listener)?

    init(_ process: SimProcess, port: UInt16) {
        do { listener = try process.network.listen(on: SocketAddress(.any, port), options: ListenOptions(), handler: self) } catch { process.unexpected("\(error)") }
    }

    func accepted(_ connection: any Connection) {
        connection.handler = self
        open.append(connection)
    }
    func received(_ bytes: RawSpan, on connection: any Connection) { received += bytes.array() }
    func finished(_ connection: any Connection) { connection.close() }
    func closed(_ connection: any Connection, _ failure: HostFailure?) {}
}

private final class Client: ConnectionHandler {
    let bytes: [UInt8]
    var connection: (any Connection)?
    var isClosed = false

    init(_ bytes: [UInt8]) { self.bytes = bytes }
    func connected(_ connection: any Connection) { connection.send(bytes) }
    func received(_ bytes: RawSpan, on connection: any Connection) {}
    func finished(_ connection: any Connection) { connection.close() }
    func closed(_ connection: any Connection, _ failure: HostFailure?) { isClosed = true }
}

@Suite struct TLSRouteTests {
    private static func route(_ names: [HostMatch], _ port: UInt16, refusal: String? = nil) -> TLSRoute {
        TLSRoute(serverNames: names, backends: .firstAvailable([Backend(kind: .forward(Endpoint(address: SocketAddress(IPAddress(10, 0, 0, 2), port))))]), refusal: refusal)
    }

    @Test func `the most exact name decides, and what has none or another is closed`() throws {
        let routes = [
            Self.route([.suffix(["org"])], 9001), Self.route([.suffix(["org", "example"])], 9002), Self.route([.exact("a.example.org")], 9003),
            Self.route([.exact("no.example.org")], 9001, refusal: "forbidden"),
        ]
        let pair = try Pair(target: OutboundTarget(profile: nil, policy: OutboundPolicy(kind: .tls(routes))), policy: InboundPolicy(kind: .opaque, authorizations: [Authorization(networks: [.init(net: IPNetwork(.any, prefixBits: 0))], authentication: .anyone)]))
        var sinks: [Sink] = []
        pair.server.run { sinks = (9001...9003).map { Sink(pair.server, port: $0) } }
        let cases: [([UInt8], Int?)] = [
            (hello("b.other.org"), 0), (hello("b.example.org"), 1), (hello("A.example.org"), 2), (hello("b.example.com"), nil), (hello(nil), nil), (hello("no.example.org"), nil),
            (Array("GET / HTTP/1.1\r\n\r\n".utf8), nil),
        ]
        for (bytes, expected) in cases {
            let before = sinks.map(\.received.count)
            let client = Client(bytes)
            pair.client.run { client.connection = pair.client.network.connect(to: Pair.service, options: ConnectOptions(), handler: client) }
            pair.world.run(for: .seconds(1))
            let grown = zip(sinks, before).map { $0.received.count - $1 }
            #expect(grown == (0..<3).map { $0 == expected ? bytes.count : 0 }, "\(String(decoding: bytes, as: UTF8.self))")
            #expect(client.isClosed == (expected == nil))
            pair.client.run { if !client.isClosed { client.connection?.close() } }
        }
        pair.world.run(for: .seconds(1))
        let verdict = pair.end()
        #expect(verdict.passes, "\(verdict)")
    }
}
