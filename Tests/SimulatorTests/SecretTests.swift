// Declared secrets in passing bytes: found wherever they stand and however the bytes are cut, many at no more cost than one.

import Base
import Testing

@testable import Simulator

@Suite struct `The index of secrets` {
    private func find(_ index: SecretIndex, _ bytes: [UInt8]) -> Int? { bytes.withUnsafeBytes { index.find(in: $0) } }

    @Test func `finds each of many, and nothing where nothing stands`() {
        let index = SecretIndex()
        var random = Random(seed: 3)
        // Half of them begin alike, as tokens do.
        let secrets = (0..<500).map { i in (i % 2 == 0 ? Array("eyJh".utf8) : []) + (0..<24).map { _ in UInt8(97 + random.below(26)) } + Array("\(i)".utf8) }
        for secret in secrets { index.add(secret) }
        for (i, secret) in secrets.enumerated() {
            let noise = (0..<random.below(80)).map { _ in UInt8(random.below(256)) }
            #expect(find(index, noise + secret + noise) == i)
            #expect(find(index, Array(secret.dropLast())) == nil && find(index, Array(secret.dropFirst())) == nil)
        }
        #expect(find(index, []) == nil && find(index, Array("eyJ".utf8)) == nil && find(index, [UInt8](repeating: 101, count: 5000)) == nil)
        index.add(secrets[7])
        #expect(index.secrets.count == 500, "the same again is no other")
    }

    @Test func `an inspector finds a secret in every split, also one declared after its flow began`() {
        let secret = Array("the price is 42".utf8)
        let text = Array("they say that the price is 42 or more".utf8)
        for cut in 0...text.count {
            let index = SecretIndex()
            var inspector = WireInspector(wantsTLS: false, secrets: index)
            index.add(secret)
            let findings = [text[..<cut], text[cut...]].compactMap { part in Array(part).withUnsafeBytes { inspector.inspect($0) } }
            #expect(findings == [.secret(0)], "cut at \(cut)")
        }
    }
}
