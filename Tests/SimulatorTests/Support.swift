// What the simulator's tests share: a world, handlers that note what they hear, and a server that echoes.

import Base
import Platform

@testable import Simulator

let noon = WallTime(year: 2026, month: 6, day: 1, hour: 12)!

func options(_ change: (inout WorldOptions) -> Void = { _ in }) -> WorldOptions {
    var options = WorldOptions(start: noon)
    options.build = "test"
    change(&options)
    return options
}

/// Notes every call; answers as told.
final class Recorder: ConnectionHandler {
    var connection: (any Connection)?
    var isConnected = false
    var bytes: [UInt8] = []
    var pieces: [Int] = []
    var isFinished = false
    var drains = 0
    var isClosed = false
    var failure: HostFailure?
    var closedAt: Instant?
    var onConnected: ((any Connection) -> Void)?
    var onReceived: ((any Connection, [UInt8]) -> Void)?
    var onFinished: ((any Connection) -> Void)?
    var onDrained: ((any Connection) -> Void)?
    weak var world: World?

    var text: String { String(decoding: bytes, as: UTF8.self) }

    func connected(_ connection: any Connection) {
        isConnected = true
        onConnected?(connection)
    }

    func received(_ bytes: RawSpan, on connection: any Connection) {
        let piece = bytes.array()
        self.bytes += piece
        pieces.append(piece.count)
        onReceived?(connection, piece)
    }

    func finished(_ connection: any Connection) {
        isFinished = true
        onFinished?(connection)
    }

    func drained(_ connection: any Connection) {
        drains += 1
        onDrained?(connection)
    }

    func closed(_ connection: any Connection, _ failure: HostFailure?) {
        isClosed = true
        self.failure = failure
        closedAt = world?.now
    }
}

/// Gives each connection a recorder.
final class Acceptor: AcceptHandler {
    var accepted: [Recorder] = []
    let prepare: (Recorder, any Connection) -> Void
    init(_ prepare: @escaping (Recorder, any Connection) -> Void = { _, _ in }) { self.prepare = prepare }

    func accepted(_ connection: any Connection) {
        let recorder = Recorder()
        recorder.connection = connection
        connection.handler = recorder
        accepted.append(recorder)
        prepare(recorder, connection)
    }

    /// Sends back what comes and ends when the peer ends.
    static func echo() -> Acceptor {
        Acceptor { recorder, _ in
            recorder.onReceived = { $0.send($1.span.bytes) }
            recorder.onFinished = { $0.finish() }
        }
    }
}

extension Connection {
    func send(_ text: String) { send(Array(text.utf8).span.bytes) }
    func send(_ bytes: [UInt8]) { send(bytes.span.bytes) }
}

/// Two nodes with a process each: a client and a server.
final class Duo {
    let world: World
    let client: SimProcess
    let server: SimProcess
    let address = SocketAddress(IPAddress(10, 0, 0, 2), 8080)
    let acceptor: Acceptor
    var listener: (any Listener)?

    init(seed: UInt64 = 1, _ acceptor: Acceptor = .echo(), listen: ListenOptions = ListenOptions(), options: WorldOptions = plainOptions) {
        world = World(seed: seed, options: options)
        self.acceptor = acceptor
        let a = world.addNode("a", ip: IPAddress(10, 0, 0, 1))
        let b = world.addNode("b", ip: IPAddress(10, 0, 0, 2))
        client = world.addProcess("client", on: a, userID: 1000, settings: Settings()) { _ in }
        let address = address
        server = world.addProcess("server", on: b, userID: 1000, settings: Settings()) { process in
            let listener = sure { try process.network.listen(on: address, options: listen, handler: acceptor) }
            process.onShutdown { listener.close() }
        }
        client.start()
        server.start()
        world.run(for: .zero)
    }

    func connect(_ options: ConnectOptions = ConnectOptions(), to target: SocketAddress? = nil, _ prepare: (Recorder) -> Void = { _ in }) -> (any Connection, Recorder) {
        let recorder = Recorder()
        recorder.world = world
        prepare(recorder)
        let connection = client.network.connect(to: target ?? address, options: options, handler: recorder)
        recorder.connection = connection
        return (connection, recorder)
    }

    /// Stops everything and judges.
    func finish() -> Verdict {
        world.stopAll()
        world.runUntilIdle(limit: .minutes(30))
        return world.finish()
    }
}


func pattern(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) } }

let plainOptions = options()

/// For what a test's own world cannot refuse.
func sure<R>(_ body: () throws -> R) -> R {
    do { return try body() } catch { fatalError("\(error)") }
}
