// The real kubectl against real sockets and TLS: the judge that nobody here has written. Runs where kubectl is installed.

import APIServer
import Base
import CDeterminism
import Documents
import Glibc
import Kube
import Linux
import Platform
import TLS
import Testing

/// Where programs of a machine are; kubectl among them, wherever it came from.
private let programs = "/usr/local/bin:/usr/bin:/bin"

final class RealCluster {
    let host: LinuxHost
    let server: KubeAPIServer
    let folder: String
    private let secrets: UnsafeMutablePointer<Random>

    init() throws {
        // Tests of the simulator in this process make OpenSSL draw from bound streams only; here one is bound to this thread.
        secrets = .allocate(capacity: 1)
        secrets.initialize(to: Random(seed: 1))
        _ = weft_rand_install()
        weft_rand_bind(
            { context, bytes, count in context!.assumingMemoryBound(to: Random.self).pointee.fill(UnsafeMutableRawBufferPointer(start: bytes, count: count)) }, secrets)
        var template = Array("/tmp/weft-kubectl-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Refusal("no temporary folder") }
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        host = try LinuxHost(settings: Settings(), log: Log(control: Log.Control(level: .off)) { _, _, _ in }, takesSignals: false)
        server = try KubeAPIServer(host: host)
        let authority = try CertificateAuthority.selfSignedRoot(name: "root", validity: (host.wall - .hours(1))...(host.wall + .hours(1)))
        let credentials = try KubeAPIServer.makeCredentials(authority, addresses: [.loopback], at: host.wall)
        try server.start(
            address: SocketAddress(.loopback, 0),
            tls: TLSServerConfiguration(credentials: credentials, anchors: TrustAnchors([authority.certificate]), alpn: [[UInt8]("h2"), [UInt8]("http/1.1")]))
        try write("kubeconfig", server.kubeconfig(anchorsPEM: authority.certificate.pem))
        try TestNode(server).start(host)
    }

    func write(_ name: String, _ text: String) throws { try host.files.write("\(folder)/\(name)", Array(text.utf8), mode: 0o600) }

    /// Runs kubectl while the server serves. Its output, both streams; fails the test when the status is another than expected.
    @discardableResult
    func kubectl(_ arguments: String, status expected: Int32 = 0, location: SourceLocation = #_sourceLocation) throws -> String {
        let command = "kubectl --kubeconfig \(folder)/kubeconfig --cache-dir \(folder)/cache \(arguments) > \(folder)/out 2>&1"
        let child = try ChildProcess(ChildProgram(path: "/bin/sh", arguments: ["-c", command], environment: [("HOME", folder), ("PATH", programs)]))
        var status: Int32?
        // A child's end wakes no loop: look for it whenever the loop turns, and let it turn often.
        func tick() { host.after(.milliseconds(5)) { if status == nil { tick() } } }
        tick()
        let isOver = host.run(atMost: .seconds(60)) {
            status = child.status
            return status != nil
        }
        if !isOver { child.signal(SIGKILL) }
        let output = String(decoding: try host.files.read("\(folder)/out"), as: UTF8.self)
        #expect(status == expected, "kubectl \(arguments): \(output)", sourceLocation: location)
        return output
    }

    func end() throws {
        server.close()
        host.shutDown()
        weft_rand_bind(nil, nil)
        secrets.deallocate()
        _ = try ChildProcess.run(ChildProgram(path: "/bin/rm", arguments: ["-rf", folder], environment: []))
    }
}

@Suite(.serialized) struct KubectlTests {
    @Test func `a deployment is applied, rolled out, scaled, patched, undone, described and deleted`() throws {
        let cluster = try RealCluster()
        defer { try? cluster.end() }
        try cluster.write("web.yaml", webYAML)
        #expect(try cluster.kubectl("apply -f \(cluster.folder)/web.yaml") == "deployment.apps/web created\nservice/web created\n")
        #expect(try cluster.kubectl("rollout status deploy/web --timeout=20s").hasSuffix("successfully rolled out\n"))
        #expect(try cluster.kubectl("apply -f \(cluster.folder)/web.yaml") == "deployment.apps/web unchanged\nservice/web unchanged\n")
        #expect(try cluster.kubectl("get pods --no-headers").split(separator: "\n").filter { $0.contains("1/1") && $0.contains("Running") }.count == 3)
        try cluster.kubectl("scale deploy/web --replicas=5")
        try cluster.kubectl("rollout status deploy/web --timeout=20s")
        #expect(try cluster.kubectl("get deploy web --no-headers").contains("5/5"))
        try cluster.kubectl("set image deploy/web web=web:2")
        try cluster.kubectl("rollout status deploy/web --timeout=20s")
        #expect(try cluster.kubectl("get pods -o jsonpath='{.items[*].spec.containers[0].image}'") == Array(repeating: "web:2", count: 5).joined(separator: " "))
        try cluster.kubectl("rollout undo deploy/web")
        try cluster.kubectl("rollout status deploy/web --timeout=20s")
        #expect(try cluster.kubectl("get deploy web -o jsonpath='{.spec.template.spec.containers[0].image}'") == "web:1")
        // A strategic merge patch finds the container by its name.
        try cluster.kubectl("patch deploy web -p '{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"web\",\"env\":[{\"name\":\"A\",\"value\":\"b\"}]}]}}}}'")
        #expect(try cluster.kubectl("get deploy web -o jsonpath='{.spec.template.spec.containers[*].image}{.spec.template.spec.containers[0].env[0].value}'") == "web:1b")
        let description = words(try cluster.kubectl("describe svc web"))
        #expect(description.contains("TargetPort: http/TCP"))
        #expect(description.contains("Endpoints: 10.244.0."))
        try cluster.kubectl("wait --for=condition=available deploy/web --timeout=20s")
        try cluster.kubectl("delete deploy web --wait")
        #expect(try cluster.kubectl("get pods") == "No resources found in default namespace.\n")
    }

    @Test func `a watch shows pods come and go`() throws {
        let cluster = try RealCluster()
        defer { try? cluster.end() }
        try cluster.write("web.yaml", webYAML)
        let file = "\(cluster.folder)/watch"
        let command = "exec kubectl --kubeconfig \(cluster.folder)/kubeconfig --cache-dir \(cluster.folder)/cache2 get pods -w --no-headers --output-watch-events > \(file) 2>&1"
        let watcher = try ChildProcess(ChildProgram(path: "/bin/sh", arguments: ["-c", command], environment: [("HOME", cluster.folder), ("PATH", programs)]))
        func lines() -> [String] { String(decoding: (try? cluster.host.files.read(file)) ?? [], as: UTF8.self).split(separator: "\n").map(String.init) }
        func tick() { cluster.host.after(.milliseconds(20)) { tick() } }
        tick()
        // The watch stands once it has told of a pod; what is applied after that is seen as it changes.
        try cluster.kubectl("run first --image=web:1")
        #expect(cluster.host.run(atMost: .seconds(20)) { lines().contains { $0.hasPrefix("ADDED") && $0.contains("first") } })
        try cluster.kubectl("apply -f \(cluster.folder)/web.yaml")
        try cluster.kubectl("rollout status deploy/web --timeout=20s")
        #expect(cluster.host.run(atMost: .seconds(20)) { lines().filter { $0.hasPrefix("MODIFIED") && $0.contains("Running") }.count >= 3 })
        try cluster.kubectl("delete deploy web")
        #expect(cluster.host.run(atMost: .seconds(20)) { lines().filter { $0.hasPrefix("DELETED") }.count == 3 })
        watcher.signal(SIGKILL)
        _ = watcher.wait()
    }

    @Test func `server-side apply goes round, meets its conflict and can be forced`() throws {
        let cluster = try RealCluster()
        defer { try? cluster.end() }
        try cluster.write("web.yaml", webYAML)
        try cluster.write("two.yaml", webYAML.replacing("replicas: 3", with: "replicas: 2"))
        #expect(try cluster.kubectl("apply --server-side -f \(cluster.folder)/web.yaml").contains("deployment.apps/web serverside-applied"))
        let version = try cluster.kubectl("get svc web -o jsonpath='{.metadata.resourceVersion}'")
        try cluster.kubectl("apply --server-side -f \(cluster.folder)/web.yaml")
        #expect(try cluster.kubectl("get svc web -o jsonpath='{.metadata.resourceVersion}'") == version)
        let conflict = try cluster.kubectl("apply --server-side --field-manager other -f \(cluster.folder)/two.yaml", status: 1)
        #expect(conflict.contains("conflict with \"kubectl\": .spec.replicas"))
        try cluster.kubectl("apply --server-side --force-conflicts --field-manager other -f \(cluster.folder)/two.yaml")
        #expect(try cluster.kubectl("get deploy web -o jsonpath='{.spec.replicas}'") == "2")
    }

    @Test func `custom resources are served, judged and shown as their definition says`() throws {
        let cluster = try RealCluster()
        defer { try? cluster.end() }
        try cluster.write("crd.yaml", serverDefinition)
        try cluster.write("one.yaml", "apiVersion: example.io/v1\nkind: Widget\nmetadata: {name: a}\nspec: {port: http}\n")
        #expect(try cluster.kubectl("apply -f \(cluster.folder)/one.yaml", status: 1).contains("no matches for kind \"Widget\" in version \"example.io/v1\""))
        try cluster.kubectl("apply -f \(cluster.folder)/crd.yaml")
        try cluster.kubectl("wait --for=condition=established crd/widgets.example.io --timeout=10s")
        try cluster.kubectl("apply -f \(cluster.folder)/one.yaml")
        #expect(try cluster.kubectl("get wd").split(separator: "\n").map { words(String($0)) } == ["NAME PORT PROTOCOL", "a http unknown"])
        #expect(try cluster.kubectl("patch wd a --type merge -p '{\"spec\":{\"protocol\":\"nope\"}}'", status: 1).contains("spec.protocol: Unsupported value: \"nope\""))
        // An old kubectl does not ask for strictness by itself.
        try cluster.write("bad.json", #"{"apiVersion":"example.io/v1","kind":"Widget","metadata":{"name":"b"},"spec":{"port":1,"prt":2}}"#)
        let strict = "'/apis/example.io/v1/namespaces/default/widgets?fieldValidation=Strict'"
        #expect(try cluster.kubectl("create --raw \(strict) -f \(cluster.folder)/bad.json", status: 1).contains("unknown field \"spec.prt\""))
        #expect(try cluster.kubectl("get widgets.v1beta1.example.io").contains("Warning: example.io/v1beta1 Widget is deprecated"))
        try cluster.kubectl("scale wd/a --replicas=4")
        #expect(try cluster.kubectl("get wd a -o jsonpath='{.spec.replicas}'") == "4")
        try cluster.kubectl("delete crd widgets.example.io")
        try cluster.kubectl("get wd", status: 1)
    }

    @Test func `namespaces, tokens, dry runs and questions of access work`() throws {
        let cluster = try RealCluster()
        defer { try? cluster.end() }
        try cluster.kubectl("create ns shop")
        try cluster.kubectl("-n shop create configmap a --from-literal=x=1")
        try cluster.write("request.json", #"{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{}}"#)
        let issued = try cluster.kubectl("create --raw /api/v1/namespaces/shop/serviceaccounts/default/token -f \(cluster.folder)/request.json")
        #expect(issued.contains(#""token":"ey"#) || issued.contains(#""token": "ey"#))
        #expect(try cluster.kubectl("auth can-i delete pods") == "yes\n")
        #expect(try cluster.kubectl("-n shop create secret generic s --from-literal=p=q --dry-run=server").contains("server dry run"))
        #expect(try cluster.kubectl("-n shop get secrets") == "No resources found in shop namespace.\n")
        try cluster.kubectl("delete ns shop --timeout=20s")
        #expect(try cluster.kubectl("get ns shop", status: 1).contains("NotFound"))
        #expect(try cluster.kubectl("api-resources --no-headers").contains("endpointslices"))
    }
}

/// A text with one space where there were several: columns differ between versions of kubectl.
private func words(_ text: String) -> String { text.split(separator: " ").joined(separator: " ") }

let serverDefinition = """
    apiVersion: apiextensions.k8s.io/v1
    kind: CustomResourceDefinition
    metadata: {name: widgets.example.io}
    spec:
      group: example.io
      names: {kind: Widget, plural: widgets, singular: widget, shortNames: [wd]}
      scope: Namespaced
      versions:
      - name: v1beta1
        served: true
        storage: false
        deprecated: true
        schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
      - name: v1
        served: true
        storage: true
        subresources: {scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}
        schema:
          openAPIV3Schema:
            type: object
            required: [spec]
            properties:
              spec:
                type: object
                required: [port]
                properties:
                  port: {x-kubernetes-int-or-string: true}
                  protocol: {type: string, default: unknown, enum: [unknown, HTTP/1, HTTP/2]}
                  replicas: {type: integer, minimum: 0}
                  host: {type: string, pattern: "^[a-z0-9.]{1,20}$"}
        additionalPrinterColumns:
        - {name: Port, type: string, jsonPath: .spec.port}
        - {name: Protocol, type: string, jsonPath: .spec.protocol}
    """
