// The authorities a peer's chain must end at, and the checking of a chain against them at a given time. An anchor need not
// be self-signed (as in webpki, which Linkerd's proxy uses). No revocation: mesh certificates live for a day.

import Base
import COpenSSL
import COpenSSLSystem

public final class TrustAnchors: @unchecked Sendable {
    let store: OpaquePointer
    public let certificates: [Certificate]

    /// From a PEM bundle of at least one certificate.
    public convenience init(pem: [UInt8]) throws(PeerError) { self.init(try Certificate.parse(pem: pem)) }
    public convenience init(pem: String) throws(PeerError) { self.init(try Certificate.parse(pem: pem)) }

    /// From none nothing is trusted.
    public init(_ certificates: [Certificate]) {
        OpenSSL.prepare()
        guard let store = X509_STORE_new() else { invariantBroken("OpenSSL is out of memory") }
        for certificate in certificates { X509_STORE_add_cert(store, certificate.pointer) }
        TrustAnchors.configure(X509_STORE_get0_param(store))
        self.store = store
        self.certificates = certificates
    }

    deinit { X509_STORE_free(store) }

    public var pem: String { certificates.reduce(into: "") { $0 += $1.pem } }

    /// What every verification shares, in handshakes too.
    static func configure(_ parameters: OpaquePointer?) {
        X509_VERIFY_PARAM_set_flags(parameters, UInt(X509_V_FLAG_PARTIAL_CHAIN))
        // 112 bits (NIST SP 800-57): no RSA under 2048, no curve under 224, no SHA-1 signatures. As in handshakes.
        X509_VERIFY_PARAM_set_auth_level(parameters, 2)
        X509_VERIFY_PARAM_set_depth(parameters, Int32(TLSLimits.chainDepthMax))
    }

    /// Checks a chain, leaf first.
    func verify(chain: [Certificate], at time: WallTime, purpose: Certificate.Purpose) throws(PeerError) {
        OpenSSL.prepare()
        defer { ERR_clear_error() }
        guard let leaf = chain.first else { throw PeerError(.connection, code: TLSAlert.badCertificate, rule: "a chain must have a certificate") }
        guard let context = X509_STORE_CTX_new_ex(nil, nil), let others = OPENSSL_sk_new_null() else { invariantBroken("OpenSSL is out of memory") }
        defer {
            X509_STORE_CTX_free(context)
            OPENSSL_sk_free(others)
        }
        for certificate in chain.dropFirst() { OPENSSL_sk_push(others, UnsafeRawPointer(certificate.pointer)) }
        guard X509_STORE_CTX_init(context, store, leaf.pointer, others) == 1 else { throw OpenSSL.malformed("chain") }
        let parameters = X509_STORE_CTX_get0_param(context)
        X509_VERIFY_PARAM_set_time(parameters, Int(time.seconds))
        switch purpose {
        case .any: break
        case .client: X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_CLIENT)
        case .server: X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_SERVER)
        }
        var error: Int32 = 0
        var culprit: OpaquePointer?
        guard weft_x509_verify(context, purpose == .server ? 1 : 0, &error, &culprit) != 1 else { return }
        throw verificationError(error, about: culprit.map { Certificate(owning: $0) } ?? leaf, expected: [])
    }
}

/// X509_V_ERR_* in the words of this mesh.
func verificationError(_ code: Int32, about certificate: Certificate?, expected: [String]) -> PeerError {
    let who = certificate.map { "\($0)" } ?? "unknown"
    func error(_ alert: UInt32, _ rule: String) -> PeerError { PeerError(.connection, code: alert, rule: rule) }
    switch code {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
        X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        let issuer = certificate?.issuer ?? ""
        return error(TLSAlert.unknownAuthority, "certificate signed by unknown authority: \(who)" + (issuer.isEmpty ? "" : " (issuer \(issuer))"))
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return error(TLSAlert.certificateExpired, "certificate expired at \(certificate.map { "\($0.notAfter)" } ?? "an unknown time"): \(who)")
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return error(TLSAlert.badCertificate, "certificate not valid before \(certificate.map { "\($0.notBefore)" } ?? "an unknown time"): \(who)")
    case X509_V_ERR_HOSTNAME_MISMATCH:
        let names = certificate?.names.identities ?? []
        return error(
            TLSAlert.badCertificate,
            "certificate is for \(names.isEmpty ? "no name" : names.prefix(4).joined(separator: ", ")), expected \(expected.isEmpty ? "none" : expected.joined(separator: " or "))")
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        return error(TLSAlert.badCertificate, "certificate signature does not verify with its issuer's key: \(who)")
    case X509_V_ERR_INVALID_PURPOSE:
        return error(TLSAlert.badCertificate, "certificate may not be used for this purpose (RFC 5280 section 4.2.1.12): \(who)")
    default:
        return error(TLSAlert.badCertificate, "certificate does not verify: \(String(cString: X509_verify_cert_error_string(Int(code)))): \(who)")
    }
}
