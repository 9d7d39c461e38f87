// Flags that the controllers share, and how they are read: Linkerd's charts write Go's single dash (`-addr=:8086`) for some and
// two dashes for others, and booleans with a value; all of these forms mean the same here.

import ArgumentParser
import Base
import ControlPlane

/// Go's spelling made ArgumentParser's: one dash before a long name becomes two, and a boolean without a value is true.
func normalized(_ arguments: [String]) -> [String] {
    let booleans = ["tls", "enable-pprof", "enable-h2-upgrade", "enable-endpoint-slices", "enable-ipv6", "export-queue-metrics", "ext-endpoint-zone-weights", "legacy-no-endpoints", "legacy-traffic-splits"]
    return arguments.map { argument in
        var text = argument
        if text.hasPrefix("-"), !text.hasPrefix("--"), text.utf8.count > 2 { text = "-" + text }
        if text.hasPrefix("--"), booleans.contains(String(text.dropFirst(2))) { text += "=true" }
        return text
    }
}

/// `:8086`, `0.0.0.0:8086`, `[::]:8086`.
func parseAddress(_ text: String) throws -> SocketAddress {
    if text.hasPrefix(":"), let port = parsePort(text.dropFirst()) { return SocketAddress(.any, port) }
    guard let address = SocketAddress(text) else { throw ValidationError("\(text) is no address: write ip:port or :port") }
    return address
}

func parseDuration(_ text: String) throws -> Interval {
    guard let interval = goDuration(text), interval > .zero else { throw ValidationError("\(text) is no duration: write 24h0m0s, 20s or 500ms") }
    return interval
}

func parseNetworks(_ text: String) throws -> [IPNetwork] {
    try text.split(separator: ",").map { part in
        guard let network = IPNetwork(part) else { throw ValidationError("\(part) is no network: write 10.0.0.0/8,fd00::/8") }
        return network
    }
}

struct SharedFlags: ParsableArguments {
    @Option(help: "Log level: trace, debug, info, warn, error, off.") var logLevel = "info"
    @Option(help: "Log format: plain or json.") var logFormat = "plain"
    @Option(help: "Path of a kubeconfig; empty: the pod's own credentials.") var kubeconfig = ""
    @Option(help: "Memory that this process may take, as 512Mi; when it is over, the process ends, for its supervisor to start it again. 0: no bound.") var memoryLimit = "1Gi"
    @Option(help: "Accepted and ignored: there is no Go profiler here.") var enablePprof = false
    @Option(help: "Hold a certificate and serve mutual TLS, because no proxy stands beside this controller.") var tls = false
    @Option(help: "With --tls: our own identity; empty: that of Linkerd's service account.") var tlsLocalName = ""
    @Option(help: "PEM file of the trust anchors.") var trustAnchors = ControllerOptions.TLSOptions().anchorsPath

    func validate() throws {
        guard ["trace", "debug", "info", "warn", "warning", "error", "off", "panic", "fatal"].contains(logLevel.lowercased()) else {
            throw ValidationError("--log-level \(logLevel) is none of trace, debug, info, warn, error, off")
        }
        _ = try memoryBytes()
        guard ["plain", "json"].contains(logFormat) else { throw ValidationError("--log-format \(logFormat) is neither plain nor json") }
    }

    /// 0: no bound.
    func memoryBytes() throws -> Int {
        guard let milli = quantityMilli(memoryLimit) else { throw ValidationError("--memory-limit \(memoryLimit) is no quantity: write 512Mi or 1Gi") }
        return Int(milli / 1000)
    }

    func apply(to options: inout ControllerOptions) {
        options.kubeconfig = kubeconfig
        if tls {
            var settings = ControllerOptions.TLSOptions()
            settings.localName = tlsLocalName
            settings.anchorsPath = trustAnchors
            options.tls = settings
        }
    }
}

/// Where a controller with TLS gets its certificate.
struct IdentityServiceFlags: ParsableArguments {
    @Option(help: "With --tls: the identity service, name:port.") var identityAddr = "linkerd-identity-headless.linkerd.svc.cluster.local.:8080"
    @Option(help: "With --tls: the identity that the identity service must prove.") var identityName = ControllerOptions.TLSOptions().identityName
    @Option(help: "With --tls: file of the service account's token with audience identity.l5d.io.") var identityTokenFile = ControllerOptions.TLSOptions().tokenPath

    func apply(to options: inout ControllerOptions) throws {
        guard options.tls != nil else { return }
        if let address = SocketAddress(identityAddr) {
            options.tls?.identityHost = "\(address.ip)"
            options.tls?.identityPort = address.port
        } else {
            guard let colon = identityAddr.lastIndex(of: ":"), colon > identityAddr.startIndex, let port = parsePort(identityAddr[identityAddr.index(after: colon)...]) else {
                throw ValidationError("--identity-addr \(identityAddr) is not name:port")
            }
            options.tls?.identityHost = String(identityAddr[..<colon])
            options.tls?.identityPort = port
        }
        options.tls?.identityName = identityName
        options.tls?.tokenPath = identityTokenFile
    }
}
