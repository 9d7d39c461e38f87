// The Huffman code of HPACK (RFC 7541 section 5.2): how long a text becomes, writing it, and reading it. Reading takes eight
// bits at a time, which covers every code of common text; longer codes are found by the limits of each length.

extension HPACKTables {
    /// Bytes that `text` takes when coded.
    @inline(__always)
    func huffmanCount(_ text: UnsafeRawPointer, _ count: Int) -> Int {
        var bits = 0
        for i in 0..<count { bits &+= Int(codeLengths[Int(text.load(fromByteOffset: i, as: UInt8.self))]) }
        return (bits &+ 7) >> 3
    }

    /// Writes `text` coded to `target`, which has room for `huffmanCount` bytes. Returns one past the last byte.
    func huffmanEncode(_ text: UnsafeRawPointer, _ count: Int, to target: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
        var at = target
        var word: UInt64 = 0
        var bits = 0
        for i in 0..<count {
            let symbol = Int(text.load(fromByteOffset: i, as: UInt8.self))
            let length = Int(codeLengths[symbol])
            word = word << UInt64(truncatingIfNeeded: length) | UInt64(codes[symbol])
            bits &+= length
            if bits >= 32 {
                bits &-= 32
                at.storeBytes(of: UInt32(truncatingIfNeeded: word >> UInt64(truncatingIfNeeded: bits)).bigEndian, as: UInt32.self)
                at += 4
            }
        }
        while bits >= 8 {
            bits &-= 8
            at.storeBytes(of: UInt8(truncatingIfNeeded: word >> UInt64(truncatingIfNeeded: bits)), as: UInt8.self)
            at += 1
        }
        if bits > 0 {
            // Padded with the first bits of EOS, which are ones.
            let rest = UInt8(truncatingIfNeeded: word << UInt64(truncatingIfNeeded: 8 &- bits)) | UInt8(truncatingIfNeeded: 0xff >> bits)
            at.storeBytes(of: rest, as: UInt8.self)
            at += 1
        }
        return at
    }

    /// Reads coded bytes to `target`, which has room for 8/5 of `count`. Returns the number of bytes written, or -1 when the code is
    /// broken: EOS inside, padding of 8 bits or more, or padding that is not the beginning of EOS.
    func huffmanDecode(_ source: UnsafeRawPointer, _ count: Int, to target: UnsafeMutableRawPointer) -> Int {
        var at = 0
        var written = 0
        // The unread bits stand at the top.
        var word: UInt64 = 0
        var bits = 0
        while true {
            if bits <= 32 {
                if at &+ 4 <= count {
                    let next = UInt64(UInt32(bigEndian: source.loadUnaligned(fromByteOffset: at, as: UInt32.self)))
                    word |= next << UInt64(truncatingIfNeeded: 32 &- bits)
                    bits &+= 32
                    at &+= 4
                } else {
                    while at < count {
                        word |= UInt64(source.load(fromByteOffset: at, as: UInt8.self)) << UInt64(truncatingIfNeeded: 56 &- bits)
                        bits &+= 8
                        at &+= 1
                    }
                }
                if bits == 0 { return written }
            }
            let entry = short[Int(truncatingIfNeeded: word >> 56)]
            var length = Int(entry >> 8)
            var symbol = UInt8(truncatingIfNeeded: entry)
            if entry == 0 {
                let top = word >> 32
                length = 10
                while length <= 30, top >= limits[length] { length &+= 1 }
                // All ones to the end: EOS, or padding.
                if length <= 30, bits >= length {
                    let index = firstIndexes[length] &+ Int(truncatingIfNeeded: (top >> UInt64(truncatingIfNeeded: 32 &- length)) &- UInt64(firstCodes[length]))
                    if sorted[index] == 256 { return -1 }
                    symbol = UInt8(truncatingIfNeeded: sorted[index])
                }
            }
            if length > bits {
                // What is left is shorter than any code that it could begin: padding.
                let ones = ~UInt64(0) << UInt64(truncatingIfNeeded: 64 &- bits)
                return bits < 8 && word == ones ? written : -1
            }
            target.storeBytes(of: symbol, toByteOffset: written, as: UInt8.self)
            written &+= 1
            word <<= UInt64(truncatingIfNeeded: length)
            bits &-= length
        }
    }
}
