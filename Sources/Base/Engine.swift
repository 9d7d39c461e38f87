// The few verbs that every protocol engine has. Owners hold the concrete type; the protocol is a promise to readers and
// to fuzzers. An engine does no I/O: bytes and `now` go in; bytes, events and a next deadline come out. What the owner asks
// for (send this request, reset that stream) are methods of each engine, because commands that carry bytes as values would
// copy them once more.

/// A protocol as a state machine.
public protocol Engine: ~Copyable {
    associatedtype Event
    /// The world happened: bytes arrived. Never fails; what is wrong with them comes out as an event.
    mutating func receive(_ bytes: RawSpan, now: Instant)
    /// What the owner must know next, oldest first; nil when nothing is left.
    mutating func nextEvent() -> Event?
    /// What the world must see: moves pending output to the tail of `buffer`.
    mutating func drainOutput(into buffer: inout ByteBuffer)
    /// When to come back, if nothing else happens before.
    var deadline: Instant? { get }
    /// The deadline has passed.
    mutating func expire(now: Instant)
}
