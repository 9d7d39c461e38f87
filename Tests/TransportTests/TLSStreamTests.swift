// TLS as a connection over a connection: who is let in, what is carried, how it ends.

import Base
import Platform
import Simulator
import TLS
import Testing

@testable import Transport

@Suite struct `TLS over a connection` {
    /// A server that sends back what it hears, and a client with the given configuration.
    private func exchange(seed: UInt64 = 1, segmentation: Segmentation = .seeded, client: String? = "web", toward: String = "cart", serverAs: String = "cart", serverCredentials: ((Identities) throws -> TLSCredentials)? = nil)
        throws -> (net: Net, heard: Listener, streams: [TLSStream], connection: any Connection)
    {
        let net = Net(seed: seed) { $0.segmentation = segmentation }
        let identities = try net.asServer { try Identities() }
        var streams: [TLSStream] = []
        let configuration = try net.asServer { TLSServerConfiguration(credentials: try serverCredentials?(identities) ?? identities.credentials(serverAs), anchors: identities.anchors) }
        let acceptor = Accepting { connection in
            let stream = TLSStream(serving: connection, configuration: configuration, host: net.server)
            let echo = Listener()
            echo.onReceived = { connection, bytes in connection.send(bytes.span.bytes) }
            stream.handler = echo
            net.kept.append(echo)
            streams.append(stream)
        }
        net.kept.append(acceptor)
        let address = SocketAddress(Net.serverIP, 4143)
        try net.asServer { _ = try net.server.network.listen(on: address, options: ListenOptions(), handler: acceptor) }
        let heard = Listener()
        let mine = try net.asClient { try identities.client(client, toward: toward) }
        let connector = net.asClient { TLSConnector(host: net.client, lower: TCPConnector(host: net.client, address: address)) { mine } }
        let connection = net.asClient { connector.connect(heard) }
        net.wait { heard.isConnected || heard.isClosed }
        return (net, heard, streams, connection)
    }

    @Test(arguments: [Segmentation.whole, .bytewise, .seeded]) func `proves both sides and carries bytes both ways however they are cut`(_ segmentation: Segmentation) throws {
        let (net, heard, streams, connection) = try exchange(segmentation: segmentation)
        #expect(heard.isConnected)
        #expect((connection as? TLSStream)?.peer?.identities == [Identities.name("cart")])
        let sent = pattern(segmentation == .bytewise ? 3_000 : 300_000)
        net.asClient { connection.send(sent.span.bytes) }
        net.wait { heard.bytes.count == sent.count }
        #expect(heard.bytes == sent)
        #expect(streams[0].peer?.identities == [Identities.name("web")])
        net.asClient { connection.close() }
        net.run()
        net.judge()
    }

    @Test func `lets a client without a certificate in and says so`() throws {
        let (net, heard, streams, _) = try exchange(client: nil)
        net.run()
        #expect(heard.isConnected && streams[0].peer != nil && streams[0].peer?.identity == nil)
    }

    @Test func `refuses a server of another name`() throws {
        let (_, heard, _, connection) = try exchange(toward: "bank")
        #expect(!heard.isConnected && heard.isClosed)
        #expect((connection as? TLSStream)?.failure?.code == TLSAlert.badCertificate)
    }

    @Test func `refuses a certificate that has expired by the host's own clock`() throws {
        let (_, heard, _, connection) = try exchange(serverCredentials: { try $0.credentials("cart", from: noon - .hours(2), until: noon - .minutes(1)) })
        #expect(!heard.isConnected && heard.isClosed)
        #expect((connection as? TLSStream)?.failure?.code == TLSAlert.certificateExpired)
    }

    @Test func `uses the newest credentials at each connect`() throws {
        let net = Net()
        let identities = try net.asServer { try Identities() }
        var seen: [String?] = []
        let configuration = try net.asServer { try identities.server("cart") }
        let acceptor = Accepting { connection in
            let stream = TLSStream(serving: connection, configuration: configuration, host: net.server)
            let listener = Listener()
            listener.onConnected = { seen.append(($0 as? TLSStream)?.peer?.identity) }
            stream.handler = listener
            net.kept += [listener, stream]
        }
        net.kept.append(acceptor)
        let address = SocketAddress(Net.serverIP, 4143)
        try net.asServer { _ = try net.server.network.listen(on: address, options: ListenOptions(), handler: acceptor) }
        var current = try net.asClient { try identities.client("old", toward: "cart") }
        let connector = net.asClient { TLSConnector(host: net.client, lower: TCPConnector(host: net.client, address: address)) { current } }
        for account in ["old", "new"] {
            current = try net.asClient { try identities.client(account, toward: "cart") }
            let heard = Listener()
            net.asClient { net.kept.append(connector.connect(heard) as AnyObject) }
            net.wait { heard.isConnected }
        }
        net.run()
        #expect(seen == [Identities.name("old"), Identities.name("new")])
    }

    @Test func `takes a cut without close_notify for a failure, not for an end`() throws {
        let (net, heard, streams, connection) = try exchange()
        net.asServer { streams[0].reset() }
        net.run()
        #expect(heard.isClosed && heard.failure?.reason == .connectionReset && !heard.isFinished)
        _ = connection
    }
}
