// The alphabet of HTTP/1: which bytes may stand in a name, a value, a target and an authority (RFC 9110 section 5, RFC 9112 sections
// 2 to 5). Strict on purpose: what two parsers may read differently is refused, never repaired. Leaves only, over raw pointers.

import Base

/// A rule of RFC 9112 that a head or a chunk broke, before it is known on which side we stand.
struct HTTP1Fault: Error {
    /// The status that a server answers with.
    let code: UInt32
    let rule: StaticString

    init(_ code: UInt32, _ rule: StaticString) {
        self.code = code
        self.rule = rule
    }
}

/// What a byte below 128 may be: 1 part of a token (RFC 9110 section 5.6.2), 2 part of a registered name or its percent sign
/// (RFC 3986 section 3.2.2), 4 white space.
private let classes: [UInt8] = [
    0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    4, 3, 0, 1, 3, 3, 3, 3, 2, 2, 3, 3, 2, 3, 3, 0, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0, 2, 0, 2, 0, 0,
    0, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0, 0, 0, 1, 3,
    1, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0, 1, 0, 3, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
]

let carriageReturn: UInt8 = 13
let lineFeed: UInt8 = 10

@inline(__always)
func isBlank(_ byte: UInt8) -> Bool { byte == 32 || byte == 9 }

@inline(__always)
func isDigit(_ byte: UInt8) -> Bool { byte &- 48 < 10 }

/// The first place from `start` on that holds no token byte; `end` if there is none. Words of letters and hyphens go eight bytes at a
/// time, anything else by the table.
@inline(__always)
func endOfToken(_ base: UnsafeRawPointer, _ start: Int, _ end: Int) -> Int {
    var i = start
    while i &+ 8 <= end {
        let flags = notPlain(UInt64(littleEndian: base.loadUnaligned(fromByteOffset: i, as: UInt64.self)))
        if flags == 0 {
            i &+= 8
            continue
        }
        i &+= flags.trailingZeroBitCount >> 3
        let byte = base[i]
        if byte == UInt8(ascii: ":") || byte == 32 || classes[Int(byte)] & 1 == 0 { return i }
        i &+= 1
    }
    while i < end, classes[Int(base[i])] & 1 != 0 { i &+= 1 }
    return i
}

/// The top bit of each byte that is no letter and no hyphen, exactly: with bytes below 128 no sum crosses into the next byte.
@inline(__always)
private func notPlain(_ word: UInt64) -> UInt64 {
    let low = word & ~tops
    let lower = low | (ones &* 32)
    let letters = (lower &+ ones &* (128 - 97)) & ~(lower &+ ones &* (128 - 123))
    let others = (low ^ (ones &* 45)) &+ ones &* 127
    return (~letters & others | word) & tops
}

/// The bytes are a non-empty token.
func isToken(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let base = bytes.baseAddress, bytes.count > 0 else { return false }
    return endOfToken(base, 0, bytes.count) == bytes.count
}

private let ones: UInt64 = 0x0101_0101_0101_0101
private let tops: UInt64 = 0x8080_8080_8080_8080

/// The first place from `start` on that holds a control byte (below 32, or 127), a tabulator included; `end` if there is none.
@inline(__always)
func indexOfControl(_ base: UnsafeRawPointer, _ start: Int, _ end: Int) -> Int {
    var i = start
    while i &+ 8 <= end {
        let word = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: i, as: UInt64.self))
        let delete = word ^ (ones &* 127)
        // The lowest flag is exact: a borrow that could fake one comes from a lower byte that is flagged itself.
        let flags = ((word &- ones &* 32) & ~word | (delete &- ones) & ~delete) & tops
        if flags != 0 { return i &+ flags.trailingZeroBitCount >> 3 }
        i &+= 8
    }
    while i < end {
        let byte = base.load(fromByteOffset: i, as: UInt8.self)
        if byte < 32 || byte == 127 { return i }
        i &+= 1
    }
    return end
}

/// The first place from `start` on that may not stand in a request target: a control byte, a space, `#`, or a byte above 126.
@inline(__always)
func endOfTarget(_ base: UnsafeRawPointer, _ start: Int, _ end: Int) -> Int {
    var i = start
    while i &+ 8 <= end {
        let word = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: i, as: UInt64.self))
        let delete = word ^ (ones &* 127)
        let hash = word ^ (ones &* 35)
        let flags = ((word &- ones &* 33) & ~word | (delete &- ones) & ~delete | (hash &- ones) & ~hash | word) & tops
        if flags != 0 { return i &+ flags.trailingZeroBitCount >> 3 }
        i &+= 8
    }
    while i < end {
        let byte = base.load(fromByteOffset: i, as: UInt8.self)
        if byte < 33 || byte > 126 || byte == 35 { return i }
        i &+= 1
    }
    return end
}

/// The bytes may stand in a request target. The last word overlaps the one before it rather than end in single bytes.
func isTarget(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let base = bytes.baseAddress else { return true }
    let count = bytes.count
    if count < 8 { return endOfTarget(base, 0, count) == count }
    return endOfTarget(base, 0, count & ~7) == count & ~7 && (count & 7 == 0 || endOfTarget(base, count - 8, count) == count)
}

/// The first line feed from `start` on; nil if there is none.
func indexOfLineFeed(_ base: UnsafeRawPointer, _ start: Int, _ end: Int) -> Int? {
    var i = start
    while i &+ 8 <= end {
        let word = base.loadUnaligned(fromByteOffset: i, as: UInt64.self) ^ (ones &* 10)
        if (word &- ones) & ~word & tops != 0 { break }
        i &+= 8
    }
    while i < end {
        if base.load(fromByteOffset: i, as: UInt8.self) == lineFeed { return i }
        i &+= 1
    }
    return nil
}

/// `uri-host [ ":" port ]` with a non-empty host and a port of 0...65535 (RFC 9110 section 4.2.1, RFC 3986 section 3.2).
/// User information is refused (RFC 9110 section 4.2.4), and so are an empty port and addresses of a future version.
func isAuthority(_ bytes: UnsafeRawBufferPointer, needsPort: Bool = false) -> Bool {
    var i = 0
    if bytes.first == UInt8(ascii: "[") {
        guard let close = bytes.firstIndex(of: UInt8(ascii: "]")),
            let address = IPAddress(String(decoding: bytes[1..<close], as: UTF8.self)), !address.isV4
        else { return false }
        i = close + 1
    } else {
        while i < bytes.count, classes[Int(bytes[i])] & 2 != 0 {
            if bytes[i] == UInt8(ascii: "%") {
                guard i + 2 < bytes.count, hexDigit(bytes[i + 1]) != nil, hexDigit(bytes[i + 2]) != nil else { return false }
            }
            i += 1
        }
        if i == 0 { return false }
    }
    if i == bytes.count { return !needsPort }
    guard bytes[i] == UInt8(ascii: ":"), i + 1 < bytes.count else { return false }
    var port = 0
    for byte in bytes[(i + 1)...] {
        guard isDigit(byte) else { return false }
        port = port * 10 + Int(byte - 48)
        if port > 65_535 { return false }
    }
    return true
}

/// Digits only, at most 19 of them, within Int64; nil otherwise (RFC 9110 section 8.6).
@inline(__always)
func decimalLength(_ bytes: UnsafeRawBufferPointer) -> Int64? {
    guard bytes.count > 0, bytes.count <= 19 else { return nil }
    var value: UInt64 = 0
    for byte in bytes {
        guard isDigit(byte) else { return nil }
        value = value &* 10 &+ UInt64(byte &- 48)
    }
    return Int64(exactly: value)
}

/// The bytes are this text, given in lower case, in any case of letters. They hold no control bytes: 32 set in every byte makes letters
/// lower case and leaves other text as it is.
@inline(__always)
func equalsIgnoringCase(_ bytes: UnsafeRawBufferPointer, _ text: StaticString) -> Bool {
    let count = text.utf8CodeUnitCount
    guard bytes.count == count, let base = bytes.baseAddress else { return false }
    return isSame(base, text, count)
}

/// Calls `body` with each non-empty element of a comma-separated list, without the white space around it (RFC 9110 section 5.6.1).
func forEachElement(_ list: UnsafeRawBufferPointer, _ body: (_ start: Int, _ element: UnsafeRawBufferPointer) -> Void) {
    var i = 0
    while i < list.count {
        var end = i
        while end < list.count, list[end] != UInt8(ascii: ",") { end += 1 }
        var first = i
        var last = end
        while first < last, isBlank(list[first]) { first += 1 }
        while last > first, isBlank(list[last - 1]) { last -= 1 }
        if last > first { body(first, UnsafeRawBufferPointer(rebasing: list[first..<last])) }
        i = end + 1
    }
}

extension HTTPText {
    /// The text has exactly these bytes.
    @inline(__always)
    func equals(_ bytes: UnsafeRawBufferPointer) -> Bool {
        withUnsafeBytes { own in
            guard own.count == bytes.count else { return false }
            return bytes.count == 0 || sameBytes(own.baseAddress.unsafelyUnwrapped, bytes.baseAddress.unsafelyUnwrapped, bytes.count)
        }
    }
}

@inline(__always)
private func sameBytes(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ count: Int) -> Bool {
    if count >= 8 {
        var i = 0
        while i &+ 8 < count {
            if a.loadUnaligned(fromByteOffset: i, as: UInt64.self) != b.loadUnaligned(fromByteOffset: i, as: UInt64.self) { return false }
            i &+= 8
        }
        return a.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self) == b.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
    }
    var i = 0
    while i < count {
        if a.load(fromByteOffset: i, as: UInt8.self) != b.load(fromByteOffset: i, as: UInt8.self) { return false }
        i &+= 1
    }
    return true
}
