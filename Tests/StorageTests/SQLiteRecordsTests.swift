// The database against what happens to files: reopened, held by another, cut short, overwritten, foreign.

import Base
import Glibc
import Platform
import Testing

@testable import Storage

/// A folder that goes with the test.
private final class Folder {
    let path: String

    init() throws {
        var template = Array("/tmp/weft-records-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Refusal("no temporary folder") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        for name in ["a", "a-wal", "a-shm", "a-journal"] { unlink("\(path)/\(name)") }
        rmdir(path)
    }

    func write(_ bytes: [UInt8], at offset: Int = 0) {
        let fd = open("\(path)/a", O_WRONLY | O_CREAT, 0o600)
        _ = bytes.withUnsafeBytes { pwrite(fd, $0.baseAddress, $0.count, offset) }
        close(fd)
    }
}

private func all(_ store: SQLiteRecords) throws -> [String] {
    var found: [String] = []
    try store.read { key, bytes in found.append("\(key)=\(String(decoding: bytes, as: UTF8.self))") }
    return found
}

private func refusal(_ path: String) -> String? {
    do throws(Refusal) {
        _ = try SQLiteRecords(path: path)
        return nil
    } catch { return error.reason }
}

@Suite struct SQLiteRecordsTests {
    @Test func `records are there again after reopening, by key, and removed ones are not`() throws {
        let folder = try Folder()
        var store = try SQLiteRecords(path: folder.path + "/a")
        try store.commit([RecordChange("b", Array("2".utf8)), RecordChange("a", Array("1".utf8)), RecordChange("c", [])])
        try store.commit([RecordChange("b", nil), RecordChange("a", Array("3".utf8)), RecordChange("gone", nil)])
        store.close()
        store = try SQLiteRecords(path: folder.path + "/a")
        #expect(try all(store) == ["a=3", "c="])
        var status = stat()
        #expect(stat(folder.path + "/a", &status) == 0 && status.st_mode & 0o777 == 0o600)
    }

    @Test func `nothing of a commit that fails is kept, and the next one works`() throws {
        let folder = try Folder()
        let store = try SQLiteRecords(path: folder.path + "/a")
        try store.commit([RecordChange("a", [1])])
        // SQLite refuses values of more than 10^9 bytes, but not before the first record of the step is in.
        var status: HostFailure?
        let huge = [UInt8](repeating: 0, count: 1_000_000_001)
        do throws(HostFailure) { try store.commit([RecordChange("b", [1]), RecordChange("c", huge)]) } catch { status = error }
        #expect(status != nil)
        try store.commit([RecordChange("d", [1])])
        #expect(try all(store).map { $0.prefix(1) } == ["a", "d"])
    }

    @Test func `one process holds the records at a time`() throws {
        let folder = try Folder()
        let store = try SQLiteRecords(path: folder.path + "/a")
        #expect(refusal(folder.path + "/a") == "\(folder.path)/a is in use by another process")
        store.close()
        #expect(refusal(folder.path + "/a") == nil)
    }

    @Test func `what is no database, somebody else's or newer is refused in one sentence`() throws {
        let folder = try Folder()
        folder.write(Array(repeating: 0x41, count: 5000))
        #expect(refusal(folder.path + "/a") == "\(folder.path)/a is not a database of this program, or its first page is damaged")
        #expect(refusal(folder.path + "/none/a") == "\(folder.path)/none/a cannot be opened: check that the directory exists and is yours")
    }

    @Test func `another program's database and a newer format are told apart`() throws {
        let folder = try Folder()
        var store = try SQLiteRecords(path: folder.path + "/a")
        store.close()
        // The application id is at 68 and the user version at 60 of the first page (sqlite.org/fileformat2.html).
        folder.write([0, 0, 0, 9], at: 60)
        #expect(refusal(folder.path + "/a") == "\(folder.path)/a was written by a newer version of this program (format 9)")
        folder.write([1, 2, 3, 4], at: 68)
        #expect(refusal(folder.path + "/a") == "\(folder.path)/a is a database of another program")
        folder.write([0x57, 0x65, 0x66, 0x74], at: 68)
        folder.write([0, 0, 0, 1], at: 60)
        store = try SQLiteRecords(path: folder.path + "/a")
        #expect(try all(store) == [])
    }

    @Test func `a damaged page is found at opening`() throws {
        let folder = try Folder()
        let store = try SQLiteRecords(path: folder.path + "/a")
        try store.commit((0..<500).map { RecordChange("key-\($0)", Array(repeating: 7, count: 200)) })
        store.close()
        folder.write(Array(repeating: 0xee, count: 4096), at: 4096 * 3)
        #expect(refusal(folder.path + "/a") == "\(folder.path)/a is damaged: restore it from a backup, or begin with another directory")
    }
}
