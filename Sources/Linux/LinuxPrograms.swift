// Programs that components ask for, as child processes that the loop watches. What they write goes to files in memory, so that
// a talkative one neither stalls nor needs a reader.

import Base
import CLinux
import Glibc
import Platform

final class LinuxPrograms: Programs {
    private unowned let host: LinuxHost

    init(_ host: LinuxHost) { self.host = host }

    func run(_ program: Program, _ ended: @escaping (Result<ProgramEnd, HostFailure>) -> Void) {
        do throws(HostFailure) { try start(program, ended) } catch {
            _ = host.after(.zero) { ended(.failure(error)) }
        }
    }

    private func start(_ program: Program, _ ended: @escaping (Result<ProgramEnd, HostFailure>) -> Void) throws(HostFailure) {
        let searchPath = program.environment.last { $0.name == "PATH" }?.value ?? ChildProcess.systemPath
        guard let path = ChildProcess.find(program.command, searchPath: searchPath) else { throw HostFailure("run", .notFound, subject: program.command) }
        var output: Int32 = -1
        var error: Int32 = -1
        func closeFiles() { for fd in [output, error] where fd >= 0 { _ = clinux_close(fd) } }
        let child: ChildProcess
        do throws(HostFailure) {
            output = try checked("memfd", clinux_memory_file())
            error = try checked("memfd", clinux_memory_file())
            child = try ChildProcess(
                ChildProgram(
                    path: path, arguments: program.arguments, environment: program.environment.map { ($0.name, $0.value) }, output: output, error: error, hasOwnGroup: true))
        } catch {
            closeFiles()
            throw error
        }
        var isLate = false
        let timer = host.after(program.timeout) {
            isLate = true
            child.signal(SIGKILL, wholeGroup: true)
        }
        do throws(HostFailure) {
            try host.watch(child) { [host] status in
                host.cancel(timer)
                defer { closeFiles() }
                if isLate { return ended(.failure(HostFailure("run", .timedOut, subject: program.command))) }
                ended(.success(ProgramEnd(status: status, output: Self.contents(output, host.limits), error: Self.contents(error, host.limits))))
            }
        } catch {
            host.cancel(timer)
            child.signal(SIGKILL, wholeGroup: true)
            _ = child.wait()
            closeFiles()
            throw error
        }
    }

    private static func contents(_ fd: Int32, _ limits: LinuxLimits) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: min(limits.programOutputBytesMax, Int(max(0, clinux_file_size(fd)))))
        let n = bytes.withUnsafeMutableBytes { clinux_read_at(fd, $0.baseAddress, $0.count, 0) }
        return Array(bytes.prefix(max(0, n)))
    }
}
