// gRPC framing under random bytes: the same messages and the same refusal in every split.

import Base
import Fuzzing
import Testing

@testable import GRPC

@Suite struct `gRPC under fuzzing` {
    private func read(_ parts: [[UInt8]]) -> (messages: [[UInt8]], end: String) {
        var reader = GRPCMessageReader(limits: { var limits = GRPCLimits(); limits.messageBytesMax = 300; return limits }())
        var messages: [[UInt8]] = []
        do throws(PeerError) {
            for part in parts {
                reader.receive(part.span.bytes)
                while let message = try reader.next() { messages.append(message) }
            }
            try reader.finish()
        } catch { return (messages, error.rule) }
        return (messages, "")
    }

    @Test func `frames are the same messages however they are cut`() {
        var whole = 0
        let done = fuzz("grpc-frames", executions: 4000) { (random) throws in
            let sent = (0..<random.below(6)).map { _ in [UInt8](repeating: UInt8(random.below(256)), count: random.below(random.chance(1, in: 9) ? 400 : 40)) }
            let bytes = mutated(sent.flatMap(GRPCMessage.frame), &random)
            let first = read([bytes])
            let second = read(pieces(bytes, &random))
            #expect(first == second, "\(bytes)")
            if bytes == sent.flatMap(GRPCMessage.frame), sent.allSatisfy({ $0.count <= 300 }) {
                whole += 1
                #expect(first == (sent, ""))
            }
        }
        #expect(isFuzzingLong || whole > done / 10)
    }

    @Test func `a timeout that is read is written as the same or less exact`() {
        fuzz("grpc-timeout", executions: 6000) { (random) throws in
            let valid = "\(random.below(200_000_000))" + ["H", "M", "S", "m", "u", "n"][random.below(6)]
            let text = String(decoding: random.chance(1, in: 2) ? mutated(Array(valid.utf8), &random) : Array(valid.utf8), as: UTF8.self)
            guard let interval = GRPCTimeout.parse(text) else { return }
            let again = GRPCTimeout.parse(GRPCTimeout.format(interval))
            // At least 100,000 of a unit are written before the next coarser one is taken.
            #expect(again.map { ($0 - interval).nanoseconds.magnitude <= interval.nanoseconds.magnitude / 100_000 } == true, "\(text)")
        }
    }
}
