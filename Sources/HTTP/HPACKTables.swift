// The constants of HPACK in the shapes that are quick to use: the static table with what the engine knows of each entry, Huffman
// codes for encoding, and look-up tables for decoding and for judging bytes. Made once, never changed, never freed.

import Base

/// What a pseudo-header is; `none` for regular fields (RFC 9113 section 8.3, RFC 8441).
enum PseudoName: UInt8 {
    case none, method, scheme, authority, path, status, `protocol`, unknown

    init(_ name: UnsafeRawBufferPointer) {
        guard name.count > 0, name[0] == UInt8(ascii: ":") else {
            self = .none
            return
        }
        func isName(_ text: StaticString) -> Bool {
            text.utf8CodeUnitCount == name.count && equalBytes(name.baseAddress.unsafelyUnwrapped, UnsafeRawPointer(text.utf8Start), name.count)
        }
        switch name.count {
        case 5 where isName(":path"): self = .path
        case 7 where isName(":method"): self = .method
        case 7 where isName(":scheme"): self = .scheme
        case 7 where isName(":status"): self = .status
        case 9 where isName(":protocol"): self = .protocol
        case 10 where isName(":authority"): self = .authority
        default: self = .unknown
        }
    }
}

/// One field as HPACK sees it: where its bytes are, and what was found out about them when they were first read.
struct HPACKField {
    var name: UnsafeRawPointer
    var nameCount: Int
    var value: UnsafeRawPointer
    var valueCount: Int
    var traits: HPACKTraits
    /// Of an entry of the dynamic table: its number since the connection began; 0 for others.
    var sequence: UInt32 = 0

    @inline(__always) var nameBytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: name, count: nameCount) }
    @inline(__always) var valueBytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: value, count: valueCount) }
}

struct HPACKTraits {
    var known = KnownName.other
    var pseudo = PseudoName.none
    /// Lower-case token, or a pseudo-header.
    var isNameValid = true
    /// No control bytes, no white space at the ends; of a pseudo-header also what its own grammar says.
    var isValueValid = true
    /// Never indexed (RFC 7541 section 6.2.3).
    var isSensitive = false
}

final class HPACKTables: @unchecked Sendable {
    static let shared = HPACKTables()

    /// Entries 1...61; entry 0 is unused.
    let entries: UnsafeMutablePointer<HPACKField>
    static let entryCount = 61

    /// Per symbol: code length in bits, and the code in the low bits.
    let codeLengths: UnsafeMutablePointer<UInt8>
    let codes: UnsafeMutablePointer<UInt32>
    /// By the next 8 bits: symbol in the low byte, length above it; 0 when the code is longer than 8 bits.
    let short: UnsafeMutablePointer<UInt16>
    /// By length 0...30: one past the last code of this length, left-aligned in 32 bits (0 if there is none and none shorter).
    let limits: UnsafeMutablePointer<UInt64>
    /// By length: first code of this length, and the index in `sorted` of its symbol.
    let firstCodes: UnsafeMutablePointer<UInt32>
    let firstIndexes: UnsafeMutablePointer<Int>
    /// Symbols by code; the last is EOS (256).
    let sorted: UnsafeMutablePointer<UInt16>

    /// By byte: 1 if it may stand in a lower-case field name (RFC 9110 section 5.6.2 without upper case).
    let nameBytes: UnsafeMutablePointer<UInt8>
    /// First static entry by hash of its name, 0 if none; then `nextByName`.
    let nameBuckets: UnsafeMutablePointer<UInt8>
    let nextByName: UnsafeMutablePointer<UInt8>

    private init() {
        entries = .allocate(capacity: 62)
        codeLengths = .allocate(capacity: 257)
        codes = .allocate(capacity: 257)
        short = .allocate(capacity: 256)
        limits = .allocate(capacity: 32)
        firstCodes = .allocate(capacity: 32)
        firstIndexes = .allocate(capacity: 32)
        sorted = .allocate(capacity: 257)
        nameBytes = .allocate(capacity: 256)
        nameBuckets = .allocate(capacity: 256)
        nextByName = .allocate(capacity: 62)
        nameBytes.initialize(repeating: 0, count: 256)
        for byte in 0..<256 where Self.isNameByte(UInt8(byte)) { nameBytes[byte] = 1 }
        makeHuffman()
        makeStatic()
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "%"), UInt8(ascii: "&"), UInt8(ascii: "'"), UInt8(ascii: "*"),
            UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "^"), UInt8(ascii: "_"), UInt8(ascii: "`"), UInt8(ascii: "|"),
            UInt8(ascii: "~"):
            true
        default: false
        }
    }

    /// The code is canonical: symbols in order of length, then of value, count upwards; so the lengths say it all.
    private func makeHuffman() {
        for symbol in 0..<257 { codeLengths[symbol] = symbol < 256 ? Self.huffmanLengths[symbol] : 30 }
        short.initialize(repeating: 0, count: 256)
        limits.initialize(repeating: 0, count: 32)
        firstCodes.initialize(repeating: 0, count: 32)
        firstIndexes.initialize(repeating: 0, count: 32)
        var code: UInt32 = 0
        var index = 0
        for length in 1...30 {
            code <<= 1
            firstCodes[length] = code
            firstIndexes[length] = index
            for symbol in 0..<257 where Int(codeLengths[symbol]) == length {
                codes[symbol] = code
                sorted[index] = UInt16(symbol)
                if length <= 8 {
                    let first = Int(code) << (8 - length)
                    for i in first..<first + 1 << (8 - length) { short[i] = UInt16(length) << 8 | UInt16(symbol) }
                }
                code += 1
                index += 1
            }
            limits[length] = UInt64(code) << UInt64(32 - length)
        }
        invariant(index == 257 && code == 1 << 30, "the Huffman code of HPACK is complete")
    }

    private func makeStatic() {
        nameBuckets.initialize(repeating: 0, count: 256)
        nextByName.initialize(repeating: 0, count: 62)
        entries.initialize(to: field("", ""))
        for (i, pair) in Self.staticTable.enumerated() {
            entries[i + 1] = field(pair.0, pair.1)
        }
        for i in stride(from: Self.entryCount, through: 1, by: -1) {
            let bucket = Int(truncatingIfNeeded: hashBytes(entries[i].name, entries[i].nameCount) & 255)
            nextByName[i] = nameBuckets[bucket]
            nameBuckets[bucket] = UInt8(i)
        }
    }

    private func field(_ name: StaticString, _ value: StaticString) -> HPACKField {
        let nameBytes = UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
        return HPACKField(
            name: UnsafeRawPointer(name.utf8Start), nameCount: name.utf8CodeUnitCount, value: UnsafeRawPointer(value.utf8Start), valueCount: value.utf8CodeUnitCount,
            traits: HPACKTraits(known: KnownName(nameBytes), pseudo: PseudoName(nameBytes)))
    }

    /// The lowest static entry with this name, 0 if none.
    @inline(__always)
    func index(ofName name: UnsafeRawPointer, _ count: Int, hash: UInt64) -> Int {
        var i = Int(nameBuckets[Int(truncatingIfNeeded: hash & 255)])
        while i != 0 {
            if entries[i].nameCount == count, equalBytes(entries[i].name, name, count) { return i }
            i = Int(nextByName[i])
        }
        return 0
    }

    /// Length in bits of each byte's code. Source: RFC 7541 appendix B.
    private static let huffmanLengths: [UInt8] = [
        13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
        28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
        6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
        5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
        13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
        7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
        15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
        6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
        20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
        24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
        22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
        21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
        26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
        19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
        20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
        26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    ]

    /// Source: RFC 7541 appendix A.
    private static let staticTable: [(StaticString, StaticString)] = [
        (":authority", ""),
        (":method", "GET"),
        (":method", "POST"),
        (":path", "/"),
        (":path", "/index.html"),
        (":scheme", "http"),
        (":scheme", "https"),
        (":status", "200"),
        (":status", "204"),
        (":status", "206"),
        (":status", "304"),
        (":status", "400"),
        (":status", "404"),
        (":status", "500"),
        ("accept-charset", ""),
        ("accept-encoding", "gzip, deflate"),
        ("accept-language", ""),
        ("accept-ranges", ""),
        ("accept", ""),
        ("access-control-allow-origin", ""),
        ("age", ""),
        ("allow", ""),
        ("authorization", ""),
        ("cache-control", ""),
        ("content-disposition", ""),
        ("content-encoding", ""),
        ("content-language", ""),
        ("content-length", ""),
        ("content-location", ""),
        ("content-range", ""),
        ("content-type", ""),
        ("cookie", ""),
        ("date", ""),
        ("etag", ""),
        ("expect", ""),
        ("expires", ""),
        ("from", ""),
        ("host", ""),
        ("if-match", ""),
        ("if-modified-since", ""),
        ("if-none-match", ""),
        ("if-range", ""),
        ("if-unmodified-since", ""),
        ("last-modified", ""),
        ("link", ""),
        ("location", ""),
        ("max-forwards", ""),
        ("proxy-authenticate", ""),
        ("proxy-authorization", ""),
        ("range", ""),
        ("referer", ""),
        ("refresh", ""),
        ("retry-after", ""),
        ("server", ""),
        ("set-cookie", ""),
        ("strict-transport-security", ""),
        ("transfer-encoding", ""),
        ("user-agent", ""),
        ("vary", ""),
        ("via", ""),
        ("www-authenticate", ""),
    ]
}

/// A quick digest of a short run of bytes, for look-up within one process.
@inline(__always)
func hashBytes(_ bytes: UnsafeRawPointer, _ count: Int) -> UInt64 {
    var value = UInt64(truncatingIfNeeded: count) &* 0x9e37_79b9_7f4a_7c15
    var i = 0
    while i &+ 8 <= count {
        value = mixed(value ^ bytes.loadUnaligned(fromByteOffset: i, as: UInt64.self))
        i &+= 8
    }
    if i < count {
        var last: UInt64 = 0
        if count >= 8 {
            last = bytes.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
        } else if count >= 4 {
            last = UInt64(bytes.loadUnaligned(as: UInt32.self)) | UInt64(bytes.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self)) << 32
        } else {
            last = UInt64(bytes.load(as: UInt8.self)) | UInt64(bytes.load(fromByteOffset: count >> 1, as: UInt8.self)) << 8
                | UInt64(bytes.load(fromByteOffset: count &- 1, as: UInt8.self)) << 16
        }
        value = mixed(value ^ last)
    }
    return value
}

@inline(__always)
private func mixed(_ word: UInt64) -> UInt64 {
    let product = word.multipliedFullWidth(by: 0x9fb2_1c65_1e98_df25)
    return product.high ^ product.low
}

/// Both runs are the same bytes.
@inline(__always)
func equalBytes(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ count: Int) -> Bool {
    if count >= 8 {
        var i = 0
        while i &+ 8 < count {
            if a.loadUnaligned(fromByteOffset: i, as: UInt64.self) != b.loadUnaligned(fromByteOffset: i, as: UInt64.self) { return false }
            i &+= 8
        }
        return a.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self) == b.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
    }
    if count >= 4 {
        return a.loadUnaligned(as: UInt32.self) == b.loadUnaligned(as: UInt32.self)
            && a.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self) == b.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self)
    }
    for i in 0..<count where a.load(fromByteOffset: i, as: UInt8.self) != b.load(fromByteOffset: i, as: UInt8.self) { return false }
    return true
}
