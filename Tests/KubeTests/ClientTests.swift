// The API client on the wire: requests as the API wants them, answers and errors as callers need them, and every limit.

import Base
import Documents
import HTTP
import Kube
import Simulator
import TLS
import Testing
import Transport

@Suite struct `A client of the API server` {
    private func ask(_ net: Net, _ call: @escaping (KubeClient, @escaping KubeClient.ObjectAnswer) -> Void) throws -> Result<KubeObject, KubeError> {
        try net.wait { done in call(net.client, done) }
    }

    @Test(arguments: [Segmentation.bytewise, .seeded]) func `gets an object by its path`(_ segmentation: Segmentation) throws {
        let net = try Net(segmentation: segmentation)
        net.scripted.answer = { _, stream in stream.json(podText("web", "7")) }
        let pod = try ask(net) { $0.get(.pods, KubeKey("shop", "web"), $1) }.get()
        #expect(pod.name == "web" && pod.resourceVersion == "7")
        #expect(net.scripted.asked.map(\.path) == ["/api/v1/namespaces/shop/pods/web"])
    }

    @Test func `each verb is its request`() throws {
        let net = try Net { $0.token = .fixed("secret"); $0.pathPrefix = "/base" }
        net.scripted.answer = { _, stream in stream.json(podText("web", "8")) }
        let pod = KubeObject(.pods, namespace: "shop", name: "web")
        _ = try ask(net) { $0.create(.pods, pod, $1) }
        _ = try ask(net) { $0.update(.pods, pod, subresource: "status", $1) }
        _ = try ask(net) { $0.patch(.servers, KubeKey("shop", "s"), .merge(.members(["a": .int(1)])), $1) }
        _ = try ask(net) { $0.patch(.nodes, KubeKey("", "n"), .json(.array([])), $1) }
        _ = try ask(net) { $0.patch(.pods, pod.key, .apply(pod, fieldManager: "weft me", force: true), $1) }
        _ = try ask(net) { $0.delete(.deployments, KubeKey("shop", "d"), uid: "u1", gracePeriodSeconds: 0, propagation: "Foreground", $1) }
        #expect(
            net.scripted.asked.map { "\($0.method) \($0.path) \($0.contentType ?? "")" } == [
                "POST /base/api/v1/namespaces/shop/pods application/json",
                "PUT /base/api/v1/namespaces/shop/pods/web/status application/json",
                "PATCH /base/apis/policy.linkerd.io/v1beta3/namespaces/shop/servers/s application/merge-patch+json",
                "PATCH /base/api/v1/nodes/n application/json-patch+json",
                "PATCH /base/api/v1/namespaces/shop/pods/web?fieldManager=weft%20me&force=true application/apply-patch+yaml",
                "DELETE /base/apis/apps/v1/namespaces/shop/deployments/d application/json",
            ])
        #expect(net.scripted.asked.allSatisfy { $0.authorization == "Bearer secret" })
        #expect(net.scripted.asked[0].body == #"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","namespace":"shop"}}"#)
        #expect(net.scripted.asked[2].body == #"{"a":1}"#)
        #expect(net.scripted.asked[5].body == #"{"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":0,"preconditions":{"uid":"u1"},"propagationPolicy":"Foreground"}"#)
    }

    @Test func `a list names the kind of its items and where the next page begins`() throws {
        let net = try Net()
        net.scripted.answer = { _, stream in stream.json(listText([podText("a", "1", typed: false)], version: "9", token: "next")) }
        let labels = try LabelSelector(parsing: "app in (web, api),!old")
        let page: Result<KubeList, KubeError> = try net.wait { done in
            net.client.list(.pods, labels: labels, fields: .node("n1"), limit: 2, done)
        }
        let list = try page.get()
        #expect(list.items[0].kind == "Pod" && list.items[0].apiVersion == "v1" && list.resourceVersion == "9" && list.continueToken == "next")
        let path = net.scripted.asked[0].path
        #expect(path.hasPrefix("/api/v1/pods?labelSelector=app%20in%20%28") && path.hasSuffix("&fieldSelector=spec.nodeName%3Dn1&limit=2"))
    }

    @Test func `all pages are read, and read anew when the server has forgotten the first`() throws {
        let net = try Net()
        var forgets = true
        net.scripted.answer = { asked, stream in
            if !asked.path.contains("limit=") { return stream.json(listText([podText("a", "1"), podText("b", "2"), podText("c", "3")], version: "12")) }
            if !asked.path.contains("continue=") { return stream.json(listText([podText("a", "1")], version: "9", token: "t/2")) }
            if forgets { return stream.json(#"{"kind":"Status","status":"Failure","reason":"Expired","code":410}"#, status: 410) }
            stream.json(listText([podText("b", "2")], version: "9"))
        }
        let anew: Result<KubeList, KubeError> = try net.wait { net.client.listAll(.pods, $0) }
        #expect(try anew.get().items.map(\.name) == ["a", "b", "c"] && anew.get().resourceVersion == "12")
        forgets = false
        let pages: Result<KubeList, KubeError> = try net.wait { net.client.listAll(.pods, $0) }
        #expect(try pages.get().items.map(\.name) == ["a", "b"])
        #expect(net.scripted.asked.last?.path == "/api/v1/pods?limit=500&continue=t%2F2")
    }

    @Test func `errors say what the server said`() throws {
        let net = try Net()
        net.scripted.answer = { _, stream in
            stream.json(#"{"kind":"Status","status":"Failure","message":"pods \"x\" not found","reason":"NotFound","details":{"name":"x","kind":"pods"},"code":404}"#, status: 404)
        }
        guard case .failure(let missing) = try ask(net, { $0.get(.pods, KubeKey("shop", "x"), $1) }) else { return #expect(Bool(false)) }
        #expect(missing.isNotFound && !missing.isRetryable && "\(missing)" == "pods \"x\" not found")
        net.scripted.answer = { _, stream in stream.respond(status: 429, headers: [("retry-after", "7")], body: [UInt8]("slow down")) }
        guard case .failure(let busy) = try ask(net, { $0.get(.pods, KubeKey("shop", "x"), $1) }) else { return #expect(Bool(false)) }
        #expect(busy.isRetryable && busy.retryAfter == .seconds(7) && busy.reason == .tooManyRequests)
        net.scripted.answer = { _, stream in stream.json("{") }
        guard case .failure(.malformed) = try ask(net, { $0.get(.pods, KubeKey("shop", "x"), $1) }) else { return #expect(Bool(false)) }
    }

    @Test func `a silent server is given up after the time for an answer`() throws {
        let net = try Net()
        net.scripted.answer = { _, _ in }
        let began = net.world.now
        guard case .failure(.timedOut) = try ask(net, { $0.get(.pods, KubeKey("shop", "x"), $1) }) else { return #expect(Bool(false)) }
        #expect(net.world.now - began == .seconds(30))
        net.run()
        #expect(net.scripted.gone == 1)
    }

    @Test func `an answer beyond the limit is refused`() throws {
        var limits = KubeLimits()
        limits.responseBytesMax = 1000
        let net = try Net(limits: limits)
        net.scripted.answer = { _, stream in stream.json("\"" + String(repeating: "x", count: 2000) + "\"") }
        guard case .failure(.malformed) = try ask(net, { $0.get(.pods, KubeKey("shop", "x"), $1) }) else { return #expect(Bool(false)) }
    }

    @Test func `no more calls are open at once than the limit says, and the others wait their turn`() throws {
        var limits = KubeLimits()
        limits.requestsOpenMax = 3
        limits.requestsWaitingMax = 5
        let net = try Net(limits: limits)
        net.scripted.answer = { _, _ in }
        var answers = 0
        var refused = 0
        net.process.run {
            for i in 0..<10 {
                net.client.get(.pods, KubeKey("shop", "p\(i)")) { result in
                    answers += 1
                    if case .failure(.refused) = result { refused += 1 }
                }
            }
        }
        net.run()
        #expect(net.scripted.asked.count == 3 && refused == 2)
        for _ in 0..<10 {
            net.onServer { for stream in net.scripted.streams { stream.json(podText("x", "1")) } }
            net.scripted.streams = []
            net.run()
        }
        #expect(answers == 10 && net.scripted.asked.map { String($0.path.suffix(2)) }.sorted() == (0..<8).map { "p\($0)" })
    }

    @Test func `a read on a pooled connection that the server closed is sent again`() throws {
        let net = try Net()
        net.scripted.answer = { _, stream in stream.json(podText("web", "1")) }
        _ = try ask(net) { $0.get(.pods, KubeKey("shop", "web"), $1) }
        net.scripted.answer = { asked, stream in
            if net.scripted.asked.count == 2 { stream.connection?.close() } else { stream.json(podText("web", "2")) }
        }
        #expect(try ask(net) { $0.get(.pods, KubeKey("shop", "web"), $1) }.get().resourceVersion == "2")
        #expect(net.scripted.asked.count == 3)
        // A write may have been carried out: it is the caller's to decide.
        net.scripted.answer = { _, stream in stream.connection?.close() }
        guard case .failure(.transport) = try ask(net, { $0.create(.pods, KubeObject(.pods, namespace: "shop", name: "x"), $1) }) else { return #expect(Bool(false)) }
        #expect(net.scripted.asked.count == 4)
    }

    @Test func `a token file is read again after its period`() throws {
        let net = try Net { $0.token = .file("/token") }
        net.process.simFiles.tree.put("/token", text: "one\n")
        net.scripted.answer = { _, stream in stream.json(podText("web", "1")) }
        _ = try ask(net) { $0.get(.pods, KubeKey("shop", "web"), $1) }
        net.process.simFiles.tree.put("/token", text: "two\n")
        _ = try ask(net) { $0.get(.pods, KubeKey("shop", "web"), $1) }
        net.run(61)
        _ = try ask(net) { $0.get(.pods, KubeKey("shop", "web"), $1) }
        net.process.simFiles.tree.remove("/token")
        net.run(61)
        _ = try ask(net) { $0.get(.pods, KubeKey("shop", "web"), $1) }
        #expect(net.scripted.asked.map(\.authorization) == ["Bearer one", "Bearer one", "Bearer two", "Bearer two"])
    }

    @Test func `a token review asks for audiences and reads the verdict`() throws {
        let net = try Net()
        net.scripted.answer = { _, stream in
            stream.json(
                #"{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","status":{"authenticated":true,"user":{"username":"system:serviceaccount:shop:web","uid":"1","groups":["a"]},"audiences":["identity.l5d.io"]}}"#,
                status: 201)
        }
        let result: Result<KubeTokenReview, KubeError> = try net.wait { net.client.reviewToken("t", audiences: ["identity.l5d.io"], $0) }
        let review = try result.get()
        #expect(review.isAuthenticated && review.username == "system:serviceaccount:shop:web" && review.groups == ["a"] && review.audiences == ["identity.l5d.io"])
        #expect(net.scripted.asked[0].path == "/apis/authentication.k8s.io/v1/tokenreviews")
        #expect(
            net.scripted.asked[0].body
                == #"{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","metadata":{},"spec":{"token":"t","audiences":["identity.l5d.io"]}}"#)
    }

    @Test func `an event that repeats is counted in place`() throws {
        let net = try Net()
        net.scripted.answer = { _, stream in stream.json(podText("e", "1"), status: 201) }
        let recorder = EventRecorder(client: net.client, component: "linkerd-identity")
        for _ in 0..<2 {
            net.process.run { recorder.record(about: .serviceAccounts, KubeKey("shop", "web"), isWarning: false, reason: "IssuedLeafCertificate", message: "issued") }
            net.run()
        }
        #expect(net.scripted.asked.map(\.method) == ["POST", "PATCH"])
        let event = KubeObject(try Value(json: Array(net.scripted.asked[0].body.utf8)))
        #expect(event.value.text("involvedObject", "kind") == "ServiceAccount" && event.value.text("type") == "Normal" && event.namespace == "shop" && event.name.hasPrefix("web."))
        #expect(net.scripted.asked[1].path.hasSuffix("/events/" + event.name))
        #expect(net.scripted.asked[1].body.contains(#""count":2"#))
    }

    /// A server named `kubernetes` and a client certificate for `admin`, of one authority or, as a fault, of two.
    private func secure(_ configuration: inout KubeConfiguration, name: String = "kubernetes", stranger: Bool = false) throws -> TLSServerConfiguration {
        let start = WallTime(year: 2026, month: 6, day: 1, hour: 11)!
        let root = try CertificateAuthority.selfSignedRoot(name: "kubernetes-ca", validity: start...start + .days(1))
        let other = try CertificateAuthority.selfSignedRoot(name: "other-ca", validity: start...start + .days(1))
        let admin = try root.issueCredentials(identity: "admin", validity: start...start + .days(1))
        configuration.scheme = .https
        configuration.serverName = "kubernetes"
        configuration.anchors = .bytes(Array((stranger ? other : root).certificate.pem.utf8))
        configuration.certificate = .bytes(Array(admin.leaf.pem.utf8))
        configuration.key = .bytes(Array(admin.key.pem.utf8))
        return TLSServerConfiguration(credentials: try root.issueCredentials(identity: name, validity: start...start + .days(1)), anchors: TrustAnchors([root.certificate]), alpn: [[UInt8]("h2"), [UInt8]("http/1.1")])
    }

    @Test func `over TLS both sides prove who they are`() throws {
        let net = try Net(tls: { try self.secure(&$0) })
        net.scripted.answer = { _, stream in stream.json(podText("web", "7")) }
        #expect(try ask(net) { $0.get(.pods, KubeKey("shop", "web"), $1) }.get().name == "web")
        #expect(net.scripted.callers == ["admin"])
    }

    @Test func `a server of another authority or name gets no request`() throws {
        for net in [try Net(tls: { try self.secure(&$0, stranger: true) }), try Net(tls: { try self.secure(&$0, name: "other") })] {
            guard case .failure(.transport(.handshakeFailed)) = try ask(net, { $0.get(.pods, KubeKey("shop", "web"), $1) }) else { return #expect(Bool(false)) }
            #expect(net.scripted.asked.isEmpty)
        }
    }

    @Test func `a call that is cancelled answers nothing and ends at the server`() throws {
        let net = try Net()
        net.scripted.answer = { _, _ in }
        var answered = false
        var call: KubeCall?
        net.process.run { call = net.client.get(.pods, KubeKey("shop", "x")) { _ in answered = true } }
        net.run()
        net.process.run { call?.cancel() }
        net.run(60)
        #expect(!answered && net.scripted.gone == 1)
        net.judge()
    }
}
