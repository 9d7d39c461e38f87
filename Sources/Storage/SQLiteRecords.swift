// Records in a SQLite database file. Why SQLite: its journal has been tried against power cuts and torn pages for twenty years, Debian ships
// it, and people can look inside. Written ahead (WAL) with synchronous=FULL: one fsync a commit, after which the commit survives the
// machine's end, not only the process's. One process holds the file at a time; a second one is told so.

import Base
import CSQLite
import Glibc
import Platform

public final class SQLiteRecords: RecordStore {
    /// `Weft` in ASCII: a database that says otherwise is somebody else's. Source: sqlite.org/fileformat2.html, application ID.
    static let applicationID: Int32 = 0x5765_6674
    /// Of the table's shape.
    static let formatVersion: Int32 = 1

    public let path: String
    private var database: OpaquePointer?
    private var put: OpaquePointer?
    private var remove: OpaquePointer?

    /// Opens the database, or makes it. Refused in one sentence when it is not ours, damaged, newer than this program or in use.
    public init(path: String) throws(Refusal) {
        self.path = path
        do throws(HostFailure) {
            try open()
        } catch {
            let code = error.errno
            close()
            throw Refusal(Self.sentence(path, code, error))
        }
        do throws(Refusal) {
            try recognize()
        } catch {
            close()
            throw error
        }
    }

    deinit { close() }

    private static func sentence(_ path: String, _ code: Int32, _ failure: HostFailure) -> String {
        switch code & 0xff {
        case SQLITE_NOTADB: "\(path) is not a database of this program, or its first page is damaged"
        case SQLITE_CORRUPT: "\(path) is damaged: restore it from a backup, or begin with another directory"
        case SQLITE_BUSY, SQLITE_LOCKED: "\(path) is in use by another process"
        case SQLITE_FULL: "\(path) cannot be written: the disk is full"
        case SQLITE_READONLY: "\(path) cannot be written: it is read-only"
        case SQLITE_CANTOPEN: "\(path) cannot be opened: check that the directory exists and is yours"
        default: "\(path) cannot be opened: \(failure)"
        }
    }

    private func open() throws(HostFailure) {
        let before = umask(0o077)
        let status = sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nil)
        umask(before)
        try check(status)
        sqlite3_extended_result_codes(database, 1)
        // Whoever comes second waits for nobody. Exclusive: the lock stays with us from the first read on, and no shared memory file is needed.
        try run("PRAGMA locking_mode = EXCLUSIVE")
        try run("PRAGMA journal_mode = WAL")
        try run("PRAGMA synchronous = FULL")
        try run("BEGIN IMMEDIATE")
        try run("COMMIT")
    }

    /// Makes the table of a new database; refuses one that is not ours or not whole.
    private func recognize() throws(Refusal) {
        do throws(HostFailure) {
            let tables = try number("SELECT count(*) FROM sqlite_master")
            let application = try number("PRAGMA application_id")
            if tables == 0, application == 0 {
                try run("BEGIN")
                try run("CREATE TABLE records (key TEXT PRIMARY KEY, bytes BLOB NOT NULL)")
                try run("PRAGMA application_id = \(Self.applicationID)")
                try run("PRAGMA user_version = \(Self.formatVersion)")
                try run("COMMIT")
            } else if application != Int64(Self.applicationID) {
                throw HostFailure("open", .other, subject: path, errno: SQLITE_NOTADB)
            }
            let version = try number("PRAGMA user_version")
            if version != Int64(Self.formatVersion) { throw HostFailure("open", .other, subject: "format \(version)", errno: SQLITE_SCHEMA) }
            if try text("PRAGMA quick_check(1)") != "ok" { throw HostFailure("open", .other, subject: path, errno: SQLITE_CORRUPT) }
            put = try statement("INSERT INTO records (key, bytes) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET bytes = ?2")
            remove = try statement("DELETE FROM records WHERE key = ?1")
        } catch {
            if error.errno == SQLITE_SCHEMA { throw Refusal("\(path) was written by a newer version of this program (\(error.subject))") }
            if error.errno == SQLITE_NOTADB { throw Refusal("\(path) is a database of another program") }
            throw Refusal(Self.sentence(path, error.errno, error))
        }
    }

    public func close() {
        sqlite3_finalize(put)
        sqlite3_finalize(remove)
        sqlite3_close(database)
        put = nil
        remove = nil
        database = nil
    }

    // MARK: Records

    public func read(_ each: (_ key: String, _ bytes: [UInt8]) -> Void) throws(HostFailure) {
        let rows = try statement("SELECT key, bytes FROM records ORDER BY key")
        defer { sqlite3_finalize(rows) }
        while true {
            let status = sqlite3_step(rows)
            if status == SQLITE_DONE { return }
            guard status == SQLITE_ROW else { throw failure(status) }
            guard let key = sqlite3_column_text(rows, 0) else { throw failure(SQLITE_CORRUPT) }
            let count = Int(sqlite3_column_bytes(rows, 1))
            each(String(cString: key), [UInt8](UnsafeRawBufferPointer(start: sqlite3_column_blob(rows, 1), count: count)))
        }
    }

    public func commit(_ changes: [RecordChange]) throws(HostFailure) {
        try run("BEGIN IMMEDIATE")
        do throws(HostFailure) {
            for change in changes { try write(change) }
            try run("COMMIT")
        } catch {
            // The first failure is what to tell; without a transaction there is nothing to take back.
            _ = sqlite3_exec(database, "ROLLBACK", nil, nil, nil)
            throw error
        }
    }

    private func write(_ change: RecordChange) throws(HostFailure) {
        let statement = change.bytes == nil ? remove : put
        let key = Array(change.key.utf8)
        // The bytes stay where they are until the statement has run, so that SQLite need not copy them.
        let status = key.withUnsafeBufferPointer { key in
            sqlite3_bind_text(statement, 1, UnsafeRawPointer(key.baseAddress)?.assumingMemoryBound(to: CChar.self), Int32(key.count), nil)
            guard let bytes = change.bytes else { return sqlite3_step(statement) }
            return bytes.withUnsafeBytes { bytes in
                if bytes.isEmpty { sqlite3_bind_zeroblob(statement, 2, 0) } else { sqlite3_bind_blob(statement, 2, bytes.baseAddress, Int32(bytes.count), nil) }
                return sqlite3_step(statement)
            }
        }
        sqlite3_reset(statement)
        sqlite3_clear_bindings(statement)
        guard status == SQLITE_DONE else { throw failure(status) }
    }

    // MARK: Words with SQLite

    private func failure(_ status: Int32) -> HostFailure { HostFailure("\(String(cString: sqlite3_errstr(status))) in", .other, subject: path, errno: status) }

    private func check(_ status: Int32) throws(HostFailure) { if status != SQLITE_OK { throw failure(status) } }

    private func run(_ sql: String) throws(HostFailure) { try check(sqlite3_exec(database, sql, nil, nil, nil)) }

    private func statement(_ sql: String) throws(HostFailure) -> OpaquePointer? {
        var statement: OpaquePointer?
        try check(sqlite3_prepare_v3(database, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil))
        return statement
    }

    private func number(_ sql: String) throws(HostFailure) -> Int64 {
        let row = try statement(sql)
        defer { sqlite3_finalize(row) }
        let status = sqlite3_step(row)
        guard status == SQLITE_ROW else { throw failure(status) }
        return sqlite3_column_int64(row, 0)
    }

    private func text(_ sql: String) throws(HostFailure) -> String {
        let row = try statement(sql)
        defer { sqlite3_finalize(row) }
        let status = sqlite3_step(row)
        guard status == SQLITE_ROW else { throw failure(status) }
        return sqlite3_column_text(row, 0).map { String(cString: $0) } ?? ""
    }
}
