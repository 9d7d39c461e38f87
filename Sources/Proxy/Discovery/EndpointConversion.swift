// From the destination API's addresses to endpoints. An address that cannot be used is dropped, as Linkerd's proxy drops it: one
// malformed pod must not hide its healthy siblings. Source: linkerd2-proxy linkerd/proxy/api-resolve/src/pb.rs.

import Base
import MeshAPI

extension Endpoint {
    /// `setLabels` are those of the whole set; the address's own win. nil: no usable address.
    init?(_ message: Mesh.Destination.WeightedAddr, setLabels: [String: String] = [:]) {
        guard let address = SocketAddress(message.addr), address.port > 0 else { return nil }
        self.init(address: address)
        labels = Label.list(setLabels.merging(message.metricLabels) { $1 })
        if message.hasTlsIdentity { read(message.tlsIdentity) }
        switch message.protocolHint.protocol {
        case .h2: hint = .http2
        case .opaque: hint = .opaque
        case nil: hint = .unknown
        }
        if message.protocolHint.hasOpaqueTransport {
            // Port 65535 is outside the range that Linkerd's proxy takes (1 to 65534).
            let port = message.protocolHint.opaqueTransport.inboundPort
            if (1..<65_535).contains(port) { transportPort = UInt16(port) }
        }
        let override = message.authorityOverride.authorityOverride
        if message.hasAuthorityOverride, !override.isEmpty { authorityOverride = override }
        if message.hasHTTP2 { http2 = HTTP2Parameters(message.http2) }
        switch labels.first(where: { $0.name == "zone_locality" })?.value {
        case "local": locality = .local
        case "remote": locality = .remote
        default: locality = .unknown
        }
    }

    /// A URI identity needs a server name beside it; without one there is nothing to say in SNI, and no TLS.
    private mutating func read(_ tls: Mesh.Destination.TlsIdentity) {
        let name = tls.hasServerName ? Self.dnsName(tls.serverName.name) : nil
        switch tls.strategy {
        case .dnsLikeIdentity(let dns):
            guard let id = Self.dnsName(dns.name) else { return }
            identity = id
            serverName = name ?? id
        case .uriLikeIdentity(let uri):
            guard let name, uri.uri.hasPrefix("spiffe://"), uri.uri.utf8.count <= 2048, uri.uri.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else { return }
            identity = uri.uri
            serverName = name
        case nil: return
        }
    }

    /// Letters, digits, hyphens and dots, at most 253, no dot at the end (RFC 6066 section 3).
    private static func dnsName(_ text: String) -> String? {
        let isName = !text.isEmpty && text.utf8.count <= 253 && !text.hasSuffix(".")
            && text.utf8.allSatisfy { ($0 >= 97 && $0 <= 122) || ($0 >= 65 && $0 <= 90) || ($0 >= 48 && $0 <= 57) || $0 == 45 || $0 == 46 || $0 == 95 }
        return isName ? text : nil
    }
}

extension Endpoint.HTTP2Parameters {
    /// Zero means unset throughout.
    init(_ message: Mesh.Destination.Http2ClientParams) {
        self.init()
        let flow = message.flowControl
        if flow.initialConnectionWindowSize > 0 { initialConnectionWindowBytes = Int(flow.initialConnectionWindowSize) }
        if flow.initialStreamWindowSize > 0 { initialStreamWindowBytes = Int(flow.initialStreamWindowSize) }
        adaptsWindows = flow.adaptiveFlowControl
        let frame = Int(message.internals.maxFrameSize)
        if (16_384...16_777_215).contains(frame) { maxFrameBytes = frame }
        guard message.hasKeepAlive else { return }
        keepAliveInterval = message.keepAlive.hasInterval ? Interval(message.keepAlive.interval).flatMap { $0 > .zero ? $0 : nil } : nil
        keepAliveTimeout = message.keepAlive.hasTimeout ? Interval(message.keepAlive.timeout).flatMap { $0 > .zero ? $0 : nil } : nil
        keepAliveWhileIdle = message.keepAlive.whileIdle
    }
}

extension Label {
    /// In order of name.
    static func list(_ map: [String: String]) -> [Label] {
        map.keys.sorted().map { Label(name: $0, value: map[$0] ?? "") }
    }
}

extension ResourceName {
    /// nil: the message names nothing.
    init?(_ message: Mesh.Meta.Metadata) {
        switch message.kind {
        case .default(let name): self.init(name: name)
        case .resource(let resource):
            guard let port = UInt16(exactly: resource.port) else { return nil }
            self.init(group: resource.group, kind: resource.kind, namespace: resource.namespace, name: resource.name, section: resource.section, port: port)
        case nil: return nil
        }
    }
}

/// What an endpoint stream has said so far, whole. Messages may be redundant, reordered and empty.
struct EndpointTable {
    /// In order of address.
    private(set) var endpoints: [Endpoint] = []
    /// The first Add after a reconnect replaces what an earlier stream said.
    private var isStale = true
    private(set) var droppedCount = 0

    /// A new stream begins; what is known stays in use until it speaks.
    mutating func restart() { isStale = true }

    /// nil: nothing changed.
    mutating func apply(_ update: Mesh.Destination.Update, name: String) -> EndpointSet? {
        let before = endpoints
        switch update.update {
        case .add(let set):
            let isFirst = isStale
            if isStale { endpoints = [] }
            isStale = false
            for address in set.addrs {
                if let endpoint = Endpoint(address, setLabels: set.metricLabels) { put(endpoint) } else { droppedCount += 1 }
            }
            return isFirst || endpoints != before ? .exists(endpoints) : nil
        case .remove(let set):
            // A remove before the first add of this stream speaks of what the last one left.
            for address in set.addrs { if let address = SocketAddress(address) { remove(address) } }
            return endpoints != before ? .exists(endpoints) : nil
        case .noEndpoints(let none):
            isStale = false
            endpoints = []
            return none.exists ? .exists([]) : .doesNotExist("no endpoints for \(name): the name is unknown")
        case nil: return nil
        }
    }

    private mutating func put(_ endpoint: Endpoint) {
        let i = place(endpoint.address)
        if i < endpoints.count, endpoints[i].address == endpoint.address {
            endpoints[i] = endpoint
        } else if endpoints.count < ProxyLimits.endpointsMax {
            endpoints.insert(endpoint, at: i)
        } else {
            droppedCount += 1
        }
    }

    private mutating func remove(_ address: SocketAddress) {
        let i = place(address)
        if i < endpoints.count, endpoints[i].address == address { endpoints.remove(at: i) }
    }

    /// The first index whose address is not before this one.
    private func place(_ address: SocketAddress) -> Int {
        var low = 0
        var high = endpoints.count
        while low < high {
            let middle = (low + high) / 2
            if endpoints[middle].address < address { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
