// The stories as tests: each is told once here, each says what it promises and why, and the manifest that they share is the one
// that the demo applies. In two processes, and over many seeds, `weft simulate --all --twice` runs them.

import Scenario
import Simulations
import Simulator
import Testing

extension Story: CustomTestStringConvertible {
    public var testDescription: String { name }
}

@Suite struct `The stories` {
    @Test(arguments: Stories.all) func `keep their promises`(_ story: Story) {
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
