// Lines for people. The sink belongs to the host: stdout in a cluster, the trace in the simulator. swift-log was weighed and
// left out: its global bootstrap and dictionary metadata are both banned here, and Linkerd's two formats need the sink anyway.

import Base

/// Writes lines at or above a level to one sink.
public struct Log {
    public enum Level: UInt8, Comparable, CaseIterable, Sendable {
        case trace, debug, info, warn, error, off
        public static func < (a: Level, b: Level) -> Bool { a.rawValue < b.rawValue }
    }

    /// Shared by all copies, so that a change of level at run time reaches everybody.
    public final class Control {
        public var level: Level
        public init(level: Level) { self.level = level }
    }

    public let control: Control
    private let sink: (Level, String, String) -> Void

    /// `sink` gets level, target (`linkerd_app`-like module path) and message.
    public init(control: Control, sink: @escaping (Level, String, String) -> Void) {
        self.control = control
        self.sink = sink
    }

    @inline(__always)
    public func callAsFunction(_ level: Level, _ target: StaticString, _ message: @autoclosure () -> String) {
        if level >= control.level { sink(level, target.description, message()) }
    }
}
