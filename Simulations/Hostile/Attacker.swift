// Somebody outside of the mesh who speaks bytes that no client would, as fast as they are taken, over connections that are made again
// when they end; and the frames of HTTP/2 that this takes, spelled out.

import Base
import Platform
import Simulator

/// One connection's worth of an attack.
struct Assault {
    /// Said first.
    var opening: [UInt8]
    /// Said behind that, piece by piece, from 0, as fast as it is taken; nil: nothing more.
    var piece: (Int) -> [UInt8]? = { _ in nil }
    /// A pause between pieces.
    var pause: Interval?
    /// Leaves everything that is said to it where it is.
    var reads = true
}

final class Attacker {
    private let process: SimProcess
    private let target: SocketAddress
    private let assault: () -> Assault
    private var open: [Attack] = []
    private var isOver = false
    /// Connections made, and those of them that the other side ended.
    private(set) var made = 0
    private(set) var ended = 0
    /// Bytes that were taken, and heard.
    private(set) var bytesSaid = 0
    private(set) var bytesHeard = 0
    private(set) var heard: [UInt8] = []
    /// Of each connection that was ended, the bytes it took to get there.
    private(set) var bytesToEnd: [Int] = []

    /// `connections` at a time from now on.
    init(_ process: SimProcess, target: SocketAddress, connections: Int, assault: @escaping () -> Assault) {
        self.process = process
        self.target = target
        self.assault = assault
        process.run { for _ in 0..<connections { begin() } }
    }

    func stop() {
        isOver = true
        process.run {
            for attack in open { attack.close() }
            open = []
        }
    }

    private func begin() {
        made += 1
        open.append(Attack(process, target, assault(), self))
    }

    fileprivate func said(_ bytes: Int) { bytesSaid += bytes }
    fileprivate func heard(_ bytes: [UInt8]) {
        bytesHeard += bytes.count
        if heard.count < 65_536 { heard += bytes }
    }

    fileprivate func over(_ attack: Attack) {
        open.removeAll { $0 === attack }
        ended += 1
        bytesToEnd.append(attack.said)
        // The next one comes after a while, as somebody who must dial again.
        process.after(.milliseconds(100)) { [self] in if !isOver { begin() } }
    }
}

private final class Attack: ConnectionHandler {
    private let process: SimProcess
    private let assault: Assault
    private let owner: Attacker
    private var connection: (any Connection)?
    private(set) var said = 0
    private var next = 0
    private var isWaiting = false

    init(_ process: SimProcess, _ target: SocketAddress, _ assault: Assault, _ owner: Attacker) {
        self.process = process
        self.assault = assault
        self.owner = owner
        connection = process.network.connect(to: target, options: ConnectOptions(timeout: .seconds(5)), handler: self)
    }

    func close() {
        connection?.handler = nil
        connection?.reset()
        connection = nil
    }

    func connected(_ connection: any Connection) {
        connection.isReadingPaused = !assault.reads
        say(assault.opening)
        proceed()
    }

    func drained(_ connection: any Connection) { proceed() }

    func received(_ bytes: RawSpan, on connection: any Connection) { owner.heard(bytes.array()) }

    func finished(_ connection: any Connection) {
        connection.close()
        end()
    }

    func closed(_ connection: any Connection, _ failure: HostFailure?) { end() }

    private func say(_ bytes: [UInt8]) {
        connection?.send(bytes)
        said += bytes.count
        owner.said(bytes.count)
    }

    private func proceed() {
        guard !isWaiting else { return }
        while let connection, connection.bytesQueued < 16_384, let piece = assault.piece(next) {
            next += 1
            say(piece)
            guard let pause = assault.pause else { continue }
            isWaiting = true
            process.after(pause) { [self] in
                isWaiting = false
                proceed()
            }
            return
        }
        // Sends that leave at once are not told of: look again soon.
        guard connection != nil, assault.piece(next) != nil else { return }
        isWaiting = true
        process.after(.milliseconds(1)) { [self] in
            isWaiting = false
            proceed()
        }
    }

    private func end() {
        guard connection != nil else { return }
        connection?.handler = nil
        connection = nil
        owner.over(self)
    }
}

/// Frames of HTTP/2, literally.
enum Hostile {
    static let opening = [UInt8]("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + settings() + frame(4, flags: 1)

    static func frame(_ type: UInt8, flags: UInt8 = 0, stream: UInt32 = 0, _ payload: [UInt8] = []) -> [UInt8] {
        let length = word(UInt32(payload.count)).dropFirst()
        return Array(length) + [type, flags] + word(stream) + payload
    }

    static func word(_ value: UInt32) -> [UInt8] { [UInt8(value >> 24), UInt8(value >> 16 & 255), UInt8(value >> 8 & 255), UInt8(value & 255)] }

    static func settings(_ values: [(UInt16, UInt32)] = []) -> [UInt8] {
        var payload: [UInt8] = []
        for (name, value) in values { payload += [UInt8(name >> 8), UInt8(name & 255)] + word(value) }
        return frame(4, payload)
    }

    /// Literals without indexing and without Huffman, each shorter than 127 bytes.
    static func block(_ fields: [(String, String)]) -> [UInt8] {
        var block: [UInt8] = []
        for (name, value) in fields {
            block.append(0)
            for text in [name, value] {
                block.append(UInt8(text.utf8.count))
                block += Array(text.utf8)
            }
        }
        return block
    }

    static func request(_ stream: UInt32, _ method: String = "GET", _ path: String = "/", _ fields: [(String, String)] = [], end: Bool = true) -> [UInt8] {
        frame(1, flags: 4 | (end ? 1 : 0), stream: stream, block([(":method", method), (":scheme", "http"), (":path", path), (":authority", "api.demo")] + fields))
    }

    static func reset(_ stream: UInt32) -> [UInt8] { frame(3, stream: stream, word(8)) }
    static func windowUpdate(_ stream: UInt32, _ bytes: UInt32) -> [UInt8] { frame(8, stream: stream, word(bytes)) }
    static func data(_ stream: UInt32, _ bytes: [UInt8], end: Bool = false) -> [UInt8] { frame(0, flags: end ? 1 : 0, stream: stream, bytes) }

    /// The number of the stream that the `i`th request opens.
    static func stream(_ i: Int) -> UInt32 { UInt32(2 * i + 1) }
}
