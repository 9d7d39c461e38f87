// The capture file, read back packet by packet: lengths, checksums, and sequence numbers that make one whole stream.

import Base
import Foundation
import Platform
import Testing

@testable import Simulator

/// One packet of a capture, as its bytes say.
private struct Packet {
    var source: SocketAddress
    var target: SocketAddress
    var isTCP: Bool
    var sequence: UInt32 = 0
    var acknowledged: UInt32 = 0
    var flags: UInt8 = 0
    var payload: [UInt8] = []
    var nanoseconds: Int64
    var areChecksumsRight: Bool

    private static func sum(_ bytes: [UInt8]) -> UInt32 {
        var total: UInt32 = 0
        for i in stride(from: 0, to: bytes.count, by: 2) { total += UInt32(bytes[i]) << 8 | (i + 1 < bytes.count ? UInt32(bytes[i + 1]) : 0) }
        while total > 0xffff { total = total >> 16 + total & 0xffff }
        return total
    }

    static func all(_ file: [UInt8]) -> [Packet] {
        func little(_ at: Int) -> Int { Int(file[at]) | Int(file[at + 1]) << 8 | Int(file[at + 2]) << 16 | Int(file[at + 3]) << 24 }
        #expect(little(0) == 0xa1b2_3c4d && little(20) == 101)
        var packets: [Packet] = []
        var at = 24
        while at < file.count {
            let length = little(at + 8)
            #expect(length == little(at + 12))
            packets.append(Packet(Array(file[at + 16..<at + 16 + length]), Int64(little(at)) * 1_000_000_000 + Int64(little(at + 4))))
            at += 16 + length
        }
        #expect(at == file.count)
        return packets
    }

    init(_ bytes: [UInt8], _ nanoseconds: Int64) {
        func word(_ b: [UInt8], _ at: Int) -> UInt32 { UInt32(b[at]) << 8 | UInt32(b[at + 1]) }
        func long(_ b: [UInt8], _ at: Int) -> UInt32 { word(b, at) << 16 | word(b, at + 2) }
        func quad(_ b: [UInt8], _ at: Int) -> UInt64 { UInt64(long(b, at)) << 32 | UInt64(long(b, at + 4)) }
        self.nanoseconds = nanoseconds
        let isV4 = bytes[0] >> 4 == 4
        let head = isV4 ? 20 : 40
        let from: IPAddress = isV4 ? .v4(long(bytes, 12)) : .v6(quad(bytes, 8), quad(bytes, 16))
        let to: IPAddress = isV4 ? .v4(long(bytes, 16)) : .v6(quad(bytes, 24), quad(bytes, 32))
        let next = isV4 ? bytes[9] : bytes[6]
        let body = Array(bytes[head...])
        let pseudo = Array(isV4 ? bytes[12..<20] : bytes[8..<40]) + [0, 0, UInt8(body.count >> 8), UInt8(body.count & 255), 0, next]
        areChecksumsRight = (!isV4 || Self.sum(Array(bytes[..<20])) == 0xffff) && Self.sum(pseudo + body) == 0xffff
        let total = isV4 ? Int(word(bytes, 2)) : Int(word(bytes, 4)) + 40
        #expect(total == bytes.count)
        isTCP = next == 6
        source = SocketAddress(from, UInt16(word(body, 0)))
        target = SocketAddress(to, UInt16(word(body, 2)))
        if isTCP {
            sequence = long(body, 4)
            acknowledged = long(body, 8)
            flags = body[13]
            payload = Array(body[(Int(body[12] >> 4) * 4)...])
        } else {
            payload = Array(body[8...])
        }
    }
}

@Suite struct `A packet capture` {
    /// Streams that end well, are refused and are reset, over both families, and datagrams.
    func file(seed: UInt64 = 1, nodes: [String]? = nil) throws -> (bytes: [UInt8], client: SocketAddress) {
        let duo = Duo(seed: seed)
        let world = duo.world
        duo.client.node.addAddress(.v6(0xfd00 << 48, 1))
        duo.server.node.addAddress(.v6(0xfd00 << 48, 2))
        let third = world.addNode("c", ip: IPAddress(10, 0, 0, 3))
        let other = world.addProcess("other", on: third, userID: 1, settings: Settings()) { _ in }
        other.start()
        world.run(for: .zero)
        var bytes: [UInt8] = []
        world.capture(nodes: nodes.map { $0.compactMap { world.node($0) } }, includesLoopback: true) { bytes += $0 }
        let (connection, heard) = duo.connect()
        connection.send(pattern(200_000))
        connection.finish()
        let (_, refused) = duo.connect(to: SocketAddress(IPAddress(10, 0, 0, 2), 9))
        let listener = try duo.server.network.listen(on: SocketAddress(.v6(0, 0), 9090), options: ListenOptions(), handler: Acceptor.echo())
        let (six, _) = duo.connect(to: SocketAddress(.v6(0xfd00 << 48, 2), 9090))
        six.send("over six")
        let socket = try duo.client.network.datagrams(on: SocketAddress(.any, 0), handler: Datagrams())
        socket.send(Array("odd").span.bytes, to: SocketAddress(IPAddress(10, 0, 0, 2), 53))
        let recorder = Recorder()
        _ = other.network.connect(to: duo.address, options: ConnectOptions(), handler: recorder)
        world.run(for: .seconds(2))
        six.reset()
        world.run(for: .seconds(2))
        #expect(heard.isClosed && refused.isClosed && recorder.isConnected)
        listener.close()
        socket.close()
        return (bytes, connection.localAddress)
    }

    @Test func `holds whole streams with right numbers and checksums`() throws {
        for seed in 1...4 as ClosedRange<UInt64> {
            let (bytes, client) = try file(seed: seed)
            if let path = ProcessInfo.processInfo.environment["WEFT_SIM_PCAP"] { try Data(bytes).write(to: URL(fileURLWithPath: path)) }
            let packets = Packet.all(bytes)
            #expect(packets.allSatisfy { $0.areChecksumsRight })
            #expect(zip(packets, packets.dropFirst()).allSatisfy { $0.nanoseconds <= $1.nanoseconds })
            #expect(packets[0].nanoseconds == noon.nanoseconds)
            for direction in 0..<2 {
                let mine = packets.filter { ($0.source == client) == (direction == 0) && ($0.source == client || $0.target == client) && $0.isTCP }
                var next = mine[0].sequence
                var content: [UInt8] = []
                for packet in mine {
                    #expect(packet.sequence == next)
                    next = next &+ UInt32(packet.payload.count) &+ (packet.flags & 2 != 0 ? 1 : 0) &+ (packet.flags & 1 != 0 ? 1 : 0)
                    content += packet.payload
                }
                #expect(content == pattern(200_000))
                #expect(mine.filter { $0.flags & 1 != 0 }.count == 1 && mine.filter { $0.flags & 2 != 0 }.count == 1)
                // Nobody acknowledges what was not sent yet, and the last word acknowledges everything.
                let theirs = packets.last { $0.isTCP && ($0.source == client) != (direction == 0) && ($0.source == client || $0.target == client) }!
                #expect(theirs.acknowledged == next)
            }
            #expect(packets.contains { $0.flags & 4 != 0 && $0.source.port == 9 })
            #expect(packets.contains { !$0.isTCP && $0.payload == Array("odd") })
            #expect(packets.contains { !$0.source.ip.isV4 && $0.payload == Array("over six") })
        }
    }

    @Test func `is limited to the nodes asked for`() throws {
        let packets = Packet.all(try file(nodes: ["c"]).bytes)
        let third = IPAddress(10, 0, 0, 3)
        #expect(!packets.isEmpty && packets.allSatisfy { $0.source.ip == third || $0.target.ip == third })
    }
}
