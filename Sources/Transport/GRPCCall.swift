// One call as its client holds it: waiting for a connection, then requests out and messages in, then a status.

import Base
import GRPC
import HTTP
import Platform

public final class GRPCCall: HTTPStreamHandler {
    private let channel: GRPCChannel
    private let path: String
    private let metadata: [(name: String, value: String)]
    private let deadline: Instant?
    private var deliver: (([UInt8]) -> Bool)?
    private var onEnd: ((GRPCStatus) -> Void)?
    private var onWritable: (() -> Void)?
    private var reader: GRPCMessageReader
    private var stream: HTTPStream?
    private var deadlineTimer: TimerID?
    private var waitTimer: TimerID?
    private var unread = 0
    private let begun: Instant
    /// Framed requests that wait for a connection, and whether they are all.
    private var unsent: [UInt8]
    private var isSendingOver: Bool
    /// When the request went out; nil: not yet.
    private var sent: Instant?
    /// The end, held back while the consumer pauses.
    private var heldStatus: GRPCStatus?
    private var host: any Host { channel.batch.host }

    /// What the server said before its first message, and after its last: metadata among other fields. nil: nothing yet.
    public private(set) var responseHead: Headers?
    public private(set) var responseTrailers: Headers?

    /// `message` is the one request; nil: requests come by `send`.
    init(
        channel: GRPCChannel, path: String, message: [UInt8]?, metadata: [(name: String, value: String)], timeout: Interval?, writable: (() -> Void)? = nil,
        deliver: @escaping ([UInt8]) -> Bool, end: @escaping (GRPCStatus) -> Void
    ) {
        self.channel = channel
        self.path = path
        self.metadata = metadata
        self.deliver = deliver
        onEnd = end
        begun = channel.batch.host.now
        onWritable = writable
        unsent = message.map { GRPCMessage.frame($0) } ?? []
        isSendingOver = message != nil
        deadline = timeout.map { channel.batch.host.now + $0 }
        reader = GRPCMessageReader(limits: channel.options.messages)
    }

    public var isOver: Bool { onEnd == nil }

    /// While paused no message is delivered, and the server feels it: its window stays closed.
    public var isPaused = false {
        didSet { if oldValue, !isPaused { host.after(.zero) { [self] in read() } } }
    }

    /// Ends the call without another callback.
    public func cancel() {
        guard onEnd != nil else { return }
        let open = stream
        release()
        if sent != nil { channel.onCall?(.ended(GRPCStatus(.cancelled, "the caller let go"))) }
        channel.forget(self)
        open?.reset(code: HTTP2ErrorCode.cancel)
    }

    // MARK: Requests one by one

    func send(_ message: [UInt8]) {
        guard onEnd != nil, !isSendingOver else { return }
        let framed = GRPCMessage.frame(message)
        if let stream { stream.send(framed.span.bytes, endStream: false) } else { unsent += framed }
    }

    func finishSending() {
        guard onEnd != nil, !isSendingOver else { return }
        isSendingOver = true
        stream?.send(RawSpan(), endStream: true)
    }

    var isWritable: Bool {
        if onEnd == nil { return false }
        return stream?.isWritable ?? (unsent.count < channel.options.limits.sendQueueBytesMax)
    }

    public func writable(_ stream: HTTPStream) { onWritable?() }

    // MARK: For the channel

    func begin() {
        if let deadline {
            deadlineTimer = host.after(deadline - host.now) { [self] in
                deadlineTimer = nil
                let open = stream
                channel.forget(self)
                end(GRPCStatus(.deadlineExceeded, "the call's deadline passed"))
                open?.reset(code: HTTP2ErrorCode.cancel)
            }
        }
        waitTimer = host.after(channel.options.waitTimeout) { [self] in
            waitTimer = nil
            channel.forget(self)
            end(channel.unavailable)
        }
        channel.start(self)
    }

    var head: RequestHead {
        var headers = Headers()
        for field in GRPCFields.request(timeout: deadline.map { $0 - host.now }, metadata: metadata) { headers.add(field.name, field.value) }
        return RequestHead(method: .post, authority: HTTPText(channel.authority), path: HTTPText(path), headers: headers, version: .http2)
    }

    func opened(_ stream: HTTPStream) {
        if let waitTimer { host.cancel(waitTimer) }
        waitTimer = nil
        self.stream = stream
        sent = host.now
        channel.onCall?(.sent(waited: host.now - begun))
        let waiting = unsent
        unsent = []
        if !waiting.isEmpty || isSendingOver { stream.send(waiting.span.bytes, endStream: isSendingOver) }
        // Requests may have been held back while they waited for a connection.
        if !isSendingOver, let onWritable { host.after(.zero) { [self] in if isWritable { onWritable() } } }
    }

    /// Ends the call and says so.
    func end(_ status: GRPCStatus) {
        guard let tell = onEnd else { return }
        release()
        if sent != nil { channel.onCall?(.ended(status)) }
        tell(status)
    }

    private func release() {
        if let deadlineTimer { host.cancel(deadlineTimer) }
        if let waitTimer { host.cancel(waitTimer) }
        deadlineTimer = nil
        waitTimer = nil
        stream = nil
        deliver = nil
        onEnd = nil
        onWritable = nil
        unsent = []
        heldStatus = nil
    }

    // MARK: The stream

    public func response(_ stream: HTTPStream, _ head: ResponseHead, endStream: Bool) {
        guard onEnd != nil, !head.isInformational else { return }
        responseHead = head.headers
        if endStream { responseTrailers = head.headers }
        if let sent { channel.onCall?(.answered(host.now - sent)) }
        guard let status = GRPCFields.verdict(httpStatus: head.status, endStream: endStream, field: { head.headers.first($0) }) else { return }
        end(status)
        if !endStream || !stream.isLocalEnded { stream.reset(code: HTTP2ErrorCode.cancel) }
    }

    public func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) {
        guard onEnd != nil else { return stream.acknowledge(bytes.byteCount) }
        reader.receive(bytes)
        unread += bytes.byteCount
        if endStream { heldStatus = GRPCStatus(.internal, "the response ended without trailers") }
        read()
    }

    public func trailers(_ stream: HTTPStream, _ trailers: Headers) {
        guard onEnd != nil else { return }
        responseTrailers = trailers
        heldStatus = GRPCFields.status { trailers.first($0) }
        read()
    }

    public func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) {
        guard onEnd != nil else { return }
        // What arrived before the failure was delivered already, unless the consumer pauses; then it is lost with the call.
        end(GRPCStatus(failure))
    }

    private func read() {
        while let deliver, !isPaused {
            do throws(PeerError) {
                guard let message = try reader.next() else { break }
                if !deliver(message) { throw PeerError(.stream, code: GRPCStatus.Code.internal.rawValue, rule: "a response message of \(path) cannot be decoded") }
            } catch { return broken(error) }
        }
        guard !isPaused else { return }
        if unread > 0 {
            let moved = unread
            unread = 0
            stream?.acknowledge(moved)
        }
        guard onEnd != nil, let status = heldStatus else { return }
        do throws(PeerError) {
            if status.isOK { try reader.finish() }
            // A server may have enough before we have said all.
            let unfinished = stream.flatMap { $0.isLocalEnded ? nil : $0 }
            end(status)
            unfinished?.reset(code: HTTP2ErrorCode.cancel)
        } catch { broken(error) }
    }

    private func broken(_ error: PeerError) {
        let open = stream
        end(GRPCStatus(GRPCStatus.Code(rawValue: error.code) ?? .internal, error.rule))
        open?.reset(code: HTTP2ErrorCode.cancel)
    }
}

/// The requests of a client-streaming or bidirectional call, as their sender holds them.
public struct GRPCRequestStream<Request> {
    public let call: GRPCCall
    let encode: @Sendable (Request) -> [UInt8]

    /// Sends one; before there is a connection it waits. Ignored after `finish` and after the call's end.
    public func send(_ request: Request) { call.send(encode(request)) }

    /// There are no more.
    public func finish() { call.finishSending() }

    /// False while more than `TransportLimits.sendQueueBytesMax` bytes wait; then the call's `onWritable` follows.
    public var isWritable: Bool { call.isWritable }
}

extension GRPCStatus {
    /// What the failure of a stream means to its call. Source: grpc/doc/statuscodes.md.
    init(_ failure: HTTPStreamFailure) {
        switch failure {
        case .reset(let error):
            self.init(http2ErrorCode: error.code)
            if !error.rule.isEmpty { message = error.rule }
        case .connectFailed, .handshakeFailed, .connectionLost: self.init(.unavailable, "\(failure)")
        case .protocolBroken: self.init(.internal, "\(failure)")
        }
    }
}
