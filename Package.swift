// swift-tools-version: 6.2
// The house in one file: a target a module, its arrows as dependencies (ARCHITECTURE.md explains the floors).
// `swift build --explicit-target-dependency-import-check error` and Tests/TidyTests hold the arrows.

import PackageDescription

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// Release builds check exclusivity statically only: across modules the dynamic checks cost half of a parser's time,
/// and debug builds and every simulation keep them on.
let hot: [SwiftSetting] = strict + [
    .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))
]

/// Exported symbols, which nobody loads, are a tenth of the file and of the memory at start.
let lean: [LinkerSetting] = [.unsafeFlags(["-Xlinker", "--no-export-dynamic"], .when(platforms: [.linux], configuration: .release))]

let collections = Target.Dependency.product(name: "OrderedCollections", package: "swift-collections")
let deque = Target.Dependency.product(name: "DequeModule", package: "swift-collections")
let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
/// Files beside tests that are read by path: deviations from corpora, judges in other languages.
let tables = ["EndToEnd": ["python_judge.py"], "Capture": ["deviations.tsv"], "HTTP": ["deviations.tsv", "http2-deviations.tsv"], "Manifests": ["deviations.tsv"], "Peer": ["peers"], "Proxy": ["families.tsv", "variables.txt"], "TLS": ["deviations.tsv"]]
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

let package = Package(
    name: "weft",
    products: [
        .executable(name: "weft", targets: ["weft"]),
        .executable(name: "weft-proxy", targets: ["weft-proxy"]),
        .executable(name: "weft-controller", targets: ["weft-controller"]),
        .executable(name: "weft-init", targets: ["weft-init"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        // C: system libraries and the few calls Swift cannot spell.
        .systemLibrary(name: "COpenSSLSystem", path: "Sources/COpenSSLSystem", pkgConfig: "libssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CPcap", path: "Sources/CPcap", providers: [.apt(["libpcap-dev"])]),
        .systemLibrary(name: "CSQLite", path: "Sources/CSQLite", providers: [.apt(["libsqlite3-dev"])]),
        .target(name: "COpenSSL", dependencies: ["COpenSSLSystem"]),
        .target(name: "CLinux"),
        .target(name: "CDeterminism", dependencies: ["COpenSSLSystem"]),

        // Floor 0
        .target(name: "Base", swiftSettings: hot),
        .target(name: "Documents", dependencies: ["Base", collections, yams], swiftSettings: strict),

        // Floor 1
        .target(name: "HTTP", dependencies: ["Base"], swiftSettings: hot),
        .target(name: "TLS", dependencies: ["Base", "COpenSSL", "COpenSSLSystem"], swiftSettings: hot),
        .target(name: "DNS", dependencies: ["Base"], swiftSettings: strict),
        .target(name: "GRPC", dependencies: ["Base", "HTTP"], swiftSettings: hot),
        .target(name: "MeshAPI", dependencies: ["Base", "GRPC", protobuf], exclude: ["proto"], swiftSettings: [.enableUpcomingFeature("ExistentialAny")]),
        .target(name: "Capture", dependencies: ["Base", "HTTP", "CPcap"], swiftSettings: strict),

        // Floor 2
        .target(name: "Platform", dependencies: ["Base"], swiftSettings: hot),
        .target(name: "Transport", dependencies: ["Base", "Platform", "HTTP", "TLS", "DNS", "GRPC", "MeshAPI", deque], swiftSettings: hot),
        .target(name: "Kube", dependencies: ["Base", "Documents", "Platform", "HTTP", "TLS", "Transport", collections], swiftSettings: strict),

        .target(name: "Interception", dependencies: ["Base", "Platform"], swiftSettings: strict),

        // Floor 3
        .target(name: "Proxy", dependencies: ["Base", "Platform", "HTTP", "TLS", "DNS", "GRPC", "MeshAPI", "Transport", deque, collections, protobuf], swiftSettings: hot),
        .target(name: "Manifests", dependencies: ["Base", "Documents", "Kube", collections], swiftSettings: strict),
        .target(name: "APIServer", dependencies: ["Base", "Documents", "Platform", "HTTP", "TLS", "Transport", "Kube", collections, deque], swiftSettings: strict),
        .target(name: "Nodes", dependencies: ["Base", "Documents", "Platform", "HTTP", "Transport", "Kube", "Manifests", collections], swiftSettings: strict),
        .target(name: "ControlPlane", dependencies: ["Base", "Documents", "Platform", "HTTP", "TLS", "DNS", "GRPC", "MeshAPI", "Transport", "Kube", "Manifests", collections, protobuf], swiftSettings: strict),
        .target(name: "Commands", dependencies: ["Base", "Documents", "Platform", "HTTP", "TLS", "DNS", "GRPC", "MeshAPI", "Transport", "Kube", "Manifests"], swiftSettings: strict),

        // Floor 4
        .target(name: "Linux", dependencies: ["Base", "Platform", "CLinux"], swiftSettings: hot),
        .target(name: "Storage", dependencies: ["Base", "Platform", "CSQLite"], swiftSettings: strict),
        .target(name: "Simulator", dependencies: ["Base", "Platform", "DNS", "CDeterminism", deque], swiftSettings: hot),

        // Floor 5
        .target(name: "Scenario", dependencies: ["Base", "Documents", "Platform", "Interception", "HTTP", "TLS", "DNS", "GRPC", "MeshAPI", "Transport", "Kube", "Proxy", "Manifests", "ControlPlane", "APIServer", "Nodes", "Simulator", collections, protobuf], swiftSettings: strict),
        .target(name: "Load", dependencies: ["Base", "Platform", "HTTP", "GRPC", "Transport", deque], swiftSettings: hot),
        .target(name: "Rehearsal", dependencies: ["Base", "Documents", "Platform", "HTTP", "Transport", "Kube", "Proxy", "Manifests", "ControlPlane", "Simulator", "Scenario", "Capture", collections], swiftSettings: strict),
        .target(name: "LocalCluster", dependencies: ["Base", "Documents", "Platform", "HTTP", "TLS", "Transport", "Kube", "DNS", "Manifests", "APIServer", "Nodes", "Linux", "Storage", "Simulator", "Scenario", "Simulations", "Capture", "CLinux", collections], swiftSettings: strict),
        .target(name: "Simulations", dependencies: ["Base", "Documents", "Platform", "HTTP", "TLS", "GRPC", "MeshAPI", "Transport", "Kube", "Manifests", "Proxy", "ControlPlane", "Simulator", "Scenario", protobuf], path: "Simulations", swiftSettings: strict),

        // What seeded fuzz drivers of the tests share.
        .target(name: "Fuzzing", dependencies: ["Base"], path: "Tests/Fuzzing", swiftSettings: strict),
        // Counts what a test takes from the heap.
        .target(name: "CAllocations", path: "Tests/CAllocations"),

        // Executables: the only places where a component meets a binding.
        .executableTarget(name: "weft", dependencies: ["Base", "Documents", "Platform", "TLS", "Commands", "Linux", "Kube", "Manifests", "Capture", "Simulator", "Scenario", "Simulations", "Rehearsal", "LocalCluster", "CDeterminism", arguments], swiftSettings: strict),
        .executableTarget(name: "weft-proxy", dependencies: ["Base", "Platform", "Proxy", "Linux"], swiftSettings: hot, linkerSettings: lean),
        .executableTarget(name: "weft-controller", dependencies: ["Base", "Platform", "MeshAPI", "ControlPlane", "Linux", arguments], swiftSettings: strict),
        .executableTarget(name: "weft-init", dependencies: ["Base", "Platform", "Interception", "Linux"], swiftSettings: strict),
        .executableTarget(name: "weft-bench", dependencies: ["Base", "Documents", "Platform", "HTTP", "TLS", "GRPC", "MeshAPI", "Transport", "Kube", "Linux", "APIServer", "Simulator", "Scenario", "Load", "CDeterminism"], swiftSettings: strict),
    ]
        + [
            ("Base", ["Fuzzing"]), ("Documents", ["Base", "Fuzzing", "OrderedCollections"]), ("HTTP", ["Base", "Fuzzing", "CAllocations"]), ("TLS", ["Base", "Fuzzing", "CDeterminism"]), ("DNS", ["Base", "Fuzzing"]),
            ("GRPC", ["Base", "Fuzzing", "HTTP"]), ("MeshAPI", ["Base"]), ("Capture", ["Base", "Fuzzing", "HTTP"]), ("Platform", ["Base"]), ("Interception", ["Base", "Platform", "Simulator"]),
            ("Transport", ["Base", "Fuzzing", "Platform", "HTTP", "TLS", "DNS", "GRPC", "Simulator"]),
            ("Kube", ["Base", "Fuzzing", "Documents", "Platform", "HTTP", "TLS", "Transport", "APIServer", "Simulator", "DNS"]),
            ("Proxy", ["Base", "CAllocations", "Platform", "HTTP", "TLS", "DNS", "GRPC", "MeshAPI", "Transport", "Simulator"]),
            ("Manifests", ["Base", "Documents", "Kube", "OrderedCollections"]),
            ("APIServer", ["Base", "Documents", "Platform", "HTTP", "TLS", "Transport", "Kube", "Simulator", "Linux", "CDeterminism", "OrderedCollections"]),
            ("ControlPlane", ["Base", "CDeterminism", "Documents", "Platform", "HTTP", "TLS", "GRPC", "MeshAPI", "Transport", "Kube", "Manifests", "APIServer", "Simulator", "DNS"]),
            ("Linux", ["Base", "Platform", "CLinux"]), ("Storage", ["Base", "Platform"]), ("Simulator", ["Base", "Platform", "TLS", "DNS", "CDeterminism"]),
            ("Simulations", ["Base", "Platform", "Simulator", "Scenario"]), ("Rehearsal", ["Base", "Documents", "Simulator", "Scenario", "Capture", "Platform"]),
            ("Load", ["Base", "Platform", "HTTP", "Transport", "Simulator"]),
            ("Commands", ["Base", "Documents", "Manifests"]), ("Tidy", []), ("EndToEnd", ["Base", "CDeterminism", "Documents", "HTTP", "Linux", "CLinux", "Platform", "Simulations", "Kube", "Transport"]),
            ("Peer", ["Base", "CDeterminism", "CLinux", "COpenSSLSystem", "DNS", "Documents", "GRPC", "HTTP", "Kube", "Linux", "LocalCluster", "Platform", "Simulations", "TLS", "Transport"]),
            ("LocalCluster", ["Base", "DNS", "Platform", "Nodes", "Transport", "Simulator", "Simulations", "Capture", "Linux", "CLinux"]),
        ].map { (name: String, uses: [String]) in
            .testTarget(
                name: name + "Tests",
                dependencies: (uses + (["Tidy", "EndToEnd", "Peer"].contains(name) ? [] : [name])).map { $0 == "OrderedCollections" ? collections : .byName(name: $0) },
                exclude: tables[name] ?? [],
                swiftSettings: [.enableUpcomingFeature("ExistentialAny")])
        },
    swiftLanguageModes: [.v6]
)

// `WEFT_ONLY=HTTP,TLS swift test` builds and tests just these modules and what they rest on.
if let only = Context.environment["WEFT_ONLY"] {
    var wanted: Set<String> = []
    func want(_ name: String) {
        guard let target = package.targets.first(where: { $0.name == name }), wanted.insert(name).inserted else { return }
        for dependency in target.dependencies {
            switch dependency {
            case .targetItem(let name, _), .byNameItem(let name, _): want(name)
            default: break
            }
        }
    }
    for name in only.split(separator: ",").map(String.init) {
        want(name)
        want(name + "Tests")
    }
    package.targets.removeAll { !wanted.contains($0.name) }
    package.products.removeAll { !wanted.contains($0.name) }
}
