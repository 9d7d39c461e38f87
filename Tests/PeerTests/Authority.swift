// A root, an issuer below it, and what they certify, as objects and as the files that other programs read.

import Base
import Platform
import TLS

struct Authority {
    let root: CertificateAuthority
    let issuer: CertificateAuthority
    let now: WallTime
    var anchors: TrustAnchors { TrustAnchors([root.certificate]) }

    static let server = "web.shop.serviceaccount.identity.linkerd.cluster.local"
    static let client = "cart.shop.serviceaccount.identity.linkerd.cluster.local"

    init(now: WallTime) throws {
        self.now = now
        let validity = (now - .days(30))...(now + .days(30))
        root = try .selfSignedRoot(name: "root.linkerd.cluster.local", validity: validity)
        issuer = try root.issueIntermediate(name: "identity.linkerd.cluster.local", validity: validity)
    }

    func credentials(_ identity: String, from: Interval = .hours(1), until: Interval = .hours(24)) throws -> TLSCredentials {
        try issuer.issueCredentials(identity: identity, validity: (now - from)...(now + until))
    }

    func serverConfiguration(alpn: [String] = []) throws -> TLSServerConfiguration {
        TLSServerConfiguration(credentials: try credentials(Self.server), anchors: anchors, alpn: alpn.map { Array($0.utf8) })
    }

    func clientConfiguration(alpn: [String] = []) throws -> TLSClientConfiguration {
        TLSClientConfiguration(credentials: try credentials(Self.client), anchors: anchors, serverName: Self.server, expectedPeer: [Self.server], alpn: alpn.map { Array($0.utf8) })
    }

    /// Paths of the root, a leaf, its key, and the intermediates between.
    struct Paths {
        var root, leaf, key, chain: String
    }

    func files(_ loop: Loop, _ name: String, _ credentials: TLSCredentials) throws -> Paths {
        Paths(
            root: try loop.put("\(name)-root.pem", root.certificate.pem), leaf: try loop.put("\(name).pem", credentials.leaf.pem), key: try loop.put("\(name)-key.pem", credentials.key.pem),
            chain: try loop.put("\(name)-chain.pem", credentials.chain.dropFirst().map(\.pem).joined()))
    }
}
