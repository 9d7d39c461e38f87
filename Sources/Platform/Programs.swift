// Programs that a component must run beside itself to learn something: a kubeconfig's credential plug-in. One goes in with its
// input, one comes back with what it wrote. Deliberately absent: programs that live on, terminals and shells.

import Base

/// What to run, to its end.
public struct Program: Hashable, Sendable {
    public struct Variable: Hashable, Sendable {
        public var name: String
        public var value: String

        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// An absolute path, or a bare name that is looked for in the folders of the `PATH` among `environment`.
    public var command: String
    /// Without the program's own name.
    public var arguments: [String]
    /// All of it: nothing is inherited. The last of equal names counts.
    public var environment: [Variable]
    /// How long it may run. When over: it is killed, and the failure is `timedOut`.
    public var timeout: Interval

    public init(command: String, arguments: [String] = [], environment: [Variable] = [], timeout: Interval) {
        self.command = command
        self.arguments = arguments
        self.environment = environment
        self.timeout = timeout
    }
}

/// How a program ended.
public struct ProgramEnd: Hashable, Sendable {
    /// The exit status, or 128 plus the signal that ended it.
    public var status: Int32
    /// What it wrote. A host keeps no more of either than its bound.
    public var output: [UInt8]
    public var error: [UInt8]

    public init(status: Int32, output: [UInt8] = [], error: [UInt8] = []) {
        self.status = status
        self.output = output
        self.error = error
    }
}

public protocol Programs: AnyObject {
    /// Starts a program without input. `ended` is called once, in a later turn: with its end, or with why there was none
    /// (`notFound`: no such program; `timedOut`).
    func run(_ program: Program, _ ended: @escaping (Result<ProgramEnd, HostFailure>) -> Void)
}

/// Where no program can be run.
public final class NoPrograms: Programs {
    private let after: (@escaping () -> Void) -> Void

    /// `after` runs its argument in a later turn.
    public init(after: @escaping (@escaping () -> Void) -> Void) { self.after = after }

    public func run(_ program: Program, _ ended: @escaping (Result<ProgramEnd, HostFailure>) -> Void) {
        after { ended(.failure(HostFailure("run", .permissionDenied, subject: program.command))) }
    }
}
