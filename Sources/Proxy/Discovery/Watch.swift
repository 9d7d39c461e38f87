// A value that changes over time and those who follow it: what a discovery stream says last, kept for whoever asks next.

/// Names one subscription of one watch.
struct WatchID: Hashable {
    fileprivate let rawValue: UInt64
}

/// The latest value, nil until there is one. Subscribers are told at once, in the order they subscribed, within `set`; a new one
/// is told the present value within `subscribe`. A subscriber may subscribe and cancel while it is told.
final class Watch<Value> {
    private(set) var value: Value?
    private var subscribers: [(id: WatchID, tell: (Value) -> Void)] = []
    private var last: UInt64 = 0

    init(_ value: Value? = nil) { self.value = value }

    var isWatched: Bool { !subscribers.isEmpty }

    func set(_ value: Value) {
        self.value = value
        for id in subscribers.map(\.id) {
            subscribers.first { $0.id == id }?.tell(value)
        }
    }

    @discardableResult
    func subscribe(_ tell: @escaping (Value) -> Void) -> WatchID {
        last += 1
        let id = WatchID(rawValue: last)
        subscribers.append((id, tell))
        if let value { tell(value) }
        return id
    }

    func cancel(_ id: WatchID) { subscribers.removeAll { $0.id == id } }
}
