// A network namespace: a pod, a machine of the cluster, a client outside. It has addresses, ports in use, rewriting rules, a wall
// clock of its own and processes. What it does not have is a schedule: events belong to the world.

import Base
import Platform

public final class Node {
    public let name: String
    /// In `World.nodes`.
    public let index: Int
    /// The primary address first.
    public private(set) var addresses: [IPAddress]
    public internal(set) var processes: [SimProcess] = []
    /// nil: connections go where they were meant to.
    public var redirect: RedirectRules?
    /// Told to processes as resolv.conf. Port 53 of the world's name server unless set.
    public var resolver: ResolverConfiguration
    /// Files that every process of the node sees, below its own.
    public let files = SimFileTree()
    /// Takes part in the plaintext check: everything between two meshed nodes must be TLS.
    public var isMeshed = false
    /// Ports of this node on which plaintext from meshed nodes is right (probes, skipped ports).
    public var plaintextPorts: [ClosedRange<UInt16>] = []
    /// Without power it neither sends nor receives nor answers.
    public internal(set) var isUp = true
    /// The primary address.
    public var ip: IPAddress { addresses[0] }

    unowned let world: World
    let number: UInt16
    /// Wall clock: `wallBase` at `wallBaseTime`, then as fast as `wallDriftPerMillion` says.
    private var wallBase: WallTime
    private var wallBaseTime = Instant.zero
    private var wallDriftPerMillion: Int64 = 0

    /// Look-up only: listeners by port, in the order they came.
    var listeners: [UInt16: [SimListener]] = [:]
    var sockets: [UInt16: [SimDatagramSocket]] = [:]
    /// Look-up only: outgoing connections by local port.
    private var portUsers: [UInt16: Int] = [:]
    private var nextPort: UInt16

    init(_ name: String, index: Int, ip: IPAddress, world: World, firstPort: UInt16) {
        self.name = name
        self.index = index
        self.world = world
        number = UInt16(index + 1)
        addresses = [ip]
        resolver = ResolverConfiguration(servers: [])
        wallBase = world.options.start
        nextPort = firstPort
    }

    /// One more address, of either family; takes it over from a node that is down.
    public func addAddress(_ ip: IPAddress) {
        guard !addresses.contains(ip) else { return }
        addresses.append(ip)
        world.own(ip, by: self)
    }

    /// Civil time as this node believes it to be.
    public var wall: WallTime {
        let elapsed = world.now - wallBaseTime
        if wallDriftPerMillion == 0 { return wallBase + elapsed }
        // Split, so that years of drift do not overflow.
        let drift = elapsed.nanoseconds / 1_000_000 * wallDriftPerMillion + elapsed.nanoseconds % 1_000_000 * wallDriftPerMillion / 1_000_000
        return wallBase + elapsed + Interval(nanoseconds: drift)
    }

    func stepWall(by step: Interval) {
        wallBase = wall + step
        wallBaseTime = world.now
    }

    func driftWall(perMillion: Int64) {
        wallBase = wall
        wallBaseTime = world.now
        wallDriftPerMillion = perMillion
    }

    func owns(_ ip: IPAddress) -> Bool { ip.isLoopback || addresses.contains(ip) }

    /// The address that a connection to `ip` comes from; nil: no address of that family.
    func source(toward ip: IPAddress) -> IPAddress? {
        if ip.isLoopback || addresses.contains(ip) { return ip }
        return addresses.first { $0.isV4 == ip.unmapped.isV4 }
    }

    // MARK: Ports

    func takePort() -> UInt16? {
        let range = SimulatorLimits.ephemeralPorts
        for _ in 0..<range.count {
            let port = nextPort
            nextPort = port == range.upperBound ? range.lowerBound : port + 1
            if portUsers[port] == nil, listeners[port] == nil, sockets[port] == nil {
                portUsers[port] = 1
                return port
            }
        }
        return nil
    }

    func releasePort(_ port: UInt16) { portUsers[port] = nil }

    func listener(at address: SocketAddress) -> SimListener? {
        guard let candidates = listeners[address.port] else { return nil }
        return candidates.first { $0.address.ip == address.ip } ?? candidates.first { $0.covers(address.ip) }
    }

    func socket(at address: SocketAddress) -> SimDatagramSocket? {
        guard let candidates = sockets[address.port] else { return nil }
        return candidates.first { $0.address.ip == address.ip } ?? candidates.first { $0.covers(address.ip) }
    }
}

/// `::` takes IPv4 as well, as Linux does unless told otherwise.
func covers(_ bound: IPAddress, _ ip: IPAddress) -> Bool { bound == ip || bound.isUnspecified && (!bound.isV4 || ip.unmapped.isV4) }
