// Bounds of this module.

import Base

struct LocalClusterLimits: Sendable {
    /// Streams of DNS questions. Unit: connections. When full: the oldest is closed. Source: ours; a dozen pods ask by stream only when
    /// an answer was cut short.
    var nameStreamsMax = 64
    /// A stream without a question. Unit: time. Over: closed. Source: RFC 7766 section 6.2.3, "on the order of a few seconds".
    var nameStreamIdle = Interval.seconds(10)
    /// Answers that wait for a reader. Unit: bytes. Over: its questions wait, too. Source: ours; one longest message.
    var nameStreamQueueBytesMax = 65_535
    /// How long a step of building up may take. Unit: time. Over: the cluster is taken down with the step's name. Source: ours; the
    /// slowest, the control plane's certificates, takes a second on one core.
    var stepTimeout = Interval.seconds(30)
    /// What a program may print that is kept. Unit: bytes. Over: the rest is dropped. Source: ours.
    var outputBytesMax = 4 << 20

    init() {}
}
