// The dynamic table of HPACK (RFC 7541 section 2.3.2) for either direction: entries in a ring, their bytes one behind the other
// in an arena that is compacted when its end is reached. The encoder also finds entries by the hash of their bytes: chains run
// from new to old, so that evicting the oldest entry needs no unlinking: a link to an evicted entry ends the chain.

import Base

struct HPACKDynamicTable: ~Copyable {
    struct Entry {
        /// Position of the name in all bytes ever inserted; the value follows.
        var start = 0
        var nameCount: Int32 = 0
        var valueCount: Int32 = 0
        var traits = HPACKTraits()
        /// Encoder only. Next older entry of the same bucket, as sequence number.
        var hash: UInt64 = 0
        var olderField: UInt32 = 0
        var olderName: UInt32 = 0
    }

    /// As RFC 7541 section 4.1 counts: name, value and 32 for each entry. Unit: bytes.
    private(set) var size = 0
    private(set) var sizeMax: Int
    private(set) var count = 0
    /// Sequence number of the next entry; the first one has 1.
    private(set) var next: UInt32 = 1

    private var ring: UnsafeMutablePointer<Entry>?
    private var ringMask = -1
    private var arena: UnsafeMutableRawPointer?
    private var arenaCount = 0
    /// `Entry.start` of the arena's first byte.
    private var arenaStart = 0
    /// `Entry.start` of the next entry.
    private var arenaEnd = 0

    init(sizeMax: Int) { self.sizeMax = sizeMax }

    deinit {
        ring?.deallocate()
        arena?.deallocate()
    }

    /// The entry with this sequence number is still there.
    @inline(__always)
    func contains(_ sequence: UInt32) -> Bool { Int(next &- sequence) <= count && sequence != next }

    @inline(__always)
    subscript(sequence: UInt32) -> Entry {
        @inline(__always) unsafeAddress { UnsafePointer(ring.unsafelyUnwrapped + Int(sequence) & ringMask) }
    }

    /// The bytes of an entry; valid until the next insertion.
    @inline(__always)
    func bytes(of entry: Entry) -> UnsafeRawPointer { UnsafeRawPointer(arena.unsafelyUnwrapped) + (entry.start &- arenaStart) }

    /// Entry `i`, 0 being the newest; nil when there is none.
    @inline(__always)
    func field(_ i: Int) -> HPACKField? {
        guard i < count else { return nil }
        let sequence = next &- 1 &- UInt32(truncatingIfNeeded: i)
        let entry = self[sequence]
        let name = bytes(of: entry)
        return HPACKField(
            name: name, nameCount: Int(entry.nameCount), value: name + Int(entry.nameCount), valueCount: Int(entry.valueCount), traits: entry.traits, sequence: sequence)
    }

    mutating func resize(_ bytes: Int) {
        sizeMax = bytes
        evict(toFit: 0)
    }

    /// Inserts a field whose bytes are not in this table. A field larger than the table empties it (RFC 7541 section 4.4); then 0 is returned,
    /// else the sequence number.
    @discardableResult
    mutating func insert(_ field: HPACKField, hash: UInt64 = 0, olderField: UInt32 = 0, olderName: UInt32 = 0) -> UInt32 {
        let bytes = field.nameCount + field.valueCount
        evict(toFit: bytes + 32)
        if bytes + 32 > sizeMax { return 0 }
        reserve(bytes)
        let target = arena.unsafelyUnwrapped + (arenaEnd - arenaStart)
        target.copyMemory(from: field.name, byteCount: field.nameCount)
        (target + field.nameCount).copyMemory(from: field.value, byteCount: field.valueCount)
        if count > ringMask { growRing() }
        ring.unsafelyUnwrapped[Int(next) & ringMask] = Entry(
            start: arenaEnd, nameCount: Int32(truncatingIfNeeded: field.nameCount), valueCount: Int32(truncatingIfNeeded: field.valueCount), traits: field.traits,
            hash: hash, olderField: olderField, olderName: olderName)
        arenaEnd += bytes
        size += bytes + 32
        count += 1
        next &+= 1
        return next &- 1
    }

    private mutating func evict(toFit bytes: Int) {
        while count > 0, size + bytes > sizeMax {
            let oldest = self[next &- UInt32(truncatingIfNeeded: count)]
            size -= Int(oldest.nameCount) + Int(oldest.valueCount) + 32
            count -= 1
        }
    }

    private mutating func reserve(_ bytes: Int) {
        if arenaEnd - arenaStart + bytes <= arenaCount { return }
        let first = count > 0 ? self[next &- UInt32(truncatingIfNeeded: count)].start : arenaEnd
        let live = arenaEnd - first
        var capacity = max(arenaCount, 256)
        // At least half of the arena is free after each move, so that a byte is moved once for each byte inserted.
        while capacity < 2 * (live + bytes) { capacity *= 2 }
        if capacity == arenaCount, let arena {
            arena.copyMemory(from: arena + (first - arenaStart), byteCount: live)
        } else {
            let fresh = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 8)
            if let arena {
                fresh.copyMemory(from: arena + (first - arenaStart), byteCount: live)
                arena.deallocate()
            }
            arena = fresh
            arenaCount = capacity
        }
        arenaStart = first
    }

    private mutating func growRing() {
        let capacity = max(16, (ringMask + 1) * 2)
        let fresh = UnsafeMutablePointer<Entry>.allocate(capacity: capacity)
        fresh.initialize(repeating: Entry(), count: capacity)
        for i in 0..<count {
            let sequence = next &- UInt32(truncatingIfNeeded: count - i)
            fresh[Int(sequence) & (capacity - 1)] = self[sequence]
        }
        ring?.deallocate()
        ring = fresh
        ringMask = capacity - 1
    }
}
