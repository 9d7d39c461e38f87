// How long the proxy injector thinks about a large pod: the process that ships, over TLS on loopback, asked one review after another as an
// API server asks. Timed is from the first byte sent to the last byte of the answer.

import APIServer
import Base
import Documents
import HTTP
import Kube
import Linux
import Platform
import TLS
import Transport

final class InjectorBench: HTTPStreamHandler {
    private let host: LinuxHost
    private let batch: FlushBatch
    private let api: KubeAPIServer
    private let count: Int
    private var review: [UInt8] = []
    private var client: HTTPClient!
    private var controller: ControllerProcess!
    private var began = 0.0
    private var cpuAtStart = 0.0
    private var took: [Double] = []
    private var answer: [UInt8] = []

    init(count: Int) throws {
        self.count = count
        host = try benchHost()
        batch = FlushBatch(host: host)
        api = try KubeAPIServer(batch: batch)
        try api.apply([try YAML.parse(Array("{apiVersion: v1, kind: Namespace, metadata: {name: bench, annotations: {linkerd.io/inject: enabled}}}".utf8))[0].value])
    }

    /// Twenty containers with a hundred variables each, and annotations: what generated manifests grow to.
    private static func pod(bytes: Int) -> Value {
        func container(_ i: Int, _ variables: Int) -> Value {
            .members([
                "name": .string("app-\(i)"), "image": .string("registry.example/app:\(i)"), "ports": .array([.members(["containerPort": .int(Int64(8000 + i))])]),
                "env": .array((0..<variables).map { .members(["name": .string("SETTING_\($0)"), "value": .string("value \($0) of container \(i), long enough to be worth its line")]) }),
            ])
        }
        var variables = 1
        func made() -> Value {
            .members([
                "apiVersion": .string("v1"), "kind": .string("Pod"), "metadata": .members(["name": .string("large"), "namespace": .string("bench"), "labels": .members(["app": .string("large")])]),
                "spec": .members(["serviceAccountName": .string("default"), "containers": .array((0..<20).map { container($0, variables) })]),
            ])
        }
        while made().json().utf8.count < bytes { variables += 1 }
        return made()
    }

    func run(directory: String, bytes: Int) throws -> Never {
        let object = Self.pod(bytes: bytes)
        review = Array(
            Value.members([
                "apiVersion": .string("admission.k8s.io/v1"), "kind": .string("AdmissionReview"),
                "request": .members([
                    "uid": .string("00000000-0000-4000-8000-000000000001"), "kind": .members(["group": .string(""), "version": .string("v1"), "kind": .string("Pod")]),
                    "resource": .members(["group": .string(""), "version": .string("v1"), "resource": .string("pods")]), "namespace": .string("bench"), "operation": .string("CREATE"),
                    "object": object,
                ]),
            ]).json().utf8)
        say("pod_bytes \(object.json().utf8.count)")
        try api.start(address: SocketAddress(.loopback, 0))
        let validity = (host.wall - .hours(1))...(host.wall + .days(1))
        let root = try CertificateAuthority.selfSignedRoot(name: "webhook", validity: validity)
        let credentials = try root.issueServerCredentials(names: ["linkerd-proxy-injector.linkerd.svc"], addresses: [.loopback], validity: validity)
        func put(_ name: String, _ text: String) throws -> String {
            try host.files.write("\(directory)/\(name)", Array(text.utf8), mode: 0o600)
            return "\(directory)/\(name)"
        }
        let (port, admin) = (try freePort(host), try freePort(host))
        controller = try ControllerProcess(
            [
                "proxy-injector", "--kubeconfig", try put("kubeconfig", api.kubeconfig()), "--addr", "127.0.0.1:\(port)", "--metrics-addr", "127.0.0.1:\(admin)",
                "--tls-cert", try put("tls.crt", credentials.chain.map(\.pem).joined()), "--tls-key", try put("tls.key", credentials.key.pem), "--config-file", try put("values", "{}"),
                "--trust-anchors", try put("ca.crt", root.certificate.pem), "--log-level", "error",
            ], admin: SocketAddress(.loopback, admin), batch: batch, host: host)
        let tls = TLSClientConfiguration(anchors: TrustAnchors([root.certificate]), serverName: "linkerd-proxy-injector.linkerd.svc", expectedPeer: ["linkerd-proxy-injector.linkerd.svc"])
        client = HTTPClient(version: .http11, connector: TLSConnector(host: host, lower: TCPConnector(host: host, address: SocketAddress(.loopback, port))) { tls }, batch: batch)
        controller.awaitReady { [self] in
            cpuAtStart = controller.cpuSeconds
            ask()
        }
        withExtendedLifetime(self) { host.runProcess() }
    }

    private func ask() {
        answer = []
        began = clockSeconds()
        var headers = Headers()
        headers.add("content-type", "application/json")
        headers.add("content-length", String(review.count))
        do throws(Refusal) {
            let stream = try client.send(RequestHead(method: .post, authority: "injector", path: "/", headers: headers), endStream: false, handler: self)
            let body = review
            stream.send(body.span.bytes, endStream: true)
        } catch { fail("\(error)") }
    }

    private func fail(_ why: String) {
        say("failed \(why)")
        controller.stop()
        host.exit(1)
    }

    func response(_ stream: HTTPStream, _ head: ResponseHead, endStream: Bool) { if head.status != 200 { fail("status \(head.status)") } }

    func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) {
        answer += bytes.array()
        stream.acknowledge(bytes.byteCount)
        guard endStream else { return }
        took.append(clockSeconds() - began)
        if took.count == 1 {
            guard let response = try? Value(json: answer), response.flag("response", "allowed") == true, response.text("response", "patch") != nil else { return fail("the pod was not injected: \(String(decoding: answer.prefix(300), as: UTF8.self))") }
        }
        if took.count < count {
            host.after(.zero) { [self] in ask() }
            return
        }
        took.sort()
        func milliseconds(_ share: Double) -> Double { Double(Int(took[min(took.count - 1, Int(Double(took.count) * share))] * 100_000)) / 100 }
        say("reviews \(took.count)")
        say("review_p50_milliseconds \(milliseconds(0.5))")
        say("review_p99_milliseconds \(milliseconds(0.99))")
        say("review_max_milliseconds \(milliseconds(1))")
        // What a busy machine does not change: TLS, reading, judging and answering.
        say("review_cpu_milliseconds \(Double(Int((controller.cpuSeconds - cpuAtStart) / Double(took.count) * 100_000)) / 100)")
        say("controller_peak_megabytes \(controller.peakMegabytes)")
        controller.stop()
        host.exit(0)
    }

    func trailers(_ stream: HTTPStream, _ trailers: Headers) {}
    func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) { fail("\(failure)") }
}
