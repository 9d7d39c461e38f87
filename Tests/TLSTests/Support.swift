// What the TLS tests share: seeded randomness, an authority with two identities, and two sessions face to face in memory.

import Base
import CDeterminism
import Foundation
import Testing

@testable import TLS

let noon = WallTime(year: 2026, month: 6, day: 1, hour: 12)!
let web = "web.shop.serviceaccount.identity.linkerd.cluster.local"
let cart = "cart.shop.serviceaccount.identity.linkerd.cluster.local"

func span(of time: WallTime = noon, before: Interval = .hours(1), after: Interval = .hours(24)) -> ClosedRange<WallTime> { time - before...time + after }

/// Runs `body` with OpenSSL drawing from `seed` on this thread. Every test that makes keys or sessions runs inside:
/// the method is the process's, and an unbound draw fails.
func seeded<R>(_ seed: UInt64 = 1, _ body: () throws -> R) rethrows -> R {
    precondition(weft_rand_install() == 1)
    let stream = UnsafeMutablePointer<Random>.allocate(capacity: 1)
    stream.initialize(to: Random(seed: seed))
    weft_rand_bind({ context, bytes, count in context!.assumingMemoryBound(to: Random.self).pointee.fill(UnsafeMutableRawBufferPointer(start: bytes, count: count)) }, stream)
    defer {
        weft_rand_bind(nil, nil)
        stream.deallocate()
    }
    return try body()
}

/// One side with what it has said and heard.
final class Side {
    let session: TLSSession
    var established: TLSPeer?
    var data: [UInt8] = []
    var closed = false
    var failure: PeerError?
    var sawEvents = 0

    init(_ session: TLSSession) { self.session = session }

    func pull() {
        while let event = session.nextEvent() {
            sawEvents += 1
            switch event {
            case .established(let peer):
                #expect(established == nil)
                established = peer
            case .data(let count):
                session.withData { bytes in
                    #expect(bytes.byteCount == count)
                    data += bytes.array()
                }
            case .closeNotify: closed = true
            case .failed(let error):
                #expect(failure == nil)
                failure = error
            }
        }
    }

    func drain() -> [UInt8] {
        var buffer = ByteBuffer()
        session.drainOutput(into: &buffer)
        return buffer.array()
    }

    func send(_ bytes: [UInt8]) throws { try session.send(bytes.span.bytes) }
    func send(_ text: String) throws { try send(Array(text.utf8)) }
    var text: String { String(decoding: data, as: UTF8.self) }
}

/// Client and server with a wire that cuts what passes into pieces.
final class Pair {
    let client: Side
    let server: Side
    /// Bytes a piece; 0: whole.
    var piece: Int
    /// Everything that passed, in order, both directions.
    var transcript: [UInt8] = []

    init(_ client: TLSClientConfiguration, _ server: TLSServerConfiguration, at now: WallTime = noon, piece: Int = 0) {
        self.client = Side(TLSSession(client: client, now: now))
        self.server = Side(TLSSession(server: server, now: now))
        self.piece = piece
    }

    /// Until both sides are silent.
    func drive() {
        client.pull()
        server.pull()
        while true {
            let there = client.drain()
            pass(there, to: server)
            let back = server.drain()
            pass(back, to: client)
            if there.isEmpty && back.isEmpty { return }
        }
    }

    private func pass(_ bytes: [UInt8], to side: Side) {
        transcript += bytes
        var at = 0
        while at < bytes.count {
            let end = piece == 0 ? bytes.count : min(bytes.count, at + piece)
            Array(bytes[at..<end]).withUnsafeBytes { side.session.receive($0.bytes) }
            side.pull()
            at = end
        }
    }
}

struct Realm {
    let root: CertificateAuthority
    let issuer: CertificateAuthority
    let anchors: TrustAnchors

    init(name: String = "root.linkerd.cluster.local") throws {
        root = try .selfSignedRoot(name: name, validity: span(before: .days(3000), after: .days(3000)))
        issuer = try root.issueIntermediate(name: "identity.linkerd.cluster.local", validity: span(before: .days(2000), after: .days(2000)))
        anchors = TrustAnchors([root.certificate])
    }

    func credentials(_ identity: String, validity: ClosedRange<WallTime> = span()) throws -> TLSCredentials {
        try issuer.issueCredentials(identity: identity, validity: validity)
    }

    func client(_ identity: String? = cart, toward server: String = web, alpn: [[UInt8]] = []) throws -> TLSClientConfiguration {
        TLSClientConfiguration(credentials: try identity.map { try credentials($0) }, anchors: anchors, serverName: server, expectedPeer: [server], alpn: alpn)
    }

    func server(_ identity: String = web, alpn: [[UInt8]] = []) throws -> TLSServerConfiguration {
        TLSServerConfiguration(credentials: try credentials(identity), anchors: anchors, alpn: alpn)
    }
}

enum Fixtures {
    static let root: String = {
        let tree = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        return ProcessInfo.processInfo.environment["WEFT_FIXTURES"] ?? tree.deletingLastPathComponent().appendingPathComponent("shared/fixtures").path
    }()

    static func bytes(_ path: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: root + "/x509/" + path))) }

    /// Name and bytes of each line of a fuzz corpus.
    static func corpus(_ path: String) throws -> [(name: String, bytes: [UInt8])] {
        try String(decoding: bytes(path), as: UTF8.self).split(separator: "\n").map { line in
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as! [String: Any]
            return (object["name"] as? String ?? "", [UInt8](Data(base64Encoded: object["b64"] as? String ?? "") ?? Data()))
        }
    }
}
