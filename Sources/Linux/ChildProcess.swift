// Programs that run beside us: started inside a network namespace, as another user, with their input and output where we
// want them, and watched by the loop. The fork and what lies between it and exec are in CLinux, because no Swift may run there.

import Base
import CLinux
import Glibc
import Platform

/// What to run and how. Descriptors are borrowed: the caller closes its own ends after the start.
public struct ChildProgram {
    /// Absolute.
    public var path: String
    /// Without the program's own name.
    public var arguments: [String]
    public var environment: [(name: String, value: String)]
    /// `/run/netns/NAME`, entered before the program starts.
    public var networkNamespace: String?
    /// Files or directories that the program sees at other paths, which must exist, in a mount namespace of its own; in order, so
    /// that what a later one hides must be named before.
    public var binds: [(source: String, target: String)] = []
    public var user: UInt32?
    public var group: UInt32?
    /// Standard input, output and error. nil: /dev/null.
    public var input: Int32?
    public var output: Int32?
    public var error: Int32?
    /// Killed when the thread that started it ends.
    public var diesWithParent: Bool
    /// In a process group of its own: a terminal's SIGINT reaches only us, and we decide when it ends.
    public var hasOwnGroup: Bool

    public init(
        path: String, arguments: [String], environment: [(name: String, value: String)], networkNamespace: String? = nil, user: UInt32? = nil,
        group: UInt32? = nil, input: Int32? = nil, output: Int32? = nil, error: Int32? = nil, diesWithParent: Bool = true, hasOwnGroup: Bool = false
    ) {
        self.path = path
        self.arguments = arguments
        self.environment = environment
        self.networkNamespace = networkNamespace
        self.user = user
        self.group = group
        self.input = input
        self.output = output
        self.error = error
        self.diesWithParent = diesWithParent
        self.hasOwnGroup = hasOwnGroup
    }
}

/// A started program. Whoever started it waits for it, or the kernel keeps its entry.
public final class ChildProcess {
    public let pid: Int32
    private var ended: Int32?

    /// Returns once the program itself runs. A failure names the step: namespace, mount, group, user, redirection, exec.
    public init(_ program: ChildProgram) throws(HostFailure) {
        let arguments = CStrings([program.path] + program.arguments)
        let environment = CStrings(program.environment.map { "\($0.name)=\($0.value)" })
        let path = CStrings([program.path, program.networkNamespace ?? ""])
        let binds = CStrings(program.binds.flatMap { [$0.source, $0.target] })
        var request = clinux_spawn_request()
        request.path = path.pointers[0].map { UnsafePointer($0) }
        request.arguments = arguments.base
        request.environment = environment.base
        request.network_namespace = program.networkNamespace == nil ? nil : path.pointers[1].map { UnsafePointer($0) }
        request.binds = binds.base
        request.user = program.user.map { Int32(bitPattern: $0) } ?? -1
        request.group = program.group.map { Int32(bitPattern: $0) } ?? -1
        request.input = program.input ?? -1
        request.output = program.output ?? -1
        request.error = program.error ?? -1
        request.dies_with_parent = program.diesWithParent ? 1 : 0
        request.own_group = program.hasOwnGroup ? 1 : 0
        var step: UnsafePointer<CChar>?
        let pid = clinux_spawn(&request, &step)
        withExtendedLifetime((arguments, environment, path, binds)) {}
        if pid < 0 {
            let name = step.map { String(cString: $0) } ?? "spawn"
            throw HostFailure("start (\(name))", errno: -pid, subject: name == "namespace" ? program.networkNamespace ?? program.path : program.path)
        }
        self.pid = pid
    }

    /// The exit status, or 128 plus the signal that ended it; nil while it runs.
    public var status: Int32? { reap(wait: false) }

    /// Blocks until it ends.
    public func wait() -> Int32 { reap(wait: true) ?? -1 }

    /// To the process, or to its whole group when it leads one.
    public func signal(_ number: Int32, wholeGroup: Bool = false) {
        if status == nil { _ = clinux_signal(wholeGroup ? -pid : pid, number) }
    }

    private func reap(wait: Bool) -> Int32? {
        if let ended { return ended }
        var status: Int32 = 0
        let result = clinux_reap(pid, wait ? 1 : 0, &status)
        if result == 1 { ended = status }
        // Somebody else waited for it: it is gone, its status unknown.
        if result < 0 { ended = -1 }
        return ended
    }

    /// Runs a program to its end and returns what it wrote. Blocks; for set-up work, not for a loop.
    public static func run(_ program: ChildProgram, input text: String? = nil) throws(HostFailure) -> (status: Int32, output: String, error: String) {
        // Memory files never fill up, so a talkative program cannot stall while the other end waits for it.
        var files: [Int32] = []
        defer { for file in files { _ = clinux_close(file) } }
        for _ in 0..<2 { files.append(try checked("memfd", clinux_memory_file())) }
        var program = program
        program.output = files[0]
        program.error = files[1]
        if let text {
            var ends: [Int32] = [0, 0]
            _ = try checked("pipe", clinux_pipe(&ends))
            files += ends
            program.input = ends[0]
            let bytes = Array(text.utf8)
            invariant(bytes.count <= 65_536, "a program's input fits a pipe")
            _ = bytes.withUnsafeBytes { clinux_write(ends[1], $0.baseAddress, $0.count) }
            _ = clinux_close(files.removeLast())
        }
        let status = try ChildProcess(program).wait()
        return (status, try contents(files[0]), try contents(files[1]))
    }

    private static func contents(_ fd: Int32) throws(HostFailure) -> String {
        var bytes = [UInt8](repeating: 0, count: Int(max(0, clinux_file_size(fd))))
        let n = bytes.withUnsafeMutableBytes { clinux_read_at(fd, $0.baseAddress, $0.count, 0) }
        if n < 0 { throw HostFailure("read output", errno: Int32(-n)) }
        return String(decoding: bytes.prefix(n), as: UTF8.self)
    }

    /// Where system tools live.
    public static let systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    /// The absolute path of a program, looked for in `searchPath` (colons between).
    public static func find(_ name: String, searchPath: String) -> String? {
        if name.hasPrefix("/") { return clinux_is_executable(name) != 0 ? name : nil }
        for folder in searchPath.split(separator: ":") {
            let path = "\(folder)/\(name)"
            if clinux_is_executable(path) != 0 { return path }
        }
        return nil
    }
}

extension LinuxHost {
    /// Calls `ended` once, in a later turn, with the status of a child. Needs Linux 5.3 (pidfd).
    public func watch(_ child: ChildProcess, ended: @escaping (Int32) -> Void) throws(HostFailure) {
        let fd = try checked("pidfd_open", clinux_process_descriptor(child.pid))
        try watchDescriptor(ReadableSource(fd, host: self) { source in
            source.close()
            ended(child.wait())
        })
    }

    /// Calls `line` with each line that comes out of a pipe, without its end, and `ended` at the end. The descriptor is
    /// the host's from here on. A line longer than 64 KiB is told in pieces.
    public func readLines(_ fd: Int32, line: @escaping (String) -> Void, ended: @escaping () -> Void) throws(HostFailure) {
        _ = clinux_set_nonblocking(fd)
        var rest: [UInt8] = []
        try watchDescriptor(ReadableSource(fd, host: self) { [unowned self] source in
            let n = clinux_read(fd, scratch, 65_536)
            if n == -Int(EAGAIN) { return }
            rest += UnsafeRawBufferPointer(start: scratch, count: max(0, n))
            while let end = rest.firstIndex(of: 0x0a) {
                line(String(decoding: rest[..<end], as: UTF8.self))
                rest.removeFirst(end + 1)
            }
            if rest.count >= 65_536 || (n <= 0 && !rest.isEmpty) {
                line(String(decoding: rest, as: UTF8.self))
                rest = []
            }
            if n <= 0 {
                source.close()
                ended()
            }
        })
    }

    /// inotify: what happened is not read, only that something did.
    func watch(directory: String, _ changed: @escaping () -> Void) throws(HostFailure) -> any FileWatch {
        let fd = try checked("watch", clinux_watch_directory(directory), subject: directory)
        let source = ReadableSource(fd, host: self) { [unowned self] source in
            while clinux_read(fd, scratch, 65_536) > 0 {}
            changed()
        }
        try watchDescriptor(source)
        return source
    }

    private func watchDescriptor(_ source: ReadableSource) throws(HostFailure) {
        do throws(HostFailure) { source.registration = try register(source, source.fd, CLINUX_IN) } catch {
            source.abandon()
            throw error
        }
    }
}

/// Any descriptor that may become readable.
private final class ReadableSource: LoopSource, FileWatch {
    fileprivate var fd: Int32
    fileprivate var registration: UInt32 = 0
    private let host: LinuxHost
    private var action: ((ReadableSource) -> Void)?

    init(_ fd: Int32, host: LinuxHost, action: @escaping (ReadableSource) -> Void) {
        self.fd = fd
        self.host = host
        self.action = action
    }

    func ready(_ mask: UInt32) { action?(self) }

    func close() {
        if fd < 0 { return }
        host.unregister(registration)
        abandon()
    }

    func abandon() {
        if fd >= 0 { _ = clinux_close(fd) }
        fd = -1
        action = nil
    }
}

/// A null-ended vector of C strings that lives as long as this object.
private final class CStrings {
    let pointers: [UnsafeMutablePointer<CChar>?]
    private let vector: UnsafeMutablePointer<UnsafePointer<CChar>?>

    init(_ strings: [String]) {
        pointers = strings.map { strdup($0) }
        vector = .allocate(capacity: strings.count + 1)
        for (i, pointer) in pointers.enumerated() { vector[i] = pointer.map { UnsafePointer($0) } }
        vector[strings.count] = nil
    }

    var base: UnsafePointer<UnsafePointer<CChar>?> { UnsafePointer(vector) }

    deinit {
        for pointer in pointers { free(pointer) }
        vector.deallocate()
    }
}
