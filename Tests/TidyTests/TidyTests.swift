// The rules over the whole tree, and each rule over a snippet that breaks it: a rule that nothing can break is no rule.

import Glibc
import Testing

/// The project's root, two folders above this one.
private let root: String = {
    var parts = #filePath.split(separator: "/").dropLast(3)
    return parts.isEmpty ? "." : "/" + parts.joined(separator: "/")
}()

private func entries(_ path: String) -> [(name: String, isFolder: Bool)] {
    guard let folder = opendir(path) else { return [] }
    defer { closedir(folder) }
    var found: [(String, Bool)] = []
    while let entry = readdir(folder) {
        let name = withUnsafePointer(to: entry.pointee.d_name) { $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) } }
        if name.hasPrefix(".") { continue }
        found.append((name, entry.pointee.d_type == UInt8(DT_DIR)))
    }
    return found.sorted { $0.0 < $1.0 }
}

private func read(_ path: String) -> String {
    guard let file = fopen(path, "r") else { return "" }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
        let count = fread(&chunk, 1, chunk.count, file)
        if count == 0 { break }
        bytes += chunk[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
}

private func sources(_ folder: String, _ suffixes: [String] = [".swift"]) -> [SourceFile] {
    entries("\(root)/\(folder)").flatMap { entry -> [SourceFile] in
        let path = "\(folder)/\(entry.name)"
        if entry.isFolder { return sources(path, suffixes) }
        return suffixes.contains { entry.name.hasSuffix($0) } ? [SourceFile(path: path, text: read("\(root)/\(path)"))] : []
    }
}

/// A rule and code that breaks it.
private let proofs: [(String, String)] = [
    ("clock", "let t = ContinuousClock.now"), ("clock", "let d = Date()"), ("sleep", "usleep(5)"), ("task", "Task { work() }"), ("task", "Task.detached { }"),
    ("await", "let x = await f()"), ("chance", "let n = Int.random(in: 0..<5)"), ("chance", "names.shuffled()"), ("environment", "let home = getenv(\"HOME\")"),
    ("print", "print(\"hello\")"), ("try!", "let x = try! f()"), ("hash", "let h = name.hashValue"), ("weak", "weak var owner: Owner?"), ("import", "import Foundation"),
    ("global", "static var count = 0"), ("openssl-time", "X509_gmtime_adj(t, 0)"), ("todo", "// x\nlet TODO = 1"), ("name", "final class ConnectionManager {}"), ("unchecked", "let flag = unsafeBitCast(x, to: Int.self)"),
    ("skip", "@Test(.enabled(if: present)) func f() {}"),
]

@Suite struct TidyTests {
    @Test(arguments: ["Sources", "Tests", "Simulations"])
    func `the tree keeps the rules`(_ folder: String) {
        let files = sources(folder)
        #expect(files.count > 3, "\(folder) holds sources")
        for finding in files.flatMap(Rules.all) { Issue.record("\(finding)") }
    }

    @Test func `texts for people keep to the project`() {
        let files = ["README.md", "ARCHITECTURE.md", "STYLE.md", "Makefile", "Package.swift"].map { SourceFile(path: $0, text: read("\(root)/\($0)")) } + sources("scripts", [""]) + sources("manifests", [".yaml"])
        for file in files {
            #expect(file.lines.count > 1, "\(file.path) exists")
            for finding in Rules.outsiders(file) { Issue.record("\(finding)") }
        }
    }

    @Test(arguments: proofs)
    func `a banned spelling is found`(_ rule: String, _ code: String) {
        let file = SourceFile(path: "Sources/Proxy/Bad.swift", text: "// A file.\n\(code)\n")
        #expect(Rules.bannedSpellings(file).map(\.rule).contains(rule))
    }

    @Test func `comments, strings, longer words and excused lines are no findings`() {
        let text = """
            // A file that speaks of Task.sleep and Date().
            let message = "print( nothing"
            let plan = blueprint(of: house)
            // tidy: clock — proves that an excuse is heard
            let t = ContinuousClock.now
            """
        #expect(Rules.bannedSpellings(SourceFile(path: "Sources/Proxy/Good.swift", text: text)) == [])
    }

    @Test func `every ban has a snippet that breaks it`() {
        #expect(Set(Rules.bans.map(\.rule)) == Set(proofs.map(\.0)))
        #expect(Set(Rules.bans.map(\.rule)).count == Rules.bans.count)
    }

    @Test func `an import against the arrows is found, one along them is not`() {
        #expect(Rules.imports(SourceFile(path: "Sources/Proxy/Bad.swift", text: "// x\nimport Kube\n")).map(\.rule) == ["arrow"])
        #expect(Rules.imports(SourceFile(path: "Sources/HTTP/Bad.swift", text: "// x\nimport Platform\n")).map(\.rule) == ["arrow"])
        #expect(Rules.imports(SourceFile(path: "Sources/Simulator/Bad.swift", text: "// x\npublic import Proxy\n")).map(\.rule) == ["arrow"])
        #expect(Rules.imports(SourceFile(path: "Sources/Proxy/Good.swift", text: "// x\nimport Transport\n")) == [])
    }

    @Test func `the arrows of the manifest, of the rules and of the architecture are the same`() {
        let manifest = Arrows.dependencies(ofManifest: read("\(root)/Package.swift"))
        let allowed = Arrows.allowances(ofArchitecture: read("\(root)/ARCHITECTURE.md"))
        // Modules in C and what tests share have no row.
        let modules = manifest.filter { row in Floors.ours.contains(row.module) }
        #expect(Set(modules.map(\.module)) == Floors.ours)
        for row in manifest {
            guard let table = Floors.arrows[row.module] else {
                #expect(["CLinux", "COpenSSL", "CDeterminism", "Fuzzing", "CAllocations"].contains(row.module), "\(row.module) has no arrows in Rules.swift")
                continue
            }
            let ours = row.names.filter { Floors.ours.contains($0) }
            #expect(Set(ours) == Set(table), "\(row.module): Package.swift and Rules.swift differ")
            if row.module.hasPrefix("weft") { continue }
            guard let may = allowed.first(where: { $0.module == row.module }) else {
                Issue.record("\(row.module) has no row in ARCHITECTURE.md")
                continue
            }
            for name in ours { #expect(may.names.contains(name), "\(row.module): ARCHITECTURE.md does not allow \(name)") }
        }
        for row in allowed { #expect(Floors.ours.contains(row.module), "\(row.module) of ARCHITECTURE.md is no target") }
    }

    @Test(arguments: ["weft-proxy", "weft-controller", "weft-init"])
    func `no shipped program rests on the simulator`(_ program: String) {
        let rows = Arrows.dependencies(ofManifest: read("\(root)/Package.swift"))
        let parts = Arrows.closure(of: program, rows)
        #expect(parts.contains("Base"))
        for name in ["CDeterminism", "Simulator", "Scenario", "Simulations", "Rehearsal", "LocalCluster", "Capture"] { #expect(!parts.contains(name)) }
        #expect(Arrows.closure(of: "weft", rows).contains("CDeterminism"))
    }

    @Test func `a manifest and a table of floors are read`() {
        let manifest = """
            .target(name: "A", swiftSettings: hot),
                .target(name: "B", dependencies: ["A", collections, "CThing"], swiftSettings: hot),
                .executableTarget(name: "tool", dependencies: ["B"]),
            """
        let rows = Arrows.dependencies(ofManifest: manifest)
        #expect(rows.map(\.module) == ["A", "B", "tool"])
        #expect(rows.map(\.names) == [[], ["A", "CThing"], ["B"]])
        #expect(Arrows.closure(of: "tool", rows) == ["B", "A", "CThing"])
        let table = """
            | Floor | Module | What it is | May import |
            |---|---|---|---|
            | 0 | `A` | a | nothing |
            | 1 | `B` | b | A, Yams |
            | 1 | `C` | c | floor 0 |
            | 2 | `D` | d | floors 0-1 except A, C; E |
            | 3 | `E` | e | D, floor 1 except B |
            """
        #expect(Arrows.allowances(ofArchitecture: table).map(\.names) == [["nothing"], ["A", "Yams"], ["A"], ["B", "E"], ["D", "C"]])
    }

    @Test func `what is computed, and the field's own words, are no findings`() {
        let text = """
            // A file.
            static var bytesMax: Int { 128 }
            let fieldManager = query["fieldManager"]
            """
        #expect(Rules.bannedSpellings(SourceFile(path: "Sources/Proxy/Good.swift", text: text)) == [])
        for code in ["static var made: Int = { 5 }()", "static var seen = 0 { didSet { } }", "let fieldManagers = 1; class PodManager {}"] {
            #expect(Rules.bannedSpellings(SourceFile(path: "Sources/Proxy/Bad.swift", text: "// A file.\n\(code)\n")).count == 1)
        }
    }

    @Test func `a file without a first paragraph, one too long, an unordered loop and an outsider are found`() {
        #expect(Rules.firstLine(SourceFile(path: "Sources/Proxy/Bad.swift", text: "import Base\n")).count == 1)
        #expect(Rules.lengths(SourceFile(path: "Sources/Proxy/Bad.swift", text: String(repeating: "//\n", count: 700))).count == 1)
        #expect(Rules.iteration(SourceFile(path: "Sources/Proxy/Bad.swift", text: "// x\nfor s in table.values { use(s) }\n")).count == 1)
        #expect(Rules.iteration(SourceFile(path: "Sources/Proxy/Good.swift", text: "// x\nfor k in table.keys.sorted() { use(k) }\n")) == [])
        #expect(Rules.outsiders(SourceFile(path: "README.md", text: "see /work/x\n")).count == 1)
    }
}
