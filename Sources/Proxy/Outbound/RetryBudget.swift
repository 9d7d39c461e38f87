// How many retries a profile pays for: each answered request deposits its share, each retry withdraws a whole; what was deposited
// counts for the time to live, and a least rate is always allowed. Shared by all routes of one destination, so that a service in
// trouble is asked little more than when it is well. Source: Finagle's retry budgets, tower's TpsBudget as linkerd2-proxy uses it.

import Base

final class RetryBudget {
    /// Parts of the time to live that expire together. Source: tower's ten windows.
    private static let slotCount = 10
    private(set) var terms: ServiceProfile.Budget
    /// Thousandths of a retry, deposits less withdrawals.
    private var slots = [Int64](repeating: 0, count: slotCount)
    private var slot = 0
    private var slotStart: Instant

    init(terms: ServiceProfile.Budget, now: Instant) {
        self.terms = terms
        slotStart = now
    }

    /// New terms begin with an empty account; the same terms go on.
    func update(_ new: ServiceProfile.Budget, now: Instant) {
        guard new != terms else { return }
        terms = new
        slots = [Int64](repeating: 0, count: Self.slotCount)
        slotStart = now
    }

    /// A request is answered and will not be sent again.
    func deposit(now: Instant) {
        advance(now)
        slots[slot] += Int64(terms.ratioPermille)
    }

    /// Pays for one retry; false: there is no cover.
    func withdraw(now: Instant) -> Bool {
        advance(now)
        guard balance >= 1000 else { return false }
        slots[slot] -= 1000
        return true
    }

    /// Thousandths of a retry.
    private var balance: Int64 {
        let seconds = max(1, terms.ttl.nanoseconds / 1_000_000_000)
        return slots.reduce(Int64(terms.retriesPerSecondMin) * seconds * 1000, +)
    }

    private func advance(_ now: Instant) {
        let width = max(1, terms.ttl.nanoseconds / Int64(Self.slotCount))
        let steps = (now - slotStart).nanoseconds / width
        guard steps > 0 else { return }
        for _ in 0..<min(steps, Int64(Self.slotCount)) {
            slot = (slot + 1) % Self.slotCount
            slots[slot] = 0
        }
        slotStart = slotStart + .nanoseconds(steps * width)
    }
}
