// Kubernetes quantities (`500m`, `64Mi`, `0.5`): read, rounded up to whole units, written in the one canonical form.
// Source: k8s.io/apimachinery pkg/api/resource quantity.go.

struct Quantity: Equatable {
    /// Unit: 10⁻⁹.
    private var nanos: Int128
    private var isBinary: Bool

    /// nil when the text is no quantity, or one beyond what a cluster can have.
    init?(_ text: String) {
        let bytes = Array(text.utf8)
        var at = 0
        var isNegative = false
        if at < bytes.count, bytes[at] == 0x2b || bytes[at] == 0x2d {
            isNegative = bytes[at] == 0x2d
            at += 1
        }
        var mantissa: Int128 = 0
        var digits = 0
        var fraction = 0
        var hasPoint = false
        while at < bytes.count {
            let byte = bytes[at]
            if byte == 0x2e, !hasPoint {
                hasPoint = true
            } else if byte >= 0x30, byte <= 0x39 {
                digits += 1
                if hasPoint { fraction += 1 }
                if digits > 18 { return nil }
                mantissa = mantissa * 10 + Int128(byte - 0x30)
            } else {
                break
            }
            at += 1
        }
        if digits == 0 { return nil }
        var power = 9 - fraction
        var factor: Int128 = 1
        isBinary = false
        let suffix = String(decoding: bytes[at...], as: UTF8.self)
        if let index = Self.binarySuffixes.firstIndex(of: suffix) {
            isBinary = true
            factor = 1 << (10 * Int128(index + 1))
        } else if let decimal = Self.decimalSuffixes.first(where: { $0.0 == suffix }) {
            power += decimal.1
        } else if suffix.first == "e" || suffix.first == "E", let exponent = Int(suffix.dropFirst()), abs(exponent) <= 18 {
            power += exponent
        } else {
            return nil
        }
        if power > 27 || power < -18 { return nil }
        var (value, overflow) = mantissa.multipliedReportingOverflow(by: factor)
        for _ in 0..<max(0, power) where !overflow { (value, overflow) = value.multipliedReportingOverflow(by: 10) }
        // Finer than a nano rounds up, away from zero.
        for _ in 0..<max(0, -power) { value = value / 10 + (value % 10 == 0 ? 0 : 1) }
        if overflow { return nil }
        nanos = isNegative ? -value : value
    }

    private static let binarySuffixes = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]
    private static let decimalSuffixes = [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)]

    /// Rounded up to whole units, at least 1.
    var wholeUnits: Int {
        let unit: Int128 = 1_000_000_000
        return max(1, Int(clamping: nanos / unit + (nanos > 0 && nanos % unit != 0 ? 1 : 0)))
    }

    /// The shortest form without a fraction.
    var canonical: String {
        let unit: Int128 = 1_000_000_000
        if nanos == 0 { return "0" }
        if isBinary, nanos % unit == 0 {
            var whole = nanos / unit
            var suffix = ""
            for next in Self.binarySuffixes where whole % 1024 == 0 {
                whole /= 1024
                suffix = next
            }
            return "\(whole)\(suffix)"
        }
        var amount = nanos
        var index = 0
        while index + 1 < Self.decimalSuffixes.count, amount % 1000 == 0 {
            amount /= 1000
            index += 1
        }
        return "\(amount)\(Self.decimalSuffixes[index].0)"
    }
}
