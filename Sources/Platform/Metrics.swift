// Counters, gauges and histograms of one loop. A series is an object held by whoever counts, so the hot path adds to a field; families
// and series keep the order of their birth, so two runs print the same bytes. How they are printed is in MetricsSnapshot.swift.

import Base

/// A monotonic count or a level. Unit: what its family says.
public final class Metric {
    public var value: Double = 0
    fileprivate let labels: String
    /// As the last sweep found it.
    fileprivate var swept: (value: Double, at: Instant)?

    fileprivate init(labels: String) { self.labels = labels }

    @inline(__always) public func increment(by amount: Double = 1) { value += amount }
}

/// Counts per upper bound, with sum and count.
public final class Histogram {
    fileprivate let labels: String
    fileprivate let bounds: [Double]
    fileprivate var buckets: [UInt64]
    public private(set) var sum: Double = 0
    public private(set) var count: UInt64 = 0
    /// As the last sweep found it.
    fileprivate var swept: (count: UInt64, at: Instant)?

    fileprivate init(labels: String, bounds: [Double]) {
        self.labels = labels
        self.bounds = bounds
        buckets = Array(repeating: 0, count: bounds.count + 1)
    }

    public func observe(_ value: Double) {
        var i = 0
        while i < bounds.count, value > bounds[i] { i += 1 }
        buckets[i] += 1
        sum += value
        count += 1
    }
}

/// Families by name and series by labels.
public final class MetricsRegistry {
    private struct Family {
        var description: MetricFamily
        var metrics: [Metric] = []
        var histograms: [Histogram] = []

        var count: Int { metrics.count + histograms.count }
    }

    private var families: [Family] = []
    private var familyIndex: [String: Int] = [:]
    private var seriesIndex: [String: Int] = [:]
    private let limits: PlatformLimits
    /// Series that were asked for when there was no room. Unit: series, counted each time.
    public private(set) var refusedCount = 0

    public init(limits: PlatformLimits = PlatformLimits()) { self.limits = limits }

    /// The series with these labels, made at first use.
    public func metric(_ family: MetricFamily, _ labels: [(String, String)] = []) -> Metric {
        check(family, labels)
        return metric(self.family(family), labels)
    }

    public func histogram(_ family: MetricFamily, _ labels: [(String, String)] = []) -> Histogram {
        check(family, labels)
        return histogram(self.family(family), labels)
    }

    /// Families of whoever has no list of them; the name as samples have it.
    public func counter(_ name: String, help: String, _ labels: [(String, String)] = []) -> Metric { metric(family(MetricFamily(name, .counter, help)), labels) }
    public func gauge(_ name: String, help: String, _ labels: [(String, String)] = []) -> Metric { metric(family(MetricFamily(name, .gauge, help)), labels) }
    public func histogram(_ name: String, help: String, bounds: [Double], _ labels: [(String, String)] = []) -> Histogram {
        histogram(family(MetricFamily(name, .histogram, help, bounds: bounds)), labels)
    }

    private func check(_ family: MetricFamily, _ labels: [(String, String)]) {
        for (name, _) in labels { invariant(family.allows(name), "a series has only labels that its family knows") }
    }

    private func histogram(_ family: Int, _ labels: [(String, String)]) -> Histogram {
        let text = Self.format(labels)
        let key = families[family].description.name + text
        if let i = seriesIndex[key] { return families[family].histograms[i] }
        let made = Histogram(labels: text, bounds: families[family].description.bounds)
        guard hasRoom(family) else { return made }
        seriesIndex[key] = families[family].histograms.count
        families[family].histograms.append(made)
        return made
    }

    private func metric(_ family: Int, _ labels: [(String, String)]) -> Metric {
        let text = Self.format(labels)
        let key = families[family].description.name + text
        if let i = seriesIndex[key] { return families[family].metrics[i] }
        let made = Metric(labels: text)
        guard hasRoom(family) else { return made }
        seriesIndex[key] = families[family].metrics.count
        families[family].metrics.append(made)
        return made
    }

    /// Without room a series counts for its holder alone and is not shown.
    private func hasRoom(_ family: Int) -> Bool {
        if seriesIndex.count < limits.metricSeriesMax, families[family].count < limits.metricFamilySeriesMax { return true }
        refusedCount += 1
        return false
    }

    private func family(_ description: MetricFamily) -> Int {
        if let i = familyIndex[description.name] {
            invariant(families[i].description.kind == description.kind, "one metric family has one kind")
            return i
        }
        familyIndex[description.name] = families.count
        families.append(Family(description: description))
        return families.count - 1
    }

    /// Forgets series that nobody holds any more and that no sweep saw change for `idle`, so that callers that come and go leave
    /// nothing behind. A series that is asked for again begins at zero, which Prometheus takes for a restart.
    public func sweep(now: Instant, idle: Interval) {
        for f in families.indices {
            let name = families[f].description.name
            var isChanged = false
            for i in families[f].metrics.indices.reversed() {
                guard isKnownUniquelyReferenced(&families[f].metrics[i]) else { continue }
                let metric = families[f].metrics[i]
                if let swept = metric.swept, swept.value == metric.value {
                    if now - swept.at < idle { continue }
                    seriesIndex[name + metric.labels] = nil
                    families[f].metrics.remove(at: i)
                    isChanged = true
                } else {
                    metric.swept = (metric.value, now)
                }
            }
            for i in families[f].histograms.indices.reversed() {
                guard isKnownUniquelyReferenced(&families[f].histograms[i]) else { continue }
                let histogram = families[f].histograms[i]
                if let swept = histogram.swept, swept.count == histogram.count {
                    if now - swept.at < idle { continue }
                    seriesIndex[name + histogram.labels] = nil
                    families[f].histograms.remove(at: i)
                    isChanged = true
                } else {
                    histogram.swept = (histogram.count, now)
                }
            }
            if !isChanged { continue }
            for (i, metric) in families[f].metrics.enumerated() { seriesIndex[name + metric.labels] = i }
            for (i, histogram) in families[f].histograms.enumerated() { seriesIndex[name + histogram.labels] = i }
        }
    }

    /// Series now known. Unit: series.
    public var seriesCount: Int { seriesIndex.count }

    /// All counts as they are now, free of the objects that count on.
    public func snapshot() -> MetricsSnapshot {
        MetricsSnapshot(
            families: families.map { family in
                MetricsSnapshot.Family(
                    description: family.description, samples: family.metrics.map { MetricsSnapshot.Sample(labels: $0.labels, value: $0.value) },
                    histograms: family.histograms.map { MetricsSnapshot.Buckets(labels: $0.labels, counts: $0.buckets, sum: $0.sum) })
            })
    }

    /// Prometheus text, for tests and for people.
    public func exposition() -> String { String(decoding: snapshot().exposition(.text), as: UTF8.self) }

    static func format(_ labels: [(String, String)]) -> String {
        var text = ""
        for (name, value) in labels {
            if !text.isEmpty { text += "," }
            text += name
            text += "=\""
            if value.utf8.contains(where: { $0 == 0x5c || $0 == 0x22 || $0 == 0x0a }) {
                for c in value.unicodeScalars {
                    switch c {
                    case "\\": text += "\\\\"
                    case "\"": text += "\\\""
                    case "\n": text += "\\n"
                    default: text.unicodeScalars.append(c)
                    }
                }
            } else {
                text += value
            }
            text += "\""
        }
        return text
    }
}
