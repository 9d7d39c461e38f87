// The HTTPS end of a webhook: bodies collected within bounds of size, time and memory, judged, and answered. Paths do not matter,
// since a process judges one kind of question. Source: linkerd2 controller/webhook/server.go.

import Base
import Documents
import HTTP
import Platform
import TLS
import Transport

/// Judges the reviews that a webhook is asked.
protocol AdmissionJudge: AnyObject {
    /// Answers exactly once, at once or later.
    func judge(_ request: AdmissionRequest, _ answer: @escaping (AdmissionVerdict) -> Void)
}

final class WebhookServer: HTTPRequestHandler {
    let host: any Host
    let limits: ControlPlaneLimits
    fileprivate let judge: any AdmissionJudge
    private let metrics: MetricsRegistry
    private let took: Histogram
    private var server: HTTPServer?
    /// Bytes of bodies now held.
    fileprivate var bodyBytes = 0

    init(batch: FlushBatch, address: SocketAddress, certificate: ServingCertificate, judge: any AdmissionJudge, metrics: MetricsRegistry, limits: ControlPlaneLimits) throws(HostFailure) {
        host = batch.host
        self.judge = judge
        self.metrics = metrics
        self.limits = limits
        // An answer is a matter of milliseconds; an API server waits 10 s at most.
        took = metrics.histogram(
            "webhook_handling_seconds", help: "Time from a review's last byte to its answer.", bounds: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10])
        server = try HTTPServer(batch: batch, address: address, newestTLS: { certificate.configuration }, handler: self)
    }

    var address: SocketAddress { server?.address ?? SocketAddress(.any, 0) }

    func drain(_ done: @escaping () -> Void) { if let server { server.drain(done) } else { done() } }

    func close() {
        server?.close()
        server = nil
    }

    func request(_ stream: HTTPStream, _ head: RequestHead, endStream: Bool, peer: HTTPPeer) {
        guard head.method == .post else { return refuse(stream, 405, "only POST is answered here", headers: [("allow", "POST")], label: "method") }
        if let type = head.headers.first("content-type"), !type.lowercased().hasPrefix("application/json") {
            return refuse(stream, 415, "content-type must be application/json", label: "media_type")
        }
        if let length = head.headers.first("content-length").flatMap({ Int($0) }), length > limits.webhookBodyBytesMax { return refuseLarge(stream) }
        if endStream { return refuse(stream, 400, "the body is empty", label: "garbage") }
        let call = WebhookBody(self, stream)
        stream.handler = call
    }

    fileprivate func refuseLarge(_ stream: HTTPStream) { refuse(stream, 413, "a review may have \(limits.webhookBodyBytesMax) bytes", label: "too_large") }

    /// Closes what is left of the request: what is refused is not read to its end.
    fileprivate func refuse(_ stream: HTTPStream, _ status: UInt16, _ reason: String, headers: [(String, String)] = [], label: String) {
        count(label)
        host.log(.warn, "webhook", "a request was refused with \(status): \(reason)")
        stream.respond(status: status, headers: headers + [("content-type", "text/plain; charset=utf-8"), ("connection", "close")], body: Array((reason + "\n").utf8))
    }

    fileprivate func complete(_ stream: HTTPStream, _ body: [UInt8]) {
        let began = host.now
        var documents = DocumentLimits()
        documents.textBytesMax = limits.webhookBodyBytesMax
        switch AdmissionReview.read(body, limits: documents) {
        case .garbage(let reason): refuse(stream, 400, reason, label: "garbage")
        case .unusable(let uid, let version, let reason):
            host.log(.warn, "webhook", "a review cannot be judged: \(reason)")
            send(stream, uid, version, .refused(reason, code: 400), began, label: "unusable")
        case .review(let review):
            var isAnswered = false
            judge.judge(review.request) { [self] verdict in
                invariant(!isAnswered, "a review is answered once")
                isAnswered = true
                send(stream, review.request.uid, review.version, verdict, began, label: verdict.isAllowed ? "allowed" : "denied")
            }
        }
    }

    private func send(_ stream: HTTPStream, _ uid: String, _ version: AdmissionReview.Version, _ verdict: AdmissionVerdict, _ began: Instant, label: String) {
        count(label)
        took.observe(Double((host.now - began).nanoseconds) / 1e9)
        var bytes: [UInt8] = []
        AdmissionReview.answer(uid: uid, version: version, verdict).json(into: &bytes)
        stream.respond(status: 200, headers: [("content-type", "application/json")], body: bytes)
    }

    private func count(_ outcome: String) {
        metrics.counter("webhook_reviews_total", help: "Requests to the webhook by how they ended.", [("outcome", outcome)]).increment()
    }
}

/// Collects one body.
private final class WebhookBody: HTTPStreamHandler {
    private let server: WebhookServer
    private var bytes: [UInt8] = []
    private var timer: TimerID?
    private var isOver = false

    init(_ server: WebhookServer, _ stream: HTTPStream) {
        self.server = server
        timer = server.host.after(server.limits.webhookBodyTimeout) { [self] in
            timer = nil
            end()
            server.refuse(stream, 408, "the body did not come within \(server.limits.webhookBodyTimeout)", label: "timeout")
        }
    }

    func data(_ stream: HTTPStream, _ span: RawSpan, endStream: Bool) {
        stream.acknowledge(span.byteCount)
        guard !isOver else { return }
        guard bytes.count + span.byteCount <= server.limits.webhookBodyBytesMax else {
            end()
            return server.refuseLarge(stream)
        }
        guard server.bodyBytes + span.byteCount <= server.limits.webhookBodiesBytesMax else {
            end()
            return server.refuse(stream, 503, "too many reviews at once", headers: [("retry-after", "1")], label: "overload")
        }
        server.bodyBytes += span.byteCount
        span.withUnsafeBytes { bytes.append(contentsOf: $0) }
        if endStream { complete(stream) }
    }

    func trailers(_ stream: HTTPStream, _ trailers: Headers) { complete(stream) }
    func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) { end() }

    private func complete(_ stream: HTTPStream) {
        guard !isOver else { return }
        let body = bytes
        end()
        server.complete(stream, body)
    }

    private func end() {
        isOver = true
        server.bodyBytes -= bytes.count
        bytes = []
        if let timer { server.host.cancel(timer) }
        timer = nil
    }
}
