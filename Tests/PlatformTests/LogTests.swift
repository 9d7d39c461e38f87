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

    @Test func `a filter chooses levels by the longest target`() {
        let filter = LogFilter("warn, linkerd=info,linkerd_app=debug,hickory=error,[{headers}]=off,tower[span{a=1,b=2}]=debug,x=loud,[open=off,a b=info")
        #expect(filter.level(of: "other") == .warn)
        #expect(filter.level(of: "linkerd_proxy") == .info)
        #expect(filter.level(of: "linkerd_app_core") == .debug)
        #expect(filter.level(of: "hickory_resolver") == .error)
        #expect(filter.level(of: "weft::inbound") == .info, "our targets follow Linkerd's")
        #expect(LogFilter("warn,linkerd=info,weft=trace").level(of: "weft::inbound") == .trace)
        #expect(filter.lowest == .debug)
        #expect(filter.refused == ["x=loud", "[open=off,a b=info"])
        #expect(LogFilter("").level(of: "a") == .warn && LogFilter("").lowest == .warn)
        #expect(LogFilter("linkerd=info").level(of: "hyper") == .off)
        #expect(LogFilter("off").lowest == .off)
        #expect(LogFilter("tower").level(of: "tower_http") == .trace)
    }

    @Test func `a filter may be changed while it is in use`() {
        let lines = Lines()
        let log = Log(control: Log.Control(LogFilter("warn,weft::a=debug"))) { lines.all.append("\($0) \($1) \($2)") }
        log(.debug, "weft::a", "1")
        log(.debug, "weft::b", "2")
        log(.warn, "weft::b", "3")
        log.control.filter = LogFilter("off,weft::b=trace")
        log(.error, "weft::a", "4")
        log(.trace, "weft::b", "5")
        #expect(lines.all == ["debug weft::a 1", "warn weft::b 3", "trace weft::b 5"])
    }

    @Test func `settings give the last of equal names`() {
        let settings = Settings(environment: [("A", "1"), ("B", ""), ("A", "2")], arguments: ["x"])
        #expect(settings["A"] == "2" && settings["B"] == "" && settings["C"] == nil)
        #expect(settings.environment.map(\.name) == ["A", "B", "A"])
    }
}
