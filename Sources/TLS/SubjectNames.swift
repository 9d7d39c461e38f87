// The names a certificate or a request is for (subjectAltName, RFC 5280 section 4.2.1.6), as text, in the order of the
// encoding, and the building of the two extensions' values we issue. A name that is not printable ASCII is counted but never
// shown as an identity, so that no embedded zero or line break can pass for another name.

import Base
import COpenSSLSystem

public struct SubjectNames: Hashable, Sendable {
    /// DNS names and URIs in the order of the encoding: what the mesh takes for identities.
    public var identities: [String] = []
    public var dns: [String] = []
    public var uris: [String] = []
    public var emails: [String] = []
    public var addresses: [IPAddress] = []
    /// Names of other kinds, and unprintable ones.
    public var otherCount = 0

    public init() {}

    /// Names of every kind.
    public var count: Int { dns.count + uris.count + emails.count + addresses.count + otherCount }

    /// From an owned `GENERAL_NAMES`.
    init(reading names: OpaquePointer) {
        for index in 0..<max(0, OPENSSL_sk_num(names)) {
            guard let entry = OPENSSL_sk_value(names, index) else { continue }
            var kind: Int32 = 0
            guard let value = GENERAL_NAME_get0_value(entry.assumingMemoryBound(to: GENERAL_NAME.self), &kind) else { continue }
            guard [GEN_DNS, GEN_URI, GEN_EMAIL, GEN_IPADD].contains(kind) else {
                otherCount += 1
                continue
            }
            let bytes = asn1Bytes(value.assumingMemoryBound(to: ASN1_STRING.self))
            if kind == GEN_IPADD {
                if let address = IPAddress(octets: bytes) { addresses.append(address) } else { otherCount += 1 }
                continue
            }
            guard !bytes.isEmpty, bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
                otherCount += 1
                continue
            }
            let text = String(decoding: bytes, as: UTF8.self)
            switch kind {
            case GEN_DNS:
                dns.append(text)
                identities.append(text)
            case GEN_URI:
                uris.append(text)
                identities.append(text)
            default: emails.append(text)
            }
        }
    }

    /// An owned `GENERAL_NAMES` with the identity as its one name: a URI if it has a scheme, else a DNS name.
    static func single(_ identity: String) -> OpaquePointer? { list([identity], addresses: []) }

    /// GENERAL_NAMES of DNS names and URIs, then IP addresses. nil if OpenSSL is out of memory.
    static func list(_ identities: [String], addresses: [IPAddress]) -> OpaquePointer? {
        guard let names = OPENSSL_sk_new_null() else { return nil }
        func add(_ kind: Int32, _ type: Int32, _ bytes: [UInt8]) -> Bool {
            guard let name = GENERAL_NAME_new(), let text = ASN1_STRING_type_new(type), ASN1_STRING_set(text, bytes, Int32(bytes.count)) == 1 else { return false }
            GENERAL_NAME_set0_value(name, kind, text)
            OPENSSL_sk_push(names, name)
            return true
        }
        for identity in identities {
            guard add(identity.contains("://") ? GEN_URI : GEN_DNS, V_ASN1_IA5STRING, Array(identity.utf8)) else {
                GENERAL_NAMES_free(names)
                return nil
            }
        }
        for address in addresses {
            guard add(GEN_IPADD, V_ASN1_OCTET_STRING, address.octets) else {
                GENERAL_NAMES_free(names)
                return nil
            }
        }
        return names
    }

    /// Whether the text can be an identity: 1 to 253 printable ASCII bytes (a URI: 2048, SPIFFE-ID section 2.3).
    static func isIdentity(_ text: String) -> Bool {
        let bytes = text.utf8
        return !bytes.isEmpty && bytes.count <= (text.contains("://") ? 2048 : 253) && bytes.allSatisfy { $0 > 0x20 && $0 < 0x7f }
    }
}

extension IPAddress {
    /// In network order: 4 or 16.
    fileprivate var octets: [UInt8] {
        switch self {
        case .v4(let word): (0..<4).map { UInt8(truncatingIfNeeded: word >> UInt32(24 - 8 * $0)) }
        case .v6(let high, let low): (0..<16).map { UInt8(truncatingIfNeeded: ($0 < 8 ? high : low) >> UInt64(56 - 8 * ($0 % 8))) }
        }
    }

    fileprivate init?(octets: [UInt8]) {
        switch octets.count {
        case 4: self.init(octets[0], octets[1], octets[2], octets[3])
        case 16:
            let high = octets[0..<8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            let low = octets[8..<16].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            self = .v6(high, low)
        default: return nil
        }
    }
}

func asn1Bytes(_ string: UnsafePointer<ASN1_STRING>) -> [UInt8] {
    [UInt8](UnsafeBufferPointer(start: ASN1_STRING_get0_data(string), count: Int(ASN1_STRING_length(string))))
}

/// The first commonName of an `X509_NAME`; nil if absent or not text.
func commonName(_ name: OpaquePointer?) -> String? {
    let index = X509_NAME_get_index_by_NID(name, NID_commonName, -1)
    guard index >= 0, let value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index)) else { return nil }
    var utf8: UnsafeMutablePointer<UInt8>?
    let count = ASN1_STRING_to_UTF8(&utf8, value)
    defer { CRYPTO_free(utf8, nil, 0) }
    guard count >= 0, let utf8 else { return nil }
    return String(validating: UnsafeBufferPointer(start: utf8, count: Int(count)), as: UTF8.self)
}

/// An owned `X509_NAME` with the identity as its commonName, or an empty one when it is too long for the field
/// (RFC 5280 appendix A, ub-common-name: 64 characters); the SAN then carries it alone.
func subject(named identity: String) -> OpaquePointer? {
    guard let name = X509_NAME_new() else { return nil }
    guard identity.utf8.count <= 64 else { return name }
    guard X509_NAME_add_entry_by_NID(name, NID_commonName, V_ASN1_UTF8STRING, Array(identity.utf8), Int32(identity.utf8.count), -1, 0) == 1 else {
        X509_NAME_free(name)
        return nil
    }
    return name
}
