// Running: the next event, until a time, a condition, or silence.

import Base
import Platform

struct TimerSlot {
    var action: (() -> Void)?
    /// Index in `World.processes`, or -1.
    var process: Int32
    var generation: UInt32
}

extension World {
    @inline(__always)
    func schedule(_ kind: EventKind, at time: Int64, target: Int32, generation: UInt32) {
        sequence += 1
        queue.push(Event(time: time, order: sequence << 8 | UInt64(kind.rawValue), target: target, generation: generation))
    }

    // MARK: Timers

    @discardableResult
    func setTimer(at time: Instant, process: SimProcess?, _ action: @escaping () -> Void) -> TimerID {
        let slot: Int32
        if let free = freeTimers.popLast() {
            slot = free
        } else {
            slot = Int32(timers.count)
            timers.append(TimerSlot(action: nil, process: -1, generation: 1))
        }
        timers[Int(slot)].action = action
        timers[Int(slot)].process = process.map { Int32($0.index) } ?? -1
        let generation = timers[Int(slot)].generation
        schedule(.timer, at: time.nanoseconds, target: slot, generation: generation)
        return TimerID(rawValue: UInt64(generation) << 32 | UInt64(slot))
    }

    func cancelTimer(_ timer: TimerID, of process: SimProcess?) {
        let slot = Int(timer.rawValue & 0xffff_ffff)
        guard timer.rawValue != 0, slot < timers.count, timers[slot].generation == UInt32(timer.rawValue >> 32) else { return }
        guard timers[slot].process == process.map({ Int32($0.index) }) ?? -1 else { return }
        process?.timersSet -= 1
        freeTimer(slot)
        timersDead += 1
        if timersDead > 4096, timersDead > queue.count / 2 { dropDeadEvents() }
    }

    private func freeTimer(_ slot: Int) {
        timers[slot].action = nil
        timers[slot].process = -1
        timers[slot].generation &+= 1
        freeTimers.append(Int32(slot))
    }

    func dropTimers(of process: SimProcess) {
        for slot in timers.indices where timers[slot].process == Int32(process.index) {
            freeTimer(slot)
            timersDead += 1
        }
        process.timersSet = 0
    }

    private func dropDeadEvents() {
        queue.compact { isLive($0) }
        timersDead = 0
    }

    // MARK: Events

    @inline(__always)
    private func isLive(_ event: Event) -> Bool {
        switch event.kind {
        case .timer: timers[Int(event.target)].generation == event.generation
        case .datagram, .processStart: true
        case .fault: event.generation == planGeneration
        case .connectTimeout, .synRetry, .giveUpClient, .giveUpServer, .flushClient, .flushServer:
            streams[Int(event.target)].generation == event.generation && streams[Int(event.target)].stream.unsafelyUnwrapped.isLive(event.kind)
        default: streams[Int(event.target)].generation == event.generation
        }
    }

    /// The next event that still concerns somebody. Dead ones leave the queue and do not move time.
    @inline(__always)
    func nextEvent() -> Event? {
        while let event = queue.first {
            if isLive(event) { return event }
            queue.removeFirst()
            if event.kind == .timer, timersDead > 0 { timersDead -= 1 }
        }
        return nil
    }

    /// The time of the next event; nil: nothing will ever happen.
    public var nextEventTime: Instant? { nextEvent().map { Instant(nanoseconds: $0.time) } }

    @inline(__always)
    func runNext(_ event: Event) {
        queue.removeFirst()
        now = Instant(nanoseconds: event.time)
        eventsRun += 1
        switch event.kind {
        case .timer: fireTimer(event)
        case .datagram: deliverDatagram(event)
        case .fault: fireFault(event)
        case .processStart:
            let process = processes[Int(event.target)]
            if process.lives == Int(event.generation) { process.begin() }
        default: streams[Int(event.target)].stream.unsafelyUnwrapped.run(event)
        }
    }

    private func fireTimer(_ event: Event) {
        let slot = Int(event.target)
        let owner = timers[slot].process
        if owner < 0 {
            let action = timers[slot].action.unsafelyUnwrapped
            freeTimer(slot)
            trace.add(time: event.time, node: 0, kind: .timer, a: 0, b: 0, digest: 0)
            action()
            return
        }
        let process = processes[Int(owner)]
        if process.frozenUntil > now {
            schedule(.timer, at: process.frozenUntil.nanoseconds, target: event.target, generation: event.generation)
            return
        }
        let action = timers[slot].action.unsafelyUnwrapped
        freeTimer(slot)
        process.timersSet -= 1
        record(.timer, process.node, UInt32(process.index), 0, 0) { process.name }
        perform(process, action)
    }

    // MARK: Running

    /// Runs everything up to and including `time`, and lets time come to it.
    public func run(until time: Instant) {
        while let event = nextEvent(), event.time <= time.nanoseconds { runNext(event) }
        now = max(now, time)
    }

    public func run(for interval: Interval) { run(until: now + interval) }

    /// Runs until nothing is left to happen, or `limit` from now is reached (false).
    @discardableResult
    public func runUntilIdle(limit: Interval) -> Bool {
        let end = now + limit
        while let event = nextEvent() {
            if event.time > end.nanoseconds {
                now = end
                return false
            }
            runNext(event)
        }
        return true
    }

    /// Runs until the condition holds (true), asked after each event, or `limit` from now is reached (false). When nothing can
    /// happen any more and the condition does not hold, that is a violation: whatever was awaited will never come.
    @discardableResult
    public func run(until condition: () -> Bool, limit: Interval, awaiting what: String = "a condition") -> Bool {
        let end = now + limit
        if condition() { return true }
        while let event = nextEvent() {
            if event.time > end.nanoseconds {
                now = end
                return false
            }
            runNext(event)
            if condition() { return true }
        }
        violate(.stalls, node: nil, "nothing can happen any more while waiting for \(what)")
        return false
    }
}
