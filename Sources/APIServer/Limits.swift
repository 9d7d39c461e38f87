// Every bound of the API server: what it bounds, in which unit, what happens when it is full, where the number comes from.

import Base

public struct APIServerLimits: Sendable {
    /// Body of one request. Unit: bytes. When over: 413. Source: k8s.io/apiserver pkg/server/config.go MaxRequestBodyBytes.
    public var requestBodyBytesMax = 3 * 1024 * 1024
    /// Changes remembered per kind for watches and pages. Unit: changes. When full: the oldest is forgotten, and watches and
    /// pages that begin before it are answered with 410. Source: own choice; etcd forgets after 5 minutes, kube-apiserver's watch
    /// cache holds 100 to 102400 events of a kind.
    public var historyChangesMax = 10_000
    /// Time between bookmarks on a watch that allows them. Source: k8s.io/apiserver cacher defaultBookmarkFrequency.
    public var bookmarkPeriod = Interval.minutes(1)
    /// A watch without `timeoutSeconds` ends after this time, lengthened by chance up to the double.
    /// Source: kube-apiserver --min-request-timeout, 1800 s.
    public var watchTimeoutMin = Interval.minutes(30)
    /// Changes put into one watch stream before others get their turn. Unit: events. When full: the rest follows in the next turn.
    /// Source: own choice.
    public var watchBurstEventsMax = 256
    /// Encoded changes remembered for watches that tell the same. Unit: lines. When full: the oldest is encoded again. Source: own choice; two
    /// bursts of a turn.
    public var watchLinesMax = 512
    /// Answer of one webhook. Unit: bytes. When over: the call counts as failed. Source: k8s.io/apiserver webhook, 3 MiB.
    public var webhookAnswerBytesMax = 3 * 1024 * 1024
    /// How often a patch is tried again on a newer object. Unit: attempts. When over: 409. Source: k8s.io/apiserver handlers/patch.go MaxRetryWhenPatchConflicts.
    public var patchAttemptsMax = 5
    /// Validity of a requested token. Source: k8s.io/kubernetes pkg/registry/core/serviceaccount/storage/token.go and validation.
    public var tokenLifetimeMin = Interval.minutes(10)
    public var tokenLifetimeMax = Interval.days(365)

    public init() {}
}
