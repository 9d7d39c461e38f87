// One GET and its whole answer, for readiness and metrics of the cluster's own parts.

import Base
import HTTP
import Platform
import Transport

final class HTTPFetch: HTTPStreamHandler {
    private let client: HTTPClient
    private let host: any Host
    private let bytesMax: Int
    private var status: UInt16 = 0
    private var body: [UInt8] = []
    private var done: ((UInt16, [UInt8]) -> Void)?

    /// `done` hears status and body once; status 0: there was no answer.
    @discardableResult
    init(batch: FlushBatch, address: SocketAddress, path: String, bytesMax: Int = LocalClusterLimits().outputBytesMax, done: @escaping (_ status: UInt16, _ body: [UInt8]) -> Void) {
        host = batch.host
        self.bytesMax = bytesMax
        self.done = done
        client = HTTPClient(version: .http11, connector: TCPConnector(host: batch.host, address: address, options: ConnectOptions(timeout: .seconds(2))), batch: batch)
        let head = RequestHead(method: .get, authority: HTTPText("\(address)"), path: HTTPText(path))
        do throws(Refusal) { _ = try client.send(head, endStream: true, handler: self) } catch { finish() }
    }

    func response(_ stream: HTTPStream, _ head: ResponseHead, endStream: Bool) {
        status = head.status
        if endStream { finish() }
    }

    func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) {
        if body.count < bytesMax { body += bytes.array() }
        stream.acknowledge(bytes.byteCount)
        if endStream { finish() }
    }

    func trailers(_ stream: HTTPStream, _ trailers: Headers) { finish() }

    func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) {
        status = 0
        finish()
    }

    /// In a turn of its own: the client may still be looking at us.
    private func finish() {
        guard let done else { return }
        self.done = nil
        host.after(.zero) { [self] in
            client.close()
            done(status, body)
        }
    }
}
