// HPACK by the examples of RFC 7541 appendix C and by its edges: integers, Huffman padding, evictions, size updates, secrets.

import Base
import Testing

@testable import HTTP

/// A decoder that keeps every field, in order and as text.
final class PlainDecoder {
    var decoder: HPACKDecoder
    var tableBytes: Int { decoder.tableBytes }

    init(tableBytes: Int = 4096) { decoder = HPACKDecoder(tableBytes: tableBytes) }

    func decode(_ bytes: [UInt8], listBytesMax: Int = 1 << 20) throws(HPACKError) -> [String] {
        var block = HeaderBlock(listBytesMax: listBytesMax, isRaw: true)
        let result = bytes.withUnsafeBytes { raw -> HPACKError? in
            do throws(HPACKError) {
                try decoder.decode(raw, into: &block)
                return nil
            } catch { return error }
        }
        if let result { throw result }
        return block.takeHeaders().list.map { "\($0.name): \($0.value)" }
    }
}

/// An encoder that takes fields as text.
final class PlainEncoder {
    var encoder = HPACKEncoder()
    var tableBytes: Int { encoder.tableBytes }

    func encode(_ fields: [(String, String)], isSensitive: Bool = false) -> [UInt8] {
        let room = fields.reduce(HPACKEncoder.prefixBytesMax) { $0 + HPACKEncoder.bytesMax(name: $1.0.utf8.count, value: $1.1.utf8.count) }
        let target = UnsafeMutableRawPointer.allocate(byteCount: room, alignment: 8)
        defer { target.deallocate() }
        var at = encoder.begin(target)
        for (name, value) in fields {
            var name = name
            var value = value
            at = name.withUTF8 { n in
                value.withUTF8 { v in
                    encoder.write(
                        at, name: UnsafeRawPointer(n.baseAddress!), n.count, value: UnsafeRawPointer(v.baseAddress ?? n.baseAddress!), v.count, known: KnownName(UnsafeRawBufferPointer(n)),
                        isSensitive: isSensitive)
                }
            }
        }
        return [UInt8](UnsafeRawBufferPointer(start: target, count: UnsafeRawPointer(at) - UnsafeRawPointer(target)))
    }
}

func bytes(hex: String) -> [UInt8] {
    let digits = hex.utf8.compactMap(hexDigit)
    return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

@Suite struct HPACKTests {
    @Test func `requests with Huffman of RFC 7541 appendix C4`() throws {
        let plain = PlainDecoder()
        #expect(try plain.decode(bytes(hex: "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff")) == [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"])
        #expect(plain.tableBytes == 57)
        #expect(
            try plain.decode(bytes(hex: "8286 84be 5886 a8eb 1064 9cbf")) == [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com", "cache-control: no-cache"])
        #expect(plain.tableBytes == 110)
        #expect(
            try plain.decode(bytes(hex: "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf"))
                == [":method: GET", ":scheme: https", ":path: /index.html", ":authority: www.example.com", "custom-key: custom-value"])
        #expect(plain.tableBytes == 164)
    }

    @Test func `responses with evictions of RFC 7541 appendix C6`() throws {
        let plain = PlainDecoder(tableBytes: 256)
        _ = try plain.decode(bytes(hex: "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3"))
        #expect(plain.tableBytes == 222)
        #expect(
            try plain.decode(bytes(hex: "4883 640e ffc1 c0bf")) == [":status: 307", "cache-control: private", "date: Mon, 21 Oct 2013 20:13:21 GMT", "location: https://www.example.com"])
        #expect(plain.tableBytes == 222)
        let third = try plain.decode(
            bytes(
                hex: "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07"
            ))
        #expect(
            third == [
                ":status: 200", "cache-control: private", "date: Mon, 21 Oct 2013 20:13:22 GMT", "location: https://www.example.com", "content-encoding: gzip",
                "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
            ])
        #expect(plain.tableBytes == 215)
    }

    @Test func `every byte survives Huffman in both directions`() throws {
        let plain = PlainDecoder()
        let tables = HPACKTables.shared
        var random = Random(seed: 1)
        for length in 0..<300 {
            let text = (0..<length).map { i in length < 256 ? UInt8(truncatingIfNeeded: i &* length) : UInt8(truncatingIfNeeded: random.next()) }
            let coded = [UInt8](unsafeUninitializedCapacity: length * 4 + 8) { buffer, count in
                let start = UnsafeMutableRawPointer(buffer.baseAddress!)
                text.withUnsafeBytes { source in
                    guard let base = source.baseAddress else { return }
                    count = UnsafeRawPointer(tables.huffmanEncode(base, length, to: start)) - UnsafeRawPointer(start)
                    #expect(count == tables.huffmanCount(base, length))
                }
            }
            let back = [UInt8](unsafeUninitializedCapacity: coded.count * 2 + 8) { buffer, count in
                coded.withUnsafeBytes { source in
                    guard let base = source.baseAddress else { return }
                    count = tables.huffmanDecode(base, coded.count, to: UnsafeMutableRawPointer(buffer.baseAddress!))
                }
            }
            #expect(back == text)
        }
        _ = try plain.decode([])
    }

    @Test(arguments: [
        ("80", "index 0"), ("be", "an index of an empty dynamic table"), ("ff ff ff ff ff 0f", "an index of 2^32"), ("ff 80 80 80 80 00", "an integer of too many bytes"),
        ("ff", "an index cut off"), ("40", "a literal without a name"), ("40 01 61", "a literal without a value"), ("40 05 61", "a name cut off"), ("00 00 85 ff ff ff ff ff", "EOS inside"),
        ("00 00 81 fe", "padding that is not ones"), ("00 00 82 1f ff", "padding of more than 7 bits"), ("00 00 81 ff", "a whole byte of padding"), ("82 20", "a size update behind a field"),
        ("3f e2 1f", "a size update above 4096"), ("0f", "a name index cut off"), ("7f ff 00 01 61", "a name index beyond the tables"),
    ])
    func `a broken block is refused`(hex: String, what: String) {
        let plain = PlainDecoder()
        do throws(HPACKError) {
            let fields = try plain.decode(bytes(hex: hex), listBytesMax: 1 << 20)
            Issue.record("\(what) was taken as \(fields)")
        } catch {}
    }

    @Test(arguments: ["", "82", "3f e1 1f 82", "20 3f e1 1f 82", "00 00 00", "00 00 81 1f", "00 00 80", "10 01 61 01 62"])
    func `an odd block is read`(hex: String) throws {
        let plain = PlainDecoder()
        _ = try plain.decode(bytes(hex: hex))
    }

    @Test func `a lowered table size must be followed by an update`() throws {
        let plain = PlainDecoder()
        _ = try plain.decode(bytes(hex: "40 01 61 01 62"))
        plain.decoder.allow(tableBytes: 100)
        #expect(throws: HPACKError.sizeUpdateMissing) { try plain.decode([0x82]) }
        #expect(try plain.decode(bytes(hex: "3f 45 be")) == ["a: b"])
        #expect(throws: HPACKError.sizeUpdateTooLarge) { try plain.decode(bytes(hex: "3f 46")) }
    }

    @Test func `an evicted entry may lend its name to its successor`() throws {
        let plain = PlainDecoder(tableBytes: 64)
        #expect(try plain.decode(bytes(hex: "40 0a") + [UInt8]("0123456789") + [5] + [UInt8]("first")) == ["0123456789: first"])
        // Index 62 with incremental indexing: inserting evicts 62 itself.
        #expect(try plain.decode([0x7e, 6] + [UInt8]("second")) == ["0123456789: second"])
        #expect(try plain.decode([0xbe]) == ["0123456789: second"])
    }

    @Test func `an entry larger than the table empties it`() throws {
        let plain = PlainDecoder(tableBytes: 64)
        _ = try plain.decode(bytes(hex: "40 01 61 01 62"))
        _ = try plain.decode([0x40, 1, 0x61, 40] + [UInt8](repeating: 0x62, count: 40))
        #expect(plain.tableBytes == 0)
        #expect(throws: HPACKError.indexOutside) { try plain.decode([0xbe]) }
    }

    @Test func `secrets stay out of the table and keep their mark`() throws {
        let plain = PlainEncoder()
        for (name, value) in [("authorization", "Bearer of a long and secret token"), ("cookie", "short=1"), ("proxy-authorization", "Basic Zm9v")] {
            for _ in 0..<3 { #expect(plain.encode([(name, value)])[0] & 0xf0 == 0x10) }
        }
        for _ in 0..<3 { #expect(plain.encode([("x-key", "value")], isSensitive: true)[0] & 0xf0 == 0x10) }
        #expect(plain.tableBytes == 0)
        var decoder = HPACKDecoder()
        var block = HeaderBlock(listBytesMax: 1000)
        try plain.encode([("x-key", "value"), ("accept", "*/*")], isSensitive: true).withUnsafeBytes { try decoder.decode($0, into: &block) }
        let headers = block.takeHeaders()
        #expect(headers.fields.map(\.isSensitive) == [true, true])
    }

    @Test func `what repeats costs one byte, what may be unique waits for its second sight`() {
        let plain = PlainEncoder()
        #expect(plain.encode([("content-type", "application/grpc")]).count > 1)
        #expect(plain.encode([("content-type", "application/grpc")]).count == 1)
        #expect(plain.encode([(":path", "/pkg.Service/Method")]).count > 2)
        let before = plain.tableBytes
        #expect(plain.encode([(":path", "/other")]).count > 2)
        #expect(plain.tableBytes == before)
        #expect(plain.encode([(":path", "/pkg.Service/Method")]).count > 2)
        #expect(plain.encode([(":path", "/pkg.Service/Method")]).count == 1)
        #expect(plain.encode([("accept-encoding", "gzip, deflate")]) == [0x90])
        #expect(plain.encode([(":status", "404")]) == [0x8d])
    }

    @Test func `a table resized by the peer is announced, the lowest size first`() throws {
        let plain = PlainEncoder()
        let reader = PlainDecoder()
        #expect(try reader.decode(plain.encode([("x-a", "1"), ("x-a", "1"), ("x-a", "1")])).count == 3)
        plain.encoder.allow(tableBytes: 0)
        plain.encoder.allow(tableBytes: 1000)
        let block = plain.encode([("x-a", "1")])
        #expect(block.starts(with: [0x20, 0x3f, 0xc9, 0x07]))
        #expect(try reader.decode(block) == ["x-a: 1"])
        plain.encoder.allow(tableBytes: 1 << 20)
        #expect(try reader.decode(plain.encode([("x-a", "1")])) == ["x-a: 1"])
    }

    @Test func `a list bomb is counted and not copied`() throws {
        var decoder = HPACKDecoder()
        var block = HeaderBlock(listBytesMax: 16_384)
        // One entry of 4000 bytes, and then 16,000 references to it.
        let bomb = [0x40, 1, 0x61, 0x7f, 0xa1, 0x1e] + [UInt8](repeating: 0x62, count: 4000) + [UInt8](repeating: 0xbe, count: 16_000)
        try bomb.withUnsafeBytes { try decoder.decode($0, into: &block) }
        let (isTooLarge, listBytes, kept) = (block.isTooLarge, block.listBytes, block.takeHeaders().storage.count)
        #expect(isTooLarge)
        #expect(listBytes == 16_001 * 4033)
        #expect(kept <= 16_384)
    }
}
