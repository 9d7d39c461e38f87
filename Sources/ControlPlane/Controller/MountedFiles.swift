// Files that kubelet mounts and swaps when their Secret or ConfigMap changes: looked at when the world hints at a change, and from
// time to time because hints get lost (linkerd2 #15109). Whoever follows them is told only of other bytes.

import Base
import Platform

final class MountedFiles {
    private let host: any Host
    private let paths: [String]
    private let interval: Interval
    private let changed: () -> Void
    private var judged: Digest64?
    private var timer: TimerID?
    private var watches: [any FileWatch] = []
    private var directories: [String]
    private var isStopped = false

    /// `changed` is called at the first look, inside `start`, and whenever the files are others; a file that cannot be read counts as
    /// an empty one.
    init(host: any Host, paths: [String], interval: Interval, changed: @escaping () -> Void) {
        self.host = host
        self.paths = paths
        self.interval = interval
        self.changed = changed
        directories = []
        for path in paths {
            let directory = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
            if !directories.contains(directory) { directories.append(directory) }
        }
    }

    func start() { look() }

    func stop() {
        isStopped = true
        if let timer { host.cancel(timer) }
        timer = nil
        for watch in watches { watch.close() }
        watches = []
    }

    private func look() {
        guard !isStopped else { return }
        if let timer { host.cancel(timer) }
        timer = host.after(interval) { [self] in look() }
        // A directory that is mounted late can be watched late.
        while let directory = directories.last, let watch = try? host.files.watch(directory, { [self] in look() }) {
            watches.append(watch)
            directories.removeLast()
        }
        var digest = Digest64()
        for path in paths {
            let bytes = (try? host.files.read(path)) ?? []
            digest.mix(string: path)
            bytes.withUnsafeBytes { digest.mix($0) }
        }
        guard digest != judged else { return }
        judged = digest
        changed()
    }
}
