// Requests and bytes that reached this proxy for somebody else: those of other clusters, whose proxies name the service that they mean. They
// are let in by the policy of the proxy's own port and go out again as the pod's own traffic would, under our identity.
// Source: linkerd2-proxy linkerd/app/gateway; facts 3.8, 3.9.

import Base
import HTTP
import Platform
import Transport

final class Gateway {
    private let outbound: OutboundServer
    private let identity: any MeshIdentity
    private let suffixes: NameSuffixes

    init(outbound: OutboundServer, identity: any MeshIdentity, configuration: Configuration) {
        self.outbound = outbound
        self.identity = identity
        suffixes = configuration.gatewaySuffixes
    }

    /// The names that it is a gateway for.
    func serves(_ name: Authority) -> Bool { suffixes.contains(name.host) }

    /// nil: the request may go on. `client`: who brought it.
    func refusal(_ head: RequestHead, _ name: Authority, client: String?) -> ProxyError? {
        if !serves(name) { return .gatewayDomainInvalid }
        if client == identity.localName { return .gatewayLoop }
        let own = "by=\(identity.localName)"
        for forwarded in head.headers.all("forwarded") {
            if forwarded.split(whereSeparator: { $0 == "," || $0 == ";" || $0 == " " }).contains(where: { $0 == own }) { return .gatewayLoop }
        }
        return nil
    }

    /// `original`: the version that the caller's proxy carries in HTTP/2; nil: it speaks HTTP/2 itself.
    func forward(_ stream: HTTPStream, _ head: RequestHead, endStream: Bool, to name: Authority, client: String?, original: HTTPVersion?) {
        var head = head
        // RFC 7239: who brought it, for whom, under which name.
        head.headers.add("forwarded", "by=\(identity.localName);for=\(client ?? "unknown");host=\(head.authority.isEmpty ? HTTPText("\(name)") : head.authority);proto=https")
        if head.authority.isEmpty { head.authority = HTTPText("\(name)") }
        outbound.http.request(stream, head, endStream: endStream, named: outbound.stack(.name(name)), original: original, informs: true) { target in
            // What no profile knows is no service of this cluster.
            target.profile?.fullyQualifiedName == nil && target.profile?.endpoint == nil ? .gatewayDomainInvalid : nil
        }
    }

    /// Where opaque bytes for this name go. The stack is the caller's until it releases it.
    func stack(_ name: Authority) -> OutboundStack {
        let stack = outbound.stack(.name(name))
        stack.retain()
        return stack
    }
}
