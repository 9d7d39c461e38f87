// A loop of this machine for one test, and programs of others beside it that say on which port they listen.

import Base
import CDeterminism
import CLinux
import Foundation
import Linux
import Platform
import TLS
import Testing
import Transport

/// One loop for one test, taken down at its end with the programs that it started.
final class Loop {
    let host: LinuxHost
    let batch: FlushBatch
    private var children: [ChildProcess] = []
    /// Files of the test.
    let directory: String

    static func run(_ body: (Loop) throws -> Void) throws {
        bindRandomness()
        defer { weft_rand_bind(nil, nil) }
        let loop = try Loop()
        defer { loop.end() }
        try body(loop)
        #expect(loop.host.unexpectedCount == 0)
    }

    private init() throws {
        host = try LinuxHost(settings: Settings(), log: Log(control: .init(level: .off)) { _, _, _ in }, takesSignals: false)
        batch = FlushBatch(host: host)
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("weft-peers-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    private func end() {
        for child in children where child.status == nil {
            child.signal(SIGKILL, wholeGroup: true)
            _ = child.wait()
        }
        host.shutDown()
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// Writes a file of the test and returns its path.
    func put(_ name: String, _ text: String) throws -> String {
        let path = "\(directory)/\(name)"
        try host.files.write(path, Array(text.utf8), mode: 0o600)
        return path
    }

    /// Runs until `condition`; 20 s are given up as never.
    @discardableResult
    func drive(_ fact: Comment, _ location: SourceLocation = #_sourceLocation, until condition: () -> Bool) -> Bool {
        let holds = host.run(atMost: .seconds(20), until: condition)
        #expect(holds, fact, sourceLocation: location)
        return holds
    }

    /// A few passes, for what must not happen.
    func settle() { _ = host.run(atMost: .milliseconds(50)) { false } }

    /// A started program, its lines as they come, and what it is told.
    final class Running {
        fileprivate(set) var child: ChildProcess!
        fileprivate(set) var lines: [String] = []
        fileprivate(set) var status: Int32?
        fileprivate var ends = 0
        fileprivate var input: Int32 = -1
        var text: String { lines.joined(separator: "\n") }
        var isOver: Bool { status != nil && ends == 2 }

        func say(_ text: String) { _ = Array(text.utf8).withUnsafeBytes { clinux_write(input, $0.baseAddress, $0.count) } }

        func endInput() {
            if input >= 0 { _ = clinux_close(input) }
            input = -1
        }
        deinit { endInput() }
    }

    /// Starts a program. Its errors are lines among the others.
    func start(_ name: String, _ arguments: [String]) throws -> Running {
        let running = Running()
        var pipes = [Int32](repeating: -1, count: 6)
        for i in 0..<3 { try #require(pipes.withUnsafeMutableBufferPointer({ clinux_pipe($0.baseAddress! + 2 * i) }) == 0) }
        var program = try Programs.program(name, arguments)
        (program.input, program.output, program.error) = (pipes[0], pipes[3], pipes[5])
        program.hasOwnGroup = true
        running.child = try ChildProcess(program)
        children.append(running.child)
        running.input = pipes[1]
        for i in [0, 3, 5] { _ = clinux_close(pipes[i]) }
        try host.readLines(pipes[2], line: { running.lines.append($0) }, ended: { running.ends += 1 })
        try host.readLines(pipes[4], line: { running.lines.append($0) }, ended: { running.ends += 1 })
        try host.watch(running.child) { running.status = $0 }
        return running
    }

    /// The port in the line that begins so, once it is printed.
    func port(of running: Running, after prefix: String) throws -> UInt16 {
        func found() -> UInt16? {
            running.lines.lazy.filter { $0.hasPrefix(prefix) }.compactMap { line in UInt16(line.split { !$0.isNumber }.last ?? "") }.first
        }
        drive("\(prefix) is said: \(running.text)") { found() != nil || running.status != nil }
        return try #require(found(), "\(running.text)")
    }

    /// Runs a program to its end.
    func finish(_ running: Running) -> Running {
        drive("the program ends: \(running.text)") { running.isOver }
        return running
    }
}
