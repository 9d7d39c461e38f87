// What a session is made from. The costly part, OpenSSL's context with key, chain and anchors, is made once per
// configuration and shared by its sessions; server name, accepted peers and protocols are a session's own and cost nothing
// to change, so one client configuration serves every endpoint.

import Base
import COpenSSL
import COpenSSLSystem

/// A key with the chain that proves it, leaf first, without the root.
public struct TLSCredentials: Sendable {
    public let key: PrivateKey
    public let chain: [Certificate]

    /// Refused if the chain is empty, too long, or its leaf is not for the key.
    public init(key: PrivateKey, chain: [Certificate]) throws(Refusal) {
        guard let leaf = chain.first else { throw Refusal("credentials need a certificate") }
        guard chain.count <= TLSLimits.chainDepthMax + 1 else { throw Refusal("a chain may have \(TLSLimits.chainDepthMax + 1) certificates") }
        guard leaf.belongs(to: key) else { throw Refusal("the certificate \(leaf) is not for the given key") }
        self.key = key
        self.chain = chain
    }

    public var leaf: Certificate { chain[0] }
    /// The leaf's first DNS name or URI.
    public var identity: String? { leaf.names.identities.first }
}

public struct TLSClientConfiguration: Sendable {
    public let credentials: TLSCredentials?
    public let anchors: TrustAnchors
    /// Sent as SNI (RFC 6066 section 3). Empty: none is sent.
    public var serverName: String
    /// Names of which the server's leaf must carry one: DNS names, URIs, IP addresses. Empty: no server is accepted.
    public var expectedPeer: [String]
    /// Offered, most wanted first; each 1 to 255 bytes. Empty: no ALPN.
    public var alpn: [[UInt8]]
    let context: TLSContext

    public init(credentials: TLSCredentials? = nil, anchors: TrustAnchors, serverName: String = "", expectedPeer: [String] = [], alpn: [[UInt8]] = []) {
        self.credentials = credentials
        self.anchors = anchors
        self.serverName = serverName
        self.expectedPeer = expectedPeer
        self.alpn = alpn
        context = TLSContext(role: .client, credentials: credentials, anchors: anchors, verifiesPeer: true)
    }

    /// Believes whoever answers, and so proves nothing: a kubeconfig's `insecure-skip-tls-verify`. Its sessions tell no identity.
    public init(believingAnybodyWith credentials: TLSCredentials?, serverName: String, alpn: [[UInt8]]) {
        self.credentials = credentials
        anchors = TrustAnchors([])
        self.serverName = serverName
        expectedPeer = []
        self.alpn = alpn
        context = TLSContext(role: .client, credentials: credentials, anchors: anchors, verifiesPeer: false)
    }

    /// The same context for another server: SNI and the one accepted name are equal, as between Linkerd proxies.
    public func toward(_ identity: String, alpn: [[UInt8]]? = nil) -> TLSClientConfiguration {
        var copy = self
        copy.serverName = identity.contains("://") ? serverName : identity
        copy.expectedPeer = [identity]
        if let alpn { copy.alpn = alpn }
        return copy
    }
}

public struct TLSServerConfiguration: Sendable {
    public let credentials: TLSCredentials
    public let anchors: TrustAnchors
    /// Asks for a certificate. A client may have none; one that does not verify fails the handshake.
    public let requestsClientCertificate: Bool
    /// Accepted, most wanted first. Empty: ALPN is ignored. Otherwise a client that offers only others is refused (RFC 7301 section 3.2).
    public var alpn: [[UInt8]]
    let context: TLSContext

    public init(credentials: TLSCredentials, anchors: TrustAnchors, requestsClientCertificate: Bool = true, alpn: [[UInt8]] = []) {
        self.credentials = credentials
        self.anchors = anchors
        self.requestsClientCertificate = requestsClientCertificate
        self.alpn = alpn
        context = TLSContext(role: .server, credentials: credentials, anchors: anchors, verifiesPeer: requestsClientCertificate)
    }
}

/// OpenSSL's context: immutable once made, shared by the sessions of a configuration on any thread.
final class TLSContext: @unchecked Sendable {
    enum Role: UInt8 { case client, server }

    let pointer: OpaquePointer
    let role: Role
    let verifiesPeer: Bool
    /// Kept alive while OpenSSL refers to them.
    private let credentials: TLSCredentials?
    private let anchors: TrustAnchors

    init(role: Role, credentials: TLSCredentials?, anchors: TrustAnchors, verifiesPeer: Bool) {
        guard let context = weft_tls_context_new(role == .server ? 1 : 0, verifiesPeer ? 1 : 0, TLSLimits.certificateListBytesMax)
        else { invariantBroken("OpenSSL has memory and randomness (in a simulation: bound to the thread) for a TLS context") }
        var isFilled = SSL_CTX_ctrl(context, SSL_CTRL_SET_VERIFY_CERT_STORE, 1, UnsafeMutableRawPointer(anchors.store)) == 1
        TrustAnchors.configure(SSL_CTX_get0_param(context))
        if let credentials {
            isFilled = isFilled && SSL_CTX_use_certificate(context, credentials.leaf.pointer) == 1 && SSL_CTX_use_PrivateKey(context, credentials.key.pointer) == 1
            for certificate in credentials.chain.dropFirst() {
                isFilled = isFilled && SSL_CTX_ctrl(context, SSL_CTRL_CHAIN_CERT, 1, UnsafeMutableRawPointer(certificate.pointer)) == 1
            }
        }
        invariant(isFilled, "checked credentials fit into a TLS context")
        pointer = context
        self.role = role
        self.verifiesPeer = verifiesPeer
        self.credentials = credentials
        self.anchors = anchors
    }

    deinit { SSL_CTX_free(pointer) }
}
