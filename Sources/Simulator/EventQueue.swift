// The order of the world: a 4-ary heap of (time, order of scheduling), which is total, so equal times fire in the order they
// were asked for. An event is a few numbers; what it concerns is found by index and generation, and an event whose
// generation is past is dead. Four children a node because memory, not comparing, costs.

/// What happens. `target` is a slot: of a timer, a stream, a datagram, a process, or an index into the fault plan.
enum EventKind: UInt8 {
    case timer
    /// The head of the flow from client to server (forward) or back arrives.
    case forward, backward
    /// A RST arrives at the client or at the server.
    case resetClient, resetServer
    /// Acknowledgements reach the client or the server, which waits for them.
    case ackClient, ackServer
    case syn, synAck, synRetry, connectTimeout, connectRefused
    /// Both directions ended: the client or the server hears of it.
    case endClient, endServer
    /// A silent peer was silent too long for the client or the server.
    case giveUpClient, giveUpServer
    /// A closed client or server end still has something to send: does it go on?
    case flushClient, flushServer
    case datagram
    case fault
    case processStart
}

struct Event {
    /// Nanoseconds of virtual time.
    var time: Int64
    /// Sequence number in the upper 56 bits, kind in the lower 8.
    var order: UInt64
    var target: Int32
    var generation: UInt32

    @inline(__always) var kind: EventKind { EventKind(rawValue: UInt8(truncatingIfNeeded: order)).unsafelyUnwrapped }

    @inline(__always) static func < (a: Event, b: Event) -> Bool { a.time != b.time ? a.time < b.time : a.order < b.order }
}

struct EventQueue: ~Copyable {
    private var base: UnsafeMutablePointer<Event>
    private var capacity: Int
    private(set) var count = 0

    init() {
        capacity = 256
        base = .allocate(capacity: capacity)
    }

    deinit { base.deallocate() }

    @inline(__always) var first: Event? { count == 0 ? nil : base[0] }

    mutating func push(_ event: Event) {
        if count == capacity {
            let larger = UnsafeMutablePointer<Event>.allocate(capacity: capacity * 2)
            larger.moveInitialize(from: base, count: count)
            base.deallocate()
            base = larger
            capacity *= 2
        }
        var hole = count
        count += 1
        while hole > 0 {
            let parent = (hole - 1) >> 2
            if !(event < base[parent]) { break }
            base[hole] = base[parent]
            hole = parent
        }
        base[hole] = event
    }

    mutating func removeFirst() {
        count -= 1
        if count > 0 { sink(base[count], from: 0) }
    }

    /// Keeps what `isLive` says. Cancelled timers would fill the heap otherwise.
    mutating func compact(_ isLive: (Event) -> Bool) {
        var kept = 0
        for i in 0..<count where isLive(base[i]) {
            base[kept] = base[i]
            kept += 1
        }
        count = kept
        guard count > 1 else { return }
        for i in stride(from: (count - 2) >> 2, through: 0, by: -1) { sink(base[i], from: i) }
    }

    private mutating func sink(_ event: Event, from start: Int) {
        var hole = start
        while true {
            let child = hole << 2 + 1
            if child >= count { break }
            var least = child
            let end = min(child + 4, count)
            var i = child + 1
            while i < end {
                if base[i] < base[least] { least = i }
                i += 1
            }
            if !(base[least] < event) { break }
            base[hole] = base[least]
            hole = least
        }
        base[hole] = event
    }
}
