// Where the API server is and who we are to it, as data. Kubeconfig files are read in `Kubeconfig.swift`; what is read here is
// what Kubernetes puts into every pod. Source: k8s.io/client-go rest/config.go.

import Base
import HTTP
import Platform

public struct KubeConfiguration: Sendable {
    public enum Token: Sendable, Equatable {
        case none
        case fixed(String)
        /// Read again every `KubeLimits.tokenPeriod`: the kubelet renews it.
        case file(String)
    }

    /// PEM, as it is or in a file that is read again for each new connection: certificates are renewed in place.
    public enum Material: Sendable, Equatable {
        case bytes([UInt8])
        case file(String)
    }

    /// Somebody else whom we speak for, if the API server lets us.
    public struct Impersonation: Sendable, Equatable {
        public var user = ""
        public var uid = ""
        public var groups: [String] = []
        /// In the order written; one name may have several values.
        public var extra: [(name: String, values: [String])] = []

        public init() {}

        public static func == (a: Impersonation, b: Impersonation) -> Bool {
            a.user == b.user && a.uid == b.uid && a.groups == b.groups && a.extra.elementsEqual(b.extra) { $0.name == $1.name && $0.values == $1.values }
        }
    }

    public var scheme = HTTPScheme.https
    public var host: String
    public var port: UInt16
    /// Before every path, without a final slash; mostly empty.
    public var pathPrefix = ""
    /// The authorities that the server's certificate must come from; nil: the system's.
    public var anchors: Material?
    /// The name that the server's certificate must carry, if it is not `host`.
    public var serverName: String?
    /// Anybody may be the server: nothing is proven.
    public var skipsVerification = false
    public var certificate: Material?
    public var key: Material?
    public var token = Token.none
    /// User name and password for HTTP's basic scheme.
    public var basic: (user: String, password: String)?
    /// A program that gives tokens or certificates; nothing else is used then.
    public var plugin: CredentialPlugin?
    public var impersonation: Impersonation?
    /// Of the kubeconfig's context, or of the pod.
    public var namespace = "default"

    public init(scheme: HTTPScheme, host: String, port: UInt16) {
        self.scheme = scheme
        self.host = host
        self.port = port
    }

    /// From `http[s]://host[:port][/prefix]`.
    public init(server: String) throws(Refusal) {
        let refusal = Refusal("the API server's address is http[s]://host[:port], not \(server.prefix(300))")
        var rest = server[...]
        if rest.hasPrefix("https://") {
            rest = rest.dropFirst(8)
        } else if rest.hasPrefix("http://") {
            scheme = .http
            rest = rest.dropFirst(7)
        } else {
            throw refusal
        }
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        let authority = rest[..<slash]
        pathPrefix = String(rest[slash...])
        while pathPrefix.last == "/" { pathPrefix.removeLast() }
        port = scheme == .https ? 443 : 80
        if let address = SocketAddress(authority) {
            host = "\(address.ip)"
            port = address.port
        } else if authority.first == "[", authority.last == "]", let ip = IPAddress(authority.dropFirst().dropLast()) {
            host = "\(ip)"
        } else if let colon = authority.lastIndex(of: ":") {
            guard let number = parsePort(authority[authority.index(after: colon)...]) else { throw refusal }
            host = String(authority[..<colon])
            port = number
        } else {
            host = String(authority)
        }
        if host.isEmpty || port == 0 || host.contains("[") || host.contains(":") && IPAddress(host) == nil { throw refusal }
    }

    public var authority: String { IPAddress(host).map { SocketAddress($0, port).description } ?? "\(host):\(port)" }

    // MARK: Sources

    static let serviceAccountDirectory = "/var/run/secrets/kubernetes.io/serviceaccount"

    /// What every pod is given.
    public static func inCluster(_ host: any Host) throws(Refusal) -> KubeConfiguration {
        guard let address = host.settings["KUBERNETES_SERVICE_HOST"], let port = host.settings["KUBERNETES_SERVICE_PORT"].flatMap({ parsePort($0) }) else {
            throw Refusal("not inside a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set; give a kubeconfig")
        }
        var configuration = KubeConfiguration(scheme: .https, host: address, port: port)
        configuration.token = .file(serviceAccountDirectory + "/token")
        let anchors = serviceAccountDirectory + "/ca.crt"
        do throws(HostFailure) { _ = try host.files.read(anchors) } catch { throw Refusal("the pod has no trust in the API server: \(error)") }
        configuration.anchors = .file(anchors)
        if let namespace = try? host.files.read(serviceAccountDirectory + "/namespace") {
            let text = String(decoding: namespace, as: UTF8.self).filter { !$0.isWhitespace }
            if !text.isEmpty { configuration.namespace = text }
        }
        return configuration
    }

    /// The file at `path`; else the files named by `KUBECONFIG`, merged; else the pod's own; else `~/.kube/config`.
    public static func load(_ host: any Host, path: String? = nil, context: String? = nil) throws(Refusal) -> KubeConfiguration {
        if let path, !path.isEmpty { return try Kubeconfig(host, paths: [path]).configuration(context: context, host) }
        let named = (host.settings["KUBECONFIG"] ?? "").split(separator: ":").map(String.init)
        if !named.isEmpty { return try Kubeconfig(host, paths: named, mayBeAbsent: named.count > 1).configuration(context: context, host) }
        if host.settings["KUBERNETES_SERVICE_HOST"] != nil { return try inCluster(host) }
        guard let home = host.settings["HOME"] else { return try inCluster(host) }
        return try Kubeconfig(host, paths: [home + "/.kube/config"]).configuration(context: context, host)
    }
}
