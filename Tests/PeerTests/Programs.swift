// Where the programs of others are, and ours: the system's by name, Python's from the environment that `scripts/setup test` makes, the
// shipped ones from the directory of this build. What is missing is named in the failure.

import Base
import CLinux
import Foundation
import Linux
import Platform

struct MissingProgram: Error, CustomStringConvertible {
    var name: String
    var description: String { "\(name) is not installed: run scripts/setup test" }
}

enum Programs {
    static let project = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

    /// The directory that the test bundle was built into, which holds the programs of the same build.
    static let built: String = {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        let tested = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? String(decoding: buffer[..<max(0, count)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return String(tested[..<(tested.lastIndex(of: "/") ?? tested.startIndex)])
    }()

    /// Corpora and protocol files beside the project.
    static var fixtures: String { ProcessInfo.processInfo.environment["WEFT_FIXTURES"] ?? "\(URL(fileURLWithPath: project).deletingLastPathComponent().path)/shared/fixtures" }

    /// OpenSSL 3.5 or newer, as another package of PyPI carries it, under the names by which programs look for it.
    static var newerLibrary: String { "\(project)/.build/peers/openssl" }

    /// `name`: a program of the system, or `NAME.py`: a script beside these tests, run by the peers' Python. `newerLibrary`: with that OpenSSL.
    static func program(_ name: String, _ arguments: [String], newerLibrary: Bool = false) throws -> ChildProgram {
        var environment = [("PATH", ChildProcess.systemPath), ("HOME", "/nonexistent"), ("LANG", "C.UTF-8"), ("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONUNBUFFERED", "1")]
        if newerLibrary { environment.append(("LD_LIBRARY_PATH", Self.newerLibrary)) }
        guard name.hasSuffix(".py") else {
            guard let path = ChildProcess.find(name, searchPath: ChildProcess.systemPath) else { throw MissingProgram(name: name) }
            return ChildProgram(path: path, arguments: arguments, environment: environment)
        }
        let python = "\(project)/.build/peers/bin/python3"
        guard ChildProcess.find(python, searchPath: "") != nil else { throw MissingProgram(name: "the peers' Python (\(python))") }
        environment.append(("WEFT_FIXTURES", fixtures))
        return ChildProgram(path: python, arguments: ["\(project)/Tests/PeerTests/peers/\(name)"] + arguments, environment: environment)
    }
}
