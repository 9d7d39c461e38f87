// An application over HTTP and a client that notes what it hears, for the transport's tests.

import Base
import HTTP
import Platform
import Simulator
import TLS

@testable import Transport

/// Answers by path: `/echo` sends the body back, `/large/<n>` sends n bytes as fast as they are taken, `/hang` never answers,
/// `/trailers` ends with trailers.
final class App: HTTPRequestHandler {
    var seen: [String] = []
    var peers: [HTTPPeer] = []
    var failures: [HTTPStreamFailure] = []
    var hanging: [HTTPStream] = []
    /// Bytes of large bodies given to the transport so far.
    var produced = 0
    private var tasks: [AppTask] = []

    func request(_ stream: HTTPStream, _ head: RequestHead, endStream: Bool, peer: HTTPPeer) {
        seen.append("\(head.method) \(head.path) \(head.authority)")
        peers.append(peer)
        let task = AppTask(self, stream, head)
        tasks.append(task)
        stream.handler = task
        task.begin(endStream)
    }
}

private final class AppTask: HTTPStreamHandler {
    let app: App
    let stream: HTTPStream
    let path: String
    var left = 0

    init(_ app: App, _ stream: HTTPStream, _ head: RequestHead) {
        self.app = app
        self.stream = stream
        path = head.path.description
    }

    func begin(_ endStream: Bool) {
        switch path {
        case "/echo": stream.respond(ResponseHead(status: 200), endStream: endStream)
        case "/hang": app.hanging.append(stream)
        case "/trailers":
            stream.respond(ResponseHead(status: 200), endStream: false)
            let body = [UInt8]("body")
            stream.send(body.span.bytes, endStream: false)
            stream.send(trailers: ["x-checksum": "1"])
        default:
            guard path.hasPrefix("/large/"), let count = Int(path.dropFirst(7)) else { return stream.respond(status: 404) }
            left = count
            stream.respond(ResponseHead(status: 200, headers: ["content-length": String(count)]), endStream: count == 0)
            produce()
        }
    }

    func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) {
        if path == "/echo" { stream.send(bytes, endStream: endStream) }
        stream.acknowledge(bytes.byteCount)
    }

    func trailers(_ stream: HTTPStream, _ trailers: Headers) {
        if path == "/echo" { stream.send(trailers: trailers) }
    }

    func writable(_ stream: HTTPStream) { produce() }
    func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) { app.failures.append(failure) }

    private func produce() {
        let piece = pattern(16_384)
        while left > 0, stream.isWritable {
            let count = min(left, piece.count)
            left -= count
            app.produced += count
            stream.send(piece.span.bytes.extracting(0..<count), endStream: left == 0)
        }
    }
}

/// What a client hears of one exchange.
final class Exchange: HTTPStreamHandler {
    var stream: HTTPStream?
    var head: ResponseHead?
    var informational: [UInt16] = []
    var body: [UInt8] = []
    var trailing: Headers?
    var isComplete = false
    var failure: HTTPStreamFailure?
    /// Bytes are acknowledged as they come; else they pile up unacknowledged.
    var acknowledges = true
    var isOver: Bool { isComplete || failure != nil }
    var text: String { String(decoding: body, as: UTF8.self) }

    func response(_ stream: HTTPStream, _ head: ResponseHead, endStream: Bool) {
        if head.isInformational { informational.append(head.status) } else { self.head = head }
        isComplete = endStream
    }
    func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) {
        body += bytes.array()
        if acknowledges { stream.acknowledge(bytes.byteCount) }
        isComplete = endStream
    }
    func trailers(_ stream: HTTPStream, _ trailers: Headers) {
        trailing = trailers
        isComplete = true
    }
    func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) { self.failure = failure }
}

/// A server with an application and clients of it.
final class Site {
    let net: Net
    let app = App()
    let address = SocketAddress(Net.serverIP, 8080)
    var server: HTTPServer!
    let identities: Identities?

    init(_ net: Net, tls: Bool = false) throws {
        self.net = net
        identities = tls ? try net.asServer { try Identities() } : nil
        try net.asServer {
            server = try HTTPServer(batch: net.batch(net.server), address: address, tls: try identities?.server("cart"), handler: app)
        }
    }

    func client(_ version: HTTPVersion, as account: String? = "web", toward peer: String = "cart", change: (inout TransportLimits) -> Void = { _ in }) throws -> HTTPClient {
        try net.asClient {
            var connector: any Connector = TCPConnector(host: net.client, address: address)
            if let identities {
                let configuration = try identities.client(account, toward: peer)
                connector = TLSConnector(host: net.client, lower: connector) { configuration }
            }
            var limits = TransportLimits()
            change(&limits)
            return HTTPClient(version: version, connector: connector, batch: net.batch(net.client), limits: limits)
        }
    }

    func start(_ client: HTTPClient, _ method: HTTPMethod = .get, _ path: String, body: [UInt8]? = nil, acknowledges: Bool = true) throws -> Exchange {
        let exchange = Exchange()
        exchange.acknowledges = acknowledges
        try net.asClient {
            var head = RequestHead(method: method, authority: "cart.shop", path: HTTPText(path), version: client.version)
            if let body, client.version != .http2 { head.headers.add("content-length", String(body.count)) }
            exchange.stream = try client.send(head, endStream: body == nil, handler: exchange)
            if let body { exchange.stream?.send(body.span.bytes, endStream: true) }
        }
        return exchange
    }

    func finish(_ client: HTTPClient, _ method: HTTPMethod = .get, _ path: String, body: [UInt8]? = nil) throws -> Exchange {
        let exchange = try start(client, method, path, body: body)
        net.wait { exchange.isOver }
        return exchange
    }
}
