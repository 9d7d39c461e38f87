// Timers of one loop: a 4-ary heap ordered by (deadline, sequence), so that equal deadlines fire in the order set. Actions
// live in slots beside it, so that sifting moves 24 plain bytes; a slot knows its place in the heap, so that a cancelled
// timer leaves at once and holds nothing. Deliberately absent: a clock.

import Base
import Platform

struct TimerHeap {
    /// A `TimerID` is a slot in its low bits and the slot's generation above: 42 bits, 50 days of a million timers a second on one slot.
    static let slotBits: UInt64 = 22

    private struct Entry {
        var deadline: Int64
        var sequence: UInt64
        var slot: Int

        static func < (a: Entry, b: Entry) -> Bool {
            a.deadline < b.deadline || (a.deadline == b.deadline && a.sequence < b.sequence)
        }
    }

    private struct Slot {
        var action: (() -> Void)?
        var generation: UInt64 = 1
        /// Place in the heap; in a free slot, the next free slot or -1.
        var position: Int
    }

    private var heap: [Entry] = []
    private var slots: [Slot] = []
    private var firstFree = -1
    /// The sequence that the next timer gets.
    private(set) var sequence: UInt64 = 0

    var count: Int { heap.count }
    var firstDeadline: Instant? { heap.isEmpty ? nil : Instant(nanoseconds: heap[0].deadline) }

    mutating func insert(at deadline: Instant, _ action: @escaping () -> Void) -> TimerID {
        let slot: Int
        if firstFree >= 0 {
            slot = firstFree
            firstFree = slots[slot].position
        } else {
            invariant(slots.count < LinuxLimits.timersMax, "a loop has fewer than four million timers")
            slot = slots.count
            slots.append(Slot(action: nil, position: -1))
        }
        slots[slot].action = action
        heap.append(Entry(deadline: deadline.nanoseconds, sequence: sequence, slot: slot))
        sequence += 1
        siftUp(heap.count - 1)
        return TimerID(rawValue: slots[slot].generation << Self.slotBits | UInt64(slot))
    }

    mutating func cancel(_ timer: TimerID) {
        let slot = Int(timer.rawValue & (1 << Self.slotBits - 1))
        guard slot < slots.count, slots[slot].generation == timer.rawValue >> Self.slotBits, slots[slot].action != nil else { return }
        _ = remove(at: slots[slot].position)
    }

    /// The action of the first timer that is due at `now` and was set before sequence `end`.
    mutating func popDue(now: Instant, before end: UInt64) -> (() -> Void)? {
        guard let first = heap.first, first.deadline <= now.nanoseconds, first.sequence < end else { return nil }
        return remove(at: 0)
    }

    private mutating func remove(at position: Int) -> () -> Void {
        let slot = heap[position].slot
        guard let action = slots[slot].action else { invariantBroken("a timer in the heap has an action") }
        slots[slot].action = nil
        slots[slot].generation = (slots[slot].generation + 1) & (1 << (64 - Self.slotBits) - 1)
        slots[slot].position = firstFree
        firstFree = slot
        let last = heap.removeLast()
        if position < heap.count {
            heap[position] = last
            siftDown(position)
            siftUp(position)
        }
        return action
    }

    private mutating func siftUp(_ start: Int) {
        var i = start
        let entry = heap[i]
        while i > 0 {
            let parent = (i - 1) >> 2
            if !(entry < heap[parent]) { break }
            heap[i] = heap[parent]
            slots[heap[i].slot].position = i
            i = parent
        }
        heap[i] = entry
        slots[entry.slot].position = i
    }

    private mutating func siftDown(_ start: Int) {
        var i = start
        let entry = heap[i]
        while true {
            let first = i << 2 + 1
            if first >= heap.count { break }
            var least = first
            for child in first..<min(first + 4, heap.count) where heap[child] < heap[least] { least = child }
            if !(heap[least] < entry) { break }
            heap[i] = heap[least]
            slots[heap[i].slot].position = i
            i = least
        }
        heap[i] = entry
        slots[entry.slot].position = i
    }
}
