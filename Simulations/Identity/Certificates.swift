// Stories of certificates: strangers, liars, and time.

import Base
import HTTP
import Platform
import Scenario
import Simulator
import TLS
import Transport

extension Stories {
    // Story: a stranger whose certificate hangs from another root speaks mutual TLS to a proxy, in the name of a real client.
    // Promise: the handshake is refused, counted and logged once; the application hears nothing, and others are served.
    // Source: RFC 8446 section 4.4.2; the mesh's first promise.
    static let unknownRoot = Story(
        "identity/unknown-root",
        story: "A stranger with a certificate of another root speaks mutual TLS to a proxy, ten times.",
        promise: "Every handshake is refused and counted, the log says it once, the application hears nothing.",
        source: "RFC 8446 section 4.4.2"
    ) { stage throws(StoryFailure) in
        var server: HTTPApplication?
        let cluster = try stage.deploy()
        cluster.image("nginx") { process, _ in
            server = HTTPApplication(process, in: stage.world, port: 80) { _ in HTTPApplication.Answer() }
            process.keep(server!)
        }
        try cluster.apply(Manifest.servers(1))
        let web = try cluster.ready("web")
        let api = try cluster.ready("api-0")
        let node = stage.world.addNode("stranger", ip: IPAddress(192, 168, 7, 7))
        var refused = 0
        var accepted = 0
        let process = stage.world.addProcess("openssl", on: node, userID: 0, settings: Settings()) { process in
            do throws(Refusal) {
                let validity = (process.wall - .hours(1))...(process.wall + .hours(1))
                let root = try CertificateAuthority.selfSignedRoot(name: "root.linkerd.cluster.local", validity: validity)
                let credentials = try root.issueCredentials(identity: "web.demo.serviceaccount.identity.linkerd.cluster.local", validity: validity)
                // The stranger trusts whoever answers: it wants in.
                guard let anchors = try? TrustAnchors(pem: cluster.anchorsPEM) else { return process.unexpected("no anchors") }
                let name = "api.demo.serviceaccount.identity.linkerd.cluster.local"
                for _ in 0..<10 {
                    let attempt = Attempt { isIn in if isIn { accepted += 1 } else { refused += 1 } }
                    let configuration = TLSClientConfiguration(credentials: credentials, anchors: anchors).toward(name, alpn: [TransportHeader.alpn])
                    _ = TLSStream(configuration: configuration, host: process, handler: attempt) {
                        process.network.connect(to: SocketAddress(api.node.ip, 4143), options: ConnectOptions(timeout: .seconds(5)), handler: $0)
                    }
                }
            } catch { process.unexpected("\(error)") }
            process.onShutdown { process.exit(0) }
        }
        process.start()
        try stage.wait("ten refusals") { refused + accepted == 10 }
        let lines = api.proxy!.logLines.filter { $0.contains("TLS handshake") }
        stage.say("\(refused) of 10 handshakes refused; the proxy's log: \(lines.joined(separator: " | "))")
        try stage.check(accepted == 0, "no stranger gets in, \(accepted) did")
        try stage.check(lines.count == 1, "the log says it once, not \(lines.count) times")
        try stage.check(server!.requests.isEmpty, "the application hears nothing")
        let result = try stage.call(web.caller(), "api.demo")
        try stage.check(result.status == 200, "others are served meanwhile, not \(result.summary)")
    }

    /// A TLS connection that is only made to see whether it stands.
    private final class Attempt: ConnectionHandler {
        private var tell: ((Bool) -> Void)?
        init(_ tell: @escaping (Bool) -> Void) { self.tell = tell }

        /// With TLS 1.3 the client is done before the server has judged it: what counts is whether the server then speaks or hangs up.
        func connected(_ connection: any Connection) { connection.send(TransportHeader(port: 80, sessionProtocol: .http1).encoded() + Array("GET / HTTP/1.1\r\nhost: api\r\n\r\n".utf8)) }
        func received(_ bytes: RawSpan, on connection: any Connection) {
            connection.reset()
            end(true)
        }
        func finished(_ connection: any Connection) {
            connection.close()
            end(false)
        }
        func closed(_ connection: any Connection, _ failure: HostFailure?) { end(false) }

        private func end(_ isIn: Bool) {
            let tell = tell
            self.tell = nil
            tell?(isIn)
        }
    }

    // Story: a pod's proxy asks for the certificate of another service account.
    // Promise: identity refuses with FAILED_PRECONDITION, and the proxy never becomes ready.
    // Source: linkerd2 controller/identity/validator.go; facts on Certify, order of checks.
    static let wrongIdentity = Story(
        "identity/wrong-name",
        story: "A pod's proxy asks for the certificate of another service account.",
        promise: "Identity refuses with FAILED_PRECONDITION, and the pod never becomes ready.",
        source: "linkerd2 controller/identity: requested identity did not match provided token"
    ) { stage throws(StoryFailure) in
        let cluster = try stage.deploy()
        for variable in ["LINKERD2_PROXY_IDENTITY_LOCAL_NAME", "LINKERD2_PROXY_IDENTITY_SERVER_NAME"] {
            cluster.tamper(pod: "liar", container: "linkerd-proxy", variable, "web.demo.serviceaccount.identity.linkerd.cluster.local")
        }
        try cluster.apply(Manifest.servers(0) + "---\n" + Manifest.client("liar", account: "api"))
        try cluster.ready("web")
        stage.world.run(for: .seconds(25))
        let liar = cluster.pod("liar")!
        let complaint = liar.proxy!.logLines.last { $0.contains("FAILED_PRECONDITION") }
        stage.say("after 25s the liar is \(liar.isReady ? "ready" : "not ready"): \(complaint ?? "no word of the reason")")
        try stage.check(!liar.isReady, "the liar never becomes ready")
        try stage.check(complaint != nil, "its log names the gRPC status")
    }

    // Story: certificates live ten minutes; a client calls once a minute for half an hour.
    // Promise: certificates are renewed at 70 percent of their life, and no call fails.
    // Source: linkerd2-proxy identity-client, refresh at 70 percent.
    static let renewal = Story(
        "identity/renewal",
        story: "Certificates live ten minutes; a client calls once a minute for half an hour.",
        promise: "Certificates are renewed in time, and no call fails.",
        source: "linkerd2-proxy identity-client: refresh at 70 percent of the remaining life"
    ) { stage throws(StoryFailure) in
        let cluster = try stage.deploy { $0.leafLifetime = .minutes(10) }
        cluster.image("nginx") { process, _ in process.keep(HTTPApplication(process, in: stage.world, port: 80) { _ in HTTPApplication.Answer() }) }
        try cluster.apply(Manifest.servers(1))
        let caller = try cluster.ready("web").caller()
        let api = try cluster.ready("api-0")
        for minute in 1...30 {
            stage.world.run(for: .minutes(1))
            let result = try stage.call(caller, "api.demo")
            try stage.check(result.status == 200, "the call in minute \(minute) is answered, not \(result.summary)")
        }
        let renewals = api.metric("control_identity_cert_refreshes_total") ?? 0
        stage.say("30 calls answered; the server's proxy was certified \(Int(renewals)) times")
        try stage.check(renewals >= 4, "the certificate was renewed at least three times")
    }
}
