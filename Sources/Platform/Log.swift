// Lines for people. The sink belongs to the host: stdout in a cluster, the trace in the simulator. swift-log was weighed and
// left out: its global bootstrap and dictionary metadata are both banned here, and Linkerd's two formats need the sink anyway.

import Base

/// Writes lines that a filter lets through to one sink.
public struct Log {
    public enum Level: UInt8, Comparable, CaseIterable, Sendable {
        case trace, debug, info, warn, error, off
        public static func < (a: Level, b: Level) -> Bool { a.rawValue < b.rawValue }
    }

    /// Shared by all copies, so that a change at run time reaches everybody.
    public final class Control {
        public var filter: LogFilter {
            didSet { settle() }
        }
        /// What is below is not even made.
        fileprivate private(set) var lowest = Level.off
        private var isUniform = true

        public init(_ filter: LogFilter) {
            self.filter = filter
            settle()
        }

        public convenience init(level: Level) { self.init(LogFilter(level)) }

        /// The most talkative level; setting it makes it that of every target.
        public var level: Level {
            get { lowest }
            set { filter = LogFilter(newValue) }
        }

        fileprivate func allows(_ level: Level, _ target: StaticString) -> Bool { isUniform || level >= filter.level(of: target.description) }

        private func settle() {
            lowest = filter.lowest
            isUniform = filter.isUniform
        }
    }

    public let control: Control
    private let sink: (Level, String, String) -> Void

    /// `sink` gets level, target (`linkerd_app`-like module path) and message.
    public init(control: Control, sink: @escaping (Level, String, String) -> Void) {
        self.control = control
        self.sink = sink
    }

    /// Where `served` lines go; hosts keep them apart from the rest.
    public static let servedTarget = "_access_log"

    /// A line of the access log: for programs, whole as it is, whatever the filter says.
    public func served(_ line: String) { sink(.info, Self.servedTarget, line) }

    @inline(__always)
    public func callAsFunction(_ level: Level, _ target: StaticString, _ message: @autoclosure () -> String) {
        if level >= control.lowest, control.allows(level, target) { sink(level, target.description, message()) }
    }
}
