// Programs of the simulated world: closures by name, installed by the scenario, that answer when they like. What was run stands
// in the trace.

import Base
import Platform

public final class SimPrograms: Programs {
    /// What a program does: it gets its call and says once how it ended.
    public typealias Body = (Program, _ end: @escaping (Result<ProgramEnd, HostFailure>) -> Void) -> Void

    /// Look-up only.
    private var bodies: [String: Body] = [:]
    /// Programs begun so far.
    public private(set) var startedCount = 0
    unowned let process: SimProcess

    init(_ process: SimProcess) { self.process = process }

    /// Installs a program under its command as callers write it.
    public func install(_ command: String, _ body: @escaping Body) { bodies[command] = body }

    public func remove(_ command: String) { bodies[command] = nil }

    public func run(_ program: Program, _ ended: @escaping (Result<ProgramEnd, HostFailure>) -> Void) {
        startedCount += 1
        var mixed = Digest64()
        mixed.mix(string: program.command)
        for argument in program.arguments { mixed.mix(string: argument) }
        process.world.record(.program, process.node, UInt32(process.index), UInt32(startedCount), mixed.value) { "\(process.name) runs \(program.command)" }
        guard let body = bodies[program.command] else {
            process.after(.zero) { ended(.failure(HostFailure("run", .notFound, subject: program.command))) }
            return
        }
        var isOver = false
        let timer = process.after(program.timeout) {
            if isOver { return }
            isOver = true
            ended(.failure(HostFailure("run", .timedOut, subject: program.command)))
        }
        process.after(.zero) { [process] in
            body(program) { result in
                process.after(.zero) {
                    if isOver { return }
                    isOver = true
                    process.cancel(timer)
                    ended(result)
                }
            }
        }
    }
}
