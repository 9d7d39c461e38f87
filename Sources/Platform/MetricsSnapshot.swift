// Metrics as values at one moment: they can be handed from loop to loop, added up, and printed in either of the two formats that
// scrapers read. Source: Prometheus text exposition format 0.0.4; OpenMetrics 1.0 (prometheus/OpenMetrics specification).

import Base

public struct MetricsSnapshot: Sendable {
    struct Sample: Sendable {
        /// `name="value",…`, escaped.
        var labels: String
        var value: Double
    }

    struct Buckets: Sendable {
        var labels: String
        var counts: [UInt64]
        var sum: Double
    }

    struct Family: Sendable {
        var description: MetricFamily
        var samples: [Sample]
        var histograms: [Buckets]

        var isEmpty: Bool { samples.isEmpty && histograms.isEmpty }
    }

    public enum Format: Sendable {
        /// Prometheus text 0.0.4, which every scraper reads; ends in `# EOF` all the same, as Linkerd's does.
        case text
        case openMetrics

        public var contentType: String {
            switch self {
            case .text: "text/plain; version=0.0.4; charset=utf-8"
            case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
            }
        }
    }

    private(set) var families: [Family]

    init(families: [Family]) { self.families = families }

    /// Every family that has series: its description and the labels of each.
    public var contents: [(family: MetricFamily, labels: [String])] {
        families.filter { !$0.isEmpty }.map { ($0.description, $0.samples.map(\.labels) + $0.histograms.map(\.labels)) }
    }

    /// Adds what another loop counted. Families and series that only it has follow ours, in its order.
    public mutating func merge(_ other: MetricsSnapshot) {
        var index: [String: Int] = [:]
        for (i, family) in families.enumerated() { index[family.description.name] = i }
        for theirs in other.families {
            guard let f = index[theirs.description.name] else {
                families.append(theirs)
                continue
            }
            let merging = theirs.description.merging
            var series: [String: Int] = [:]
            for (i, sample) in families[f].samples.enumerated() { series[sample.labels] = i }
            for sample in theirs.samples {
                guard let i = series[sample.labels] else {
                    families[f].samples.append(sample)
                    continue
                }
                switch merging {
                case .sum: families[f].samples[i].value += sample.value
                case .greatest: families[f].samples[i].value = max(families[f].samples[i].value, sample.value)
                }
            }
            series = [:]
            for (i, histogram) in families[f].histograms.enumerated() { series[histogram.labels] = i }
            for histogram in theirs.histograms {
                guard let i = series[histogram.labels] else {
                    families[f].histograms.append(histogram)
                    continue
                }
                invariant(families[f].histograms[i].counts.count == histogram.counts.count, "loops agree on the buckets of a family")
                for bucket in histogram.counts.indices { families[f].histograms[i].counts[bucket] += histogram.counts[bucket] }
                families[f].histograms[i].sum += histogram.sum
            }
        }
    }

    public func exposition(_ format: Format) -> [UInt8] {
        var text = ByteBuffer()
        for family in families where family.description.isFirst && !family.isEmpty { Self.append(family, format, to: &text) }
        for family in families where !family.description.isFirst && !family.isEmpty { Self.append(family, format, to: &text) }
        text.append("# EOF\n")
        return text.array()
    }

    private static func append(_ family: Family, _ format: Format, to text: inout ByteBuffer) {
        let description = family.description
        var (name, kind) = (description.name, description.kind.rawValue)
        if format == .openMetrics, description.kind == .counter {
            // A counter is named without the ending that its samples have; one that lacks it is nothing that the format knows.
            if name.hasSuffix("_total") { name.removeLast(6) } else { kind = "unknown" }
        }
        text.append("# HELP ")
        text.append(string: name)
        text.append(" ")
        text.append(string: description.help)
        text.append("\n# TYPE ")
        text.append(string: name)
        text.append(" ")
        text.append(string: kind)
        text.append("\n")
        if format == .openMetrics, let unit = ["seconds", "bytes"].first(where: { name.hasSuffix("_" + $0) }) {
            text.append("# UNIT ")
            text.append(string: name)
            text.append(" ")
            text.append(string: unit)
            text.append("\n")
        }
        for sample in family.samples {
            line(description.name, "", sample.labels, extra: nil, number(sample.value), to: &text)
        }
        let bounds = description.bounds.map { format == .openMetrics && $0 == $0.rounded() ? number($0) + ".0" : number($0) }
        for histogram in family.histograms {
            var cumulative: UInt64 = 0
            for (i, count) in histogram.counts.enumerated() {
                cumulative += count
                line(name, "_bucket", histogram.labels, extra: i < bounds.count ? bounds[i] : "+Inf", String(cumulative), to: &text)
            }
            line(name, "_sum", histogram.labels, extra: nil, number(histogram.sum), to: &text)
            line(name, "_count", histogram.labels, extra: nil, String(cumulative), to: &text)
        }
    }

    /// `extra`: the value of `le`.
    private static func line(_ name: String, _ suffix: StaticString, _ labels: String, extra: String?, _ value: String, to text: inout ByteBuffer) {
        text.append(string: name)
        text.append(suffix)
        if !labels.isEmpty || extra != nil {
            text.append("{")
            text.append(string: labels)
            if let extra {
                text.append(labels.isEmpty ? "le=\"" : ",le=\"")
                text.append(string: extra)
                text.append("\"")
            }
            text.append("}")
        }
        text.append(" ")
        text.append(string: value)
        text.append("\n")
    }

    private static func number(_ value: Double) -> String {
        value.magnitude < 9e15 && value == value.rounded() ? String(Int64(value)) : String(value)
    }
}
