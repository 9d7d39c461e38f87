// One call to the API server as its caller holds it: collected into one answer within a bound of bytes and time, or streamed.

import Base
import Documents
import HTTP
import Platform
import Transport

public final class KubeCall: HTTPStreamHandler {
    private enum Consumer {
        case whole((Result<KubeResponse, KubeError>) -> Void)
        case streamed(onOpen: () -> Void, onBytes: (RawSpan) -> Void, onEnd: (KubeError?) -> Void)
        case over
    }

    let request: KubeRequest
    var isCounted = false
    /// Told when the caller cancels.
    var onCancel: (() -> Void)?
    /// What it was last sent with.
    var authorization: KubeCredentials.Authorization?
    /// While it waits for a connection.
    var ticket: HTTPNegotiator.Ticket?
    private let client: KubeClient
    private var consumer: Consumer
    private var stream: HTTPStream?
    private var timer: TimerID?
    private var head: ResponseHead?
    private var body: [UInt8] = []
    /// A read on a connection that the server had closed already, and anything that it refused to look at, is sent once more.
    private var mayRepeat: Bool
    private var mayAuthorizeAgain = true
    private let isRead: Bool
    private var host: any Host { client.host }

    init(client: KubeClient, request: KubeRequest, collecting answer: @escaping (Result<KubeResponse, KubeError>) -> Void) {
        self.client = client
        self.request = request
        consumer = .whole(answer)
        isRead = request.method == .get
        mayRepeat = true
        arm()
    }

    init(client: KubeClient, request: KubeRequest, onOpen: @escaping () -> Void, onBytes: @escaping (RawSpan) -> Void, onEnd: @escaping (KubeError?) -> Void) {
        self.client = client
        self.request = request
        consumer = .streamed(onOpen: onOpen, onBytes: onBytes, onEnd: onEnd)
        isRead = true
        mayRepeat = true
        arm()
    }

    /// Ends the call without another callback. The server may have carried it out.
    public func cancel() {
        if case .over = consumer { return }
        let open = stream
        let tell = onCancel
        release()
        tell?()
        open?.reset(code: HTTP2ErrorCode.cancel)
    }

    var isOpen: Bool { if case .over = consumer { false } else { true } }

    func opened(_ stream: HTTPStream) {
        self.stream = stream
        ticket = nil
        let body = request.body
        if !body.isEmpty { stream.send(body.span.bytes, endStream: true) }
    }

    func fail(_ error: KubeError) {
        let last = consumer
        release()
        switch last {
        case .whole(let answer): answer(.failure(error))
        case .streamed(_, _, let onEnd): onEnd(error)
        case .over: break
        }
    }

    private func arm() {
        timer = host.after(client.limits.requestTimeout) { [self] in
            timer = nil
            let open = stream
            fail(.timedOut)
            open?.reset(code: HTTP2ErrorCode.cancel)
        }
    }

    private func disarm() {
        if let timer { host.cancel(timer) }
        timer = nil
    }

    private func release() {
        disarm()
        ticket?.cancel()
        ticket = nil
        consumer = .over
        onCancel = nil
        stream = nil
        body = []
        client.ended(self)
    }

    // MARK: The stream

    public func response(_ stream: HTTPStream, _ head: ResponseHead, endStream: Bool) {
        guard !head.isInformational else { return }
        self.head = head
        if case .streamed(let onOpen, _, _) = consumer, head.status < 300 {
            disarm()
            onOpen()
        }
        if endStream { complete() }
    }

    public func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) {
        stream.acknowledge(bytes.byteCount)
        switch consumer {
        case .over: return
        case .streamed(_, let onBytes, _) where (head?.status ?? 500) < 300: if bytes.byteCount > 0 { onBytes(bytes) }
        case .whole, .streamed:
            if body.count + bytes.byteCount > client.limits.responseBytesMax {
                fail(.malformed("the answer is longer than \(client.limits.responseBytesMax) bytes"))
                return stream.reset(code: HTTP2ErrorCode.cancel)
            }
            bytes.withUnsafeBytes { body.append(contentsOf: $0) }
        }
        if endStream { complete() }
    }

    public func trailers(_ stream: HTTPStream, _ trailers: Headers) { complete() }

    public func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) {
        if case .over = consumer { return }
        if mayRepeat, head == nil, Self.isUnseen(failure) || isRead && Self.isLost(failure) {
            mayRepeat = false
            self.stream = nil
            return client.open(self)
        }
        fail(.transport(failure))
    }

    /// The server says that it has not looked at the request (RFC 9113 section 8.7).
    private static func isUnseen(_ failure: HTTPStreamFailure) -> Bool {
        if case .reset(let error) = failure { error.code == HTTP2ErrorCode.refusedStream } else { false }
    }

    private static func isLost(_ failure: HTTPStreamFailure) -> Bool { if case .connectionLost = failure { true } else { false } }

    private func complete() {
        guard let head else { return }
        if head.status == 401, mayAuthorizeAgain, let authorization, client.credentials.rejected(authorization) {
            mayAuthorizeAgain = false
            self.head = nil
            stream = nil
            body = []
            return client.open(self)
        }
        if head.status >= 300 { return fail(Self.error(head, body)) }
        let last = consumer
        let response = KubeResponse(status: head.status, contentType: head.headers.first("content-type") ?? "", body: body)
        release()
        switch last {
        case .whole(let answer): answer(.success(response))
        case .streamed(_, _, let onEnd): onEnd(nil)
        case .over: break
        }
    }

    private static func error(_ head: ResponseHead, _ body: [UInt8]) -> KubeError {
        let retryAfter = head.headers.first("retry-after").flatMap { Int64($0) }.flatMap { $0 >= 0 && $0 <= 86_400 ? Interval.seconds($0) : nil }
        if let document = try? Value(json: body), var status = KubeStatus(document) {
            status.code = head.status
            return .status(status, retryAfter: retryAfter)
        }
        let reason: KubeStatus.Reason =
            switch head.status {
            case 400: .badRequest
            case 401: .unauthorized
            case 403: .forbidden
            case 404: .notFound
            case 405: .methodNotAllowed
            case 409: .conflict
            case 410: .gone
            case 429: .tooManyRequests
            case 500: .internalError
            case 503: .serviceUnavailable
            case 504: .timeout
            default: .unknown
            }
        let text = String(decoding: body.prefix(256), as: UTF8.self)
        return .status(KubeStatus(code: head.status, reason: reason, message: text.isEmpty ? "the API server answered with status \(head.status)" : text), retryAfter: retryAfter)
    }
}
