// gzip out, and no more: metrics are text that repeats itself, and scrapers ask for them compressed. Matches in a sliding window and the
// format's fixed codes; optimal parsing and codes of our own are left out, as they would win a tenth and cost twice the time.
// Source: RFC 1951 (DEFLATE), RFC 1952 (gzip).

public enum Gzip {
    /// The whole of `input` as one gzip member, without name and time.
    public static func compress(_ input: [UInt8]) -> [UInt8] {
        var writer = DeflateWriter(capacity: input.count / 4 + 64)
        writer.out += [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]
        writer.deflate(input)
        for shift in stride(from: 0, to: 32, by: 8) { writer.out.append(UInt8(truncatingIfNeeded: crc32(input) >> UInt32(shift))) }
        for shift in stride(from: 0, to: 32, by: 8) { writer.out.append(UInt8(truncatingIfNeeded: UInt32(truncatingIfNeeded: input.count) >> UInt32(shift))) }
        return writer.out
    }

    /// RFC 1952 section 8.
    public static func crc32(_ bytes: [UInt8]) -> UInt32 {
        var table = [UInt32](repeating: 0, count: 256)
        for i in 0..<256 {
            var c = UInt32(i)
            for _ in 0..<8 { c = c & 1 == 1 ? 0xedb8_8320 ^ (c >> 1) : c >> 1 }
            table[i] = c
        }
        var crc: UInt32 = 0xffff_ffff
        for byte in bytes { crc = table[Int((crc ^ UInt32(byte)) & 0xff)] ^ (crc >> 8) }
        return crc ^ 0xffff_ffff
    }
}

private struct DeflateWriter {
    var out: [UInt8] = []
    private var bits: UInt64 = 0
    private var bitCount: UInt64 = 0

    private static let windowBytes = 32_768
    private static let matchBytesMin = 3
    private static let matchBytesMax = 258
    private static let hashBits = 15
    /// Earlier places looked at for a match. More find little in text whose lines resemble their neighbours.
    private static let chainMax = 16

    init(capacity: Int) { out.reserveCapacity(capacity) }

    /// One final block with the fixed codes.
    mutating func deflate(_ input: [UInt8]) {
        put(0b011, 3)
        var head = [Int32](repeating: -1, count: 1 << Self.hashBits)
        var previous = [Int32](repeating: -1, count: Self.windowBytes)
        input.withUnsafeBufferPointer { bytes in
            var at = 0
            while at < bytes.count {
                var length = 0
                var distance = 0
                if at + Self.matchBytesMin <= bytes.count {
                    let hash = Self.hash(bytes, at)
                    var candidate = Int(head[hash])
                    var steps = 0
                    while candidate >= 0, at - candidate <= Self.windowBytes, steps < Self.chainMax {
                        let found = Self.match(bytes, candidate, at)
                        if found > length {
                            length = found
                            distance = at - candidate
                            if found == Self.matchBytesMax { break }
                        }
                        let next = Int(previous[candidate & (Self.windowBytes - 1)])
                        if next >= candidate { break }
                        candidate = next
                        steps += 1
                    }
                }
                let taken = length >= Self.matchBytesMin ? length : 1
                if taken > 1 { copy(length, distance) } else { literal(Int(bytes[at])) }
                for i in at..<max(at, min(at + taken, bytes.count - Self.matchBytesMin + 1)) {
                    let hash = Self.hash(bytes, i)
                    previous[i & (Self.windowBytes - 1)] = head[hash]
                    head[hash] = Int32(truncatingIfNeeded: i)
                }
                at += taken
            }
        }
        literal(256)
        if bitCount > 0 { put(0, (8 - bitCount % 8) % 8) }
    }

    private static func hash(_ bytes: UnsafeBufferPointer<UInt8>, _ at: Int) -> Int {
        let word = UInt32(bytes[at]) | UInt32(bytes[at + 1]) << 8 | UInt32(bytes[at + 2]) << 16
        return Int((word &* 2_654_435_761) >> UInt32(32 - hashBits))
    }

    private static func match(_ bytes: UnsafeBufferPointer<UInt8>, _ a: Int, _ b: Int) -> Int {
        let limit = min(matchBytesMax, bytes.count - b)
        var n = 0
        while n < limit, bytes[a + n] == bytes[b + n] { n += 1 }
        return n
    }

    /// A literal byte, the end of the block (256), or a length code. RFC 1951 section 3.2.6.
    private mutating func literal(_ code: Int) {
        switch code {
        case 0...143: put(Self.reversed(0x30 + code, 8), 8)
        case 144...255: put(Self.reversed(0x190 + code - 144, 9), 9)
        case 256...279: put(Self.reversed(code - 256, 7), 7)
        default: put(Self.reversed(0xc0 + code - 280, 8), 8)
        }
    }

    private mutating func copy(_ length: Int, _ distance: Int) {
        let l = Self.lengths.lastIndex { $0.base <= length }!
        literal(257 + l)
        put(UInt64(length - Self.lengths[l].base), UInt64(Self.lengths[l].extra))
        let d = Self.distances.lastIndex { $0.base <= distance }!
        put(Self.reversed(d, 5), 5)
        put(UInt64(distance - Self.distances[d].base), UInt64(Self.distances[d].extra))
    }

    private mutating func put(_ value: UInt64, _ count: UInt64) {
        bits |= value << bitCount
        bitCount += count
        while bitCount >= 8 {
            out.append(UInt8(truncatingIfNeeded: bits))
            bits >>= 8
            bitCount -= 8
        }
    }

    private static func reversed(_ code: Int, _ count: Int) -> UInt64 {
        var reversed = 0
        for i in 0..<count where code & (1 << i) != 0 { reversed |= 1 << (count - 1 - i) }
        return UInt64(reversed)
    }

    /// RFC 1951 section 3.2.5.
    private static let lengths: [(base: Int, extra: Int)] = {
        var list: [(base: Int, extra: Int)] = []
        var base = 3
        for code in 0..<28 {
            let extra = code < 8 ? 0 : (code - 4) / 4
            list.append((base, extra))
            base += 1 << extra
        }
        return list + [(258, 0)]
    }()
    private static let distances: [(base: Int, extra: Int)] = {
        var list: [(base: Int, extra: Int)] = []
        var base = 1
        for code in 0..<30 {
            let extra = code < 4 ? 0 : (code - 2) / 2
            list.append((base, extra))
            base += 1 << extra
        }
        return list
    }()
}
