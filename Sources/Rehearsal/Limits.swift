// What one rehearsal may cost. Times are simulated, so they cost little; bodies are real memory.

import Base

/// Bounds of the `Rehearsal` module.
public enum Limits {
    /// How long a replayed request may wait for its answer, in simulated time. Beyond: it counts as not answered, and its connection
    /// is given up. Source: three times the proxies' own detect timeout of 10 seconds, so that theirs strike first.
    public static let answerTimeout = Interval.seconds(30)
    /// Longest pause between two captured requests that is kept. Unit: simulated time. Beyond: the pause is shortened to this, and
    /// the report says so. Source: an idle connection of an hour teaches nothing that one of a minute does not.
    public static let pauseMax = Interval.minutes(1)
    /// Bodies larger than this are replayed as this many bytes. Unit: bytes.
    public static let bodyBytesMax = 8 << 20
    /// Requests of one rehearsal. Unit: requests. Full: the rest of the capture is left out, and the report says so.
    public static let requestsMax = 100_000
}
