// Log lines reach the sink at their level, and cost nothing below it; settings keep their order.

import Platform
import Testing

@Suite struct `The log` {
    private final class Lines { var all: [String] = [] }

    @Test func `writes at its level and above, and follows a change everywhere`() {
        let lines = Lines()
        let control = Log.Control(level: .warn)
        let log = Log(control: control) { lines.all.append("\($0) \($1) \($2)") }
        let copy = log
        for level in Log.Level.allCases where level != .off { log(level, "weft::test", "x") }
        #expect(lines.all == ["warn weft::test x", "error weft::test x"])
        control.level = .trace
        copy(.trace, "t", "y")
        #expect(lines.all.last == "trace t y")
        control.level = .off
        log(.error, "t", "z")
        #expect(lines.all.count == 3)
    }

    @Test func `does not make a message that nobody reads`() {
        var made = 0
        func message() -> String {
            made += 1
            return ""
        }
        let log = Log(control: Log.Control(level: .info)) { _, _, _ in }
        log(.debug, "t", message())
        #expect(made == 0)
        log(.info, "t", message())
        #expect(made == 1)
    }

    @Test func `settings give the last of equal names`() {
        let settings = Settings(environment: [("A", "1"), ("B", ""), ("A", "2")], arguments: ["x"])
        #expect(settings["A"] == "2" && settings["B"] == "" && settings["C"] == nil)
        #expect(settings.environment.map(\.name) == ["A", "B", "A"])
    }
}
