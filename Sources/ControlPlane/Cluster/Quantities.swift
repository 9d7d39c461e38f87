// Two spellings that Kubernetes objects and Linkerd's flags use: Go's durations (`24h0m0s`, `1.5s`) and resource quantities
// (`500m`, `1k`, `2Gi`).

import Base

/// Go's `time.ParseDuration`: decimal numbers with a unit each, `ns us ms s m h`; `0` needs none. nil: malformed or too long.
public func goDuration(_ text: some StringProtocol) -> Interval? {
    let units: [(name: String, nanoseconds: Int64)] = [
        ("ns", 1), ("us", 1_000), ("µs", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000),
    ]
    var rest = text[...]
    var sign: Int64 = 1
    if rest.first == "-" || rest.first == "+" {
        if rest.first == "-" { sign = -1 }
        rest = rest.dropFirst()
    }
    if rest == "0" { return .zero }
    if rest.isEmpty { return nil }
    var total: Int64 = 0
    while !rest.isEmpty {
        let whole = rest.prefix { $0.isASCII && $0.isNumber }
        rest = rest.dropFirst(whole.count)
        var fraction = Substring()
        if rest.first == "." {
            rest = rest.dropFirst()
            fraction = Substring(rest.prefix { $0.isASCII && $0.isNumber })
            rest = rest.dropFirst(fraction.count)
        }
        if whole.isEmpty, fraction.isEmpty { return nil }
        let name = rest.prefix { !($0.isASCII && $0.isNumber) && $0 != "." }
        rest = rest.dropFirst(name.count)
        guard let unit = units.first(where: { $0.name == name }), let number = whole.isEmpty ? 0 : Int64(whole) else { return nil }
        var nanoseconds = number.multipliedReportingOverflow(by: unit.nanoseconds)
        if nanoseconds.overflow { return nil }
        var scale = unit.nanoseconds
        for digit in fraction.utf8 {
            scale /= 10
            nanoseconds.partialValue += Int64(digit - 48) * scale
        }
        let sum = total.addingReportingOverflow(nanoseconds.partialValue)
        if sum.overflow { return nil }
        total = sum.partialValue
    }
    return Interval(nanoseconds: sign * total)
}

/// A resource quantity in thousandths, rounded up. nil: malformed, negative or too large.
/// Source: k8s.io/apimachinery pkg/api/resource; exponents are absent, nobody writes them.
public func quantityMilli(_ text: some StringProtocol) -> Int64? {
    let suffixes: [(name: String, numerator: Int64, denominator: Int64)] = [
        ("Ki", 1024_000, 1), ("Mi", 1_048_576_000, 1), ("Gi", 1_073_741_824_000, 1), ("n", 1, 1_000_000), ("u", 1, 1_000), ("m", 1, 1), ("k", 1_000_000, 1),
        ("M", 1_000_000_000, 1), ("G", 1_000_000_000_000, 1), ("", 1_000, 1),
    ]
    guard let suffix = suffixes.first(where: { text.hasSuffix($0.name) }) else { return nil }
    let parts = text.dropLast(suffix.name.count).split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.allSatisfy({ $0.allSatisfy { $0.isASCII && $0.isNumber } }), !parts[0].isEmpty || parts.count == 2 && !parts[1].isEmpty else { return nil }
    let fraction = parts.count == 2 ? parts[1].prefix(9) : ""
    guard let digits = Int64(String(parts[0]) + fraction) else { return nil }
    let product = digits.multipliedReportingOverflow(by: suffix.numerator)
    if product.overflow { return nil }
    var divisor = suffix.denominator
    for _ in fraction { divisor *= 10 }
    return product.partialValue / divisor + (product.partialValue % divisor == 0 ? 0 : 1)
}
