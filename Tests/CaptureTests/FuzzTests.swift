// Captures near valid ones: a report or a refusal, the same twice, and never more than the file held.

import Base
import Capture
import Fuzzing
import Testing

@Suite struct `Captures under fuzzing` {
    private func outcome(_ bytes: [UInt8]) -> String {
        do throws(CaptureFailure) {
            let report = try CaptureReport(name: "damaged", bytes: bytes)
            return "\(report.packets) \(report.flows.count) \(report.requestCount) \(report.responseCount) \(report.problems) \(String(describing: report.damage))"
        } catch { return "\(error)" }
    }

    @Test func `a damaged capture is read or refused`() {
        fuzz("capture", executions: 400) { (random) throws in
            let dialogue = Dialogue()
            var wire = Wire()
            var segments = dialogue.handshake + dialogue.requestSegments(cuts: [1 + random.below(20)]) + dialogue.answerSegments(cuts: [1 + random.below(30)])
            if random.chance(1, in: 3) { segments.swapAt(random.below(segments.count), random.below(segments.count)) }
            if random.chance(1, in: 3) { segments.append(segments[random.below(segments.count)]) }
            for segment in segments { wire.add(random.chance(1, in: 4) ? mutated(segment.packet, &random) : segment.packet) }
            let bytes = mutated(wire.bytes, &random)
            #expect(outcome(bytes) == outcome(bytes))
        }
    }
}
