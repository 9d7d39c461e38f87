// Both ends of real loopback connections on one loop, and what they saw. Deliberately absent: sleeping and fixed ports.

import Base
import CLinux
import Glibc
import Linux
import Platform
import Testing

/// One loop for one test, taken down at its end.
func withHost(takesSignals: Bool = false, limits: LinuxLimits = LinuxLimits(), _ body: (LinuxHost) throws -> Void) throws {
    let host = try LinuxHost(settings: Settings(), log: Log(control: Log.Control(level: .off)) { _, _, _ in }, takesSignals: takesSignals, limits: limits)
    defer { host.shutDown() }
    try body(host)
    #expect(host.unexpectedCount == 0)
}

extension LinuxHost {
    /// Runs until `condition`; 20 s are given up as never.
    func drive(_ fact: Comment, _ location: SourceLocation = #_sourceLocation, until condition: () -> Bool) {
        let holds = run(atMost: .seconds(20), until: condition)
        #expect(holds, fact, sourceLocation: location)
    }

    /// A few passes, for what must not happen.
    func settle() {
        for _ in 0..<20 { turn(waitingAtMost: .milliseconds(1)) }
    }
}

/// Keeps what one side of a connection was told, in order.
final class Side: ConnectionHandler {
    enum Told: Equatable { case connected, received, finished, drained, closed(HostFailure.Reason?) }

    var connection: (any Connection)?
    var told: [Told] = []
    var bytes: [UInt8] = []
    var count = 0
    var keepsBytes = true
    /// How deep in calls into the connection we are: callbacks must find 0.
    var asking = 0
    var onReceived: ((Side, [UInt8]) -> Void)?
    var onDrained: ((Side) -> Void)?
    var onFinished: ((Side) -> Void)?

    func ask(_ body: (any Connection) -> Void) {
        asking += 1
        if let connection { body(connection) }
        asking -= 1
    }

    func send(_ bytes: [UInt8]) { ask { c in bytes.withUnsafeBytes { c.send($0.bytes) } } }

    private func hear(_ what: Told) {
        #expect(asking == 0, "a callback ran inside a call")
        if case .closed = told.last { Issue.record("\(what) was told after closed") }
        if what != .received || told.last != .received { told.append(what) }
    }

    func connected(_ connection: any Connection) { hear(.connected) }
    func received(_ span: RawSpan, on connection: any Connection) {
        hear(.received)
        #expect(span.byteCount > 0)
        count += span.byteCount
        if keepsBytes { bytes += span.array() }
        onReceived?(self, keepsBytes ? span.array() : [])
    }
    func finished(_ connection: any Connection) {
        hear(.finished)
        onFinished?(self)
    }
    func drained(_ connection: any Connection) {
        hear(.drained)
        onDrained?(self)
    }
    func closed(_ connection: any Connection, _ failure: HostFailure?) {
        hear(.closed(failure?.reason))
        #expect(connection.handler == nil, "closing drops the handler")
    }

    var isClosed: Bool { if case .closed = told.last { true } else { false } }
    var failure: HostFailure.Reason? { if case .closed(let reason) = told.last { reason } else { nil } }
}

final class Acceptor: AcceptHandler {
    var sides: [Side] = []
    var prepare: (Side) -> Void
    init(_ prepare: @escaping (Side) -> Void = { _ in }) { self.prepare = prepare }
    func accepted(_ connection: any Connection) {
        let side = Side()
        side.connection = connection
        connection.handler = side
        sides.append(side)
        prepare(side)
    }
}

/// A connected pair over loopback.
struct Pair {
    let host: LinuxHost
    let listener: any Listener
    let acceptor = Acceptor()
    let client = Side()
    var server: Side { acceptor.sides[0] }

    init(_ host: LinuxHost, on ip: IPAddress = .loopback, options: ListenOptions = ListenOptions()) throws {
        self.host = host
        listener = try host.network.listen(on: SocketAddress(ip, 0), options: options, handler: acceptor)
        client.connection = host.network.connect(to: listener.address, options: ConnectOptions(timeout: .seconds(10)), handler: client)
        let (acceptor, client) = (acceptor, client)
        host.drive("a pair connects") { acceptor.sides.count == 1 && client.told.first == .connected }
    }
}

/// Repeatable bytes whose order shows.
func pattern(_ count: Int) -> [UInt8] {
    var random = Random(seed: 7)
    var bytes = [UInt8](repeating: 0, count: count)
    bytes.withUnsafeMutableBytes { random.fill($0) }
    return bytes
}

/// Sockets and signal descriptors open in this process. Others come and go with the test runner and its threads.
func openDescriptors() -> [String] {
    let names = Names()
    _ = clinux_list("/proc/self/fd", { context, name in
        Unmanaged<Names>.fromOpaque(context!).takeUnretainedValue().names.append(String(cString: name!))
        return 0
    }, Unmanaged.passUnretained(names).toOpaque())
    return names.names.filter { name in
        var target = [UInt8](repeating: 0, count: 64)
        let n = target.withUnsafeMutableBytes { readlink("/proc/self/fd/" + name, $0.baseAddress!, $0.count) }
        let text = String(decoding: target.prefix(max(0, n)), as: UTF8.self)
        return text.hasPrefix("socket:") || text == "anon_inode:[signalfd]"
    }
}

private final class Names { var names: [String] = [] }
