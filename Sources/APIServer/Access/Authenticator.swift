// Who is calling: a client certificate, a static token, a service account's token, or nobody.

import Base
import Documents
import Kube
import OrderedCollections
import TLS
import Transport

struct Authenticator {
    let registry: Registry
    let tokens: ServiceAccountTokens
    /// Tokens known from the start, with who they stand for.
    let staticTokens: [(token: String, caller: Caller)]
    let allowsAnonymous: Bool

    func caller(authorization: String?, peer: TLSPeer?) throws(KubeStatus) -> Caller {
        if let certificate = peer?.certificate, let name = certificate.subjectCommonName, !name.isEmpty {
            return Caller(name: name, groups: Self.organizations(certificate.subject) + ["system:authenticated"])
        }
        guard let authorization else {
            if allowsAnonymous { return .anonymous }
            throw .unauthorized
        }
        let parts = authorization.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { throw .unauthorized }
        do throws(Refusal) {
            return try caller(token: String(parts[1]), audiences: []).caller
        } catch {
            throw .unauthorized
        }
    }

    func caller(token: String, audiences: [String]) throws(Refusal) -> (caller: Caller, audiences: [String]) {
        if let known = staticTokens.first(where: { $0.token == token }) { return (known.caller, audiences.isEmpty ? tokens.audiences : audiences) }
        guard let judged = try tokens.judge(token, audiences: audiences, registry: registry) else { throw Refusal("invalid bearer token") }
        return judged
    }

    /// The O fields of a subject in OpenSSL's one-line form, `/O=system:masters/CN=admin` or `O = a, CN = b`.
    static func organizations(_ subject: String) -> [String] {
        let fields = subject.hasPrefix("/") ? subject.split(separator: "/").map(String.init) : subject.split(separator: ",").map { String($0.drop { $0 == " " }) }
        return fields.compactMap { field in
            guard let equals = field.firstIndex(of: "="), field[..<equals].filter({ $0 != " " }) == "O" else { return nil }
            return String(field[field.index(after: equals)...].drop { $0 == " " })
        }
    }
}
