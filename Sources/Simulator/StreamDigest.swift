// A digest of a stream of bytes that does not depend on how the stream was cut: the sender's and the receiver's are equal when
// the bytes are. Four lanes of words by their place in the stream, because one lane waits for its own multiplications.

import Base

struct StreamDigest {
    private var lanes: (UInt64, UInt64, UInt64, UInt64) = (1, 2, 3, 4)
    /// Bytes since the last whole word.
    private var partial: UInt64 = 0
    private(set) var length: UInt64 = 0

    @inline(__always) private static func mixed(_ lane: UInt64, _ word: UInt64) -> UInt64 {
        let product = (lane ^ word) &* 0x9fb2_1c65_1e98_df25
        return product ^ (product >> 29)
    }

    private mutating func word(_ word: UInt64) {
        switch length >> 3 & 3 {
        case 0: lanes.0 = Self.mixed(lanes.0, word)
        case 1: lanes.1 = Self.mixed(lanes.1, word)
        case 2: lanes.2 = Self.mixed(lanes.2, word)
        default: lanes.3 = Self.mixed(lanes.3, word)
        }
    }

    private mutating func byte(_ byte: UInt8) {
        partial |= UInt64(byte) << (8 * (length & 7))
        if length & 7 == 7 {
            word(partial)
            partial = 0
        }
        length += 1
    }

    mutating func mix(_ bytes: UnsafeRawBufferPointer) {
        var i = 0
        let count = bytes.count
        while i < count, length & 7 != 0 {
            byte(bytes[i])
            i += 1
        }
        while i + 8 <= count, length & 31 != 0 {
            word(bytes.loadUnaligned(fromByteOffset: i, as: UInt64.self).littleEndian)
            length += 8
            i += 8
        }
        if i + 32 <= count {
            var (a, b, c, d) = lanes
            let first = i
            while i + 32 <= count {
                a = Self.mixed(a, bytes.loadUnaligned(fromByteOffset: i, as: UInt64.self).littleEndian)
                b = Self.mixed(b, bytes.loadUnaligned(fromByteOffset: i + 8, as: UInt64.self).littleEndian)
                c = Self.mixed(c, bytes.loadUnaligned(fromByteOffset: i + 16, as: UInt64.self).littleEndian)
                d = Self.mixed(d, bytes.loadUnaligned(fromByteOffset: i + 24, as: UInt64.self).littleEndian)
                i += 32
            }
            lanes = (a, b, c, d)
            length += UInt64(i - first)
        }
        while i + 8 <= count {
            word(bytes.loadUnaligned(fromByteOffset: i, as: UInt64.self).littleEndian)
            length += 8
            i += 8
        }
        while i < count {
            byte(bytes[i])
            i += 1
        }
    }

    var value: UInt64 {
        var digest = Digest64()
        digest.mix(lanes.0)
        digest.mix(lanes.1 ^ partial)
        digest.mix(lanes.2 ^ length)
        digest.mix(lanes.3)
        return digest.value
    }
}

/// The digest of one run of bytes.
func digest(of bytes: UnsafeRawBufferPointer) -> UInt64 {
    var digest = StreamDigest()
    digest.mix(bytes)
    return digest.value
}

func digest(of text: String) -> UInt64 {
    var digest = Digest64()
    digest.mix(string: text)
    return digest.value
}
