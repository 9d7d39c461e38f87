// Bounds of the load generator: unit, what happens when full, source.

import Base

public enum LoadLimits {
    /// Longer ones count as this. Source: ours; an hour is far beyond every timeout of a proxy.
    public static let latencyMax = Interval.hours(1)
    /// Requests due and not yet sent, because every connection is busy. When full: the run ends at once with a failure, because what it
    /// would measure is its own queue. Source: ours; 20 seconds at 50,000 a second.
    public static let waitingMax = 1_000_000
    /// How long answers are awaited after the last request was due. When over: what is missing counts as failed. Source: ours.
    public static let patience = Interval.seconds(10)
    /// Different failures that are told apart. More: counted as `other`.
    public static let failureKindsMax = 16
}
