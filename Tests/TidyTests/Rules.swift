// The rules of the house that can be read off the text: which module may import which, and which spellings are banned with what
// to write instead. A line may be excused by a comment `// tidy: <rule> — <reason>` on it or right above it.

/// One source file as the rules see it.
struct SourceFile {
    /// From the project's root: `Sources/HTTP/Headers.swift`.
    var path: String
    var lines: [Substring]

    init(path: String, text: String) {
        self.path = path
        lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    }

    /// `HTTP` of `Sources/HTTP/Headers.swift`; the folder itself for what lies elsewhere.
    var module: String {
        let parts = path.split(separator: "/")
        return parts.count > 2 && (parts[0] == "Sources" || parts[0] == "Tests") ? String(parts[1]) : String(parts[0])
    }
    var isTest: Bool { path.hasPrefix("Tests/") }
    var isGenerated: Bool { path.contains("/Generated/") || lines.first?.hasPrefix("// Written by scripts/") == true }
}

struct Finding: Equatable, CustomStringConvertible {
    var path: String
    var line: Int
    var rule: String
    var advice: String

    var description: String { "\(path):\(line): \(rule): \(advice)" }
}

/// The modules that components live in: all but the bindings to the real world, the executables and the tests.
enum Floors {
    /// Which of our Swift modules each may import. The same as the dependencies in Package.swift and within what ARCHITECTURE.md allows:
    /// a test compares all three.
    static let arrows: [String: [String]] = [
        "Base": [],
        "Documents": ["Base"],
        "HTTP": ["Base"],
        "TLS": ["Base"],
        "DNS": ["Base"],
        "GRPC": ["Base", "HTTP"],
        "MeshAPI": ["Base", "GRPC"],
        "Capture": ["Base", "HTTP"],
        "Platform": ["Base"],
        "Transport": ["Base", "Platform", "HTTP", "TLS", "DNS", "GRPC", "MeshAPI"],
        "Kube": ["Base", "Documents", "Platform", "HTTP", "TLS", "Transport"],
        "Interception": ["Base", "Platform"],
        "Proxy": ["Base", "Platform", "HTTP", "TLS", "DNS", "GRPC", "MeshAPI", "Transport"],
        "Manifests": ["Base", "Documents", "Kube"],
        "APIServer": ["Base", "Documents", "Platform", "HTTP", "TLS", "Transport", "Kube"],
        "Nodes": ["Base", "Documents", "Platform", "HTTP", "Transport", "Kube", "Manifests"],
        "ControlPlane": ["Base", "Documents", "Platform", "HTTP", "TLS", "DNS", "GRPC", "MeshAPI", "Transport", "Kube", "Manifests"],
        "Commands": ["Base", "Documents", "Platform", "HTTP", "TLS", "DNS", "GRPC", "MeshAPI", "Transport", "Kube", "Manifests"],
        "Linux": ["Base", "Platform"],
        "Storage": ["Base", "Platform"],
        "Simulator": ["Base", "Platform", "DNS"],
        "Scenario": ["Base", "Documents", "Platform", "Interception", "HTTP", "TLS", "DNS", "GRPC", "MeshAPI", "Transport", "Kube", "Proxy", "Manifests", "ControlPlane", "APIServer", "Nodes", "Simulator"],
        "Load": ["Base", "Platform", "HTTP", "GRPC", "Transport"],
        "Rehearsal": ["Base", "Documents", "Platform", "HTTP", "Transport", "Kube", "Proxy", "Manifests", "ControlPlane", "Simulator", "Scenario", "Capture"],
        "LocalCluster": ["Base", "Documents", "Platform", "HTTP", "TLS", "Transport", "Kube", "DNS", "Manifests", "APIServer", "Nodes", "Linux", "Storage", "Simulator", "Scenario", "Simulations", "Capture"],
        "Simulations": ["Base", "Documents", "Platform", "HTTP", "TLS", "GRPC", "MeshAPI", "Transport", "Kube", "Manifests", "Proxy", "ControlPlane", "Simulator", "Scenario"],
        "weft": ["Base", "Documents", "Platform", "TLS", "Commands", "Linux", "Kube", "Manifests", "Capture", "Simulator", "Scenario", "Simulations", "Rehearsal", "LocalCluster"],
        "weft-proxy": ["Base", "Platform", "Proxy", "Linux"],
        "weft-controller": ["Base", "Platform", "MeshAPI", "ControlPlane", "Linux"],
        "weft-init": ["Base", "Platform", "Interception", "Linux"],
        "weft-bench": ["Base", "Documents", "Platform", "HTTP", "TLS", "GRPC", "MeshAPI", "Transport", "Kube", "Linux", "APIServer", "Simulator", "Scenario", "Load"],
    ]
    static let ours = Set(arrows.keys)
    /// Modules that may touch the machine.
    static let bindings = ["Linux", "Storage", "LocalCluster", "weft", "weft-proxy", "weft-controller", "weft-init", "weft-bench", "CLinux", "Capture"]

    static func isComponent(_ file: SourceFile) -> Bool {
        (file.path.hasPrefix("Sources/") || file.path.hasPrefix("Simulations/")) && !bindings.contains(file.module) && !file.isGenerated
    }
}

/// A spelling that must not occur in the code (comments and strings do not count).
struct Ban {
    var rule: String
    var spellings: [String]
    var advice: String
    /// Everywhere, or in components only.
    var onlyComponents = true
    /// Modules whose business it is.
    var except: [String] = []
    /// Also as the end of a longer word.
    var insideWords = false
    /// Words of the field that hold a spelling.
    var words: [String] = []
}

enum Rules {
    static let bans: [Ban] = [
        Ban(rule: "clock", spellings: ["ContinuousClock", "SuspendingClock", "Date(", "clock_gettime", "gettimeofday", "DispatchTime"], advice: "time comes from Host.now and Host.wall"),
        Ban(rule: "sleep", spellings: ["Task.sleep", "usleep(", "nanosleep(", "sleep("], advice: "use Host.after"),
        Ban(rule: "task", spellings: ["Task {", "Task.detached", "Task(", "DispatchQueue", "Thread(", "Thread.", "@MainActor", " actor "], advice: "components are callbacks on one loop; async lives in Commands only", except: ["Commands"]),
        Ban(rule: "await", spellings: ["await ", " async "], advice: "components are callbacks on one loop; async lives in Commands only", except: ["Commands"]),
        Ban(rule: "chance", spellings: [".random(in", ".shuffled()", ".shuffle()", ".randomElement()", "SystemRandomNumberGenerator", "UUID("], advice: "use Host.random(label) or a Random"),
        Ban(rule: "environment", spellings: ["getenv(", "ProcessInfo", "CommandLine.arguments"], advice: "use Host.settings"),
        Ban(rule: "print", spellings: ["print(", "debugPrint(", "dump("], advice: "speak through Host.log or the terminal you were given", except: ["Documents"]),
        Ban(rule: "try!", spellings: ["try!"], advice: "handle the error, or make an invariant of it", onlyComponents: false),
        Ban(rule: "hash", spellings: [".hashValue", "toOpaque()"], advice: "hash values and addresses differ between runs; use Digest64", except: ["TLS", "Simulator"]),
        Ban(rule: "weak", spellings: ["weak var", "weak let", "[weak "], advice: "one weak reference makes every retain of the object slower; break cycles at close"),
        Ban(rule: "import", spellings: ["import Foundation ", "import Dispatch", "import Glibc", "import Synchronization", "import NIO"], advice: "components see the world through Host only"),
        Ban(rule: "global", spellings: ["static var ", "nonisolated(unsafe)"], advice: "two simulations in one process must share nothing", except: ["MeshAPI"]),
        Ban(rule: "openssl-time", spellings: ["X509_gmtime_adj", "X509_time_adj", "RAND_bytes(", "RAND_seed"], advice: "times come from Host.wall, randomness from the bound stream"),
        Ban(rule: "todo", spellings: ["TODO", "FIXME", "XXX"], advice: "file an issue or do it", onlyComponents: false),
        Ban(rule: "name", spellings: ["Mock", "Manager", "Helper", "Util"], advice: "name it by what it is: Sim… for the simulated, Linux… for the real", insideWords: true, words: ["fieldManager", "FieldManager", "controller-manager"]),
        Ban(rule: "skip", spellings: [".enabled(if", ".disabled("], advice: "what a test needs and is not there is a failure, never a silent skip", onlyComponents: false),
        Ban(rule: "unchecked", spellings: ["-Ounchecked", "unsafeBitCast"], advice: "invariants stay on", onlyComponents: false),
    ]

    /// The code of a line: without its trailing comment and with the content of string literals blanked.
    static func code(_ line: Substring) -> String {
        var out = ""
        var inString = false
        var previous: Character = " "
        var iterator = line.makeIterator()
        while let c = iterator.next() {
            if c == "\"", previous != "\\" {
                inString.toggle()
                out.append(c)
            } else if inString {
                out.append(" ")
            } else if c == "/", previous == "/" {
                out.removeLast()
                return out
            } else {
                out.append(c)
            }
            previous = c
        }
        return out
    }

    static func isExcused(_ rule: String, _ file: SourceFile, _ index: Int) -> Bool {
        let mark = "// tidy: \(rule) — "
        return file.lines[index].contains(mark) || index > 0 && file.lines[index - 1].contains(mark)
    }

    // MARK: The checks

    static func bannedSpellings(_ file: SourceFile) -> [Finding] {
        if file.isGenerated || file.module == "TidyTests" { return [] }
        var findings: [Finding] = []
        var isText = false
        for (index, line) in file.lines.enumerated() {
            // Multi-line string literals hold text, not code.
            let quotes = line.components("\"\"\"")
            if isText {
                if quotes % 2 == 1 { isText = false }
                continue
            }
            if quotes % 2 == 1 { isText = true }
            let code = code(line) + " "
            for ban in bans {
                if ban.onlyComponents, !Floors.isComponent(file) || ban.except.contains(file.module) { continue }
                let judged = ban.words.reduce(code) { $0.replacing($1, with: "") }
                guard let spelling = ban.spellings.first(where: { ban.insideWords ? judged.contains($0) : contains(judged, $0) }), !isExcused(ban.rule, file, index) else { continue }
                if spelling == "static var ", isComputed(judged) { continue }
                findings.append(Finding(path: file.path, line: index + 1, rule: ban.rule, advice: "\(spelling): \(ban.advice)"))
            }
        }
        return findings
    }

    /// `static var bytesMax: Int { 5 }` holds nothing; with a `=` before the brace something is stored.
    static func isComputed(_ code: String) -> Bool {
        guard let brace = code.firstIndex(of: "{") else { return false }
        return !code[..<brace].contains("=")
    }

    /// A spelling that begins like a word must not follow a letter: `print(` is not in `blueprint(`.
    static func contains(_ code: String, _ spelling: String) -> Bool {
        var rest = Substring(code)
        while let range = rest.firstRange(of: spelling) {
            let before = range.lowerBound > code.startIndex ? code[code.index(before: range.lowerBound)] : " "
            let beginsWord = spelling.first.map { $0.isLetter || $0 == "_" } ?? false
            let isCall = spelling.hasSuffix("(")
            if !beginsWord || !(before.isLetter || before.isNumber || before == "_" || (isCall && before == ".")) { return true }
            rest = rest[range.upperBound...]
        }
        return false
    }

    static func imports(_ file: SourceFile) -> [Finding] {
        guard file.path.hasPrefix("Sources/") || file.path.hasPrefix("Simulations/"), let allowed = Floors.arrows[file.module] else { return [] }
        var findings: [Finding] = []
        for (index, line) in file.lines.enumerated() {
            let words = line.split(separator: " ")
            guard let at = words.firstIndex(of: "import"), at <= 1, at + 1 < words.count else { continue }
            let name = String(words[at + 1])
            if Floors.ours.contains(name), name != file.module, !allowed.contains(name) {
                findings.append(Finding(path: file.path, line: index + 1, rule: "arrow", advice: "\(file.module) may not import \(name)"))
            }
        }
        return findings
    }

    /// Every file begins by saying what it is.
    static func firstLine(_ file: SourceFile) -> [Finding] {
        if file.isGenerated || file.path == "Package.swift" { return [] }
        let first = file.lines.first ?? ""
        return first.hasPrefix("// ") ? [] : [Finding(path: file.path, line: 1, rule: "first line", advice: "begin with a paragraph: what this is, why it exists, what is absent")]
    }

    static func lengths(_ file: SourceFile) -> [Finding] {
        if file.isGenerated { return [] }
        return file.lines.count <= 600 ? [] : [Finding(path: file.path, line: file.lines.count, rule: "length", advice: "\(file.lines.count) lines want a split by topic")]
    }

    /// Iteration over a dictionary or set that the text shows: values, keys, or a loop without an order.
    static func iteration(_ file: SourceFile) -> [Finding] {
        guard Floors.isComponent(file) else { return [] }
        var findings: [Finding] = []
        for (index, line) in file.lines.enumerated() {
            let code = code(line)
            guard [" in streams.values", ".keys {", ".keys)", ".keys.map", ".values {", ".values.map"].contains(where: { code.contains($0) }), !line.contains("// order: "),
                !isExcused("iteration", file, index), !code.contains(".sorted()"), !file.lines.contains(where: { $0.hasPrefix("import OrderedCollections") })
            else { continue }
            findings.append(Finding(path: file.path, line: index + 1, rule: "iteration", advice: "the order of a Dictionary differs between runs; sort, or say `// order: …`"))
        }
        return findings
    }

    /// The project speaks of itself alone.
    static func outsiders(_ file: SourceFile) -> [Finding] {
        if file.module == "TidyTests" { return [] }
        var findings: [Finding] = []
        for (index, line) in file.lines.enumerated() {
            for word in ["/work/", "/opt/wheels", "/opt/swift-packages", "farm-", "subagent", "helper session"] where line.contains(word) {
                findings.append(Finding(path: file.path, line: index + 1, rule: "outsider", advice: "\(word) is not of this project"))
            }
        }
        return findings
    }

    static func all(_ file: SourceFile) -> [Finding] {
        bannedSpellings(file) + imports(file) + firstLine(file) + lengths(file) + iteration(file) + outsiders(file)
    }
}

extension Substring {
    /// How often `piece` occurs.
    fileprivate func components(_ piece: String) -> Int {
        var count = 0
        var rest = self
        while let range = rest.firstRange(of: piece) {
            count += 1
            rest = rest[range.upperBound...]
        }
        return count
    }
}
