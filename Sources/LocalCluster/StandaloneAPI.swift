// An API server alone on real sockets: what `weft cluster api` runs. It opens or makes the data directory, makes a certificate of the cluster's
// own authority for where it listens, writes the kubeconfig, and serves until it is told to stop.
// Deliberately absent: nodes that run pods. Stand-in nodes say that they do.

import APIServer
import Base
import CLinux
import Documents
import Glibc
import Kube
import Linux
import Platform
import Storage
import TLS

public struct StandaloneOptions: Sendable {
    /// Where the objects are kept; nil: in memory only.
    public var dataDirectory: String?
    /// Where the administrator's kubeconfig is written.
    public var kubeconfig: String
    public var listen = SocketAddress(.loopback, 6443)
    public var standInNodes = 0
    /// Roles and bindings decide what callers may do.
    public var enforcesAccess = true
    /// A line of JSON for each request is appended here.
    public var auditLog: String?

    public init(kubeconfig: String) { self.kubeconfig = kubeconfig }
}

public final class StandaloneAPI {
    public let host: LinuxHost
    private let options: StandaloneOptions
    private let say: (String) -> Void
    private var server: KubeAPIServer!
    private var records: SQLiteRecords?

    /// Serves as soon as the host's loop runs. Refused in one sentence.
    public init(host: LinuxHost, options: StandaloneOptions, say: @escaping (String) -> Void) throws(Refusal) {
        self.host = host
        self.options = options
        self.say = say
        try checkKubeconfig()
        let isOpened = try options.dataDirectory.map { directory throws(Refusal) in try openRecords(directory) }
        var serverOptions = APIServerOptions()
        serverOptions.standInNodes = options.standInNodes
        serverOptions.enforcesAccess = options.enforcesAccess
        serverOptions.recordsEvents = true
        let store: any RecordStore = records ?? MemoryRecords()
        let secrets = try ClusterSecrets.load(store, host: host)
        serverOptions.adminToken = secrets.adminToken
        serverOptions.signingKey = secrets.signingKey
        let anchorsPEM = secrets.authority.certificate.pem
        serverOptions.rootCertificatePEM = anchorsPEM
        let server = try KubeAPIServer(host: host, options: serverOptions, records: records)
        self.server = server
        if let path = options.auditLog { try writeAudit(path) }
        let isAnywhere = options.listen.ip == .any || options.listen.ip == .anyV6
        var addresses: [IPAddress] = [.loopback, .loopbackV6]
        if !isAnywhere, !addresses.contains(options.listen.ip) { addresses.append(options.listen.ip) }
        let credentials = try KubeAPIServer.makeCredentials(secrets.authority, addresses: addresses, at: host.wall, options: serverOptions)
        do throws(HostFailure) {
            try server.start(
                address: options.listen,
                tls: TLSServerConfiguration(credentials: credentials, anchors: TrustAnchors([secrets.authority.certificate]), alpn: [[UInt8]("h2"), [UInt8]("http/1.1")]))
            let address = SocketAddress(isAnywhere ? .loopback : options.listen.ip, server.address?.port ?? 0)
            try host.files.write(options.kubeconfig, Array(server.kubeconfig(address: address, anchorsPEM: anchorsPEM).utf8), mode: 0o600)
            greet(address, isNew: isOpened ?? true)
        } catch {
            server.close()
            if error.reason == .addressInUse { throw Refusal("\(options.listen) is in use by another program: name another with --listen, port 0 for any free one") }
            throw Refusal("\(error)")
        }
        server.onStorageFailure = { failure in
            say("\(failure): stopped, so that nothing is acknowledged that is not kept")
            host.exit(74)
        }
        host.onShutdown { [self] in
            records?.close()
            say(options.dataDirectory.map { "stopped at version \(server.resourceVersion); the same --data-dir \($0) goes on from there" } ?? "stopped; the objects are gone, because no --data-dir was named")
            host.exit(0)
        }
    }

    // MARK: Files

    /// A kubeconfig of another cluster is not written over.
    private func checkKubeconfig() throws(Refusal) {
        guard access(options.kubeconfig, F_OK) == 0 else { return }
        let known = (try? host.files.read(options.kubeconfig)).flatMap { try? YAML.parse($0) }?.first?.value
        guard let clusters = known?.items("clusters"), clusters.count == 1, clusters[0].text("name") == "weft" else {
            throw Refusal("\(options.kubeconfig) is there and is not one that this command wrote: name another file with --kubeconfig")
        }
    }

    /// True when the directory holds no cluster yet.
    private func openRecords(_ directory: String) throws(Refusal) -> Bool {
        let file = "\(directory)/cluster.db"
        let isNew = access(file, F_OK) != 0
        if isNew {
            do throws(HostFailure) {
                if access(directory, F_OK) != 0 { try Folders.make(directory, mode: 0o700) }
            } catch { throw Refusal("\(directory) cannot be made: \(error)") }
            guard let listing = opendir(directory) else { throw Refusal("\(directory) is not a directory that can be read") }
            defer { closedir(listing) }
            while let entry = readdir(listing) {
                let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
                if name != ".", name != ".." { throw Refusal("\(directory) holds \(name) and no cluster (cluster.db): name an empty or a new directory with --data-dir") }
            }
        }
        records = try SQLiteRecords(path: file)
        return isNew
    }

    private func writeAudit(_ path: String) throws(Refusal) {
        let file = clinux_open_append(path)
        guard file >= 0 else { throw Refusal("\(path) cannot be written: \(String(cString: strerror(-file)))") }
        server.onAudit = { event in
            var line: [UInt8] = []
            event.json(into: &line)
            line.append(0x0a)
            // One write a line; a full disk must not stop the cluster.
            _ = line.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
        }
    }

    // MARK: Words

    private func greet(_ address: SocketAddress, isNew: Bool) {
        let place: String
        if let directory = options.dataDirectory {
            place = isNew ? "kept in \(directory)" : "\(server.objectsCount) objects of version \(server.resourceVersion), as they were left in \(directory)"
        } else {
            place = "in memory only; --data-dir DIR keeps them"
        }
        say("Kubernetes API \(server.version) on https://\(address)")
        say("  objects     \(place)")
        say("  kubeconfig  \(options.kubeconfig), for the administrator")
        say("  access      " + (options.enforcesAccess ? "roles and bindings decide (RBAC)" : "every authenticated caller may do everything"))
        say("  nodes       " + (options.standInNodes > 0 ? "\(options.standInNodes), which say that pods run and run nothing" : "none, so pods stay Pending; --stand-in-nodes 1 says that they run"))
        say("")
        say("  kubectl --kubeconfig \(options.kubeconfig) get all --all-namespaces")
        say("")
        say("serving; Ctrl-C stops")
    }
}

/// The secrets of a cluster that is not kept.
private final class MemoryRecords: RecordStore {
    func read(_ each: (_ key: String, _ bytes: [UInt8]) -> Void) throws(HostFailure) {}
    func commit(_ changes: [RecordChange]) throws(HostFailure) {}
    func close() {}
}
