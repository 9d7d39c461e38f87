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
    /// Received and not yet acknowledged by the owner. Unit: bytes.
    var unacknowledged = 0
    /// Acknowledged, and not yet told to the peer. Unit: bytes.
    var unreturned = 0
    /// Body bytes that content-length still promises; -1 without one.
    var contentLeft = -1
    /// What waits for a window.
    var queue: HTTP2SendQueue?
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

struct HTTP2StreamTable {
    private var slots: [HTTP2Stream] = []
    private var free: [Int32] = []
    /// Slot number plus one by hash of the id, 0 for empty; linear probing.
    private var index: [Int32] = []
    private var used = 0

    /// Streams with a slot, closed ones included.
    var count: Int { used }

    @inline(__always)
    subscript(slot: Int) -> HTTP2Stream {
        @inline(__always) get { slots[slot] }
        @inline(__always) _modify { yield &slots[slot] }
    }

    /// The slot of a stream, -1 if it has none.
    @inline(__always)
    func find(_ id: UInt32) -> Int {
        if used == 0 { return -1 }
        let mask = index.count &- 1
        var at = Int(id >> 1) & mask
        while true {
            let slot = Int(index[at]) &- 1
            if slot < 0 || slots[slot].id == id { return slot }
            at = (at &+ 1) & mask
        }
    }

    mutating func insert(_ stream: HTTP2Stream) -> Int {
        if (used + 1) * 2 > index.count { growIndex() }
        let slot: Int
        if let last = free.popLast() {
            slot = Int(last)
            slots[slot] = stream
        } else {
            slot = slots.count
            slots.append(stream)
        }
        used += 1
        link(stream.id, slot)
        return slot
    }

    mutating func remove(_ slot: Int) {
        let mask = index.count - 1
        var hole = Int(slots[slot].id >> 1) & mask
        while Int(index[hole]) - 1 != slot { hole = (hole + 1) & mask }
        // Entries behind the hole move up unless that would put them before their own place.
        var at = (hole + 1) & mask
        while index[at] != 0 {
            let home = Int(slots[Int(index[at]) - 1].id >> 1) & mask
            if (at - home) & mask >= (at - hole) & mask {
                index[hole] = index[at]
                hole = at
            }
            at = (at + 1) & mask
        }
        index[hole] = 0
        slots[slot].queue = nil
        slots[slot].id = 0
        free.append(Int32(slot))
        used -= 1
    }

    mutating func removeAll() {
        slots = []
        free = []
        index = []
        used = 0
    }

    /// Slots in use, by ascending stream id.
    var ordered: [Int] {
        slots.indices.filter { slots[$0].id != 0 }.sorted { slots[$0].id < slots[$1].id }
    }

    private mutating func growIndex() {
        index = [Int32](repeating: 0, count: max(16, index.count * 2))
        for slot in slots.indices where slots[slot].id != 0 { link(slots[slot].id, slot) }
    }

    private mutating func link(_ id: UInt32, _ slot: Int) {
        let mask = index.count - 1
        var at = Int(id >> 1) & mask
        while index[at] != 0 { at = (at + 1) & mask }
        index[at] = Int32(slot + 1)
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
