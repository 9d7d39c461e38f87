// The captured client, speaking again: one connection for each captured connection, each request at its time, through the shipping
// HTTP engine. A request waits for the answer to the one before it on its connection (closed loop), so pipelining becomes a queue:
// replay never asks faster than the mesh answers. Redirects, retries and cookies are deliberately absent: the capture decides.

import Base
import Capture
import HTTP
import Platform

/// Says one conversation again.
public final class ReplayCaller: ConnectionHandler {
    private let host: any Host
    private let address: SocketAddress
    private let requests: [ReplayRequest]
    private let start: Instant
    /// Told once, when the last request has its answer or its reason; then forgotten.
    private var done: (() -> Void)?
    /// By position in `requests`.
    public private(set) var answers: [ReplayAnswer] = []

    private var connection: (any Connection)?
    private var engine = HTTP1Connection(role: .client)
    private var isConnected = false
    /// The request that is out, from its sending to its end.
    private var sentAt: Instant?
    private var status: UInt16?
    private var bodyBytes = 0
    private var timeout: TimerID?
    private var output = ByteBuffer()

    /// `start` is the instant that `sendTime` counts from.
    public init(host: any Host, address: SocketAddress, requests: [ReplayRequest], start: Instant, done: @escaping () -> Void) {
        self.host = host
        self.address = address
        self.requests = requests
        self.start = start
        self.done = done
    }

    /// Begins; answers come as time passes.
    public func begin() { scheduleNext() }

    private func scheduleNext() {
        guard answers.count < requests.count else {
            connection?.close()
            connection = nil
            done?()
            done = nil
            return
        }
        let due = start + requests[answers.count].sendTime
        host.after(max(.zero, due - host.now)) { [self] in askNext() }
    }

    private func askNext() {
        if connection == nil || !engine.isReusable {
            connection?.close()
            engine = HTTP1Connection(role: .client)
            isConnected = false
            connection = host.network.connect(to: address, options: ConnectOptions(timeout: Limits.answerTimeout), handler: self)
        }
        status = nil
        bodyBytes = 0
        sentAt = host.now
        timeout = host.after(Limits.answerTimeout) { [self] in
            timeout = nil
            end(problem: "no answer within \(Limits.answerTimeout)", keepsConnection: false)
        }
        if isConnected { send() }
    }

    private func send() {
        let request = requests[answers.count]
        let head = replayHead(request, server: address)
        let body = replayBody(request.request.message)
        do throws(Refusal) {
            let stream = try engine.sendRequest(head, endStream: body.isEmpty)
            if !body.isEmpty { try engine.sendData(stream, body.span.bytes, endStream: true) }
            flush()
        } catch {
            end(problem: "not sent: \(error.reason)", keepsConnection: false)
        }
    }

    private func flush() {
        engine.drainOutput(into: &output)
        if !output.isEmpty { output.withBytes { connection?.send($0) } }
        output.release()
    }

    /// The request that is out has come to its end, one way or the other.
    private func end(problem: String?, keepsConnection: Bool) {
        guard let sentAt else { return }
        self.sentAt = nil
        if let timeout { host.cancel(timeout) }
        timeout = nil
        answers.append(ReplayAnswer(status: status, latency: status == nil ? nil : host.now - sentAt, bodyBytes: bodyBytes, problem: problem))
        if !keepsConnection {
            connection?.close()
            connection = nil
        }
        scheduleNext()
    }

    private func pump() {
        while let event = engine.nextEvent() {
            switch event {
            case .response(_, let head, let endStream):
                if head.status < 200, head.status != 101 { continue }
                status = head.status
                // What follows 101, or an accepted CONNECT, is no HTTP; the capture's tunnel is not replayed.
                let isTunnel = head.status == 101 || (answers.count < requests.count && requests[answers.count].method == "CONNECT" && head.status / 100 == 2)
                if endStream || isTunnel { end(problem: nil, keepsConnection: !isTunnel) }
            case .data(_, let bytes, let endStream):
                bodyBytes += bytes
                if endStream { end(problem: nil, keepsConnection: true) }
            case .trailers: end(problem: nil, keepsConnection: true)
            case .reset(_, let error), .failed(let error): end(problem: error.rule, keepsConnection: false)
            case .upgraded: end(problem: nil, keepsConnection: false)
            case .request, .writable, .goAway: break
            }
        }
        flush()
    }

    public func connected(_ connection: any Connection) {
        guard connection === self.connection else { return }
        isConnected = true
        if sentAt != nil { send() }
    }

    public func received(_ bytes: RawSpan, on connection: any Connection) {
        guard connection === self.connection else { return }
        engine.receive(bytes, now: host.now)
        pump()
    }

    public func finished(_ connection: any Connection) {
        guard connection === self.connection else { return }
        engine.receiveEnd(now: host.now)
        pump()
        guard connection === self.connection else { return }
        connection.close()
        self.connection = nil
        end(problem: "the connection was closed before the answer was complete", keepsConnection: false)
    }

    public func closed(_ connection: any Connection, _ failure: HostFailure?) {
        guard connection === self.connection else { return }
        self.connection = nil
        end(problem: failure.map { "\($0)" } ?? "the connection was closed before the answer was complete", keepsConnection: false)
    }
}
