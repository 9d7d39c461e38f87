// Requests at a fixed rate over a fixed number of connections, each timed from the moment it was due. What cannot be sent in time
// because every connection is busy waits, and its wait counts. Speaks HTTP/1.1 and gRPC over any connector of any host, so that
// its arithmetic is proven in the simulator and its figures are taken on sockets.
// Deliberately absent: a closed loop (h2load and wrk are good at it), think times, ramps.

import Base
import DequeModule
import GRPC
import HTTP
import Platform
import Transport

/// What is asked, again and again.
public struct LoadRequest: Sendable {
    public var head: RequestHead
    public var body: [UInt8]
    /// Success is then `grpc-status: 0` and not the HTTP status alone.
    public var isGRPC: Bool

    /// POST with a body, or GET when there is none.
    public static func http1(authority: String, path: String = "/", bodyBytes: Int) -> LoadRequest {
        var head = RequestHead(method: bodyBytes > 0 ? .post : .get, authority: HTTPText(authority), path: HTTPText(path))
        if bodyBytes > 0 { head.headers.add("content-length", String(bodyBytes)) }
        return LoadRequest(head: head, body: [UInt8](repeating: UInt8(ascii: "x"), count: bodyBytes), isGRPC: false)
    }

    /// A unary call with one message of this length.
    public static func grpc(authority: String, path: String = "/bench.Bench/Echo", messageBytes: Int) -> LoadRequest {
        var head = RequestHead(method: .post, authority: HTTPText(authority), path: HTTPText(path), version: .http2)
        for (name, value) in GRPCFields.request() { head.headers.add(name, value) }
        return LoadRequest(head: head, body: GRPCMessage.frame([UInt8](repeating: UInt8(ascii: "x"), count: messageBytes)), isGRPC: true)
    }
}

public struct LoadPlan: Sendable {
    /// Unit: requests per second.
    public var perSecond: Int
    public var connections: Int
    /// Asked and not counted, at the beginning.
    public var warmup: Interval
    /// Counted, after it.
    public var length: Interval

    public init(perSecond: Int, connections: Int, warmup: Interval, length: Interval) {
        self.perSecond = perSecond
        self.connections = connections
        self.warmup = warmup
        self.length = length
    }
}

public struct LoadResult: Sendable {
    /// From the moment a request was due to the end of its answer. Successes only.
    public var fromDue = LatencyHistogram()
    /// From the moment it was sent: what a closed loop would have shown.
    public var fromSent = LatencyHistogram()
    /// Counted requests.
    public var asked = 0
    public var succeeded = 0
    /// Why the others failed, and how many for each reason, warm-up included, in the order seen.
    public var failures: [(reason: String, count: Int)] = []
    /// The most requests that waited for a free connection at a time.
    public var waitingMost = 0

    public var failed: Int { failures.reduce(0) { $0 + $1.count } }

    mutating func fail(_ reason: String) {
        if let i = failures.firstIndex(where: { $0.reason == reason }) {
            failures[i].count += 1
        } else if failures.count < LoadLimits.failureKindsMax {
            failures.append((reason, 1))
        } else {
            failures[failures.count - 1].reason = "other"
            failures[failures.count - 1].count += 1
        }
    }
}

public final class OpenLoop: HTTPConnectionOwner {
    private let batch: FlushBatch
    private let request: LoadRequest
    private let plan: LoadPlan
    private let connector: any Connector
    private let version: HTTPVersion
    private var pace: Pace
    private let countAll: Int
    private let countWarmup: Int
    private var next = 0
    private var answered = 0
    /// Due and not sent, by index.
    private var waiting: Deque<Int> = []
    /// Connections that can take a request, the one that was free first in front, so that all take part.
    private var free: Deque<HTTPConnection> = []
    private var connections: [HTTPConnection] = []
    private var connected = 0
    private var hasBegun = false
    private var isOver = false
    private var timer: TimerID?
    private var result = LoadResult()
    private var done: ((LoadResult) -> Void)?

    /// Connects first, asks when every connection stands; `done` is called once.
    public init(batch: FlushBatch, connector: any Connector, request: LoadRequest, plan: LoadPlan, done: @escaping (LoadResult) -> Void) {
        self.batch = batch
        self.connector = connector
        self.request = request
        self.plan = plan
        self.done = done
        version = request.head.version == .http2 ? .http2 : .http11
        pace = Pace(start: batch.host.now, perSecond: plan.perSecond)
        countWarmup = pace.count(within: plan.warmup)
        countAll = pace.count(within: plan.warmup + plan.length)
        for _ in 0..<plan.connections { connect() }
    }

    private func connect() {
        connections.append(HTTPConnection(version: version, batch: batch, owner: self) { connector.connect($0) })
    }

    // MARK: Connections

    public func connected(_ connection: HTTPConnection) {
        connected += 1
        if connected == plan.connections, !hasBegun {
            hasBegun = true
            pace = Pace(start: batch.host.now, perSecond: plan.perSecond)
            ask()
        }
    }

    public func available(_ connection: HTTPConnection) {
        // One request at a time on each, on HTTP/2 too: the number of connections is the number under way.
        guard !isOver, connection.streamCount == 0 else { return }
        free.append(connection)
        drain()
    }

    public func closed(_ connection: HTTPConnection) {
        connections.removeAll { $0 === connection }
        free.removeAll { $0 === connection }
        if isOver { return }
        if !hasBegun {
            result.fail("no connection: \(connection.connectFailure.map { "\($0)" } ?? "closed at once")")
            return end()
        }
        // An idle connection may go; what was under way on it has failed. Another takes its place.
        connect()
    }

    // MARK: Time

    private func ask() {
        timer = nil
        let now = batch.host.now
        while next < countAll, pace.due(next) <= now {
            waiting.append(next)
            next += 1
        }
        batch.enter()
        drain()
        batch.leave()
        result.waitingMost = max(result.waitingMost, waiting.count)
        if waiting.count > LoadLimits.waitingMax {
            result.fail("more than \(LoadLimits.waitingMax) requests wait for a connection")
            return end()
        }
        if isOver { return }
        if next < countAll {
            timer = batch.host.after(pace.due(next) - now) { [self] in ask() }
        } else {
            timer = batch.host.after(LoadLimits.patience) { [self] in
                timer = nil
                for _ in answered..<countAll { result.fail("no answer within \(LoadLimits.patience) after the last was due") }
                end()
            }
        }
    }

    private func drain() {
        while !waiting.isEmpty, let connection = free.popFirst() {
            guard connection.isAvailable else { continue }
            let index = waiting.removeFirst()
            let call = LoadCall(index: index, sent: batch.host.now, loop: self)
            let body = request.body
            do throws(Refusal) {
                let stream = try connection.open(request.head, endStream: body.isEmpty, handler: call)
                if !body.isEmpty { stream.send(body.span.bytes, endStream: true) }
            } catch { over(call, error.reason) }
        }
    }

    // MARK: Answers

    /// `failure`: nil for a success.
    fileprivate func over(_ call: LoadCall, _ failure: String?) {
        if isOver { return }
        answered += 1
        let isCounted = call.index >= countWarmup
        if isCounted { result.asked += 1 }
        if let failure {
            result.fail(failure)
        } else if isCounted {
            result.succeeded += 1
            result.fromDue.record(batch.host.now - pace.due(call.index))
            result.fromSent.record(batch.host.now - call.sent)
        }
        if answered == countAll { end() }
    }

    fileprivate var wantsGRPC: Bool { request.isGRPC }

    private func end() {
        guard let done else { return }
        self.done = nil
        isOver = true
        if let timer { batch.host.cancel(timer) }
        timer = nil
        waiting.removeAll()
        free.removeAll()
        for connection in connections { connection.close() }
        connections = []
        done(result)
    }
}

/// One request under way.
private final class LoadCall: HTTPStreamHandler {
    let index: Int
    let sent: Instant
    private var loop: OpenLoop?
    private var status: UInt16 = 0
    private var grpcStatus: String?

    init(index: Int, sent: Instant, loop: OpenLoop) {
        self.index = index
        self.sent = sent
        self.loop = loop
    }

    func response(_ stream: HTTPStream, _ head: ResponseHead, endStream: Bool) {
        if head.isInformational { return }
        status = head.status
        grpcStatus = head.headers.first("grpc-status")
        if endStream { tell() }
    }

    func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) {
        stream.acknowledge(bytes.byteCount)
        if endStream { tell() }
    }

    func trailers(_ stream: HTTPStream, _ trailers: Headers) {
        grpcStatus = trailers.first("grpc-status") ?? grpcStatus
        tell()
    }

    func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) { over("\(failure)") }

    private func tell() {
        guard let loop else { return }
        if status != 200 { return over("status \(status)") }
        if loop.wantsGRPC, grpcStatus != "0" { return over("grpc-status \(grpcStatus ?? "missing")") }
        over(nil)
    }

    private func over(_ failure: String?) {
        let loop = loop
        self.loop = nil
        loop?.over(self, failure)
    }
}
