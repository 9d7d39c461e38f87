// What a family of metrics is, apart from its counts: name, kind, help, the labels that its series may have. Described once, so that
// whoever counts cannot misspell a label, and a test can hold the whole list against a published one.

import Base

public struct MetricFamily: Sendable {
    public enum Kind: String, Sendable { case counter, gauge, histogram }

    /// How the series of several loops become one.
    public enum Merging: Sendable {
        case sum
        /// A setting or a time: the greatest.
        case greatest
    }

    /// As in samples, `_total` included.
    public var name: String
    public var kind: Kind
    public var help: String
    /// Labels that series may have; one that ends in `*` stands for all with that beginning.
    public var labels: [String]
    /// Histograms: upper bounds, the last one open.
    public var bounds: [Double]
    public var merging: Merging
    /// Shown before all that are not.
    public var isFirst: Bool

    public init(_ name: String, _ kind: Kind, _ help: String, labels: [String] = [], bounds: [Double] = [], merging: Merging = .sum, isFirst: Bool = false) {
        self.name = name
        self.kind = kind
        self.help = help
        self.labels = labels
        self.bounds = bounds
        self.merging = merging
        self.isFirst = isFirst
    }

    /// Whether a series may carry this label.
    public func allows(_ label: String) -> Bool {
        labels.contains { $0 == label || ($0.last == "*" && label.hasPrefix($0.dropLast())) }
    }
}
