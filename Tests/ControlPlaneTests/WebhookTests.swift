// Webhooks over the simulated network, asked over TLS as an API server asks: good reviews, both versions, and everything that is
// none. The answers' patches are applied, not compared as text.

import Base
import CDeterminism
import ControlPlane
import Documents
import HTTP
import Kube
import OrderedCollections
import Platform
import Simulator
import TLS
import Testing
import Transport

private let webhookIP = IPAddress(10, 0, 0, 4)
private let hook = SocketAddress(webhookIP, 8443)
private let serverName = "linkerd-proxy-injector.linkerd.svc"

/// A webhook with its certificate, and whoever asks it.
private final class Asker {
    let plane: Plane
    let process: SimProcess
    private var authority: CertificateAuthority

    init(_ plane: Plane, start: @escaping (SimProcess) throws -> AnyObject) throws {
        self.plane = plane
        process = plane.controller("webhook", ip: webhookIP, start: start)
        authority = plane.root
        try certify()
        process.node.files.put("/var/run/linkerd/config/values", text: "clusterDomain: cluster.local\nproxy: {image: {name: weft/proxy, version: v9}}\n")
    }

    /// Writes a pair from a new authority, which the asker then trusts.
    @discardableResult
    func certify() throws -> CertificateAuthority {
        let made = plane.asClient { () -> (CertificateAuthority, TLSCredentials)? in
            let now = plane.world.wall
            guard let root = try? CertificateAuthority.selfSignedRoot(name: "webhook.linkerd.svc", validity: now - .hours(1)...now + .days(365)),
                let credentials = try? root.issueCredentials(identity: serverName, validity: now - .hours(1)...now + .days(365))
            else { return nil }
            return (root, credentials)
        }
        let (root, credentials) = try #require(made)
        process.node.files.put("/var/run/linkerd/tls/tls.crt", text: credentials.chain.map(\.pem).joined())
        process.node.files.put("/var/run/linkerd/tls/tls.key", text: credentials.key.pem)
        authority = root
        return root
    }

    /// What comes back for a body.
    func ask(_ body: [UInt8], method: HTTPMethod = .post, type: String = "application/json", trusting: CertificateAuthority? = nil, splitAt: Int? = nil, stall: Bool = false) -> Fetch {
        let fetch = Fetch()
        let anchors = TrustAnchors([(trusting ?? authority).certificate])
        plane.asClient {
            let configuration = TLSClientConfiguration(anchors: anchors, serverName: serverName, expectedPeer: [serverName], alpn: [[UInt8]("http/1.1")])
            let http = HTTPClient(version: .http11, connector: TLSConnector(host: plane.client, lower: TCPConnector(host: plane.client, address: hook)) { configuration }, batch: plane.batch)
            var headers = Headers()
            headers.add("content-type", type)
            headers.add("content-length", String(body.count))
            let stream = try? http.send(RequestHead(method: method, scheme: .https, authority: "webhook", path: "/?timeout=10s", headers: headers), endStream: body.isEmpty, handler: fetch)
            if stall {
                stream?.say(Array(body.prefix(1)), endStream: false)
            } else if let splitAt {
                stream?.say(Array(body.prefix(splitAt)), endStream: false)
                plane.client.after(.milliseconds(30)) { stream?.say(Array(body.dropFirst(splitAt)), endStream: true) }
            } else if !body.isEmpty {
                stream?.send(body.span.bytes, endStream: true)
            }
            plane.client.after(.seconds(40)) { http.close() }
        }
        plane.world.run(until: { fetch.isOver }, limit: .seconds(30), awaiting: "the webhook's answer")
        return fetch
    }

    func review(_ object: Value, kind: String, group: String = "", version: String = "admission.k8s.io/v1", operation: String = "CREATE", namespace: String = "shop") -> Fetch {
        ask(Array(reviewDocument(object, kind: kind, group: group, version: version, operation: operation, namespace: namespace).json().utf8))
    }

    func stop() {
        process.stop()
        plane.run(60)
        #expect(process.state == .exited(0))
        plane.judge()
    }
}

private func reviewDocument(_ object: Value, kind: String, group: String = "", version: String = "admission.k8s.io/v1", operation: String = "CREATE", namespace: String = "shop") -> Value {
    .members([
        "kind": .string("AdmissionReview"), "apiVersion": .string(version),
        "request": .members([
            "uid": .string("abc-1"), "kind": .members(["group": .string(group), "version": .string("v1"), "kind": .string(kind)]), "name": .string(""), "namespace": .string(namespace),
            "operation": .string(operation), "object": object, "oldObject": .null, "dryRun": .bool(false),
        ]),
    ])
}

private final class Fetch: HTTPStreamHandler {
    var status: UInt16?
    var body: [UInt8] = []
    var isOver = false
    var failure: HTTPStreamFailure?
    func response(_ stream: HTTPStream, _ head: ResponseHead, endStream: Bool) {
        status = head.status
        isOver = endStream
    }
    func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) {
        body += bytes.array()
        stream.acknowledge(bytes.byteCount)
        isOver = endStream
    }
    func trailers(_ stream: HTTPStream, _ trailers: Headers) { isOver = true }
    func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) {
        self.failure = failure
        isOver = true
    }

    var text: String { String(decoding: body, as: UTF8.self) }
    var document: Value { (try? Value(json: body)) ?? .null }
    var isAllowed: Bool? { document.flag("response", "allowed") }
    var message: String { document.text("response", "status", "message") ?? "" }

    /// The object after the patch that was answered.
    func patched(_ object: Value) throws -> Value {
        guard let text = document.text("response", "patch") else { return object }
        return try JSONPatch(try Value(json: try #require(base64Decoded(text)))).apply(to: object)
    }
}

extension HTTPStream {
    fileprivate func say(_ bytes: [UInt8], endStream: Bool) { send(bytes.span.bytes, endStream: endStream) }
}

private func yaml(_ text: String) throws -> Value { try #require(try YAML.parse(Array(text.utf8)).first?.value) }

@Suite struct `A proxy injector` {
    private func start() throws -> Asker {
        let plane = try Plane()
        plane.asAPI {
            plane.api.put(.namespaces, "metadata: {name: shop, annotations: {linkerd.io/inject: enabled, config.linkerd.io/proxy-log-level: debug}}")
            plane.api.put(.namespaces, "metadata: {name: other, annotations: {config.linkerd.io/opaque-ports: \"9999\"}}")
            plane.api.put(.replicaSets, "metadata: {name: web-7f, namespace: shop, ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: web, uid: d1, controller: true}]}")
        }
        let asker = try Asker(plane) { process in try InjectorController.run(host: process) }
        plane.run(3)
        return asker
    }

    private let pod = """
        {metadata: {generateName: web-7f-, labels: {app: web}, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web-7f, uid: uid-web-7f, controller: true}]},
         spec: {containers: [{name: app, image: nginx, ports: [{containerPort: 80}, {containerPort: 3306}]}]}}
        """

    @Test(arguments: ["admission.k8s.io/v1", "admission.k8s.io/v1beta1"]) func `makes a pod meshed, in both versions of the review`(_ version: String) throws {
        let asker = try start()
        #expect(asker.plane.page(SocketAddress(webhookIP, 9995), "/ready").status == 200)
        let object = try yaml(pod)
        let answer = asker.review(object, kind: "Pod", version: version)
        #expect(answer.status == 200 && answer.isAllowed == true && answer.document.text("apiVersion") == version && answer.document.text("response", "uid") == "abc-1")
        let injected = try answer.patched(object)
        #expect(injected.items("spec", "initContainers").map { $0.text("name") } == ["linkerd-init", "linkerd-proxy"])
        #expect(injected.items("spec", "initContainers").last?.text("image") == "weft/proxy:v9")
        #expect(injected.text("metadata", "labels", "linkerd.io/proxy-deployment") == "web" && injected.text("metadata", "labels", "linkerd.io/workload-ns") == "shop")
        #expect(injected.text("metadata", "annotations", "config.linkerd.io/opaque-ports") == "3306" && injected.text("metadata", "annotations", "config.linkerd.io/proxy-log-level") == "debug")
        #expect(injected.items("spec", "containers") == object.items("spec", "containers"))
        asker.plane.run(1)
        let event = try #require(asker.plane.api.created.first { $0.kind == "Event" })
        #expect(event.value.text("reason") == "Injected" && event.value.text("involvedObject", "kind") == "Deployment" && event.value.text("involvedObject", "name") == "web" && event.value.text("involvedObject", "uid") == "d1")
        let metrics = asker.plane.page(SocketAddress(webhookIP, 9995), "/metrics").body
        #expect(metrics.contains("proxy_inject_admission_responses_total{owner_kind=\"deployment\",namespace=\"shop\",annotation_at=\"namespace\",skip=\"false\",skip_reason=\"\"} 1\n"))
        #expect(metrics.contains("webhook_reviews_total{outcome=\"allowed\"} 1\n") && metrics.contains("webhook_cert_ttl_seconds 315"))
        asker.stop()
    }

    @Test func `says why it leaves a pod alone, and names its opaque ports all the same`() throws {
        let asker = try start()
        let object = try yaml("{metadata: {name: lone, annotations: {linkerd.io/inject: disabled}}, spec: {containers: [{name: app, ports: [{containerPort: 5432}]}]}}")
        let answer = asker.review(object, kind: "Pod")
        #expect(try answer.patched(object).text("metadata", "annotations", "config.linkerd.io/opaque-ports") == "5432")
        #expect(try answer.patched(object).items("spec", "initContainers").isEmpty)
        let other = asker.review(object, kind: "Pod", namespace: "other")
        #expect(try other.patched(object).text("metadata", "annotations", "config.linkerd.io/opaque-ports") == "9999")
        let service = try yaml("{metadata: {name: db}, spec: {ports: [{port: 3306}, {port: 80}]}}")
        #expect(try asker.review(service, kind: "Service").patched(service).text("metadata", "annotations", "config.linkerd.io/opaque-ports") == "3306")
        let host = try yaml("{metadata: {name: h, ownerReferences: [{apiVersion: apps/v1, kind: DaemonSet, name: agents, uid: u}]}, spec: {hostNetwork: true, containers: [{name: a}]}}")
        #expect(asker.review(host, kind: "Pod").document.text("response", "patch") == nil)
        asker.plane.run(1)
        let event = try #require(asker.plane.api.created.last { $0.kind == "Event" })
        #expect(event.value.text("reason") == "InjectionSkipped" && event.value.text("message") == "Linkerd sidecar proxy injection skipped: hostNetwork is enabled")
        // Updates and what it does not know pass or are refused, unchanged.
        #expect(asker.review(object, kind: "Pod", operation: "UPDATE").document.text("response", "patch") == nil)
        let foreign = asker.review(object, kind: "Deployment", group: "apps")
        #expect(foreign.isAllowed == false && foreign.message.contains("the webhook's rules should name pods and services only"))
        asker.stop()
    }

    @Test func `tells whoever writes a pod which annotation it could not use`() throws {
        let asker = try start()
        let answer = asker.review(try yaml("{metadata: {name: p, annotations: {config.linkerd.io/admin-port: none}}, spec: {containers: [{name: a}]}}"), kind: "Pod")
        #expect(answer.document.items("response", "warnings") == [.string("config.linkerd.io/admin-port: \"none\" is not a port and is ignored")])
        asker.stop()
    }

    @Test func `asks for a ReplicaSet that the watch has not told of yet, and does without when it cannot`() throws {
        let asker = try start()
        // The table's API answers a GET of one object with an empty document, as good as none.
        let object = try yaml("{metadata: {name: p, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: young, uid: y, controller: true}]}, spec: {containers: [{name: a}]}}")
        #expect(try asker.review(object, kind: "Pod").patched(object).text("metadata", "labels", "linkerd.io/proxy-replicaset") == "young")
        asker.plane.asAPI { asker.plane.api.isUp = false }
        #expect(try asker.review(object, kind: "Pod").patched(object).text("metadata", "labels", "linkerd.io/proxy-replicaset") == "young")
        asker.stop()
    }

    @Test func `follows its configuration, and refuses with the reason when that cannot be read`() throws {
        let asker = try start()
        let object = try yaml(pod)
        let values = "/var/run/linkerd/config/values"
        asker.process.node.files.put(values, text: "cniEnabled: true\nproxy: {nativeSidecar: false, image: {version: v10}}\n")
        let injected = try asker.review(object, kind: "Pod").patched(object)
        #expect(injected.items("spec", "initContainers").map { $0.text("name") } == ["linkerd-network-validator"] && injected.items("spec", "containers").first?.text("name") == "linkerd-proxy")
        asker.process.node.files.put(values, text: "cniEnabled: perhaps\n")
        let refused = asker.review(object, kind: "Pod")
        #expect(refused.isAllowed == false && refused.message == "/var/run/linkerd/config/values: the chart's value cniEnabled must be true or false, not a string")
        asker.process.node.files.put(values, text: "a: [\n")
        #expect(asker.review(object, kind: "Pod").isAllowed == false)
        asker.process.node.files.put(values, text: "{}\n")
        #expect(asker.review(object, kind: "Pod").isAllowed == true)
        asker.stop()
    }

    @Test func `answers garbage, strangers' versions and floods as transport faults or refusals, and goes on`() throws {
        let asker = try start()
        let good = try yaml(pod)
        #expect(asker.ask(Array("not json".utf8)).status == 400)
        #expect(asker.ask([]).status == 400)
        #expect(asker.ask(Array("{}".utf8)).text.contains("not an AdmissionReview"))
        #expect(asker.ask(Array("{\"kind\":\"AdmissionReview\"}".utf8)).text.contains("no request.uid"))
        #expect(asker.ask(Array(String(repeating: "[", count: 100_000).utf8)).status == 400)
        #expect(asker.ask([0xff, 0xfe, 0x00]).status == 400)
        #expect(asker.ask(Array("{}".utf8), method: .put).status == 405)
        #expect(asker.ask(Array("{}".utf8), type: "text/plain").status == 415)
        let version = asker.review(good, kind: "Pod", version: "admission.k8s.io/v7")
        #expect(version.isAllowed == false && version.message.contains("\"admission.k8s.io/v7\" is none of") && version.document.text("response", "uid") == "abc-1")
        let operation = asker.review(good, kind: "Pod", operation: "EXPLODE")
        #expect(operation.isAllowed == false && operation.message.contains("EXPLODE"))
        #expect(asker.review(.string("a pod"), kind: "Pod").message.contains("request.object is a string"))
        let broken = asker.review(try yaml("{metadata: {name: p}, spec: {containers: {}}}"), kind: "Pod")
        #expect(broken.isAllowed == false && broken.message == "pod/p: spec.containers is not a list")
        let large = asker.ask([UInt8](repeating: 0x20, count: 10 * 1024 * 1024 + 1))
        #expect(large.status == 413 || large.failure != nil)
        #expect(asker.ask(Array("{\"kind\"".utf8), stall: true).status == 408)
        #expect(asker.review(good, kind: "Pod").isAllowed == true)
        let metrics = asker.plane.page(SocketAddress(webhookIP, 9995), "/metrics").body
        #expect(metrics.contains("webhook_reviews_total{outcome=\"too_large\"} 1\n") && metrics.contains("webhook_reviews_total{outcome=\"timeout\"} 1\n"))
        asker.stop()
    }

    @Test func `reads a review however it is split`() throws {
        let asker = try start()
        let object = try yaml(pod)
        let bytes = Array(reviewDocument(object, kind: "Pod").json().utf8)
        let whole = try asker.ask(bytes).patched(object)
        for at in stride(from: 1, to: bytes.count, by: 41) { #expect(try asker.ask(bytes, splitAt: at).patched(object) == whole) }
        asker.stop()
    }

    @Test func `serves with a new certificate once its files change, and with the old one when they are broken`() throws {
        let asker = try start()
        let object = try yaml(pod)
        #expect(asker.review(object, kind: "Pod").isAllowed == true)
        let next = try asker.certify()
        asker.plane.run(11)
        #expect(asker.ask(Array(reviewDocument(object, kind: "Pod").json().utf8), trusting: next).isAllowed == true)
        asker.process.node.files.put("/var/run/linkerd/tls/tls.key", text: "no key")
        asker.plane.run(11)
        #expect(asker.review(object, kind: "Pod").isAllowed == true)
        #expect(asker.process.logLines.contains { $0.contains("the old serving certificate stays") })
        // Nobody who trusts another authority gets an answer.
        #expect(asker.ask(Array("{}".utf8), trusting: asker.plane.root).status == nil)
        asker.stop()
    }

    @Test func `is not ready before it has a certificate and knows the namespaces`() throws {
        let plane = try Plane()
        let process = plane.controller("webhook", ip: webhookIP) { process in try InjectorController.run(host: process) }
        plane.run(3)
        let admin = SocketAddress(webhookIP, 9995)
        #expect(plane.page(admin, "/ready").status == 503 && plane.page(admin, "/ping").body == "pong\n")
        #expect(process.logLines.contains { $0.contains("no serving certificate yet") })
        process.stop()
        plane.run(2)
        #expect(process.state == .exited(0))
        plane.judge()
    }
}

@Suite struct `A profile validator` {
    @Test func `refuses a bad profile with 400 and lets a good one pass`() throws {
        let plane = try Plane()
        let asker = try Asker(plane) { process in try ProfileValidator.run(host: process) }
        plane.run(3)
        #expect(plane.page(SocketAddress(webhookIP, 9997), "/ready").status == 200)
        let bad = asker.review(try yaml("{apiVersion: linkerd.io/v1alpha2, kind: ServiceProfile, metadata: {name: web.shop.svc.cluster.local}, spec: {routes: [{name: a}]}}"), kind: "ServiceProfile", group: "linkerd.io")
        #expect(bad.isAllowed == false && bad.document.number("response", "status", "code") == 400)
        #expect(bad.message == "ServiceProfile \"web.shop.svc.cluster.local\" is invalid: spec.routes[0].condition: a route needs a condition, which says what requests it is for")
        let good = asker.review(try yaml("{apiVersion: linkerd.io/v1alpha2, kind: ServiceProfile, metadata: {name: web.shop.svc.cluster.local}, spec: {}}"), kind: "ServiceProfile", group: "linkerd.io", operation: "UPDATE")
        #expect(good.isAllowed == true)
        #expect(asker.review(.null, kind: "ServiceProfile", group: "linkerd.io", operation: "DELETE").isAllowed == true)
        #expect(asker.review(try yaml("{kind: Pod}"), kind: "Pod").isAllowed == false)
        asker.stop()
    }
}

@Suite struct `A policy controller's webhook` {
    @Test func `judges beside the policy service`() throws {
        let plane = try Plane()
        let asker = try Asker(plane) { process in
            try PolicyController.run(host: process, policy: PolicyOptions(), webhook: WebhookOptions(address: hook))
        }
        plane.run(3)
        #expect(plane.page(SocketAddress(webhookIP, 9990), "/ready").status == 200)
        let bad = asker.review(try yaml("{apiVersion: policy.linkerd.io/v1beta3, kind: Server, metadata: {name: s}, spec: {podSelector: {}, port: 80, accessPolicy: maybe}}"), kind: "Server", group: "policy.linkerd.io")
        #expect(bad.isAllowed == false && bad.message.contains("spec.accessPolicy"))
        asker.stop()
    }
}
