// An API server on loopback with the objects of some manifests, and what Kubernetes would mount into the pods of a control plane and
// of one proxy: credentials, trust, a token. The controllers themselves run as the processes that ship.

import APIServer
import Base
import Documents
import Glibc
import Linux
import Platform
import TLS

/// Serves until it is told to stop. `directory` gets `kubeconfig`, `ca.crt`, `issuer/crt.pem`, `issuer/key.pem`, and `token`: that of
/// the service account `bench/client`; then `ready`.
func serveCluster(directory: String, manifests: [String]) throws -> Never {
    let settings = Settings.ofThisProcess()
    let host = try LinuxHost(settings: settings, log: Log.linux(LogFilter("warn"), format: .plain), takesSignals: true)
    let api = try KubeAPIServer(host: host)
    try api.start(address: SocketAddress(.loopback, 0))
    for path in manifests { try api.apply(try YAML.parse(try host.files.read(path)).map(\.value)) }

    let validity = (host.wall - .hours(1))...(host.wall + .days(1))
    let root = try CertificateAuthority.selfSignedRoot(name: "root.linkerd.cluster.local", validity: validity)
    let issuer = try root.issueIntermediate(name: "identity.linkerd.cluster.local", validity: validity)
    func put(_ name: String, _ text: String) throws { try host.files.write("\(directory)/\(name)", Array(text.utf8), mode: 0o644) }
    try put("kubeconfig", api.kubeconfig())
    try put("ca.crt", root.certificate.pem)
    try put("issuer/crt.pem", issuer.certificate.pem)
    try put("issuer/key.pem", issuer.key.pem)
    try put("token", try api.token(namespace: "bench", serviceAccount: "client", audiences: ["identity.l5d.io"], lifetime: .hours(24)))
    try put("ready", "")
    host.onShutdown {
        api.stop()
        host.exit(0)
    }
    host.runProcess()
}
