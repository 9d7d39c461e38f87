// One call of a webhook: to the service or URL of its configuration, over TLS judged by its bundle, within its time. A service
// is reached at a ready endpoint straight away: the server stands outside of what routes cluster addresses.

import Base
import Documents
import HTTP
import Kube
import OrderedCollections
import Platform
import TLS
import Transport

final class WebhookCall: HTTPStreamHandler {
    private let client: HTTPClient
    private let host: any Host
    private let bytesMax: Int
    private var timer: TimerID?
    private var stream: HTTPStream?
    private var status: UInt16 = 0
    private var body: [UInt8] = []
    private var done: ((Result<Value, Refusal>) -> Void)?

    struct Target {
        var address: SocketAddress
        var serverName: String
        var path: String
    }

    static func send(_ review: Value, to hook: Webhook, registry: Registry, batch: FlushBatch, limits: APIServerLimits, _ done: @escaping (Result<Value, Refusal>) -> Void) {
        do throws(Refusal) {
            let target = try target(of: hook, registry)
            guard let bundle = hook.value.text("clientConfig", "caBundle").flatMap({ base64Decoded($0) }) else { throw Refusal("the caBundle is absent or not base64") }
            let anchors: TrustAnchors
            do throws(PeerError) {
                anchors = try TrustAnchors(pem: bundle)
            } catch {
                throw Refusal("the caBundle cannot be used: \(error.rule)")
            }
            let configuration = TLSClientConfiguration(anchors: anchors, serverName: target.serverName, expectedPeer: [target.serverName], alpn: [[UInt8]("http/1.1")])
            let tcp = TCPConnector(host: batch.host, address: target.address, options: ConnectOptions(timeout: hook.timeout))
            let client = HTTPClient(version: .http11, connector: TLSConnector(host: batch.host, lower: tcp) { configuration }, batch: batch)
            let call = WebhookCall(client: client, host: batch.host, bytesMax: limits.webhookAnswerBytesMax, done: done)
            try call.start(review, target, hook)
        } catch {
            batch.host.after(.zero) { done(.failure(error)) }
        }
    }

    private init(client: HTTPClient, host: any Host, bytesMax: Int, done: @escaping (Result<Value, Refusal>) -> Void) {
        self.client = client
        self.host = host
        self.bytesMax = bytesMax
        self.done = done
    }

    private func start(_ review: Value, _ target: Target, _ hook: Webhook) throws(Refusal) {
        var bytes: [UInt8] = []
        review.json(into: &bytes)
        var headers = Headers()
        headers.add("content-type", "application/json")
        headers.add("accept", "application/json, */*")
        headers.add("user-agent", "kube-apiserver-admission")
        headers.add("content-length", String(bytes.count))
        let seconds = hook.timeout.seconds
        let path = target.path + (target.path.contains("?") ? "&" : "?") + "timeout=\(seconds)s"
        let head = RequestHead(method: .post, scheme: .https, authority: HTTPText(target.serverName + ":443"), path: HTTPText(path), headers: headers)
        stream = try client.send(head, endStream: false, handler: self)
        timer = host.after(hook.timeout) { [self] in
            timer = nil
            finish(.failure(Refusal("context deadline exceeded")))
        }
        stream?.send(bytes.span.bytes, endStream: true)
    }

    // MARK: Where

    private static func target(of hook: Webhook, _ registry: Registry) throws(Refusal) -> Target {
        let configuration = hook.value.member("clientConfig") ?? .null
        if let url = configuration.text("url") { return try target(url: url) }
        let namespace = configuration.text("service", "namespace") ?? ""
        let name = configuration.text("service", "name") ?? ""
        let port = configuration.number("service", "port") ?? 443
        guard let service = registry.find(.services, namespace: namespace, name: name) else { throw Refusal("service \"\(name)\" not found") }
        guard let portName = service.value.items("spec", "ports").first(where: { $0.number("port") == port }).map({ $0.text("name") ?? "" }) else {
            throw Refusal("no service port \(port) found for service \"\(name)\"")
        }
        for slice in registry.all(.endpointSlices, namespace: namespace).map(EndpointSlice.init) where slice.serviceName == name {
            guard let number = slice.ports.first(where: { $0.name == portName })?.port,
                let ip = slice.endpoints.first(where: { $0.isReady ?? true })?.addresses.first
            else { continue }
            return Target(address: SocketAddress(ip, number), serverName: "\(name).\(namespace).svc", path: configuration.text("service", "path") ?? "/")
        }
        throw Refusal("no endpoints available for service \"\(name)\"")
    }

    private static func target(url: String) throws(Refusal) -> Target {
        guard url.hasPrefix("https://") else { throw Refusal("the URL must begin with https://") }
        let rest = url.dropFirst("https://".count)
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        var authority = String(rest[..<slash])
        let path = slash == rest.endIndex ? "/" : String(rest[slash...])
        if authority.last == "]" || !authority.contains(":") { authority += ":443" }
        // Names are not resolved here: the server has no resolver of the cluster's, and webhooks by URL run beside it.
        if authority.hasPrefix("localhost:") { authority = "127.0.0.1" + authority.dropFirst("localhost".count) }
        guard let address = SocketAddress(authority) else { throw Refusal("the host of \(url) must be an IP address") }
        return Target(address: address, serverName: address.ip.description, path: path)
    }

    // MARK: The answer

    func response(_ stream: HTTPStream, _ head: ResponseHead, endStream: Bool) {
        if head.isInformational { return }
        status = head.status
        if endStream { complete() }
    }

    func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) {
        stream.acknowledge(bytes.byteCount)
        guard body.count + bytes.byteCount <= bytesMax else { return finish(.failure(Refusal("the answer is larger than \(bytesMax) bytes"))) }
        bytes.withUnsafeBytes { body.append(contentsOf: $0) }
        if endStream { complete() }
    }

    func trailers(_ stream: HTTPStream, _ trailers: Headers) { complete() }

    func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) { finish(.failure(Refusal("\(failure)"))) }

    private func complete() {
        guard (200..<300).contains(status) else { return finish(.failure(Refusal("the webhook answered with status \(status)"))) }
        do throws(DocumentError) {
            finish(.success(try Value(json: body)))
        } catch {
            finish(.failure(Refusal("the webhook's answer is no JSON: \(error)")))
        }
    }

    private func finish(_ result: Result<Value, Refusal>) {
        guard let tell = done else { return }
        done = nil
        if let timer { host.cancel(timer) }
        timer = nil
        stream?.handler = nil
        stream = nil
        // Closing ends what is still open of the exchange; it must not run inside the stream's own call.
        host.after(.zero) { [client] in client.close() }
        tell(result)
    }
}
