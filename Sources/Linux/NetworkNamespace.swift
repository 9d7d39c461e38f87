// A handful of pods on one machine: network namespaces on a bridge. The bridge lives in a namespace of its own, the hub, so
// nothing is added to the machine's own network unless asked for, and deleting the namespaces deletes everything. Each run
// has a name that no other has; what it made is removed by `remove`, by a guardian process when the run dies without it,
// and by the next run should the guardian be killed too. Needs root and the `ip` of iproute2.

import Base
import CLinux
import Glibc
import Platform

/// Namespaces on one bridge. IPv4 only.
public final class PodNetwork {
    /// `wf<pid><letter>`: what every name of this run begins with.
    public let name: String
    public let subnet: IPNetwork
    /// Holds the bridge at the subnet's first address, which is the pods' gateway. The control plane's place.
    public let hub: PodNamespace
    public private(set) var pods: [PodNamespace] = []
    /// Files of the run that only root may read, in memory (tmpfs); removed with the run, however it ends.
    public var directory: String { Self.directory(name) }

    private let ip: IPCommand
    private var lock: Int32
    private var lifeline: Int32 = -1
    private var guardian: ChildProcess?
    private var isRemoved = false
    private var made = 0

    /// `subnet`: an IPv4 network of at most 24 bits of prefix, such as 10.77.0.0/16. Stale runs are removed first.
    public init(subnet: IPNetwork) throws(HostFailure) {
        guard case .v4(let base) = subnet.base, subnet.prefixBits <= 24 else { throw HostFailure("pod network", .other, subject: "\(subnet) is no IPv4 network of at most 24 bits") }
        guard clinux_user_id() == 0 else { throw HostFailure("pod network", .permissionDenied, subject: "network namespaces need root") }
        ip = try IPCommand()
        Self.removeStale(ip)
        (name, lock) = try Self.claim()
        self.subnet = subnet
        hub = PodNamespace(name: "\(name)-hub", role: "hub", address: .v4(base + 1))
        do throws(HostFailure) {
            try startGuardian()
            _ = try checked("make directory", clinux_make_directory(directory, 0o700), subject: directory)
            try ip(["netns", "add", hub.name])
            try ip(["-n", hub.name, "link", "set", "lo", "up"])
            try ip(["-n", hub.name, "link", "add", "br0", "type", "bridge"])
            try ip(["-n", hub.name, "addr", "add", "\(hub.address)/\(subnet.prefixBits)", "dev", "br0"])
            try ip(["-n", hub.name, "link", "set", "br0", "up"])
        } catch {
            remove()
            throw error
        }
    }

    deinit { remove() }

    /// A pod on the bridge: `eth0` with this address (the next free one when nil), a default route through the hub, and
    /// its loopback.
    public func addPod(_ role: String, address: IPAddress? = nil) throws(HostFailure) -> PodNamespace {
        invariant(!isRemoved, "a pod network that was removed takes no pods")
        made += 1
        let number = made
        let address = address ?? next()
        guard subnet.contains(address) else { throw HostFailure("add pod", .other, subject: "\(address) is not in \(subnet)") }
        guard !pods.contains(where: { $0.role == role || $0.address == address }) else { throw HostFailure("add pod", .addressInUse, subject: "\(role) \(address)") }
        let pod = PodNamespace(name: "\(name)-\(role)", role: role, address: address)
        do throws(HostFailure) {
            try ip(["netns", "add", pod.name])
            try ip(["-n", pod.name, "link", "set", "lo", "up"])
            try ip(["-n", hub.name, "link", "add", "pod\(number)", "type", "veth", "peer", "name", "eth0", "netns", pod.name])
            try ip(["-n", hub.name, "link", "set", "pod\(number)", "master", "br0"])
            try ip(["-n", hub.name, "link", "set", "pod\(number)", "up"])
            try ip(["-n", pod.name, "addr", "add", "\(address)/\(subnet.prefixBits)", "dev", "eth0"])
            try ip(["-n", pod.name, "link", "set", "eth0", "up"])
            try ip(["-n", pod.name, "route", "add", "default", "via", "\(hub.address)"])
        } catch {
            _ = try? ip(["netns", "del", pod.name])
            throw error
        }
        pods.append(pod)
        return pod
    }

    /// Ends the programs of one pod and deletes it.
    public func removePod(_ pod: PodNamespace) {
        guard let index = pods.firstIndex(where: { $0 === pod }) else { return }
        pods.remove(at: index)
        take(away: pod)
    }

    private func take(away pod: PodNamespace) {
        pod.endPrograms()
        for pid in (try? ip(["netns", "pids", pod.name]))?.split(whereSeparator: \.isWhitespace).compactMap({ Int32($0) }) ?? [] where pid != clinux_process_id() {
            _ = clinux_signal(pid, SIGKILL)
        }
        _ = try? ip(["netns", "del", pod.name])
    }

    /// Gives the machine's own network an address on the bridge, so that programs outside of namespaces reach the pods.
    /// Fails when the subnet is in use there already.
    public func connectMachine(address: IPAddress) throws(HostFailure) {
        let routes = try ip(["route", "show", "root", "\(subnet)"])
        guard routes.allSatisfy(\.isWhitespace) else { throw HostFailure("connect machine", .addressInUse, subject: "\(subnet) has routes already: \(routes)") }
        let outside = name + "u"
        try ip(["-n", hub.name, "link", "add", "machine", "type", "veth", "peer", "name", outside, "netns", "\(clinux_process_id())"])
        try ip(["-n", hub.name, "link", "set", "machine", "master", "br0"])
        try ip(["-n", hub.name, "link", "set", "machine", "up"])
        try ip(["addr", "add", "\(address)/\(subnet.prefixBits)", "dev", outside])
        try ip(["link", "set", outside, "up"])
    }

    /// Ends every program in the namespaces and deletes them. Idempotent. Call it from `onShutdown` too.
    public func remove() {
        if isRemoved { return }
        isRemoved = true
        for pod in pods.reversed() + [hub] { take(away: pod) }
        pods = []
        if lifeline >= 0 { _ = clinux_close(lifeline) }
        lifeline = -1
        _ = guardian?.wait()
        Self.removeDirectory(name)
        _ = clinux_unlink(Self.lockPath(name))
        _ = clinux_close(lock)
        lock = -1
    }

    private func next() -> IPAddress {
        guard case .v4(let base) = subnet.base else { invariantBroken("a pod network is IPv4") }
        var candidate = base + 10
        while pods.contains(where: { $0.address == .v4(candidate) }) { candidate += 1 }
        return .v4(candidate)
    }

    // MARK: Names and their ends

    private static func lockPath(_ name: String) -> String { "/run/weft-\(name).lock" }
    private static func directory(_ name: String) -> String { "/run/weft-\(name)" }

    private static func removeDirectory(_ name: String) {
        _ = try? ChildProcess.run(ChildProgram(path: "/bin/rm", arguments: ["-rf", directory(name)], environment: []))
    }

    /// A name is a run's own as long as it holds the name's lock, which the kernel gives back whatever ends the process.
    private static func claim() throws(HostFailure) -> (String, Int32) {
        for letter in "abcdefghijklmnopqrstuvwxyz" {
            let name = "wf\(clinux_process_id())\(letter)"
            let fd = try checked("lock", clinux_open_append(lockPath(name)), subject: lockPath(name))
            if clinux_lock(fd) == 0 { return (name, fd) }
            _ = clinux_close(fd)
        }
        throw HostFailure("pod network", .tooManyOpen, subject: "26 networks in one process")
    }

    /// Removes the namespaces of runs that are over.
    public static func removeStale() throws(HostFailure) { removeStale(try IPCommand()) }

    private static func removeStale(_ ip: IPCommand) {
        let names = NameList()
        _ = clinux_list("/run/netns", { context, name in
            guard let context, let name else { return -1 }
            Unmanaged<NameList>.fromOpaque(context).takeUnretainedValue().names.append(String(cString: name))
            return 0
        }, Unmanaged.passUnretained(names).toOpaque())
        for entry in names.names.sorted() {
            guard let dash = entry.firstIndex(of: "-") else { continue }
            let run = entry[..<dash]
            guard run.hasPrefix("wf"), run.dropFirst(2).dropLast().allSatisfy(\.isNumber), run.count > 3 else { continue }
            let fd = clinux_open_append(lockPath(String(run)))
            guard fd >= 0 else { continue }
            if clinux_lock(fd) == 0 {
                for pid in (try? ip(["netns", "pids", entry]))?.split(whereSeparator: \.isWhitespace).compactMap({ Int32($0) }) ?? [] { _ = clinux_signal(pid, SIGKILL) }
                _ = try? ip(["netns", "del", entry])
                removeDirectory(String(run))
                _ = clinux_unlink(lockPath(String(run)))
            }
            _ = clinux_close(fd)
        }
    }

    /// A shell that waits for the end of a pipe that only this process holds, then removes what is left of the run.
    private func startGuardian() throws(HostFailure) {
        var ends: [Int32] = [0, 0]
        _ = try checked("pipe", clinux_pipe(&ends))
        defer { _ = clinux_close(ends[0]) }
        lifeline = ends[1]
        let script = """
            trap '' INT TERM HUP
            while read -r _; do :; done
            for n in $(ls /run/netns | grep '^\(name)-'); do
              for p in $('\(ip.path)' netns pids "$n"); do kill -9 "$p"; done
              '\(ip.path)' netns del "$n"
            done
            rm -rf '\(directory)' '\(Self.lockPath(name))'
            """
        guardian = try ChildProcess(ChildProgram(
            path: "/bin/sh", arguments: ["-c", script], environment: [("PATH", ChildProcess.systemPath)], input: ends[0], diesWithParent: false, hasOwnGroup: true))
    }
}

/// One network namespace of a run.
public final class PodNamespace {
    public let name: String
    public let role: String
    public let address: IPAddress
    private var programs: [ChildProcess] = []

    init(name: String, role: String, address: IPAddress) {
        self.name = name
        self.role = role
        self.address = address
    }

    public var path: String { "/run/netns/\(name)" }

    /// Starts a program in here, in a process group of its own. The caller watches it (`LinuxHost.watch`); `PodNetwork.remove` ends it.
    public func start(_ program: ChildProgram) throws(HostFailure) -> ChildProcess {
        var program = program
        program.networkNamespace = path
        program.hasOwnGroup = true
        let child = try ChildProcess(program)
        programs.removeAll { $0.status != nil }
        programs.append(child)
        return child
    }

    /// Runs a program in here to its end. Blocks.
    public func run(_ program: ChildProgram, input: String? = nil) throws(HostFailure) -> (status: Int32, output: String, error: String) {
        var program = program
        program.networkNamespace = path
        return try ChildProcess.run(program, input: input)
    }

    /// Makes `body` run with the calling thread in here: sockets opened in it belong here for good, whoever uses them later.
    public func inside<R>(_ body: () throws -> R) throws -> R {
        let home = "/proc/self/task/\(clinux_thread_id())/ns/net"
        let fd = try checked("open", clinux_open_read(home), subject: home)
        defer { _ = clinux_close(fd) }
        _ = try checked("enter namespace", clinux_enter_network_namespace(path), subject: path)
        defer {
            let back = clinux_enter_network_namespace("/proc/self/fd/\(fd)")
            invariant(back == 0, "a thread finds back to its own namespace")
        }
        return try body()
    }

    /// TERM first, KILL after a moment for those that stay.
    fileprivate func endPrograms() {
        for program in programs { program.signal(SIGTERM, wholeGroup: true) }
        let end = clinux_monotonic() + 2_000_000_000
        while programs.contains(where: { $0.status == nil }), clinux_monotonic() < end { usleep(5000) }
        for program in programs where program.status == nil {
            program.signal(SIGKILL, wholeGroup: true)
            _ = program.wait()
        }
        programs = []
    }
}

/// iproute2.
private struct IPCommand {
    let path: String

    init() throws(HostFailure) {
        guard let path = ChildProcess.find("ip", searchPath: ChildProcess.systemPath) else {
            throw HostFailure("find ip", .notFound, subject: "install the package iproute2")
        }
        self.path = path
    }

    @discardableResult
    func callAsFunction(_ arguments: [String]) throws(HostFailure) -> String {
        let result = try ChildProcess.run(ChildProgram(path: path, arguments: arguments, environment: [("PATH", ChildProcess.systemPath)]))
        if result.status == 0 { return result.output }
        let said = result.error.split(whereSeparator: \.isNewline).joined(separator: "; ")
        throw HostFailure("ip \(arguments.joined(separator: " "))", said.contains("Operation not permitted") ? .permissionDenied : .other, subject: said)
    }
}

private final class NameList { var names: [String] = [] }
