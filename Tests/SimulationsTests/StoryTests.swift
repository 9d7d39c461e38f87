// The stories as tests: the basic and the negative ones are told once here, and each says what it promises and why. All of them, in two
// processes each, are told by `weft simulate --all --twice`, which scripts/test runs.

import Scenario
import Simulations
import Simulator
import Testing

extension Story: CustomTestStringConvertible {
    public var testDescription: String { name }
}

@Suite struct `The stories` {
    @Test(arguments: Stories.basics + Stories.negative) func `keep their promises`(_ story: Story) {
        let outcome = story.run(seed: 1, build: "test")
        #expect(outcome.passes, "\(outcome.failure ?? "")\n\(outcome.narrative.joined(separator: "\n"))")
        #expect(outcome.events > 0)
    }

    @Test func `say what happens, what is promised and why, under names of their own`() {
        #expect(Set(Stories.all.map(\.name)).count == Stories.all.count)
        for story in Stories.all {
            #expect(story.name.split(separator: "/").count == 2, "\(story.name)")
            for text in [story.story, story.promise, story.source] { #expect(text.contains(" "), "\(story.name)") }
        }
        #expect(Stories.all.contains { $0.isNegative })
    }
}
