// Counters, gauges and histograms of one process and their text form. A series is an object held by whoever counts, so the
// hot path adds to a field; families and series keep the order of their birth, so two runs print the same bytes.

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
    public enum Kind: String { case counter, gauge, histogram }

    private struct Family {
        var name: String
        var help: String
        var kind: Kind
        var metrics: [Metric] = []
        var histograms: [Histogram] = []
    }

    private var families: [Family] = []
    private var familyIndex: [String: Int] = [:]
    private var seriesIndex: [String: Int] = [:]
    private let limits: PlatformLimits
    /// Series that were asked for when there was no room. Unit: series, counted each time.
    public private(set) var refusedCount = 0

    public init(limits: PlatformLimits = PlatformLimits()) { self.limits = limits }

    /// The series with these labels, made at first use. The full sample name is `name` as given.
    public func counter(_ name: String, help: String, _ labels: [(String, String)] = []) -> Metric { metric(name, help, .counter, labels) }
    public func gauge(_ name: String, help: String, _ labels: [(String, String)] = []) -> Metric { metric(name, help, .gauge, labels) }

    public func histogram(_ name: String, help: String, bounds: [Double], _ labels: [(String, String)] = []) -> Histogram {
        let family = family(name, help, .histogram)
        let text = Self.format(labels)
        let key = name + text
        if let i = seriesIndex[key] { return families[family].histograms[i] }
        let made = Histogram(labels: text, bounds: bounds)
        guard hasRoom else { return made }
        seriesIndex[key] = families[family].histograms.count
        families[family].histograms.append(made)
        return made
    }

    private func metric(_ name: String, _ help: String, _ kind: Kind, _ labels: [(String, String)]) -> Metric {
        let family = family(name, help, kind)
        let text = Self.format(labels)
        let key = name + text
        if let i = seriesIndex[key] { return families[family].metrics[i] }
        let made = Metric(labels: text)
        guard hasRoom else { return made }
        seriesIndex[key] = families[family].metrics.count
        families[family].metrics.append(made)
        return made
    }

    /// Without room a series counts for its holder alone and is not shown.
    private var hasRoom: Bool {
        if seriesIndex.count < limits.metricSeriesMax { return true }
        refusedCount += 1
        return false
    }

    private func family(_ name: String, _ help: String, _ kind: Kind) -> Int {
        if let i = familyIndex[name] {
            invariant(families[i].kind == kind, "one metric family has one kind")
            return i
        }
        familyIndex[name] = families.count
        families.append(Family(name: name, help: help, kind: kind))
        return families.count - 1
    }

    /// Forgets series that nobody holds any more and that no sweep saw change for `idle`, so that callers that come and go leave
    /// nothing behind. A series that is asked for again begins at zero, which Prometheus takes for a restart.
    public func sweep(now: Instant, idle: Interval) {
        for f in families.indices {
            var isChanged = false
            for i in families[f].metrics.indices.reversed() {
                guard isKnownUniquelyReferenced(&families[f].metrics[i]) else { continue }
                let metric = families[f].metrics[i]
                if let swept = metric.swept, swept.value == metric.value {
                    if now - swept.at < idle { continue }
                    seriesIndex[families[f].name + metric.labels] = nil
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
                    seriesIndex[families[f].name + histogram.labels] = nil
                    families[f].histograms.remove(at: i)
                    isChanged = true
                } else {
                    histogram.swept = (histogram.count, now)
                }
            }
            if !isChanged { continue }
            for (i, metric) in families[f].metrics.enumerated() { seriesIndex[families[f].name + metric.labels] = i }
            for (i, histogram) in families[f].histograms.enumerated() { seriesIndex[families[f].name + histogram.labels] = i }
        }
    }

    /// Series now known. Unit: series.
    public var seriesCount: Int { seriesIndex.count }

    private static func format(_ labels: [(String, String)]) -> String {
        labels.map { name, value in
            var escaped = ""
            for c in value.unicodeScalars {
                switch c {
                case "\\": escaped += "\\\\"
                case "\"": escaped += "\\\""
                case "\n": escaped += "\\n"
                default: escaped.unicodeScalars.append(c)
                }
            }
            return "\(name)=\"\(escaped)\""
        }.joined(separator: ",")
    }

    /// Prometheus text exposition format 0.0.4, ending in `# EOF`.
    public func exposition() -> String {
        var text = ""
        for family in families {
            text += "# HELP \(family.name) \(family.help)\n# TYPE \(family.name) \(family.kind.rawValue)\n"
            for m in family.metrics { text += family.name + (m.labels.isEmpty ? "" : "{\(m.labels)}") + " \(Self.number(m.value))\n" }
            for h in family.histograms {
                var cumulative: UInt64 = 0
                let separator = h.labels.isEmpty ? "" : ","
                for (i, bucket) in h.buckets.enumerated() {
                    cumulative += bucket
                    let bound = i < h.bounds.count ? Self.number(h.bounds[i]) : "+Inf"
                    text += "\(family.name)_bucket{\(h.labels)\(separator)le=\"\(bound)\"} \(cumulative)\n"
                }
                let braces = h.labels.isEmpty ? "" : "{\(h.labels)}"
                text += "\(family.name)_sum\(braces) \(Self.number(h.sum))\n\(family.name)_count\(braces) \(h.count)\n"
            }
        }
        return text + "# EOF\n"
    }

    private static func number(_ value: Double) -> String {
        value.magnitude < 9e15 && value == value.rounded() ? String(Int64(value)) : String(value)
    }
}
