// The tables under the engine against plain models: the dynamic table of HPACK, the streams by id, heads by their blocks.

import Base
import Testing

@testable import HTTP

@Suite struct HTTP2TableTests {
    @Test func `the dynamic table is a list that drops its oldest entries`() {
        for seed in 0..<8 as Range<UInt64> {
            var random = Random(seed: seed)
            var table = HPACKDynamicTable(sizeMax: 4096)
            var model: [(String, String)] = []
            for _ in 0..<1500 {
                if random.chance(1, in: 200) {
                    let size = [0, 100, 4096][random.below(3)]
                    table.resize(size)
                }
                var name = String(repeating: "n", count: random.below(20)) + "\(random.below(1000))"
                var value = String(repeating: "v", count: random.chance(1, in: 10) ? random.below(4000) : random.below(60)) + "\(random.below(1000))"
                name.withUTF8 { n in
                    value.withUTF8 { v in
                        _ = table.insert(
                            HPACKField(name: UnsafeRawPointer(n.baseAddress!), nameCount: n.count, value: UnsafeRawPointer(v.baseAddress!), valueCount: v.count, traits: HPACKTraits()))
                    }
                }
                model.insert((name, value), at: 0)
                var size = 0
                let kept = model.prefix { entry in
                    size += entry.0.utf8.count + entry.1.utf8.count + 32
                    return size <= table.sizeMax
                }
                // The first entry that does not fit takes all older ones with it.
                model = Array(kept)
                let count = table.count
                #expect(count == model.count)
                for i in [0, 1, model.count / 2, model.count - 1] where i >= 0 && i < model.count {
                    let field = table.field(i)
                    #expect(field.map { String(decoding: $0.nameBytes, as: UTF8.self) } == model[i].0)
                    #expect(field.map { String(decoding: $0.valueBytes, as: UTF8.self) } == model[i].1)
                }
                let beyond = table.field(model.count) == nil
                #expect(beyond)
            }
        }
    }

    @Test func `streams are found by id whatever comes and goes`() {
        for seed in 0..<20 as Range<UInt64> {
            var random = Random(seed: seed)
            var table = HTTP2StreamTable()
            var model: [UInt32: Int] = [:]
            var next: UInt32 = 1
            for _ in 0..<2000 {
                if random.chance(1, in: 2) || model.isEmpty {
                    // Ids that skip collide in the table.
                    next += 2 * UInt32([1, 1, 1, 16, 64][random.below(5)])
                    var stream = HTTP2Stream(id: next, state: .open, sendWindow: Int(next), receiveWindow: 0)
                    stream.isHeadSent = true
                    model[next] = table.insert(stream)
                } else {
                    let id = model.keys.sorted()[random.below(model.count)]
                    let slot = model[id]!
                    table.remove(slot)
                    model[id] = nil
                    let found = table.find(id)
                    #expect(found == -1)
                }
                let count = table.count
                #expect(count == model.count)
            }
            for (id, slot) in model.sorted(by: { $0.key < $1.key }) {
                let (found, stored) = (table.find(id), table[slot].sendWindow)
                #expect(found == slot && stored == Int(id))
            }
            let ordered = table.ordered.map { table[$0].id }
            #expect(ordered == model.keys.sorted())
        }
    }

    @Test func `heads arrive as they were sent, however often they repeat and the table turns`() throws {
        for seed in 0..<6 as Range<UInt64> {
            var random = Random(seed: seed)
            var pair = HTTP2Pair()
            for round in 0..<400 {
                var headers = Headers()
                for _ in 0..<random.below(4) { headers.add(["x-a", "x-b", "accept", "user-agent"][random.below(4)], ["1", "2", "three", ""][random.below(4)]) }
                // Now and then something new pushes the table on.
                if random.chance(1, in: 8) { headers.add("accept-language", String(repeating: "l", count: random.below(900))) }
                if random.chance(1, in: 10) { headers.add("authorization", "secret \(random.below(3))") }
                let path = HTTPText(["/", "/a", "/b?c=d"][random.below(3)])
                let sent = RequestHead(method: [.get, .post, .put][random.below(3)], authority: ["one.example", "two.example"][random.below(2)], path: path, headers: headers, version: .http2)
                let stream = try pair.client.engine.sendRequest(sent, endStream: true)
                pair.drive()
                #expect(pair.server.requests.last?.head == sent, "seed \(seed) round \(round)")
                var reply = Headers()
                for _ in 0..<random.below(3) { reply.add(["x-a", "server", "content-type"][random.below(3)], ["1", "2", "three"][random.below(3)]) }
                let answer = ResponseHead(status: [200, 404, 503, 204][random.below(4)], headers: reply, version: .http2)
                try pair.server.engine.sendResponse(stream, answer, endStream: false)
                try pair.server.engine.sendTrailers(stream, ["grpc-status": "\(random.below(3))"])
                pair.drive()
                #expect(pair.client.responses.last?.head == answer, "seed \(seed) round \(round)")
            }
        }
    }

    @Test func `equal blocks are equal heads only while the table stands still`() {
        let server = HTTP2End(HTTP2Connection(server: HTTP2Settings()))
        server.receive(Wire.preface + Wire.settings())
        var id: UInt32 = 1
        func head(_ block: [UInt8]) -> String {
            server.receive(Wire.frame(1, flags: 5, stream: id, block))
            id += 2
            return server.requests.last!.head.headers.list.map { "\($0.name): \($0.value)" }.joined()
        }
        let newest: [UInt8] = [0x82, 0x86, 0x84, 0xbe]
        _ = head([0x82, 0x86, 0x84, 0x40] + Wire.string("x") + Wire.string("1"))
        for _ in 0..<4 { #expect(head(newest) == "x: 1") }
        _ = head([0x82, 0x86, 0x84, 0x40] + Wire.string("y") + Wire.string("2"))
        for _ in 0..<4 { #expect(head(newest) == "y: 2") }
        // The table is emptied and filled again without a trace in the blocks.
        _ = head([0x20, 0x3f, 0xe1, 0x1f, 0x82, 0x86, 0x84, 0x40] + Wire.string("z") + Wire.string("3"))
        for _ in 0..<4 { #expect(head(newest) == "z: 3") }
    }
}
