// Programs that components ask for, on this machine: what they are told, what they write, how they end, and that none outstays
// its time.

import Base
import Linux
import Platform
import Testing

@Suite struct `Programs on Linux` {
    private func run(_ program: Program) throws -> Result<ProgramEnd, HostFailure> {
        let host = try LinuxHost(settings: Settings(), log: Log(control: Log.Control(level: .off)) { _, _, _ in }, takesSignals: false)
        defer { host.shutDown() }
        var result: Result<ProgramEnd, HostFailure>?
        host.programs.run(program) { result = $0 }
        #expect(result == nil, "the answer comes in a later turn")
        _ = host.run(atMost: .seconds(20)) { result != nil }
        return try #require(result)
    }

    private func shell(_ script: String, timeout: Interval = .seconds(10)) -> Program {
        Program(command: "/bin/sh", arguments: ["-c", script], environment: [Program.Variable("PATH", "/usr/bin:/bin"), Program.Variable("A", "x"), Program.Variable("A", "y z")], timeout: timeout)
    }

    @Test func `get their arguments and environment, and are heard`() throws {
        #expect(try run(shell("echo \"$A\"; echo oops >&2; cat; exit 3")).get() == ProgramEnd(status: 3, output: [UInt8]("y z\n".utf8), error: [UInt8]("oops\n".utf8)))
    }

    @Test func `are found by a bare name in their PATH`() throws {
        let program = Program(command: "true", environment: [Program.Variable("PATH", "/nowhere:/usr/bin:/bin")], timeout: .seconds(10))
        #expect(try run(program).get().status == 0)
        let failure = try run(Program(command: "no-such-program", environment: [Program.Variable("PATH", "/usr/bin")], timeout: .seconds(10)))
        guard case .failure(let failure) = failure else { return #expect(Bool(false)) }
        #expect(failure.reason == .notFound && failure.subject == "no-such-program")
    }

    @Test func `are killed with their children when the time is over`() throws {
        guard case .failure(let failure) = try run(shell("sleep 60 & sleep 60", timeout: .milliseconds(200))) else { return #expect(Bool(false)) }
        #expect(failure.reason == .timedOut)
    }

    @Test func `may write more than we keep`() throws {
        let end = try run(shell("head -c 3000000 /dev/zero")).get()
        #expect(end.status == 0 && end.output.count == LinuxLimits().programOutputBytesMax)
    }
}
