// HPACK, the sending side (RFC 7541). What repeats between heads goes into the table, what is secret never does, and what is
// likely to be unique (paths, dates, identifiers) only on its second sight, so that it does not push out what repeats.
// The caller makes room first (`HPACKEncoder.bytesMax`) and the writing checks nothing.

import Base

struct HPACKEncoder: ~Copyable {
    private var table: HPACKDynamicTable
    private let tables = HPACKTables.shared
    /// Newest entry by hash of name and value, and by hash of the name, as sequence numbers; possibly of an evicted entry.
    private let fieldBuckets: UnsafeMutablePointer<UInt32>
    private let nameBuckets: UnsafeMutablePointer<UInt32>
    /// Hashes of fields that were sent without indexing lately.
    private let seen: UnsafeMutablePointer<UInt32>
    private static let bucketCount = 128
    private static let seenCount = 64
    /// The largest table that we use, whatever the peer allows. Unit: bytes.
    private let tableBytesMax: Int
    /// Size updates that the next block begins with: the lowest size since the last block, and the one that holds.
    private var lowestUpdate: Int?

    /// What a block may begin with. Unit: bytes.
    static let prefixBytesMax = 12

    init(tableBytesMax: Int = 4096) {
        self.tableBytesMax = tableBytesMax
        table = HPACKDynamicTable(sizeMax: tableBytesMax)
        fieldBuckets = .allocate(capacity: Self.bucketCount * 2 + Self.seenCount)
        fieldBuckets.initialize(repeating: 0, count: Self.bucketCount * 2 + Self.seenCount)
        nameBuckets = fieldBuckets + Self.bucketCount
        seen = nameBuckets + Self.bucketCount
    }

    deinit { fieldBuckets.deallocate() }

    var tableBytes: Int { table.size }

    /// The most that one field takes. Unit: bytes.
    @inline(__always)
    static func bytesMax(name: Int, value: Int) -> Int { name &+ value &+ 16 }

    /// The peer's SETTINGS_HEADER_TABLE_SIZE.
    mutating func allow(tableBytes: Int) {
        let bytes = min(tableBytes, tableBytesMax)
        guard bytes != table.sizeMax || lowestUpdate != nil else { return }
        lowestUpdate = min(lowestUpdate ?? bytes, bytes)
        table.resize(bytes)
    }

    /// Begins a block at `at`. Returns where the first field goes.
    @inline(__always)
    mutating func begin(_ at: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
        if lowestUpdate == nil { return at }
        return writeUpdates(at)
    }

    private mutating func writeUpdates(_ start: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
        var at = start
        if let lowest = lowestUpdate, lowest < table.sizeMax { at = integer(at, lowest, prefixBits: 5, pattern: 0x20) }
        lowestUpdate = nil
        return integer(at, table.sizeMax, prefixBits: 5, pattern: 0x20)
    }

    /// Writes a static entry.
    @inline(__always)
    func write(_ at: UnsafeMutableRawPointer, staticIndex: UInt8) -> UnsafeMutableRawPointer {
        at.storeBytes(of: 0x80 | staticIndex, as: UInt8.self)
        return at + 1
    }

    /// Writes a field; the name is in lower case.
    mutating func write(
        _ start: UnsafeMutableRawPointer, name: UnsafeRawPointer, _ nameCount: Int, value: UnsafeRawPointer, _ valueCount: Int, known: KnownName, isSensitive: Bool
    ) -> UnsafeMutableRawPointer {
        let nameHash = hashBytes(name, nameCount)
        let hash = nameHash &* 31 ^ hashBytes(value, valueCount)
        if isSensitive || known == .authorization || known == .cookie && valueCount < 20 {
            return writeLiteral(start, pattern: 0x10, prefixBits: 4, nameIndex: nameIndex(name, nameCount, nameHash), name, nameCount, value, valueCount)
        }
        let bucket = Int(truncatingIfNeeded: hash >> 32) & (Self.bucketCount &- 1)
        var sequence = fieldBuckets[bucket]
        while table.contains(sequence) {
            let entry = table[sequence]
            if entry.hash == hash, Int(entry.nameCount) == nameCount, Int(entry.valueCount) == valueCount {
                let bytes = table.bytes(of: entry)
                if equalBytes(bytes, name, nameCount), equalBytes(bytes + nameCount, value, valueCount) { return integer(start, index(of: sequence), prefixBits: 7, pattern: 0x80) }
            }
            sequence = entry.olderField
        }
        return writeNew(start, name, nameCount, value, valueCount, nameHash: nameHash, hash: hash, known: known)
    }

    // MARK: Inside

    @inline(__always)
    private func index(of sequence: UInt32) -> Int { HPACKTables.entryCount &+ Int(table.next &- sequence) }

    /// A field that is not in the dynamic table.
    @inline(never)
    private mutating func writeNew(
        _ start: UnsafeMutableRawPointer, _ name: UnsafeRawPointer, _ nameCount: Int, _ value: UnsafeRawPointer, _ valueCount: Int, nameHash: UInt64, hash: UInt64, known: KnownName
    ) -> UnsafeMutableRawPointer {
        let staticIndex = tables.index(ofName: name, nameCount, hash: nameHash)
        var i = staticIndex
        while i != 0, i <= HPACKTables.entryCount, tables.entries[i].nameCount == nameCount, tables.entries[i].valueCount > 0 {
            if tables.entries[i].valueCount == valueCount, equalBytes(tables.entries[i].value, value, valueCount), equalBytes(tables.entries[i].name, name, nameCount) {
                return write(start, staticIndex: UInt8(i))
            }
            i += 1
        }
        let nameIndex = staticIndex != 0 ? staticIndex : dynamicNameIndex(name, nameCount, nameHash)
        if staticIndex == 49 {  // proxy-authorization
            return writeLiteral(start, pattern: 0x10, prefixBits: 4, nameIndex: nameIndex, name, nameCount, value, valueCount)
        }
        guard nameCount + valueCount + 32 <= table.sizeMax / 2, isWorthIndexing(staticIndex, known, hash) else {
            return writeLiteral(start, pattern: 0, prefixBits: 4, nameIndex: nameIndex, name, nameCount, value, valueCount)
        }
        let end = writeLiteral(start, pattern: 0x40, prefixBits: 6, nameIndex: nameIndex, name, nameCount, value, valueCount)
        let bucket = Int(truncatingIfNeeded: hash >> 32) & (Self.bucketCount - 1)
        let nameBucket = Int(truncatingIfNeeded: nameHash >> 32) & (Self.bucketCount - 1)
        let sequence = table.insert(
            HPACKField(name: name, nameCount: nameCount, value: value, valueCount: valueCount, traits: HPACKTraits()), hash: hash, olderField: fieldBuckets[bucket],
            olderName: nameBuckets[nameBucket])
        fieldBuckets[bucket] = sequence
        nameBuckets[nameBucket] = sequence
        return end
    }

    /// Names whose values repeat go in at once, by static index: :authority, :method, :status, accept and its kin, access-control-allow-origin,
    /// allow, cache-control, content-encoding, content-type, server, strict-transport-security, user-agent, vary, via.
    private static let repeating: UInt64 = [1, 2, 8, 15, 16, 17, 18, 19, 20, 22, 24, 26, 31, 54, 56, 58, 59, 60].reduce(0) { $0 | 1 << $1 }

    private func isWorthIndexing(_ staticIndex: Int, _ known: KnownName, _ hash: UInt64) -> Bool {
        if staticIndex != 0, Self.repeating >> UInt64(staticIndex) & 1 != 0 { return true }
        if known == .te || known == .grpcStatus { return true }
        let mark = UInt32(truncatingIfNeeded: hash)
        let slot = seen + Int(truncatingIfNeeded: hash >> 40) & (Self.seenCount - 1)
        if slot.pointee == mark { return true }
        slot.pointee = mark
        return false
    }

    private func nameIndex(_ name: UnsafeRawPointer, _ count: Int, _ hash: UInt64) -> Int {
        let i = tables.index(ofName: name, count, hash: hash)
        return i != 0 ? i : dynamicNameIndex(name, count, hash)
    }

    private func dynamicNameIndex(_ name: UnsafeRawPointer, _ count: Int, _ hash: UInt64) -> Int {
        var sequence = nameBuckets[Int(truncatingIfNeeded: hash >> 32) & (Self.bucketCount - 1)]
        while table.contains(sequence) {
            let entry = table[sequence]
            if Int(entry.nameCount) == count, equalBytes(table.bytes(of: entry), name, count) { return index(of: sequence) }
            sequence = entry.olderName
        }
        return 0
    }

    private func writeLiteral(
        _ start: UnsafeMutableRawPointer, pattern: UInt8, prefixBits: UInt8, nameIndex: Int, _ name: UnsafeRawPointer, _ nameCount: Int, _ value: UnsafeRawPointer, _ valueCount: Int
    ) -> UnsafeMutableRawPointer {
        var at = integer(start, nameIndex, prefixBits: prefixBits, pattern: pattern)
        if nameIndex == 0 { at = string(at, name, nameCount) }
        return string(at, value, valueCount)
    }

    private func string(_ start: UnsafeMutableRawPointer, _ text: UnsafeRawPointer, _ count: Int) -> UnsafeMutableRawPointer {
        let coded = tables.huffmanCount(text, count)
        if coded < count {
            return tables.huffmanEncode(text, count, to: integer(start, coded, prefixBits: 7, pattern: 0x80))
        }
        let at = integer(start, count, prefixBits: 7, pattern: 0)
        at.copyMemory(from: text, byteCount: count)
        return at + count
    }

    /// RFC 7541 section 5.1. At most 6 bytes for numbers below 2^32.
    @inline(__always)
    private func integer(_ at: UnsafeMutableRawPointer, _ value: Int, prefixBits: UInt8, pattern: UInt8) -> UnsafeMutableRawPointer {
        let mask = 1 << Int(prefixBits) &- 1
        if value < mask {
            at.storeBytes(of: pattern | UInt8(truncatingIfNeeded: value), as: UInt8.self)
            return at + 1
        }
        return longInteger(at, value &- mask, pattern: pattern | UInt8(truncatingIfNeeded: mask))
    }

    @inline(never)
    private func longInteger(_ start: UnsafeMutableRawPointer, _ value: Int, pattern: UInt8) -> UnsafeMutableRawPointer {
        start.storeBytes(of: pattern, as: UInt8.self)
        var at = start + 1
        var rest = value
        while rest >= 128 {
            at.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, as: UInt8.self)
            at += 1
            rest >>= 7
        }
        at.storeBytes(of: UInt8(truncatingIfNeeded: rest), as: UInt8.self)
        return at + 1
    }
}
