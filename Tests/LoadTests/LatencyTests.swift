// The arithmetic of pace and quantiles, which every latency figure rests on.

import Base
import Testing

@testable import Load

@Suite struct `Latency histogram` {
    @Test func `a bucket ends where the next begins, and is never wider than a 128th of its values`() {
        var index = 0
        var value: Int64 = 0
        while value < LoadLimits.latencyMax.nanoseconds {
            #expect(LatencyHistogram.index(value) == index)
            let end = LatencyHistogram.end(index)
            #expect(LatencyHistogram.index(end) == index)
            #expect(end >= value && (end - value) * 128 <= value)
            value = end + 1
            index += 1
        }
    }

    @Test func `quantiles are those of the sorted samples, at most 0.8 percent above`() {
        var random = Random(seed: 7)
        var histogram = LatencyHistogram()
        var samples: [Int64] = []
        for _ in 0..<10_000 {
            // From nanoseconds to minutes.
            let sample = Int64(random.below(1000)) << Int64(random.below(28))
            samples.append(sample)
            histogram.record(.nanoseconds(sample))
        }
        samples.sort()
        for (parts, whole) in [(1, 10_000), (50, 100), (90, 100), (99, 100), (999, 1000), (1, 1)] {
            let exact = samples[(samples.count * parts + whole - 1) / whole - 1]
            let told = histogram.quantile(parts, of: whole).nanoseconds
            #expect(told >= exact && Double(told) <= Double(exact) * 1.008 + 1, "\(parts)/\(whole): \(told), not \(exact)")
        }
        #expect(histogram.max.nanoseconds == samples.last)
        #expect(histogram.count == 10_000)
    }

    @Test func `one sample is every quantile, none is zero, and a day counts as an hour`() {
        var histogram = LatencyHistogram()
        #expect(histogram.quantile(99, of: 100) == .zero)
        histogram.record(.microseconds(123))
        for parts in [0, 1, 50, 100] { #expect(histogram.quantile(parts, of: 100) == .microseconds(123)) }
        histogram.record(.days(1))
        histogram.record(.nanoseconds(-5))
        #expect(histogram.max == .hours(1) && histogram.quantile(1, of: 100) == .zero)
    }

    @Test func `adding two is recording both`() {
        var one = LatencyHistogram()
        var other = LatencyHistogram()
        for i in 1...100 { one.record(.microseconds(Int64(i))) }
        for i in 101...200 { other.record(.microseconds(Int64(i))) }
        one.add(other)
        #expect(one.count == 200 && one.max == .microseconds(200))
        #expect((one.quantile(1, of: 2) - .microseconds(100)).nanoseconds <= 800)
    }
}

@Suite struct `Even pace` {
    @Test(arguments: [1, 3, 7, 1000, 5000, 33_333]) func `requests are spread evenly and never drift`(_ rate: Int) {
        let pace = Pace(start: Instant(nanoseconds: 5), perSecond: rate)
        #expect(pace.due(0) == Instant(nanoseconds: 5))
        for second in [1, 60, 86_400] { #expect(pace.due(second * rate) == Instant(nanoseconds: 5) + .seconds(Int64(second))) }
        for i in 0..<200 {
            let gap = (pace.due(i + 1) - pace.due(i)).nanoseconds
            #expect(abs(gap - 1_000_000_000 / Int64(rate)) <= 1)
        }
    }

    @Test func `as many are due within a time as the rate says`() {
        let pace = Pace(start: .zero, perSecond: 3)
        #expect(pace.count(within: .zero) == 0)
        #expect(pace.count(within: .nanoseconds(1)) == 1)
        #expect(pace.count(within: .seconds(1)) == 3)
        #expect(pace.count(within: .milliseconds(1001)) == 4)
        #expect(Pace(start: .zero, perSecond: 5000).count(within: .seconds(30)) == 150_000)
    }
}
