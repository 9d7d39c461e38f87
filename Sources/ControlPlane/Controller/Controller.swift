// What all controllers share: a client of the API server, an admin port, a gRPC port or a webhook that opens when the controller
// is ready, and an orderly end. Each controller adds its service.

import Base
import HTTP
import Kube
import Platform
import TLS
import Transport

public final class Controller {
    public let name: String
    public let host: any Host
    public let batch: FlushBatch
    public let options: ControllerOptions
    public let client: KubeClient
    public let resolver: Resolver
    public let metrics = MetricsRegistry()
    public let server: GRPCServer
    public let admin: AdminServer
    private let serverMetrics: ServerMetrics
    /// Where the service listens; nil until it is ready.
    public private(set) var address: SocketAddress?
    private var credentials: ControllerCredentials?
    private var webhooks: [(server: WebhookServer, certificate: ServingCertificate)] = []
    private var onStop: [(_ done: @escaping () -> Void) -> Void] = []
    private var isStopping = false
    /// Parts that do not stand yet.
    private var partsAwaited = 0

    /// Binds the admin port; the service's port opens with `serve`. Refused when the API server's address or credentials
    /// cannot be read, or the port is taken.
    init(name: String, host: any Host, options: ControllerOptions) throws(Refusal) {
        self.name = name
        self.host = host
        self.options = options
        batch = FlushBatch(host: host)
        resolver = Resolver(host: host)
        let configuration = try KubeConfiguration.load(host, path: options.kubeconfig, context: options.context.isEmpty ? nil : options.context)
        client = try KubeClient(batch: batch, configuration: configuration, resolver: resolver, userAgent: "weft-controller/\(name)")
        server = GRPCServer(host: host)
        serverMetrics = ServerMetrics(server, registry: metrics)
        do throws(HostFailure) {
            admin = try AdminServer(batch: batch, address: options.adminAddress, metrics: metrics)
        } catch { throw Refusal("\(error)") }
        // Series of services and callers that are gone.
        admin.beforeMetrics { [metrics] in metrics.sweep(now: host.now, idle: .hours(1)) }
        host.onShutdown { [self] in stop() }
    }

    /// Opens the service's port and says that we are ready. With TLS the port opens at once and refuses connections until there
    /// is a certificate.
    func serve(credentials: ControllerCredentials? = nil) {
        guard !isStopping, address == nil else { return }
        self.credentials = credentials
        var settings = HTTP2Settings()
        // A proxy whose node died would leave its streams behind for ever.
        settings.keepAliveInterval = .seconds(30)
        settings.keepAliveTimeout = .seconds(10)
        let tls: (() -> TLSServerConfiguration?)? = credentials.map { credentials in { credentials.server } }
        do throws(HostFailure) {
            address = try server.listen(on: options.address, batch: batch, settings: settings, tls: tls)
        } catch {
            host.log(.error, "controller", "\(name): \(error)")
            return host.exit(1)
        }
        host.log(.info, "controller", "\(name) serves on \(options.address)\(tls == nil ? "" : " with TLS")")
        let stands = awaitPart()
        if let credentials { credentials.onReady(stands) } else { stands() }
    }

    /// Opens a webhook's port at once; connections are refused until there is a certificate, and until then we are not ready.
    func serve(webhook judge: any AdmissionJudge, _ webhook: WebhookOptions) {
        guard !isStopping else { return }
        let certificate = ServingCertificate(
            host: host, certificatePath: webhook.certificatePath, keyPath: webhook.keyPath, interval: options.limits.certificatePollInterval, metrics: metrics)
        do throws(HostFailure) {
            let server = try WebhookServer(batch: batch, address: webhook.address, certificate: certificate, judge: judge, metrics: metrics, limits: options.limits)
            webhooks.append((server, certificate))
        } catch {
            host.log(.error, "controller", "\(name): \(error)")
            certificate.stop()
            return host.exit(1)
        }
        host.log(.info, "controller", "\(name) answers webhooks on \(webhook.address)")
        admin.beforeMetrics { certificate.measure() }
        certificate.onReady(awaitPart())
    }

    /// We are ready when every part that was begun stands: call what this returns when this one does.
    func awaitPart() -> () -> Void {
        partsAwaited += 1
        admin.isReady = false
        return { [self] in
            partsAwaited -= 1
            admin.isReady = partsAwaited == 0 && !isStopping
        }
    }

    /// Called at the beginning of the end.
    func onStop(_ action: @escaping () -> Void) {
        onStop.append { done in
            action()
            done()
        }
    }

    /// The same, for what takes its time: the process waits for `done`, though not longer than for open exchanges.
    func onStop(_ action: @escaping (_ done: @escaping () -> Void) -> Void) { onStop.append(action) }

    /// Takes nothing new, ends open streams, and exits when the last connection is gone or the time is over.
    public func stop() {
        guard !isStopping else { return }
        isStopping = true
        admin.isReady = false
        var isDone = false
        let finish = { [self] in
            if isDone { return }
            isDone = true
            server.close()
            for webhook in webhooks { webhook.server.close() }
            admin.close()
            client.close()
            resolver.close()
            host.exit(0)
        }
        let timer = host.after(options.drainTimeout) { finish() }
        var left = 1 + webhooks.count + onStop.count
        let drained = { [self] in
            left -= 1
            guard left == 0 else { return }
            host.cancel(timer)
            finish()
        }
        for action in onStop { action(drained) }
        onStop = []
        credentials?.stop()
        server.drain(drained)
        for webhook in webhooks {
            webhook.certificate.stop()
            webhook.server.drain(drained)
        }
    }
}
