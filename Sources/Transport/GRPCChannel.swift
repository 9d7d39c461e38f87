// A gRPC client of one target: one HTTP/2 connection that is made when a call needs it and made again, with growing waits, when
// it breaks. Calls that come meanwhile wait, within bounds. Balancing over many servers is deliberately absent: a control
// plane's client needs one that works, and its connector goes on to the next address.

import Base
import GRPC
import HTTP
import Platform

public struct GRPCChannelOptions: Sendable {
    public var backoff = BackoffOptions()
    /// How long a call waits for a connection before it fails with UNAVAILABLE. Source: linkerd2-proxy control.rs, failfast 30 s.
    public var waitTimeout = Interval.seconds(30)
    public var http2 = HTTP2Settings()
    public var messages = GRPCLimits()
    public var limits = TransportLimits()

    /// Pings after 10 s of silence while a call is open, 3 s to answer. Source: linkerd2 charts, HTTP/2 keep-alive of proxies.
    public init() {
        http2.keepAliveInterval = .seconds(10)
        http2.keepAliveTimeout = .seconds(3)
    }
}

public final class GRPCChannel: HTTPClientObserver {
    private enum State {
        case idle, connecting, ready
        case waiting(TimerID)
        case closed
    }

    public let authority: String
    let batch: FlushBatch
    let options: GRPCChannelOptions
    private let client: HTTPClient
    private var state = State.idle
    private var backoff: Backoff
    /// Calls that wait for a connection, oldest first.
    private var waiting: [GRPCCall] = []
    private var lastFailure: String
    private var watchCount: UInt64 = 0
    /// What happens to calls that reach the server; for metrics.
    public enum CallEvent {
        /// It had waited so long for a connection.
        case sent(waited: Interval)
        /// The head of the response came; time from sending.
        case answered(Interval)
        case ended(GRPCStatus)
    }

    /// Told of each call's events.
    public var onCall: ((CallEvent) -> Void)?
    /// Told when the channel gets (true) or loses (false) its connection; for metrics and logs.
    public var onStateChange: ((_ isReady: Bool, _ reason: String) -> Void)?

    /// `authority` is sent with each call: `name:port` of the configured address.
    public init(batch: FlushBatch, connector: any Connector, authority: String, options: GRPCChannelOptions = GRPCChannelOptions()) {
        self.batch = batch
        self.authority = authority
        self.options = options
        client = HTTPClient(version: .http2, connector: connector, batch: batch, settings: options.http2, limits: options.limits)
        backoff = Backoff(options.backoff, random: batch.host.random("channel/\(authority)"))
        lastFailure = "no connection to \(connector.target) yet"
        client.observer = self
    }

    /// Calls that wait for a connection.
    public var waitingCount: Int { waiting.count }

    public var isReady: Bool { if case .ready = state { client.isConnected } else { false } }

    /// Starts a call. Everything about it is told in a later turn: messages as they come, then the end, once.
    /// `timeout` covers the whole call and is told to the server. Calls of streaming methods may get any number of messages.
    @discardableResult
    public func call<Request, Response>(
        _ method: GRPCMethod<Request, Response>, _ request: Request, metadata: [(name: String, value: String)] = [], timeout: Interval? = nil,
        onMessage: @escaping (Response) -> Void, onEnd: @escaping (GRPCStatus) -> Void
    ) -> GRPCCall {
        let deliver = { (bytes: [UInt8]) -> Bool in
            guard let message = method.decodeResponse(bytes) else { return false }
            onMessage(message)
            return true
        }
        let call = GRPCCall(channel: self, path: method.path, message: method.encodeRequest(request), metadata: metadata, timeout: timeout, deliver: deliver, end: onEnd)
        call.begin()
        return call
    }

    /// Starts a call that has one answer.
    @discardableResult
    public func unary<Request, Response>(
        _ method: GRPCMethod<Request, Response>, _ request: Request, metadata: [(name: String, value: String)] = [], timeout: Interval? = nil,
        _ answer: @escaping (Result<Response, GRPCStatus>) -> Void
    ) -> GRPCCall {
        var responses: [Response] = []
        return call(method, request, metadata: metadata, timeout: timeout, onMessage: { if responses.count < 2 { responses.append($0) } }) { status in
            if !status.isOK { return answer(.failure(status)) }
            if responses.count == 1 { return answer(.success(responses[0])) }
            answer(.failure(GRPCStatus(.internal, responses.isEmpty ? "the call succeeded without a message" : "a unary call was answered by more than one message")))
        }
    }

    /// Starts a call whose requests are sent one by one. Nothing is told within this call. `onWritable`: requests may be sent again, after
    /// `isWritable` was false, and when the connection stands.
    public func stream<Request, Response>(
        _ method: GRPCMethod<Request, Response>, metadata: [(name: String, value: String)] = [], timeout: Interval? = nil, onWritable: (() -> Void)? = nil,
        onMessage: @escaping (Response) -> Void, onEnd: @escaping (GRPCStatus) -> Void
    ) -> GRPCRequestStream<Request> {
        let deliver = { (bytes: [UInt8]) -> Bool in
            guard let message = method.decodeResponse(bytes) else { return false }
            onMessage(message)
            return true
        }
        let call = GRPCCall(channel: self, path: method.path, message: nil, metadata: metadata, timeout: timeout, writable: onWritable, deliver: deliver, end: onEnd)
        call.begin()
        return GRPCRequestStream(call: call, encode: method.encodeRequest)
    }

    /// Ends the connection: open calls fail with UNAVAILABLE, waiting ones with CANCELLED.
    public func close() {
        if case .waiting(let timer) = state { batch.host.cancel(timer) }
        if case .closed = state { return }
        state = .closed
        let left = waiting
        waiting = []
        for call in left { call.end(GRPCStatus(.cancelled, "the channel is closed")) }
        client.observer = nil
        client.close()
    }

    /// A label of its own for each watch, in the order of their making.
    func watchLabel(_ path: String) -> String {
        watchCount += 1
        return "watch/\(authority)\(path)/\(watchCount)"
    }

    // MARK: Calls

    func start(_ call: GRPCCall) {
        switch state {
        case .closed: batch.host.after(.zero) { call.end(GRPCStatus(.unavailable, "the channel is closed")) }
        case .ready: open(call)
        case .idle:
            waiting.append(call)
            connect()
        case .connecting, .waiting:
            guard waiting.count < options.limits.callsWaitingMax else {
                batch.host.after(.zero) { call.end(GRPCStatus(.unavailable, "\(self.options.limits.callsWaitingMax) calls wait for a connection already: \(self.lastFailure)")) }
                return
            }
            waiting.append(call)
        }
    }

    func forget(_ call: GRPCCall) { waiting.removeAll { $0 === call } }

    var unavailable: GRPCStatus { GRPCStatus(.unavailable, lastFailure) }

    private func open(_ call: GRPCCall) {
        do throws(Refusal) {
            call.opened(try client.send(call.head, endStream: false, handler: call))
        } catch {
            batch.host.after(.zero) { call.end(GRPCStatus(.unavailable, error.reason)) }
        }
    }

    // MARK: The connection

    private func connect() {
        state = .connecting
        client.connectAhead()
    }

    public func connected(_ client: HTTPClient) {
        if case .closed = state { return }
        let wasReady = if case .ready = state { true } else { false }
        state = .ready
        backoff.reset()
        if !wasReady { onStateChange?(true, "") }
        let ready = waiting
        waiting = []
        for call in ready { open(call) }
    }

    public func disconnected(_ client: HTTPClient, _ failure: HTTPStreamFailure?) {
        switch state {
        case .closed, .waiting: return
        case .idle, .connecting, .ready: break
        }
        lastFailure = failure?.description ?? "the connection was closed"
        if case .ready = state { onStateChange?(false, lastFailure) }
        // A connection that stood may be made again at once; one that could not be made is waited for.
        guard failure != nil else {
            state = .idle
            if !waiting.isEmpty { connect() }
            return
        }
        if client.isConnected { return }
        state = .waiting(
            batch.host.after(backoff.next()) { [self] in
                state = .idle
                if !waiting.isEmpty { connect() }
            })
    }
}
