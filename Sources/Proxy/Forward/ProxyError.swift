// What the proxy itself answers when a request cannot be forwarded or must not be: cause, status, gRPC status, and whether the
// client's connection is done for. Source: linkerd2-proxy linkerd/app/core/src/errors, outbound and inbound http/server.rs.

import Base
import GRPC
import HTTP
import Transport

enum ProxyError: Error, Hashable, Sendable {
    case routeNotFound
    case failfast(String)
    case loadShed
    case timeout(Timeout)
    case connectTimeout(String)
    /// The upstream cannot be reached, went away, or does not speak HTTP; the text says which.
    case upstream(String)
    /// The next hop does not know what the request asks for.
    case notImplemented(String)
    case identityRequired(String)
    case backendFailed(String)
    case unauthorized(String)
    case invalidPolicy(String)
    case injected(status: UInt16, String)
    case injectedGRPC(code: UInt32, String)
    /// Inbound: more than the policy allows; the text names the scope and the rate.
    case rateLimited(String)
    /// This proxy is no gateway for that name.
    case gatewayDomainInvalid
    /// The request has been here before.
    case gatewayLoop

    /// Which time is over. Source: linkerd2-proxy linkerd/http/stream-timeouts.
    enum Timeout: Sendable {
        /// The whole exchange.
        case request
        /// From the end of the request to the end of its response.
        case response
        /// No frame either way.
        case idle
        /// From the end of the request to the head of its response, of one attempt.
        case head
        /// A profile's: to the head of the response, all attempts among it.
        case profile
    }

    init(_ failure: HTTPStreamFailure) {
        if case .connectFailed(let reason) = failure, reason.reason == .timedOut {
            self = .connectTimeout("\(failure)")
        } else {
            self = .upstream("\(failure)")
        }
    }

    var status: UInt16 {
        switch self {
        case .routeNotFound, .gatewayDomainInvalid: 404
        case .gatewayLoop: 508
        case .failfast, .timeout, .connectTimeout: 504
        case .loadShed: 503
        case .rateLimited: 429
        case .upstream, .identityRequired, .backendFailed: 502
        case .unauthorized: 403
        case .notImplemented: 501
        case .invalidPolicy: 500
        case .injected(let status, _): status
        case .injectedGRPC: 200
        }
    }

    var grpcCode: GRPCStatus.Code {
        switch self {
        case .routeNotFound, .gatewayDomainInvalid: .notFound
        case .gatewayLoop: .aborted
        case .failfast, .timeout, .connectTimeout: .deadlineExceeded
        case .rateLimited: .resourceExhausted
        case .loadShed, .upstream, .identityRequired, .backendFailed: .unavailable
        case .unauthorized: .permissionDenied
        case .notImplemented: .unimplemented
        case .invalidPolicy: .internal
        case .injected: .failedPrecondition
        case .injectedGRPC(let code, _): GRPCStatus.Code(rawValue: code) ?? .unknown
        }
    }

    /// By the time that a route sees it this is an answer of the endpoint.
    var isOfEndpoint: Bool {
        switch self {
        case .upstream, .connectTimeout: true
        default: false
        }
    }

    /// The client should open a new connection for what it asks next.
    var closesConnection: Bool {
        switch self {
        case .failfast, .loadShed, .connectTimeout, .upstream, .identityRequired, .backendFailed, .invalidPolicy, .gatewayLoop: true
        case .routeNotFound, .gatewayDomainInvalid, .timeout, .notImplemented, .rateLimited, .unauthorized, .injected, .injectedGRPC: false
        }
    }

    /// The value of the `error` label. Source: shared facts on the data plane, 5.4.
    var label: String {
        switch self {
        case .failfast: "failfast"
        case .loadShed: "loadshed"
        case .connectTimeout, .upstream: "i/o"
        case .identityRequired: "identity required"
        case .timeout: "response timeout"
        case .gatewayDomainInvalid: "gateway domain invalid"
        case .gatewayLoop: "gateway loop"
        default: "unexpected"
        }
    }

    /// The same inbound; nil: policy refused, which is counted by itself.
    var inboundLabel: String? {
        switch self {
        case .routeNotFound, .unauthorized, .rateLimited: nil
        case .identityRequired, .timeout: "unexpected"
        default: label
        }
    }

    /// For `l5d-proxy-error`, `grpc-message` and logs.
    var message: String {
        switch self {
        case .routeNotFound: "no route found for request"
        case .gatewayDomainInvalid: "gateway domain invalid"
        case .gatewayLoop: "gateway loop"
        case .failfast(let name): "\(name): service in fail-fast"
        case .loadShed: "service unavailable"
        case .timeout(.request): "request timed out"
        case .timeout(.response): "response stream timed out"
        case .timeout(.idle): "stream idle for too long"
        case .timeout(.head), .timeout(.profile): "timed out waiting for response headers"
        case .identityRequired(let text): "identity required: \(text)"
        case .unauthorized(let text): text
        case .connectTimeout(let text), .upstream(let text), .notImplemented(let text), .backendFailed(let text), .invalidPolicy(let text), .rateLimited(let text), .injected(_, let text), .injectedGRPC(_, let text): text
        }
    }

    /// The head that answers the request. An error never has a body.
    func response(isGRPC: Bool, informs: Bool) -> ResponseHead {
        var headers = Headers()
        if isGRPC {
            for field in GRPCFields.trailersOnly(GRPCStatus(grpcCode, message)) { headers.add(field.name, field.value) }
        } else {
            headers.add("content-length", "0")
        }
        if informs {
            headers.add("l5d-proxy-error", Self.fieldValue(message))
            if closesConnection { headers.add("l5d-proxy-connection", "close") }
        }
        return ResponseHead(status: isGRPC ? 200 : status, headers: headers)
    }

    /// Messages may quote what a peer sent; a field value may only hold visible ASCII and spaces (RFC 9110 section 5.5).
    private static func fieldValue(_ text: String) -> String {
        String(decoding: text.utf8.prefix(512).map { $0 >= 0x20 && $0 < 0x7f ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
    }
}
