// The issuer's certificate and key from a mounted secret, looked at again and again: kubelet swaps the files when the secret
// changes, and missed notifications were a real incident upstream. A new pair that cannot be used leaves the old one in place.
// Source: linkerd2 pkg/identity, pkg/tls, shared facts on the control plane 4.

import Base
import Platform
import TLS

public enum IssuerScheme: String, Sendable, CaseIterable {
    case linkerd = "linkerd.io/tls"
    case kubernetes = "kubernetes.io/tls"

    var certificateFile: String { self == .linkerd ? "crt.pem" : "tls.crt" }
    var keyFile: String { self == .linkerd ? "key.pem" : "tls.key" }
}

public enum IssuerFiles {
    /// Reads, and judges as an issuer: a CA certificate, its key, and a chain to the anchors, at `now`.
    public static func load(_ files: any Files, directory: String, scheme: IssuerScheme, anchors: TrustAnchors, at now: WallTime) throws(Refusal) -> CertificateAuthority {
        do {
            let certificates = try Certificate.parse(pem: try files.read("\(directory)/\(scheme.certificateFile)"))
            let key = try PrivateKey(pem: try files.read("\(directory)/\(scheme.keyFile)"))
            guard let first = certificates.first else { throw Refusal("\(directory)/\(scheme.certificateFile) holds no certificate") }
            let authority = try CertificateAuthority(certificate: first, key: key, intermediates: Array(certificates.dropFirst()))
            try verify(authority, anchors: anchors, at: now)
            return authority
        } catch let failure as HostFailure {
            throw Refusal("\(failure)")
        } catch let error as PeerError {
            throw Refusal("the issuer in \(directory) cannot be used: \(error.rule)")
        } catch {
            throw (error as? Refusal) ?? Refusal("\(error)")
        }
    }

    /// The issuer's chain must lead to the anchors now.
    static func verify(_ authority: CertificateAuthority, anchors: TrustAnchors, at now: WallTime) throws(PeerError) {
        try Certificate.verify(chain: [authority.certificate] + authority.intermediates, anchors: anchors, at: now)
    }
}
