// A streaming call that is never let go: when it ends it is opened again after a wait, for ever, until its owner stops it or
// the server gives an answer that no repetition will change. This is how a proxy follows discovery and policy.
// Source: linkerd2-proxy's control-plane streams: backoff 100 ms to 60 s, limits CONTROL_STREAM_{INITIAL,IDLE}_TIMEOUT and _LIFETIME.

import Base
import GRPC
import Platform

public struct GRPCWatchOptions: Sendable {
    public var backoff = BackoffOptions()
    /// Time to the first message; nil: any.
    public var initialTimeout: Interval?
    /// Time between two messages; nil: any.
    public var idleTimeout: Interval?
    /// After so long the stream is opened anew, so that clients spread over new servers; nil: never.
    public var lifetime: Interval?
    /// Statuses that end the watch for good. Source: linkerd2-proxy, profile and policy resolution.
    public var finalCodes: [GRPCStatus.Code] = []

    public init() {}
}

public final class GRPCWatch {
    private let host: any Host
    private let options: GRPCWatchOptions
    private var open: ((_ onMessage: @escaping () -> Void, _ onEnd: @escaping (GRPCStatus) -> Void) -> GRPCCall)?
    private var onEnd: ((GRPCStatus, _ isFinal: Bool) -> Void)?
    private var backoff: Backoff
    private var call: GRPCCall?
    private var retryTimer: TimerID?
    private var silenceTimer: TimerID?
    private var lifeTimer: TimerID?
    private var messageCount = 0
    /// Told whenever the stream has been opened again, before its first message: what follows is not told on top of what went before.
    public var onReopen: (() -> Void)?

    init(host: any Host, label: String, options: GRPCWatchOptions, onEnd: @escaping (GRPCStatus, Bool) -> Void, open: @escaping (@escaping () -> Void, @escaping (GRPCStatus) -> Void) -> GRPCCall) {
        self.host = host
        self.options = options
        self.onEnd = onEnd
        self.open = open
        backoff = Backoff(options.backoff, random: host.random(label))
    }

    public var isStopped: Bool { open == nil }

    /// Ends it without another callback.
    public func stop() {
        call?.cancel()
        call = nil
        cancelTimers()
        open = nil
        onEnd = nil
        onReopen = nil
    }

    func start() {
        guard let open else { return }
        messageCount = 0
        listen(options.initialTimeout)
        if let lifetime = options.lifetime {
            lifeTimer = host.after(lifetime) { [self] in
                lifeTimer = nil
                // Not a failure: the next stream begins at once.
                call?.cancel()
                cancelTimers()
                reopen()
            }
        }
        call = open({ [self] in heard() }, { [self] in ended($0) })
    }

    private func reopen() {
        onReopen?()
        start()
    }

    private func heard() {
        messageCount += 1
        if messageCount == 1 { backoff.reset() }
        listen(options.idleTimeout)
    }

    private func listen(_ timeout: Interval?) {
        if let silenceTimer { host.cancel(silenceTimer) }
        silenceTimer = timeout.map { timeout in
            host.after(timeout) { [self] in
                silenceTimer = nil
                call?.cancel()
                ended(GRPCStatus(.deadlineExceeded, messageCount == 0 ? "no first message within \(timeout)" : "no message within \(timeout)"))
            }
        }
    }

    private func ended(_ status: GRPCStatus) {
        call = nil
        cancelTimers()
        let isFinal = options.finalCodes.contains(status.code)
        let tell = onEnd
        if isFinal {
            stop()
        } else {
            retryTimer = host.after(backoff.next()) { [self] in
                retryTimer = nil
                reopen()
            }
        }
        tell?(status, isFinal)
    }

    private func cancelTimers() {
        for timer in [retryTimer, silenceTimer, lifeTimer] { if let timer { host.cancel(timer) } }
        retryTimer = nil
        silenceTimer = nil
        lifeTimer = nil
    }
}

extension GRPCChannel {
    /// Follows a streaming method for ever. `onEnd` hears each end of a stream; after a final one nothing more comes.
    public func watch<Request, Response>(
        _ method: GRPCMethod<Request, Response>, _ request: Request, options: GRPCWatchOptions = GRPCWatchOptions(),
        onMessage: @escaping (Response) -> Void, onEnd: @escaping (GRPCStatus, _ isFinal: Bool) -> Void
    ) -> GRPCWatch {
        let watch = GRPCWatch(host: batch.host, label: watchLabel(method.path), options: options, onEnd: onEnd) { [self] heard, ended in
            call(
                method, request,
                onMessage: { message in
                    heard()
                    onMessage(message)
                }, onEnd: ended)
        }
        watch.start()
        return watch
    }
}
