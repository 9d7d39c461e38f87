// Where the API server is and who we are to it: from a kubeconfig file, or from what Kubernetes puts into every pod. Credential
// plug-ins (exec, auth-provider) are deliberately absent: they need processes, which components do not start.
// Source: k8s.io/client-go rest/config.go and tools/clientcmd.

import Base
import Documents
import HTTP
import Platform

public struct KubeConfiguration: Sendable {
    public enum Token: Sendable, Equatable {
        case none
        case fixed(String)
        /// Read again every `KubeLimits.tokenPeriod`: the kubelet renews it.
        case file(String)
    }

    public var scheme = HTTPScheme.https
    public var host: String
    public var port: UInt16
    /// Before every path, without a final slash; mostly empty.
    public var pathPrefix = ""
    /// PEM of the authorities that the server's certificate must come from; nil: the system's.
    public var anchorsPEM: [UInt8]?
    /// The name that the server's certificate must carry, if it is not `host`.
    public var serverName: String?
    public var certificatePEM: [UInt8]?
    public var keyPEM: [UInt8]?
    public var token = Token.none
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
        configuration.anchorsPEM = try read(host, serviceAccountDirectory + "/ca.crt")
        if let namespace = try? host.files.read(serviceAccountDirectory + "/namespace") { configuration.namespace = String(decoding: namespace, as: UTF8.self) }
        return configuration
    }

    /// The file at `path`; else the file named by `KUBECONFIG`; else the pod's own; else `~/.kube/config`.
    public static func load(_ host: any Host, path: String? = nil, context: String? = nil) throws(Refusal) -> KubeConfiguration {
        if let path, !path.isEmpty { return try kubeconfig(host, path: path, context: context) }
        if let path = host.settings["KUBECONFIG"]?.split(separator: ":").first { return try kubeconfig(host, path: String(path), context: context) }
        if host.settings["KUBERNETES_SERVICE_HOST"] != nil { return try inCluster(host) }
        guard let home = host.settings["HOME"] else { return try inCluster(host) }
        return try kubeconfig(host, path: home + "/.kube/config", context: context)
    }

    public static func kubeconfig(_ host: any Host, path: String, context: String? = nil) throws(Refusal) -> KubeConfiguration {
        let bytes = try read(host, path)
        let document: Value
        do throws(DocumentError) { document = try YAML.parse(bytes).first?.value ?? .null } catch { throw Refusal("\(path) is not a kubeconfig: \(error)") }
        return try kubeconfig(document, path: path, context: context, files: host.files)
    }

    /// `path` is where the document came from: files named in it are relative to its directory.
    public static func kubeconfig(_ document: Value, path: String, context wanted: String? = nil, files: any Files) throws(Refusal) -> KubeConfiguration {
        func entry(_ list: String, _ name: String, _ what: String) throws(Refusal) -> Value {
            guard let found = document.items(list).first(where: { $0.text("name") == name })?.member(what) else { throw Refusal("\(path) has no \(what) named \(name.prefix(200))") }
            return found
        }
        let directory = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
        /// The bytes of `key-data`, else of the file named by `key`.
        func bytes(_ section: Value, _ key: String) throws(Refusal) -> [UInt8]? {
            if let data = section.text(key + "-data"), !data.isEmpty {
                guard let decoded = base64Decoded(data) else { throw Refusal("\(path): \(key)-data is not base64") }
                return decoded
            }
            guard let file = section.text(key), !file.isEmpty else { return nil }
            let full = file.hasPrefix("/") ? file : directory + "/" + file
            do throws(HostFailure) { return try files.read(full) } catch { throw Refusal("\(path): \(key): \(error)") }
        }

        guard let name = wanted ?? document.text("current-context"), !name.isEmpty else { throw Refusal("\(path) names no current-context: choose one with --context") }
        let context = try entry("contexts", name, "context")
        let cluster = try entry("clusters", context.text("cluster") ?? "", "cluster")
        guard let server = cluster.text("server") else { throw Refusal("\(path): cluster \(context.text("cluster") ?? "") has no server") }
        var configuration = try KubeConfiguration(server: server)
        if let namespace = context.text("namespace"), !namespace.isEmpty { configuration.namespace = namespace }
        if cluster.flag("insecure-skip-tls-verify") == true { throw Refusal("\(path): insecure-skip-tls-verify is not supported: give certificate-authority-data") }
        configuration.anchorsPEM = try bytes(cluster, "certificate-authority")
        configuration.serverName = cluster.text("tls-server-name")
        guard let userName = context.text("user"), !userName.isEmpty else { return configuration }
        let user = try entry("users", userName, "user")
        for plugin in ["exec", "auth-provider", "username"] where user.member(plugin) != nil {
            throw Refusal("\(path): user \(userName.prefix(200)) uses \(plugin), which is not supported: use a token or a client certificate")
        }
        configuration.certificatePEM = try bytes(user, "client-certificate")
        configuration.keyPEM = try bytes(user, "client-key")
        if let token = user.text("token"), !token.isEmpty {
            configuration.token = .fixed(token)
        } else if let file = user.text("tokenFile"), !file.isEmpty {
            configuration.token = .file(file.hasPrefix("/") ? file : directory + "/" + file)
        }
        return configuration
    }

    private static func read(_ host: any Host, _ path: String) throws(Refusal) -> [UInt8] {
        do throws(HostFailure) { return try host.files.read(path) } catch { throw Refusal("\(error)") }
    }
}
