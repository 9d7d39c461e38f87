// The client side of a story: HTTP calls and byte conversations from a process of a pod, by name as curl would, each with its
// answer, its latency and its reason when there is none.

import Base
import DNS
import HTTP
import Platform
import Simulator
import Transport

/// What became of a call.
public struct CallResult: Sendable {
    /// nil: no answer; `failure` says why.
    public var status: UInt16?
    public var headers = Headers()
    public var body: [UInt8] = []
    public var trailers = Headers()
    public var version = HTTPVersion.http11
    public var latency = Interval.zero
    public var failure: String?

    public var text: String { String(decoding: body, as: UTF8.self) }
    /// For narratives: `200 in 4.2ms`, `no answer after 3s: connection refused`.
    public var summary: String { status.map { "\($0) in \(latency)" } ?? "no answer after \(latency): \(failure ?? "?")" }
}

/// Calls from one process. Connections are kept alive between calls to the same authority, as curl's are within one command.
public final class Caller {
    private let process: SimProcess
    private let batch: FlushBatch
    private let resolver: Resolver
    private var clients: [(key: String, client: HTTPClient)] = []
    private var calls: UInt64 = 0
    private var talks: [Talk] = []
    public private(set) var results: [CallResult] = []

    public init(_ process: SimProcess) {
        self.process = process
        batch = FlushBatch(host: process)
        resolver = Resolver(host: process)
        process.onShutdown { [self] in
            for (_, client) in clients { client.close() }
            clients = []
            for talk in talks { talk.close() }
            talks = []
            resolver.close()
            process.exit(0)
        }
    }

    /// Begins a call; `done` hears the result once.
    public func call(
        _ authority: String, _ path: String = "/", method: HTTPMethod = .get, version: HTTPVersion = .http11, headers: [(String, String)] = [], body: [UInt8] = [],
        timeout: Interval = .seconds(30), done: @escaping (CallResult) -> Void
    ) {
        process.run { [self] in
            calls += 1
            let key = "\(version) \(authority)"
            let client: HTTPClient
            if let found = clients.first(where: { $0.key == key })?.client {
                client = found
            } else {
                let parts = authority.split(separator: ":")
                let port = parts.count > 1 ? UInt16(parts[1]) ?? 80 : 80
                let connector = NameConnector(host: process, resolver: resolver, name: String(parts[0]), port: port, asksForServices: false)
                client = HTTPClient(version: version, connector: connector, batch: batch)
                clients.append((key, client))
            }
            var head = RequestHead(method: method, authority: HTTPText(authority), path: HTTPText(path), version: version)
            for (name, value) in headers { head.headers.add(name, value) }
            if !head.headers.contains(requestTag) { head.headers.add(requestTag, "\(process.path)/\(process.lives)/\(calls)") }
            if !body.isEmpty, !head.headers.contains("content-length") { head.headers.add("content-length", "\(body.count)") }
            let call = Call(process, timeout: timeout) { [self] result in
                results.append(result)
                done(result)
            }
            do throws(Refusal) {
                let stream = try client.send(head, endStream: body.isEmpty, handler: call)
                call.stream = stream
                if !body.isEmpty { stream.send(body.span.bytes, endStream: true) }
            } catch { call.end(error.reason) }
        }
    }

    /// Drops kept-alive connections.
    public func closeConnections() {
        process.run {
            for (_, client) in clients { client.close() }
            clients = []
        }
    }

    /// A conversation of bytes: says `bytes` and half-closes; `done` hears all that came back, and why it ended (nil: in order).
    public func converse(_ host: String, _ port: UInt16, say bytes: [UInt8], timeout: Interval = .seconds(30), done: @escaping (_ heard: [UInt8], _ failure: String?) -> Void) {
        process.run { [self] in
            let connector = NameConnector(host: process, resolver: resolver, name: host, port: port, asksForServices: false)
            let conversation = Conversation(process, bytes, timeout: timeout, done: done)
            conversation.connection = connector.connect(conversation)
        }
    }

    /// Opens a connection that the story speaks on by itself. Closed with the process.
    public func talk(_ host: String, _ port: UInt16) -> Talk {
        process.run { [self] in
            let connector = NameConnector(host: process, resolver: resolver, name: host, port: port, asksForServices: false)
            let talk = Talk(process) { connector.connect($0) }
            talks.append(talk)
            return talk
        }
    }

    private final class Call: HTTPStreamHandler {
        private let process: SimProcess
        private let started: Instant
        private var result = CallResult()
        private var done: ((CallResult) -> Void)?
        private var timer: TimerID?
        var stream: HTTPStream?

        init(_ process: SimProcess, timeout: Interval, done: @escaping (CallResult) -> Void) {
            self.process = process
            self.done = done
            started = process.now
            timer = process.after(timeout) { [self] in
                timer = nil
                stream?.reset(code: HTTP2ErrorCode.cancel)
                end("no answer within \(timeout)")
            }
        }

        func response(_ stream: HTTPStream, _ head: ResponseHead, endStream: Bool) {
            if head.isInformational, head.status != 101 { return }
            result.status = head.status
            result.headers = head.headers
            result.version = head.version
            if endStream { end(nil) }
        }

        func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) {
            result.body += bytes.array()
            stream.acknowledge(bytes.byteCount)
            if endStream { end(nil) }
        }

        func trailers(_ stream: HTTPStream, _ trailers: Headers) {
            result.trailers = trailers
            end(nil)
        }

        func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) {
            result.status = nil
            end("\(failure)")
        }

        func end(_ failure: String?) {
            guard let done else { return }
            self.done = nil
            if let timer { process.cancel(timer) }
            timer = nil
            stream = nil
            result.failure = failure
            if failure != nil { result.status = nil }
            result.latency = process.now - started
            done(result)
        }
    }

    private final class Conversation: ConnectionHandler {
        private let process: SimProcess
        private let bytes: [UInt8]
        private var heard: [UInt8] = []
        private var done: (([UInt8], String?) -> Void)?
        private var timer: TimerID?
        var connection: (any Connection)?

        init(_ process: SimProcess, _ bytes: [UInt8], timeout: Interval, done: @escaping ([UInt8], String?) -> Void) {
            self.process = process
            self.bytes = bytes
            self.done = done
            timer = process.after(timeout) { [self] in
                timer = nil
                connection?.reset()
                end("nothing within \(timeout)")
            }
        }

        func connected(_ connection: any Connection) {
            connection.send(bytes)
            connection.finish()
        }

        func received(_ span: RawSpan, on connection: any Connection) { heard += span.array() }

        func finished(_ connection: any Connection) {
            connection.close()
            end(nil)
        }

        func closed(_ connection: any Connection, _ failure: HostFailure?) { end(failure.map { "\($0)" }) }

        private func end(_ failure: String?) {
            guard let done else { return }
            self.done = nil
            if let timer { process.cancel(timer) }
            timer = nil
            connection = nil
            done(heard, failure)
        }
    }
}
