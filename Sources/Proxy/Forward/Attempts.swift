// The attempts at one request and the time they may take. It sees the outcome of an attempt before the caller does, and either
// lets it pass or takes the request back for another try. Made only for requests whose route asks for it; all its deadlines
// share one timer. Nothing is tried again once the caller has seen the head of a response, or while the request still comes in.
// Source: linkerd2-proxy linkerd/http/retry and http/stream-timeouts, shared facts on the data plane 2.12, 2.13.

import Base
import GRPC
import HTTP
import Platform

/// Sends a request once more.
protocol AttemptOwner: AnyObject {
    /// Some backend of the request's rule has an endpoint that would take it now.
    func canSendAgain(_ exchange: HTTPExchange) -> Bool
    /// An attempt is over and the request is not. `error`: why it broke; nil if it was answered.
    func attemptEnded(_ exchange: HTTPExchange, error: ProxyError?)
    func sendAgain(_ exchange: HTTPExchange)
    /// How long to wait before the retry with this number, from 0.
    func wait(_ retry: Retry, _ number: UInt32) -> Interval
}

final class Attempts {
    let plan: RetryPlan
    let router: HTTPRouter
    private let host: any Host
    private let owner: any AttemptOwner
    private var replay: ReplayBody
    private var retries: UInt32 = 0
    /// A head that may turn out to be that of a failed gRPC call, until its first frame is there.
    private var heldHead: ResponseHead?
    private var isAnswered = false
    private var isSent = false

    init(plan: RetryPlan, router: HTTPRouter, exchange: HTTPExchange, host: any Host, owner: any AttemptOwner) {
        self.plan = plan
        self.router = router
        self.host = host
        self.owner = owner
        replay = ReplayBody(bytesMax: plan.mayRetry ? plan.bodyBytesMax : 0, expected: plan.mayRetry ? exchange.head.headers.first("content-length").flatMap { Int($0) } : Int.max)
        active = exchange.started
        if let time = plan.timeouts.request { deadlines[Deadline.request.rawValue] = exchange.started + time }
        if let time = plan.headTimeout { deadlines[Deadline.profile.rawValue] = exchange.started + time }
        arm(exchange)
    }

    /// The exchange is over.
    func cancel() {
        if let timer { host.cancel(timer) }
        if let waiting { host.cancel(waiting) }
        timer = nil
        waiting = nil
        heldHead = nil
        replay.release()
        deadlines = [Instant?](repeating: nil, count: Deadline.count)
    }

    // MARK: What the exchange tells

    /// A callee has the request, or its beginning.
    func sent(_ exchange: HTTPExchange) {
        isSent = true
        touch(exchange)
        if exchange.isRequestEnded { startResponse(exchange) }
    }

    func requestData(_ exchange: HTTPExchange, _ bytes: RawSpan, endStream: Bool) {
        if plan.mayRetry { replay.append(bytes) }
        active = host.now
        if endStream { startResponse(exchange) }
    }

    func requestTrailers(_ exchange: HTTPExchange, _ trailers: Headers) {
        if plan.mayRetry { replay.end(trailers) }
        active = host.now
        startResponse(exchange)
    }

    /// A final head. True: it must not go to the caller, now or ever.
    func takes(_ head: ResponseHead, endStream: Bool, of exchange: HTTPExchange) -> Bool {
        active = host.now
        deadlines[Deadline.head.rawValue] = nil
        if let code = exchange.grpcStatus {
            if plan.isRetryable(code), again(exchange, error: nil) { return true }
        } else if plan.isRetryable(status: head.status), again(exchange, error: nil) {
            return true
        } else if let retry = plan.retry, !retry.grpcCodes.isEmpty, exchange.isGRPC, !endStream {
            heldHead = head
            return true
        }
        if let budget = plan.budget, isFailure(exchange), canReplay(exchange) {
            if !budget.withdraw(now: host.now) {
                exchange.profileRoute?.retries.withoutBudget.increment()
            } else if again(exchange, error: nil) {
                exchange.profileRoute?.retries.made.increment()
                return true
            }
        }
        delivered(exchange)
        return false
    }

    /// Frames of a response body, or its trailers. A head that waited for them is returned, to be delivered before them.
    func released(_ exchange: HTTPExchange) -> ResponseHead? {
        active = host.now
        guard let head = heldHead else { return nil }
        heldHead = nil
        delivered(exchange)
        return head
    }

    /// True: the trailers are those of a failed call that is tried again.
    func takes(trailers code: GRPCStatus.Code, of exchange: HTTPExchange) -> Bool {
        guard heldHead != nil, plan.isRetryable(code) else { return false }
        return again(exchange, error: nil)
    }

    /// True: the error is that of an attempt, and another one follows.
    func takes(_ error: ProxyError, of exchange: HTTPExchange) -> Bool {
        guard !isAnswered, plan.retry != nil else { return false }
        let isWorthIt: Bool
        switch error {
        case .failfast, .timeout(.head): isWorthIt = true
        // The endpoint's side has made these a 502 and a 504 by the time a route sees them.
        case .upstream, .connectTimeout: isWorthIt = exchange.isGRPC ? plan.isRetryable(error.grpcCode) : plan.isRetryable(status: error.status)
        default: isWorthIt = false
        }
        return isWorthIt && again(exchange, error: error)
    }

    /// The peer promises that it has done nothing with the request. True: another attempt follows.
    func takesRefusal(of exchange: HTTPExchange) -> Bool { !isAnswered && plan.retry != nil && again(exchange, error: .upstream("stream refused")) }

    // MARK: Another attempt

    private func canReplay(_ exchange: HTTPExchange) -> Bool { exchange.isRequestEnded && !exchange.isOver && !replay.isOverflowed && !isAnswered && !exchange.isUpgrade }

    private func isFailure(_ exchange: HTTPExchange) -> Bool {
        let status = exchange.status ?? 0
        return exchange.profileRoute?.isFailure(status: status) ?? RequestSeries.isFailure(status: status, isGRPC: exchange.isGRPC, grpcStatus: exchange.grpcStatus, error: "")
    }

    private func again(_ exchange: HTTPExchange, error: ProxyError?) -> Bool {
        guard canReplay(exchange) else { return false }
        let series = exchange.rule?.series?.retries
        var wait = Interval.zero
        if let retry = plan.retry {
            guard retries < retry.retriesMax else {
                series?.limitExceeded.increment()
                return false
            }
            wait = owner.wait(retry, retries)
        }
        guard owner.canSendAgain(exchange) else {
            series?.overflow.increment()
            return false
        }
        retries += 1
        series?.requests.increment()
        for deadline in [Deadline.response, .head, .idle] { deadlines[deadline.rawValue] = nil }
        isSent = false
        heldHead = nil
        owner.attemptEnded(exchange, error: error)
        replay.bytes.withBytes { exchange.takeBack($0, trailers: replay.trailers) }
        waiting = host.after(wait) { [self, exchange] in
            waiting = nil
            owner.sendAgain(exchange)
        }
        return true
    }
    private var waiting: TimerID?

    private func delivered(_ exchange: HTTPExchange) {
        isAnswered = true
        replay.release()
        deadlines[Deadline.profile.rawValue] = nil
        deadlines[Deadline.head.rawValue] = nil
        if let budget = plan.budget { budget.deposit(now: host.now) }
        if retries > 0, !isFailure(exchange) { exchange.rule?.series?.retries.successes.increment() }
    }

    // MARK: Time

    private enum Deadline: Int {
        case request, profile, response, head, idle
        static let count = 5

        var timeout: ProxyError.Timeout {
            switch self {
            case .request: .request
            case .profile: .profile
            case .response: .response
            case .head: .head
            case .idle: .idle
            }
        }
    }

    private var deadlines = [Instant?](repeating: nil, count: Deadline.count)
    private var timer: TimerID?
    private var armed = Instant.distantFuture
    /// When a frame last went either way.
    private var active: Instant

    private func touch(_ exchange: HTTPExchange) {
        active = host.now
        if let idle = plan.timeouts.idle {
            deadlines[Deadline.idle.rawValue] = active + idle
            arm(exchange)
        }
    }

    private func startResponse(_ exchange: HTTPExchange) {
        guard isSent else { return }
        if let time = plan.timeouts.response, deadlines[Deadline.response.rawValue] == nil { deadlines[Deadline.response.rawValue] = host.now + time }
        // The last attempt has only the limits of the whole.
        if !isAnswered, let retry = plan.retry, let time = retry.timeout, retries < retry.retriesMax, !replay.isOverflowed { deadlines[Deadline.head.rawValue] = host.now + time }
        arm(exchange)
    }

    private func arm(_ exchange: HTTPExchange) {
        var next = Instant.distantFuture
        for case let deadline? in deadlines where deadline < next { next = deadline }
        if timer != nil, armed <= next { return }
        if let timer { host.cancel(timer) }
        timer = nil
        guard next < .distantFuture else { return }
        armed = next
        timer = host.after(max(.zero, next - host.now)) { [self, exchange] in
            timer = nil
            expire(exchange)
        }
    }

    private func expire(_ exchange: HTTPExchange) {
        let now = host.now
        if let idle = plan.timeouts.idle, deadlines[Deadline.idle.rawValue] != nil { deadlines[Deadline.idle.rawValue] = active + idle }
        for index in deadlines.indices {
            guard let deadline = deadlines[index], deadline <= now, let kind = Deadline(rawValue: index) else { continue }
            deadlines[index] = nil
            exchange.fail(.timeout(kind.timeout))
            break
        }
        if !exchange.isOver { arm(exchange) }
    }
}
