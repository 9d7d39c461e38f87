// Points and lengths of time: arithmetic, text, and the calendar against known days.

import Base
import Testing

@Suite struct `Time` {
    @Test(arguments: [
        (Interval.zero, "0ns"), (.nanoseconds(999), "999ns"), (.microseconds(340), "340us"), (.microseconds(1234), "1.234ms"), (.milliseconds(12_500), "12.5s"), (.milliseconds(-1500), "-1.5s"),
        (.hours(2), "7200s"), (.nanoseconds(1_000_001), "1ms"), (Interval(nanoseconds: .min), "-9223372036.854s"),
    ])
    func `is said as people write it`(_ interval: Interval, _ text: String) { #expect(interval.description == text) }

    @Test func `adds up`() {
        let start = Instant.zero + .seconds(5)
        #expect(start - Instant.zero == .milliseconds(5000))
        #expect(start - .seconds(6) < .zero)
        #expect(Interval.minutes(3) / 2 == .seconds(90))
        #expect(Interval.days(1) == .hours(8) * 3)
        #expect(Interval.milliseconds(1999).seconds == 1)
        #expect(WallTime(nanoseconds: -1).seconds == -1, "whole seconds are rounded down")
    }

    @Test(arguments: [
        (0 as Int64, "1970-01-01T00:00:00Z"), (951_782_400, "2000-02-29T00:00:00Z"), (1_709_251_199, "2024-02-29T23:59:59Z"), (4_107_542_400, "2100-03-01T00:00:00Z"), (-1, "1969-12-31T23:59:59Z"),
        (-2_208_988_800, "1900-01-01T00:00:00Z"), (1_804_075_200, "2027-03-03T12:00:00Z"),
    ])
    func `of the calendar is printed and read`(_ seconds: Int64, _ text: String) {
        #expect(WallTime(seconds: seconds).description == text)
        #expect(WallTime(rfc3339: text) == WallTime(seconds: seconds))
    }

    @Test func `of every day in two centuries is its calendar's`() throws {
        var time = try #require(WallTime(year: 1900, month: 1, day: 1))
        var last = time.civil
        for _ in 0..<73_049 {
            time = time + .days(1)
            let civil = time.civil
            let isNext = civil.day == last.day + 1 && civil.month == last.month || civil.day == 1 && (civil.month == last.month + 1 || civil.month == 1 && last.month == 12 && civil.year == last.year + 1)
            guard isNext, WallTime(year: civil.year, month: civil.month, day: civil.day) == time else {
                Issue.record("\(civil) follows \(last)")
                return
            }
            last = civil
        }
        #expect(last == (2100, 1, 1, 0, 0, 0))
    }

    @Test(arguments: [
        ("2026-01-02T03:04:05.5Z", "2026-01-02T03:04:05.500000Z"), ("2026-01-02T03:04:05+01:30", "2026-01-02T01:34:05.000000Z"), ("2026-01-02t03:04:05z", "2026-01-02T03:04:05.000000Z"),
        ("2026-01-02T03:04:05.123456789123-00:30", "2026-01-02T03:34:05.123456Z"),
    ])
    func `with fraction and offset is read`(_ text: String, _ precise: String) { #expect(WallTime(rfc3339: text)?.preciseDescription == precise) }

    @Test(arguments: [
        "", "2026-01-02", "2026-01-02T03:04:05", "2026-13-02T03:04:05Z", "2026-00-02T03:04:05Z", "2026-02-29T03:04:05Z", "2026-04-31T03:04:05Z", "2100-02-29T00:00:00Z", "2026-01-32T03:04:05Z", "2026-01-02T24:04:05Z",
        "2026-01-02T03:60:05Z", "2026-01-02T03:04:61Z", "2026-01-02 03:04:05Z", "2026-01-02T03:04:05.Z", "2026-01-02T03:04:05ZZ", "2026-01-02T03:04:05+0130", "2026-1-02T03:04:05Z", "2026-01-02T03:04:05+01:3x",
    ])
    func `that is on no calendar is refused`(_ text: String) { #expect(WallTime(rfc3339: text) == nil) }
}
