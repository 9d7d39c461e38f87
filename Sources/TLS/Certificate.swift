// An X.509 certificate as a value: parsed by OpenSSL, shown in the mesh's words. Immutable; properties are read from the
// parsed form when asked for, because a handshake needs only the names.

import Base
import COpenSSL
import COpenSSLSystem

public final class Certificate: @unchecked Sendable, Hashable, CustomStringConvertible {
    let pointer: OpaquePointer
    /// subjectAltName.
    public let names: SubjectNames

    /// Takes over one reference.
    init(owning pointer: OpaquePointer) {
        self.pointer = pointer
        if let names = X509_get_ext_d2i(pointer, NID_subject_alt_name, nil, nil) {
            let list = OpaquePointer(names)
            self.names = SubjectNames(reading: list)
            GENERAL_NAMES_free(list)
        } else {
            names = SubjectNames()
        }
    }

    deinit { X509_free(pointer) }

    /// From exactly one DER certificate.
    public convenience init(der: [UInt8]) throws(PeerError) {
        OpenSSL.prepare()
        guard let parsed = OpenSSL.decoded(der, { d2i_X509(nil, $0, $1) }, free: { X509_free($0) }) else { throw OpenSSL.malformed("certificate") }
        self.init(owning: parsed)
    }

    /// Every certificate of a PEM text, in its order; blocks of other kinds are skipped. At least one.
    public static func parse(pem: [UInt8]) throws(PeerError) -> [Certificate] {
        OpenSSL.prepare()
        func fault(_ rule: String) -> PeerError { PeerError(.connection, code: TLSAlert.badCertificate, rule: rule) }
        guard pem.count <= TLSLimits.pemBytesMax else { throw fault("a PEM text may have \(TLSLimits.pemBytesMax) bytes") }
        var certificates: [Certificate] = []
        try OpenSSL.reading(pem) { (bio: OpaquePointer) throws(PeerError) in
            while true {
                var kind: UnsafeMutablePointer<CChar>?
                var header: UnsafeMutablePointer<CChar>?
                var bytes: UnsafeMutablePointer<UInt8>?
                var count = 0
                guard PEM_read_bio(bio, &kind, &header, &bytes, &count) == 1 else {
                    // "no start line" is how OpenSSL says end of text.
                    let isEnd = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE
                    guard isEnd else { throw OpenSSL.malformed("PEM text") }
                    ERR_clear_error()
                    return
                }
                defer {
                    CRYPTO_free(kind, nil, 0)
                    CRYPTO_free(header, nil, 0)
                    CRYPTO_free(bytes, nil, 0)
                }
                guard let kind, ["CERTIFICATE", "X509 CERTIFICATE"].contains(String(cString: kind)) else { continue }
                guard certificates.count < TLSLimits.pemCertificatesMax else { throw fault("a PEM text may have \(TLSLimits.pemCertificatesMax) certificates") }
                certificates.append(try Certificate(der: [UInt8](UnsafeBufferPointer(start: bytes, count: count))))
            }
        }
        guard !certificates.isEmpty else { throw fault("a PEM text must hold a certificate") }
        return certificates
    }

    public static func parse(pem: String) throws(PeerError) -> [Certificate] { try parse(pem: Array(pem.utf8)) }

    // MARK: What it says

    public var der: [UInt8] { OpenSSL.encoded { i2d_X509(pointer, $0) } }

    /// `-----BEGIN CERTIFICATE-----`.
    public var pem: String { String(decoding: OpenSSL.written { _ = PEM_write_bio_X509($0, pointer) }, as: UTF8.self) }

    public var subjectCommonName: String? { commonName(X509_get_subject_name(pointer)) }
    public var issuerCommonName: String? { commonName(X509_get_issuer_name(pointer)) }

    /// The whole subject on one line, control and non-ASCII characters escaped (RFC 2253 style): `CN = web, O = Acme`.
    public var subject: String { oneLine(X509_get_subject_name(pointer)) }
    public var issuer: String { oneLine(X509_get_issuer_name(pointer)) }

    /// First instant of validity.
    public var notBefore: WallTime { wallTime(X509_get0_notBefore(pointer)) }
    /// Last second of validity.
    public var notAfter: WallTime { wallTime(X509_get0_notAfter(pointer)) }

    /// Says CA:TRUE in basicConstraints, and its key usage, if any, allows signing certificates.
    public var isCA: Bool { X509_check_ca(pointer) == 1 }

    /// Signed by its own key. Equal subject and issuer do not suffice: Linkerd's issuer and root share a name.
    public var isSelfSigned: Bool {
        defer { ERR_clear_error() }
        return X509_self_signed(pointer, 1) == 1
    }

    /// Lower-case hexadecimal, two digits a byte, no sign.
    public var serial: String { hexadecimal(asn1Bytes(X509_get0_serialNumber(pointer))) }

    /// Of the DER.
    public var sha256: [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 32) { space, written in
            var count: UInt32 = 0
            written = X509_digest(pointer, EVP_sha256(), space.baseAddress, &count) == 1 ? Int(count) : 0
        }
    }

    /// SubjectPublicKeyInfo DER, to be compared with `PrivateKey.publicKey`.
    public var publicKey: [UInt8] { OpenSSL.encoded { i2d_X509_PUBKEY(X509_get_X509_PUBKEY(pointer), $0) } }

    public func belongs(to key: PrivateKey) -> Bool {
        defer { ERR_clear_error() }
        return X509_check_private_key(pointer, key.pointer) == 1
    }

    /// The first DNS name or URI, else the commonName, else the subject: for people.
    public var description: String { names.identities.first ?? subjectCommonName ?? subject }

    /// Whether a name is in the SAN: URI exactly, IP address by value, DNS name without regard to case and without wildcards.
    public func carries(_ name: String) -> Bool {
        defer { ERR_clear_error() }
        return Array(name.utf8).withUnsafeBufferPointer { weft_x509_has_name(pointer, $0.baseAddress, $0.count) == 1 }
    }

    public static func == (a: Certificate, b: Certificate) -> Bool { X509_cmp(a.pointer, b.pointer) == 0 }
    public func hash(into hasher: inout Hasher) { hasher.combine(sha256) }

    /// Checks a chain (leaf first) up to one of the anchors. Throws what is wrong in plain words; code is the TLS alert.
    public static func verify(chain: [Certificate], anchors: TrustAnchors, at time: WallTime, purpose: Purpose = .any) throws(PeerError) {
        try anchors.verify(chain: chain, at: time, purpose: purpose)
    }

    /// What the leaf's extended key usage must allow.
    public enum Purpose: UInt8, Sendable, CaseIterable { case any, client, server }
}

func hexadecimal(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for byte in bytes {
        text.append(digits[Int(byte >> 4)])
        text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
}

private func oneLine(_ name: OpaquePointer?) -> String {
    String(decoding: OpenSSL.written { X509_NAME_print_ex($0, name, 0, weft_name_print_flags()) }, as: UTF8.self)
}

/// Certificates may name years that nanoseconds cannot reach (2262): those are clamped.
private func wallTime(_ time: UnsafePointer<ASN1_TIME>?) -> WallTime {
    var seconds: Int64 = 0
    guard let time, weft_asn1_time_seconds(time, &seconds) == 1 else { return WallTime(nanoseconds: .min) }
    let limit = Int64.max / 1_000_000_000
    return seconds > limit ? WallTime(nanoseconds: .max) : seconds < -limit ? WallTime(nanoseconds: .min) : WallTime(seconds: seconds)
}
