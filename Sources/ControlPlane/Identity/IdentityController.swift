// The identity service as a process: trust anchors and issuer followed as they change, tokens judged by the API server, issuance
// told as events. Source: linkerd2 controller/cmd/identity/main.go.

import Base
import Kube
import MeshAPI
import Platform
import TLS
import Transport

public struct IdentityControllerOptions: Sendable {
    public var service = IdentityOptions()
    public var scheme = IssuerScheme.linkerd
    public var issuerDirectory = "/var/run/linkerd/identity/issuer"
    public var anchorsPath = "/var/run/linkerd/identity/trust-roots/ca-bundle.crt"

    public init() {}

    /// Its own name, that of its service account.
    public var localName: String {
        "linkerd-identity.\(service.controllerNamespace).serviceaccount.identity.\(service.controllerNamespace).\(service.trustDomain)"
    }
}

public final class IdentityController {
    public let controller: Controller
    public let service: IdentityService
    private let identity: IdentityControllerOptions
    private let anchors: TrustAnchorsFile
    private let recorder: EventRecorder
    private var credentials: ControllerCredentials?
    private var files: MountedFiles?

    /// Source: linkerd2's default addresses, `:8080` and `:9990`.
    public static let defaults = ControllerOptions(address: SocketAddress(.any, 8080), adminAddress: SocketAddress(.any, 9990))

    /// Starts; the caller keeps it while it is to run. It ends itself when the host shuts down.
    public static func run(host: any Host, options: ControllerOptions = defaults, identity: IdentityControllerOptions) throws(Refusal) -> IdentityController {
        try IdentityController(host: host, options: options, identity: identity)
    }

    private init(host: any Host, options: ControllerOptions, identity: IdentityControllerOptions) throws(Refusal) {
        controller = try Controller(name: "identity", host: host, options: options)
        self.identity = identity
        anchors = try controller.anchors(identity.anchorsPath)
        let recorder = EventRecorder(client: controller.client, component: "linkerd-identity")
        self.recorder = recorder
        let namespace = identity.service.controllerNamespace
        service = IdentityService(options: identity.service, anchors: anchors.anchors, reviewer: KubeTokenReviewer(client: controller.client), wall: { host.wall }) { event in
            switch event.subject {
            case .issuerDeployment:
                recorder.record(about: .deployments, KubeKey(namespace, "linkerd-identity"), isWarning: event.isWarning, reason: event.reason, message: event.message)
            case .serviceAccount(let accountNamespace, let name):
                recorder.record(about: .serviceAccounts, KubeKey(accountNamespace, name), isWarning: event.isWarning, reason: event.reason, message: event.message)
            }
            host.log(event.isWarning ? .warn : .info, "identity", event.message)
        }
        controller.server.register(Mesh.Identity.certify, unary: { [service] request, _, answer in service.certify(request, answer) })
        if let tls = options.tls {
            credentials = .issued(by: { [service] in service.issuer }, name: tls.localName.isEmpty ? identity.localName : tls.localName, anchors: anchors, options: identity.service, host: host)
        }
        let issuerTTL = controller.metrics.gauge("issuer_cert_ttl_seconds", help: "The remaining seconds in the issuer certificate's TTL")
        controller.admin.beforeMetrics { [service] in
            if let issuer = service.issuer { issuerTTL.value = Double((issuer.notAfter - host.wall).seconds) }
        }
        controller.onStop { [self] in
            recorder.close()
            self.files?.stop()
            self.files = nil
        }
        checkAccess()
        let paths = [identity.scheme.certificateFile, identity.scheme.keyFile].map { "\(identity.issuerDirectory)/\($0)" }
        let files = MountedFiles(host: host, paths: paths, interval: options.limits.issuerPollInterval) { [self] in look() }
        self.files = files
        // An issuer that did not lead to the anchors may lead to the new ones.
        anchors.onChange { [self] in
            service.update(anchors: anchors.anchors)
            look()
        }
        files.start()
        controller.serve(credentials: credentials)
    }

    /// A missing permission would otherwise show only when the first proxy asks.
    private func checkAccess() {
        controller.client.reviewOwnAccess(KubeAccess(verb: "create", group: "authentication.k8s.io", resource: "tokenreviews")) { [controller] result in
            switch result {
            case .success(let review) where review.isAllowed: break
            case .success(let review): controller.host.log(.error, "identity", "may not create tokenreviews: \(review.reason.isEmpty ? "give the service account the role of linkerd-identity" : review.reason)")
            case .failure(let error): controller.host.log(.warn, "identity", "whether tokenreviews may be created is unknown: \(error)")
            }
        }
    }

    /// Loads the issuer when its files, or what it must lead to, have changed.
    private func look() {
        let host = controller.host
        do throws(Refusal) {
            service.update(issuer: try IssuerFiles.load(host.files, directory: identity.issuerDirectory, scheme: identity.scheme, anchors: anchors.anchors, at: host.wall))
            credentials?.renewNow()
        } catch {
            service.skipped(issuer: error)
        }
    }
}

/// Judges tokens by the API server's TokenReview.
public final class KubeTokenReviewer: TokenReviewer {
    private let client: KubeClient

    public init(client: KubeClient) { self.client = client }

    public func review(token: String, audiences: [String], _ answer: @escaping (Result<TokenReview, TokenReviewFailure>) -> Void) {
        client.reviewToken(token, audiences: audiences) { result in
            answer(
                result.map { TokenReview(isAuthenticated: $0.isAuthenticated, username: $0.username, error: $0.error) }
                    .mapError { TokenReviewFailure("\($0)") })
        }
    }
}
