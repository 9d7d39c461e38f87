// Our own state is either right or the process stops: `invariant` stays on in every build. What a peer does is never an
// invariant; it is a `PeerError` value. What we do wrong but can survive goes to `Host.unexpected`.

/// Traps when our own state is wrong. One fact a call, in positive form.
@inline(__always)
public func invariant(_ condition: @autoclosure () -> Bool, _ fact: StaticString, file: StaticString = #fileID, line: UInt = #line) {
    if !condition() { invariantBroken(fact, file: file, line: line) }
}

@inline(never)
public func invariantBroken(_ fact: StaticString, file: StaticString = #fileID, line: UInt = #line) -> Never {
    fatalError("invariant broken: \(fact)", file: file, line: line)
}
