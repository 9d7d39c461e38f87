// What makes a cluster the same one after a restart besides its objects: its certificate authority, the key that signs tokens and the
// administrator's token. Made at the first start and kept with the objects.

import Base
import Documents
import Platform
import TLS

public struct ClusterSecrets: Sendable {
    public var authority: CertificateAuthority
    public var signingKey: PrivateKey
    public var adminToken: String
    /// They were made just now: the cluster is a new one.
    public var isNew: Bool

    private static let keys = ["m/ca.crt", "m/ca.key", "m/service-account.key", "m/admin-token"]

    /// Those that the records hold, or new ones, which the records hold from then on.
    public static func load(_ records: any RecordStore, host: any Host) throws(Refusal) -> ClusterSecrets {
        var found: [String: String] = [:]
        do throws(HostFailure) {
            try records.read { key, bytes in if keys.contains(key) { found[key] = String(decoding: bytes, as: UTF8.self) } }
        } catch {
            throw Refusal("the cluster's records cannot be read: \(error)")
        }
        if found.isEmpty { return try make(records, host: host) }
        let texts = keys.compactMap { found[$0] }
        guard texts.count == keys.count else { throw Refusal("the cluster's records are damaged: a key or certificate is missing") }
        do {
            let authority = try CertificateAuthority(certificate: try Self.certificate(texts[0]), key: try PrivateKey(pem: texts[1]))
            return ClusterSecrets(authority: authority, signingKey: try PrivateKey(pem: texts[2]), adminToken: texts[3], isNew: false)
        } catch {
            throw Refusal("the cluster's records are damaged: \(error)")
        }
    }

    private static func certificate(_ pem: String) throws -> Certificate {
        guard let first = try Certificate.parse(pem: pem).first else { throw Refusal("no certificate") }
        return first
    }

    private static func make(_ records: any RecordStore, host: any Host) throws(Refusal) -> ClusterSecrets {
        var random = host.random("apiserver/secrets")
        // Source: kubeadm gives its authority ten years.
        let authority = try CertificateAuthority.selfSignedRoot(name: "kubernetes", validity: (host.wall - .hours(1))...(host.wall + .days(3650)))
        let secrets = ClusterSecrets(authority: authority, signingKey: try PrivateKey.generate(), adminToken: KubeAPIServer.makeToken(&random), isNew: true)
        let texts = [secrets.authority.certificate.pem, secrets.authority.key.pem, secrets.signingKey.pem, secrets.adminToken]
        do throws(HostFailure) {
            try records.commit(zip(keys, texts).map { RecordChange($0, Array($1.utf8)) })
        } catch {
            throw Refusal("the cluster's records cannot be written: \(error)")
        }
        return secrets
    }
}
