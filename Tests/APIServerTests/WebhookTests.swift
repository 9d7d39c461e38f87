// Webhooks over the simulated network and real TLS: what they are asked, what their answers do, and what happens when none comes.

import APIServer
import Base
import Documents
import HTTP
import Kube
import Platform
import Simulator
import TLS
import Testing
import Transport

/// A webhook whose answers are a closure of the test.
final class TestWebhook: HTTPRequestHandler {
    var reviews: [Value] = []
    var answer: (Value) -> Value = { _ in ["allowed": true] }
    private var server: HTTPServer?
    private(set) var caBundle = ""

    init(_ process: SimProcess, _ address: SocketAddress) throws {
        let validity = (process.wall - .hours(1))...(process.wall + .hours(24))
        let authority = try CertificateAuthority.selfSignedRoot(name: "hook-ca", validity: validity)
        let credentials = try authority.issueCredentials(identity: "hook.default.svc", validity: validity)
        caBundle = base64Encoded(Array(authority.certificate.pem.utf8))
        server = try HTTPServer(
            batch: FlushBatch(host: process), address: address,
            tls: TLSServerConfiguration(credentials: credentials, anchors: TrustAnchors([authority.certificate]), requestsClientCertificate: false), handler: self)
    }

    func close() { server?.close() }

    func request(_ stream: HTTPStream, _ head: RequestHead, endStream: Bool, peer: HTTPPeer) { stream.handler = Reader(self) }

    private final class Reader: HTTPStreamHandler {
        let hook: TestWebhook
        var bytes: [UInt8] = []
        init(_ hook: TestWebhook) { self.hook = hook }
        func data(_ stream: HTTPStream, _ piece: RawSpan, endStream: Bool) {
            bytes += piece.array()
            stream.acknowledge(piece.byteCount)
            if endStream { complete(stream) }
        }
        func trailers(_ stream: HTTPStream, _ trailers: Headers) { complete(stream) }
        func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) {}
        func complete(_ stream: HTTPStream) {
            guard let review = try? Value(json: bytes) else { return stream.respond(status: 400) }
            hook.reviews.append(review)
            var response = hook.answer(review.member("request") ?? .null)
            response.put(review.member("request", "uid"), at: "uid")
            let document: Value = ["apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response]
            stream.respond(status: 200, headers: [("content-type", "application/json")], body: Array(document.json().utf8))
        }
    }
}

@Suite struct WebhookTests {
    private func cluster(_ kind: String = "MutatingWebhookConfiguration", policy: String = "Fail", operations: String = "[CREATE]", resources: String = "[pods]") throws -> (Cluster, TestWebhook) {
        let cluster = try Cluster()
        let process = cluster.world.addProcess("hook", on: cluster.world.addNode("hook", ip: IPAddress(10, 0, 0, 3)), userID: 1, settings: Settings()) { _ in }
        process.start()
        cluster.world.run(for: .zero)
        let hook = try process.run { Result { try TestWebhook(process, SocketAddress(IPAddress(10, 0, 0, 3), 8443)) } }.get()
        try cluster.apply(
            """
            apiVersion: v1
            kind: Service
            metadata: {name: hook}
            spec: {ports: [{name: https, port: 443}]}
            ---
            apiVersion: v1
            kind: Endpoints
            metadata: {name: hook}
            subsets: [{addresses: [{ip: 10.0.0.3}], ports: [{name: https, port: 8443}]}]
            ---
            apiVersion: admissionregistration.k8s.io/v1
            kind: \(kind)
            metadata: {name: hook}
            webhooks:
            - name: hook.example.io
              admissionReviewVersions: [v1]
              sideEffects: None
              failurePolicy: \(policy)
              timeoutSeconds: 2
              namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [kube-system]}]}
              clientConfig: {service: {name: hook, namespace: default, path: /}, caBundle: \(hook.caBundle)}
              rules: [{operations: \(operations), apiGroups: [""], apiVersions: [v1], resources: \(resources)}]
            """)
        cluster.await("the hook's endpoint") { !cluster.objects(.endpointSlices).isEmpty }
        return (cluster, hook)
    }

    private func pod(_ name: String, namespace: String = "default") -> KubeObject {
        var pod = KubeObject(.pods, namespace: namespace, name: name)
        pod.spec = ["containers": [["name": "c", "image": "i"]]]
        return pod
    }

    @Test func `pods of a deployment are changed on their way in`() throws {
        let (cluster, hook) = try cluster()
        hook.answer = { request in
            let patch: Value = [
                ["op": "add", "path": "/metadata/labels/injected", "value": "yes"], ["op": "add", "path": "/spec/containers/-", "value": ["name": "proxy", "image": "proxy:1"]],
            ]
            return ["allowed": true, "patchType": "JSONPatch", "patch": .string(base64Encoded(Array(patch.json().utf8)))]
        }
        try cluster.apply(webYAML)
        cluster.await("injected pods") { cluster.objects(.pods).filter(\.isReady).count == 3 }
        cluster.world.run(for: .seconds(5))
        #expect(cluster.objects(.pods).count == 3)
        for pod in cluster.objects(.pods) {
            #expect(pod.labels["injected"] == "yes")
            #expect(pod.value.items("spec", "containers").map { $0.text("name") } == ["web", "proxy"])
            // What the webhook added has its defaults, too.
            #expect(pod.value.items("spec", "containers")[1].text("imagePullPolicy") == "IfNotPresent")
        }
        let request = try #require(hook.reviews.first?.member("request"))
        #expect(request.text("operation") == "CREATE" && request.text("kind", "kind") == "Pod" && request.text("resource", "resource") == "pods")
        #expect(request.text("namespace") == "default" && request.member("oldObject") == .null)
        #expect(request.text("object", "spec", "containers") == nil && request.items("object", "spec", "containers").count == 1)
    }

    @Test func `a denial is told to the client and nothing is stored`() throws {
        let (cluster, hook) = try cluster("ValidatingWebhookConfiguration")
        hook.answer = { _ in ["allowed": false, "status": ["message": "not today", "code": 403]] }
        let status = cluster.status { $0.create(.pods, pod("a"), $1) }
        #expect(status?.code == 403)
        #expect(status?.message == "admission webhook \"hook.example.io\" denied the request: not today")
        #expect(cluster.objects(.pods).isEmpty)
        // Not concerned: another namespace by the selector, another operation by the rule.
        let exempt: KubeObject = try cluster.call { $0.create(.pods, pod("b", namespace: "kube-system"), $1) }
        #expect(!exempt.uid.isEmpty)
        #expect(hook.reviews.count == 1)
    }

    @Test(arguments: ["Fail", "Ignore"]) func `a webhook that does not answer fails or is passed over`(_ policy: String) throws {
        let (cluster, hook) = try cluster(policy: policy)
        cluster.world.node("hook")!.processes[0].run { hook.close() }
        cluster.world.run(for: .seconds(1))
        let status = cluster.status { $0.create(.pods, pod("a"), $1) }
        if policy == "Fail" {
            #expect(status?.code == 500)
            #expect(status?.message.hasPrefix("Internal error occurred: failed calling webhook \"hook.example.io\": ") == true)
        } else {
            #expect(status == nil)
        }
        #expect(cluster.objects(.pods).count == (policy == "Fail" ? 0 : 1))
    }

    @Test func `deletions are judged and a slow answer runs into its time`() throws {
        let (cluster, hook) = try cluster("ValidatingWebhookConfiguration", operations: "[DELETE]", resources: "[configmaps]")
        try cluster.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}")
        hook.answer = { request in ["allowed": .bool(request.text("oldObject", "metadata", "name") != "a")] }
        #expect(cluster.status { $0.delete(.configMaps, KubeKey("default", "a"), $1) }?.code == 400)
        #expect(cluster.server.object(.configMaps, namespace: "default", name: "a") != nil)
        cluster.world.partition(cluster.world.node("control")!, cluster.world.node("hook")!)
        let before = cluster.world.now
        #expect(cluster.status { $0.delete(.configMaps, KubeKey("default", "a"), $1) }?.message.contains("failed calling webhook") == true)
        #expect(cluster.world.now - before < .seconds(4))
    }
}
