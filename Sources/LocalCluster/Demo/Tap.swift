// A live capture that the loop empties as it runs, kept whole until it is judged: some phrases that must not be seen, such as the
// tokens of service accounts, are known only after they could have been.

import Base
import Capture
import Linux
import Platform

final class Tap {
    private(set) var packets: [CapturedPacket] = []
    private(set) var failure: CaptureFailure?
    /// Packets not kept because there were too many.
    private(set) var refused = 0
    private let capture: LiveCapture
    private let host: LinuxHost
    private var timer: TimerID?

    /// Unit: packets. Full: further ones are counted and make the judgement fail. Source: ours; a demonstration has a few hundred.
    static let packetsMax = 100_000

    /// Opens an interface of a namespace and begins.
    init(_ interface: String, in place: PodNamespace, host: LinuxHost) throws {
        self.host = host
        capture = try place.inside { try LiveCapture(interface: interface) }
        again()
    }

    private func again() {
        timer = host.after(.milliseconds(20)) { [unowned self] in
            drain()
            again()
        }
    }

    private func drain() {
        do throws(CaptureFailure) {
            try capture.drain { packet in
                if packets.count < Self.packetsMax { packets.append(packet) } else { refused += 1 }
            }
        } catch { failure = failure ?? error }
    }

    /// Packets that the kernel lost.
    private(set) var lost = 0

    func stop() {
        guard let timer else { return }
        host.cancel(timer)
        self.timer = nil
        drain()
        lost = capture.lost
        capture.close()
    }

    deinit { stop() }

    /// What was seen, judged for these phrases.
    func judge(_ needles: [[UInt8]]) -> WireWatch {
        let watch = WireWatch(linkType: capture.linkType, needles: needles)
        for packet in packets { watch.take(packet) }
        watch.settle()
        return watch
    }

    /// Why nothing can be concluded from it; nil: it is whole.
    func doubt(_ watch: WireWatch) -> String? {
        if let failure { return "the capture of \(capture.interface) broke: \(failure)" }
        if lost > 0 { return "the capture of \(capture.interface) lost \(lost) packets" }
        if refused > 0 { return "\(refused) packets of \(capture.interface) were too many to keep" }
        if watch.packetsCut > 0 { return "\(watch.packetsCut) packets of \(capture.interface) were cut short" }
        if watch.packets == 0 { return "nothing was captured on \(capture.interface)" }
        return nil
    }
}
