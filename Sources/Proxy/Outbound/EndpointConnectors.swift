// From an endpoint to a way of reaching it: where to dial, whether with TLS and a transport header, and under which labels it is
// counted. Source: linkerd2-proxy outbound tcp/tagged_transport.rs, shared facts on the data plane 2.16, 2.17, 5.2.

import Base
import HTTP
import Platform
import TLS
import Transport

final class EndpointConnectors {
    private let host: any Host
    private let configuration: Configuration
    private let identity: any MeshIdentity
    private let registry: MetricsRegistry

    init(host: any Host, configuration: Configuration, identity: any MeshIdentity, registry: MetricsRegistry) {
        self.host = host
        self.configuration = configuration
        self.identity = identity
        self.registry = registry
    }

    /// A pod reaches itself in the clear.
    func isLocal(_ endpoint: Endpoint) -> Bool { configuration.inboundIPs.contains(endpoint.address.ip) }

    /// HTTP between proxies is HTTP/2 whatever the application speaks.
    func version(_ endpoint: Endpoint, application: HTTPVersion) -> HTTPVersion {
        application == .http2 || (endpoint.hint == .http2 && !isLocal(endpoint)) ? .http2 : .http11
    }

    func http(_ endpoint: Endpoint, version: HTTPVersion, labels: [(String, String)]) -> any Connector {
        let session: TransportHeader.SessionProtocol? = endpoint.hint == .opaque ? nil : version == .http2 ? .http2 : .http1
        return connector(endpoint, session: session, isLocal: isLocal(endpoint), labels: labels)
    }

    func opaque(_ endpoint: Endpoint, labels: [(String, String)]) -> any Connector { connector(endpoint, session: nil, isLocal: false, labels: labels) }

    /// Labels of the endpoint in every family, `direction` first.
    func labels(_ endpoint: Endpoint, authority: String?) -> [(String, String)] {
        var labels: [(String, String)] = [("direction", "outbound")]
        if let authority { labels.append(("authority", authority)) }
        labels += [("target_addr", "\(endpoint.address)"), ("target_ip", "\(endpoint.address.ip)"), ("target_port", "\(endpoint.address.port)")]
        if isLocal(endpoint) {
            labels += [("tls", "no_identity"), ("no_tls_reason", "loopback")]
        } else if let identity = endpoint.identity {
            labels += [("tls", "true"), ("server_id", identity)]
        } else {
            labels += [("tls", "no_identity"), ("no_tls_reason", "not_provided_by_service_discovery")]
        }
        return labels + endpoint.labels.map { ("dst_" + $0.name, $0.value) }
    }

    func http2Settings(_ endpoint: Endpoint) -> HTTP2Settings {
        var settings = configuration.clientHTTP2
        settings.adaptsWindows = endpoint.http2.adaptsWindows
        if let bytes = endpoint.http2.maxFrameBytes { settings.maxFrameBytes = bytes }
        if let bytes = endpoint.http2.initialConnectionWindowBytes { settings.initialConnectionWindowBytes = bytes }
        if let bytes = endpoint.http2.initialStreamWindowBytes { settings.initialStreamWindowBytes = bytes }
        settings.keepAliveInterval = endpoint.http2.keepAliveInterval
        if let timeout = endpoint.http2.keepAliveTimeout { settings.keepAliveTimeout = timeout }
        settings.keepAliveWhileIdle = endpoint.http2.keepAliveWhileIdle
        return settings
    }

    private func connector(_ endpoint: Endpoint, session: TransportHeader.SessionProtocol?, isLocal: Bool, labels: [(String, String)]) -> any Connector {
        let side = configuration.outbound
        let options = ConnectOptions(timeout: side.connectTimeout, keepAlive: side.connectKeepAlive, userTimeout: side.connectUserTimeout)
        // Nobody outside reaches our loopback, and the pod's own traffic on it never comes here. Source: linkerd2-proxy outbound, tcp/connect.rs.
        if endpoint.address.ip.isLoopback { return RefusedConnector(host: host, address: endpoint.address) }
        let isMeshed = endpoint.identity != nil && !isLocal
        let port = isMeshed ? endpoint.transportPort ?? endpoint.address.port : endpoint.address.port
        let address = SocketAddress(endpoint.address.ip, port)
        let series = TransportSeries(registry, [("peer", "dst")] + labels, locality: endpoint.labels.first { $0.name == "zone_locality" }?.value ?? "")
        let tcp = MeteredConnector(TCPConnector(host: host, address: address, options: options), series: series)
        guard isMeshed, let name = endpoint.identity else { return tcp }
        var header: TransportHeader?
        if let override = endpoint.authorityOverride.flatMap({ Authority($0) }) {
            header = TransportHeader(port: override.port, name: override.host, sessionProtocol: session)
        } else if endpoint.transportPort != nil {
            header = TransportHeader(port: endpoint.address.port, sessionProtocol: session)
        }
        let alpn = header == nil ? [] : [TransportHeader.alpn]
        return MeshConnector(host: host, lower: tcp, header: header) { [identity] in identity.clientConfiguration(toward: name, alpn: alpn) }
    }
}
