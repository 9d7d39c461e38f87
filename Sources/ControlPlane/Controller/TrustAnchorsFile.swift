// The trust anchors of the mesh from their mounted bundle, live: a bundle that gains or loses an anchor is taken up without a restart,
// which upstream needs. A bundle that cannot be read leaves the old one in place. Their remaining life is a metric, which upstream
// lacks, since an anchor that ends takes the whole mesh with it.

import Base
import Platform
import TLS

final class TrustAnchorsFile {
    private(set) var anchors: TrustAnchors
    private let host: any Host
    private let path: String
    private var files: MountedFiles?
    private var listeners: [() -> Void] = []
    /// Of the text that `anchors` are from.
    private var pem: [UInt8]

    /// Refused when there is no usable bundle at the start.
    init(host: any Host, path: String, interval: Interval) throws(Refusal) {
        self.host = host
        self.path = path
        pem = try Self.read(host, path)
        anchors = try Self.parse(pem, path)
        let files = MountedFiles(host: host, paths: [path], interval: interval) { [self] in look() }
        self.files = files
        files.start()
    }

    /// Called after each change of the anchors.
    func onChange(_ listener: @escaping () -> Void) { listeners.append(listener) }

    func stop() {
        files?.stop()
        files = nil
        listeners = []
    }

    /// A gauge that `admin` brings up to date.
    func expose(_ metrics: MetricsRegistry, _ admin: AdminServer) {
        let ttl = metrics.gauge("trust_anchor_cert_ttl_seconds", help: "The remaining seconds in the TTL of the trust anchor that ends first")
        let count = metrics.gauge("trust_anchors", help: "Number of trust anchors")
        admin.beforeMetrics { [self] in
            ttl.value = Double(anchors.certificates.map { ($0.notAfter - host.wall).seconds }.min() ?? 0)
            count.value = Double(anchors.certificates.count)
        }
    }

    private func look() {
        do throws(Refusal) {
            let text = try Self.read(host, path)
            guard text != pem else { return }
            anchors = try Self.parse(text, path)
            pem = text
            host.log(.info, "controller::identity", "\(anchors.certificates.count) trust anchors in \(path) are trusted from now on")
        } catch {
            return host.log(.warn, "controller::identity", "the old trust anchors stay: \(error.reason)")
        }
        for listener in listeners { listener() }
    }

    private static func read(_ host: any Host, _ path: String) throws(Refusal) -> [UInt8] {
        do throws(HostFailure) { return try host.files.read(path) } catch { throw Refusal("the trust anchors cannot be read: \(error)") }
    }

    private static func parse(_ pem: [UInt8], _ path: String) throws(Refusal) -> TrustAnchors {
        do throws(PeerError) { return try TrustAnchors(pem: pem) } catch { throw Refusal("the trust anchors in \(path) cannot be read: \(error.rule)") }
    }
}
