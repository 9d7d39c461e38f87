// Issues certificates as Linkerd's identity service does (linkerd2 pkg/tls/ca.go): ECDSA-SHA256, one name, client and server
// use. Which identity a caller may have is not decided here; validity is cut to that of the issuing chain.

import Base
import COpenSSLSystem

public final class CertificateAuthority: Sendable {
    public let certificate: Certificate
    public let key: PrivateKey
    /// Between this authority and the root, nearest first; the root itself is not part of it.
    public let intermediates: [Certificate]

    /// An authority from its own certificate and key. Refused if they do not belong together or the certificate is no CA.
    public init(certificate: Certificate, key: PrivateKey, intermediates: [Certificate] = []) throws(Refusal) {
        guard certificate.belongs(to: key) else { throw Refusal("the issuer certificate \(certificate) is not for the given key") }
        guard certificate.isCA else { throw Refusal("the issuer certificate \(certificate) may not sign certificates (basicConstraints CA:TRUE, RFC 5280 section 4.2.1.9)") }
        self.certificate = certificate
        self.key = key
        self.intermediates = intermediates
    }

    /// What a leaf's owner presents after its leaf: this authority's certificate unless it is a root, then the intermediates.
    public var chain: [Certificate] { (certificate.isSelfSigned ? [] : [certificate]) + intermediates }

    /// The instant at which the first certificate of the issuing chain expires.
    public var notAfter: WallTime { intermediates.reduce(certificate.notAfter) { min($0, $1.notAfter) } }

    /// A root with a fresh key. `pathLength`: how many authorities may follow it, nil for any number.
    public static func selfSignedRoot(name: String, validity: ClosedRange<WallTime>, pathLength: Int? = nil) throws(Refusal) -> CertificateAuthority {
        let key = try PrivateKey.generate()
        let certificate = try Blueprint(name: name, publicKey: key.pointer, validity: validity, kind: .authority(pathLength: pathLength)).sign(issuer: nil, key: key)
        return try CertificateAuthority(certificate: certificate, key: key)
    }

    /// An authority below this one, with a fresh key.
    public func issueIntermediate(name: String, validity: ClosedRange<WallTime>, pathLength: Int? = 0) throws(Refusal) -> CertificateAuthority {
        let key = try PrivateKey.generate()
        let blueprint = Blueprint(name: name, publicKey: key.pointer, validity: try clipped(validity), kind: .authority(pathLength: pathLength))
        return try CertificateAuthority(certificate: try blueprint.sign(issuer: certificate, key: self.key), key: key, intermediates: chain)
    }

    /// A leaf for the request's one identity and key. Refused unless it names exactly one DNS name or URI.
    /// Serial: `serial` (big endian), or 127 random bits.
    public func issue(_ request: CertificateSigningRequest, validity: ClosedRange<WallTime>, serial: [UInt8]? = nil) throws(Refusal) -> Certificate {
        guard let identity = request.identity else { throw Refusal("a request must name exactly one DNS name or URI, this one has \(request.names.count) names") }
        OpenSSL.prepare()
        guard let publicKey = X509_REQ_get0_pubkey(request.pointer) else { throw OpenSSL.refused("the request has no key") }
        let blueprint = Blueprint(name: identity, publicKey: publicKey, validity: try clipped(validity), kind: .leaf, serial: serial)
        return try blueprint.sign(issuer: certificate, key: key)
    }

    /// Key, request and leaf in one step: credentials for a component that lives beside its authority.
    public func issueCredentials(identity: String, validity: ClosedRange<WallTime>) throws(Refusal) -> TLSCredentials {
        let key = try PrivateKey.generate()
        let leaf = try issue(try CertificateSigningRequest.make(key: key, identity: identity), validity: validity)
        return try TLSCredentials(key: key, chain: [leaf] + chain)
    }

    /// Credentials of a server that is reached by several names and addresses, such as the Kubernetes API's. The first name is
    /// the subject's, too.
    public func issueServerCredentials(names: [String], addresses: [IPAddress], validity: ClosedRange<WallTime>) throws(Refusal) -> TLSCredentials {
        guard let first = names.first, names.allSatisfy(SubjectNames.isIdentity) else { throw Refusal("a server needs names of 1 to 253 printable ASCII characters") }
        let key = try PrivateKey.generate()
        var blueprint = Blueprint(name: first, publicKey: key.pointer, validity: try clipped(validity), kind: .leaf)
        blueprint.otherNames = Array(names.dropFirst())
        blueprint.addresses = addresses
        return try TLSCredentials(key: key, chain: [try blueprint.sign(issuer: certificate, key: self.key)] + chain)
    }

    private func clipped(_ validity: ClosedRange<WallTime>) throws(Refusal) -> ClosedRange<WallTime> {
        let end = min(validity.upperBound, notAfter)
        guard validity.lowerBound <= end else { throw Refusal("the issuer \(certificate) expired at \(notAfter), before the validity asked for begins") }
        return validity.lowerBound...end
    }
}

/// A certificate before it is signed.
private struct Blueprint {
    enum Kind {
        case leaf
        case authority(pathLength: Int?)
    }

    var name: String
    var publicKey: OpaquePointer
    var validity: ClosedRange<WallTime>
    var kind: Kind
    var serial: [UInt8]?
    var otherNames: [String] = []
    var addresses: [IPAddress] = []

    /// Self-signed when `issuer` is nil.
    func sign(issuer: Certificate?, key: PrivateKey) throws(Refusal) -> Certificate {
        OpenSSL.prepare()
        guard SubjectNames.isIdentity(name) else { throw Refusal("an identity is 1 to 253 printable ASCII characters") }
        guard let x = X509_new_ex(nil, nil), let subject = subject(named: name) else { throw OpenSSL.refused("a certificate could not be made") }
        defer { X509_NAME_free(subject) }
        let isFilled = X509_set_version(x, 2) == 1 && setSerial(x)
            && ASN1_TIME_set(X509_getm_notBefore(x), Int(validity.lowerBound.seconds)) != nil
            && ASN1_TIME_set(X509_getm_notAfter(x), Int(validity.upperBound.seconds)) != nil
            && X509_set_subject_name(x, subject) == 1
            && X509_set_issuer_name(x, issuer.map { X509_get_subject_name($0.pointer) } ?? subject) == 1
            && X509_set_pubkey(x, publicKey) == 1 && addExtensions(x, issuer: issuer?.pointer ?? x)
        guard isFilled, X509_sign(x, key.pointer, EVP_sha256()) > 0 else {
            X509_free(x)
            throw OpenSSL.refused("a certificate for \(name) could not be made")
        }
        return Certificate(owning: x)
    }

    private func setSerial(_ x: OpaquePointer) -> Bool {
        var bytes = serial ?? [UInt8](repeating: 0, count: 16)
        if serial == nil {
            guard RAND_bytes_ex(nil, &bytes, bytes.count, 0) == 1 else { return false }
            bytes[0] = bytes[0] & 0x7f | 0x40  // positive, and always 16 bytes long (RFC 5280 section 4.1.2.2)
        }
        guard !bytes.isEmpty, bytes.count <= 20, let number = BN_bin2bn(bytes, Int32(bytes.count), nil) else { return false }
        defer { BN_free(number) }
        guard let integer = BN_to_ASN1_INTEGER(number, nil) else { return false }
        defer { ASN1_INTEGER_free(integer) }
        return X509_set_serialNumber(x, integer) == 1
    }

    private func addExtensions(_ x: OpaquePointer, issuer: OpaquePointer) -> Bool {
        var context = X509V3_CTX()
        X509V3_set_ctx(&context, issuer, x, nil, nil, 0)
        func add(_ nid: Int32, _ value: String) -> Bool {
            guard let made = X509V3_EXT_conf_nid(nil, &context, nid, value) else { return false }
            defer { X509_EXTENSION_free(made) }
            return X509_add_ext(x, made, -1) == 1
        }
        switch kind {
        case .authority(let pathLength):
            guard add(NID_basic_constraints, "critical,CA:TRUE" + (pathLength.map { ",pathlen:\($0)" } ?? "")), add(NID_key_usage, "critical,keyCertSign,cRLSign")
            else { return false }
        case .leaf:
            guard add(NID_basic_constraints, "critical,CA:FALSE"), add(NID_key_usage, "critical,digitalSignature,keyEncipherment"), add(NID_ext_key_usage, "serverAuth,clientAuth")
            else { return false }
        }
        // The subject's key first: a root's authority key identifier is its own.
        guard add(NID_subject_key_identifier, "hash"), add(NID_authority_key_identifier, "keyid"), let names = SubjectNames.list([name] + otherNames, addresses: addresses) else { return false }
        defer { GENERAL_NAMES_free(names) }
        // Critical when the subject is empty (RFC 5280 section 4.2.1.6).
        return X509_add1_ext_i2d(x, NID_subject_alt_name, UnsafeMutableRawPointer(names), name.utf8.count > 64 ? 1 : 0, UInt(X509V3_ADD_APPEND)) == 1
    }
}
