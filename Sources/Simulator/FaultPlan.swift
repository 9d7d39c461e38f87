// Faults as explicit data: a list of what goes wrong and when, drawn from the seed up front where a scenario asks, printed with
// every failure, read back from text, and made smaller by leaving out what the failure does not need.

import Base

public struct TimedFault: Hashable, Sendable, CustomStringConvertible {
    /// Since the world's beginning.
    public var at: Interval
    public var fault: Fault

    public init(at: Interval, _ fault: Fault) {
        self.at = at
        self.fault = fault
    }

    public var description: String { "\(at.exact) \(fault)" }
}

public struct FaultPlan: Hashable, Sendable, CustomStringConvertible {
    /// Equal times happen in the order listed.
    public var faults: [TimedFault]

    public init(_ faults: [TimedFault] = []) { self.faults = faults }

    /// A fault a line: when, what, where. Empty for an empty plan.
    public var description: String { faults.map { "\($0)\n" }.joined() }

    /// From text: a fault a line; empty lines and what follows `#` do not count. The refusal names the line.
    public init(text: String) throws(Refusal) {
        faults = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let words = line.prefix { $0 != "#" }.split(separator: " ")
            guard let first = words.first else { continue }
            guard let at = Interval(exact: first), let fault = Fault(words.dropFirst().joined(separator: " ")) else {
                throw Refusal("line \(index + 1) of the fault plan is no fault: \(line)")
            }
            faults.append(TimedFault(at: at, fault))
        }
    }

    /// Names the plan in the last line of a run.
    public var digest: UInt64 { Simulator.digest(of: description) }

    // MARK: Making it smaller

    /// A plan with which `fails` still holds and from which nothing can be left out: first faults go (delta debugging, by halves
    /// and ever smaller parts), then durations are halved as long as it still fails. `fails` must hold for this plan.
    /// Source: Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input" (2002), algorithm ddmin.
    public func shrunk(whileFailing fails: (FaultPlan) -> Bool) -> FaultPlan {
        var kept = faults
        var parts = 2
        while kept.count >= 1 {
            let size = (kept.count + parts - 1) / parts
            var isReduced = false
            var start = 0
            while start < kept.count {
                let without = Array(kept[..<start] + kept[min(kept.count, start + size)...])
                if fails(FaultPlan(without)) {
                    kept = without
                    parts = max(2, parts - 1)
                    isReduced = true
                    break
                }
                start += size
            }
            if isReduced { continue }
            if size <= 1 { break }
            parts = min(kept.count, parts * 2)
        }
        for i in kept.indices {
            while let smaller = kept[i].fault.halved {
                var candidate = kept
                candidate[i].fault = smaller
                guard fails(FaultPlan(candidate)) else { break }
                kept = candidate
            }
        }
        return FaultPlan(kept)
    }

    // MARK: Drawing

    /// How many of which fault a drawn plan holds, and how long they last.
    public struct Mix: Hashable, Sendable {
        public var partitions = 0...0
        public var cuts = 0...0
        public var clogs = 0...0
        public var slowLinks = 0...0
        public var resets = 0...0
        public var drops = 0...0
        public var crashes = 0...0
        public var freezes = 0...0
        public var wallSteps = 0...0
        public var nameTroubles = 0...0
        /// No trouble lasts longer.
        public var longest: Interval

        public init(longest: Interval) { self.longest = longest }

        /// A little of everything.
        public static func everything(longest: Interval) -> Mix {
            var mix = Mix(longest: longest)
            mix.partitions = 0...2
            mix.cuts = 0...2
            mix.clogs = 0...3
            mix.slowLinks = 0...2
            mix.resets = 0...4
            mix.drops = 0...2
            mix.crashes = 0...2
            mix.freezes = 0...2
            mix.wallSteps = 0...1
            mix.nameTroubles = 0...1
            return mix
        }
    }

    /// A plan between `from` and `to`: whatever breaks is whole again by `to`, so that a run can then demand that all is well.
    /// `nodes` may be parted from each other, `processes` (`node/process`) may be killed and frozen.
    public static func drawn(_ random: inout Random, mix: Mix, from: Interval, to: Interval, nodes: [String], processes: [String]) -> FaultPlan {
        var plan: [TimedFault] = []
        var random = random
        func count(_ range: ClosedRange<Int>) -> Int { range.lowerBound + random.below(range.count) }
        func span() -> (Interval, Interval) {
            let begin = Interval(nanoseconds: random.within(from.nanoseconds...max(from.nanoseconds, to.nanoseconds - 1)))
            let length = Interval(nanoseconds: random.within(1...max(1, min(mix.longest, to - begin).nanoseconds)))
            return (begin, begin + length)
        }
        func pair() -> (String, String) {
            let a = random.below(nodes.count)
            let b = (a + 1 + random.below(nodes.count - 1)) % nodes.count
            return (nodes[a], nodes[b])
        }
        func add(_ at: Interval, _ fault: Fault) { plan.append(TimedFault(at: at, fault)) }
        if nodes.count >= 2 {
            for _ in 0..<count(mix.partitions) {
                let (begin, end) = span(), (a, b) = pair()
                add(begin, .partition(a, b))
                add(end, .heal(a, b))
            }
            for _ in 0..<count(mix.cuts) {
                let (begin, end) = span(), (a, b) = pair()
                add(begin, .cut(a, b))
                add(end, .heal(a, b))
            }
            for _ in 0..<count(mix.clogs) {
                let (begin, end) = span(), (a, b) = pair()
                add(begin, .clog(a, b, end - begin))
            }
            for _ in 0..<count(mix.slowLinks) {
                let (begin, end) = span(), (a, b) = pair()
                let latency = Interval.milliseconds(random.within(1...200))
                add(begin, .link(a, b, LinkOptions(latency: latency, jitter: latency / 2, lostPerMillion: UInt32(random.below(20_000)))))
                add(end, .unlink(a, b))
            }
            for _ in 0..<count(mix.resets) {
                let (begin, _) = span(), (a, b) = pair()
                add(begin, .reset(a, b))
            }
            for _ in 0..<count(mix.drops) {
                let (begin, _) = span(), (a, b) = pair()
                add(begin, .drop(a, b))
            }
        }
        if !processes.isEmpty {
            for _ in 0..<count(mix.crashes) {
                let (begin, end) = span()
                let process = processes[random.below(processes.count)]
                add(begin, .crash(process))
                add(end, .restart(process))
            }
            for _ in 0..<count(mix.freezes) {
                let (begin, end) = span()
                add(begin, .freeze(processes[random.below(processes.count)], end - begin))
            }
        }
        if !nodes.isEmpty {
            for _ in 0..<count(mix.wallSteps) {
                let (begin, end) = span()
                let node = nodes[random.below(nodes.count)]
                let step = Interval.milliseconds(random.within(-10_000...10_000))
                add(begin, .wallStep(node, step))
                add(end, .wallStep(node, .zero - step))
            }
        }
        for _ in 0..<count(mix.nameTroubles) {
            let (begin, end) = span()
            add(begin, .names(NameServer.Trouble.allCases[random.below(NameServer.Trouble.allCases.count)], end - begin))
        }
        let ordered = plan.enumerated().sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }.map(\.element)
        return FaultPlan(ordered)
    }
}

extension Fault {
    /// The same for half as long; nil if it has no length or the half is less than a millisecond.
    fileprivate var halved: Fault? {
        func half(_ time: Interval) -> Interval? { time >= .milliseconds(2) ? time / 2 : nil }
        switch self {
        case .clog(let a, let b, let time): return half(time).map { .clog(a, b, $0) }
        case .freeze(let a, let time): return half(time).map { .freeze(a, $0) }
        case .names(let trouble, let time): return half(time).map { .names(trouble, $0) }
        default: return nil
        }
    }
}
