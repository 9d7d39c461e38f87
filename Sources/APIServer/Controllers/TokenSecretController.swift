// Secrets of the type `kubernetes.io/service-account-token`: filled with a token that lasts as long as the secret, removed with their account.
// Source: k8s.io/kubernetes pkg/controller/serviceaccount/tokens_controller.go.

import Base
import Documents
import Kube
import OrderedCollections
import Platform

final class TokenSecretController: Reconciler {
    static let type = "kubernetes.io/service-account-token"
    static let nameAnnotation = "kubernetes.io/service-account.name"
    static let uidAnnotation = "kubernetes.io/service-account.uid"
    private let tokens: ServiceAccountTokens
    private let rootCertificatePEM: String?

    init(registry: Registry, writer: Writer, host: any Host, tokens: ServiceAccountTokens, rootCertificatePEM: String?) {
        self.tokens = tokens
        self.rootCertificatePEM = rootCertificatePEM
        super.init(registry: registry, writer: writer, host: host)
    }

    override func observe(_ collection: String, _ change: StoredChange) {
        switch collection {
        case "secrets" where change.kind != .deleted && change.object.text("type") == Self.type: enqueue(change.key)
        case "serviceaccounts" where change.kind != .modified:
            for secret in registry.all(.secrets, namespace: change.key.namespace) where secret.value.text("type") == Self.type && secret.annotations[Self.nameAnnotation] == change.key.name {
                enqueue(secret.key)
            }
        default: break
        }
    }

    override func reconcile(_ key: KubeKey) throws(KubeStatus) {
        guard let secret = registry.find(.secrets, namespace: key.namespace, name: key.name), !secret.isTerminating, secret.value.text("type") == Self.type,
            let name = secret.annotations[Self.nameAnnotation]
        else { return }
        let account = registry.find(.serviceAccounts, namespace: key.namespace, name: name)
        let uid = secret.annotations[Self.uidAnnotation]
        guard let account, uid == nil || uid == account.uid else {
            writer.delete(registry.kind(.secrets), key)
            return
        }
        guard secret.value.text("data", "token") == nil || uid == nil else { return }
        let token: String
        do throws(Refusal) {
            token = try tokens.makeLasting(ServiceAccountTokens.Subject(namespace: key.namespace, name: name, uid: account.uid), secret: key.name)
        } catch { throw .internalError(error.reason) }
        try registry.update(.secrets, namespace: key.namespace, name: key.name) { secret in
            secret.annotations[Self.uidAnnotation] = account.uid
            secret.value.put(.string(base64Encoded(Array(token.utf8))), at: "data", "token")
            secret.value.put(.string(base64Encoded(Array(key.namespace.utf8))), at: "data", "namespace")
            if let rootCertificatePEM { secret.value.put(.string(base64Encoded(Array(rootCertificatePEM.utf8))), at: "data", "ca.crt") }
        }
    }
}
