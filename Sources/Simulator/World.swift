// The deterministic world: nodes with processes, a network between them, virtual time and faults, all out of one seed. The same
// seed, options, plan and build give the same run, byte for byte; the last line of a run says which run it was. One world lives
// on one thread; several may live on several. No real clock, no socket, no file is behind any of it.

import Base
import CDeterminism
import Platform

/// Keep it as long as its nodes and processes are used: they belong to it.
public final class World {
    public let seed: UInt64
    public let options: WorldOptions
    public let trace = Trace()
    /// Virtual time since the world began.
    public internal(set) var now = Instant.zero
    public private(set) var nodes: [Node] = []
    public private(set) var processes: [SimProcess] = []
    /// Events run so far.
    public internal(set) var eventsRun: UInt64 = 0
    /// Gets each log line: process, level, target, message.
    public var onLog: ((SimProcess, Log.Level, String, String) -> Void)?
    /// Told of each life's end, as a kubelet is; it may call `start`.
    public var onProcessEnd: ((SimProcess) -> Void)?
    /// A turn of a process begins, or ends: for whoever measures what a process costs. Turns that lie within others are not told.
    public var onTurn: ((SimProcess, _ isBeginning: Bool) -> Void)?
    /// Bytes that must never cross from node to node in the clear (keys, tokens). At least four bytes each.
    let secrets = SecretIndex()
    public internal(set) var violations: [Violation] = []
    public internal(set) var violationsDropped = 0

    let root: Random
    var queue = EventQueue()
    var sequence: UInt64 = 0
    /// Whose event runs now.
    var current: SimProcess?
    /// What `time()` reads. Nanoseconds since 1970.
    private let wallCell: UnsafeMutablePointer<Int64>

    // Slots, each with a free list.
    var timers: [TimerSlot] = []
    var freeTimers: [Int32] = []
    var timersDead = 0
    var streams: [StreamSlot] = []
    var freeStreams: [Int32] = []
    var streamsMade: UInt32 = 0
    var datagrams: [DatagramSlot] = []
    var freeDatagrams: [Int32] = []

    /// Look-up only: who owns an address.
    private var owners: [IPAddress: Node] = [:]
    /// Look-up only: nodes by name.
    private var nodesByName: [String: Node] = [:]
    /// In order of birth.
    var links: [Link] = []
    /// Look-up only, by (from, to).
    private var linkIndex: [UInt64: Link] = [:]
    /// Look-up only: addresses that stand for others.
    var forwards: [SocketAddress: [SocketAddress]] = [:]
    /// What goes wrong, and when: explicit, so that it can be printed, read back and made smaller. Times count from the world's
    /// beginning; replacing the plan forgets what of the old one has not happened.
    public var faults = FaultPlan() { didSet { scheduleFaults() } }
    var planGeneration: UInt32 = 0
    var captures: [PacketCapture] = []
    /// The name server, if the world has one.
    public internal(set) var nameServer: NameServer?
    /// Bugs planted in the world itself, to prove that the judges see them.
    var planted: PlantedBug?
    /// Received bytes while their reader looks at them.
    var scratch = ByteBuffer()

    public init(seed: UInt64, options: WorldOptions) {
        self.seed = seed
        self.options = options
        root = Random(seed: seed)
        wallCell = .allocate(capacity: 1)
        wallCell.initialize(to: 0)
        SecretStream.install()
    }

    deinit {
        // Connections and processes may be held by others and point here.
        for slot in streams {
            slot.stream?.client.stream = nil
            slot.stream?.server?.stream = nil
        }
        for node in nodes { node.processes = [] }
        wallCell.deallocate()
    }

    // MARK: Population

    /// A node with one address. The name and the address must be free.
    @discardableResult
    public func addNode(_ name: String, ip: IPAddress) -> Node {
        invariant(nodesByName[name] == nil, "a node's name is its own")
        invariant(nodes.count < Int(UInt16.max) - 1, "the trace counts nodes in 16 bits")
        let range = SimulatorLimits.ephemeralPorts
        var ports = root.fork("ports/\(name)")
        let node = Node(name, index: nodes.count, ip: ip, world: self, firstPort: range.lowerBound + UInt16(ports.below(range.count)))
        if let nameServer { node.resolver.servers = [nameServer.address] }
        nodes.append(node)
        nodesByName[name] = node
        trace.addNode()
        own(ip, by: node)
        record(.node, node, 0, 0, digest(of: "\(name) \(ip)")) { "\(name) \(ip)" }
        return node
    }

    public func node(_ name: String) -> Node? { nodesByName[name] }

    /// A process, not started yet. `start` begins each of its lives.
    @discardableResult
    public func addProcess(_ name: String, on node: Node, userID: UInt32, settings: Settings, start: @escaping (SimProcess) -> Void) -> SimProcess {
        invariant(node.processes.allSatisfy { $0.name != name }, "a process's name is its own on its node")
        let process = SimProcess(name, node: node, index: processes.count, userID: userID, settings: settings, world: self, start: start)
        processes.append(process)
        node.processes.append(process)
        return process
    }

    func own(_ ip: IPAddress, by node: Node) {
        if let owner = owners[ip], owner.isUp, owner !== node { invariantBroken("an address has one living owner") }
        owners[ip] = node
    }

    /// Who has the address; loopback belongs to everybody and is not looked up here.
    public func owner(of ip: IPAddress) -> Node? { owners[ip.unmapped] ?? owners[ip] }

    /// Connections to `address` go to one of `backends`, drawn for each, unless a node's rules take them before: what kube-proxy
    /// does for a Service. An empty list: refused. nil: the address stands for itself again.
    public func forward(_ address: SocketAddress, to backends: [SocketAddress]?) { forwards[address] = backends }

    /// Takes a node out of the world: it dies without a word, and its name and addresses are free.
    public func removeNode(_ node: Node) {
        crash(node)
        nodesByName[node.name] = nil
        for ip in node.addresses where owners[ip] === node { owners[ip] = nil }
    }

    // MARK: Links

    func link(_ from: Node, _ to: Node) -> Link {
        let key = UInt64(from.index) << 32 | UInt64(to.index)
        if let link = linkIndex[key] { return link }
        let link = Link(from: from, to: to, options: from === to ? options.loopback : options.link, random: root.fork("link/\(from.name)/\(to.name)"), draws: trace.drawCell)
        links.append(link)
        linkIndex[key] = link
        return link
    }

    /// How the way from one node to another behaves, one way, from now on.
    public func setLink(from: Node, to: Node, _ options: LinkOptions) { link(from, to).options = options }

    // MARK: Chance, time and trace

    /// A stream of chance for the scenario, by label.
    public func random(_ label: String) -> Random { root.fork("scenario/\(label)") }

    /// True civil time; nodes may be wrong about it.
    public var wall: WallTime { options.start + (now - .zero) }

    /// Runs `action` in no process's name, `delay` from now.
    @discardableResult
    public func after(_ delay: Interval, _ action: @escaping () -> Void) -> TimerID {
        setTimer(at: now + max(.zero, delay), process: nil, action)
    }

    public func cancel(_ timer: TimerID) { cancelTimer(timer, of: nil) }

    /// A record of the scenario's own.
    public func note(_ text: String) {
        trace.add(time: now.nanoseconds, node: 0, kind: .note, a: 0, b: 0, digest: digest(of: text))
        printLine("world", .note, text)
    }

    @inline(__always)
    func record(_ kind: Trace.Kind, _ node: Node, _ a: UInt32, _ b: UInt32, _ digest: UInt64, _ detail: () -> String) {
        trace.add(time: now.nanoseconds, node: node.number, kind: kind, a: a, b: b, digest: digest)
        if trace.lines != nil { printLine(node.name, kind, detail()) }
    }

    @inline(never)
    func printLine(_ node: String, _ kind: Trace.Kind, _ detail: String) {
        guard let lines = trace.lines else { return }
        let microseconds = now.nanoseconds / 1000
        let time = "\(microseconds / 1_000_000).\(padded(microseconds % 1_000_000, 6))"
        lines("\(String(repeating: " ", count: max(0, 13 - time.utf8.count)))\(time)  \(node)  \(kind)  \(detail)")
    }

    // MARK: Turns

    /// Runs `body` as a turn of the process.
    @inline(__always)
    func perform<R>(_ process: SimProcess, _ body: () -> R) -> R {
        let outer = current
        current = process
        wallCell.pointee = process.node.wall.nanoseconds
        process.secrets.bind()
        weft_time_bind(wallCell)
        if outer == nil, let onTurn { onTurn(process, true) }
        let result = body()
        if outer == nil, let onTurn { onTurn(process, false) }
        if let status = process.pendingExit { process.end(status, silently: false) }
        current = outer
        if let outer {
            wallCell.pointee = outer.node.wall.nanoseconds
            outer.secrets.bind()
        } else {
            SecretStream.unbind()
            weft_time_bind(nil)
        }
        return result
    }
}
