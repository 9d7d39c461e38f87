// Files and the process's own settings. A write goes to a new file beside its target and is renamed over it, so that a reader
// sees the old bytes or the new ones, never half.

import Base
import CLinux
import Glibc
import Platform

public final class LinuxFiles: Files {
    private let limits: LinuxLimits
    private var written = 0

    /// Set by the loop that the hints come on; without one there are none.
    var watcher: ((_ directory: String, _ changed: @escaping () -> Void) throws(HostFailure) -> any FileWatch)?

    public init(limits: LinuxLimits) { self.limits = limits }

    public func watch(_ directory: String, _ changed: @escaping () -> Void) throws(HostFailure) -> any FileWatch {
        guard let watcher else { throw HostFailure("watch", errno: ENOSYS, subject: directory) }
        return try watcher(directory, changed)
    }

    public func read(_ path: String) throws(HostFailure) -> [UInt8] {
        let fd = try checked("read", clinux_open_read(path), subject: path)
        defer { _ = clinux_close(fd) }
        var bytes: [UInt8] = []
        // Sizes of /proc files are 0, so the size is a hint only.
        var room = min(max(Int(clinux_file_size(fd)) + 1, 4096), limits.fileBytesMax + 1)
        while true {
            let have = bytes.count
            bytes.append(contentsOf: repeatElement(0, count: room))
            let n = bytes.withUnsafeMutableBytes { clinux_read(fd, $0.baseAddress.unsafelyUnwrapped + have, room) }
            bytes.removeLast(room - max(0, n))
            if n < 0 { throw HostFailure("read", errno: Int32(-n), subject: path) }
            if n == 0 { return bytes }
            if bytes.count > limits.fileBytesMax { throw HostFailure("read", errno: EFBIG, subject: path) }
            room = max(4096, bytes.count / 2)
        }
    }

    public func write(_ path: String, _ bytes: [UInt8], mode: UInt32) throws(HostFailure) {
        written += 1
        let fresh = "\(path).\(clinux_process_id()).\(clinux_thread_id()).\(written).new"
        let fd = try checked("write", clinux_create_new(fresh, mode), subject: path)
        var error = Self.fill(fd, bytes)
        // The mode given at creation went through the umask.
        if error == 0 { error = clinux_set_mode(fd, mode) }
        if error == 0 { error = clinux_sync(fd) }
        let closed = clinux_close(fd)
        if error == 0 { error = closed }
        if error == 0 { error = clinux_rename(fresh, path) }
        if error != 0 {
            _ = clinux_unlink(fresh)
            throw HostFailure("write", errno: -error, subject: path)
        }
    }

    public func list(_ directory: String) throws(HostFailure) -> [String] {
        final class Names { var all: [String] = [] }
        let names = Names()
        let context = Unmanaged.passUnretained(names).toOpaque()
        let result = clinux_list(directory, { context, name in
            guard let context, let name else { return 0 }
            Unmanaged<Names>.fromOpaque(context).takeUnretainedValue().all.append(String(cString: name))
            return 0
        }, context)
        if result < 0 { throw HostFailure("list", errno: -result, subject: directory) }
        return names.all.sorted()
    }

    private static func fill(_ fd: Int32, _ bytes: [UInt8]) -> Int32 {
        bytes.withUnsafeBytes { raw in
            var done = 0
            while done < raw.count {
                let n = clinux_write(fd, raw.baseAddress.unsafelyUnwrapped + done, raw.count - done)
                if n < 0 { return Int32(n) }
                done += n
            }
            return 0
        }
    }
}

extension Settings {
    /// Environment and arguments of this process, in order. The program's own name is not among the arguments.
    public static func ofThisProcess() -> Settings {
        var environment: [(name: String, value: String)] = []
        var i = 0
        while let entry = clinux_environment(i) {
            let text = String(cString: entry)
            if let equals = text.firstIndex(of: "=") { environment.append((String(text[..<equals]), String(text[text.index(after: equals)...]))) }
            i += 1
        }
        return Settings(environment: environment, arguments: Array(CommandLine.arguments.dropFirst()))
    }
}
