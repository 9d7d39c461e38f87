// A story: what somebody does to a mesh, and what the mesh promises. It is deployed, told and judged inside a world, by the code
// that ships. A negative story plants a bug; it passes when the judge that it names speaks up.

import Base
import Platform
import Simulator

/// One file of `Simulations/`.
public struct Story: Sendable {
    /// Folder and file: `basics/two-pods-mtls`.
    public var name: String
    /// What happens, in a sentence or two.
    public var story: String
    /// What the mesh promises, so that a person can check it.
    public var promise: String
    /// Where the promise comes from: a standard, Linkerd's behaviour or issue list, our own decision.
    public var source: String
    /// Negative stories: the rule of the judge that must object (`plaintext`, `duplicate`, …).
    public var mustViolate: String?
    /// Changes to the world before it begins.
    public var options: @Sendable (inout WorldOptions) -> Void
    public var tell: @Sendable (Stage) throws(StoryFailure) -> Void

    public init(
        _ name: String, story: String, promise: String, source: String, mustViolate: String? = nil, options: @escaping @Sendable (inout WorldOptions) -> Void = { _ in },
        tell: @escaping @Sendable (Stage) throws(StoryFailure) -> Void
    ) {
        self.name = name
        self.story = story
        self.promise = promise
        self.source = source
        self.mustViolate = mustViolate
        self.options = options
        self.tell = tell
    }

    public var isNegative: Bool { mustViolate != nil }
}

/// The story cannot go on: what was awaited did not come.
public struct StoryFailure: Error, CustomStringConvertible, Sendable {
    public var text: String
    public init(_ text: String) { self.text = text }
    public var description: String { text }
}

/// How a story ended.
public struct StoryOutcome: Sendable {
    public var story: Story
    public var verdict: Verdict
    /// What the story said as it went, with virtual times.
    public var narrative: [String]
    /// nil: it passed.
    public var failure: String?
    /// Events of the world and virtual time, for rates.
    public var events: UInt64

    public var passes: Bool { failure == nil }
}

extension Story {
    /// A Wednesday in 2027, far from any certificate's natural end.
    public static let start = WallTime(seconds: 1_804_075_200)

    /// Runs the story once. `prepare` sees the world before anything happens in it.
    public func run(seed: UInt64, build: String, prepare: (World) -> Void = { _ in }) -> StoryOutcome {
        var worldOptions = WorldOptions(start: Self.start)
        worldOptions.build = build
        options(&worldOptions)
        let world = World(seed: seed, options: worldOptions)
        prepare(world)
        let stage = Stage(world)
        var failure: String?
        do throws(StoryFailure) { try tell(stage) } catch { failure = error.text }
        stage.end()
        let verdict = world.finish()
        if let mustViolate {
            if !verdict.violations.contains(where: { $0.rule == mustViolate }) {
                failure = failure ?? "the planted bug was not seen: no judge spoke of \(mustViolate)"
            } else if let other = verdict.violations.first(where: { $0.rule != mustViolate }) {
                failure = failure ?? "a judge spoke of something else: \(other)"
            }
        } else if let first = verdict.violations.first {
            failure = failure ?? "\(first)"
        }
        return StoryOutcome(story: self, verdict: verdict, narrative: stage.narrative, failure: failure, events: world.eventsRun)
    }
}
