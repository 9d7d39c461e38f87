// SHA-256 of the trust anchors, for the annotation by which pods with old anchors are found. Not for secrets, and not for
// speed. Source: FIPS 180-4.

enum SHA256 {
    /// 64 hexadecimal digits.
    static func hex(_ text: String) -> String {
        var message = Array(text.utf8)
        let bits = UInt64(message.count) * 8
        message.append(0x80)
        while message.count % 64 != 56 { message.append(0) }
        for shift in stride(from: 56, through: 0, by: -8) { message.append(UInt8(truncatingIfNeeded: bits >> UInt64(shift))) }
        var state = initial
        var words = [UInt32](repeating: 0, count: 64)
        for block in stride(from: 0, to: message.count, by: 64) {
            for i in 0..<16 {
                let at = block + i * 4
                words[i] = UInt32(message[at]) << 24 | UInt32(message[at + 1]) << 16 | UInt32(message[at + 2]) << 8 | UInt32(message[at + 3])
            }
            for i in 16..<64 {
                let (a, b) = (words[i - 15], words[i - 2])
                words[i] = words[i - 16] &+ (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) &+ words[i - 7] &+ (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10)
            }
            var s = state
            for i in 0..<64 {
                let choice = (s[4] & s[5]) ^ (~s[4] & s[6])
                let first = s[7] &+ (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25)) &+ choice &+ constants[i] &+ words[i]
                let majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2])
                let second = (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22)) &+ majority
                s = [first &+ second, s[0], s[1], s[2], s[3] &+ first, s[4], s[5], s[6]]
            }
            for i in 0..<8 { state[i] = state[i] &+ s[i] }
        }
        return state.map { word in
            let digits = String(word, radix: 16)
            return String(repeating: "0", count: 8 - digits.utf8.count) + digits
        }.joined()
    }

    private static func rotate(_ word: UInt32, _ bits: UInt32) -> UInt32 { word >> bits | word << (32 - bits) }

    /// The first 32 bits of the fractions of the square roots of the first 8 primes, and of the cube roots of the first 64.
    private static let initial: [UInt32] = primes.prefix(8).map { root($0, power: 2) }
    private static let constants: [UInt32] = primes.map { root($0, power: 3) }

    private static let primes: [UInt64] = (2...311).filter { n in !(2..<n).contains { n % $0 == 0 } }

    /// The greatest r with rᵖ ≤ n · 2³²ᵖ; its low 32 bits are the fraction.
    private static func root(_ n: UInt64, power: Int) -> UInt32 {
        var r: UInt64 = 0
        for bit in stride(from: 36, through: 0, by: -1) {
            let candidate = UInt128(r | 1 << UInt64(bit))
            var product = candidate
            for _ in 1..<power { product *= candidate }
            if product <= UInt128(n) << UInt128(32 * power) { r = UInt64(candidate) }
        }
        return UInt32(truncatingIfNeeded: r)
    }
}
