// IP addresses, ports and networks as values, parsed strictly and printed in one canonical form.

/// An IPv4 or IPv6 address. An IPv4-mapped IPv6 address is kept as it is; `unmapped` folds it.
public enum IPAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// First octet in the top byte.
    case v4(UInt32)
    /// Hextets 1-4 and 5-8, first hextet in the top bits.
    case v6(UInt64, UInt64)

    public static let loopback = IPAddress.v4(0x7f00_0001)
    public static let any = IPAddress.v4(0)
    public static let loopbackV6 = IPAddress.v6(0, 1)
    public static let anyV6 = IPAddress.v6(0, 0)

    public init(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) {
        self = .v4(UInt32(a) << 24 | UInt32(b) << 16 | UInt32(c) << 8 | UInt32(d))
    }

    /// Dotted quad (four decimal parts without leading zeros) or RFC 4291 text, without brackets or zone.
    public init?(_ text: some StringProtocol) {
        if text.utf8.contains(UInt8(ascii: ":")) {
            guard let words = parseIPv6(Array(text.utf8)) else { return nil }
            self = .v6(words.0, words.1)
        } else {
            guard let word = parseIPv4(Array(text.utf8)) else { return nil }
            self = .v4(word)
        }
    }

    public var isV4: Bool { if case .v4 = self { true } else { false } }

    public var isLoopback: Bool {
        switch unmapped {
        case .v4(let word): word >> 24 == 127
        case .v6(let high, let low): high == 0 && low == 1
        }
    }

    public var isUnspecified: Bool {
        switch self {
        case .v4(let word): word == 0
        case .v6(let high, let low): high == 0 && low == 0
        }
    }

    /// ::ffff:a.b.c.d as a.b.c.d; everything else unchanged.
    public var unmapped: IPAddress {
        if case .v6(0, let low) = self, low >> 32 == 0xffff { return .v4(UInt32(truncatingIfNeeded: low)) }
        return self
    }

    public var description: String {
        switch self {
        case .v4(let w): return "\(w >> 24).\(w >> 16 & 255).\(w >> 8 & 255).\(w & 255)"
        case .v6(let high, let low):
            let groups = (0..<8).map { UInt16(truncatingIfNeeded: ($0 < 4 ? high : low) >> UInt64(48 - 16 * ($0 % 4))) }
            // RFC 5952: the longest run of at least two zero groups is shortened, the first of equals.
            var best = 0..<0
            var i = 0
            while i < 8 {
                var j = i
                while j < 8, groups[j] == 0 { j += 1 }
                if j - i > max(1, best.count) { best = i..<j }
                i = max(j, i + 1)
            }
            let text = { (range: Range<Int>) in range.map { String(groups[$0], radix: 16) }.joined(separator: ":") }
            return best.isEmpty ? text(0..<8) : text(0..<best.lowerBound) + "::" + text(best.upperBound..<8)
        }
    }

    /// IPv4 before IPv6, then by number.
    public static func < (a: IPAddress, b: IPAddress) -> Bool {
        switch (a, b) {
        case (.v4(let x), .v4(let y)): x < y
        case (.v6(let xh, let xl), .v6(let yh, let yl)): (xh, xl) < (yh, yl)
        case (.v4, .v6): true
        case (.v6, .v4): false
        }
    }
}

/// An IP address and a port.
public struct SocketAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var ip: IPAddress
    public var port: UInt16

    public init(_ ip: IPAddress, _ port: UInt16) {
        self.ip = ip
        self.port = port
    }

    /// `1.2.3.4:80` or `[::1]:80`.
    public init?(_ text: some StringProtocol) {
        guard let colon = text.lastIndex(of: ":"), let port = parsePort(text[text.index(after: colon)...]) else { return nil }
        var host = text[..<colon]
        let bracketed = host.first == "["
        if bracketed {
            guard host.last == "]" else { return nil }
            host = host.dropFirst().dropLast()
        }
        guard let ip = IPAddress(host), ip.isV4 != bracketed else { return nil }
        self.init(ip, port)
    }

    public var description: String { ip.isV4 ? "\(ip):\(port)" : "[\(ip)]:\(port)" }

    public static func < (a: SocketAddress, b: SocketAddress) -> Bool { (a.ip, a.port) < (b.ip, b.port) }
}

/// A CIDR block. A bare address is a block of one.
public struct IPNetwork: Hashable, Sendable, CustomStringConvertible {
    public var base: IPAddress
    /// 0...32 or 0...128.
    public var prefixBits: UInt8

    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let ip = IPAddress(parts[0]) else { return nil }
        base = ip
        prefixBits = ip.isV4 ? 32 : 128
        if parts.count == 2 {
            guard let bits = UInt8(parts[1]), bits <= prefixBits, parts[1].allSatisfy(\.isNumber) else { return nil }
            prefixBits = bits
        }
    }

    public init(_ base: IPAddress, prefixBits: UInt8) {
        self.base = base
        self.prefixBits = prefixBits
    }

    public func contains(_ ip: IPAddress) -> Bool {
        switch (base, ip.unmapped) {
        case (.v4(let a), .v4(let b)):
            return prefixBits == 0 || (a ^ b) >> UInt32(32 - prefixBits) == 0
        case (.v6(let ah, let al), .v6(let bh, let bl)):
            if prefixBits == 0 { return true }
            if prefixBits <= 64 { return (ah ^ bh) >> UInt64(64 - prefixBits) == 0 }
            return ah == bh && (al ^ bl) >> UInt64(128 - prefixBits) == 0
        default: return false
        }
    }

    public var description: String { "\(base)/\(prefixBits)" }
}

/// 1 to 5 decimal digits, 0...65535.
public func parsePort(_ text: some StringProtocol) -> UInt16? {
    guard !text.isEmpty, text.utf8.count <= 5, text.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }) else { return nil }
    return UInt16(text)
}

private func parseIPv4(_ text: [UInt8]) -> UInt32? {
    var word: UInt32 = 0
    var parts = 0
    var i = 0
    while parts < 4 {
        var value: UInt32 = 0
        let first = i
        while i < text.count, text[i] >= 48, text[i] <= 57, i - first < 3 {
            value = value * 10 + UInt32(text[i] - 48)
            i += 1
        }
        guard i > first, value <= 255, i - first == 1 || text[first] != 48 else { return nil }
        word = word << 8 | value
        parts += 1
        if parts < 4 {
            guard i < text.count, text[i] == 0x2e else { return nil }
            i += 1
        }
    }
    return i == text.count ? word : nil
}

private func parseIPv6(_ text: [UInt8]) -> (UInt64, UInt64)? {
    var groups: [UInt16] = []
    var gap: Int?
    var i = 0
    if text.count >= 2, text[0] == 0x3a {
        guard text[1] == 0x3a else { return nil }
        gap = 0
        i = 2
    }
    while i < text.count {
        guard groups.count < 8 else { return nil }
        let first = i
        var value: UInt32 = 0
        while i < text.count, i - first < 4, let digit = hexDigit(text[i]) {
            value = value << 4 | UInt32(digit)
            i += 1
        }
        if i < text.count, text[i] == 0x2e {
            guard groups.count <= 6, let word = parseIPv4(Array(text[first...])) else { return nil }
            groups += [UInt16(word >> 16), UInt16(word & 0xffff)]
            i = text.count
            break
        }
        guard i > first else { return nil }
        groups.append(UInt16(value))
        if i == text.count { break }
        guard text[i] == 0x3a else { return nil }
        i += 1
        if i < text.count, text[i] == 0x3a {
            guard gap == nil else { return nil }
            gap = groups.count
            i += 1
        } else if i == text.count {
            return nil
        }
    }
    if let gap {
        guard groups.count <= 7 else { return nil }
        groups.insert(contentsOf: repeatElement(0, count: 8 - groups.count), at: gap)
    }
    guard groups.count == 8 else { return nil }
    let word = { (range: Range<Int>) in range.reduce(UInt64(0)) { $0 << 16 | UInt64(groups[$1]) } }
    return (word(0..<4), word(4..<8))
}

/// The value of one hexadecimal digit, either case.
public func hexDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 48...57: byte - 48
    case 65...70: byte - 55
    case 97...102: byte - 87
    default: nil
    }
}
