// gRPC services on an HTTP server: unary and server-streaming methods by path. Streamed messages are taken from the service as
// fast as the client reads them; a client that goes away cancels the call, and a deadline that passes ends it. Compression and
// client streaming are deliberately absent.

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

public final class GRPCServer: HTTPRequestHandler {
    typealias Begin = (GRPCServerCall, [UInt8]) -> Void

    let host: any Host
    let limits: GRPCLimits
    /// Look-up only.
    private var methods: [String: Begin] = [:]
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
        methods[method.path] = { call, bytes in
            guard let request = method.decodeRequest(bytes) else { return call.finish(GRPCStatus(.internal, "the request message cannot be decoded")) }
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
        methods[method.path] = { call, bytes in
            guard let request = method.decodeRequest(bytes) else { return call.finish(GRPCStatus(.internal, "the request message cannot be decoded")) }
            let stream = ResponseStream<Response>(capacity: capacity)
            call.source = GRPCServerCall.Source(
                next: { stream.next().map { method.encodeResponse($0) } }, status: { stream.isDone ? stream.status : nil }, close: { stream.close($0) }, cancel: { stream.cancel() })
            stream.wake = { call.pump() }
            serve(request, call.caller, stream)
            call.pump()
        }
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
            return Self.refuse(stream, GRPCStatus(.unimplemented, "grpc-encoding \(encoding.prefix(32)) is not supported"))
        }
        guard let begin = methods[path] else { return Self.refuse(stream, GRPCStatus(.unimplemented, "unknown method \(path.prefix(256))")) }
        let now = host.now
        let caller = GRPCCaller(peer: peer, metadata: head.headers, deadline: timeout.map { Instant(nanoseconds: now.nanoseconds.addingReportingOverflow($0.nanoseconds).overflow ? .max : now.nanoseconds + $0.nanoseconds) })
        let call = GRPCServerCall(server: self, path: path, stream: stream, caller: caller, begin: begin)
        calls.append(call)
        stream.handler = call
        onStarted?(path)
        call.arm()
        if endStream { call.data(stream, RawSpan(), endStream: true) }
    }

    func completed(_ call: GRPCServerCall, _ path: String, _ code: GRPCStatus.Code, since start: Instant) {
        calls.removeAll { $0 === call }
        onCompleted?(path, code, host.now - start)
    }

    private static func refuse(_ stream: HTTPStream, _ status: GRPCStatus) {
        stream.respond(ResponseHead(status: 200, headers: Headers(GRPCFields.trailersOnly(status)), version: .http2), endStream: true)
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
    /// Our answer is complete in its head: a client that still sends need not (RFC 9113 section 8.1).
    func finishEarly() { if !isRemoteEnded, connection != nil { reset(code: HTTP2ErrorCode.noError) } }
}

/// One call as its server holds it.
final class GRPCServerCall: HTTPStreamHandler {
    /// The streaming service behind it, without its types.
    struct Source {
        var next: () -> [UInt8]?
        /// How the call ends, once there is nothing before the end.
        var status: () -> GRPCStatus?
        var close: (GRPCStatus) -> Void
        var cancel: () -> Void
    }

    let caller: GRPCCaller
    var source: Source?
    private let server: GRPCServer
    private let path: String
    private let start: Instant
    private var stream: HTTPStream?
    private var begin: GRPCServer.Begin?
    private var reader: GRPCMessageReader
    private var hasHead = false
    private var timer: TimerID?

    init(server: GRPCServer, path: String, stream: HTTPStream, caller: GRPCCaller, begin: @escaping GRPCServer.Begin) {
        self.server = server
        self.path = path
        self.stream = stream
        self.caller = caller
        self.begin = begin
        start = server.host.now
        reader = GRPCMessageReader(limits: server.limits)
    }

    func arm() {
        guard let deadline = caller.deadline, deadline < .distantFuture else { return }
        timer = server.host.after(max(.zero, deadline - server.host.now)) { [self] in
            timer = nil
            let cancel = source?.cancel
            source = nil
            finish(GRPCStatus(.deadlineExceeded, "the call's deadline passed"))
            cancel?()
        }
    }

    // MARK: The request

    func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) {
        guard self.stream != nil else { return }
        reader.receive(bytes)
        stream.acknowledge(bytes.byteCount)
        do throws(PeerError) {
            while let message = try reader.next() {
                guard let begin else { throw PeerError(.stream, code: GRPCStatus.Code.internal.rawValue, rule: "more than one request message for \(path)") }
                self.begin = nil
                begin(self, message)
                if self.stream == nil { return }
            }
            if endStream {
                try reader.finish()
                if begin != nil { throw PeerError(.stream, code: GRPCStatus.Code.internal.rawValue, rule: "the request for \(path) has no message") }
            }
        } catch {
            let cancel = source?.cancel
            source = nil
            finish(GRPCStatus(GRPCStatus.Code(rawValue: error.code) ?? .internal, error.rule))
            cancel?()
        }
    }

    func trailers(_ stream: HTTPStream, _ trailers: Headers) { data(stream, RawSpan(), endStream: true) }
    func writable(_ stream: HTTPStream) { pump() }

    func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) {
        guard self.stream != nil else { return }
        let cancel = source?.cancel
        release(.cancelled)
        cancel?()
    }

    // MARK: The response

    /// The one message of a unary call.
    func answer(_ message: [UInt8]) {
        guard stream != nil else { return }
        send(message)
        finish(.ok)
    }

    func finish(_ status: GRPCStatus) {
        guard let stream else { return }
        if hasHead {
            release(status.code)
            stream.send(trailers: Headers(status.fields))
        } else {
            release(status.code)
            stream.respond(ResponseHead(status: 200, headers: Headers(GRPCFields.trailersOnly(status)), version: .http2), endStream: true)
            stream.finishEarly()
        }
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
        stream.respond(ResponseHead(status: 200, headers: Headers(GRPCFields.response), version: .http2), endStream: false)
    }

    private func release(_ code: GRPCStatus.Code) {
        if let timer { server.host.cancel(timer) }
        timer = nil
        stream = nil
        begin = nil
        if source?.status() != nil { source?.cancel() }
        source = nil
        server.completed(self, path, code, since: start)
    }
}
