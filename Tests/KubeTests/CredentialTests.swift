// Credentials that change under a client: plug-ins that are run for them, tokens that are renewed, certificates that are replaced;
// and the version of HTTP that client and server agree on.

import Base
import Documents
import HTTP
import Kube
import Platform
import Simulator
import TLS
import Testing

private let start = WallTime(year: 2026, month: 6, day: 1, hour: 12)!

private func plugin() -> CredentialPlugin {
    var plugin = CredentialPlugin(apiVersion: CredentialPlugin.apiVersions[0], command: "/bin/login")
    plugin.arguments = ["--now"]
    plugin.environment = [Program.Variable("REGION", "north")]
    plugin.installHint = "get it from the shop"
    return plugin
}

private func credential(_ status: String) -> Result<ProgramEnd, HostFailure> {
    .success(ProgramEnd(status: 0, output: Array(#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":\#(status)}"#.utf8)))
}

private extension Result where Failure == KubeError {
    var error: KubeError? { if case .failure(let error) = self { error } else { nil } }
}

@Suite struct `Credentials` {
    private func ask(_ net: Net) throws -> Result<KubeObject, KubeError> { try net.wait { net.client.get(.pods, KubeKey("shop", "web"), $0) } }

    private func net(_ body: @escaping SimPrograms.Body, limits: KubeLimits = KubeLimits()) throws -> Net {
        let net = try Net(limits: limits) { $0.plugin = plugin() }
        net.process.simPrograms.install("/bin/login", body)
        net.scripted.answer = { _, stream in stream.json(podText("web", "1")) }
        return net
    }

    @Test func `come from a plug-in that is told the version and run once for many requests`() throws {
        var programs: [Program] = []
        let net = try net { program, end in
            programs.append(program)
            end(credential(#"{"token":"one"}"#))
        }
        var answers = 0
        net.process.run { for _ in 0..<5 { net.client.get(.pods, KubeKey("shop", "web")) { if case .success = $0 { answers += 1 } } } }
        net.run()
        _ = try ask(net).get()
        #expect(answers == 5 && programs.count == 1)
        #expect(net.scripted.asked.allSatisfy { $0.authorization == "Bearer one" } && net.scripted.asked.count == 6)
        #expect(programs[0].arguments == ["--now"] && programs[0].environment.contains(Program.Variable("REGION", "north")))
        let info = try Value(json: Array(try #require(programs[0].environment.last { $0.name == "KUBERNETES_EXEC_INFO" }).value.utf8))
        #expect(info.text("kind") == "ExecCredential" && info.text("apiVersion") == "client.authentication.k8s.io/v1" && info.flag("spec", "interactive") == false)
    }

    @Test func `of a plug-in are renewed before they expire, and when the server does not know them`() throws {
        var tokens = ["one", "two", "three"]
        let net = try net { _, end in end(credential(#"{"token":"\#(tokens.removeFirst())","expirationTimestamp":"\#(start + .minutes(2))"}"#)) }
        _ = try ask(net).get()
        net.run(100)
        _ = try ask(net).get()
        net.run(11)
        // 109 seconds before, 9 seconds of margin.
        _ = try ask(net).get()
        #expect(net.scripted.asked.map(\.authorization) == ["Bearer one", "Bearer one", "Bearer two"])
        net.scripted.answer = { asked, stream in if asked.authorization == "Bearer three" { stream.json(podText("web", "1")) } else { stream.respond(status: 401) } }
        _ = try ask(net).get()
        #expect(net.scripted.asked.last?.authorization == "Bearer three")
    }

    @Test func `that the server refuses twice are an error`() throws {
        let net = try net { _, end in end(credential(#"{"token":"bad"}"#)) }
        net.scripted.answer = { _, stream in stream.respond(status: 401) }
        let error = try ask(net).error
        #expect(error?.code == 401 && error?.reason == .unauthorized && error?.isRetryable == false && net.scripted.asked.count == 2)
    }

    @Test(arguments: [
        ("", "no JSON"), ("{}", "no ExecCredential"), (#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1"}"#, "speaks client.authentication.k8s.io/v1beta1"),
        (#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1"}"#, "gave no status"),
        (#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{}}"#, "neither token nor certificate"),
        (#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"a\nb"}}"#, "status.token"),
        (#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"a","expirationTimestamp":"soon"}}"#, "status.expirationTimestamp"),
        (#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"clientKeyData":"k"}}"#, "only one of"),
    ]) func `that make no sense are refused by name`(_ output: String, _ word: String) throws {
        let net = try net { _, end in end(.success(ProgramEnd(status: 0, output: Array(output.utf8)))) }
        let error = try ask(net).error
        #expect("\(error!)".contains("/bin/login") && "\(error!)".contains(word), "\(error!)")
        #expect(net.scripted.asked.isEmpty)
    }

    @Test func `that cannot be had say why, and a plug-in that fails is not run for every request`() throws {
        let failing = try net { _, end in end(.success(ProgramEnd(status: 3, error: Array("no\nsession".utf8)))) }
        for _ in 0..<3 { #expect("\(try ask(failing).error!)".contains("status 3: no session")) }
        #expect(failing.process.simPrograms.startedCount == 1)
        failing.run(2)
        _ = try ask(failing)
        #expect(failing.process.simPrograms.startedCount == 2)
        let absent = try net { _, _ in }
        absent.process.simPrograms.remove("/bin/login")
        #expect("\(try ask(absent).error!)".contains("get it from the shop"))
        let hanging = try net { _, _ in }
        #expect("\(try ask(hanging).error!)".contains("timed out"))
    }

    private struct Trust {
        var root: CertificateAuthority
        func server(_ alpn: [[UInt8]]) throws -> TLSServerConfiguration {
            TLSServerConfiguration(credentials: try root.issueCredentials(identity: "kubernetes", validity: start - .hours(1)...start + .days(1)), anchors: TrustAnchors([root.certificate]), alpn: alpn)
        }
        func client(_ name: String) throws -> TLSCredentials { try root.issueCredentials(identity: name, validity: start - .hours(1)...start + .days(1)) }
        init() throws { root = try CertificateAuthority.selfSignedRoot(name: "kubernetes-ca", validity: start - .hours(1)...start + .days(1)) }
    }

    @Test func `with a certificate from a plug-in are shown, and a new one is shown by new connections`() throws {
        var given: [TLSCredentials] = []
        let net = try Net(tls: { configuration in
            let trust = try Trust()
            given = [try trust.client("one"), try trust.client("two")]
            configuration.scheme = .https
            configuration.serverName = "kubernetes"
            configuration.anchors = .bytes(Array(trust.root.certificate.pem.utf8))
            configuration.plugin = plugin()
            return try trust.server([[UInt8]("h2")])
        })
        var runs = 0
        net.process.simPrograms.install("/bin/login") { _, end in
            runs += 1
            let shown = given[min(runs, 2) - 1]
            let chain = shown.chain.map(\.pem).joined()
            let document = Value.members(["clientCertificateData": .string(chain), "clientKeyData": .string(shown.key.pem), "expirationTimestamp": .string("\(start + .minutes(Int64(runs)))")])
            end(credential(document.json()))
        }
        net.scripted.answer = { _, stream in stream.json(podText("web", "1")) }
        _ = try ask(net).get()
        _ = try ask(net).get()
        #expect(net.scripted.callers == ["one", "one"] && net.client.connectionCount == 1)
        net.run(60)
        _ = try ask(net).get()
        #expect(net.scripted.callers.last == "two" && runs == 2)
        net.run()
        #expect(net.client.connectionCount == 1)
        net.judge()
    }

    @Test func `from files are read again for new connections`() throws {
        var given: [TLSCredentials] = []
        let net = try Net(tls: { configuration in
            let trust = try Trust()
            given = [try trust.client("one"), try trust.client("two")]
            configuration.scheme = .https
            configuration.serverName = "kubernetes"
            configuration.anchors = .bytes(Array(trust.root.certificate.pem.utf8))
            configuration.certificate = .file("/client.crt")
            configuration.key = .file("/client.key")
            return try trust.server([[UInt8]("http/1.1")])
        }) { process in
            process.simFiles.tree.put("/client.crt", text: given[0].leaf.pem)
            process.simFiles.tree.put("/client.key", text: given[0].key.pem)
        }
        net.scripted.answer = { _, stream in
            stream.json(podText("web", "1"))
            net.serverProcess.after(.milliseconds(1)) { stream.connection?.close() }
        }
        _ = try ask(net).get()
        net.process.simFiles.tree.put("/client.crt", text: given[1].leaf.pem)
        net.process.simFiles.tree.put("/client.key", text: given[1].key.pem)
        net.run(61)
        _ = try ask(net).get()
        // Half of a renewal is no use: the old ones do.
        net.process.simFiles.tree.remove("/client.key")
        net.run(61)
        _ = try ask(net).get()
        #expect(net.scripted.callers == ["one", "two", "two"])
    }

    @Test func `may be for a server that is not verified`() throws {
        let net = try Net(tls: { configuration in
            configuration.scheme = .https
            configuration.skipsVerification = true
            return try Trust().server([[UInt8]("h2")])
        })
        net.scripted.answer = { _, stream in stream.json(podText("web", "1")) }
        #expect(try ask(net).get().name == "web")
    }

    @Test func `of a user and of whom the user speaks for are headers`() throws {
        let net = try Net {
            $0.basic = ("me", "secret")
            $0.impersonation = KubeConfiguration.Impersonation()
            $0.impersonation?.user = "other"
            $0.impersonation?.groups = ["a", "b"]
            $0.impersonation?.extra = [("Why/So", ["x"])]
        }
        net.scripted.answer = { _, stream in stream.json(podText("web", "1")) }
        _ = try ask(net).get()
        #expect(net.scripted.asked[0].authorization == "Basic bWU6c2VjcmV0")
        #expect(net.scripted.heads[0].headers.all("impersonate-group") == ["a", "b"] && net.scripted.heads[0].headers.first("impersonate-user") == "other")
        #expect(net.scripted.heads[0].headers.first("impersonate-extra-why%2fso") == "x")
    }
}

@Suite struct `The version of HTTP` {
    private func net(_ alpn: [[UInt8]]) throws -> Net {
        let net = try Net(tls: { configuration in
            let root = try CertificateAuthority.selfSignedRoot(name: "kubernetes-ca", validity: start - .hours(1)...start + .days(1))
            configuration.scheme = .https
            configuration.serverName = "kubernetes"
            configuration.anchors = .bytes(Array(root.certificate.pem.utf8))
            return TLSServerConfiguration(
                credentials: try root.issueCredentials(identity: "kubernetes", validity: start - .hours(1)...start + .days(1)), anchors: TrustAnchors([root.certificate]), alpn: alpn)
        })
        net.scripted.answer = { _, stream in stream.json(podText("web", "1")) }
        return net
    }

    private func many(_ net: Net, _ count: Int) -> Int {
        var answers = 0
        net.process.run { for _ in 0..<count { net.client.get(.pods, KubeKey("shop", "web")) { if case .success = $0 { answers += 1 } } } }
        net.run()
        return answers
    }

    @Test func `is 2 where the server agrees, and many requests are one connection`() throws {
        let net = try net([[UInt8]("h2"), [UInt8]("http/1.1")])
        #expect(many(net, 20) == 20 && net.client.version == .http2 && net.client.connectionCount == 1)
        #expect(many(net, 20) == 20 && net.client.connectionCount == 1)
        #expect(net.scripted.heads.allSatisfy { $0.version == .http2 })
        net.process.run { net.client.close() }
        net.run()
        net.judge()
    }

    @Test(arguments: [[[UInt8]("http/1.1")], []]) func `is 1.1 where it does not`(_ alpn: [[UInt8]]) throws {
        let net = try net(alpn)
        #expect(many(net, 20) == 20 && net.client.version == .http11 && net.client.connectionCount == 20)
        #expect(many(net, 20) == 20 && net.client.connectionCount == 20)
    }

    @Test func `may be another after the server came back`() throws {
        let net = try net([[UInt8]("h2")])
        #expect(many(net, 3) == 3 && net.client.version == .http2)
        net.relisten(alpn: [[UInt8]("http/1.1")])
        net.run()
        #expect(many(net, 3) == 3 && net.client.version == .http11)
    }

    @Test func `2 has a watch and short calls side by side, and a dead connection is found out by its silence`() throws {
        let net = try net([[UInt8]("h2")])
        net.scripted.answer = { asked, stream in
            if asked.path.contains("watch=1") { stream.begin() } else { stream.json(podText("web", "1")) }
        }
        var ends: [KubeError?] = []
        var events = 0
        net.process.run {
            _ = net.client.watch(.pods, resourceVersion: "1", timeoutSeconds: 600, onEvent: { _ in events += 1 }, onHeard: {}, onEnd: { ends.append($0) })
        }
        net.run()
        #expect(many(net, 5) == 5 && net.client.connectionCount == 1)
        net.onServer { net.scripted.streams[0].line(event("ADDED", podText("a", "2"))) }
        net.run()
        #expect(events == 1 && ends.isEmpty)
        net.world.partition(net.process.node, net.serverProcess.node)
        net.run(44)
        #expect(ends.isEmpty)
        net.run(4)
        guard case .transport(.protocolBroken)?? = ends.first else { return #expect(Bool(false), "\(ends)") }
        #expect(ends.count == 1 && ends[0]?.isRetryable == true)
    }
}
