// gRPC services on an HTTP server: unary and server-streaming methods by path. Streamed messages are taken from the service as
// fast as the client reads them, and a service that answers while requests come gets no more of these than its client takes answers; a
// client that goes away cancels the call, and a deadline that passes ends it. Compression is deliberately absent.

import Base
import GRPC
import HTTP
import Platform
import TLS

/// What a service may want to know of its caller.
public struct GRPCCaller {
    public var peer: HTTPPeer
    public var metadata: Headers
    /// When the client stops waiting; nil: never.
    public var deadline: Instant?
}

/// What a service does with the requests of one client-streaming call. That the client has gone is told by its `ResponseStream`.
public struct GRPCRequests<Request> {
    public var received: (Request) -> Void
    /// There are no more.
    public var ended: () -> Void

    public init(received: @escaping (Request) -> Void, ended: @escaping () -> Void) {
        self.received = received
        self.ended = ended
    }
}

public final class GRPCServer: HTTPRequestHandler {
    /// How a method is served: with the one request, or from the head on.
    enum Method {
        case one((GRPCServerCall, [UInt8]) -> Void)
        case many((GRPCServerCall) -> GRPCServerCall.Requests)
    }

    let host: any Host
    let limits: GRPCLimits
    /// Look-up only.
    private var methods: [String: Method] = [:]
    private var listeners: [HTTPServer] = []
    /// Calls now open, in order of birth.
    private var calls: [GRPCServerCall] = []
    /// Told of each finished call; for metrics.
    public var onCompleted: ((_ path: String, GRPCStatus.Code, _ took: Interval) -> Void)?
    /// Told of each call that begins.
    public var onStarted: ((_ path: String) -> Void)?

    /// Answers requests that are not gRPC; nil: they are refused.
    public var otherwise: (any HTTPRequestHandler)?

    public init(host: any Host, limits: GRPCLimits = GRPCLimits()) {
        self.host = host
        self.limits = limits
    }

    public var callCount: Int { calls.count }

    /// Serves a method with one answer. `answer` is called once, at once or later; when the client has gone it does nothing.
    public func register<Request, Response>(
        _ method: GRPCMethod<Request, Response>, unary serve: @escaping (Request, GRPCCaller, _ answer: @escaping (Result<Response, GRPCStatus>) -> Void) -> Void
    ) {
        methods[method.path] = .one { call, bytes in
            guard let request = method.decodeRequest(bytes) else { return call.finish(Self.undecodable) }
            serve(request, call.caller) { result in
                switch result {
                case .success(let response): call.answer(method.encodeResponse(response))
                case .failure(let status): call.finish(status)
                }
            }
        }
    }

    /// Serves a method with any number of answers, put into the stream by the service. `capacity`: messages that may wait.
    public func register<Request, Response>(
        _ method: GRPCMethod<Request, Response>, capacity: Int = TransportLimits().responseQueueMessagesMax,
        streaming serve: @escaping (Request, GRPCCaller, ResponseStream<Response>) -> Void
    ) {
        methods[method.path] = .one { call, bytes in
            guard let request = method.decodeRequest(bytes) else { return call.finish(Self.undecodable) }
            let stream = Self.stream(of: call, capacity: capacity, encode: method.encodeResponse)
            serve(request, call.caller, stream)
            call.pump()
        }
    }

    /// Serves a method whose client sends any number of requests. `serve` is called when the call begins, before its first request; while
    /// answers wait for a client that does not read, no further request is given to the service.
    public func register<Request, Response>(
        _ method: GRPCMethod<Request, Response>, capacity: Int = TransportLimits().responseQueueMessagesMax,
        duplex serve: @escaping (GRPCCaller, ResponseStream<Response>) -> GRPCRequests<Request>
    ) {
        methods[method.path] = .many { call in
            let stream = Self.stream(of: call, capacity: capacity, encode: method.encodeResponse)
            let requests = serve(call.caller, stream)
            return GRPCServerCall.Requests(
                received: { bytes in
                    guard let request = method.decodeRequest(bytes) else { return false }
                    requests.received(request)
                    return true
                }, ended: requests.ended)
        }
    }

    private static let undecodable = GRPCStatus(.internal, "the request message cannot be decoded")

    private static func stream<Response>(of call: GRPCServerCall, capacity: Int, encode: @escaping @Sendable (Response) -> [UInt8]) -> ResponseStream<Response> {
        let stream = ResponseStream<Response>(capacity: capacity)
        call.source = GRPCServerCall.Source(
            next: { stream.next().map { encode($0) } }, status: { stream.isDone ? stream.status : nil }, head: { stream.initialMetadata }, trailers: { stream.trailingMetadata },
            close: { stream.close($0) }, cancel: { stream.cancel() })
        stream.wake = { call.pump() }
        return stream
    }

    /// Listens. `tls` gives the newest configuration for each connection, nil when there is none yet; without it the server speaks
    /// cleartext. May be called for several addresses.
    @discardableResult
    public func listen(on address: SocketAddress, batch: FlushBatch, settings: HTTP2Settings = HTTP2Settings(), tls: (() -> TLSServerConfiguration?)? = nil) throws(HostFailure) -> SocketAddress {
        let server = try HTTPServer(batch: batch, address: address, newestTLS: tls, settings: settings, handler: self)
        listeners.append(server)
        return server.address
    }

    /// Takes nothing new and ends streaming calls with OK, so that clients go elsewhere; `done` is called when all are gone.
    public func drain(_ done: @escaping () -> Void = {}) {
        var left = listeners.count
        if left == 0 { return done() }
        for call in calls { call.source?.close(.ok) }
        for listener in listeners {
            listener.drain {
                left -= 1
                if left == 0 { done() }
            }
        }
        listeners = []
    }

    /// Ends everything now.
    public func close() {
        for listener in listeners { listener.close() }
        listeners = []
    }

    public func request(_ stream: HTTPStream, _ head: RequestHead, endStream: Bool, peer: HTTPPeer) {
        if let otherwise, !GRPCFields.isGRPC(contentType: head.headers.first("content-type")) { return otherwise.request(stream, head, endStream: endStream, peer: peer) }
        guard head.method == .post else { return stream.respond(status: 405, headers: [("allow", "POST")]) }
        guard GRPCFields.isGRPC(contentType: head.headers.first("content-type")) else { return stream.respond(status: 415) }
        guard head.version == .http2 else { return stream.respond(status: 505) }
        let path = head.path.description
        var timeout: Interval?
        if let text = head.headers.first("grpc-timeout") {
            guard let parsed = GRPCTimeout.parse(text) else { return Self.refuse(stream, GRPCStatus(.internal, "malformed grpc-timeout")) }
            timeout = parsed
        }
        if let encoding = head.headers.first("grpc-encoding"), encoding != "identity" {
            // The client learns what would have been taken (grpc/doc/compression.md).
            return Self.refuse(stream, GRPCStatus(.unimplemented, "grpc-encoding \(encoding.prefix(32)) is not supported"), [("grpc-accept-encoding", "identity")])
        }
        guard let method = methods[path] else { return Self.refuse(stream, GRPCStatus(.unimplemented, "unknown method \(path.prefix(256))")) }
        let now = host.now
        let caller = GRPCCaller(peer: peer, metadata: head.headers, deadline: timeout.map { Instant(nanoseconds: now.nanoseconds.addingReportingOverflow($0.nanoseconds).overflow ? .max : now.nanoseconds + $0.nanoseconds) })
        let call = GRPCServerCall(server: self, path: path, stream: stream, caller: caller)
        calls.append(call)
        stream.handler = call
        onStarted?(path)
        call.arm()
        call.begin(method)
        if endStream { call.data(stream, RawSpan(), endStream: true) }
    }

    func completed(_ call: GRPCServerCall, _ path: String, _ code: GRPCStatus.Code, since start: Instant) {
        calls.removeAll { $0 === call }
        onCompleted?(path, code, host.now - start)
    }

    private static func refuse(_ stream: HTTPStream, _ status: GRPCStatus, _ fields: [(name: String, value: String)] = []) {
        stream.respond(ResponseHead(status: 200, headers: Headers(GRPCFields.trailersOnly(status) + fields), version: .http2), endStream: true)
        stream.finishEarly()
    }
}

extension Headers {
    init(_ fields: [(name: String, value: String)]) {
        self.init()
        for field in fields { add(field.name, field.value) }
    }
}

extension HTTPStream {
    /// Our answer is complete: a client that still sends need not (RFC 9113 section 8.1). Nothing happens while some of the answer waits for the
    /// client's window, which a reset would drop.
    func finishEarly() { if !isRemoteEnded, let connection, connection.bytesWaiting(self) == 0 { reset(code: HTTP2ErrorCode.noError) } }
}

/// One call as its server holds it.
final class GRPCServerCall: HTTPStreamHandler {
    /// The streaming service behind it, without its types.
    struct Source {
        var next: () -> [UInt8]?
        /// How the call ends, once there is nothing before the end.
        var status: () -> GRPCStatus?
        var head: () -> [(name: String, value: String)]
        var trailers: () -> [(name: String, value: String)]
        var close: (GRPCStatus) -> Void
        var cancel: () -> Void
    }

    /// Takes the requests of a client-streaming call.
    struct Requests {
        /// False: the bytes are no such message.
        var received: ([UInt8]) -> Bool
        var ended: () -> Void
    }

    let caller: GRPCCaller
    var source: Source?
    private let server: GRPCServer
    private let path: String
    private let start: Instant
    private var stream: HTTPStream?
    /// What is done with the one request, until it came.
    private var serve: ((GRPCServerCall, [UInt8]) -> Void)?
    private var requests: Requests?
    private var reader: GRPCMessageReader
    private var unread = 0
    private var isInputEnded = false
    private var isInputTold = false
    private var hasHead = false
    private var timer: TimerID?

    init(server: GRPCServer, path: String, stream: HTTPStream, caller: GRPCCaller) {
        self.server = server
        self.path = path
        self.stream = stream
        self.caller = caller
        start = server.host.now
        reader = GRPCMessageReader(limits: server.limits)
    }

    func arm() {
        guard let deadline = caller.deadline, deadline < .distantFuture else { return }
        timer = server.host.after(max(.zero, deadline - server.host.now)) { [self] in
            timer = nil
            giveUp(GRPCStatus(.deadlineExceeded, "the call's deadline passed"))
        }
    }

    func begin(_ method: GRPCServer.Method) {
        switch method {
        case .one(let serve): self.serve = serve
        case .many(let begin):
            requests = begin(self)
            pump()
        }
    }

    // MARK: The request

    func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) {
        guard self.stream != nil else {
            stream.acknowledge(bytes.byteCount)
            return stream.finishEarly()
        }
        reader.receive(bytes)
        unread += bytes.byteCount
        if endStream { isInputEnded = true }
        read()
    }

    func trailers(_ stream: HTTPStream, _ trailers: Headers) { data(stream, RawSpan(), endStream: true) }

    func writable(_ stream: HTTPStream) {
        pump()
        if requests != nil { read() }
    }

    func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) {
        guard self.stream != nil else { return }
        let cancel = source?.cancel
        release(.cancelled)
        cancel?()
    }

    private func read() {
        guard !isInputTold else { return }
        do throws(PeerError) {
            while let stream {
                // Whoever is answered while it asks must take its answers.
                if requests != nil, !stream.isWritable { return }
                guard let message = try reader.next() else { break }
                if let requests {
                    if !requests.received(message) { throw PeerError(.stream, code: GRPCStatus.Code.internal.rawValue, rule: "the request message cannot be decoded") }
                } else {
                    guard let serve else { throw PeerError(.stream, code: GRPCStatus.Code.internal.rawValue, rule: "more than one request message for \(path)") }
                    self.serve = nil
                    serve(self, message)
                }
            }
            guard let stream else { return }
            if unread > 0 {
                let moved = unread
                unread = 0
                stream.acknowledge(moved)
            }
            guard isInputEnded else { return }
            try reader.finish()
            isInputTold = true
            if serve != nil { throw PeerError(.stream, code: GRPCStatus.Code.internal.rawValue, rule: "the request for \(path) has no message") }
            requests?.ended()
        } catch { giveUp(GRPCStatus(GRPCStatus.Code(rawValue: error.code) ?? .internal, error.rule)) }
    }

    // MARK: The response

    /// The one message of a unary call.
    func answer(_ message: [UInt8]) {
        guard stream != nil else { return }
        send(message)
        finish(.ok)
    }

    /// Ends the call against its service's will.
    private func giveUp(_ status: GRPCStatus) {
        let cancel = source?.cancel
        source = nil
        finish(status)
        cancel?()
    }

    func finish(_ status: GRPCStatus) {
        guard let stream else { return }
        let trailers = source?.trailers() ?? []
        if !hasHead, !(source?.head() ?? []).isEmpty { sendHead() }
        release(status.code)
        if hasHead {
            stream.send(trailers: Headers(status.fields + trailers))
        } else {
            stream.respond(ResponseHead(status: 200, headers: Headers(GRPCFields.trailersOnly(status) + trailers), version: .http2), endStream: true)
        }
        if unread > 0 { stream.acknowledge(unread) }
        unread = 0
        stream.finishEarly()
    }

    /// Takes from the service what the client can take.
    func pump() {
        while let source, let stream, stream.isWritable {
            if let message = source.next() {
                send(message)
            } else if let status = source.status() {
                return finish(status)
            } else {
                // The client learns that its call was accepted, even if there is nothing to tell yet.
                sendHead()
                return
            }
        }
    }

    private func send(_ message: [UInt8]) {
        sendHead()
        let framed = GRPCMessage.frame(message)
        stream?.send(framed.span.bytes, endStream: false)
    }

    private func sendHead() {
        guard !hasHead, let stream else { return }
        hasHead = true
        stream.respond(ResponseHead(status: 200, headers: Headers(GRPCFields.response + (source?.head() ?? [])), version: .http2), endStream: false)
    }

    private func release(_ code: GRPCStatus.Code) {
        if let timer { server.host.cancel(timer) }
        timer = nil
        stream = nil
        serve = nil
        requests = nil
        if source?.status() != nil { source?.cancel() }
        source = nil
        server.completed(self, path, code, since: start)
    }
}
