// Digests, hexadecimal, base64, ports, and the words of failures.

import Base
import Testing

@Suite struct `Digests and texts` {
    private func digest(_ bytes: [UInt8]) -> UInt64 {
        var digest = Digest64()
        digest.mix(bytes.span.bytes)
        return digest.value
    }

    @Test func `a digest tells order, length and every bit`() {
        var seen: Set<UInt64> = []
        for length in 0...40 {
            let zeros = [UInt8](repeating: 0, count: length)
            seen.insert(digest(zeros))
            for bit in 0..<length * 8 {
                var one = zeros
                one[bit / 8] = 1 << UInt8(bit % 8)
                seen.insert(digest(one))
            }
        }
        #expect(seen.count == 41 + 8 * (1...40).reduce(0, +))
        var (ab, ba) = (Digest64(), Digest64())
        ab.mix(1)
        ab.mix(2)
        ba.mix(2)
        ba.mix(1)
        #expect(ab.value != ba.value)
    }

    @Test func `a digest of text is that of its bytes`() {
        var text = Digest64()
        text.mix(string: "größer")
        #expect(text.value == digest(Array("größer".utf8)))
    }

    @Test func `one bit more or less moves half of a digest`() {
        var random = Random(seed: 2)
        var moved = 0
        for _ in 0..<1000 {
            var bytes = (0..<24).map { _ in UInt8(random.below(256)) }
            let before = digest(bytes)
            bytes[random.below(24)] ^= 1 << UInt8(random.below(8))
            moved += (before ^ digest(bytes)).nonzeroBitCount
        }
        #expect(moved > 30_000 && moved < 34_000)
    }

    @Test func `hexadecimal has two digits a byte`() {
        #expect(hexadecimal([0, 0x0f, 0xa0, 0xff]) == "000fa0ff")
        #expect(UInt64(0xabc).hex == "0000000000000abc")
        let read = (0...255).compactMap { hexDigit(UInt8($0)) }
        #expect(read == Array(0...9) + Array(10...15) + Array(10...15))
    }

    @Test(arguments: [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy")])
    func `base64 is that of RFC 4648 section 10`(_ plain: String, _ coded: String) {
        #expect(base64Encoded(Array(plain.utf8)) == coded)
        #expect(base64Decoded(coded) == Array(plain.utf8))
        #expect(base64Decoded(coded.filter { $0 != "=" }, isURL: true) == Array(plain.utf8))
    }

    @Test(arguments: ["Z", "Zg", "Zg=", "Zh==", "Zm9=", "Zm8=Zg==", "====", "=", "Zm9v!", "-_-_", "Zg==="])
    func `base64 in no form is refused`(_ text: String) { #expect(base64Decoded(text) == nil) }

    @Test func `base64 may be wrapped, and has an alphabet for addresses`() {
        #expect(base64Decoded("Zm9v\r\n YmFy\n") == Array("foobar".utf8))
        #expect(base64Decoded("-_-_", isURL: true) == base64Decoded("+/+/"))
        #expect(base64Decoded("+/+/", isURL: true) == nil)
    }

    @Test(arguments: [("0", 0), ("80", 80), ("65535", 65535), ("00080", 80)] as [(String, UInt16)])
    func `a port is read`(_ text: String, _ port: UInt16) { #expect(parsePort(text) == port) }

    @Test(arguments: ["", "65536", "-1", "+1", " 1", "1 ", "000080", "0x1", "８０"])
    func `a port in no form is refused`(_ text: String) { #expect(parsePort(text) == nil) }

    @Test func `failures say what happened, to whom`() {
        #expect(HostFailure("connect", .connectionRefused, subject: "1.2.3.4:80").description == "connect 1.2.3.4:80: connection refused")
        #expect(HostFailure("listen", .other, errno: 22).description == "listen: failed (errno 22)")
        for reason in HostFailure.Reason.allCases { #expect(!HostFailure("x", reason).description.isEmpty) }
        #expect(PeerError(.stream, code: 3, rule: "windows end at 2^31-1").description == "windows end at 2^31-1 (code 3, ends the stream)")
    }
}
