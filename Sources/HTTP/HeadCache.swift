// Heads that repeat: while the decoder's table stands still, equal header blocks are equal heads. A block seen twice is kept with
// what it said, and the third costs a comparison instead of decoding, judging and building. Bounded: few slots, short blocks,
// short lists; what does not repeat is never kept.

import Base

struct HeadCache<Value> {
    private struct Slot {
        var hash: UInt64 = 0
        var generation: UInt32 = 0
        var block: [UInt8] = []
        var value: Value?
        var contentLength: Int?
    }

    private var slots: [Slot] = []
    private let slotCount: Int
    private let blockBytesMax: Int
    private let listBytesMax: Int
    private var pending: UInt64 = 0

    /// `slots` is a power of two. Memory is taken when the first block comes.
    init(slots: Int, limits: HTTPLimits) {
        slotCount = slots
        blockBytesMax = limits.repeatedBlockBytesMax
        listBytesMax = limits.repeatedListBytesMax
    }

    /// What this block said before; nil if it is not known. With nil the block is on trial until `keep`.
    @inline(__always)
    mutating func find(_ block: UnsafeRawBufferPointer, generation: UInt32) -> (value: Value, contentLength: Int?)? {
        pending = 0
        guard block.count > 0, block.count <= blockBytesMax, let base = block.baseAddress else { return nil }
        let hash = hashBytes(base, block.count) | 1
        pending = hash
        guard slots.count > 0 else { return nil }
        let i = Int(truncatingIfNeeded: hash >> 32) & (slotCount &- 1)
        guard slots[i].hash == hash, slots[i].generation == generation, let value = slots[i].value, slots[i].block.count == block.count else { return nil }
        let isSame = slots[i].block.withUnsafeBytes { equalBytes($0.baseAddress.unsafelyUnwrapped, base, block.count) }
        return isSame ? (value, slots[i].contentLength) : nil
    }

    /// The block that `find` did not know said this, and left the table as it was. Kept when it was on trial before.
    mutating func keep(_ block: UnsafeRawBufferPointer, generation: UInt32, listBytes: Int, _ value: Value, contentLength: Int?) {
        guard pending != 0, listBytes <= listBytesMax else { return }
        if slots.isEmpty { slots = [Slot](repeating: Slot(), count: slotCount) }
        let i = Int(truncatingIfNeeded: pending >> 32) & (slotCount - 1)
        if slots[i].hash == pending, slots[i].generation == generation {
            slots[i].block = [UInt8](block)
            slots[i].value = value
            slots[i].contentLength = contentLength
        } else {
            slots[i] = Slot(hash: pending, generation: generation)
        }
    }
}
