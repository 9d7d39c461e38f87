// One request on its way through the server: its body is collected within a bound, then it is served once, and its answer is
// sent whole or handed to a watch.

import Base
import Documents
import HTTP
import Kube
import OrderedCollections
import Transport

final class Exchange: HTTPStreamHandler {
    let stream: HTTPStream
    let head: RequestHead
    let peer: HTTPPeer
    private(set) var body: [UInt8] = []
    private let bytesMax: Int
    private var serve: ((Exchange) -> Void)?
    /// Told when the client goes away before the answer is complete.
    var onFailure: (() -> Void)?
    /// Told when a blocked stream can take more.
    var onWritable: (() -> Void)?
    private(set) var isAnswered = false
    /// Told once when the answer begins, with its status and, of a failure, the document that explains it; once more when an answer that went
    /// on is over (nil).
    var onAnswer: ((UInt16?, KubeStatus?) -> Void)?
    /// Sent with the answer, besides its own.
    var extraHeaders: [(String, String)] = []

    init(_ stream: HTTPStream, _ head: RequestHead, peer: HTTPPeer, bytesMax: Int, serve: @escaping (Exchange) -> Void) {
        self.stream = stream
        self.head = head
        self.peer = peer
        self.bytesMax = bytesMax
        self.serve = serve
    }

    /// The whole request has arrived.
    func complete() {
        let serve = serve
        self.serve = nil
        serve?(self)
    }

    func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) {
        stream.acknowledge(bytes.byteCount)
        guard serve != nil else { return }
        guard body.count + bytes.byteCount <= bytesMax else {
            serve = nil
            let status = KubeStatus(code: 413, reason: .requestEntityTooLarge, message: "Request entity too large: limit is \(bytesMax)")
            return answer(status.code, type: "application/json", Array(status.value.json().utf8))
        }
        bytes.withUnsafeBytes { body.append(contentsOf: $0) }
        if endStream { complete() }
    }

    func trailers(_ stream: HTTPStream, _ trailers: Headers) { complete() }

    func writable(_ stream: HTTPStream) { onWritable?() }

    func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) {
        serve = nil
        isAnswered = true
        let tell = onFailure
        release()
        tell?()
        tellEnd()
    }

    // MARK: Answering

    func answer(_ status: UInt16, type: String, _ bytes: [UInt8], warnings: [String] = [], failure: KubeStatus? = nil) {
        guard !isAnswered else { return }
        isAnswered = true
        onAnswer?(status, failure)
        onAnswer = nil
        var headers: [(String, String)] = [("content-type", type), ("cache-control", "no-cache, private")] + extraHeaders
        for warning in warnings { headers.append(("warning", "299 - \(Value.string(warning).json())")) }
        // A HEAD request is answered with the same head and no body (RFC 9110 section 9.3.2).
        if head.method == .head {
            var fields = Headers()
            for (name, value) in headers { fields.add(name, value) }
            fields.add("content-length", String(bytes.count))
            stream.respond(ResponseHead(status: status, headers: fields), endStream: true)
        } else {
            stream.respond(status: status, headers: headers, body: bytes)
        }
        release()
    }

    /// Begins an answer that goes on.
    func begin(type: String) {
        isAnswered = true
        onAnswer?(200, nil)
        var headers = Headers()
        for (name, value) in [("content-type", type), ("cache-control", "no-cache, private")] + extraHeaders { headers.add(name, value) }
        stream.respond(ResponseHead(status: 200, headers: headers), endStream: false)
    }

    func end() {
        stream.send([UInt8]().span.bytes, endStream: true)
        release()
        tellEnd()
    }

    private func tellEnd() {
        let tell = onAnswer
        onAnswer = nil
        tell?(nil, nil)
    }

    private func release() {
        onFailure = nil
        onWritable = nil
        stream.handler = nil
    }
}
