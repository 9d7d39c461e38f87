// Randomness that can be named, repeated and split. A root seed gives every consumer a stream of its own by label, so that
// one more draw here moves nothing there. Integers only: probabilities are ratios.

/// A pseudo-random stream: xoshiro256++ seeded by splitmix64. Not for secrets: keys are OpenSSL's business.
/// Source: Blackman and Vigna, "Scrambled linear pseudorandom number generators" (2021).
public struct Random: Sendable {
    private var state: (UInt64, UInt64, UInt64, UInt64)
    private let seed: UInt64

    public init(seed: UInt64) {
        self.seed = seed
        var mixer = seed
        state = (splitmix64(&mixer), splitmix64(&mixer), splitmix64(&mixer), splitmix64(&mixer))
    }

    /// A stream that depends on this one's seed and the label only, not on what was drawn before.
    public func fork(_ label: String) -> Random {
        var digest = Digest64()
        digest.mix(seed)
        digest.mix(string: label)
        return Random(seed: digest.value)
    }

    /// 64 uniform bits.
    public mutating func next() -> UInt64 {
        let sum = state.0 &+ state.3
        let result = (sum << 23 | sum >> 41) &+ state.0
        let t = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= t
        state.3 = state.3 << 45 | state.3 >> 19
        return result
    }

    /// Uniform in 0..<bound, without bias (Lemire's multiplication with rejection). `bound` must be positive.
    public mutating func below(_ bound: UInt64) -> UInt64 {
        invariant(bound > 0, "an empty range has no random element")
        var product = next().multipliedFullWidth(by: bound)
        if product.low < bound {
            let threshold = (0 &- bound) % bound
            while product.low < threshold { product = next().multipliedFullWidth(by: bound) }
        }
        return product.high
    }

    public mutating func below(_ bound: Int) -> Int { Int(below(UInt64(bound))) }

    /// Uniform in the closed range.
    public mutating func within(_ range: ClosedRange<Int64>) -> Int64 {
        let width = UInt64(bitPattern: range.upperBound &- range.lowerBound)
        if width == .max { return Int64(bitPattern: next()) }
        return range.lowerBound &+ Int64(bitPattern: below(width + 1))
    }

    /// True `numerator` times in `denominator`.
    public mutating func chance(_ numerator: UInt64, in denominator: UInt64) -> Bool { below(denominator) < numerator }

    public mutating func fill(_ buffer: UnsafeMutableRawBufferPointer) {
        var i = 0
        while i < buffer.count {
            var word = next()
            for _ in 0..<min(8, buffer.count - i) {
                buffer[i] = UInt8(truncatingIfNeeded: word)
                word >>= 8
                i += 1
            }
        }
    }
}

private func splitmix64(_ state: inout UInt64) -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
}
