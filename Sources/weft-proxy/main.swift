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

// Our own targets follow the directive for Linkerd's, so that one filter serves both proxies.
var filter = settings["LINKERD2_PROXY_LOG"].flatMap { $0.isEmpty ? nil : $0 } ?? "warn,linkerd=info"
if let level = LogFilter.level(filter), !filter.contains("weft=") { filter += ",weft=\(level)" }
let directives = LogDirectives(filter)
let log = Log.linux(directives, format: LogFormat(settings["LINKERD2_PROXY_LOG_FORMAT"]))

do {
    let host = try LinuxHost(settings: settings, log: log, takesSignals: true)
    for directive in directives.refused { log(.warn, "linkerd2_proxy", "log directive \"\(directive)\" cannot be read and is passed over") }
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
