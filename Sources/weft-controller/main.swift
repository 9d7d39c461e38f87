// The control plane's executable: chooses the controller, gives it this machine as its host, and runs the loop until the end.

import ArgumentParser
import Base
import Glibc
import Linux
import Platform

struct Root: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "weft-controller", abstract: "The control plane of the mesh, one component a process.", 
        subcommands: [Destination.self, Identity.self, Policy.self, ProxyInjector.self, ProfileValidation.self, PublicAPI.self])
}

/// One line on stderr.
func complain(_ text: String) {
    let line = "weft-controller: " + text.split(separator: "\n").joined(separator: " ") + "\n"
    _ = Array(line.utf8).withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
}

extension String {
    fileprivate func replacingPrefix(_ prefix: String) -> String { hasPrefix(prefix) ? String(dropFirst(prefix.count)) : self }
}

let arguments = normalized(Array(CommandLine.arguments.dropFirst()))
let command: any ControllerCommand
do {
    var parsed = try Root.parseAsRoot(arguments)
    if let chosen = parsed as? any ControllerCommand {
        command = chosen
    } else {
        // Help is a command of its own, and says whose help was asked for.
        try parsed.run()
        exit(0)
    }
} catch where Root.exitCode(for: error) == .success {
    print(Root.fullMessage(for: error))
    exit(0)
} catch {
    // The complaint, how the command is used, and where to read more.
    let text = "weft-controller: " + Root.fullMessage(for: error).replacingPrefix("Error: ") + "\n"
    _ = Array(text.utf8).withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
    // EX_USAGE of sysexits.h.
    exit(64)
}

do {
    var environment: [(name: String, value: String)] = []
    var entry = environ
    while let text = entry.pointee {
        let parts = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        if parts.count == 2 { environment.append((String(parts[0]), String(parts[1]))) }
        entry += 1
    }
    if case let bytes = try command.shared.memoryBytes(), bytes > 0 {
        // An allocation beyond it fails, and ends the process: better than to be in the way of others.
        var limit = rlimit(rlim_cur: rlim_t(bytes), rlim_max: rlim_t(bytes))
        guard setrlimit(__rlimit_resource_t(RLIMIT_DATA.rawValue), &limit) == 0 else { throw Refusal("the memory limit cannot be set") }
    }
    let log = Log.linux(LogFilter(command.shared.logLevel), format: LogFormat(command.shared.logFormat), descriptor: 1)
    let host = try LinuxHost(settings: Settings(environment: environment, arguments: CommandLine.arguments), log: log, takesSignals: true)
    let component = try command.start(on: host)
    withExtendedLifetime(component) { host.runProcess() }
} catch {
    complain("\(error)")
    exit(1)
}
