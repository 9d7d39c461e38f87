// Raw bytes against real proxies: who says exactly these bytes, and an application that answers with exactly those, so that what crosses
// the mesh is seen as it is. Frames of HTTP/2 are spelled out here as no engine would write them.

import Base
import HTTP
import Platform
import Simulator
import Testing
import Transport

@testable import Proxy

/// Says bytes and notes what comes back.
final class RawClient: ConnectionHandler {
    private let process: SimProcess
    private let early: [UInt8]
    private var connection: (any Connection)?
    private(set) var heard: [UInt8] = []
    /// The peer has said its last.
    private(set) var isFinished = false
    private(set) var isClosed = false
    private(set) var failure: HostFailure?
    /// Leaves everything where it is: the window of TCP closes.
    var reads: Bool { didSet { connection?.isReadingPaused = !reads } }

    init(_ process: SimProcess, to address: SocketAddress, say bytes: [UInt8] = [], reads: Bool = true) {
        self.process = process
        self.reads = reads
        early = bytes
        process.run { connection = process.network.connect(to: address, options: ConnectOptions(), handler: self) }
    }

    var text: String { String(decoding: heard, as: UTF8.self) }

    func say(_ bytes: [UInt8]) { process.run { connection?.send(bytes) } }
    func say(_ text: String) { say([UInt8](text.utf8)) }
    func finish() { process.run { connection?.finish() } }
    func close() {
        process.run {
            connection?.handler = nil
            connection?.close()
        }
    }

    func connected(_ connection: any Connection) {
        connection.isReadingPaused = !reads
        if !early.isEmpty { connection.send(early) }
    }
    func received(_ bytes: RawSpan, on connection: any Connection) { heard += bytes.array() }
    func finished(_ connection: any Connection) { isFinished = true }
    func closed(_ connection: any Connection, _ failure: HostFailure?) {
        isClosed = true
        self.failure = failure
    }
}

/// Answers the first bytes of each connection by the script and notes everything that it hears.
final class RawServer: AcceptHandler, ConnectionHandler {
    /// What is said to a connection that has said this much so far; nil: nothing more.
    var answer: (_ heard: String) -> String? = { _ in nil }
    /// Half-closes behind its answer.
    var finishes = false
    private(set) var conversations: [(connection: any Connection, heard: [UInt8], isFinished: Bool)] = []
    private var listener: (any Listener)?

    init(_ process: SimProcess, port: UInt16) throws(HostFailure) {
        listener = try process.network.listen(on: SocketAddress(.any, port), options: ListenOptions(), handler: self)
        process.onShutdown { [self] in
            listener?.close()
            for one in conversations { one.connection.close() }
            conversations = []
            process.exit(0)
        }
    }

    /// All that was heard, connection by connection.
    var heard: String { conversations.map { String(decoding: $0.heard, as: UTF8.self) }.joined(separator: "\n--\n") }

    func accepted(_ connection: any Connection) {
        connection.handler = self
        conversations.append((connection, [], false))
    }

    func received(_ bytes: RawSpan, on connection: any Connection) {
        guard let i = conversations.firstIndex(where: { $0.connection === connection }) else { return }
        conversations[i].heard += bytes.array()
        guard let text = answer(String(decoding: conversations[i].heard, as: UTF8.self)) else { return }
        connection.send([UInt8](text.utf8))
        if finishes { connection.finish() }
    }

    func finished(_ connection: any Connection) {
        guard let i = conversations.firstIndex(where: { $0.connection === connection }) else { return }
        conversations[i].isFinished = true
        if !finishes { connection.finish() }
    }
    func closed(_ connection: any Connection, _ failure: HostFailure?) {}
}

/// Frames of HTTP/2, literally.
enum Frames {
    static let preface = [UInt8]("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    static func frame(_ type: UInt8, flags: UInt8 = 0, stream: UInt32 = 0, _ payload: [UInt8] = []) -> [UInt8] {
        [UInt8(payload.count >> 16 & 255), UInt8(payload.count >> 8 & 255), UInt8(payload.count & 255), type, flags] + word(stream) + payload
    }

    static func word(_ value: UInt32) -> [UInt8] { [UInt8(value >> 24), UInt8(value >> 16 & 255), UInt8(value >> 8 & 255), UInt8(value & 255)] }

    static let settings = frame(4)
    static let opening = preface + settings

    /// Literals without indexing and without Huffman.
    static func headers(_ stream: UInt32, _ fields: [(String, String)], end: Bool = true) -> [UInt8] {
        frame(1, flags: 4 | (end ? 1 : 0), stream: stream, fields.flatMap { [0] + string($0.0) + string($0.1) })
    }

    static func data(_ stream: UInt32, _ text: String, end: Bool = false) -> [UInt8] { frame(0, flags: end ? 1 : 0, stream: stream, [UInt8](text.utf8)) }

    private static func string(_ text: String) -> [UInt8] {
        let bytes = [UInt8](text.utf8)
        precondition(bytes.count < 127 + 128)
        return (bytes.count < 127 ? [UInt8(bytes.count)] : [127, UInt8(bytes.count - 127)]) + bytes
    }

    static func request(_ method: String = "GET", _ path: String = "/", _ fields: [(String, String)] = []) -> [(String, String)] {
        [(":method", method), (":scheme", "http"), (":path", path), (":authority", "api.demo")] + fields
    }

    /// Type, flags, stream and payload of each whole frame.
    static func read(_ bytes: [UInt8]) -> [(type: UInt8, flags: UInt8, stream: UInt32, payload: [UInt8])] {
        var at = 0
        var found: [(UInt8, UInt8, UInt32, [UInt8])] = []
        while at + 9 <= bytes.count {
            let length = Int(bytes[at]) << 16 | Int(bytes[at + 1]) << 8 | Int(bytes[at + 2])
            guard at + 9 + length <= bytes.count else { break }
            let stream = UInt32(bytes[at + 5]) << 24 | UInt32(bytes[at + 6]) << 16 | UInt32(bytes[at + 7]) << 8 | UInt32(bytes[at + 8])
            found.append((bytes[at + 3], bytes[at + 4], stream, Array(bytes[at + 9..<at + 9 + length])))
            at += 9 + length
        }
        return found
    }
}

/// A pair of proxies between a client and a server that both say raw bytes.
final class Crossing {
    let pair: Pair
    private(set) var server: RawServer!
    /// Somebody outside of the mesh, who reaches the server's inbound proxy directly.
    let stranger: SimProcess
    private var clients: [RawClient] = []

    init(_ answer: @escaping (String) -> String? = { heard in heard.contains("\r\n\r\n") ? "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" : nil }) throws {
        var made: RawServer?
        pair = try Pair(target: Pair.balanced, policy: Pair.open) { process in
            do {
                made = try RawServer(process, port: 8080)
                made?.answer = answer
                process.keep(made!)
            } catch { process.unexpected("\(error)") }
        }
        server = made
        let node = pair.world.addNode("stranger", ip: IPAddress(10, 0, 0, 9))
        stranger = pair.world.addProcess("stranger", on: node, userID: 1000, settings: Settings()) { process in process.onShutdown { process.exit(0) } }
        stranger.start()
        pair.world.run(for: .milliseconds(10))
    }

    /// From the meshed client to the service.
    func say(_ text: String) -> RawClient { say([UInt8](text.utf8)) }
    func say(_ bytes: [UInt8], reads: Bool = true) -> RawClient { keep(RawClient(pair.client, to: Pair.service, say: bytes, reads: reads)) }

    /// From outside to the server's port.
    func sayDirectly(_ bytes: [UInt8], reads: Bool = true) -> RawClient { keep(RawClient(stranger, to: SocketAddress(pair.api.ip, 8080), say: bytes, reads: reads)) }

    private func keep(_ client: RawClient) -> RawClient {
        clients.append(client)
        return client
    }

    func run(_ interval: Interval = .seconds(2)) { pair.world.run(for: interval) }

    /// Everybody leaves; the judges find nothing that was left behind.
    func end() {
        for client in clients { client.close() }
        run(.seconds(1))
        stranger.stop()
        let verdict = pair.end()
        #expect(verdict.passes, "\(verdict)")
    }
}
