// Records that outlive the process: a map from keys to bytes, changed in whole steps. A machine keeps them in a database file, the
// simulator in a world's memory. Deliberately absent: queries. Who keeps records here reads them all at start and holds what it needs.

import Base

/// One map of records, held by one process at a time.
public protocol RecordStore: AnyObject {
    /// Gives every record once, by ascending key (bytes of UTF-8).
    func read(_ each: (_ key: String, _ bytes: [UInt8]) -> Void) throws(HostFailure)
    /// Changes all of it or nothing. What this has returned from survives the end of the process and of the machine.
    func commit(_ changes: [RecordChange]) throws(HostFailure)
    /// Gives the records free for another process. Nothing may be asked of the store afterwards.
    func close()
}

/// One record set or, with nil bytes, removed.
public struct RecordChange: Sendable {
    public var key: String
    public var bytes: [UInt8]?

    public init(_ key: String, _ bytes: [UInt8]?) {
        self.key = key
        self.bytes = bytes
    }
}
