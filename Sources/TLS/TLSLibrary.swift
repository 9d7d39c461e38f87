// What the linked OpenSSL gives to every session: for logs and metrics, because it differs between machines that run the same program.

import Base
import COpenSSL
import COpenSSLSystem

public enum TLSLibrary {
    /// As it says itself: `OpenSSL 3.5.9 29 Sep 2026`.
    public static var version: String { OpenSSL_version(OPENSSL_VERSION).map { String(cString: $0) } ?? "unknown" }

    /// Key exchange groups, most wanted first: `X25519MLKEM768` before all when the library has it (OpenSSL 3.5,
    /// draft-ietf-tls-ecdhe-mlkem), so that what is recorded today cannot be read by a quantum computer later. Decided once a process.
    public static var groups: [String] {
        String(cString: weft_tls_groups()).split(separator: ":").map { String($0.drop { $0 == "*" }) }
    }

    /// Peers that can do so, too, agree on a post-quantum hybrid.
    public static var offersHybrid: Bool { groups.contains("X25519MLKEM768") }
}
