// The promise the simulator rests on: with OpenSSL's randomness bound to a seed, everything TLS makes is the same bytes.

import Base
import CDeterminism
import Testing

@testable import TLS

@Suite struct `Bound randomness` {
    /// Keys, request, certificates, a mutual handshake, data and close: every byte of it.
    func life(seed: UInt64) throws -> [UInt8] {
        try seeded(seed) {
            let realm = try Realm()
            let key = try PrivateKey.generate()
            let request = try CertificateSigningRequest.make(key: key, identity: cart)
            let leaf = try realm.issuer.issue(try CertificateSigningRequest(der: request.der), validity: span())
            let credentials = try TLSCredentials(key: key, chain: [leaf] + realm.issuer.chain)
            let client = TLSClientConfiguration(credentials: credentials, anchors: realm.anchors, serverName: web, expectedPeer: [web], alpn: [Array("h2")])
            var bytes = key.pkcs8 + request.der + leaf.der + realm.root.certificate.der
            let server = try realm.server(alpn: [Array("h2")])
            for _ in 0..<2 {
                let pair = Pair(client, server)
                pair.drive()
                try pair.client.send("hello")
                try pair.server.send([UInt8](repeating: 5, count: 40_000))
                pair.client.session.finish()
                pair.drive()
                #expect(pair.server.established?.identity == cart)
                #expect(pair.server.text == "hello" && pair.server.closed)
                bytes += pair.transcript
            }
            return bytes
        }
    }

    @Test func `repeats two whole lives byte for byte, and differs by seed`() throws {
        let first = try life(seed: 7)
        #expect(try life(seed: 7) == first)
        #expect(try life(seed: 8) != first)
        #expect(first.count > 80_000)
    }

    @Test func `belongs to one thread's binding and fails without one`() throws {
        seeded { #expect(weft_rand_is_bound() == 1) }
        #expect(weft_rand_is_bound() == 0)
        #expect(throws: Refusal.self) { try PrivateKey.generate() }
        #expect(throws: Never.self) { try seeded { _ = try PrivateKey.generate() } }
    }

    /// One more draw between two sessions moves later bytes: the stream is one, and forking it per consumer is its owner's work.
    @Test func `is a stream: an extra draw moves what follows`() throws {
        let plain = try seeded { try PrivateKey.generate().publicKey }
        let moved = try seeded {
            _ = try PrivateKey.generate()
            return try PrivateKey.generate().publicKey
        }
        #expect(plain != moved)
    }
}
