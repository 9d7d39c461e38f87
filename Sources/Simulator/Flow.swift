// One direction of a connection: what was sent and not read, in order. TCP as its users see it: a window that closes while
// the reader does not read, retransmission when the way is cut, an order that nothing overtakes. The bytes stand in one buffer;
// segments are only lengths and times of arrival.

import Base
import DequeModule

struct Segment {
    enum Content: UInt8 {
        case data
        /// The third packet of the handshake: the server's side comes into being.
        case open
        case end
    }
    var arrival: Int64
    var length: Int32
    var content: Content
}

final class Flow {
    /// Its owner, which outlives it.
    unowned(unsafe) let stream: SimStream
    /// 0: client to server. 1: back.
    let direction: Int
    /// Where the segments travel; nil while nobody is known to be there.
    var link: Link?
    var segments = Deque<Segment>()
    /// Sent to the wire first, then what waits for the window.
    var bytes = ByteBuffer()
    /// Of `bytes`, on the wire.
    var inFlight = 0
    /// Of the tail of `bytes`: never sent, because its process died.
    private(set) var dropped = 0
    /// The digest of all that was sent so far.
    var sentValue = StreamDigest().value
    /// Its bytes have been found to be others than were sent.
    var isSpoilt = false
    /// What the receiver still takes.
    var credit: Int
    /// When the sender hears that so much was read.
    private var acks = Deque<(time: Int64, bytes: Int)>()
    /// Read, but the sender was not reached.
    private(set) var acksLost = 0
    private var isAckScheduled = false
    /// The head's arrival is in the event queue.
    var isScheduled = false
    /// The head has arrived and its reader is paused.
    var isHeld = false
    /// The sender's queue was not empty when last asked.
    var isQueued = false
    var wantsEnd = false
    var hasEnded = false
    /// The way was cut when a segment should have arrived: since then.
    private(set) var stalledSince: Int64?
    /// No answer has reached the sender since then, though it waits for one.
    var unheardSince: Instant?
    private var lastArrival: Int64 = 0

    var sent = StreamDigest()
    var received = StreamDigest()
    /// Bytes that went out on the wire.
    var wireBytes: UInt64 = 0
    var inspector: WireInspector?

    init(stream: SimStream, direction: Int, window: Int) {
        self.stream = stream
        self.direction = direction
        credit = window
    }

    var isStalled: Bool { stalledSince != nil }
    @inline(__always) var unsent: Int { bytes.count - inFlight - dropped }

    /// Accepted from the sender and not yet taken by its kernel.
    var queuedBytes: Int {
        let options = stream.world.options
        return max(0, options.receiveWindowBytes - credit + unsent - options.sendBufferBytes)
    }

    // MARK: Sending

    /// Puts on the wire what the window allows.
    func pump() {
        guard let link, stream.isOpen(at: direction) else { return }
        let now = stream.world.now.nanoseconds
        while unsent > 0, credit > 0 {
            let length = min(unsent, credit, stream.segmentLimit(on: self, link))
            emit(Segment(arrival: 0, length: Int32(length), content: .data), link, now)
            credit -= length
        }
        if wantsEnd, !hasEnded, unsent == 0 {
            hasEnded = true
            emit(Segment(arrival: 0, length: 0, content: .end), link, now)
            if let end = stream.end(direction) { stream.endIsSent(end) }
        }
        isQueued = isQueued || queuedBytes > 0
        awaitAcks()
    }

    /// Appends a segment to what is on the way.
    func emit(_ segment: Segment, _ link: Link, _ now: Int64) {
        var segment = segment
        let length = Int(segment.length)
        var arrival = max(lastArrival, link.arrival(length, now: now))
        if link.losesOne() { arrival &+= SimulatorLimits.retransmissionFirst.nanoseconds }
        segment.arrival = arrival
        lastArrival = arrival
        if length > 0 || segment.content == .end { stream.observe(segment, on: self) }
        segments.append(segment)
        inFlight += length
        wireBytes &+= UInt64(length)
        if !isScheduled, !isHeld, !isStalled { scheduleHead() }
    }

    func scheduleHead() {
        guard let head = segments.first else { return }
        isScheduled = true
        let time = max(head.arrival, stream.world.now.nanoseconds)
        stream.world.schedule(direction == 0 ? .forward : .backward, at: time, target: stream.slot, generation: stream.generation)
    }

    // MARK: Acknowledging

    /// The reader took `length` bytes: the sender hears of it by the way back.
    func acknowledge(_ length: Int, by back: Link?) {
        guard let back, !back.isCut, back.to.isUp, back.from.isUp else {
            if acksLost == 0 { stream.senderIsUnheard(self) }
            acksLost += length
            return
        }
        let now = stream.world.now.nanoseconds
        let time = max(now, back.cloggedUntil.nanoseconds) &+ back.options.latency.nanoseconds
        acks.append((max(time, acks.last?.time ?? 0), length))
        awaitAcks()
    }

    /// Takes in what the sender has heard by now.
    func settle() {
        let now = stream.world.now.nanoseconds
        while let ack = acks.first, ack.time <= now {
            credit += ack.bytes
            acks.removeFirst()
        }
    }

    /// Only a sender that waits is told; others look when they send next.
    private func awaitAcks() {
        guard !isAckScheduled, unsent > 0 || isQueued, let ack = acks.first else { return }
        isAckScheduled = true
        stream.world.schedule(direction == 0 ? .ackClient : .ackServer, at: max(ack.time, stream.world.now.nanoseconds), target: stream.slot, generation: stream.generation)
    }

    /// The sender hears. True: its queue has become empty.
    func hear() -> Bool {
        isAckScheduled = false
        settle()
        pump()
        guard isQueued, queuedBytes == 0 else { return false }
        isQueued = false
        return true
    }

    // MARK: Trouble

    /// The head could not arrive.
    func stall() {
        guard stalledSince == nil else { return }
        stalledSince = stream.world.now.nanoseconds
        stream.senderIsUnheard(self)
    }

    /// The way is good again: what waited is sent once more, when the sender's next attempt is due.
    func resume(back: Link?) {
        guard let link else { return }
        let now = stream.world.now.nanoseconds
        if let since = stalledSince {
            stalledSince = nil
            var pause = SimulatorLimits.retransmissionFirst.nanoseconds
            var attempt = since &+ pause
            while attempt < now {
                pause = min(pause * 2, SimulatorLimits.retransmissionMax.nanoseconds)
                attempt &+= pause
            }
            var earliest = attempt &+ link.options.latency.nanoseconds
            for i in segments.indices {
                segments[i].arrival = max(segments[i].arrival, earliest)
                earliest = segments[i].arrival
            }
            lastArrival = max(lastArrival, earliest)
            if !isScheduled, !isHeld { scheduleHead() }
        }
        if acksLost > 0, let back, !back.isCut, back.from.isUp, back.to.isUp {
            acks.append((max(acks.last?.time ?? 0, now &+ SimulatorLimits.retransmissionFirst.nanoseconds &+ back.options.latency.nanoseconds), acksLost))
            acksLost = 0
            awaitAcks()
        }
        if acksLost == 0 { unheardSince = nil }
    }

    /// When a RST handed in now arrives: behind all that was sent before.
    func arrivalOfReset(_ time: Int64) -> Int64 {
        lastArrival = max(lastArrival &+ 1, time)
        return lastArrival
    }

    private var wireBytesMarked: UInt64 = 0
    func markProgress() { wireBytesMarked = wireBytes }
    var hasProgressed: Bool { wireBytes != wireBytesMarked }

    /// The sender's process is dead: what its kernel has not taken is lost, and the rest seems whole to the reader.
    func truncate() { dropped += min(unsent, queuedBytes) }

    /// Nothing more will be sent or read: the memory goes.
    func release() {
        segments.removeAll()
        acks.removeAll()
        bytes.release()
        inFlight = 0
    }
}
