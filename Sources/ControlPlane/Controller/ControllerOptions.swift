// What every controller is told at start, besides what its service is told.

import Base
import Platform

public struct ControllerOptions: Sendable {
    /// Where the service listens.
    public var address: SocketAddress
    /// Where `/ready`, `/live`, `/ping` and `/metrics` are served.
    public var adminAddress: SocketAddress
    /// Empty: found as `KubeConfiguration.load` says.
    public var kubeconfig = ""
    /// The context of the kubeconfig; empty: its current one.
    public var context = ""
    /// How the service proves who it is. nil: cleartext, because a proxy beside it does mutual TLS, as in Linkerd.
    public var tls: TLSOptions?
    /// How long open exchanges may take to end after the process was asked to stop. Source: half of Kubernetes' default
    /// terminationGracePeriodSeconds, so that nothing is killed.
    public var drainTimeout = Interval.seconds(15)
    public var limits = ControlPlaneLimits()

    public init(address: SocketAddress, adminAddress: SocketAddress) {
        self.address = address
        self.adminAddress = adminAddress
    }

    /// How a controller without a proxy beside it gets its own certificate: from the identity service, like a proxy.
    public struct TLSOptions: Sendable {
        /// Its own name; empty: that of its service account as Linkerd installs it.
        public var localName = ""
        /// PEM file of the trust anchors.
        public var anchorsPath = "/var/run/linkerd/identity/trust-roots/ca-bundle.crt"
        public var tokenPath = "/var/run/secrets/tokens/linkerd-identity-token"
        /// The identity service. Not used by the identity service itself, which has the issuer.
        public var identityHost = "linkerd-identity-headless.linkerd.svc.cluster.local."
        public var identityPort: UInt16 = 8080
        public var identityName = "linkerd-identity.linkerd.serviceaccount.identity.linkerd.cluster.local"

        public init() {}
    }
}

/// Where a webhook answers, and with what certificate. Source: linkerd2 pkg/k8s, MountPathTLSCrtPEM and MountPathTLSKeyPEM.
public struct WebhookOptions: Sendable {
    public var address: SocketAddress
    /// PEM, leaf first.
    public var certificatePath = "/var/run/linkerd/tls/tls.crt"
    /// PEM.
    public var keyPath = "/var/run/linkerd/tls/tls.key"

    public init(address: SocketAddress) { self.address = address }
}
