// The queue of bytes against a plain array under random operations, and the promises about its memory.

import Base
import Testing

@Suite struct `A byte buffer` {
    @Test func `does what an array would`() {
        for seed in 1...40 {
            var random = Random(seed: UInt64(seed))
            var buffer = ByteBuffer()
            var model: [UInt8] = []
            for _ in 0..<200 {
                let some = (0..<random.below(random.chance(1, in: 8) ? 700 : 20)).map { _ in UInt8(random.below(256)) }
                switch random.below(10) {
                case 0:
                    buffer.append(some)
                    model += some
                case 1:
                    buffer.append(some.span.bytes)
                    model += some
                case 2:
                    buffer.append(some[(some.count / 2)...])
                    model += some[(some.count / 2)...]
                case 3:
                    buffer.append(bigEndian: UInt32(some.count))
                    model += [0, 0, UInt8(some.count >> 8), UInt8(some.count & 255)]
                case 4:
                    let number = random.next() >> UInt64(random.below(64))
                    buffer.append(decimal: number)
                    model += Array("\(number)".utf8)
                case 5:
                    let written = buffer.fill(reserving: some.count) { room in
                        room.copyBytes(from: some)
                        return some.count
                    }
                    #expect(written == some.count)
                    model += some
                case 6:
                    var other = ByteBuffer()
                    other.append(some)
                    buffer.append(moving: &other)
                    let leftBytes = other.count
                    #expect(leftBytes == 0)
                    model += some
                case 7 where random.chance(1, in: 6):
                    buffer.removeAll()
                    model = []
                default:
                    let count = random.below(model.count + 1)
                    buffer.consume(count)
                    model.removeFirst(count)
                }
                let (count, isEmpty) = (buffer.count, buffer.isEmpty)
                #expect(count == model.count)
                #expect(isEmpty == model.isEmpty)
            }
            let bytes = buffer.array()
            #expect(bytes == model, "seed \(seed)")
        }
    }

    @Test func `owns no memory before the first byte and after its release`() {
        var buffer = ByteBuffer()
        var capacities = [buffer.capacityBytes]
        buffer.append(string: "äb")
        buffer.append("!")
        let text = buffer.text()
        #expect(text == "äb!")
        buffer.consume(4)
        // An emptied buffer keeps its memory.
        capacities.append(buffer.capacityBytes)
        buffer.release()
        capacities.append(buffer.capacityBytes)
        #expect(capacities == [0, 256, 0])
    }

    @Test func `that is read as fast as it is written does not grow`() {
        var buffer = ByteBuffer()
        for _ in 0..<10_000 {
            buffer.append([UInt8](repeating: 1, count: 100))
            buffer.consume(buffer.count > 150 ? 100 : 50)
        }
        let capacityBytes = buffer.capacityBytes
        #expect(capacityBytes <= 1024)
    }

    @Test func `shows what is not UTF-8 as replacement characters`() {
        var buffer = ByteBuffer()
        buffer.append([0x61, 0xff, 0x62])
        let text = buffer.text()
        #expect(text == "a\u{fffd}b")
    }
}
