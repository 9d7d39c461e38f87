// `weft cluster`: clusters on this machine. Arguments and exit codes only; the work is LocalCluster's.

import ArgumentParser
import Base
import Glibc
import Linux
import LocalCluster
import Platform

struct ClusterCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "cluster", abstract: "Clusters on this machine.", subcommands: [ClusterAPICommand.self])
}

struct ClusterAPICommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "api",
        abstract: "Serve a Kubernetes API for kubectl and any other client, until told to stop.",
        discussion: """
            The API server that Weft's simulator runs on, on real sockets with TLS: objects, watches, admission, access control, custom
            resources, and the controllers of workloads, services and namespaces. What was acknowledged is on disk, and is there again
            when the same directory is served again.

            Examples:
              weft cluster api --data-dir ./cluster --kubeconfig ./kubeconfig
              weft cluster api --data-dir ./cluster --kubeconfig ./kubeconfig --stand-in-nodes 3
              weft cluster api --kubeconfig ./kubeconfig --listen 127.0.0.1:0      # in memory, any free port

            Exit status: 0 stopped by SIGINT or SIGTERM; 1 cannot serve, with the reason; 74 the data directory cannot be written any more.
            """)

    @Option(help: "Keep the objects in this directory; it is made if it is not there. Without it they live in memory.")
    var dataDir: String?

    @Option(help: "Write the administrator's kubeconfig to this file.")
    var kubeconfig: String

    @Option(help: "Listen on this address and port; port 0 takes any free one.")
    var listen = "127.0.0.1:6443"

    @Option(help: "Make so many nodes that say pods run, and run nothing.")
    var standInNodes = 0

    @Flag(help: "Let every authenticated caller do everything, instead of asking roles and bindings.")
    var allowAll = false

    @Option(help: "Append one line of JSON for each request to this file (audit.k8s.io/v1, level Metadata).")
    var auditLog: String?

    @Option(help: "What the server logs: error, warn, info, debug.")
    var log = "warn"

    func run() throws {
        do {
            var options = StandaloneOptions(kubeconfig: Self.absolute(kubeconfig))
            options.dataDirectory = dataDir.map(Self.absolute)
            guard let address = SocketAddress(listen) else { throw Refusal("--listen \(listen) is no address and port, such as 127.0.0.1:6443") }
            guard (0...1000).contains(standInNodes) else { throw Refusal("--stand-in-nodes \(standInNodes) is not between 0 and 1000") }
            options.listen = address
            options.standInNodes = standInNodes
            options.enforcesAccess = !allowAll
            options.auditLog = auditLog.map(Self.absolute)
            let host = try LinuxHost(settings: Settings.ofThisProcess(), log: Log.linux(LogFilter(log), format: .plain), takesSignals: true)
            let server = try StandaloneAPI(host: host, options: options) { line in
                print(line)
                fflush(nil)
            }
            withExtendedLifetime(server) { host.runProcess() }
        } catch let refusal as Refusal {
            writeError("weft cluster api: \(refusal.reason)\n")
            throw ExitCode(1)
        } catch let failure as HostFailure {
            writeError("weft cluster api: \(failure)\n")
            throw ExitCode(1)
        }
    }

    private static func absolute(_ path: String) -> String {
        if path.hasPrefix("/") { return path }
        let path = path.hasPrefix("./") ? String(path.dropFirst(2)) : path
        var buffer = [CChar](repeating: 0, count: 4096)
        guard getcwd(&buffer, buffer.count) != nil else { return path }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) + "/" + path
    }
}
