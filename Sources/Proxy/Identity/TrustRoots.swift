// Roots of trust that change while the proxy runs: a file of PEM, as a mounted ConfigMap is, followed by the world's hints and by looking
// again from time to time. What cannot be read leaves the roots as they are. Linkerd's proxy needs a restart for new roots.

import Base
import Platform
import TLS

final class TrustRoots {
    private let host: any Host
    private let path: String
    private var seen: [UInt8]
    private var watch: (any FileWatch)?
    private var timer: TimerID?
    private var changed: ((TrustAnchors) -> Void)?

    /// `pem`: what is trusted already.
    init(host: any Host, path: String, pem: String) {
        self.host = host
        self.path = path
        seen = Array(pem.utf8)
    }

    /// Tells new roots from now on, in later turns.
    func start(_ changed: @escaping (TrustAnchors) -> Void) {
        self.changed = changed
        let directory = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        do throws(HostFailure) {
            watch = try host.files.watch(directory.isEmpty ? "/" : directory) { [self] in look() }
        } catch { host.log(.debug, "linkerd_identity", "\(path) is not watched, only looked at: \(error)") }
        lookLater(.zero)
    }

    func stop() {
        changed = nil
        watch?.close()
        watch = nil
        if let timer { host.cancel(timer) }
        timer = nil
    }

    private func lookLater(_ delay: Interval) {
        timer = host.after(delay) { [self] in
            timer = nil
            look()
            if changed != nil { lookLater(ProxyLimits.trustRootsInterval) }
        }
    }

    private func look() {
        guard let changed else { return }
        do throws(HostFailure) {
            let bytes = try host.files.read(path)
            if bytes == seen { return }
            // Said once for each content, good or bad.
            seen = bytes
            do throws(PeerError) {
                let anchors = try TrustAnchors(pem: String(decoding: bytes, as: UTF8.self))
                host.log(.info, "linkerd_identity", "New trust roots in \(path)")
                changed(anchors)
            } catch { host.log(.error, "linkerd_identity", "The trust roots in \(path) cannot be used: \(error.rule)") }
        } catch { host.log(.debug, "linkerd_identity", "\(error)") }
    }
}
