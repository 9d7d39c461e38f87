// Timers, datagrams, signals, the mailbox, files, resolv.conf, log lines.

import Base
import CLinux
import Glibc
import Linux
import Platform
import Testing

@Suite struct HostTests {
    @Test func `equal deadlines fire in the order set, and at once means the next turn`() throws {
        try withHost { host in
            var fired: [Int] = []
            for i in 0..<50 { host.after(.milliseconds(2)) { fired.append(i) } }
            host.after(.zero) {
                fired.append(-1)
                host.after(.zero) { fired.append(-2) }
                host.after(.seconds(-5)) { fired.append(-3) }
            }
            #expect(fired.isEmpty)
            host.turn(waitingAtMost: .zero)
            #expect(fired.first == -1 && !fired.contains(-2))
            host.drive("all fire") { fired.count == 53 }
            #expect(fired == [-1, -2, -3] + Array(0..<50))
        }
    }

    @Test func `ten thousand timers fire in the order of their deadlines, but for the cancelled`() throws {
        try withHost { host in
            var random = Random(seed: 3)
            var due: [(deadline: Int64, number: Int)] = []
            var fired: [Int] = []
            var ids: [TimerID] = []
            for i in 0..<10_000 {
                let delay = Int64(random.below(20_000))
                due.append((delay, i))
                ids.append(host.after(.microseconds(delay)) { fired.append(i) })
            }
            #expect(Set(ids).count == 10_000)
            var gone = Set<Int>()
            for _ in 0..<3000 {
                let victim = random.below(10_000)
                gone.insert(victim)
                host.cancel(ids[victim])
            }
            let expected = due.filter { !gone.contains($0.number) }.sorted { ($0.deadline, $0.number) < ($1.deadline, $1.number) }.map(\.number)
            host.drive("all fire") { fired.count == expected.count }
            host.settle()
            #expect(fired == expected)
        }
    }

    @Test func `a timer fires not before its time, and within milliseconds of it`() throws {
        try withHost { host in
            let start = clinux_monotonic()
            var fired = false
            host.after(.microseconds(300)) { fired = true }
            host.drive("fires") { fired }
            #expect(clinux_monotonic() - start >= 250_000)
            #expect(host.now.nanoseconds - start < 50_000_000)
        }
    }

    @Test func `cancelling a timer that fired, or twice, harms nobody`() throws {
        try withHost { host in
            var fired = 0
            let first = host.after(.zero) { fired += 1 }
            host.drive("fires") { fired == 1 }
            let second = host.after(.zero) { fired += 1 }
            #expect(first != second)
            host.cancel(first)
            host.cancel(first)
            host.drive("the second lives") { fired == 2 }
        }
    }

    @Test func `a cancelled timer lets go of what it held`() throws {
        try withHost { host in
            final class Held {}
            weak var seen: Held?
            var timer: TimerID
            do {
                let held = Held()
                seen = held
                timer = host.after(.seconds(60)) { _ = held }
            }
            #expect(seen != nil)
            host.cancel(timer)
            #expect(seen == nil)
        }
    }

    @Test func `datagrams travel both ways`() throws {
        final class Ears: DatagramHandler {
            var heard: [(bytes: [UInt8], from: SocketAddress)] = []
            var echoes = false
            func received(_ bytes: RawSpan, from address: SocketAddress, on socket: any DatagramSocket) {
                heard.append((bytes.array(), address))
                if echoes { socket.send(bytes, to: address) }
            }
        }
        try withHost { host in
            let (a, b) = (Ears(), Ears())
            b.echoes = true
            let one = try host.network.datagrams(on: SocketAddress(.v6(0, 0), 0), handler: a)
            let two = try host.network.datagrams(on: SocketAddress(.loopback, 0), handler: b)
            let long = pattern(9000)
            for bytes in [[1, 2, 3], [], long] { bytes.withUnsafeBytes { one.send($0.bytes, to: two.address) } }
            host.drive("echoes") { a.heard.count == 3 }
            #expect(b.heard.map(\.bytes) == [[1, 2, 3], [], long] && a.heard.map(\.bytes) == b.heard.map(\.bytes))
            #expect(b.heard.allSatisfy { $0.from == SocketAddress(.loopback, one.address.port) })
            #expect(a.heard.allSatisfy { $0.from == two.address })
            one.close()
            two.close()
        }
    }

    @Test func `SIGTERM runs the shutdown actions in order, and a second one ends the loop`() throws {
        try withHost(takesSignals: true) { host in
            var ran: [Int] = []
            host.onShutdown { ran.append(1) }
            host.onShutdown { ran.append(2) }
            #expect(clinux_raise(SIGTERM) == 0)
            host.drive("told") { ran == [1, 2] }
            #expect(clinux_raise(SIGINT) == 0)
            #expect(host.run() == 128 + SIGINT)
        }
    }

    @Test func `exit ends the loop with its status after the turn, the first one wins`() throws {
        try withHost { host in
            var after = false
            host.after(.zero) {
                host.exit(3)
                host.exit(4)
            }
            host.after(.zero) { after = true }
            #expect(host.run() == 3)
            #expect(after)
        }
    }

    @Test func `other threads hand in actions through a bounded box`() throws {
        try withHost(limits: { var l = LinuxLimits(); l.mailboxActionsMax = 100; return l }()) { host in
            final class Sum: @unchecked Sendable {
                var value = 0
                var refused = 0
            }
            let sum = Sum()
            let mailbox = host.mailbox
            var thread = pthread_t()
            let box = Unmanaged.passRetained(Box { for i in 1...100 { do { try mailbox.post { sum.value += i } } catch { sum.refused += 1 } } })
            #expect(pthread_create(&thread, nil, { Unmanaged<Box>.fromOpaque($0!).takeRetainedValue().run(); return nil }, box.toOpaque()) == 0)
            #expect(pthread_join(thread, nil) == 0)
            #expect(throws: Refusal.self) { try mailbox.post {} }
            #expect(sum.value == 0 && sum.refused == 0)
            host.drive("all ran") { sum.value == 5050 }
            try mailbox.post { sum.value = 1 }
            host.drive("and again") { sum.value == 1 }
            host.shutDown()
            #expect(throws: Refusal.self) { try mailbox.post {} }
        }
    }

    @Test func `streams of chance differ by label and agree with themselves`() throws {
        try withHost { host in
            var a = host.random("a"), again = host.random("a"), b = host.random("b")
            let first = a.next()
            #expect(first == again.next() && first != b.next())
        }
    }

    @Test func `a write replaces the whole file with its mode and leaves nothing beside it`() throws {
        var template = Array("/tmp/weft-files-XXXXXX".utf8CString)
        #expect(template.withUnsafeMutableBufferPointer { mkdtemp($0.baseAddress!) } != nil)
        let folder = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        let path = folder + "/file"
        defer {
            unlink(path)
            rmdir(folder)
        }
        let files = LinuxFiles(limits: LinuxLimits())
        try files.write(path, pattern(100_000), mode: 0o600)
        #expect(try files.read(path) == pattern(100_000))
        try files.write(path, [1, 2], mode: 0o644)
        #expect(try files.read(path) == [1, 2])
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o644)
        #expect(throws: HostFailure("read", .notFound, subject: folder + "/none")) { try files.read(folder + "/none") }
        #expect(throws: HostFailure("write", .notFound, subject: "/nowhere/at/all")) { try files.write("/nowhere/at/all", [1], mode: 0o600) }
        #expect(try files.list(folder) == ["file"] && files.list("/proc/self/fd").count > 2)
        #expect(throws: HostFailure("list", .notFound, subject: folder + "/none")) { try files.list(folder + "/none") }
        // A failed rename takes its new file away again.
        mkdir(folder + "/directory", 0o700)
        #expect(throws: HostFailure.self) { try files.write(folder + "/directory", [1], mode: 0o600) }
        #expect(rmdir(folder + "/directory") == 0)
        #expect(try !files.read("/proc/self/status").isEmpty, "files whose size is 0 are read to their end")
        var small = LinuxLimits()
        small.fileBytesMax = 1
        #expect(throws: HostFailure.self) { try LinuxFiles(limits: small).read(path) }
    }

    @Test func `resolv.conf is read as its manual says`() {
        let text = "# c\n; c\nnameserver 10.0.0.10\nnameserver\t2001:db8::1\nnameserver fe80::1%eth0\nnameserver 1.1.1.1\nnameserver 8.8.8.8\n"
            + "domain old.example\nsearch a.svc.cluster.local svc.cluster.local\noptions edns0 ndots:5 timeout:1\n"
        let read = ResolverConfiguration(resolvConf: text)
        #expect(read.servers.map(\.description) == ["10.0.0.10:53", "[2001:db8::1]:53", "1.1.1.1:53"])
        #expect(read.searchDomains == ["a.svc.cluster.local", "svc.cluster.local"])
        #expect(read.ndots == 5)
        let empty = ResolverConfiguration(resolvConf: "options ndots:99\n")
        #expect(empty.servers == [SocketAddress(.loopback, 53)] && empty.ndots == 15 && empty.searchDomains == [])
    }

    @Test(arguments: [LogFormat.plain, LogFormat.json])
    func `a line is one line in Linkerd's formats`(format: LogFormat) throws {
        var ends: [Int32] = [0, 0]
        #expect(clinux_pipe(&ends) == 0)
        defer { for end in ends { _ = clinux_close(end) } }
        let log = Log.linux(LogFilter("warn,weft=info"), format: format, descriptor: ends[1])
        log(.info, "weft_test", "one\n\"two\"")
        log(.info, "other", "not at this level")
        log(.warn, "other", "three")
        log.control.level = .trace
        log(.debug, "other", "now everything")
        var bytes = [UInt8](repeating: 0, count: 4096)
        let n = bytes.withUnsafeMutableBytes { clinux_read(ends[0], $0.baseAddress, $0.count) }
        let lines = String(decoding: bytes.prefix(n), as: UTF8.self).split(separator: "\n").map(String.init)
        try #require(lines.count == 3)
        switch format {
        case .plain:
            #expect(lines[0].hasPrefix("[     0.0") && lines[0].hasSuffix("s]  INFO ThreadId(01) weft_test: one\\n\"two\""))
            #expect(lines[1].hasSuffix("s]  WARN ThreadId(01) other: three"))
            #expect(lines[2].hasSuffix("s] DEBUG ThreadId(01) other: now everything"))
        case .json:
            #expect(lines[0].hasPrefix("{\"timestamp\":\"20"))
            #expect(lines[0].hasSuffix("Z\",\"level\":\"INFO\",\"fields\":{\"message\":\"one\\n\\\"two\\\"\"},\"target\":\"weft_test\",\"threadId\":\"ThreadId(1)\"}"))
        }
    }

    @Test func `settings are the process's own`() {
        let settings = Settings.ofThisProcess()
        #expect(settings["PATH"] != nil && settings["PATH"] == String(cString: getenv("PATH")))
        #expect(settings.arguments.count == CommandLine.arguments.count - 1)
    }
}

private final class Box {
    let run: () -> Void
    init(_ run: @escaping () -> Void) { self.run = run }
}
