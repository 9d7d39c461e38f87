// The application behind every proxy of a pair: HTTP/1.1 and gRPC with answers of a kilobyte, and a port that swallows bytes and says
// how many. Its own speed is on nobody's account: it runs beside the load.

import Base
import GRPC
import HTTP
import Linux
import Platform
import Transport

/// HTTP/1.1, HTTP/2 and gRPC on one port, told apart by the preface.
private final class Answers: HTTPRequestHandler, HTTPStreamHandler {
    private let body: [UInt8]
    private let message: [UInt8]
    private let head: ResponseHead
    private let grpcHead: ResponseHead
    private let trailers: Headers = ["grpc-status": "0"]

    init(bodyBytes: Int) {
        body = [UInt8](repeating: UInt8(ascii: "y"), count: bodyBytes)
        message = GRPCMessage.frame(body)
        head = ResponseHead(status: 200, headers: ["content-type": "text/plain", "content-length": "\(bodyBytes)"])
        grpcHead = ResponseHead(status: 200, headers: ["content-type": "application/grpc"], version: .http2)
    }

    func request(_ stream: HTTPStream, _ head: RequestHead, endStream: Bool, peer: HTTPPeer) {
        stream.handler = self
        if endStream { answer(stream) }
    }

    func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) {
        stream.acknowledge(bytes.byteCount)
        if endStream { answer(stream) }
    }

    func trailers(_ stream: HTTPStream, _ trailers: Headers) { answer(stream) }
    func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) {}

    /// Over HTTP/2 every answer is a gRPC call's, which is HTTP for whoever does not look at its trailers.
    private func answer(_ stream: HTTPStream) {
        let (body, message) = (body, message)
        if stream.connection?.version == .http2 {
            stream.respond(grpcHead, endStream: false)
            stream.send(message.span.bytes, endStream: false)
            stream.send(trailers: trailers)
        } else {
            stream.respond(head, endStream: false)
            stream.send(body.span.bytes, endStream: true)
        }
    }
}

/// Swallows what comes and answers the end with its length.
private final class Sink: AcceptHandler {
    private final class Mouth: ConnectionHandler {
        private var count = 0
        func received(_ bytes: RawSpan, on connection: any Connection) { count += bytes.byteCount }
        func finished(_ connection: any Connection) {
            connection.send(Array("\(count)\n".utf8))
            connection.finish()
        }
        func closed(_ connection: any Connection, _ failure: HostFailure?) {}
    }

    func accepted(_ connection: any Connection) { connection.handler = Mouth() }
}

/// Serves HTTP/1.1 and gRPC on one port of an address and swallows bytes on the other, until it is told to stop; drains then.
func serveBackend(_ ip: IPAddress, httpPort: UInt16, bytesPort: UInt16, bodyBytes: Int) throws -> Never {
    let host = try benchHost()
    let answers = Answers(bodyBytes: bodyBytes)
    let server = try HTTPServer(batch: FlushBatch(host: host), address: SocketAddress(ip, httpPort), handler: answers)
    let sink = Sink()
    let listener = try host.network.listen(on: SocketAddress(ip, bytesPort), options: ListenOptions(), handler: sink)
    host.onShutdown {
        listener.close()
        server.drain { host.exit(0) }
    }
    withExtendedLifetime((answers, server, sink)) { host.runProcess() }
}
