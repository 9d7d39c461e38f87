// Stories of HTTP/2 attacks by their names: streams that are reset, header blocks that do not end or that grow, frames that carry nothing.

import Base
import HTTP
import Scenario

extension Stories {
    // Story: somebody opens streams and resets them at once, as fast as the wire takes it.
    // Promise: the connections are ended after a thousand resets; the others notice nothing.
    // Source: CVE-2023-44487.
    static let rapidReset = Story(
        "hostile/rapid-reset",
        story: "Somebody outside of the mesh opens streams and resets them at once, over four connections at a time.",
        promise: "Each connection is ended early, sixty calls of others are answered as in peace, and what the proxy holds stays bounded.",
        source: "CVE-2023-44487, HTTP/2 rapid reset"
    ) { stage throws(StoryFailure) in
        let siege = try Siege(stage)
        try siege.withstand("rapid reset", bytesMax: 128 * 1024, bytesToEnd: 256 * 1024) {
            Assault(opening: Hostile.opening, piece: { Hostile.request(Hostile.stream($0)) + Hostile.reset(Hostile.stream($0)) })
        }
        try siege.end()
    }

    // Story: somebody makes the server reset streams that its application already works on.
    // Promise: as above.
    // Source: CVE-2025-8671.
    static let madeYouReset = Story(
        "hostile/made-you-reset",
        story: "Somebody breaks a rule on each stream that it opened, so that the server resets it while the application works.",
        promise: "Each connection is ended early, sixty calls of others are answered as in peace, and what the proxy holds stays bounded.",
        source: "CVE-2025-8671, MadeYouReset"
    ) { stage throws(StoryFailure) in
        let siege = try Siege(stage)
        let triggers: [(String, (UInt32) -> [UInt8])] = [
            ("a window of 0", { Hostile.request($0) + Hostile.windowUpdate($0, 0) }), ("a window that overflows", { Hostile.request($0) + Hostile.windowUpdate($0, 0x7fff_ffff) }),
            ("DATA behind the end", { Hostile.request($0) + Hostile.data($0, [1]) }),
            ("more body than promised", { Hostile.request($0, "POST", "/", [("content-length", "1")], end: false) + Hostile.data($0, [1, 2]) }),
        ]
        for (name, trigger) in triggers {
            try siege.withstand(name, connections: 2, bytesMax: 128 * 1024, bytesToEnd: 256 * 1024) { Assault(opening: Hostile.opening, piece: { trigger(Hostile.stream($0)) }) }
        }
        try siege.end()
    }

    // Story: somebody sends a header block that does not end.
    // Promise: the connection is ended at the bound of a block.
    // Source: VU#421644.
    static let continuationFlood = Story(
        "hostile/continuation-flood",
        story: "Somebody sends header blocks of CONTINUATION frames without end, large, small and empty ones.",
        promise: "Each connection is ended at the bound, sixty calls of others are answered as in peace, and what was gathered is let go.",
        source: "VU#421644, HTTP/2 CONTINUATION flood"
    ) { stage throws(StoryFailure) in
        let siege = try Siege(stage)
        for bytes in [16_384, 100, 0] {
            let frame = Hostile.frame(9, stream: 1, [UInt8](repeating: 0, count: bytes))
            let piece = (0..<(bytes > 1000 ? 1 : 50)).flatMap { _ in frame }
            try siege.withstand("CONTINUATION of \(bytes) bytes", bytesMax: 768 * 1024, bytesToEnd: 512 * 1024) {
                let head = Hostile.frame(1, flags: 1, stream: 1, Hostile.block([(":method", "GET")]))
                return Assault(opening: Hostile.opening + head, piece: { _ in piece })
            }
        }
        try siege.end()
    }

    // Story: somebody sends small header blocks that say a lot.
    // Promise: a list beyond the announced size is counted and not kept.
    // Source: CVE-2016-6581, CVE-2023-44487.
    static let headerBombs = Story(
        "hostile/header-bombs",
        story: "Somebody repeats an entry of four kilobytes by one byte a time, and sends heads as large as is allowed.",
        promise: "What exceeds the announced size is refused without being kept, sixty calls of others are answered as in peace.",
        source: "CVE-2016-6581, HPACK bomb"
    ) { stage throws(StoryFailure) in
        let siege = try Siege(stage)
        let pseudo = Hostile.block([(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "api.demo")])
        try siege.withstand("HPACK bomb", bytesMax: 512 * 1024, bytesToEnd: nil) {
            let entry: [UInt8] = [0x40, 1, UInt8(ascii: "x"), 0x7f, 0x81, 0x1e] + [UInt8](repeating: UInt8(ascii: "v"), count: 3968)
            return Assault(
                opening: Hostile.opening + Hostile.frame(1, flags: 5, stream: 1, pseudo + entry),
                piece: { $0 < 200 ? Hostile.frame(1, flags: 5, stream: Hostile.stream($0 + 1), pseudo + [UInt8](repeating: 0xbe, count: 12_000)) : nil })
        }
        // Heads just below the bound, on as many streams as may be open, without an end.
        try siege.withstand("large heads", connections: 2, bytesMax: 1024 * 1024, bytesToEnd: nil) {
            let field = Hostile.block([(String(repeating: "n", count: 100), String(repeating: "v", count: 120))])
            let head = pseudo + (0..<60).flatMap { _ in field }
            return Assault(opening: Hostile.opening, piece: { $0 < 200 ? Hostile.frame(1, flags: 4, stream: Hostile.stream($0), head) : nil }, pause: .milliseconds(2))
        }
        try siege.end()
    }

    // Story: somebody floods with frames that carry nothing.
    // Promise: the connections are ended after a thousand of them.
    // Source: CVE-2019-9512, -9513, -9515, -9518.
    static let controlFloods = Story(
        "hostile/control-floods",
        story: "Somebody floods with PING, SETTINGS, empty DATA, PRIORITY, WINDOW_UPDATE of one byte and unknown frames.",
        promise: "Each connection is ended early, sixty calls of others are answered as in peace, and what the proxy holds stays bounded.",
        source: "CVE-2019-9512, CVE-2019-9513, CVE-2019-9515, CVE-2019-9518"
    ) { stage throws(StoryFailure) in
        let siege = try Siege(stage)
        let floods: [(String, [UInt8])] = [
            ("PING flood", Hostile.frame(6, [UInt8](repeating: 1, count: 8))), ("SETTINGS flood", Hostile.settings([(4, 65_535)])), ("empty DATA", Hostile.data(1, [])),
            ("PRIORITY churn", Hostile.frame(2, stream: 5, [0, 0, 0, 3, 9])), ("windows by one byte", Hostile.windowUpdate(0, 1)), ("unknown frames", Hostile.frame(0x77, [1, 2, 3])),
        ]
        for (name, frame) in floods {
            let piece = (0..<50).flatMap { _ in frame }
            try siege.withstand(name, bytesMax: 128 * 1024, bytesToEnd: 256 * 1024) { Assault(opening: Hostile.opening + Hostile.request(1, "POST", "/", end: false), piece: { _ in piece }) }
        }
        try siege.end()
    }
}
