// The control plane on one machine: its trust, its objects, and its processes. The three controllers run in the hub's namespace as
// programs of their own, each with a /run that holds what Kubernetes would mount, so that their flags are the chart's defaults.

import Base
import Documents
import Linux
import Platform
import TLS

/// Keys and certificates of one cluster, made at its start.
struct ClusterTrust {
    let anchorsPEM: String
    let issuerPEM: String
    let issuerKeyPEM: String
    /// Of the API server, which has a root of its own, as in Kubernetes.
    let apiAnchorsPEM: String
    let api: TLSServerConfiguration
    static let apiName = "kubernetes.default.svc.cluster.local"

    /// Valid from an hour ago, for clocks that differ, for a day: longer than any local cluster lives.
    init(now: WallTime) throws(Refusal) {
        let validity = (now - .hours(1))...(now + .days(1))
        let root = try CertificateAuthority.selfSignedRoot(name: "root.linkerd.cluster.local", validity: validity)
        let issuer = try root.issueIntermediate(name: "identity.linkerd.cluster.local", validity: validity)
        anchorsPEM = root.certificate.pem
        issuerPEM = issuer.certificate.pem
        issuerKeyPEM = issuer.key.pem
        let kubernetes = try CertificateAuthority.selfSignedRoot(name: "kubernetes", validity: validity)
        apiAnchorsPEM = kubernetes.certificate.pem
        api = TLSServerConfiguration(
            credentials: try kubernetes.issueCredentials(identity: Self.apiName, validity: validity), anchors: TrustAnchors([kubernetes.certificate]), requestsClientCertificate: false,
            alpn: [[UInt8]("h2".utf8), [UInt8]("http/1.1".utf8)])
    }
}

/// One controller as a process.
struct ControllerPart {
    var name: String
    /// Service that names it, and its port.
    var service: String
    var port: UInt16
    var adminPort: UInt16
    var serviceAccount: String
    var arguments: [String]

    static let all = [
        ControllerPart(name: "identity", service: "linkerd-identity-headless", port: 8080, adminPort: 9990, serviceAccount: "linkerd-identity", arguments: ["--admin-addr=:9990"]),
        ControllerPart(name: "destination", service: "linkerd-dst-headless", port: 8086, adminPort: 9996, serviceAccount: "linkerd-destination", arguments: ["--metrics-addr=:9996"]),
        ControllerPart(name: "policy", service: "linkerd-policy", port: 8090, adminPort: 9991, serviceAccount: "linkerd-destination", arguments: ["--admin-addr=0.0.0.0:9991"]),
    ]

    /// Namespace, service accounts, and services without selector whose endpoints are the hub.
    static func manifest(hub: IPAddress) -> String {
        var text = """
            {apiVersion: v1, kind: Namespace, metadata: {name: linkerd}}
            ---
            {apiVersion: v1, kind: ServiceAccount, metadata: {name: linkerd-identity, namespace: linkerd}}
            ---
            {apiVersion: v1, kind: ServiceAccount, metadata: {name: linkerd-destination, namespace: linkerd}}

            """
        for part in all {
            text += """
                ---
                {apiVersion: v1, kind: Service, metadata: {name: \(part.service), namespace: linkerd}, spec: {clusterIP: None, ports: [{name: grpc, port: \(part.port)}]}}
                ---
                apiVersion: discovery.k8s.io/v1
                kind: EndpointSlice
                metadata: {name: \(part.service)-local, namespace: linkerd, labels: {kubernetes.io/service-name: \(part.service)}}
                addressType: IPv4
                endpoints: [{addresses: ["\(hub)"], conditions: {ready: true}}]
                ports: [{name: grpc, port: \(part.port), protocol: TCP}]

                """
        }
        return text
    }

    /// What Kubernetes would mount, below `directory`, which the controller sees as /run and may read as user 2103.
    func furnish(_ directory: String, kubeconfig: String, token: String, trust: ClusterTrust, files: any Files) throws(HostFailure) {
        for folder in ["", "/linkerd/identity/trust-roots", "/linkerd/identity/issuer", "/secrets/tokens", "/logs"] { try Folders.make(directory + folder) }
        var entries = [("kubeconfig", kubeconfig), ("linkerd/identity/trust-roots/ca-bundle.crt", trust.anchorsPEM), ("secrets/tokens/linkerd-identity-token", token)]
        if name == "identity" { entries += [("linkerd/identity/issuer/crt.pem", trust.issuerPEM), ("linkerd/identity/issuer/key.pem", trust.issuerKeyPEM)] }
        for (path, text) in entries {
            try files.write("\(directory)/\(path)", Array(text.utf8), mode: 0o400)
            try Folders.give("\(directory)/\(path)", to: Self.userID)
        }
    }

    /// Source: linkerd2 charts, controllerUID.
    static let userID: UInt32 = 2103

    func program(_ path: String, directory: String, resolver: String) -> ChildProgram {
        var program = ChildProgram(
            path: path, arguments: [name, "--tls", "--kubeconfig=/run/kubeconfig"] + arguments, environment: [("PATH", ChildProcess.systemPath)], user: Self.userID, group: Self.userID)
        program.binds = [(resolver, "/etc/resolv.conf"), (directory, "/run")]
        return program
    }
}
