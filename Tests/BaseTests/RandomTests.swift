// Chance: the generator against its published constants, the fairness of what is drawn from it, and the independence of its forks.

import Base
import Testing

@Suite struct `Chance` {
    @Test func `is xoshiro256++ seeded by splitmix64`() {
        // The first four outputs of splitmix64 from seed 0, as published with its reference code.
        let state: [UInt64] = [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f, 0xf88b_b8a8_724c_81ec]
        let sum = state[0] &+ state[3]
        var random = Random(seed: 0)
        #expect(random.next() == (sum << 23 | sum >> 41) &+ state[0])
    }

    @Test func `of one seed is the same twice, of another is not`() {
        func first(_ seed: UInt64) -> [UInt64] {
            var random = Random(seed: seed)
            return (0..<10).map { _ in random.next() }
        }
        #expect(first(7) == first(7))
        #expect(first(7) != first(8))
    }

    @Test(arguments: [2, 3, 10, 64, 1000])
    func `below a bound falls evenly`(_ bound: Int) {
        var random = Random(seed: 5)
        let draws = 100_000
        var counts = [Int](repeating: 0, count: bound)
        for _ in 0..<draws { counts[random.below(bound)] += 1 }
        // Chi-square: mean bound - 1, variance 2 (bound - 1).
        let expected = Double(draws) / Double(bound)
        let square = counts.reduce(0) { $0 + (Double($1) - expected) * (Double($1) - expected) / expected }
        let freedom = Double(bound - 1)
        #expect(abs(square - freedom) < 6 * (2 * freedom).squareRoot() + 6)
    }

    @Test func `keeps to its range, whose ends it reaches`() {
        var random = Random(seed: 6)
        var seen: Set<Int64> = []
        for _ in 0..<1000 { seen.insert(random.within(-2...2)) }
        #expect(seen == [-2, -1, 0, 1, 2])
        #expect(random.within(Int64.max...Int64.max) == .max)
        var negative = 0
        for _ in 0..<1000 where random.within(Int64.min...Int64.max) < 0 { negative += 1 }
        #expect(negative > 400 && negative < 600)
        for _ in 0..<100 {
            let (always, never) = (random.chance(1, in: 1), random.chance(0, in: 1))
            #expect(always && !never)
        }
        var hits = 0
        for _ in 0..<30_000 where random.chance(1, in: 3) { hits += 1 }
        #expect(hits > 9_500 && hits < 10_500)
    }

    @Test func `of a fork depends on seed and label, not on what was drawn`() {
        let root = Random(seed: 1)
        var drawn = root
        for _ in 0..<100 { _ = drawn.next() }
        var forks = [root.fork("a"), drawn.fork("a"), root.fork("b"), Random(seed: 2).fork("a")]
        let first = forks.indices.map { forks[$0].next() }
        #expect(first[0] == first[1])
        #expect(first[0] != first[2])
        #expect(first[0] != first[3])
    }

    @Test func `of forks shows no likeness`() {
        // Bits in which two streams differ: half of 32,000; the standard deviation is 90.
        for i in 0..<20 {
            for j in 0..<i {
                var (a, b) = (Random(seed: 3).fork("label-\(i)"), Random(seed: 3).fork("label-\(j)"))
                var differing = 0
                for _ in 0..<500 { differing += (a.next() ^ b.next()).nonzeroBitCount }
                #expect(abs(differing - 16_000) < 540, "label-\(i) and label-\(j)")
            }
        }
    }

    @Test(arguments: 0...17) func `fills all of a buffer and nothing beside it`(_ count: Int) {
        var random = Random(seed: 9)
        var bytes = [UInt8](repeating: 0xaa, count: count + 2)
        var isFilled = [Bool](repeating: false, count: count)
        for _ in 0..<20 {
            bytes.withUnsafeMutableBytes { random.fill(UnsafeMutableRawBufferPointer(rebasing: $0[1..<count + 1])) }
            for i in 0..<count where bytes[i + 1] != 0xaa { isFilled[i] = true }
        }
        #expect(bytes.first == 0xaa && bytes.last == 0xaa)
        #expect(isFilled.allSatisfy { $0 })
    }
}
