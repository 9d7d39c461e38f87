// Tokens of service accounts: JSON Web Tokens signed with the server's key, made by TokenRequest, judged on every request and
// by TokenReview. A token is bound to the account it names, and to a pod when it says so, and dies with them.
// Source: k8s.io/kubernetes pkg/serviceaccount/claims.go; RFC 7519, RFC 7515.

import Base
import Documents
import Kube
import OrderedCollections
import TLS

struct ServiceAccountTokens {
    let key: PrivateKey
    let issuer: String
    /// Accepted when a request or review names none, and put into tokens whose request names none.
    let audiences: [String]
    private let keyID: String

    init(key: PrivateKey, issuer: String, audiences: [String]) {
        self.key = key
        self.issuer = issuer
        self.audiences = audiences
        keyID = base64URL(sha256(key.publicKey))
    }

    struct Subject {
        var namespace: String
        var name: String
        var uid: String
        var pod: (name: String, uid: String)?
        var node: (name: String, uid: String)?
    }

    // MARK: Making

    func make(_ subject: Subject, audiences: [String], now: WallTime, lifetime: Interval, id: String) throws(Refusal) -> (text: String, expires: WallTime) {
        let expires = now + lifetime
        func reference(_ object: (name: String, uid: String)?) -> Value? { object.map { .members(["name": .string($0.name), "uid": .string($0.uid)]) } }
        let header = Value.members(["alg": .string("ES256"), "kid": .string(keyID)])
        let claims = Value.members([
            "aud": .array(audiences.map { .string($0) }), "exp": .int(expires.seconds), "iat": .int(now.seconds), "iss": .string(issuer), "jti": .string(id),
            "kubernetes.io": .members([
                "namespace": .string(subject.namespace), "node": reference(subject.node), "pod": reference(subject.pod),
                "serviceaccount": .members(["name": .string(subject.name), "uid": .string(subject.uid)]),
            ]),
            "nbf": .int(now.seconds), "sub": .string("system:serviceaccount:\(subject.namespace):\(subject.name)"),
        ])
        let signed = base64URL(Array(header.json().utf8)) + "." + base64URL(Array(claims.json().utf8))
        return (signed + "." + base64URL(try key.signature(of: Array(signed.utf8))), expires)
    }

    /// A token without end, for a secret that holds it: it dies with the secret and the account.
    func makeLasting(_ subject: Subject, secret: String) throws(Refusal) -> String {
        let header = Value.members(["alg": .string("ES256"), "kid": .string(keyID)])
        let prefix = "kubernetes.io/serviceaccount/"
        var claims = Object()
        claims["iss"] = .string(Self.lastingIssuer)
        claims[prefix + "namespace"] = .string(subject.namespace)
        claims[prefix + "secret.name"] = .string(secret)
        claims[prefix + "service-account.name"] = .string(subject.name)
        claims[prefix + "service-account.uid"] = .string(subject.uid)
        claims["sub"] = .string("system:serviceaccount:\(subject.namespace):\(subject.name)")
        let signed = base64URL(Array(header.json().utf8)) + "." + base64URL(Array(Value.object(claims).json().utf8))
        return signed + "." + base64URL(try key.signature(of: Array(signed.utf8)))
    }

    /// Source: k8s.io/kubernetes pkg/serviceaccount/legacy.go.
    private static let lastingIssuer = "kubernetes/serviceaccount"

    private func lastingCaller(_ claims: Value, _ token: String, _ registry: Registry) throws(Refusal) -> Caller {
        func claim(_ name: String) -> String { claims.text("kubernetes.io/serviceaccount/" + name) ?? "" }
        let namespace = claim("namespace")
        guard let secret = registry.find(.secrets, namespace: namespace, name: claim("secret.name")), !secret.isTerminating,
            secret.value.text("data", "token").flatMap({ base64Decoded($0) }) == Array(token.utf8)
        else { throw Refusal("the secret of the token is gone") }
        guard let account = registry.find(.serviceAccounts, namespace: namespace, name: claim("service-account.name")), account.uid == claim("service-account.uid")
        else { throw Refusal("the service account of the token is gone") }
        return Caller(
            name: "system:serviceaccount:\(namespace):\(account.name)", uid: account.uid,
            groups: ["system:serviceaccounts", "system:serviceaccounts:\(namespace)", "system:authenticated"])
    }

    // MARK: Judging

    /// Who the token speaks for and for which audiences of those wanted; nil when it is not one of ours; refused when it is but
    /// does not hold.
    func judge(_ token: String, audiences wanted: [String], registry: Registry) throws(Refusal) -> (caller: Caller, audiences: [String])? {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let headerBytes = base64Decoded(parts[0], isURL: true), let header = try? Value(json: headerBytes),
            let claimBytes = base64Decoded(parts[1], isURL: true), let claims = try? Value(json: claimBytes), claims.text("iss") == issuer || claims.text("iss") == Self.lastingIssuer
        else { return nil }
        guard header.text("alg") == "ES256", header.text("kid") == keyID, let signature = base64Decoded(parts[2], isURL: true),
            key.verifies(signature, of: Array("\(parts[0]).\(parts[1])".utf8))
        else { throw Refusal("invalid bearer token") }
        if claims.text("iss") == Self.lastingIssuer {
            let accepted = (wanted.isEmpty ? audiences : wanted).filter { audiences.contains($0) }
            guard !accepted.isEmpty else { throw Refusal("token audiences \(list(audiences)) is invalid for the target audiences \(list(wanted))") }
            return (try lastingCaller(claims, token, registry), accepted)
        }
        let now = registry.wall().seconds
        guard let expires = claims.number("exp"), now < expires else { throw Refusal("service account token has expired") }
        // A minute of leeway, as kube-apiserver's validator gives.
        if let start = claims.number("nbf"), now + 60 < start { throw Refusal("service account token is not valid yet") }
        let carried = claims.items("aud").compactMap { $0.text() }
        let accepted = (wanted.isEmpty ? audiences : wanted).filter { carried.contains($0) }
        guard !accepted.isEmpty else { throw Refusal("token audiences \(list(carried)) is invalid for the target audiences \(list(wanted.isEmpty ? audiences : wanted))") }
        return (try caller(claims, registry), accepted)
    }

    private func list(_ words: [String]) -> String { "[" + words.map { "\"\($0)\"" }.joined(separator: " ") + "]" }

    private func caller(_ claims: Value, _ registry: Registry) throws(Refusal) -> Caller {
        let namespace = claims.text("kubernetes.io", "namespace") ?? ""
        let name = claims.text("kubernetes.io", "serviceaccount", "name") ?? ""
        guard let account = registry.find(.serviceAccounts, namespace: namespace, name: name), account.uid == claims.text("kubernetes.io", "serviceaccount", "uid")
        else { throw Refusal("the service account \(namespace)/\(name) of the token is gone") }
        var extra: [(name: String, values: [String])] = [("authentication.kubernetes.io/credential-id", ["JTI=" + (claims.text("jti") ?? "")])]
        if let pod = claims.text("kubernetes.io", "pod", "name") {
            guard let bound = registry.find(.pods, namespace: namespace, name: pod), bound.uid == claims.text("kubernetes.io", "pod", "uid")
            else { throw Refusal("the pod \(namespace)/\(pod) of the token is gone") }
            extra.append(("authentication.kubernetes.io/pod-name", [pod]))
            extra.append(("authentication.kubernetes.io/pod-uid", [bound.uid]))
        }
        return Caller(
            name: "system:serviceaccount:\(namespace):\(name)", uid: account.uid,
            groups: ["system:serviceaccounts", "system:serviceaccounts:\(namespace)", "system:authenticated"], extra: extra)
    }

    /// The public key as a JSON Web Key Set (RFC 7517), for those who verify by themselves.
    var keySet: Value {
        // The last 65 bytes of a P-256 SubjectPublicKeyInfo are 04, x and y (RFC 5480 section 2.2).
        let point = Array(key.publicKey.suffix(64))
        return .members([
            "keys": .array([
                .members([
                    "use": .string("sig"), "kty": .string("EC"), "kid": .string(keyID), "crv": .string("P-256"), "alg": .string("ES256"),
                    "x": .string(base64URL(Array(point.prefix(32)))), "y": .string(base64URL(Array(point.suffix(32)))),
                ])
            ])
        ])
    }
}
