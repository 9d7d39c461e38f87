// What a world is made with. Everything that changes a run and is not the seed stands here, so that a report can print it.

import Base
import Platform

/// How a stream is cut into the pieces that its reader sees.
public enum Segmentation: Hashable, Sendable {
    /// As large as the window allows.
    case whole
    /// 1448 bytes, as on an Ethernet.
    case ethernet
    /// One byte at most: every parser meets every split.
    case bytewise
    /// Each connection draws a manner: whole, Ethernet, ragged, or tiny at first.
    case seeded
}

/// The judges that a world runs by itself.
public struct Checks: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Bytes out equal bytes in, for each direction of each connection.
    public static let conservation = Checks(rawValue: 1)
    /// Stopped processes leave no connection, listener or socket open.
    public static let leaks = Checks(rawValue: 2)
    /// Stopped processes leave no timer running.
    public static let timers = Checks(rawValue: 4)
    /// Between two meshed nodes everything is TLS, except on declared ports.
    public static let plaintext = Checks(rawValue: 8)
    /// Declared secrets never cross from node to node in the clear.
    public static let secrets = Checks(rawValue: 16)
    /// `Host.unexpected` was not called.
    public static let unexpected = Checks(rawValue: 32)
    /// Waiting for a condition while nothing can happen any more is a failure.
    public static let stalls = Checks(rawValue: 64)

    public static let all: Checks = [.conservation, .leaks, .timers, .plaintext, .secrets, .unexpected, .stalls]
}

public struct WorldOptions: Sendable {
    /// Civil time at virtual time zero.
    public var start: WallTime
    /// Between nodes, unless `World.setLink` says otherwise.
    public var link: LinkOptions
    /// Within a node.
    public var loopback: LinkOptions
    /// What a receiver takes before its owner has read. Unit: bytes.
    public var receiveWindowBytes: Int
    /// What the world takes from a sender before it is acknowledged; more is `bytesQueued`. Unit: bytes.
    public var sendBufferBytes: Int
    public var segmentation: Segmentation
    /// Connecting to an address that nobody has fails with `hostUnreachable` (true) or is met by silence.
    public var unknownAddressesAnswer: Bool
    /// Level of each process's log at its start.
    public var logLevel: Log.Level
    public var checks: Checks
    /// Names the executable that runs, a constant of its content; printed in the last line.
    public var build: String

    /// A quick, quiet network with Linux's defaults.
    public init(start: WallTime) {
        self.start = start
        link = LinkOptions(latency: .microseconds(250), jitter: .microseconds(50))
        loopback = LinkOptions(latency: .microseconds(15), jitter: .microseconds(5))
        receiveWindowBytes = 131_072
        sendBufferBytes = 131_072
        segmentation = .seeded
        unknownAddressesAnswer = false
        logLevel = .info
        checks = .all
        build = "unknown"
    }
}
