// What attacks cost the attacked proxy in CPU, beside what as many honest connections cost it that ask as fast as a busy client does. CPU time
// of this thread is summed over the proxy's own turns, so that neither the attacker nor the world is counted, nor what else the machine does.

import Base
import Glibc
import Platform
import Scenario
import Simulator
import Testing

@testable import Simulations

/// Adds up the CPU time of one process's turns. Unit: nanoseconds.
private final class Meter {
    private(set) var spent = 0
    private var began = 0

    func watch(_ process: SimProcess, in world: World) {
        world.onTurn = { [self] turning, isBeginning in
            guard turning === process else { return }
            var time = timespec()
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
            let now = time.tv_sec * 1_000_000_000 + time.tv_nsec
            if isBeginning { began = now } else { spent += now - began }
        }
    }

    func reset() { spent = 0 }
}

@Suite struct AttackCostTests {
    private static var attacks: [(String, () -> Assault)] { [
        ("rapid reset", { Assault(opening: Hostile.opening, piece: { Hostile.request(Hostile.stream($0)) + Hostile.reset(Hostile.stream($0)) }) }),
        ("made you reset", { Assault(opening: Hostile.opening, piece: { Hostile.request(Hostile.stream($0)) + Hostile.windowUpdate(Hostile.stream($0), 0) }) }),
        ("CONTINUATION of 16 KiB", { endless(16_384) }), ("empty CONTINUATION", { endless(0) }),
        ("HPACK bomb", {
            let pseudo = Hostile.block([(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "api.demo")])
            let entry: [UInt8] = [0x40, 1, UInt8(ascii: "x"), 0x7f, 0x81, 0x1e] + [UInt8](repeating: UInt8(ascii: "v"), count: 3968)
            return Assault(
                opening: Hostile.opening + Hostile.frame(1, flags: 5, stream: 1, pseudo + entry),
                piece: { Hostile.frame(1, flags: 5, stream: Hostile.stream($0 + 1), pseudo + [UInt8](repeating: 0xbe, count: 12_000)) })
        }),
        ("PING flood", { flood(Hostile.frame(6, [UInt8](repeating: 1, count: 8))) }), ("SETTINGS flood", { flood(Hostile.settings([(4, 65_535)])) }),
        ("empty DATA", { flood(Hostile.data(1, [])) }), ("windows by one byte", { flood(Hostile.windowUpdate(0, 1)) }),
        ("window overflow", { flood(Hostile.windowUpdate(1, 0x7fff_ffff)) }),
        ("closed windows", { Assault(opening: Hostile.opening + Hostile.settings([(4, 0)]) + (0..<200).flatMap { Hostile.request(Hostile.stream($0)) }) }),
    ] }

    private static func endless(_ bytes: Int) -> Assault {
        let frame = Hostile.frame(9, stream: 1, [UInt8](repeating: 0, count: bytes))
        return Assault(opening: Hostile.opening + Hostile.frame(1, flags: 1, stream: 1, Hostile.block([(":method", "GET")])), piece: { _ in frame })
    }

    private static func flood(_ frame: [UInt8]) -> Assault {
        let piece = (0..<50).flatMap { _ in frame }
        return Assault(opening: Hostile.opening + Hostile.request(1, "POST", "/", end: false), piece: { _ in piece })
    }

    @Test func `an attack costs the proxy at most twice what honest load over as many connections does`() {
        let story = Story(
            "hostile/cost", story: "Four connections ask honestly, then four attack in every way.", promise: "No attack costs more than twice the CPU.", source: "the promise of every hostile story"
        ) { stage throws(StoryFailure) in
            let siege = try Siege(stage)
            let meter = Meter()
            meter.watch(siege.api.proxy!, in: stage.world)
            func cost(_ assault: @escaping () -> Assault) -> Int {
                meter.reset()
                let load = Attacker(siege.attacker, target: siege.target, connections: 4, assault: assault)
                stage.world.run(for: .milliseconds(250))
                load.stop()
                stage.world.run(for: .milliseconds(250))
                return meter.spent
            }
            // Eight requests a millisecond on each, all of which are answered.
            let honest = { Assault(opening: Hostile.opening, piece: { i in (0..<8).flatMap { Hostile.request(Hostile.stream(8 * i + $0)) } }, pause: .milliseconds(1)) }
            _ = cost(honest)
            let normal = cost(honest)
            for (name, assault) in Self.attacks {
                let spent = cost(assault)
                stage.say("\(name): \(spent * 100 / normal) % of the CPU of normal load")
                try stage.check(spent <= normal * 2, "\(name) costs \(spent) ns, normal load \(normal) ns")
            }
            stage.world.onTurn = nil
        }
        let outcome = story.run(seed: 1, build: "test")
        print(outcome.narrative.joined(separator: "\n"))
        #expect(outcome.passes, "\(outcome.failure ?? "")")
    }
}
