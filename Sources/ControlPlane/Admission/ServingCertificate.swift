// The certificate that a webhook serves with, from a mounted secret that is looked at again and again: kubelet swaps the files
// when the secret changes. A pair that cannot be used leaves the old one in place, and the log says so once.
// Source: linkerd2 controller/webhook/server.go and pkg/tls/creds_watcher.go.

import Base
import Platform
import TLS

final class ServingCertificate {
    /// What the next accepted connection is served with; nil until a pair could be read.
    private(set) var configuration: TLSServerConfiguration?
    private let host: any Host
    private let certificatePath: String
    private let keyPath: String
    private let reloads: Metric
    private let failures: Metric
    private let ttl: Metric
    private var files: MountedFiles?
    private var readyListeners: [() -> Void] = []

    init(host: any Host, certificatePath: String, keyPath: String, interval: Interval, metrics: MetricsRegistry) {
        self.host = host
        self.certificatePath = certificatePath
        self.keyPath = keyPath
        reloads = metrics.counter("webhook_cert_reloads_total", help: "Serving certificates taken into use.")
        failures = metrics.counter("webhook_cert_reload_failures_total", help: "Serving certificates that could not be used.")
        ttl = metrics.gauge("webhook_cert_ttl_seconds", help: "The remaining seconds in the serving certificate's TTL.")
        let files = MountedFiles(host: host, paths: [certificatePath, keyPath], interval: interval) { [self] in look() }
        self.files = files
        files.start()
    }

    /// Called once, at once if there is a certificate already.
    func onReady(_ listener: @escaping () -> Void) {
        if configuration != nil { listener() } else { readyListeners.append(listener) }
    }

    func stop() {
        files?.stop()
        files = nil
        readyListeners = []
    }

    /// Brings the gauge up to date.
    func measure() { if let leaf = configuration?.credentials.leaf { ttl.value = Double((leaf.notAfter - host.wall).seconds) } }

    private func look() {
        do throws(Refusal) {
            let credentials = try load()
            configuration = TLSServerConfiguration(credentials: credentials, anchors: TrustAnchors([]), requestsClientCertificate: false)
            reloads.increment()
            host.log(.info, "webhook", "serving with the certificate \(credentials.leaf), valid until \(credentials.leaf.notAfter)")
        } catch {
            failures.increment()
            host.log(.warn, "webhook", "\(configuration == nil ? "no serving certificate yet" : "the old serving certificate stays"): \(error.reason)")
            return
        }
        let listeners = readyListeners
        readyListeners = []
        for listener in listeners { listener() }
    }

    private func load() throws(Refusal) -> TLSCredentials {
        do {
            let chain = try Certificate.parse(pem: try host.files.read(certificatePath))
            return try TLSCredentials(key: try PrivateKey(pem: try host.files.read(keyPath)), chain: chain)
        } catch let failure as HostFailure {
            throw Refusal("\(failure)")
        } catch let error as PeerError {
            throw Refusal("\(certificatePath) and \(keyPath) cannot be used: \(error.rule)")
        } catch {
            throw (error as? Refusal) ?? Refusal("\(error)")
        }
    }
}
