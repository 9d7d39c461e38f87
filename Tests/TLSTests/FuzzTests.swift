// The look at a connection's first bytes, over damaged ClientHellos: a prefix never says other than the whole, and a session
// that is fed the same bytes ends with an alert or waits, whatever they are.

import Base
import Fuzzing
import Testing

@testable import TLS

@Suite struct `TLS under fuzzing` {
    private let maker = `A ClientHello`()

    private func hello(_ random: inout Random) -> [UInt8] {
        var extensions: [(UInt16, [UInt8])] = [(10, [0, 2, 0, 29])]
        if random.chance(2, in: 3) { extensions.append(maker.name("web.shop")) }
        if random.chance(2, in: 3) { extensions.append(maker.alpn(["h2", "http/1.1"])) }
        if random.chance(1, in: 3) { extensions.swapAt(0, random.below(extensions.count)) }
        let message = maker.hello(extensions: extensions, session: random.below(33))
        return maker.records(message, of: random.chance(1, in: 2) ? message.count : 1 + random.below(message.count))
    }

    @Test func `a prefix of a hello is incomplete or judged as the whole is`() {
        var understood = 0
        let done = fuzz("client-hello", executions: 1500) { (random) throws in
            let valid = hello(&random)
            let bytes = mutated(valid, tokens: [[22, 3, 1, 0, 1], [0, 0], [0xff, 0xff], [0, 16], [0, 0, 0, 5]], &random)
            let whole = maker.sniff(bytes)
            if case .hello = whole { understood += 1 }
            if bytes == valid { #expect(whole != .incomplete && whole != .notTLS) }
            for _ in 0..<8 {
                let count = random.below(bytes.count + 1)
                let part = maker.sniff(Array(bytes.prefix(count)))
                #expect(part == .incomplete || part == whole, "\(count) of \(bytes)")
            }
            #expect(whole == .incomplete || maker.sniff(bytes + [1, 2, 3]) == whole, "\(bytes)")
        }
        #expect(isFuzzingLong || understood > done / 5)
    }

    @Test func `a damaged certificate text is read or refused, and what is read is written as the same`() throws {
        let chain = try seeded { try Realm().credentials(web).chain }
        let pem = Array(chain.map(\.pem).joined().utf8)
        var accepted = 0
        let done = fuzz("certificate", executions: 600) { (random) throws in
            let text = mutated(pem, tokens: [Array("-----BEGIN CERTIFICATE-----\n"), Array("-----END CERTIFICATE-----\n"), Array("\n\n"), Array("AAAA")], &random)
            var der = mutated(chain[0].der, &random)
            if random.chance(1, in: 2), !der.isEmpty { der[random.below(der.count)] = UInt8(random.below(256)) }
            for certificate in (try? Certificate.parse(pem: text)) ?? [] {
                accepted += 1
                #expect(try Certificate(der: certificate.der) == certificate)
            }
            if let certificate = try? Certificate(der: der) {
                _ = certificate.names
                #expect(throws: PeerError.self) { try Certificate.verify(chain: [certificate], anchors: TrustAnchors([chain[0]]), at: noon + .days(90_000)) }
            }
        }
        #expect(isFuzzingLong || accepted > done / 10)
    }
}
