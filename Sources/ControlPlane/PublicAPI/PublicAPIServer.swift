// The controller's API over HTTP: what linkerd2 2.10's command line posts (`/api/v1/Version`, protobuf, errors in a header), the same as
// JSON for whoever asks for JSON, and the tap paths. gRPC comes to the same API by its own server, which hands everything else to this.
// Source: linkerd2 pkg/protohttp/protohttp.go.

import Base
import Documents
import GRPC
import HTTP
import Platform
import Transport

final class PublicAPIServer: HTTPRequestHandler {
    fileprivate let api: PublicAPI
    fileprivate let limits: ControlPlaneLimits
    private let metrics: MetricsRegistry

    init(api: PublicAPI, metrics: MetricsRegistry, limits: ControlPlaneLimits) {
        self.api = api
        self.metrics = metrics
        self.limits = limits
    }

    func request(_ stream: HTTPStream, _ head: RequestHead, endStream: Bool, peer: HTTPPeer) {
        let call = PublicCall(self, head)
        stream.handler = call
        if endStream { call.complete(stream) }
    }

    fileprivate func count(_ method: String, _ outcome: String) {
        metrics.counter("public_api_requests_total", help: "Calls of the controller's API by how they ended.", [("method", method), ("outcome", outcome)]).increment()
    }

    /// Version, SelfCheck and Components for gRPC clients.
    func register(on server: GRPCServer) {
        func method(_ name: String) -> GRPCMethod<[UInt8], any PublicMessage> {
            GRPCMethod(
                path: "/linkerd2.public.Api/\(name)", isServerStreaming: false, encodeRequest: { $0 }, decodeRequest: { $0 }, encodeResponse: { $0.protobuf }, decodeResponse: { _ in nil })
        }
        func status(_ error: PublicError) -> GRPCStatus { GRPCStatus(error.grpcCode, error.message) }
        server.register(method("Version"), unary: { [api] _, _, answer in answer(.success(api.versionInfo())) })
        server.register(method("SelfCheck"), unary: { [api] _, _, answer in api.selfCheck { answer($0.map { $0 as any PublicMessage }.mapError(status)) } })
        server.register(method("Components"), unary: { [api] _, _, answer in api.status { answer($0.map { $0 as any PublicMessage }.mapError(status)) } })
    }
}

extension PublicError {
    var grpcCode: GRPCStatus.Code {
        switch reason {
        case .malformed: .invalidArgument
        case .unauthenticated: .unauthenticated
        case .forbidden: .permissionDenied
        case .notFound: .notFound
        case .tooMany: .resourceExhausted
        case .unavailable: .unavailable
        case .internalError: .internal
        }
    }
}

/// One request and its answer.
private final class PublicCall: HTTPStreamHandler {
    private let server: PublicAPIServer
    private let head: RequestHead
    private var body: [UInt8] = []
    private var isOver = false
    private var label = "other"
    /// Ends the tap behind this stream.
    private var stop: (() -> Void)?

    init(_ server: PublicAPIServer, _ head: RequestHead) {
        self.server = server
        self.head = head
    }

    private var wantsJSON: Bool { head.method == .get || head.headers.first("accept")?.contains("application/json") == true }

    func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) {
        stream.acknowledge(bytes.byteCount)
        guard !isOver else { return }
        guard body.count + bytes.byteCount <= server.limits.publicBodyBytesMax else { return refuse(stream, PublicError(.malformed, "a request may have \(server.limits.publicBodyBytesMax) bytes")) }
        bytes.withUnsafeBytes { body.append(contentsOf: $0) }
        if endStream { complete(stream) }
    }

    func trailers(_ stream: HTTPStream, _ trailers: Headers) { complete(stream) }

    func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) {
        isOver = true
        stop?()
        stop = nil
    }

    func complete(_ stream: HTTPStream) {
        guard !isOver else { return }
        let target = head.path.description.split(separator: "?", maxSplits: 1)
        let parts = (target.first ?? "").split(separator: "/").map(String.init)
        guard head.method == .post || head.method == .get else { return refuse(stream, PublicError(.malformed, "only GET and POST are answered here")) }
        if parts.count == 3, parts[0] == "api", parts[1] == "v1" { return call(parts[2], namespace: parameter("namespace", target.count == 2 ? target[1] : ""), stream) }
        if parts.starts(with: ["apis", "tap.linkerd.io", "v1alpha1", "watch", "namespaces"]), parts.last == "tap", parts.count == 7 || parts.count == 9 {
            let isWhole = parts.count == 7
            return tap(TapTarget(namespace: parts[5], resource: isWhole ? "" : parts[6], name: isWhole ? "" : parts[7]), stream)
        }
        refuse(stream, PublicError(.notFound, "there is nothing at this path"))
    }

    private func call(_ method: String, namespace: String, _ stream: HTTPStream) {
        switch method {
        case "Version":
            label = method
            send(stream, server.api.versionInfo())
        case "SelfCheck":
            label = method
            server.api.selfCheck { [self] in finish(stream, $0) }
        case "Components":
            label = method
            server.api.status { [self] in finish(stream, $0) }
        default:
            if PublicAPI.telemetryMethods.contains(method) { label = method }
            server.api.telemetry(method, namespace: namespace, token: token, body: body) { [self] result in
                switch result {
                case .success(let bytes): respond(stream, 200, [("content-type", "application/x-protobuf")], bytes, "ok")
                case .failure(let error): refuse(stream, error)
                }
            }
        }
    }

    private func tap(_ target: TapTarget, _ stream: HTTPStream) {
        label = "Tap"
        server.api.openTap(target, token: token) { [self] result in
            guard !isOver else { return }
            switch result {
            case .failure(let error): refuse(stream, error)
            case .success(let source):
                server.count(label, "ok")
                stream.respond(ResponseHead(status: 200, headers: ["content-type": "application/octet-stream"]), endStream: false)
                stop = source.tap(target, body: body) { [self] message in
                    guard !isOver else { return }
                    // Four bytes of length, the lowest first, before each message. Source: linkerd2 pkg/protohttp.
                    let length = UInt32(message.count)
                    let framed = (0..<4).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } + message
                    stream.send(framed.span.bytes, endStream: false)
                } end: { [self] _ in
                    guard !isOver else { return }
                    isOver = true
                    stop = nil
                    stream.send(RawSpan(), endStream: true)
                }
            }
        }
    }

    // MARK: Words of HTTP

    /// Of `authorization: Bearer TOKEN`.
    private var token: String? {
        guard let value = head.headers.first("authorization"), value.utf8.count > 7, value.prefix(7).lowercased() == "bearer " else { return nil }
        return String(value.dropFirst(7))
    }

    private func parameter(_ name: String, _ query: Substring) -> String {
        for pair in query.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1)
            if parts.count == 2, parts[0] == name { return String(parts[1]) }
        }
        return ""
    }

    private func finish<Message: PublicMessage>(_ stream: HTTPStream, _ result: Result<Message, PublicError>) {
        switch result {
        case .success(let message): send(stream, message)
        case .failure(let error): refuse(stream, error)
        }
    }

    private func send(_ stream: HTTPStream, _ message: any PublicMessage) { respond(stream, 200, [("content-type", type)], form(message), "ok") }

    private func refuse(_ stream: HTTPStream, _ error: PublicError) {
        respond(stream, error.httpStatus, [("content-type", type), ("linkerd-error", error.message.split(whereSeparator: \.isNewline).joined(separator: " "))], form(error), error.reason.rawValue)
    }

    private func respond(_ stream: HTTPStream, _ status: UInt16, _ headers: [(String, String)], _ body: [UInt8], _ outcome: String) {
        guard !isOver else { return }
        isOver = true
        server.count(label, outcome)
        stream.respond(status: status, headers: headers, body: body)
    }

    private var type: String { wantsJSON ? "application/json" : "application/x-protobuf" }

    private func form(_ message: any PublicMessage) -> [UInt8] {
        guard wantsJSON else { return message.protobuf }
        var bytes: [UInt8] = []
        message.json.json(into: &bytes)
        bytes.append(0x0a)
        return bytes
    }
}
