// Where the API server is and who we are to it, from kubeconfigs and from a pod; and base64, in which they carry bytes.

import Base
import Documents
import HTTP
import Kube
import Platform
import Simulator
import Testing

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
    - name: anybody
      cluster: { server: "https://api.example", insecure-skip-tls-verify: true }
    contexts:
    - { name: one, context: { cluster: local, user: admin, namespace: shop } }
    - { name: two, context: { cluster: plain, user: "" } }
    - { name: three, context: { cluster: filed, user: tokens } }
    - { name: four, context: { cluster: anybody, user: plugin } }
    - { name: five, context: { cluster: filed, user: somebody } }
    users:
    - name: admin
      user: { client-certificate-data: Q0VSVA==, client-key: /keys/admin.key }
    - name: tokens
      user: { tokenFile: token }
    - name: plugin
      user:
        exec:
          apiVersion: client.authentication.k8s.io/v1
          command: bin/login
          args: [--cluster, one]
          env: [{name: REGION, value: north}]
          interactiveMode: Never
          provideClusterInfo: true
    - name: somebody
      user: { username: me, password: secret, as: other, as-groups: [a, b], as-user-extra: { reason: [audit] } }
    """

private func makeProcess(_ environment: [(name: String, value: String)] = []) -> SimProcess {
    let world = World(seed: 1, options: WorldOptions(start: WallTime(seconds: 1_800_000_000)))
    let node = world.addNode("pod", ip: IPAddress(10, 0, 0, 1))
    let process = world.addProcess("main", on: node, userID: 1, settings: Settings(environment: environment)) { process in process.keep(world) }
    process.start()
    world.run(for: .zero)
    node.files.put("/home/me/.kube/pki/ca.crt", text: "FILE")
    node.files.put("/home/me/.kube/token", text: "TOKEN")
    node.files.put("/keys/admin.key", text: "KEY")
    return process
}

@Suite struct `A kubeconfig` {
    private func read(_ context: String? = nil, _ text: String = document) throws -> KubeConfiguration {
        try Kubeconfig(path: "/home/me/.kube/config", text: Array(text.utf8)).configuration(context: context, makeProcess())
    }

    @Test func `gives server, authorities and client certificate of the current context`() throws {
        let found = try read()
        #expect(found.authority == "127.0.0.1:6443" && found.scheme == .https && found.namespace == "shop" && found.token == .none)
        #expect(found.anchors == .bytes([UInt8]("CA")) && found.certificate == .bytes([UInt8]("CERT")) && found.key == .file("/keys/admin.key"))
    }

    @Test func `gives the context that is asked for`() throws {
        let plain = try read("two")
        #expect(plain.scheme == .http && plain.authority == "api.example:8001" && plain.pathPrefix == "/prefix" && plain.namespace == "default" && plain.anchors == nil)
        let filed = try read("three")
        #expect(filed.authority == "[::1]:443" && filed.anchors == .file("/home/me/.kube/pki/ca.crt") && filed.serverName == "kubernetes" && filed.token == .file("/home/me/.kube/token"))
        let somebody = try read("five")
        #expect(somebody.basic?.user == "me" && somebody.basic?.password == "secret")
        #expect(somebody.impersonation?.user == "other" && somebody.impersonation?.groups == ["a", "b"] && somebody.impersonation?.extra.first?.values == ["audit"])
    }

    @Test func `gives the plug-in as it is to be run`() throws {
        let found = try read("four")
        #expect(found.skipsVerification)
        let plugin = try #require(found.plugin)
        #expect(plugin.command == "/home/me/.kube/bin/login" && plugin.arguments == ["--cluster", "one"] && plugin.environment == [Program.Variable("REGION", "north")])
        #expect(plugin.cluster?.text("server") == "https://api.example" && plugin.cluster?.flag("insecure-skip-tls-verify") == true)
    }

    /// File, line, field and reason of every complaint.
    @Test(arguments: [
        ("server: https://127.0.0.1:6443", "server: ftp://x", nil, ":7: clusters[0].cluster.server: the API server's address"),
        ("server: https://127.0.0.1:6443", "server: 7", nil, ":7: clusters[0].cluster.server: is a number"),
        ("server: https://127.0.0.1:6443", "proxy-url: socks5://p", nil, ":7: clusters[0].cluster.server: the cluster has no server"),
        ("certificate-authority-data: Q0E=", "proxy-url: socks5://p", nil, ":8: clusters[0].cluster.proxy-url: proxies are not supported"),
        ("certificate-authority-data: Q0E=", "certificate-authority-data: 'Q0'", nil, ":8: clusters[0].cluster.certificate-authority-data: is not base64"),
        ("certificate-authority-data: Q0E=", "certificate-authority: nowhere.crt", nil, ":8: clusters[0].cluster.certificate-authority: read /home/me/.kube/nowhere.crt: not found"),
        ("insecure-skip-tls-verify: true", "insecure-skip-tls-verify: 1", "four", ":14: clusters[3].cluster.insecure-skip-tls-verify: is a number, not true or false"),
        ("insecure-skip-tls-verify: true", "insecure-skip-tls-verify: true, certificate-authority-data: Q0E=", "four", ":14: clusters[3].cluster.insecure-skip-tls-verify: contradicts"),
        ("cluster: local, user: admin", "cluster: nowhere, user: admin", nil, ":16: contexts[0].context.cluster: there is no cluster named nowhere"),
        ("cluster: local, user: admin", "cluster: local, user: nobody", nil, ":16: contexts[0].context.user: there is no user named nobody"),
        ("cluster: local, user: admin", "user: admin", nil, ":16: contexts[0].context.cluster: names no cluster"),
        ("client-key: /keys/admin.key", "x: y", nil, ":23: users[0].user.client-key: a client certificate needs its key"),
        ("client-key: /keys/admin.key", "client-key: /keys/none", nil, ":23: users[0].user.client-key: read /keys/none: not found"),
        ("client-key: /keys/admin.key", "client-key: /keys/admin.key, auth-provider: {name: gcp}", nil, ":23: users[0].user.auth-provider: auth-provider plug-ins are gone"),
        ("tokenFile: token", "tokenFile: none", "three", ":25: users[1].user.tokenFile: read /home/me/.kube/none: not found"),
        ("tokenFile: token", #"token: "a b""#, "three", ":25: users[1].user.token: holds characters"),
        ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1alpha1", "four", ":29: users[2].user.exec.apiVersion: client.authentication.k8s.io/v1alpha1 is none of"),
        ("command: bin/login", "commands: bin/login", "four", ":29: users[2].user.exec.command: the plug-in has no command"),
        ("args: [--cluster, one]", "args: [--cluster, 1]", "four", ":31: users[2].user.exec.args[1]: is a number, not a string"),
        ("{name: REGION, value: north}", "{value: north}", "four", ":32: users[2].user.exec.env[0].name: the variable has no name"),
        ("interactiveMode: Never", "interactiveMode: Always", "four", ":33: users[2].user.exec.interactiveMode: the plug-in asks a person"),
        ("interactiveMode: Never", "mode: Never", "four", ":29: users[2].user.exec.interactiveMode: must be Never or IfAvailable"),
        ("as: other, ", "", "five", ":36: users[3].user.as: groups, uid and extra"),
        ("current-context: one\n", "", nil, ":1: current-context: names no context: choose one of one, two, three, four, five"),
        ("kind: Config", "kind: Pod", nil, ":2: kind: is not Config"),
        ("clusters:\n", "clusters: {}\nothers:\n", nil, ":4: clusters: is an object, not a list"),
        ("apiVersion: v1\n", "apiVersion: [\n", nil, ":3: not a kubeconfig"),
    ] as [(String, String, String?, String)]) func `is refused with file, line and field`(_ old: String, _ new: String, _ context: String?, _ complaint: String) throws {
        let text = document.replacing(old, with: new)
        #expect(text != document)
        #expect { try read(context, text) } throws: { error in
            let reason = (error as? Refusal)?.reason ?? ""
            if !reason.hasPrefix("/home/me/.kube/config" + complaint) { Issue.record("\(reason)") }
            return true
        }
    }

    @Test func `of several files the first that names something wins`() throws {
        let process = makeProcess([("KUBECONFIG", "/a::/absent:/b")])
        process.node.files.put("/a", text: "{current-context: first, clusters: [{name: c, cluster: {server: 'http://one'}}], contexts: [{name: second, context: {cluster: d}}]}")
        process.node.files.put("/b", text: "{current-context: second, clusters: [{name: c, cluster: {server: 'http://two'}}, {name: d, cluster: {server: 'http://three'}}], contexts: [{name: first, context: {cluster: c}}]}")
        #expect(try KubeConfiguration.load(process).host == "one")
        #expect(try KubeConfiguration.load(process, context: "second").host == "three")
        #expect(throws: Refusal.self) { try KubeConfiguration.load(makeProcess([("KUBECONFIG", "/absent")])) }
    }

    @Test(arguments: ["ftp://x", "https://", "https://x:0", "https://x:99999", "x:6443", "https://[::1"]) func `refuses a server that is no address`(_ server: String) {
        #expect(throws: Refusal.self) { try KubeConfiguration(server: server) }
    }

    @Test func `inside a pod is what Kubernetes gives`() throws {
        let process = makeProcess([("KUBERNETES_SERVICE_HOST", "10.96.0.1"), ("KUBERNETES_SERVICE_PORT", "443")])
        #expect(throws: Refusal.self) { try KubeConfiguration.inCluster(process) }
        process.node.files.put("/var/run/secrets/kubernetes.io/serviceaccount/ca.crt", text: "CA")
        process.node.files.put("/var/run/secrets/kubernetes.io/serviceaccount/namespace", text: "shop\n")
        let found = try KubeConfiguration.load(process)
        #expect(found.authority == "10.96.0.1:443" && found.anchors == .file("/var/run/secrets/kubernetes.io/serviceaccount/ca.crt") && found.namespace == "shop")
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
