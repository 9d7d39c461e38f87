// x509-limbo: chains by others with the verdicts of others. What we judge differently is listed with its reason; a case that
// should fail and verifies without being listed is a hole.

import Base
import Foundation
import Testing

@testable import TLS

@Suite struct `The limbo of chains` {
    struct Case: Decodable {
        struct Name: Decodable { var kind: String; var value: String }
        var id: String
        var features: [String]
        var validation_kind: String
        var trusted_certs: [String]
        var untrusted_intermediates: [String]
        var peer_certificate: String
        var validation_time: String?
        var expected_result: String
        var expected_peer_name: Name?
    }
    struct Suite: Decodable { var testcases: [Case] }

    func verdict(_ limbo: Case) -> String? {
        do {
            let anchors = TrustAnchors(try limbo.trusted_certs.flatMap { try Certificate.parse(pem: $0) })
            let chain = try ([limbo.peer_certificate] + limbo.untrusted_intermediates).flatMap { try Certificate.parse(pem: $0) }
            let time = limbo.validation_time.flatMap { WallTime(rfc3339: $0) } ?? noon
            try Certificate.verify(chain: chain, anchors: anchors, at: time, purpose: limbo.validation_kind == "CLIENT" ? .client : .server)
            if limbo.validation_kind == "SERVER", let name = limbo.expected_peer_name, !chain[0].carries(name.value) { return "name" }
            return nil
        } catch { return "\(error)" }
    }

    /// Features that ask for what we do not do: revocation, a caller's own depth, the browsers' and the RFC's pedantry.
    static let skipped = ["has-crl", "max-chain-depth", "pedantic-rfc5280", "pedantic-serial-number", "pedantic-webpki-eku", "pedantic-webpki-subscriber-key", "rfc5280-incompatible-with-webpki"]

    /// Case, and why our verdict differs from its authors'.
    static let deviations: [String: String] = [
        // A leaf's own powers to sign are no concern of who only asks for its name.
        "rfc5280::leaf-ku-keycertsign": "leaf shape", "rfc5280::nc::not-allowed-in-ee-critical": "leaf shape", "rfc5280::nc::not-allowed-in-ee-noncritical": "leaf shape",
        "webpki::ee-basicconstraints-ca": "leaf shape", "webpki::san::san-critical-with-nonempty-subject": "leaf shape", "rfc5280::san::underscore-dns": "leaf shape",
        // An anchor is trusted as it is, whatever it says of itself (webpki does the same).
        "rfc5280::root-missing-basic-constraints": "anchor shape", "rfc5280::ski::root-missing-ski": "anchor shape", "webpki::aki::root-with-aki-all-fields": "anchor shape",
        "webpki::aki::root-with-aki-authoritycertissuer": "anchor shape", "webpki::aki::root-with-aki-authoritycertserialnumber": "anchor shape",
        "webpki::aki::root-with-aki-missing-keyidentifier": "anchor shape", "webpki::aki::root-with-aki-ski-mismatch": "anchor shape",
        "webpki::forbidden-rsa-not-divisible-by-8-in-root": "anchor shape",
        // The commonName is never read as an identity, so it may say anything.
        "webpki::cn::case-mismatch": "commonName", "webpki::cn::ipv6-non-rfc5952-mismatch": "commonName", "webpki::cn::ipv6-uppercase-mismatch": "commonName",
        "webpki::cn::not-in-san": "commonName", "webpki::cn::utf8-vs-punycode-mismatch": "commonName",
        // OpenSSL 3.0's reading of name constraints.
        "rfc5280::nc::nc-permits-invalid-dns-san": "name constraints", "rfc5280::nc::nc-permits-invalid-email-san": "name constraints",
        "webpki::nc::intermediate-permitted-excluded-subtrees-both-empty-sequences": "name constraints",
        "webpki::nc::intermediate-permitted-excluded-subtrees-both-null": "name constraints", "rfc5280::nc::nc-forbids-alternate-chain-ica": "name constraints",
        "rfc5280::nc::nc-forbids-same-chain-ica": "name constraints",
        // Stricter than asked.
        "rfc5280::ca-as-leaf": "an authority is no server", "rfc5280::validity::notafter-exact": "OpenSSL ends a validity one second early",
        "rfc5280::validity::notafter-fractional": "OpenSSL ends a validity one second early", "webpki::nc::nc-permits-dns-san-pattern": "no wildcards in the mesh",
    ]

    @Test func `is judged as listed`() throws {
        let suite = try JSONDecoder().decode(Suite.self, from: Data(try Fixtures.bytes("limbo/limbo-slim.json")))
        var judged = 0
        for limbo in suite.testcases where !limbo.features.contains(where: { Self.skipped.contains($0) }) {
            let found = verdict(limbo)
            let agrees = (found == nil) == (limbo.expected_result == "SUCCESS")
            #expect(agrees == (Self.deviations[limbo.id] == nil), "\(limbo.id): expected \(limbo.expected_result), \(found ?? "accepted")")
            judged += 1
        }
        #expect(judged > 80)
    }
}
