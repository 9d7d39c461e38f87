// This program as a file, and other runs of it: needed to prove that two processes agree.

import Base
import Documents
import Glibc
import Kube
import Linux
import Platform

enum Executable {
    /// Where this program lies.
    static var path: String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        return count > 0 ? String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self) : CommandLine.arguments[0]
    }

    /// Runs this program again to its end, in a directory, with these variables besides our own; without randomised addresses if
    /// asked and if the machine can do that.
    static func runAgain(_ arguments: [String], directory: String, variables: [String], fixedAddresses: Bool) throws(HostFailure) -> (status: Int32, output: String, error: String) {
        let layout = fixedAddresses && access("/usr/bin/setarch", X_OK) == 0 ? ["/usr/bin/setarch", "-R"] : []
        return try ChildProcess.run(
            ChildProgram(path: "/usr/bin/env", arguments: ["-C", directory] + variables + layout + [path] + arguments, environment: Settings.ofThisProcess().environment))
    }
}

/// Whole text on standard error.
func writeError(_ text: String) { _ = Array(text.utf8).withUnsafeBytes { write(2, $0.baseAddress, $0.count) } }

/// What `weft simulate --json` printed.
struct RunReport {
    var narrative: [String]
    var failure: String?
    var trace: String

    init?(_ text: String) {
        guard let line = text.split(separator: "\n").last(where: { $0.hasPrefix("{") }), let value = try? Value(json: Array(line.utf8)), let trace = value.text("trace") else { return nil }
        self.trace = trace
        failure = value.text("failure")
        narrative = value.items("narrative").compactMap { $0.text() }
    }
}
