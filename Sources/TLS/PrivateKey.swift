// A workload's or an authority's key: ECDSA on P-256, the one kind the mesh signs with. In and out as PKCS#8 DER, in as PEM
// too, because issuer secrets carry "EC PRIVATE KEY". Encrypted keys are refused: nobody is there to type a password.

import Base
import COpenSSLSystem

public final class PrivateKey: @unchecked Sendable {
    let pointer: OpaquePointer

    private init(owning pointer: OpaquePointer) { self.pointer = pointer }

    deinit { EVP_PKEY_free(pointer) }

    /// A fresh key. Refused only if OpenSSL has no randomness.
    public static func generate() throws(Refusal) -> PrivateKey {
        OpenSSL.prepare()
        guard let context = EVP_PKEY_CTX_new_from_name(nil, "EC", nil) else { throw OpenSSL.refused("no elliptic curves") }
        defer { EVP_PKEY_CTX_free(context) }
        var key: OpaquePointer?
        guard EVP_PKEY_keygen_init(context) > 0, EVP_PKEY_CTX_set_group_name(context, "P-256") > 0, EVP_PKEY_generate(context, &key) > 0, let key
        else { throw OpenSSL.refused("a key could not be generated") }
        return PrivateKey(owning: key)
    }

    /// From PKCS#8 (RFC 5958) DER. The key must be P-256 and consistent with its public half.
    public convenience init(pkcs8 der: [UInt8]) throws(PeerError) {
        OpenSSL.prepare()
        guard let info = OpenSSL.decoded(der, { d2i_PKCS8_PRIV_KEY_INFO(nil, $0, $1) }, free: { PKCS8_PRIV_KEY_INFO_free($0) })
        else { throw OpenSSL.malformed("PKCS#8 private key") }
        defer { PKCS8_PRIV_KEY_INFO_free(info) }
        guard let key = EVP_PKCS82PKEY(info) else { throw OpenSSL.malformed("PKCS#8 private key") }
        try self.init(checking: key)
    }

    /// From PEM: `PRIVATE KEY` or `EC PRIVATE KEY`. Other blocks before it are skipped.
    public convenience init(pem: [UInt8]) throws(PeerError) {
        OpenSSL.prepare()
        guard pem.count <= TLSLimits.pemBytesMax else { throw PeerError(.connection, code: TLSAlert.badCertificate, rule: "a PEM text may have \(TLSLimits.pemBytesMax) bytes") }
        // Without a callback OpenSSL would ask for a password on the terminal.
        let key = OpenSSL.reading(pem) { PEM_read_bio_PrivateKey_ex($0, nil, { _, _, _, _ in -1 }, nil, nil, nil) }
        guard let key else { throw OpenSSL.malformed("PEM private key") }
        try self.init(checking: key)
    }

    public convenience init(pem: String) throws(PeerError) { try self.init(pem: Array(pem.utf8)) }

    private convenience init(checking key: OpaquePointer) throws(PeerError) {
        var name = [CChar](repeating: 0, count: 32)
        var length = 0
        let isP256 = EVP_PKEY_get_base_id(key) == EVP_PKEY_EC && EVP_PKEY_get_group_name(key, &name, name.count, &length) > 0
            && ["prime256v1", "P-256"].contains(name.withUnsafeBufferPointer { String(cString: $0.baseAddress.unsafelyUnwrapped) })
        let context = EVP_PKEY_CTX_new_from_pkey(nil, key, nil)
        defer { EVP_PKEY_CTX_free(context) }
        guard isP256, EVP_PKEY_pairwise_check(context) > 0 else {
            EVP_PKEY_free(key)
            ERR_clear_error()
            throw PeerError(.connection, code: TLSAlert.badCertificate, rule: isP256 ? "the private key does not belong to its public key" : "a private key must be ECDSA P-256")
        }
        self.init(owning: key)
    }

    /// PKCS#8 DER, unencrypted: the form the proxy keeps on its end-entity directory.
    public var pkcs8: [UInt8] {
        OpenSSL.prepare()
        guard let info = EVP_PKEY2PKCS8(pointer) else { invariantBroken("a P-256 key has a PKCS#8 form") }
        defer { PKCS8_PRIV_KEY_INFO_free(info) }
        return OpenSSL.encoded { i2d_PKCS8_PRIV_KEY_INFO(info, $0) }
    }

    /// `-----BEGIN PRIVATE KEY-----`.
    public var pem: String {
        OpenSSL.prepare()
        return String(decoding: OpenSSL.written { _ = PEM_write_bio_PKCS8PrivateKey($0, pointer, nil, nil, 0, nil, nil) }, as: UTF8.self)
    }

    /// SubjectPublicKeyInfo DER (RFC 5280 section 4.1.2.7).
    public var publicKey: [UInt8] { OpenSSL.encoded { i2d_PUBKEY(pointer, $0) } }
}
