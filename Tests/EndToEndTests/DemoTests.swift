// The shipped programs as a user runs them: `weft demo` through real namespaces, iptables, proxies, nginx and curl, and what is left of it
// when it ends by itself, by Ctrl-C and by kill -9. Needs root and the packages of `scripts/setup test`.

import Base
import CLinux
import Documents
import Glibc
import Kube
import Linux
import Platform
import Testing

@Suite(.serialized) struct DemoTests {
    /// The directory that the test bundle was built into, which holds the programs of the same build.
    static let directory: String = {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        let tested = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? String(decoding: buffer[..<max(0, count)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return String(tested[..<(tested.lastIndex(of: "/") ?? tested.startIndex)])
    }()

    private static func weft(_ arguments: [String]) -> ChildProgram {
        ChildProgram(path: "\(directory)/weft", arguments: arguments, environment: [("PATH", ChildProcess.systemPath)], hasOwnGroup: true)
    }

    private func needRoot() throws { try #require(clinux_user_id() == 0, "the demo makes network namespaces and needs root") }

    private func shell(_ script: String) throws -> String {
        try ChildProcess.run(ChildProgram(path: "/bin/sh", arguments: ["-c", script], environment: [("PATH", ChildProcess.systemPath)])).output
    }

    /// Everything of a run, or of all runs of a process (`wf` and its number), that may be found on the machine: namespaces, files, interfaces, programs.
    private func left(of run: String) throws -> String {
        try shell(
            """
            ls /run/netns 2>/dev/null | grep '^\(run)[a-z]-'
            ls -d /run/weft-\(run)[a-z]* 2>/dev/null
            ip -o link | grep '\(run)[a-z]'
            for p in /proc/[0-9]*; do
              grep -l 'weft-\(run)[a-z]' "$p/mountinfo" 2>/dev/null
            done
            true
            """)
    }

    /// Waits for the guardian, who works after the end.
    private func expectNothingLeft(of run: String) throws {
        var rest = try left(of: run)
        let end = clinux_monotonic() + 10_000_000_000
        while !rest.isEmpty, clinux_monotonic() < end {
            usleep(20_000)
            rest = try left(of: run)
        }
        #expect(rest == "", "left of \(run): \(rest)")
    }

    @Test func `two pods talk through the mesh, nothing is readable between them, and the simulator agrees`() throws {
        try needRoot()
        let result = try ChildProcess.run(Self.weft(["demo", "--json"]))
        let json = try Value(json: Array(result.output.utf8))
        #expect(result.status == 0, "\(json.items("failures")) \(json.items("differences")) \(result.error)")
        let client = "web.demo.serviceaccount.identity.linkerd.cluster.local"
        let wanted: [(call: String, status: Int64?)] = [("GET /greeting", 200), ("POST /orders", 200), ("GET /first", 200), ("GET /second", 200), ("TCP port 9000", nil)]
        for world in ["calls", "simulator"] {
            let calls = json.items(world)
            #expect(calls.compactMap { $0.text("call") } == wanted.map(\.call), "\(world)")
            for (call, wanted) in zip(calls, wanted) {
                #expect(call.number("status") == wanted.status && call.text("client") == client && call.flag("tls") == true && call.member("failure") == nil, "\(world): \(call)")
                #expect(call.number("bytes") ?? 0 > 30)
            }
        }
        #expect(json.number("phrases") == 5)
        #expect(json.number("bridge", "phrasesSeen") == 0 && json.text("bridge", "tlsVersions") == "TLS 1.3")
        #expect(json.number("bridge", "packets") ?? 0 > 50 && json.number("bridge", "tlsRecords") ?? 0 > 20)
        #expect(json.number("insideApi", "phrasesSeen") == 5)
        let run = try #require(json.text("run"))
        #expect(run.hasPrefix("wf") && run.count > 3)
        try expectNothingLeft(of: String(run.dropLast()))
    }

    @Test(arguments: [SIGINT, SIGTERM, SIGKILL])
    func `a demo that is ended while it runs leaves nothing`(signal: Int32) throws {
        try needRoot()
        var ends: [Int32] = [0, 0]
        #expect(clinux_pipe(&ends) == 0)
        var program = Self.weft(["demo"])
        program.output = ends[1]
        let child = try ChildProcess(program)
        _ = clinux_close(ends[1])
        let host = try LinuxHost(settings: Settings(), log: Log(control: .init(level: .off)) { _, _, _ in }, takesSignals: false)
        defer { host.shutDown() }
        var lines: [String] = []
        var isOver = false
        try host.readLines(ends[0], line: { lines.append($0) }, ended: { isOver = true })
        #expect(host.run(atMost: .seconds(60)) { isOver || lines.contains { $0.contains("its proxy is certified") } })
        #expect(try left(of: "wf\(child.pid)") != "", "there is something to be left")
        child.signal(signal)
        #expect(host.run(atMost: .seconds(30)) { isOver })
        #expect(child.wait() == (signal == SIGKILL ? 128 + SIGKILL : 130))
        if signal != SIGKILL { #expect(lines.last == "interrupted; everything that was started is gone", "\(lines.suffix(3))") }
        try expectNothingLeft(of: "wf\(child.pid)")
    }

    @Test func `drawn exchanges come out the same on the machine and in the simulator`() throws {
        try needRoot()
        let result = try ChildProcess.run(Self.weft(["differential", "--count", "150", "--seed", "9", "--json"]))
        let json = try Value(json: Array(result.output.utf8))
        #expect(result.status == 0 && json.items("differences").isEmpty && json.items("failures").isEmpty, "\(result.output)")
        #expect(json.number("exchanges") == 150 && json.number("reachedServer") ?? 0 > 100)
        #expect(json.text("trace")?.hasPrefix("TRACE v1 seed=9 ") == true)
    }

    @Test func `a missing program fails with its name and leaves nothing`() throws {
        try needRoot()
        let result = try ChildProcess.run(Self.weft(["demo", "--programs", "/nonexistent"]))
        #expect(result.status == 1 && result.output.contains("/nonexistent/weft-proxy"), "\(result)")
    }

    @Test func `without root the simulated half runs and says why`() throws {
        // A user namespace without mappings: nobody there, and yet allowed to read the build.
        var program = Self.weft([])
        program.arguments = ["--user", program.path, "demo"]
        program.path = "/usr/bin/unshare"
        let result = try ChildProcess.run(program)
        #expect(result.status == 0, "\(result)")
        let lines = result.output.split(separator: "\n")
        #expect(lines.first?.contains("need root") == true && lines.contains { $0.contains("GET /greeting") && $0.contains("200") }, "\(lines)")
    }
}
