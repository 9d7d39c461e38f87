// Points and lengths of time, as 64-bit nanoseconds. Monotonic and wall time are different types on purpose: a timeout
// never asks the calendar, and a certificate never asks a stopwatch. Nothing here reads a clock; a `Host` hands times in.

/// A point on a host's monotonic clock. Unit: nanoseconds since an origin that only that host knows.
public struct Instant: Comparable, Hashable, Sendable {
    public var nanoseconds: Int64

    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    public static let zero = Instant(nanoseconds: 0)
    /// Later than any time a run can reach (292 years).
    public static let distantFuture = Instant(nanoseconds: .max)

    public static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }
    public static func + (a: Instant, b: Interval) -> Instant { Instant(nanoseconds: a.nanoseconds &+ b.nanoseconds) }
    public static func - (a: Instant, b: Instant) -> Interval { Interval(nanoseconds: a.nanoseconds &- b.nanoseconds) }
    public static func - (a: Instant, b: Interval) -> Instant { Instant(nanoseconds: a.nanoseconds &- b.nanoseconds) }
}

/// A length of time. Unit: nanoseconds, signed.
public struct Interval: Comparable, Hashable, Sendable, CustomStringConvertible {
    public var nanoseconds: Int64

    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    public static let zero = Interval(nanoseconds: 0)
    public static func nanoseconds(_ n: Int64) -> Interval { Interval(nanoseconds: n) }
    public static func microseconds(_ n: Int64) -> Interval { Interval(nanoseconds: n &* 1_000) }
    public static func milliseconds(_ n: Int64) -> Interval { Interval(nanoseconds: n &* 1_000_000) }
    public static func seconds(_ n: Int64) -> Interval { Interval(nanoseconds: n &* 1_000_000_000) }
    public static func minutes(_ n: Int64) -> Interval { seconds(n * 60) }
    public static func hours(_ n: Int64) -> Interval { seconds(n * 3600) }
    public static func days(_ n: Int64) -> Interval { seconds(n * 86_400) }

    public var milliseconds: Int64 { nanoseconds / 1_000_000 }
    public var seconds: Int64 { nanoseconds / 1_000_000_000 }

    public static func < (a: Interval, b: Interval) -> Bool { a.nanoseconds < b.nanoseconds }
    public static func + (a: Interval, b: Interval) -> Interval { Interval(nanoseconds: a.nanoseconds &+ b.nanoseconds) }
    public static func - (a: Interval, b: Interval) -> Interval { Interval(nanoseconds: a.nanoseconds &- b.nanoseconds) }
    public static func * (a: Interval, b: Int64) -> Interval { Interval(nanoseconds: a.nanoseconds &* b) }
    public static func / (a: Interval, b: Int64) -> Interval { Interval(nanoseconds: a.nanoseconds / b) }

    /// As people write it: `1.234ms`, `12.5s`, `340us`.
    public var description: String {
        let magnitude = nanoseconds.magnitude
        let (unit, name): (UInt64, String) =
            magnitude >= 1_000_000_000 ? (1_000_000_000, "s") : magnitude >= 1_000_000 ? (1_000_000, "ms") : magnitude >= 1_000 ? (1_000, "us") : (1, "ns")
        let thousandths = unit == 1 ? 0 : (magnitude % unit) / (unit / 1000)
        var digits = String(thousandths + 1000).dropFirst()
        while digits.last == "0" { digits.removeLast() }
        return (nanoseconds < 0 ? "-" : "") + String(magnitude / unit) + (digits.isEmpty ? "" : "." + digits) + name
    }
}

/// A point in civil time. Unit: nanoseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
public struct WallTime: Comparable, Hashable, Sendable, CustomStringConvertible {
    public var nanoseconds: Int64

    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }
    public init(seconds: Int64) { self.nanoseconds = seconds &* 1_000_000_000 }

    /// Whole seconds since the epoch, rounded down.
    public var seconds: Int64 { nanoseconds >= 0 ? nanoseconds / 1_000_000_000 : (nanoseconds - 999_999_999) / 1_000_000_000 }

    public static func < (a: WallTime, b: WallTime) -> Bool { a.nanoseconds < b.nanoseconds }
    public static func + (a: WallTime, b: Interval) -> WallTime { WallTime(nanoseconds: a.nanoseconds &+ b.nanoseconds) }
    public static func - (a: WallTime, b: Interval) -> WallTime { WallTime(nanoseconds: a.nanoseconds &- b.nanoseconds) }
    public static func - (a: WallTime, b: WallTime) -> Interval { Interval(nanoseconds: a.nanoseconds &- b.nanoseconds) }

    /// Calendar fields in UTC, proleptic Gregorian.
    public var civil: (year: Int64, month: Int64, day: Int64, hour: Int64, minute: Int64, second: Int64) {
        let days = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
        let rest = seconds - days * 86_400
        // Source: Howard Hinnant, "chrono-compatible low-level date algorithms", civil_from_days.
        let z = days + 719_468
        let era = (z >= 0 ? z : z - 146_096) / 146_097
        let dayOfEra = z - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let m = (5 * dayOfYear + 2) / 153
        let month = m < 10 ? m + 3 : m - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * m + 2) / 5 + 1, rest / 3600, rest / 60 % 60, rest % 60)
    }

    /// RFC 3339 with whole seconds, UTC: `2026-01-02T03:04:05Z`, the form Kubernetes writes.
    public var description: String {
        let c = civil
        return "\(padded(c.year, 4))-\(padded(c.month, 2))-\(padded(c.day, 2))T\(padded(c.hour, 2)):\(padded(c.minute, 2)):\(padded(c.second, 2))Z"
    }

    /// RFC 3339 with microseconds, UTC.
    public var preciseDescription: String {
        String(description.dropLast()) + "." + padded((nanoseconds - seconds * 1_000_000_000) / 1000, 6) + "Z"
    }

    /// From calendar fields in UTC; nil if a field is out of its range.
    public init?(year: Int64, month: Int64, day: Int64, hour: Int64 = 0, minute: Int64 = 0, second: Int64 = 0) {
        guard (1...12).contains(month), (1...daysOf(month, year)).contains(day), (0...23).contains(hour), (0...59).contains(minute), (0...60).contains(second),
            (1...9999).contains(year)
        else { return nil }
        let y = month <= 2 ? year - 1 : year
        let era = y / 400
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        self.init(seconds: (era * 146_097 + dayOfEra - 719_468) * 86_400 + hour * 3600 + minute * 60 + second)
    }

    /// RFC 3339, `Z` or numeric offset, optional fraction.
    public init?(rfc3339 text: String) {
        let u = Array(text.utf8)
        func number(_ range: Range<Int>) -> Int64? {
            guard range.upperBound <= u.count else { return nil }
            var value: Int64 = 0
            for i in range {
                guard u[i] >= 48, u[i] <= 57 else { return nil }
                value = value * 10 + Int64(u[i] - 48)
            }
            return value
        }
        guard u.count >= 20, u[4] == 0x2d, u[7] == 0x2d, u[10] == 0x54 || u[10] == 0x74, u[13] == 0x3a, u[16] == 0x3a,
            let year = number(0..<4), let month = number(5..<7), let day = number(8..<10), let hour = number(11..<13),
            let minute = number(14..<16), let second = number(17..<19),
            var time = WallTime(year: year, month: month, day: day, hour: hour, minute: minute, second: second)
        else { return nil }
        var i = 19
        if u[i] == 0x2e {
            i += 1
            var unit: Int64 = 100_000_000
            let first = i
            while i < u.count, u[i] >= 48, u[i] <= 57 {
                time.nanoseconds += Int64(u[i] - 48) * unit
                unit /= 10
                i += 1
            }
            if i == first { return nil }
        }
        guard i < u.count else { return nil }
        if u[i] == 0x5a || u[i] == 0x7a, i + 1 == u.count {
            self = time
        } else if u[i] == 0x2b || u[i] == 0x2d, i + 6 == u.count, u[i + 3] == 0x3a, let h = number(i + 1..<i + 3), let m = number(i + 4..<i + 6) {
            let offset = Interval.seconds((h * 60 + m) * 60)
            self = u[i] == 0x2b ? time - offset : time + offset
        } else {
            return nil
        }
    }
}

/// Days of a month in the proleptic Gregorian calendar; `month` is 1...12.
private func daysOf(_ month: Int64, _ year: Int64) -> Int64 {
    if month == 2 { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28 }
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31
}

/// A decimal number with leading zeros up to `width` digits.
public func padded(_ value: Int64, _ width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
}
