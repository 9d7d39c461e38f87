// The `grpc-timeout` header: at most eight digits and a unit. Source: grpc/doc/PROTOCOL-HTTP2.md ("Timeout").

import Base

public enum GRPCTimeout {
    private static let units: [(letter: UInt8, nanoseconds: Int64)] = [
        (UInt8(ascii: "n"), 1), (UInt8(ascii: "u"), 1_000), (UInt8(ascii: "m"), 1_000_000), (UInt8(ascii: "S"), 1_000_000_000),
        (UInt8(ascii: "M"), 60_000_000_000), (UInt8(ascii: "H"), 3_600_000_000_000),
    ]

    /// nil: malformed. What does not fit into 292 years is cut to that.
    public static func parse(_ text: String) -> Interval? {
        let bytes = Array(text.utf8)
        guard bytes.count >= 2, bytes.count <= 9, let unit = units.first(where: { $0.letter == bytes.last }) else { return nil }
        var value: Int64 = 0
        for byte in bytes.dropLast() {
            guard byte >= 48, byte <= 57 else { return nil }
            value = value * 10 + Int64(byte - 48)
        }
        let (product, overflow) = value.multipliedReportingOverflow(by: unit.nanoseconds)
        return Interval(nanoseconds: overflow ? .max : product)
    }

    /// In the finest unit that takes at most eight digits, rounded up so that a deadline is never told too early. Negative is zero.
    public static func format(_ interval: Interval) -> String {
        let nanoseconds = max(0, interval.nanoseconds)
        for unit in units {
            let value = nanoseconds / unit.nanoseconds + (nanoseconds % unit.nanoseconds == 0 ? 0 : 1)
            if value <= 99_999_999 { return "\(value)" + String(UnicodeScalar(unit.letter)) }
        }
        return "99999999H"
    }
}
