// Domain names as labels of bytes, compared without regard to ASCII case (RFC 4343): they are kept in lower case.

import Base

/// A fully qualified domain name.
public struct DNSName: Hashable, Sendable, CustomStringConvertible {
    /// Without the root; each 1...63 bytes, lower case.
    public let labels: [[UInt8]]

    /// From text with or without the final dot; `\.` and `\DDD` escape. nil: an empty or long label, or a long name.
    public init?(_ text: some StringProtocol) {
        var labels: [[UInt8]] = []
        var label: [UInt8] = []
        let bytes = Array(text.utf8)
        if bytes.isEmpty { return nil }
        var i = 0
        while i < bytes.count, !(bytes.count == 1 && bytes[0] == UInt8(ascii: ".")) {
            switch bytes[i] {
            case UInt8(ascii: "."):
                labels.append(label)
                label = []
            case UInt8(ascii: "\\"):
                let digits = bytes[(i + 1)...].prefix(3)
                if digits.count == 3, digits.allSatisfy({ $0 >= 48 && $0 <= 57 }) {
                    let value = digits.reduce(0) { $0 * 10 + Int($1 - 48) }
                    guard value <= 255 else { return nil }
                    label.append(UInt8(value))
                    i += 3
                } else {
                    guard i + 1 < bytes.count else { return nil }
                    label.append(bytes[i + 1])
                    i += 1
                }
            default: label.append(bytes[i])
            }
            i += 1
        }
        if !label.isEmpty { labels.append(label) }
        self.init(labels: labels)
    }

    /// nil: an empty or long label, or a long name.
    public init?(labels: [[UInt8]]) {
        var wireBytes = 1
        for label in labels {
            guard !label.isEmpty, label.count <= DNSLimits.labelBytesMax else { return nil }
            wireBytes += 1 + label.count
        }
        guard wireBytes <= DNSLimits.nameBytesMax else { return nil }
        self.labels = labels.map { $0.map { $0 >= 0x41 && $0 <= 0x5a ? $0 | 0x20 : $0 } }
    }

    public static let root = DNSName(labels: [])!

    /// This name below `suffix`; nil when that is too long.
    public func appending(_ suffix: DNSName) -> DNSName? { DNSName(labels: labels + suffix.labels) }

    public func isBelow(_ suffix: DNSName) -> Bool { labels.count >= suffix.labels.count && labels.suffix(suffix.labels.count).elementsEqual(suffix.labels) }

    /// Without the final dot; the root is `.`. What is not printable is escaped.
    public var description: String {
        if labels.isEmpty { return "." }
        return labels.map { label in
            label.map { byte in
                switch byte {
                case UInt8(ascii: "."), UInt8(ascii: "\\"): "\\" + String(UnicodeScalar(byte))
                case 0x21...0x7e: String(UnicodeScalar(byte))
                default: "\\" + padded(Int64(byte), 3)
                }
            }.joined()
        }.joined(separator: ".")
    }
}
