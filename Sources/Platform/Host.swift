// The world as an argument. A component learns the time, draws chance, opens connections, reads files and settings and
// speaks to people only through the `Host` it was given, so the same component runs on epoll and in the simulator.
// Everything runs to completion on one thread: no call here blocks, no callback is re-entrant with the call that asked for it.

import Base

/// One process's view of its world. Linux binds it to epoll and system calls, the simulator to virtual time.
public protocol Host: AnyObject {
    /// Monotonic time as of the current turn of the loop. Never goes back.
    var now: Instant { get }
    /// Civil time; may jump.
    var wall: WallTime { get }

    /// Runs `action` once, `delay` from now, in a later turn; at once means in the next turn. Equal deadlines fire in the order set.
    @discardableResult
    func after(_ delay: Interval, _ action: @escaping () -> Void) -> TimerID
    /// Forgets a timer; harmless when it has fired.
    func cancel(_ timer: TimerID)

    /// A stream of chance of this host's own, by label. The same label gives the same stream again in the simulator;
    /// on Linux the root is drawn from the kernel at start.
    func random(_ label: String) -> Random

    var network: any Network { get }
    var files: any Files { get }
    var programs: any Programs { get }
    /// What the process was started with.
    var settings: Settings { get }
    var log: Log { get }

    /// Runs `action` when the process is asked to stop (SIGTERM, SIGINT, the simulator's stop). Several are run in order.
    func onShutdown(_ action: @escaping () -> Void)
    /// Ends the process with this status after the current turn.
    func exit(_ status: Int32)

    /// Records a bug event: our own mistake that we survive. Any bug event fails a simulation.
    func unexpected(_ fact: String)
}

/// Names a timer of one host. Never reused.
public struct TimerID: Hashable, Sendable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// What a process was started with: environment and arguments, in order, read once.
public struct Settings: Sendable {
    /// Name and value in the order given; a later duplicate wins in `subscript`.
    public var environment: [(name: String, value: String)]
    public var arguments: [String]

    public init(environment: [(name: String, value: String)] = [], arguments: [String] = []) {
        self.environment = environment
        self.arguments = arguments
    }

    public subscript(_ name: String) -> String? { environment.last { $0.name == name }?.value }
}

/// Whole files, read and replaced. Paths are absolute.
public protocol Files: AnyObject {
    func read(_ path: String) throws(HostFailure) -> [UInt8]
    /// Creates or replaces atomically with these permission bits.
    func write(_ path: String, _ bytes: [UInt8], mode: UInt32) throws(HostFailure)
    /// Names in a directory, sorted.
    func list(_ directory: String) throws(HostFailure) -> [String]
    /// Calls `changed`, in a later turn, when something in a directory was written, replaced or removed, until the watch is closed.
    /// Only a hint: it may come without cause, and may not come at all, so whoever needs to know looks again from time to time.
    func watch(_ directory: String, _ changed: @escaping () -> Void) throws(HostFailure) -> any FileWatch
}

/// A watch of a directory.
public protocol FileWatch: AnyObject {
    func close()
}

extension Files {
    /// A world that gives no hints.
    public func watch(_ directory: String, _ changed: @escaping () -> Void) throws(HostFailure) -> any FileWatch { SilentWatch() }
}

private final class SilentWatch: FileWatch {
    func close() {}
}
