// The way from one node to another: how long it takes, how much fits, and what is wrong with it now. One object an ordered
// pair of nodes, with a stream of chance of its own, so that traffic elsewhere moves nothing here.

import Base

/// How a way behaves when nothing is wrong with it.
public struct LinkOptions: Hashable, Sendable {
    /// One way.
    public var latency: Interval
    /// Up to this much more, uniformly.
    public var jitter: Interval
    /// nil: as much as is sent. Shared by all that use the way.
    public var bytesPerSecond: Int64?
    /// Of a million packets. A lost datagram is gone; a lost segment comes after a retransmission.
    public var lostPerMillion: UInt32

    public init(latency: Interval, jitter: Interval = .zero, bytesPerSecond: Int64? = nil, lostPerMillion: UInt32 = 0) {
        self.latency = latency
        self.jitter = jitter
        self.bytesPerSecond = bytesPerSecond
        self.lostPerMillion = lostPerMillion
    }
}

final class Link {
    let from: Node
    let to: Node
    var options: LinkOptions
    /// Nothing passes.
    var isCut = false
    /// Nothing passes before then, and nothing is lost.
    var cloggedUntil = Instant.zero
    private var random: Random
    private let draws: UnsafeMutablePointer<UInt64>
    /// When the last byte handed in will have left.
    private var freeAt: Int64 = 0

    init(from: Node, to: Node, options: LinkOptions, random: Random, draws: UnsafeMutablePointer<UInt64>) {
        self.from = from
        self.to = to
        self.options = options
        self.random = random
        self.draws = draws
    }

    var isLoopback: Bool { from === to }

    func below(_ bound: Int) -> Int {
        draws.pointee += 1
        return random.below(bound)
    }

    func next() -> UInt64 {
        draws.pointee += 1
        return random.next()
    }

    /// When `length` bytes handed in now come out.
    func arrival(_ length: Int, now: Int64) -> Int64 {
        var time = now
        if let rate = options.bytesPerSecond, rate > 0 {
            // A packet's headers are paid for too.
            let cost = Int64(length + 54).multipliedFullWidth(by: 1_000_000_000)
            freeAt = max(freeAt, now) &+ rate.dividingFullWidth(cost).quotient
            time = freeAt
        }
        time &+= options.latency.nanoseconds
        if options.jitter.nanoseconds > 0 { time &+= Int64(below(Int(options.jitter.nanoseconds) + 1)) }
        if cloggedUntil.nanoseconds > now { time = max(time, cloggedUntil.nanoseconds &+ options.latency.nanoseconds) }
        return time
    }

    func losesOne() -> Bool { options.lostPerMillion > 0 && below(1_000_000) < Int(options.lostPerMillion) }
}
