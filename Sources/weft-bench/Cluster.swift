// An API server on loopback with the objects of some manifests, and what Kubernetes would mount into the pods of a control plane and
// of the proxies: credentials, trust, tokens. The controllers themselves run as the processes that ship.

import APIServer
import Base
import Documents
import Glibc
import Kube
import Linux
import Platform
import TLS

/// Serves until it is told to stop. `directory` gets `kubeconfig`, `ca.crt`, `issuer/crt.pem`, `issuer/key.pem`; for each service account
/// `NAMESPACE.NAME/token`, and beside it `ca.crt`, `client.crt`, `client.key` and both as `client.pem`, for peers that ask no identity
/// service; then `ready`. A pod's status is taken from its manifest, because no node is there to report it.
func serveCluster(directory: String, manifests: [String]) throws -> Never {
    let host = try benchHost()
    let api = try KubeAPIServer(host: host)
    try api.start(address: SocketAddress(.loopback, 0))
    let documents = try manifests.flatMap { try YAML.parse(try host.files.read($0)).map(\.value) }
    try api.apply(documents)
    for pod in documents where pod.text("kind") == "Pod" {
        guard let status = pod.member("status"), let namespace = pod.text("metadata", "namespace"), let name = pod.text("metadata", "name") else { continue }
        try api.update(.pods, namespace: namespace, name: name, subresource: "status") { $0.value.put(status, at: "status") }
    }

    let validity = (host.wall - .hours(1))...(host.wall + .days(1))
    let root = try CertificateAuthority.selfSignedRoot(name: "root.linkerd.cluster.local", validity: validity)
    let issuer = try root.issueIntermediate(name: "identity.linkerd.cluster.local", validity: validity)
    func put(_ name: String, _ text: String) throws {
        let parent = name.split(separator: "/").dropLast().joined(separator: "/")
        mkdir("\(directory)/\(parent)", 0o755)
        try host.files.write("\(directory)/\(name)", Array(text.utf8), mode: 0o644)
    }
    try put("kubeconfig", api.kubeconfig())
    try put("ca.crt", root.certificate.pem)
    try put("issuer/crt.pem", issuer.certificate.pem)
    try put("issuer/key.pem", issuer.key.pem)
    for account in documents where account.text("kind") == "ServiceAccount" {
        guard let namespace = account.text("metadata", "namespace"), let name = account.text("metadata", "name") else { continue }
        let credentials = try issuer.issueCredentials(identity: "\(name).\(namespace).serviceaccount.identity.linkerd.cluster.local", validity: validity)
        let chain = credentials.chain.map(\.pem).joined()
        let home = "\(namespace).\(name)"
        try put("\(home)/token", try api.token(namespace: namespace, serviceAccount: name, audiences: ["identity.l5d.io"], lifetime: .hours(24)))
        try put("\(home)/ca.crt", root.certificate.pem)
        try put("\(home)/client.crt", chain)
        try put("\(home)/client.key", credentials.key.pem)
        try put("\(home)/client.pem", chain + credentials.key.pem)
    }
    try put("ready", "")
    host.onShutdown {
        api.stop()
        host.exit(0)
    }
    host.runProcess()
}
