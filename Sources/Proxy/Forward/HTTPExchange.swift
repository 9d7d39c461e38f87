// One request on its way through the proxy: the caller's stream and the callee's, joined under back-pressure. It is handler of
// both, so a request costs one object. Which callee, and what the heads must look like, is decided by the side that owns it;
// body bytes pass through untouched and are never gathered.

import Base
import GRPC
import HTTP
import Platform
import Transport

/// Decides and counts; one for each server.
protocol HTTPExchangeOwner: AnyObject {
    /// The response head, before it goes to the caller.
    func rewrite(_ head: inout ResponseHead, of exchange: HTTPExchange)
    /// The first response frame, or the end of a response without any.
    func answered(_ exchange: HTTPExchange, latency: Interval)
    /// The callee failed before it answered; the owner calls `fail` or sends again.
    func failed(_ exchange: HTTPExchange, _ failure: HTTPStreamFailure)
    /// Over, one way or the other. The last call.
    func ended(_ exchange: HTTPExchange)
}

final class HTTPExchange: HTTPStreamHandler {
    /// As it came.
    private(set) var head: RequestHead
    let started: Instant
    let owner: any HTTPExchangeOwner
    /// Outbound: the endpoint that got the request.
    var endpoint: HTTPEndpoint?
    /// Inbound: the connection it came on.
    var link: InboundLink?
    /// Where the sizes of frames are counted.
    var requestFrames: Histogram?
    var responseFrames: Histogram?
    /// Inbound: where the request is counted.
    var counters: InboundCounters?
    /// Outbound: where the application meant to go, the rule and its target that were found for the request, and what a profile
    /// calls the destination.
    var destination: SocketAddress?
    /// What its name leads to, for a request that goes by its name.
    var named: OutboundStack?
    /// A gateway's: the version that the caller's proxy carries in HTTP/2.
    var carriedVersion: HTTPVersion?
    var rule: HTTPRouter.PreparedRule?
    var target: HTTPRouter.Target?
    var canonical: String?
    var profileRoute: ProfileRoutes.Route?
    /// Timeouts and retries; nil for routes without.
    var attempts: Attempts?
    /// Of requests that belong to a trace, if there is a collector.
    var trace: RequestTrace?
    /// While somebody watches it.
    var tapped: TappedRequest?
    /// The endpoint's load counts this request as in flight.
    var isLoadHeld = false
    /// Our own errors say what went wrong in `l5d-proxy-error`.
    var informs = true
    /// The version that the caller's application speaks, when it travels in HTTP/2 between proxies.
    var originalVersion: HTTPVersion?

    private(set) var status: UInt16?
    /// `grpc-status` of the response, if any was seen.
    private(set) var grpcStatus: GRPCStatus.Code?
    /// Why it did not end well.
    private(set) var error: ProxyError?
    /// The caller went away before the end.
    private(set) var isCancelled = false
    /// When the callee was given the request.
    private(set) var sent: Instant?

    private let host: any Host
    private var caller: HTTPStream?
    private var callee: HTTPStream?
    /// Request bytes and trailers that came before there was a callee.
    private var held = ByteBuffer()
    private var heldTrailers: Headers?
    /// The whole request is here.
    private(set) var isRequestEnded: Bool {
        didSet { if isRequestEnded { requestEnded = host.now } }
    }
    private(set) var requestEnded: Instant?
    /// What is held was acknowledged when it was given to an earlier callee.
    private var isReplay = false
    private var isResponseEnded = false
    /// The heads are exchanged and bytes of a tunnel flow, each way until its own end.
    private var isTunnel = false
    private var isAnswered = false
    private var unacknowledgedUp = 0
    private var unacknowledgedDown = 0

    init(caller: HTTPStream, head: RequestHead, endStream: Bool, host: any Host, owner: any HTTPExchangeOwner) {
        self.caller = caller
        self.head = head
        self.host = host
        self.owner = owner
        started = host.now
        isRequestEnded = endStream
        if endStream { requestEnded = started }
        caller.handler = self
    }

    var isGRPC: Bool { head.version == .http2 && originalVersion == nil && GRPCFields.isGRPC(contentType: head.headers.first("content-type")) }
    /// The request asks to turn the connection into a tunnel: CONNECT, or Upgrade to anything but h2c.
    var isUpgrade: Bool { head.version != .http2 && (head.method == .connect || head.headers.withFirst("upgrade") { !$0.elementsEqual([UInt8]("h2c")) } ?? false) }
    var isOver: Bool { caller == nil }
    /// Where it came from; nil when the caller has gone.
    var callerAddress: SocketAddress? { caller?.connection?.connection?.remoteAddress }

    // MARK: What the owner asks for

    /// Outbound: this is where it goes, and where it is counted.
    func take(_ rule: HTTPRouter.PreparedRule, _ target: HTTPRouter.Target) {
        self.rule = rule
        self.target = target
        requestFrames = rule.series?.frames
        responseFrames = target.series?.frames
    }

    /// Gives the request to a callee. `head` is what it gets.
    func send(_ head: RequestHead, through client: HTTPClient, singleUse: Bool = false) {
        guard head.tunnelProtocol != nil else { return give(head, client, singleUse: singleUse) }
        client.whenSettled { [self] failure in
            guard caller != nil, callee == nil else { return }
            if let failure { owner.failed(self, failure) } else { give(head, client, singleUse: singleUse) }
        }
    }

    private func give(_ head: RequestHead, _ client: HTTPClient, singleUse: Bool) {
        guard caller != nil, callee == nil else { return }
        let endsNow = isRequestEnded && held.isEmpty && heldTrailers == nil
        sent = host.now
        do throws(Refusal) {
            let stream = try client.send(head, endStream: endsNow, singleUse: singleUse, handler: self)
            callee = stream
            if endsNow {
                attempts?.sent(self)
                return
            }
            if !held.isEmpty {
                let count = held.count
                let endStream = isRequestEnded && heldTrailers == nil
                held.withBytes { stream.send($0, endStream: endStream) }
                held.release()
                if !isReplay { acknowledgeUp(count, stream) }
            }
            if let heldTrailers {
                self.heldTrailers = nil
                stream.send(trailers: heldTrailers)
            }
            attempts?.sent(self)
        } catch {
            // RFC 9220 section 3 and RFC 8441: what the next hop does not offer is not implemented.
            if head.tunnelProtocol != nil { return fail(.notImplemented(error.reason)) }
            owner.failed(self, .reset(PeerError(.stream, code: HTTP2ErrorCode.refusedStream, rule: error.reason)))
        }
    }

    /// Answers the caller with an error of our own, or, when its response is already under way, breaks it off.
    func fail(_ error: ProxyError) {
        guard let caller else { return }
        if let attempts, attempts.takes(error, of: self) { return }
        self.error = error
        if isAnswered {
            callee?.reset(code: HTTP2ErrorCode.cancel)
            callee = nil
            if isGRPC, isRequestEnded {
                var trailers = Headers()
                for field in GRPCStatus(error.grpcCode, error.message).fields { trailers.add(field.name, field.value) }
                grpcStatus = error.grpcCode
                caller.send(trailers: trailers)
            } else {
                caller.reset(code: HTTP2ErrorCode.internalError)
            }
            finish()
            return
        }
        if error.closesConnection, head.version != .http2 { caller.connection?.drain() }
        answer(error.response(isGRPC: isGRPC, informs: informs))
    }

    /// Answers the caller without asking anybody.
    func answer(_ response: ResponseHead) {
        guard let caller, !isAnswered else { return }
        callee?.reset(code: HTTP2ErrorCode.cancel)
        callee = nil
        isAnswered = true
        var response = response
        status = response.status
        if isGRPC, let code = response.headers.first("grpc-status") { grpcStatus = UInt32(code).flatMap { GRPCStatus.Code(rawValue: $0) } }
        owner.rewrite(&response, of: self)
        caller.respond(response, endStream: true)
        if !isRequestEnded { caller.reset(code: HTTP2ErrorCode.noError) }
        tellLatency()
        finish()
    }

    /// Sends the caller elsewhere; for a gRPC call there is nothing here.
    func redirect(_ status: UInt16, _ location: String) {
        if isGRPC {
            var headers = Headers()
            for field in GRPCFields.trailersOnly(GRPCStatus(.notFound, "moved to \(location)")) { headers.add(field.name, field.value) }
            return answer(ResponseHead(status: 200, headers: headers))
        }
        answer(ResponseHead(status: status, headers: ["location": location, "content-length": "0"]))
    }

    /// Ends the caller's stream as the callee's was ended.
    func pass(_ reset: PeerError) {
        error = .upstream("stream reset: \(reset.rule)")
        caller?.reset(code: reset.code)
        callee = nil
        finish()
    }

    /// Takes the request back from its callee and keeps it, whole, for the next.
    func takeBack(_ body: RawSpan, trailers: Headers?) {
        callee?.reset(code: HTTP2ErrorCode.cancel)
        callee = nil
        endpoint = nil
        sent = nil
        status = nil
        grpcStatus = nil
        originalVersion = nil
        caller?.acknowledge(unacknowledgedUp + (isReplay ? 0 : held.count))
        unacknowledgedUp = 0
        isReplay = true
        held.removeAll()
        held.append(body)
        heldTrailers = trailers
    }

    // MARK: What the streams tell

    func response(_ stream: HTTPStream, _ head: ResponseHead, endStream: Bool) {
        guard stream === callee, let caller else { return }
        if head.isInformational, head.status != 101 {
            caller.respond(head, endStream: false)
            return
        }
        status = head.status
        if let code = head.headers.first("grpc-status") { grpcStatus = UInt32(code).flatMap { GRPCStatus.Code(rawValue: $0) } ?? .unknown }
        if let endpoint, endpoint.penalty != nil { endpoint.penalize(head, grpcStatus) }
        if let attempts, attempts.takes(head, endStream: endStream, of: self) { return }
        deliver(head, endStream: endStream, to: caller)
    }

    private func deliver(_ head: ResponseHead, endStream: Bool, to caller: HTTPStream) {
        var head = head
        owner.rewrite(&head, of: self)
        isAnswered = true
        isResponseEnded = endStream
        if head.status == 101 || self.head.method == .connect && head.status / 100 == 2 { beginTunnel() }
        caller.respond(head, endStream: endStream)
        if endStream { endResponse() }
    }

    /// On HTTP/1 the request was complete with its head, and now its side opens anew.
    private func beginTunnel() {
        isTunnel = true
        if head.version != .http2 { isRequestEnded = false }
        attempts?.cancel()
        attempts = nil
    }

    func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) {
        if stream === caller {
            if endStream { isRequestEnded = true }
            requestFrames?.observe(Double(bytes.byteCount))
            attempts?.requestData(self, bytes, endStream: endStream)
            guard let callee else {
                held.append(bytes)
                return
            }
            callee.send(bytes, endStream: endStream)
            acknowledgeUp(bytes.byteCount, callee)
            finishIfOver()
        } else if let caller {
            if let attempts, let head = attempts.released(self) { deliver(head, endStream: false, to: caller) }
            tellLatency()
            responseFrames?.observe(Double(bytes.byteCount))
            if endStream { isResponseEnded = true }
            caller.send(bytes, endStream: endStream)
            unacknowledgedDown += bytes.byteCount
            if caller.isWritable {
                stream.acknowledge(unacknowledgedDown)
                unacknowledgedDown = 0
            }
            if endStream { endResponse() }
        }
    }

    func trailers(_ stream: HTTPStream, _ trailers: Headers) {
        if stream === caller {
            isRequestEnded = true
            attempts?.requestTrailers(self, trailers)
            if let callee { callee.send(trailers: trailers) } else { heldTrailers = trailers }
            finishIfOver()
        } else if let caller {
            if let code = trailers.first("grpc-status") { grpcStatus = UInt32(code).flatMap { GRPCStatus.Code(rawValue: $0) } ?? .unknown }
            if let attempts {
                if let grpcStatus, attempts.takes(trailers: grpcStatus, of: self) { return }
                if let head = attempts.released(self) { deliver(head, endStream: false, to: caller) }
            }
            isResponseEnded = true
            caller.send(trailers: trailers)
            endResponse()
        }
    }

    func writable(_ stream: HTTPStream) {
        if stream === callee {
            let count = unacknowledgedUp
            unacknowledgedUp = 0
            caller?.acknowledge(count)
        } else {
            let count = unacknowledgedDown
            unacknowledgedDown = 0
            callee?.acknowledge(count)
        }
    }

    func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) {
        if stream === caller {
            isCancelled = true
            caller = nil
            callee?.reset(code: HTTP2ErrorCode.cancel)
            finish()
        } else if stream === callee {
            callee = nil
            if isAnswered {
                error = ProxyError(failure)
                caller?.reset(code: HTTP2ErrorCode.internalError)
                finish()
            } else {
                owner.failed(self, failure)
            }
        }
    }

    // MARK: Inside

    private func acknowledgeUp(_ count: Int, _ callee: HTTPStream) {
        unacknowledgedUp += count
        if callee.isWritable {
            let count = unacknowledgedUp
            unacknowledgedUp = 0
            caller?.acknowledge(count)
        }
    }

    private var isLatencyTold = false

    private func tellLatency() {
        if isLatencyTold { return }
        isLatencyTold = true
        owner.answered(self, latency: host.now - started)
    }

    private func endResponse() {
        tellLatency()
        if !isRequestEnded, !isTunnel {
            // An answer before the end of the question: nobody will read the rest.
            callee?.reset(code: HTTP2ErrorCode.noError)
            caller?.reset(code: HTTP2ErrorCode.noError)
            finish()
        } else {
            finishIfOver()
        }
    }

    private func finishIfOver() {
        if isRequestEnded, isResponseEnded { finish() }
    }

    private var isFinished = false

    private func finish() {
        if isFinished { return }
        isFinished = true
        attempts?.cancel()
        // What still waits for one side holds no window of the other's connection any more: no `writable` follows on a stream that has ended.
        caller?.acknowledge(unacknowledgedUp + (isReplay ? 0 : held.count))
        callee?.acknowledge(unacknowledgedDown)
        caller = nil
        callee = nil
        held.release()
        owner.ended(self)
        attempts = nil
        endpoint = nil
        counters = nil
        trace = nil
        tapped = nil
        link = nil
    }
}

extension RequestHead {
    /// CONNECT on HTTP/1 needs version 1.1 and an authority; why this one is answered with 400, nil if it is not.
    /// Source: linkerd2-proxy linkerd/proxy/http/src/upgrade.rs.
    var malformedUpgrade: String? {
        guard version != .http2, method == .connect else { return nil }
        return version == .http10 ? "CONNECT needs HTTP/1.1" : authority.isEmpty ? "CONNECT needs an authority" : nil
    }
}
