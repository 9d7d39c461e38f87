// One process: the `Host` that a component is given in the simulated world. It can be stopped, killed and started again; each
// life begins with the start closure, without timers, connections or memory of the one before, and with other streams of chance.
// What survives is what a mounted volume would keep: its files.

import Base
import Platform

public final class SimProcess: Host {
    public enum State: Hashable, Sendable {
        case notStarted, running
        /// Ended by `exit`, or by the scenario.
        case exited(Int32)
        case crashed
    }

    public let name: String
    public let node: Node
    /// In `World.processes`.
    public let index: Int
    public let userID: UInt32
    /// Read at each start.
    public var settings: Settings
    public internal(set) var state = State.notStarted
    /// Lives so far; 1 at the first start.
    public private(set) var lives = 0
    /// The last lines of the log, oldest first.
    public private(set) var logLines: [String] = []
    /// What holds this life's components; gone when it ends.
    public private(set) var components: [AnyObject] = []
    /// Checks that this process need not pass; the scenario says why.
    public var exemptFrom: Checks = []

    unowned let world: World
    private let startClosure: (SimProcess) -> Void
    private let logControl: Log.Control
    private var chance = Random(seed: 0)
    let secrets: SecretStream
    private var shutdownActions: [() -> Void] = []
    public private(set) var isShuttingDown = false
    /// Told of the end of each life, inside it; for the scenario.
    public var onEnd: ((State) -> Void)?
    /// It ran when its node lost power.
    var restartsWithNode = false
    var pendingExit: Int32?
    /// No event reaches it before then.
    var frozenUntil = Instant.zero
    var listeners: [SimListener] = []
    var sockets: [SimDatagramSocket] = []
    var connectionsOpen = 0
    var timersSet = 0
    /// What was open when this life ended by itself.
    var leftover: String?

    public private(set) lazy var log = Log(control: logControl) { [unowned self] level, target, message in writeLog(level, target, message) }
    /// The process's files; `simFiles.tree` is for the scenario.
    public private(set) lazy var simFiles = SimFiles(self)
    public var files: any Files { simFiles }
    /// What a database on its volume keeps from life to life.
    public private(set) lazy var records = SimRecords(self)
    /// What its programs do; for the scenario.
    public private(set) lazy var simPrograms = SimPrograms(self)
    public var programs: any Programs { simPrograms }
    public var network: any Network { self }

    init(_ name: String, node: Node, index: Int, userID: UInt32, settings: Settings, world: World, start: @escaping (SimProcess) -> Void) {
        self.name = name
        self.node = node
        self.index = index
        self.userID = userID
        self.settings = settings
        self.world = world
        startClosure = start
        logControl = Log.Control(level: world.options.logLevel)
        secrets = SecretStream(world.root.fork("tls/\(node.name)/\(name)"), draws: world.trace.drawCell)
    }

    public var isRunning: Bool { state == .running }
    /// `node/process`.
    public var path: String { "\(node.name)/\(name)" }

    // MARK: Host

    public var now: Instant { world.now }
    public var wall: WallTime { node.wall }

    @discardableResult
    public func after(_ delay: Interval, _ action: @escaping () -> Void) -> TimerID {
        guard isRunning else { return TimerID(rawValue: 0) }
        timersSet += 1
        return world.setTimer(at: world.now + max(.zero, delay), process: self, action)
    }

    public func cancel(_ timer: TimerID) { world.cancelTimer(timer, of: self) }

    public func random(_ label: String) -> Random {
        world.record(.fork, node, UInt32(index), UInt32(lives), digest(of: label)) { "\(name) \(label)" }
        return chance.fork(label)
    }

    public func onShutdown(_ action: @escaping () -> Void) { shutdownActions.append(action) }

    public func exit(_ status: Int32) {
        guard isRunning, pendingExit == nil else { return }
        pendingExit = status
        // Outside a turn of its own there is none to wait for the end of.
        if world.current !== self { world.perform(self) {} }
    }

    public func unexpected(_ fact: String) {
        world.record(.unexpected, node, UInt32(index), 0, digest(of: fact)) { "\(name) \(fact)" }
        if !exemptFrom.contains(.unexpected) { world.violate(.unexpected, node: node, "\(path): \(fact)") }
    }

    private func writeLog(_ level: Log.Level, _ target: String, _ message: String) {
        var mixed = Digest64()
        mixed.mix(string: target)
        mixed.mix(string: message)
        world.record(.log, node, UInt32(index), UInt32(level.rawValue), mixed.value) { "\(name) \(level) \(target): \(message)" }
        if logLines.count == SimulatorLimits.logLinesKept { logLines.removeFirst() }
        logLines.append("\(world.now - .zero) \(level) \(target): \(message)")
        world.onLog?(self, level, target, message)
    }

    // MARK: Life

    /// Holds an object until this life ends: what a `main` would keep in a variable.
    public func keep(_ component: AnyObject) { components.append(component) }

    /// Begins a life in a turn of its own, now.
    public func start() {
        guard !isRunning else { return }
        world.schedule(.processStart, at: world.now.nanoseconds, target: Int32(index), generation: UInt32(lives))
    }

    func begin() {
        guard !isRunning, node.isUp else { return }
        lives += 1
        state = .running
        isShuttingDown = false
        pendingExit = nil
        leftover = nil
        chance = world.root.fork("process/\(node.name)/\(name)/\(lives)")
        world.record(.processStart, node, UInt32(index), UInt32(lives), digest(of: name)) { "\(name) life \(lives)" }
        world.perform(self) { startClosure(self) }
    }

    /// Asks it to stop, as SIGTERM does: its shutdown actions run in a turn of their own.
    public func stop() {
        guard isRunning, !isShuttingDown else { return }
        isShuttingDown = true
        timersSet += 1
        world.setTimer(at: world.now, process: self) { [unowned self] in
            world.record(.processShutdown, node, UInt32(index), UInt32(lives), 0) { name }
            let actions = shutdownActions
            shutdownActions = []
            for action in actions { action() }
        }
    }

    /// Runs `body` as a turn of this process: OpenSSL draws from its stream and `time()` is its node's. For scenarios that touch
    /// a component from outside.
    @discardableResult
    public func run<R>(_ body: () -> R) -> R { world.perform(self, body) }

    /// The end of a life. `crashed`: by force; else by `exit` with this status.
    func end(_ status: Int32?, silently: Bool) {
        guard isRunning else { return }
        if status != nil, isShuttingDown, connectionsOpen > 0 { leftover = open }
        state = status.map { .exited($0) } ?? .crashed
        pendingExit = nil
        frozenUntil = .zero
        if let status {
            world.record(.processExit, node, UInt32(index), UInt32(bitPattern: status), 0) { "\(name) status \(status)" }
        } else {
            world.record(.processCrash, node, UInt32(index), silently ? 1 : 0, 0) { name + (silently ? " silently" : "") }
        }
        shutdownActions = []
        world.dropTimers(of: self)
        for listener in listeners { listener.close() }
        for socket in sockets { socket.close() }
        world.dropConnections(of: self, silently: silently)
        components = []
        world.onProcessEnd?(self)
        onEnd?(state)
    }

    /// What is open, in words.
    var open: String {
        "\(connectionsOpen) connections, \(listeners.count) listeners, \(sockets.count) datagram sockets, \(timersSet) timers"
    }
}
