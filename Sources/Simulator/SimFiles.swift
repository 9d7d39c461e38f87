// Files in memory. A process sees its own above its node's; writes go to its own, survive its restarts as a mounted volume does,
// and stand in the trace. Directories are deliberately absent: a path is a name.

import Base
import Platform

/// Paths and contents. The scenario writes here what a cluster would mount.
public final class SimFileTree {
    public struct File: Hashable, Sendable {
        public var bytes: [UInt8]
        public var mode: UInt32
    }

    /// Look-up only.
    private var files: [String: File] = [:]

    /// Whoever asked for hints, in order.
    private var watches: [SimFileWatch] = []

    public subscript(_ path: String) -> File? { files[path] }

    public func put(_ path: String, _ bytes: [UInt8], mode: UInt32 = 0o644) {
        files[path] = File(bytes: bytes, mode: mode)
        tell(path)
    }
    public func put(_ path: String, text: String, mode: UInt32 = 0o644) { put(path, Array(text.utf8), mode: mode) }
    public func remove(_ path: String) {
        files[path] = nil
        tell(path)
    }
    public func removeAll() { files = [:] }
    public var paths: [String] { files.keys.sorted() }  // order: sorted

    fileprivate func add(_ watch: SimFileWatch) {
        watches.removeAll { $0.changed == nil }
        watches.append(watch)
    }

    private func tell(_ path: String) { for watch in watches where path.hasPrefix(watch.directory + "/") { watch.tell() } }
}

/// Hints for one process, while it lives the life in which it asked.
private final class SimFileWatch: FileWatch {
    let directory: String
    fileprivate var changed: (() -> Void)?
    private unowned let process: SimProcess
    private let life: Int

    init(_ directory: String, _ process: SimProcess, _ changed: @escaping () -> Void) {
        self.directory = directory
        self.process = process
        self.changed = changed
        life = process.lives
    }

    func close() { changed = nil }

    func tell() {
        guard process.lives == life else { return changed = nil }
        if process.simFiles.isSilent { return }
        process.after(.zero) { [self] in changed?() }
    }
}

/// What one process sees.
public final class SimFiles: Files {
    /// The process's own.
    public let tree = SimFileTree()
    /// Paths below which nothing can be written or read, as a fault. Prefixes.
    public var forbidden: [String] = []
    /// No hints are given, as a fault: a kernel's queue may overflow.
    public var isSilent = false
    unowned let process: SimProcess

    public func watch(_ directory: String, _ changed: @escaping () -> Void) throws(HostFailure) -> any FileWatch {
        let watch = SimFileWatch(directory, process, changed)
        tree.add(watch)
        process.node.files.add(watch)
        return watch
    }

    init(_ process: SimProcess) { self.process = process }

    public func read(_ path: String) throws(HostFailure) -> [UInt8] {
        if forbidden.contains(where: { path.hasPrefix($0) }) { throw HostFailure("read", .permissionDenied, subject: path) }
        guard let file = tree[path] ?? process.node.files[path] else { throw HostFailure("read", .notFound, subject: path) }
        return file.bytes
    }

    public func list(_ directory: String) throws(HostFailure) -> [String] {
        let prefix = directory.hasSuffix("/") ? directory : directory + "/"
        if forbidden.contains(where: { prefix.hasPrefix($0) }) { throw HostFailure("list", .permissionDenied, subject: directory) }
        var names: [String] = []
        for path in tree.paths + process.node.files.paths where path.hasPrefix(prefix) {
            let name = String(path.dropFirst(prefix.utf8.count).prefix { $0 != "/" })
            if !names.contains(name) { names.append(name) }
        }
        if names.isEmpty { throw HostFailure("list", .notFound, subject: directory) }
        return names.sorted()
    }

    public func write(_ path: String, _ bytes: [UInt8], mode: UInt32) throws(HostFailure) {
        if forbidden.contains(where: { path.hasPrefix($0) }) { throw HostFailure("write", .permissionDenied, subject: path) }
        tree.put(path, bytes, mode: mode)
        var mixed = Digest64()
        mixed.mix(string: path)
        bytes.withUnsafeBytes { mixed.mix($0) }
        process.world.record(.write, process.node, UInt32(process.index), UInt32(truncatingIfNeeded: bytes.count), mixed.value) {
            "\(process.name) \(path) \(bytes.count) B mode \(String(mode, radix: 8))"
        }
    }
}
