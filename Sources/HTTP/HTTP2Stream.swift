// The streams of one HTTP/2 connection: a slot each in an array, found by id through open addressing; slots are used again.
// Closed streams keep their slot while received bytes of theirs are with the owner, because those still count for the
// connection's window.

import Base

/// RFC 9113 section 5.1, from our side. Idle streams have no slot.
enum HTTP2StreamState: UInt8 {
    case open
    /// We have sent END_STREAM.
    case halfClosedLocal
    /// The peer has sent END_STREAM.
    case halfClosedRemote
    /// Over; only received bytes are still with the owner.
    case closed
}

struct HTTP2Stream {
    var id: UInt32
    var state: HTTP2StreamState
    /// The peer's head (the final one) has come.
    var isHeadReceived = false
    /// Our head (the final one) is out.
    var isHeadSent = false
    /// The owner has ended its side; END_STREAM may still wait behind queued bytes.
    var isLocalDone = false
    /// Client side: the response has no body whatever its head says (RFC 9110 section 9.3.2).
    var isHeadRequest = false
    /// CONNECT: no content-length, no trailers (RFC 9113 section 8.5).
    var isTunnel = false
    /// What the peer lets us send. Negative after it lowered its initial window. Unit: bytes.
    var sendWindow: Int
    /// What we still let the peer send. Unit: bytes.
    var receiveWindow: Int
    var opened = Instant.zero
    /// Received and not yet acknowledged by the owner. Unit: bytes.
    var unacknowledged = 0
    /// Acknowledged, and not yet told to the peer. Unit: bytes.
    var unreturned = 0
    /// Client side: informational heads so far.
    var informationals: UInt16 = 0
    /// Body bytes that content-length still promises; -1 without one.
    var contentLeft = -1
    /// Neighbours in the ring of streams that wait for the connection's window; slot numbers, -1 for none.
    var ringNext: Int32 = -1
    var ringPrevious: Int32 = -1
    var isInRing = false

    @inline(__always) var isRemoteOpen: Bool { state == .open || state == .halfClosedLocal }
    @inline(__always) var isLocalOpen: Bool { state == .open || state == .halfClosedRemote }
}

/// What a stream has to send and may not yet.
final class HTTP2SendQueue {
    var bytes = ByteBuffer()
    /// END_STREAM follows the bytes.
    var ends = false
    /// Trailers follow the bytes.
    var trailers: Headers?
}

struct HTTP2StreamTable: ~Copyable {
    private var slots: UnsafeMutablePointer<HTTP2Stream>?
    private var slotCount = 0
    private var slotCapacity = 0
    private var free: [Int32] = []
    /// Slot number plus one by hash of the id, 0 for empty; linear probing.
    private var index: UnsafeMutablePointer<Int32>?
    private var indexMask = -1
    /// The bits of a product that number a place.
    private var indexShift: UInt32 = 0
    private var used = 0
    /// What waits for a window, by slot. Kept apart so that streams are plain memory; short as long as nothing ever waited.
    private var queues: [HTTP2SendQueue?] = []

    deinit {
        slots?.deallocate()
        index?.deallocate()
    }

    /// Streams with a slot, closed ones included.
    var count: Int { used }

    /// Memory of slots, index and queues. Unit: bytes.
    var bytesHeld: Int {
        queues.reduce(slotCapacity * MemoryLayout<HTTP2Stream>.stride + (indexMask + 1) * 4) { $0 + ($1?.bytes.capacityBytes ?? 0) }
    }

    @inline(__always)
    subscript(slot: Int) -> HTTP2Stream {
        @inline(__always) unsafeAddress { UnsafePointer(slots.unsafelyUnwrapped + slot) }
        @inline(__always) nonmutating unsafeMutableAddress { slots.unsafelyUnwrapped + slot }
    }

    @inline(__always)
    func queue(_ slot: Int) -> HTTP2SendQueue? { slot < queues.count ? queues[slot] : nil }

    mutating func setQueue(_ slot: Int, _ queue: HTTP2SendQueue?) {
        while queues.count <= slot { queues.append(nil) }
        queues[slot] = queue
    }

    /// Where a stream's entry wants to stand. Numbers that follow each other are spread: side by side they would be one long run, and each removal
    /// would walk over all streams that are open.
    @inline(__always)
    private func home(_ id: UInt32) -> Int { Int(truncatingIfNeeded: ((id >> 1) &* 0x9e37_79b9) &>> indexShift) }

    /// The slot of a stream, -1 if it has none.
    @inline(__always)
    func find(_ id: UInt32) -> Int {
        if used == 0 { return -1 }
        var at = home(id)
        while true {
            let slot = Int(index.unsafelyUnwrapped[at]) &- 1
            if slot < 0 || slots.unsafelyUnwrapped[slot].id == id { return slot }
            at = (at &+ 1) & indexMask
        }
    }

    mutating func insert(_ stream: HTTP2Stream) -> Int {
        if (used + 1) * 2 > indexMask + 1 { growIndex() }
        let slot: Int
        if let last = free.popLast() {
            slot = Int(last)
        } else {
            if slotCount == slotCapacity { growSlots() }
            slot = slotCount
            slotCount += 1
        }
        (slots.unsafelyUnwrapped + slot).initialize(to: stream)
        used += 1
        link(stream.id, slot)
        return slot
    }

    mutating func remove(_ slot: Int) {
        let index = index.unsafelyUnwrapped
        let slots = slots.unsafelyUnwrapped
        let mask = indexMask
        var hole = home(slots[slot].id)
        while Int(index[hole]) &- 1 != slot { hole = (hole &+ 1) & mask }
        // Entries behind the hole move up unless that would put them before their own place.
        var at = (hole &+ 1) & mask
        while index[at] != 0 {
            let wanted = home(slots[Int(index[at]) &- 1].id)
            if (at &- wanted) & mask >= (at &- hole) & mask {
                index[hole] = index[at]
                hole = at
            }
            at = (at &+ 1) & mask
        }
        index[hole] = 0
        if slot < queues.count { queues[slot] = nil }
        slots[slot].id = 0
        free.append(Int32(truncatingIfNeeded: slot))
        used -= 1
    }

    mutating func removeAll() {
        slots?.deallocate()
        index?.deallocate()
        slots = nil
        index = nil
        slotCount = 0
        slotCapacity = 0
        indexMask = -1
        free = []
        queues = []
        used = 0
    }

    /// Slots in use, by ascending stream id.
    var ordered: [Int] {
        guard let slots else { return [] }
        return (0..<slotCount).filter { slots[$0].id != 0 }.sorted { slots[$0].id < slots[$1].id }
    }

    private mutating func growSlots() {
        let capacity = max(8, slotCapacity * 2)
        let fresh = UnsafeMutablePointer<HTTP2Stream>.allocate(capacity: capacity)
        if let slots {
            fresh.moveInitialize(from: slots, count: slotCount)
            slots.deallocate()
        }
        slots = fresh
        slotCapacity = capacity
    }

    private mutating func growIndex() {
        let capacity = max(16, (indexMask + 1) * 2)
        index?.deallocate()
        let fresh = UnsafeMutablePointer<Int32>.allocate(capacity: capacity)
        fresh.initialize(repeating: 0, count: capacity)
        index = fresh
        indexMask = capacity - 1
        indexShift = UInt32(32 - capacity.trailingZeroBitCount)
        for slot in 0..<slotCount {
            let id = slots.unsafelyUnwrapped[slot].id
            if id != 0 { link(id, slot) }
        }
    }

    @inline(__always)
    private func link(_ id: UInt32, _ slot: Int) {
        let index = index.unsafelyUnwrapped
        var at = home(id)
        while index[at] != 0 { at = (at &+ 1) & indexMask }
        index[at] = Int32(truncatingIfNeeded: slot &+ 1)
    }
}

/// Which streams ended lately and how, so that late frames on them are judged rightly. The oldest of each kind is forgotten first;
/// regular ends have a ring of their own, so that many of them do not push out the resets.
struct HTTP2ClosedStreams {
    enum Reason: UInt8 {
        /// Both sides sent END_STREAM.
        case ended
        case resetByUs, resetByPeer
    }

    private struct Ring {
        var ids: [UInt32] = []
        var next = 0
        let countMax: Int

        mutating func add(_ id: UInt32) {
            if ids.count < countMax {
                ids.append(id)
            } else {
                ids[next] = id
                next = next + 1 == countMax ? 0 : next + 1
            }
        }
    }

    private var ended: Ring
    private var resetsByUs: Ring
    private var resetsByPeer: Ring

    init(countMax: Int) {
        ended = Ring(countMax: min(countMax, 64))
        resetsByUs = Ring(countMax: countMax)
        resetsByPeer = Ring(countMax: min(countMax, 64))
    }

    @inline(__always)
    mutating func addEnded(_ id: UInt32) { ended.add(id) }

    mutating func add(_ id: UInt32, _ reason: Reason) {
        switch reason {
        case .ended: ended.add(id)
        case .resetByUs: resetsByUs.add(id)
        case .resetByPeer: resetsByPeer.add(id)
        }
    }

    /// nil: forgotten, or never opened.
    func reason(_ id: UInt32) -> Reason? {
        if resetsByUs.ids.contains(id) { return .resetByUs }
        if resetsByPeer.ids.contains(id) { return .resetByPeer }
        return ended.ids.contains(id) ? .ended : nil
    }
}

/// A bound on how often something may happen: a burst, and a rate at which it recovers.
struct TokenBucket {
    private var tokens: Int
    private let burst: Int
    private let perSecond: Int
    private var filled: Instant

    init(burst: Int, perSecond: Int, now: Instant) {
        tokens = burst
        self.burst = burst
        self.perSecond = perSecond
        filled = now
    }

    /// False when nothing is left.
    mutating func take(_ count: Int = 1, now: Instant) -> Bool {
        if tokens < count { refill(now) }
        if tokens < count { return false }
        tokens -= count
        return true
    }

    /// Honest work was seen.
    @inline(__always)
    mutating func give(_ count: Int) { tokens = min(burst, tokens &+ count) }

    private mutating func refill(_ now: Instant) {
        let elapsed = max(0, (now - filled).nanoseconds)
        if elapsed >= 60_000_000_000 {
            tokens = burst
            filled = now
            return
        }
        let earned = elapsed * Int64(perSecond) / 1_000_000_000
        if earned == 0 { return }
        tokens = min(burst, tokens + Int(earned))
        // The part of a token that was not given counts on.
        filled = filled + Interval(nanoseconds: earned * 1_000_000_000 / Int64(perSecond))
    }
}
