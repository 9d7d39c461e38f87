// What happened, as numbers: a record an event, a rolling hash over all of them, a checkpoint now and then. Two runs were the
// same run exactly when their last lines are. Records hold no pointer, no hash value and no real time. Kept in memory are the
// last few records only; whoever wants all of them gives a sink.

import Base

public final class Trace {
    public enum Kind: UInt16, Sendable, CaseIterable {
        case timer, connect, connected, accept, sent, data, finish, finished, close, closed, reset, drained
        case listen, listenEnd, datagramSent, datagram, datagramLost
        case fork, write, log, unexpected, processStart, processShutdown, processExit, processCrash
        case node, fault, note, violation, end
        case program
    }

    /// 32 bytes, little endian in a file.
    public struct Record: Hashable, Sendable {
        /// Virtual time. Unit: nanoseconds.
        public var time: Int64
        /// Counts from 0 and wraps.
        public var sequence: UInt32
        /// Index of the node in `World.nodes` plus one; 0 is the world itself.
        public var node: UInt16
        public var kind: UInt16
        /// What it concerns: a stream's serial number, a port, a process.
        public var a: UInt32
        /// A length or code.
        public var b: UInt32
        /// Of the bytes or text it concerns.
        public var digest: UInt64

        public var bytes: [UInt8] {
            var bytes: [UInt8] = []
            bytes.reserveCapacity(32)
            func put<T: FixedWidthInteger>(_ value: T) { withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) } }
            put(time)
            put(sequence)
            put(node)
            put(kind)
            put(a)
            put(b)
            put(digest)
            return bytes
        }
    }

    /// Where a run stood: compared between two runs to find where they part. As text: a line of five words.
    public struct Checkpoint: Hashable, Sendable, CustomStringConvertible {
        public var events: UInt64
        public var time: Instant
        public var hash: UInt64
        /// Over the hashes of all nodes in order: says whether a difference reached a node or the world only.
        public var nodesHash: UInt64
        /// Numbers drawn from the world's own streams so far.
        public var draws: UInt64

        public var description: String { "\(events) \(time.nanoseconds) \(hash.hex) \(nodesHash.hex) \(draws)" }

        init(events: UInt64, time: Instant, hash: UInt64, nodesHash: UInt64, draws: UInt64) {
            self.events = events
            self.time = time
            self.hash = hash
            self.nodesHash = nodesHash
            self.draws = draws
        }

        /// From its line of text; nil if it is none.
        public init?(_ text: some StringProtocol) {
            let words = text.split(separator: Character(" "))
            guard words.count == 5, let events = UInt64(words[0]), let time = Int64(words[1]), let hash = UInt64(words[2], radix: 16),
                let nodes = UInt64(words[3], radix: 16), let draws = UInt64(words[4])
            else { return nil }
            self.init(events: events, time: Instant(nanoseconds: time), hash: hash, nodesHash: nodes, draws: draws)
        }
    }

    /// Records so far.
    public private(set) var events: UInt64 = 0
    public var hash: UInt64 { rolling.value }
    public private(set) var checkpoints: [Checkpoint] = []
    /// One a node, the world's own first.
    public private(set) var nodeHashes: [Digest64] = [Digest64()]
    /// Numbers drawn from the world's own streams so far.
    public var draws: UInt64 { drawCell.pointee }
    /// Where links and OpenSSL's streams count.
    let drawCell: UnsafeMutablePointer<UInt64>

    /// Gets every record.
    public var records: ((Record) -> Void)?
    /// Gets a line for people an event: time, node, kind, what it concerns.
    public var lines: ((String) -> Void)?

    private var rolling = Digest64()
    private var ring: [Record] = []
    private var details: [String] = []

    init() {
        drawCell = .allocate(capacity: 1)
        drawCell.initialize(to: 0)
    }

    deinit { drawCell.deallocate() }

    func addNode() { nodeHashes.append(Digest64()) }

    @inline(__always)
    func add(time: Int64, node: UInt16, kind: Kind, a: UInt32, b: UInt32, digest: UInt64) {
        let record = Record(time: time, sequence: UInt32(truncatingIfNeeded: events), node: node, kind: kind.rawValue, a: a, b: b, digest: digest)
        let head = UInt64(node) << 48 | UInt64(record.kind) << 32 | UInt64(record.sequence)
        rolling.mix(UInt64(bitPattern: time))
        rolling.mix(head)
        rolling.mix(UInt64(a) << 32 | UInt64(b))
        rolling.mix(digest)
        nodeHashes[Int(node)].mix(UInt64(bitPattern: time) ^ digest ^ UInt64(b) << 32 ^ UInt64(record.kind))
        if ring.count < SimulatorLimits.recordsKept {
            ring.append(record)
        } else {
            ring[Int(events % UInt64(SimulatorLimits.recordsKept))] = record
        }
        events += 1
        if let records { records(record) }
        if events % SimulatorLimits.checkpointRecords == 0 { checkpoint(time) }
    }

    private func checkpoint(_ time: Int64) {
        var nodes = Digest64()
        for hash in nodeHashes { nodes.mix(hash.value) }
        checkpoints.append(Checkpoint(events: events, time: Instant(nanoseconds: time), hash: hash, nodesHash: nodes.value, draws: draws))
    }

    /// The last records, oldest first.
    public var last: [Record] {
        guard ring.count == SimulatorLimits.recordsKept else { return ring }
        let head = Int(events % UInt64(SimulatorLimits.recordsKept))
        return Array(ring[head...] + ring[..<head])
    }

    /// A record for people. Names are of nodes by index.
    public static func describe(_ record: Record, nodes: [String]) -> String {
        let kind = Kind(rawValue: record.kind).map { "\($0)" } ?? "kind \(record.kind)"
        let node = record.node == 0 ? "world" : Int(record.node) <= nodes.count ? nodes[Int(record.node) - 1] : "node \(record.node)"
        return "\(record.sequence) \(Interval(nanoseconds: record.time)) \(node) \(kind) \(record.a) \(record.b) \(record.digest.hex)"
    }

    /// The first checkpoint in which two runs differ, and where the last equal one stood: the window to print in full. nil: none differs.
    public static func divergence(_ a: [Checkpoint], _ b: [Checkpoint]) -> Range<UInt64>? {
        var equal: UInt64 = 0
        for (x, y) in zip(a, b) {
            if x != y { return equal..<x.events }
            equal = x.events
        }
        return nil
    }
}
