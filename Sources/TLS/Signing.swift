// Signatures by a private key over a message, in the fixed form that JSON Web Signature asks for, and the digest that names
// keys. Narrow on purpose: what certificates need signed, OpenSSL signs itself.

import Base
import COpenSSLSystem

extension PrivateKey {
    /// ECDSA on P-256 with SHA-256: 64 bytes, r before s (RFC 7518 section 3.4). Refused only if OpenSSL has no randomness.
    public func signature(of message: [UInt8]) throws(Refusal) -> [UInt8] {
        OpenSSL.prepare()
        guard let context = EVP_MD_CTX_new() else { throw OpenSSL.refused("a message could not be signed") }
        defer { EVP_MD_CTX_free(context) }
        var count = 0
        guard EVP_DigestSignInit_ex(context, nil, "SHA256", nil, nil, pointer, nil) == 1, EVP_DigestSign(context, nil, &count, message, message.count) == 1
        else { throw OpenSSL.refused("a message could not be signed") }
        var der = [UInt8](repeating: 0, count: count)
        guard EVP_DigestSign(context, &der, &count, message, message.count) == 1, let fixed = Self.fixed(Array(der.prefix(count)))
        else { throw OpenSSL.refused("a message could not be signed") }
        return fixed
    }

    /// The signature is this key's over the message.
    public func verifies(_ signature: [UInt8], of message: [UInt8]) -> Bool {
        OpenSSL.prepare()
        guard signature.count == 64, let context = EVP_MD_CTX_new() else { return false }
        defer {
            EVP_MD_CTX_free(context)
            ERR_clear_error()
        }
        let der = Self.sequence(Self.integer(signature[..<32]) + Self.integer(signature[32...]))
        return EVP_DigestVerifyInit_ex(context, nil, "SHA256", nil, nil, pointer, nil) == 1
            && EVP_DigestVerify(context, der, der.count, message, message.count) == 1
    }

    // An ECDSA signature in DER is a sequence of two integers (RFC 3279 section 2.2.3), each at most 33 bytes here, so that all
    // lengths take one byte.

    private static func fixed(_ der: [UInt8]) -> [UInt8]? {
        guard der.count > 2, der[0] == 0x30, Int(der[1]) == der.count - 2 else { return nil }
        var out: [UInt8] = []
        var i = 2
        for _ in 0..<2 {
            guard i + 1 < der.count, der[i] == 2, i + 2 + Int(der[i + 1]) <= der.count else { return nil }
            let digits = der[(i + 2)..<(i + 2 + Int(der[i + 1]))].drop { $0 == 0 }
            guard digits.count <= 32 else { return nil }
            out += [UInt8](repeating: 0, count: 32 - digits.count) + digits
            i += 2 + Int(der[i + 1])
        }
        return i == der.count ? out : nil
    }

    private static func integer(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        var digits = Array(bytes.drop { $0 == 0 })
        if digits.isEmpty || digits[0] >= 0x80 { digits.insert(0, at: 0) }
        return [2, UInt8(digits.count)] + digits
    }

    private static func sequence(_ content: [UInt8]) -> [UInt8] { [0x30, UInt8(content.count)] + content }
}

/// SHA-256 (FIPS 180-4): 32 bytes.
public func sha256(_ message: [UInt8]) -> [UInt8] {
    OpenSSL.prepare()
    var digest = [UInt8](repeating: 0, count: 32)
    var count = 0
    guard EVP_Q_digest(nil, "SHA256", nil, message, message.count, &digest, &count) == 1, count == 32 else { invariantBroken("OpenSSL has SHA-256") }
    return digest
}
