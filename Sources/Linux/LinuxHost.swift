// The world as Linux has it: one epoll loop on the thread that runs it. Each pass waits, reads the clock once, delivers what is
// ready, goes on with connections that had more, then fires timers. No global state: a process may run several, one a thread.
// Deliberately absent: threads, io_uring (measured: nothing to win), and any policy about what is on the wires.

import Base
import CLinux
import Glibc
import Platform

/// A `Host` on epoll and system calls. Not thread-safe; `mailbox` is the one way in from other threads.
/// Connections and timers keep it alive until `run` returns or `shutDown` is called.
public final class LinuxHost: Host {
    public let settings: Settings
    public let files: any Files
    public let log: Log
    /// Actions handed in by other threads.
    public let mailbox: LinuxMailbox
    public let limits: LinuxLimits
    public private(set) var now: Instant
    /// Bug events so far. Unit: events.
    public private(set) var unexpectedCount = 0
    /// Connections refused because the process was out of descriptors. Unit: connections.
    public internal(set) var acceptsRefused = 0
    /// Where name servers are read from.
    public var resolverPath = "/etc/resolv.conf"

    /// One registered descriptor. Stale events carry an old generation.
    private struct Registration {
        var generation: UInt32 = 0
        var source: (any LoopSource)?
    }

    private var epoll: Int32
    private var registrations: [Registration] = []
    private var free: [UInt32] = []
    /// Slots given back during this pass; reused only after it.
    private var freed: [UInt32] = []
    private let events: UnsafeMutablePointer<clinux_event>
    let scratch: UnsafeMutableRawPointer
    private var timers = TimerHeap()
    /// Connections with something to do that no event will announce.
    private var ready: [LinuxConnection] = []
    private var readyNow: [LinuxConnection] = []
    private var shutdownActions: [() -> Void] = []
    private var isStopping = false
    private var exitStatus: Int32?
    private var isDown = false
    private let root: Random
    var reserve: Int32
    /// When accepts were last refused for want of descriptors; said in the log once a second.
    var refusalSaid: Instant?

    /// `takesSignals`: SIGTERM and SIGINT are blocked in this thread and run the `onShutdown` actions. One host of a process
    /// does so, made before other threads are.
    public init(settings: Settings, log: Log, takesSignals: Bool, limits: LinuxLimits = LinuxLimits()) throws(HostFailure) {
        self.settings = settings
        self.log = log
        self.limits = limits
        let files = LinuxFiles(limits: limits)
        self.files = files
        clinux_ignore_pipe_signal()
        epoll = try checked("epoll_create", clinux_epoll_create())
        var seed: UInt64 = 0
        _ = try checked("getrandom", clinux_random(&seed, 8))
        root = Random(seed: seed)
        reserve = clinux_open_reserve()
        events = .allocate(capacity: Int(CLINUX_EVENTS_MAX))
        scratch = .allocate(byteCount: max(limits.bulkReadBytes, limits.datagramBytesMax), alignment: 4096)
        now = Instant(nanoseconds: clinux_monotonic())
        mailbox = try LinuxMailbox(actionsMax: limits.mailboxActionsMax)
        try register(MailboxSource(mailbox, host: self), mailbox.fd, CLINUX_IN)
        files.watcher = { [unowned self] (directory, changed) throws(HostFailure) in try watch(directory: directory, changed) }
        if takesSignals {
            let fd = try checked("signalfd", clinux_signals_open())
            try register(SignalSource(fd, host: self), fd, CLINUX_IN)
        }
    }

    deinit {
        if !isDown { closeAll() }
        events.deallocate()
        scratch.deallocate()
    }

    // MARK: Host

    public var wall: WallTime { WallTime(nanoseconds: clinux_wall()) }
    public var network: any Network { self }
    public private(set) lazy var programs: any Programs = LinuxPrograms(self)

    @discardableResult
    public func after(_ delay: Interval, _ action: @escaping () -> Void) -> TimerID {
        let (sum, overflow) = now.nanoseconds.addingReportingOverflow(max(0, delay.nanoseconds))
        return timers.insert(at: overflow ? .distantFuture : Instant(nanoseconds: sum), action)
    }

    public func cancel(_ timer: TimerID) { timers.cancel(timer) }

    public func random(_ label: String) -> Random { root.fork(label) }

    public func onShutdown(_ action: @escaping () -> Void) { shutdownActions.append(action) }

    public func exit(_ status: Int32) {
        if exitStatus == nil { exitStatus = status }
    }

    public func unexpected(_ fact: String) {
        unexpectedCount += 1
        log(.error, "weft_linux", "bug: \(fact)")
    }

    /// As if SIGTERM came. The second time, the process ends at once.
    public func stop() { stopped(by: SIGTERM) }

    func stopped(by signal: Int32) {
        // Nobody to ask, or asked twice: end as the signal would have ended us.
        if isStopping || shutdownActions.isEmpty { return exit(128 + signal) }
        isStopping = true
        log(.info, "weft_linux", "received \(signal == SIGINT ? "SIGINT" : "SIGTERM"), starting shutdown")
        let actions = shutdownActions
        for action in actions { action() }
    }

    /// Gives back the memory of code that only starting up needed (the linker's tables, the runtime's registration of types, half of
    /// OpenSSL): the kernel maps it again when it is used again. Half of an idle proxy's resident memory.
    public static func forgetStartupCode() { clinux_forget_code() }

    // MARK: The loop

    /// Runs until `exit`; all sockets are closed then. Returns the status asked for.
    public func run() -> Int32 {
        while true {
            if let exitStatus {
                shutDown()
                return exitStatus
            }
            turn(waitingAtMost: nil)
        }
    }

    /// Runs until `exit` and ends the process.
    public func runProcess() -> Never { Glibc.exit(run()) }

    /// Runs until `condition` holds (true), or `exit` or the time is over (false). For tests and short-lived programs.
    public func run(atMost time: Interval, until condition: () -> Bool) -> Bool {
        let end = Instant(nanoseconds: clinux_monotonic()) + time
        while !condition() {
            let left = end - Instant(nanoseconds: clinux_monotonic())
            if exitStatus != nil || left <= .zero { return false }
            turn(waitingAtMost: left)
        }
        return true
    }

    /// One pass of the loop.
    public func turn(waitingAtMost limit: Interval?) {
        invariant(!isDown, "a host that was shut down does not run")
        let count = clinux_epoll_wait(epoll, events, Int32(CLINUX_EVENTS_MAX), waitNanoseconds(limit))
        now = Instant(nanoseconds: clinux_monotonic())
        if count > 0 {
            for i in 0..<Int(count) { deliver(events[i]) }
        } else {
            invariant(count == 0 || count == -EINTR, "epoll_wait fails only by interruption")
        }
        // What was queued by the deliveries above goes on within this pass; what queues itself again waits for the next.
        swap(&ready, &readyNow)
        for connection in readyNow { connection.proceed() }
        readyNow.removeAll(keepingCapacity: true)
        let end = timers.sequence
        while let action = timers.popDue(now: now, before: end) { action() }
        free.append(contentsOf: freed)
        freed.removeAll(keepingCapacity: true)
    }

    private func waitNanoseconds(_ limit: Interval?) -> Int64 {
        if !ready.isEmpty || exitStatus != nil { return 0 }
        var wait = limit.map { max(0, $0.nanoseconds) } ?? -1
        if let deadline = timers.firstDeadline {
            // Callbacks took time since `now` was read.
            let left = max(0, (deadline - Instant(nanoseconds: clinux_monotonic())).nanoseconds)
            wait = wait < 0 ? left : min(wait, left)
        }
        return wait
    }

    private func deliver(_ event: clinux_event) {
        let index = Int(truncatingIfNeeded: event.data & 0xffff_ffff)
        let generation = UInt32(truncatingIfNeeded: event.data >> 32)
        guard index < registrations.count, registrations[index].generation == generation, let source = registrations[index].source else { return }
        source.ready(event.events)
    }

    /// Closes everything without a word to handlers and forgets timers and actions. Idempotent; the host is spent then.
    public func shutDown() {
        if isDown { return }
        closeAll()
    }

    private func closeAll() {
        isDown = true
        for i in registrations.indices { registrations[i].source?.abandon() }
        registrations.removeAll()
        ready.removeAll()
        shutdownActions.removeAll()
        timers = TimerHeap()
        if reserve >= 0 { _ = clinux_close(reserve) }
        _ = clinux_close(epoll)
        mailbox.close()
        epoll = -1
    }

    // MARK: Sources

    /// Watches `fd` for `source` until `unregister`. The loop keeps the source alive.
    @discardableResult
    func register(_ source: any LoopSource, _ fd: Int32, _ mask: UInt32) throws(HostFailure) -> UInt32 {
        let index = free.popLast() ?? UInt32(registrations.count)
        if Int(index) == registrations.count { registrations.append(Registration()) }
        let result = clinux_epoll_add(epoll, fd, mask, UInt64(registrations[Int(index)].generation) << 32 | UInt64(index))
        if result < 0 {
            freed.append(index)
            throw HostFailure("epoll_ctl", errno: -result)
        }
        registrations[Int(index)].source = source
        return index
    }

    /// The caller closes the descriptor, which takes it out of epoll.
    func unregister(_ index: UInt32) {
        if isDown { return }
        registrations[Int(index)].source = nil
        registrations[Int(index)].generation &+= 1
        freed.append(index)
    }

    /// Stops watching a descriptor that stays open.
    func ignore(_ fd: Int32) { _ = clinux_epoll_remove(epoll, fd) }

    /// `connection.proceed` is called later in this pass or in the next.
    func enqueue(_ connection: LinuxConnection) {
        if !isDown { ready.append(connection) }
    }
}

/// Something with a descriptor in a loop.
protocol LoopSource: AnyObject {
    func ready(_ mask: UInt32)
    /// The host is going down: close, say nothing.
    func abandon()
}

/// SIGTERM and SIGINT as readable events.
private final class SignalSource: LoopSource {
    private let fd: Int32
    private unowned let host: LinuxHost

    init(_ fd: Int32, host: LinuxHost) {
        self.fd = fd
        self.host = host
    }

    func ready(_ mask: UInt32) {
        while true {
            let signal = clinux_signals_read(fd)
            if signal <= 0 { return }
            host.stopped(by: signal)
        }
    }

    func abandon() {
        _ = clinux_close(fd)
        clinux_signals_unblock()
    }
}

/// `result` or the failure that its negative value is.
func checked(_ operation: String, _ result: Int32, subject: String = "") throws(HostFailure) -> Int32 {
    if result < 0 { throw HostFailure(operation, errno: -result, subject: subject) }
    return result
}
