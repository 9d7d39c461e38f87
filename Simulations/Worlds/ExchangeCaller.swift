// The client of the exchanges, on any host: one connection an exchange, said piece by piece, and what came back written down.

import Base
import HTTP
import Platform
import Transport

public final class ExchangeCaller {
    private let host: any Host
    private let batch: FlushBatch
    private let service: IPAddress
    private let lines: ExchangeLines
    /// How long an exchange may take. A bound, not a measure: it shows in the record.
    private static let timeout = Interval.seconds(5)
    private static let pause = Interval.milliseconds(1)

    public init(host: any Host, service: IPAddress, addresses: [(address: IPAddress, name: String)]) {
        self.host = host
        self.service = service
        batch = FlushBatch(host: host)
        lines = ExchangeLines(names: addresses.map { ("\($0.address)", $0.name) })
    }

    /// Makes all exchanges of a plan, one after the other. `progress` hears how many are done; `done` what the client got in each.
    public func run(_ plan: ExchangePlan, progress: @escaping (Int) -> Void = { _ in }, done: @escaping ([[String]]) -> Void) {
        next(plan, [], progress, done)
    }

    private func next(_ plan: ExchangePlan, _ results: [[String]], _ progress: @escaping (Int) -> Void, _ done: @escaping ([[String]]) -> Void) {
        guard results.count < plan.exchanges.count else { return done(results) }
        make(plan.exchanges[results.count]) { [self] result in
            progress(results.count + 1)
            // In a turn of its own, and after what the end of the last one set in motion nearby.
            host.after(Self.pause) { [self] in next(plan, results + [result], progress, done) }
        }
    }

    private func make(_ exchange: Exchange, done: @escaping ([String]) -> Void) {
        switch exchange.kind {
        case .http2: StreamCall(self, exchange, done).begin()
        case .http1, .bytes: RawCall(self, exchange, done).begin()
        }
    }

    // MARK: Raw

    private final class RawCall: ConnectionHandler {
        private let caller: ExchangeCaller
        private let exchange: Exchange
        private var heard: [UInt8] = []
        private var done: (([String]) -> Void)?
        private var connection: (any Connection)?
        private var timer: TimerID?

        init(_ caller: ExchangeCaller, _ exchange: Exchange, _ done: @escaping ([String]) -> Void) {
            self.caller = caller
            self.exchange = exchange
            self.done = done
        }

        func begin() {
            let port = exchange.kind == .bytes ? ExchangePlan.bytesPort : ExchangePlan.http1Port
            connection = caller.host.network.connect(to: SocketAddress(caller.service, port), options: ConnectOptions(timeout: ExchangeCaller.timeout), handler: self)
            timer = caller.host.after(ExchangeCaller.timeout) { [self] in
                timer = nil
                connection?.reset()
                end("no end within \(ExchangeCaller.timeout)")
            }
        }

        func connected(_ connection: any Connection) { say(0) }

        private func say(_ i: Int) {
            guard let connection, done != nil else { return }
            guard i < exchange.pieces.count else {
                if exchange.kind == .bytes { connection.finish() }
                return
            }
            connection.send(exchange.pieces[i])
            if i + 1 < exchange.pieces.count || exchange.kind == .bytes { caller.host.after(ExchangeCaller.pause) { [self] in say(i + 1) } }
        }

        func received(_ bytes: RawSpan, on connection: any Connection) { heard += bytes.array() }

        func finished(_ connection: any Connection) {
            connection.close()
            end(nil)
        }

        func closed(_ connection: any Connection, _ failure: HostFailure?) { end(nil) }

        private func end(_ failure: String?) {
            guard let done else { return }
            self.done = nil
            if let timer { caller.host.cancel(timer) }
            connection = nil
            let result = (exchange.kind == .bytes ? [ExchangeLines.digest(heard)] : messages()) + [failure].compactMap { $0 }
            caller.host.after(.zero) { done(result) }
        }

        /// What was heard, read as the answers to what was said. An answer that is cut shows its head alone: how much of its body came
        /// before the end is a matter of who was faster.
        private func messages() -> [String] {
            var lines: [String] = []
            var rest = heard[...]
            var answered = 0
            while !rest.isEmpty {
                switch PlainMessage.response(rest, toHead: answered < exchange.heads.count && exchange.heads[answered], isEnded: true) {
                case .whole(let message, let count):
                    lines += caller.lines.message(message)
                    rest = rest.dropFirst(count)
                    if !message.line.hasPrefix("HTTP/1.1 1") { answered += 1 }
                case .partial:
                    lines.append("cut: " + String(decoding: rest.prefix { $0 != 13 }, as: UTF8.self))
                    rest = []
                case .malformed:
                    lines.append("malformed: " + ExchangeLines.digest(Array(rest)))
                    rest = []
                }
            }
            return lines.isEmpty ? ["nothing"] : lines
        }
    }

    // MARK: HTTP/2

    private final class StreamCall: HTTPStreamHandler {
        private let caller: ExchangeCaller
        private let exchange: Exchange
        private let client: HTTPClient
        private var stream: HTTPStream?
        private var heads: [String] = []
        private var body: [UInt8] = []
        private var done: (([String]) -> Void)?
        private var timer: TimerID?

        init(_ caller: ExchangeCaller, _ exchange: Exchange, _ done: @escaping ([String]) -> Void) {
            self.caller = caller
            self.exchange = exchange
            self.done = done
            client = HTTPClient(version: .http2, connector: TCPConnector(host: caller.host, address: SocketAddress(caller.service, ExchangePlan.http2Port)), batch: caller.batch)
        }

        func begin() {
            timer = caller.host.after(ExchangeCaller.timeout) { [self] in
                timer = nil
                end(["no end within \(ExchangeCaller.timeout)"])
            }
            var head = RequestHead(method: HTTPMethod(exchange.method), authority: HTTPText(ExchangePlan.host), path: HTTPText(exchange.path), version: .http2)
            head.headers.add(ExchangePlan.tag, "\(exchange.number).0")
            for (name, value) in exchange.fields { head.headers.add(name, value) }
            do throws(Refusal) {
                stream = try client.send(head, endStream: exchange.pieces.isEmpty, handler: self)
                say(0)
            } catch { end(["refused: \(error.reason)"]) }
        }

        private func say(_ i: Int) {
            guard i < exchange.pieces.count, done != nil else { return }
            let piece = exchange.pieces[i]
            stream?.send(piece.span.bytes, endStream: i + 1 == exchange.pieces.count)
            caller.host.after(ExchangeCaller.pause) { [self] in say(i + 1) }
        }

        func response(_ stream: HTTPStream, _ head: ResponseHead, endStream: Bool) {
            heads += ["\(head.status) \(head.version)"] + caller.lines.fields(head.headers.list, "  ")
            if endStream { end([caller.lines.body(body)]) }
        }

        func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) {
            body += bytes.array()
            stream.acknowledge(bytes.byteCount)
            if endStream { end([caller.lines.body(body)]) }
        }

        func trailers(_ stream: HTTPStream, _ trailers: Headers) { end([caller.lines.body(body)] + caller.lines.fields(trailers.list, "  trailer ")) }
        func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) { end(["failed: \(caller.lines.text("\(failure)"))"]) }

        private func end(_ last: [String]) {
            guard let done else { return }
            self.done = nil
            if let timer { caller.host.cancel(timer) }
            let result = heads + last
            caller.host.after(.zero) { [self] in
                client.close()
                stream = nil
                done(result)
            }
        }
    }
}
