// The proxy of a pod as a process: one loop, one host, one proxy. All it knows comes from the environment, as with Linkerd's.

import Base
import Glibc
import Linux
import Platform
import Proxy

var environment: [(name: String, value: String)] = []
var entry = environ
while let text = entry.pointee {
    let parts = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    if parts.count == 2 { environment.append((String(parts[0]), String(parts[1]))) }
    entry += 1
}
let settings = Settings(environment: environment, arguments: CommandLine.arguments)

if settings.arguments.dropFirst().contains("--help") {
    Glibc.exit(help())
}

let filter = LogFilter(settings[Configuration.prefix + "LOG"].flatMap { $0.isEmpty ? nil : $0 } ?? Configuration.logFilterDefault)
let log = Log.linux(filter, format: LogFormat(settings[Configuration.prefix + "LOG_FORMAT"]))

/// The environment as a table, on stdout.
func help() -> Int32 {
    var text = "weft-proxy is the proxy of a pod. It takes no arguments; its environment is that of Linkerd's proxy:\n\n"
    for variable in Configuration.variables {
        let note =
            switch variable.standing {
            case .read: variable.fallback.isEmpty ? "" : " [\(variable.fallback)]"
            case .unsupported(let reason): " (not supported: \(reason))"
            case .inert: " (checked, has no effect yet)"
            case .idle: " (has no effect, as in Linkerd's proxy)"
            }
        text += "  \(variable.fullName)\n          \(variable.meaning)\(note)\n"
    }
    _ = text.withCString { write(1, $0, strlen($0)) }
    return 0
}

do {
    let host = try LinuxHost(settings: settings, log: log, takesSignals: true)
    let proxy = Proxy(host: host)
    proxy.start()
    /// Once it serves: there is a proxy in every pod, and most are idle.
    func slim() { host.after(.seconds(1)) { proxy.isReady ? LinuxHost.forgetStartupCode() : slim() } }
    slim()
    withExtendedLifetime(proxy) { host.runProcess() }
} catch {
    log(.error, "linkerd2_proxy", "Initialization failed: \(error)")
    exit(1)
}
