// What the transport's tests share: a simulated network of a client, two servers and a name server, identities, and handlers
// that note what they hear.

import Base
import DNS
import HTTP
import Platform
import Simulator
import TLS
import Testing

@testable import Transport

let noon = WallTime(year: 2026, month: 6, day: 1, hour: 12)!

/// Three nodes with a process each, and a name server.
final class Net {
    let world: World
    let client: SimProcess
    let server: SimProcess
    let spare: SimProcess
    let names: NameServer
    let batches: [FlushBatch]
    var kept: [AnyObject] = []

    static let serverIP = IPAddress(10, 0, 0, 2)
    static let spareIP = IPAddress(10, 0, 0, 3)

    init(seed: UInt64 = 1, _ change: (inout WorldOptions) -> Void = { _ in }) {
        var options = WorldOptions(start: noon)
        options.build = "test"
        change(&options)
        let world = World(seed: seed, options: options)
        let processes = [("client", IPAddress(10, 0, 0, 1)), ("server", Self.serverIP), ("spare", Self.spareIP)].map { name, ip in
            world.addProcess("main", on: world.addNode(name, ip: ip), userID: 1, settings: Settings()) { _ in }
        }
        self.world = world
        (client, server, spare) = (processes[0], processes[1], processes[2])
        names = world.addNameServer("names", ip: IPAddress(10, 0, 0, 53), zone: DNSName("cluster.local")!)
        batches = processes.map { FlushBatch(host: $0) }
        for process in processes { process.start() }
        world.run(for: .zero)
    }

    func batch(_ process: SimProcess) -> FlushBatch { process === client ? batches[0] : process === server ? batches[1] : batches[2] }

    /// As a turn of the client.
    @discardableResult
    func asClient<R>(_ body: () throws -> R) rethrows -> R { try Self.turn(client, body) }
    @discardableResult
    func asServer<R>(_ body: () throws -> R) rethrows -> R { try Self.turn(server, body) }

    static func turn<R>(_ process: SimProcess, _ body: () throws -> R) rethrows -> R {
        // `SimProcess.run` takes no throwing body: the error is carried around it.
        func carried(_ body: () throws -> R, _ failed: (any Error) throws -> Never) rethrows -> R {
            var result: R?
            var failure: (any Error)?
            process.run { do { result = try body() } catch { failure = error } }
            if let failure { try failed(failure) }
            return result!
        }
        return try carried(body) { throw $0 }
    }

    func run(_ seconds: Int64 = 5) { world.run(for: .seconds(seconds)) }

    @discardableResult
    func wait(_ limit: Interval = .seconds(60), _ what: String = "a condition", _ condition: () -> Bool) -> Bool { world.run(until: condition, limit: limit, awaiting: what) }

    /// Nothing of the world's own rules was broken.
    func judge() {
        let verdict = world.finish()
        #expect(verdict.passes, "\(verdict)")
    }
}

/// An authority with the identities it gave.
struct Identities {
    let authority: CertificateAuthority
    let anchors: TrustAnchors

    /// To be made inside a turn: keys come from the process's stream.
    init() throws {
        authority = try CertificateAuthority.selfSignedRoot(name: "identity.linkerd.cluster.local", validity: noon - .hours(1)...noon + .days(365))
        anchors = TrustAnchors([authority.certificate])
    }

    static func name(_ account: String) -> String { "\(account).shop.serviceaccount.identity.linkerd.cluster.local" }

    func credentials(_ account: String, from: WallTime = noon - .hours(1), until: WallTime = noon + .days(1)) throws -> TLSCredentials {
        try authority.issueCredentials(identity: Self.name(account), validity: from...until)
    }

    func server(_ account: String) throws -> TLSServerConfiguration { TLSServerConfiguration(credentials: try credentials(account), anchors: anchors) }

    func client(_ account: String?, toward peer: String) throws -> TLSClientConfiguration {
        TLSClientConfiguration(credentials: try account.map { try credentials($0) }, anchors: anchors, serverName: Self.name(peer), expectedPeer: [Self.name(peer)])
    }
}

/// Notes what a connection tells.
final class Listener: ConnectionHandler {
    var isConnected = false
    var bytes: [UInt8] = []
    var isFinished = false
    var isClosed = false
    var failure: HostFailure?
    var onConnected: ((any Connection) -> Void)?
    var onReceived: ((any Connection, [UInt8]) -> Void)?
    var text: String { String(decoding: bytes, as: UTF8.self) }

    func connected(_ connection: any Connection) {
        isConnected = true
        onConnected?(connection)
    }
    func received(_ bytes: RawSpan, on connection: any Connection) {
        self.bytes += bytes.array()
        onReceived?(connection, bytes.array())
    }
    func finished(_ connection: any Connection) { isFinished = true }
    func closed(_ connection: any Connection, _ failure: HostFailure?) {
        isClosed = true
        self.failure = failure
    }
}

/// Gives each accepted connection to a closure.
final class Accepting: AcceptHandler {
    let take: (any Connection) -> Void
    init(_ take: @escaping (any Connection) -> Void) { self.take = take }
    func accepted(_ connection: any Connection) { take(connection) }
}

extension Connection {
    func send(_ text: String) {
        let bytes = Array(text.utf8)
        send(bytes.span.bytes)
    }
}

func pattern(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) } }
