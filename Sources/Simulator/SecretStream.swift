// What OpenSSL draws from while an event of a process runs: the process's own stream of the seed. A draw outside of any event
// fails, so a forgotten binding never goes unseen.

import Base
import CDeterminism

final class SecretStream {
    private let state: UnsafeMutablePointer<(random: Random, draws: UnsafeMutablePointer<UInt64>)>

    init(_ random: Random, draws: UnsafeMutablePointer<UInt64>) {
        state = .allocate(capacity: 1)
        state.initialize(to: (random, draws))
    }

    deinit {
        state.deinitialize(count: 1)
        state.deallocate()
    }

    /// The next number, for the run's last line.
    func next() -> UInt64 { state.pointee.random.next() }

    func bind() {
        weft_rand_bind(
            { context, bytes, count in
                let state = context!.assumingMemoryBound(to: (random: Random, draws: UnsafeMutablePointer<UInt64>).self)
                state.pointee.draws.pointee += 1
                state.pointee.random.fill(UnsafeMutableRawBufferPointer(start: bytes, count: count))
            }, state)
    }

    static func unbind() { weft_rand_bind(nil, nil) }

    /// Makes this process of ours draw from bound streams only. Idempotent.
    static func install() { invariant(weft_rand_install() == 1, "OpenSSL takes our randomness") }
}
