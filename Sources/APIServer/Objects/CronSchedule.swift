// The five fields of a cron schedule, and when it next comes round, in UTC.
// Source: k8s.io/kubernetes uses robfig/cron v3's standard parser: crontab(5) with names, steps, `?` and the @words.

import Base

struct CronSchedule: Equatable {
    /// Bit n: the value n is meant.
    private var minutes: UInt64
    private var hours: UInt64
    private var days: UInt64
    private var months: UInt64
    private var weekdays: UInt64
    /// A field that is written `*` leaves the choice of days to the other one.
    private var isAnyDay: Bool
    private var isAnyWeekday: Bool

    /// Refused in words.
    init(_ text: String) throws(Refusal) {
        let words = ["@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *"]
        let fields = (words[text] ?? text).split(separator: " ", omittingEmptySubsequences: true)
        guard fields.count == 5 else { throw Refusal("expected exactly 5 fields, found \(fields.count): \(text)") }
        let monthNames = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
        let dayNames = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
        minutes = try Self.bits(fields[0], 0...59)
        hours = try Self.bits(fields[1], 0...23)
        days = try Self.bits(fields[2], 1...31)
        months = try Self.bits(fields[3], 1...12, names: monthNames, first: 1)
        weekdays = try Self.bits(fields[4], 0...6, names: dayNames, first: 0)
        isAnyDay = fields[2].hasPrefix("*") || fields[2].hasPrefix("?")
        isAnyWeekday = fields[4].hasPrefix("*") || fields[4].hasPrefix("?")
    }

    private static func bits(_ field: Substring, _ range: ClosedRange<Int>, names: [String] = [], first: Int = 0) throws(Refusal) -> UInt64 {
        var bits: UInt64 = 0
        func number(_ text: Substring) throws(Refusal) -> Int {
            if let place = names.firstIndex(of: text.lowercased()) { return place + first }
            guard let value = Int(text), range.contains(value) else { throw Refusal("\(text) is not within \(range.lowerBound) and \(range.upperBound) in field \(field)") }
            return value
        }
        for part in field.split(separator: ",", omittingEmptySubsequences: false) {
            let halves = part.split(separator: "/", omittingEmptySubsequences: false)
            guard halves.count <= 2, let span = halves.first, !span.isEmpty else { throw Refusal("\(part) cannot be read in field \(field)") }
            var step = 1
            if halves.count == 2 {
                guard let value = Int(halves[1]), value > 0 else { throw Refusal("step of range should be a positive number: \(part)") }
                step = value
            }
            var low = range.lowerBound
            var high = range.upperBound
            if span != "*", span != "?" {
                let ends = span.split(separator: "-", omittingEmptySubsequences: false)
                guard ends.count <= 2 else { throw Refusal("too many hyphens: \(part)") }
                low = try number(ends[0])
                // `3/5` goes from 3 to the end.
                high = ends.count == 2 ? try number(ends[1]) : halves.count == 2 ? range.upperBound : low
            }
            guard low <= high else { throw Refusal("beginning of range (\(low)) beyond end of range (\(high)): \(part)") }
            for value in stride(from: low, through: high, by: step) { bits |= 1 << UInt64(value) }
        }
        return bits
    }

    /// The first time after `time`; nil when there is none within five years.
    func next(after time: WallTime) -> WallTime? {
        // From the next whole minute on.
        var minute = (time.seconds >= 0 ? time.seconds / 60 : (time.seconds - 59) / 60) + 1
        let end = minute + 5 * 366 * 1440
        while minute < end {
            let civil = WallTime(seconds: minute * 60).civil
            if months & 1 << UInt64(civil.month) == 0 || !isDay(civil.day, minute / 1440) {
                minute = (minute / 1440 + 1) * 1440
            } else if hours & 1 << UInt64(civil.hour) == 0 {
                minute = (minute / 60 + 1) * 60
            } else if minutes & 1 << UInt64(civil.minute) == 0 {
                minute += 1
            } else {
                return WallTime(seconds: minute * 60)
            }
        }
        return nil
    }

    private func isDay(_ day: Int64, _ days1970: Int64) -> Bool {
        // The first of January 1970 was a Thursday.
        let isWeekday = weekdays & 1 << UInt64((days1970 + 4) % 7) != 0
        let isMonthday = days & 1 << UInt64(day) != 0
        return isAnyDay || isAnyWeekday ? isWeekday && isMonthday : isWeekday || isMonthday
    }
}
