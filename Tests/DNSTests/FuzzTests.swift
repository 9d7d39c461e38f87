// DNS messages near valid ones: read or refused, and what was read can be said again with the same meaning.

import Base
import DNS
import Fuzzing
import Testing

@Suite struct `DNS under fuzzing` {
    @Test func `a damaged message is refused or read, and what is read is written as the same`() {
        let name = DNSName("a.example")!
        var valid = DNSMessage.query(id: 7, .init(name, .srv), datagramBytesMax: 1232).response(answers: [
            .service(name, port: 1, target: name, ttlSeconds: 5), .address(name, .loopback, ttlSeconds: 5), .address(name, .v6(1, 2), ttlSeconds: 5), .alias(name, name, ttlSeconds: 5),
        ])
        valid.additionals = [DNSRecord(name: .root, type: .opt, class: 1232, ttlSeconds: 0, data: .other([]))]
        let whole = valid.encoded()
        let tokens: [[UInt8]] = [[0xc0, 0x0c], [0xc0, 0xff], [0xff, 0xff], [0], [63], [0, 0, 0, 0], [1, 0x61]]
        var accepted = 0
        let done = fuzz("dns-message", executions: 5000) { (random) throws in
            var bytes = mutated(whole, tokens: tokens, &random)
            if random.chance(1, in: 2), !bytes.isEmpty { bytes[random.below(bytes.count)] = [0, 1, 12, 0xc0][random.below(4)] }
            guard let message = try? DNSMessage(bytes) else { return }
            accepted += 1
            #expect(try DNSMessage(message.encoded()) == message, "\(bytes)")
        }
        #expect(isFuzzingLong || accepted > done / 50 && accepted < done)
    }

    @Test func `a name that is read is printed as the same name`() {
        let tokens = [".", "\\", "\\046", "\\000", "xn--", "*", "_", "\\.", String(repeating: "a", count: 63)].map { Array($0.utf8) }
        fuzz("dns-name", executions: 8000) { (random) throws in
            let text = String(decoding: mutated(Array("web.shop.svc.cluster.local".utf8), tokens: tokens, &random), as: UTF8.self)
            guard let name = DNSName(text) else { return }
            #expect(DNSName(name.description) == name, "\(text.debugDescription)")
        }
    }
}
