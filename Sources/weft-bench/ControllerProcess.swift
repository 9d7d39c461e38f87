// A controller that ships, as a process of its own beside the bench, and what the kernel knows of it: CPU time and memory.

import Base
import Glibc
import HTTP
import Linux
import Platform
import Transport

final class ControllerProcess {
    private let process: pid_t
    private let host: LinuxHost
    private let batch: FlushBatch
    let admin: SocketAddress

    /// `weft-controller` beside this program, with these arguments; `admin` is where it says that it is ready.
    init(_ arguments: [String], admin: SocketAddress, batch: FlushBatch, host: LinuxHost) throws {
        self.admin = admin
        self.batch = batch
        self.host = host
        guard let own = realpath("/proc/self/exe", nil) else { throw Refusal("where this program stands is unknown") }
        defer { free(own) }
        let path = String(cString: own).split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/") + "/weft-controller"
        var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var id: pid_t = 0
        guard posix_spawn(&id, path, nil, nil, &words, environ) == 0 else { throw Refusal("\(path) cannot be started: build it beside weft-bench") }
        process = id
    }

    /// Calls `ready` once the controller says so.
    func awaitReady(_ ready: @escaping () -> Void) {
        let look = Look { [self] isReady in
            if isReady { return ready() }
            host.after(.milliseconds(100)) { [self] in awaitReady(ready) }
        }
        let client = HTTPClient(version: .http11, connector: TCPConnector(host: host, address: admin, options: ConnectOptions(timeout: .seconds(1))), batch: batch)
        look.client = client
        do throws(Refusal) {
            _ = try client.send(RequestHead(method: .get, authority: "admin", path: "/ready"), endStream: true, handler: look)
        } catch { host.after(.milliseconds(100)) { [self] in awaitReady(ready) } }
    }

    private final class Look: HTTPStreamHandler {
        var client: HTTPClient?
        private var done: ((Bool) -> Void)?
        init(_ done: @escaping (Bool) -> Void) { self.done = done }
        private func end(_ isReady: Bool) {
            let tell = done
            done = nil
            tell?(isReady)
        }
        func response(_ stream: HTTPStream, _ head: ResponseHead, endStream: Bool) { end(head.status == 200) }
        func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) { stream.acknowledge(bytes.byteCount) }
        func trailers(_ stream: HTTPStream, _ trailers: Headers) {}
        func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) { end(false) }
    }

    /// CPU time so far. Unit: seconds.
    var cpuSeconds: Double {
        guard let text = read("stat"), let close = text.lastIndex(of: ")") else { return 0 }
        let fields = text[text.index(after: close)...].split(separator: " ")
        // utime and stime are the 14th and 15th fields of proc(5); the state is the third.
        guard fields.count > 13, let user = Double(fields[11]), let system = Double(fields[12]) else { return 0 }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// Resident at the peak. Unit: megabytes.
    var peakMegabytes: Int { megabytes("VmHWM:") }
    var residentMegabytes: Int { megabytes("VmRSS:") }

    private func megabytes(_ name: String) -> Int {
        let line = read("status")?.split(separator: "\n").first { $0.hasPrefix(name) }
        return (line?.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) } ?? 0) / 1024
    }

    private func read(_ name: String) -> String? { (try? host.files.read("/proc/\(process)/\(name)")).map { String(decoding: $0, as: UTF8.self) } }

    func stop() {
        kill(process, SIGTERM)
        var status: Int32 = 0
        waitpid(process, &status, 0)
    }
}

/// Seconds of this machine's monotonic clock, finer than a turn of the loop.
func clockSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// A port that nobody has now.
func freePort(_ host: LinuxHost) throws -> UInt16 {
    final class Nobody: AcceptHandler { func accepted(_ connection: any Connection) { connection.reset() } }
    let listener = try host.network.listen(on: SocketAddress(.loopback, 0), options: ListenOptions(), handler: Nobody())
    defer { listener.close() }
    return listener.address.port
}
