// Records in a world: what a database on a mounted volume would keep. They belong to a process and survive its lives; a commit is one step of
// its turn, so that a crash falls before or after it, never into it. A full disk is a fault.

import Base
import Platform

public final class SimRecords: RecordStore {
    /// Look-up only.
    private var records: [String: [UInt8]] = [:]
    /// As a fault: no commit succeeds, as on a full disk.
    public var isFull = false
    /// Commits so far.
    public private(set) var commits = 0
    private unowned let process: SimProcess

    init(_ process: SimProcess) { self.process = process }

    public var count: Int { records.count }

    public func read(_ each: (_ key: String, _ bytes: [UInt8]) -> Void) throws(HostFailure) {
        // order: sorted
        for key in records.keys.sorted() { each(key, records[key]!) }
    }

    public func commit(_ changes: [RecordChange]) throws(HostFailure) {
        if isFull { throw HostFailure("commit", .other, subject: "records of \(process.path)", errno: 28) }
        var mixed = Digest64()
        var bytesCount = 0
        for change in changes {
            records[change.key] = change.bytes
            mixed.mix(string: change.key)
            change.bytes?.withUnsafeBytes { mixed.mix($0) }
            bytesCount += change.bytes?.count ?? 0
        }
        commits += 1
        process.world.record(.write, process.node, UInt32(process.index), UInt32(truncatingIfNeeded: bytesCount), mixed.value) {
            "\(process.name) commits \(changes.count) records, \(bytesCount) B"
        }
    }

    public func close() {}
}
