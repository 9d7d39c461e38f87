// The three families of failure. A case or code exists only because some code reacts to it.

/// A peer broke a rule of its protocol. The message names the rule; the scope says what must end.
public struct PeerError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Scope: UInt8, Hashable, Sendable { case stream, connection }

    public var scope: Scope
    /// The protocol's own number for it: HTTP status, HTTP/2 error code, TLS alert, gRPC status.
    public var code: UInt32
    /// Which rule, in words, with the section of the standard.
    public var rule: String

    public init(_ scope: Scope, code: UInt32, rule: String) {
        self.scope = scope
        self.code = code
        self.rule = rule
    }

    public var description: String { "\(rule) (code \(code), ends the \(scope))" }
}

/// The world below us refused: a system call, the simulated network, a file.
public struct HostFailure: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Reason: UInt8, Hashable, Sendable, CaseIterable {
        case connectionRefused, connectionReset, timedOut, hostUnreachable, addressInUse, permissionDenied, notFound, brokenPipe, tooManyOpen, other
    }

    /// What was tried: `connect`, `listen`, `read /path`.
    public var operation: String
    public var reason: Reason
    /// The address or path it concerned, empty if none.
    public var subject: String
    /// The kernel's number when `reason` is too coarse, else 0.
    public var errno: Int32

    public init(_ operation: String, _ reason: Reason, subject: String = "", errno: Int32 = 0) {
        self.operation = operation
        self.reason = reason
        self.subject = subject
        self.errno = errno
    }

    public var description: String {
        let words: [Reason: String] = [
            .connectionRefused: "connection refused", .connectionReset: "connection reset", .timedOut: "timed out", .hostUnreachable: "host unreachable",
            .addressInUse: "address in use", .permissionDenied: "permission denied", .notFound: "not found", .brokenPipe: "broken pipe",
            .tooManyOpen: "too many open files", .other: "failed",
        ]
        return operation + (subject.isEmpty ? "" : " " + subject) + ": " + words[reason]! + (reason == .other && errno != 0 ? " (errno \(errno))" : "")
    }
}

/// We said no: a limit was reached or a policy forbids.
public struct Refusal: Error, Hashable, Sendable, CustomStringConvertible {
    /// Which limit or policy, and what to try.
    public var reason: String

    public init(_ reason: String) { self.reason = reason }

    public var description: String { reason }
}
