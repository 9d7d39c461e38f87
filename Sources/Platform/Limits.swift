// Every bound of this module: what it bounds, in which unit, what happens when it is full, and where the number comes from.

public struct PlatformLimits: Sendable {
    /// Series of one process's metrics. Unit: series. When full: a new one is counted by its holder but not shown, until a sweep makes
    /// room; a stranger who touches every port cannot fill the memory. Source: ours; 100,000 at some 300 bytes are 30 MB, and
    /// Prometheus warns about targets far smaller.
    public var metricSeriesMax = 100_000

    /// Series of one family, so that no family crowds out the others. Unit: series. When full: as above. Source: ours, a fifth.
    public var metricFamilySeriesMax = 20_000

    public init() {}
}
