// `weft inject` and `weft uninject`: flags, files and streams; what happens to a manifest is in Commands.

import ArgumentParser
import Base
import Commands
import Glibc
import Linux
import Manifests
import Platform

struct InjectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inject",
        abstract: "Add the proxy to the pods of a manifest.",
        discussion: """
            Reads YAML or JSON (- is standard input) and writes it with a proxy in each pod; what was done is said on standard error.
            Nothing is written unless every document went well.

            Examples:
              weft inject deployment.yaml | kubectl apply -f -
              kubectl get deploy -o yaml | weft inject --annotate-only - | kubectl apply -f -
              weft inject --trust-anchors ca.crt --opaque-ports 9000 app.yaml

            Exit status: 0 done; 1 an object may not be injected; 65 the input is no manifest; 66 a file cannot be read.
            """)

    @Argument(help: "A manifest; - reads standard input.") var file: String
    @Flag(help: "Only add the annotations by which the cluster's webhook injects.") var annotateOnly = false
    @Flag(help: "Say all checks of each object.") var verbose = false
    @Option(name: .shortAndLong, help: "yaml or json.") var output = "yaml"
    @Option(help: "PEM file of the trust anchors.") var trustAnchors: String?
    @Option(help: "Namespace of the control plane.") var controlPlaneNamespace = "linkerd"
    @Flag(help: "Route by the l5d-dst-override header, as ingress controllers need.") var ingress = false
    @Flag(help: "Add a debug sidecar.") var enableDebugSidecar = false
    @Option(help: "Ports whose bytes are not parsed.") var opaquePorts: String?
    @Option(help: "Inbound ports that bypass the proxy.") var skipInboundPorts: String?
    @Option(help: "Outbound ports that bypass the proxy.") var skipOutboundPorts: String?
    @Option(help: "Image of the proxy.") var proxyImage: String?
    @Option(help: "Tag of the proxy's image.") var proxyVersion: String?
    @Option(help: "Pull policy of the images.") var imagePullPolicy: String?
    @Option(help: "User of the proxy.") var proxyUid: String?
    @Option(help: "Group of the proxy.") var proxyGid: String?
    @Option(help: "Log filter of the proxy.") var proxyLogLevel: String?
    @Option(help: "CPU that the proxy asks for.") var proxyCpuRequest: String?
    @Option(help: "CPU that the proxy may use.") var proxyCpuLimit: String?
    @Option(help: "Memory that the proxy asks for.") var proxyMemoryRequest: String?
    @Option(help: "Memory that the proxy may use.") var proxyMemoryLimit: String?
    @Option(help: "Policy of ports without a Server.") var defaultInboundPolicy: String?
    @Option(help: "apache or json.") var accessLog: String?
    @Option(help: "Inbound ports that only meshed clients may use.") var requireIdentityOnInboundPorts: String?
    @Option(help: "Seconds that the proxy waits before it ends.") var waitBeforeExitSeconds: String?
    @Flag(inversion: .prefixedEnableDisable, help: "Run the proxy as a native sidecar.") var nativeSidecar: Bool?

    func run() throws {
        var arguments = Inject.Arguments()
        arguments.file = file
        arguments.isAnnotateOnly = annotateOnly
        arguments.isVerbose = verbose
        arguments.format = try format(output)
        arguments.values.controlPlaneNamespace = controlPlaneNamespace
        if let trustAnchors { arguments.values.trustAnchorsPEM = String(decoding: try readInput(trustAnchors, command: "inject"), as: UTF8.self) }
        arguments.isIngress = ingress
        arguments.hasDebugSidecar = enableDebugSidecar
        arguments.opaquePorts = opaquePorts
        arguments.skipInboundPorts = skipInboundPorts
        arguments.skipOutboundPorts = skipOutboundPorts
        arguments.proxyImage = proxyImage
        arguments.proxyVersion = proxyVersion
        arguments.imagePullPolicy = imagePullPolicy
        arguments.proxyUID = proxyUid
        arguments.proxyGID = proxyGid
        arguments.proxyLogLevel = proxyLogLevel
        arguments.proxyCPURequest = proxyCpuRequest
        arguments.proxyCPULimit = proxyCpuLimit
        arguments.proxyMemoryRequest = proxyMemoryRequest
        arguments.proxyMemoryLimit = proxyMemoryLimit
        arguments.defaultInboundPolicy = defaultInboundPolicy
        arguments.accessLog = accessLog
        arguments.requireIdentityInboundPorts = requireIdentityOnInboundPorts
        arguments.waitBeforeExitSeconds = waitBeforeExitSeconds
        arguments.nativeSidecar = nativeSidecar.map { $0 ? "true" : "false" }
        try finish(Inject.run(arguments, input: try readInput(file, command: "inject"), note: writeError))
    }
}

struct UninjectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "uninject", abstract: "Take the proxy out of the pods of a manifest.",
        discussion: """
            Examples:
              weft uninject deployment.yaml | kubectl apply -f -

            Exit status: as of weft inject.
            """)

    @Argument(help: "A manifest; - reads standard input.") var file: String
    @Option(name: .shortAndLong, help: "yaml or json.") var output = "yaml"

    func run() throws {
        var arguments = Uninject.Arguments()
        arguments.file = file
        arguments.format = try format(output)
        try finish(Uninject.run(arguments, input: try readInput(file, command: "uninject"), note: writeError))
    }
}

private func format(_ name: String) throws -> Inject.Format {
    guard let format = Inject.Format(rawValue: name) else { throw ValidationError("--output \(name) is neither yaml nor json") }
    return format
}

private func finish(_ outcome: CommandOutcome) throws {
    print(outcome.output, terminator: "")
    if outcome.exitCode != 0 { throw ExitCode(outcome.exitCode) }
}

/// A file's bytes, or those of standard input for `-`.
private func readInput(_ path: String, command: String) throws -> [UInt8] {
    do throws(HostFailure) { return try LinuxFiles(limits: LinuxLimits()).read(path == "-" ? "/dev/stdin" : path) } catch {
        writeError("weft \(command): \(error)\n")
        throw ExitCode(66)
    }
}
