// The server of the exchanges, on any host: it finds in what it reads which exchange it is in, writes down what it read, and says what
// the plan has for it. HTTP/1 is read by a reader of its own and answered with raw bytes, HTTP/2 by the shipping engine.

import Base
import HTTP
import Platform
import Transport

public final class ExchangeServer {
    fileprivate let plan: ExchangePlan
    fileprivate let lines: ExchangeLines
    /// By exchange: what was read.
    private(set) var heard: [[String]]
    private var listeners: [any Listener] = []
    private var http2: HTTPServer!
    fileprivate var open: [any Connection] = []

    /// Listens on the three ports of the plan at every address of the host.
    public init(host: any Host, plan: ExchangePlan, addresses: [(address: IPAddress, name: String)]) throws(HostFailure) {
        self.plan = plan
        lines = ExchangeLines(names: addresses.map { ("\($0.address)", $0.name) })
        heard = Array(repeating: [], count: plan.exchanges.count)
        http2 = try HTTPServer(batch: FlushBatch(host: host), address: SocketAddress(.any, ExchangePlan.http2Port), handler: self)
        listeners = [
            try host.network.listen(on: SocketAddress(.any, ExchangePlan.http1Port), options: ListenOptions(), handler: Acceptor(self) { PlainSession($0) }),
            try host.network.listen(on: SocketAddress(.any, ExchangePlan.bytesPort), options: ListenOptions(), handler: Acceptor(self) { BytesSession($0) }),
        ]
    }

    public func close() {
        for listener in listeners { listener.close() }
        for connection in open { connection.close() }
        (listeners, open) = ([], [])
        http2.close()
    }

    /// `12.0`: the exchange, and the answer to that request of it.
    fileprivate func find(_ tag: String?) -> (exchange: Int, answer: Exchange.Answer)? {
        let parts = tag?.split(separator: ".").map { Int($0) } ?? []
        guard parts.count == 2, let number = parts[0], let index = parts[1], plan.exchanges.indices.contains(number) else { return nil }
        let answers = plan.exchanges[number].answers
        return answers.indices.contains(index) ? (number, answers[index]) : nil
    }

    fileprivate func note(_ exchange: Int, _ lines: [String]) { heard[exchange] += lines }

    private final class Acceptor: AcceptHandler {
        private unowned let server: ExchangeServer
        private let session: (ExchangeServer) -> any ConnectionHandler

        init(_ server: ExchangeServer, _ session: @escaping (ExchangeServer) -> any ConnectionHandler) {
            self.server = server
            self.session = session
        }

        func accepted(_ connection: any Connection) {
            connection.handler = session(server)
            server.open.append(connection)
        }
    }

    // MARK: HTTP/1

    private final class PlainSession: ConnectionHandler {
        private let server: ExchangeServer
        private var input: [UInt8] = []

        init(_ server: ExchangeServer) { self.server = server }

        func received(_ bytes: RawSpan, on connection: any Connection) {
            input += bytes.array()
            while !input.isEmpty {
                switch PlainMessage.request(input[...]) {
                case .partial: return
                case .malformed:
                    input = []
                    connection.send(Array("HTTP/1.1 400 Not Understood\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".utf8))
                    return end(connection)
                case .whole(let message, let count):
                    input.removeFirst(count)
                    guard let (number, answer) = server.find(message.header(ExchangePlan.tag)) else {
                        connection.send(Array("HTTP/1.1 200 Unasked\r\ncontent-length: 0\r\n\r\n".utf8))
                        continue
                    }
                    server.note(number, server.lines.message(message))
                    connection.send(answer.bytes)
                    if answer.closes { return end(connection) }
                }
            }
        }

        func finished(_ connection: any Connection) { end(connection) }
        func closed(_ connection: any Connection, _ failure: HostFailure?) { server.open.removeAll { $0 === connection } }

        private func end(_ connection: any Connection) {
            server.open.removeAll { $0 === connection }
            connection.close()
        }
    }

    // MARK: Bytes

    private final class BytesSession: ConnectionHandler {
        private let server: ExchangeServer
        private var input: [UInt8] = []

        init(_ server: ExchangeServer) { self.server = server }

        func received(_ bytes: RawSpan, on connection: any Connection) { input += bytes.array() }

        func finished(_ connection: any Connection) {
            if let (number, answer) = server.find(input.split(separator: 10, maxSplits: 1).first.map { String(decoding: $0, as: UTF8.self) }) {
                server.note(number, [ExchangeLines.digest(input)])
                connection.send(answer.bytes)
            }
            server.open.removeAll { $0 === connection }
            connection.close()
        }

        func closed(_ connection: any Connection, _ failure: HostFailure?) { server.open.removeAll { $0 === connection } }
    }
}

// MARK: HTTP/2

extension ExchangeServer: HTTPRequestHandler {
    public func request(_ stream: HTTPStream, _ head: RequestHead, endStream: Bool, peer: HTTPPeer) {
        let session = StreamSession(self, head)
        stream.handler = session
        if endStream { session.complete(stream) }
    }

    private final class StreamSession: HTTPStreamHandler {
        private let server: ExchangeServer
        private let head: RequestHead
        private var received: [UInt8] = []

        init(_ server: ExchangeServer, _ head: RequestHead) {
            self.server = server
            self.head = head
        }

        func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) {
            received += bytes.array()
            stream.acknowledge(bytes.byteCount)
            if endStream { complete(stream) }
        }

        func trailers(_ stream: HTTPStream, _ trailers: Headers) { complete(stream) }
        func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) {}

        func complete(_ stream: HTTPStream) {
            guard let (number, answer) = server.find(head.headers.first(ExchangePlan.tag)) else { return stream.respond(status: 404) }
            server.note(number, ["\(head.method) \(head.scheme) \(server.lines.text("\(head.authority)")) \(head.path) \(head.version)"] + server.lines.fields(head.headers.list, "  ") + [server.lines.body(received)])
            if let code = answer.reset { return stream.reset(code: code) }
            var response = ResponseHead(status: answer.status, version: .http2)
            for (name, value) in answer.fields { response.headers.add(name, value) }
            var trailers = Headers()
            for (name, value) in answer.trailers { trailers.add(name, value) }
            stream.respond(response, endStream: answer.body.isEmpty && trailers.isEmpty)
            let body = answer.body
            if !body.isEmpty { stream.send(body.span.bytes, endStream: trailers.isEmpty) }
            if !trailers.isEmpty { stream.send(trailers: trailers) }
        }
    }
}
