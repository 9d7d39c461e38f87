// The controller's API: what it says of itself and of the control plane, in all its forms, and who passes its doors.

import Base
import ControlPlane
import Documents
import GRPC
import HTTP
import Kube
import MeshAPI
import Platform
import Simulator
import Testing
import Transport

private let controllerIP = IPAddress(10, 0, 1, 9)
private let door = SocketAddress(controllerIP, 8085)

/// The API's answer to one request.
private struct Said {
    var status: UInt16 = 0
    var headers = Headers()
    var body: [UInt8] = []
    var json: Value { (try? Value(json: body)) ?? .null }
    var text: String { String(decoding: body, as: UTF8.self) }
}

private final class Caller: HTTPStreamHandler {
    var said = Said()
    var isOver = false
    func response(_ stream: HTTPStream, _ head: ResponseHead, endStream: Bool) {
        (said.status, said.headers) = (head.status, head.headers)
        isOver = endStream
    }
    func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) {
        said.body += bytes.array()
        stream.acknowledge(bytes.byteCount)
        isOver = endStream
    }
    func trailers(_ stream: HTTPStream, _ trailers: Headers) { isOver = true }
    func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) { isOver = true }
}

extension Plane {
    fileprivate func ask(_ method: HTTPMethod, _ path: String, headers: [(String, String)] = [], body: [UInt8] = []) -> Said {
        let caller = Caller()
        asClient {
            let http = HTTPClient(version: .http11, connector: TCPConnector(host: client, address: door), batch: batch)
            var fields = Headers()
            for (name, value) in headers { fields.add(name, value) }
            if !body.isEmpty { fields.add("content-length", String(body.count)) }
            let stream = try? http.send(RequestHead(method: method, authority: "controller", path: HTTPText(path), headers: fields), endStream: body.isEmpty, handler: caller)
            if !body.isEmpty { stream?.send(body.span.bytes, endStream: true) }
        }
        world.run(until: { caller.isOver }, limit: .seconds(30), awaiting: path)
        return caller.said
    }

    fileprivate func startController() -> (process: SimProcess, made: () -> PublicController?) {
        var made: PublicController?
        let process = controller("controller", ip: controllerIP) { process in
            var options = PublicOptions()
            options.version = "1.2.3"
            let controller = try PublicController.run(host: process, service: options)
            made = controller
            return controller
        }
        return (process, { made })
    }

    /// A pod of the control plane as the chart makes it.
    fileprivate func part(_ component: String, _ ip: String, admin: UInt16) {
        asAPI {
            self.api.put(
                .pods,
                """
                metadata: {name: linkerd-\(component), namespace: linkerd, labels: {linkerd.io/control-plane-component: \(component), app.kubernetes.io/version: 1.2.3}}
                spec:
                  containers:
                  - {name: linkerd-proxy, ports: [{name: linkerd-admin, containerPort: 4191}]}
                  - {name: \(component), ports: [{name: grpc, containerPort: 8086}, {name: \(component)-admin, containerPort: \(admin)}]}
                status: {phase: Running, podIP: \(ip), podIPs: [{ip: \(ip)}]}
                """)
        }
    }
}

private final class Figures: TelemetrySource {
    var asked: [String] = []
    func answer(_ method: String, namespace: String, body: [UInt8], _ answer: @escaping (Result<[UInt8], PublicError>) -> Void) {
        asked.append("\(method) \(namespace) \(body.count)")
        answer(.success([1, 2, 3]))
    }
}

private final class Faucet: TapSource {
    var asked: [TapTarget] = []
    func tap(_ target: TapTarget, body: [UInt8], piece: @escaping ([UInt8]) -> Void, end: @escaping (PublicError?) -> Void) -> () -> Void {
        asked.append(target)
        piece(Array("first".utf8))
        piece(Array("second".utf8))
        end(nil)
        return {}
    }
}

@Suite struct `The controller's API` {
    @Test func `tells the version to old command lines, to gRPC and as JSON`() throws {
        let plane = try Plane()
        let (process, _) = plane.startController()
        plane.run(3)
        #expect(plane.page(SocketAddress(controllerIP, 9995), "/ready").status == 200)
        #expect(plane.ask(.get, "/api/v1/Version").json.text("releaseVersion") == "1.2.3")
        // VersionInfo{goVersion = 1, buildDate = 2, releaseVersion = 3} of linkerd2 2.10.
        let protobuf = [0x0a, 5] + Array("swift".utf8) + [0x1a, 5] + Array("1.2.3".utf8)
        let old = plane.ask(.post, "/api/v1/Version", headers: [("content-type", "application/octet-stream")], body: [0])
        #expect(old.status == 200 && old.body == protobuf)
        let raw = GRPCMethod<[UInt8], [UInt8]>(
            path: "/linkerd2.public.Api/Version", isServerStreaming: false, encodeRequest: { $0 }, decodeRequest: { $0 }, encodeResponse: { $0 }, decodeResponse: { $0 })
        var answered: Result<[UInt8], GRPCStatus>?
        let channel = plane.channel(door)
        plane.asClient { channel.unary(raw, []) { answered = $0 } }
        plane.run(1)
        #expect(try answered?.get() == protobuf)
        #expect(plane.ask(.get, "/api/v1/Nonsense").status == 404 && plane.ask(.get, "/nowhere").status == 404 && plane.ask(.put, "/api/v1/Version").status == 400)
        #expect(plane.page(SocketAddress(controllerIP, 9995), "/metrics").body.contains(#"public_api_requests_total{method="Version",outcome="ok"} 2"#))
        process.stop()
        plane.run(20)
        #expect(process.state == .exited(0))
        plane.judge()
    }

    @Test func `looks at every part, and names what is missing, silent or not ready`() throws {
        let plane = try Plane()
        let (process, _) = plane.startController()
        let destination = plane.controller("destination", ip: IPAddress(10, 0, 1, 2)) { try DestinationController.run(host: $0, service: DestinationOptions()) }
        // Identity stands without a certificate: it lives, and certifies nobody.
        plane.part("destination", "10.0.1.2", admin: 9996)
        plane.part("policy", "10.0.1.77", admin: 9990)
        plane.run(5)
        let check = plane.ask(.get, "/api/v1/SelfCheck").json
        let lines = check.items("results").map { "\($0.text("subsystemName") ?? "") \($0.text("status") ?? "")" }
        #expect(lines == ["kubernetes OK", "destination OK", "identity FAIL", "policy FAIL", "proxy-injector FAIL", "sp-validator FAIL"])
        #expect(check.items("results")[2].text("friendlyMessageToUser") == "no pod in the namespace linkerd has a container identity with an admin port")
        #expect(check.items("results")[3].text("friendlyMessageToUser")?.hasPrefix("linkerd-policy: ") == true)
        let parts = plane.ask(.get, "/api/v1/Components").json.items("components")
        #expect(parts.map { $0.text("component") } == ["destination", "policy"] && parts.map { $0.flag("ready") } == [true, false] && parts[0].text("version") == "1.2.3")
        plane.world.freeze(destination, for: .seconds(60))
        #expect(plane.ask(.get, "/api/v1/Components").json.items("components").first?.flag("alive") == false)
        plane.world.run(for: .seconds(60))
        for process in [process, destination] { process.stop() }
        plane.run(20)
        plane.judge()
    }

    @Test func `opens its doors to whom the API server allows, and says why not`() throws {
        let plane = try Plane()
        let (process, made) = plane.startController()
        plane.api.tokens = ["anna-token": "anna", "bert-token": "bert"]
        plane.api.allowed = ["anna list pods shop", "anna watch deployments/tap shop", "anna watch namespaces/tap shop"]
        plane.run(3)
        func stat(_ token: String?, _ namespace: String = "shop") -> Said {
            plane.ask(.post, "/api/v1/StatSummary?namespace=\(namespace)", headers: [("accept", "application/json")] + (token.map { [("authorization", "Bearer \($0)")] } ?? []), body: [8, 1])
        }
        #expect(stat(nil).status == 401 && stat("stolen").status == 401 && stat("bert-token").status == 403 && stat("anna-token", "bank").status == 403)
        #expect(stat("bert-token").json.text("reason") == "forbidden" && stat("bert-token").headers.first("linkerd-error")?.contains("bert may not list pods in the namespace shop") == true)
        #expect(stat("anna-token").status == 503 && stat("anna-token").json.text("error") == "nothing here collects telemetry: install the viz extension")
        let (figures, faucet) = (Figures(), Faucet())
        made()?.api.telemetry = figures
        made()?.api.tap = faucet
        #expect(stat("anna-token").body == [1, 2, 3] && figures.asked == ["StatSummary shop 2"])
        #expect(stat("bert-token").status == 403 && figures.asked.count == 1)
        let path = "/apis/tap.linkerd.io/v1alpha1/watch/namespaces/shop/deployments/web/tap"
        #expect(plane.ask(.post, path, headers: [("authorization", "Bearer bert-token")], body: [0]).status == 403)
        let tapped = plane.ask(.post, path, headers: [("authorization", "Bearer anna-token")], body: [0])
        #expect(tapped.status == 200 && tapped.body == [5, 0, 0, 0] + Array("first".utf8) + [6, 0, 0, 0] + Array("second".utf8))
        #expect(plane.ask(.post, "/apis/tap.linkerd.io/v1alpha1/watch/namespaces/shop/tap", headers: [("authorization", "Bearer anna-token")], body: [0]).status == 200)
        #expect(faucet.asked == [TapTarget(namespace: "shop", resource: "deployments", name: "web"), TapTarget(namespace: "shop", resource: "", name: "")])
        #expect(plane.ask(.post, "/api/v1/StatSummary", body: [UInt8](repeating: 0, count: 2_000_000)).status == 400)
        process.stop()
        plane.run(20)
        plane.judge()
    }
}
