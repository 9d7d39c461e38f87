// Calls at a steady pace while a story does something else, and what became of them: for promises that nobody notices.

import Base
import Platform
import Simulator

public final class SteadyCalls {
    private let stage: Stage
    private let caller: Caller
    private let authority: String
    private let pause: Interval
    private var ended: [CallResult] = []
    private var sent = 0
    private var isCalling = true

    /// Begins at once, with a call every `pause`.
    public init(_ stage: Stage, _ caller: Caller, _ authority: String, every pause: Interval) {
        self.stage = stage
        self.caller = caller
        self.authority = authority
        self.pause = pause
        next()
    }

    private func next() {
        guard isCalling else { return }
        sent += 1
        caller.call(authority, "/\(sent)", timeout: .seconds(10)) { [self] in ended.append($0) }
        stage.world.after(pause) { [self] in next() }
    }

    /// Calls no more, waits for what is on its way, and holds the story to it that no call failed. `when`: for the narrative.
    public func end(_ when: String = "") throws(StoryFailure) {
        isCalling = false
        try stage.wait("end of all calls") { ended.count == sent }
        let failed = ended.filter { $0.status != 200 }
        stage.say("\(sent) calls\(when), \(failed.count) failed\(failed.first.map { ", the first: \($0.summary)" } ?? "")")
        try stage.check(failed.isEmpty, "not one call fails")
    }
}
