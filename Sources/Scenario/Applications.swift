// The applications of a story: an HTTP server, a byte echo, and a caller. They know nothing of the mesh, use the shipping engines,
// and keep a ledger of what they saw, so that a duplicated or lost request shows.

import Base
import HTTP
import Platform
import Simulator
import Transport

/// Tags a request of a story; who serves it twice has seen a duplicate.
let requestTag: StaticString = "x-story-request"

/// Answers HTTP on one port.
public final class HTTPApplication: HTTPRequestHandler {
    public struct Request {
        public var head: RequestHead
        public var body: [UInt8]
        /// When its head came.
        public var time: Instant
        public var peer: SocketAddress
    }

    public struct Answer {
        public var status: UInt16
        public var headers: [(String, String)]
        public var body: [UInt8]
        public var delay: Interval
        /// After the body; a call's status, for gRPC. HTTP/2 only.
        public var trailers: [(String, String)] = []
        /// Instead of an answer: the stream is reset with this HTTP/2 error code.
        public var reset: UInt32?

        /// A gRPC call that ends with this status; `trailersOnly`: its head says so already.
        public static func grpc(_ code: UInt32, trailersOnly: Bool = false) -> Answer {
            var answer = Answer(headers: [("content-type", "application/grpc")] + (trailersOnly ? [("grpc-status", "\(code)")] : []))
            if !trailersOnly { answer.trailers = [("grpc-status", "\(code)")] }
            return answer
        }

        public init(_ status: UInt16 = 200, headers: [(String, String)] = [], body: [UInt8] = [], delay: Interval = .zero) {
            self.status = status
            self.headers = headers
            self.body = body
            self.delay = delay
        }
    }

    public private(set) var requests: [Request] = []
    /// Requests by tag; look-up only.
    private var seen: [String: Int] = [:]
    private let process: SimProcess
    private let world: World
    private let allowsRepeats: Bool
    private let respond: (Request) -> Answer
    private var server: HTTPServer?

    /// Listens on the process's node. Stops with the process. `allowsRepeats`: the story has requests tried again on purpose.
    public init(_ process: SimProcess, in world: World, port: UInt16, allowsRepeats: Bool = false, respond: @escaping (Request) -> Answer) {
        self.process = process
        self.world = world
        self.allowsRepeats = allowsRepeats
        self.respond = respond
        let batch = FlushBatch(host: process)
        do {
            server = try HTTPServer(batch: batch, address: SocketAddress(.any, port), handler: self)
        } catch { process.unexpected("the application cannot listen on \(port): \(error)") }
        process.onShutdown { [self] in
            guard let server else { return process.exit(0) }
            server.drain { [process] in process.exit(0) }
        }
    }

    public func request(_ stream: HTTPStream, _ head: RequestHead, endStream: Bool, peer: HTTPPeer) {
        let exchange = Exchange(self, head, process.now, peer.address)
        stream.handler = exchange
        if endStream { complete(exchange.request, stream) }
    }

    private func complete(_ request: Request, _ stream: HTTPStream) {
        requests.append(request)
        if !allowsRepeats, let tag = request.head.headers.first(requestTag) {
            seen[tag, default: 0] += 1
            if seen[tag] == 2 { world.violate("duplicate", node: process.node, "\(process.path) was asked twice for \(request.head.method) \(request.head.path) [\(tag)]") }
        }
        let answer = respond(request)
        let give = {
            if let code = answer.reset { return stream.reset(code: code) }
            if answer.trailers.isEmpty { return stream.respond(status: answer.status, headers: answer.headers, body: answer.body) }
            var head = ResponseHead(status: answer.status)
            for (name, value) in answer.headers { head.headers.add(name, value) }
            stream.respond(head, endStream: false)
            if !answer.body.isEmpty { stream.send(answer.body.span.bytes, endStream: false) }
            var trailers = Headers()
            for (name, value) in answer.trailers { trailers.add(name, value) }
            stream.send(trailers: trailers)
        }
        if answer.delay == .zero { give() } else { process.after(answer.delay, give) }
    }

    private final class Exchange: HTTPStreamHandler {
        private let application: HTTPApplication
        var request: Request

        init(_ application: HTTPApplication, _ head: RequestHead, _ time: Instant, _ peer: SocketAddress) {
            self.application = application
            request = Request(head: head, body: [], time: time, peer: peer)
        }

        func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) {
            request.body += bytes.array()
            stream.acknowledge(bytes.byteCount)
            if endStream { application.complete(request, stream) }
        }

        func trailers(_ stream: HTTPStream, _ trailers: Headers) { application.complete(request, stream) }
        func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) {}
    }
}

/// Sends back what it gets, on one port; `greeting` is said first, as a server-speaks-first protocol does.
public final class EchoApplication: AcceptHandler, ConnectionHandler {
    public private(set) var bytesEchoed = 0
    public private(set) var connectionCount = 0
    private let greeting: [UInt8]
    private var open: [any Connection] = []
    private var listener: (any Listener)?

    public init(_ process: SimProcess, port: UInt16, greeting: [UInt8] = []) {
        self.greeting = greeting
        do {
            listener = try process.network.listen(on: SocketAddress(.any, port), options: ListenOptions(), handler: self)
        } catch { process.unexpected("the echo cannot listen on \(port): \(error)") }
        process.onShutdown { [self] in
            listener?.close()
            for connection in open { connection.close() }
            open = []
            process.exit(0)
        }
    }

    public func accepted(_ connection: any Connection) {
        connection.handler = self
        connectionCount += 1
        open.append(connection)
        if !greeting.isEmpty { connection.send(greeting) }
    }

    public func received(_ bytes: RawSpan, on connection: any Connection) {
        bytesEchoed += bytes.byteCount
        connection.send(bytes)
        if connection.bytesQueued > 65_536 { connection.isReadingPaused = true }
    }

    public func drained(_ connection: any Connection) { connection.isReadingPaused = false }
    public func finished(_ connection: any Connection) { connection.finish() }
    public func closed(_ connection: any Connection, _ failure: HostFailure?) { open.removeAll { $0 === connection } }
}

/// Says fixed bytes to whoever connects: a server that is broken, or speaks another protocol than expected.
public final class RawApplication: AcceptHandler, ConnectionHandler {
    private let answer: [UInt8]
    private let closes: Bool
    private var open: [any Connection] = []
    private var listener: (any Listener)?
    /// All that was received, on all connections.
    public private(set) var received: [UInt8] = []
    public private(set) var connectionCount = 0

    public init(_ process: SimProcess, port: UInt16, answer: [UInt8], closes: Bool) {
        self.answer = answer
        self.closes = closes
        do {
            listener = try process.network.listen(on: SocketAddress(.any, port), options: ListenOptions(), handler: self)
        } catch { process.unexpected("the application cannot listen on \(port): \(error)") }
        process.onShutdown { [self] in
            listener?.close()
            for connection in open { connection.close() }
            open = []
            process.exit(0)
        }
    }

    public func accepted(_ connection: any Connection) {
        connection.handler = self
        connectionCount += 1
        open.append(connection)
    }

    public func received(_ bytes: RawSpan, on connection: any Connection) {
        received += bytes.array()
        connection.send(answer)
        if closes {
            open.removeAll { $0 === connection }
            connection.close()
        }
    }

    public func finished(_ connection: any Connection) {
        open.removeAll { $0 === connection }
        connection.close()
    }

    public func closed(_ connection: any Connection, _ failure: HostFailure?) { open.removeAll { $0 === connection } }
}
