// One thing that goes wrong, as a value with one line of text: what a plan lists, what the world's verbs do, what a report prints.
// A place is a node's name, `node/process`, `*`, or a beginning followed by `*`. A fault whose place does not exist does nothing,
// so that a plan stays valid while it is made smaller.

import Base

public enum Fault: Hashable, Sendable, CustomStringConvertible {
    /// Nothing passes either way.
    case partition(String, String)
    /// Nothing passes from the first to the second.
    case cut(String, String)
    /// Both ways pass again, and are no longer clogged.
    case heal(String, String)
    case healAll
    /// Nothing passes for so long, either way, and nothing is lost.
    case clog(String, String, Interval)
    /// How the way from the first to the second behaves.
    case link(String, String, LinkOptions)
    /// As it was at the beginning.
    case unlink(String, String)
    /// Every connection between them ends with RST at both ends.
    case reset(String, String)
    /// Every connection between them ends with RST at the first only; the second hears nothing.
    case drop(String, String)
    /// A node loses power, a process is killed.
    case crash(String)
    /// A node comes back with the processes that ran, a process is started again (killed first if it runs).
    case restart(String)
    /// SIGTERM.
    case stop(String)
    /// No event reaches the process for so long.
    case freeze(String, Interval)
    /// The node's wall clock jumps.
    case wallStep(String, Interval)
    /// The node's wall clock runs so much too fast, in millionths; 0: right again.
    case wallDrift(String, Int64)
    /// The name server misbehaves for so long.
    case names(NameServer.Trouble, Interval)

    public var description: String {
        switch self {
        case .partition(let a, let b): "partition \(a) \(b)"
        case .cut(let a, let b): "cut \(a) \(b)"
        case .heal(let a, let b): "heal \(a) \(b)"
        case .healAll: "heal-all"
        case .clog(let a, let b, let time): "clog \(a) \(b) \(time.exact)"
        case .link(let a, let b, let o):
            "link \(a) \(b) latency=\(o.latency.exact) jitter=\(o.jitter.exact)" + (o.bytesPerSecond.map { " rate=\($0)" } ?? "") + (o.lostPerMillion > 0 ? " loss=\(o.lostPerMillion)" : "")
        case .unlink(let a, let b): "unlink \(a) \(b)"
        case .reset(let a, let b): "reset \(a) \(b)"
        case .drop(let a, let b): "drop \(a) \(b)"
        case .crash(let a): "crash \(a)"
        case .restart(let a): "restart \(a)"
        case .stop(let a): "stop \(a)"
        case .freeze(let a, let time): "freeze \(a) \(time.exact)"
        case .wallStep(let a, let step): "wall-step \(a) \(step.exact)"
        case .wallDrift(let a, let drift): "wall-drift \(a) \(drift)"
        case .names(let trouble, let time): "names \(trouble.rawValue) \(time.exact)"
        }
    }

    /// From its line of text; nil if it is none.
    public init?(_ text: some StringProtocol) {
        let words = text.split(separator: Character(" ")).map { String($0) }
        guard let verb = words.first else { return nil }
        let rest = Array(words.dropFirst())
        switch (verb, rest.count) {
        case ("partition", 2): self = .partition(rest[0], rest[1])
        case ("cut", 2): self = .cut(rest[0], rest[1])
        case ("heal", 2): self = .heal(rest[0], rest[1])
        case ("heal-all", 0): self = .healAll
        case ("clog", 3):
            guard let time = Interval(exact: rest[2]) else { return nil }
            self = .clog(rest[0], rest[1], time)
        case ("link", 3...):
            guard let options = LinkOptions(rest.dropFirst(2)) else { return nil }
            self = .link(rest[0], rest[1], options)
        case ("unlink", 2): self = .unlink(rest[0], rest[1])
        case ("reset", 2): self = .reset(rest[0], rest[1])
        case ("drop", 2): self = .drop(rest[0], rest[1])
        case ("crash", 1): self = .crash(rest[0])
        case ("restart", 1): self = .restart(rest[0])
        case ("stop", 1): self = .stop(rest[0])
        case ("freeze", 2):
            guard let time = Interval(exact: rest[1]) else { return nil }
            self = .freeze(rest[0], time)
        case ("wall-step", 2):
            guard let step = Interval(exact: rest[1]) else { return nil }
            self = .wallStep(rest[0], step)
        case ("wall-drift", 2):
            guard let drift = Int64(rest[1]) else { return nil }
            self = .wallDrift(rest[0], drift)
        case ("names", 2):
            guard let trouble = NameServer.Trouble(rawValue: rest[0]), let time = Interval(exact: rest[1]) else { return nil }
            self = .names(trouble, time)
        default: return nil
        }
    }
}

extension LinkOptions {
    fileprivate init?(_ words: ArraySlice<String>) {
        self.init(latency: .zero)
        var hasLatency = false
        for word in words {
            let parts = word.split(separator: "=", maxSplits: 1)
            guard parts.count == 2 else { return nil }
            switch parts[0] {
            case "latency":
                guard let value = Interval(exact: parts[1]) else { return nil }
                latency = value
                hasLatency = true
            case "jitter":
                guard let value = Interval(exact: parts[1]) else { return nil }
                jitter = value
            case "rate":
                guard let value = Int64(parts[1]), value > 0 else { return nil }
                bytesPerSecond = value
            case "loss":
                guard let value = UInt32(parts[1]), value <= 1_000_000 else { return nil }
                lostPerMillion = value
            default: return nil
            }
        }
        guard hasLatency, latency >= .zero, jitter >= .zero else { return nil }
    }
}

extension Interval {
    private static let units: [(name: String, nanoseconds: Int64)] = [("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1000), ("ns", 1)]

    /// A whole number of the largest unit that loses nothing: `1500ms`, `2h`, `17ns`.
    public var exact: String {
        if nanoseconds == 0 { return "0s" }
        let unit = Self.units.first { nanoseconds % $0.nanoseconds == 0 } ?? ("ns", 1)
        return "\(nanoseconds / unit.nanoseconds)\(unit.name)"
    }

    /// A whole number with one of the units h, m, s, ms, us, ns. nil: neither that nor within range.
    public init?(exact text: some StringProtocol) {
        let digits = text.prefix { $0 == "-" || $0.isNumber }
        let name = text.dropFirst(digits.count)
        guard let number = Int64(digits), let unit = Self.units.first(where: { $0.name == name }) else { return nil }
        let (product, overflow) = number.multipliedReportingOverflow(by: unit.nanoseconds)
        guard !overflow else { return nil }
        self.init(nanoseconds: product)
    }
}
