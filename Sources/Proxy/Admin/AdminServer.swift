// The admin listener. It is reached directly, past the inbound redirect, by kubelet and curl in clear and by meshed scrapers in
// mesh TLS, so it tells one from the other itself; the policy of its port judges every request as any other port's would.
// Source: linkerd2-proxy linkerd/app/admin/src/stack.rs; facts 1.5.

import Base
import HTTP
import Platform
import TLS
import Transport

final class AdminServer: AcceptHandler, HTTPConnectionOwner {
    /// Source: linkerd2-proxy admin/src/stack.rs, DETECT_TIMEOUT.
    static let detectTimeout = Interval.seconds(1)

    private let batch: FlushBatch
    private let identity: any MeshIdentity
    private let port: InboundPort
    private let pages: AdminPages
    private var listener: (any Listener)?
    private var openCount = 0
    private var connections: [HTTPConnection] = []

    init(batch: FlushBatch, identity: any MeshIdentity, port: InboundPort, pages: AdminPages) {
        self.batch = batch
        self.identity = identity
        self.port = port
        self.pages = pages
    }

    /// Where it listens, once started.
    var address: SocketAddress? { listener?.address }

    func start(on address: SocketAddress) throws(HostFailure) {
        listener = try batch.host.network.listen(on: address, options: ListenOptions(), handler: self)
    }

    /// Stops accepting and ends what is open.
    func close() {
        listener?.close()
        listener = nil
        let open = connections
        for connection in open { connection.close() }
    }

    func accepted(_ connection: any Connection) {
        guard openCount < ProxyLimits.adminConnectionsMax else { return connection.reset() }
        openCount += 1
        let peer = AdminPeer(connection.remoteAddress)
        Peek(connection, host: batch.host, timeout: Self.detectTimeout, isEnough: { ClientHello.sniff($0.span.bytes) != .incomplete }) { [self] outcome in
            switch outcome {
            case .gone: openCount -= 1
            // Who has said nothing yet is no TLS client: those speak first and at once.
            case .timedOut(let bytes): speak(connection, bytes, peer)
            case .decided(let bytes):
                guard case .hello(let name, _) = ClientHello.sniff(bytes.span.bytes) else { return speak(connection, bytes, peer) }
                guard name == identity.localName, let configuration = identity.serverConfiguration else {
                    openCount -= 1
                    return connection.reset()
                }
                let stream = TLSStream(serving: connection, configuration: configuration, host: batch.host)
                peer.client.isMeshTLS = true
                speak(stream, [], peer)
                stream.receive(buffered: bytes.span.bytes)
            }
        }
    }

    /// HTTP/1 or HTTP/2, by the first bytes. Over TLS the wait includes the handshake.
    private func speak(_ connection: any Connection, _ bytes: [UInt8], _ peer: AdminPeer) {
        let isTLS = peer.client.isMeshTLS
        Peek(connection, buffered: bytes, host: batch.host, timeout: isTLS ? .seconds(10) : Self.detectTimeout, isEnough: { HTTPSniff.sniff($0) != .incomplete }) { [self] outcome in
            switch outcome {
            case .gone: openCount -= 1
            case .timedOut(let seen): serve(connection, isTLS ? .http2 : .http11, seen, peer)
            case .decided(let seen): serve(connection, HTTPSniff.sniff(seen) == .http2 ? .http2 : .http11, seen, peer)
            }
        }
    }

    private func serve(_ connection: any Connection, _ version: HTTPVersion, _ seen: [UInt8], _ peer: AdminPeer) {
        if let stream = connection as? TLSStream {
            guard let proven = stream.peer else {
                openCount -= 1
                return connection.reset()
            }
            peer.client.identity = proven.identity
        }
        let http = HTTPConnection(serving: connection, version: version, batch: batch, owner: self)
        http.context = peer
        connections.append(http)
        connection.isReadingPaused = false
        http.receive(buffered: seen.span.bytes)
    }

    func request(_ stream: HTTPStream, _ head: RequestHead, endStream: Bool) {
        guard let peer = stream.connection?.context as? AdminPeer else { return }
        guard let index = port.find(head) else { return stream.respond(status: 404) }
        guard port.policy.authorization(for: peer.client, route: port.route(index)) != nil else {
            batch.host.log(.info, "linkerd_app_admin::stack", "Request denied client=\(peer.client.address) identity=\(peer.client.identity ?? "none") path=\(head.path)")
            return stream.respond(status: 403)
        }
        let isLoopback = peer.client.address.ip.isLoopback
        if pages.wantsBody(head), !endStream {
            stream.handler = AdminBody { [pages] body in
                guard let body else { return stream.respond(status: 413) }
                pages.answer(head, body: body, isLoopback: isLoopback) { Self.send($0, on: stream, head) }
            }
        } else {
            if !endStream { stream.handler = AdminBody { _ in } }
            pages.answer(head, isLoopback: isLoopback) { Self.send($0, on: stream, head) }
        }
    }

    func closed(_ connection: HTTPConnection) {
        openCount -= 1
        connections.removeAll { $0 === connection }
    }

    private static func send(_ answer: AdminAnswer, on stream: HTTPStream, _ head: RequestHead) {
        var headers: [(String, String)] = []
        if !answer.body.isEmpty { headers.append(("content-type", answer.contentType)) }
        if let encoding = answer.contentEncoding { headers.append(("content-encoding", encoding)) }
        if let allow = answer.allow { headers.append(("allow", allow)) }
        if head.method == .head {
            var fields = Headers()
            for (name, value) in headers { fields.add(name, value) }
            return stream.respond(ResponseHead(status: answer.status, headers: fields), endStream: true)
        }
        if answer.status == 204 { return stream.respond(ResponseHead(status: 204), endStream: true) }
        stream.respond(status: answer.status, headers: headers, body: answer.body)
    }
}

/// Who is at the other end of an admin connection.
private final class AdminPeer {
    var client: InboundClient
    init(_ address: SocketAddress) { client = InboundClient(address: address) }
}

/// Collects a short body, or swallows one that nobody wants.
private final class AdminBody: HTTPStreamHandler {
    private var bytes: [UInt8] = []
    private var done: (([UInt8]?) -> Void)?

    init(_ done: @escaping ([UInt8]?) -> Void) { self.done = done }

    func data(_ stream: HTTPStream, _ span: RawSpan, endStream: Bool) {
        stream.acknowledge(span.byteCount)
        guard done != nil else { return }
        if bytes.count + span.byteCount > ProxyLimits.adminBodyBytesMax { return tell(nil) }
        span.withUnsafeBytes { bytes.append(contentsOf: $0) }
        if endStream { tell(bytes) }
    }

    func trailers(_ stream: HTTPStream, _ trailers: Headers) { tell(bytes) }
    func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) { done = nil }

    private func tell(_ body: [UInt8]?) {
        let done = done
        self.done = nil
        done?(body)
    }
}
