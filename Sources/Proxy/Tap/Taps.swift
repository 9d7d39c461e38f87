// Requests shown to whoever watches: each tap sees those that it matches, up to its limit, with their answers and ends. While nobody
// watches a request costs one look at an empty list. Absent on purpose: waiting for a slow watcher; what does not fit is not shown.
// Source: linkerd2-proxy linkerd/proxy/tap; facts 6.

import Base
import GRPC
import HTTP
import MeshAPI
import Platform
import SwiftProtobuf
import Transport

/// One watcher.
final class TapSession {
    fileprivate let match: TapMatch
    fileprivate let showsHeaders: Bool
    /// Requests that it may still take.
    fileprivate var left: UInt32
    fileprivate var open = 0
    fileprivate let base: UInt32
    fileprivate var streams: UInt64 = 0
    fileprivate let stream: ResponseStream<Mesh.Tap.TapEvent>

    fileprivate init(_ match: TapMatch, showsHeaders: Bool, limit: UInt32, base: UInt32, stream: ResponseStream<Mesh.Tap.TapEvent>) {
        self.match = match
        self.showsHeaders = showsHeaders
        left = limit
        self.base = base
        self.stream = stream
    }
}

extension HTTPExchange {
    /// What broke the exchange, as HTTP/2 would say it.
    var tapReset: UInt32? { isCancelled ? HTTP2ErrorCode.cancel : error == nil ? nil : HTTP2ErrorCode.internalError }
}

extension ResourceName {
    var tapLabels: [Label] {
        [Label(name: "group", value: group), Label(name: "kind", value: kind), Label(name: "name", value: name)].filter { !$0.value.isEmpty }
    }
}

/// One attempt at a request, as those see it that watch it.
final class TappedRequest {
    fileprivate var sessions: [(session: TapSession, id: UInt64)]
    /// What stands in every event.
    fileprivate let frame: Mesh.Tap.TapEvent
    fileprivate let began: Instant
    fileprivate var answered: Instant?

    fileprivate init(_ sessions: [(session: TapSession, id: UInt64)], frame: Mesh.Tap.TapEvent, began: Instant) {
        self.sessions = sessions
        self.frame = frame
        self.began = began
    }
}

final class Taps {
    private let host: any Host
    private var sessions: [TapSession] = []
    private var count: UInt32 = 0

    init(host: any Host) { self.host = host }

    /// Nobody watches.
    var isEmpty: Bool { sessions.isEmpty }
    var sessionCount: Int { sessions.count }

    // MARK: Watching

    /// Serves `Observe`.
    func observe(_ request: Mesh.Tap.ObserveRequest, _ stream: ResponseStream<Mesh.Tap.TapEvent>) {
        guard request.limit > 0 else { return stream.finish(GRPCStatus(.invalidArgument, "limit must be positive")) }
        guard request.hasMatch else { return stream.finish(GRPCStatus(.invalidArgument, "match is missing")) }
        guard sessions.count < ProxyLimits.tapsMax else { return stream.finish(GRPCStatus(.resourceExhausted, "\(sessions.count) taps are open already")) }
        do throws(Refusal) {
            let match = try TapMatch(request.match)
            var showsHeaders = false
            if case .http(let http)? = request.extract.extract, case .headers? = http.extract { showsHeaders = true }
            count &+= 1
            let session = TapSession(match, showsHeaders: showsHeaders, limit: request.limit, base: count, stream: stream)
            sessions.append(session)
            stream.onCancel = { [self, unowned session] in sessions.removeAll { $0 === session } }
        } catch { stream.finish(GRPCStatus(.invalidArgument, error.reason)) }
    }

    private func finishIfDone(_ session: TapSession) {
        guard session.left == 0, session.open == 0 else { return }
        sessions.removeAll { $0 === session }
        session.stream.finish(.ok)
    }

    // MARK: Requests

    /// `exchange` is given to an endpoint with this head.
    func began(_ exchange: HTTPExchange, _ subject: TapSubject) {
        var taken: [(session: TapSession, id: UInt64)] = []
        for session in sessions where session.left > 0 && session.stream.hasRoom && session.match.matches(subject) {
            session.left -= 1
            session.open += 1
            session.streams += 1
            taken.append((session, session.streams))
        }
        if taken.isEmpty { return }
        var frame = Mesh.Tap.TapEvent()
        if let source = subject.source { frame.source = Mesh.Net.TcpAddress(source) }
        frame.destination = Mesh.Net.TcpAddress(subject.destination)
        for label in subject.destinationLabels { frame.destinationMeta.labels[label.name] = label.value }
        for label in subject.routeLabels { frame.routeMeta.labels[label.name] = label.value }
        for (name, value) in subject.sourceTLS { frame.sourceMeta.labels[name] = value }
        for (name, value) in subject.destinationTLS { frame.destinationMeta.labels[name] = value }
        frame.proxyDirection = subject.isInbound ? .inbound : .outbound
        let tapped = TappedRequest(taken, frame: frame, began: host.now)
        exchange.tapped = tapped
        let head = subject.head
        send(tapped) { session, id, http in
            http.requestInit = .with {
                $0.id = id
                $0.method = Self.method(head.method)
                $0.scheme = .with { $0.registered = .http }
                $0.authority = "\(head.authority)"
                $0.path = String(RouteTable.split("\(head.path)").path)
                if session.showsHeaders {
                    $0.headers = Self.headers(head.headers, head.version == .http2 ? [(":method", "\(head.method)"), (":scheme", "http"), (":authority", "\(head.authority)"), (":path", "\(head.path)")] : [])
                }
            }
        }
    }

    /// The endpoint's answer has begun.
    func answered(_ exchange: HTTPExchange, _ head: ResponseHead) {
        guard let tapped = exchange.tapped, tapped.answered == nil else { return }
        tapped.answered = host.now
        let since = host.now - tapped.began
        let isHTTP2 = head.version == .http2
        send(tapped) { session, id, http in
            http.responseInit = .with {
                $0.id = id
                $0.sinceRequestInit = Mesh.duration(since)
                $0.httpStatus = UInt32(head.status)
                if session.showsHeaders { $0.headers = Self.headers(head.headers, isHTTP2 ? [(":status", "\(head.status)")] : []) }
            }
        }
    }

    /// This attempt is over. `reset`: the HTTP/2 code of what broke it; nil: it was answered whole.
    func ended(_ exchange: HTTPExchange, reset: UInt32?) {
        guard let tapped = exchange.tapped else { return }
        exchange.tapped = nil
        let now = host.now
        let code = exchange.grpcStatus?.rawValue
        send(tapped) { _, id, http in
            http.responseEnd = .with {
                $0.id = id
                $0.sinceRequestInit = Mesh.duration(now - tapped.began)
                if let answered = tapped.answered { $0.sinceResponseInit = Mesh.duration(now - answered) }
                if let reset { $0.eos.resetErrorCode = reset } else if let code { $0.eos.grpcStatusCode = code } else { $0.eos = .init() }
            }
        }
        for (session, _) in tapped.sessions {
            session.open -= 1
            finishIfDone(session)
        }
    }

    private func send(_ tapped: TappedRequest, _ fill: (TapSession, Mesh.Tap.TapEvent.Http.StreamId, inout Mesh.Tap.TapEvent.Http) -> Void) {
        for (session, id) in tapped.sessions where session.stream.hasRoom {
            var event = tapped.frame
            var http = Mesh.Tap.TapEvent.Http()
            fill(session, .with { ($0.base, $0.stream) = (session.base, id) }, &http)
            event.http = http
            session.stream.send(event)
        }
    }

    private static func headers(_ headers: Headers, _ pseudo: [(String, String)]) -> Mesh.HTTPTypes.Headers {
        Mesh.HTTPTypes.Headers(pseudo.map { (name: $0.0, value: Array($0.1.utf8)) } + headers.list.map { (name: $0.name, value: Array($0.value.utf8)) })
    }

    private static func method(_ method: HTTPMethod) -> Mesh.HTTPTypes.HttpMethod {
        .with {
            switch method {
            case .get: $0.registered = .get
            case .post: $0.registered = .post
            case .put: $0.registered = .put
            case .delete: $0.registered = .delete
            case .patch: $0.registered = .patch
            case .options: $0.registered = .options
            case .connect: $0.registered = .connect
            case .head: $0.registered = .head
            case .trace: $0.registered = .trace
            case .other(let text): $0.unregistered = text
            }
        }
    }
}
