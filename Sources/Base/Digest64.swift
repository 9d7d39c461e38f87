// A rolling 64-bit digest for traces, labels and look-up tables: fast, stable over processes and versions, never for security.

/// Order-sensitive mix of words and bytes. Two runs agree in it only if they agreed in every step (up to 2^-64).
public struct Digest64: Hashable, Sendable {
    public private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

    public init() {}

    public mutating func mix(_ word: UInt64) {
        let product = (value ^ word).multipliedFullWidth(by: 0x9fb2_1c65_1e98_df25)
        value = (product.high ^ product.low) &+ 0x9e37_79b9_7f4a_7c15
    }

    public mutating func mix(_ bytes: UnsafeRawBufferPointer) {
        var i = 0
        while i + 8 <= bytes.count {
            mix(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: i, as: UInt64.self)))
            i += 8
        }
        var last = UInt64(bytes.count) << 56
        var shift: UInt64 = 0
        while i < bytes.count {
            last |= UInt64(bytes[i]) << shift
            shift += 8
            i += 1
        }
        mix(last)
    }

    public mutating func mix(_ bytes: RawSpan) { bytes.withUnsafeBytes { mix($0) } }

    public mutating func mix(string text: String) {
        var text = text
        text.withUTF8 { mix(UnsafeRawBufferPointer($0)) }
    }
}

extension UInt64 {
    /// Sixteen lower-case hexadecimal digits.
    public var hex: String {
        let digits = String(self, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}

/// Lower-case hexadecimal digits, two a byte.
public func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    var text: [UInt8] = []
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] { text.append(nibble < 10 ? 48 + nibble : 87 + nibble) }
    }
    return String(decoding: text, as: UTF8.self)
}
