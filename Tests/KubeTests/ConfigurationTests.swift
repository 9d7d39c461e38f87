// Where the API server is and who we are to it, from kubeconfigs and from a pod; and base64, in which they carry bytes.

import Base
import Documents
import HTTP
import Kube
import Platform
import Simulator
import Testing

private final class TableFiles: Files {
    var contents: [String: [UInt8]] = [:]
    func read(_ path: String) throws(HostFailure) -> [UInt8] {
        guard let bytes = contents[path] else { throw HostFailure("read", .notFound, subject: path) }
        return bytes
    }
    func write(_ path: String, _ bytes: [UInt8], mode: UInt32) throws(HostFailure) { contents[path] = bytes }
}

private let document = """
    apiVersion: v1
    kind: Config
    current-context: one
    clusters:
    - name: local
      cluster:
        server: https://127.0.0.1:6443
        certificate-authority-data: Q0E=
    - name: plain
      cluster: { server: "http://api.example:8001/prefix/" }
    - name: filed
      cluster: { server: "https://[::1]", certificate-authority: pki/ca.crt, tls-server-name: kubernetes }
    contexts:
    - { name: one, context: { cluster: local, user: admin, namespace: shop } }
    - { name: two, context: { cluster: plain, user: "" } }
    - { name: three, context: { cluster: filed, user: tokens } }
    - { name: four, context: { cluster: local, user: plugin } }
    - { name: five, context: { cluster: nowhere, user: admin } }
    users:
    - name: admin
      user: { client-certificate-data: Q0VSVA==, client-key: /keys/admin.key }
    - name: tokens
      user: { tokenFile: token }
    - name: plugin
      user: { exec: { command: aws } }
    """

@Suite struct `A kubeconfig` {
    private let files = TableFiles()

    private func read(_ context: String? = nil, _ text: String = document) throws -> KubeConfiguration {
        files.contents = ["/home/me/.kube/pki/ca.crt": [UInt8]("FILE"), "/keys/admin.key": [UInt8]("KEY")]
        let value = try YAML.parse(Array(text.utf8))[0].value
        return try KubeConfiguration.kubeconfig(value, path: "/home/me/.kube/config", context: context, files: files)
    }

    @Test func `gives server, authorities and client certificate of the current context`() throws {
        let found = try read()
        #expect(found.authority == "127.0.0.1:6443" && found.scheme == .https && found.namespace == "shop" && found.token == .none)
        #expect(found.anchorsPEM == [UInt8]("CA") && found.certificatePEM == [UInt8]("CERT") && found.keyPEM == [UInt8]("KEY"))
    }

    @Test func `gives the context that is asked for`() throws {
        let plain = try read("two")
        #expect(plain.scheme == .http && plain.authority == "api.example:8001" && plain.pathPrefix == "/prefix" && plain.namespace == "default" && plain.anchorsPEM == nil)
        let filed = try read("three")
        #expect(filed.authority == "[::1]:443" && filed.anchorsPEM == [UInt8]("FILE") && filed.serverName == "kubernetes" && filed.token == .file("/home/me/.kube/token"))
    }

    @Test(arguments: [("four", "exec"), ("five", "nowhere"), ("six", "six")]) func `refuses what it cannot use and names it`(_ context: String, _ word: String) throws {
        #expect { try read(context) } throws: { ($0 as? Refusal)?.reason.contains(word) == true }
    }

    @Test(arguments: ["ftp://x", "https://", "https://x:0", "https://x:99999", "x:6443", "https://[::1"]) func `refuses a server that is no address`(_ server: String) {
        #expect(throws: Refusal.self) { try KubeConfiguration(server: server) }
    }

    @Test func `inside a pod is what Kubernetes gives`() throws {
        let world = World(seed: 1, options: WorldOptions(start: WallTime(seconds: 1_800_000_000)))
        let node = world.addNode("pod", ip: IPAddress(10, 0, 0, 1))
        let settings = Settings(environment: [("KUBERNETES_SERVICE_HOST", "10.96.0.1"), ("KUBERNETES_SERVICE_PORT", "443")])
        let process = world.addProcess("main", on: node, userID: 1, settings: settings) { _ in }
        #expect(throws: Refusal.self) { try KubeConfiguration.inCluster(process) }
        node.files.put("/var/run/secrets/kubernetes.io/serviceaccount/ca.crt", text: "CA")
        node.files.put("/var/run/secrets/kubernetes.io/serviceaccount/namespace", text: "shop")
        let found = try KubeConfiguration.load(process)
        #expect(found.authority == "10.96.0.1:443" && found.anchorsPEM == [UInt8]("CA") && found.namespace == "shop")
        #expect(found.token == .file("/var/run/secrets/kubernetes.io/serviceaccount/token"))
    }
}

@Suite struct `Base64` {
    @Test(arguments: [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy")])
    func `goes there and back as RFC 4648 shows`(_ plain: String, _ encoded: String) {
        #expect(base64Encoded(Array(plain.utf8)) == encoded)
        #expect(base64Decoded(encoded) == Array(plain.utf8))
        #expect(base64Decoded(encoded.filter { $0 != "=" }, isURL: true) == Array(plain.utf8))
    }

    @Test(arguments: ["Z", "Zg=", "Zh==", "Zm9v!", "Zg==Zg==", "====", "Zm9="]) func `refuses what is not`(_ text: String) { #expect(base64Decoded(text) == nil) }

    @Test func `passes over line ends, as files have them`() { #expect(base64Decoded("Zm9v\nYmFy\n") == [UInt8]("foobar")) }
}
