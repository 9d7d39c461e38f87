// The declared secrets, found in passing bytes at a cost that does not grow with their number: a table of their first four bytes, and before
// it a bit for each pair of first bytes.

import Base

final class SecretIndex {
    /// In the order of their declaration.
    private(set) var secrets: [[UInt8]] = []
    /// Of the longest. Unit: bytes.
    private(set) var longest = 0
    /// Look-up only: positions of the secrets that begin with these four bytes.
    private var byStart: [UInt32: [Int]] = [:]
    /// One bit for each pair of first bytes.
    private var pairs = [UInt64](repeating: 0, count: 1024)

    var isEmpty: Bool { secrets.isEmpty }

    func add(_ secret: [UInt8]) {
        invariant(secret.count >= 4, "a secret is long enough not to occur by chance")
        let start = UInt32(secret[0]) << 24 | UInt32(secret[1]) << 16 | UInt32(secret[2]) << 8 | UInt32(secret[3])
        if byStart[start]?.contains(where: { secrets[$0] == secret }) == true { return }
        byStart[start, default: []].append(secrets.count)
        let pair = Int(start >> 16)
        pairs[pair >> 6] |= 1 << UInt64(pair & 63)
        secrets.append(secret)
        longest = max(longest, secret.count)
    }

    /// The first secret that stands in the bytes.
    func find(in bytes: UnsafeRawBufferPointer) -> Int? {
        guard bytes.count >= 4, !secrets.isEmpty else { return nil }
        return pairs.withUnsafeBufferPointer { pairs in
            for i in 0...bytes.count - 4 {
                let pair = Int(bytes[i]) << 8 | Int(bytes[i + 1])
                guard pairs[pair >> 6] & 1 << UInt64(pair & 63) != 0 else { continue }
                let start = UInt32(pair) << 16 | UInt32(bytes[i + 2]) << 8 | UInt32(bytes[i + 3])
                guard let candidates = byStart[start] else { continue }
                for index in candidates where bytes.count - i >= secrets[index].count {
                    if secrets[index].withUnsafeBytes({ $0.elementsEqual(UnsafeRawBufferPointer(rebasing: bytes[i..<i + $0.count])) }) { return index }
                }
            }
            return nil
        }
    }
}
