// The control listener: gRPC for whoever may watch requests, reached past the inbound redirect. It tells mesh TLS from the clear by
// itself; a caller that is not the one configured is answered, and refused, so that it learns why.
// Source: linkerd2-proxy linkerd/app/src/tap.rs; facts 6.

import Base
import GRPC
import HTTP
import MeshAPI
import Platform
import TLS
import Transport

final class TapServer: AcceptHandler, HTTPConnectionOwner {
    private let batch: FlushBatch
    private let identity: any MeshIdentity
    private let service: GRPCServer
    private var listener: (any Listener)?
    private var openCount = 0
    private var connections: [HTTPConnection] = []

    /// `watcher`: the identity that may watch; the pod itself always may.
    init(batch: FlushBatch, identity: any MeshIdentity, watcher: String, taps: Taps) {
        self.batch = batch
        self.identity = identity
        service = GRPCServer(host: batch.host)
        service.register(
            Mesh.Tap.observe, capacity: ProxyLimits.tapEventsMax,
            streaming: { request, caller, stream in
                guard caller.peer.tls?.identity == watcher || (caller.peer.tls == nil && caller.peer.address.ip.isLoopback) else {
                    let reason = caller.peer.tls == nil ? "no TLS from the client" : "Unauthorized client"
                    batch.host.log(.info, "weft::tap", "tap of \(caller.peer.address) refused: \(reason), identity \(caller.peer.tls?.identity ?? "none")")
                    return stream.finish(GRPCStatus(.unauthenticated, reason))
                }
                taps.observe(request, stream)
            })
    }

    func start(on address: SocketAddress) throws(HostFailure) { listener = try batch.host.network.listen(on: address, options: ListenOptions(), handler: self) }

    func close() {
        listener?.close()
        listener = nil
        let open = connections
        for connection in open { connection.close() }
    }

    func accepted(_ connection: any Connection) {
        guard openCount < ProxyLimits.adminConnectionsMax else { return connection.reset() }
        openCount += 1
        Peek(connection, host: batch.host, timeout: ProxyLimits.tapDetectTimeout, isEnough: { ClientHello.sniff($0.span.bytes) != .incomplete }) { [self] outcome in
            guard case .decided(let bytes) = outcome else {
                openCount -= 1
                if case .timedOut = outcome { connection.reset() }
                return
            }
            guard case .hello(let name, _) = ClientHello.sniff(bytes.span.bytes) else { return serve(connection, bytes) }
            guard name == identity.localName, let configuration = identity.serverConfiguration else {
                openCount -= 1
                return connection.reset()
            }
            let stream = TLSStream(serving: connection, configuration: configuration, host: batch.host)
            // Who it is is known with the first bytes inside.
            Peek(stream, host: batch.host, timeout: ProxyLimits.tapDetectTimeout, isEnough: { !$0.isEmpty }) { [self] outcome in
                guard case .decided(let seen) = outcome else {
                    openCount -= 1
                    if case .timedOut = outcome { stream.reset() }
                    return
                }
                serve(stream, seen)
            }
            stream.receive(buffered: bytes.span.bytes)
        }
    }

    private func serve(_ connection: any Connection, _ seen: [UInt8]) {
        let http = HTTPConnection(serving: connection, version: .http2, batch: batch, owner: self)
        http.context = HTTPPeer(address: connection.remoteAddress, tls: (connection as? TLSStream)?.peer)
        connections.append(http)
        connection.isReadingPaused = false
        http.receive(buffered: seen.span.bytes)
    }

    func request(_ stream: HTTPStream, _ head: RequestHead, endStream: Bool) {
        guard let peer = stream.connection?.context as? HTTPPeer else { return }
        service.request(stream, head, endStream: endStream, peer: peer)
    }

    func closed(_ connection: HTTPConnection) {
        openCount -= 1
        connections.removeAll { $0 === connection }
    }
}
