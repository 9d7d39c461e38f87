// PKCS#10 requests (RFC 2986): made by proxies for their identity, parsed by the identity service. A parsed request's
// signature has been verified, so whoever holds one knows that its sender had the key.

import Base
import COpenSSLSystem

public final class CertificateSigningRequest: @unchecked Sendable {
    let pointer: OpaquePointer
    /// The requested subjectAltName.
    public let names: SubjectNames

    private init(owning pointer: OpaquePointer) {
        self.pointer = pointer
        var found = SubjectNames()
        if let extensions = X509_REQ_get_extensions(pointer) {
            if let list = X509V3_get_d2i(extensions, NID_subject_alt_name, nil, nil).map({ OpaquePointer($0) }) {
                found = SubjectNames(reading: list)
                GENERAL_NAMES_free(list)
            }
            OPENSSL_sk_pop_free(extensions) { X509_EXTENSION_free(OpaquePointer($0)) }
        }
        names = found
    }

    deinit { X509_REQ_free(pointer) }

    /// A request for one identity: the one SAN (a URI if it has a scheme, else DNS) and the commonName, signed ECDSA-SHA256.
    public static func make(key: PrivateKey, identity: String) throws(Refusal) -> CertificateSigningRequest {
        OpenSSL.prepare()
        guard SubjectNames.isIdentity(identity) else { throw Refusal("an identity is 1 to 253 printable ASCII characters") }
        guard let request = X509_REQ_new_ex(nil, nil), let name = subject(named: identity), let sans = SubjectNames.single(identity), let list = OPENSSL_sk_new_null()
        else { throw OpenSSL.refused("a certificate request could not be made") }
        var extensions: OpaquePointer? = list
        defer {
            X509_NAME_free(name)
            GENERAL_NAMES_free(sans)
            OPENSSL_sk_pop_free(extensions) { X509_EXTENSION_free(OpaquePointer($0)) }
        }
        guard X509_REQ_set_version(request, 0) == 1, X509_REQ_set_subject_name(request, name) == 1, X509_REQ_set_pubkey(request, key.pointer) == 1,
            X509V3_add1_i2d(&extensions, NID_subject_alt_name, UnsafeMutableRawPointer(sans), identity.utf8.count > 64 ? 1 : 0, UInt(X509V3_ADD_APPEND)) == 1,
            X509_REQ_add_extensions(request, extensions) == 1, X509_REQ_sign(request, key.pointer, EVP_sha256()) > 0
        else {
            X509_REQ_free(request)
            throw OpenSSL.refused("a certificate request could not be made")
        }
        return CertificateSigningRequest(owning: request)
    }

    /// From exactly one DER request whose signature verifies with its own key.
    public convenience init(der: [UInt8]) throws(PeerError) {
        OpenSSL.prepare()
        guard let parsed = OpenSSL.decoded(der, { d2i_X509_REQ(nil, $0, $1) }, free: { X509_REQ_free($0) }) else { throw OpenSSL.malformed("certificate request") }
        try self.init(verifying: parsed)
    }

    /// From PEM: the first `CERTIFICATE REQUEST`.
    public convenience init(pem: [UInt8]) throws(PeerError) {
        OpenSSL.prepare()
        guard pem.count <= TLSLimits.pemBytesMax else { throw PeerError(.connection, code: TLSAlert.badCertificate, rule: "a PEM text may have \(TLSLimits.pemBytesMax) bytes") }
        let parsed = OpenSSL.reading(pem) { PEM_read_bio_X509_REQ($0, nil, { _, _, _, _ in -1 }, nil) }
        guard let parsed else { throw OpenSSL.malformed("certificate request") }
        try self.init(verifying: parsed)
    }

    private convenience init(verifying parsed: OpaquePointer) throws(PeerError) {
        guard let key = X509_REQ_get0_pubkey(parsed), X509_REQ_verify(parsed, key) == 1 else {
            X509_REQ_free(parsed)
            ERR_clear_error()
            throw PeerError(.connection, code: TLSAlert.badCertificate, rule: "a certificate request must be signed by its own key (RFC 2986 section 4.2)")
        }
        ERR_clear_error()
        self.init(owning: parsed)
    }

    public var der: [UInt8] { OpenSSL.encoded { i2d_X509_REQ(pointer, $0) } }
    public var subjectCommonName: String? { commonName(X509_REQ_get_subject_name(pointer)) }
    /// SubjectPublicKeyInfo DER.
    public var publicKey: [UInt8] { OpenSSL.encoded { i2d_X509_PUBKEY(X509_REQ_get_X509_PUBKEY(pointer), $0) } }

    /// The one identity asked for; nil if the request names none, several, or a name of another kind.
    public var identity: String? { names.count == 1 ? names.identities.first : nil }
}
